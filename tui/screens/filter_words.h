/* filter_words.h: help with the filter language while it is typed, from the table of its fields. */
#ifndef POINTSMAN_FILTER_WORDS_H
#define POINTSMAN_FILTER_WORDS_H

#include "tui/widgets/edit.h"

/* Completes the field whose name begins as the last word does. False: there is none. */
bool filter_complete(struct edit *e);

/* What the last word means, or may become: one line, valid until the next call. */
const char *filter_hint(const struct edit *e);

#endif
