/* options.h: the table of options.def in C, and the reader that fills a struct from a map by it.
 *
 * Why: type, range, default, spelling and help of a setting stand once. Parsing, complaints about
 * unknown names, the reference and the sample file all walk this table. Private to this room.
 *
 *     options_read(r, map, path, SECTION_ROUTE, route, route_special, ctx);
 *
 * sets every default, then what the map gives; `special` is called for the rows that are read by
 * hand. Faults go to the reader's complaints and never stop the walk. */
#ifndef POINTSMAN_CONFIG_OPTIONS_H
#define POINTSMAN_CONFIG_OPTIONS_H

#include "proxy/config/owner.h"
#include "proxy/config/yaml.h"

#include <sys/types.h>

enum section {
#define X(name, path, help) SECTION_##name,
#include "proxy/config/sections.def"
#undef X
    SECTION_COUNT
};

enum option_type {
    TYPE_SPECIAL, TYPE_LATER, TYPE_LIST, /* first: read by other means */
    TYPE_TEXT, TYPE_TEXT_OF, TYPE_PATH, TYPE_CPATH, TYPE_URL, TYPE_CURL, TYPE_ADDRESS,
    TYPE_BOOL, TYPE_COUNT, TYPE_SIZE, TYPE_TIME_US, TYPE_TIME_MS, TYPE_PERCENT, TYPE_RATE,
    TYPE_DATE, TYPE_ENUM
};
enum option_flags { LIVE = 0, START = 1, NEED = 2, HIDE = 4 };

struct option {
    enum section section;
    const char *key;
    enum option_type type;
    const char *choices;     /* or the form of a SPECIAL, the item of a LIST */
    int64_t least, most;     /* both 0: any */
    const char *fallback;    /* the default as text; "" = zero */
    unsigned flags;
    size_t offset, size;     /* of the member */
    size_t count_offset;     /* LIST */
    const char *help;
};

extern const struct option options[];
extern const size_t option_count;
const char *section_path(enum section s);
const char *option_choices(const struct option *o); /* of an ENUM, separated by bars */
void option_put_range(struct buf *b, const struct option *o);
const char *section_help(enum section s);

/* What reading a file carries along. */
struct reader {
    const struct config_request *q;
    struct config_owner *owner;
    struct config *c;
    struct arena *a;
    struct config_complaints *complaints;
    const char *home;
    struct str listen;       /* the effective one: a provider must not point at it */
    mode_t file_mode;        /* of the configuration file; 0 unknown */
};

typedef void option_special_fn(struct reader *r, const struct option *o, const struct yaml *n,
    struct str path, void *ctx);
void options_read(struct reader *r, const struct yaml *map, struct str path, enum section s,
    void *base, option_special_fn *special, void *ctx);
/* Defaults alone. */
void options_defaults(struct reader *r, enum section s, void *base);

/* complaints.c */
void complain(struct reader *r, const struct yaml *at, struct str path, enum err_code code,
    const char *fmt, ...) PRINTF_LIKE(5, 6);
void complain_key(struct reader *r, const struct yaml *at, struct str path, enum err_code code,
    const char *fmt, ...) PRINTF_LIKE(5, 6); /* points at the name instead of at its value */
void warn_about(struct reader *r, const struct yaml *at, struct str path, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
void complain_at(struct config_complaints *c, unsigned line, unsigned column, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
void complaints_name_file(struct config_complaints *c, struct str file);
void complaints_sort(struct config_complaints *c);

/* "; did you mean fast?" for the nearest of the names given one after the other, or "". */
struct nearest {
    struct str asked, best;
    unsigned distance;
};
void nearest_offer(struct nearest *n, struct str name);
const char *nearest_text(const struct nearest *n, char out[96]);

struct str path_join(struct reader *r, struct str path, struct str key);
struct str path_index(struct reader *r, struct str path, size_t index); /* from 1 */

/* Values shared by several sections. */
bool read_text(struct reader *r, const struct yaml *n, struct str path, struct str *out);
void read_texts(struct reader *r, const struct yaml *n, struct str path, const struct str **out,
    size_t *count);
bool read_enum(struct reader *r, const struct yaml *n, struct str path, const char *choices,
    int *out);
void read_budget(struct reader *r, const struct yaml *n, struct str path,
    const struct budget_limit **out, size_t *count);
void read_capture(struct reader *r, const struct yaml *n, struct str path, int *mode, int *percent);
bool read_count(struct reader *r, const struct yaml *n, struct str path, int64_t least,
    int64_t most, int64_t *out);
bool check_name(
    struct reader *r, const struct yaml *n, struct str path); /* of a provider, route, key */
void check_addresses(
    struct reader *r, const struct yaml *n, struct str path, const struct str *list, size_t count);
struct str expand_home(struct reader *r, struct str path);

/* Sections; each complains by itself. */
void parse_providers(struct reader *r, const struct yaml *map);
void parse_routes(struct reader *r, const struct yaml *map);
void parse_rule(struct reader *r, const struct yaml *n, struct str path, size_t index,
    struct rule *rule);
void parse_targets(struct reader *r, const struct yaml *n, struct str path,
    const struct target **out, size_t *count);
bool parse_target(struct reader *r, const struct yaml *n, struct str path, struct target *t);
void parse_keys(struct reader *r, const struct yaml *map);
void parse_groups(struct reader *r, const struct yaml *map, const char *where, enum section s,
    const struct group_limits **out, size_t *count);
void parse_prices(struct reader *r, const struct yaml *map);
void parse_access_roles(struct reader *r, const struct yaml *map, struct str path);

/* Secrets. *value lives in the reader's arena; false after a complaint. *fault (NULL for a caller's
 * secret): a sealed key that does not open, which warns only; *value is empty then. */
enum secret_use { SECRET_PROVIDER, SECRET_CALLER };
bool read_secret(struct reader *r, const struct yaml *n, struct str path, enum secret_use use,
    struct str *reference, struct str *value, struct str *fault);

/* Is this URL our own listener? */
bool url_is_ours(struct str url, struct str listen);
/* Why a base URL can't be used, or NULL. */
const char *url_fault(struct str url);
struct str url_host(struct str url); /* without port and brackets */
bool host_is_loopback(struct str host);

#endif
