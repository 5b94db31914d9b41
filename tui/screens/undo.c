/* undo.c: the undo sheet: who changed what, newest first; my own latest is selected.
 *
 * Enter takes the selected change back, whole. One that was overwritten since is refused by the
 * gateway, which names the newer one; that text is shown as it is. */
#include "tui/app.h"

#include "tui/format.h"
#include "tui/screens/sheets.h"
#include "tui/widgets/menu.h"
#include "tui/widgets/pick.h"

#include <stdio.h>

enum { CHANGES_MAX = 60 };

struct change {
    int64_t revision, time_ms;
    char who[64], text[200];
    size_t before_at, before_n, after_at, after_n; /* in `reply` */
    bool mine, undoable;
};

struct state {
    struct change changes[CHANGES_MAX];
    size_t count;
    struct pick pick;
    struct buf reply;
    char refused[480];
    bool loaded, sending;
};

static void take(struct state *s, struct str v)
{
    struct change *c = &s->changes[s->count];
    struct arena a;
    int64_t n;
    arena_init(&a, 1024, 65536);
    *c = (struct change){.mine = json_is_true(json_get(v, STR("mine"))),
        .undoable = json_is_true(json_get(v, STR("undoable")))};
    c->revision = json_i64(json_get(v, STR("revision")), &n) == 0 ? n : 0;
    c->time_ms = json_i64(json_get(v, STR("time_ms")), &n) == 0 ? n : 0;
    str_copy(c->who, sizeof c->who, json_get_str(v, STR("who"), &a));
    str_copy(c->text, sizeof c->text, json_get_str(v, STR("text"), &a));
    struct str before = json_get(v, STR("before")).raw, after = json_get(v, STR("after")).raw;
    c->before_at = before.n ? (size_t)(before.p - s->reply.p) : 0;
    c->before_n = before.n;
    c->after_at = after.n ? (size_t)(after.p - s->reply.p) : 0;
    c->after_n = after.n;
    arena_fini(&a);
    s->count++;
}

static void on_changes(struct app *a, void *state, int status, struct str reply)
{
    struct state *s = state;
    (void)a;
    if (status != 200)
        return;
    buf_put_str(&s->reply, reply);
    struct json_iter it = json_iter(json_get(buf_str(&s->reply), STR("changes")).raw);
    struct json_span k, v;
    while (s->count < CHANGES_MAX && json_next(&it, &k, &v))
        take(s, v.raw);
    s->loaded = true;
    for (size_t i = 0; i < s->count; i++)
        if (s->changes[i].mine && s->changes[i].undoable) {
            s->pick.selected = i;
            break;
        }
}

static void on_undone(struct app *a, void *state, int status, struct str reply)
{
    struct state *s = state;
    struct err e = {0};
    struct arena mem;
    s->sending = false;
    if (status != 200) {
        if (status)
            link_error(reply, status, &e);
        else
            str_copy(e.text, sizeof e.text, reply);
        str_copy(s->refused, sizeof s->refused, str_c(e.text));
        return;
    }
    arena_init(&mem, 1024, 65536);
    struct str text = json_get_str(reply, STR("text"), &mem);
    app_say(a, ROLE_SWITCH, "undone: " STR_FMT, STR_ARG(text));
    arena_fini(&mem);
    app_pop(a, s);
}

static void undo(struct app *a, struct state *s)
{
    const struct change *c = &s->changes[s->pick.selected];
    char body[64];
    if (s->sending || !app_may_change(a))
        return;
    if (!c->undoable) {
        str_copy(
            s->refused, sizeof s->refused, STR("this change can't be undone (or was already)"));
        return;
    }
    snprintf(body, sizeof body, "{\"revision\":%lld}", (long long)c->revision);
    s->sending = app_ask_quiet(a, s, "POST", "undo", str_c(body), on_undone);
}

static void draw_change(void *ctx, size_t i, int y, int x, int width)
{
    const struct state *s = ctx;
    const struct change *c = &s->changes[i];
    char clock[FORMAT_MAX];
    ui_put(y, x, 11, ROLE_DIM, format_minute(clock, c->time_ms));
    ui_put(y, x + 12, 10, c->mine ? ROLE_ACCENT : ROLE_TEXT, c->who);
    ui_put(y, x + 23, width - 23, c->undoable ? ROLE_TEXT : ROLE_DIM, c->text);
}

/* "override/key/alice/fast" with {"to":"lab/m"} → "fast → lab/m, key alice"; what is no switch and no
 * drain shows its object and the JSON. */
