/* live_rows.c: see live_rows.h.
 *
 * Whether a head has changed is seen by a hash of all of the record but its counts (ADMIN_COUNTS of
 * api.h), one per slot, with the time at which a new one was met. A time that an asker hands back
 * therefore proves which heads it was told, and nothing is kept per console. What a console does not
 * know in spite of it (it forgot the row) it asks for by leaving live_at out once. */
#include "proxy/admin/live_rows.h"

#include "proxy/admin/api.h"
#include "proxy/admin/record_view.h"
#include "proxy/admin/state.h"
#include "store/base/clock.h"
#include "store/base/json.h"

#include <stdlib.h>

enum { SHARED_US = 50000, TEXT_MAX = 8 << 20 };

struct walk {
    struct admin *admin;
    struct live_rows *rows;
    const struct filter *filter;
    struct json_writer records, counts;
    unsigned left;
};

static uint64_t head_mark(const struct record *r)
{
    struct record head = *r;
    uint64_t h = 1; /* 0 is a table's empty place */
#define X(name) head.name = 0;
    ADMIN_COUNTS(X)
#undef X
#define TEXT(name, most) h = mix_bits(h ^ str_hash(head.name));
#define INT(name) h = mix_bits(h ^ (uint64_t)head.name);
#include "store/record.def"
    return h | 1;
}

/* NULL: no memory, and so it is told as if it were new. */
static struct live_head *head_of(struct admin *a, struct live_rows *x, const struct record *r)
{
    size_t w = (size_t)r->worker, slot = (size_t)r->slot;
    if (!x->heads) {
        x->heads = calloc(a->start.workers + 1, sizeof *x->heads);
        x->head_counts = calloc(a->start.workers + 1, sizeof *x->head_counts);
    }
    if (!x->heads || !x->head_counts || w >= a->start.workers)
        return NULL;
    if (slot >= x->head_counts[w]) {
        unsigned n = MAX(slot_count(a->start.spools[w]), (unsigned)slot + 1);
        struct live_head *more = realloc(x->heads[w], n * sizeof *more);
        if (!more)
            return NULL;
        memset(more + x->head_counts[w], 0, (n - x->head_counts[w]) * sizeof *more);
        x->heads[w] = more;
        x->head_counts[w] = n;
    }
    return &x->heads[w][slot];
}

static bool is_known(struct admin *a, struct live_rows *x, const struct record *r)
{
    struct live_head *head = head_of(a, x, r);
    uint64_t mark = head_mark(r);
    if (!head)
        return false;
    if (head->mark != mark)
        *head = (struct live_head){mark, x->written_us};
    return x->known_us && head->since_us <= x->known_us;
}

static void put_counts(struct json_writer *w, const struct record *r)
{
    json_array_begin(w, NULL);
    json_put_str(w, NULL, r->id);
#define X(name) json_put_int(w, NULL, r->name);
    ADMIN_COUNTS(X)
#undef X
    json_array_end(w);
}

static bool put_one(void *ctx, const struct record *r)
{
    struct walk *k = ctx;
    if (!filter_match(k->filter, r))
        return true;
    if (is_known(k->admin, k->rows, r))
        put_counts(&k->counts, r);
    else
        record_json(r, &k->records);
    return --k->left > 0;
}

static void reset(struct buf *b)
{
    if (!b->max)
        buf_init(b, TEXT_MAX);
    buf_reset(b);
}

struct live_rows *live_rows_write(struct admin *a, const struct filter *f, unsigned most, int64_t known_us)
{
    struct live_rows *x = &a->live_view.rows;
    int64_t now = clock_mono_us();
    bool shared = f->count == 0;
    /* What is told to one who knows less serves one who knows more, unless that is newer still; from then
     * on they know the same. */
    if (shared && x->shared && x->known_us <= known_us && known_us < x->written_us && x->most == most &&
        now - x->written_us < SHARED_US)
        return x;
    reset(&x->records);
    reset(&x->counts);
    x->shared = shared;
    x->known_us = known_us;
    x->most = most;
    x->written_us = MAX(now, x->written_us + 1); /* two looks never share a time: it proves what was told */
    struct walk k = {a, x, f, json_writer(&x->records), json_writer(&x->counts), most};
    json_array_begin(&k.records, NULL);
    json_array_begin(&k.counts, NULL);
    admin_each_live(a, put_one, &k);
    json_array_end(&k.records);
    json_array_end(&k.counts);
    return x;
}

struct str live_rows_records(const struct live_rows *x)
{
    return x->records.err ? STR("[]") : buf_str(&x->records);
}

struct str live_rows_counts(const struct live_rows *x)
{
    return x->counts.err ? STR("[]") : buf_str(&x->counts);
}

void live_rows_free(struct admin *a)
{
    struct live_rows *x = &a->live_view.rows;
    for (unsigned w = 0; x->heads && w < a->start.workers; w++)
        free(x->heads[w]);
    free(x->heads);
    free(x->head_counts);
    buf_fini(&x->records);
    buf_fini(&x->counts);
}
