/* conn.c: one client connection: watching it leave, and its deadlines.
 *
 * libmicrohttpd does not look at a suspended connection, so a client that leaves while it waits
 * would be noticed never. Each client socket is therefore also in the loop's epoll, once, edge
 * triggered, for its whole life: EPOLLRDHUP tells of leaving (a half-close counts: it can't be told
 * from a close), EPOLLOUT of room for a blocked stream, EPOLLIN of the start of a next request.
 *
 * Deadlines are ours, since libmicrohttpd's move on with every byte and a drip would live for ever.
 * A connection has one timer, which is only ever set earlier; when it fires too early it is set
 * again. So a busy connection touches the heap once in seconds, not at every request. */
#include "proxy/http/internal.h"

#include <stdlib.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

void conn_wake(struct conn *c)
{
    c->suspended = c->quiet = false;
    c->shard->awake++;
}

static void on_socket(void *ctx, uint32_t events)
{
    struct conn *c = ctx;
    if (c->quiet && (events & ~(uint32_t)EPOLLOUT)) {
        conn_wake(c);
        c->shard->run = true;
    }
    if (events & EPOLLIN) {
        if (!c->input && !c->q)
            conn_deadline(c, loop_now_us(c->s->l) + c->s->config.head_deadline_us);
        c->input = true;
    }
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        c->left = true;
        conn_mark(c);
    }
    if ((events & EPOLLOUT) && c->q && c->q->blocked) {
        c->writable = true;
        conn_mark(c);
    }
}

/* ---- deadlines ---- */

void conn_kill(struct conn *c)
{
    conn_deadline(c, 0);
    shutdown(c->fd, SHUT_RDWR); /* libmicrohttpd reads the end and closes */
}

void conn_reset(struct conn *c)
{
    /* Disconnecting a TCP socket sends RST at once; SO_LINGER would act only at close(), after the
     * FIN that libmicrohttpd sends first. A unix socket has no RST: its reader misses the end. */
    struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
    if (c->local || connect(c->fd, &nowhere, sizeof nowhere) < 0)
        shutdown(c->fd, SHUT_RDWR);
}

static void deadline_of_head(struct conn *c)
{
    if (c->input && !c->left)
        conn_refuse(c, 408, "the request head took too long");
    conn_kill(c);
}

static void deadline_passed(struct conn *c)
{
    struct request *q = c->q;
    c->deadline_us = 0;
    if (!q)
        deadline_of_head(c);
    else if (q->state == REQUEST_BODY)
        request_body_late(q);
    else if (q->state == REQUEST_RAW)
        stream_stalled(q);
    else if (c->suspended)
        conn_resume(c);
    else
        conn_kill(c);
}

static void on_timer(void *ctx)
{
    struct conn *c = ctx;
    if (!c->deadline_us)
        return;
    if (c->deadline_us <= loop_now_us(c->s->l))
        deadline_passed(c);
    else if (loop_timer_set(c->s->l, &c->timer, c->deadline_us) < 0)
        conn_kill(c);
}

void conn_deadline(struct conn *c, int64_t due_us)
{
    c->deadline_us = due_us;
    if (!due_us || (loop_timer_running(&c->timer) && c->timer.due_us <= due_us))
        return;
    if (loop_timer_set(c->s->l, &c->timer, due_us) < 0) {
        c->deadline_us = 0;
        shutdown(c->fd, SHUT_RDWR);
    }
}

/* libmicrohttpd would now look at the socket again, find nothing, put it into its own epoll, and take
 * it out at the next request: four calls. While the socket is empty our own watch does instead: the
 * connection is quiet, and its shard need not run for its sake. What libmicrohttpd has in its buffer
 * (a pipelined request) it goes on with by itself, before it returns from the run. */
void conn_idle(struct conn *c, bool kept)
{
    struct http_server *s = c->s;
    int unread = 0;
    if (s->draining || c->left) {
        conn_kill(c);
        return;
    }
    conn_deadline(c, loop_now_us(s->l) + (c->input ? s->config.head_deadline_us : HTTP_IDLE_US));
    if (kept && !c->input &&
        (c->drained || (ioctl(c->fd, FIONREAD, &unread) == 0 && unread == 0))) {
        c->quiet = true;
        c->shard->awake--;
    }
}

void conn_suspend(struct conn *c)
{
    MHD_suspend_connection(c->mhd);
    c->suspended = true;
    c->shard->awake--;
}

/* ---- marks: what the phase has to look at ---- */

void conn_mark(struct conn *c)
{
    if (c->marked)
        return;
    c->marked = true;
    c->marked_prev = NULL;
    c->marked_next = c->s->marked;
    if (c->marked_next)
        c->marked_next->marked_prev = c;
    c->s->marked = c;
}

void conn_unmark(struct conn *c)
{
    if (!c->marked)
        return;
    c->marked = false;
    if (c->marked_prev)
        c->marked_prev->marked_next = c->marked_next;
    else
        c->s->marked = c->marked_next;
    if (c->marked_next)
        c->marked_next->marked_prev = c->marked_prev;
}

