/* cli.h: the command line: the same verbs as the console, as subcommands.
 *
 * Why: what a person can press, a script can say. Verbs, their arguments, options and help stand
 * once, in commands.def; answers come from the gateway over its socket (link.h), and every reading
 * verb takes --json: the gateway's object as it came, or one object a line for lists.
 *
 *     return cli_main(argc, argv, &hooks);        // 0 done, 1 refused or failed, 2 wrong usage,
 *                                                 // 3 no gateway answers
 *
 * What needs the gateway's own rooms (serving, reading a configuration, opening the data folder)
 * comes through struct cli_hooks from main.c: this folder knows only the admin API. */
#ifndef POINTSMAN_CLI_H
#define POINTSMAN_CLI_H

#include "store/base/buf.h"
#include "store/base/err.h"

enum cli_exit { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_NO_GATEWAY = 3 };

struct cli;
struct link;

struct cli_hooks {
    /* Runs the gateway in this process. */
    int (*serve)(const struct cli *c, bool demo);
    /* The curses program on that socket; NULL where it is not built in. */
    int (*console)(const struct cli *c, const char *socket_path, bool readonly);
    /* Verbs that work without a gateway: "config check", "db check", … Returns the exit status. */
    int (*alone)(const struct cli *c);
    /* Where the configuration (and --data, --socket) puts the data folder and the control socket.
     */
    void (*where)(const struct cli *c, char data[256], char socket[256]);
};

enum cli_needs { GATEWAY, ALONE, EITHER, START };

struct cli_command {
    const char *verb;
    int (*run)(struct cli *c);
    const char *arguments;
    int least, most;
    const char *options;
    enum cli_needs needs;
    const char *help;
};

enum { CLI_WORDS_MAX = 64, CLI_OPTIONS_MAX = 24 };

/* One call of the program, parsed. Texts are argv's. */
struct cli {
    const struct cli_hooks *hooks;
    const struct cli_command *command; /* NULL: no verb was given */
    const char *config, *data, *socket;
    bool json, quiet, no_color, wants_help;
    const char *words[CLI_WORDS_MAX]; /* after the verb */
    size_t word_count;
    char **child; /* what stands after "--"; NULL: nothing */
    struct {
        const char *name, *value; /* value "" for those that take none */
    } options[CLI_OPTIONS_MAX];
    size_t option_count;
    struct link *link; /* while a verb that asks the gateway runs */
    char socket_path[256];
};

int cli_main(int argc, char **argv, const struct cli_hooks *hooks);

/* 0, or -ERR_UNKNOWN (verb or option; the nearest is named), -ERR_MISSING, -ERR_DUPLICATE,
 * -ERR_RANGE (number of arguments). */
int cli_parse(struct cli *c, int argc, char **argv, struct err *e) MUST_CHECK;
/* The value of an option of the verb, or NULL. */
const char *cli_option(const struct cli *c, const char *name);
/* The table's texts, for `help`, the manual and tests. */
extern const struct cli_command cli_commands[];
extern const size_t cli_command_count;
struct cli_option_row {
    const char *name, *value, *help; /* value NULL: takes none */
};
extern const struct cli_option_row cli_globals[], cli_options[];
extern const size_t cli_global_count, cli_option_count;
/* cli_manual.c: what `make install` lays down, from the same tables. */
void cli_write_manual(struct buf *out);
void cli_write_completion(struct buf *out);
void cli_write_help(const struct cli_command *one, struct buf *out); /* NULL: the whole list */

#endif
