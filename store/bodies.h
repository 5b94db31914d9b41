/* bodies.h: what was said: requests and answers, compressed, in a database file of their own.
 *
 * Why: they are large, optional and short-lived; rows are small, precious and kept. Another file
 * can be capped by age and size, shed and erased without touching the records. */
#ifndef POINTSMAN_STORE_BODIES_H
#define POINTSMAN_STORE_BODIES_H

#include "store/backend.h"
#include "store/query.h"

struct bodies; /* the writer's side */

int bodies_open(struct bodies **out, const char *path, struct err *e) MUST_CHECK;
void bodies_close(struct bodies *b);
int bodies_begin(struct bodies *b) MUST_CHECK;
int bodies_put(struct bodies *b, struct str id, const struct store_body *body) MUST_CHECK;
int bodies_end(struct bodies *b, int rc) MUST_CHECK; /* commits when rc is 0 */
/* One slice towards the caps. 1: there is more to remove, 0: within them, < 0. */
int bodies_trim(struct bodies *b, int64_t older_than_ms, int64_t most_bytes) MUST_CHECK;
int64_t bodies_bytes(const struct bodies *b);

/* Any reader's connection to that file. -ERR_NOT_FOUND; texts are in the arena. */
int body_read(struct db *db, struct str id, struct arena *a, struct store_body *out) MUST_CHECK;

#endif
