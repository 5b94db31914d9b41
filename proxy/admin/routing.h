/* routing.h: what switch, profiles, drains and what-if share. Private to this room. */
#ifndef POINTSMAN_ADMIN_ROUTING_H
#define POINTSMAN_ADMIN_ROUTING_H

#include "proxy/admin/call.h"

/* "override/key/alice/fast"; in the call's arena. */
struct str override_object(struct call *c, enum scope scope, struct str scope_name, struct str asked);
const char *scope_text(enum scope scope);
/* Reads "scope" and "scope_name" of the body; false after an error was sent. */
bool read_scope(struct call *c, enum scope *scope, struct str *scope_name);
/* Can requests be sent there: "provider/model", a route, "goal:latency", or a model that one provider
 * has? 0, else -ERR_X with the nearest names. A target that is down just now is allowed. */
int check_target(struct call *c, struct str to, struct err *e) MUST_CHECK;
/* "for_ms" → wall time of the return; 0 = none; -1 after an error was sent. */
int64_t read_until(struct call *c);
/* " back 14:17", or "" */
struct str back_text(struct call *c, int64_t until_ms);
/* {"to":…,"until_ms":…,"who":…,"when_ms":…} */
struct str override_json(struct call *c, struct str to, int64_t until_ms);
/* A route as it is now: edited live, else as the file has it (JSON); empty when there is none. */
struct str route_object(struct call *c, struct str name);
/* Applies and answers {revision, marker}. */
void apply_and_answer(struct call *c, const struct live_part *parts, size_t n, struct str text,
    int64_t expect);

#endif
