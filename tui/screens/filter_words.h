/* filter_words.h: help with the filter language while it is typed, from the table of its fields. */
#ifndef POINTSMAN_FILTER_WORDS_H
#define POINTSMAN_FILTER_WORDS_H

#include "tui/widgets/edit.h"

/* Completes the last word: the field whose name begins so, or behind `field:` a value that the rows
 * of the list have. False: there is nothing to add. */
bool filter_complete(struct edit *e, struct app *a);

/* What the last word means, or may become: one line, valid until the next call. */
const char *filter_hint(const struct edit *e, struct app *a);

#endif
