/* Lists from the keyboard and the mouse: order, filters, columns, files, what is kept for tomorrow. */
#include "tests/tui/desk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whatever a list shows can be had with all figures; texts can't be formulas. */
static void a_list_is_written_as_a_file(void **state)
{
    struct term *t = &((struct desk *)*state)->t;
    type(t, "3");
    expect(t, "claude-sonnet-4-5");
    type(t, "x");
    expect(t, "written to pointsman-models-20261123-140211.csv");
    char path[120];
    snprintf(path, sizeof path, "%s/pointsman-models-20261123-140211.csv", folder);
    char *text = read_whole(path);
    assert_non_null(text);
    assert_non_null(strstr(text, "target,model,provider,requests,"));
    assert_non_null(strstr(text, ",ttft_p95_us,"));
    assert_non_null(strstr(text, "\n\"openai/gpt-5\",\"gpt-5\",\"openai\",212,"));
    assert_non_null(strstr(text, ",\"3.0000\",\"15.0000\""));
    free(text);
    type(t, "x"); /* never over what is there */
    expect(t, "File exists");
    type(t, "5");
    expect(t, "ci-bot");
    type(t, "x");
    expect(t, "written to pointsman-keys-20261123-140211.csv");
    snprintf(path, sizeof path, "%s/pointsman-keys-20261123-140211.csv", folder);
    text = read_whole(path);
    assert_non_null(text);
    assert_non_null(strstr(text, ",windows.0.window,windows.0.limit_nano,windows.0.used_nano,"));
    assert_non_null(strstr(text, ",windows.1.limit_nano,"));
    assert_non_null(strstr(text, ",\"day\",5000000000,4800000000,"));
    free(text);
}

static void a_list_is_ordered_by_the_name_it_shows(void **state)
{
    struct term *t = &((struct desk *)*state)->t;
    type(t, "3");
    expect(t, "claude-sonnet-4-5");
    type(t, "o");
    expect(t, "Order by");
    type(t, UP);
    type(t, UP);
    type(t, "\r");
    expect_not(t, "Order by");
    expect(t, "Model▲");
    type(t, "I");
    expect(t, "Model▼");
    char *text = dump(t);
    const char *first = strstr(text, " gpt-5 "), *then = strstr(text, " claude-sonnet-4-5 ");
    assert_true(first && then && first < then); /* by errors it is the other way round */
    free(text);
}

/* By the share of sick targets, not by the rate, which would turn the last two round. */
static void routes_are_ordered_by_their_health(void **state)
{
    struct term *t = &((struct desk *)*state)->t;
    type(t, "4");
    expect(t, "claude-*");
    for (int i = 0; i < 4; i++)
        type(t, ">");
    expect(t, "Health▼");
    type(t, "I");
    expect(t, "Health▲");
    char *text = dump(t);
    const char *well = strstr(text, " claude-* "), *one = strstr(text, " fast "), *two = strstr(text, " cheap ");
    assert_true(well && one && two && well < one && one < two);
    free(text);
}

/* What was chosen is there again in the next console, until it is taken back. */
static void what_a_person_sets_stays(void **state)
{
    struct desk *d = *state;
    struct term *t = &d->t;
    type(t, ":cols nosuch\r");
    expect(t, "no column is called \"nosuch\"");
    type(t, ":cols model cost\r");
    expect_not(t, "TTFT");
    type(t, "/");
    type(t, "st:>=400\r");
    type(t, ":save bad ones\r");
    expect(t, "saved: :filter bad ones");
    stop(t);
    *t = start(&d->g, 100, 30, "xterm-256color", NULL);
    ready(t);
    expect_not(t, "TTFT");
    type(t, ":cols\r");
    expect(t, "TTFT");
    type(t, ":filter bad\r");
    expect(t, "/ st:>=400");
    type(t, ":forget bad ones\r");
    expect(t, "forgotten: bad ones");
}

