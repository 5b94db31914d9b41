/* spool.c: the append-only segments of one worker.
 *
 *     worker:  current ──▶ (full: sealed, the spare becomes current, a new spare is reserved)
 *     writer:  done ─▶ … ─▶ at ─▶ … ─▶ current          what lies before `done` is emptied or deleted
 *
 * A segment that is drained serves again: the writer empties it and leaves it for the worker, which
 * gives it the next number. Making one costs a fault a page and room on the disk, on a worker's way.
 *
 * Invariants: one thread appends, one drains. The spare is reserved on the disk before it is needed:
 * while there is none, spool_has_room() is false and no new work is taken, so that what runs has a
 * whole segment for its end records. An entry is never changed once its length is stored.
 * Not done here: syncing. The pages live in the kernel and survive the death of the process. */
#include "store/base/clock.h"
#include "store/spool_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SPARE_RETRY_US = 100000 };

static const char magic[8] = "pm-spool";

static uint64_t checksum_word(uint64_t h, uint64_t word)
{
    h = (h ^ word) * 0xff51afd7ed558ccdu;
    return h ^ h >> 32;
}

/* `segment`: its number, 0 in version 1. What an earlier use of the file left behind never agrees. */
static uint64_t checksum(uint64_t segment, uint32_t kind, struct str bytes)
{
    uint64_t h = 0x9e3779b97f4a7c15u ^ kind ^ (uint64_t)bytes.n << 32, word;
    const char *p = bytes.p, *whole = p + (bytes.n & ~(size_t)7);
    h ^= segment * 0xc4ceb9fe1a85ec53u;
    for (; p < whole; p += 8) {
        memcpy(&word, p, sizeof word);
        h = checksum_word(h, word);
    }
    if (!(bytes.n & 7))
        return h;
    word = 0;
    memcpy(&word, p, bytes.n & 7);
    return checksum_word(h, word);
}

static uint32_t padded(size_t n)
{
    return (uint32_t)(sizeof(struct spool_entry_head) + ((n + 7) & ~(size_t)7));
}

int spool_entry_read(
    const char *map, size_t size, uint32_t *offset, uint32_t *kind, struct str *packed)
{
    if (*offset + sizeof(struct spool_entry_head) > size)
        return 2;
    const struct spool_entry_head *h = (const void *)(map + *offset);
    uint32_t n = atomic_load_explicit(&h->length, memory_order_acquire);
    if (n == 0)
        return 0;
    if (n == SPOOL_LENGTH_SEALED)
        return 2;
    if (n > SPOOL_RECORD_MAX || *offset + padded(n) > size)
        return -ERR_CORRUPT;
    *packed = str_n((const char *)(h + 1), n);
    *kind = h->kind;
    const struct spool_segment_head *s = (const void *)map;
    if (checksum(s->version < 2 ? 0 : s->number, h->kind, *packed) != h->checksum)
        return -ERR_CORRUPT;
    *offset += padded(n);
    return 1;
}

int spool_map_new(int dir_fd, const char *name, size_t bytes, void **map, struct err *e)
{
    int fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_set(e, errno == EEXIST ? ERR_CONFLICT : errno == ENOSPC ? ERR_FULL : ERR_IO,
            "spool/%s: can't be made: %s", name, strerror(errno));
    int failed = posix_fallocate(fd, 0, (off_t)bytes);
    *map = MAP_FAILED;
    if (!failed) {
        *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        failed = *map == MAP_FAILED ? errno : 0;
    }
    close(fd);
    /* Pages are touched one after another, once: reading ahead would fill megabytes of nothing, 2 to 5 ms
     * at the first touch, on the start's way and on a worker's at each change of segments. */
    if (!failed)
        madvise(*map, bytes, MADV_RANDOM);
    if (!failed)
        return 0;
    unlinkat(dir_fd, name, 0);
    return err_set(e, failed == ENOSPC ? ERR_FULL : ERR_IO, "spool/%s: no room for %zu bytes: %s",
        name, bytes, strerror(failed));
}

static void segment_name(unsigned worker, uint64_t number, char out[SPOOL_NAME_MAX])
{
    snprintf(out, SPOOL_NAME_MAX, "spool-%u-%08llu", worker, (unsigned long long)number);
}

