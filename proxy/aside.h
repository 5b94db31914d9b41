/* aside.h: small calls beside the traffic: a provider asked for its models, a local server looked for,
 * an alarm posted to a URL. They run on a worker's upstream side, like real traffic, so what they find
 * is what traffic would find.
 *
 *     rc = aside_start(&asides, worker, &what, loop, done, arg); // any number at once
 *     aside_end_all(&asides);  // after the threads have ended, before the loops are freed
 *
 * The list belongs to the thread that asks: it starts them, and done() runs there. What is given is
 * copied. Every call that was started ends with one done(). */
#ifndef POINTSMAN_ASIDE_H
#define POINTSMAN_ASIDE_H

#include "proxy/admin/admin.h"

struct worker;

struct asides {
    struct aside_call *first;
};

/* 0 or -ERR_NOMEM (then done() is not called). */
int aside_start(struct asides *all, struct worker *w, const struct aside *what, struct loop *back,
    aside_done *done, void *arg) MUST_CHECK;
void aside_end_all(struct asides *all);

#endif
