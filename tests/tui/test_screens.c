/* What each screen and sheet looks like, compared with golden/, at all sizes and on all terminals. */
#include "tests/tui/desk.h"

#include "store/base/compiler.h"

#include <string.h>
#include <sys/wait.h>

/* ---- goldens ---- */

/* Keys one after the other from the first screen, and the name of what is then on show. */
static const struct {
    const char *name;
    const char *keys[8];
} pictures[] = {
    {"requests", {NULL}},
    {"filter", {"/", "model:claude", NULL}},
    {"filter-bad", {"/", "st:>=x", NULL}},
    {"detail", {"k", "k", "k", "d", NULL}},
    {"summary", {"k", "k", "k", "\r", NULL}},
    {"stream", {"k", "k", "\r", NULL}},
    {"stream-events", {"k", "k", "\r", "t", NULL}},
    {"messages", {"k", "k", "k", "\r", "l", "l", NULL}},
    {"messages-sent", {"k", "k", "k", "\r", "l", "lt", "t", NULL}},
    {"timing", {"k", "k", "k", "\r", "h", "h", "h", NULL}},
    {"attempts", {"k", "k", "k", "\r", "h", "h", NULL}},
    {"switch", {"k", "k", "k", "s", NULL}},
    {"undo", {"u", NULL}},
    {"copy", {"y", NULL}},
    {"cancel", {"k", "k", "X", NULL}},
    {"palette", {":", "sw", NULL}},
    {"help", {"?", NULL}},
    {"order", {"o", NULL}},
    {"sessions", {"2", NULL}},
    {"models", {"3", NULL}},
    {"price", {"3", "p", NULL}},
    {"routes", {"4", NULL}},
    {"why", {"4", "T", NULL}},
    {"rules", {"4", "j", "e", NULL}},
    {"keys", {"5", NULL}},
    {"key-form", {"5", "a", "bob 20/week", NULL}},
    {"key-once", {"5", "a", "bob 20/week", "\r", NULL}},
    {"providers", {"6", NULL}},
    {"drain", {"6", "j", "D", NULL}},
    {"cost", {"7", NULL}},
    {"events", {"8", NULL}},
    {"events-before", {"8", "k", "g", "j", "j", NULL}},
    {"profiles", {"S", NULL}},
    {"people", {":", "people", "\r", NULL}},
    {"sideways", {"l", "l", "l", NULL}},
    {"setup", {"\033OQ", NULL}},
    {"export", {"k", "k", "k", "x", NULL}},
    {"pipe", {"k", "k", "k", "|", NULL}},
};

static void paint_all(int columns, int rows, const char *name, const struct console_options *o,
    bool compare)
{
    struct gateway g = start_gateway("traffic");
    for (size_t i = 0; i < ARRAY_LEN(pictures); i++) {
        struct term t = start(&g, columns, rows, name, o);
        ready(&t);
        expect(&t, "14:02:10"); /* all rows and the rule between them: keys before move among fewer */
        expect(&t, "bob: fast");
        for (size_t k = 0; pictures[i].keys[k]; k++) {
            if (strcmp(pictures[i].keys[k], "g") == 0)
                expect(&t, "28 of 28"); /* what happened before has been read */
            type(&t, pictures[i].keys[k]);
            if (strchr("123456789", pictures[i].keys[k][0]))
                expect_not(&t, "asking the gateway");
        }
        if (compare)
            golden(&t, pictures[i].name);
        int status = stop(&t);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            fail_msg("%s at %dx%d: the console ended with status %x", pictures[i].name, columns, rows,
                status);
    }
    stop_gateway(&g);
}

static void screens_look_as_they_did_at_80x24(void **state)
{
    (void)state;
    paint_all(80, 24, "xterm-256color", NULL, true);
}

static void screens_look_as_they_did_at_120x40(void **state)
{
    (void)state;
    paint_all(120, 40, "xterm-256color", NULL, true);
}

static void one_picture(int columns, int rows, const char *name, const char *golden_name,
    const struct console_options *o)
{
    struct gateway g = start_gateway("traffic");
    struct term t = start(&g, columns, rows, name, o);
    settle(&t, 300);
    golden(&t, golden_name);
    stop(&t);
    stop_gateway(&g);
}

/* The notice is there at first and leaves after a while, however busy the machine is. */
static void an_unknown_terminal_is_taken_for_a_known_one(void **state)
{
    struct gateway g = start_gateway("traffic");
    struct term t = start(&g, 80, 24, "xterm-never-heard-of", NULL);
    (void)state;
    expect(&t, "no terminal description for TERM=xterm-never-heard-of: taken as xterm-256color");
    expect_not(&t, "no terminal description");
    golden(&t, "requests-unknown");
    stop(&t);
    stop_gateway(&g);
}

static void other_sizes_and_terminals_keep_working(void **state)
{
    (void)state;
    one_picture(200, 60, "xterm-256color", "requests", NULL);
    one_picture(60, 15, "xterm-256color", "requests", NULL);
    one_picture(40, 10, "xterm-256color", "requests", NULL);
    one_picture(20, 4, "xterm-256color", "requests", NULL);
    one_picture(80, 24, "vt100", "requests-vt100", NULL);
    one_picture(80, 24, "linux", "requests-linux", NULL);
    one_picture(80, 24, "xterm-256color", "requests-ascii", &(struct console_options){.ascii = true});
    one_picture(80, 24, "xterm-256color", "requests-mono", &(struct console_options){.mono = true});
}

static void every_theme_draws(void **state)
{
    static const char *const themes[] = {"dark", "light", "mono", "high-contrast", "deuteranopia"};
    struct gateway g = start_gateway("traffic");
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(themes); i++) {
        struct term t = start(&g, 80, 24, "xterm-256color", &(struct console_options){.theme = themes[i]});
        settle(&t, 300);
        expect(&t, "claude-sonnet-4-5");
        expect_not(&t, "no theme");
        stop(&t);
    }
    stop_gateway(&g);
}

static void the_first_screen_says_what_to_do(void **state)
{
    struct gateway g = start_gateway("empty");
    struct term t = start(&g, 80, 24, "xterm-256color", NULL);
    (void)state;
    settle(&t, 300);
    golden(&t, "welcome");
    expect(&t, "OPENAI_BASE_URL");
    expect(&t, "ask for a key");
    stop(&t);
    stop_gateway(&g);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(screens_look_as_they_did_at_80x24),
        cmocka_unit_test(screens_look_as_they_did_at_120x40),
        cmocka_unit_test(other_sizes_and_terminals_keep_working),
        cmocka_unit_test(an_unknown_terminal_is_taken_for_a_known_one),
        cmocka_unit_test(every_theme_draws),
        cmocka_unit_test(the_first_screen_says_what_to_do),
    };
    if (!may_run(argc, argv))
        return 0;
    return cmocka_run_group_tests_name("screens", tests, set_up, tear_down);
}
