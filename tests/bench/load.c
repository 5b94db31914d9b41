/* load.c: a client for figures: latency of single requests, and many streams at once.
 *
 *     load one HOST:PORT PATH BODY COUNT [HEADER]...       one connection, one request after another
 *     load first HOST:PORT PATH BODY COUNT [HEADER]...     the time to a stream's first event, one after another
 *     load steady HOST:PORT PATH BODY SECONDS PER_S [HEADER]…  each on a connection of its own, at that pace at most
 *     load rate HOST:PORT PATH BODY CONNS SECONDS [HEADER]… as many as go through
 *     load streams HOST:PORT PATH BODY COUNT SECONDS [HEADER]…   COUNT streams for SECONDS; each event's text
 *                                                   starts "wSEQUENCE MONOTONIC_US " (mock.c)
 * Prints one JSON object. Streams are checked: every sequence number once, in order. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_in to;
static char request[65536];
static int request_n;

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int dial(void)
{
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die("socket");
    if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
        die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void make_request(const char *host, const char *path, const char *body, char **headers)
{
    request_n = snprintf(request, sizeof request, "POST %s HTTP/1.1\r\nHost: %s\r\n"
        "Content-Type: application/json\r\nContent-Length: %zu\r\n", path, host, strlen(body));
    for (; *headers; headers++)
        request_n += snprintf(request + request_n, sizeof request - (size_t)request_n, "%s\r\n",
            *headers);
    request_n += snprintf(request + request_n, sizeof request - (size_t)request_n, "\r\n%s", body);
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static int64_t share(int64_t *sorted, size_t n, double p)
{
    return n ? sorted[(size_t)((double)(n - 1) * p)] : 0;
}

/* Reads one answer with a Content-Length; returns its status, 0 when the connection ended. */
static int read_answer(int fd)
{
    static char in[1 << 20];
    size_t n = 0, need = 0;
    while (!need || n < need) {
        ssize_t got = recv(fd, in + n, sizeof in - 1 - n, 0);
        if (got <= 0)
            return 0;
        n += (size_t)got;
        in[n] = '\0';
        char *end = need ? NULL : strstr(in, "\r\n\r\n");
        if (end) {
            const char *length = strcasestr(in, "content-length:");
            need = (size_t)(end - in) + 4 + (length ? strtoul(length + 15, NULL, 10) : 0);
        }
    }
    return (int)strtol(in + 9, NULL, 10);
}

static void one(size_t count)
{
    int64_t *times = calloc(count, sizeof *times);
    int fd = dial(), bad = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t start = now_us();
        if (send(fd, request, (size_t)request_n, MSG_NOSIGNAL) != request_n)
            die("send");
        int status = read_answer(fd);
        times[i] = now_us() - start;
        bad += status != 200;
        if (!status) {
            close(fd);
            fd = dial();
        }
    }
    qsort(times, count, sizeof *times, compare);
    printf("{\"count\":%zu,\"bad\":%d,\"p50_us\":%lld,\"p95_us\":%lld,\"p99_us\":%lld}\n", count, bad,
        (long long)share(times, count, .5), (long long)share(times, count, .95),
        (long long)share(times, count, .99));
}

/* A connection a stream, as the gateway closes each; read to its end, so that none overlap. */
static void first(size_t count)
{
    static char in[1 << 16];
    int64_t *times = calloc(count, sizeof *times);
    size_t bad = 0;
    for (size_t i = 0; i < count; i++) {
        int fd = dial();
        size_t n = 0;
        int64_t start = now_us();
        if (send(fd, request, (size_t)request_n, MSG_NOSIGNAL) != request_n)
            die("send");
        while (n < sizeof in - 1 && !strstr(in, "[DONE]")) {
            ssize_t got = recv(fd, in + n, sizeof in - 1 - n, 0);
            if (got <= 0)
                break;
            n += (size_t)got;
            in[n] = '\0';
            if (!times[i] && strstr(in, "\"content\":\"w"))
                times[i] = now_us() - start;
        }
        bad += !times[i];
        in[0] = '\0';
        close(fd);
    }
    qsort(times, count, sizeof *times, compare);
    printf("{\"count\":%zu,\"bad\":%zu,\"p50_us\":%lld,\"p95_us\":%lld,\"p99_us\":%lld}\n", count, bad,
        (long long)share(times, count, .5), (long long)share(times, count, .95),
        (long long)share(times, count, .99));
}

