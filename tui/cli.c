/* cli.c: see cli.h. One table of verbs, one of options; parsing, help and dispatch read both, so
 * that none of them can disagree. */
#include "tui/cli.h"

#include "tui/cli_ask.h"
#include "tui/cli_verbs.h"
#include "tui/link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct cli_command cli_commands[] = {
#define X(verb, fn, arguments, least, most, options, needs, help)                                  \
    {verb, fn, arguments, least, most, options, needs, help},
#include "tui/commands.def"
#undef X
};
const size_t cli_command_count = ARRAY_LEN(cli_commands);

const struct cli_option_row cli_globals[] = {
    {"config", "FILE",
        "configuration (else $POINTSMAN_CONFIG, ~/.config/pointsman/pointsman.yaml)"},
    {"data", "DIR", "data folder (else ~/.local/share/pointsman)"},
    {"socket", "PATH", "control socket (else $POINTSMAN_SOCKET, then the data folder's)"},
    {"json", NULL, "one JSON object, or one a line for lists"},
    {"quiet", NULL, "only what was asked for"},
    {"no-color", NULL, "no colours (as NO_COLOR does)"},
    {"help", NULL, "help of the verb"},
};

const struct cli_option_row cli_options[] = {
    {"api-key", "REF", "env:NAME, file:PATH or sealed:NAME, never the key itself"},
    {"as", "DIALECT", "the conversation as openai, anthropic, gemini or responses"},
    {"budget", "AMOUNT", "hard stop in USD for this run: 5"},
    {"bash", NULL, "completion for bash"},
    {"by", "WHAT", "key, team, model, route, session, tag or day"},
    {"csv", NULL, "comma separated values"},
    {"dialect", "NAME", "openai, openai_responses, anthropic, gemini or azure"},
    {"dry-run", NULL, "say what would happen, change nothing"},
    {"file", "FILE", "a whole route as JSON (- for stdin)"},
    {"filter", "EXPR", "such as 'model:claude* st:>=400 dur:>2s -route:fallback'"},
    {"for", "TIME", "go back by itself after 15m, 1h …"},
    {"format", "NAME", "jsonl or curl"},
    {"from", "KEY", "taken from the credit of that key"},
    {"goal", "NAME", "quality, latency, cost, long_context or resilience"},
    {"grace", "TIME", "how long the old secret still works (24h)"},
    {"headless", NULL, "the gateway alone, without the console"},
    {"key", "NAME", "for this virtual key only"},
    {"ledger", NULL, "every grant, reserve, release, settlement, refund and transfer"},
    {"level", "NAME", "least level: debug, info, warn, error, audit"},
    {"limit", "N", "at most N rows"},
    {"line", NULL, "one short line, for a status bar"},
    {"listen", "HOST:PORT", "where to listen; port 0: any"},
    {"man", NULL, "the manual page, as troff"},
    {"mine", NULL, "only keys that I own"},
    {"model", "NAME", "every request of the run goes to this route or model"},
    {"name", "NAME", "name of the run, as its key and session"},
    {"no-follow", NULL, "stop after what is stored"},
    {"note", "TEXT", "kept with the ledger entry"},
    {"now", NULL, "end running requests too"},
    {"older", "TIME", "older than 30d"},
    {"plain", NULL, "a sentence for each request instead of columns: for screen readers and logs"},
    {"policy", "NAME", "priority, weighted, lowest-cost …"},
    {"print", NULL, "print what would be set, start nothing"},
    {"readonly", NULL, "look, change nothing"},
    {"request", "ID", "a refund of what that request cost"},
    {"reset", NULL, "drop what was changed live"},
    {"rev", "N", "this revision instead of your own latest"},
    {"revision", "N", "refuse when somebody changed it after revision N"},
    {"rule", "JSON", "in front of the others: '{\"if\":{\"tools\":\"yes\"},\"use\":\"lab/m\"}'"},
    {"slow", NULL, "a slow line: two frames a second, no graphs, no clock"},
    {"sources", NULL, "measured against estimated against provider-reported"},
    {"sample", NULL, "print a commented file with the defaults"},
    {"session", "NAME", "for this session only"},
    {"since", "TIME", "from 2h ago, or from 2026-11-23T14:00"},
    {"to", "TARGET", "where what has nowhere else to go shall go"},
    {"until", "TIME", "up to that time"},
    {"url", "URL", "base URL"},
    {"write", NULL, "write the new costs (else only the difference is shown)"},
};

const size_t cli_global_count = ARRAY_LEN(cli_globals), cli_option_count = ARRAY_LEN(cli_options);

