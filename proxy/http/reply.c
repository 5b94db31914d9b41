/* reply.c: whole answers. Three ways out:
 *
 *   held   libmicrohttpd sends it and the connection lives on: the usual way.
 *   raw    as a stream of known length: for heads that do not fit libmicrohttpd's pool.
 *   leave  written straight to the socket, then our side is shut and the connection ends: for what
 *          the gate refuses, and for answers given while much of the body is still to come.
 *
 * Framing headers are never taken from the caller; values with control bytes never leave. */
#include "proxy/http/internal.h"
#include "store/base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

bool reply_header_bad(const struct http_header *h)
{
    if (h->name.n == 0)
        return true;
    for (size_t i = 0; i < h->name.n; i++)
        if (h->name.p[i] <= 0x20 || h->name.p[i] == 0x7f || h->name.p[i] == ':')
            return true;
    return !str_is_field(h->value);
}

bool reply_header_ours(struct str name)
{
    static const struct str ours[] = {{"connection", 10}, {"content-length", 14},
        {"keep-alive", 10}, {"transfer-encoding", 17}, {"upgrade", 7}, {"trailer", 7}};
    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        if (name.n == ours[i].n && str_eq_nocase(name, ours[i]))
            return true;
    /* Which pages may read an answer is decided here, not by a provider. */
    return str_starts_nocase(name, STR("access-control-"));
}

static bool any_bad(const struct http_header *h, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (reply_header_bad(&h[i]))
            return true;
    return false;
}

/* ---- the head of a raw answer ---- */

static const char *date_now(struct http_server *s)
{
    time_t now = (time_t)(clock_wall_ms() / 1000);
    struct tm tm;
    if (s->date_s != now && gmtime_r(&now, &tm)) {
        static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
        static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug",
            "Sep", "Oct", "Nov", "Dec"};
        s->date_s = now;
        snprintf(s->date, sizeof s->date, "%s, %02d %s %04d %02d:%02d:%02d GMT",
            days[tm.tm_wday % 7], tm.tm_mday, months[tm.tm_mon % 12], tm.tm_year + 1900, tm.tm_hour,
            tm.tm_min, tm.tm_sec);
    }
    return s->date;
}

static void put_header(struct buf *out, struct str name, struct str value)
{
    buf_put_str(out, name);
    buf_put(out, ": ", 2);
    buf_put_str(out, value);
    buf_put(out, "\r\n", 2);
}

static void put_status(struct buf *out, int status)
{
    const char *phrase = MHD_get_reason_phrase_for((unsigned)status);
    buf_puts(out, "HTTP/1.1 ");
    buf_put_i64(out, status);
    buf_putc(out, ' ');
    buf_puts(out, phrase ? phrase : "Unknown");
    buf_puts(out, "\r\n");
}

void reply_head(struct request *q, struct buf *out, int status, const struct http_header *headers,
    size_t n, int64_t length, bool chunked)
{
    bool dated = false;
    put_status(out, status);
    for (size_t i = 0; i < n; i++) {
        if (reply_header_ours(headers[i].name))
            continue;
        dated |= str_eq_nocase(headers[i].name, STR("date"));
        put_header(out, headers[i].name, headers[i].value);
    }
    if (q->facts.origin.n) {
        put_header(out, STR("Access-Control-Allow-Origin"), q->facts.origin);
        put_header(out, STR("Vary"), STR("Origin"));
    }
    if (!dated)
        put_header(out, STR("Date"), str_c(date_now(q->c->s)));
    if (chunked)
        buf_puts(out, "Transfer-Encoding: chunked\r\n");
    if (!chunked && length >= 0) {
        buf_puts(out, "Content-Length: ");
        buf_put_i64(out, length);
        buf_puts(out, "\r\n");
    }
    buf_puts(out, "Connection: close\r\n\r\n");
}

/* ---- leaving ---- */

void conn_refuse(struct conn *c, int status, const char *reason)
{
    struct http_server *s = c->s;
    struct buf body, out;
    struct str target = buf_str(&c->target);
    ptrdiff_t mark = str_chr(target, '?');
    buf_init(&body, 65536);
    buf_init(&out, 131072);
    s->stats.refused++;
    s->ev.refused(s->ctx, str_c(c->peer_text), status, reason);
    s->ev.error_body(s->ctx, mark < 0 ? target : str_first(target, (size_t)mark), status, reason,
        &body);
    put_status(&out, status);
    put_header(&out, STR("Content-Type"), STR("application/json"));
    put_header(&out, STR("Date"), str_c(date_now(s)));
    if (status == 429)
        put_header(&out, STR("Retry-After"), STR("1"));
    buf_printf(&out, "Content-Length: %zu\r\nConnection: close\r\n\r\n", body.n);
    buf_put_str(&out, buf_str(&body));
    if (!body.err && !out.err)
        send(c->fd, out.p, out.n, MSG_NOSIGNAL | MSG_DONTWAIT);
    shutdown(c->fd, SHUT_WR);
    buf_fini(&body);
    buf_fini(&out);
}

bool reply_leave(struct request *q, int status, const struct http_header *headers, size_t n,
    struct str body)
{
    struct conn *c = q->c;
    buf_reset(&q->out);
    reply_head(q, &q->out, status, headers, n, (int64_t)body.n, false);
    if (!q->head_only)
        buf_put_str(&q->out, body);
    request_enter(q, REQUEST_LEAVING);
    conn_deadline(c, loop_now_us(c->s->l) + HTTP_LINGER_US);
    /* It is the first thing in an empty socket buffer: what does not fit at once never will. */
    ssize_t sent = q->out.err ? -1 : send(c->fd, q->out.p, q->out.n, MSG_NOSIGNAL | MSG_DONTWAIT);
    bool whole = sent == (ssize_t)q->out.n;
    buf_reset(&q->out);
    if (!whole) {
        conn_reset(c);
        request_abort(q);
        return false;
    }
    shutdown(c->fd, SHUT_WR); /* nothing that libmicrohttpd might add can follow */
    if (c->suspended)
        conn_resume(c);
    return true;
}

