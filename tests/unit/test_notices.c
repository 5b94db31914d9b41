/* test_notices.c: an own session that is done is told once, after a while of quiet; a demo never rings. */
#include "store/base/clock.h"
#include "tui/app.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int64_t now_ms = 1795442531000;

static int64_t wall(void)
{
    return now_ms;
}

static int64_t mono(void)
{
    return now_ms * 1000;
}

static void take(struct app *a, const char *id, const char *session, const char *finish, unsigned uid)
{
    char json[600];
    struct err e = {0};
    static int64_t seq;
    snprintf(json, sizeof json,
        "{\"seq\":%lld,\"counters\":{},\"recent\":[{\"id\":\"%s\",\"time\":\"2026-11-23T14:02:1%lld.000Z\","
        "\"state\":\"%s\",\"session\":\"%s\",\"finish_reason\":\"%s\",\"total_us\":500000,\"client_uid\":%u}]}",
        (long long)++seq, id, (long long)((now_ms - 1795442530000) / 1000), *finish ? "done" : "streaming",
        session, finish, uid);
    assert_int_equal(model_take(&a->model, str_c(json), &e), 0);
    notices_data(a);
}

static void begin(struct app *a)
{
    static const struct clock_source source = {mono, wall};
    *a = (struct app){.connected = true, .theme_fd = -1};
    now_ms = 1795442531000;
    clock_replace(&source);
    model_init(&a->model);
    notices_data(a);
    take(a, "a", "mine", "tool_calls", getuid());
}

static void a_done_session_is_told_once(void **state)
{
    struct app a;
    (void)state;
    begin(&a);
    now_ms += 2000;
    take(&a, "b", "mine", "stop", getuid());
    assert_string_equal(a.message, "");
    int wait = notices_tick(&a);
    assert_true(wait > 1000 && wait <= NOTICE_QUIET_MS + 1000);
    now_ms += wait;
    assert_int_equal(notices_tick(&a), -1);
    assert_non_null(strstr(a.message, "session mine is done"));
    a.message[0] = '\0';
    notices_data(&a);
    assert_string_equal(a.message, "");
    model_fini(&a.model);
}

static void work_goes_on(void **state)
{
    struct app a;
    (void)state;
    begin(&a);
    now_ms += 1000;
    take(&a, "b", "mine", "stop", getuid());
    now_ms += 3000;
    take(&a, "c", "mine", "", getuid()); /* the next turn runs */
    now_ms += 3500;
    assert_int_equal(notices_tick(&a), -1);
    assert_string_equal(a.message, "");
    model_fini(&a.model);
}

static void what_is_not_mine_or_asks_for_a_tool_is_no_news(void **state)
{
    struct app a;
    (void)state;
    begin(&a);
    take(&a, "b", "other", "stop", getuid() + 1);
    take(&a, "c", "single", "stop", getuid());
    take(&a, "d", "mine", "tool_use", getuid());
    now_ms += 7000;
    notices_data(&a);
    assert_int_equal(notices_tick(&a), -1);
    assert_string_equal(a.message, "");
    model_fini(&a.model);
}

static void a_provider_in_trouble_is_told_once(void **state)
{
    struct app a;
    struct err e = {0};
    (void)state;
    begin(&a);
    assert_int_equal(model_take(&a.model, STR("{\"seq\":90,\"counters\":{},\"trouble\":[{\"provider\":\"lab\","
        "\"err_ppm\":410000,\"state\":\"down\"}]}"), &e), 0);
    notices_data(&a);
    assert_string_equal(a.message, "lab is in trouble: down, 41 % errors   (! shows it)");
    a.message[0] = '\0';
    notices_data(&a);
    assert_string_equal(a.message, "");
    model_fini(&a.model);
}

static void ring(struct app *a, const char *text)
{
    char json[500];
    struct err e = {0};
    static int64_t seq = 1000;
    seq++;
    snprintf(json, sizeof json,
        "{\"seq\":%lld,\"counters\":{},\"events\":[{\"seq\":%lld,\"time_ms\":%lld,\"level\":\"WARN\","
        "\"kind\":\"BUDGET_HIT\",\"text\":\"%s\"}]}",
        (long long)seq, (long long)seq, (long long)now_ms, text);
    a->message[0] = '\0';
    assert_int_equal(model_take(&a->model, str_c(json), &e), 0);
    notices_data(a);
}

static void an_alarm_is_told_once_in_a_while(void **state)
{
    struct app a;
    (void)state;
    begin(&a);
    ring(&a, "key bob: $1.99 of $2.00");
    assert_non_null(strstr(a.message, "key bob: $1.99 of $2.00"));
    now_ms += 2000;
    ring(&a, "key bob: $1.995 of $2.00");
    assert_string_equal(a.message, "");
    ring(&a, "key eve: $9.00 of $9.00");
    assert_non_null(strstr(a.message, "key eve"));
    now_ms += ALARM_AGAIN_MS;
    ring(&a, "key bob: $2.00 of $2.00");
    assert_non_null(strstr(a.message, "key bob"));
    model_fini(&a.model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_alarm_is_told_once_in_a_while),
        cmocka_unit_test(a_done_session_is_told_once),
        cmocka_unit_test(work_goes_on),
        cmocka_unit_test(what_is_not_mine_or_asks_for_a_tool_is_no_news),
        cmocka_unit_test(a_provider_in_trouble_is_told_once),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("notices", tests, NULL, NULL);
}
