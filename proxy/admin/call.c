/* call.c: see call.h. The way of an answer back from a query thread: the store's callback fills a
 * loop_message that holds a reference of the call; the admin thread runs the handler's second half
 * only when the client is still there. */
#include "proxy/admin/call.h"
#include "proxy/admin/keeper.h"

#include "proxy/loop/loop.h"
#include "store/base/clock.h"
#include "store/base/json_span.h"
#include "store/base/secret.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { STORING_US = 5000000 };

/* ---- arguments ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decoding ('+' stays a plus: names hold them). A broken escape stays as it is. */
struct str call_decode(struct call *c, struct str s)
{
    char *out = arena_alloc(&c->arena, s.n + 1);
    size_t n = 0;
    if (!out)
        return STR_NULL;
    for (size_t i = 0; i < s.n; i++) {
        int high = s.p[i] == '%' && i + 2 < s.n ? hex_digit(s.p[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(s.p[i + 2]) : -1;
        if (low >= 0) {
            out[n++] = (char)(high << 4 | low);
            i += 2;
        } else {
            out[n++] = s.p[i];
        }
    }
    out[n] = 0;
    return str_n(out, n);
}

struct str call_param(struct call *c, const char *name)
{
    struct str rest = c->q ? c->q->query : STR_NULL, piece;
    while (rest.n && str_cut(&rest, '&', &piece)) {
        ptrdiff_t equals = str_chr(piece, '=');
        struct str key = equals < 0 ? piece : str_first(piece, (size_t)equals);
        if (str_eq(key, str_c(name)))
            return equals < 0 ? STR("1") : call_decode(c, str_from(piece, (size_t)equals + 1));
    }
    return STR_NULL;
}

int64_t call_param_int(struct call *c, const char *name, int64_t otherwise)
{
    int64_t v;
    return str_to_i64(call_param(c, name), &v) ? v : otherwise;
}

unsigned call_limit(struct call *c, unsigned otherwise, unsigned most)
{
    int64_t n = call_param_int(c, "limit", otherwise);
    return (unsigned)MAX(1, MIN(n, (int64_t)most));
}

int64_t call_time(struct call *c, const char *name)
{
    struct str text = call_param(c, name);
    int64_t ms;
    if (text.n == 0)
        return 0;
    if (str_to_i64(text, &ms) && ms >= 0)
        return ms;
    char copy[40];
    struct tm tm = {0};
    str_copy(copy, sizeof copy, text);
    const char *end = strptime(copy, "%Y-%m-%dT%H:%M:%S", &tm);
    if (end && *end == '.')
        end += 1 + strspn(end + 1, "0123456789");
    if (end && (*end == 0 || strcmp(end, "Z") == 0))
        return (int64_t)timegm(&tm) * 1000;
    call_error(c, 400, "bad_time", "%s: \"%s\" is neither RFC 3339 in UTC nor milliseconds", name,
        copy);
    return -1;
}

struct str call_text(const struct call *c, const char *name)
{
    return str_c(json_string(c->body, name, ""));
}

bool call_allows(struct call *c, const char *members)
{
    for (const struct json *m = json_first(c->body); m; m = json_following(m)) {
        struct str rest = str_c(members), piece;
        bool known = false;
        while (!known && rest.n && str_cut(&rest, ' ', &piece))
            known = str_eq(piece, str_c(json_key(m)));
        if (known)
            continue;
        call_error(c, 400, "unknown_member", "\"%s\" is not expected here; known: %s", json_key(m),
            members);
        return false;
    }
    return true;
}

struct str call_printf(struct call *c, const char *fmt, ...)
{
    char text[2048];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return arena_str(&c->arena, str_n(text, n < 0 ? 0 : MIN((size_t)n, sizeof text - 1)));
}

struct live_who call_who(const struct call *c)
{
    return (struct live_who){c->uid, c->user, c->terminal};
}

/* ---- answering ---- */

struct json_writer *call_begin(struct call *c)
{
    buf_reset(&c->out);
    c->writer = json_writer(&c->out);
    json_object_begin(&c->writer, NULL);
    return &c->writer;
}

struct json_writer *call_begin_change(struct call *c, int64_t revision, struct str marker)
{
    struct json_writer *w = call_begin(c);
    json_put_int(w, "revision", revision);
    json_put_int(w, "in_force_us", keeper_published_us() - c->began_us);
    json_put_str(w, "marker", marker);
    return w;
}

static void reply_text(struct call *c, int status, struct str text)
{
    static const struct http_header type[] = {
        {STR("content-type"), STR("application/json")},
        {STR("cache-control"), STR("no-store")},
    };
    c->answered = true;
    if (c->q)
        (void)http_reply(c->q, status, type, ARRAY_LEN(type), text);
    buf_fini(&c->out);
}

static void reply_now(struct call *c, int status)
{
    reply_text(c, status, buf_str(&c->out));
}

/* Puts a member behind the last one of the finished object. */
static void say_not_stored(struct call *c, const char *why)
{
    bool empty = c->out.n <= 2;
    c->out.n -= c->out.n > 0;
    buf_puts(&c->out, empty ? "\"not_stored\":" : ",\"not_stored\":");
    json_quote(&c->out, str_c(why));
    buf_putc(&c->out, '}');
}

static void stop_storing(struct call *c, const char *why)
{
    if (!c->storing)
        return; /* it was said already that it takes its time */
    c->storing = false;
    loop_timer_stop(c->admin->loop, &c->timer);
    if (why)
        say_not_stored(c, why);
    reply_now(c, c->status);
}

static void stored(struct call *c, int rc, int64_t revision)
{
    (void)revision;
    stop_storing(c, rc < 0 ? err_text(rc) : NULL);
}

static void stored_late(void *ctx)
{
    stop_storing(ctx, "the store takes its time; it is tried until it is stored");
}

/* False: there is no way to. */
static bool wait_until_stored(struct call *c, int status)
{
    struct store *store = c->admin->start.store;
    struct call_done *d = c->lost == keeper_lost() ? call_done_new(c, stored) : NULL;
    if (!d)
        return false;
    call_done_always(d);
    c->answered = c->storing = true;
    c->status = status;
    c->timer = (struct loop_timer){.fn = stored_late, .ctx = c};
    if (loop_timer_set(c->admin->loop, &c->timer, loop_now_us(c->admin->loop) + STORING_US) == 0 &&
        store_sync(store, call_done_post, d) == 0)
        return true;
    loop_timer_stop(c->admin->loop, &c->timer);
    c->storing = false;
    call_done_drop(d);
    return false;
}

static void reply(struct call *c, int status)
{
    bool changed = c->q && c->body && c->admin->start.store && c->changes != keeper_changes();
    if (changed && wait_until_stored(c, status))
        return;
    if (changed)
        say_not_stored(c, "the store takes no more changes for now; this one is lost when the gateway "
            "ends: make it again later");
    reply_now(c, status);
}

void call_send_redacted(struct call *c)
{
    if (!c->answered && !c->out.err)
        secret_redact(c->out.p, c->out.n);
    call_send(c);
}

void call_send(struct call *c)
{
    if (c->answered)
        return;
    json_object_end(&c->writer);
    if (c->out.err) {
        call_error(c, 507, "too_large", "the answer is larger than %zu MiB; ask for less",
            c->out.max >> 20);
        return;
    }
    reply(c, 200);
}

void call_send_text(struct call *c, struct str json)
{
    if (!c->answered)
        reply_text(c, 200, json);
}

void call_error(struct call *c, int status, const char *code, const char *fmt, ...)
{
    if (c->answered)
        return;
    char text[700];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    buf_reset(&c->out);
    json_write_error(&c->out, code, text);
    reply(c, status);
}

void call_failed(struct call *c, int rc, const struct err *e)
{
    static const struct {
        int code, status;
    } rows[] = {{ERR_NOT_FOUND, 404}, {ERR_CONFLICT, 409}, {ERR_STATE, 409}, {ERR_BUSY, 409},
        {ERR_DENIED, 403}, {ERR_DUPLICATE, 409}, {ERR_NOMEM, 503}, {ERR_FULL, 503},
        {ERR_TIMEOUT, 503}, {ERR_LIMIT, 413}, {ERR_IO, 503}, {ERR_CORRUPT, 500},
        {ERR_AGAIN, 503}, {ERR_CANCELLED, 503}};
    int code = rc < 0 ? -rc : rc, status = 400;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].code == code)
            status = rows[i].status;
    call_error(c, status, err_name(code), "%s", e && e->code ? e->text : err_text(code));
}

