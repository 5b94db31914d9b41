/* cli_verbs.h: one function a row of commands.def. Each returns the exit status (enum cli_exit).
 * Where the verb asks the gateway, c->link is connected already. */
#ifndef POINTSMAN_CLI_VERBS_H
#define POINTSMAN_CLI_VERBS_H

#include "tui/cli.h"

#define X(verb, fn, arguments, least, most, options, needs, help) int fn(struct cli *c);
#include "tui/commands.def"
#undef X

/* No verb: starts the gateway if none answers, then opens the console. */
int cli_open_console(struct cli *c);

#endif
