/* request.c: libmicrohttpd's calls about one request, from head to completion.
 *
 * Its access handler is called once with the head, then for each piece of the body, then once more
 * with nothing; after a resume that last call is repeated. What each call does is decided by the
 * request's state (drawn in internal.h). An answer is queued only in the last call: queued earlier,
 * libmicrohttpd gives the connection up. */
#include "proxy/http/internal.h"

#include <stdlib.h>
#include <sys/socket.h>

enum { ARENA_FIRST = 512, ARENA_MAX = 4194304, BODY_CHECK_US = 10000000,
    LEAST_BYTES_PER_S = 16384 };

void request_enter(struct request *q, enum request_state state)
{
    q->state = state;
}

static int64_t now_us(const struct request *q)
{
    return loop_now_us(q->c->s->l);
}

/* ---- life: reused, so that a kept connection allocates nothing per request ---- */

static struct request *request_new(struct conn *c)
{
    struct http_server *s = c->s;
    struct request *q = s->spare;
    struct arena arena;
    struct buf body, out;
    if (q) {
        s->spare = q->next;
        s->spare_count--;
        arena = q->arena;
        body = q->pub.body;
        out = q->out;
    } else {
        q = malloc(sizeof *q);
        if (!q)
            return NULL;
        arena_init(&arena, ARENA_FIRST, ARENA_MAX);
        buf_init(&body, s->config.request_bytes);
        buf_init(&out, s->config.high_water + HTTP_QUEUE_SLACK);
    }
    *q = (struct request){.arena = arena, .c = c, .out = out, .length_left = -1};
    q->pub.body = body;
    q->pub.arena = &q->arena;
    s->stats.requests_live++;
    return q;
}

void request_free(struct request *q)
{
    arena_fini(&q->arena);
    buf_fini(&q->pub.body);
    buf_fini(&q->out);
    free(q);
}

static void request_release(struct request *q)
{
    struct http_server *s = q->c->s;
    if (q->charged)
        atomic_fetch_sub_explicit(s->config.memory_used, q->charged, memory_order_relaxed);
    if (q->response)
        MHD_destroy_response(q->response);
    stream_fini(q);
    s->stats.requests_live--;
    request_enter(q, REQUEST_OVER);
    q->c = NULL;
    q->next = s->dead;
    s->dead = q;
    server_reap_later(s);
}

void request_completed(void *cls, struct MHD_Connection *mhd, void **con_cls,
    enum MHD_RequestTerminationCode code)
{
    (void)mhd;
    struct http_server *s = cls;
    struct request *q = *con_cls;
    if (!q)
        return;
    struct conn *c = q->c;
    *con_cls = NULL;
    c->q = NULL;
    bool held = q->state == REQUEST_HELD && code == MHD_REQUEST_TERMINATED_COMPLETED_OK;
    if (q->told)
        s->ev.closed(s->ctx, &q->pub, held || q->clean);
    bool kept = held && !q->facts.wants_close;
    request_release(q);
    parser_reads(c); /* a pipelined request may follow at once */
    conn_idle(c, kept);
}

/* ---- the head ---- */

struct header_walk {
    struct http_header *out;
    size_t n, room;
};

static enum MHD_Result take_header(void *cls, enum MHD_ValueKind kind, const char *name,
    size_t name_n, const char *value, size_t value_n)
{
    (void)kind;
    struct header_walk *w = cls;
    if (w->n == w->room)
        return MHD_NO;
    w->out[w->n++] = (struct http_header){str_n(name, name_n), str_n(value ? value : "", value_n)};
    return MHD_YES;
}

static int take_headers(struct request *q, struct MHD_Connection *mhd)
{
    int n = MHD_get_connection_values_n(mhd, MHD_HEADER_KIND, NULL, NULL);
    struct header_walk w = {.room = n > 0 ? (size_t)n : 0};
    w.out = arena_alloc(&q->arena, (w.room + 1) * sizeof *w.out);
    if (!w.out)
        return -ERR_NOMEM;
    MHD_get_connection_values_n(mhd, MHD_HEADER_KIND, take_header, &w);
    q->pub.headers = w.out;
    q->pub.header_count = w.n;
    return 0;
}

static void describe(struct request *q, struct MHD_Connection *mhd, const char *method,
    const char *version)
{
    struct conn *c = q->c;
    struct http_request *p = &q->pub;
    struct gate_head head = {.method = str_c(method), .target = buf_str(&c->target),
        .version = str_c(version), .headers = p->headers, .header_count = p->header_count};
    struct gate_rules rules = c->s->rules;
    rules.port = c->port;
    rules.check_host = rules.check_host && !c->local;
    gate_check(&rules, &head, &q->facts);
    if (!q->facts.status && !seams_clean(mhd, &head)) {
        q->facts.status = 400;
        q->facts.reason = "the head holds NUL, a folded line, a header without a name or "
                           "blanks where none belong";
    }
    p->method = head.method;
    p->target = head.target;
    p->path = q->facts.path;
    p->query = q->facts.query;
    p->http10 = q->facts.http10;
    p->wants_close = q->facts.wants_close;
    p->peer = c->peer;
    p->peer_text = str_c(c->peer_text);
    p->peer_uid = c->peer_uid;
    p->peer_loopback = c->loopback;
    p->accepted_us = c->accepted_us;
    p->head_us = q->read_us = now_us(q);
    q->head_only = str_eq(p->method, STR("HEAD"));
}