void call_must_go_on(struct call *c, unsigned held)
{
    if (c->q && !c->answered && !c->streaming && !c->waiting && c->references <= held)
        call_failed(c, -ERR_NOMEM, NULL);
}

void call_release(struct call *c)
{
    if (--c->references > 0)
        return;
    if (c->done)
        c->done(c);
    json_free(c->body);
    buf_fini(&c->out);
    arena_fini(&c->arena);
    free(c);
}

/* ---- questions ---- */

struct posted {
    struct loop_message message; /* first */
    struct loop *loop;
    struct call *call;
    call_answered *fn;
    struct store_answer *answer;
};

static void answer_arrived(struct loop_message *m)
{
    struct posted *p = (struct posted *)m;
    struct call *c = p->call;
    c->ticket = 0;
    if (c->q && !c->answered) {
        if (p->answer)
            p->fn(c, p->answer);
        else
            call_error(c, 503, "nomem", "out of memory");
        call_must_go_on(c, 2);
    }
    if (p->answer)
        store_answer_free(p->answer);
    call_release(c);
    free(p);
}

static void on_query_thread(void *ctx, struct store_answer *a)
{
    struct posted *p = ctx;
    p->answer = a;
    loop_post(p->loop, &p->message);
}

void call_ask(struct call *c, const struct store_query *q, call_answered *fn)
{
    struct store *store = c->admin->start.store;
    struct posted *p = store ? calloc(1, sizeof *p) : NULL;
    if (!p) {
        call_error(c, 503, "no_store", store ? "out of memory" : "nothing is stored here");
        return;
    }
    *p = (struct posted){{.fn = answer_arrived}, c->admin->loop, c, fn, NULL};
    c->references++;
    c->ticket = store_ask(store, q, on_query_thread, p);
    if (c->ticket)
        return;
    free(p);
    c->references--; /* the connection holds one more */
    call_error(c, 503, "busy", "too many questions wait; try again");
}

/* ---- appends that tell when they are done ---- */

struct call_done {
    struct loop_message message; /* first */
    struct call *call;
    call_done_fn *fn;
    int rc;
    int64_t revision;
    bool always;
};

static void done_arrived(struct loop_message *m)
{
    struct call_done *d = (struct call_done *)m;
    if (d->always || (d->call->q && !d->call->answered))
        d->fn(d->call, d->rc, d->revision);
    call_must_go_on(d->call, 2);
    call_done_drop(d);
}

struct call_done *call_done_new(struct call *c, call_done_fn *fn)
{
    struct call_done *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->message.fn = done_arrived;
    d->call = c;
    d->fn = fn;
    c->references++;
    return d;
}

void call_done_always(struct call_done *d)
{
    d->always = true;
}

void call_done_post(void *call_done, int rc, int64_t revision)
{
    struct call_done *d = call_done;
    d->rc = rc;
    d->revision = revision;
    loop_post(d->call->admin->loop, &d->message);
}

void call_done_drop(struct call_done *d)
{
    call_release(d->call);
    free(d);
}
