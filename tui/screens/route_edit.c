/* route_edit.c: the staged diff and the person's own editor; see route_edit.h. */
#include "tui/screens/route_edit.h"

#include "tui/child.h"
#include "tui/widgets/listing.h"
#include "tui/widgets/menu.h"
#include "tui/widgets/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EDIT_BYTES_MAX = 1 << 20 };

struct state {
    struct text diff; /* first: text_sheet_action() */
    char name[200];
    struct buf before, after;
    int64_t revision;
    char trouble[480];
    bool checked, sending;
    const void *below;
};

/* ---- the diff: what only one side has, line by line (longest common run of lines) ---- */

static void pretty(struct str json, struct text *t)
{
    text_reset(t);
    text_json(t, json);
}

static struct str line_of(const struct text *t, size_t i)
{
    return str_n(t->bytes.p + t->lines[i].at, t->lines[i].n);
}

static size_t find_line(const struct text *t, size_t from, struct str line)
{
    for (size_t i = from; i < t->line_count; i++)
        if (str_eq(line_of(t, i), line))
            return i;
    return t->line_count;
}

static void put_diff(struct text *out, enum role role, const char *mark, struct str line)
{
    text_add(out, role, mark);
    text_extend(out, role, line);
}

static void lay_diff(struct state *s)
{
    struct text old = {0}, new = {0};
    size_t i = 0, j = 0;
    pretty(buf_str(&s->before), &old);
    pretty(buf_str(&s->after), &new);
    text_reset(&s->diff);
    s->diff.stay = true;
    while (i < old.line_count || j < new.line_count) {
        size_t in_new = i < old.line_count ? find_line(&new, j, line_of(&old, i)) : new.line_count;
        if (i < old.line_count && in_new == new.line_count) {
            put_diff(&s->diff, ROLE_REMOVED, "− ", line_of(&old, i++));
        } else {
            for (; j < in_new; j++)
                put_diff(&s->diff, ROLE_ADDED, "+ ", line_of(&new, j));
            if (i < old.line_count) {
                put_diff(&s->diff, ROLE_DIM, "  ", line_of(&old, i++));
                j++;
            }
        }
    }
    text_fini(&old);
    text_fini(&new);
}

/* ---- asking ---- */

static void say_trouble(struct state *s, int status, struct str reply)
{
    struct err e = {0};
    if (status)
        link_error(reply, status, &e);
    else
        str_copy(e.text, sizeof e.text, reply);
    str_copy(s->trouble, sizeof s->trouble, str_c(e.text));
}

static void on_checked(struct app *a, void *state, int status, struct str reply)
{
    struct state *s = state;
    (void)a;
    s->checked = status == 200;
    if (status != 200)
        say_trouble(s, status, reply);
}

static void on_applied(struct app *a, void *state, int status, struct str reply)
{
    struct state *s = state;
    s->sending = false;
    if (status != 200) {
        say_trouble(s, status, reply);
        if (status == 409 && s->below)
            app_say(a, ROLE_WARN, "Esc, then R lays your edits over what is there now");
        return;
    }
    app_say(a, ROLE_SWITCH, "rules of %s are in force, rev %lld   (u undoes)", s->name,
        (long long)listing_i64(reply, "revision"));
    if (s->below)
        app_pop(a, s->below);
    app_pop(a, s);
}

static void send(struct app *a, struct state *s, bool dry, app_answer done)
{
    struct buf path, body;
    buf_init(&path, 1000);
    buf_init(&body, EDIT_BYTES_MAX + 1000);
    buf_puts(&path, "routes/");
    link_path(&path, str_c(s->name));
    buf_puts(&path, "/set");
    buf_printf(&body, "{\"revision\":%lld,\"dry_run\":%s,\"route\":", (long long)s->revision,
        dry ? "true" : "false");
    buf_put_str(&body, buf_str(&s->after));
    buf_puts(&body, "}");
    if (!path.err && !body.err)
        app_ask_quiet(a, s, "POST", buf_c(&path), buf_str(&body), done);
    buf_fini(&path);
    buf_fini(&body);
}

/* ---- the sheet ---- */

static void open_sheet(struct app *a, void *state, const void *arg)
{
    struct state *s = state;
    const struct route_stage *given = arg;
    str_copy(s->name, sizeof s->name, str_c(given->name));
    s->revision = given->revision;
    s->below = given->below;
    buf_init(&s->before, EDIT_BYTES_MAX);
    buf_init(&s->after, EDIT_BYTES_MAX);
    buf_put_str(&s->before, given->before);
    buf_put_str(&s->after, given->after);
    lay_diff(s);
    send(a, s, true, on_checked);
}