void conn_act(struct conn *c)
{
    struct request *q = c->q;
    bool sending = q && q->state == REQUEST_HELD; /* a half-closed client may still read */
    if (c->left && !c->suspended && !sending) /* what it sent may still be unread: that first */
        conn_deadline(c, loop_now_us(c->s->l) + HTTP_LEFT_US);
    if (!q)
        return;
    bool waiting = q->state == REQUEST_REST || q->state == REQUEST_RAW;
    if (c->left && waiting && c->suspended) {
        request_hangup(q);
    } else if (c->left && q->state == REQUEST_LEAVING && c->suspended) {
        conn_resume(c);
    } else if (q->state == REQUEST_RAW && (c->writable || q->head_waits)) {
        c->writable = false;
        stream_flush(q);
    }
}

void conn_resume(struct conn *c)
{
    if (!c->suspended)
        return;
    conn_wake(c);
    MHD_resume_connection(c->mhd);
    c->shard->run = true; /* libmicrohttpd does not ask for a run by itself after this */
}

/* ---- life ---- */

struct conn *conn_new(struct http_server *s, const struct listener *l, int fd,
    const struct sockaddr *peer, socklen_t peer_len)
{
    struct conn *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->s = s;
    c->fd = fd;
    c->local = l->local;
    c->port = l->port;
    c->accepted_us = loop_now_us(s->l);
    c->timer = (struct loop_timer){.fn = on_timer, .ctx = c};
    c->peer_uid = -1;
    buf_init(&c->target, s->config.header_bytes * 2);
    if (c->local) {
        int64_t pid = 0;
        c->peer_uid = peer_uid_unix(fd, &pid);
        c->peer.ss_family = AF_UNIX;
        snprintf(c->peer_text, sizeof c->peer_text, "unix:%lld", (long long)pid);
        return c;
    }
    memcpy(&c->peer, peer, MIN((size_t)peer_len, sizeof c->peer));
    peer_text(&c->peer, c->peer_text, sizeof c->peer_text);
    c->loopback = peer_is_loopback(&c->peer);
    if (c->loopback && s->config.ask_peer_uid) {
        struct sockaddr_storage own = {0};
        socklen_t n = sizeof own;
        if (getsockname(fd, (struct sockaddr *)&own, &n) == 0)
            c->peer_uid = peer_uid_inet(s->diag_fd, &c->peer, &own);
    }
    return c;
}

/* libmicrohttpd has taken it: from now on it is counted, watched and timed. */
static void conn_begin(struct conn *c, struct MHD_Connection *mhd)
{
    struct http_server *s = c->s;
    c->mhd = mhd;
    c->next = s->conns;
    if (c->next)
        c->next->prev = c;
    s->conns = c;
    s->stats.connections++;
    c->shard->connections++;
    c->shard->awake++;
    parser_knows(c);
    /* what is here already may be read before our watch is first asked, and it would tell nothing */
    int unread = 0;
    c->input = ioctl(c->fd, FIONREAD, &unread) == 0 && unread > 0;
    c->watch = loop_fd_add(s->l, c->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, on_socket, c);
    if (c->watch)
        conn_deadline(c, c->accepted_us + s->config.head_deadline_us);
    else
        shutdown(c->fd, SHUT_RDWR);
}

void conn_free(struct conn *c)
{
    struct peer_count *p = c->peer_count;
    if (p && --p->count == 0) {
        HASH_DEL(c->s->peers, p);
        free(p);
    }
    buf_fini(&c->target);
    free(c);
}

void conn_gone(struct conn *c)
{
    struct http_server *s = c->s;
    loop_fd_remove(s->l, c->watch);
    loop_timer_stop(s->l, &c->timer);
    conn_unmark(c);
    parser_forgets(c);
    if (c->prev)
        c->prev->next = c->next;
    else
        s->conns = c->next;
    if (c->next)
        c->next->prev = c->prev;
    s->stats.connections--;
    c->shard->connections--;
    c->shard->awake -= !c->suspended && !c->quiet;
    c->next = s->dead_conns;
    s->dead_conns = c;
    server_reap_later(s);
    if (!s->draining)
        listeners_resume(s);
}

void conn_notify(void *cls, struct MHD_Connection *mhd, void **socket_context,
    enum MHD_ConnectionNotificationCode code)
{
    struct http_server *s = cls;
    if (code == MHD_CONNECTION_NOTIFY_STARTED && s->adding) {
        *socket_context = s->adding;
        conn_begin(s->adding, mhd);
    } else if (code == MHD_CONNECTION_NOTIFY_CLOSED && *socket_context) {
        struct conn *c = *socket_context;
        *socket_context = NULL;
        conn_gone(c);
    }
}

struct conn *conn_of(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *i = MHD_get_connection_info(mhd,
        MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return i ? i->socket_context : NULL;
}
