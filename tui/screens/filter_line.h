/* filter_line.h: the filter of a list of requests: typed, checked as it is typed, kept, turned off.
 *
 * What passes changes with every valid letter; a text that is not valid (yet) is shown in red with
 * the reason, and the last valid one stays in force: Enter leaves the field only with a valid text.
 * ↑ and ↓ bring back those that Enter kept.
 *
 *     filter_line_set(&f, a, "model:claude st:>=400");
 *     if (f.editing && filter_line_key(&f, a, key)) …
 *     if (f.generation != seen) rebuild();           // another choice of rows
 *     if (filter_line_passes(&f, row)) …
 *
 * A value; nothing to free, but not to be copied: the filter's terms point into itself. */
#ifndef POINTSMAN_FILTER_LINE_H
#define POINTSMAN_FILTER_LINE_H

#include "proxy/admin/filter.h"
#include "tui/typed.h"
#include "tui/widgets/edit.h"

struct filter_line {
    struct edit edit;
    bool editing, on;
    char text[EDIT_MAX + 1]; /* the last valid one */
    char
        before[EDIT_MAX + 1]; /* what was in force when the field was opened: Esc goes back to it */
    char error[160];
    struct filter filter;
    unsigned generation; /* another number: other rows may pass */
    struct typed kept;
};

void filter_line_edit(struct filter_line *f); /* opens the field, with the text as it is */
void filter_line_set(struct filter_line *f, struct app *a, const char *text);
void filter_line_add(struct filter_line *f, struct app *a, const char *term);
void filter_line_toggle(struct filter_line *f);
bool filter_line_key(struct filter_line *f, struct app *a, int key);

bool filter_line_narrows(const struct filter_line *f);
const char *filter_line_active(const struct filter_line *f); /* "" when nothing is left out */
bool filter_line_passes(struct filter_line *f, struct row *row);

/* Columns used. */
int filter_line_draw(const struct filter_line *f, struct app *a, int y, int width);

#endif
