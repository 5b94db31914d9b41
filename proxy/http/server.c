/* server.c: the daemons of one thread, and this room's phase of the turn.
 *
 * Each shard is a libmicrohttpd daemon without thread and listen socket, whose epoll descriptor
 * sits in the loop's epoll. Many shards, because each resume walks all suspended connections of its
 * daemon. The phase: accept · act on marked connections (left, writable, a head to send) · run the
 * daemons that have something to do, again while callbacks make more work, a few rounds at most.
 *
 * Stopping a daemon with a suspended connection aborts the process; http_server_free() ends and
 * resumes them all first. */
#include "proxy/http/internal.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* 0.9.75 at its strict level reads what a client may send, and from 1.0 on the middle one does: bare
 * line feeds, blanks around values and chunk sizes, empty lines in front. What would change framing is
 * refused at both (gate.c, tests/unit/test_probes.c). */
#if MHD_VERSION >= 0x01000000
#define HOW_STRICT MHD_OPTION_CLIENT_DISCIPLINE_LVL, 0
#else
#define HOW_STRICT MHD_OPTION_STRICT_FOR_CLIENT, 1
#endif

enum { ROUNDS = 8, FREE_ROUNDS = 100000, IDLE_RUNS = 16 };

/* ---- what is over is freed at the end of the turn ---- */

static void reap(void *ctx)
{
    struct http_server *s = ctx;
    s->reap_pending = false;
    while (s->dead) {
        struct request *q = s->dead;
        s->dead = q->next;
        arena_reset(&q->arena);
        buf_reset(&q->pub.body);
        if (q->pub.body.cap > HTTP_KEEP_BYTES)
            buf_fini(&q->pub.body);
        if (s->spare_count >= HTTP_SPARE_REQUESTS) {
            request_free(q);
            continue;
        }
        q->next = s->spare;
        s->spare = q;
        s->spare_count++;
    }
    while (s->dead_conns) {
        struct conn *c = s->dead_conns;
        s->dead_conns = c->next;
        conn_free(c);
    }
}

void server_reap_later(struct http_server *s)
{
    if (!s->reap_pending && !s->freeing)
        s->reap_pending = loop_defer(s->l, reap, s) == 0;
}

/* ---- the phase ---- */

static void act_on_marked(struct http_server *s)
{
    struct conn *c;
    while ((c = s->marked)) {
        conn_unmark(c);
        conn_act(c);
    }
}

static void shard_run(struct shard *d)
{
    MHD_UNSIGNED_LONG_LONG wait_ms;
    uint64_t before = d->s->moves;
    d->run = false;
    parser_run(d->s, d->d);
    if (d->awake && MHD_get_timeout(d->d, &wait_ms) == MHD_YES && wait_ms == 0)
        d->run = true; /* somebody who is not quiet is still being read from, or written to */
    d->idle_runs = d->run && d->s->moves == before ? d->idle_runs + 1 : 0;
    if (d->idle_runs >= IDLE_RUNS) {
        d->idle_runs = 0;
        parser_unstick(d->s, d);
    }
}

static bool shards_run(struct http_server *s)
{
    bool any = false;
    for (unsigned i = 0; i < s->config.shards; i++)
        if (s->shards[i].run) {
            shard_run(&s->shards[i]);
            any = true;
        }
    return any;
}

static bool wants_turn(const struct http_server *s)
{
    if (s->marked || listeners_ready(s) || ((s->dead || s->dead_conns) && !s->reap_pending))
        return true;
    for (unsigned i = 0; i < s->config.shards; i++)
        if (s->shards[i].run)
            return true;
    return false;
}

static bool http_phase(void *ctx)
{
    struct http_server *s = ctx;
    listeners_accept(s);
    for (int i = 0; i < ROUNDS; i++) {
        act_on_marked(s);
        if (!shards_run(s))
            break;
    }
    if ((s->dead || s->dead_conns) && !s->reap_pending)
        server_reap_later(s);
    return wants_turn(s);
}

/* Work left by somebody who acted after the phase (a timer, a later room). */
static int64_t http_wait(void *ctx)
{
    return wants_turn(ctx) ? 0 : INT64_MAX;
}

/* ---- libmicrohttpd ---- */

static void on_shard(void *ctx, uint32_t events)
{
    (void)events;
    ((struct shard *)ctx)->run = true;
}

static void *take_target(void *cls, const char *uri, struct MHD_Connection *mhd)
{
    (void)cls;
    struct conn *c = conn_of(mhd);
    if (c) {
        buf_reset(&c->target);
        buf_puts(&c->target, uri);
    }
    return NULL;
}

/* The path is judged and passed on as it came; libmicrohttpd must not decode it. */
static size_t keep_escapes(void *cls, struct MHD_Connection *mhd, char *text)
{
    (void)cls;
    (void)mhd;
    return strlen(text);
}

/* One thread runs a shard. A library that is not told so (1.0) takes a connection only in the next
 * run, by way of an eventfd, and we could not say whose it is; before 0.9.77 it had no such word. */
#if MHD_VERSION >= 0x00097707
enum { ONE_THREAD = MHD_USE_NO_THREAD_SAFETY };
#else
enum { ONE_THREAD = 0 };
#endif

