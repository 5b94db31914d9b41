/* snapshot.h: the configuration as the data path sees it: immutable, counted, swapped whole.
 *
 * Why: a request keeps the configuration that it began with; a change is a new snapshot behind one
 * atomic pointer, so that a switch takes the next request and never one in flight.
 *
 * File → options (options.def) → struct config; plus virtual keys (file and store) and live state
 * (overrides, drains, pauses made from console and command line) = struct snapshot.
 *
 * Ownership: snapshot_get()/put() count references; everything inside lives as long. Each worker
 * holds one reference of its own and looks at snapshot_generation() for a newer one. */
#ifndef POINTSMAN_SNAPSHOT_H
#define POINTSMAN_SNAPSHOT_H

#include "proxy/config/dialects.h"
#include "proxy/config/price_override.h"
#include "store/base/err.h"
#include "store/base/http_header.h"

#include <stdatomic.h>

struct provider_key {
    struct str name;            /* "env:LAB_KEY_A", "file:…": for display */
    struct str secret, fault;   /* the value, never logged, shown or stored; why a sealed one is not here */
    unsigned weight;
    unsigned index;             /* place in the provider's list; health is kept per index */
};

struct provider_timeouts { /* µs */
    int64_t connect, headers, first_token, idle, total;
};

/* How a provider departs from its dialect. The same bits as meter's enum usage_quirk (a unit test
 * holds them together): config may not include meter. */
enum provider_quirk { PROVIDER_QUIRK_NONE = 0, PROVIDER_QUIRK_OUTPUT_WITHOUT_REASONING = 1 };

enum residency { RESIDENCY_BY_HOST, RESIDENCY_NONE, RESIDENCY_US, RESIDENCY_EU, RESIDENCY_REGION };

struct provider {
    struct str name;
    unsigned id;                /* small, stable over reloads within the process: indexes health */
    enum dialect dialect;
    struct str base_url;        /* without a slash at the end */
    bool client_login;          /* api_key: client */
    bool demo;
    const struct provider_key *keys;
    size_t key_count, locked_keys; /* locked: those with a fault */
    const struct str *models;   /* listed in the configuration; none: see plan_each_model() */
    size_t model_count;
    unsigned max_concurrent;    /* 0 = no limit */
    int64_t max_wait_us;
    struct provider_timeouts timeouts;
    const struct http_header *headers;
    size_t header_count;
    const char *proxy, *ca_file;
    bool allow_private, http2, ask_usage;
    struct str api_version;     /* azure */
    struct str organization, project; /* openai-organization, openai-project with our key */
    unsigned quirks;            /* enum provider_quirk, from providers.def by the URL's host */
    enum residency residency;   /* as written */
    enum residency served_in;   /* the same, known by the host where it was not written */
    bool from_environment;      /* found without a file */
    bool drained;               /* `drained: yes` in the file; snapshot_new() lists it */
    struct str drained_to;      /* meanwhile, for what has nowhere else to go; or empty */
};

enum policy {
#define X(name, text, help) POLICY_##name,
#include "proxy/config/policies.def"
#undef X
    POLICY_COUNT
};
enum goal { GOAL_NONE, GOAL_QUALITY, GOAL_LATENCY, GOAL_COST, GOAL_LONG_CONTEXT, GOAL_RESILIENCE };
enum disconnect { DISCONNECT_CANCEL, DISCONNECT_DRAIN, DISCONNECT_FINISH };

struct target {
    const struct provider *provider;
    struct str model;           /* may hold "$model": the asked one */
    unsigned weight;            /* 0 takes nothing by weight but stays a fallback */
};

enum condition_kind {
#define X(name, text, help) CONDITION_##name,
#include "proxy/config/conditions.def"
#undef X
    CONDITION_COUNT
};
struct condition {
    enum condition_kind kind;
    struct str text;            /* pattern, or header name in lower case */
    struct str value;           /* header value pattern */
    int64_t low, high; /* numbers: low ≤ x ≤ high (budget_used in ppm); yes/no: 1 or 0 in
                          low; hours (bit 0 = 00:xx), weekdays (bit 0 = Sunday, as tm_wday)
                          as bit mask in low */
    struct str shown;           /* as written, for people: "prompt_tokens >150k" */
};
struct rule {
    struct str name;            /* "rule 3" or as given */
    bool enabled;
    const struct condition *conditions;
    size_t condition_count;
    const struct target *targets; /* `use`: targets, or … */
    size_t target_count;
    struct str route;           /* … another route */
};

