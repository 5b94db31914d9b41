/* table.h: the cursor and the columns of a list, and its painting.
 *
 * Why: every list of the console moves, scrolls, follows and drops columns in the same way; what is
 * in its cells comes from the screen by a callback, so that only the rows on show are ever
 * formatted.
 *
 *     table_draw(&t, &(struct table_view){.columns = cols, .column_count = N, .rows = n, .ctx = me,
 *                                         .cell = paint_cell}, r, a);
 *     if (table_action(&t, action)) ...           // the cursor moved
 *
 * Columns are dropped from the highest priority number until the rest fits; the flexible one takes
 * what is left. h and l scroll over those that were dropped: what names a row (priorities 1 and 2)
 * stays, the others move; ‹ and › in the heading say where there is more. A person may also choose
 * columns and their order: then these are shown, from the left, as far as they fit. Rules (lines
 * between rows) take a row, but the cursor never rests on one. */
#ifndef POINTSMAN_TABLE_H
#define POINTSMAN_TABLE_H

#include "tui/screen.h"

enum { TABLE_COLUMNS_MAX = 32 };

struct table_column {
    const char *name; /* in the order menu */
    const char *title;
    short width;    /* columns on screen, without the gap */
    short priority; /* 1 is kept longest */
    bool right;     /* figures */
    short flex;     /* 0, or how wide it may become */
};

struct table {
    int selected, top, rows, page; /* row numbers; rows and page are of the last drawing */
    int y;                         /* where its first row was painted */
    int sort;                      /* index of the ordering column, -1: none */
    bool descending, follow;
    int shift; /* columns scrolled over */
    bool more; /* of the last drawing: columns that did not fit at the right */
    short chosen[TABLE_COLUMNS_MAX];
    short chosen_count; /* 0: all of them, as defined */
};

struct table_view {
    const struct table_column *columns;
    size_t stride; /* 0; or the size of the struct that each column is the first member of */
    size_t column_count;
    int rows;
    void *ctx;
    void (*cell)(void *ctx, int row, int column, int y, int x, int width);
    void (*lead)(void *ctx, int row, int y, int x); /* two columns before the row: marks; or NULL */
    enum role (*row_role)(void *ctx, int row);      /* under the row, or ROLE_NONE; may be NULL */
    bool (*rule)(
        void *ctx, int row, int y, int x, int width); /* paints a rule and says so; or NULL */
    bool (*is_rule)(void *ctx, int row);
    const char *empty; /* shown when there are no rows */
};

void table_draw(struct table *t, const struct table_view *v, struct rect r, struct app *a);

/* Cursor and order keys. True when the action was one of them. */
bool table_action(struct table *t, const struct table_view *v, enum action action);

/* A click on line y of the screen. False: no row is there. */
bool table_click(struct table *t, const struct table_view *v, int y);

/* Puts the cursor on a row, scrolling as little as needed. */
void table_select(struct table *t, int row);

const struct table_column *table_column(const struct table_view *v, size_t i);

/* The columns that are shown in a width, from the left. Pure. */
struct table_fit {
    size_t count;
    int index[TABLE_COLUMNS_MAX], width[TABLE_COLUMNS_MAX];
    bool more; /* some are left out that h and l reach */
};
void table_fit(const struct table *t, const struct table_view *v, int width, struct table_fit *fit);

/* Chooses columns by title or name, separated by blanks, or commas where a name has blanks
 * ("st model cost"); nothing: all, as defined. False: no column is called so, *unknown is it. */
bool table_choose(
    struct table *t, const struct table_view *v, struct str names, struct str *unknown);

#endif
