/* rollup.c: see rollup.h. */
#include "store/rollup.h"

#include <stdlib.h>

enum { CELL_SLOTS = 4096, CELLS_MAX = 1024, CELLS_KEPT = 96 };

const int64_t rollup_span_ms[ROLLUP_SPANS] = {60000, 3600000, 86400000};

struct cell {
    enum rollup_span span;
    enum store_dimension dimension;
    int64_t start_ms, name;
    struct store_sum sum;
    struct histogram ttft, total;
};

struct rollups {
    struct cell *slots[CELL_SLOTS]; /* open addressing; the first `count` of `cells` are in use */
    struct cell *cells[CELLS_MAX + 64];
    size_t count;
};

struct rollups *rollups_new(void)
{
    return calloc(1, sizeof(struct rollups));
}

void rollups_free(struct rollups *r)
{
    for (size_t i = 0; r && i < ARRAY_LEN(r->cells); i++)
        free(r->cells[i]);
    free(r);
}

void rollups_forget(struct rollups *r)
{
    memset(r->slots, 0, sizeof r->slots);
    for (size_t i = CELLS_KEPT; i < r->count; i++) {
        free(r->cells[i]);
        r->cells[i] = NULL;
    }
    r->count = 0;
}

bool rollups_full(const struct rollups *r)
{
    return r->count >= CELLS_MAX;
}

static struct cell *cell_get(struct rollups *r, enum rollup_span span, enum store_dimension d,
    int64_t start_ms, int64_t name)
{
    uint64_t h = (uint64_t)start_ms * 0x9e3779b97f4a7c15u ^ (uint64_t)name * 0xff51afd7ed558ccdu ^
                 (uint64_t)(span * STORE_DIMENSIONS + d) * 0xc4ceb9fe1a85ec53u;
    size_t at = (h ^ h >> 29) % CELL_SLOTS;
    for (struct cell *c; (c = r->slots[at]); at = (at + 1) % CELL_SLOTS)
        if (c->start_ms == start_ms && c->name == name && c->span == span && c->dimension == d)
            return c;
    if (r->count >= ARRAY_LEN(r->cells))
        return NULL;
    if (!r->cells[r->count])
        r->cells[r->count] = malloc(sizeof(struct cell));
    struct cell *c = r->cells[r->count];
    if (!c)
        return NULL;
    memset(c, 0, sizeof *c);
    c->span = span;
    c->dimension = d;
    c->start_ms = start_ms;
    c->name = name;
    r->count++;
    return r->slots[at] = c;
}

static void add_outcome(struct store_sum *s, const struct record *x, int sign)
{
    switch (x->outcome) {
    case OUTCOME_OK: s->ok += sign; break;
    case OUTCOME_CLIENT_ERROR: s->client_errors += sign; break;
    case OUTCOME_UPSTREAM_ERROR: s->upstream_errors += sign; break;
    case OUTCOME_TIMEOUT: s->timeouts += sign; break;
    case OUTCOME_TRUNCATED: s->truncated += sign; break;
    case OUTCOME_CANCELLED: s->cancelled += sign; break;
    case OUTCOME_REFUSED: s->refused += sign; break;
    case OUTCOME_INTERRUPTED: s->interrupted += sign; break;
    default: break;
    }
    s->limited += x->status == 429 ? sign : 0;
    s->server_errors += x->status >= 500 ? sign : 0;
}

static void add_money(struct store_sum *s, const struct record *x, int sign)
{
    int64_t nano = x->cost_nano * sign;
    s->cost_nano += nano;
    switch (x->cost_source) {
    case COST_MEASURED: s->measured_nano += nano; break;
    case COST_PROVIDER:
        s->provider_nano += nano;
        s->provider_requests += sign;
        s->provider_list_nano += x->list_cost_nano * sign;
        break;
    case COST_ESTIMATED:
        s->estimated_nano += nano;
        s->estimated_requests += sign;
        break;
    case COST_SUBSCRIPTION: s->subscription_nano += x->list_cost_nano * sign; break;
    default: s->unpriced_requests += x->output_tokens > 0 ? sign : 0; break;
    }
}

static void add_record(struct cell *c, const struct record *x, int sign)
{
    struct store_sum *s = &c->sum;
    s->requests += sign;
    s->streams += x->stream ? sign : 0;
    add_outcome(s, x, sign);
    add_money(s, x, sign);
    s->unseen_requests += x->features & RECORD_UNSEEN ? sign : 0;
    s->input_tokens += x->input_tokens * sign;
    s->cached_tokens += x->cached_tokens * sign;
    s->cache_write_tokens += x->cache_write_tokens * sign;
    s->output_tokens += x->output_tokens * sign;
    s->reasoning_tokens += x->reasoning_tokens * sign;
    if (x->output_tokens > 0 && x->total_us > 0) {
        s->generation_us += record_generation_us(x) * sign;
        s->generated_tokens += x->output_tokens * sign;
    }
    if (x->ttft_us > 0)
        histogram_add(&c->ttft, x->ttft_us, sign);
    if (x->total_us > 0 && x->outcome != OUTCOME_REFUSED)
        histogram_add(&c->total, x->total_us, sign);
}

static int64_t floor_to(int64_t ms, int64_t span)
{
    int64_t rest = ms % span;
    return ms - (rest < 0 ? rest + span : rest);
}

static int64_t ceil_to(int64_t ms, int64_t span)
{
    return floor_to(ms + span - 1, span);
}

