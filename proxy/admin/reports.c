/* reports.c: sums and lists that the store answers: cost, models, sessions, events, audit. */
#include "proxy/admin/handlers.h"
#include "proxy/admin/record_view.h"

#include "proxy/access/account.h"
#include "proxy/config/config.h"
#include "proxy/config/units.h"
#include "proxy/meter/price.h"
#include "store/base/clock.h"
#include "store/base/json_span.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { HISTORY_POINTS = 30, HOUR_MS = 3600000 };

static bool answer_failed(struct call *c, const struct store_answer *a)
{
    if (a->rc < 0)
        call_failed(c, a->rc, &a->err);
    return a->rc < 0;
}

static void put_cursor(struct json_writer *w, const struct store_answer *a)
{
    char text[64];
    snprintf(text, sizeof text, "%lld.%lld", (long long)a->cursor.at, (long long)a->cursor.row);
    json_put_c(w, "cursor", a->done ? "" : text);
    json_put_bool(w, "done", a->done);
}

/* Even buckets of the span, for a trend. */
static void set_buckets(struct store_query *q, unsigned n)
{
    q->buckets = n;
    for (unsigned i = 0; i < n; i++)
        q->bucket_starts[i] = q->from_ms + (q->to_ms - q->from_ms) * i / n;
}

/* ---- cost ---- */

static void put_sum(struct json_writer *w, struct str name, const struct store_sum *s)
{
    json_object_begin(w, NULL);
    json_put_str(w, "name", name);
#define X(column, help) json_put_int(w, #column, s->column);
#include "store/rollup.def"
#undef X
    json_array_begin(w, "history");
    for (unsigned i = 0; s->points && i < HISTORY_POINTS; i++)
        json_put_int(w, NULL, s->points[i].cost_nano);
    json_array_end(w);
    json_object_end(w);
}

static int by_cost(const void *a, const void *b)
{
    const struct store_sum *x = a, *y = b;
    return x->cost_nano < y->cost_nano ? 1 : x->cost_nano > y->cost_nano ? -1 : 0;
}

/* What the report is worth: charged, by where the figure came from. */
static void put_total(struct json_writer *w, const struct store_sum *total)
{
    json_put_int(w, "total_nano", total->cost_nano);
    json_put_int(w, "measured_nano", total->measured_nano);
    json_put_int(w, "provider_nano", total->provider_nano);
    json_put_int(w, "provider_list_nano", total->provider_list_nano);
    json_put_int(w, "estimated_nano", total->estimated_nano);
    json_put_int(w, "requests", total->requests);
    json_put_int(w, "estimated_requests", total->estimated_requests);
    json_put_int(w, "provider_requests", total->provider_requests);
    json_put_int(w, "unpriced_requests", total->unpriced_requests);
    json_put_int(w, "unseen_requests", total->unseen_requests);
}

static void cost_answered(struct call *c, struct store_answer *a)
{
    if (answer_failed(c, a))
        return;
    qsort(a->sums, a->n, sizeof a->sums[0], by_cost);
    struct store_sum total = {0};
    struct json_writer *w = call_begin(c);
    json_array_begin(w, "rows");
    for (size_t i = 0; i < a->n; i++) {
        put_sum(w, a->sums[i].name, &a->sums[i]);
#define X(column, help) total.column += a->sums[i].column;
#include "store/rollup.def"
#undef X
    }
    json_array_end(w);
    put_total(w, &total);
    call_send(c);
}

/* Days: one sum over all, cut at midnights of the configured zone. */
struct days {
    int64_t starts[STORE_BUCKETS_MAX + 1];
    unsigned n;
    int64_t to_ms;
};

