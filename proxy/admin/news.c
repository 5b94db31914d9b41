/* news.c: see news.h. */
#include "proxy/admin/news.h"

#include "store/base/clock.h"

#include <stdlib.h>

enum { BATCH_MAX = 1024 };

struct news {
    struct spool *const *spools;
    uint64_t *spool_seen;
    size_t spool_count;
    uint64_t event_seen;
    struct news_entry entries[NEWS_ENTRIES]; /* at sequence % NEWS_ENTRIES */
    uint64_t born;                           /* the first sequence ever given */
    uint64_t first, next;                    /* held: [first, next) */
    uint64_t fact_dropped;                   /* the newest event or marker that is no longer held */
    size_t bytes;
};

struct news *news_new(struct spool *const *spools, size_t spool_count)
{
    struct news *n = calloc(1, sizeof *n);
    if (!n)
        return NULL;
    n->spools = spools;
    n->spool_count = spool_count;
    n->born = n->first = n->next = (uint64_t)clock_wall_ms() * EVENT_SEQUENCES_A_MS;
    n->spool_seen = calloc(spool_count + 1, sizeof *n->spool_seen);
    if (n->spool_seen)
        return n;
    free(n);
    return NULL;
}

static void drop_first(struct news *n)
{
    struct news_entry *e = &n->entries[n->first++ % NEWS_ENTRIES];
    if (e->kind != NEWS_RECORD)
        n->fact_dropped = e->sequence;
    n->bytes -= e->bytes.n + e->json.n;
    free((void *)(uintptr_t)e->bytes.p);
    free((void *)(uintptr_t)e->json.p);
    e->bytes = e->json = STR_NULL;
}

void news_free(struct news *n)
{
    if (!n)
        return;
    while (n->first < n->next)
        drop_first(n);
    free(n->spool_seen);
    free(n);
}

/* Takes `bytes` over. */
static void push(struct news *n, enum news_kind kind, struct str bytes)
{
    while (n->first < n->next &&
           (n->next - n->first >= NEWS_ENTRIES || n->bytes + bytes.n > NEWS_BYTES))
        drop_first(n);
    n->entries[n->next % NEWS_ENTRIES] = (struct news_entry){.sequence = n->next, .kind = kind, .bytes = bytes};
    n->bytes += bytes.n;
    n->next++;
}

static struct str copied(const void *p, size_t bytes)
{
    char *copy = malloc(bytes + 1);
    if (!copy)
        return STR_NULL;
    memcpy(copy, p, bytes);
    return str_n(copy, bytes);
}

/* Sources tell newest first; they are put in oldest first. */
struct batch {
    struct str list[BATCH_MAX];
    size_t n;
    uint64_t want, after;
};

static void batch_add(struct batch *b, const void *p, size_t n)
{
    struct str copy = copied(p, n);
    if (copy.p)
        b->list[b->n++] = copy;
}

static void batch_push(struct news *n, struct batch *b, enum news_kind kind)
{
    while (b->n > 0)
        push(n, kind, b->list[--b->n]);
}

static bool take_record(void *ctx, struct str packed)
{
    struct batch *b = ctx;
    if (b->n == b->want)
        return false;
    batch_add(b, packed.p, packed.n);
    return b->n < b->want;
}

static bool take_event(void *ctx, const struct event *e)
{
    struct batch *b = ctx;
    if (e->sequence <= b->after || b->n == BATCH_MAX)
        return false;
    batch_add(b, e, sizeof *e);
    return true;
}

bool news_look(struct news *n)
{
    uint64_t before = n->next;
    struct batch *b = malloc(sizeof *b);
    if (!b)
        return false;
    for (size_t i = 0; i < n->spool_count; i++) {
        uint64_t now = spool_sequence(n->spools[i]);
        if (now == n->spool_seen[i])
            continue;
        *b = (struct batch){.want = MIN(now - n->spool_seen[i], (uint64_t)BATCH_MAX)};
        n->spool_seen[i] = now;
        spool_recent(n->spools[i], take_record, b);
        batch_push(n, b, NEWS_RECORD);
    }
    uint64_t events = event_sequence();
    if (events != n->event_seen) {
        *b = (struct batch){.after = n->event_seen};
        n->event_seen = events;
        event_recent(take_event, b);
        batch_push(n, b, NEWS_EVENT);
    }
    free(b);
    return n->next != before;
}

void news_mark(struct news *n, const struct news_marker *m)
{
    struct str copy = copied(m, sizeof *m);
    if (copy.p)
        push(n, NEWS_MARKER, copy);
}

uint64_t news_sequence(const struct news *n)
{
    return n->next - 1;
}

bool news_covers(const struct news *n, uint64_t since)
{
    return since + 1 >= n->first && since < n->next;
}

bool news_covers_facts(const struct news *n, uint64_t since)
{
    return since + 1 >= n->born && since >= n->fact_dropped && since < n->next;
}

void news_each(const struct news *n, uint64_t since,
    bool (*fn)(void *ctx, const struct news_entry *e), void *ctx)
{
    for (uint64_t s = n->next; s > n->first && s - 1 > since; s--)
        if (!fn(ctx, &n->entries[(s - 1) % NEWS_ENTRIES]))
            return;
}

void news_keep_json(struct news *n, const struct news_entry *e, struct str json)
{
    struct news_entry *mine = &n->entries[e->sequence % NEWS_ENTRIES];
    mine->json = copied(json.p, json.n); /* without memory it is written anew the next time */
    n->bytes += mine->json.n; /* the next entry pushes out what is too much */
}
