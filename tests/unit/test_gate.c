/* The request gate, rule by rule: which heads are let in, and what the others are told. */
#include "proxy/http/gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

struct row {
    int status;
    const char *head; /* "METHOD target VERSION\nname: value\n…" */
};

static const struct str hosts[] = {{"gw.example.com", 14}, {"10.0.0.5:4141", 13}};
static const struct str origins[] = {{"https://ui.example.com", 22}};
static struct gate_rules rules = {.check_host = true, .port = 4141, .hosts = hosts, .host_count = 2,
    .origins = origins, .origin_count = 1, .request_bytes = 1000000, .header_bytes = 12288};

static struct gate_facts judge(const char *text)
{
    static char copy[65536];
    struct http_header h[256];
    struct gate_head head = {.headers = h};
    struct str line, rest = str_n(copy, strlen(text)), word[3];
    assert_true(rest.n < sizeof copy);
    memcpy(copy, text, rest.n);
    assert_true(str_cut(&rest, '\n', &line));
    for (int i = 0; i < 3; i++)
        assert_true(str_cut(&line, ' ', &word[i]));
    while (str_cut(&rest, '\n', &line) && line.n) {
        ptrdiff_t colon = str_chr(line, ':');
        assert_true(colon >= 0 && head.header_count < 256);
        h[head.header_count++] = (struct http_header){str_first(line, (size_t)colon),
            str_from(line,
                (size_t)colon + (line.n > (size_t)colon + 1 && line.p[colon + 1] == ' ' ? 2 : 1))};
    }
    head.method = word[0];
    head.target = word[1];
    head.version = word[2];
    struct gate_facts f;
    gate_check(&rules, &head, &f);
    return f;
}

static void check(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct gate_facts f = judge(rows[i].head);
        if (f.status != rows[i].status)
            fail_msg("%s\n → %d (%s), wanted %d", rows[i].head, f.status, f.reason ? f.reason : "",
                rows[i].status);
        assert_true((f.status == 0) == (f.reason == NULL));
    }
}
#define CHECK(rows) check(rows, ARRAY_LEN(rows))
#define H "\nHost: localhost\n"
#define GET(target) "GET " target " HTTP/1.1" H

static void framing_in_doubt_is_refused(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {0, "POST /a HTTP/1.1" H "Content-Length: 3\n"},
        {0, "POST /a HTTP/1.1" H "Transfer-Encoding: chunked\n"},
        {0, "POST /a HTTP/1.1" H "Transfer-Encoding: Chunked\n"},
        {400, "POST /a HTTP/1.1" H "Content-Length: 3\nTransfer-Encoding: chunked\n"},
        {400, "POST /a HTTP/1.1" H "content-length: 3\nContent-Length: 3\n"},
        {400, "POST /a HTTP/1.1" H "Transfer-Encoding: chunked\nTransfer-Encoding: identity\n"},
        {501, "POST /a HTTP/1.1" H "Transfer-Encoding: gzip, chunked\n"},
        {501, "POST /a HTTP/1.1" H "Transfer-Encoding: xchunked\n"},
        {501, "POST /a HTTP/1.1" H "Transfer-Encoding: chunked \n"},
        {400, "POST /a HTTP/1.0" H "Transfer-Encoding: chunked\n"},
        {400, "POST /a HTTP/1.1" H "Content-Length: +3\n"},
        {400, "POST /a HTTP/1.1" H "Content-Length: 0x3\n"},
        {400, "POST /a HTTP/1.1" H "Content-Length: 3, 3\n"},
        {400, "POST /a HTTP/1.1" H "Content-Length:\n"},
        {400, "POST /a HTTP/1.1" H "Content-Length: 0000000000003\n"},
        {413, "POST /a HTTP/1.1" H "Content-Length: 1000001\n"},
        {400, "POST /a HTTP/1.1" H "Content-Length : 3\n"},
        {400, "POST /a HTTP/1.1" H "X a: 3\n"},
        {400, "POST /a HTTP/1.1" H "X\x80: 3\n"},
        {400, "POST /a HTTP/1.1" H ": 3\n"},
        {400, "POST /a HTTP/1.1" H "X: a\rY: b\n"},
        {400, "POST /a HTTP/1.1" H "X: a\x7f\n"},
        {0, "POST /a HTTP/1.1" H "X: tab\there, \xc3\xa9\n"},
        {0, "POST /a HTTP/1.1" H "X.Custom|Pipe: ok\n"},
    };
    CHECK(rows);
    struct gate_facts f = judge("POST /a HTTP/1.1" H "Content-Length: 007\nExpect: 100-Continue\n");
    assert_true(
        f.has_length && f.length == 7 && f.expects_continue && !f.chunked && !f.wants_close);
    f = judge("POST /a HTTP/1.1" H "Transfer-Encoding: chunked\nConnection: x, Close\n");
    assert_true(f.chunked && !f.has_length && f.wants_close);
}