void request_refuse(struct request *q, int status, const char *reason)
{
    struct http_server *s = q->c->s;
    struct buf body;
    struct http_header h[3];
    size_t n = 0;
    buf_init(&body, 65536);
    s->stats.refused++;
    s->ev.refused(s->ctx, q->pub.peer_text, status, reason);
    s->ev.error_body(s->ctx, q->pub.path, status, reason, &body);
    h[n++] = (struct http_header){STR("Content-Type"), STR("application/json")};
    if (status == 405)
        h[n++] = (struct http_header){STR("Allow"), STR(GATE_METHODS)};
    if (status == 503)
        h[n++] = (struct http_header){STR("Retry-After"), STR("1")};
    reply_leave(q, status, h, n, body.err ? STR("") : buf_str(&body));
    buf_fini(&body);
}

static enum MHD_Result on_head(struct conn *c, struct MHD_Connection *mhd, const char *method,
    const char *version, struct request *q)
{
    struct http_server *s = c->s;
    c->q = q;
    if (c->quiet)
        conn_wake(c);
    if (take_headers(q, mhd) < 0)
        return MHD_NO;
    describe(q, mhd, method, version);
    if (c->over_cap && s->stats.connections > s->config.connections && !q->facts.status) {
        q->facts.status = 503;
        q->facts.reason = "too many connections; try again soon";
    }
    if (q->facts.status) {
        request_refuse(q, q->facts.status, q->facts.reason);
    } else if (q->facts.preflight) {
        http_reply(&q->pub, 204, NULL, 0, STR(""));
    } else {
        conn_deadline(c, now_us(q) + MIN(s->config.body_idle_us, BODY_CHECK_US));
        q->told = true;
        q->in_handler = true;
        s->ev.head(s->ctx, &q->pub);
        q->in_handler = false;
        if (q->state == REQUEST_HEAD)
            request_enter(q, REQUEST_BODY);
    }
    bool over = q->state == REQUEST_ABORT ||
                (q->state == REQUEST_LEAVING && q->facts.expects_continue);
    return over ? MHD_NO : MHD_YES;
}

/* ---- the body ---- */

static bool charge(struct request *q)
{
    struct http_config *config = &q->c->s->config;
    int64_t due = (int64_t)(q->pub.body.n / HTTP_CHARGED_BYTES * HTTP_CHARGED_BYTES);
    if (!config->memory_used || due <= q->charged)
        return true;
    int64_t before = atomic_fetch_add_explicit(config->memory_used, due - q->charged,
        memory_order_relaxed);
    bool fits = before + due - q->charged <= config->memory_limit;
    q->charged = due;
    return fits;
}

static void take_body(struct request *q, const char *data, size_t n)
{
    struct buf *body = &q->pub.body;
    if (body->n == 0 && q->facts.has_length) /* what is announced is believed up to a point */
        buf_reserve(body, (size_t)MIN(q->facts.length, (uint64_t)HTTP_CHARGED_BYTES));
    buf_put(body, data, n);
    q->read_us = now_us(q);
    if (body->err == -ERR_LIMIT)
        request_refuse(q, 413, "the request body is larger than limits.request_bytes");
    else if (body->err || !charge(q))
        request_refuse(q, 503, "memory for uploads is used up; try again soon");
}

static enum MHD_Result on_body(struct request *q, const char *data, size_t *n)
{
    size_t got = *n;
    *n = 0;
    q->body_seen += got;
    if (q->state == REQUEST_BODY)
        take_body(q, data, got);
    else if (q->state == REQUEST_LEAVING && (q->discarded += got) > HTTP_LINGER_BYTES)
        return MHD_NO;
    return q->state == REQUEST_ABORT ? MHD_NO : MHD_YES;
}

