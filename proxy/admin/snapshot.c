/* snapshot.c: what every console asks for, many times a minute: figures, running exchanges, and what
 * is new since the sequence number that it has seen. With wait_ms the answer rests until there is
 * news, at the latest for that time: a long poll costs a timer, not a thread.
 *
 * Also the stream of a running answer, copied by its worker into a bounded ring (event/watch.h) and
 * passed on as server-sent events at the reader's own pace. */
#include "proxy/admin/clockwork.h"
#include "proxy/admin/filter.h"
#include "proxy/admin/handlers.h"
#include "proxy/admin/keeper.h"
#include "proxy/admin/record_view.h"

#include "proxy/event/watch.h"
#include "proxy/route/health.h"
#include "store/base/clock.h"
#include "store/base/secret_said.h"

#include <stdio.h>
#include <unistd.h>

enum { LOOK_US = 50000, WAIT_MOST_MS = 60000, REFUSED_MS = 60000, TROUBLE_PPM = 50000, TROUBLE_LEAST = 5,
    LIVE_ROWS = 200, ROWS_US = 50000, STREAM_LOOK_US = 20000, STREAM_QUEUE = 256 << 10,
    COUNT_US = 200000, CROWD = 64, CROWD_US = 250000, CROWD_ROWS = 64 /* what a tall screen shows */ };

struct want {
    struct filter filter;
    uint64_t since;
    unsigned limit, live_most;
    bool only_recent;
    int64_t known_us;              /* live_at of the answer that the asker has */
    int64_t until_us, counting_us; /* running requests alone are news only from then on */
    int64_t crowd_us;              /* and more news than a person can read, only from then on */
    size_t live_seen;
};

/* ---- the parts ---- */

static void put_history(struct json_writer *w, const struct numbers *n)
{
    json_object_begin(w, "history");
    json_array_begin(w, "req_per_s");
    for (size_t i = 0; i < NUMBERS_HISTORY; i++)
        json_put_double(w, NULL, (double)n->history[i].requests / 60.0);
    json_array_end(w);
    json_array_begin(w, "ttft_p95_us");
    for (size_t i = 0; i < NUMBERS_HISTORY; i++)
        json_put_int(w, NULL, n->history[i].ttft_p95_us);
    json_array_end(w);
    json_array_begin(w, "err_ppm");
    for (size_t i = 0; i < NUMBERS_HISTORY; i++)
        json_put_int(w, NULL, n->history[i].requests
            ? n->history[i].errors * 1000000 / n->history[i].requests : 0);
    json_array_end(w);
    json_array_begin(w, "tok_per_s");
    for (size_t i = 0; i < NUMBERS_HISTORY; i++)
        json_put_double(w, NULL, (double)n->history[i].output_tokens / 60.0);
    json_array_end(w);
    json_array_begin(w, "nano_per_min");
    for (size_t i = 0; i < NUMBERS_HISTORY; i++)
        json_put_int(w, NULL, n->history[i].cost_nano);
    json_array_end(w);
    json_object_end(w);
}

int64_t admin_memory_bytes(void)
{
    long pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (!f)
        return 0;
    if (fscanf(f, "%ld %ld", &pages, &resident) != 2)
        resident = 0;
    fclose(f);
    return (int64_t)resident * sysconf(_SC_PAGESIZE);
}

static void put_counters(struct call *c, struct json_writer *w)
{
    const struct admin *a = c->admin;
    const struct numbers *n = &a->numbers;
    json_object_begin(w, "counters");
    json_put_double(w, "req_per_s", (double)numbers_rate_milli(n) / 1000.0);
    json_put_int(w, "live", (int64_t)admin_live_count(c->admin));
    json_put_int(w, "requests", counter_read(COUNTER_requests));
    json_put_int(w, "err_ppm", numbers_error_ppm(n));
    json_put_int(w, "spend_today_nano", numbers_today_nano(n));
    json_put_int(w, "nano_per_hour", numbers_nano_per_hour(n));
    json_put_c(w, "top_key", n->top_key);
    json_put_int(w, "mem_bytes", admin_memory_bytes());
    if (a->start.memory_used) {
        json_put_int(w, "held_bytes", atomic_load(a->start.memory_used));
        json_put_int(w, "held_most_bytes", a->start.memory_limit);
    }
    json_put_int(w, "consoles", (int64_t)a->people.count);
    put_history(w, n);
    json_object_end(w);
}

