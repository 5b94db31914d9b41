/* model.c: see model.h. Ids are time-ordered, so the rows are sorted by id and found by halves. */
#include "tui/model.h"

#include "proxy/admin/api.h"
#include "store/base/array.h"
#include "store/base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROW_BYTES_MAX = 32768, GONE_AFTER_MS = 5000 };

void model_init(struct model *m)
{
    *m = (struct model){0};
}

void model_fini(struct model *m)
{
    for (size_t i = 0; i < m->row_count; i++)
        row_put(m->rows[i]);
    free(m->rows);
    free(m->events);
    *m = (struct model){0};
}

/* ---- one record ---- */

static int64_t read_time_ms(struct str s)
{
    struct tm tm = {0};
    int y, mo, d, h, mi, sec, ms = 0;
    char text[32];
    str_copy(text, sizeof text, s);
    if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3d", &y, &mo, &d, &h, &mi, &sec, &ms) < 6)
        return 0;
    tm.tm_year = y - 1900;
    tm.tm_mon = mo - 1;
    tm.tm_mday = d;
    tm.tm_hour = h;
    tm.tm_min = mi;
    tm.tm_sec = sec;
    return (int64_t)timegm(&tm) * 1000 + ms;
}

static int64_t named(struct str s, const char *(*name)(int64_t), int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (str_eq(s, str_c(name(i))))
            return i;
    return 0;
}

/* Forty names a record, hundreds of records a second: the length alone tells most of them apart. */
#define IS(name) (key.n == sizeof name - 1 && memcmp(key.p, name, sizeof name - 1) == 0)

