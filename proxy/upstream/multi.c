/* multi.c: curl's multi interface under our loop: shards, sockets, timers.
 *
 * curl asks for an epoll_ctl three times a transfer: out of the set when a connection goes idle, in
 * again when the next request takes it. Connections therefore stay in epoll until they are closed
 * (we are told: curl opens and closes them through us), and a change is made only when it must be:
 *
 *     curl wants more than is armed, or less than an armed OUT   → change now
 *     curl wants less IN                                         → change when IN fires unasked
 *
 * Invariant: sockets[fd] is set from the moment curl names a descriptor until it is closed (or, for
 * a resolver's pipe, until curl lets go of it). */
#include "proxy/upstream/call.h"

#include "store/base/err.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOCKETS_AT_ONCE 256 /* the table grows by this many entries */

static void multi_disarm(struct upstream *u, struct upstream_socket *s)
{
    if (s->id)
        loop_fd_remove(u->loop, s->id);
    s->id = 0;
    s->armed = 0;
}

static void multi_forget(struct upstream *u, struct upstream_socket *s)
{
    multi_disarm(u, s);
    u->sockets[s->fd] = NULL;
    u->connections -= s->connection;
    free(s);
}

static struct upstream_socket *multi_find(struct upstream *u, int fd)
{
    return (size_t)fd < u->socket_cap ? u->sockets[fd] : NULL;
}

static struct upstream_socket *multi_remember(struct upstream *u, int fd)
{
    if ((size_t)fd >= u->socket_cap) {
        size_t cap = (size_t)fd + SOCKETS_AT_ONCE;
        struct upstream_socket **more = realloc(u->sockets, cap * sizeof(struct upstream_socket *));
        if (!more)
            return NULL;
        memset(more + u->socket_cap, 0, (cap - u->socket_cap) * sizeof(struct upstream_socket *));
        u->sockets = more;
        u->socket_cap = cap;
    }
    if (u->sockets[fd])
        multi_forget(u, u->sockets[fd]); /* closed behind our back: a resolver's pipe */
    struct upstream_socket *s = calloc(1, sizeof *s);
    if (s)
        s->fd = fd;
    return u->sockets[fd] = s;
}

static void multi_action(struct upstream_shard *shard, curl_socket_t fd, int bits)
{
    int running;
    shard->dirty = true;
    shard->u->entered++;
    shard->u->in_curl++;
    curl_multi_socket_action(shard->multi, fd, bits, &running);
    shard->u->in_curl--;
}

static void multi_on_event(void *ctx, uint32_t events);

static void multi_arm(struct upstream *u, struct upstream_socket *s, uint32_t events)
{
    if (s->id) {
        loop_fd_change(u->loop, s->id, events);
    } else {
        s->id = loop_fd_add(u->loop, s->fd, events, multi_on_event, s);
        if (!s->id)
            return; /* no descriptors or memory for epoll: the exchange's timers end the call */
    }
    s->armed = events;
}

/* An event nobody waits for. EPOLLHUP can't be masked, so the socket leaves epoll. Bytes on an idle
 * plain connection were not asked for (a second answer smuggled behind the first, or the end): it is
 * shut, so that curl finds it dead and never reuses it. On TLS they may be a session ticket. */
static void multi_on_idle_event(struct upstream *u, struct upstream_socket *s, bool idle)
{
    multi_disarm(u, s);
    if (idle && s->plain)
        shutdown(s->fd, SHUT_RDWR);
}

static void multi_on_event(void *ctx, uint32_t events)
{
    struct upstream_socket *s = ctx;
    struct upstream *u = s->shard->u;
    int fd = s->fd;
    upstream_act(u);
    if (multi_find(u, fd) != s || !s->id)
        return; /* a cancel closed it */
    uint32_t wanted = s->want | (s->want ? EPOLLHUP | EPOLLERR : 0);
    if (!(events & wanted)) {
        if (s->want)
            multi_arm(u, s, s->want);
        else if (events == EPOLLOUT)
            multi_arm(u, s, EPOLLIN); /* the answer had come before the socket was asked to be read */
        else
            multi_on_idle_event(u, s, s->connection && !s->held);
        return;
    }
    int bits = (events & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0) |
               (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
               (events & EPOLLERR ? CURL_CSELECT_ERR : 0);
    multi_action(s->shard, fd, bits);
}

/* curl waits for nothing on this connection: it is idle, or its reader is paused. */
static void multi_rest(struct upstream_socket *s, CURL *easy)
{
    struct upstream_call *c = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &c);
    s->want = 0;
    s->held = c && c->held;
}