/* At most `per_s` a second: a late answer delays the next request instead of being forgotten. */
static void steady(int seconds, int per_s)
{
    size_t room = (size_t)(seconds * per_s) + 1, n = 0, bad = 0;
    int64_t *times = calloc(room, sizeof *times), began = now_us();
    while (n < room && now_us() - began < (int64_t)seconds * 1000000) {
        int64_t start = now_us();
        int fd = dial();
        if (send(fd, request, (size_t)request_n, MSG_NOSIGNAL) != request_n)
            die("send");
        bad += read_answer(fd) != 200;
        times[n++] = now_us() - start;
        close(fd);
        if (times[n - 1] < 1000000 / per_s)
            usleep((useconds_t)(1000000 / per_s - times[n - 1]));
    }
    qsort(times, n, sizeof *times, compare);
    printf("{\"count\":%zu,\"bad\":%zu,\"p50_us\":%lld,\"p99_us\":%lld,\"most_us\":%lld}\n", n, bad,
        (long long)share(times, n, .5), (long long)share(times, n, .99), (long long)share(times, n, 1));
}

/* --- many streams -------------------------------------------------------------------------------- */

struct stream {
    int fd, next;
    bool done, bad;
    char tail[512];
    size_t tail_n;
    int64_t started_us, first_us;
};

enum { LATENCIES = 4 << 20 };
static int64_t *latencies, *firsts;
static size_t latency_n, first_n, events_n, disordered;

/* Looks for `"content":"SEQ US "` (or text) in what came, across pieces. */
static void scan(struct stream *s, const char *p, size_t n)
{
    char text[66000];
    size_t all = s->tail_n + n;
    int64_t now = now_us();
    memcpy(text, s->tail, s->tail_n);
    memcpy(text + s->tail_n, p, n);
    text[all] = '\0';
    char *at = text, *used = text;
    for (;;) {
        char *hit = strstr(at, "\"content\":\""), *end = hit ? strchr(hit + 11, '"') : NULL;
        if (!end)
            break;
        int sequence;
        long long stamp;
        if (sscanf(hit + 11, "w%d %lld", &sequence, &stamp) == 2) {
            disordered += sequence != s->next;
            s->next = sequence + 1;
            events_n++;
            if (!s->first_us)
                firsts[first_n++] = (s->first_us = now) - s->started_us;
            if (latency_n < LATENCIES)
                latencies[latency_n++] = now - stamp;
        }
        at = used = end + 1;
    }
    if (strstr(used, "[DONE]"))
        s->done = true;
    size_t rest = (size_t)(text + all - used);
    if (rest >= sizeof s->tail) {
        used = text + all - (sizeof s->tail - 1);
        rest = sizeof s->tail - 1;
    }
    memcpy(s->tail, used, rest);
    s->tail_n = rest;
}

static void streams(size_t count, int seconds)
{
    struct stream *all = calloc(count, sizeof *all);
    latencies = calloc(LATENCIES, sizeof *latencies);
    firsts = calloc(count + 1, sizeof *firsts);
    int ep = epoll_create1(0);
    size_t open = 0, ended_early = 0, complete = 0;
    int64_t stop = 0;
    size_t begun = 0;
    struct epoll_event got[256];
    while (begun < count || (open && now_us() < stop)) {
        for (int burst = 0; begun < count && burst < 50; burst++, begun++) {
            struct stream *s = &all[begun];
            s->fd = dial();
            s->started_us = now_us();
            if (send(s->fd, request, (size_t)request_n, MSG_NOSIGNAL) != request_n)
                die("send");
            struct epoll_event ev = {.events = EPOLLIN, .data.u64 = begun};
            epoll_ctl(ep, EPOLL_CTL_ADD, s->fd, &ev);
            open++;
        }
        if (begun == count && !stop)
            stop = now_us() + (int64_t)seconds * 1000000;
        int n = epoll_wait(ep, got, 256, begun < count ? 5 : 200);
        for (int i = 0; i < n; i++) {
            struct stream *s = &all[got[i].data.u64];
            char in[65000];
            ssize_t bytes = recv(s->fd, in, sizeof in, MSG_DONTWAIT);
            if (bytes > 0) {
                scan(s, in, (size_t)bytes);
            } else if (bytes == 0 || errno != EAGAIN) {
                complete += s->done;
                ended_early += !s->done;
                close(s->fd);
                s->fd = -1;
                open--;
            }
        }
    }
    for (size_t i = 0; i < count; i++)
        if (all[i].fd >= 0)
            close(all[i].fd);
    qsort(latencies, latency_n, sizeof *latencies, compare);
    qsort(firsts, first_n, sizeof *firsts, compare);
    printf("{\"streams\":%zu,\"still_open\":%zu,\"complete\":%zu,\"ended_early\":%zu,\"events\":%zu,"
           "\"disordered\":%zu,\"p50_us\":%lld,\"p99_us\":%lld,\"first_p50_us\":%lld,"
           "\"first_p99_us\":%lld}\n", count, open, complete, ended_early, events_n, disordered,
        (long long)share(latencies, latency_n, .5), (long long)share(latencies, latency_n, .99),
        (long long)share(firsts, first_n, .5), (long long)share(firsts, first_n, .99));
}

