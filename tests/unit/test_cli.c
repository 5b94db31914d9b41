/* Units of the command line: the table of verbs, parsing, help, recipes of `run`. */
#include "tui/cli.h"
#include "tui/cli_ask.h"
#include "tui/run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static int parse(struct cli *c, const char *line, char *memory, size_t size, struct err *e)
{
    static char *argv[32];
    int argc = 0;
    str_copy(memory, size, str_c(line));
    for (char *p = strtok(memory, " "); p; p = strtok(NULL, " "))
        argv[argc++] = p;
    argv[argc] = NULL;
    *c = (struct cli){0};
    *e = (struct err){0};
    return cli_parse(c, argc, argv, e);
}

#define PARSE(line)                                                                                \
    struct cli c;                                                                                  \
    struct err e;                                                                                  \
    char memory[300];                                                                              \
    int rc = parse(&c, line, memory, sizeof memory, &e)

static void global_options_stand_before_or_after_the_verb(void **state)
{
    (void)state;
    static const char *const lines[] = {"pointsman --json --socket /s ps --limit 3",
        "pointsman ps --limit=3 --json --socket=/s", "pointsman ps --socket /s --limit 3 --json"};
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        PARSE(lines[i]);
        assert_int_equal(rc, 0);
        assert_string_equal(c.command->verb, "ps");
        assert_true(c.json);
        assert_string_equal(c.socket, "/s");
        assert_string_equal(cli_option(&c, "limit"), "3");
        assert_null(cli_option(&c, "filter"));
    }
}

static void verbs_of_two_words_and_their_arguments(void **state)
{
    (void)state;
    PARSE("pointsman route switch fast two/gpt-5 --for 15m --dry-run");
    assert_int_equal(rc, 0);
    assert_string_equal(c.command->verb, "route switch");
    assert_int_equal(c.word_count, 2);
    assert_string_equal(c.words[1], "two/gpt-5");
    assert_string_equal(cli_option(&c, "for"), "15m");
    assert_non_null(cli_option(&c, "dry-run"));
}

static void what_stands_after_two_dashes_is_the_childs(void **state)
{
    (void)state;
    PARSE("pointsman run --budget 5 -- claude --json -p hi");
    assert_int_equal(rc, 0);
    assert_false(c.json);
    assert_string_equal(c.child[0], "claude");
    assert_string_equal(c.child[3], "hi");
}

static void mistakes_name_the_nearest(void **state)
{
    (void)state;
    static const struct {
        const char *line, *says;
        int rc;
    } rows[] = {
        {"pointsman statsu", "Did you mean \"status\"?", -ERR_UNKNOWN},
        {"pointsman switch fast lab/m", "Did you mean \"route switch\"?", -ERR_UNKNOWN},
        {"pointsman apply", "Did you mean \"profile apply\" or \"config apply\"?", -ERR_UNKNOWN},
        {"pointsman route lst", "Did you mean \"route list\"?", -ERR_UNKNOWN},
        {"pointsman run", "run needs a command: -- CMD", -ERR_MISSING},
        {"pointsman route", "route needs a verb", -ERR_UNKNOWN},
        {"pointsman route frob", "route has no verb \"frob\"", -ERR_UNKNOWN},
        {"pointsman ps --since 2h", "ps has no option --since", -ERR_UNKNOWN},
        {"pointsman ps --frob", "no option --frob", -ERR_UNKNOWN},
        {"pointsman ps --limit", "--limit needs a value", -ERR_MISSING},
        {"pointsman ps --json=yes", "--json takes no value", -ERR_RANGE},
        {"pointsman ps --limit 1 --limit 2", "--limit is given twice", -ERR_DUPLICATE},
        {"pointsman show", "show needs more: ID", -ERR_MISSING},
        {"pointsman show a b", "\"b\" is one argument too many", -ERR_RANGE},
        {"pointsman ps -- x", "ps takes nothing after --", -ERR_RANGE},
        {"pointsman ps -x", "two dashes", -ERR_UNKNOWN},
        {"pointsman replay x", "no verb \"replay\"", -ERR_UNKNOWN},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        PARSE(rows[i].line);
        if (rc != rows[i].rc || !strstr(e.text, rows[i].says))
            fail_msg("%s: %d \"%s\"", rows[i].line, rc, e.text);
    }
}

