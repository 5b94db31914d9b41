/* stream.c: answers piece by piece, written straight to the client's socket.
 *
 * Why past libmicrohttpd: its content reader costs a resume, a walk over all suspended connections
 * and a copy per event. Here one event is one sendmsg() while the kernel takes it; the connection
 * stays suspended from the request's end to the answer's. The price is `Connection: close`.
 *
 * Invariants:
 *   - `out` holds what the kernel has not taken yet, from `sent` on. While `blocked`, all that
 *     is new goes behind it, and EPOLLOUT (always armed, edge triggered: fires only after a send
 *     that did not fit) brings the phase here.
 *   - `head_waits`: out holds just the head, not yet tried; it leaves with the first piece, or in
 *     the phase of this turn when there is none.
 *   - An end that is not clean must show: the last chunk, or bytes of the announced length, are
 *     missing, or (where only the connection's end would end it) the connection is reset. */
#include "proxy/http/internal.h"

#include <errno.h>
#include <limits.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { CHUNK_SIZE_TEXT = 2 * sizeof(size_t) + 2 };

static int64_t now_us(const struct request *q)
{
    return loop_now_us(q->c->s->l);
}

static size_t queued(const struct request *q)
{
    return q->out.n - q->sent;
}

/* Bytes that the kernel holds for this client: they shrink while it reads, however slowly. */
static int unacked(const struct request *q)
{
    int n = 0;
    return ioctl(q->c->fd, SIOCOUTQ, &n) < 0 ? 0 : n;
}

static void set_blocked(struct request *q, bool blocked)
{
    if (q->blocked == blocked)
        return;
    q->blocked = blocked;
    if (blocked) {
        q->blocked_us = now_us(q);
        q->unacked = unacked(q);
        conn_deadline(q->c, now_us(q) + q->c->s->config.write_stall_us);
    } else {
        int64_t stalled_us = now_us(q) - q->blocked_us;
        q->stall_us += stalled_us;
        q->c->s->stats.client_stall_us_total += stalled_us;
        conn_deadline(q->c, 0);
    }
}

/* The client can't be written to any more: the phase tells the owner. */
static int gone(struct request *q)
{
    q->c->left = true;
    conn_mark(q->c);
    return -ERR_STATE;
}

/* Forgets what the kernel has taken, and the memory too: a stream that is read needs none. */
static void compact(struct request *q)
{
    if (q->sent == q->out.n) {
        buf_fini(&q->out);
        q->sent = 0;
    } else if (q->sent > q->out.n / 2) { /* amortised: moves at most what was sent */
        buf_drop(&q->out, q->sent);
        q->sent = 0;
    }
}

