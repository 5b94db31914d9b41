/* Units of proxy/upstream against a small server in threads of this process: each path is a
 * behaviour (see serve()). Nothing leaves the loopback. */
#include "proxy/upstream/upstream.h"

#include "store/base/buf.h"
#include "store/base/clock.h"
#include "tests/unit/shared.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#define BIG_BYTES ((size_t)50 << 20)

/* ---- the server ---- */

static int listen_fd, port;
static atomic_int connections, open_connections, requests;
static char last_request[8192];

struct asked {
    char path[256];
    char *body;
    size_t body_bytes;
};

static unsigned char pattern(size_t at)
{
    return (unsigned char)(at * 2654435761u >> 13);
}

static bool send_all(int fd, const void *p, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t sent = send(fd, (const char *)p + at, n - at, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        at += (size_t)sent;
    }
    return true;
}

static bool say(int fd, const char *text)
{
    return send_all(fd, text, strlen(text));
}

static bool read_request(int fd, struct asked *q)
{
    char head[65536];
    size_t n = 0;
    char *end = NULL;
    while (!end) {
        ssize_t got = recv(fd, head + n, sizeof head - 1 - n, 0);
        if (got <= 0)
            return false;
        n += (size_t)got;
        head[n] = '\0';
        end = strstr(head, "\r\n\r\n");
    }
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* a thread serves each connection */
    pthread_mutex_lock(&lock);
    snprintf(last_request, sizeof last_request, "%.*s", (int)(end - head), head);
    pthread_mutex_unlock(&lock);
    if (sscanf(head, "%*15s %255s", q->path) != 1)
        return false;
    const char *length = strcasestr(head, "content-length:");
    q->body_bytes = length ? strtoull(length + 15, NULL, 10) : 0;
    q->body = malloc(q->body_bytes + 1);
    size_t have = MIN(n - (size_t)(end + 4 - head), q->body_bytes);
    memcpy(q->body, end + 4, have);
    while (have < q->body_bytes) {
        ssize_t got = recv(fd, q->body + have, q->body_bytes - have, 0);
        if (got <= 0)
            return false;
        have += (size_t)got;
    }
    return true;
}

static void send_repeated(int fd, const char *head, const char *piece, int times, const char *end)
{
    bool sent = say(fd, head);
    for (int i = 0; sent && i < times; i++)
        sent = say(fd, piece);
    if (sent)
        say(fd, end);
}

/* 64 MiB of zeros, packed once: what a test measures is not the packing. */
static unsigned char bomb[1 << 17];
static size_t bomb_bytes;

static void pack_bomb(void)
{
    static unsigned char zeros[1 << 20];
    z_stream z = {.next_out = bomb, .avail_out = sizeof bomb};
    deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
    for (int i = 0; i <= 64; i++) {
        z.next_in = zeros;
        z.avail_in = i < 64 ? sizeof zeros : 0;
        deflate(&z, i < 64 ? Z_NO_FLUSH : Z_FINISH);
    }
    bomb_bytes = sizeof bomb - z.avail_out;
    deflateEnd(&z);
}

static void send_bomb(int fd)
{
    char head[100];
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
        "Content-Length: %zu\r\n\r\n", bomb_bytes);
    if (say(fd, head))
        send_all(fd, bomb, bomb_bytes);
}

/* "0/NAME" or "1/NAME": of the repository or of the collection. What is too large to lie in the
 * repository is made. */
static char places[2][512];

static void send_file(int fd, const char *asked)
{
    const char *name = asked + 2;
    struct str bytes = shared_read(places[asked[0] == '1'], name);
    if (bytes.p)
        send_all(fd, bytes.p, bytes.n);
    else if (strncmp(name, "08_", 3) == 0)
        send_repeated(fd, "HTTP/1.1 200 OK\r\nX-Long: ", "0123456789", 20000, "\r\n\r\n");
    else if (strncmp(name, "09_", 3) == 0)
        send_repeated(fd, "HTTP/1.1 200 OK\r\n", "X-Many: 1\r\n", 5000, "Content-Length: 2\r\n\r\nok");
    else if (strncmp(name, "61_", 3) == 0)
        send_repeated(fd, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            "Content-Length: 300008\r\n\r\ndata: ", "0123456789", 30000, "\n\n");
    else if (strncmp(name, "45_", 3) == 0)
        send_bomb(fd);
    free((char *)bytes.p);
}

static void send_big(int fd)
{
    char head[100], *piece = malloc(1 << 16);
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", BIG_BYTES);
    say(fd, head);
    for (size_t at = 0; at < BIG_BYTES; at += 1 << 16) {
        for (size_t i = 0; i < 1 << 16; i++)
            piece[i] = (char)pattern(at + i);
        if (!send_all(fd, piece, 1 << 16))
            break;
    }
    free(piece);
}

/* 200,000 digits, gzip, in small writes. */
static void send_gzip(int fd)
{
    char *text = malloc(200000), *packed = malloc(100000), head[200];
    for (size_t i = 0; i < 200000; i++)
        text[i] = "0123456789"[i * 7 / 3 % 10];
    z_stream z = {.next_in = (Bytef *)text, .avail_in = 200000, .next_out = (Bytef *)packed,
        .avail_out = 100000};
    deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
    deflate(&z, Z_FINISH);
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
        "Content-Length: %lu\r\n\r\n", z.total_out);
    say(fd, head);
    for (size_t at = 0; at < z.total_out; at += 100) {
        send_all(fd, packed + at, MIN((size_t)100, z.total_out - at));
        usleep(200);
    }
    deflateEnd(&z);
    free(text);
    free(packed);
}

