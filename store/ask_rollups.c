/* ask_rollups.c: the part of `db check` that recomputes the rollups from the rows: every name of every
 * dimension, in every minute, hour and day, to the nano, and the share of each source of cost.
 *
 * One walk over the rows, hour by hour. Rows are added and rollups taken away in cells of a hash
 * table; what is left over is a disagreement. Memory: the names of one hour's minutes and of one day. */
#include "store/base/array.h"
#include "store/base/clock.h"
#include "store/query_internal.h"
#include "store/rollup.h"

#include <stdlib.h>

enum { SOURCES = STORE_DIMENSIONS, KINDS, NAMED_MOST = 5, TAGS_MOST = 8, CELLS_MOST = 1 << 24 };

static const char *const kinds[KINDS] = {[STORE_BY_ALL] = "requests", [STORE_BY_KEY] = "keys",
    [STORE_BY_TEAM] = "teams", [STORE_BY_MODEL] = "models", [STORE_BY_PROVIDER] = "providers",
    [STORE_BY_ROUTE] = "routes", [STORE_BY_TAG] = "tags", [STORE_BY_SESSION] = "sessions",
    [SOURCES] = "sources of cost"};
static const char *const spans[ROLLUP_SPANS] = {"minutes", "hours", "days"};
static const char *const sources[] = {"", "measured", "provider", "estimated"};

struct cell {
    uint64_t key; /* 0: free */
    int64_t n, nano;
};

/* Open addressing, at most half full. */
struct cells {
    struct cell *at;
    size_t size, count;
};

struct tag_list {
    int64_t id[TAGS_MOST];
};

struct comparison {
    struct asking *k;
    int64_t minutes_ms;
    struct cells fine, day;     /* minutes and hours of one hour; one day */
    struct cells models, tags;  /* ids of a row → the name of its rollup; → place in tag_lists */
    struct tag_list *tag_lists;
    size_t tag_count, tag_room;
    unsigned wrong[KINDS][ROLLUP_SPANS];
};

static struct cell *cell_of(struct cell *at, size_t size, uint64_t key)
{
    uint64_t h = key * 0x9e3779b97f4a7c15u;
    size_t i = (h ^ h >> 29) & (size - 1);
    while (at[i].key && at[i].key != key)
        i = (i + 1) & (size - 1);
    return &at[i];
}

static bool cells_grow(struct cells *c)
{
    size_t size = c->size ? c->size * 2 : 4096;
    if (c->count * 2 < c->size)
        return true;
    struct cell *more = size > CELLS_MOST ? NULL : calloc(size, sizeof *more);
    if (!more)
        return false;
    for (size_t i = 0; i < c->size; i++)
        if (c->at[i].key)
            *cell_of(more, size, c->at[i].key) = c->at[i];
    free(c->at);
    c->at = more;
    c->size = size;
    return true;
}

/* *made: it was not there. NULL: no memory for so many. */
static struct cell *cells_get(struct cells *c, uint64_t key, bool *made)
{
    if (!cells_grow(c))
        return NULL;
    struct cell *x = cell_of(c->at, c->size, key);
    *made = x->key == 0;
    c->count += *made;
    x->key = key;
    return x;
}

/* Names' numbers count up from 1 and stay far below 2^48. The lowest bit: no key is 0. */
static uint64_t key_of(int kind, int span, int64_t minute, int64_t name)
{
    return (uint64_t)name << 16 | (uint64_t)kind << 10 | (uint64_t)span << 8 | (uint64_t)minute << 1 | 1;
}

static int add(struct comparison *c, int kind, int span, int64_t time_ms, int64_t name, int64_t n,
    int64_t nano)
{
    bool made;
    int64_t minute = span == ROLLUP_MINUTE ? time_ms % rollup_span_ms[ROLLUP_HOUR] / 60000 : 0;
    struct cells *to = span == ROLLUP_DAY ? &c->day : &c->fine;
    struct cell *x = cells_get(to, key_of(kind, span, minute, name), &made);
    if (!x)
        return -ERR_NOMEM;
    x->n += n;
    x->nano += nano;
    return 0;
}

