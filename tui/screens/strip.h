/* strip.h: one line of spark lines over a wide list: requests, first token, errors, tokens, dollars
 * of the last minutes; + and - choose how many. */
#ifndef POINTSMAN_STRIP_H
#define POINTSMAN_STRIP_H

#include "tui/screen.h"

struct strip {
    int minutes; /* 0: the whole hour */
};

void strip_draw(const struct strip *s, struct app *a, int y, int width);
void strip_zoom(struct strip *s, bool longer);

#endif
