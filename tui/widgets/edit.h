/* edit.h: a text field of one line.
 *
 *     struct edit e = {0};
 *     edit_set(&e, "model:claude");
 *     if (edit_key(&e, key)) refilter(e.text);        // true: the key was for the field
 *     edit_draw(&e, y, x, width, ROLE_INPUT, a);      // parks the cursor in it
 *
 *     edit_offer(&e, "jq . | less");                  // the first letter typed takes its place
 *
 * UTF-8; ^A ^E ^U ^K ^W, arrows, Home, End, Backspace, Delete. A value; nothing to free. */
#ifndef POINTSMAN_EDIT_H
#define POINTSMAN_EDIT_H

#include "tui/screen.h"

enum { EDIT_MAX = 1000 };

struct edit {
    char text[EDIT_MAX + 1];
    size_t n, at; /* bytes; where the cursor is */
    bool offered;
};

void edit_set(struct edit *e, const char *text);
void edit_offer(struct edit *e, const char *text);
bool edit_key(struct edit *e, int key);
void edit_draw(const struct edit *e, int y, int x, int width, enum role role, struct app *a);

#endif
