/* The http room on real sockets: keep-alive, bodies, refusals, leaving, streams, back-pressure. */
#include "tests/unit/http_fixture.h"

#include <pwd.h>

#include <sys/resource.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define HOST "Host: localhost\r\n"

static int start(void **state)
{
    (void)state;
    struct http_config config = app_config();
    return app_start(&config);
}

static int stop(void **state)
{
    (void)state;
    return app_stop();
}

static void post(int fd, const char *path, const char *body)
{
    char text[4096];
    snprintf(text, sizeof text, "POST %s HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n%s", path,
        strlen(body), body);
    assert_true(say(fd, text));
}

/* A client whose request rests. */
static int waiting_client(void)
{
    int fd = client(), before = app.bodies;
    post(fd, "/wait", "{}");
    assert_true(pump_until(&app.bodies, before + 1));
    assert_non_null(app.q);
    turns(3);
    return fd;
}

/* ---- requests and whole answers ---- */

static void a_connection_is_kept_for_many_requests(void **state)
{
    (void)state;
    int fd = client();
    for (int i = 0; i < 20; i++) {
        post(fd, "/echo?i=1&k=%41", "ping");
        struct heard *h = hear(fd, "ping");
        assert_int_equal(status_of(h), 200);
        assert_non_null(strstr(h->p, "X-App: echo\r\n"));
        assert_non_null(strstr(h->p, "Content-Length: 4\r\n"));
        assert_non_null(strstr(h->p, "Date: "));
    }
    assert_string_equal(app.last_path, "/echo?i=1&k=%41");
    assert_int_equal(http_stats(app.s).accepted, 1);
    assert_int_equal(app.uid, (int64_t)getuid());
    assert_memory_equal(app.last_peer, "127.0.0.1:", 10);
    assert_true(pump_until(&app.closes, 20));
    assert_int_equal(app.clean_closes, 20);
    close(fd);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    (void)state;
    int fd = client();
    assert_true(say(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\none"
                        "GET /echo HTTP/1.1\r\n" HOST "\r\n"
                        "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nthree"));
    struct heard *h = hear(fd, "three");
    assert_int_equal(answers_in(h), 3);
    assert_true(strstr(h->p, "one") < strstr(h->p, "three"));
    close(fd);
}

/* libmicrohttpd reads half of its memory at once. A request that ends there to the byte leaves the one
 * behind it in the socket, whose arrival was told of long before. */
