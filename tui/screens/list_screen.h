/* list_screen.h: the frame of a screen that is one list: a line of counts, the rows, and below them what
 * there is to say of the selected one.
 *
 * Why: Sessions, Models, Routes, Keys, Providers, Cost and People differ in columns and in what their
 * keys do, not in how a list lives. Each names here what is its own:
 *
 *     struct state { struct listing list; int window; };          // the listing comes first
 *     static const struct list_frame frame = {
 *         .def = {.path = "models", .member = "models", .id = "target", …},
 *         .term = "target:=", .member = "target",                 // Enter: its requests
 *         .head = head, .act = act, .subject = subject};
 *     const struct screen screen_models = {LIST_SCREEN, .list = &frame, .name = "models", …};
 *
 * All hooks may be NULL. `row` is the JSON of the selected row. x writes the rows as CSV into a new file:
 * every figure under the name and unit of the admin API. */
#ifndef POINTSMAN_LIST_SCREEN_H
#define POINTSMAN_LIST_SCREEN_H

#include "tui/screen.h"
#include "tui/widgets/listing.h"

struct list_frame {
    struct listing_def def;   /* first */
    const char *term, *member; /* Enter shows the requests that this term finds with that member */
    void (*opened)(struct listing *l);
    void (*closed)(struct listing *l);
    void (*head)(struct listing *l, int y, int width); /* NULL: no line above the list */
    int (*foot)(int height);                           /* lines below it, of `height` */
    void (*draw_foot)(struct listing *l, struct rect r);
    /* before the keys of every list; true: used up. row is empty when there is none */
    bool (*act)(struct listing *l, struct str row, enum action action);
    void (*subject)(struct listing *l, struct str row, struct subject *out);
};

void list_open(struct app *a, void *state, const void *arg);
void list_close(struct app *a, void *state);
void list_draw(struct app *a, void *state, struct rect r);
bool list_action(struct app *a, void *state, enum action action);
bool list_subject(struct app *a, void *state, struct subject *out);

#define LIST_SCREEN LIST_SCREEN_BUT_DRAW, .draw = list_draw
#define LIST_SCREEN_BUT_DRAW                                                                       \
    .open = list_open, .close = list_close, .action = list_action, .key = listing_key,             \
    .typing = listing_typing, .tick = listing_tick, .columns = listing_columns,                    \
    .subject = list_subject

/* POST WHAT/NAME/VERB, where this console may change anything. */
void list_post(struct app *a, struct listing *l, const char *what, const char *name, const char *verb,
    const char *body, app_answer done);

/* The objects of an array as comma separated values: a line of names, then one each; what they hold
 * in turn stands as NAME.MEMBER, the first 16 of a list of objects as NAME.0.MEMBER. Texts are cleaned
 * as on the screen, and those that a spreadsheet would run are quoted so that it does not. */
void list_csv(struct buf *out, const struct str *rows, size_t count);

/* Writes them to NAME-TIME.csv in the folder the console was started in, and says so. */
void list_save(struct app *a, const char *name, const struct str *rows, size_t count);

#endif
