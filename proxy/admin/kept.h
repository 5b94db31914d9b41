/* kept.h: a kept request and its answer in the neutral form, whatever the dialect: for people, who read
 * one form, compare two, or ask for another dialect. Private to this room.
 *
 *     struct kept k;
 *     kept_init(&k, c, record);
 *     kept_request(&k, body->request, &request, &e);
 *     kept_answer(&k, body->response, &answer, &e);
 *
 * Ownership: everything lies in the call's arena or in the bodies. */
#ifndef POINTSMAN_ADMIN_KEPT_H
#define POINTSMAN_ADMIN_KEPT_H

#include "proxy/admin/call.h"
#include "proxy/dialect/spoke.h"

struct kept {
    struct arena *arena;
    enum wire wire;                    /* the client's; WIRE_RAW: no neutral form */
    const struct spoke *spoke;         /* NULL then */
    enum wire sent_wire;               /* how the provider was asked; WIRE_RAW: it is gone */
    struct spoke_target target;        /* how it would be asked again */
};

void kept_init(struct kept *k, struct call *c, const struct record *r);
/* A body that was cut where it was kept is read as far as it goes. 0 or as spoke->read_request(). */
int kept_request(const struct kept *k, struct str body, struct ir_request *out, struct err *e);
/* Whole or streamed. 0, -ERR_STATE (the provider said that it failed), or as spoke->read_answer(). */
int kept_answer(const struct kept *k, struct str body, struct ir_answer *out, struct err *e);
/* The events of a kept stream (server-sent, or Gemini's array) into a reader; false: it is none. */
bool kept_feed(const struct kept *k, struct str body, struct stream_reader *to);
/* The request as the provider was told; empty: it was asked in the client's own words. */
struct str kept_sent(const struct kept *k, const struct ir_request *r, struct ir_notes *notes);

#endif
