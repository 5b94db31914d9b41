/* step.h: the numbers of a row that a replay reads, packed into some fifty bytes.
 *
 * Why: a replay of a day walks a million rows and wants twenty small numbers of each. Spread over
 * the table they cost a page read for every few rows and a column lookup each; packed, and carried by
 * the index that lies in order of time, they are read one after the other at a fifth of the work.
 *
 *     uint8_t bytes[STEP_BYTES];
 *     size_t n = step_pack(bytes, &s);          // the writer, once a row
 *     ok = step_unpack(str_n(p, n), &s);        // a reader, a million times
 *
 * The form: a byte that says which (1), then STORE_STEP_PACKED in its order, seven bits a byte, low
 * ones first. A row written before there was such a column holds none: ask_walk.c reads its columns. */
#ifndef POINTSMAN_STORE_STEP_H
#define POINTSMAN_STORE_STEP_H

#include "store/base/str.h"
#include "store/query.h"

enum { STEP_FORM = 1, STEP_BYTES = 256 };

size_t step_pack(uint8_t out[STEP_BYTES], const struct store_step *s);
/* False when it is of another form, or cut: then s holds nothing to rely on. */
bool step_unpack(struct str packed, struct store_step *s) MUST_CHECK;

#endif
