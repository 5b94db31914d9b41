/* launch.h: who starts what: finds a running gateway, or starts one that outlives this terminal.
 *
 * Order: --socket (only that), --data (only its socket), else $POINTSMAN_SOCKET, the own data
 * folder, /run/pointsman/control.sock: the first that answers. A gateway started here is a session
 * of its own (setsid), reads nothing, and writes to gateway.log in the data folder. Two that start
 * at once: the lock of the data folder decides, and the loser's caller attaches to the winner. */
#ifndef POINTSMAN_LAUNCH_H
#define POINTSMAN_LAUNCH_H

#include "tui/cli.h"

/* 0 and the path of a socket that answers; -ERR_NOT_FOUND: none does (e says where it was looked
 * for); -ERR_DENIED: one is there, but not for us (e says whom to ask). */
int launch_find(const struct cli *c, char path[256], struct err *e) MUST_CHECK;
/* 0 when the new one (or another that was faster) answers; else e is the reason that it gave. */
int launch_start(const struct cli *c, char path[256], struct err *e) MUST_CHECK;

#endif
