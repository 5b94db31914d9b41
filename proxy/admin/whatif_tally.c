/* whatif_tally.c: see whatif_tally.h. What a request would cost elsewhere is its own recorded usage
 * at the other's price; how long it would take is what the other target has measured itself: the
 * times of all targets are added up in the shares in which they would be used. */
#include "proxy/admin/whatif_tally.h"

#include <stdio.h>
#include <stdlib.h>

enum { MOVES = 1024, MOVE_SLOTS = 4096, IDS = 3, ID_BYTES = 40, MOVES_TOLD = 50, TARGETS_TOLD = 100 };

struct sums {
    int64_t requests, cost_nano, was_nano;
};
struct move {
    int64_t provider, model; /* numbers of names */
    int place;
    char from[REPLAY_NAME];
    struct sums sums;
    char ids[IDS][ID_BYTES]; /* the newest ones */
};
struct tally {
    struct replay *replay;
    struct sums all, *places;  /* by place */
    int64_t moved, too_long, refused, guessed, unpriced;
    struct move *moves;
    size_t move_count;
    uint16_t *slots;           /* of moves, + 1 */
    struct move others;        /* when there are more than MOVES */
    char too_long_ids[IDS][ID_BYTES];
    struct histogram was_ttft, was_total;
};

struct tally *tally_new(struct replay *r)
{
    struct tally *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->replay = r;
    t->places = calloc(REPLAY_PLACES, sizeof *t->places);
    t->moves = calloc(MOVES, sizeof *t->moves);
    t->slots = calloc(MOVE_SLOTS, sizeof *t->slots);
    if (t->places && t->moves && t->slots)
        return t;
    tally_free(t);
    return NULL;
}

void tally_free(struct tally *t)
{
    if (!t)
        return;
    free(t->places);
    free(t->moves);
    free(t->slots);
    free(t);
}

struct str tally_text(void *step, enum replay_text what, int64_t number)
{
    return what == REPLAY_SESSION ? store_step_session(step) : store_step_name(step, number);
}

/* ---- one row ---- */

static void note_id(char ids[IDS][ID_BYTES], const struct store_step *s)
{
    for (int i = 0; i < IDS; i++)
        if (!ids[i][0]) {
            str_copy(ids[i], ID_BYTES, store_step_id(s));
            return;
        }
}

static void name_from(struct move *m, const struct store_step *s)
{
    char provider[80];
    str_copy(provider, sizeof provider, s->provider ? store_step_name(s, s->provider) : STR(""));
    struct str model = s->model ? store_step_name(s, s->model) : STR("");
    struct buf b;
    buf_init(&b, REPLAY_NAME - 1);
    if (provider[0])
        buf_printf(&b, "%s/" STR_FMT, provider, STR_ARG(str_first(model, 190)));
    str_copy(m->from, sizeof m->from, provider[0] ? buf_str(&b) : STR("(refused)"));
    buf_fini(&b);
}

static struct move *move_of(struct tally *t, const struct store_step *s, int place)
{
    uint64_t h = ((uint64_t)s->provider * 0x9e3779b97f4a7c15u ^ (uint64_t)s->model) *
                 0xff51afd7ed558ccdu + (uint64_t)place * 0xc4ceb9fe1a85ec53u;
    size_t at = (h ^ h >> 29) % MOVE_SLOTS;
    for (; t->slots[at]; at = (at + 1) % MOVE_SLOTS) {
        struct move *m = &t->moves[t->slots[at] - 1];
        if (m->provider == s->provider && m->model == s->model && m->place == place)
            return m;
    }
    if (t->move_count == MOVES)
        return &t->others;
    struct move *m = &t->moves[t->move_count++];
    t->slots[at] = (uint16_t)t->move_count;
    m->provider = s->provider;
    m->model = s->model;
    m->place = place;
    name_from(m, s);
    return m;
}

static void sums_add(struct sums *x, int64_t cost_nano, int64_t was_nano)
{
    x->requests++;
    x->cost_nano += cost_nano;
    x->was_nano += was_nano;
}

