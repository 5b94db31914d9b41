/* post.h: one JSON text to one URL, by a worker's upstream side: for `notify.url`. */
#ifndef POINTSMAN_POST_H
#define POINTSMAN_POST_H

#include "store/base/compiler.h"
#include "store/base/str.h"

struct worker;
struct loop;

/* Runs on the loop that asked. status 0: no answer, `error` says why. The text lives during the call. */
typedef void post_done(void *arg, int status, struct str error);

/* Any thread; url and json are copied. 0, or -ERR_NOMEM (then done() is not called). */
int post_start(struct worker *w, struct str url, struct str json, struct loop *back,
    post_done *done, void *arg) MUST_CHECK;

#endif
