/* slots.c: the table of running exchanges of one worker, in a mapped file.
 *
 * A slot goes free → used (worker: slot_take) → ended (worker: its end record is in the spool) →
 * free (writer: that record is committed). The writer hands freed indices back through a ring with one
 * producer and one consumer; low indices are used first, so that a quiet gateway touches few pages.
 *
 * Readers copy between two looks at the sequence. The copy races with the worker's plain stores by
 * design: it is thrown away when the sequence moved. */
#include "store/spool_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__)
#define RACY __attribute__((no_sanitize("thread"), noinline))
#else
#define RACY
#endif

enum { READ_TRIES = 64 };

static const char magic[8] = "pm-slots";
_Static_assert(sizeof(struct slot) % 8 == 0, "slots are copied word by word");

static size_t table_bytes(unsigned count)
{
    return SPOOL_TABLE_HEAD + (size_t)count * sizeof(struct slot);
}

static void table_name(unsigned worker, char out[SPOOL_NAME_MAX])
{
    snprintf(out, SPOOL_NAME_MAX, "inflight-%u", worker);
}

int slot_table_open(struct spool *s, unsigned count, struct err *e)
{
    struct slot_table *t = &s->table;
    char name[SPOOL_NAME_MAX];
    void *map;
    count = MIN(MAX(count, 1), 1 << 20);
    t->stack = calloc(count, sizeof *t->stack);
    t->returned = calloc(count, sizeof *t->returned);
    if (!t->stack || !t->returned)
        return err_set(e, ERR_NOMEM, "no memory for %u slots", count);
    table_name(s->worker, name);
    int rc = spool_map_new(s->dir_fd, name, table_bytes(count), &map, e);
    if (rc < 0)
        return rc;
    t->head = map;
    t->slots = (struct slot *)((char *)map + SPOOL_TABLE_HEAD);
    t->count = count;
    *t->head = (struct spool_table_head){.version = SPOOL_VERSION, .worker = s->worker,
        .count = count, .slot_bytes = sizeof(struct slot), .used_mark = 1};
    memcpy(t->head->magic, magic, sizeof magic);
    for (unsigned i = 0; i < count; i++)
        t->stack[t->stacked++] = count - 1 - i;
    return 0;
}

static bool all_free(const struct slot_table *t)
{
    for (unsigned i = 0; i < t->used_below; i++)
        if (atomic_load(&t->slots[i].state) != SLOT_FREE)
            return false;
    return true;
}

void slot_table_close(struct spool *s)
{
    struct slot_table *t = &s->table;
    char name[SPOOL_NAME_MAX];
    table_name(s->worker, name);
    if (t->head) {
        if (all_free(t))
            unlinkat(s->dir_fd, name, 0);
        munmap(t->head, table_bytes(t->count));
    }
    free(t->stack);
    free(t->returned);
}

/* What the writer has handed back since the last look. */
static void collect_returned(struct slot_table *t)
{
    uint64_t until = atomic_load_explicit(&t->returned_write, memory_order_acquire);
    for (; t->returned_read != until; t->returned_read++)
        t->stack[t->stacked++] = t->returned[t->returned_read % t->count];
}

struct slot *slot_take(struct spool *s)
{
    struct slot_table *t = &s->table;
    collect_returned(t); /* each time: few slots are touched again and again, not all in turn */
    if (t->stacked == 0)
        return NULL;
    uint32_t index = t->stack[--t->stacked];
    struct slot *slot = &t->slots[index];
    if (index >= t->used_below) { /* before the slot says that it is in use: recovery reads no further */
        t->used_below = index + 1;
        atomic_store_explicit(&t->head->used_mark, index + 2, memory_order_release);
    }
    slot_write_begin(slot);
    slot->generation++;
    memset(slot->id, 0, sizeof *slot - offsetof(struct slot, id));
    slot->worker = s->worker;
    slot->index = index;
    slot->client_uid = -1;
    atomic_store_explicit(&slot->state, SLOT_USED, memory_order_release);
    slot_write_end(slot);
    return slot;
}

void slot_write_begin(struct slot *slot)
{
    atomic_fetch_add_explicit(&slot->sequence, 1, memory_order_acq_rel);
}