static struct replay_request request_of(const struct store_step *s)
{
    return (struct replay_request){.time_ms = s->time_ms, .asked = s->model_asked,
        .route = s->route, .key = s->key, .team = s->team, .tags = s->tags,
        .client = s->user_agent, .session = s->session, .endpoint = s->endpoint,
        .prompt_tokens = s->input_tokens, .stream = s->stream != 0,
        .tools = s->features & RECORD_TOOLS, .images = s->features & RECORD_IMAGES,
        .json_schema = s->features & RECORD_JSON_SCHEMA,
        .facts_known = s->features & RECORD_FEATURES, .forced = s->features & RECORD_FORCED,
        .draw = (uint64_t)s->row};
}

static int64_t cost_at(struct tally *t, const struct price *p, const struct store_step *s)
{
    struct usage u = {.input = s->input_tokens, .cached = s->cached_tokens,
        .cache_write_5m = s->cache_write_tokens - s->cache_write_1h_tokens,
        .cache_write_1h = s->cache_write_1h_tokens, .output = s->output_tokens,
        .reasoning = s->reasoning_tokens};
    t->unpriced += !p;
    return p ? price_cost(p, &u, TIER_DEFAULT) : 0;
}

static bool is_same(const struct move *m, const struct replay_place *p)
{
    return p->target && strcmp(m->from, p->name) == 0;
}

void tally_row(struct tally *t, const struct store_step *s)
{
    struct replay_request q = request_of(s);
    unsigned flags;
    int place = replay_request(t->replay, &q, (void *)s, &flags);
    if (place < 0)
        return;
    const struct replay_place *p = replay_place(t->replay, place);
    struct move *m = move_of(t, s, place);
    bool same = m != &t->others && is_same(m, p);
    /* who stays where he was keeps what was charged: nothing is computed anew */
    int64_t cost = same ? s->cost_nano : p->target ? cost_at(t, p->price, s) : 0;
    sums_add(&t->all, cost, s->cost_nano);
    sums_add(&t->places[place], cost, s->cost_nano);
    sums_add(&m->sums, cost, s->cost_nano);
    t->moved += !same;
    t->refused += !p->target;
    t->guessed += (flags & REPLAY_GUESSED) != 0;
    if (!same && !m->ids[IDS - 1][0])
        note_id(m->ids, s);
    if (flags & REPLAY_TOO_LONG) {
        t->too_long++;
        if (!t->too_long_ids[IDS - 1][0])
            note_id(t->too_long_ids, s);
    }
    if (s->ttft_us > 0)
        histogram_add(&t->was_ttft, s->ttft_us, 1);
    if (s->provider && s->total_us > 0)
        histogram_add(&t->was_total, s->total_us, 1);
}

/* ---- the answer ---- */

static const struct store_sum *measured_of(const struct store_sum *list, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(list[i].name, str_c(name)))
            return list[i].ttft && histogram_total(list[i].ttft) > 0 ? &list[i] : NULL;
    return NULL;
}

bool tally_lacks(const struct tally *t, const struct store_sum *measured, size_t n)
{
    for (int i = 0; i < replay_places(t->replay); i++) {
        const struct replay_place *p = replay_place(t->replay, i);
        if (p->target && t->places[i].requests && !measured_of(measured, n, p->name))
            return true;
    }
    return false;
}

/* `from` weighs as much as `requests` of `all` do; the sum stays below what a count can hold. */
static void histogram_weigh(struct histogram *into, const struct histogram *from, int64_t requests,
    int64_t all)
{
    int64_t total = histogram_total(from);
    for (int i = 0; i < HISTOGRAM_BUCKETS && total > 0 && all > 0; i++)
        if (from->count[i] > 0)
            into->count[i] += (int32_t)((__int128)from->count[i] * requests * 1000000000 / total / all);
}

static void put_times(struct json_writer *w, const char *before, const struct histogram *ttft,
    const struct histogram *total)
{
    static const struct {
        const char *name;
        int64_t ppm;
    } points[] = {{"p50", 500000}, {"p95", 950000}};
    char key[40];
    for (size_t i = 0; i < ARRAY_LEN(points); i++) {
        snprintf(key, sizeof key, "%sttft_%s_us", before, points[i].name);
        json_put_int(w, key, ttft ? histogram_percentile(ttft, points[i].ppm) : 0);
        snprintf(key, sizeof key, "%stotal_%s_us", before, points[i].name);
        json_put_int(w, key, total ? histogram_percentile(total, points[i].ppm) : 0);
    }
}

static void put_sums(struct json_writer *w, const struct sums *s)
{
    json_put_int(w, "requests", s->requests);
    json_put_int(w, "cost_nano", s->cost_nano);
    json_put_int(w, "was_nano", s->was_nano);
}

