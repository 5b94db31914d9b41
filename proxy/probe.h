/* probe.h: one small call to a provider, to see whether it answers and what models it lists: for
 * `provider test` and `provider detect`. It runs on a worker's upstream side, like real traffic. */
#ifndef POINTSMAN_PROBE_H
#define POINTSMAN_PROBE_H

#include "store/base/compiler.h"
#include "store/base/str.h"

#include <stdint.h>

struct worker;
struct loop;

/* Runs on the loop that asked. status 0: no answer, `error` says why. Texts live during the call. */
typedef void probe_done(void *arg, int status, int64_t total_us, struct str models_json,
    struct str error);

/* Any thread. 0; -ERR_NOT_FOUND: no such provider; -ERR_NOMEM. */
int probe_start(struct worker *w, struct str provider, struct loop *back, probe_done *done,
    void *arg) MUST_CHECK;

#endif
