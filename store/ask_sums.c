/* ask_sums.c: reports, facets, percentiles and budgets, all from rollup rows: a span is cut into
 * whole days, hours and minutes, and the rows of each name are added up. Histograms are added, never
 * percentiles. */
#include "store/query_internal.h"

#include <stdlib.h>

enum { NAMES_MAX = 20000, NAME_SLOTS = 1 << 16, P95 = 950000 };

struct tally {
    struct asking *k;
    enum store_dimension dimension;
    int64_t only; /* id of the one name asked for; 0: all */
    int64_t minutes_from;
    struct store_sum **slots; /* by id; open addressing */
    int64_t *ids;             /* of the slot */
    struct store_sum *sums;   /* in order of appearance, k->a->n of them */
    size_t cap;
    bool histograms;
    struct histogram *bucket; /* of the one bucket under way, one per sum; NULL without buckets */
};

static struct store_sum *tally_sum(struct tally *t, int64_t id)
{
    struct store_answer *a = t->k->a;
    size_t at = (uint64_t)id * 0x9e3779b97f4a7c15u >> 48;
    for (; t->slots[at]; at = (at + 1) % NAME_SLOTS)
        if (t->ids[at] == id)
            return t->slots[at];
    if (a->n == t->cap)
        return NULL;
    struct store_sum *s = &t->sums[a->n];
    struct db *db = t->k->r->main;
    s->name = arena_str(&a->arena, t->dimension == STORE_BY_SESSION
            ? texts_session(t->k->r->texts, db, id) : texts_name(t->k->r->texts, db, id));
    if (t->histograms) {
        s->ttft = arena_zalloc(&a->arena, sizeof *s->ttft);
        s->total = arena_zalloc(&a->arena, sizeof *s->total);
    }
    if (t->k->q->buckets)
        s->points = arena_zalloc(&a->arena, t->k->q->buckets * sizeof *s->points);
    if (!s->name.p || (t->histograms && (!s->ttft || !s->total)) ||
        (t->k->q->buckets && !s->points))
        return NULL;
    a->n++;
    t->ids[at] = id;
    return t->slots[at] = s;
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
    p->output_tokens += now->generated_tokens - before->generated_tokens;
    p->generation_us += now->generation_us - before->generation_us;
    p->cost_nano += now->cost_nano - before->cost_nano;
}

static int tally_row(struct tally *t, struct db_stmt *s, int bucket)
{
    struct db *db = t->k->r->main;
    int64_t id = db_int(db, s, 0);
    if (t->only && id != t->only)
        return 0;
    struct store_sum *sum = tally_sum(t, id);
    if (!sum)
        return -ERR_LIMIT;
    struct store_sum before = *sum;
    rollup_read(db, s, 1, sum);
    if (bucket >= 0)
        point_add(&sum->points[bucket], &before, sum);
    if (!t->histograms)
        return 0;
    int rc = histogram_merge_encoded(sum->ttft, db_text(db, s, COLUMNS));
    rc = rc ? rc : histogram_merge_encoded(sum->total, db_text(db, s, COLUMNS + 1));
    if (rc == 0 && t->bucket)
        rc = histogram_merge_encoded(&t->bucket[sum - t->sums], db_text(db, s, COLUMNS));
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

static int tally_buckets(struct tally *t, int64_t to)
{
    const struct store_query *q = t->k->q;
    int rc = 0;
    for (unsigned b = 0; rc == 0 && b < q->buckets; b++) {
        int64_t end = b + 1 < q->buckets ? q->bucket_starts[b + 1] : to;
        rc = tally_span(t, q->bucket_starts[b], end, (int)b);
        for (size_t i = 0; t->bucket && i < t->k->a->n; i++) {
            t->sums[i].points[b].ttft_p95_us = histogram_percentile(&t->bucket[i], P95);
            t->bucket[i] = (struct histogram){0};
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

/* With histograms a name costs 8 KiB, so fewer are taken. */
static int tally_init(struct tally *t, struct asking *k, bool histograms)
{
    t->k = k;
    t->dimension = k->q->dimension;
    t->histograms = histograms && t->dimension != STORE_BY_SESSION && t->dimension != STORE_BY_TAG;
    t->cap = t->histograms ? NAMES_MAX / 10 : NAMES_MAX;
    t->minutes_from = maintain_minutes_from(k->r->main);
    t->slots = calloc(NAME_SLOTS, sizeof *t->slots);
    t->ids = calloc(NAME_SLOTS, sizeof *t->ids);
    t->sums = answer_array(k->a, t->cap, sizeof *t->sums);
    if (t->histograms && k->q->buckets)
        t->bucket = calloc(t->cap, sizeof *t->bucket);
    return t->slots && t->ids && t->sums && (t->bucket || !t->histograms || !k->q->buckets)
               ? 0 : -ERR_NOMEM;
}

static void tally_fini(struct tally *t)
{
    free(t->slots);
    free(t->ids);
    free(t->bucket);
}

static int run(struct asking *k, bool histograms, int (*order)(const void *, const void *))
{
    const struct store_query *q = k->q;
    struct tally t = {0};
    if ((unsigned)q->dimension >= STORE_DIMENSIONS || q->buckets > STORE_BUCKETS_MAX)
        return -ERR_RANGE;
    int rc = tally_init(&t, k, histograms);
    int64_t to = q->to_ms ? q->to_ms : INT64_MAX;
    if (rc == 0 && q->name.n)
        t.only = q->dimension == STORE_BY_SESSION ? session_find(k->r->main, q->name)
                                                  : name_find(k->r->main, q->name);
    if (rc == 0 && t.only == -2)
        rc = -ERR_IO;
    if (rc == 0 && t.only >= 0)
        rc = q->buckets ? tally_buckets(&t, to) : tally_span(&t, q->from_ms, to, -1);
    if (rc == 0 && k->a->n)
        qsort(t.sums, k->a->n, sizeof *t.sums, order);
    k->a->sums = t.sums;
    if (q->limit)
        k->a->n = MIN(k->a->n, q->limit);
    k->a->done = true;
    tally_fini(&t);
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
