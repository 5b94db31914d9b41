/* ask_sums.c: reports, facets, percentiles and budgets, all from rollup rows: a span is cut into
 * whole days, hours and minutes, and the rows of each name are added up. Histograms are added, never
 * percentiles. */
#include "store/query_internal.h"

#include <stdlib.h>

enum { NAMES_MAX = 50000, NAME_SLOTS = 1 << 17, P95 = 950000 };

/* One name while it is summed. */
struct named_sum {
    int64_t id;
    struct store_sum sum;
    struct histogram *bucket; /* first token within the bucket under way; NULL without buckets */
};

struct tally {
    struct asking *k;
    enum store_dimension dimension;
    int64_t only; /* id of the one name asked for; 0: all */
    int64_t minutes_from;
    uint32_t *slots; /* open addressing: place in `names` + 1 */
    struct named_sum *names;
    size_t n, cap;
    bool histograms;
};

static int tally_grow(struct tally *t)
{
    size_t cap = t->cap ? t->cap * 2 : 256;
    if (t->n < t->cap)
        return 0;
    if (t->n >= NAMES_MAX)
        return err_set(&t->k->a->err, ERR_LIMIT, "more than %d names: ask for a shorter span",
            NAMES_MAX);
    struct named_sum *more = realloc(t->names, cap * sizeof *more);
    if (!more)
        return -ERR_NOMEM;
    t->names = more;
    t->cap = cap;
    return 0;
}

static int name_begin(struct tally *t, int64_t id)
{
    int rc = tally_grow(t);
    if (rc < 0)
        return rc;
    struct arena *a = &t->k->a->arena;
    struct db *db = t->k->r->main;
    struct texts *texts = t->k->r->texts;
    unsigned buckets = t->k->q->buckets;
    struct named_sum *x = &t->names[t->n];
    *x = (struct named_sum){.id = id};
    x->sum.name = arena_str(a, t->dimension == STORE_BY_SESSION ? texts_session(texts, db, id)
                                                                : texts_name(texts, db, id));
    bool ok = x->sum.name.p;
    if (t->histograms) {
        ok = ok && (x->sum.ttft = arena_zalloc(a, sizeof *x->sum.ttft));
        ok = ok && (x->sum.total = arena_zalloc(a, sizeof *x->sum.total));
        ok = ok && (!buckets || (x->bucket = arena_zalloc(a, sizeof *x->bucket)));
    }
    ok = ok && (!buckets || (x->sum.points = arena_zalloc(a, buckets * sizeof *x->sum.points)));
    t->n += ok;
    return ok ? 0 : -ERR_NOMEM;
}

static int tally_name(struct tally *t, int64_t id, struct named_sum **out)
{
    size_t at = (uint64_t)id * 0x9e3779b97f4a7c15u >> 47;
    for (; t->slots[at]; at = (at + 1) % NAME_SLOTS)
        if (t->names[t->slots[at] - 1].id == id)
            break;
    if (!t->slots[at]) {
        int rc = name_begin(t, id);
        if (rc < 0)
            return rc;
        t->slots[at] = (uint32_t)t->n;
    }
    *out = &t->names[t->slots[at] - 1];
    return 0;
}

static const char plain_sql[] = "SELECT name" ROLLUP_COLUMNS_SQL
    " FROM rollup WHERE span = ?1 AND dimension = ?2 AND start_ms >= ?3 AND start_ms < ?4";
static const char full_sql[] = "SELECT name" ROLLUP_COLUMNS_SQL
    ", ttft, total FROM rollup WHERE span = ?1 AND dimension = ?2 AND start_ms >= ?3"
    " AND start_ms < ?4";
enum {
    COLUMNS = 1
#define X(column, help) +1
#include "store/rollup.def"
#undef X
};

static void point_add(struct store_point *p, const struct store_sum *before,
    const struct store_sum *now)
{
    p->requests += now->requests - before->requests;
    p->errors += now->upstream_errors + now->timeouts + now->truncated -
                 (before->upstream_errors + before->timeouts + before->truncated);
#define MORE(column) p->column += now->column - before->column;
    MORE(input_tokens)
    MORE(cached_tokens)
    MORE(output_tokens)
    MORE(generated_tokens)
    MORE(generation_us)
    MORE(cost_nano)
    MORE(measured_nano)
    MORE(provider_nano)
    MORE(provider_list_nano)
    MORE(estimated_nano)
    MORE(unpriced_requests)
    MORE(estimated_requests)
    MORE(provider_requests)
    MORE(unseen_requests)
#undef MORE
}

static int tally_row(struct tally *t, struct db_stmt *s, int bucket)
{
    struct db *db = t->k->r->main;
    int64_t id = db_int(db, s, 0);
    struct named_sum *x;
    if (t->only && id != t->only)
        return 0;
    int rc = tally_name(t, id, &x);
    if (rc < 0)
        return rc;
    struct store_sum before = x->sum;
    rollup_read(db, s, 1, &x->sum);
    if (bucket >= 0)
        point_add(&x->sum.points[bucket], &before, &x->sum);
    if (!t->histograms)
        return 0;
    rc = histogram_merge_encoded(x->sum.ttft, db_text(db, s, COLUMNS));
    rc = rc ? rc : histogram_merge_encoded(x->sum.total, db_text(db, s, COLUMNS + 1));
    if (rc == 0 && x->bucket)
        rc = histogram_merge_encoded(x->bucket, db_text(db, s, COLUMNS));
    return rc;
}