/* The number of the name "provider/model"; 0 where no rollup ever had it. */
static int64_t model_name(struct comparison *c, int64_t provider, int64_t model)
{
    bool made;
    struct cell *x = cells_get(&c->models, ((uint64_t)provider << 40 ^ (uint64_t)model << 1) | 1, &made);
    if (!x || !made)
        return x ? x->n : -ERR_NOMEM;
    struct db *db = c->k->r->main;
    struct db_stmt *s = db_ask(db, "SELECT id FROM name WHERE text = (SELECT text FROM name WHERE id = ?1)"
        " || '/' || coalesce((SELECT text FROM name WHERE id = ?2), '')", "ii", provider, model);
    int rc = db_step(db, s);
    x->n = rc == 1 ? db_int(db, s, 0) : 0;
    db_end(db, s);
    return rc < 0 ? rc : x->n;
}

static int64_t name_number(struct db *db, struct str text)
{
    struct db_stmt *s = db_ask(db, "SELECT id FROM name WHERE text = ?1", "t", text);
    int rc = db_step(db, s);
    int64_t id = rc == 1 ? db_int(db, s, 0) : 0;
    db_end(db, s);
    return rc < 0 ? rc : id;
}

static int tags_read(struct comparison *c, int64_t tags, struct tag_list *list)
{
    struct db *db = c->k->r->main;
    struct db_stmt *s = db_ask(db, "SELECT text FROM name WHERE id = ?1", "i", tags);
    int rc = db_step(db, s);
    struct str rest = rc == 1 ? db_text(db, s, 0) : STR_NULL, tag;
    size_t n = 0;
    for (int i = 0; rc == 1 && i < TAGS_MOST && str_cut(&rest, ',', &tag); i++) {
        tag = str_trim(tag);
        list->id[n] = tag.n ? name_number(db, tag) : 0;
        rc = list->id[n] < 0 ? (int)list->id[n] : 1;
        n += tag.n > 0;
    }
    db_end(db, s);
    return MIN(rc, 0);
}

static struct tag_list *tags_of(struct comparison *c, int64_t tags)
{
    bool made;
    struct cell *x = cells_get(&c->tags, (uint64_t)tags << 1 | 1, &made);
    if (x && !made)
        return &c->tag_lists[x->n];
    if (!x || !array_room(&c->tag_lists, &c->tag_room, c->tag_count, sizeof *c->tag_lists))
        return NULL;
    x->n = (int64_t)c->tag_count;
    struct tag_list *list = &c->tag_lists[c->tag_count++];
    *list = (struct tag_list){{0}};
    return tags_read(c, tags, list) < 0 ? NULL : list;
}

enum { AT_TIME, AT_KEY, AT_TEAM, AT_PROVIDER, AT_ROUTE, AT_SESSION, AT_MODEL, AT_TAGS, AT_SOURCE,
    AT_NANO, AT_FIELDS };
static const char rows_sql[] = "SELECT time_ms, key, team, provider, route, session, model, tags,"
    " cost_source, cost_nano FROM exchange WHERE time_ms >= ?1 AND time_ms < ?2";

static int add_span(struct comparison *c, const int64_t v[AT_FIELDS], int span, int64_t model,
    const struct tag_list *tags)
{
    static const struct {
        int kind, at;
    } plain[] = {{STORE_BY_KEY, AT_KEY}, {STORE_BY_TEAM, AT_TEAM}, {STORE_BY_PROVIDER, AT_PROVIDER},
        {STORE_BY_ROUTE, AT_ROUTE}, {STORE_BY_SESSION, AT_SESSION}};
    int64_t at = v[AT_TIME], nano = v[AT_NANO];
    int rc = add(c, STORE_BY_ALL, span, at, 0, 1, nano);
    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(plain); i++)
        if (v[plain[i].at] && (plain[i].kind != STORE_BY_SESSION || span != ROLLUP_MINUTE))
            rc = add(c, plain[i].kind, span, at, v[plain[i].at], 1, nano);
    if (rc == 0 && v[AT_PROVIDER])
        rc = add(c, STORE_BY_MODEL, span, at, model, 1, nano);
    for (int i = 0; rc == 0 && tags && i < TAGS_MOST && tags->id[i]; i++)
        rc = add(c, STORE_BY_TAG, span, at, tags->id[i], 1, nano);
    if (rc == 0 && v[AT_SOURCE] >= COST_MEASURED && v[AT_SOURCE] <= COST_ESTIMATED)
        rc = add(c, SOURCES, span, at, v[AT_SOURCE], 0, nano);
    return rc;
}