/* ---- held ---- */

static bool add_header(struct request *q, struct MHD_Response *r, const struct http_header *h)
{
    if (h->value.n == 0 || reply_header_ours(h->name)) /* libmicrohttpd refuses empty values */
        return true;
    char *name = arena_c(&q->arena, h->name), *value = arena_c(&q->arena, h->value);
    if (!name || !value)
        return false;
    for (char *tab = value; (tab = strchr(tab, '\t'));) /* … and tabs */
        *tab = ' ';
    return MHD_add_response_header(r, name, value) == MHD_YES;
}

/* A listed Origin may read the answer, and is told what it may send. */
static bool add_origin(struct request *q, struct MHD_Response *r)
{
    char *origin = arena_c(&q->arena, q->facts.origin);
    bool ok = origin &&
              MHD_add_response_header(r, "Access-Control-Allow-Origin", origin) == MHD_YES &&
              MHD_add_response_header(r, "Vary", "Origin") == MHD_YES;
    if (!ok || !q->facts.preflight)
        return ok;
    char *asked = arena_c(&q->arena, q->facts.asked_headers);
    return asked &&
           MHD_add_response_header(r, "Access-Control-Allow-Methods", GATE_METHODS) == MHD_YES &&
           (!*asked ||
               MHD_add_response_header(r, "Access-Control-Allow-Headers", asked) == MHD_YES) &&
           MHD_add_response_header(r, "Access-Control-Max-Age", "600") == MHD_YES;
}

static bool build(struct request *q, int status, const struct http_header *headers, size_t n,
    struct str body)
{
    struct MHD_Response *r = MHD_create_response_from_buffer(body.n, (void *)(uintptr_t)body.p,
        MHD_RESPMEM_MUST_COPY);
    bool ok = r != NULL;
    for (size_t i = 0; ok && i < n; i++)
        ok = add_header(q, r, &headers[i]);
    if (ok && q->facts.origin.n)
        ok = add_origin(q, r);
    if (ok && q->c->s->draining)
        ok = MHD_add_response_header(r, "Connection", "close") == MHD_YES;
    if (!ok && r)
        MHD_destroy_response(r);
    q->response = ok ? r : NULL;
    q->status = status;
    q->answer_bytes = body.n;
    return ok;
}

/* May the connection be kept although the body is not read yet? */
static bool little_left(const struct request *q)
{
    if (q->facts.chunked)
        return false;
    if (!q->facts.has_length || q->facts.length == 0)
        return true;
    if (q->facts.expects_continue && q->body_seen == 0)
        return false;
    return q->facts.length - q->body_seen <= HTTP_DISCARD_BYTES;
}

/* libmicrohttpd builds the answer's head in what the request's head has left of the connection's
 * pool (about 72 bytes a header beside the text), and drops the connection when it does not fit. */
static bool fits_pool(const struct request *q, const struct http_header *headers, size_t n)
{
    enum { PER_HEADER = 80, MARGIN = 1024 };
    size_t pool = q->c->s->config.header_bytes / 2 * 3;
    size_t used = q->facts.head_bytes + q->pub.header_count * PER_HEADER + MARGIN;
    for (size_t i = 0; i < n; i++)
        used += headers[i].name.n + headers[i].value.n + 4;
    return used <= pool;
}

static int answer_raw(struct http_request *q, int status, const struct http_header *headers,
    size_t n, struct str body)
{
    int rc = http_stream_begin(q, status, headers, n, (int64_t)body.n);
    if (rc == 0)
        rc = http_stream_write(q, body);
    if (rc >= 0)
        http_stream_end(q, true);
    return rc < 0 ? rc : 0;
}

static int answer(struct request *q, int status, const struct http_header *headers, size_t n,
    struct str body)
{
    struct conn *c = q->c;
    bool resting = q->state == REQUEST_REST, fits = fits_pool(q, headers, n);
    if (resting && !fits)
        return answer_raw(&q->pub, status, headers, n, body);
    if (!resting && (!fits || !little_left(q))) {
        q->clean = reply_leave(q, status, headers, n, body);
        return 0;
    }
    if (!build(q, status, headers, n, body)) {
        request_abort(q);
        return -ERR_NOMEM;
    }
    request_enter(q, resting ? REQUEST_HELD : REQUEST_DISCARD);
    if (!resting)
        conn_deadline(c, loop_now_us(c->s->l) + c->s->config.body_idle_us);
    if (c->suspended)
        conn_resume(c);
    return 0;
}

int http_reply(struct http_request *pub, int status, const struct http_header *headers, size_t n,
    struct str body)
{
    struct request *q = request_of(pub);
    bool open = q->state == REQUEST_HEAD || q->state == REQUEST_BODY || q->state == REQUEST_REST;
    if (!open || q->hung || (q->c->left && q->c->suspended))
        return -ERR_STATE;
    if (!any_bad(headers, n))
        return answer(q, status, headers, n, body);
    struct http_server *s = q->c->s;
    struct http_header type = {STR("Content-Type"), STR("application/json")};
    struct buf error;
    buf_init(&error, 65536);
    s->ev.error_body(s->ctx, pub->path, 502, "an answer header held control bytes", &error);
    int rc = answer(q, 502, &type, 1, error.err ? STR("") : buf_str(&error));
    buf_fini(&error);
    return rc < 0 ? rc : -ERR_RANGE;
}