static void reset(int fd)
{
    struct linger now = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

/* True: the connection stays open for the next request. */
static bool serve(int fd, struct asked *q, int nth)
{
    char text[200];
    if (strcmp(q->path, "/echo") == 0) {
        snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", q->body_bytes);
        return say(fd, text) && send_all(fd, q->body, q->body_bytes);
    }
    if (strcmp(q->path, "/hello") == 0)
        return say(fd, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                       "HTTP/1.1 200 OK\r\nX-One: 1\r\nContent-Length: 5\r\n\r\nhello");
    if (strcmp(q->path, "/chunks") == 0)
        return say(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n") &&
               say(fd, "2\r\nde\r\n0\r\nX-Trailer: t\r\n\r\n");
    if (strcmp(q->path, "/close-second") == 0) { /* dies when the warm connection is used again */
        if (nth > 1)
            return false;
        return say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1");
    }
    if (strcmp(q->path, "/truncated") == 0)
        say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort");
    else if (strcmp(q->path, "/cut-chunk") == 0)
        say(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nabc");
    else if (strcmp(q->path, "/unframed") == 0)
        say(fd, "HTTP/1.1 200 OK\r\n\r\nuntil the end");
    else if (strcmp(q->path, "/reset") == 0) {
        say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort");
        usleep(20000);
        reset(fd);
    } else if (strcmp(q->path, "/no-content") == 0)
        return say(fd, "HTTP/1.1 204 No Content\r\n\r\n");
    else if (strcmp(q->path, "/head") == 0)
        return say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n");
    else if (strcmp(q->path, "/two") == 0)
        return say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1") && usleep(30000) == 0 &&
               say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled");
    else if (strcmp(q->path, "/br") == 0)
        return say(fd, "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 1\r\n\r\nx");
    else if (strcmp(q->path, "/cl-and-te") == 0)
        return say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "1\r\na\r\n0\r\n\r\n");
    else if (strcmp(q->path, "/two-lengths") == 0)
        return say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab");
    else if (strcmp(q->path, "/folded") == 0)
        return say(fd, "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 1\r\n\r\nx");
    else if (strcmp(q->path, "/redirect") == 0)
        return say(fd, "HTTP/1.1 302 Found\r\nLocation: /hello\r\nContent-Length: 0\r\n\r\n");
    else if (strcmp(q->path, "/stall") == 0) {
        say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfirst");
        char c;
        recv(fd, &c, 1, 0); /* until the other side leaves */
    } else if (strcmp(q->path, "/big") == 0)
        send_big(fd);
    else if (strcmp(q->path, "/gzip-big") == 0)
        send_gzip(fd);
    else if (strncmp(q->path, "/file/", 6) == 0)
        send_file(fd, q->path + 6);
    return false;
}

static void *serve_connection(void *arg)
{
    int fd = (int)(intptr_t)arg;
    struct asked q = {.body = NULL};
    int nth = 0;
    bool more = true;
    while (more && read_request(fd, &q)) {
        requests++;
        more = serve(fd, &q, ++nth);
        free(q.body);
        q.body = NULL;
    }
    free(q.body);
    close(fd);
    open_connections--;
    return NULL;
}

static void *serve_all(void *arg)
{
    for (int fd; (fd = accept(listen_fd, NULL, NULL)) >= 0;) {
        pthread_t t;
        connections++;
        open_connections++;
        pthread_create(&t, NULL, serve_connection, (void *)(intptr_t)fd);
        pthread_detach(t);
    }
    return arg;
}

static int start_server(void **state)
{
    (void)state;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    pthread_t t;
    for (int i = 0; i < 2; i++)
        if (data_dir(i, "torture/upstream"))
            snprintf(places[i], sizeof places[i], "%s", data_dir(i, "torture/upstream"));
    pack_bomb();
    signal(SIGPIPE, SIG_IGN);
    listen_fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listen_fd, (struct sockaddr *)&a, n) < 0 || listen(listen_fd, 64) < 0 ||
        getsockname(listen_fd, (struct sockaddr *)&a, &n) < 0)
        return -1;
    port = ntohs(a.sin_port);
    pthread_create(&t, NULL, serve_all, NULL);
    pthread_detach(t);
    return 0;
}

/* ---- the client ---- */

struct fixture {
    struct loop *loop;
    struct upstream *u;
};

struct heard {
    struct upstream_call *call;
    struct fixture *f;
    int status, heads, dones;
    char headers[4096];
    struct buf body;
    struct upstream_result result;
    size_t pause_every; /* pause after each so many bytes */
    size_t since;
    bool paused, wrong;
    size_t checked;     /* bytes compared with pattern() instead of kept */
    bool check;
    int cancel_at_data; /* 1: cancel from inside data() */
    struct loop_timer again;
};

static void on_head(void *ctx, int status, const struct http_header *h, size_t n)
{
    struct heard *t = ctx;
    t->heads++;
    t->status = status;
    t->headers[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        size_t at = strlen(t->headers);
        snprintf(t->headers + at, sizeof t->headers - at, STR_FMT "=" STR_FMT "\n",
            STR_ARG(h[i].name), STR_ARG(h[i].value));
    }
}

static void resume_later(void *ctx)
{
    struct heard *t = ctx;
    t->paused = false;
    upstream_resume(t->call);
}