static int multi_on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *unused)
{
    (void)unused;
    struct upstream_shard *shard = ctx;
    struct upstream *u = shard->u;
    struct upstream_socket *s = multi_find(u, fd);
    if (what == CURL_POLL_REMOVE) {
        if (s && s->connection)
            multi_rest(s, easy);
        else if (s)
            multi_forget(u, s);
        return 0;
    }
    if (!s && !(s = multi_remember(u, fd)))
        return 0;
    s->shard = shard;
    s->want = (what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0);
    if ((s->want & ~s->armed) || (s->armed & ~s->want & EPOLLOUT))
        multi_arm(u, s, s->want | (s->armed & EPOLLIN));
    return 0;
}

static void multi_on_timer(void *ctx)
{
    struct upstream_shard *shard = ctx;
    upstream_act(shard->u);
    multi_run_timer(shard);
}

static int multi_on_timeout(CURLM *multi, long ms, void *ctx)
{
    (void)multi;
    struct upstream_shard *shard = ctx;
    shard->due = ms == 0;
    if (ms > 0) {
        int64_t at = loop_now_us(shard->u->loop) + (int64_t)ms * 1000;
        shard->due = loop_timer_set(shard->u->loop, &shard->timer, at) < 0;
    } else {
        loop_timer_stop(shard->u->loop, &shard->timer);
    }
    return 0;
}

/* After a run curl 7.88 does not always say again when it wants the next one: ask. */
void multi_run_timer(struct upstream_shard *shard)
{
    shard->due = false;
    multi_action(shard, CURL_SOCKET_TIMEOUT, 0);
    long ms = -1;
    if (shard->due || loop_timer_running(&shard->timer))
        return;
    if (curl_multi_timeout(shard->multi, &ms) == CURLM_OK && ms >= 0)
        multi_on_timeout(shard->multi, ms, shard);
}

curl_socket_t multi_open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct upstream_call *c = ctx;
    (void)purpose;
    names_release(c, true);
    if (upstream_address_forbidden(&a->addr, c->allow_private, c->written)) {
        c->forbidden = true;
        return CURL_SOCKET_BAD;
    }
    int fd = socket(a->family, a->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->protocol);
    if (fd < 0)
        return CURL_SOCKET_BAD;
    struct upstream_socket *s = multi_remember(c->u, fd);
    if (!s) {
        close(fd);
        return CURL_SOCKET_BAD;
    }
    s->shard = c->shard;
    s->connection = true;
    s->plain = c->plain;
    c->u->connections++;
    c->opened++;
    c->dialled_size = MIN((socklen_t)a->addrlen, (socklen_t)sizeof c->dialled);
    memcpy(&c->dialled, &a->addr, c->dialled_size);
    return fd;
}

int multi_close_socket(void *ctx, curl_socket_t fd)
{
    struct upstream *u = ctx;
    struct upstream_socket *s = multi_find(u, fd);
    if (s)
        multi_forget(u, s);
    return close(fd);
}

struct upstream_shard *multi_choose(struct upstream *u)
{
    struct upstream_shard *least = &u->shards[0];
    for (unsigned i = 0; i < u->config.shards; i++) {
        if (u->shards[i].live < u->config.fill)
            return &u->shards[i];
        if (u->shards[i].live < least->live)
            least = &u->shards[i];
    }
    return least;
}

int multi_init(struct upstream *u, struct upstream_shard *s, struct err *e)
{
    s->u = u;
    s->timer = (struct loop_timer){.fn = multi_on_timer, .ctx = s};
    s->multi = curl_multi_init();
    CURLMcode rc = CURLM_OK;
    if (s->multi) {
        rc |= curl_multi_setopt(s->multi, CURLMOPT_SOCKETFUNCTION, multi_on_socket);
        rc |= curl_multi_setopt(s->multi, CURLMOPT_SOCKETDATA, s);
        rc |= curl_multi_setopt(s->multi, CURLMOPT_TIMERFUNCTION, multi_on_timeout);
        rc |= curl_multi_setopt(s->multi, CURLMOPT_TIMERDATA, s);
        rc |= curl_multi_setopt(s->multi, CURLMOPT_MAXCONNECTS, (long)u->config.fill);
    }
    if (!s->multi || rc != CURLM_OK)
        return err_set(e, ERR_NOMEM, "no memory for the upstream side");
    return 0;
}

void multi_fini(struct upstream_shard *s)
{
    if (!s->multi)
        return;
    s->u->in_curl++;
    curl_multi_cleanup(s->multi); /* closes its connections through multi_close_socket() */
    s->u->in_curl--;
    loop_timer_stop(s->u->loop, &s->timer);
    s->multi = NULL;
}