static void put_point(struct json_writer *w, const struct store_point *p, struct store_sum *total)
{
#define PUT(column)                                                                                \
    json_put_int(w, #column, p->column);                                                           \
    total->column += p->column;
    PUT(requests)
    PUT(input_tokens)
    PUT(cached_tokens)
    PUT(output_tokens)
    PUT(cost_nano)
    PUT(measured_nano)
    PUT(provider_nano)
    PUT(provider_list_nano)
    PUT(estimated_nano)
    PUT(unpriced_requests)
    PUT(estimated_requests)
    PUT(provider_requests)
    PUT(unseen_requests)
#undef PUT
    json_put_int(w, "errors", p->errors);
}

static void days_answered(struct call *c, struct store_answer *a)
{
    if (answer_failed(c, a))
        return;
    const struct days *d = c->state;
    struct store_sum total = {0};
    struct json_writer *w = call_begin(c);
    json_array_begin(w, "rows");
    for (unsigned i = 0; a->n && a->sums[0].points && i < d->n; i++) {
        const struct store_point *p = &a->sums[0].points[i];
        char day[32];
        time_t t = (time_t)((d->starts[i] + 12 * (int64_t)HOUR_MS) / 1000);
        struct tm tm;
        if (p->requests == 0)
            continue;
        gmtime_r(&t, &tm);
        strftime(day, sizeof day, "%Y-%m-%d", &tm);
        json_object_begin(w, NULL);
        json_put_c(w, "name", day);
        json_put_int(w, "from_ms", d->starts[i]);
        put_point(w, p, &total);
        json_object_end(w);
    }
    json_array_end(w);
    put_total(w, &total);
    call_send(c);
}

static void ask_days(struct call *c, struct store_query *q)
{
    struct days *d = arena_zalloc(&c->arena, sizeof *d);
    char zone[64];
    str_copy(zone, sizeof zone, live_config(c->admin->live)->timezone);
    int64_t at = q->from_ms, end;
    while (d && at < q->to_ms && d->n < STORE_BUCKETS_MAX) {
        window_bounds(WINDOW_DAY, zone, at, &d->starts[d->n], &end);
        q->bucket_starts[d->n] = MAX(d->starts[d->n], q->from_ms);
        d->n++;
        at = end;
    }
    if (!d) {
        call_failed(c, -ERR_NOMEM, NULL);
        return;
    }
    q->buckets = d->n;
    c->state = d;
    call_ask(c, q, days_answered);
}

static int dimension_of(struct str by)
{
    static const struct {
        const char *name;
        enum store_dimension d;
    } rows[] = {{"key", STORE_BY_KEY}, {"team", STORE_BY_TEAM}, {"model", STORE_BY_MODEL},
        {"provider", STORE_BY_PROVIDER}, {"route", STORE_BY_ROUTE}, {"tag", STORE_BY_TAG},
        {"session", STORE_BY_SESSION}, {"all", STORE_BY_ALL}, {"day", STORE_BY_ALL}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (str_eq(by, str_c(rows[i].name)))
            return (int)rows[i].d;
    return -1;
}

/* since and until, with "since the first of the month" where nothing is said. */
static bool set_span(struct call *c, struct store_query *q)
{
    int64_t now = clock_wall_ms(), end;
    char zone[64];
    q->from_ms = call_time(c, "since");
    q->to_ms = q->from_ms < 0 ? 0 : call_time(c, "until");
    if (q->from_ms < 0 || q->to_ms < 0)
        return false;
    str_copy(zone, sizeof zone, live_config(c->admin->live)->timezone);
    if (q->from_ms == 0)
        window_bounds(WINDOW_MONTH, zone, now, &q->from_ms, &end);
    if (q->to_ms == 0)
        q->to_ms = now / 60000 * 60000 + 60000;
    if (q->to_ms > q->from_ms)
        return true;
    call_error(c, 400, "bad_span", "until lies before since");
    return false;
}

void get_cost(struct call *c)
{
    struct str by = call_param(c, "by");
    if (by.n == 0)
        by = STR("key");
    int dimension = dimension_of(by);
    struct store_query q = {.kind = STORE_ASK_SUMS};
    if (dimension < 0) {
        call_error(c, 400, "bad_dimension", "by: \"" STR_FMT "\" is none of key, team, model, provider, "
            "route, session, tag, day, all", STR_ARG(str_first(by, 40)));
        return;
    }
    q.dimension = (enum store_dimension)dimension;
    if (!set_span(c, &q))
        return;
    if (str_eq(by, STR("day"))) {
        ask_days(c, &q);
        return;
    }
    set_buckets(&q, HISTORY_POINTS);
    call_ask(c, &q, cost_answered);
}

/* ---- models ---- */

static void put_usd(struct json_writer *w, const char *key, int64_t femto)
{
    struct buf b;
    if (femto < 0)
        return;
    buf_init(&b, 64);
    unit_put_rate(&b, femto);
    json_put_str(w, key, buf_str(&b));
    buf_fini(&b);
}

void price_json(struct json_writer *w, const struct price *p)
{
    struct buf b;
    json_object_begin(w, "price");
    if (p) {
        put_usd(w, "input", p->base[TIER_DEFAULT].input);
        put_usd(w, "output", p->base[TIER_DEFAULT].output);
        put_usd(w, "cached", p->base[TIER_DEFAULT].cached);
        buf_init(&b, 4096);
        price_write_text(p, true, &b);
        json_put_str(w, "besides", buf_str(&b));
        buf_fini(&b);
    }
    json_object_end(w);
    json_put_int(w, "context_tokens", p ? p->context_tokens : 0);
}

static int64_t percentile(const struct histogram *h, int64_t ppm)
{
    return h ? histogram_percentile(h, ppm) : 0;
}

/* How the first tokens spread from under 0.1 s to over 10 s: shares in ppm, evenly on a logarithmic scale. */
static void put_spread(struct json_writer *w, const struct histogram *h)
{
    static const int64_t upper_us[] = {100000, 158000, 251000, 398000, 631000, 1000000, 1580000, 2510000,
        3980000, 6310000, 10000000};
    int64_t below = 0;
    json_array_begin(w, "ttft_spread");
    for (size_t i = 0; h && histogram_total(h) > 0 && i <= ARRAY_LEN(upper_us); i++) {
        int64_t rank = i < ARRAY_LEN(upper_us) ? histogram_rank(h, upper_us[i]) : 1000000;
        json_put_int(w, NULL, rank - below);
        below = rank;
    }
    json_array_end(w);
}

static void put_model(struct call *c, struct json_writer *w, const struct store_sum *s)
{
    struct str rest = s->name, provider = STR_NULL;
    if (!str_cut(&rest, '/', &provider))
        rest = s->name;
    const struct config *config = live_config(c->admin->live);
    json_object_begin(w, NULL);
    json_put_str(w, "target", s->name);
    json_put_str(w, "model", rest);
    json_put_str(w, "provider", provider);
    json_put_int(w, "requests", s->requests);
    json_put_int(w, "errors", s->upstream_errors + s->timeouts + s->truncated + s->interrupted);
    json_put_int(w, "limited", s->limited);
    json_put_int(w, "server_errors", s->server_errors);
    json_put_int(w, "timeouts", s->timeouts);
    json_put_int(w, "ttft_p50_us", percentile(s->ttft, 500000));
    json_put_int(w, "ttft_p95_us", percentile(s->ttft, 950000));
    json_put_int(w, "ttft_p99_us", percentile(s->ttft, 990000));
    json_put_int(w, "total_p50_us", percentile(s->total, 500000));
    json_put_int(w, "total_p95_us", percentile(s->total, 950000));
    json_put_double(w, "tokens_per_second", s->generation_us > 0
        ? (double)s->generated_tokens * 1e6 / (double)s->generation_us : 0);
    json_put_int(w, "input_tokens", s->input_tokens);
    json_put_int(w, "cached_tokens", s->cached_tokens);
    json_put_int(w, "output_tokens", s->output_tokens);
    json_put_int(w, "cost_nano", s->cost_nano);
    json_array_begin(w, "history");
    for (unsigned i = 0; s->points && i < HISTORY_POINTS; i++)
        json_put_int(w, NULL, s->points[i].requests);
    json_array_end(w);
    json_array_begin(w, "ttft_history");
    for (unsigned i = 0; s->points && i < HISTORY_POINTS; i++)
        json_put_int(w, NULL, s->points[i].ttft_p95_us);
    json_array_end(w);
    put_spread(w, s->ttft);
    price_json(w, config->prices ? price_find(config->prices, provider, rest) : NULL);
    json_object_end(w);
}

static void models_answered(struct call *c, struct store_answer *a)
{
    if (answer_failed(c, a))
        return;
    struct json_writer *w = call_begin(c);
    struct str window = call_param(c, "window");
    json_put_str(w, "window", window.n ? window : STR("1h"));
    json_array_begin(w, "models");
    for (size_t i = 0; i < a->n; i++)
        put_model(c, w, &a->sums[i]);
    json_array_end(w);
    call_send(c);
}

void get_models(struct call *c)
{
    static const struct {
        const char *name;
        int64_t ms;
    } windows[] = {{"5m", 300000}, {"1h", 3600000}, {"24h", 86400000}, {"7d", 604800000}};
    struct str window = call_param(c, "window");
    int64_t span = window.n ? 0 : 3600000;
    for (size_t i = 0; i < ARRAY_LEN(windows); i++)
        if (str_eq(window, str_c(windows[i].name)))
            span = windows[i].ms;
    if (!span) {
        call_error(c, 400, "bad_window", "window is one of 5m, 1h, 24h, 7d");
        return;
    }
    int64_t end = clock_wall_ms() / 60000 * 60000 + 60000;
    struct store_query q = {.kind = STORE_ASK_SUMS, .dimension = STORE_BY_MODEL,
        .from_ms = end - span, .to_ms = end};
    set_buckets(&q, HISTORY_POINTS);
    call_ask(c, &q, models_answered);
}

/* ---- sessions ---- */

struct running {
    struct str session;
    int64_t live, cost_nano;
};
struct sessions {
    struct running list[512];
    size_t n;
    struct call *call;
};

static bool add_running(void *ctx, const struct record *r)
{
    struct sessions *s = ctx;
    if (r->session.n == 0)
        return true;
    for (size_t i = 0; i < s->n; i++)
        if (str_eq(s->list[i].session, r->session)) {
            s->list[i].live++;
            s->list[i].cost_nano += r->cost_nano;
            return true;
        }
    if (s->n < ARRAY_LEN(s->list))
        s->list[s->n++] = (struct running){arena_str(&s->call->arena, r->session), 1, r->cost_nano};
    return true;
}

static struct running *running_of(struct sessions *s, struct str session)
{
    for (size_t i = 0; i < s->n; i++)
        if (str_eq(s->list[i].session, session))
            return &s->list[i];
    return NULL;
}

static void put_session(struct json_writer *w, const struct store_session *s, int64_t live,
    int64_t running_nano)
{
    int64_t age = MAX(s->last_ms - s->first_ms, (int64_t)60000);
    json_object_begin(w, NULL);
    json_put_str(w, "session", s->session);
    json_put_str(w, "client", s->client);
    json_put_str(w, "key", s->key);
    json_put_int(w, "turns", s->turns + live);
    json_put_int(w, "errors", s->errors);
    json_put_int(w, "live", live);
    json_put_int(w, "input_tokens", s->input_tokens);
    json_put_int(w, "cached_tokens", s->cached_tokens);
    json_put_int(w, "output_tokens", s->output_tokens);
    json_put_int(w, "cost_nano", s->cost_nano + running_nano);
    json_put_int(w, "nano_per_hour", (int64_t)((__int128)s->cost_nano * HOUR_MS / age));
    json_put_str(w, "model", s->model);
    json_put_int(w, "first_ms", s->first_ms);
    json_put_int(w, "last_ms", s->last_ms);
    json_put_str(w, "last_id", s->last_id);
    json_object_end(w);
}

struct put_new {
    struct call *call;
    struct sessions *sessions;
    struct store_answer *page;
};

/* A session whose first request is still running is in no table yet. */
static bool put_unstored(void *ctx, const struct record *r)
{
    struct put_new *x = ctx;
    struct running *live = r->session.n ? running_of(x->sessions, r->session) : NULL;
    if (!live || live->live == 0)
        return true;
    for (size_t i = 0; i < x->page->n; i++)
        if (str_eq(x->page->sessions[i].session, r->session))
            return true;
    struct store_session s = {.session = r->session, .client = r->user_agent, .key = r->key,
        .model = r->model, .last_id = r->id, .first_ms = r->time_ms, .last_ms = r->time_ms,
        .input_tokens = r->input_tokens, .output_tokens = r->output_tokens};
    put_session(&x->call->writer, &s, live->live, live->cost_nano);
    live->live = 0;
    return true;
}

static void sessions_answered(struct call *c, struct store_answer *a)
{
    if (answer_failed(c, a))
        return;
    struct sessions *s = arena_zalloc(&c->arena, sizeof *s);
    if (!s) {
        call_failed(c, -ERR_NOMEM, NULL);
        return;
    }
    s->call = c;
    admin_each_live(c->admin, add_running, s);
    struct json_writer *w = call_begin(c);
    json_array_begin(w, "sessions");
    struct put_new x = {c, s, a};
    admin_each_live(c->admin, put_unstored, &x);
    for (size_t i = 0; i < a->n; i++) {
        struct running *r = running_of(s, a->sessions[i].session);
        put_session(w, &a->sessions[i], r ? r->live : 0, r ? r->cost_nano : 0);
    }
    json_array_end(w);
    put_cursor(w, a);
    call_send(c);
}

void get_sessions(struct call *c)
{
    struct store_query q = {.kind = STORE_ASK_SESSIONS, .limit = call_limit(c, 100, STORE_PAGE_MAX)};
    q.from_ms = call_time(c, "since");
    if (q.from_ms >= 0 && call_cursor(c, &q.cursor))
        call_ask(c, &q, sessions_answered);
}

/* ---- events and audit ---- */

/* What the store says stands below what came from memory, in one list. */
static void events_answered(struct call *c, struct store_answer *a)
{
    if (answer_failed(c, a))
        return;
    struct json_writer *w = c->state ? &c->writer : call_begin(c);
    if (!c->state)
        json_array_begin(w, "events");
    for (size_t i = 0; i < a->n; i++) {
        const struct store_event *e = &a->events[i];
        json_object_begin(w, NULL);
        json_put_int(w, "seq", e->sequence);
        json_put_int(w, "time_ms", e->time_ms);
        json_put_c(w, "level", event_level_name((enum event_level)MAX(0,
            MIN(e->level, (int64_t)EVENT_AUDIT))));
        json_put_str(w, "kind", e->kind);
        json_put_str(w, "text", e->text);
        json_put_str(w, "request_id", e->request_id);
        json_put_int(w, "repeated", e->repeated);
        json_object_end(w);
    }
    json_array_end(w);
    put_cursor(w, a);
    call_send(c);
}

static bool level_of(struct call *c, unsigned *level)
{
    struct str text = call_param(c, "level");
    *level = EVENT_INFO;
    if (text.n == 0)
        return true;
    for (*level = EVENT_DEBUG; *level <= EVENT_AUDIT; ++*level)
        if (str_eq_nocase(text, str_c(event_level_name((enum event_level)*level))))
            return true;
    call_error(c, 400, "bad_level", "level is one of debug, info, warn, error, audit");
    return false;
}

struct recent_events {
    struct json_writer *w;
    unsigned level, left;
    int64_t oldest_ms;
};

static bool put_recent(void *ctx, const struct event *e)
{
    struct recent_events *x = ctx;
    if (e->level >= x->level) {
        event_json(e, x->w);
        x->oldest_ms = e->time_ms;
        x->left--;
    }
    return x->left > 0;
}

/* The newest come from memory, which is ahead of the store; from the time where memory ends the store
 * goes on, also with those of earlier lives ("t1732370400000" as cursor when the page ends there). */
void get_events(struct call *c)
{
    struct store_query q = {.kind = STORE_ASK_EVENTS, .limit = call_limit(c, 100, STORE_PAGE_MAX)};
    struct str before = call_param(c, "before");
    if (!level_of(c, &q.level))
        return;
    if (before.n && before.p[0] == 't' && str_to_i64(str_from(before, 1), &q.to_ms)) {
        call_ask(c, &q, events_answered);
        return;
    }
    if (before.n) {
        if (call_cursor(c, &q.cursor))
            call_ask(c, &q, events_answered);
        return;
    }
    struct recent_events x = {call_begin(c), q.level, q.limit, INT64_MAX};
    char cursor[40] = "";
    json_array_begin(x.w, "events");
    event_recent(put_recent, &x);
    c->state = &c->writer; /* the list is begun */
    q.limit = x.left;
    q.to_ms = x.oldest_ms;
    if (x.left && c->admin->start.store) {
        call_ask(c, &q, events_answered);
        return;
    }
    json_array_end(x.w);
    if (x.left == 0 && c->admin->start.store)
        snprintf(cursor, sizeof cursor, "t%lld", (long long)x.oldest_ms);
    json_put_c(x.w, "cursor", cursor);
    json_put_bool(x.w, "done", !cursor[0]);
    call_send(c);
}

static void put_change(struct json_writer *w, const char *key, struct str json)
{
    json_put_raw(w, key, json.n && json_check(json, NULL) == 0 ? json : STR("null"));
}

static void audit_answered(struct call *c, struct store_answer *a)
{
    if (answer_failed(c, a))
        return;
    struct json_writer *w = call_begin(c);
    json_array_begin(w, "audit");
    for (size_t i = 0; i < a->n; i++) {
        const struct store_audit *x = &a->audits[i];
        json_object_begin(w, NULL);
        json_put_int(w, "revision", x->revision);
        json_put_int(w, "time_ms", x->time_ms);
        json_put_str(w, "who", x->who);
        json_put_int(w, "uid", x->uid);
        json_put_str(w, "terminal", x->terminal);
        json_put_str(w, "what", x->what);
        put_change(w, "before", x->before);
        put_change(w, "after", x->after);
        json_object_end(w);
    }
    json_array_end(w);
    put_cursor(w, a);
    call_send(c);
}

void get_audit(struct call *c)
{
    struct store_query q = {.kind = STORE_ASK_AUDIT, .limit = call_limit(c, 100, STORE_PAGE_MAX)};
    if (call_cursor(c, &q.cursor))
        call_ask(c, &q, audit_answered);
}