static void on_data(void *ctx, struct str bytes)
{
    struct heard *t = ctx;
    t->wrong |= t->paused;
    for (size_t i = 0; t->check && i < bytes.n; i++)
        t->wrong |= (unsigned char)bytes.p[i] != pattern(t->checked++);
    if (!t->check)
        buf_put_str(&t->body, bytes);
    if (t->cancel_at_data)
        upstream_cancel(t->call);
    t->since += bytes.n;
    if (t->pause_every && t->since >= t->pause_every) {
        t->since = 0;
        t->paused = true;
        upstream_pause(t->call);
        t->again = (struct loop_timer){.fn = resume_later, .ctx = t};
        assert_int_equal(loop_timer_set(t->f->loop, &t->again, loop_now_us(t->f->loop) + 300), 0);
    }
}

static void on_done(void *ctx, const struct upstream_result *r)
{
    struct heard *t = ctx;
    t->dones++;
    t->result = *r;
}

static const struct upstream_events events = {on_head, on_data, on_done};
static const struct upstream_config usual = {.shards = 4, .fill = 2,
    .answer_head_bytes = 65536, .decoded_ratio = 100, .decoded_bytes = 8 << 20};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    *state = f;
    return loop_new(&f->loop, NULL) < 0 || upstream_new(&f->u, f->loop, &usual, NULL) < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    upstream_free(f->u);
    loop_free(f->loop);
    free(f);
    return 0;
}

static void begin(struct fixture *f, struct heard *t, struct upstream_request *r)
{
    t->f = f;
    buf_init(&t->body, BUF_NO_LIMIT);
    if (!r->method.p)
        r->method = STR("GET");
    if (!r->connect_timeout_us)
        r->connect_timeout_us = 3000000;
    assert_int_equal(upstream_start(f->u, r, &events, t, &t->call, NULL), 0);
    assert_int_equal(t->heads + t->dones, 0); /* never from inside start */
}

static void turn_until(struct fixture *f, const int *done, int64_t limit_ms)
{
    int64_t end = clock_mono_us() + limit_ms * 1000;
    while (!*done && clock_mono_us() < end)
        loop_turn(f->loop, 50000);
    assert_true(*done);
}

static void turn_for(struct fixture *f, int64_t ms)
{
    int64_t end = clock_mono_us() + ms * 1000;
    while (clock_mono_us() < end)
        loop_turn(f->loop, 2000);
}

static struct str local_url(char *buffer, size_t size, const char *path)
{
    snprintf(buffer, size, "http://127.0.0.1:%d%s", port, path);
    return str_c(buffer);
}

/* One GET from start to done; the caller frees with fini(). */
static void get(struct fixture *f, struct heard *t, const char *path)
{
    char url[300];
    struct upstream_request r = {.url = local_url(url, sizeof url, path)};
    begin(f, t, &r);
    memset(url, 'x', sizeof url - 1); /* start has copied what it needs */
    turn_until(f, &t->dones, 10000);
    assert_int_equal(t->dones, 1);
}

static void fini(struct heard *t)
{
    buf_fini(&t->body);
}

/* ---- the tests ---- */

static void an_answer_arrives_whole_and_interim_heads_are_skipped(void **state)
{
    struct heard t = {0};
    get(*state, &t, "/hello");
    assert_int_equal(t.result.end, UPSTREAM_OK);
    assert_int_equal(t.heads, 1);
    assert_int_equal(t.status, 200);
    assert_string_equal(t.headers, "X-One=1\nContent-Length=5\n");
    assert_true(str_eq(buf_str(&t.body), STR("hello")));
    assert_true(t.result.answered && !t.result.body_unframed && !t.result.reused);
    assert_true(t.result.sent_bytes > 20 && t.result.received_bytes > 40);
    fini(&t);
}

static void a_warm_connection_is_reused(void **state)
{
    struct fixture *f = *state;
    int before = connections;
    for (int i = 0; i < 20; i++) {
        struct heard t = {0};
        get(f, &t, i % 2 ? "/hello" : "/chunks");
        assert_int_equal(t.result.end, UPSTREAM_OK);
        assert_int_equal(t.result.reused, i > 0);
        if (i > 0)
            assert_int_equal(t.result.connect_us, 0);
        fini(&t);
    }
    assert_int_equal(connections - before, 1);
    assert_int_equal(upstream_stats(f->u).idle_connections, 1);
    assert_int_equal(upstream_stats(f->u).reused, 19);
    assert_int_equal(upstream_stats(f->u).live, 0);
}

static void a_body_goes_out_as_given(void **state)
{
    struct fixture *f = *state;
    size_t sizes[] = {0, 1, 1000, 32768, 32769, 5 << 20};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        char url[100], *body = malloc(sizes[i] + 1);
        for (size_t k = 0; k < sizes[i]; k++)
            body[k] = (char)pattern(k);
        size_t cut = sizes[i] / 3;
        struct str pieces[] = {{body, cut}, {NULL, 0}, {body + cut, sizes[i] - cut}};
        struct http_header h[] = {{STR("X-Empty"), STR("")}, {STR("Content-Length"), STR("7")},
            {STR("content-type"), STR("application/json")}};
        struct upstream_request r = {.method = STR("POST"), .body = pieces, .body_count = 3,
            .headers = h, .header_count = 3, .url = local_url(url, sizeof url, "/echo")};
        struct heard t = {.check = true};
        begin(f, &t, &r);
        turn_until(f, &t.dones, 10000);
        assert_int_equal(t.result.end, UPSTREAM_OK);
        assert_false(t.wrong);
        assert_int_equal(t.checked, sizes[i]);
        assert_non_null(strstr(last_request, "\r\nX-Empty:\r\n"));
        assert_non_null(strstr(last_request, "\r\ncontent-type: application/json"));
        assert_null(strcasestr(last_request, "expect"));
        assert_null(strcasestr(last_request, "accept"));
        assert_null(strstr(last_request, "Content-Length: 7\r\n"));
        free(body);
        fini(&t);
    }
}

