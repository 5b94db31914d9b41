/* listen.c: listening sockets of our own, and accepting.
 *
 * Why not libmicrohttpd's: it accepts into one daemon, and we spread connections over many. Own
 * accepting also gives limits per peer, a pause when descriptors run out, and draining. */
#include "proxy/http/internal.h"
#include "store/base/log.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/un.h>
#include <unistd.h>

/* A few at a time: the phase comes again in the same turn, and a burst of new requests (a quarter of a
 * millisecond each, cold) must not keep running streams waiting. */
enum { ACCEPT_BATCH = 8, PAUSE_US = 100000, SAY_US = 10000000, BACKLOG = 1024 };

/* ---- opening ---- */

static int split_address(
    struct str address, char *host, size_t host_size, char *port, struct err *e)
{
    ptrdiff_t colon = -1;
    for (size_t i = 0; i < address.n; i++)
        if (address.p[i] == ':')
            colon = (ptrdiff_t)i;
    uint64_t number;
    struct str name = colon < 0 ? STR_NULL : str_first(address, (size_t)colon);
    struct str digits = colon < 0 ? STR_NULL : str_from(address, (size_t)colon + 1);
    if (name.n >= 2 && name.p[0] == '[' && name.p[name.n - 1] == ']')
        name = str_n(name.p + 1, name.n - 2);
    else if (str_chr(name, ':') >= 0)
        name = STR_NULL;
    if (name.n == 0 || name.n >= host_size || !str_to_u64(digits, &number) || number > 65535)
        return err_set(e, ERR_SYNTAX, "listen: \"" STR_FMT "\" is not HOST:PORT, such as "
            "127.0.0.1:4141 or [::1]:4141", STR_ARG(address));
    str_copy(host, host_size, name);
    snprintf(port, 8, "%u", (unsigned)number);
    return 0;
}

static unsigned own_port(int fd)
{
    struct sockaddr_storage a;
    socklen_t n = sizeof a;
    if (getsockname(fd, (struct sockaddr *)&a, &n) < 0)
        return 0;
    if (a.ss_family == AF_INET)
        return ntohs(((struct sockaddr_in *)(void *)&a)->sin_port);
    if (a.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)(void *)&a)->sin6_port);
    return 0;
}

