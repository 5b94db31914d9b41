/* load.c: the synthetic clients: plain sockets, one request a connection, in a thread of their own.
 *
 * Bounded in every direction: DEMO_CLIENTS at once, a new request at most every 250 ms, an answer is
 * read and thrown away, and after CLIENT_PATIENCE_US a client gives up. Some hang up in the middle,
 * as people do. Ends with demo_stop(). */
#include "proxy/demo/internal.h"
#include "store/base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define SPACING_US 250000
#define CLIENT_PATIENCE_US 45000000

struct client {
    struct demo_load *load;
    struct demo_conversation talk;
    bool talking;
    int fd;                    /* -1 while resting */
    loop_id id;
    struct loop_timer timer;   /* the next request, or the end of patience */
    struct buf out;
    size_t sent;
    char head[16];             /* "HTTP/1.1 200" */
    size_t head_bytes, read_bytes, leave_after; /* 0 = stays to the end */
    bool complete;             /* the end of the stream, or of a whole answer, was seen */
    char tail[16];
};

struct demo_load {
    struct loop *loop;
    pthread_t thread;
    struct sockaddr_in to;
    char host[64];
    struct demo_random random;
    int64_t next_start_us;
    unsigned sessions;
    struct client clients[DEMO_CLIENTS];
    _Atomic int64_t asked, answered, failed, hung_up;
};

static void client_start(void *ctx);

static void client_at(struct client *c, void (*fn)(void *ctx), int64_t due_us)
{
    c->timer.fn = fn;
    if (loop_timer_set(c->load->loop, &c->timer, due_us) < 0)
        atomic_fetch_add(&c->load->failed, 1); /* no memory: this client has ended */
}

static void client_rest(struct client *c, int64_t pause_us)
{
    client_at(c, client_start, loop_now_us(c->load->loop) + pause_us);
}

static int64_t think_us(struct client *c)
{
    double seconds = demo_random_lognormal(&c->load->random, c->talk.agentic ? 2.2 : 5.0, 0.7);
    return (int64_t)(seconds * 1e6);
}

static void client_close(struct client *c)
{
    if (c->fd < 0)
        return;
    loop_fd_remove(c->load->loop, c->id);
    close(c->fd);
    c->fd = -1;
    buf_fini(&c->out);
    loop_timer_stop(c->load->loop, &c->timer);
}

static void client_done(struct client *c, bool hung_up)
{
    struct demo_load *l = c->load;
    bool ok =
        !hung_up && c->complete && str_starts(str_n(c->head, c->head_bytes), STR("HTTP/1.1 2"));
    client_close(c);
    atomic_fetch_add(hung_up ? &l->hung_up : ok ? &l->answered : &l->failed, 1);
    int64_t pause = think_us(c);
    if (!demo_conversation_answered(&c->talk, &l->random, ok)) {
        demo_conversation_end(&c->talk);
        c->talking = false;
    }
    client_rest(c, pause);
}

static void client_impatient(void *ctx)
{
    client_done(ctx, true);
}

static void notice(struct client *c, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n && c->head_bytes < sizeof c->head; i++)
        c->head[c->head_bytes++] = bytes[i];
    size_t keep = sizeof c->tail;
    if (n >= keep) {
        memcpy(c->tail, bytes + n - keep, keep);
    } else {
        memmove(c->tail, c->tail + n, keep - n);
        memcpy(c->tail + keep - n, bytes, n);
    }
    c->read_bytes += n;
}

/* Chunked streams end with an empty chunk; a whole answer ends with its closing brace. */
static bool ended_well(const struct client *c)
{
    struct str tail = str_n(c->tail, sizeof c->tail);
    return str_ends(tail, STR("0\r\n\r\n")) || str_ends(tail, STR("}")) ||
           str_ends(tail, STR("}\n"));
}

static void client_read(struct client *c)
{
    char bytes[16 << 10];
    for (;;) {
        ssize_t n = recv(c->fd, bytes, sizeof bytes, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            c->complete = n == 0 && ended_well(c);
            client_done(c, false);
            return;
        }
        notice(c, bytes, (size_t)n);
        if (c->leave_after && c->read_bytes >= c->leave_after) {
            client_done(c, true);
            return;
        }
    }
}

static void client_event(void *ctx, uint32_t events)
{
    struct client *c = ctx;
    if (c->fd < 0)
        return;
    if ((events & EPOLLOUT) && c->sent < c->out.n) {
        ssize_t n = send(c->fd, c->out.p + c->sent, c->out.n - c->sent, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            client_done(c, false);
            return;
        }
        c->sent += n > 0 ? (size_t)n : 0;
        if (c->sent == c->out.n)
            loop_fd_change(c->load->loop, c->id, EPOLLIN | EPOLLRDHUP);
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP))
        client_read(c);
}

