/* import.h: another gateway's configuration between reading (import_litellm.c, import_params.c,
 * import_settings.c) and writing (import_write.c). Private to this room; the door is
 * config_import_litellm(). */
#ifndef POINTSMAN_CONFIG_IMPORT_H
#define POINTSMAN_CONFIG_IMPORT_H

#include "proxy/config/yaml.h"
#include "store/base/buf.h"

enum { IMPORT_PROVIDERS_MAX = 200, IMPORT_ROUTES_MAX = 1000, IMPORT_TARGETS_MAX = 32 };

struct import_provider {
    struct str name, kind;             /* "openai-2", "openai" */
    struct str dialect, base_url, key; /* key: "env:NAME", a literal, or empty */
    struct str api_version, organization;
    const struct yaml *headers; /* NULL or a map */
    int64_t most_at_once;
    int64_t total_ms, first_token_ms; /* -1 = not given */
};

struct import_target {
    unsigned provider; /* index */
    struct str model;
    const struct yaml *at;
    int64_t weight, rpm, tpm; /* thousandths; -1 = not given */
    int64_t order;            /* -1 = not given */
    struct str budget_amount, budget_window;
};

struct import_fallback {
    struct str name; /* of a route */
    const struct yaml *at;
};

struct import_route {
    struct str name, alias_of; /* alias_of: a rule that leads to another route */
    struct import_target targets[IMPORT_TARGETS_MAX];
    size_t target_count;
    bool unwritten; /* its name can't be a route's here; fallbacks may mean it */
    struct import_fallback fallback[IMPORT_TARGETS_MAX];
    size_t fallback_count;
    bool on_content; /* some of them are for what a provider refuses to say */
    int64_t retries; /* -1 = as everywhere */
};

struct import_price {
    struct str key;
    int64_t input, output, cached, cache_write; /* femto-USD a token; -1 = not given */
    int64_t context, most_output;               /* tokens; -1 = not given */
};

struct import {
    struct arena *a;
    struct buf *left_out;
    char **environment;           /* NULL: the process's */
    const struct yaml *variables; /* the file's environment_variables, or NULL */
    const struct yaml *credentials; /* its credential_list, or NULL */
    struct str file;                /* the included one that is being read; empty: the file itself */
    struct import_provider providers[IMPORT_PROVIDERS_MAX];
    size_t provider_count;
    struct import_route *routes; /* IMPORT_ROUTES_MAX of them */
    size_t route_count;
    struct import_price *prices; /* IMPORT_ROUTES_MAX of them */
    size_t price_count;
    struct str policy;          /* of routes with several targets */
    int64_t retries, total_ms, first_token_ms; /* -1 = not given */
    struct str master_key;      /* reference or literal; empty = none */
    struct str budget_amount, budget_window;
};

/* One line of what is not carried: "8:7: where.what: why". */
void import_leave_out(const struct import *m, const struct yaml *at, const char *where,
    struct str what, const char *why);
void import_name_unknown(struct import *m, const struct yaml *map, const char *where,
    const char *const *known, size_t n);
struct str import_text(const struct yaml *map, const char *key); /* STR_NULL when there is none */
int64_t import_number(const struct yaml *map, const char *key, int64_t otherwise);
struct str import_reference(struct import *m, struct str s);
bool import_header(const struct yaml *h); /* may it be written as a header? */
/* A member of a deployment's litellm_params, or of the credential that it names. */
const struct yaml *import_param(const struct import *m, const struct yaml *params, const char *key);
/* Seconds, also 0.5, as ms; -1 = not given, or said that it is no time. */
int64_t import_seconds(struct import *m, const struct yaml *map, const char *where, const char *key);
/* The same that may stand in a variable. False: said what lacks. */
bool import_resolve(struct import *m, const struct yaml *params, const char *key, struct str *out);
/* "30d": "month"; NULL: no window that there is. Empty: "total". */
const char *import_window(struct str duration);
void import_price(struct import *m, const struct yaml *params, const struct yaml *info,
    const struct import_provider *p, struct str model);
struct import_route *import_find(const struct import *m, struct str name);
/* "openai/gpt-5" where "openai/…" is a deployment of all its models. */
bool import_find_pattern(struct import *m, struct str name, struct import_target *out);
struct import_route *import_route_of(struct import *m, struct str name); /* made; NULL: no room */

void import_settings(struct import *m, const struct yaml *root);
void import_write(struct import *m, struct buf *yaml);

#endif
