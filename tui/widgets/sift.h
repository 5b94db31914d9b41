/* sift.h: the filter of a plain list: words are typed, and rows that hold them all stay.
 *
 *     if (action == ACTION_FILTER) sift_open(&s->sift);
 *     switch (sift_key(&s->sift, key)) …                 // SIFT_CHANGED: choose the rows again
 *     if (sift_passes(&s->sift, text_of_the_row)) …
 *     if (sift_shown(&s->sift, r)) …                     // it takes the first line of r
 *     sift_draw(&s->sift, a, r, shown, all);             // after the list: its cursor counts
 *
 * Capitals do not matter; -word leaves out the rows that hold it. Enter keeps the words, Esc drops
 * them. A value; nothing to free; zeroed memory is no filter. */
#ifndef POINTSMAN_SIFT_H
#define POINTSMAN_SIFT_H

#include "tui/widgets/edit.h"

struct sift {
    struct edit edit;
    bool typing;
};

enum sift_did { SIFT_NOTHING, SIFT_TAKEN, SIFT_CHANGED };

void sift_open(struct sift *s);
enum sift_did sift_key(struct sift *s, int key);
bool sift_passes(const struct sift *s, struct str text);
bool sift_shown(const struct sift *s, struct rect r);
void sift_draw(const struct sift *s, struct app *a, struct rect r, size_t shown, size_t all);

#endif