static void what_lies_in_the_socket_is_read_after_an_answer(void **state)
{
    (void)state;
    enum { READ_AT_ONCE = 12288 / 2 * 3 / 2 };
    static const char format[] = "POST /echo HTTP/1.1\r\n" HOST "Content-Length: %04d\r\n\r\n%0*d"
                                 "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nlast";
    const int head = snprintf(NULL, 0, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 1234\r\n\r\n");
    int fd = client();
    for (int first = READ_AT_ONCE - 2; first <= READ_AT_ONCE + 2; first++) {
        static char both[READ_AT_ONCE + 200];
        int n = snprintf(both, sizeof both, format, first - head, first - head, 7);
        assert_int_equal(send(fd, both, (size_t)n, MSG_NOSIGNAL), n);
        assert_int_equal(answers_in(hear_for(fd, "last", 2000)), 2);
    }
    close(fd);
}

static void an_answer_may_come_later(void **state)
{
    (void)state;
    int fd = waiting_client();
    assert_int_equal(hear_for(fd, NULL, 30)->n, 0);
    struct http_header h[] = {{STR("Content-Type"), STR("application/json")},
        {STR("Content-Length"), STR("999")}, {STR("X-Empty"), STR("")}};
    assert_int_equal(http_reply(app.q, 429, h, 3, STR("{\"slow\":1}")), 0);
    assert_int_equal(http_reply(app.q, 200, NULL, 0, STR("twice")), -ERR_STATE);
    struct heard *got = hear(fd, "{\"slow\":1}");
    assert_int_equal(status_of(got), 429);
    assert_non_null(strstr(got->p, "Content-Length: 10\r\n"));
    assert_null(strstr(got->p, "999"));
    post(fd, "/echo", "still here");
    assert_int_equal(status_of(hear(fd, "still here")), 200);
    close(fd);
}

static void head_sends_the_length_and_no_body(void **state)
{
    (void)state;
    int fd = client();
    app.answer = STR("0123456789");
    assert_true(say(fd, "HEAD /echo HTTP/1.1\r\n" HOST "\r\nGET /echo HTTP/1.1\r\n" HOST "\r\n"));
    struct heard *h = hear(fd, "0123456789");
    assert_int_equal(answers_in(h), 2);
    assert_non_null(strstr(strstr(h->p, "Content-Length: 10") + 1, "Content-Length: 10"));
    close(fd);
}

static void http_1_0_clients_are_served(void **state)
{
    (void)state;
    int fd = client();
    assert_true(say(fd, "GET /echo HTTP/1.0\r\n\r\n"));
    struct heard *h = hear(fd, NULL);
    assert_int_equal(answers_in(h), 1);
    assert_non_null(strstr(h->p, " 200 "));
    assert_true(h->eof);
    close(fd);
}

static void control_bytes_never_leave_in_a_header(void **state)
{
    (void)state;
    int fd = waiting_client();
    struct http_header h = {STR("X-Id"), STR("a\r\nSet-Cookie: b")};
    assert_int_equal(http_reply(app.q, 200, &h, 1, STR("x")), -ERR_RANGE);
    struct heard *got = hear(fd, "}}");
    assert_int_equal(status_of(got), 502);
    assert_null(strstr(got->p, "Set-Cookie"));
    close(fd);
}

static void a_head_of_the_largest_size_still_gets_a_large_answer_head(void **state)
{
    (void)state;
    static char text[20000], value[400];
    struct http_header h[40];
    int n = snprintf(text, sizeof text, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\n");
    for (int i = 0; i < 97; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "X-Header-%02d: %0108d\r\n", i, i);
    snprintf(text + n, sizeof text - (size_t)n, "\r\nabc");
    for (int round = 0; round < 2; round++) {
        int fd = client();
        assert_true(say(fd, text));
        assert_int_equal(status_of(hear(fd, "abc")), 200);
        close(fd);
        fd = client();
        n = (int)(strstr(text, "/echo") - text);
        memcpy(text + n, "/wait", 5);
        assert_true(say(fd, text));
        assert_true(pump_until(&app.bodies, 2 * round + 2));
        memset(value, 'v', sizeof value);
        for (size_t i = 0; i < ARRAY_LEN(h); i++)
            h[i] = (struct http_header){STR("X-Answer"), str_n(value, 200)};
        assert_int_equal(http_reply(app.q, 200, h, ARRAY_LEN(h), STR("done")), 0);
        struct heard *got = hear(fd, "done");
        assert_int_equal(status_of(got), 200);
        memcpy(text + n, "/echo", 5);
        close(fd);
    }
}

/* ---- bodies ---- */

extern const char *MHD_get_version(void);

/* libmicrohttpd 1.0 refuses chunk extensions, and codings that it does not know, with a 400 */
static bool library_is_1_0(void)
{
    return MHD_get_version()[0] != '0';
}

static void a_chunked_upload_is_put_together(void **state)
{
    (void)state;
    int fd = client();
    assert_true(say(fd, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                        "5\r\nhello\r\n"));
    turns(5);
    assert_true(say(fd, library_is_1_0() ? "6\r\n" : "6;x=y\r\n"));
    assert_true(say(fd, " world\r\n0\r\nX-Trailer: t\r\n\r\n"));
    assert_int_equal(status_of(hear(fd, "hello world")), 200);
    post(fd, "/echo", "kept");
    assert_int_equal(status_of(hear(fd, "kept")), 200);
    close(fd);
}

static void a_large_body_arrives_whole(void **state)
{
    (void)state;
    enum { N = 1 << 20 };
    char *body = malloc(N);
    for (int i = 0; i < N; i++)
        body[i] = (char)('a' + i % 23);
    int fd = client();
    char head[128];
    snprintf(head, sizeof head, "POST /wait HTTP/1.1\r\n" HOST "Content-Length: %d\r\n\r\n", N);
    assert_true(say(fd, head) && say_n(fd, body, N));
    assert_true(pump_until(&app.bodies, 1));
    assert_int_equal(app.q->body.n, N);
    assert_memory_equal(app.q->body.p, body, N);
    assert_int_equal(http_reply(app.q, 200, NULL, 0, STR("got it")), 0);
    assert_int_equal(status_of(hear(fd, "got it")), 200);
    free(body);
    close(fd);
}

static void expect_100_continue_is_answered(void **state)
{
    (void)state;
    int fd = client();
    assert_true(say(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 2\r\n"
                        "Expect: 100-continue\r\n\r\n"));
    assert_int_equal(status_of(hear(fd, "\r\n\r\n")), 100);
    assert_true(say(fd, "ok"));
    assert_int_equal(status_of(hear(fd, "ok")), 200);
    close(fd);
}

static void a_413_comes_instead_of_100(void **state)
{
    (void)state;
    int fd = client();
    assert_true(say(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 1048577\r\n"
                        "Expect: 100-continue\r\n\r\n"));
    struct heard *h = hear(fd, NULL);
    assert_int_equal(status_of(h), 413);
    assert_int_equal(answers_in(h), 1);
    assert_true(h->eof);
    assert_int_equal(app.heads, 0);
    assert_int_equal(app.last_refusal, 413);
    close(fd);
}

static void an_oversize_body_gets_413_that_the_client_can_read(void **state)
{
    (void)state;
    enum { N = 8 << 20 };
    char *body = calloc(1, N);
    int fd = client();
    assert_true(say(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 8388608\r\n\r\n"));
    assert_true(say_n(fd, body, N)); /* the whole upload goes through: no reset on the way */
    struct heard *h = hear(fd, NULL);
    assert_int_equal(status_of(h), 413);
    assert_true(h->eof && !h->reset);
    close(fd);
    fd = client(); /* the same without an announced length */
    assert_true(say(fd, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                        "800000\r\n") && say_n(fd, body, N) && say(fd, "\r\n0\r\n\r\n"));
    h = hear(fd, NULL);
    assert_int_equal(status_of(h), 413);
    assert_int_equal(answers_in(h), 1);
    assert_int_equal(app.bodies, 0);
    assert_true(pump_until(&app.closes, 1)); /* head() was called for the second */
    free(body);
    close(fd);
}

static void uploads_over_the_memory_limit_get_503(void **state)
{
    (void)state;
    _Atomic int64_t used = 0;
    struct http_config config = app_config();
    config.memory_used = &used;
    config.memory_limit = 600000;
    assert_int_equal(app_start(&config), 0);
    char *body = calloc(1, 1 << 20);
    int a = client(), b = client();
    assert_true(say(a, "POST /wait HTTP/1.1\r\n" HOST "Content-Length: 600000\r\n\r\n") &&
                say_n(a, body, 600000));
    assert_true(pump_until(&app.bodies, 1));
    assert_int_equal(used, 524288);
    assert_true(say(b, "POST /wait HTTP/1.1\r\n" HOST "Content-Length: 600000\r\n\r\n") &&
                say_n(b, body, 600000));
    struct heard *h = hear(b, NULL);
    assert_int_equal(status_of(h), 503);
    assert_non_null(strstr(h->p, "Retry-After: 1\r\n"));
    assert_int_equal(http_reply(app.q, 200, NULL, 0, STR("ok")), 0);
    assert_int_equal(status_of(hear(a, "ok")), 200);
    close(a);
    close(b);
    assert_true(pump_until(&app.closes, 2));
    assert_int_equal(used, 0);
    free(body);
    app_stop();
}

static void an_answer_from_the_head_keeps_the_connection_when_little_is_left(void **state)
{
    (void)state;
    int fd = client();
    for (int i = 0; i < 3; i++) {
        post(fd, "/now", "some prompt");
        assert_int_equal(status_of(hear(fd, "{\"early\":true}")), 401);
    }
    assert_int_equal(http_stats(app.s).accepted, 1);
    assert_int_equal(app.bodies, 0);
    char *body = calloc(1, 500000);
    assert_true(say(fd, "POST /now HTTP/1.1\r\n" HOST "Content-Length: 500000\r\n\r\n") &&
                say_n(fd, body, 500000));
    struct heard *h = hear(fd, NULL);
    assert_int_equal(status_of(h), 401);
    assert_non_null(strstr(h->p, "Connection: close"));
    assert_true(h->eof && !h->reset);
    assert_true(pump_until(&app.closes, 4));
    assert_int_equal(app.clean_closes, 4);
    free(body);
    close(fd);
}

/* ---- the gate ---- */

static void nothing_is_answered_after_a_refusal(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *text;
    } cases[] = {
        {400,
            "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
            "0\r\n\r\n"},
        {400, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 30\r\n\r\nabc"},
        {501, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"},
        {403, "GET /echo HTTP/1.1\r\nHost: evil.example\r\n\r\n"},
        {403, "OPTIONS /echo HTTP/1.1\r\n" HOST "\r\n"},
        {405, "TRACE /echo HTTP/1.1\r\n" HOST "\r\n"},
        {426, "GET /echo HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"},
        {417, "POST /echo HTTP/1.1\r\n" HOST "Expect: bogus\r\nContent-Length: 0\r\n\r\n"},
        {415,
            "POST /echo HTTP/1.1\r\n" HOST "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nxx"},
        {400, "GET /a/../b HTTP/1.1\r\n" HOST "\r\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[2048];
        int fd = client();
        snprintf(text, sizeof text, "%sGET /echo HTTP/1.1\r\n" HOST "\r\n", cases[i].text);
        say(fd, text);
        struct heard *h = hear(fd, NULL);
        int wanted = cases[i].status == 501 && library_is_1_0() ? 400 : cases[i].status;
        assert_int_equal(status_of(h), wanted);
        assert_int_equal(answers_in(h), 1);
        assert_non_null(strstr(h->p, "Connection: close\r\n"));
        assert_non_null(strstr(h->p, "{\"error\""));
        assert_true(h->eof);
        assert_int_equal(app.last_refusal, wanted);
        close(fd);
    }
    assert_int_equal(app.heads, 0);
    assert_int_equal(app.refusals, (int)ARRAY_LEN(cases));
    turns(20);
    assert_int_equal(http_stats(app.s).connections, 0);
}

static void only_a_listed_page_may_read_answers(void **state)
{
    (void)state;
    static const struct str origins[] = {{"https://ui", 10}};
    http_server_names(app.s, NULL, 0, origins, 1);
    int fd = client();
    assert_true(say(fd, "OPTIONS /echo HTTP/1.1\r\n" HOST "Origin: https://ui\r\n"
                        "Access-Control-Request-Method: POST\r\n"
                        "Access-Control-Request-Headers: authorization,content-type\r\n\r\n"));
    struct heard *h = hear(fd, "\r\n\r\n");
    assert_int_equal(status_of(h), 204);
    assert_non_null(strstr(h->p, "Access-Control-Allow-Origin: https://ui\r\n"));
    assert_non_null(strstr(h->p, "Access-Control-Allow-Headers: authorization,content-type\r\n"));
    assert_int_equal(app.heads, 0);
    const char *get = "GET /wait HTTP/1.1\r\n" HOST "Origin: https://ui\r\n\r\n";
    struct http_header star = {STR("Access-Control-Allow-Origin"), STR("*")};
    assert_true(say(fd, get) && pump_until(&app.bodies, 1));
    assert_int_equal(http_reply(app.q, 200, &star, 1, STR("held")), 0);
    h = hear(fd, "held");
    assert_non_null(strstr(h->p, "Access-Control-Allow-Origin: https://ui\r\n"));
    assert_null(strstr(h->p, "*"));
    assert_true(say(fd, get) && pump_until(&app.bodies, 2));
    assert_int_equal(http_stream_begin(app.q, 200, &star, 1, -1), 0);
    h = hear(fd, "\r\n\r\n");
    assert_non_null(strstr(h->p, "Access-Control-Allow-Origin: https://ui\r\n"));
    assert_null(strstr(h->p, "*"));
    close(fd);
    fd = client();
    post(fd, "/wait", "x"); /* no Origin: no permission, whatever a provider says */
    assert_true(pump_until(&app.bodies, 3));
    assert_int_equal(http_reply(app.q, 200, &star, 1, STR("held")), 0);
    assert_null(strstr(hear(fd, "held")->p, "Access-Control"));
    close(fd);
}

/* ---- leaving ---- */

enum way { WAY_CLOSE, WAY_RESET, WAY_HALF };

static void leave(int fd, enum way way)
{
    struct linger now = {1, 0};
    if (way == WAY_HALF) {
        shutdown(fd, SHUT_WR);
        return;
    }
    if (way == WAY_RESET)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
}

static void a_client_that_leaves_is_noticed_at_once(void **state)
{
    (void)state;
    for (int streaming = 0; streaming < 3; streaming++)
        for (enum way way = WAY_CLOSE; way <= WAY_HALF; way++) {
            int fd = waiting_client(), hangups = app.hangups, closes = app.closes;
            if (streaming)
                assert_int_equal(http_stream_begin(app.q, 200, NULL, 0, -1), 0);
            if (streaming == 2)
                assert_int_equal(http_stream_write(app.q, STR("data: 1\n\n")), 0);
            turns(3);
            struct http_request *q = app.q;
            int64_t began = clock_mono_us();
            leave(fd, way);
            assert_true(pump_until(&app.hangups, hangups + 1));
            assert_true(clock_mono_us() - began < 50000);
            assert_true(pump_until(&app.closes, closes + 1));
            assert_int_equal(app.hangups, hangups + 1);
            assert_null(app.q);
            (void)q;
            if (way == WAY_HALF)
                close(fd);
        }
    assert_int_equal(app.clean_closes, 0);
    assert_int_equal(app.hangups_before_close, 9);
    assert_int_equal(app.heads, app.closes);
}

static void a_half_close_with_the_request_is_served_when_the_answer_is_at_hand(void **state)
{
    (void)state;
    int fd = client();
    assert_int_equal(send(fd, "GET /echo HTTP/1.1\r\n" HOST "\r\n", 39, 0), 39);
    shutdown(fd, SHUT_WR);
    struct heard *h = hear_for(fd, NULL, 2000);
    assert_int_equal(status_of(h), 200);
    assert_true(h->eof); /* and the connection does not stay behind */
    close(fd);
    fd = client(); /* the same on a kept connection */
    post(fd, "/echo", "x");
    hear(fd, "\r\n\r\nx");
    post(fd, "/echo", "last");
    shutdown(fd, SHUT_WR);
    h = hear_for(fd, NULL, 2000);
    assert_true(status_of(h) == 200 && h->eof);
    close(fd);
    static char big[12 << 20];
    memset(big, 'b', sizeof big);
    app.answer = str_n(big, sizeof big); /* a large answer takes its time and is not cut short */
    fd = client();
    post(fd, "/echo", "x");
    shutdown(fd, SHUT_WR);
    for (int64_t end = clock_mono_us() + 300000; clock_mono_us() < end;)
        loop_turn(app.l, 10000);
    size_t got = 0;
    do {
        h = hear_for(fd, NULL, 2000);
        got += h->n;
    } while (!h->eof && !h->reset && h->n);
    assert_true(h->eof && got > sizeof big);
    close(fd);
    app.answer = STR_NULL;
    fd = client(); /* but one that would have to wait is let go */
    assert_true(send(fd, "GET /wait HTTP/1.1\r\n" HOST "\r\n", 39, 0) == 39);
    shutdown(fd, SHUT_WR);
    assert_true(pump_until(&app.hangups, 1));
    assert_true(pump_until(&app.closes, 5));
    close(fd);
}

static void a_client_that_leaves_during_its_upload_is_closed_once(void **state)
{
    (void)state;
    int fd = client();
    assert_true(say(fd, "POST /wait HTTP/1.1\r\n" HOST "Content-Length: 100\r\n\r\nabc"));
    assert_true(pump_until(&app.heads, 1));
    close(fd);
    assert_true(pump_until(&app.closes, 1));
    turns(10);
    assert_int_equal(app.closes, 1);
    assert_int_equal(app.bodies, 0);
    static const char *const parts[] = {"GET /wait HTTP/1.1\r\nHo",
        "POST /wait HTTP/1.1\r\n" HOST "Content-Length: 100\r\n\r\nabc"};
    for (int i = 0; i < 4; i++) { /* the end comes together with the bytes */
        fd = client();
        assert_true(send(fd, parts[i % 2], strlen(parts[i % 2]), 0) > 0);
        if (i < 2)
            close(fd);
        else
            shutdown(fd, SHUT_WR);
        for (int64_t end = clock_mono_us() + 400000; clock_mono_us() < end;)
            loop_turn(app.l, 10000);
        assert_int_equal(http_stats(app.s).connections, 0);
        if (i >= 2)
            close(fd);
    }
    assert_int_equal(app.closes, app.heads);
}

/* ---- streams ---- */

static void a_stream_is_chunks_and_a_last_chunk(void **state)
{
    (void)state;
    int fd = waiting_client();
    struct http_header h[] = {{STR("Content-Type"), STR("text/event-stream")},
        {STR("Transfer-Encoding"), STR("gzip")}};
    assert_int_equal(http_stream_begin(app.q, 200, h, 2, -1), 0);
    struct heard *got = hear(fd, "\r\n\r\n"); /* the head goes out without waiting for data */
    assert_int_equal(status_of(got), 200);
    assert_non_null(strstr(got->p, "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"));
    assert_null(strstr(got->p, "gzip"));
    assert_int_equal(http_stream_write(app.q, STR("data: 1\n\n")), 0);
    assert_string_equal(hear(fd, "\n\r\n")->p, "9\r\ndata: 1\n\n\r\n");
    assert_int_equal(http_stream_write(app.q, STR("x")), 0);
    http_stream_end(app.q, true);
    got = hear(fd, NULL);
    assert_string_equal(got->p, "1\r\nx\r\n0\r\n\r\n");
    assert_true(got->eof);
    assert_true(pump_until(&app.closes, 1));
    assert_int_equal(app.clean_closes, 1);
    assert_int_equal(app.hangups, 0);
    close(fd);
}

static void a_stream_of_known_length_must_keep_its_word(void **state)
{
    (void)state;
    int fd = waiting_client();
    assert_int_equal(http_stream_begin(app.q, 200, NULL, 0, 5), 0);
    assert_int_equal(http_stream_write(app.q, STR("123")), 0);
    assert_int_equal(http_stream_write(app.q, STR("456")), -ERR_RANGE);
    assert_int_equal(http_stream_write(app.q, STR("45")), 0);
    http_stream_end(app.q, true);
    struct heard *h = hear(fd, NULL);
    assert_non_null(strstr(h->p, "Content-Length: 5\r\n"));
    assert_string_equal(strstr(h->p, "\r\n\r\n"), "\r\n\r\n12345");
    assert_true(h->eof);
    close(fd);
    assert_true(pump_until(&app.closes, 1));
    fd = waiting_client(); /* ends short: the missing bytes show, whatever the caller thinks */
    assert_int_equal(http_stream_begin(app.q, 200, NULL, 0, 5), 0);
    assert_int_equal(http_stream_write(app.q, STR("123")), 0);
    http_stream_end(app.q, true);
    h = hear(fd, NULL);
    assert_string_equal(strstr(h->p, "\r\n\r\n"), "\r\n\r\n123");
    assert_true(h->eof && !h->reset);
    close(fd);
    assert_true(pump_until(&app.closes, 2));
    assert_int_equal(app.clean_closes, 1);
}

static void an_unclean_end_shows_and_takes_nothing_back(void **state)
{
    (void)state;
    int fd = waiting_client();
    assert_int_equal(http_stream_begin(app.q, 200, NULL, 0, -1), 0);
    assert_int_equal(http_stream_write(app.q, STR("data: error\n\n")), 0);
    http_stream_end(app.q, false);
    struct heard *h = hear(fd, NULL);
    assert_non_null(strstr(h->p, "data: error"));
    assert_null(strstr(h->p, "0\r\n\r\n"));
    assert_true(h->eof && !h->reset); /* chunks without a last one */
    assert_true(pump_until(&app.closes, 1));
    assert_int_equal(app.clean_closes, 0);
    assert_int_equal(app.hangups, 0);
    close(fd);
}

static void a_stream_to_http_1_0_ends_by_close(void **state)
{
    (void)state;
    int fd = client();
    assert_true(say(fd, "GET /wait HTTP/1.0\r\n\r\n"));
    assert_true(pump_until(&app.bodies, 1));
    assert_int_equal(http_stream_begin(app.q, 200, NULL, 0, -1), 0);
    assert_int_equal(http_stream_write(app.q, STR("plain")), 0);
    http_stream_end(app.q, true);
    struct heard *h = hear(fd, NULL);
    assert_null(strstr(h->p, "Transfer-Encoding"));
    assert_string_equal(strstr(h->p, "\r\n\r\n"), "\r\n\r\nplain");
    assert_true(h->eof);
    close(fd);
}

static void a_stream_may_begin_inside_the_turn_and_survive_pipelined_bytes(void **state)
{
    (void)state;
    int fd = client();
    assert_true(say(fd, "GET /wait HTTP/1.1\r\n" HOST "\r\nGET /echo HTTP/1.1\r\n" HOST "\r\n"));
    assert_true(pump_until(&app.bodies, 1));
    assert_true(say(fd, "more that nobody will read"));
    assert_int_equal(http_stream_begin(app.q, 200, NULL, 0, -1), 0);
    for (int i = 0; i < 100; i++)
        assert_true(http_stream_write(app.q, STR("0123456789012345678901234567890123456789")) >= 0);
    http_stream_end(app.q, true);
    struct heard *h = hear(fd, NULL);
    assert_true(h->eof && !h->reset);
    assert_int_equal(answers_in(h), 1); /* the second request is not served: Connection: close */
    assert_non_null(strstr(h->p, "0\r\n\r\n"));
    close(fd);
    assert_true(pump_until(&app.closes, 1));
    assert_int_equal(app.clean_closes, 1);
}

static unsigned char byte_at(size_t i)
{
    return (unsigned char)((i * 2654435761u) >> 13);
}

static void a_slow_reader_gets_every_byte_and_holds_the_source_back(void **state)
{
    (void)state;
    enum { PIECE = 32768 };
    const size_t total = (size_t)64 << 20;
    static unsigned char piece[PIECE], got[262144];
    int fd = waiting_client();
    assert_int_equal(http_stream_begin(app.q, 200, NULL, 0, (int64_t)total), 0);
    hear(fd, "\r\n\r\n");
    size_t sent = 0, read = 0, highest = 0;
    int full = 0, drains = app.drains;
    bool paused = false, ended = false;
    while (read < total) {
        if (paused && app.drains > drains)
            paused = false;
        for (int burst = 0; !paused && sent < total && burst < 64; burst++) {
            for (size_t i = 0; i < PIECE; i++)
                piece[i] = byte_at(sent + i);
            int rc = http_stream_write(app.q, str_n((char *)piece, PIECE));
            assert_true(rc >= 0);
            sent += PIECE;
            drains = app.drains;
            paused = rc == 1;
            full += paused;
            highest = MAX(highest, http_stream_queued(app.q));
        }
        if (sent == total && !ended) {
            ended = true;
            http_stream_end(app.q, true);
        }
        loop_turn(app.l, 0);
        ssize_t n = recv(fd, got, 1 + (size_t)rand() % sizeof got, 0);
        for (ssize_t i = 0; i < n; i++)
            if (got[i] != byte_at(read + (size_t)i))
                fail_msg("byte %zu is wrong", read + (size_t)i);
        read += n > 0 ? (size_t)n : 0;
        assert_true(n != 0);
    }
    assert_true(hear(fd, NULL)->eof);
    assert_true(full > 0 && app.drains > 0);
    assert_true(highest <= 262144 + PIECE + 64);
    assert_true(pump_until(&app.closes, 1));
    assert_int_equal(app.clean_closes, 1);
    assert_true(http_stats(app.s).client_stall_us_total > 0);
    close(fd);
}

/* ---- deadlines ---- */

static struct http_config hasty(void)
{
    struct http_config config = app_config();
    config.head_deadline_us = 150000;
    config.body_idle_us = 150000;
    config.write_stall_us = 150000;
    return config;
}

static void a_drip_of_header_bytes_ends_at_the_deadline(void **state)
{
    (void)state;
    struct http_config config = hasty();
    assert_int_equal(app_start(&config), 0);
    int fd = client();
    const char *drip = "GET / HTTP/1.1\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    int64_t began = clock_mono_us();
    struct heard *h;
    do {
        send(fd, drip++, 1, MSG_NOSIGNAL);
        h = hear_for(fd, NULL, 10);
    } while (!h->eof && !h->reset && h->n == 0 && clock_mono_us() - began < 3000000);
    assert_true(clock_mono_us() - began < 1000000);
    assert_int_equal(status_of(h), 408);
    close(fd);
    fd = client(); /* one that says nothing at all is closed without a word */
    h = hear_for(fd, NULL, 2000);
    assert_true(h->eof && h->n == 0);
    close(fd);
    fd = client(); /* the second request on a kept connection has the same deadline */
    post(fd, "/echo", "x");
    hear(fd, "\r\n\r\nx");
    hear_for(fd, NULL, 300);
    assert_true(say(fd, "GET /"));
    h = hear_for(fd, NULL, 2000);
    assert_int_equal(status_of(h), 408);
    close(fd);
    app_stop();
}

static void a_body_that_stops_gets_408(void **state)
{
    (void)state;
    struct http_config config = hasty();
    assert_int_equal(app_start(&config), 0);
    int fd = client();
    assert_true(say(fd, "POST /wait HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\nabc"));
    struct heard *h = hear_for(fd, NULL, 3000);
    assert_int_equal(status_of(h), 408);
    assert_true(h->eof);
    assert_int_equal(app.last_refusal, 408);
    close(fd);
    assert_true(pump_until(&app.closes, 1));
    assert_int_equal(app.clean_closes, 0);
    app_stop();
}

static void a_slow_reader_is_not_given_up(void **state)
{
    (void)state;
    struct http_config config = hasty();
    config.write_stall_us = 400000;
    assert_int_equal(app_start(&config), 0);
    int fd = waiting_client(), before = app.hangups;
    size_t total = 0;
    char *much = calloc(1, 8 << 20), some[100000];
    assert_int_equal(http_stream_begin(app.q, 200, NULL, 0, -1), 0);
    assert_int_equal(http_stream_write(app.q, str_n(much, 8 << 20)), 1);
    for (int64_t end = clock_mono_us() + 2000000; clock_mono_us() < end;) {
        ssize_t n = recv(fd, some, sizeof some, 0); /* far less than what EPOLLOUT waits for */
        total += n > 0 ? (size_t)n : 0;
        for (int64_t next = clock_mono_us() + 100000; clock_mono_us() < next;)
            loop_turn(app.l, 10000);
    }
    assert_true(total > 200000 && total < 2500000);
    assert_int_equal(app.hangups, before);
    free(much);
    close(fd);
    app_stop();
}

static void a_reader_that_stops_is_given_up_and_a_pause_of_ours_is_not(void **state)
{
    (void)state;
    struct http_config config = hasty();
    assert_int_equal(app_start(&config), 0);
    int fd = waiting_client();
    assert_int_equal(http_stream_begin(app.q, 200, NULL, 0, -1), 0);
    assert_int_equal(http_stream_write(app.q, STR("a")), 0);
    hear_for(fd, NULL, 400); /* nothing to send for long: fine */
    assert_int_equal(app.hangups, 0);
    char *much = calloc(1, 8 << 20);
    assert_int_equal(http_stream_write(app.q, str_n(much, 8 << 20)), 1);
    assert_true(pump_until(&app.hangups, 1)); /* never read: the stall ends it */
    assert_true(pump_until(&app.closes, 1));
    assert_int_equal(app.clean_closes, 0);
    free(much);
    close(fd);
    app_stop();
}

static void an_answered_connection_may_rest(void **state)
{
    (void)state;
    struct http_config config = hasty();
    assert_int_equal(app_start(&config), 0);
    static const char *const paths[] = {"/now", "/echo"};
    for (int i = 0; i < 2; i++) {
        int fd = client();
        post(fd, paths[i], "x");
        hear(fd, i ? "\r\n\r\nx" : "true}");
        struct heard *h = hear_for(fd, NULL, 400); /* longer than a head may take */
        assert_true(h->n == 0 && !h->eof);
        post(fd, "/echo", "again");
        assert_int_equal(status_of(hear(fd, "again")), 200);
        close(fd);
    }
    app_stop();
}

static void waiting_costs_no_turns(void **state)
{
    (void)state;
    int idle = client(), resting = waiting_client(), uploading = client(), held = client();
    int refused = client(), streaming = waiting_client();
    char *much = calloc(1, 8 << 20);
    app.answer = str_n(much, 8 << 20);
    assert_int_equal(http_stream_begin(app.q, 200, NULL, 0, -1), 0);
    assert_int_equal(http_stream_write(app.q, str_n(much, 8 << 20)), 1);
    post(held, "/echo", "x"); /* both are never read */
    assert_true(say(uploading, "POST /wait HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\nabc"));
    assert_true(say(refused, "POST /a HTTP/1.1\r\nHost: evil\r\nContent-Length: 10\r\n\r\nabc"));
    turns(50);
    int64_t before = loop_stats(app.l).turns;
    for (int64_t end = clock_mono_us() + 300000; clock_mono_us() < end;)
        loop_turn(app.l, end - clock_mono_us());
    assert_true(loop_stats(app.l).turns - before < 20);
    int fds[] = {idle, resting, uploading, held, refused, streaming};
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        close(fds[i]);
    assert_true(pump_until(&app.closes, app.heads));
    free(much);
}

/* ---- limits, drain, unix sockets ---- */

static void connections_over_the_cap_get_503_and_none_is_lost(void **state)
{
    (void)state;
    struct http_config config = app_config();
    config.connections = 4;
    assert_int_equal(app_start(&config), 0);
    int fds[6];
    for (int i = 0; i < 4; i++)
        fds[i] = waiting_client();
    for (int i = 4; i < 6; i++) {
        fds[i] = client();
        post(fds[i], "/echo", "x");
        struct heard *h = hear(fds[i], NULL);
        assert_int_equal(status_of(h), 503);
        assert_non_null(strstr(h->p, "Retry-After: 1"));
    }
    for (int i = 0; i < 6; i++)
        close(fds[i]);
    assert_true(pump_until(&app.closes, 4));
    turns(5);
    assert_int_equal(http_stats(app.s).connections, 0);
    int fd = client();
    post(fd, "/echo", "room");
    assert_int_equal(status_of(hear(fd, "room")), 200);
    close(fd);
    app_stop();
}

static void running_out_of_descriptors_pauses_accepting(void **state)
{
    (void)state;
    int idle[3], fds[3];
    for (int i = 0; i < 3; i++)
        idle[i] = client();
    int next = dup(0);
    struct rlimit was, low;
    getrlimit(RLIMIT_NOFILE, &was);
    low = was;
    low.rlim_cur = (rlim_t)next; /* not one more */
    close(next);
    for (int i = 0; i < 3; i++)
        fds[i] = idle[i];
    setrlimit(RLIMIT_NOFILE, &low);
    turns(50);
    setrlimit(RLIMIT_NOFILE, &was);
    assert_true(http_stats(app.s).accepted < 3);
    for (int i = 0; i < 3; i++) {
        post(fds[i], "/echo", "late");
        assert_int_equal(status_of(hear(fds[i], "late")), 200);
        close(fds[i]);
    }
}

static void a_drain_ends_idle_connections_and_lets_requests_finish(void **state)
{
    (void)state;
    int idle = client(), busy = waiting_client();
    struct http_request *held = app.q;
    int streaming = waiting_client();
    struct http_request *stream = app.q;
    assert_int_equal(http_stream_begin(stream, 200, NULL, 0, -1), 0);
    turns(5);
    http_server_drain(app.s);
    assert_true(hear(idle, NULL)->eof);
    assert_int_equal(http_reply(held, 200, NULL, 0, STR("done")), 0);
    struct heard *h = hear(busy, NULL);
    assert_non_null(strstr(h->p, "Connection: close"));
    assert_non_null(strstr(h->p, "done"));
    assert_true(h->eof);
    assert_int_equal(http_stream_write(stream, STR("last")), 0);
    http_stream_end(stream, true);
    assert_non_null(strstr(hear(streaming, NULL)->p, "4\r\nlast\r\n0\r\n\r\n"));
    assert_true(pump_until(&app.closes, 2));
    turns(5);
    assert_int_equal(http_stats(app.s).connections, 0);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)app.port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_true(connect(fd, (struct sockaddr *)&a, sizeof a) < 0);
    close(fd);
    close(idle);
    close(busy);
    close(streaming);
}

/* A closed listener would reset those that wait in its backlog, and a close the bytes that are unread. */
static void a_drain_serves_what_was_sent_before(void **state)
{
    (void)state;
    enum { MANY = 40 };
    static const char sent[] =
        "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 11\r\n\r\nsent before";
    int fds[MANY], read_in_part = client();
    assert_true(say(read_in_part, "POST /echo HTTP/1.1\r\n" HOST));
    turns(3);
    for (int i = 0; i < MANY; i++) {
        fds[i] = client();
        assert_int_equal(send(fds[i], sent, strlen(sent), 0), strlen(sent)); /* no turn of the loop */
    }
    http_server_drain(app.s);
    assert_false(http_server_drained(app.s));
    assert_true(say(read_in_part, "Content-Length: 4\r\n\r\nrest"));
    for (int i = 0; i < MANY; i++) {
        struct heard *h = hear(fds[i], "sent before");
        assert_int_equal(status_of(h), 200);
        assert_non_null(strstr(h->p, "Connection: close"));
        close(fds[i]);
    }
    assert_int_equal(status_of(hear(read_in_part, "rest")), 200);
    close(read_in_part);
    turns(10);
    assert_true(http_server_drained(app.s));
    assert_int_equal(http_stats(app.s).connections, 0);
}

static void freeing_ends_what_still_runs(void **state)
{
    (void)state;
    struct http_config config = app_config();
    assert_int_equal(app_start(&config), 0);
    int waiting = waiting_client(), streaming = waiting_client(), uploading = client(),
        idle = client();
    assert_int_equal(http_stream_begin(app.q, 200, NULL, 0, -1), 0);
    assert_true(say(uploading, "POST /wait HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\nabc"));
    assert_true(pump_until(&app.heads, 3));
    app_stop();
    assert_int_equal(app.closes, 3);
    assert_int_equal(app.clean_closes, 0);
    close(waiting);
    close(streaming);
    close(uploading);
    close(idle);
}

static void the_user_of_a_local_peer_is_known_over_ipv6_too(void **state)
{
    (void)state;
    static const char *const addresses[] = {"[::1]:0", "[::]:0"}; /* also takes 127.0.0.1 */
    for (int i = 0; i < 2; i++) {
        int fd = http_listen_tcp(str_c(addresses[i]), false, &app.port, NULL);
        if (fd < 0)
            skip(); /* no IPv6 here */
        assert_int_equal(http_server_listen(app.s, fd, NULL), 0);
        struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)app.port),
            .sin6_addr = IN6ADDR_LOOPBACK_INIT};
        int c = i ? client() : socket(AF_INET6, SOCK_STREAM, 0);
        if (i == 0)
            assert_int_equal(connect(c, (struct sockaddr *)&six, sizeof six), 0);
        fcntl(c, F_SETFL, O_NONBLOCK);
        app.uid = -1;
        post(c, "/echo", "x");
        assert_int_equal(status_of(hear(c, "\r\n\r\nx")), 200);
        assert_int_equal(app.uid, (int64_t)getuid());
        assert_memory_equal(app.last_peer, i ? "127.0.0.1:" : "[::1]:", i ? 10 : 6);
        close(c);
    }
}

static void a_listen_address_that_cannot_be_is_explained(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "4141", "localhost", "1.2.3.4:", ":4141", "::1:4141",
        "127.0.0.1:99999", "127.0.0.1:x"};
    struct err e;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        assert_int_equal(http_listen_tcp(str_c(wrong[i]), false, NULL, &e), -ERR_SYNTAX);
        assert_non_null(strstr(e.text, "127.0.0.1:4141"));
    }
}

