/* unwrap.h: structured output of models that have none of their own: they are made to call a tool whose
 * arguments have the schema, and that call is told to the client as the text it asked for.
 *
 *     struct unwrap u = {.tool = notes.schema_tool};
 *     if (unwrap_event(&u, &event)) put(&event);           // of a stream, in its order
 *     unwrap_answer(&answer, notes.schema_tool, &arena);   // of a whole answer
 *
 * With an absent tool nothing is changed. Pure. */
#ifndef POINTSMAN_UNWRAP_H
#define POINTSMAN_UNWRAP_H

#include "proxy/dialect/ir.h"

struct unwrap {
    struct str tool;
    bool inside;       /* its call is under way */
    bool called, said; /* another tool; this one */
};

bool unwrap_event(struct unwrap *u, struct ir_event *ev); /* false: nothing is to be said */
void unwrap_answer(struct ir_answer *answer, struct str tool, struct arena *a);

#endif
