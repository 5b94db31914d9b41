/* runs.c: the keys of `pointsman run`: made for one child, ended with the connection that asked, taken up
 * again after a restart of the gateway. */
#include "proxy/admin/handlers.h"
#include "proxy/admin/key_line.h"
#include "proxy/admin/keys.h"

#include "proxy/access/key.h"
#include "proxy/event/event.h"
#include "store/base/clock.h"
#include "store/base/json_span.h"
#include "store/base/secret.h"

enum { PING_US = 15000000 };

struct run {
    struct str name;
    bool model;
};

static void run_parts(struct call *c, const struct run *r, struct live_part parts[3], size_t *n)
{
    *n = 0;
    parts[(*n)++] = (struct live_part){.object = key_object(c, "key", r->name)};
    parts[(*n)++] = (struct live_part){.object = key_object(c, "secret", r->name)};
    if (r->model)
        parts[(*n)++] = (struct live_part){
            .object = call_printf(c, "override/key/" STR_FMT "/*", STR_ARG(r->name))};
}

/* When the gateway itself ends, the key stays: the run asks for it again at the next one. */
static void run_left(struct call *c)
{
    const struct run *r = c->state;
    if (c->admin->closing)
        return;
    struct live_part parts[3];
    size_t n;
    struct err e = {0};
    struct live_who who = call_who(c);
    run_parts(c, r, parts, &n);
    if (live_apply(c->admin->live, &who, parts, n, call_printf(c, "run " STR_FMT " ended",
            STR_ARG(r->name)), -1, NULL, &e) < 0)
        event_say(EVENT_KIND_AUDIT_CHANGE, STR_NULL, "key " STR_FMT " could not be ended: %s",
            STR_ARG(r->name), e.text);
}

/* Keeps the connection alive through whatever watches idle ones. */
static void run_ping(void *arg)
{
    struct call *c = arg;
    if (!c->q)
        return;
    (void)http_stream_write(c->q, STR(": still here\n\n"));
    (void)loop_timer_set(c->admin->loop, &c->timer, loop_now_us(c->admin->loop) + PING_US);
}

static void run_begin(struct call *c, struct made *m, struct str name)
{
    static const struct http_header headers[] = {{STR("content-type"), STR("text/event-stream")},
        {STR("cache-control"), STR("no-store")}};
    struct buf data, event;
    buf_init(&data, 1 << 16);
    buf_init(&event, 1 << 17);
    struct json_writer w = json_writer(&data);
    json_object_begin(&w, NULL);
    json_put_str(&w, "key", name);
    json_put_c(&w, "secret", m->secret);
    json_put_str(&w, "base_url", c->admin->start.listen_url);
    json_object_end(&w);
    buf_printf(&event, "event: key\ndata: " STR_FMT "\n\n", STR_ARG(buf_str(&data)));
    c->streaming = true;
    c->left = run_left;
    c->timer = (struct loop_timer){.fn = run_ping, .ctx = c};
    if (http_stream_begin(c->q, 200, headers, ARRAY_LEN(headers), -1) == 0)
        (void)http_stream_write(c->q, buf_str(&event));
    (void)loop_timer_set(c->admin->loop, &c->timer, loop_now_us(c->admin->loop) + PING_US);
    if (data.p)
        secret_wipe(data.p, data.n);
    if (event.p)
        secret_wipe(event.p, event.n);
    buf_fini(&data);
    buf_fini(&event);
}

/* After a restart of the gateway: the run shows its secret and goes on with the key it had. */
static void run_again(struct call *c, struct run *r, struct str secret)
{
    struct snapshot *s = snapshot_current();
    const struct key *k = s ? key_find(s->keys, secret, clock_wall_ms()) : NULL;
    bool known = k && k->run_key && !k->revoked;
    if (known)
        r->name = arena_str(&c->arena, k->name);
    snapshot_put(s);
    r->model = live_get(c->admin->live,
        call_printf(c, "override/key/" STR_FMT "/*", STR_ARG(r->name))).n > 0;
    struct made made = {0};
    str_copy(made.secret, sizeof made.secret, secret);
    c->state = r;
    if (known)
        run_begin(c, &made, r->name);
    else
        call_error(c, 404, "not_found", "this run's key has ended");
    secret_wipe(&made, sizeof made);
}

void post_run(struct call *c)
{
    struct err e = {0};
    struct run *r = arena_zalloc(&c->arena, sizeof *r);
    if (!r || !call_allows(c, "name model budget_nano pid secret"))
        return;
    if (call_text(c, "secret").n) {
        run_again(c, r, call_text(c, "secret"));
        return;
    }
    struct str given = call_text(c, "name"), model = call_text(c, "model");
    int64_t budget = json_int(c->body, "budget_nano", 0);
    unsigned char tail[2];
    secret_random(tail, sizeof tail);
    r->name = call_printf(c, "run-" STR_FMT "-%02x%02x", STR_ARG(str_first(given, 40)), tail[0],
        tail[1]);
    r->model = model.n > 0;
    if (!key_name_ok(r->name) || budget < 0) {
        call_error(c, 400, "bad_run", "name: letters, digits, '.', '-' and '_'; budget_nano: not below 0");
        return;
    }
    struct str limit = budget ? call_printf(c, ",\"budgets\":{\"total\":%lld}", (long long)budget)
                              : STR("");
    struct made made;
    make_secret(c, &made, STR_NULL, 0);
    struct buf to;
    buf_init(&to, 4096);
    json_quote(&to, model);
    struct live_part parts[3] = {
        {.object = key_object(c, "key", r->name), .after = call_printf(c,
            "{\"run\":true,\"pid\":%lld,\"owner\":\"" STR_FMT "\",\"tags\":\"run:" STR_FMT "\""
            STR_FMT "}", (long long)json_int(c->body, "pid", 0), STR_ARG(c->user), STR_ARG(given),
            STR_ARG(limit))},
        {.object = key_object(c, "secret", r->name), .after = made.object},
        {.object = call_printf(c, "override/key/" STR_FMT "/*", STR_ARG(r->name)),
            .after = call_printf(c, "{\"to\":" STR_FMT ",\"who\":\"" STR_FMT "\",\"when_ms\":%lld}",
                STR_ARG(buf_str(&to)), STR_ARG(c->user), (long long)clock_wall_ms())}};
    struct live_who who = call_who(c);
    int rc = live_apply(c->admin->live, &who, parts, r->model ? 3 : 2,
        call_printf(c, "run " STR_FMT " began", STR_ARG(r->name)), -1, NULL, &e);
    buf_fini(&to);
    c->state = r;
    if (rc < 0)
        call_failed(c, rc, &e);
    else
        run_begin(c, &made, r->name);
    secret_wipe(made.secret, sizeof made.secret);
}
