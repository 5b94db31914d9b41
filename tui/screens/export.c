/* export.c: x: one request into a file of the folder in which the console was started.
 *
 * JSON is the gateway's own answer, with bodies where this person may read them and secrets already
 * redacted; an existing file is never overwritten. */
#include "tui/app.h"

#include "tui/screens/sheets.h"
#include "tui/widgets/menu.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

struct state {
    char id[40];
};

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

static void on_detail(struct app *a, void *state, int status, struct str reply)
{
    struct state *s = state;
    char name[100];
    snprintf(name, sizeof name, "pointsman-%s.json", s->id);
    if (status == 200) {
        int fd = openat(AT_FDCWD, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        bool ok = fd >= 0 && write_all(fd, reply) && write_all(fd, STR("\n"));
        if (fd >= 0)
            ok = close(fd) == 0 && ok;
        if (ok)
            app_say(a, ROLE_MESSAGE, "written to %s", name);
        else
            app_say(a, ROLE_BAD, "%s: %s", name, strerror(errno));
    }
    app_pop(a, s);
}

static bool key(struct app *a, void *state, int key)
{
    struct state *s = state;
    char path[96];
    if (key != '\r')
        return false;
    snprintf(path, sizeof path, "exchanges/%s", s->id);
    app_ask(a, s, "GET", path, STR_NULL, on_detail);
    return true;
}

static void open_sheet(struct app *a, void *state, const void *arg)
{
    struct state *s = state;
    struct subject subject;
    (void)arg;
    if (!app_subject(a, &subject) || !subject.id[0]) {
        app_say(a, ROLE_WARN, "put the cursor on a request");
        app_pop(a, s);
        return;
    }
    str_copy(s->id, sizeof s->id, str_c(subject.id));
}

static void draw(struct app *a, void *state, struct rect r)
{
    struct state *s = state;
    struct rect box = sheet_rect(r, 5, 76);
    ui_box(box, "Export");
    ui_printf(box.y + 1, box.x + 2, box.w - 4, ROLE_TEXT, "pointsman-%s.json", s->id);
    ui_put(box.y + 2, box.x + 2, box.w - 4, ROLE_DIM,
        "record, headers and bodies, in the folder the console was started in");
    app_cursor(a, box.y + 1, box.x + 2);
}

static const char *hint(struct app *a, void *state)
{
    (void)a;
    (void)state;
    return "Enter write it  Esc close    (curl: y c)";
}

const struct screen sheet_export = {.name = "export",
    .size = sizeof(struct state),
    .open = open_sheet,
    .draw = draw,
    .key = key,
    .hint = hint};
