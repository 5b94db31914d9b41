/* secret_join.h: decoded text that knows which bytes it was made of.
 *
 * Why: a secret may be spelled with escapes, or lie in several places of an answer. It is looked for in
 * what its readers see, and covered where it stands.
 *
 *     struct join j;
 *     join_init(&j, answer, NULL);
 *     join_decode(&j, from, n);                    // answer[from, from + n), escapes decoded
 *     found += join_cover(&j, j.text.n, 1);        // asterisks in the answer
 *     join_fini(&j);
 *
 * What a join holds may be escaped once more (arguments of tools are JSON within a string): then a
 * join is made of the join, whose runs lead into it, and so on. Sticky errors of memory: join_failed(). */
#ifndef POINTSMAN_SECRET_JOIN_H
#define POINTSMAN_SECRET_JOIN_H

#include "store/base/buf.h"

struct join {
    struct buf text, runs;
    char *below;        /* the text that the runs lead into */
    struct join *lower; /* that text is a join itself; NULL: it is the answer */
};

void join_init(struct join *j, char *below, struct join *lower);
void join_fini(struct join *j);
bool join_failed(const struct join *j);

/* Appends letters that stand for below[from, from + from_n); byte for byte when they are as many. */
void join_put(struct join *j, const char *letters, size_t n, size_t from, size_t from_n);
/* Appends below[from, from + n) with its escapes decoded. */
void join_decode(struct join *j, size_t from, size_t n);
size_t join_runs(const struct join *j);

/* Covers the secrets in the first n letters, however often they are escaped. `level`: 1. Returns how
 * many there were. */
size_t join_cover(struct join *j, size_t n, int level);
/* Covers, down to the answer, what the letters from `at` on were made of. */
void join_hide(struct join *j, size_t at, size_t n);
/* How many letters can be looked at now: secret_whole(), escaped letters too. `level`: 1. */
size_t join_whole(const struct join *j, int level);
/* Where the letter at `at` stands in the text below. */
size_t join_source(const struct join *j, size_t at);
/* Forgets the first n letters. */
void join_drop(struct join *j, size_t n);

/* Where an escape begins that the text ends within; its length without one. */
size_t join_half_escape(struct str s);
bool join_holds_escape(const char *p, size_t n);

#endif
