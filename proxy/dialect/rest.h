/* rest.h: what to do with members that have no neutral meaning, when another dialect is spoken to.
 *
 * Why: some hold the conversation itself (previous_response_id, cachedContent): without them the
 * provider would answer something else, so the request is refused. Some only tune or store: they are
 * left out and named. The rest was asked for and is missing: a route may refuse it. */
#ifndef POINTSMAN_REST_H
#define POINTSMAN_REST_H

#include "proxy/dialect/ir.h"
#include "store/base/err.h"

/* 0, or -ERR_UNSUPPORTED: what `target` ("Gemini") is asked for is kept at another provider. */
int rest_check_state(const struct ir_request *r, const char *target, struct err *e);
/* The members whose key begins with `under`, without it, that have no path after it; for a request that
 * goes to the wire which it came from. */
void rest_put(struct json_writer *w, const struct ir_request *r, const char *under);
/* Is there any whose key begins so? */
bool rest_has(const struct ir_request *r, const char *under);
/* Names every member of r->rest as changed or dropped, and what tools and parts hold that `to` has no
 * words for. For a request that goes to another wire. */
void rest_note(const struct ir_request *r, enum wire to, struct ir_notes *notes);

#endif
