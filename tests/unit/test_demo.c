/* The demo: simulated providers and synthetic clients. */
#include "proxy/config/config.h"
#include "proxy/demo/answer.h"
#include "proxy/demo/demo.h"
#include "store/base/json_span.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <cmocka.h>

/* Sends one request and returns everything up to the end of the connection. */
static char *ask(const struct demo *d, const char *method, const char *path, const char *body)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons((uint16_t)atol(demo_base_url(d) + strlen("http://127.0.0.1:")))};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct timeval patience = {.tv_sec = 40};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    struct buf b;
    buf_init(&b, 1 << 20);
    buf_printf(&b,
        "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
        method, path, strlen(body), body);
    assert_int_equal(send(fd, b.p, b.n, 0), (ssize_t)b.n);
    buf_reset(&b);
    for (ssize_t n = 1; n > 0; b.n += n > 0 ? (size_t)n : 0)
        n = recv(fd, buf_reserve(&b, 4096), 4096, 0);
    close(fd);
    return buf_take(&b, NULL);
}

static void it_lists_models_and_marks_its_answers(void **state)
{
    (void)state;
    struct demo *d;
    struct err e = {0};
    assert_int_equal(demo_start(&d, 1, &e), 0);
    char *got = ask(d, "GET", "/v1/models", "");
    assert_non_null(strstr(got, "HTTP/1.1 200"));
    assert_non_null(strcasestr(got, "x-pointsman-demo: 1"));
    assert_non_null(strstr(got, "\"id\":\"atlas\""));
    assert_null(strstr(got, "garnet"));
    free(got);
    got = ask(d, "POST", "/v1/chat/completions", "{\"model\":\"nobody\",\"messages\":[]}");
    assert_non_null(strstr(got, "HTTP/1.1 404"));
    assert_non_null(strstr(got, "model_not_found"));
    free(got);
    got = ask(d, "POST", "/v1/chat/completions", "not json");
    assert_non_null(strstr(got, "HTTP/1.1 404"));
    free(got);
    got = ask(d, "POST", "/v1/embeddings", "{\"model\":\"quill-embed\",\"input\":\"x\"}");
    assert_non_null(strstr(got, "\"embedding\":["));
    free(got);
    size_t n;
    assert_true(str_eq(demo_models(d, &n)[0], STR("atlas")));
    assert_int_equal(n, 5);
    demo_stop(d);
}

static void a_stream_ends_with_usage_and_done(void **state)
{
    (void)state;
    struct demo *d;
    struct err e = {0};
    assert_int_equal(demo_start(&d, 4, &e), 0);
    char *got = NULL;
    for (int i = 0; i < 5; i++) { /* it may be one of the failures that it simulates */
        free(got);
        got = ask(d, "POST", "/v1/chat/completions",
            "{\"model\":\"pebble\",\"stream\":true,\"max_tokens\":40,"
            "\"stream_options\":{\"include_usage\":true},\"messages\":[{\"role\":\"user\","
            "\"content\":\"hi\"}]}");
        if (strstr(got, "[DONE]"))
            break;
    }
    assert_non_null(strstr(got, "text/event-stream"));
    const char *usage = strstr(got, "\"choices\":[],\"usage\":{\"prompt_tokens\":");
    assert_non_null(usage);
    assert_non_null(strstr(usage, "data: [DONE]\n\n"));
    assert_non_null(strstr(got, "\"finish_reason\":\"stop\""));
    free(got);
    for (int i = 0; i < 5; i++) {
        got = ask(d, "POST", "/v1/chat/completions",
            "{\"model\":\"pebble\",\"max_tokens\":30,\"messages\":[{\"role\":\"user\",\"content\":"
            "\"hi\"}]}");
        if (strstr(got, "HTTP/1.1 200"))
            break;
        free(got);
    }
    const char *body = strstr(got, "\r\n\r\n");
    assert_int_equal(json_check(str_c(body + 4), NULL), 0);
    assert_true(demo_counts(d).served >= 2);
    free(got);
    demo_stop(d);
}