static int tally_span(struct tally *t, int64_t from, int64_t to, int bucket)
{
    struct db *db = t->k->r->main;
    struct rollup_piece pieces[5];
    unsigned n = rollup_pieces(from, to, t->minutes_from,
        t->dimension == STORE_BY_SESSION ? ROLLUP_HOUR : ROLLUP_MINUTE, pieces);
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i < n; i++) {
        struct db_stmt *s = db_ask(db, t->histograms ? full_sql : plain_sql, "iiii",
            (int64_t)pieces[i].span, (int64_t)t->dimension, pieces[i].from, pieces[i].to);
        while ((rc = db_step(db, s)) == 1)
            if ((rc = tally_row(t, s, bucket)) < 0)
                break;
        db_end(db, s);
        if (rc == 0 && asking_over(t->k))
            rc = -ERR_CANCELLED;
    }
    return rc;
}

/* Where a bucket begins, as finely as it is kept there: what lies between two buckets falls into one
 * of them, never into both. */
static int64_t snap(const struct tally *t, int64_t at)
{
    bool minutes = at >= t->minutes_from && t->dimension != STORE_BY_SESSION;
    int64_t span = rollup_span_ms[minutes ? ROLLUP_MINUTE : ROLLUP_HOUR];
    return MAX(at, (int64_t)0) / span * span;
}

static int tally_buckets(struct tally *t, int64_t to)
{
    const struct store_query *q = t->k->q;
    int rc = 0;
    for (unsigned b = 0; rc == 0 && b < q->buckets; b++) {
        int64_t end = b + 1 < q->buckets ? snap(t, q->bucket_starts[b + 1]) : to;
        rc = tally_span(t, snap(t, q->bucket_starts[b]), end, (int)b);
        for (size_t i = 0; i < t->n && t->names[i].bucket; i++) {
            struct named_sum *x = &t->names[i];
            x->sum.points[b].ttft_p95_us = histogram_percentile(x->bucket, P95);
            *x->bucket = (struct histogram){0};
        }
    }
    return rc;
}

static int by_cost(const void *a, const void *b)
{
    const struct store_sum *x = a, *y = b;
    if (x->cost_nano != y->cost_nano)
        return x->cost_nano > y->cost_nano ? -1 : 1;
    if (x->requests != y->requests)
        return x->requests > y->requests ? -1 : 1;
    return str_cmp(x->name, y->name);
}

static int by_requests(const void *a, const void *b)
{
    const struct store_sum *x = a, *y = b;
    if (x->requests != y->requests)
        return x->requests > y->requests ? -1 : 1;
    return str_cmp(x->name, y->name);
}

static int tally_init(struct tally *t, struct asking *k, bool histograms)
{
    t->k = k;
    t->dimension = k->q->dimension;
    t->histograms = histograms && t->dimension != STORE_BY_SESSION && t->dimension != STORE_BY_TAG;
    int64_t hour = rollup_span_ms[ROLLUP_HOUR]; /* an hour is read by one of the two, whole */
    t->minutes_from = (maintain_minutes_from(k->r->main) + hour - 1) / hour * hour;
    t->slots = calloc(NAME_SLOTS, sizeof *t->slots);
    if (!t->slots)
        return -ERR_NOMEM;
    if (k->q->name.n)
        t->only = t->dimension == STORE_BY_SESSION ? session_find(k->r->main, k->q->name)
                                                   : name_find(k->r->main, k->q->name);
    return t->only == -2 ? -ERR_IO : 0;
}

/* Into the answer, in order. */
static int tally_answer(struct tally *t, int (*order)(const void *, const void *))
{
    struct store_answer *a = t->k->a;
    a->sums = answer_array(a, t->n, sizeof *a->sums);
    if (!a->sums)
        return -ERR_NOMEM;
    for (size_t i = 0; i < t->n; i++)
        a->sums[i] = t->names[i].sum;
    if (t->n)
        qsort(a->sums, t->n, sizeof *a->sums, order);
    a->n = t->k->q->limit ? MIN(t->n, t->k->q->limit) : t->n;
    a->done = true;
    return 0;
}

static int run(struct asking *k, bool histograms, int (*order)(const void *, const void *))
{
    const struct store_query *q = k->q;
    struct tally t = {0};
    if ((unsigned)q->dimension >= STORE_DIMENSIONS || q->buckets > STORE_BUCKETS_MAX)
        return -ERR_RANGE;
    int rc = tally_init(&t, k, histograms);
    int64_t to = q->to_ms ? q->to_ms : INT64_MAX;
    if (rc == 0 && t.only >= 0)
        rc = q->buckets ? tally_buckets(&t, to) : tally_span(&t, q->from_ms, to, -1);
    rc = rc ? rc : tally_answer(&t, order);
    free(t.slots);
    free(t.names);
    return rc;
}