/* Between reads at most body_idle_us, and on the whole not slower than the least rate. */
void request_body_late(struct request *q)
{
    const struct http_config *config = &q->c->s->config;
    if (q->c->left) { /* libmicrohttpd misses an end that came together with the last bytes */
        if (now_us(q) - q->read_us >= HTTP_LEFT_US)
            conn_kill(q->c);
        else
            conn_deadline(q->c, q->read_us + HTTP_LEFT_US);
        return;
    }
    int64_t now = now_us(q), took_us = now - q->pub.head_us;
    bool idle = now - q->read_us >= config->body_idle_us;
    bool slow = took_us >= BODY_CHECK_US &&
                q->pub.body.n < config->body_bytes_per_s * (uint64_t)(took_us / 1000000);
    if (idle || slow)
        request_refuse(q, 408, idle ? "no more of the request body came"
                                    : "the request body came too slowly");
    else
        conn_deadline(q->c, MIN(q->read_us + config->body_idle_us, now + BODY_CHECK_US));
}

/* ---- the end of the body, and every call after a resume ---- */

static enum MHD_Result send_held(struct request *q, struct MHD_Connection *mhd)
{
    struct http_server *s = q->c->s;
    enum MHD_Result ok = MHD_queue_response(mhd, (unsigned)q->status, q->response);
    MHD_destroy_response(q->response);
    q->response = NULL;
    request_enter(q, REQUEST_HELD);
    conn_deadline(q->c, now_us(q) + s->config.write_stall_us +
        (int64_t)(q->answer_bytes / LEAST_BYTES_PER_S) * 1000000);
    return ok;
}

/* Rests the connection until there is an answer. */
static enum MHD_Result rest(struct request *q)
{
    struct conn *c = q->c;
    conn_deadline(c, q->state == REQUEST_RAW && q->blocked
        ? now_us(q) + c->s->config.write_stall_us : 0);
    conn_suspend(c);
    if (c->left || q->head_waits)
        conn_mark(c);
    return MHD_YES;
}

/* A trailer that speaks of framing or routing is an attempt to be read twice. */
static enum MHD_Result check_trailer(void *cls, enum MHD_ValueKind kind, const char *name, size_t n,
    const char *value, size_t value_n)
{
    static const struct str forbidden[] = {{"content-length", 14}, {"transfer-encoding", 17},
        {"host", 4}, {"connection", 10}, {"content-encoding", 16}};
    (void)kind;
    (void)value;
    (void)value_n;
    for (size_t i = 0; i < ARRAY_LEN(forbidden); i++)
        if (str_eq_nocase(str_n(name, n), forbidden[i]))
            *(bool *)cls = true;
    return MHD_YES;
}

static bool trailers_bad(const struct request *q, struct MHD_Connection *mhd)
{
    bool bad = false;
    if (q->facts.chunked)
        MHD_get_connection_values_n(mhd, MHD_FOOTER_KIND, check_trailer, &bad);
    return bad;
}

static enum MHD_Result on_whole(struct request *q, struct MHD_Connection *mhd)
{
    struct http_server *s = q->c->s;
    if (q->state == REQUEST_BODY || q->state == REQUEST_DISCARD)
        q->c->input = false; /* what comes from here on is not of this request */
    if (q->state == REQUEST_BODY && trailers_bad(q, mhd)) {
        request_refuse(q, 400, "a trailer holds a header that cannot come after the body");
    } else if (q->state == REQUEST_BODY) {
        q->pub.body_us = now_us(q);
        request_enter(q, REQUEST_REST);
        q->in_handler = true;
        s->ev.body(s->ctx, &q->pub);
        q->in_handler = false;
    }
    if (q->state == REQUEST_DISCARD || q->state == REQUEST_HELD)
        return send_held(q, mhd);
    if (q->state == REQUEST_REST || q->state == REQUEST_RAW)
        return rest(q);
    return MHD_NO; /* LEAVING and ABORT end here */
}

enum MHD_Result request_handler(void *cls, struct MHD_Connection *mhd, const char *url,
    const char *method, const char *version, const char *data, size_t *data_n, void **con_cls)
{
    (void)url;
    struct request *q = *con_cls;
    ((struct http_server *)cls)->moves++;
    if (q)
        return *data_n ? on_body(q, data, data_n) : on_whole(q, mhd);
    struct conn *c = conn_of(mhd);
    q = c ? request_new(c) : NULL;
    if (!q)
        return MHD_NO;
    *con_cls = q;
    return on_head(c, mhd, method, version, q);
}

/* ---- ends before its time ---- */

void request_abort(struct request *q)
{
    struct conn *c = q->c;
    request_enter(q, REQUEST_ABORT);
    if (c->suspended)
        conn_resume(c);
    else if (!q->in_handler)
        conn_kill(c);
}

void request_hangup(struct request *q)
{
    struct http_server *s = q->c->s;
    if (!q->hung && q->told) {
        q->hung = true;
        s->ev.hangup(s->ctx, &q->pub);
    }
    request_abort(q);
}

struct str http_header_get(const struct http_request *q, struct str name)
{
    for (size_t i = 0; i < q->header_count; i++)
        if (q->headers[i].name.n == name.n && str_eq_nocase(q->headers[i].name, name))
            return q->headers[i].value;
    return STR_NULL;
}