static void the_mouse_finds_screens_and_rows(void **state)
{
    struct term *t = &((struct desk *)*state)->t;
    type(t, "\033OQ");
    type(t, "\r\033");
    expect_not(t, "Setup");
    type(t, "\033[<0;23;1M\033[<0;23;1m"); /* 3Mod */
    expect(t, "window 1h");
    type(t, "\033[<0;9;5M\033[<0;9;5m");
    expect(t, "» ");
    type(t, "1");
    expect(t, "FOLLOW");
    type(t, "\033[<0;9;6M\033[<0;9;6m");
    expect_not(t, "FOLLOW");
    type(t, "\033[<0;9;6M\033[<0;9;6m");
    expect(t, "Summary");
    type(t, "\033OQ");
    type(t, "\r");
    expect(t, "[ ] mouse");
}

static void a_filter_is_completed_and_comes_back(void **state)
{
    struct desk *d = *state;
    struct term *t = &d->t;
    type(t, "/key:al");
    expect(t, "Tab  alice");
    type(t, "\t\r");
    expect(t, "/ key:alice");
    type(t, "/\025");
    type(t, "\r");
    expect(t, "(no filter)");
    type(t, "/");
    type(t, UP);
    expect(t, "/ key:alice");
    type(t, "\r");
    stop(t);
    *t = start(&d->g, 100, 30, "xterm-256color", NULL); /* tomorrow */
    ready(t);
    type(t, "/");
    type(t, UP);
    expect(t, "/ key:alice");
}

static void every_list_is_filtered_by_words(void **state)
{
    struct term *t = &((struct desk *)*state)->t;
    type(t, "5");
    expect(t, "alice");
    type(t, "/ci-");
    expect_not(t, "alice");
    expect(t, "ci-bot");
    expect(t, "/ ci-");
    type(t, "\r");
    expect(t, "Esc drops");
    type(t, "\033");
    expect(t, "alice");
    type(t, "E"); /* the events */
    expect(t, "FOLLOW");
    type(t, "/no such thing");
    expect(t, "0 of ");
    type(t, "\003"); /* drops the filter, does not leave */
    expect_not(t, "0 of ");
}

static void an_events_request_and_its_session_can_be_ended_from_there(void **state)
{
    struct term *t = &((struct desk *)*state)->t;
    type(t, "8");
    expect(t, "level ≥ INFO");
    type(t, "kX");
    expect(t, "cancel this request");
    expect(t, "cancel all that runs in session claude-7f3a");
    type(t, "\033");
    expect_not(t, "cancel all");
}

static void a_filter_that_is_not_valid_is_not_taken(void **state)
{
    struct term *t = &((struct desk *)*state)->t;
    type(t, "/key:alice\r");
    expect(t, "/ key:alice");
    type(t, "/\025st:>>4");
    type(t, "\r"); /* stays in the field, with the reason */
    expect(t, "filter: column 1");
    type(t, "\177\177\177>=400\r");
    expect(t, "/ st:>=400");
    type(t, "/\025model");
    type(t, "\033"); /* back to what was in force */
    expect(t, "/ st:>=400");
}

static void times_can_be_told_from_row_to_row(void **state)
{
    struct term *t = &((struct desk *)*state)->t;
    type(t, "t");
    type(t, "t");
    type(t, "t");
    expect(t, "      +9s ✓");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        AT_DESK(a_list_is_written_as_a_file),
        AT_DESK(a_list_is_ordered_by_the_name_it_shows),
        AT_DESK(routes_are_ordered_by_their_health),
        AT_DESK(what_a_person_sets_stays),
        AT_DESK(the_mouse_finds_screens_and_rows),
        AT_DESK(a_filter_is_completed_and_comes_back),
        AT_DESK(every_list_is_filtered_by_words),
        AT_DESK(an_events_request_and_its_session_can_be_ended_from_there),
        AT_DESK(a_filter_that_is_not_valid_is_not_taken),
        AT_DESK(times_can_be_told_from_row_to_row),
    };
    if (!may_run(argc, argv))
        return 0;
    return cmocka_run_group_tests_name("lists", tests, set_up, tear_down);
}