static void a_dead_warm_connection_is_replaced_and_the_body_sent_again(void **state)
{
    struct fixture *f = *state;
    for (size_t size = 10; size < (4 << 20); size *= 1000) {
        char url[100];
        char *body = calloc(1, size);
        struct str piece = {body, size};
        for (int i = 0; i < 9; i++) { /* more often than curl would retry in a handle's life */
            struct upstream_request r = {.method = STR("POST"), .body = &piece, .body_count = 1,
                .url = local_url(url, sizeof url, "/close-second")};
            struct heard t = {0};
            begin(f, &t, &r);
            turn_until(f, &t.dones, 10000);
            assert_int_equal(t.result.end, UPSTREAM_OK);
            assert_true(str_eq(buf_str(&t.body), STR("1")));
            fini(&t);
        }
        free(body);
    }
}

static void ends_are_told_apart(void **state)
{
    static const struct {
        const char *path;
        enum upstream_end end;
        int status;
    } rows[] = {
        {"/truncated", UPSTREAM_TRUNCATED, 200}, {"/cut-chunk", UPSTREAM_TRUNCATED, 200},
        {"/reset", UPSTREAM_RESET, 200}, {"/nothing", UPSTREAM_RESET, 0},
        {"/no-content", UPSTREAM_OK, 204}, {"/br", UPSTREAM_CODING, 0},
        {"/cl-and-te", UPSTREAM_OK, 200}, {"/two-lengths", UPSTREAM_MALFORMED, 0},
        {"/folded", UPSTREAM_MALFORMED, 0}, {"/redirect", UPSTREAM_OK, 302},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct heard t = {0};
        get(*state, &t, rows[i].path);
        if (t.result.end != rows[i].end || t.status != rows[i].status)
            fail_msg("%s: end %d status %d (%s)", rows[i].path, t.result.end, t.status,
                t.result.reason);
        assert_int_equal(t.result.end == UPSTREAM_OK, t.result.reason[0] == '\0');
        fini(&t);
    }
}

static void a_body_that_ends_with_the_connection_is_marked(void **state)
{
    struct heard t = {0};
    get(*state, &t, "/unframed");
    assert_int_equal(t.result.end, UPSTREAM_OK);
    assert_true(t.result.body_unframed);
    assert_true(str_eq(buf_str(&t.body), STR("until the end")));
    fini(&t);
}

static void a_head_request_has_no_body(void **state)
{
    char url[100];
    struct upstream_request r = {.method = STR("HEAD"), .url = local_url(url, sizeof url, "/head")};
    struct heard t = {0};
    begin(*state, &t, &r);
    turn_until(*state, &t.dones, 5000);
    assert_int_equal(t.result.end, UPSTREAM_OK);
    assert_int_equal(t.body.n, 0);
    assert_false(t.result.body_unframed);
    fini(&t);
    struct heard again = {0};
    get(*state, &again, "/hello"); /* the pooled handle is no HEAD any more */
    assert_int_equal(again.body.n, 5);
    fini(&again);
}

static void a_second_answer_behind_the_first_is_never_used(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        struct heard t = {0};
        get(f, &t, "/two");
        assert_true(str_eq(buf_str(&t.body), STR("1")));
        fini(&t);
        if (i % 2)
            turn_for(f, 60);
        else
            usleep(60000); /* the bytes came while nobody looked */
        struct heard next = {0};
        get(f, &next, "/hello");
        assert_true(str_eq(buf_str(&next.body), STR("hello")));
        fini(&next);
    }
}

static void pauses_keep_every_byte_and_hold_the_sender_back(void **state)
{
    struct fixture *f = *state;
    char url[100];
    struct heard t = {.check = true, .pause_every = 300000};
    struct upstream_request r = {.url = local_url(url, sizeof url, "/big")};
    begin(f, &t, &r);
    turn_until(f, &t.dones, 60000);
    assert_int_equal(t.result.end, UPSTREAM_OK);
    assert_false(t.wrong);
    assert_int_equal(t.checked, BIG_BYTES);
    fini(&t);

    struct heard still = {.check = true, .pause_every = 1};
    begin(f, &still, &r);
    while (!still.checked)
        loop_turn(f->loop, 10000);
    loop_timer_stop(f->loop, &still.again);
    size_t at = still.checked;
    turn_for(f, 150);
    assert_int_equal(still.checked, at); /* paused means paused */
    int64_t turns = loop_stats(f->loop).turns;
    loop_turn(f->loop, 20000);
    loop_turn(f->loop, 20000);
    assert_true(loop_stats(f->loop).turns - turns <= 2);
    upstream_cancel(still.call);
    turn_for(f, 20);
    assert_int_equal(still.dones, 0);
    fini(&still);
}

