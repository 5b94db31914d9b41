/* port_holder.h: who holds a TCP port of this machine: for the sentence that says why we can't listen.
 *
 *     char who[160];
 *     if (port_holder(4141, who, sizeof who)) …       // "node (pid 812, user bob)" */
#ifndef POINTSMAN_PORT_HOLDER_H
#define POINTSMAN_PORT_HOLDER_H

#include <stdbool.h>
#include <stddef.h>

/* False when nobody listens there or /proc does not tell. The process is named where we may see it
 * (our own, or as root), the user always. */
bool port_holder(int port, char *out, size_t size);

#endif
