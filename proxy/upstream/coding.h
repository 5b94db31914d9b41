/* coding.h: a gzip answer decoded under two caps: bytes in all, and bytes out per byte in (T16).
 *
 * Why: we ask for identity, but some answers are compressed all the same; curl's own decoder has no
 * cap (200 KB became 200 MB), so its bytes come here.
 *
 *     struct coding *g = coding_new(limit, ratio);
 *     switch (coding_next(g, &in, out, sizeof out, &n)) ...
 *
 * Pure but for its memory. The caller frees with coding_free(). */
#ifndef POINTSMAN_UPSTREAM_CODING_H
#define POINTSMAN_UPSTREAM_CODING_H

#include "store/base/buf.h"

struct coding;

struct coding *coding_new(size_t max_bytes, size_t max_ratio); /* NULL: no memory */
void coding_free(struct coding *g);

enum coding_step { CODING_MORE, CODING_IDLE, CODING_BAD, CODING_BOMB };

/* Takes from the front of *in and puts *n bytes in out. MORE: call again (there may be output left
 * or input to take); IDLE: everything given was decoded. */
enum coding_step coding_next(struct coding *g, struct str *in, char *out, size_t size, size_t *n);

/* Did the stream end with its checksum? */
bool coding_complete(const struct coding *g);

/* Input that was taken from the network but waits for a reader. */
struct buf *coding_waiting(struct coding *g);

#endif
