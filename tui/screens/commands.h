/* commands.h: what the palette takes with words behind it: `save slow`, `cols st model cost`.
 *
 * Readers: the palette (finds, completes, runs) and the help screen. A command is a row of the
 * table in commands.c. */
#ifndef POINTSMAN_COMMANDS_H
#define POINTSMAN_COMMANDS_H

#include "tui/screen.h"

struct command {
    const char *name, *args, *help;
    void (*run)(struct app *a, struct str args);
};
extern const struct command commands[];
extern const size_t command_count;

/* The command whose name begins the text, and the words behind it; NULL: none does. */
const struct command *command_find(struct str text, struct str *args);

#endif