static void segment_free(struct spool *s, struct segment *g, bool unlink_it)
{
    char name[SPOOL_NAME_MAX];
    segment_name(s->worker, g->number, name);
    if (unlink_it)
        unlinkat(s->dir_fd, name, 0);
    munmap(g->map, s->segment_bytes);
    atomic_fetch_sub(&s->segments, 1);
    free(g);
}

static void segment_begin(struct spool *s, struct segment *g)
{
    struct spool_segment_head *h = (void *)g->map;
    *h = (struct spool_segment_head){.version = SPOOL_SEGMENT_VERSION, .worker = s->worker,
        .number = s->next_number};
    memcpy(h->magic, magic, sizeof magic);
    g->number = s->next_number++;
}

/* The one that the writer emptied, under the next number. Its head says so first: whoever finds it under
 * its old name, which the database is past, does not read it. */
static struct segment *segment_again(struct spool *s)
{
    struct segment *g = atomic_exchange(&s->emptied, NULL);
    if (!g)
        return NULL;
    char before[SPOOL_NAME_MAX], after[SPOOL_NAME_MAX];
    segment_name(s->worker, g->number, before);
    segment_begin(s, g);
    segment_name(s->worker, g->number, after);
    if (renameat(s->dir_fd, before, s->dir_fd, after) == 0)
        return g;
    segment_free(s, g, false); /* its file was taken away */
    return NULL;
}

static struct segment *segment_new(struct spool *s, struct err *e)
{
    struct segment *again = segment_again(s);
    if (again)
        return again;
    if (atomic_load(&s->segments) >= s->max_segments) {
        err_set(e, ERR_FULL, "the spool has reached limits.spool_bytes");
        return NULL;
    }
    struct segment *g = calloc(1, sizeof *g);
    char name[SPOOL_NAME_MAX];
    void *map;
    segment_name(s->worker, s->next_number, name);
    if (!g || spool_map_new(s->dir_fd, name, s->segment_bytes, &map, e) < 0) {
        free(g);
        return NULL;
    }
    g->map = map;
    segment_begin(s, g);
    atomic_fetch_add(&s->segments, 1);
    return g;
}

/* All that is in it is committed. The writer empties it: the worker has no time for that. */
static void segment_done(struct spool *s, struct segment *g)
{
    size_t head = sizeof(struct spool_segment_head);
    if (atomic_load(&s->emptied)) {
        segment_free(s, g, true);
        return;
    }
    memset(g->map + head, 0, s->segment_bytes - head);
    atomic_store(&g->next, NULL);
    atomic_store(&s->emptied, g);
}

int spool_open(struct spool **out, const struct spool_config *c, unsigned worker, struct err *e)
{
    struct spool *s = calloc(1, sizeof *s);
    *out = NULL;
    if (!s)
        return err_set(e, ERR_NOMEM, "no memory for a spool");
    s->dir_fd = c->dir_fd;
    s->worker = worker;
    s->segment_bytes = c->segment_bytes ? c->segment_bytes : SPOOL_SEGMENT_BYTES;
    s->max_segments = (int)MIN(MAX(c->bytes / s->segment_bytes, 2), 1 << 20);
    s->wake = c->wake;
    s->wake_ctx = c->wake_ctx;
    s->next_number = MAX(c->first_segment, 1);
    s->offset = s->done_offset = s->at_offset = sizeof(struct spool_segment_head);
    buf_init(&s->scratch, SPOOL_RECORD_MAX);
    int rc = slot_table_open(s, c->slots, e);
    if (rc == 0 && recent_init(&s->recent) < 0)
        rc = err_set(e, ERR_NOMEM, "no memory for the recent records");
    if (rc == 0) {
        s->current = s->done = s->at = segment_new(s, e);
        s->spare = s->current ? segment_new(s, e) : NULL;
        rc = s->spare ? 0 : e ? -(int)e->code : -ERR_IO;
    }
    if (rc < 0)
        spool_close(s);
    else
        *out = s;
    return rc;
}

void spool_close(struct spool *s)
{
    if (!s)
        return;
    bool all = atomic_load(&s->appended) == atomic_load(&s->committed);
    struct segment *emptied = atomic_exchange(&s->emptied, NULL);
    if (emptied)
        segment_free(s, emptied, true);
    if (s->spare)
        segment_free(s, s->spare, true);
    while (s->done) {
        struct segment *next = atomic_load(&s->done->next);
        segment_free(s, s->done, all);
        s->done = next;
    }
    slot_table_close(s);
    recent_fini(&s->recent);
    buf_fini(&s->scratch);
    free(s);
}

