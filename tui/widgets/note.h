/* note.h: a sheet that shows a text, to be scrolled and closed; for answers that are more than a
 * line.
 *
 *     struct note_arg n = {.title = "Why"};
 *     note_open(a, &n, fill, ctx);        // fill(text, ctx) puts the lines in, once
 */
#ifndef POINTSMAN_NOTE_H
#define POINTSMAN_NOTE_H

#include "tui/widgets/text.h"

struct note_arg {
    const char *title;
    int height, width; /* 0: as large as the screen allows */
    void (*fill)(struct text *t, void *ctx);
    void *ctx; /* used during note_open() only */
};

void note_open(struct app *a, const struct note_arg *arg);

#endif