struct route {
    struct str name;            /* "fast", or a pattern "claude-*" */
    unsigned id;
    bool pattern, live_only;    /* live_only: exists through a switch alone */
    enum goal goal;
    enum policy policy;
    const struct target *targets;
    size_t target_count;
    const struct target *fallback;
    size_t fallback_count;
    const struct rule *rules;
    size_t rule_count;
    unsigned retry_attempts;
    unsigned retry_on;          /* bits of enum failure_class (route/plan.h) */
    enum disconnect disconnect;
    int64_t drain_bytes;        /* DISCONNECT_DRAIN: bytes still read to learn the usage */
    int64_t hold_us;            /* first-token hold; 0 = off */
    int64_t first_token_us;     /* overrides the provider's when > 0 */
    /* share_ppm 0 = no canary. A 0 limit is not watched; cost is relative to the others' mean. */
    struct { struct target to; int64_t share_ppm; int64_t max_error_ppm, max_latency_us,
        max_cost_ppm; } canary;
    struct str sticky;          /* "session", "user", "prefix" for POLICY_STICKY */
    bool measure_total;         /* lowest-latency looks at the whole answer, not the first token */
    const struct budget_limit *budgets;
    size_t budget_count;
    bool refuse_dropped;        /* refuse what the target can't do, instead of dropping it */
};

enum window { WINDOW_MINUTE, WINDOW_HOUR, WINDOW_DAY, WINDOW_WEEK, WINDOW_MONTH, WINDOW_TOTAL,
    WINDOW_COUNT };
struct budget_limit {
    enum window window;
    int64_t limit_nano;
    int64_t raise_nano, raised_ms; /* raised once by that much, for the window that held that moment */
};

enum { KEY_TAGS = 8, KEY_ACCOUNTS = KEY_TAGS + 2 };
struct key {
    struct str name, team, owner, tags;
    struct str secret;          /* of the file, until config_digest_keys() has hashed it */
    struct str reference; /* where the file's secret comes from: "env:CI_BOT_KEY", "literal" */
    unsigned char digest[32];   /* keyed hash of the secret */
    unsigned char old_digest[32]; /* during a rotation's grace time */
    int64_t old_until_ms;       /* 0 = no old secret */
    struct str shown;           /* "sk-pm-…9f2a" */
    const struct str *models;   /* patterns of routes and models; none = all */
    size_t model_count;
    const struct str *sources;  /* addresses or CIDR; none = all */
    size_t source_count;
    const struct str *raw;      /* raw path groups opened */
    size_t raw_count;
    const struct budget_limit *budgets;
    size_t budget_count;
    int64_t rpm, tpm, concurrent; /* 0 = no limit */
    int64_t expires_ms;         /* 0 = never */
    bool paused, revoked, from_file;
    int capture;                /* enum capture_mode, or -1 as configured */
    int capture_percent;        /* CAPTURE_SAMPLE */
    bool run_key;               /* made by `run`; dies with its child */
    struct account *accounts[KEY_ACCOUNTS]; /* its own counters, then those of team and tags: one
                                               per name for the life of the process */
    size_t account_count;
};

/* A live override: what a person switched. Looked at before the routes: session, key, everyone. */
enum scope { SCOPE_EVERYONE, SCOPE_KEY, SCOPE_SESSION };
struct override {
    struct str name;            /* asked name or route name */
    enum scope scope;
    struct str scope_name;      /* key or session */
    struct str to;              /* "provider/model", another route, or a goal "goal:latency" */
    int64_t until_ms;           /* automatic return; 0 = none */
    int64_t revision;
    struct str who;
    int64_t when_ms;
};

/* A provider that takes no new requests. */
struct drained {
    struct str name;
    struct str to;              /* "provider/model" or a route, for what has nowhere else to go; or empty */
};

enum role { ROLE_NONE, ROLE_VIEWER, ROLE_OPERATOR, ROLE_ADMIN };
struct role_entry {
    struct str who;             /* unix user, "@group" or "*" */
    enum role role;
};
enum bodies_of { BODIES_OWN, BODIES_ALL, BODIES_NONE }; /* whose prompts one may read */

