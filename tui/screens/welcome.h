/* welcome.h: the first screen, as long as there is no request: what to do, as blocks to copy.
 *
 *     if (no rows) welcome_draw(a, r);
 *
 * The same texts are copied by `y` there (copy.h). */
#ifndef POINTSMAN_WELCOME_H
#define POINTSMAN_WELCOME_H

#include "tui/screen.h"

void welcome_draw(struct app *a, struct rect r);

/* Block n (0 to 3) as it would be copied: OpenAI, Anthropic, run, curl. */
const char *welcome_title(size_t n);
void welcome_text(struct app *a, size_t n, struct buf *out);

#endif