static int shard_start(struct http_server *s, struct shard *d, struct err *e)
{
    const struct http_config *config = &s->config;
    d->s = s;
    d->d = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET |
            MHD_USE_ERROR_LOG | ONE_THREAD, 0, NULL, NULL, request_handler, s,
        MHD_OPTION_EXTERNAL_LOGGER, parser_log, s, /* first: it catches what the others say */
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, config->header_bytes + config->header_bytes / 2,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)(config->connections * 2 + HTTP_OVER_CAP),
        MHD_OPTION_CONNECTION_TIMEOUT, 0u,
        HOW_STRICT,
        MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
        MHD_OPTION_URI_LOG_CALLBACK, take_target, s,
        MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, s,
        MHD_OPTION_NOTIFY_COMPLETED, request_completed, s,
        MHD_OPTION_NOTIFY_CONNECTION, conn_notify, s,
        MHD_OPTION_END);
    const union MHD_DaemonInfo *info =
        d->d ? MHD_get_daemon_info(d->d, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (!info || info->epoll_fd < 0)
        return err_set(e, ERR_IO,
            "http: libmicrohttpd did not start (raise the limit of open files?)");
    d->watch = loop_fd_add(s->l, info->epoll_fd, EPOLLIN, on_shard, d);
    return d->watch ? 0 : err_set(e, ERR_NOMEM, "http: out of memory");
}

/* ---- life ---- */

void http_server_names(struct http_server *s, const struct str *hosts, size_t host_count,
    const struct str *origins, size_t origin_count)
{
    s->rules.hosts = hosts;
    s->rules.host_count = host_count;
    s->rules.origins = origins;
    s->rules.origin_count = origin_count;
}

static void ignore_sigpipe(void)
{
    struct sigaction now;
    if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
        signal(SIGPIPE, SIG_IGN); /* libmicrohttpd writes without MSG_NOSIGNAL in places */
}

int http_server_new(struct http_server **out, struct loop *l, const struct http_config *config,
    const struct http_events *events, void *ctx, struct err *e)
{
    *out = NULL;
    struct http_server *s = calloc(1, sizeof *s);
    struct shard *shards = calloc(MAX(config->shards, 1u), sizeof *shards);
    if (!s || !shards) {
        free(s);
        free(shards);
        return err_set(e, ERR_NOMEM, "http: out of memory");
    }
    *s = (struct http_server){
        .l = l, .config = *config, .ev = *events, .ctx = ctx, .shards = shards, .diag_fd = -1};
    s->config.shards = MAX(config->shards, 1u);
    s->rules = (struct gate_rules){.check_host = config->check_host,
        .request_bytes = config->request_bytes, .header_bytes = config->header_bytes};
    http_server_names(s, config->hosts, config->host_count, config->origins, config->origin_count);
    ignore_sigpipe();
    if (config->ask_peer_uid)
        s->diag_fd = peer_diag_open();
    int rc = 0;
    for (unsigned i = 0; i < s->config.shards && rc == 0; i++)
        rc = shard_start(s, &s->shards[i], e);
    if (rc == 0 &&
        (loop_phase_add(l, "http", http_phase, s) < 0 || loop_wait_add(l, http_wait, s) < 0))
        rc = err_set(e, ERR_FULL, "http: the loop has no room for another phase");
    if (rc < 0) {
        http_server_free(s);
        return rc;
    }
    *out = s;
    return 0;
}

/* Something of a request is here, in libmicrohttpd's buffer or still in the socket. */
static bool has_begun(const struct conn *c)
{
    int unread = 0;
    return c->q || c->input || (ioctl(c->fd, FIONREAD, &unread) == 0 && unread > 0);
}

void http_server_drain(struct http_server *s)
{
    s->draining = true; /* first: what is taken in now may be answered at once */
    listeners_empty(s);
    listeners_close(s);
    for (struct conn *c = s->conns; c; c = c->next)
        if (!has_begun(c))
            conn_kill(c);
}

bool http_server_drained(const struct http_server *s)
{
    const struct conn *c = s->conns;
    while (c && c->q)
        c = c->next;
    return s->draining && !c;
}

static void end_all(struct http_server *s)
{
    struct conn *next;
    for (struct conn *c = s->conns; c; c = next) {
        next = c->next;
        if (c->q && c->q->state != REQUEST_ABORT) {
            conn_reset(c);
            request_hangup(c->q);
        } else {
            conn_kill(c);
        }
    }
    for (int i = 0; s->conns && i < FREE_ROUNDS; i++)
        for (unsigned n = 0; n < s->config.shards; n++)
            parser_run(s, s->shards[n].d);
}

void http_server_free(struct http_server *s)
{
    if (!s)
        return;
    s->freeing = s->draining = true;
    listeners_close(s);
    end_all(s);
    for (unsigned i = 0; i < s->config.shards; i++) {
        loop_fd_remove(s->l, s->shards[i].watch);
        if (s->shards[i].d)
            MHD_stop_daemon(s->shards[i].d);
    }
    reap(s);
    while (s->spare) {
        struct request *q = s->spare;
        s->spare = q->next;
        request_free(q);
    }
    if (s->diag_fd >= 0)
        close(s->diag_fd);
    free(s->by_fd);
    free(s->shards);
    free(s);
}

struct http_stats http_stats(const struct http_server *s)
{
    return s->stats;
}
