/* notices.h: what a person wants to hear of who looks elsewhere, said once.
 *
 * Why: an agent of one's own that waits for an answer, a budget near its end, a provider that is
 * down: said in the last line, with the bell and a desktop notice, each of which can be turned off
 * (settings.def); the window's title tells the rest at a glance.
 *
 *     notices_data(a);                    // the model changed
 *     wait = notices_tick(a);             // ms until something is due; -1: nothing
 *
 * The same alarm about the same key or session is said once in ALARM_AGAIN_MS: a key at its limit
 * is refused many times a minute.
 *
 * An own session is done when its newest request, by a process of this unix user, ended with a
 * finish that asks for nothing more, and nothing followed for NOTICE_QUIET_MS. A demo rings no
 * bell. */
#ifndef POINTSMAN_NOTICES_H
#define POINTSMAN_NOTICES_H

#include <stdbool.h>
#include <stdint.h>

struct app;

enum { NOTICE_QUIET_MS = 6000, NOTICES_TOLD = 16, ALARMS_TOLD = 16, ALARM_AGAIN_MS = 600000 };

struct alarm_told {
    int64_t time_ms;
    char about[100]; /* kind and the text up to its first colon */
};

struct notices {
    int64_t seen_event; /* sequence number of the newest event that was looked at */
    int64_t started_ms; /* what ended before is nobody's news */
    int64_t due_ms;     /* when a session may turn out to be done; 0: none */
    int64_t titled_us;
    char told[NOTICES_TOLD][40]; /* requests whose session was said to be done */
    unsigned told_next;
    struct alarm_told alarms[ALARMS_TOLD];
    unsigned alarm_next;
    char trouble[64]; /* the provider said to be down last */
    char title[160];
};

void notices_data(struct app *a);
int notices_tick(struct app *a);
void notices_title(struct app *a); /* the setting changed */

#endif