static void a_taken_port_names_the_process_and_the_user_that_hold_it(void **state)
{
    (void)state;
    static const char *const hosts[] = {"127.0.0.1", "0.0.0.0"}; /* the same, and "any" */
    const struct passwd *me = getpwuid(getuid());
    char taken[32], wanted[96];
    struct err e;
    snprintf(wanted, sizeof wanted, "(pid %d) of %s", (int)getpid(), me ? me->pw_name : "uid");
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        snprintf(taken, sizeof taken, "%s:%d", hosts[i], app.port);
        assert_int_equal(http_listen_tcp(str_c(taken), false, NULL, &e), -ERR_BUSY);
        assert_non_null(strstr(e.text, "Address already in use"));
        assert_non_null(strstr(e.text, "held by test_http"));
        assert_non_null(strstr(e.text, wanted));
        assert_non_null(strstr(e.text, "--listen"));
    }
}

static void a_unix_socket_tells_who_is_calling(void **state)
{
    (void)state;
    char folder[] = "/tmp/pointsman-http-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/s", folder);
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    str_copy(a.sun_path, sizeof a.sun_path, str_c(path));
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(listener, 10), 0);
    assert_int_equal(http_server_listen(app.s, listener, NULL), 0);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    assert_true(say(
        fd, "GET /echo HTTP/1.1\r\nHost: anything\r\n\r\nGET /wait HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_int_equal(status_of(hear(fd, "\r\n\r\n")), 200);
    assert_int_equal(app.uid, (int64_t)getuid());
    char expected[32];
    snprintf(expected, sizeof expected, "unix:%d", (int)getpid());
    assert_string_equal(app.last_peer, expected);
    assert_true(pump_until(&app.bodies, 2));
    assert_int_equal(http_stream_begin(app.q, 200, NULL, 0, -1), 0);
    assert_int_equal(http_stream_write(app.q, STR("event")), 0);
    assert_non_null(strstr(hear(fd, "event")->p, "5\r\nevent"));
    close(fd);
    assert_true(pump_until(&app.hangups, 1));
    assert_true(pump_until(&app.closes, 2));
    unlink(path);
    rmdir(folder);
}

#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_connection_is_kept_for_many_requests),
        T(pipelined_requests_are_answered_in_order),
        T(what_lies_in_the_socket_is_read_after_an_answer),
        T(an_answer_may_come_later),
        T(head_sends_the_length_and_no_body),
        T(http_1_0_clients_are_served),
        T(control_bytes_never_leave_in_a_header),
        T(a_head_of_the_largest_size_still_gets_a_large_answer_head),
        T(a_chunked_upload_is_put_together),
        T(a_large_body_arrives_whole),
        T(expect_100_continue_is_answered),
        T(a_413_comes_instead_of_100),
        T(an_oversize_body_gets_413_that_the_client_can_read),
        cmocka_unit_test(uploads_over_the_memory_limit_get_503),
        T(an_answer_from_the_head_keeps_the_connection_when_little_is_left),
        T(nothing_is_answered_after_a_refusal),
        T(only_a_listed_page_may_read_answers),
        T(a_client_that_leaves_is_noticed_at_once),
        T(a_half_close_with_the_request_is_served_when_the_answer_is_at_hand),
        T(a_client_that_leaves_during_its_upload_is_closed_once),
        T(a_stream_is_chunks_and_a_last_chunk),
        T(a_stream_of_known_length_must_keep_its_word),
        T(an_unclean_end_shows_and_takes_nothing_back),
        T(a_stream_to_http_1_0_ends_by_close),
        T(a_stream_may_begin_inside_the_turn_and_survive_pipelined_bytes),
        T(a_slow_reader_gets_every_byte_and_holds_the_source_back),
        cmocka_unit_test(a_drip_of_header_bytes_ends_at_the_deadline),
        cmocka_unit_test(a_body_that_stops_gets_408),
        cmocka_unit_test(a_reader_that_stops_is_given_up_and_a_pause_of_ours_is_not),
        cmocka_unit_test(an_answered_connection_may_rest),
        T(waiting_costs_no_turns),
        cmocka_unit_test(a_slow_reader_is_not_given_up),
        cmocka_unit_test(connections_over_the_cap_get_503_and_none_is_lost),
        T(running_out_of_descriptors_pauses_accepting),
        T(a_drain_ends_idle_connections_and_lets_requests_finish),
        T(a_drain_serves_what_was_sent_before),
        cmocka_unit_test(freeing_ends_what_still_runs),
        T(the_user_of_a_local_peer_is_known_over_ipv6_too),
        T(a_listen_address_that_cannot_be_is_explained),
        T(a_taken_port_names_the_process_and_the_user_that_hold_it),
        T(a_unix_socket_tells_who_is_calling),
    };
    return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