int rollups_add(struct rollups *r, enum store_dimension d, int64_t name, const struct record *x,
    int sign)
{
    for (int span = d == STORE_BY_SESSION ? ROLLUP_HOUR : ROLLUP_MINUTE; span < ROLLUP_SPANS;
         span++) {
        struct cell *c = cell_get(r, (enum rollup_span)span, d,
            floor_to(x->time_ms, rollup_span_ms[span]), name);
        if (!c)
            return -ERR_NOMEM;
        add_record(c, x, sign);
    }
    return 0;
}

static int merge_stored(struct db *db, struct cell *c)
{
    struct db_stmt *s = db_ask(db, "SELECT ttft, total FROM rollup WHERE span = ?1"
                                   " AND dimension = ?2 AND start_ms = ?3 AND name = ?4", "iiii",
        (int64_t)c->span, (int64_t)c->dimension, c->start_ms, c->name);
    int rc = db_step(db, s);
    if (rc == 1 && (histogram_merge_encoded(&c->ttft, db_text(db, s, 0)) < 0 ||
                    histogram_merge_encoded(&c->total, db_text(db, s, 1)) < 0))
        rc = -ERR_CORRUPT;
    db_end(db, s);
    return rc < 0 ? rc : 0;
}

static const char write_sql[] = "INSERT INTO rollup(span, dimension, start_ms, name, ttft, total"
#define X(column, help) ", " #column
#include "store/rollup.def"
#undef X
    ") VALUES(?, ?, ?, ?, ?, ?"
#define X(column, help) ", ?"
#include "store/rollup.def"
#undef X
    ") ON CONFLICT(span, dimension, start_ms, name) DO UPDATE SET ttft = excluded.ttft,"
    " total = excluded.total"
#define X(column, help) ", " #column " = rollup." #column " + excluded." #column
#include "store/rollup.def"
#undef X
    ;

static int cell_write(struct db *db, struct cell *c, struct buf *ttft, struct buf *total)
{
    int rc = merge_stored(db, c), at = 7;
    if (rc < 0)
        return rc;
    buf_reset(ttft);
    buf_reset(total);
    histogram_encode(&c->ttft, ttft);
    histogram_encode(&c->total, total);
    if (ttft->err || total->err)
        return -ERR_NOMEM;
    struct db_stmt *s = db_ask(db, write_sql, "iiiibb", (int64_t)c->span, (int64_t)c->dimension,
        c->start_ms, c->name, buf_str(ttft), buf_str(total));
    if (!s)
        return db->failed;
#define X(column, help) rc = rc ? rc : db->backend->bind_int(s, at++, c->sum.column);
#include "store/rollup.def"
#undef X
    if (rc == 0)
        rc = db_step(db, s);
    db_end(db, s);
    return rc;
}

int rollups_write(struct rollups *r, struct db *db)
{
    struct buf ttft, total;
    int rc = 0;
    buf_init(&ttft, HISTOGRAM_ENCODED_MAX);
    buf_init(&total, HISTOGRAM_ENCODED_MAX);
    for (size_t i = 0; rc == 0 && i < r->count; i++)
        rc = cell_write(db, r->cells[i], &ttft, &total);
    buf_fini(&ttft);
    buf_fini(&total);
    rollups_forget(r);
    return rc;
}

static void piece_push(struct rollup_piece *out, unsigned *n, enum rollup_span span, int64_t from,
    int64_t to)
{
    if (from < to)
        out[(*n)++] = (struct rollup_piece){span, from, to};
}

/* Minutes of one hour, or the whole hour when they are gone. */
static void piece_minutes(struct rollup_piece *out, unsigned *n, int64_t from, int64_t to,
    int64_t minutes_from)
{
    if (from >= to)
        return;
    if (from >= minutes_from)
        piece_push(out, n, ROLLUP_MINUTE, from, to);
    else
        piece_push(out, n, ROLLUP_HOUR, floor_to(from, rollup_span_ms[ROLLUP_HOUR]),
            ceil_to(to, rollup_span_ms[ROLLUP_HOUR]));
}

unsigned rollup_pieces(int64_t from, int64_t to, int64_t minutes_from, enum rollup_span least,
    struct rollup_piece out[5])
{
    unsigned n = 0;
    const int64_t hour = rollup_span_ms[ROLLUP_HOUR], day = rollup_span_ms[ROLLUP_DAY];
    from = floor_to(MAX(from, 0), rollup_span_ms[least]);
    to = ceil_to(MAX(MIN(to, INT64_MAX - day), from), rollup_span_ms[least]);
    int64_t h1 = ceil_to(from, hour), h2 = floor_to(to, hour);
    if (h1 > h2) { /* within one hour */
        piece_minutes(out, &n, from, to, minutes_from);
        return n;
    }
    int64_t d1 = ceil_to(h1, day), d2 = floor_to(h2, day);
    piece_minutes(out, &n, from, h1, minutes_from);
    if (d1 > d2) {
        piece_push(out, &n, ROLLUP_HOUR, h1, h2);
    } else {
        piece_push(out, &n, ROLLUP_HOUR, h1, d1);
        piece_push(out, &n, ROLLUP_DAY, d1, d2);
        piece_push(out, &n, ROLLUP_HOUR, d2, h2);
    }
    piece_minutes(out, &n, h2, to, minutes_from);
    return n;
}

_Static_assert(sizeof(ROLLUP_COLUMNS_SQL) == sizeof(
#define X(column, help) ", " #column
#include "store/rollup.def"
#undef X
), "ROLLUP_COLUMNS_SQL and rollup.def differ");

void rollup_read(struct db *db, struct db_stmt *s, int at, struct store_sum *sum)
{
#define X(column, help) sum->column += db_int(db, s, at++);
#include "store/rollup.def"
#undef X
}