static int open_socket(const struct addrinfo *a, bool shared)
{
    int on = 1, idle_s = 60, interval_s = 15;
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    /* Accepted sockets inherit these. Probes find the client whose machine or network is gone while
     * it waits for a first token: nothing else is sent then. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
    if ((shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0) ||
        bind(fd, a->ai_addr, a->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

static int listen_failed(int why, struct str address, const struct sockaddr *a, struct err *e)
{
    char holder[160];
    if (why == EADDRINUSE && port_holder(a, holder, sizeof holder))
        return err_set(e, ERR_BUSY, "listen: " STR_FMT ": %s, %s; end it, or take another address "
            "with --listen HOST:PORT", STR_ARG(address), strerror(why), holder);
    if (why == EACCES)
        return err_set(e, ERR_DENIED, "listen: " STR_FMT ": %s; ports below 1024 are for root: take "
            "a higher one with --listen HOST:PORT", STR_ARG(address), strerror(why));
    return err_set(e, why == EADDRINUSE ? ERR_BUSY : ERR_NETWORK, "listen: " STR_FMT ": %s",
        STR_ARG(address), strerror(why));
}

int http_listen_tcp(struct str address, bool shared, int *port, struct err *e)
{
    char host[256], service[8];
    int rc = split_address(address, host, sizeof host, service, e);
    if (rc < 0)
        return rc;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found = NULL;
    int failed = getaddrinfo(host, service, &hints, &found);
    if (failed)
        return err_set(e, ERR_NETWORK, "listen: %s: %s", host, gai_strerror(failed));
    int fd = open_socket(found, shared);
    if (fd < 0)
        rc = listen_failed(errno, address, found->ai_addr, e);
    freeaddrinfo(found);
    if (fd < 0)
        return rc;
    if (port)
        *port = (int)own_port(fd);
    return fd;
}

/* ---- watching ---- */

static void on_ready(void *ctx, uint32_t events)
{
    (void)events;
    ((struct listener *)ctx)->ready = true;
}

static void listener_pause(struct listener *l)
{
    if (!l->paused)
        loop_fd_change(l->s->l, l->watch, 0);
    l->paused = true;
    l->ready = false;
}

static void listener_resume(void *ctx)
{
    struct listener *l = ctx;
    if (l->paused)
        loop_fd_change(l->s->l, l->watch, EPOLLIN);
    l->paused = false;
}

static size_t most_connections(const struct http_server *s)
{
    return s->config.connections + MAX((size_t)HTTP_OVER_CAP, s->config.connections / 4);
}

int http_server_listen(struct http_server *s, int listen_fd, struct err *e)
{
    struct sockaddr_storage a = {0};
    socklen_t n = sizeof a;
    struct listener *l = calloc(1, sizeof *l);
    if (!l || getsockname(listen_fd, (struct sockaddr *)&a, &n) < 0) {
        free(l);
        close(listen_fd);
        return err_set(e, ERR_NOMEM, "listen: out of memory");
    }
    *l = (struct listener){.s = s, .fd = listen_fd, .port = own_port(listen_fd),
        .local = a.ss_family == AF_UNIX, .retry = {.fn = listener_resume, .ctx = l}};
    l->watch = loop_fd_add(s->l, listen_fd, EPOLLIN, on_ready, l);
    if (!l->watch) {
        close(listen_fd);
        free(l);
        return err_set(e, ERR_IO, "listen: cannot watch the socket: %s", strerror(errno));
    }
    l->next = s->listeners;
    s->listeners = l;
    return 0;
}

/* ---- accepting ---- */

static bool peer_allowed(struct http_server *s, struct conn *c)
{
    struct peer_count *p = NULL;
    unsigned char address[16] = {0};
    if (!s->config.peer_connections || c->loopback || c->local ||
        (s->ev.peer_exempt && s->ev.peer_exempt(s->ctx, (struct sockaddr *)&c->peer)))
        return true;
    if (c->peer.ss_family == AF_INET6)
        memcpy(address, &((struct sockaddr_in6 *)(void *)&c->peer)->sin6_addr, 16);
    else
        memcpy(address, &((struct sockaddr_in *)(void *)&c->peer)->sin_addr, 4);
    HASH_FIND(hh, s->peers, address, sizeof address, p);
    if (!p && (p = calloc(1, sizeof *p))) {
        memcpy(p->address, address, sizeof address);
        HASH_ADD(hh, s->peers, address, sizeof address, p);
    }
    if (!p || p->count >= s->config.peer_connections)
        return false;
    p->count++;
    c->peer_count = p;
    return true;
}

static struct shard *least_loaded(struct http_server *s)
{
    struct shard *best = &s->shards[0];
    for (unsigned i = 1; i < s->config.shards && best->connections; i++)
        if (s->shards[i].connections < best->connections)
            best = &s->shards[i];
    return best;
}

static void take_in(struct listener *l, int fd, const struct sockaddr *peer, socklen_t peer_len)
{
    /* libmicrohttpd wants an internet address; what it is given here it never looks at. */
    static const struct sockaddr_in placeholder = {.sin_family = AF_INET};
    struct http_server *s = l->s;
    struct conn *c = conn_new(s, l, fd, peer, peer_len);
    if (!c || !peer_allowed(s, c)) {
        if (c) {
            conn_refuse(c, 429, "this address has as many connections as limits.peer_connections "
                "allows");
            conn_free(c);
        }
        close(fd);
        return;
    }
    c->over_cap = s->stats.connections >= s->config.connections;
    c->shard = least_loaded(s);
    s->adding = c;
    enum MHD_Result ok = MHD_add_connection(c->shard->d, fd, (const struct sockaddr *)&placeholder,
        sizeof placeholder);
    s->adding = NULL;
    if (ok != MHD_YES) { /* it has closed fd */
        if (!c->mhd)
            conn_free(c);
        return;
    }
    s->stats.accepted++;
    c->shard->run = true; /* most bring their request along */
}

/* Waits for others to close instead of spinning on a backlog that can't be taken. */
static void out_of_descriptors(struct listener *l)
{
    struct http_server *s = l->s;
    int64_t now_us = loop_now_us(s->l);
    if (!s->paused_us || now_us - s->paused_us > SAY_US) {
        log_warn("accept: %s; new clients wait", strerror(errno));
        s->paused_us = now_us;
    }
    listener_pause(l);
    loop_timer_set(s->l, &l->retry, now_us + PAUSE_US);
}

static void accept_from(struct listener *l)
{
    struct http_server *s = l->s;
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        if (s->stats.connections >= most_connections(s)) {
            listener_pause(l);
            return;
        }
        struct sockaddr_storage peer = {0};
        socklen_t n = sizeof peer;
        int fd = accept4(l->fd, (struct sockaddr *)&peer, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            take_in(l, fd, (struct sockaddr *)&peer, n);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            out_of_descriptors(l);
            return;
        } else if (errno == EAGAIN) {
            l->ready = false;
            return;
        }
    }
}

void listeners_accept(struct http_server *s)
{
    for (struct listener *l = s->listeners; l; l = l->next)
        if (l->ready)
            accept_from(l);
}

bool listeners_ready(const struct http_server *s)
{
    for (const struct listener *l = s->listeners; l; l = l->next)
        if (l->ready)
            return true;
    return false;
}

void listeners_resume(struct http_server *s)
{
    if (s->stats.connections >= most_connections(s))
        return;
    for (struct listener *l = s->listeners; l; l = l->next)
        if (l->paused && !loop_timer_running(&l->retry))
            listener_resume(l);
}

/* What waits in a backlog would be reset when it closes: at most as many as fit there. */
void listeners_empty(struct http_server *s)
{
    for (struct listener *l = s->listeners; l; l = l->next) {
        l->ready = !l->paused;
        for (int i = 0; l->ready && i <= BACKLOG / ACCEPT_BATCH; i++)
            accept_from(l);
    }
}

void listeners_close(struct http_server *s)
{
    while (s->listeners) {
        struct listener *l = s->listeners;
        s->listeners = l->next;
        loop_timer_stop(s->l, &l->retry);
        loop_fd_remove(s->l, l->watch);
        close(l->fd);
        free(l);
    }
}