static void describe(struct str object, struct json_span value, struct buf *out)
{
    struct str rest = object, kind, scope, name;
    bool set = value.type == JSON_OBJECT;
    struct arena a;
    arena_init(&a, 1024, 65536);
    str_cut(&rest, '/', &kind);
    if (str_eq(kind, STR("override")) && str_cut(&rest, '/', &scope) && str_cut(&rest, '/', &name)) {
        struct str to = json_get_str(value.raw, STR("to"), &a);
        buf_printf(out, STR_FMT " → " STR_FMT ", " STR_FMT "%s" STR_FMT, STR_ARG(rest),
            STR_ARG(set ? to : STR("as configured")), STR_ARG(scope), name.n ? " " : "",
            STR_ARG(name));
    } else if (str_eq(kind, STR("drain"))) {
        buf_printf(out, STR_FMT " %s", STR_ARG(rest), set ? "drained" : "takes requests");
    } else if (str_eq(kind, STR("canary"))) {
        buf_printf(out, "canary of " STR_FMT " %s" STR_FMT, STR_ARG(rest), set ? "" : "is tried",
            STR_ARG(set ? json_get_str(value.raw, STR("why"), &a) : STR_NULL));
    } else {
        buf_printf(out, STR_FMT " " STR_FMT " " STR_FMT, STR_ARG(kind), STR_ARG(rest),
            STR_ARG(set ? value.raw : STR("as before, or gone")));
    }
    arena_fini(&a);
}

static void draw_objects(struct str objects, int y, int x, int width, enum role role)
{
    struct json_iter it = json_iter(objects);
    struct json_span k, v;
    struct arena a;
    struct buf line;
    size_t n = 0;
    arena_init(&a, 1024, 65536);
    buf_init(&line, 8192);
    while (json_next(&it, &k, &v)) {
        if (n++)
            buf_puts(&line, "; ");
        if (line.n < 1000)
            describe(json_text(k, &a), v, &line);
    }
    ui_put(y, x, 2, role, role == ROLE_REMOVED ? "−" : "+");
    ui_text(y, x + 2, width - 2, role, buf_str(&line));
    buf_fini(&line);
    arena_fini(&a);
}

/* What the objects are and would be again: one line each. */
static void draw_diff(const struct state *s, int y, int x, int width)
{
    if (s->pick.selected >= s->count)
        return;
    const struct change *c = &s->changes[s->pick.selected];
    struct str all = buf_str(&s->reply);
    draw_objects(str_first(str_from(all, c->after_at), c->after_n), y, x, width, ROLE_REMOVED);
    draw_objects(str_first(str_from(all, c->before_at), c->before_n), y + 1, x, width, ROLE_ADDED);
}

static void draw(struct app *a, void *state, struct rect r)
{
    struct state *s = state;
    struct rect box = sheet_rect(r, MIN(r.h, MAX((int)s->count + 6, 9)), MIN(r.w, 110));
    int x = box.x + 2, w = box.w - 4, bottom = box.y + box.h - 4;
    ui_box(box, "Undo");
    pick_draw(
        &s->pick, (struct rect){box.y + 1, x, bottom - box.y - 1, w}, s->count, draw_change, s, a);
    if (!s->count)
        ui_put(box.y + 1, x, w, ROLE_DIM,
            s->loaded ? "nothing was changed yet" : "asking the gateway…");
    ui_hline(bottom, box.x + 1, box.w - 2, ROLE_BOX);
    if (s->refused[0])
        ui_put(bottom + 1, x, w, ROLE_BAD, s->refused);
    else
        draw_diff(s, bottom + 1, x, w);
}

static bool key(struct app *a, void *state, int key)
{
    struct state *s = state;
    enum pick_did did = pick_key(&s->pick, key, s->count);
    if (did == PICK_TAKEN)
        undo(a, s);
    else if (did == PICK_MOVED)
        s->refused[0] = '\0';
    return did != PICK_NOTHING;
}

static void open(struct app *a, void *state, const void *arg)
{
    struct state *s = state;
    (void)arg;
    buf_init(&s->reply, 4 << 20);
    app_ask(a, s, "GET", "undo?limit=50", STR_NULL, on_changes);
}

static void close(struct app *a, void *state)
{
    (void)a;
    buf_fini(&((struct state *)state)->reply);
}

const struct screen sheet_undo = {.name = "undo",
    .size = sizeof(struct state),
    .open = open,
    .close = close,
    .draw = draw,
    .key = key,
    .line = "↑↓ choose  Enter undo it  Esc close        − as it is  + as it will be"};