int ask_sums(struct asking *k)
{
    return run(k, true, by_cost);
}

int ask_facets(struct asking *k)
{
    return run(k, false, by_requests);
}

/* ---- budgets at start ----------------------------------------------------------------------- */

/* Minutes that are no longer kept, read from the rows themselves: a budget is exact. */
static const char *const rest_sql[STORE_DIMENSIONS] = {
    [STORE_BY_ALL] = "SELECT 0, sum(cost_nano) FROM exchange WHERE time_ms >= ?1 AND time_ms < ?2",
    [STORE_BY_KEY] = "SELECT key, sum(cost_nano) FROM exchange WHERE time_ms >= ?1 AND"
                     " time_ms < ?2 AND key <> 0 GROUP BY key",
    [STORE_BY_TEAM] = "SELECT team, sum(cost_nano) FROM exchange WHERE time_ms >= ?1 AND"
                      " time_ms < ?2 AND team <> 0 GROUP BY team",
    [STORE_BY_PROVIDER] = "SELECT provider, sum(cost_nano) FROM exchange WHERE time_ms >= ?1 AND"
                          " time_ms < ?2 AND provider <> 0 GROUP BY provider",
    [STORE_BY_ROUTE] = "SELECT route, sum(cost_nano) FROM exchange WHERE time_ms >= ?1 AND"
                       " time_ms < ?2 AND route <> 0 GROUP BY route",
};

struct spent {
    struct store *store;
    struct texts *texts;
    enum store_dimension by;
    int64_t *ids, *nano; /* n names */
    size_t n, cap;
};

static int spent_add(struct spent *x, int64_t id, int64_t nano)
{
    for (size_t i = 0; i < x->n; i++)
        if (x->ids[i] == id) {
            x->nano[i] += nano;
            return 0;
        }
    if (x->n == x->cap) {
        size_t cap = x->cap ? x->cap * 2 : 64;
        int64_t *ids = realloc(x->ids, cap * sizeof *ids);
        x->ids = ids ? ids : x->ids;
        int64_t *sums = realloc(x->nano, cap * sizeof *sums);
        x->nano = sums ? sums : x->nano;
        if (!ids || !sums)
            return -ERR_NOMEM;
        x->cap = cap;
    }
    x->ids[x->n] = id;
    x->nano[x->n++] = nano;
    return 0;
}

static int spent_rows(struct spent *x, struct db_stmt *s)
{
    struct db *db = x->store->main;
    int rc;
    while ((rc = db_step(db, s)) == 1)
        if ((rc = spent_add(x, db_int(db, s, 0), db_int(db, s, 1))) < 0)
            break;
    db_end(db, s);
    return rc;
}

static int spent_piece(struct spent *x, const struct rollup_piece *p, int64_t from, int64_t to)
{
    struct db *db = x->store->main;
    if ((p->from < from || p->to > to) && rest_sql[x->by])
        return spent_rows(x, db_ask(db, rest_sql[x->by], "ii", MAX(p->from, from),
            MIN(p->to, to)));
    return spent_rows(x, db_ask(db, "SELECT name, sum(cost_nano) FROM rollup WHERE span = ?1 AND"
        " dimension = ?2 AND start_ms >= ?3 AND start_ms < ?4 GROUP BY name", "iiii",
        (int64_t)p->span, (int64_t)x->by, p->from, p->to));
}

int store_each_spent(struct store *s, enum store_dimension by, int64_t from_ms, int64_t to_ms,
    void (*fn)(void *ctx, struct str name, int64_t nano), void *ctx)
{
    struct spent x = {.store = s, .by = by, .texts = texts_new()};
    struct rollup_piece pieces[5];
    const int64_t minute = rollup_span_ms[ROLLUP_MINUTE];
    int rc = x.texts && (unsigned)by < STORE_DIMENSIONS && s->main ? 0 : -ERR_STATE;
    from_ms -= from_ms % minute;
    to_ms = to_ms > INT64_MAX - minute ? INT64_MAX - minute : to_ms + (minute - to_ms % minute) % minute;
    unsigned n = rc ? 0 : rollup_pieces(from_ms, to_ms, maintain_minutes_from(s->main),
        by == STORE_BY_SESSION ? ROLLUP_HOUR : ROLLUP_MINUTE, pieces);
    for (unsigned i = 0; rc == 0 && i < n; i++)
        rc = spent_piece(&x, &pieces[i], from_ms, to_ms);
    for (size_t i = 0; rc == 0 && i < x.n; i++)
        fn(ctx, by == STORE_BY_SESSION ? texts_session(x.texts, s->main, x.ids[i])
                                       : texts_name(x.texts, s->main, x.ids[i]), x.nano[i]);
    texts_free(x.texts);
    free(x.ids);
    free(x.nano);
    return rc;
}