static void methods_and_versions_are_few(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {0, GET("/")}, {0, "HEAD / HTTP/1.1" H}, {0, "PUT / HTTP/1.1" H}, {0, "PATCH / HTTP/1.1" H},
        {0, "DELETE / HTTP/1.1" H}, {403, "OPTIONS / HTTP/1.1" H}, {403, "OPTIONS * HTTP/1.1" H},
        {405, "TRACE / HTTP/1.1" H}, {405, "G@T / HTTP/1.1" H}, {405, "get / HTTP/1.1" H},
        {405, "CONNECT a:443 HTTP/1.1" H}, {505, "GET / HTTP/1.2" H}, {505, "GET / http/1.1" H},
        {0, "GET / HTTP/1.0\n"},
    };
    CHECK(rows);
}

static void path_rules_hold_for_the_path_alone(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {0, GET("/v1/v1/models")}, {0, GET("/v1/models/a..b")}, {0, GET("/v1/models/..a")},
        {0, GET("/a?next=//b/../c%00")}, {0, GET("/a%20b")}, {0, GET("/\xc3\xa0")}, {0, GET("/a%")},
        {0, GET("/s/x/v1/models?key=a/b")}, {0, GET("/models/...")},
        {400, GET("/a%00b")}, {400, GET("/a%0ab")}, {400, GET("//a")}, {400, GET("/v1//models")},
        {400, GET("/..")}, {400, GET("/a/../b")}, {400, GET("/a/%2e%2E/b")}, {400, GET("/a/.%2e")},
        {400, GET("/a%2f..%2fb")}, {400, GET("/a/..\\b")}, {400, GET("/a/./b")},
        {400, GET("a")}, {400, GET("*")}, {400, GET("example.com:443")}, {400, GET("?a")},
        {400, GET("/a\x01")}, {400, GET("/a?b\x01")},
        {0, GET("http://localhost/a?b")}, {0, GET("http://LOCALHOST")}, {400, GET("http://evil/a")},
        {400, GET("http://u:p@localhost/a")},
    };
    CHECK(rows);
    struct gate_facts f = judge(GET("http://localhost/v1/models?a=b?c"));
    assert_true(str_eq(f.path, STR("/v1/models")) && str_eq(f.query, STR("a=b?c")));
    static char text[20000] = "GET /";
    memset(text + 5, 'a', 8192);
    snprintf(text + 5 + 8192, 100, " HTTP/1.1" H);
    assert_int_equal(judge(text).status, 414);
}

static void only_local_or_listed_hosts_are_served(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {0, "GET / HTTP/1.1\nHost: localhost:4141\n"},
        {0, "GET / HTTP/1.1\nHost: LOCALHOST:4141\n"},
        {0, "GET / HTTP/1.1\nHost: 127.0.0.1:4141\n"},
        {0, "GET / HTTP/1.1\nHost: 127.0.0.1\n"},
        {0, "GET / HTTP/1.1\nHost: [::1]:4141\n"},
        {0, "GET / HTTP/1.1\nHost: [::1]\n"},
        {0, "GET / HTTP/1.1\nHost: a.localhost:4141\n"},
        {0, "GET / HTTP/1.1\nHost: 127.8.9.10\n"},
        {0, "GET / HTTP/1.1\nHost: gw.example.com:99\n"},
        {0, "GET / HTTP/1.1\nHost: 10.0.0.5:4141\n"},
        {403, "GET / HTTP/1.1\nHost: 10.0.0.5\n"},
        {403, "GET / HTTP/1.1\nHost: localhost:1\n"},
        {403, "GET / HTTP/1.1\nHost: evil.example\n"},
        {403, "GET / HTTP/1.1\nHost: localhost.evil.example:4141\n"},
        {403, "GET / HTTP/1.1\nHost: 127.0.0.1.nip.io:4141\n"},
        {403, "GET / HTTP/1.1\nHost: xlocalhost\n"},
        {403, "GET / HTTP/1.1\nHost: 127.0.0.256\n"},
        {403, "GET / HTTP/1.1\nHost: 127.0.0\n"},
        {403, "GET / HTTP/1.1\nHost: [::2]:4141\n"},
        {403, "GET / HTTP/1.1\nHost: 0.0.0.0:4141\n"},
        {400, "GET / HTTP/1.1\nHost: a b\n"},
        {400, "GET / HTTP/1.1\nHost: 127.0.0.1:4141,evil\n"},
        {400, "GET / HTTP/1.1\nHost: user@127.0.0.1:4141\n"},
        {400, "GET / HTTP/1.1\nHost:\n"},
        {400, "GET / HTTP/1.1\nHost: localhost:\n"},
        {400, "GET / HTTP/1.1\nHost: localhost:99999\n"},
        {400, "GET / HTTP/1.1\nHost: a:b:c\n"},
        {400, "GET / HTTP/1.1\nHost: [::1\n"},
        {400, "GET / HTTP/1.1\nHost: :4141\n"},
        {400, "GET / HTTP/1.1\n"},
        {400, "GET / HTTP/1.1\nHost: localhost\nHost: localhost\n"},
    };
    CHECK(rows);
    rules.check_host = false;
    assert_int_equal(judge("GET / HTTP/1.1\nHost: api.anything.example\n").status, 0);
    assert_int_equal(judge("GET / HTTP/1.1\nHost: a b\n").status, 400);
    rules.check_host = true;
}

