/* tokens.h: how many tokens a text is, estimated without a vocabulary.
 *
 * Why: a limit by tokens, a reserve and a stream that was cut need a figure before or without the
 * provider's own. Texts are cut the way that the big tokenizers cut before they merge (words,
 * numbers, runs of signs, blanks, one CJK character after the other) and each piece is given its
 * usual share: within ±10 % on English, code and Chinese (tests/unit/test_tokens.c measures it).
 *
 *     int64_t n = tokens_estimate(text);
 *
 *     struct tokens_counter c = {0};                   // or piece by piece
 *     tokens_feed(&c, piece);
 *     n = tokens_count(&c); */
#ifndef POINTSMAN_TOKENS_H
#define POINTSMAN_TOKENS_H

#include "store/base/str.h"

struct tokens_counter {
    int64_t milli;        /* thousandths of a token counted so far */
    unsigned char kind;   /* of the run that the last byte belongs to */
    unsigned char before; /* kind of the run before it */
    uint32_t run;         /* its length in characters */
    uint32_t exact_bytes; /* fed without sampling */
};

/* Plain text: for tests; what passes is JSON. */
void tokens_feed(struct tokens_counter *c, struct str text);
/* The inside of a JSON string, escapes and all. Past the first 128 KiB samples are taken. */
void tokens_feed_json(struct tokens_counter *c, struct str inside);
/* What follows does not continue the last word. */
void tokens_break(struct tokens_counter *c);
int64_t tokens_count(const struct tokens_counter *c);
int64_t tokens_estimate(struct str text); /* of plain text, for tests */
/* When only the number of bytes is known (a stream that was cut): English prose and code. */
int64_t tokens_of_bytes(int64_t bytes);

#endif