enum capture_mode { CAPTURE_OFF, CAPTURE_ERRORS, CAPTURE_SAMPLE, CAPTURE_ALL };

/* Limits of a team or of a tag ("env:prod"), shared by all of its keys. */
struct group_limits {
    struct str name;
    const struct budget_limit *budgets;
    size_t budget_count;
    int64_t rpm, tpm, concurrent; /* 0 = no limit */
};

enum unbounded { UNBOUNDED_MODEL_MAX, UNBOUNDED_REFUSE, UNBOUNDED_DEBT };
enum top_up { TOP_UP_CUT, TOP_UP_DEBT };
enum unknown_price { UNKNOWN_PRICE_ALLOW, UNKNOWN_PRICE_REFUSE };

struct config {
    struct str file;            /* path, "" when none */
    struct str listen, data, socket, master_key, timezone, open_to, raw_provider;
    bool allow_plaintext;
    const struct str *allow_hosts, *allow_origins, *trusted_proxies;
    size_t allow_host_count, allow_origin_count, trusted_proxy_count;
    unsigned workers;           /* 0 = auto */
    struct {
        enum capture_mode mode;
        bool mode_given;
        int sample_percent;
        int64_t max_bytes, keep_ms, keep_bytes;
    } capture;
    struct { int64_t request_bytes, header_bytes, connections, memory, spool_bytes, held_bytes,
        peer_connections; } limits;
    struct { struct str group; const struct role_entry *roles; size_t role_count;
        enum bodies_of bodies; } access;
    int64_t reserve_output;
    enum unbounded unbounded;   /* what happens where no upper bound of the cost is known */
    enum top_up top_up; /* a running stream's reserve can't be raised: cut it, or run up debt */
    enum unknown_price unknown_price;
    int64_t credits_per_dollar; /* 0: credit is said in dollars */
    struct str notify_command, notify_url;
    int64_t alarm_budget_ppm;   /* used share at which a budget warns */
    int64_t alarm_repeats;      /* the same tool call this often in one session; 0 = off */
    const struct provider *providers;
    size_t provider_count;
    const struct route *routes;
    size_t route_count;
    const struct key *keys;     /* of the file */
    size_t key_count;
    const struct group_limits *teams, *tags;
    size_t team_count, tag_count;
    const struct price_override *price_overrides;
    size_t price_override_count;
    struct price_list *prices;  /* built-in list under the file's and the imported prices: set by
                                   the server through config_set_prices() before publishing */
};

struct key_table;               /* access/key.h */

struct snapshot {
    _Atomic long references;
    uint64_t generation;
    int64_t revision;           /* of live state, as audited */
    const struct config *config;
    const struct key_table *keys;
    const struct override *overrides; /* newest first */
    size_t override_count;
    const struct drained *drained; /* by hand, then those of the file */
    size_t drained_count;
    const struct str *taken_back; /* routes whose canary, as it is configured, was taken back */
    size_t taken_back_count;
};

/* What a snapshot is made of. `config` is a counted reference that the snapshot takes over; the
 * table of keys and what it stands on is freed with free_keys(free_keys_ctx) (may be NULL);
 * overrides and names are copied. */
struct snapshot_parts {
    const struct config *config;
    const struct key_table *keys;
    void (*free_keys)(void *ctx);
    void *free_keys_ctx;
    const struct override *overrides; /* newest first */
    size_t override_count;
    const struct drained *drained; /* by hand */
    const struct str *taken_back;
    size_t drained_count, taken_back_count;
    int64_t revision;
};
/* NULL without memory (the parts then stay the caller's). One reference; generation 0 until
 * published. */
struct snapshot *snapshot_new(const struct snapshot_parts *parts);

struct snapshot *snapshot_get(struct snapshot *s);
void snapshot_put(struct snapshot *s);

/* The process's current one. Workers compare snapshot_generation() (one atomic load) with that of
 * the snapshot they hold and call snapshot_current() only when it differs. */
uint64_t snapshot_generation(void);
struct snapshot *snapshot_current(void);       /* a counted reference; NULL before the first */
void snapshot_publish(struct snapshot *next);  /* takes the reference; NULL at the very end */

#endif