struct put {
    struct call *call;
    struct want *want;
    unsigned n;
    enum news_kind kind;
};

static void put_all_live(struct call *c, struct want *x)
{
    const struct live_rows *rows = live_rows_write(c->admin, &x->filter, x->live_most, x->known_us);
    json_put_int(&c->writer, "live_at", rows->written_us);
    json_put_raw(&c->writer, "live", live_rows_records(rows));
    json_put_raw(&c->writer, "counts", live_rows_counts(rows));
}

void event_json(const struct event *e, struct json_writer *w)
{
    json_object_begin(w, NULL);
    json_put_int(w, "seq", (int64_t)e->sequence);
    json_put_int(w, "time_ms", e->time_ms);
    json_put_c(w, "level", event_level_name(e->level));
    json_put_c(w, "kind", event_kind_name(e->kind));
    json_put_c(w, "text", e->text);
    json_put_c(w, "request_id", e->request_id);
    json_put_int(w, "repeated", e->repeated);
    json_object_end(w);
}

static void marker_json(const struct news_entry *e, struct json_writer *w)
{
    struct news_marker m;
    memcpy(&m, e->bytes.p, sizeof m);
    json_object_begin(w, NULL);
    json_put_int(w, "seq", (int64_t)e->sequence);
    json_put_int(w, "time_ms", m.time_ms);
    json_put_c(w, "text", m.text);
    json_put_c(w, "who", m.who);
    json_put_int(w, "undo_rev", m.revision);
    json_object_end(w);
}

/* Written once for all who ask: twenty consoles are told of the same records. */
static struct str record_text(struct admin *a, const struct news_entry *e, const struct record *r)
{
    if (e->json.n)
        return e->json;
    struct buf *b = &a->live_view.record_json;
    if (!b->max)
        buf_init(b, 1 << 20);
    buf_reset(b);
    struct json_writer w = json_writer(b);
    record_json(r, &w);
    if (b->err)
        return STR("{}");
    news_keep_json(a->news, e, buf_str(b));
    return buf_str(b);
}

static bool put_news(void *ctx, const struct news_entry *e)
{
    struct put *p = ctx;
    struct json_writer *w = &p->call->writer;
    struct record r;
    if (e->kind != p->kind)
        return true;
    if (e->kind == NEWS_RECORD && e->json.n && p->want->filter.count == 0) {
        json_put_raw(w, NULL, e->json);
    } else if (e->kind == NEWS_EVENT) {
        struct event copy;
        memcpy(&copy, e->bytes.p, sizeof copy);
        event_json(&copy, w);
    } else if (e->kind == NEWS_MARKER) {
        marker_json(e, w);
    } else if (record_unpack(e->bytes, &r) == 0 && filter_match(&p->want->filter, &r)) {
        json_put_raw(w, NULL, record_text(p->call->admin, e, &r));
    } else {
        return true;
    }
    return ++p->n < p->want->limit;
}

static void put_kind(struct call *c, struct want *x, const char *key, enum news_kind kind)
{
    struct put p = {c, x, 0, kind};
    uint64_t news = news_sequence(c->admin->news) - x->since;
    if (x->since && news > x->limit && !x->only_recent)
        x->limit = MIN(x->limit, (unsigned)CROWD_ROWS); /* the newest; older ones are in the store */
    json_array_begin(&c->writer, key);
    news_each(c->admin->news, x->since, put_news, &p);
    json_array_end(&c->writer);
}

static const char *trouble_state(const struct health_view *v)
{
    if (v->by_hand)
        return "tripped by hand";
    if (v->breaker == BREAKER_OPEN)
        return "down";
    return v->breaker == BREAKER_HALF_OPEN ? "probing" : "errors";
}

