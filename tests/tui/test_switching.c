/* Switches, drains and undo from the keyboard: what is sent, what is asked first, what comes back. */
#include "tests/tui/desk.h"

#include <signal.h>
#include <sys/wait.h>

static void three_presses_switch_a_route(void **state)
{
    struct desk *d = *state;
    struct term *t = &d->t;
    type(t, "kkk");
    type(t, "s");
    expect(t, "qwen3");
    expect(t, "5 keys, 3 live, 37 requests");
    type(t, "haiku");
    type(t, "\r");
    expect_sent(&d->g, "\"to\": \"anthropic/claude-haiku-4-5\", \"scope\"");
    type(t, "G");
    expect(t, "alice: fast → anthropic/claude-haiku-4-5");
}

static void letters_find_until_the_list_has_the_focus(void **state)
{
    struct term *t = &((struct desk *)*state)->t;
    type(t, "kkk");
    type(t, "s");
    expect(t, "back: stays");
    type(t, "two/w"); /* no command, whatever the first letter is */
    expect(t, "to    two/w");
    expect(t, "» two/w");
    type(t, "\033t"); /* with Alt it is one */
    expect(t, "back: 15 min");
    type(t, "\025"); /* the field is empty again, and still has the focus */
    type(t, "t");
    expect(t, "to    t ");
    expect(t, "back: 15 min");
    type(t, "\025");
    type(t, "\016");
    expect(t, "w what if");
    type(t, "t");
    expect(t, "back: 1 h");
    type(t, "h"); /* any other letter is text */
    expect(t, "to    h ");
    expect(t, "M-w what if");
    type(t, "\016");
    type(t, "w");
    expect(t, "What if: fast");
}

static void a_drain_that_leaves_some_nowhere_needs_a_word_of_its_own(void **state)
{
    static const char drained[] = "\"until_well\": true}";
    struct desk *d = *state;
    struct term *t = &d->t;
    type(t, "6");
    type(t, "j");
    type(t, "D");
    expect(t, "nowhere to go");
    type(t, "\r");
    expect(t, "claude-* would be refused: choose a target, or y all the same");
    type(t, "\r"); /* a second Enter is no word of its own: it asks again */
    settle(t, 300);
    expect(t, "would be refused");
    assert_false(was_sent(&d->g, drained));
    type(t, "y");
    expect_sent(&d->g, drained);
}

static void a_drain_that_could_not_be_foretold_asks_again(void **state)
{
    struct desk *d = *state;
    struct term *t = &d->t;
    type(t, "6");
    expect(t, "closed");
    type(t, "D");
    expect(t, "not known (Enter asks again)");
    expect(t, "the store is busy");
    type(t, "\r");
    expect(t, "claude-* would be refused: choose a target, or y all the same");
    assert_false(was_sent(&d->g, "\"until_well\": true}"));
    type(t, "y");
    expect_sent(&d->g, "\"until_well\": true}");
}

/* Keys on the real console, requests through the real gateway: the next one goes elsewhere. */
static void a_switch_is_taken_by_the_next_request_and_undone(void **state)
{
    struct gateway g = {0};
    (void)state;
    if (!start_demo(&g)) {
        stop_gateway(&g);
        fail_msg("the demo did not start: is build/pointsman there?");
    }
    fixed_ms = 0; /* the real clock, as the gateway has it */
    struct term t = start(&g, 110, 30, "xterm-256color", NULL);
    patience_ms = 40000;
    expect(&t, "smart");
    type(&t, "/");
    type(&t, "asked:smart");
    type(&t, "\r");
    expect(&t, "→");
    type(&t, "s");
    expect(&t, "demo/pebble");
    type(&t, "demo/pebble");
    expect(&t, "requests in 5 min");
    type(&t, "\t");
    type(&t, "\t");
    type(&t, "\r");
    expect(&t, "smart → demo/pebble");
    type(&t, "G");
    expect(&t, "→pebble");
    type(&t, "u");
    expect(&t, "smart → demo/pebble");
    type(&t, "\r");
    expect(&t, "undone");
    patience_ms = PATIENCE_MS;
    stop(&t);
    kill(g.pid, SIGTERM);
    waitpid(g.pid, NULL, 0);
    fixed_ms = NOW_S * INT64_C(1000);
}

static void a_secret_is_gone_when_its_sheet_closes(void **state)
{
    struct term *t = &((struct desk *)*state)->t;
    type(t, "5");
    type(t, "a");
    type(t, "bob 20/week");
    type(t, "\r");
    expect(t, "sk-pm-0123456789");
    type(t, "\r");
    expect_not(t, "sk-pm-0123456789");
}

static void readonly_sends_no_change(void **state)
{
    struct gateway g = start_gateway("traffic");
    struct term t = start(&g, 100, 30, "xterm-256color", &(struct console_options){.readonly = true});
    (void)state;
    ready(&t);
    type(&t, "s");
    type(&t, "\r");
    expect(&t, "only looks");
    stop(&t);
    stop_gateway(&g);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        AT_DESK(three_presses_switch_a_route),
        AT_DESK(letters_find_until_the_list_has_the_focus),
        AT_DESK(a_drain_that_leaves_some_nowhere_needs_a_word_of_its_own),
        AT_DESK(a_drain_that_could_not_be_foretold_asks_again),
        cmocka_unit_test(a_switch_is_taken_by_the_next_request_and_undone),
        AT_DESK(a_secret_is_gone_when_its_sheet_closes),
        cmocka_unit_test(readonly_sends_no_change),
    };
    if (!may_run(argc, argv))
        return 0;
    return cmocka_run_group_tests_name("switching", tests, set_up, tear_down);
}