/* Providers that send as fast as they can: each has its turn, none holds the loop. */
static void a_flood_is_read_in_turns(void **state)
{
    enum { N = 24, TURN_MOST = 1 << 20, ENOUGH = 2 << 20 };
    struct fixture *f = *state;
    struct heard t[N] = {0};
    char url[100];
    struct upstream_request r = {.url = local_url(url, sizeof url, "/big"), .streamed = true};
    for (int i = 0; i < N; i++) {
        t[i].check = true;
        begin(f, &t[i], &r);
    }
    size_t all = 0, most_in_a_turn = 0, most = 0, least = 0;
    for (int64_t since = clock_mono_us(); most < ENOUGH && clock_mono_us() - since < 20000000;) {
        size_t before = all;
        loop_turn(f->loop, 10000);
        all = most = 0;
        least = SIZE_MAX;
        for (int i = 0; i < N; i++) {
            all += t[i].checked;
            most = MAX(most, t[i].checked);
            least = MIN(least, t[i].checked);
        }
        most_in_a_turn = MAX(most_in_a_turn, all - before);
    }
    assert_true(most >= ENOUGH);
    assert_true(most_in_a_turn <= TURN_MOST); /* unbounded it was five times as much */
    assert_true(least >= most / 8);
    for (int i = 0; i < N; i++) {
        assert_false(t[i].wrong);
        upstream_cancel(t[i].call);
    }
    turn_for(f, 20);
    assert_int_equal(upstream_stats(f->u).live, 0);
    for (int i = 0; i < N; i++)
        fini(&t[i]);
}

static void a_cancel_closes_at_once_and_calls_nobody(void **state)
{
    struct fixture *f = *state;
    char url[100];
    for (int inside = 0; inside < 2; inside++) {
        struct heard t = {.cancel_at_data = inside};
        struct upstream_request r = {.url = local_url(url, sizeof url, "/stall")};
        int before = open_connections;
        begin(f, &t, &r);
        while (t.body.n < 5)
            loop_turn(f->loop, 10000);
        if (!inside)
            upstream_cancel(t.call);
        int64_t since = clock_mono_us();
        while (open_connections > before && clock_mono_us() - since < 2000000)
            loop_turn(f->loop, 100);
        assert_true(clock_mono_us() - since < 500000);
        turn_for(f, 10);
        assert_int_equal(t.dones, 0);
        assert_int_equal(upstream_stats(f->u).live, 0);
        fini(&t);
    }
    struct heard never = {0}; /* cancelled before it was sent */
    struct upstream_request r = {.url = local_url(url, sizeof url, "/hello")};
    int before = requests;
    begin(f, &never, &r);
    upstream_cancel(never.call);
    turn_for(f, 20);
    assert_int_equal(requests, before);
    fini(&never);
}

static void many_at_once_fill_the_shards_in_order(void **state)
{
    struct fixture *f = *state;
    enum { N = 40 };
    struct heard *t = calloc(N, sizeof *t);
    char url[100];
    struct upstream_request r = {.url = local_url(url, sizeof url, "/hello")};
    for (int i = 0; i < N; i++)
        begin(f, &t[i], &r);
    for (int i = 0; i < N; i++) {
        turn_until(f, &t[i].dones, 10000);
        assert_int_equal(t[i].result.end, UPSTREAM_OK);
        fini(&t[i]);
    }
    free(t);
}

static void header_injection_is_refused(void **state)
{
    struct fixture *f = *state;
    static const struct str bad[] = {{"a\r\nX-Evil: 1", 12}, {"a\nb", 3}, {"a\0b", 3}, {"a\x0b", 2},
        {"\x7f", 1}};
    char url[100];
    for (size_t i = 0; i < ARRAY_LEN(bad) * 2; i++) {
        struct http_header h = {STR("x-key"), bad[i / 2]};
        if (i % 2)
            h = (struct http_header){bad[i / 2], STR("v")};
        struct upstream_request r = {.method = STR("GET"), .headers = &h, .header_count = 1,
            .url = local_url(url, sizeof url, "/hello")};
        struct upstream_call *call;
        struct err e = {0};
        assert_int_equal(upstream_start(f->u, &r, &events, NULL, &call, &e), -ERR_RANGE);
        assert_null(call);
        assert_true(e.text[0] != '\0');
    }
    assert_int_equal(upstream_stats(f->u).live, 0);
}

static enum upstream_end end_of(struct fixture *f, const char *url, char *reason, size_t size)
{
    struct heard t = {0};
    struct upstream_request r = {.url = str_c(url), .connect_timeout_us = 300000};
    begin(f, &t, &r);
    turn_until(f, &t.dones, 10000);
    str_copy(reason, size, str_c(t.result.reason));
    fini(&t);
    return t.result.end;
}

static void what_must_not_be_dialled_is_not(void **state)
{
    char reason[200], url[200];
    int before = connections;
    assert_int_equal(end_of(*state, "http://127.0.0.1:1/", reason, sizeof reason), UPSTREAM_REFUSED);
    assert_string_equal(reason, "could not connect to 127.0.0.1:1: Connection refused");
    static const char *const hosts[] = {"127.1", "0x7f000001", "2130706433", "169.254.169.254",
        "0", "[::ffff:169.254.169.254]", "224.0.0.1", "[fe80::1]"};
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        snprintf(url, sizeof url, "http://%s:%d/hello", hosts[i], port);
        assert_int_equal(end_of(*state, url, reason, sizeof reason), UPSTREAM_FORBIDDEN);
    }
    snprintf(url, sizeof url, "http://user:key@127.0.0.1:%d/hello", port);
    assert_int_equal(end_of(*state, url, reason, sizeof reason), UPSTREAM_INTERNAL);
    assert_int_equal(end_of(*state, "ftp://127.0.0.1/x", reason, sizeof reason), UPSTREAM_INTERNAL);
    assert_int_equal(end_of(*state, "file:///etc/passwd", reason, sizeof reason), UPSTREAM_INTERNAL);
    assert_int_equal(connections, before);
    snprintf(url, sizeof url, "http://localhost:%d/hello", port);
    assert_int_equal(end_of(*state, url, reason, sizeof reason), UPSTREAM_OK);
    /* a label over 63 bytes: no resolver asks the network for it */
    memset(url, 'a', 80);
    memcpy(url, "http://", 7);
    memcpy(url + 80, ".invalid/", 10);
    assert_int_equal(end_of(*state, url, reason, sizeof reason), UPSTREAM_DNS);
}