static void put_trouble(struct call *c, struct json_writer *w)
{
    const struct config *config = live_config(c->admin->live);
    json_array_begin(w, "trouble");
    for (size_t i = 0; c->admin->start.health && i < config->provider_count; i++) {
        struct health_view v;
        const struct provider *p = &config->providers[i];
        health_view(c->admin->start.health, p, STR_NULL, clock_mono_us(), &v);
        if (v.breaker == BREAKER_CLOSED && (v.error_ppm < TROUBLE_PPM || v.samples < TROUBLE_LEAST))
            continue;
        json_object_begin(w, NULL);
        json_put_str(w, "provider", p->name);
        json_put_int(w, "err_ppm", v.error_ppm);
        json_put_c(w, "state", trouble_state(&v));
        json_put_int(w, "open_for_us", v.open_for_us);
        json_put_c(w, "text", v.last_error);
        json_object_end(w);
    }
    json_array_end(w);
}

static bool put_refused(void *ctx, const struct refused *r)
{
    struct json_writer *w = ctx;
    json_object_begin(w, NULL);
    json_put_int(w, "time_ms", r->time_ms);
    json_put_c(w, "peer", r->peer);
    json_put_int(w, "status", r->status);
    json_put_c(w, "reason", r->reason);
    json_put_int(w, "repeated", r->repeated);
    json_object_end(w);
    return true;
}

/* Who looks for some records among all must not miss one without being told. */
static bool is_covered(const struct admin *a, const struct want *x)
{
    bool all = x->only_recent || x->filter.count > 0;
    return x->since && (news_covers(a->news, x->since) ||
                           (!all && news_covers_facts(a->news, x->since)));
}

static void write_snapshot(struct call *c)
{
    struct want *x = c->state;
    struct admin *a = c->admin;
    bool covered = is_covered(a, x);
    if (!covered)
        x->since = 0, x->known_us = 0;
    struct json_writer *w = call_begin(c);
    json_put_int(w, "seq", (int64_t)news_sequence(a->news));
    json_put_int(w, "time_ms", clock_wall_ms());
    json_put_bool(w, "resynced", !covered);
    put_kind(c, x, "recent", NEWS_RECORD);
    if (!x->only_recent) {
        put_counters(c, w);
        put_all_live(c, x);
        put_kind(c, x, "markers", NEWS_MARKER);
        put_kind(c, x, "events", NEWS_EVENT);
        put_trouble(c, w);
        json_array_begin(w, "refused");
        event_refused_recent(clock_wall_ms() - REFUSED_MS, put_refused, w);
        json_array_end(w);
    }
}

/* Twenty consoles that look at the same requests have seen the same, and are told at the same time: what
 * is written for the first of them serves the others, byte for byte. */
static void keep_shared(struct shared_snapshot *s, struct call *c, uint64_t since, unsigned limit)
{
    struct admin *a = c->admin;
    if (!s->text.max)
        buf_init(&s->text, (size_t)8 << 20);
    buf_reset(&s->text);
    buf_put_str(&s->text, buf_str(&c->out));
    buf_putc(&s->text, '}'); /* which call_send() puts */
    s->since = s->text.err || c->out.err ? 0 : since;
    s->sequence = news_sequence(a->news);
    s->limit = limit;
    s->known_us = ((const struct want *)c->state)->known_us;
    s->written_us = loop_now_us(a->loop);
}

static void send_snapshot(struct call *c)
{
    struct want *x = c->state;
    struct admin *a = c->admin;
    struct shared_snapshot *s = &a->live_view.shared;
    uint64_t since = x->since;
    unsigned limit = x->limit;
    bool shares = since && !x->only_recent && x->filter.count == 0;
    (void)news_look(a->news);
    if (shares && s->since == since && s->sequence == news_sequence(a->news) && s->limit == limit &&
        s->known_us <= x->known_us && x->known_us < s->written_us &&
        loop_now_us(a->loop) - s->written_us < ROWS_US) {
        call_send_text(c, buf_str(&s->text));
        return;
    }
    write_snapshot(c);
    if (shares)
        keep_shared(s, c, since, limit);
    call_send(c);
}

/* ---- waiting ---- */

static struct call *first_waiting(struct admin *a)
{
    for (struct call *c = a->calls; c; c = c->next)
        if (c->waiting)
            return c;
    return NULL;
}

