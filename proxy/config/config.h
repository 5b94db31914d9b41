/* config.h: the door of the configuration: a file or the environment in, a checked struct config out.
 *
 * Why: everything that the gateway does is said in one YAML file (or found in the environment). What
 * can be wrong is found here, all of it at once, with line, column and the nearest right name, so
 * that no later room meets a half-valid setting. options.def is the one table of what may be said.
 *
 *     struct config_complaints *faults = config_complaints_new();
 *     struct config_request q = {.path = path, .listen = listen_of_argv};
 *     struct config *c;
 *     if (config_load(&q, &c, faults) < 0)
 *         for (size_t i = 0; i < config_complaint_count(faults); i++)
 *             fprintf(stderr, "%s\n", config_complaint_text(faults, i, line, sizeof line));
 *
 * Ownership: a config is immutable and counted (config_get, config_put); all its texts and arrays
 * live as long. Any thread may hold one; loading is for one thread at a time. */
#ifndef POINTSMAN_CONFIG_H
#define POINTSMAN_CONFIG_H

#include "proxy/config/snapshot.h"
#include "store/base/buf.h"

/* Faults and warnings, in order of their place in the file. */
struct config_complaints;
struct config_complaints *config_complaints_new(void); /* NULL without memory */
void config_complaints_free(struct config_complaints *c);
size_t config_complaint_count(const struct config_complaints *c); /* both kinds */
size_t config_fault_count(const struct config_complaints *c);     /* errors alone */
bool config_complaint_is_warning(const struct config_complaints *c, size_t i);
/* "FILE:LINE:COL: routes.fast.polcy: unknown field; did you mean policy?"; returns `out`. */
const char *config_complaint_text(const struct config_complaints *c, size_t i, char *out,
    size_t size);

struct config_request {
    const char *path;        /* the file; NULL: providers from the environment */
    struct str text;         /* used instead of reading `path`, which then is only a name */
    /* JSON of the file's shape: objects edited live, each in place of the file's of that name; null
     * takes one away. config_objects() still tells what the file says. */
    struct str overlay;
    struct str listen;       /* --listen: wins over the file; empty: the file's */
    struct str data, socket; /* --data and --socket, likewise */
    char **environment;      /* NULL: the process's own, with what environment_set() added */
    const char *demo_url;    /* base URL of the demo provider, added when … */
    bool demo_always;        /* … this is set, or else when no other provider was found */
    const struct str *demo_models;
    size_t demo_model_count;
    struct str demo_prices;  /* JSON of the section `prices`, taken with the demo provider */
};

/* 0 and *out (one reference), or -ERR_X with at least one fault in `faults`. Warnings alone don't
 * fail. A file that is not there is a fault. */
int config_load(const struct config_request *q, struct config **out,
    struct config_complaints *faults) MUST_CHECK;

/* Where data folder and control socket are, for a client that looks for its gateway: asks of the file
 * only these two, so that a missing key or a fault elsewhere does not hide a running gateway. Uses
 * path, text, data and socket of the request. False when a path is too long for its buffer. */
bool config_where(const struct config_request *q, char *data, size_t data_size, char *socket,
    size_t socket_size);

/* The file to read when none is named: $POINTSMAN_CONFIG, then ~/.config/pointsman/pointsman.yaml
 * when it is there. False when there is none. */
bool config_default_path(char *out, size_t size);

struct config *config_get(const struct config *c);
void config_put(const struct config *c);

/* Before the config is published: hashes the file's keys and wipes their secrets. */
void config_digest_keys(struct config *c, void (*digest)(struct str secret,
    unsigned char out[32]));
/* Before the config is published: `prices` is freed with `release` when the config goes. */
void config_set_prices(struct config *c, struct price_list *prices,
    void (*release)(struct price_list *));

/* One thing that the file says: a provider, a route, a key, … as one canonical line. Two loads of a
 * file differ exactly in the objects whose text changed. */
struct config_object {
    struct str kind, name; /* "route" "fast"; "setting" "capture" */
    struct str text;       /* JSON, members in the order of the file */
};
size_t config_objects(const struct config *c, const struct config_object **out);
/* Lines for people: "route fast: changed: targets [\"a/b\"] → [\"a/c\"]". Returns how many. */
size_t config_diff(const struct config *before, const struct config *after, struct buf *out);

/* The present state as a file: the configuration with what people changed live folded in. Secrets
 * stand as their references, never as values. */
struct config_live {
    const struct override *overrides;
    size_t override_count;
    const struct drained *drained;
    size_t drained_count;
    const struct key *const *keys; /* made live: named in comments, since the store keeps them */
    size_t key_count;
    int64_t wall_ms;               /* overrides that ended before are left out */
    const struct str *taken_back; /* routes whose canary is left out */
    size_t taken_back_count;
};
void config_export(const struct config *c, const struct config_live *live, struct buf *out);

/* A LiteLLM proxy configuration as one of ours: providers, routes, keys, budgets, prices. Addresses
 * that stand in variables are looked up in `environment` (NULL: the process's); read() gets the text of
 * an included file (NULL: such files are named as left out). What has no counterpart is appended to
 * `left_out`, one a line with its place. -ERR_SYNTAX, -ERR_TYPE, what read() failed with. */
struct config_foreign {
    struct str text;
    char **environment;
    int (*read)(void *ctx, struct str name, struct buf *text, struct err *e);
    void *ctx;
};
int config_import_litellm(const struct config_foreign *from, struct buf *yaml, struct buf *left_out,
    struct err *e) MUST_CHECK;

/* From options.def: the reference as Markdown, the table as JSON, a commented sample file. */
void config_reference(struct buf *out);
void config_options_json(struct buf *out);
void config_sample(struct buf *out);

/* The environment. Secrets are copied when first read and then overwritten where they stood, so that
 * /proc/PID/environ shows none (unsetenv would leave the bytes). */
void environment_wipe_secrets(void);   /* after each load in a process that goes on to serve */
int environment_set(struct str name, struct str value, struct err *e) MUST_CHECK; /* handed over */
void environment_restore(void);        /* before exec of a new binary */
/* Provider variables that are set and usable: for `provider detect` and for a console that offers
 * to hand them over. */
size_t environment_provider_variables(char **environment, void (*fn)(void *ctx,
    struct str provider, struct str variable), void *ctx);

#endif
