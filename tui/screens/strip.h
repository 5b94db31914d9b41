/* strip.h: one line of spark lines over a wide list: requests, first token, errors, tokens,
 * dollars. */
#ifndef POINTSMAN_STRIP_H
#define POINTSMAN_STRIP_H

#include "tui/screen.h"

void strip_draw(struct app *a, int y, int width);

#endif
