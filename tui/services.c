/* services.c: what screen.h offers to screens, apart from the loop. */
#include "tui/app.h"

#include "store/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MESSAGE_US = 5000000 };

struct model *app_model(struct app *a)
{
    return &a->model;
}

struct link *app_link(struct app *a)
{
    return a->link;
}

int64_t app_now_ms(struct app *a)
{
    (void)a;
    return clock_wall_ms();
}

void app_dirty(struct app *a)
{
    a->dirty = true;
}

void app_cursor(struct app *a, int y, int x)
{
    a->cursor_y = y;
    a->cursor_x = x;
}

bool app_compact(struct app *a)
{
    int rows, columns;
    (void)a;
    terminal_size(&rows, &columns);
    return columns < 70 || rows < 18;
}

const enum context *app_place(struct app *a, const struct shown *s)
{
    return s->screen->place ? s->screen->place(a, s->state) : s->screen->contexts;
}

void app_say(struct app *a, enum role role, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(a->message, sizeof a->message, fmt, ap);
    va_end(ap);
    a->message_role = role;
    a->message_until_us = clock_mono_us() + MESSAGE_US;
    a->dirty = true;
}

bool app_typing(struct app *a)
{
    struct shown *top = app_top(a);
    return top->screen && (top->screen->types || (top->screen->typing && top->screen->typing(a, top->state)));
}

void app_news(struct app *a, enum role role, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(a->news, sizeof a->news, fmt, ap);
    va_end(ap);
    a->news_role = role;
    app_tell_news(a);
}

void app_tell_news(struct app *a)
{
    if (!a->news[0] || a->message[0] || a->sheet_count || app_typing(a))
        return;
    app_say(a, a->news_role, "%s", a->news);
    a->news[0] = '\0';
}

void *app_state(struct app *a, const char *name)
{
    for (size_t i = 0; i < a->screen_count; i++)
        if (strcmp(a->screens[i].screen->name, name) == 0)
            return a->screens[i].state;
    return NULL;
}

const struct screen *app_screen_of(struct app *a, const void *state)
{
    for (size_t i = 0; i < a->sheet_count; i++)
        if (a->sheets[i].state == state)
            return a->sheets[i].screen;
    for (size_t i = 0; i < a->screen_count; i++)
        if (a->screens[i].state == state)
            return a->screens[i].screen;
    return NULL;
}

void app_push(struct app *a, const struct screen *sheet, const void *arg)
{
    if (a->sheet_count == APP_SHEETS_MAX)
        return;
    void *state = calloc(1, MAX(sheet->size, 1));
    if (!state) {
        app_say(a, ROLE_BAD, "out of memory");
        return;
    }
    a->sheets[a->sheet_count++] = (struct shown){sheet, state};
    a->message[0] = '\0'; /* of what was before */
    if (sheet->open)
        sheet->open(a, state, arg);
    app_dirty(a);
}

static void close_shown(struct app *a, struct shown *s)
{
    app_forget_asks(a, s->state);
    if (s->screen->close)
        s->screen->close(a, s->state);
    free(s->state);
}

void app_pop(struct app *a, const void *state)
{
    for (size_t i = 0; i < a->sheet_count; i++) {
        if (a->sheets[i].state != state)
            continue;
        struct shown gone = a->sheets[i];
        a->sheet_count--;
        memmove(a->sheets + i, a->sheets + i + 1, (a->sheet_count - i) * sizeof *a->sheets);
        close_shown(a, &gone);
        break;
    }
    app_dirty(a);
}

void app_sheet_close_all(struct app *a)
{
    while (a->sheet_count)
        app_pop(a, a->sheets[a->sheet_count - 1].state);
}

bool app_subject(struct app *a, struct subject *s)
{
    struct shown *front = app_current(a);
    *s = (struct subject){0};
    return front->screen->subject && front->screen->subject(a, front->state, s);
}

const char *app_columns(struct app *a, struct str names)
{
    struct shown *s = app_current(a);
    struct str unknown = STR_NULL;
    if (!s->screen->columns)
        app_say(a, ROLE_WARN, "%s has no columns to choose", s->screen->title);
    else if (!s->screen->columns(a, s->state, names, &unknown))
        app_say(a, ROLE_WARN, "no column is called \"" STR_FMT "\" (o lists them)",
            STR_ARG(str_first(unknown, 40)));
    else
        return s->screen->name;
    return NULL;
}

const struct settings *app_settings(struct app *a)
{
    return &a->settings;
}

