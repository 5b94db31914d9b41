/* screen.h: what a screen is, and what the console does for it.
 *
 * Why: a screen is a const table of functions over its own zeroed state; the console finds it in
 * screens.def, shows it, hands it keys and data. A sheet (overlay) is the same thing drawn on top
 * of a screen: pushed, and popped when it is done.
 *
 *     static const struct screen screen_models = {.name = "models", .title = "Models", .digit =
 * '3', …};
 *
 * Order of a key: the top sheet's (or the screen's) key(), then its action() for what keys.def
 * says, then the console's own actions. Answers of app_ask() never arrive after close(). The state
 * lives as long as the console (screens) or until popped (sheets). */
#ifndef POINTSMAN_SCREEN_H
#define POINTSMAN_SCREEN_H

#include "tui/draw.h"
#include "tui/keymap.h"
#include "tui/link.h"
#include "tui/model.h"
#include "tui/terminal.h"

struct app;
struct list_frame;
struct settings;

/* What the cursor is on, in terms of what can be done with it: s, y, X and D ask for it. */
enum subject_kind {
    SUBJECT_NONE,
    SUBJECT_REQUEST,
    SUBJECT_SESSION,
    SUBJECT_ROUTE,
    SUBJECT_MODEL,
    SUBJECT_PROVIDER,
    SUBJECT_KEY
};
struct subject {
    enum subject_kind kind;
    char id[40];     /* of the request */
    char asked[200]; /* the name that clients ask for: what a switch changes */
    char target[280];
    char route[128], session[128], key[64], provider[64];
    bool live;
};

struct screen {
    const char *name;             /* "requests": palette, app_show() */
    const char *title;            /* "Requests" */
    const char *brief;            /* "Req": tabs of narrow terminals */
    char digit;                   /* '1' to '8'; 0 for sheets */
    bool full;                    /* a sheet that covers the screen: what is below is not drawn */
    const struct list_frame *list; /* of a LIST_SCREEN (screens/list_screen.h), else NULL */
    size_t size;                  /* bytes of state, zeroed before open() */
    const enum context *contexts; /* ends with CONTEXT_END; NULL: only the global keys */
    const enum context *(*place)(
        struct app *a, void *state); /* where the keys depend on the focus */
    void (*open)(struct app *a, void *state, const void *arg); /* arg: sheets only */
    void (*close)(struct app *a, void *state);
    void (*show)(struct app *a, void *state); /* comes to the front */
    void (*draw)(struct app *a, void *state, struct rect r);
    bool (*key)(struct app *a, void *state, int key); /* true: used up */
    bool (*action)(struct app *a, void *state, enum action action);
    void (*data)(struct app *a, void *state);   /* the model changed */
    int (*tick)(struct app *a, void *state);    /* called when due and before waiting; ms until it
                                                   wants to be drawn again, or -1 */
    bool (*typing)(struct app *a, void *state); /* a text field has the keys: pasting is allowed */
    bool types;                                 /* all its keys are text, always */
    const char *line; /* last line instead of the keys, where it never changes */
    const char *(*hint)(struct app *a, void *state); /* else; may be or return NULL: the keys */
    bool (*subject)(struct app *a, void *state, struct subject *s);
    /* chooses the columns of its list (see table_choose()); NULL: it has none */
    bool (*columns)(struct app *a, void *state, struct str names, struct str *unknown);
};

struct model *app_model(struct app *a);
struct link *app_link(struct app *a);
int64_t app_now_ms(struct app *a); /* wall clock of the gateway's machine */
void app_dirty(struct app *a);     /* draw soon */
void app_say(struct app *a, enum role role, const char *fmt, ...) PRINTF_LIKE(3, 4);

const struct screen *app_screen_of(struct app *a, const void *state);
void app_show(struct app *a, const char *screen);
void *app_state(struct app *a, const char *screen); /* NULL when never opened */
void app_push(struct app *a, const struct screen *sheet, const void *arg);
void app_pop(struct app *a, const void *state);
bool app_subject(struct app *a, struct subject *s); /* of the screen, whatever lies over it */
void app_do(struct app *a, enum action action); /* as if its key had been pressed on the screen */

/* Chooses columns of the screen's list; its name, or NULL with the reason said. */
const char *app_columns(struct app *a, struct str names);

/* The cursor rests here after the frame: on the selected row, or in a text field. */
void app_cursor(struct app *a, int y, int x);

/* A slow line: no graphs, and nothing that changes without news. */
bool app_slow(const struct app *a);

/* The keyboard is in another window: what counts up may do so in larger steps. */
bool app_away(const struct app *a);

/* So little room that a screen leaves out its own line of counts. */
bool app_compact(struct app *a);

/* Asks the gateway; `done` gets the answer (status 200) or, with status 0 or an error, has nothing
 * to do but stop waiting: the reason is said in the last line. False: could not be sent. */
typedef void (*app_answer)(struct app *a, void *state, int status, struct str reply);
bool app_ask(struct app *a, void *state, const char *method, const char *path, struct str body,
    app_answer done);
/* The same, errors left to `done`: status and {"error"…}, or 0 and the reason as plain text. */
bool app_ask_quiet(struct app *a, void *state, const char *method, const char *path,
    struct str body, app_answer done);

/* Drops the questions and streams that `owner` (as `state` above, or as a link_request's owner)
 * asked. */
void app_forget(struct app *a, const void *owner);

/* False, with a message, when this console may only look. */
bool app_may_change(struct app *a);

/* To the clipboard by the best way there is, and to a file; says where it went. */
void app_copy(struct app *a, struct str text, const char *what);

/* Writes a file that is not there yet into the folder the console was started in; says how it went. */
void app_save(struct app *a, const char *name, const struct buf *bytes);

bool app_set_theme(struct app *a, const char *name); /* for now; app_set(a, "theme", …) keeps it */
const struct theme *app_theme(struct app *a);

/* What this person has set; app_set() puts it in force, writes it and says why it could not. */
const struct settings *app_settings(struct app *a);
bool app_set(struct app *a, const char *key, const char *value);

/* All screens of screens.def in the order of their digits, then NULL. */
const struct screen *app_screen(size_t i);

#endif