/* --- as many requests as go through -------------------------------------------------------------- */

struct caller {
    int fd;
    size_t n, need;
    int64_t sent_us;
    char in[16384];
};

static void rate(size_t conns, int seconds)
{
    struct caller *all = calloc(conns, sizeof *all);
    latencies = calloc(LATENCIES, sizeof *latencies);
    int ep = epoll_create1(0);
    size_t done = 0, bad = 0;
    for (size_t i = 0; i < conns; i++) {
        all[i].fd = dial();
        all[i].sent_us = now_us();
        struct epoll_event ev = {.events = EPOLLIN, .data.u64 = i};
        epoll_ctl(ep, EPOLL_CTL_ADD, all[i].fd, &ev);
        if (send(all[i].fd, request, (size_t)request_n, MSG_NOSIGNAL) != request_n)
            die("send");
    }
    int64_t start = now_us(), stop = start + (int64_t)seconds * 1000000;
    struct epoll_event got[256];
    while (now_us() < stop) {
        int n = epoll_wait(ep, got, 256, 100);
        for (int i = 0; i < n; i++) {
            struct caller *c = &all[got[i].data.u64];
            ssize_t bytes = recv(c->fd, c->in + c->n, sizeof c->in - 1 - c->n, MSG_DONTWAIT);
            if (bytes <= 0 && errno == EAGAIN)
                continue;
            if (bytes <= 0)
                die("the connection ended");
            c->n += (size_t)bytes;
            c->in[c->n] = '\0';
            char *end = c->need ? NULL : strstr(c->in, "\r\n\r\n");
            if (end) {
                const char *length = strcasestr(c->in, "content-length:");
                c->need = (size_t)(end - c->in) + 4 + (length ? strtoul(length + 15, NULL, 10) : 0);
            }
            if (!c->need || c->n < c->need)
                continue;
            bad += strncmp(c->in + 9, "200", 3) != 0;
            int64_t now = now_us();
            if (latency_n < LATENCIES)
                latencies[latency_n++] = now - c->sent_us;
            done++;
            c->n = c->need = 0;
            c->sent_us = now;
            if (send(c->fd, request, (size_t)request_n, MSG_NOSIGNAL) != request_n)
                die("send");
        }
    }
    double took = (double)(now_us() - start) / 1e6;
    qsort(latencies, latency_n, sizeof *latencies, compare);
    printf("{\"requests\":%zu,\"bad\":%zu,\"per_s\":%.0f,\"p50_us\":%lld,\"p99_us\":%lld}\n", done, bad,
        (double)done / took, (long long)share(latencies, latency_n, .5),
        (long long)share(latencies, latency_n, .99));
}

int main(int argc, char **argv)
{
    char host[64];
    struct rlimit files;
    bool is_one = argc > 5 && (strcmp(argv[1], "one") == 0 || strcmp(argv[1], "first") == 0);
    if (argc < 6 || (!is_one && argc < 7)) {
        fputs("usage: load one|first|steady|rate|streams HOST:PORT PATH BODY COUNT [SECONDS] [HEADER]…\n", stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    snprintf(host, sizeof host, "%s", argv[2]);
    char *colon = strchr(host, ':');
    if (!colon)
        return 2;
    *colon = '\0';
    to.sin_family = AF_INET;
    to.sin_port = htons((uint16_t)strtol(colon + 1, NULL, 10));
    inet_pton(AF_INET, host, &to.sin_addr);
    make_request(argv[2], argv[3], argv[4], argv + (is_one ? 6 : 7));
    size_t count = strtoul(argv[5], NULL, 10);
    if (strcmp(argv[1], "one") == 0)
        one(count);
    else if (is_one)
        first(count);
    else if (strcmp(argv[1], "rate") == 0)
        rate(count, (int)strtol(argv[6], NULL, 10));
    else if (strcmp(argv[1], "steady") == 0)
        steady((int)count, (int)strtol(argv[6], NULL, 10));
    else
        streams(count, (int)strtol(argv[6], NULL, 10));
    return 0;
}