static bool client_connect(struct client *c)
{
    struct demo_load *l = c->load;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return false;
    int rc = connect(c->fd, (const struct sockaddr *)&l->to, sizeof l->to);
    c->id = rc == 0 || errno == EINPROGRESS
                ? loop_fd_add(l->loop, c->fd, EPOLLOUT | EPOLLIN | EPOLLRDHUP, client_event, c)
                : 0;
    if (c->id)
        return true;
    close(c->fd);
    c->fd = -1;
    return false;
}

static void client_go(void *ctx)
{
    struct client *c = ctx;
    struct demo_load *l = c->load;
    if (!c->talking)
        demo_conversation_begin(&c->talk, &l->random, ++l->sessions);
    c->talking = true;
    if (!client_connect(c)) {
        client_rest(c, 2000000); /* the gateway is restarting, perhaps */
        return;
    }
    c->sent = c->read_bytes = c->head_bytes = 0;
    c->complete = false;
    memset(c->tail, 0, sizeof c->tail);
    c->leave_after = c->talk.stream && demo_random_chance(&l->random, 0.03)
                         ? 1000 + demo_random_below(&l->random, 20000)
                         : 0;
    buf_init(&c->out, DEMO_CONVERSATION_MAX + (64 << 10));
    demo_conversation_request(&c->talk, &l->random, l->host, &c->out);
    atomic_fetch_add(&l->asked, 1);
    c->timer.fn = client_impatient;
    if (c->out.err ||
        loop_timer_set(l->loop, &c->timer, loop_now_us(l->loop) + CLIENT_PATIENCE_US) < 0)
        client_done(c, true);
}

/* Rested: takes the next free place in time, never closer than SPACING_US to another's. */
static void client_start(void *ctx)
{
    struct client *c = ctx;
    struct demo_load *l = c->load;
    int64_t now = loop_now_us(l->loop), place = MAX(now, l->next_start_us);
    l->next_start_us = place + SPACING_US;
    if (place > now)
        client_at(c, client_go, place);
    else
        client_go(c);
}

static void *drive(void *ctx)
{
    struct demo_load *l = ctx;
    pthread_setname_np(pthread_self(), "pm-demo-load");
    loop_run(l->loop);
    return NULL;
}

/* "http://127.0.0.1:4141" or "127.0.0.1:4141". */
static int find_gateway(struct demo_load *l, struct str url, struct err *e)
{
    if (str_starts(url, STR("http://")))
        url = str_from(url, 7);
    ptrdiff_t slash = str_chr(url, '/');
    str_copy(l->host, sizeof l->host, slash < 0 ? url : str_first(url, (size_t)slash));
    struct str port = str_c(l->host), host;
    uint64_t number;
    char address[64];
    if (!str_cut(&port, ':', &host) || !str_to_u64(port, &number) || number < 1 || number > 65535)
        return err_set(e, ERR_SYNTAX, "not an address of a gateway: %s", l->host);
    str_copy(address, sizeof address, str_eq(host, STR("localhost")) ? STR("127.0.0.1") : host);
    l->to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)number)};
    if (inet_pton(AF_INET, address, &l->to.sin_addr) != 1)
        return err_set(e, ERR_SYNTAX, "not an IPv4 address: %s", address);
    return 0;
}

static void release(struct demo_load *l)
{
    for (size_t i = 0; i < DEMO_CLIENTS; i++) {
        client_close(&l->clients[i]);
        if (l->clients[i].talking)
            demo_conversation_end(&l->clients[i].talk);
    }
    if (l->loop)
        loop_free(l->loop);
    free(l);
}

int demo_load_start(struct demo *d, const char *gateway_url, struct err *e)
{
    struct demo_load *l = calloc(1, sizeof *l);
    if (!l)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < DEMO_CLIENTS; i++)
        l->clients[i] = (struct client){.load = l, .fd = -1, .timer = {.ctx = &l->clients[i]}};
    l->random.state = d->seed ^ 0x10ad;
    int rc = find_gateway(l, str_c(gateway_url), e);
    if (rc == 0)
        rc = loop_new(&l->loop, e);
    for (size_t i = 0; rc == 0 && i < DEMO_CLIENTS; i++)
        client_rest(&l->clients[i], (int64_t)i * 150000);
    if (rc == 0 && pthread_create(&l->thread, NULL, drive, l) != 0)
        rc = err_set(e, ERR_NOMEM, "can't start the demo's clients");
    if (rc < 0) {
        release(l);
        return rc;
    }
    d->load = l;
    return 0;
}

void demo_load_stop(struct demo_load *l)
{
    if (!l)
        return;
    loop_stop(l->loop);
    pthread_join(l->thread, NULL);
    release(l);
}

struct demo_counts demo_load_counts(const struct demo_load *l)
{
    return (struct demo_counts){.asked = l->asked, .answered = l->answered, .failed = l->failed,
        .hung_up = l->hung_up};
}