static void the_same_seed_says_the_same(void **state)
{
    (void)state;
    struct demo_question q = {.site = &demo_sites[0], .model = demo_model_find(STR("sage")),
        .prompt_bytes = 9000, .messages = 6, .max_tokens = 200};
    for (uint64_t seed = 1; seed < 50; seed++) {
        struct demo_random a = {seed}, b = {seed};
        struct demo_answer x, y;
        demo_answer_make(&q, &a, &x);
        demo_answer_make(&q, &b, &y);
        assert_int_equal(x.status, y.status);
        assert_int_equal(x.wait_us, y.wait_us);
        assert_true(str_eq(buf_str(&x.text), buf_str(&y.text)));
        if (x.status == 200) {
            assert_true(x.wait_us > 50000 && x.wait_us < 20000000);
            assert_true(x.cached > 0 && x.cached < x.prompt && x.cached % 128 == 0);
            assert_true(x.output > 0);
            assert_true(x.output <= 201); /* the maximum, and a rounded end */
        }
        demo_answer_fini(&x);
        demo_answer_fini(&y);
    }
}

static int failures_of(const struct demo_site *s, int64_t second, unsigned in_flight)
{
    struct demo_question q = {.site = s,
        .model = demo_model_find(STR("pebble")),
        .prompt_bytes = 100,
        .messages = 1,
        .in_flight = in_flight,
        .since_start_us = second * 1000000};
    struct demo_random r = {7};
    int failed = 0;
    for (int i = 0; i < 1000; i++) {
        struct demo_answer a;
        demo_answer_make(&q, &r, &a);
        failed += a.status != 200;
        demo_answer_fini(&a);
    }
    return failed;
}

static void places_fail_as_told(void **state)
{
    (void)state;
    assert_in_range(failures_of(&demo_sites[0], 10, 1), 5, 40);
    assert_in_range(failures_of(&demo_sites[1], 10, 1), 5, 50);
    assert_in_range(failures_of(&demo_sites[1], 120, 1), 500, 700); /* its time of trouble */
    assert_in_range(failures_of(&demo_sites[1], 300 + 120, 1), 500, 700);
    assert_int_equal(failures_of(&demo_sites[2], 10, 4), 1000); /* more than it takes at once */
}

static void its_configuration_is_valid(void **state)
{
    (void)state;
    struct demo *d;
    struct err e = {0};
    char *none[] = {NULL}, line[700];
    struct buf yaml;
    buf_init(&yaml, 1 << 20);
    assert_int_equal(demo_start(&d, 1, &e), 0);
    demo_config(d, STR("127.0.0.1:0"), &yaml);
    struct config_request q = {.path = "demo", .text = buf_str(&yaml), .environment = none,
        .demo_url = demo_base_url(d)};
    struct config_complaints *faults = config_complaints_new();
    struct config *c = NULL;
    if (config_load(&q, &c, faults) < 0)
        fail_msg("%s\n%s", config_complaint_text(faults, 0, line, sizeof line), buf_c(&yaml));
    assert_int_equal(config_complaint_count(faults), 0);
    assert_int_equal(c->provider_count, demo_site_total);
    assert_true(c->providers[0].demo && c->providers[1].demo);
    assert_int_equal(c->key_count, 4);
    config_put(c);
    buf_reset(&yaml);
    demo_prices(d, &yaml);
    q = (struct config_request){.environment = none, .demo_url = demo_base_url(d),
        .demo_prices = buf_str(&yaml)};
    q.demo_models = demo_models(d, &q.demo_model_count);
    assert_int_equal(config_load(&q, &c, faults), 0);
    assert_int_equal(config_complaint_count(faults), 0);
    assert_int_equal(c->price_override_count, 5);
    assert_true(str_eq(c->price_overrides[0].key, STR("demo/atlas")));
    assert_int_equal(c->price_overrides[0].base[0].output, 10000000000);
    config_put(c);
    config_complaints_free(faults);
    buf_fini(&yaml);
    demo_stop(d);
}

static void the_load_is_bounded_and_ends_with_the_demo(void **state)
{
    (void)state;
    struct demo *d;
    struct err e = {0};
    assert_int_equal(demo_start(&d, 3, &e), 0);
    assert_true(demo_load_start(d, "http://nowhere", &e) < 0);
    /* straight at the providers: names with a prefix are unknown there, which is an answer too */
    assert_int_equal(demo_load_start(d, demo_base_url(d), &e), 0);
    usleep(2200000);
    struct demo_counts c = demo_counts(d);
    assert_in_range(c.asked, 4, 10); /* at most every 250 ms */
    assert_true(c.failed > 0);
    demo_stop(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_lists_models_and_marks_its_answers),
        cmocka_unit_test(a_stream_ends_with_usage_and_done),
        cmocka_unit_test(the_same_seed_says_the_same),
        cmocka_unit_test(places_fail_as_told),
        cmocka_unit_test(its_configuration_is_valid),
        cmocka_unit_test(the_load_is_bounded_and_ends_with_the_demo),
    };
    return cmocka_run_group_tests_name("demo", tests, NULL, NULL);
}
