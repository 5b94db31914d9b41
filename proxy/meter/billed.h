/* billed.h: what a record must keep, besides its token counts, so that it can be priced again: the
 * service tier, searches, image tokens, seconds, pages …, as a short text that people can read.
 *
 * Why: a price list that was wrong is put right over the requests that it has priced; without the
 * tier a flex request would come out at full price. Pure.
 *
 *     billed_write(&usage, tier, text, sizeof text);       // "flex searches:2 seconds_in:12.5"
 *     billed_read(text, &usage, &tier); */
#ifndef POINTSMAN_BILLED_H
#define POINTSMAN_BILLED_H

#include "proxy/meter/price.h"

/* Empty for the common request: default tier, tokens alone. */
void billed_write(const struct usage *u, enum price_tier tier, char *out, size_t size);
/* Lays it over the counts in *u; unknown words are passed over. */
void billed_read(struct str text, struct usage *u, enum price_tier *tier);
/* The usage and tier of a stored record. */
struct usage billed_record(const struct record *r, enum price_tier *tier);

#endif