static void no_verb_opens_the_console(void **state)
{
    (void)state;
    PARSE("pointsman --data /d");
    assert_int_equal(rc, 0);
    assert_null(c.command);
    assert_string_equal(c.data, "/d");
}

static void every_verb_has_help_and_every_option_is_known(void **state)
{
    (void)state;
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *m = &cli_commands[i];
        struct str rest = str_c(m->options), name;
        struct buf out;
        buf_init(&out, 1 << 16);
        cli_write_help(m, &out);
        assert_non_null(strstr(buf_c(&out), m->help));
        while (rest.n && str_cut(&rest, ' ', &name)) {
            char shown[40];
            snprintf(shown, sizeof shown, "  --" STR_FMT, STR_ARG(name));
            if (!strstr(buf_c(&out), shown))
                fail_msg("%s: option " STR_FMT " has no row", m->verb, STR_ARG(name));
        }
        buf_fini(&out);
    }
}

static void times_and_amounts(void **state)
{
    (void)state;
    int64_t nano;
    assert_int_equal(cli_time("2h", 10000000), 10000000 - 7200000);
    assert_int_equal(cli_time("2026-11-23T14:00:00Z", 0), 1795442400000);
    assert_int_equal(cli_time("yesterday", 0), -1);
    assert_true(cli_amount("20", &nano) && nano == 20000000000);
    assert_true(cli_amount("0.5usd", &nano) && nano == 500000000);
    assert_true(cli_amount("-3", &nano) && nano == -3000000000);
    assert_false(cli_amount("", &nano));
    assert_false(cli_amount("0", &nano));
    assert_false(cli_amount("5e3", &nano));
}

static const char *variable(const struct run_setup *s, const char *name)
{
    for (size_t i = 0; i < s->variable_count; i++)
        if (strcmp(s->variables[i].name, name) == 0)
            return s->variables[i].value;
    return NULL;
}

static void clients_are_set_up_by_their_name(void **state)
{
    (void)state;
    struct run_setup s;
    char *claude[] = {"/usr/bin/claude", "-p", "hi", NULL}, *codex[] = {"codex", "exec", NULL};
    char *other[] = {"python3", "x.py", NULL};
    assert_int_equal(run_setup_make(&s, claude, "http://h:1", "sk-pm-x", "run-1"), 0);
    assert_string_equal(variable(&s, "ANTHROPIC_BASE_URL"), "http://h:1/s/run-1");
    assert_string_equal(variable(&s, "ANTHROPIC_AUTH_TOKEN"), "sk-pm-x");
    assert_string_equal(s.argv[2], "hi");
    run_setup_free(&s);
    assert_int_equal(run_setup_make(&s, codex, "http://h:1", "sk-pm-x", "run-1"), 0);
    assert_string_equal(s.argv[1], "-c");
    assert_non_null(strstr(s.argv[4], "supports_websockets=false"));
    assert_string_equal(s.argv[5], "exec");
    assert_null(s.argv[6]);
    run_setup_free(&s);
    assert_int_equal(run_setup_make(&s, other, "http://h:1", "sk-pm-x", "run-1"), 0);
    assert_string_equal(variable(&s, "OPENAI_BASE_URL"), "http://h:1/s/run-1/v1");
    assert_null(strstr(s.argv[1], "sk-pm-x")); /* a key never stands on a command line */
    run_setup_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(global_options_stand_before_or_after_the_verb),
        cmocka_unit_test(verbs_of_two_words_and_their_arguments),
        cmocka_unit_test(what_stands_after_two_dashes_is_the_childs),
        cmocka_unit_test(mistakes_name_the_nearest),
        cmocka_unit_test(no_verb_opens_the_console),
        cmocka_unit_test(every_verb_has_help_and_every_option_is_known),
        cmocka_unit_test(times_and_amounts),
        cmocka_unit_test(clients_are_set_up_by_their_name),
    };
    return cmocka_run_group_tests_name("cli", tests, NULL, NULL);
}