static void put_in_force(struct app *a, const char *key)
{
    if (strcmp(key, setting_rows[SETTING_MOUSE].key) == 0)
        terminal_mouse(settings_on(&a->settings, SETTING_MOUSE));
    else if (strcmp(key, setting_rows[SETTING_TITLE].key) == 0)
        notices_title(a);
    else if (strcmp(key, setting_rows[SETTING_PLAIN].key) == 0 ||
             strcmp(key, setting_rows[SETTING_WIDE].key) == 0)
        looks_marks(a), terminal_redraw();
    else if (strcmp(key, "theme") == 0)
        app_set_theme(a, settings_text(&a->settings, key));
    a->dirty = true;
}

bool app_set(struct app *a, const char *key, const char *value)
{
    struct err e = {0};
    int rc = settings_put(&a->settings, key, value, &e);
    put_in_force(a, key);
    if (rc < 0)
        app_say(a, ROLE_WARN, "%s", e.text);
    return rc == 0;
}

bool app_may_change(struct app *a)
{
    if (a->options.readonly)
        app_say(a, ROLE_WARN, "this console only looks: it was started with --readonly");
    else if (strcmp(a->model.gateway.role, "viewer") == 0)
        app_say(a, ROLE_WARN, "as a viewer you may look, not change: ask %s for the role operator",
            a->model.gateway.owner);
    else
        return true;
    return false;
}

/* ---- questions ---- */

static void unlink_ask(struct app *a, struct ask *ask)
{
    for (struct ask **at = &a->asks; *at; at = &(*at)->next)
        if (*at == ask) {
            *at = ask->next;
            return;
        }
}

/* NULL: all of them. */
void app_forget_asks(struct app *a, const void *state)
{
    for (struct ask **at = &a->asks; *at;) {
        struct ask *ask = *at;
        if (state && ask->state != state) {
            at = &ask->next;
            continue;
        }
        *at = ask->next;
        link_cancel_owner(a->link, ask);
        free(ask);
    }
    if (state)
        link_cancel_owner(a->link, state);
}

void app_forget(struct app *a, const void *owner)
{
    app_forget_asks(a, owner);
}

static void on_answer(void *arg, int status, struct str reply, const struct err *why)
{
    struct ask ask = *(struct ask *)arg;
    struct err e = {0};
    unlink_ask(ask.app, arg);
    free(arg);
    if (!status && !ask.quiet)
        app_say(ask.app, ROLE_BAD, "%s", why->text);
    else if (status >= 300 && !ask.quiet) {
        link_error(reply, status, &e);
        app_say(ask.app, ROLE_BAD, "%s", e.text);
    }
    if (!status)
        reply = str_c(why->text);
    ask.done(ask.app, ask.state, status, reply);
    app_dirty(ask.app);
}

static bool ask(struct app *a, void *state, const char *method, const char *path, struct str body,
    app_answer done, bool quiet)
{
    struct ask *fresh = calloc(1, sizeof *fresh);
    if (!fresh)
        return false;
    *fresh = (struct ask){.next = a->asks, .app = a, .state = state, .done = done, .quiet = quiet};
    a->asks = fresh;
    if (link_send(a->link, &(struct link_request){.method = method,
                               .path = path,
                               .body = body,
                               .done = on_answer,
                               .arg = fresh,
                               .owner = fresh}))
        return true;
    unlink_ask(a, fresh);
    free(fresh);
    app_say(a, ROLE_BAD, "the question could not be sent");
    return false;
}

bool app_ask(struct app *a, void *state, const char *method, const char *path, struct str body,
    app_answer done)
{
    return ask(a, state, method, path, body, done, false);
}

bool app_ask_quiet(struct app *a, void *state, const char *method, const char *path,
    struct str body, app_answer done)
{
    return ask(a, state, method, path, body, done, true);
}

void app_copy(struct app *a, struct str text, const char *what)
{
    char how[160];
    if (!text.n)
        app_say(a, ROLE_WARN, "there is no %s to copy", what);
    else if (clipboard_put(text, how))
        app_say(a, ROLE_MESSAGE, "%s copied: %s", what, how);
    else
        app_say(a, ROLE_BAD, "%s not copied: %s", what, how);
}

static bool write_all(int fd, struct str s)
{
    while (s.n) {
        ssize_t n = write(fd, s.p, s.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        s = str_from(s, (size_t)n);
    }
    return true;
}

void app_save(struct app *a, const char *name, const struct buf *bytes)
{
    int fd = bytes->err ? -1 : openat(AT_FDCWD, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && write_all(fd, buf_str(bytes));
    if (fd >= 0)
        ok = close(fd) == 0 && ok;
    if (ok)
        app_say(a, ROLE_MESSAGE, "written to %s", name);
    else
        app_say(a, ROLE_BAD, "%s: %s", name, bytes->err ? "too much for one file" : strerror(errno));
}
