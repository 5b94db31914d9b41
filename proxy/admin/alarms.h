/* alarms.h: what a person should hear of without looking: a budget that passes its warning share, a
 * key that spends far above its own past; and telling others (`notify.url`, `notify.command`) of
 * these and of what the data path said (a session that loops, a budget hit, a dead provider key …).
 *
 * An alarm is an event first: it stands in Events whatever `notify` says. Private to this room; runs
 * in the admin thread, once a second, and never waits: a URL is called by a worker, a program runs
 * beside us, one at a time. */
#ifndef POINTSMAN_ADMIN_ALARMS_H
#define POINTSMAN_ADMIN_ALARMS_H

#include <stdint.h>

struct admin;
struct alarms;

struct alarms *alarms_new(struct admin *a); /* NULL without memory */
void alarms_tick(struct alarms *x, int64_t now_ms);
void alarms_free(struct alarms *x);

#endif