/* Sends pieces in order; what does not fit is queued. `from_queue`: piece 0 is the queue itself. */
static int send_pieces(struct request *q, struct iovec *v, size_t n, bool from_queue)
{
    struct msghdr m = {.msg_iov = v, .msg_iovlen = n};
    size_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += v[i].iov_len;
    ssize_t took = sendmsg(q->c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (took < 0 && errno != EAGAIN && errno != EINTR && errno != ENOBUFS)
        return gone(q);
    size_t left = took < 0 ? 0 : (size_t)took;
    if (left == total) {
        q->sent = q->out.n;
        compact(q);
        set_blocked(q, false);
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        size_t skip = MIN(left, v[i].iov_len);
        left -= skip;
        if (from_queue && i == 0)
            q->sent += skip;
        else
            buf_put(&q->out, (char *)v[i].iov_base + skip, v[i].iov_len - skip);
    }
    set_blocked(q, true);
    return q->out.err ? q->out.err : 0;
}

static int put_pieces(struct request *q, struct iovec *v, size_t n)
{
    if (q->blocked) {
        for (size_t i = 1; i < n; i++)
            buf_put(&q->out, v[i].iov_base, v[i].iov_len);
        return q->out.err;
    }
    bool head = q->head_waits;
    q->head_waits = false;
    if (!head)
        return send_pieces(q, v + 1, n - 1, false);
    v[0] = (struct iovec){q->out.p + q->sent, queued(q)};
    return send_pieces(q, v, n, true);
}

/* ---- ending ---- */

static void finish(struct request *q)
{
    struct conn *c = q->c;
    /* A missing last chunk, or bytes missing of an announced length, tell the client that it was cut;
     * what it has not read yet (our error event) still reaches it. A reset would take that back. */
    bool framing_tells = q->chunked || q->length_left > 0;
    if (!q->end_clean && !framing_tells) {
        conn_reset(c);
        request_abort(q);
        return;
    }
    q->clean = q->end_clean;
    request_enter(q, REQUEST_LEAVING);
    if (c->input && !c->left) {
        /* Unread bytes make close() a reset, which would take back what the client has not read
         * yet: say that it is over and wait for the client to go. */
        shutdown(c->fd, SHUT_WR);
        conn_deadline(c, now_us(q) + c->s->config.write_stall_us);
    } else {
        conn_deadline(c, now_us(q) + HTTP_LINGER_US);
        conn_resume(c);
    }
}

static void after_send(struct request *q)
{
    struct http_server *s = q->c->s;
    if (q->c->left || q->state != REQUEST_RAW)
        return;
    if (q->over_high && queued(q) <= s->config.low_water) {
        q->over_high = false;
        if (!q->ended)
            s->ev.drained(s->ctx, &q->pub);
    }
    if (q->ended && !q->blocked && q->state == REQUEST_RAW)
        finish(q);
}

void stream_flush(struct request *q)
{
    q->head_waits = false;
    while (queued(q)) {
        ssize_t took = send(q->c->fd, q->out.p + q->sent, queued(q), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (took < 0 && errno == EINTR)
            continue;
        if (took < 0 && errno != EAGAIN && errno != ENOBUFS) {
            gone(q);
            return;
        }
        if (took <= 0)
            break;
        q->sent += (size_t)took;
        q->unacked = INT_MAX;
        if (q->blocked)
            conn_deadline(q->c, now_us(q) + q->c->s->config.write_stall_us);
    }
    compact(q);
    set_blocked(q, queued(q) > 0);
    after_send(q);
}

/* EPOLLOUT comes when a third of the socket's buffer is free: a slow reader may need long for that.
 * As long as it takes anything at all it is not given up. */
void stream_stalled(struct request *q)
{
    int left = unacked(q);
    if (q->blocked && left < q->unacked) {
        q->unacked = left;
        conn_deadline(q->c, now_us(q) + q->c->s->config.write_stall_us);
    } else if (q->blocked) {
        conn_reset(q->c);
        request_hangup(q);
    }
}

void stream_fini(struct request *q)
{
    if (q->blocked)
        set_blocked(q, false);
    q->sent = q->out.n;
    compact(q);
}

/* ---- the door ---- */

int http_stream_begin(struct http_request *pub, int status, const struct http_header *headers,
    size_t n, int64_t length)
{
    struct request *q = request_of(pub);
    struct conn *c = q->c;
    if (q->state != REQUEST_REST || q->hung || (c->left && c->suspended))
        return -ERR_STATE;
    for (size_t i = 0; i < n; i++)
        if (reply_header_bad(&headers[i]))
            return http_reply(pub, status, headers, n, STR(""));
    bool bare = status == 204 || status == 304 || status < 200;
    q->chunked = length < 0 && !q->pub.http10 && !bare;
    q->head_only |= bare;
    q->length_left = bare ? -1 : length;
    buf_reset(&q->out);
    reply_head(q, &q->out, status, headers, n, q->length_left, q->chunked);
    if (q->out.err) {
        request_abort(q);
        return -ERR_NOMEM;
    }
    request_enter(q, REQUEST_RAW);
    q->head_waits = true;
    conn_mark(c);
    return 0;
}

/* "1a\r\n", at the end of `memory`: once an event, so no format is parsed. */
static struct iovec chunk_size(size_t n, char memory[CHUNK_SIZE_TEXT])
{
    char *p = memory + CHUNK_SIZE_TEXT;
    *--p = '\n';
    *--p = '\r';
    do
        *--p = "0123456789abcdef"[n & 15];
    while (n >>= 4);
    return (struct iovec){p, (size_t)(memory + CHUNK_SIZE_TEXT - p)};
}

int http_stream_write(struct http_request *pub, struct str bytes)
{
    struct request *q = request_of(pub);
    if (q->state != REQUEST_RAW || q->ended || q->c->left)
        return -ERR_STATE;
    if (q->length_left >= 0 && bytes.n > (uint64_t)q->length_left)
        return -ERR_RANGE;
    if (q->length_left >= 0)
        q->length_left -= (int64_t)bytes.n;
    if (q->head_only || bytes.n == 0)
        return 0;
    char size[CHUNK_SIZE_TEXT];
    struct iovec v[4]; /* 0 is for a waiting head */
    size_t pieces = 1;
    if (q->chunked)
        v[pieces++] = chunk_size(bytes.n, size);
    v[pieces++] = (struct iovec){(char *)(uintptr_t)bytes.p, bytes.n};
    if (q->chunked)
        v[pieces++] = (struct iovec){"\r\n", 2};
    int rc = put_pieces(q, v, pieces);
    if (rc == -ERR_LIMIT || rc == -ERR_NOMEM) { /* a source that did not stop at high water */
        conn_reset(q->c);
        gone(q);
    }
    if (rc == 0 && queued(q) > q->c->s->config.high_water)
        q->over_high = true;
    return rc < 0 ? rc : q->over_high;
}

size_t http_stream_queued(const struct http_request *pub)
{
    return queued(request_of(pub));
}

void http_stream_end(struct http_request *pub, bool clean)
{
    struct request *q = request_of(pub);
    if (q->state != REQUEST_RAW || q->ended || q->c->left)
        return;
    q->ended = true;
    q->end_clean = clean && (q->length_left <= 0 || q->head_only);
    if (q->chunked && q->end_clean && !q->head_only) {
        struct iovec v[2] = {[1] = {"0\r\n\r\n", 5}};
        if (put_pieces(q, v, 2) < 0)
            return;
    } else if (q->head_waits) {
        stream_flush(q); /* finishes too */
        return;
    }
    if (!q->blocked)
        finish(q);
}

int64_t http_client_stall_us(const struct http_request *pub)
{
    const struct request *q = request_of(pub);
    return q->stall_us + (q->blocked ? now_us(q) - q->blocked_us : 0);
}