void slot_write_end(struct slot *slot)
{
    atomic_fetch_add_explicit(&slot->sequence, 1, memory_order_release);
}

void slot_end(struct spool *s, int64_t index)
{
    if (index >= 0 && index < s->table.count)
        atomic_store_explicit(&s->table.slots[index].state, SLOT_ENDED, memory_order_release);
}

void slot_free(struct spool *s, int64_t index)
{
    struct slot_table *t = &s->table;
    if (index < 0 || index >= t->count ||
        atomic_load_explicit(&t->slots[index].state, memory_order_acquire) != SLOT_ENDED)
        return;
    atomic_store_explicit(&t->slots[index].state, SLOT_FREE, memory_order_release);
    uint64_t at = atomic_load_explicit(&t->returned_write, memory_order_relaxed);
    t->returned[at % t->count] = (uint32_t)index;
    atomic_store_explicit(&t->returned_write, at + 1, memory_order_release);
}

unsigned slot_count(const struct spool *s)
{
    return s->table.used_below;
}

unsigned slot_running(const struct spool *s)
{
    unsigned n = 0;
    for (unsigned i = 0; i < s->table.used_below; i++)
        n += atomic_load_explicit(&s->table.slots[i].state, memory_order_relaxed) == SLOT_USED;
    return n;
}

RACY static void copy_words(uint64_t *to, const uint64_t *from, size_t words)
{
    for (size_t i = 0; i < words; i++)
        to[i] = __atomic_load_n(&from[i], __ATOMIC_ACQUIRE);
}

bool slot_read(const struct spool *s, unsigned index, struct slot *copy)
{
    if (index >= s->table.count)
        return false;
    const struct slot *slot = &s->table.slots[index];
    for (int i = 0; i < READ_TRIES; i++) {
        uint32_t before = atomic_load_explicit(&slot->sequence, memory_order_acquire);
        if (atomic_load_explicit(&slot->state, memory_order_acquire) != SLOT_USED)
            return false;
        if (before & 1)
            continue;
        copy_words((uint64_t *)(void *)copy, (const uint64_t *)(const void *)slot,
            sizeof *slot / 8);
        if (atomic_load_explicit(&slot->sequence, memory_order_relaxed) == before)
            return copy->id[0] != '\0';
    }
    return false;
}

void slot_record(const struct slot *slot, int64_t now_us, struct record *out)
{
    *out = (struct record){
        .id = str_c(slot->id), .key = str_c(slot->key), .team = str_c(slot->team),
        .session = str_c(slot->session), .tags = str_c(slot->tags),
        .user_agent = str_c(slot->user_agent), .peer = str_c(slot->peer),
        .endpoint = str_c(slot->endpoint), .dialect = str_c(slot->dialect),
        .model_asked = str_c(slot->model_asked), .route = str_c(slot->route),
        .rule = str_c(slot->rule), .provider = str_c(slot->provider), .model = str_c(slot->model),
        .override_by = str_c(slot->override_by), .price_key = str_c(slot->price_key),
        .attempts = STR("[]"),
        .time_ms = slot->time_ms, .stream = slot->stream, .state = slot->phase,
        .status = slot->status, .input_tokens = slot->input_tokens,
        .cached_tokens = slot->cached_tokens, .cache_write_tokens = slot->cache_write_tokens,
        .cache_write_1h_tokens = slot->cache_write_1h_tokens,
        .output_tokens = slot->output_tokens, .reasoning_tokens = slot->reasoning_tokens,
        .usage_source = slot->usage_source, .cost_nano = slot->cost_nano,
        .cost_source = slot->cost_nano == 0 ? COST_NONE
                       : slot->usage_source == USAGE_MEASURED ? COST_MEASURED : COST_ESTIMATED,
        .reserve_nano = slot->reserve_nano, .request_bytes = slot->request_bytes,
        .response_bytes = slot->response_bytes,
        .ttft_us = slot->first_token_us > slot->started_us
                       ? slot->first_token_us - slot->started_us : 0,
        .max_gap_us = slot->max_gap_us,
        .total_us = now_us > slot->started_us ? now_us - slot->started_us : 0,
        .tool_calls = slot->tool_calls, .client_uid = slot->client_uid,
        .slot = slot->index, .worker = slot->worker,
    };
}