/* ---- looking things up ---- */

enum { SUGGESTED_MOST = 4 };

static const struct cli_option_row *find_in(const struct cli_option_row *list, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(str_c(list[i].name), name))
            return &list[i];
    return NULL;
}

static bool has_word(const char *list, struct str word)
{
    struct str rest = str_c(list), piece;
    while (str_cut(&rest, ' ', &piece))
        if (str_eq(piece, word))
            return true;
    return false;
}

static const struct cli_command *find_command(const char *first, const char *second)
{
    char both[64];
    snprintf(both, sizeof both, "%s %s", first, second ? second : "");
    const struct cli_command *one = NULL;
    for (size_t i = 0; i < cli_command_count; i++) {
        if (second && strcmp(cli_commands[i].verb, both) == 0)
            return &cli_commands[i];
        if (strcmp(cli_commands[i].verb, first) == 0)
            one = &cli_commands[i];
    }
    return one;
}

static bool is_group(struct str word)
{
    for (size_t i = 0; i < cli_command_count; i++) {
        struct str verb = str_c(cli_commands[i].verb);
        if (verb.n > word.n && str_starts(verb, word) && verb.p[word.n] == ' ')
            return true;
    }
    return false;
}

/* The verb as it is typed alone, and of "route switch" the second word. */
static unsigned verb_distance(struct str verb, struct str typed, struct str group)
{
    ptrdiff_t blank = str_chr(verb, ' ');
    struct str of = blank > 0 ? str_first(verb, (size_t)blank) : STR_NULL;
    struct str last = blank > 0 ? str_from(verb, (size_t)blank + 1) : verb;
    if (group.n)
        return str_eq(of, group) ? str_distance(last, typed, 3) : 4;
    if (of.n && str_eq(last, typed))
        return 1;
    return MIN(str_distance(verb, typed, 3), of.n ? str_distance(of, typed, 3) : 4);
}

/* "did you mean "route switch"?" of all that are as near; "" when nothing is. */
static void suggest(const char *typed, struct str group, char *out, size_t size)
{
    unsigned least = 4;
    size_t n = 0, named = 0;
    out[0] = '\0';
    for (size_t i = 0; i < cli_command_count; i++)
        least = MIN(least, verb_distance(str_c(cli_commands[i].verb), str_c(typed), group));
    for (size_t i = 0; least < 4 && i < cli_command_count && named < SUGGESTED_MOST; i++)
        if (verb_distance(str_c(cli_commands[i].verb), str_c(typed), group) == least && n < size)
            n += (size_t)snprintf(out + n, size - n, "%s\"%s\"", named++ ? " or " : " Did you mean ",
                cli_commands[i].verb);
    if (named && n < size)
        snprintf(out + n, size - n, "?");
}

/* ---- parsing ---- */

static int set_global(struct cli *c, const struct cli_option_row *o, const char *value)
{
    if (strcmp(o->name, "config") == 0)
        c->config = value;
    else if (strcmp(o->name, "data") == 0)
        c->data = value;
    else if (strcmp(o->name, "socket") == 0)
        c->socket = value;
    else if (strcmp(o->name, "json") == 0)
        c->json = true;
    else if (strcmp(o->name, "quiet") == 0)
        c->quiet = true;
    else if (strcmp(o->name, "no-color") == 0)
        c->no_color = true;
    else
        c->wants_help = true;
    return 0;
}

static int take_option(struct cli *c, char **argv, int argc, int *i, struct err *e)
{
    const char *typed = argv[*i];
    struct str name = str_c(typed + 2);
    if (strcmp(typed, "-h") == 0)
        name = STR("help");
    else if (strncmp(typed, "--", 2) != 0)
        return err_set(e, ERR_UNKNOWN, "%s: options are written with two dashes", typed);
    ptrdiff_t equals = str_chr(name, '=');
    const char *value = NULL;
    if (equals >= 0) {
        value = name.p + equals + 1;
        name.n = (size_t)equals;
    }
    const struct cli_option_row *o = find_in(cli_globals, cli_global_count, name);
    bool global = o != NULL;
    if (!o)
        o = find_in(cli_options, cli_option_count, name);
    if (!o)
        return err_set(e, ERR_UNKNOWN, "no option --" STR_FMT, STR_ARG(name));
    if (!o->value && value)
        return err_set(e, ERR_RANGE, "--%s takes no value", o->name);
    if (o->value && !value && *i + 1 < argc)
        value = argv[++*i];
    if (o->value && !value)
        return err_set(e, ERR_MISSING, "--%s needs a value: %s", o->name, o->value);
    if (global)
        return set_global(c, o, value);
    if (cli_option(c, o->name))
        return err_set(e, ERR_DUPLICATE, "--%s is given twice", o->name);
    if (c->option_count == CLI_OPTIONS_MAX)
        return err_set(e, ERR_LIMIT, "too many options");
    c->options[c->option_count].name = o->name;
    c->options[c->option_count++].value = value ? value : "";
    return 0;
}