static bool spare_ready(struct spool *s)
{
    if (s->spare)
        return true;
    int64_t now = clock_mono_us();
    if (now < s->retry_us)
        return false;
    s->retry_us = now + SPARE_RETRY_US;
    s->spare = segment_new(s, NULL);
    return s->spare != NULL;
}

bool spool_has_room(const struct spool *s)
{
    /* only the worker asks, and the spare is the worker's: trying for one is no change to others */
    return spare_ready((struct spool *)s);
}

/* Seals the current segment and goes on in the spare. */
static int segment_change(struct spool *s)
{
    if (!spare_ready(s))
        return -ERR_FULL;
    if (s->offset + sizeof(struct spool_entry_head) <= s->segment_bytes) {
        struct spool_entry_head *h = (void *)(s->current->map + s->offset);
        atomic_store_explicit(&h->length, SPOOL_LENGTH_SEALED, memory_order_release);
    }
    struct segment *next = s->spare;
    s->spare = NULL;
    s->offset = sizeof(struct spool_segment_head);
    atomic_store_explicit(&s->current->next, next, memory_order_release);
    s->current = next;
    s->retry_us = 0;
    spare_ready(s);
    return 0;
}

int spool_append(struct spool *s, enum spool_kind kind, const struct record *r)
{
    buf_reset(&s->scratch);
    record_pack(r, &s->scratch);
    struct str packed = buf_str(&s->scratch);
    if (s->scratch.err || packed.n == 0)
        return s->scratch.err ? s->scratch.err : -ERR_MISSING;
    if (s->offset + padded(packed.n) > s->segment_bytes && segment_change(s) < 0)
        return -ERR_FULL;
    struct spool_entry_head *h = (void *)(s->current->map + s->offset);
    memcpy(h + 1, packed.p, packed.n);
    h->kind = (uint32_t)kind;
    h->checksum = checksum(s->current->number, h->kind, packed);
    atomic_store_explicit(&h->length, (uint32_t)packed.n, memory_order_release);
    s->offset += padded(packed.n);
    if (kind == SPOOL_END && r->worker == (int64_t)s->worker)
        slot_end(s, r->slot);
    recent_put(&s->recent, packed);
    atomic_fetch_add(&s->appended, 1);
    if (s->wake)
        s->wake(s->wake_ctx);
    return 0;
}

uint64_t spool_sequence(const struct spool *s)
{
    return atomic_load(&s->appended);
}

int64_t spool_behind(const struct spool *s)
{
    return (int64_t)(atomic_load(&s->appended) - atomic_load(&s->committed));
}

int spool_drain(struct spool *s, size_t max_bytes, spool_drain_fn fn, void *ctx)
{
    s->at = s->done;
    s->at_offset = s->done_offset;
    s->at_count = 0;
    for (size_t bytes = 0; bytes < max_bytes;) {
        uint32_t kind, before = s->at_offset;
        struct str packed;
        int rc = spool_entry_read(s->at->map, s->segment_bytes, &s->at_offset, &kind, &packed);
        if (rc == 1) {
            rc = fn(ctx, kind, packed);
            if (rc < 0)
                return rc;
            s->at_count++;
            bytes += s->at_offset - before;
            continue;
        }
        struct segment *next = atomic_load_explicit(&s->at->next, memory_order_acquire);
        if (rc < 0 && !next)
            return rc;
        if (rc == 0 || !next)
            return 0;
        s->at = next;
        s->at_offset = sizeof(struct spool_segment_head);
    }
    return 0;
}

struct spool_position spool_drained_to(const struct spool *s)
{
    return (struct spool_position){s->at->number, s->at_offset};
}

void spool_drain_commit(struct spool *s)
{
    while (s->done != s->at) {
        struct segment *next = atomic_load(&s->done->next);
        segment_done(s, s->done);
        s->done = next;
    }
    s->done_offset = s->at_offset;
    atomic_fetch_add(&s->committed, (uint64_t)s->at_count);
    s->at_count = 0;
}
