/* console.h: the console as the front door starts it: runs until the person leaves.
 *
 *     struct console_options o = {.socket = path, .theme = "dark"};
 *     return console_main(&o);
 *
 * Returns the exit status (0, or 3 when no gateway answers, 1 when there is no usable terminal),
 * with the terminal as it was and one line on stderr that says whether the gateway still runs. */
#ifndef POINTSMAN_CONSOLE_H
#define POINTSMAN_CONSOLE_H

#include <stdbool.h>

struct console_options {
    const char *socket; /* path of the control socket */
    bool socket_named;  /* a `pointsman` without options would not find it */
    const char *theme;  /* NULL: $POINTSMAN_THEME, else term16 */
    bool readonly;      /* nothing that changes anything is sent */
    bool ascii, mono;   /* beyond what locale, NO_COLOR and TERM already say */
    bool no_sync;
    bool slow;  /* two frames a second, no graphs, no clock: serial lines, ssh from far away */
    bool quiet; /* no line at the end */
};

int console_main(const struct console_options *options);

#endif