static int add_row(struct comparison *c, const int64_t v[AT_FIELDS])
{
    int64_t model = v[AT_PROVIDER] ? model_name(c, v[AT_PROVIDER], v[AT_MODEL]) : 0;
    const struct tag_list *tags = v[AT_TAGS] ? tags_of(c, v[AT_TAGS]) : NULL;
    if (model < 0 || (v[AT_TAGS] && !tags))
        return -ERR_NOMEM;
    int rc = 0, span = v[AT_TIME] >= c->minutes_ms ? ROLLUP_MINUTE : ROLLUP_HOUR;
    for (; rc == 0 && span < ROLLUP_SPANS; span++)
        rc = add_span(c, v, span, model, tags);
    return rc;
}

static int add_rows(struct comparison *c, int64_t from, int64_t to)
{
    struct db *db = c->k->r->main;
    struct db_stmt *s = db_ask(db, rows_sql, "ii", from, to);
    int64_t v[AT_FIELDS];
    int rc;
    while ((rc = db_step(db, s)) == 1) {
        for (int i = 0; i < AT_FIELDS; i++)
            v[i] = db_int(db, s, i);
        if ((rc = add_row(c, v)) < 0)
            break;
    }
    db_end(db, s);
    return rc;
}

static int take_rollups(struct comparison *c, int span, int64_t from, int64_t to)
{
    struct db *db = c->k->r->main;
    struct db_stmt *s = db_ask(db, "SELECT dimension, start_ms, name, requests, cost_nano, measured_nano,"
        " provider_nano, estimated_nano FROM rollup WHERE span = ?1 AND dimension IN (0, 1, 2, 3, 4, 5, 6, 7)"
        " AND start_ms >= ?2 AND start_ms < ?3", "iii", (int64_t)span, from, to);
    int rc;
    while ((rc = db_step(db, s)) == 1) {
        int kind = (int)db_int(db, s, 0);
        int64_t at = db_int(db, s, 1);
        rc = add(c, kind, span, at, db_int(db, s, 2), -db_int(db, s, 3), -db_int(db, s, 4));
        for (int i = COST_MEASURED; rc == 0 && kind == STORE_BY_ALL && i <= COST_ESTIMATED; i++)
            rc = add(c, SOURCES, span, at, i, 0, -db_int(db, s, 4 + i));
        if (rc < 0)
            break;
    }
    db_end(db, s);
    return rc;
}

static int say_cell(struct comparison *c, const struct cell *x, int64_t start)
{
    int kind = (int)(x->key >> 10 & 63), span = (int)(x->key >> 8 & 3);
    int64_t name = (int64_t)(x->key >> 16), minute = (int64_t)(x->key >> 1 & 127);
    struct reader *r = c->k->r;
    char when[32];
    if (++c->wrong[kind][span] > NAMED_MOST)
        return 0;
    struct str text = kind == STORE_BY_ALL ? STR("all") : kind == SOURCES ? str_c(sources[name])
        : kind == STORE_BY_SESSION ? texts_session(r->texts, r->main, name)
                                   : texts_name(r->texts, r->main, name);
    clock_rfc3339(start + minute * rollup_span_ms[ROLLUP_MINUTE], when);
    return check_line(c->k, true, "%s and %s: " STR_FMT " at %s: differs by %lld requests, %lld nano-USD",
        kinds[kind], spans[span], STR_ARG(text.n ? str_first(text, 200) : STR("(no name)")), when,
        (long long)x->n, (long long)x->nano);
}

/* Names what is left over, and empties the table. */
static int settle_cells(struct comparison *c, struct cells *cells, int64_t start)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < cells->size; i++)
        if (cells->at[i].n || cells->at[i].nano)
            rc = say_cell(c, &cells->at[i], start);
    if (cells->size)
        memset(cells->at, 0, cells->size * sizeof *cells->at);
    cells->count = 0;
    return rc;
}

