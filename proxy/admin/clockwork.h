/* clockwork.h: what the admin thread does by itself: each second, and when there is news. Private to
 * this room; called by admin.c. */
#ifndef POINTSMAN_ADMIN_CLOCKWORK_H
#define POINTSMAN_ADMIN_CLOCKWORK_H

#include "proxy/admin/state.h"

/* snapshot.c: answers the calls that wait for news, when there is any. A timer while some wait. */
void admin_look_for_news(void *admin);
/* status.c: asks the store for the header's figures, when the last ones are ten seconds old. */
void admin_ask_numbers(struct admin *a, int64_t now_ms);
/* canaries.c: what was taken back is written down; what was tried anew by hand is. */
void admin_note_canaries(struct admin *a, int64_t now_ms);
/* probe.c: drained "until it is well again": back when its probes pass for 5 minutes. */
void admin_probe_drained(struct admin *a, int64_t now_ms);
/* probe.c: the models of servers of one's own, of which nothing else says any: at the start, when
 * they are added, and each ten minutes. */
void admin_ask_models(struct admin *a, int64_t now_ms);

#endif
