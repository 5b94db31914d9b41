/* cli_manual.c: the manual page and the completion of bash, from the tables of verbs and options,
 * so that neither can disagree with the program. `make install` lays them down. */
#include "proxy/admin/api.h"
#include "tui/cli.h"
#include "tui/keymap.h"

#include <stdio.h>

/* Text for troff: a line never begins with a dot or an apostrophe here; dashes and backslashes are
 * the only characters that mean something else. */
static void put_roff(struct buf *out, const char *s)
{
    for (; *s; s++) {
        if (*s == '-' || *s == '\\')
            buf_putc(out, '\\');
        if (*s == '\\')
            buf_putc(out, 'e');
        else
            buf_putc(out, *s);
    }
}

static void put_row(
    struct buf *out, const char *before, const char *name, const char *value, const char *help)
{
    buf_puts(out, ".TP\n.B ");
    put_roff(out, before);
    put_roff(out, name);
    if (value && *value) {
        buf_puts(out, " \\fI");
        put_roff(out, value);
        buf_puts(out, "\\fR");
    }
    buf_puts(out, "\n\\&");
    put_roff(out, help);
    buf_putc(out, '\n');
}

static void put_verb(struct buf *out, const struct cli_command *m)
{
    char left[160];
    struct str rest = str_c(m->options), name;
    size_t n = (size_t)snprintf(left, sizeof left, "%s", m->arguments);
    while (rest.n && str_cut(&rest, ' ', &name) && n < sizeof left)
        n += (size_t)snprintf(
            left + n, sizeof left - n, "%s[--" STR_FMT "]", n ? " " : "", STR_ARG(name));
    put_row(out, "", m->verb, left, m->help);
}

/* Keys of the console, by place. */
static void put_keys(struct buf *out)
{
    buf_puts(out, ".SH KEYS OF THE CONSOLE\n");
    for (unsigned c = 0; c < CONTEXT_END; c++) {
        buf_printf(out, ".SS %s\n", context_title((enum context)c));
        for (size_t i = 0; i < key_row_count; i++)
            if (key_rows[i].context == (enum context)c && *key_rows[i].keys)
                put_row(out, "", key_rows[i].keys, NULL, key_rows[i].help);
    }
}

void cli_write_manual(struct buf *out)
{
    static const char *const files[][2] = {
        {"~/.config/pointsman/pointsman.yaml", "configuration, else $POINTSMAN_CONFIG or --config"},
        {"~/.local/share/pointsman", "data folder: store, spool, lock, control.sock, gateway.log"},
        {"~/.config/pointsman/console.conf",
            "what was set in the console: its switches (F2), theme, columns, filters by name"},
        {"~/.local/state/pointsman/", "what was typed into the console's fields, for \xe2\x86\x91"},
        {"~/.config/pointsman/keys.conf",
            "keys of your own: place.action = keys, as the console's help and palette name them"},
        {"~/.config/pointsman/themes/", "themes of your own"},
        {"/run/pointsman/control.sock", "control socket of a gateway that runs as a service"},
    };
    static const char *const variables[][2] = {
        {"POINTSMAN_CONFIG", "configuration file"},
        {"POINTSMAN_SOCKET", "control socket of the gateway to speak to"},
        {"POINTSMAN_THEME", "theme of the console"},
        {"NO_COLOR", "no colours"},
        {"OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY, \xe2\x80\xa6",
            "providers, when there is no configuration file"},
    };
    buf_printf(out,
        ".TH POINTSMAN 1 \"\" \"pointsman %s\"\n.SH NAME\npointsman \\- a gateway for "
        "model traffic, and the console that steers it\n.SH SYNOPSIS\n.B pointsman\n.br\n"
        ".B pointsman\n.I VERB\n[\\fIOPTIONS\\fR] [\\fIARGUMENTS\\fR]\n.SH DESCRIPTION\n"
        "Without a verb: starts a gateway if none answers, then opens the console.\n.SH VERBS\n",
        POINTSMAN_VERSION);
    for (size_t i = 0; i < cli_command_count; i++)
        put_verb(out, &cli_commands[i]);
    buf_puts(out, ".SH GLOBAL OPTIONS\nThey stand before or after the verb.\n");
    for (size_t i = 0; i < cli_global_count; i++)
        put_row(out, "--", cli_globals[i].name, cli_globals[i].value, cli_globals[i].help);
    buf_puts(out, ".SH OPTIONS OF VERBS\n");
    for (size_t i = 0; i < cli_option_count; i++)
        put_row(out, "--", cli_options[i].name, cli_options[i].value, cli_options[i].help);
    put_keys(out);
    buf_puts(out, ".SH EXIT STATUS\n0 done, 1 refused or failed, 2 wrong usage, 3 no gateway "
                  "answers.\n.SH FILES\n");
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        put_row(out, "", files[i][0], NULL, files[i][1]);
    buf_puts(out, ".SH ENVIRONMENT\n");
    for (size_t i = 0; i < ARRAY_LEN(variables); i++)
        put_row(out, "", variables[i][0], NULL, variables[i][1]);
}

/* The words that may stand at one place: first words of verbs, or second words of a group. */
static void put_words(struct buf *out, struct str group)
{
    struct str last = STR_NULL;
    for (size_t i = 0; i < cli_command_count; i++) {
        struct str verb = str_c(cli_commands[i].verb), word;
        bool inside =
            group.n == 0 || (verb.n > group.n && str_starts(verb, group) && verb.p[group.n] == ' ');
        if (!inside)
            continue;
        if (group.n)
            verb = str_from(verb, group.n + 1);
        if (!str_cut(&verb, ' ', &word) || str_eq(word, last))
            continue;
        buf_printf(out, STR_FMT " ", STR_ARG(word));
        last = word;
    }
}

void cli_write_completion(struct buf *out)
{
    struct str last = STR_NULL;
    buf_puts(out,
        "# completion of pointsman for bash\n_pointsman()\n{\n"
        "    local word=${COMP_WORDS[COMP_CWORD]} words=\n    if [[ $word == -* ]]; then\n"
        "        words=\"");
    for (size_t i = 0; i < cli_global_count; i++)
        buf_printf(out, "--%s ", cli_globals[i].name);
    for (size_t i = 0; i < cli_option_count; i++)
        buf_printf(out, "--%s ", cli_options[i].name);
    buf_puts(out, "\"\n    elif ((COMP_CWORD == 1)); then\n        words=\"");
    put_words(out, STR_NULL);
    buf_puts(out, "\"\n    elif ((COMP_CWORD == 2)); then\n        case ${COMP_WORDS[1]} in\n");
    for (size_t i = 0; i < cli_command_count; i++) {
        struct str verb = str_c(cli_commands[i].verb), group;
        if (!str_cut(&verb, ' ', &group) || !verb.n || str_eq(group, last))
            continue;
        last = group;
        buf_printf(out, "        " STR_FMT ") words=\"", STR_ARG(group));
        put_words(out, group);
        buf_puts(out, "\" ;;\n");
    }
    buf_puts(out, "        esac\n    fi\n    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
                  "}\ncomplete -o default -F _pointsman pointsman\n");
}