static int compare_hour(struct comparison *c, int64_t start)
{
    int64_t end = start + rollup_span_ms[ROLLUP_HOUR];
    int rc = add_rows(c, start, end);
    rc = rc ? rc : take_rollups(c, ROLLUP_HOUR, start, end);
    if (rc == 0 && start >= c->minutes_ms)
        rc = take_rollups(c, ROLLUP_MINUTE, start, end);
    return rc ? rc : settle_cells(c, &c->fine, start);
}

static int compare_day(struct comparison *c, int64_t start)
{
    int rc = take_rollups(c, ROLLUP_DAY, start, start + rollup_span_ms[ROLLUP_DAY]);
    return rc ? rc : settle_cells(c, &c->day, start);
}

/* The next time at which there is anything, on either side; INT64_MAX: nothing more. */
static const char next_sql[] =
    "SELECT min(t) FROM (SELECT min(time_ms) AS t FROM exchange WHERE time_ms >= ?1 UNION ALL"
    " SELECT (SELECT min(start_ms) FROM rollup WHERE span = s AND dimension = d AND start_ms >="
    " CASE s WHEN 0 THEN ?2 WHEN 1 THEN ?1 ELSE ?3 END) FROM"
    " (SELECT 0 AS s UNION ALL SELECT 1 UNION ALL SELECT 2), (SELECT 0 AS d UNION ALL SELECT 1 UNION ALL"
    " SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7))";

static int64_t next_hour(struct comparison *c, int64_t from, int64_t day, int *rc)
{
    struct db *db = c->k->r->main;
    struct db_stmt *s = db_ask(db, next_sql, "iii", from, MAX(from, c->minutes_ms), day);
    *rc = db_step(db, s);
    int64_t at = *rc == 1 && db_text(db, s, 0).n ? db_int(db, s, 0) : INT64_MAX;
    db_end(db, s);
    *rc = MIN(*rc, 0);
    return at < 0 ? 0 : at - at % rollup_span_ms[ROLLUP_HOUR];
}

/* All hours in which there is anything; a day is settled after its last one. */
static int compare_all(struct comparison *c, int64_t from_ms)
{
    const int64_t hour = rollup_span_ms[ROLLUP_HOUR], day_ms = rollup_span_ms[ROLLUP_DAY];
    int64_t day = -1;
    int rc = 0, next_rc = 0;
    for (int64_t at = next_hour(c, from_ms, from_ms, &rc); rc == 0 && at < INT64_MAX - 2 * day_ms;) {
        if (day >= 0 && at - at % day_ms != day)
            rc = compare_day(c, day);
        day = at - at % day_ms;
        rc = rc ? rc : compare_hour(c, at);
        at = next_hour(c, at + hour, day + day_ms, &next_rc);
        rc = rc ? rc : next_rc;
    }
    return rc || day < 0 ? rc : compare_day(c, day);
}

/* One line for each kind that agrees everywhere; how many more where not all were named. */
static int say_kinds(struct comparison *c)
{
    int rc = 0;
    for (int kind = 0; rc == 0 && kind < KINDS; kind++) {
        unsigned wrong = 0, more = 0;
        for (int span = 0; span < ROLLUP_SPANS; span++) {
            unsigned n = c->wrong[kind][span];
            wrong += n;
            more += n > NAMED_MOST ? n - NAMED_MOST : 0;
        }
        if (wrong == 0)
            rc = check_line(c->k, false, "%s and %s: agree", kinds[kind],
                kind == STORE_BY_SESSION ? "hours, days" : "minutes, hours, days");
        else if (more)
            rc = check_line(c->k, true, "%s: %u more disagreements", kinds[kind], more);
    }
    return rc;
}

int check_rollups(struct asking *k, int64_t from_ms, int64_t minutes_ms)
{
    struct comparison c = {.k = k, .minutes_ms = minutes_ms};
    int rc = compare_all(&c, from_ms);
    rc = rc ? rc : say_kinds(&c);
    free(c.fine.at);
    free(c.day.at);
    free(c.models.at);
    free(c.tags.at);
    free(c.tag_lists);
    return rc;
}
