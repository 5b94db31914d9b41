/* notify.h: tells the outside of alarms: `notify.url` gets each as a JSON POST, `notify.command` runs
 * once for each with the JSON on its standard input.
 *
 *     {"kind":"BUDGET_NEAR","level":"warn","time_ms":…,"text":…,"request_id":…,"gateway":"http://…"}
 *
 * Bounded: 64 alarms wait, the oldest are given up (and the log says how many); one call and one
 * program at a time, 15 s and 10 s. Private to this room, admin thread only. */
#ifndef POINTSMAN_ADMIN_NOTIFY_H
#define POINTSMAN_ADMIN_NOTIFY_H

#include <stdint.h>

struct admin;
struct notify;

struct notify *notify_new(struct admin *a); /* NULL without memory */
void notify_tick(struct notify *n, int64_t now_ms);
void notify_free(struct notify *n);

#endif
