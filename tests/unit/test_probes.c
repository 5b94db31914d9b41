/* Hostile HTTP/1 requests (torture/http1 of both places) against the http room on a real socket.
 * Always: after a refusal nothing more is answered, the connection ends, and the server lives. Where
 * the collection gives a verdict, it is checked. */
#include "tests/unit/http_fixture.h"
#include "tests/unit/shared.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* Everything is served at once, whatever its path, so that what comes in shows in what goes out. */
static void answer_all(void *ctx, struct http_request *q)
{
    (void)ctx;
    http_reply(q, 200, NULL, 0, STR("ok"));
}

static int start(void **state)
{
    (void)state;
    static const struct str hosts[] = {{"x", 1}, {"y", 1}, {"example.com", 11}};
    struct http_config config = app_config();
    config.hosts = hosts;
    config.host_count = ARRAY_LEN(hosts);
    app_events.body = answer_all;
    return app_start(&config);
}

static int stop(void **state)
{
    (void)state;
    return app_stop();
}

struct outcome {
    int answers, served, first; /* final statuses seen; 2xx among them; the first */
    bool ended, served_after_refusal;
};

static struct outcome send_raw(const char *p, size_t n)
{
    struct outcome o = {0};
    int fd = client();
    say_n(fd, p, n);
    turns(3);
    struct heard *h = hear_for(fd, NULL, 30);
    o.ended = h->eof || h->reset;
    bool refused = false;
    for (const char *at = h->p; (at = strstr(at, "HTTP/1.1 ")); at++) {
        int status = atoi(at + 9);
        if (status <= 100) /* 100 Continue, or a word in a text */
            continue;
        o.first = o.answers ? o.first : status;
        o.answers++;
        o.served += status < 300;
        o.served_after_refusal |= refused && status < 300;
        refused |= status >= 400;
    }
    if (refused) {
        if (strstr(h->p, "<html") || !strstr(h->p, "{\"error\":"))
            fail_msg("refused by a page, not by an error of ours: %s", h->p);
        if (!o.ended)
            h = hear(fd, NULL);
        if (!o.ended && h->n)
            fail_msg("more after a refusal: %s", h->p);
        o.ended = h->eof || h->reset;
        assert_true(o.ended);
    }
    if (o.served_after_refusal)
        fail_msg("served after a refusal: %.*s", (int)MIN(n, (size_t)300), p);
    close(fd);
    return o;
}

extern const char *MHD_get_version(void);

static int probe_all(const char *dir)
{
    struct str index = shared_read(dir, "probes_index.tsv"), rest = index, line, file, name;
    assert_non_null(index.p);
    str_cut(&rest, '\n', &line);
    int seen = 0;
    while (str_cut(&rest, '\n', &line) && line.n) {
        char path[200];
        assert_true(str_cut(&line, '\t', &file) && str_cut(&line, '\t', &name));
        snprintf(path, sizeof path, "probes/" STR_FMT, STR_ARG(file));
        struct str raw = shared_read(dir, path);
        assert_non_null(raw.p);
        struct outcome o = send_raw(raw.p, raw.n);
        bool reject = str_starts(line, STR("reject+close"));
        bool limit = str_find(line, STR("known MHD")) >= 0;
        /* `chunked` with a blank behind it is read from libmicrohttpd 1.0 on, which in turn refuses
         * extensions of chunks. A chunk's size has no blank behind it in RFC 9112, 7.1, and no version
         * reads one. Upgrades are refused by design. */
        bool may_refuse = str_starts(file, STR("21_")) || str_starts(file, STR("60_")) ||
                          str_starts(file, MHD_get_version()[0] == '0' ? STR("15_") : STR("22_"));
        bool right = reject ? o.served == 0 && o.ended : o.served > 0 && o.answers == o.served;
        if (may_refuse)
            right = right || (o.served == 0 && o.ended);
        if (!right && !(limit && o.served <= 1))
            fail_msg(STR_FMT ": %d answers, %d served, first %d, ended %d", STR_ARG(file),
                o.answers, o.served, o.first, o.ended);
        free((char *)raw.p);
        seen++;
    }
    free((char *)index.p);
    return seen;
}