/* Thousands of records a second are told to a screen four times a second; `tail` gets each at once. */
static bool in_crowd(const struct admin *a, const struct want *x)
{
    return !x->only_recent && (news_sequence(a->news) - x->since > CROWD ||
                                  numbers_rate_milli(&a->numbers) > CROWD * (1000000000 / CROWD_US));
}

static bool has_news(const struct admin *a, const struct want *x, size_t live, int64_t now_us)
{
    uint64_t sequence = news_sequence(a->news);
    if (in_crowd(a, x))
        return now_us >= x->crowd_us;
    if (sequence != x->since)
        return true;
    return !x->only_recent && (live != x->live_seen || (live > 0 && now_us >= x->counting_us));
}

/* Who waits for the crowd's time needs no look before it. With a filter each record must be seen. */
static int64_t next_look_us(const struct admin *a, const struct want *x, int64_t now_us)
{
    if (in_crowd(a, x) && x->filter.count == 0)
        return MIN(x->crowd_us, x->until_us);
    return now_us + LOOK_US;
}

void admin_look_for_news(void *arg)
{
    struct admin *a = arg;
    (void)news_look(a->news);
    size_t live = admin_live_count(a);
    int64_t now = loop_now_us(a->loop), look_us = INT64_MAX;
    for (struct call *c = a->calls, *next; c; c = next) {
        next = c->next;
        struct want *x = c->state;
        if (!c->waiting)
            continue;
        if (!has_news(a, x, live, now) && now < x->until_us) {
            look_us = MIN(look_us, next_look_us(a, x, now));
            continue;
        }
        c->waiting = false;
        send_snapshot(c);
    }
    if (look_us < INT64_MAX)
        (void)loop_timer_set(a->loop, &a->look, look_us);
}

void admin_tell_news(struct admin *a)
{
    if (first_waiting(a))
        (void)loop_timer_set(a->loop, &a->look, loop_now_us(a->loop));
}

void get_snapshot(struct call *c)
{
    struct want *x = arena_zalloc(&c->arena, sizeof *x);
    if (!x) {
        call_failed(c, -ERR_NOMEM, NULL);
        return;
    }
    c->state = x;
    x->limit = call_limit(c, 100, 1000);
    x->live_most = MAX(x->limit, (unsigned)LIVE_ROWS);
    x->since = (uint64_t)MAX(0, call_param_int(c, "since", 0));
    x->known_us = MAX(0, call_param_int(c, "live_at", 0));
    x->only_recent = str_eq(call_param(c, "only"), STR("recent"));
    int64_t wait_ms = MIN(call_param_int(c, "wait_ms", 0), (int64_t)WAIT_MOST_MS);
    if (!call_filter(c, &x->filter))
        return;
    (void)news_look(c->admin->news);
    x->live_seen = admin_live_count(c->admin);
    int64_t now_us = loop_now_us(c->admin->loop);
    x->crowd_us = (now_us / CROWD_US + 1) * CROWD_US; /* at one time for all: they share what is written */
    x->until_us = now_us + wait_ms * 1000;
    x->counting_us = now_us + COUNT_US;
    if (wait_ms <= 0 || !is_covered(c->admin, x) ||
        has_news(c->admin, x, x->live_seen, now_us)) {
        send_snapshot(c);
        return;
    }
    c->waiting = true;
    int64_t look_us = next_look_us(c->admin, x, now_us);
    if (!loop_timer_running(&c->admin->look) || c->admin->look.due_us > look_us)
        (void)loop_timer_set(c->admin->loop, &c->admin->look, look_us);
}

/* ---- a running answer ---- */

struct stream {
    struct watch *watch;
    struct buf out;
    struct buf held; /* the end of what came: it may be the first part of a secret */
    int64_t held_us;
};

static void stream_left(struct call *c)
{
    struct stream *s = c->state;
    if (s->watch)
        watch_leave(s->watch); /* the worker sees that at its next piece */
    s->watch = NULL;
    buf_fini(&s->out);
    buf_fini(&s->held);
}

