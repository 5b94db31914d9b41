/* draw.h: paints into the frame that terminal_frame_begin() opened. The only way to the screen.
 *
 * Why: every text goes through the sanitizer (clean.h) here, whoever it comes from; nothing else
 * knows curses. Painting is clipped to the screen; a width is always given, so that a long text
 * can't run into its neighbour.
 *
 *     ui_text(y, x, 20, ROLE_TEXT, row->model);           // cut with … when longer
 *     ui_put(y, 0, 8, ROLE_TITLE, "pointsman");           // a literal of ours
 *     ui_under(ROLE_SELECTED); ... ui_under(ROLE_NONE);   // cells painted between get its
 * background
 *
 * All return the columns that were painted. */
#ifndef POINTSMAN_DRAW_H
#define POINTSMAN_DRAW_H

#include "store/base/compiler.h"
#include "store/base/str.h"
#include "tui/theme.h"

struct rect {
    int y, x, h, w;
};

/* Takes effect with the next frame. */
void ui_theme(const struct theme *theme, enum theme_depth depth, bool ascii);
bool ui_ascii(void); /* only ASCII may be sent */
bool ui_plain(void); /* our own marks are ASCII, also where texts need not be */

void ui_under(enum role role);

int ui_text(int y, int x, int width, enum role role, struct str s);
int ui_text_middle(
    int y, int x, int width, enum role role, struct str s); /* a…z: the end is kept */
int ui_text_right(int y, int x, int width, enum role role, struct str s); /* flush right */
int ui_put(int y, int x, int width, enum role role, const char *text);
int ui_put_right(int y, int x, int width, enum role role, const char *text);
int ui_printf(int y, int x, int width, enum role role, const char *fmt, ...) PRINTF_LIKE(5, 6);

/* From byte `skip` columns on, without an ellipsis: for texts that scroll sideways. */
int ui_text_from(int y, int x, int width, enum role role, struct str s, int skip);

void ui_fill(struct rect r, enum role role); /* blanks */
void ui_hline(int y, int x, int width, enum role role);
void ui_vline(int y, int x, int height, enum role role);
void ui_box(struct rect r, const char *title); /* frame with blanks inside */

#endif