static void put_ids(struct json_writer *w, const char *key, const char ids[IDS][ID_BYTES])
{
    json_array_begin(w, key);
    for (int i = 0; i < IDS && ids[i][0]; i++)
        json_put_c(w, NULL, ids[i]);
    json_array_end(w);
}

/* The next one in order of requests, after `before`; -1 at the end. Lists are short. */
static int next_place(const struct tally *t, int before)
{
    int best = -1;
    for (int i = 0; i < replay_places(t->replay); i++) {
        int64_t n = t->places[i].requests;
        bool after = before < 0 || n < t->places[before].requests ||
                     (n == t->places[before].requests && i > before);
        if (n && i != before && after && (best < 0 || n > t->places[best].requests))
            best = i;
    }
    return best;
}

static void put_targets(const struct tally *t, const struct store_sum *measured, size_t n,
    struct json_writer *w)
{
    int told = 0;
    json_array_begin(w, "targets");
    for (int i = next_place(t, -1); i >= 0 && told < TARGETS_TOLD; i = next_place(t, i), told++) {
        const struct replay_place *p = replay_place(t->replay, i);
        const struct store_sum *s = p->target ? measured_of(measured, n, p->name) : NULL;
        json_object_begin(w, NULL);
        json_put_c(w, p->target ? "target" : "refused", p->name);
        put_sums(w, &t->places[i]);
        json_put_bool(w, "priced", p->price != NULL);
        put_times(w, "", s ? s->ttft : NULL, s ? s->total : NULL);
        json_put_int(w, "measured_requests", s ? s->requests : 0);
        json_object_end(w);
    }
    json_array_end(w);
}

static int more_first(const void *a, const void *b)
{
    const struct move *const *x = a, *const *y = b;
    int64_t d = (*y)->sums.requests - (*x)->sums.requests;
    return d < 0 ? -1 : d > 0;
}

static void put_moves(const struct tally *t, struct json_writer *w)
{
    const struct move *order[MOVES];
    size_t n = 0;
    for (size_t i = 0; i < t->move_count; i++)
        if (!is_same(&t->moves[i], replay_place(t->replay, t->moves[i].place)))
            order[n++] = &t->moves[i];
    if (n)
        qsort(order, n, sizeof order[0], more_first);
    json_array_begin(w, "moves");
    for (size_t i = 0; i < MIN(n, (size_t)MOVES_TOLD); i++) {
        const struct replay_place *p = replay_place(t->replay, order[i]->place);
        json_object_begin(w, NULL);
        json_put_c(w, "from", order[i]->from);
        json_put_c(w, p->target ? "to" : "refused", p->name);
        put_sums(w, &order[i]->sums);
        put_ids(w, "ids", order[i]->ids);
        json_object_end(w);
    }
    json_array_end(w);
    json_put_int(w, "more_moves", n > MOVES_TOLD ? (int64_t)n - MOVES_TOLD : 0);
}

void tally_json(const struct tally *t, const struct store_sum *measured, size_t n,
    struct json_writer *w)
{
    struct histogram ttft = {0}, total = {0};
    int64_t timed = 0;
    for (int i = 0; i < replay_places(t->replay); i++) {
        const struct replay_place *p = replay_place(t->replay, i);
        const struct store_sum *s = p->target ? measured_of(measured, n, p->name) : NULL;
        if (!s)
            continue;
        histogram_weigh(&ttft, s->ttft, t->places[i].requests, t->all.requests);
        histogram_weigh(&total, s->total, t->places[i].requests, t->all.requests);
        timed += t->places[i].requests;
    }
    json_put_int(w, "rows", t->all.requests);
    json_put_int(w, "cost_nano", t->all.cost_nano);
    json_put_int(w, "was_nano", t->all.was_nano);
    json_put_int(w, "unpriced", t->unpriced);
    json_put_int(w, "moved", t->moved);
    json_put_int(w, "too_long", t->too_long);
    json_put_int(w, "refused", t->refused);
    json_put_int(w, "guessed", t->guessed);
    json_put_int(w, "timed", timed);
    put_times(w, "", &ttft, &total);
    put_times(w, "was_", &t->was_ttft, &t->was_total);
    put_targets(t, measured, n, w);
    put_moves(t, w);
    put_ids(w, "too_long_ids", t->too_long_ids);
}