static void probes_get_the_wanted_verdict(void **state)
{
    const char *dir;
    (void)state;
    for (int i = 0; (dir = data_dir(i, "torture/http1")) != NULL; i++)
        assert_true(probe_all(dir) > (i ? 30 : 20));
}

static size_t unbase64(struct str s, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = 0;
    unsigned bits = 0, have = 0;
    for (size_t i = 0; i < s.n && s.p[i] != '='; i++) {
        bits = bits << 6 | (unsigned)(strchr(digits, s.p[i]) - digits);
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[n++] = (char)(bits >> have);
        }
    }
    return n;
}

static struct str field(struct str line, struct str key)
{
    ptrdiff_t at = str_find(line, key);
    if (at < 0)
        return STR_NULL;
    struct str value, rest = str_from(line, (size_t)at + key.n);
    return str_cut(&rest, '"', &value) ? value : STR_NULL;
}

/* Most of these leave Host out, which alone is a refusal: with one, more is put to the test. */
static size_t with_host(const char *raw, size_t n, char *out)
{
    const char *end = memmem(raw, n, "HTTP/1.1\r\n", 10);
    if (!end || memmem(raw, n, "Host:", 5)) {
        memcpy(out, raw, n);
        return n;
    }
    size_t head = (size_t)(end - raw) + 10;
    memcpy(out, raw, head);
    memcpy(out + head, "Host: localhost\r\n", 17);
    memcpy(out + head + 17, raw + head, n - head);
    return n + 17;
}

static int refuse_all(struct str all)
{
    /* Valid as HTTP, refused there by gunicorn's settings; none of these changes where a request
     * ends. */
    static const char *const fine[] = {"010.http", "017.http", "040.http", "limit_header_default_01.http", "rfc9110_field_value_ctl_bel_01.http",
        "rfc9110_field_value_ctl_del_01.http"};
    char raw[65536], sent[65536];
    struct str rest = all, line;
    int seen = 0;
    while (str_cut(&rest, '\n', &line) && line.n) {
        struct str name = field(line, STR("\"name\": \"")), b64 = field(line, STR("\"b64\": \""));
        assert_true(name.n && b64.n < sizeof raw);
        size_t n = unbase64(b64, raw);
        bool exempt = false;
        for (size_t i = 0; i < ARRAY_LEN(fine); i++)
            exempt |= str_eq(name, str_c(fine[i]));
        for (int host = 0; host < 2; host++) {
            size_t m = host ? with_host(raw, n, sent) : n;
            struct outcome o = send_raw(host ? sent : raw, m);
            if (o.served && !exempt)
                fail_msg(STR_FMT " was served", STR_ARG(name));
        }
        seen++;
    }
    return seen;
}

static void invalid_requests_are_not_served(void **state)
{
    const char *dir;
    (void)state;
    for (int i = 0; (dir = data_dir(i, "torture/http1")) != NULL; i++) {
        struct str all = shared_read(dir, i ? "gunicorn_invalid.jsonl" : "invalid.jsonl");
        assert_true(refuse_all(all) > (i ? 20 : 8));
        free((char *)all.p);
    }
}

static int serve_all(struct str all)
{
    char raw[65536], sent[65536];
    struct str rest = all, line;
    int served = 0;
    while (str_cut(&rest, '\n', &line) && line.n) {
        struct str b64 = field(line, STR("\"b64\": \""));
        assert_true(b64.n && b64.n < sizeof raw);
        size_t n = unbase64(b64, raw);
        send_raw(raw, n);
        served += send_raw(sent, with_host(raw, n, sent)).served > 0;
    }
    return served;
}

static void valid_requests_never_smuggle(void **state)
{
    const char *dir;
    (void)state;
    for (int i = 0; (dir = data_dir(i, "torture/http1")) != NULL; i++) {
        struct str all = shared_read(dir, i ? "gunicorn_valid.jsonl" : "valid.jsonl");
        assert_true(serve_all(all) > (i ? 10 : 5));
        free((char *)all.p);
    }
}

