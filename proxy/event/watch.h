/* watch.h: a running answer as somebody watches it: a bounded ring from one worker to one reader.
 *
 * Why: a person looks into a stream while it runs. The worker copies what passes only while
 * somebody watches, and never waits: when the reader is slow the oldest unread bytes are not kept,
 * and the reader is told how many it missed.
 *
 *     struct watch *w = watch_new();                 // reader (admin thread): both sides own it
 *     ... hand it to the worker in a message ...
 *     watch_put(w, us, bytes);                       // worker, for each piece
 *     watch_end(w);                                  // worker, once: gives its share back
 *     struct watch_piece p;                          // reader:
 *     while (watch_pop(w, &p)) ...                   // p.bytes live until the next pop
 *     if (watch_over(w)) ...                         // nothing will come any more
 *     watch_leave(w);                                // reader, once: gives its share back
 *
 * One writer and one reader, no lock. Freed when both have let go. */
#ifndef POINTSMAN_WATCH_H
#define POINTSMAN_WATCH_H

#include "store/base/str.h"

enum { WATCH_BYTES = 256 * 1024, WATCH_PIECE_MAX = 16 * 1024 };

struct watch;

struct watch_piece {
    int64_t us;          /* since the request's head was read */
    struct str bytes;    /* as received; at most WATCH_PIECE_MAX */
    uint64_t missed;     /* bytes that were lost before this piece */
};

struct watch *watch_new(void); /* NULL without memory */

/* Worker's side. Longer pieces are split. False when the reader has left: call watch_end(). */
bool watch_put(struct watch *w, int64_t us, struct str bytes);
void watch_end(struct watch *w);

/* Reader's side. */
bool watch_pop(struct watch *w, struct watch_piece *out);
bool watch_over(const struct watch *w); /* ended and all read */
/* Lost since the last piece that was popped; watch_pop() tells it with the next one. For tests. */
uint64_t watch_missed(const struct watch *w);
void watch_leave(struct watch *w);

#endif