static int threads(void)
{
    int n = 0;
    char line[200];
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "Threads: %d", &n) == 1)
            break;
    if (f)
        fclose(f);
    return n;
}

static void many_calls_to_a_cold_name_make_one_lookup(void **state)
{
    enum { N = 60 };
    struct fixture *f = *state;
    struct heard *t = calloc(N, sizeof *t);
    char url[200];
    memset(url, 'b', 80); /* fails without asking the network */
    memcpy(url, "http://", 7);
    memcpy(url + 80, ".invalid/", 10);
    struct upstream_request r = {.url = str_c(url)};
    int before = threads(), most = 0;
    for (int i = 0; i < N; i++)
        begin(f, &t[i], &r);
    upstream_cancel(t[0].call); /* the leader leaves */
    for (int i = 1; i < N; i++) {
        while (!t[i].dones) {
            loop_turn(f->loop, 1000);
            most = MAX(most, threads());
        }
        assert_int_equal(t[i].result.end, UPSTREAM_DNS);
        assert_true(t[i].result.reason[0] != '\0');
    }
    assert_true(most - before <= 3);
    assert_int_equal(upstream_stats(f->u).live, 0);
    assert_int_equal(t[0].dones, 0);
    for (int i = 0; i < N; i++)
        fini(&t[i]);
    free(t);
}

/* This machine's own name, where it leads to 127.0.0.1. */
static bool own_name(char *name, size_t size)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found = NULL;
    struct sockaddr_in a = {0};
    if (gethostname(name, size) < 0 || getaddrinfo(name, NULL, &hints, &found) != 0)
        return false;
    memcpy(&a, found->ai_addr, sizeof a);
    bool only = !found->ai_next;
    freeaddrinfo(found);
    return only && a.sin_addr.s_addr == htonl(INADDR_LOOPBACK) && strcmp(name, "localhost") != 0;
}

static void a_name_that_leads_to_a_private_address_must_be_allowed(void **state)
{
    enum { N = 20 };
    struct fixture *f = *state;
    char name[128], url[300];
    if (!own_name(name, sizeof name)) {
        print_message("this machine's name does not lead to 127.0.0.1\n");
        skip();
    }
    snprintf(url, sizeof url, "http://%s:%d/hello", name, port);
    struct upstream_request r = {.url = str_c(url), .allow_private = true};
    struct heard *t = calloc(N, sizeof *t);
    for (int i = 0; i < N; i++)
        begin(f, &t[i], &r);
    for (int i = 0; i < N; i++) {
        turn_until(f, &t[i].dones, 5000);
        assert_int_equal(t[i].result.end, UPSTREAM_OK);
        fini(&t[i]);
    }
    free(t);
    /* neither a new connection nor one that another provider opened */
    struct heard refused = {0};
    r.allow_private = false;
    begin(f, &refused, &r);
    turn_until(f, &refused.dones, 5000);
    assert_int_equal(refused.result.end, UPSTREAM_FORBIDDEN);
    assert_int_equal(refused.heads, 0);
    fini(&refused);
}

/* What the transport says of each raw answer; what the body means is the exchange's business. */
struct torture_row {
    const char *file;
    enum upstream_end end;
    int status;
};

static void check_torture(struct fixture *f, int place, const struct torture_row *row)
{
    struct heard t = {0};
    char path[100];
    bool unframed = row->file[0] == '6' && row->file[1] >= '7'; /* 67, 68 */
    snprintf(path, sizeof path, "/file/%d/%s", place, row->file);
    get(f, &t, path);
    /* newer curls take fewer than 5,000 headers */
    bool few = strcmp(row->file, "09_headers_5000.raw") == 0 && t.result.end == UPSTREAM_MALFORMED;
    if (!few && (t.result.end != row->end || t.status != row->status))
        fail_msg("%s/%s: end %d status %d (%s)", places[place], row->file, t.result.end, t.status,
            t.result.reason);
    assert_true(few || t.result.body_unframed == unframed);
    assert_null(strstr(t.headers, "evil"));
    fini(&t);
}