static int take_verb(struct cli *c, struct err *e)
{
    const char *first = c->words[0], *second = c->word_count > 1 ? c->words[1] : NULL;
    c->command = find_command(first, second);
    char near[200];
    if (!c->command && c->wants_help && is_group(str_c(first)) && !second)
        return 0;
    if (!c->command && is_group(str_c(first))) {
        suggest(second ? second : "", str_c(first), near, sizeof near);
        return err_set(e, ERR_UNKNOWN,
            second ? "%s has no verb \"%s\"; see: pointsman help %s.%s"
                   : "%s needs a verb%.0s; see: pointsman help %s%.0s",
            first, second ? second : "", first, near);
    }
    if (!c->command) {
        suggest(first, STR_NULL, near, sizeof near);
        return err_set(e, ERR_UNKNOWN, "no verb \"%s\"; see: pointsman help.%s", first, near);
    }
    size_t drop = strchr(c->command->verb, ' ') ? 2 : 1;
    c->word_count -= drop;
    memmove(c->words, c->words + drop, c->word_count * sizeof c->words[0]);
    return 0;
}

static int check_verb(const struct cli *c, struct err *e)
{
    const struct cli_command *m = c->command;
    for (size_t i = 0; i < c->option_count; i++)
        if (!has_word(m->options, str_c(c->options[i].name)))
            return err_set(e, ERR_UNKNOWN, "%s has no option --%s", m->verb, c->options[i].name);
    if (c->child && strcmp(m->verb, "run") != 0)
        return err_set(e, ERR_RANGE, "%s takes nothing after --", m->verb);
    if (!strcmp(m->verb, "run") && (!c->child || !c->child[0]) && !c->word_count)
        return err_set(e, ERR_MISSING, "run needs a command: %s", m->arguments);
    if ((int)c->word_count < m->least)
        return err_set(e, ERR_MISSING, "%s needs more: %s", m->verb, m->arguments);
    if (m->most >= 0 && (int)c->word_count > m->most)
        return err_set(e, ERR_RANGE, "%s: \"%s\" is one argument too many", m->verb, c->words[m->most]);
    return 0;
}

int cli_parse(struct cli *c, int argc, char **argv, struct err *e)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--version") == 0) /* what people type */
            argv[i] = "version";
        if (strcmp(argv[i], "--") == 0) {
            c->child = argv + i + 1;
            break;
        }
        bool amount = argv[i][0] == '-' && argv[i][1] >= '0' && argv[i][1] <= '9'; /* key grant bob -5 */
        if (argv[i][0] == '-' && argv[i][1] && !amount) {
            int rc = take_option(c, argv, argc, &i, e);
            if (rc < 0)
                return rc;
            continue;
        }
        if (c->word_count == CLI_WORDS_MAX)
            return err_set(e, ERR_LIMIT, "too many arguments");
        c->words[c->word_count++] = argv[i];
    }
    if (c->word_count == 0) {
        for (size_t i = 0; i < c->option_count; i++)
            if (strcmp(c->options[i].name, "listen") != 0) /* of a gateway that is to be started */
                return err_set(e, ERR_MISSING, "--%s needs a verb", c->options[i].name);
        return 0;
    }
    int rc = take_verb(c, e);
    return rc < 0 || c->wants_help ? rc : check_verb(c, e);
}

const char *cli_option(const struct cli *c, const char *name)
{
    for (size_t i = 0; i < c->option_count; i++)
        if (strcmp(c->options[i].name, name) == 0)
            return c->options[i].value;
    return NULL;
}

/* ---- help ---- */

