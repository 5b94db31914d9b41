/* keeper.h: what ties the live state to the store, the audit trail and the consoles. Private to this
 * room; admin_live_open() is in admin.h. */
#ifndef POINTSMAN_ADMIN_KEEPER_H
#define POINTSMAN_ADMIN_KEEPER_H

#include "proxy/admin/call.h"

/* From now on changes reach this admin's consoles. */
void admin_attach_live(struct admin *a);
/* The state document "alarms" as it stood at the start; the caller frees it. NULL: none, or taken. */
char *keeper_take_alarms(void);
/* An audit row for what is no change of a live object (bodies read, credit granted, …). */
void keeper_audit(struct call *c, const char *what);
/* The same with the exact figures behind the words, as JSON. */
void keeper_audit_figures(struct call *c, const char *what, struct str json);
/* Something of a change was handed to the store: the answer of the call that did it comes when it is
 * stored (call.c). Counted over all calls. */
void keeper_handed_over(void);
uint64_t keeper_changes(void);
/* Of these, what the store did not even take: too much waits already, or there is no memory. */
uint64_t keeper_lost(void);
/* When the last change came into force (monotonic). */
int64_t keeper_published_us(void);
/* Loads the source's present text and publishes it under the live state; says it in Events. */
int admin_reload_config(struct admin *a, struct buf *kept, struct err *e) MUST_CHECK;

/* snapshot.c: consoles that wait are answered soon. */
void admin_tell_news(struct admin *a);

#endif
