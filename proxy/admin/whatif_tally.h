/* whatif_tally.h: the sums of a replay: which target would have had how many requests, at what cost,
 * and who would have moved from where to where. Private to this room.
 *
 *     struct tally *t = tally_new(replay);
 *     tally_row(t, &step);                       // on a query thread, a million times
 *     tally_json(t, &latencies, w);              // once, at the end
 *
 * Ownership: the tally owns its memory, not the replay. One thread at a time. */
#ifndef POINTSMAN_WHATIF_TALLY_H
#define POINTSMAN_WHATIF_TALLY_H

#include "proxy/route/replay.h"
#include "store/query.h"

struct tally;
struct tally *tally_new(struct replay *r); /* NULL without memory */
void tally_free(struct tally *t);
/* A replay_text_fn: its context is a struct store_step. */
struct str tally_text(void *step, enum replay_text what, int64_t number);
void tally_row(struct tally *t, const struct store_step *s);

/* Members of the answer. `measured`: what each target has measured, by "provider/model". */
void tally_json(const struct tally *t, const struct store_sum *measured, size_t n,
    struct json_writer *w);
/* Of a target with requests here, is none measured there? */
bool tally_lacks(const struct tally *t, const struct store_sum *measured, size_t n);

#endif
