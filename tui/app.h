/* app.h: the inside of the console, shared by console.c (life, loop), frame.c (header, last line)
 * and services.c (what screen.h offers). Screens and widgets see screen.h only. */
#ifndef POINTSMAN_APP_H
#define POINTSMAN_APP_H

#include "tui/console.h"
#include "tui/notices.h"
#include "tui/screen.h"
#include "tui/settings.h"

enum { APP_SCREENS_MAX = 8, APP_SHEETS_MAX = 6, APP_ACTIONS = 256 };

struct shown { /* a screen with its state */
    const struct screen *screen;
    void *state;
};

struct ask { /* a question under way */
    struct ask *next;
    struct app *app;
    void *state;
    app_answer done;
    bool quiet;
};

struct app {
    struct console_options options;
    struct model model;
    struct link *link;
    struct shown screens[APP_SCREENS_MAX];
    size_t screen_count, current;
    struct shown sheets[APP_SHEETS_MAX];
    size_t sheet_count;
    struct ask *asks;
    struct theme theme;
    int theme_fd; /* inotify: the folder of the person's own themes; -1: none */
    char message[512], news[512]; /* news waits while a sheet or field needs the last line */
    enum role message_role, news_role;
    int64_t message_until_us;
    bool leaving, dirty, urgent; /* urgent: a key was pressed, draw now */
    bool connected, pasting;
    int pasted; /* characters of the paste under way */
    bool away; /* another window has the keyboard: one frame a second is enough */
    char trouble[256];                               /* why there is no connection */
    int64_t frame_us, poll_us, status_us, resize_us; /* last frame; when to ask next; 0: not */
    bool polling;
    int64_t late_us,
        slow_until_us; /* a frame was left out last; slow by itself until then; 0: not */
    int late_count;
    int cursor_y, cursor_x;
    int tab_x[APP_SCREENS_MAX], tab_end; /* where the header has the screens; -1: not */
    int64_t seen_marker;
    bool version_said;
    struct settings settings;
    struct notices notices;
};

/* The sheet on top, else the screen. */
struct shown *app_top(struct app *a);
struct shown *app_current(struct app *a);
const enum context *app_place(struct app *a, const struct shown *s);

/* services.c */
bool app_typing(struct app *a);
/* What happened elsewhere: said when the last line is free, not over the keys of a sheet or field. */
void app_news(struct app *a, enum role role, const char *fmt, ...) PRINTF_LIKE(3, 4);
void app_tell_news(struct app *a);
void app_sheet_close_all(struct app *a);
void app_forget_asks(struct app *a, const void *state);

/* looks.c: the theme: chosen, and read again when its file changes (app.theme_fd is readable). */
void looks_open(struct app *a);
void looks_marks(struct app *a);
void looks_changed(struct app *a);
void looks_close(struct app *a);

/* frame.c: paints one whole frame. */
void frame_draw(struct app *a);

/* clipboard.c: sends text to the terminal's clipboard; `how` says which way it took. */
bool clipboard_put(struct str text, char how[160]);

#endif