static void the_torture_answers_end_as_wanted(void **state)
{
    static const struct torture_row rows[] = {
        {"02_empty_reply.raw", UPSTREAM_RESET, 0},
        {"03_garbage_status.raw", UPSTREAM_MALFORMED, 0},
        {"04_http09.raw", UPSTREAM_MALFORMED, 0},
        {"05_status_only.raw", UPSTREAM_RESET, 0},
        {"07_header_no_end.raw", UPSTREAM_TRUNCATED, 0},
        {"08_header_200k.raw", UPSTREAM_MALFORMED, 0},
        {"09_headers_5000.raw", UPSTREAM_OK, 200},
        {"12_crlf_header_value.raw", UPSTREAM_MALFORMED, 0},
        {"18_trunc_mid_chunk.raw", UPSTREAM_TRUNCATED, 200},
        {"19_trunc_after_chunk.raw", UPSTREAM_TRUNCATED, 200},
        {"20_bad_chunk_size.raw", UPSTREAM_MALFORMED, 200},
        {"21_huge_chunk_size.raw", UPSTREAM_MALFORMED, 200},
        {"25_error_first.raw", UPSTREAM_OK, 200},
        {"26_error_mid.raw", UPSTREAM_OK, 200},
        {"27_sse_as_json.raw", UPSTREAM_OK, 200},
        {"29_html_200.raw", UPSTREAM_OK, 200},
        {"30_html_502.raw", UPSTREAM_OK, 502},
        {"31_r401.raw", UPSTREAM_OK, 401},
        {"32_r403.raw", UPSTREAM_OK, 403},
        {"34_r408.raw", UPSTREAM_OK, 408},
        {"35_r413.raw", UPSTREAM_OK, 413},
        {"37_r429_huge.raw", UPSTREAM_OK, 429},
        {"41_redir_file.raw", UPSTREAM_OK, 307},
        {"42_redir_loop.raw", UPSTREAM_OK, 308},
        {"43_gzip_ok.raw", UPSTREAM_OK, 200},
        {"45_gzip_bomb_64MiB.raw", UPSTREAM_CODING, 200},
        {"47_usage_huge.raw", UPSTREAM_OK, 200},
        {"48_usage_float.raw", UPSTREAM_OK, 200},
        {"50_usage_missing.raw", UPSTREAM_OK, 200},
        {"52_usage_two_chunks.raw", UPSTREAM_OK, 200},
        {"53_json_deep.raw", UPSTREAM_OK, 200},
        {"54_json_trunc.raw", UPSTREAM_OK, 200},
        {"55_json_nul.raw", UPSTREAM_OK, 200},
        {"56_json_badutf8.raw", UPSTREAM_OK, 200},
        {"58_surrogate_split.raw", UPSTREAM_OK, 200},
        {"60_one_byte_chunks.raw", UPSTREAM_OK, 200},
        {"61_line_300k.raw", UPSTREAM_OK, 200},
        {"67_close_delim_no_done.raw", UPSTREAM_OK, 200},
        {"68_http10.raw", UPSTREAM_OK, 200},
    };
    for (int place = 0; place < 2 && places[place][0]; place++)
        for (size_t i = 0; i < ARRAY_LEN(rows); i++)
            check_torture(*state, place, &rows[i]);
}