static void put_chunk(struct buf *out, int64_t us, struct str text, uint64_t missed)
{
    struct buf data;
    buf_init(&data, 1 << 20);
    struct json_writer w = json_writer(&data);
    json_object_begin(&w, NULL);
    json_put_int(&w, "us", us);
    json_put_str(&w, "text", text);
    if (missed)
        json_put_int(&w, "missed", (int64_t)missed);
    json_object_end(&w);
    buf_printf(out, "event: chunk\ndata: " STR_FMT "\n\n", STR_ARG(buf_str(&data)));
    buf_fini(&data);
}

/* What is held goes out up to where a secret may have begun, or all of it, secrets covered. */
static void put_held(struct stream *s, bool all, uint64_t missed)
{
    size_t n = all ? s->held.n : secret_redact_passing(s->held.p, s->held.n);
    if (n == 0 && !missed)
        return;
    if (all && secret_redact_said(s->held.p, n, false) < 0)
        memset(s->held.p, '*', n);
    put_chunk(&s->out, s->held_us, str_n(s->held.p, n), missed);
    memmove(s->held.p, s->held.p + n, s->held.n - n);
    s->held.n -= n;
}

static void put_piece(struct stream *s, const struct watch_piece *p)
{
    if (p->missed)
        put_held(s, true, 0);
    s->held_us = p->us;
    buf_put_str(&s->held, p->bytes);
    put_held(s, false, p->missed);
}

static void end_stream(struct call *c)
{
    struct stream *s = c->state;
    struct record r = {0};
    struct buf data;
    put_held(s, true, 0);
    buf_init(&data, 1 << 20);
    struct json_writer w = json_writer(&data);
    if (admin_find_record(c, c->args[0], &r))
        record_json(&r, &w);
    else
        buf_puts(&data, "{}");
    buf_printf(&s->out, "event: done\ndata: " STR_FMT "\n\n", STR_ARG(buf_str(&data)));
    buf_fini(&data);
    (void)http_stream_write(c->q, buf_str(&s->out));
    c->answered = true;
    http_stream_end(c->q, true);
}

static void pump(void *arg)
{
    struct call *c = arg;
    struct stream *s = c->state;
    struct watch_piece p;
    if (!c->q || !s->watch)
        return;
    buf_reset(&s->out);
    while (http_stream_queued(c->q) + s->out.n < STREAM_QUEUE && watch_pop(s->watch, &p))
        put_piece(s, &p);
    if (watch_over(s->watch)) {
        end_stream(c);
        return;
    }
    if (s->out.n)
        (void)http_stream_write(c->q, buf_str(&s->out));
    (void)loop_timer_set(c->admin->loop, &c->timer, loop_now_us(c->admin->loop) + STREAM_LOOK_US);
}

static void begin_stream(struct call *c)
{
    static const struct http_header headers[] = {{STR("content-type"), STR("text/event-stream")},
        {STR("cache-control"), STR("no-store")}};
    struct stream *s = c->state;
    c->left = stream_left;
    c->streaming = true;
    c->timer = (struct loop_timer){.fn = pump, .ctx = c};
    if (http_stream_begin(c->q, 200, headers, ARRAY_LEN(headers), -1) < 0)
        return;
    if (s->watch)
        pump(c);
    else
        end_stream(c);
}

void get_stream(struct call *c)
{
    struct record r;
    const struct admin_ops *ops = &c->admin->start.ops;
    if (!admin_find_record(c, c->args[0], &r)) {
        call_error(c, 404, "not_found", "no running request has the id " STR_FMT,
            STR_ARG(str_first(c->args[0], 64)));
        return;
    }
    if (!call_may_read(c, &r)) {
        call_error(c, 403, "denied", "access.bodies does not let you read this request");
        return;
    }
    struct stream *s = arena_zalloc(&c->arena, sizeof *s);
    if (!s) {
        call_failed(c, -ERR_NOMEM, NULL);
        return;
    }
    buf_init(&s->out, 4 << 20);
    buf_init(&s->held, 1 << 20);
    c->state = s;
    if (r.state != STATE_DONE && (s->watch = watch_new()) != NULL &&
        ops->watch(ops->ctx, r.id, s->watch) < 0) {
        watch_end(s->watch); /* the worker's share was not taken */
        watch_leave(s->watch);
        s->watch = NULL;
    }
    begin_stream(c);
}