/* ```http blocks; a line's end stands for CRLF unless \r or \n are spelled out. */
static size_t unmark(struct str block, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < block.n; i++) {
        bool spelled = block.p[i] == '\\' && i + 1 < block.n && strchr("rntf", block.p[i + 1]);
        if (spelled) {
            char c = block.p[++i];
            out[n++] = c == 'r' ? '\r' : c == 'n' ? '\n' : c == 't' ? '\t' : '\f';
            if ((c == 'r' || c == 'n') && i + 1 < block.n && block.p[i + 1] == '\n')
                i++;
        } else if (block.p[i] == '\n') {
            out[n++] = '\r';
            out[n++] = '\n';
        } else {
            out[n++] = block.p[i];
        }
    }
    return n;
}

/* What stands below a block says what a strict parser makes of it. */
static int check_spec(const char *path, struct str text)
{
    char raw[65536], sent[65536];
    struct str rest = text;
    ptrdiff_t at;
    int seen = 0;
    while ((at = str_find(rest, STR("```http\n"))) >= 0) {
        rest = str_from(rest, (size_t)at + 8);
        ptrdiff_t end = str_find(rest, STR("\n```"));
        struct str block = str_first(rest, (size_t)(end < 0 ? 0 : end + 1));
        struct str log = str_from(rest, block.n);
        ptrdiff_t next = str_find(log, STR("```http\n"));
        log = next < 0 ? log : str_first(log, (size_t)next);
        bool wrong = str_find(log, STR(" error code=")) >= 0 && str_find(log, STR("Pause on")) < 0 &&
                     str_find(log, STR("message complete")) < 0;
        size_t n = unmark(block, raw);
        for (int host = 0; host < 2; host++) {
            struct outcome o = send_raw(host ? sent : raw, host ? with_host(raw, n, sent) : n);
            if (wrong && o.served && !memmem(raw, n, "\n\n", 2))
                fail_msg("%s: a strict parser refuses: %.*s", path, (int)MIN(n, (size_t)120), raw);
        }
        seen++;
    }
    return seen;
}

static void parser_specs_never_smuggle(void **state)
{
    (void)state;
    static const char *const files[] = {"requests.md", "llhttp/request/connection.md",
        "llhttp/request/content-length.md", "llhttp/request/finish.md", "llhttp/request/method.md",
        "llhttp/request/pausing.md", "llhttp/request/pipelining.md", "llhttp/request/sample.md",
        "llhttp/request/uri.md"};
    const char *dir;
    for (int i = 0; (dir = data_dir(i, "torture/http1")) != NULL; i++) {
        int seen = 0;
        for (size_t k = 0; k < ARRAY_LEN(files); k++) {
            struct str text = shared_read(dir, files[k]);
            seen += check_spec(files[k], text);
            free((char *)text.p);
        }
        assert_true(seen > (i ? 90 : 12));
    }
}

/* Random damage to sound requests: whatever comes, one connection never harms the next. */
static void damaged_requests_leave_the_server_sound(void **state)
{
    (void)state;
    static const char *const sound[] = {
        "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\nHost: "
        "x\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    };
    srand(11);
    for (int i = 0; i < 400; i++) {
        char raw[256];
        const char *base = sound[i % 2];
        size_t n = strlen(base);
        memcpy(raw, base, n);
        for (int k = 1 + rand() % 3; k > 0; k--)
            raw[(size_t)rand() % n] = (char)rand();
        int fd = client();
        say_n(fd, raw, n);
        turns(4);
        close(fd);
        turns(1);
    }
    struct outcome o = send_raw(sound[0], strlen(sound[0]));
    assert_int_equal(o.served, 2);
    assert_true(pump_until(&app.closes, app.heads));
}

#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(probes_get_the_wanted_verdict),
        T(invalid_requests_are_not_served),
        T(valid_requests_never_smuggle),
        T(parser_specs_never_smuggle),
        T(damaged_requests_leave_the_server_sound),
    };
    return cmocka_run_group_tests_name("probes", tests, NULL, NULL);
}