static void web_pages_need_to_be_listed_and_to_speak_json(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {403, GET("/") "Origin: http://evil.example\n"},
        {403, GET("/") "Origin: null\n"},
        {403, GET("/") "Origin: http://localhost:4141\n"},
        {403, GET("/") "Origin: file://\n"},
        {0, GET("/") "Origin: https://ui.example.com\n"},
        {0, GET("/") "Origin: HTTPS://UI.example.com\n"},
        {403, GET("/") "Origin: https://ui.example.com.evil\n"},
        {400, GET("/") "Origin: https://ui.example.com\nOrigin: https://ui.example.com\n"},
        {415, "POST / HTTP/1.1" H "Origin: https://ui.example.com\nContent-Type: text/plain\n"},
        {415, "POST / HTTP/1.1" H "Origin: https://ui.example.com\n"},
        {0, "POST / HTTP/1.1" H "Origin: https://ui.example.com\n"
            "Content-Type: application/json; charset=utf-8\n"},
        {0, "POST / HTTP/1.1" H "Content-Type: text/plain\n"},
        {403, "OPTIONS / HTTP/1.1" H "Origin: http://evil\nAccess-Control-Request-Method: POST\n"},
        {403, "OPTIONS / HTTP/1.1" H "Origin: https://ui.example.com\n"},
        {0, "OPTIONS / HTTP/1.1" H
            "Origin: https://ui.example.com\nAccess-Control-Request-Method: POST\n"},
    };
    CHECK(rows);
    assert_int_equal(judge(GET("/") "Origin: http://evil.example\n").origin.n, 0);
}

static void upgrades_expectations_and_codings_are_told_apart(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {426, GET("/") "Connection: Upgrade\nUpgrade: websocket\n"},
        {426, GET("/") "Connection: Upgrade, HTTP2-Settings\nUpgrade: h2c\n"},
        {417, "POST / HTTP/1.1" H "Expect: bogus\n"},
        {415, "POST / HTTP/1.1" H "Content-Encoding: gzip\n"},
        {415, "POST / HTTP/1.1" H "Content-Encoding: zstd, identity\n"},
        {0, "POST / HTTP/1.1" H "Content-Encoding: identity\n"},
    };
    CHECK(rows);
}

static void the_head_has_a_size_and_a_count(void **state)
{
    (void)state;
    static char text[40000];
    int n = snprintf(text, sizeof text, GET("/"));
    for (int i = 0; i < 99; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "X-%d: v\n", i);
    assert_int_equal(judge(text).status, 0);
    snprintf(text + n, sizeof text - (size_t)n, "X: one too many\n");
    assert_int_equal(judge(text).status, 431);
    n = snprintf(text, sizeof text, GET("/") "X: ");
    memset(text + n, 'x', 12300);
    snprintf(text + n + 12300, 10, "\n");
    assert_int_equal(judge(text).status, 431);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(framing_in_doubt_is_refused),
        cmocka_unit_test(methods_and_versions_are_few),
        cmocka_unit_test(path_rules_hold_for_the_path_alone),
        cmocka_unit_test(only_local_or_listed_hosts_are_served),
        cmocka_unit_test(web_pages_need_to_be_listed_and_to_speak_json),
        cmocka_unit_test(upgrades_expectations_and_codings_are_told_apart),
        cmocka_unit_test(the_head_has_a_size_and_a_count),
    };
    return cmocka_run_group_tests_name("gate", tests, NULL, NULL);
}