static long resident_kib(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%*s %ld", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void a_gzip_bomb_costs_no_memory(void **state)
{
    long before = resident_kib();
    for (int i = 0; i < 10; i++) {
        struct heard t = {.check = true};
        get(*state, &t, i % 2 && places[1][0] ? "/file/1/45_gzip_bomb_64MiB.raw"
                                              : "/file/0/45_gzip_bomb_64MiB.raw");
        assert_int_equal(t.result.end, UPSTREAM_CODING);
        assert_true(t.checked <= 1 << 20);
        fini(&t);
    }
    assert_true(resident_kib() - before < 4096);
}

static void a_gzip_answer_survives_pauses(void **state)
{
    struct heard plain = {0}, paused = {.pause_every = 20};
    char url[100];
    get(*state, &plain, "/gzip-big");
    assert_int_equal(plain.result.end, UPSTREAM_OK);
    assert_null(strcasestr(plain.headers, "content-encoding"));
    assert_null(strcasestr(plain.headers, "content-length"));
    struct upstream_request r = {.url = local_url(url, sizeof url, "/gzip-big")};
    begin(*state, &paused, &r);
    turn_until(*state, &paused.dones, 10000);
    assert_int_equal(paused.result.end, UPSTREAM_OK);
    assert_false(paused.wrong);
    assert_int_equal(paused.body.n, 200000);
    for (size_t i = 0; i < paused.body.n; i++)
        assert_int_equal(paused.body.p[i], "0123456789"[i * 7 / 3 % 10]);
    assert_true(str_eq(buf_str(&plain.body), buf_str(&paused.body)));
    fini(&plain);
    fini(&paused);
}

/* ---- TLS ---- */

struct peer {
    FILE *said;
    int said_fd, stdin_fd;
    pid_t pid;
    char folder[64];
    int good, wrong, expired, self, h2; /* ports */
};

static bool peer_start(struct peer *p)
{
    int in[2], out[2];
    *p = (struct peer){.folder = "/tmp/pointsman-tls-XXXXXX"};
    if (access("tests/unit/tls_peer.py", R_OK) < 0 || !mkdtemp(p->folder) || pipe(in) < 0 ||
        pipe(out) < 0)
        return false;
    p->pid = fork();
    if (p->pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        for (int fd = 3; fd < 256; fd++)
            close(fd);
        execlp("python3", "python3", "tests/unit/tls_peer.py", p->folder, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    p->stdin_fd = in[1];
    p->said = fdopen(out[0], "r");
    char line[200];
    while (fgets(line, sizeof line, p->said)) {
        if (sscanf(line, "good %d", &p->good) == 1 || sscanf(line, "wrong %d", &p->wrong) == 1 ||
            sscanf(line, "expired %d", &p->expired) == 1 ||
            sscanf(line, "self %d", &p->self) == 1 || sscanf(line, "h2 %d", &p->h2) == 1)
            continue;
        return strcmp(line, "ready\n") == 0;
    }
    return false;
}

static void peer_stop(struct peer *p)
{
    close(p->stdin_fd);
    if (p->said)
        fclose(p->said);
    if (p->pid > 0)
        waitpid(p->pid, NULL, 0);
    rmdir(p->folder); /* the peer emptied it */
}

static struct upstream_result tls_get(struct fixture *f, const struct peer *p, const char *host,
    int at, const char *path, bool trusted)
{
    char url[200], ca[128];
    struct heard t = {0};
    snprintf(url, sizeof url, "https://%s:%d%s", host, at, path);
    snprintf(ca, sizeof ca, "%s/ca.pem", p->folder);
    struct upstream_request r = {.url = str_c(url), .ca_file = trusted ? ca : NULL};
    begin(f, &t, &r);
    turn_until(f, &t.dones, 10000);
    fini(&t);
    return t.result;
}

static void tls_providers_are_verified_before_anything_is_sent(void **state)
{
    struct fixture *f = *state;
    struct peer p;
    if (!peer_start(&p)) {
        print_message("python3 or openssl is not here\n");
        peer_stop(&p);
        skip();
    }
    struct upstream_result r;
    const int refused[] = {p.wrong, p.expired, p.self};
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        r = tls_get(f, &p, "127.0.0.1", refused[i], "/secret", true);
        assert_int_equal(r.end, UPSTREAM_TLS);
        assert_true(r.reason[0] != '\0' && !r.answered);
    }
    r = tls_get(f, &p, "127.0.0.1", p.good, "/secret", false); /* not in the system's bundle */
    assert_int_equal(r.end, UPSTREAM_TLS);
    r = tls_get(f, &p, "127.0.0.1", p.good, "/first", true);
    assert_int_equal(r.end, UPSTREAM_OK);
    assert_true(!r.reused && r.connect_us > 0);
    r = tls_get(f, &p, "127.0.0.1", p.good, "/second", true);
    assert_true(r.end == UPSTREAM_OK && r.reused);
    char line[200];
    assert_non_null(fgets(line, sizeof line, p.said));
    assert_string_equal(line, "got good GET /first HTTP/1.1\n"); /* and no /secret before it */
    r = tls_get(f, &p, "localhost", p.good, "/cut", true);
    assert_int_equal(r.end, UPSTREAM_TRUNCATED);
    r = tls_get(f, &p, "localhost", p.good, "/cut-unframed", true);
    assert_true(r.end != UPSTREAM_OK || r.body_unframed);
    peer_stop(&p);
}

static void http2_streams_share_a_connection_and_survive_each_other(void **state)
{
    enum { N = 8 };
    struct fixture *f = *state;
    struct peer p;
    bool there = peer_start(&p);
    if (!there || !p.h2) {
        print_message("nginx, python3 or openssl is not here\n");
        peer_stop(&p);
        skip();
    }
    struct heard t[N] = {[2] = {.cancel_at_data = 1}, [3] = {.pause_every = 100000}};
    char url[100], ca[128];
    snprintf(url, sizeof url, "https://127.0.0.1:%d/big", p.h2);
    snprintf(ca, sizeof ca, "%s/ca.pem", p.folder);
    struct upstream_request r = {.url = str_c(url), .ca_file = ca, .http2 = true};
    struct upstream *one;
    struct upstream_config wide = usual;
    wide.fill = 100;
    assert_int_equal(upstream_new(&one, f->loop, &wide, NULL), 0);
    struct fixture g = {f->loop, one};
    for (int i = 0; i < N; i++)
        begin(&g, &t[i], &r);
    int reused = 0;
    for (int i = 0; i < N; i++) {
        if (i == 2)
            continue;
        turn_until(&g, &t[i].dones, 20000);
        if (t[i].result.end != UPSTREAM_OK)
            fail_msg("stream %d: %s", i, t[i].result.reason);
        assert_int_equal(t[i].body.n, 3000000);
        for (size_t k = 0; k < t[i].body.n; k++)
            if ((unsigned char)t[i].body.p[k] != k % 3000 * (k % 3000) % 251)
                fail_msg("stream %d differs at byte %zu", i, k);
        reused += t[i].result.reused;
        assert_false(t[i].wrong || t[i].result.body_unframed);
    }
    assert_true(reused >= N - 3);
    assert_int_equal(t[2].dones, 0);
    for (int i = 0; i < N; i++)
        fini(&t[i]);
    peer_stop(&p);
    /* the loop still knows its phase: both end with the test */
    upstream_free(f->u);
    f->u = one;
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(an_answer_arrives_whole_and_interim_heads_are_skipped),
        T(a_warm_connection_is_reused),
        T(a_body_goes_out_as_given),
        T(a_dead_warm_connection_is_replaced_and_the_body_sent_again),
        T(ends_are_told_apart),
        T(a_body_that_ends_with_the_connection_is_marked),
        T(a_head_request_has_no_body),
        T(a_second_answer_behind_the_first_is_never_used),
        T(pauses_keep_every_byte_and_hold_the_sender_back),
        T(a_flood_is_read_in_turns),
        T(a_cancel_closes_at_once_and_calls_nobody),
        T(many_at_once_fill_the_shards_in_order),
        T(header_injection_is_refused),
        T(what_must_not_be_dialled_is_not),
        T(many_calls_to_a_cold_name_make_one_lookup),
        T(a_name_that_leads_to_a_private_address_must_be_allowed),
        T(the_torture_answers_end_as_wanted),
        T(a_gzip_bomb_costs_no_memory),
        T(a_gzip_answer_survives_pauses),
        T(tls_providers_are_verified_before_anything_is_sent),
        T(http2_streams_share_a_connection_and_survive_each_other),
    };
    return cmocka_run_group_tests_name("upstream", tests, start_server, NULL);
}
