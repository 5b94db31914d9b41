/* text.h: a pane of text: wrapped or cut, scrolled, searched, growing at its end.
 *
 *     text_reset(&t);
 *     text_add(&t, ROLE_HEADING, "Summary");
 *     text_printf(&t, ROLE_TEXT, "cost  %s", money);
 *     text_extend(&t, delta);                 // more of the last line: streams
 *     text_draw(&t, r, a);                    // and text_action(&t, action)
 *
 * text_put() splits at line ends. While the last line is on show the pane follows what grows;
 * moving up stops that, G resumes. Bounded: TEXT_BYTES_MAX, then one line says that the rest is
 * left out.
 *
 * A sheet whose state begins with its struct text names text_sheet_close and text_sheet_action in
 * its struct screen as they are, and text_place as its contexts.
 *
 * Ownership: the text owns copies; text_fini() frees. Zeroed memory is an empty text. */
#ifndef POINTSMAN_TEXT_H
#define POINTSMAN_TEXT_H

#include "tui/screen.h"

#define TEXT_BYTES_MAX ((size_t)8 << 20)

struct text_line {
    size_t at, n; /* bytes */
    short role, indent;
};

struct text_piece { /* one line on the screen */
    size_t line, at, n;
};

struct text {
    struct buf bytes;
    struct text_line *lines;
    size_t line_count, line_room;
    struct text_piece *pieces;
    size_t piece_count, piece_room, laid; /* lines laid out so far */
    size_t top;
    int width, page;
    bool cut, stay; /* cut: long lines are not wrapped; stay: do not follow */
    bool full;
    char find[200];
};

void text_reset(struct text *t); /* keeps cut, find and whether it follows */
void text_fini(struct text *t);

void text_put(struct text *t, enum role role, struct str s); /* may hold line ends */
void text_add(struct text *t, enum role role, const char *line);
void text_printf(struct text *t, enum role role, const char *fmt, ...) PRINTF_LIKE(3, 4);
void text_extend(struct text *t, enum role role, struct str s); /* continues the last line */
void text_json(struct text *t, struct str json);                /* indented; not JSON: as it is */

void text_draw(struct text *t, struct rect r, struct app *a);
bool text_action(struct text *t, enum action action);
extern const enum context text_place[];
void text_sheet_close(struct app *a, void *text);
bool text_sheet_action(struct app *a, void *text, enum action action);
bool text_find(struct text *t, const char *needle, bool backward); /* from the top of the page */

#endif