static void put_option(struct buf *out, const struct cli_option_row *o)
{
    char left[40];
    snprintf(left, sizeof left, "--%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
    buf_printf(out, "  %-22s %s\n", left, o->help);
}

static void put_globals(struct buf *out)
{
    buf_puts(out, "\nGlobal options, before or after the verb:\n");
    for (size_t i = 0; i < cli_global_count; i++)
        put_option(out, &cli_globals[i]);
}

static void help_of_one(const struct cli_command *m, struct buf *out)
{
    buf_printf(out, "pointsman %s%s%s%s\n\n  %s\n", m->verb, m->options[0] ? " [OPTIONS]" : "",
        m->arguments[0] ? " " : "", m->arguments, m->help);
    if (m->options[0])
        buf_puts(out, "\nOptions:\n");
    struct str rest = str_c(m->options), name;
    while (rest.n && str_cut(&rest, ' ', &name)) {
        const struct cli_option_row *o = find_in(cli_options, cli_option_count, name);
        if (o)
            put_option(out, o);
    }
    put_globals(out);
}

void cli_write_help(const struct cli_command *one, struct buf *out)
{
    if (one) {
        help_of_one(one, out);
        return;
    }
    buf_puts(out, "pointsman                    start the gateway if none answers, then open the "
                  "console\n");
    for (size_t i = 0; i < cli_command_count; i++) {
        char left[60];
        snprintf(left, sizeof left, "pointsman %s", cli_commands[i].verb);
        buf_printf(out, "%-28s %s\n", left, cli_commands[i].help);
    }
    put_globals(out);
    buf_puts(out, "\nExit: 0 done, 1 refused or failed, 2 wrong usage, 3 no gateway answers.\n");
}

/* `help route` shows the verbs of a group. */
static bool help_of_group(struct str group, struct buf *out)
{
    size_t before = out->n;
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *m = &cli_commands[i];
        if (is_group(group) && str_starts(str_c(m->verb), group) && m->verb[group.n] == ' ')
            buf_printf(out, "pointsman %s %s\n    %s\n", m->verb, m->arguments, m->help);
    }
    return out->n > before;
}

int cli_help(struct cli *c)
{
    struct buf out;
    buf_init(&out, 1 << 16);
    const char *first = c->word_count ? c->words[0] : NULL;
    const struct cli_command *one =
        first ? find_command(first, c->word_count > 1 ? c->words[1] : NULL) : NULL;
    int status = CLI_DONE;
    if (cli_option(c, "man"))
        cli_write_manual(&out);
    else if (cli_option(c, "bash"))
        cli_write_completion(&out);
    else if (first && !one && !help_of_group(str_c(first), &out)) {
        char near[200];
        suggest(first, STR_NULL, near, sizeof near);
        cli_complain("no verb \"%s\"; see: pointsman help.%s", first, near);
        status = CLI_USAGE;
    } else if (one || !first) {
        cli_write_help(one, &out);
    }
    fputs(buf_c(&out), stdout);
    buf_fini(&out);
    return status;
}

/* ---- dispatch ---- */

static int run_verb(struct cli *c)
{
    const struct cli_command *m = c->command;
    if (m->needs == GATEWAY || m->needs == START) {
        int status = cli_connect(c, m->needs == START);
        if (status != CLI_DONE)
            return status;
    } else if (m->needs == EITHER && !cli_connect_quietly(c)) {
        return c->hooks->alone(c);
    }
    int status = m->run(c);
    link_free(c->link);
    return status;
}

/* Behind what was wrong with it: how the verb is used. */
static void remind(const struct cli *c)
{
    struct buf out;
    buf_init(&out, 1 << 16);
    const struct cli_command *m = c->command;
    if (!m && c->word_count)
        m = find_command(c->words[0], c->word_count > 1 ? c->words[1] : NULL);
    if (m)
        help_of_one(m, &out);
    else if (c->word_count)
        help_of_group(str_c(c->words[0]), &out);
    if (out.n)
        fprintf(stderr, "\n%s", buf_c(&out));
    buf_fini(&out);
}

static int ended(const struct cli *c, int status)
{
    if (status == CLI_USAGE)
        remind(c);
    cli_tell_failure(c, status);
    return status;
}

int cli_main(int argc, char **argv, const struct cli_hooks *hooks)
{
    struct cli c = {.hooks = hooks};
    struct err e = {0};
    if (cli_parse(&c, argc, argv, &e) < 0) {
        for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
            c.json = c.json || strcmp(argv[i], "--json") == 0; /* also behind the fault */
        cli_complain("%s", e.text);
        return ended(&c, CLI_USAGE);
    }
    if (c.wants_help) {
        struct buf out;
        buf_init(&out, 1 << 16);
        if (c.command || !c.word_count || !help_of_group(str_c(c.words[0]), &out))
            cli_write_help(c.command, &out);
        fputs(buf_c(&out), stdout);
        buf_fini(&out);
        return CLI_DONE;
    }
    if (!c.command)
        return cli_open_console(&c);
    return ended(&c, run_verb(&c));
}