/* The members that record_json() writes under the names of record.def. */
static void read_plain(struct record *r, struct str key, struct json_span v, struct arena *a)
{
#define TEXT(name, most)                                                                           \
    if (IS(#name) && v.type == JSON_STRING) {                                                      \
        r->name = json_text(v, a);                                                                 \
        return;                                                                                    \
    }
#define INT(name)                                                                                  \
    if (IS(#name) && v.type == JSON_NUMBER) {                                                      \
        if (json_i64(v, &r->name) < 0)                                                             \
            r->name = 0;                                                                           \
        return;                                                                                    \
    }
#include "store/record.def"
}

static struct str join_list(struct json_span list, struct arena *a)
{
    struct json_iter it = json_iter(list.raw);
    struct json_span k, v;
    struct str all = STR_NULL;
    while (json_next(&it, &k, &v)) {
        struct str one = json_text(v, a);
        all = all.n ? arena_printf(a, STR_FMT "," STR_FMT, STR_ARG(all), STR_ARG(one)) : one;
    }
    return all;
}

static void read_target(struct record *r, struct str target)
{
    ptrdiff_t slash = str_chr(target, '/');
    r->provider = slash < 0 ? STR_NULL : str_first(target, (size_t)slash);
    r->model = slash < 0 ? target : str_from(target, (size_t)slash + 1);
}

/* The members that record_json() composes. */
static void read_composed(struct row *row, struct str key, struct json_span v, struct arena *a)
{
    struct record *r = &row->r;
    struct str text = json_text(v, a);
    int64_t n;
    if (IS("time")) {
        r->time_ms = read_time_ms(text);
    } else if (IS("target")) {
        read_target(r, text);
    } else if (IS("client")) {
        r->user_agent = json_get_str(v.raw, STR("user_agent"), a);
        r->peer = json_get_str(v.raw, STR("peer"), a);
    } else if (IS("error")) {
        r->error_code = json_get_str(v.raw, STR("code"), a);
        r->error_message = json_get_str(v.raw, STR("message"), a);
    } else if (IS("state")) {
        r->state = named(text, record_state_name, STATE_DONE + 1);
    } else if (IS("outcome")) {
        n = record_outcome_from(text);
        r->outcome = n < 0 ? OUTCOME_NONE : n;
    } else if (IS("usage_source")) {
        r->usage_source = named(text, usage_source_name, USAGE_INTERRUPTED + 1);
    } else if (IS("cost_source")) {
        r->cost_source = named(text, cost_source_name, COST_SUBSCRIPTION + 1);
    } else if (IS("override")) {
        r->override_by = text;
    } else if (IS("stream")) {
        r->stream = json_is_true(v);
    } else if (IS("redacted")) {
        r->redacted = json_is_true(v);
    } else if (IS("tags") || IS("dropped")) {
        *(key.p[0] == 't' ? &r->tags : &r->dropped) = join_list(v, a);
    } else if (IS("attempts") || IS("why")) {
        *(key.p[0] == 'a' ? &r->attempts : &r->why) = v.type == JSON_NULL ? STR_NULL : v.raw;
    } else if (IS("tokens_per_second")) {
        char digits[32];
        str_copy(digits, sizeof digits, v.raw);
        row->tps10 = (int64_t)(strtod(digits, NULL) * 10);
    } else {
        read_plain(r, key, v, a);
    }
}

#undef IS

/* One block holds the row and its texts. */
static struct row *row_pack(const struct row *from)
{
    size_t bytes = sizeof *from;
#define TEXT(name, most) bytes += MIN(from->r.name.n, (size_t)most);
#define INT(name)
#include "store/record.def"
    struct row *row = malloc(bytes);
    if (!row)
        return NULL;
    *row = *from;
    row->refs = 1;
    char *at = (char *)(row + 1);
#define TEXT(name, most)                                                                           \
    row->r.name = str_first(row->r.name, (size_t)most);                                            \
    if (row->r.name.n)                                                                             \
        memcpy(at, row->r.name.p, row->r.name.n);                                                  \
    row->r.name.p = at;                                                                            \
    at += row->r.name.n;
#define INT(name)
#include "store/record.def"
    return row;
}

/* Which provider each model was seen at; one console a process, and what is forgotten is seen anew. */
enum { SEEN_MODELS = 512 };
static struct seen_model {
    uint64_t model, provider;
    bool several;
} seen_models[SEEN_MODELS];

static void see_model(const struct record *r)
{
    uint64_t model = str_hash(r->model), provider = str_hash(r->provider);
    struct seen_model *s = &seen_models[mix_bits(model) % SEEN_MODELS];
    if (!r->model.n || !r->provider.n)
        return;
    if (s->model != model)
        *s = (struct seen_model){model, provider, false};
    s->several |= s->provider != provider;
}

bool row_needs_provider(const struct row *row)
{
    uint64_t model = str_hash(row->r.model);
    const struct seen_model *s = &seen_models[mix_bits(model) % SEEN_MODELS];
    return row->r.provider.n && s->model == model && s->several;
}

struct row *row_new(struct str json)
{
    struct row fresh = {0}, *row = NULL;
    struct arena a;
    struct json_iter it = json_iter(json);
    struct json_span k, v;
    fresh.r.client_uid = -1;
    arena_init(&a, 4096, ROW_BYTES_MAX);
    while (it.object && json_next(&it, &k, &v)) {
        struct str key = json_text(k, &a);
        read_composed(&fresh, key, v, &a);
    }
    if (!it.err && fresh.r.id.n)
        row = row_pack(&fresh);
    if (row)
        see_model(&row->r);
    arena_fini(&a);
    return row;
}

struct row *row_get(struct row *row)
{
    row->refs++;
    return row;
}

void row_put(struct row *row)
{
    if (row && --row->refs == 0)
        free(row);
}

bool row_is_live(const struct row *row)
{
    return row->r.state != STATE_DONE;
}

bool row_is_problem(const struct row *row)
{
    return row->r.status >= 400 || row->r.outcome > OUTCOME_OK || row_attempts(row) > 1;
}

int64_t row_total_us(const struct row *row, int64_t now_ms)
{
    if (!row_is_live(row))
        return row->r.total_us;
    int64_t us = (now_ms - row->r.time_ms) * 1000;
    return MAX(us, row->r.total_us);
}

struct str row_target(const struct row *row, char out[280])
{
    if (!row->r.provider.n)
        return row->r.model;
    snprintf(out, 280, "%.*s/%.*s", (int)MIN(row->r.provider.n, 64), row->r.provider.p,
        (int)MIN(row->r.model.n, 200), row->r.model.p);
    return str_c(out);
}

bool row_is_switched(const struct row *row)
{
    const struct record *r = &row->r;
    ptrdiff_t slash = str_chr(r->model_asked, '/');
    return r->model.n && !str_eq(r->model, r->model_asked) &&
           !(slash >= 0 && str_eq(r->model, str_from(r->model_asked, (size_t)slash + 1)));
}

unsigned row_attempts(const struct row *row)
{
    return (unsigned)json_count(json_value(row->r.attempts));
}

/* ---- the rows ---- */

static size_t place_of(const struct model *m, struct str id)
{
    size_t low = 0, high = m->row_count;
    if (high && str_cmp(m->rows[high - 1]->r.id, id) < 0)
        return high; /* most of what comes is the newest */
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (str_cmp(m->rows[mid]->r.id, id) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

struct row *model_row(const struct model *m, struct str id)
{
    size_t at = place_of(m, id);
    return at < m->row_count && str_eq(m->rows[at]->r.id, id) ? m->rows[at] : NULL;
}

/* Drops the oldest eighth at once: dropping one by one would move the whole array each time. */
static bool make_room(struct model *m)
{
    if (m->row_count == MODEL_ROWS_MAX) {
        size_t n = MODEL_ROWS_MAX / 8;
        for (size_t i = 0; i < n; i++)
            row_put(m->rows[i]);
        memmove(m->rows, m->rows + n, (m->row_count - n) * sizeof *m->rows);
        m->row_count -= n;
        m->dropped += n;
    }
    return array_room(&m->rows, &m->row_room, m->row_count, sizeof(struct row *));
}

/* Takes the reference. */
static void put_row(struct model *m, struct row *row)
{
    size_t at = place_of(m, row->r.id);
    if (at < m->row_count && str_eq(m->rows[at]->r.id, row->r.id)) {
        if (!row_is_live(m->rows[at]) && row_is_live(row)) {
            row_put(row); /* the end record came first */
            return;
        }
        row_put(m->rows[at]);
        m->rows[at] = row;
        return;
    }
    if (!make_room(m)) {
        row_put(row);
        return;
    }
    at = place_of(m, row->r.id);
    memmove(m->rows + at + 1, m->rows + at, (m->row_count - at) * sizeof *m->rows);
    m->rows[at] = row;
    m->row_count++;
}

static void drop_row(struct model *m, size_t at)
{
    row_put(m->rows[at]);
    memmove(m->rows + at, m->rows + at + 1, (m->row_count - at - 1) * sizeof *m->rows);
    m->row_count--;
}

static size_t take_rows(struct model *m, struct str list)
{
    struct json_iter it = json_iter(list);
    struct json_span k, v;
    size_t n = 0;
    while (!it.object && json_next(&it, &k, &v)) {
        struct row *row = row_new(v.raw);
        if (row) {
            put_row(m, row);
            n++;
        }
    }
    return n;
}

/* [id, counts]: the row stays what it was, but for these. False: no such row is known here. */
static bool take_count(struct model *m, struct str one)
{
    struct json_iter it = json_iter(one);
    struct json_span k, v;
    bool named = json_next(&it, &k, &v) && v.type == JSON_STRING;
    struct row *old = named ? model_row(m, str_n(v.raw.p + 1, v.raw.n - 2)) : NULL;
    if (!old || !row_is_live(old))
        return old != NULL; /* the end record came first */
    struct row fresh = *old;
#define X(name)                                                                                    \
    if (!json_next(&it, &k, &v) || json_i64(v, &fresh.r.name) < 0)                                 \
        return false;
    ADMIN_COUNTS(X)
#undef X
    fresh.tps10 = (int64_t)(record_tokens_per_second(&fresh.r) * 10);
    fresh.missing_ms = 0;
    fresh.generation = 0; /* a filter may say otherwise now */
    struct row *row = row_pack(&fresh);
    if (row)
        put_row(m, row);
    return row != NULL;
}

static bool take_counts(struct model *m, struct str list)
{
    struct json_iter it = json_iter(list);
    struct json_span k, v;
    bool known = true;
    while (!it.object && json_next(&it, &k, &v))
        known = take_count(m, v.raw) && known;
    return known;
}

/* What was in flight and is in no list any more gets a few seconds, then it goes. Running requests that
 * are told by their counts alone and that are not known here are asked for by leaving live_at out. */
static void take_live(struct model *m, struct str list, struct str counts)
{
    int64_t now = m->time_ms ? m->time_ms : clock_wall_ms();
    for (size_t i = 0; i < m->row_count; i++)
        if (row_is_live(m->rows[i]) && !m->rows[i]->missing_ms)
            m->rows[i]->missing_ms = now;
    take_rows(m, list);
    if (!take_counts(m, counts))
        m->live_at = 0;
    for (size_t i = m->row_count; i-- > 0;)
        if (row_is_live(m->rows[i]) && m->rows[i]->missing_ms &&
            now - m->rows[i]->missing_ms > GONE_AFTER_MS)
            drop_row(m, i);
}

/* ---- the rest of a snapshot ---- */

static int64_t get_i64(struct str object, const char *key)
{
    int64_t v;
    return json_i64(json_get(object, str_c(key)), &v) == 0 ? v : 0;
}

static double get_double(struct str object, const char *key)
{
    char digits[32];
    str_copy(digits, sizeof digits, json_get(object, str_c(key)).raw);
    return strtod(digits, NULL);
}

static void get_text(struct str object, const char *key, char *out, size_t size)
{
    struct arena a;
    arena_init(&a, 1024, 65536);
    str_copy(out, size, json_get_str(object, str_c(key), &a));
    arena_fini(&a);
}

#define GET_TEXT(object, key, field) get_text(object, key, field, sizeof field)

/* Rates come with decimals: kept times `scale`. */
static size_t get_history(
    struct str object, const char *key, int64_t scale, int64_t out[MODEL_HISTORY])
{
    struct json_iter it = json_iter(json_get(object, str_c(key)).raw);
    struct json_span k, v;
    size_t n = 0;
    while (n < MODEL_HISTORY && json_next(&it, &k, &v)) {
        char digits[32];
        str_copy(digits, sizeof digits, v.raw);
        out[n++] = (int64_t)(strtod(digits, NULL) * (double)scale);
    }
    return n;
}

static void take_figures(struct figures *f, struct str c)
{
    struct str h = json_get(c, STR("history")).raw;
    f->req_per_s = get_double(c, "req_per_s");
    f->live = get_i64(c, "live");
    f->err_ppm = get_i64(c, "err_ppm");
    f->today_nano = get_i64(c, "spend_today_nano");
    f->nano_per_hour = get_i64(c, "nano_per_hour");
    f->mem_bytes = get_i64(c, "mem_bytes");
    f->held_bytes = get_i64(c, "held_bytes");
    f->held_most_bytes = get_i64(c, "held_most_bytes");
    f->consoles = get_i64(c, "consoles");
    GET_TEXT(c, "top_key", f->top_key);
    f->history = get_history(h, "req_per_s", 1000, f->req_history);
    get_history(h, "ttft_p95_us", 1, f->ttft_history);
    get_history(h, "err_ppm", 1, f->err_history);
    get_history(h, "tok_per_s", 1000, f->tok_history);
    get_history(h, "nano_per_min", 1, f->nano_history);
}

/* Another life of the gateway counts anew: the number alone says too little. */
static bool has_marker(const struct model *m, const struct marker *x)
{
    for (size_t i = 0; i < m->marker_count; i++)
        if (m->markers[i].seq == x->seq && m->markers[i].time_ms == x->time_ms)
            return true;
    return false;
}

static void take_marker(struct model *m, struct str v)
{
    struct marker fresh = {.seq = get_i64(v, "seq"),
        .time_ms = get_i64(v, "time_ms"),
        .undo_rev = get_i64(v, "undo_rev")};
    if (has_marker(m, &fresh))
        return;
    GET_TEXT(v, "who", fresh.who);
    GET_TEXT(v, "text", fresh.text);
    if (m->marker_count == MODEL_MARKERS_MAX) {
        memmove(m->markers, m->markers + 1, (MODEL_MARKERS_MAX - 1) * sizeof *m->markers);
        m->marker_count--;
    }
    size_t at = m->marker_count++;
    for (; at > 0 && m->markers[at - 1].time_ms > fresh.time_ms; at--)
        m->markers[at] = m->markers[at - 1];
    m->markers[at] = fresh;
}

static void take_trouble(struct model *m, struct str v)
{
    if (m->trouble_count == MODEL_TROUBLE_MAX)
        return;
    struct trouble *t = &m->trouble[m->trouble_count++];
    t->err_ppm = get_i64(v, "err_ppm");
    GET_TEXT(v, "provider", t->provider);
    GET_TEXT(v, "state", t->state);
    GET_TEXT(v, "text", t->text);
}

void event_read(struct str json, struct console_event *out)
{
    *out = (struct console_event){.seq = get_i64(json, "seq"),
        .time_ms = get_i64(json, "time_ms"),
        .repeated = get_i64(json, "repeated")};
    GET_TEXT(json, "level", out->level);
    GET_TEXT(json, "kind", out->kind);
    GET_TEXT(json, "text", out->text);
    GET_TEXT(json, "request_id", out->request_id);
}

static void take_event(struct model *m, struct str v)
{
    struct console_event fresh;
    event_read(v, &fresh);
    if (!m->events && !(m->events = calloc(MODEL_EVENTS_MAX, sizeof *m->events)))
        return;
    for (size_t i = m->event_count; i-- > 0 && m->events[i].seq >= fresh.seq;)
        if (m->events[i].seq == fresh.seq)
            return;
    if (m->event_count == MODEL_EVENTS_MAX) {
        m->event_count -= MODEL_EVENTS_MAX / 8;
        memmove(m->events, m->events + MODEL_EVENTS_MAX / 8, m->event_count * sizeof *m->events);
    }
    size_t at = m->event_count++;
    for (; at > 0 && m->events[at - 1].seq > fresh.seq; at--)
        m->events[at] = m->events[at - 1];
    m->events[at] = fresh;
}

static void take_refused(struct model *m, struct str v)
{
    if (m->refused_count == MODEL_REFUSED_MAX)
        return;
    struct refused *r = &m->refused[m->refused_count++];
    r->time_ms = get_i64(v, "time_ms");
    r->status = get_i64(v, "status");
    GET_TEXT(v, "peer", r->peer);
    GET_TEXT(v, "reason", r->reason);
}

static void each(struct model *m, struct str list, void (*take)(struct model *, struct str))
{
    struct json_iter it = json_iter(list);
    struct json_span k, v;
    while (!it.object && json_next(&it, &k, &v))
        take(m, v.raw);
}

/* What comes is the whole picture again, maybe of another life of the gateway. The lines of switches
 * stay: nobody tells them twice. */
static void forget(struct model *m)
{
    for (size_t i = 0; i < m->row_count; i++)
        row_put(m->rows[i]);
    m->row_count = m->event_count = 0;
    m->missed++;
}

int model_take(struct model *m, struct str s, struct err *e)
{
    struct json_want w[] = {{.key = STR("seq")}, {.key = STR("time_ms")}, {.key = STR("resynced")},
        {.key = STR("counters")}, {.key = STR("live")}, {.key = STR("recent")},
        {.key = STR("markers")}, {.key = STR("trouble")}, {.key = STR("events")},
        {.key = STR("refused")}, {.key = STR("counts")}, {.key = STR("live_at")}};
    int64_t seq;
    if (json_scan(s, w, ARRAY_LEN(w)) < 0 || json_i64(w[0].value, &seq) < 0)
        return err_set(e, ERR_SYNTAX, "the gateway's answer is not a snapshot");
    if (json_is_true(w[2].value) && m->seq)
        forget(m);
    m->seq = seq;
    if (json_i64(w[1].value, &m->time_ms) < 0)
        m->time_ms = clock_wall_ms();
    if (w[3].count)
        take_figures(&m->now, w[3].value.raw);
    take_rows(m, w[5].value.raw);
    if (json_i64(w[11].value, &m->live_at) < 0)
        m->live_at = 0;
    take_live(m, w[4].value.raw, w[10].value.raw);
    each(m, w[6].value.raw, take_marker);
    m->trouble_count = m->refused_count = 0;
    each(m, w[7].value.raw, take_trouble);
    each(m, w[8].value.raw, take_event);
    each(m, w[9].value.raw, take_refused);
    m->version++;
    return 0;
}

static void take_provider_names(struct gateway *g, struct str list)
{
    struct json_iter it = json_iter(list);
    struct json_span k, v;
    size_t n = 1;
    str_copy(g->provider_names, sizeof g->provider_names, STR(","));
    while (json_next(&it, &k, &v)) {
        struct str name = v.type == JSON_STRING ? str_n(v.raw.p + 1, v.raw.n - 2) : STR_NULL;
        if (n + name.n + 2 > sizeof g->provider_names)
            return;
        memcpy(g->provider_names + n, name.p, name.n);
        n += name.n;
        g->provider_names[n++] = ',';
        g->provider_names[n] = '\0';
    }
}

int model_take_status(struct model *m, struct str s, struct err *e)
{
    struct gateway *g = &m->gateway;
    struct str you = json_get(s, STR("you")).raw, capture = json_get(s, STR("capture")).raw;
    if (json_value(s).type != JSON_OBJECT)
        return err_set(e, ERR_SYNTAX, "the gateway's answer is not a status");
    g->known = true;
    g->demo = json_is_true(json_get(s, STR("demo")));
    g->pid = get_i64(s, "pid");
    g->uptime_s = get_i64(s, "uptime_s");
    g->requests = get_i64(s, "requests");
    g->keys = get_i64(s, "keys");
    take_provider_names(g, json_get(s, STR("providers")).raw);
    g->providers = (int64_t)json_count(json_get(s, STR("providers")));
    g->keep_ms = get_i64(capture, "keep_ms");
    g->keep_bytes = get_i64(capture, "keep_bytes");
    GET_TEXT(capture, "mode", g->capture);
    GET_TEXT(s, "version", g->version);
    GET_TEXT(s, "owner", g->owner);
    GET_TEXT(s, "data", g->data);
    GET_TEXT(s, "open_to", g->open_to);
    GET_TEXT(s, "try_model", g->try_model);
    GET_TEXT(you, "user", g->me);
    GET_TEXT(you, "role", g->role);
    struct arena a;
    arena_init(&a, 1024, 65536);
    str_copy(g->listen, sizeof g->listen, json_text(json_path(s, "listen.0"), &a));
    str_copy(g->warning, sizeof g->warning, json_text(json_path(s, "warnings.0"), &a));
    arena_fini(&a);
    m->version++;
    return 0;
}
