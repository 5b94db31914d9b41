/* child.h: a program of the person's own (pager, editor, any pipe) with the terminal to itself.
 *
 * Why: the console hands its screen over, waits, and takes it back; the traffic does not notice.
 * The command runs in the shell, as the user at this terminal, with nothing of the console's
 * signals.
 *
 *     int status = child_run("vi \"$1\"", path, NULL);        // 0: it ended well
 *     child_run("jq . | less", NULL, &body);                  // body on its standard input
 *
 * With an input, its output is left on the screen until Enter is pressed. Returns the exit status,
 * 128 and the signal that ended it, or -1 when it could not be started. */
#ifndef POINTSMAN_CHILD_H
#define POINTSMAN_CHILD_H

#include "store/base/str.h"

int child_run(const char *command, const char *arg, const struct str *input);

#endif
