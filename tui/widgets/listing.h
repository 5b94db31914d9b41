/* listing.h: a table whose rows are the elements of a JSON array that the gateway answers.
 *
 * Why: Sessions, Models, Routes, Keys, Providers and Cost differ in path, columns and keys only.
 * The list asks again while it is on show, keeps the cursor on the same thing by its name, orders by
 * any column, and shows only rows with the words of its filter; figures are formatted only for the
 * rows that are drawn.
 *
 *     static const struct listing_column columns[] = {
 *         {{"model", "Model", 16, 1, false, 30}, "model", CELL_NAME},
 *         {{"requests", "Req", 5, 2, true, 0}, "requests", CELL_COUNT}, …};
 *     static const struct listing_def def = {.path = "models", .member = "models", .id = "model",
 *         .columns = columns, .count = ARRAY_LEN(columns), .empty = "no model yet",
 *         .order = "requests"};
 *     listing_init(&s->list, a, &def);            // in open()
 *     listing_draw(&s->list, r);                  // in draw()
 *     struct str row = listing_row(&s->list);     // JSON of the selected one; empty: none
 *
 * A screen whose state begins with its struct listing names listing_close and listing_tick in its
 * struct screen as they are.
 *
 * Ownership: the reply is the list's; rows point into it until the next answer. listing_close()
 * frees. */
#ifndef POINTSMAN_LISTING_H
#define POINTSMAN_LISTING_H

#include "tui/widgets/sift.h"
#include "tui/widgets/table.h"

enum cell_kind {
    CELL_TEXT,
    CELL_NAME, /* cut in the middle */
    CELL_ACCENT,
    CELL_COUNT,
    CELL_SECONDS, /* from µs */
    CELL_SHARE,   /* from ppm, warned above 1 % and 5 % */
    CELL_PERCENT, /* from ppm, plain */
    CELL_DOLLARS, /* from nano */
    CELL_RATE,    /* a number with a point */
    CELL_AGE,     /* from ms of the wall clock */
    CELL_STATE,   /* "ok" or what is wrong: glyph and word */
    CELL_SPARK,   /* from an array */
    CELL_OWN,     /* by the definition's own() */
    CELL_OWN_TEXT /* so, too, and ordered by the text at its path */
};

struct listing_column {
    struct table_column head;
    const char *path; /* member, or a path with dots */
    enum cell_kind kind;
};

struct listing;

struct listing_def {
    const char *path;   /* below the API's prefix; the list's query is appended */
    const char *member; /* of the array in the answer */
    const char *id;     /* member that names a row */
    const struct listing_column *columns;
    size_t count;
    const char *empty;
    const char *order; /* name of the column that orders at first, the largest on top; NULL: none */
    int refresh_ms;    /* 0: 2 s */
    void (*prepare)(struct listing *l); /* before each question: its query moves with the clock; or NULL */
    void (*own)(struct listing *l, struct str row, int column, int y, int x, int width);
    int64_t (*own_key)(struct listing *l, struct str row,
        int column); /* orders CELL_OWN; NULL: the figure at its path does */
};

struct listing {
    struct app *app;
    const struct listing_def *def;
    struct table table;
    struct buf reply;
    struct str *rows;
    size_t count, room, all; /* all: before the filter */
    struct sift sift;
    char selected[300];
    char query[300]; /* "?window=1h" */
    bool asked, loaded;
    int64_t asked_us;
    int64_t total; /* of `reply`, whatever the screen reads there */
};

void listing_init(struct listing *l, struct app *a, const struct listing_def *def);
void listing_draw(struct listing *l, struct rect r);
bool listing_action(struct listing *l, enum action action);
void listing_refresh(struct listing *l); /* asks now: something changed */
struct str listing_row(const struct listing *l);
void listing_select(struct listing *l, const char *name);

/* As screen.close, screen.tick, screen.key, screen.typing and screen.columns: `list` is a struct
 * listing, or a state that begins with one. */
void listing_close(struct app *a, void *list);
int listing_tick(struct app *a, void *list);          /* asks when it is time */
bool listing_key(struct app *a, void *list, int key); /* filter; clicks: the second one opens */
bool listing_typing(struct app *a, void *list);

bool listing_columns(struct app *a, void *list, struct str names, struct str *unknown);

/* An array of figures as a spark line, as CELL_SPARK paints it. */
void listing_spark(int y, int x, int width, struct str array);

/* A share of errors, warned above 1 % and 5 %, as CELL_SHARE paints it. */
void listing_share(int y, int x, int width, int64_t ppm);

/* Members of a row (or of the reply), with nothing for what is absent. */
int64_t listing_i64(struct str object, const char *path);
double listing_double(struct str object, const char *path);
void listing_text(struct str object, const char *path, char *out, size_t size);

#endif