static void close_sheet(struct app *a, void *state)
{
    struct state *s = state;
    (void)a;
    buf_fini(&s->before);
    buf_fini(&s->after);
    text_fini(&s->diff);
}

static void draw(struct app *a, void *state, struct rect r)
{
    struct state *s = state;
    struct rect box = sheet_rect(r, r.h, MIN(r.w, 110));
    char title[240];
    snprintf(title, sizeof title, "Staged: rules of %s", s->name);
    ui_box(box, title);
    ui_put(box.y + 1, box.x + 2, box.w - 4,
        s->trouble[0] ? ROLE_BAD
        : s->checked  ? ROLE_OK
                      : ROLE_DIM,
        s->trouble[0] ? s->trouble
        : s->checked  ? "✓ valid: Enter applies it as one change"
                      : "checking…");
    text_draw(&s->diff, (struct rect){box.y + 2, box.x + 2, box.h - 3, box.w - 4}, a);
}

static bool key(struct app *a, void *state, int key)
{
    struct state *s = state;
    if (key != '\r')
        return false;
    if (s->checked && !s->sending && app_may_change(a)) {
        s->sending = true;
        send(a, s, false, on_applied);
    }
    return true;
}

static const char *hint(struct app *a, void *state)
{
    (void)a;
    return ((struct state *)state)->below ? "↑↓ scroll  Enter apply  Esc back to the edits"
                                          : "↑↓ scroll  Enter apply  Esc drop it";
}

static const struct screen sheet_staged = {.name = "staged",
    .size = sizeof(struct state),
    .contexts = text_place,
    .open = open_sheet,
    .close = close_sheet,
    .draw = draw,
    .key = key,
    .action = text_sheet_action,
    .hint = hint};

/* ---- the editor ---- */

static bool write_file(int fd, struct str object)
{
    struct text t = {0};
    bool ok = true;
    if (!object.n || str_eq(object, STR("null")))
        object = STR("{\"targets\":[]}");
    pretty(object, &t);
    for (size_t i = 0; ok && i < t.line_count; i++) {
        struct str line = line_of(&t, i);
        ok = write(fd, line.p, line.n) == (ssize_t)line.n && write(fd, "\n", 1) == 1;
    }
    text_fini(&t);
    return ok;
}

/* Runs the person's editor on the whole terminal; the console is stopped meanwhile, the traffic is
 * not. */
static bool run_editor(const char *path)
{
    const char *editor = getenv("VISUAL") ? getenv("VISUAL") : getenv("EDITOR");
    char command[400];
    snprintf(command, sizeof command, "%.300s \"$1\"", editor && *editor ? editor : "vi");
    return child_run(command, path, NULL) == 0;
}

static void read_back(const char *path, struct buf *out)
{
    char part[4096];
    int fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    for (ssize_t n; fd >= 0 && (n = read(fd, part, sizeof part)) > 0;)
        buf_put(out, part, (size_t)n);
    if (fd >= 0)
        close(fd);
}

void route_stage(struct app *a, const struct route_stage *stage)
{
    app_push(a, &sheet_staged, stage);
}

void route_edit(struct app *a, const struct route_stage *stage)
{
    char path[] = "/tmp/pointsman-route-XXXXXX";
    struct buf after;
    size_t at = 0;
    if (!app_may_change(a))
        return;
    mode_t mask = umask(077);
    int fd = mkstemp(path);
    umask(mask);
    if (fd < 0) {
        app_say(a, ROLE_BAD, "no file for the editor: %s", strerror(errno));
        return;
    }
    buf_init(&after, EDIT_BYTES_MAX);
    bool written = write_file(fd, stage->after);
    close(fd);
    if (written && run_editor(path))
        read_back(path, &after);
    struct str text = str_trim(buf_str(&after));
    if (!text.n || after.err) {
        app_say(a, ROLE_WARN, "nothing was edited");
        unlink(path);
    } else if (json_check(text, &at) < 0) {
        app_say(a, ROLE_BAD, "not JSON at byte %zu; the text is kept in %s", at, path);
    } else {
        struct route_stage edited = *stage;
        edited.after = text;
        unlink(path);
        route_stage(a, &edited);
    }
    buf_fini(&after);
}
