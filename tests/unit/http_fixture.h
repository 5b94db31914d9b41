/* http_fixture.h: the http room with a tiny application, and clients on real sockets, all driven by
 * one thread: `pump` turns the loop while a client waits for something.
 *
 * Paths: /echo answers with the body as soon as it is whole, /now answers from head(), /wait and
 * all others rest until the test answers by `app.q`. */
#ifndef POINTSMAN_TEST_HTTP_FIXTURE_H
#define POINTSMAN_TEST_HTTP_FIXTURE_H

#include "proxy/http/http.h"
#include "store/base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct app {
    struct loop *l;
    struct http_server *s;
    int port;
    struct http_request *q; /* the latest that rests */
    struct str answer;      /* of /now and /echo; NULL: the body */
    int heads, bodies, hangups, drains, closes, clean_closes, refusals, last_refusal;
    int hangups_before_close;
    int64_t uid;
    char last_body[256], last_path[128], last_peer[64];
};

static struct app app;

static void app_head(void *ctx, struct http_request *q)
{
    (void)ctx;
    app.heads++;
    app.uid = q->peer_uid;
    str_copy(app.last_path, sizeof app.last_path, q->target);
    str_copy(app.last_peer, sizeof app.last_peer, q->peer_text);
    if (str_eq(q->path, STR("/now")))
        http_reply(q, 401, NULL, 0, STR("{\"early\":true}"));
}

static void app_body(void *ctx, struct http_request *q)
{
    (void)ctx;
    app.bodies++;
    str_copy(app.last_body, sizeof app.last_body, buf_str(&q->body));
    struct http_header h = {STR("X-App"), STR("echo")};
    if (str_starts(q->path, STR("/echo")))
        http_reply(q, 200, &h, 1, app.answer.p ? app.answer : buf_str(&q->body));
    else
        app.q = q;
}

static void app_hangup(void *ctx, struct http_request *q)
{
    (void)ctx;
    (void)q;
    app.hangups++;
    app.hangups_before_close += app.closes < app.heads;
}

static void app_drained(void *ctx, struct http_request *q)
{
    (void)ctx;
    (void)q;
    app.drains++;
}

static void app_closed(void *ctx, struct http_request *q, bool clean)
{
    (void)ctx;
    app.closes++;
    app.clean_closes += clean;
    if (app.q == q)
        app.q = NULL;
}

static void app_refused(void *ctx, struct str peer, int status, const char *reason)
{
    (void)ctx;
    (void)peer;
    (void)reason;
    app.refusals++;
    app.last_refusal = status;
}

static void app_error_body(
    void *ctx, struct str path, int status, const char *reason, struct buf *out)
{
    (void)ctx;
    (void)path;
    buf_printf(out, "{\"error\":{\"status\":%d,\"message\":\"%s\"}}", status, reason);
}

static struct http_config app_config(void)
{
    return (struct http_config){.request_bytes = 1 << 20, .header_bytes = 12288, .connections = 200,
        .shards = 2, .head_deadline_us = 10000000, .body_idle_us = 60000000,
        .write_stall_us = 60000000, .body_bytes_per_s = 16384, .high_water = 262144,
        .low_water = 131072, .ask_peer_uid = true, .check_host = true};
}

static struct http_events app_events = {app_head, app_body, app_hangup, app_drained, app_closed,
    app_refused, app_error_body, NULL};

static UNUSED int app_start(const struct http_config *config)
{
    struct err e = {0};
    memset(&app, 0, sizeof app);
    int fd = http_listen_tcp(STR("127.0.0.1:0"), true, &app.port, &e);
    if (loop_new(&app.l, &e) < 0 ||
        http_server_new(&app.s, app.l, config, &app_events, NULL, &e) < 0 || fd < 0 ||
        http_server_listen(app.s, fd, &e) < 0) {
        fprintf(stderr, "fixture: %s\n", e.text);
        return -1;
    }
    return 0;
}

static UNUSED int app_stop(void)
{
    http_server_free(app.s);
    loop_free(app.l);
    return 0;
}

static void turns(int n)
{
    for (int i = 0; i < n; i++)
        loop_turn(app.l, 0);
}

/* Turns the loop until *count reaches n, at most 5 s. */
static UNUSED bool pump_until(const int *count, int n)
{
    for (int64_t end = clock_mono_us() + 5000000; *count < n && clock_mono_us() < end;)
        loop_turn(app.l, 2000);
    return *count >= n;
}

static UNUSED int client(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)app.port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
        perror("connect");
        exit(1);
    }
    return fd;
}

/* Sends all, turning the loop while the socket is full. False when the server closed it. */
static UNUSED bool say_n(int fd, const char *p, size_t n)
{
    for (int64_t end = clock_mono_us() + 10000000; n && clock_mono_us() < end;) {
        ssize_t took = send(fd, p, n, MSG_NOSIGNAL);
        if (took < 0 && errno != EAGAIN)
            return false;
        p += MAX(took, 0);
        n -= (size_t)MAX(took, 0);
        loop_turn(app.l, 0);
    }
    return n == 0;
}

static UNUSED bool say(int fd, const char *text)
{
    return say_n(fd, text, strlen(text));
}

struct heard {
    char p[65536];
    size_t n;
    bool eof, reset;
};

/* Reads until `until` was seen (NULL: until the end), the end, a reset, or `ms` passed; on a busy
 * machine the time may be over before anything had its turn, so a few turns are always made. */
static UNUSED struct heard *hear_for(int fd, const char *until, int ms)
{
    static struct heard h;
    h.n = 0;
    h.eof = h.reset = false;
    h.p[0] = '\0';
    int64_t end = clock_mono_us() + ms * 1000LL;
    for (int i = 0; (i < 12 || clock_mono_us() < end) && h.n < sizeof h.p - 1; i++) {
        if (until && memmem(h.p, h.n, until, strlen(until)))
            break;
        loop_turn(app.l, 1000);
        ssize_t n = recv(fd, h.p + h.n, sizeof h.p - 1 - h.n, 0);
        if (n > 0)
            h.n += (size_t)n;
        h.eof = n == 0;
        h.reset = n < 0 && errno != EAGAIN;
        if (h.eof || h.reset)
            break;
    }
    h.p[h.n] = '\0';
    return &h;
}

static UNUSED struct heard *hear(int fd, const char *until)
{
    return hear_for(fd, until, 5000);
}

static UNUSED int status_of(const struct heard *h)
{
    int status = 0;
    return sscanf(h->p, "HTTP/1.1 %d", &status) == 1 ? status : 0;
}

static UNUSED int answers_in(const struct heard *h)
{
    int n = 0;
    for (const char *p = h->p; (p = strstr(p, "HTTP/1.1 ")); p++)
        n++;
    return n;
}

#endif
