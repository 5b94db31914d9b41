/* import.h: another gateway's configuration between reading (import_litellm.c) and writing
 * (import_write.c). Private to this room; the door is config_import_litellm(). */
#ifndef POINTSMAN_CONFIG_IMPORT_H
#define POINTSMAN_CONFIG_IMPORT_H

#include "proxy/config/yaml.h"
#include "store/base/buf.h"

enum { IMPORT_PROVIDERS_MAX = 200, IMPORT_ROUTES_MAX = 1000, IMPORT_TARGETS_MAX = 32 };

struct import_provider {
    struct str name, kind;             /* "openai-2", "openai" */
    struct str dialect, base_url, key; /* key: "env:NAME", a literal, or empty */
    struct str api_version, organization;
    const struct yaml *headers;        /* NULL or a map */
    int64_t most_at_once;
};

struct import_target {
    unsigned provider;                 /* index */
    struct str model;
    int64_t weight, order;             /* -1 = not given */
};

struct import_route {
    struct str name, alias_of;         /* alias_of: a rule that leads to another route */
    struct import_target targets[IMPORT_TARGETS_MAX];
    size_t target_count;
    struct str fallback[IMPORT_TARGETS_MAX]; /* names of routes */
    size_t fallback_count;
};

struct import_price {
    struct str key;
    int64_t input, output, cached, cache_write; /* femto-USD a token; -1 = not given */
};

struct import {
    struct arena *a;
    struct buf *left_out;
    struct import_provider providers[IMPORT_PROVIDERS_MAX];
    size_t provider_count;
    struct import_route *routes;       /* IMPORT_ROUTES_MAX of them */
    size_t route_count;
    struct import_price *prices;       /* IMPORT_ROUTES_MAX of them */
    size_t price_count;
    struct str policy;                 /* of routes with several targets */
    int64_t retries, timeout_s;        /* -1 = not given */
    struct str master_key;             /* reference or literal; empty = none */
    struct str budget_amount, budget_window;
};

void import_write(const struct import *m, struct buf *yaml);

#endif
