/* export.c: x: the marked requests, else the one under the cursor, into a file of the folder in
 * which the console was started. The forms are export_forms.c.
 *
 * What is written is the gateway's own answer, with bodies where this person may read them and
 * secrets already redacted; an existing file is never overwritten. */
#include "tui/app.h"

#include "tui/screens/export_forms.h"
#include "tui/screens/request_list.h"
#include "tui/screens/requests.h"
#include "tui/widgets/menu.h"
#include "tui/widgets/pick.h"

#include <stdio.h>

struct state {
    char ids[REQUEST_MARKS_MAX][40];
    size_t count, done;
    struct pick pick;
    bool asking;
    struct buf out;
};

static void file_name(const struct state *s, char out[120])
{
    snprintf(out, 120, "pointsman-%s%s.%s", s->ids[0], s->count > 1 ? "-and-more" : "",
        export_forms[s->pick.selected].suffix);
}

static void finish(struct app *a, struct state *s)
{
    char name[120];
    enum export_kind kind = (enum export_kind)s->pick.selected;
    file_name(s, name);
    export_end(&s->out, kind);
    app_save(a, name, &s->out);
    app_pop(a, s);
}

static void ask_next(struct app *a, struct state *s);

static void on_detail(struct app *a, void *state, int status, struct str reply)
{
    struct state *s = state;
    if (status != 200) {
        app_pop(a, s);
        return;
    }
    export_put(&s->out, (enum export_kind)s->pick.selected, reply, app_model(a)->gateway.listen,
        s->done == 0);
    if (++s->done == s->count)
        finish(a, s);
    else
        ask_next(a, s);
}

static void ask_next(struct app *a, struct state *s)
{
    char path[96];
    snprintf(path, sizeof path, "exchanges/%s", s->ids[s->done]);
    s->asking = app_ask(a, s, "GET", path, STR_NULL, on_detail);
}

static bool key(struct app *a, void *state, int key)
{
    struct state *s = state;
    if (s->asking)
        return key != 27 && key != 'q';
    for (size_t i = 0; i < EXPORT_KINDS; i++)
        if (keymap_latin(key) == export_forms[i].key) {
            s->pick.selected = i;
            key = '\r';
        }
    enum pick_did did = pick_key(&s->pick, key, EXPORT_KINDS);
    if (did == PICK_TAKEN) {
        export_begin(&s->out, (enum export_kind)s->pick.selected);
        ask_next(a, s);
    }
    return did != PICK_NOTHING;
}

static void open_sheet(struct app *a, void *state, const void *arg)
{
    struct state *s = state;
    struct subject subject;
    (void)arg;
    buf_init(&s->out, (size_t)512 << 20);
    s->count = requests_marked(a, s->ids);
    if (!s->count && app_subject(a, &subject) && subject.id[0])
        str_copy(s->ids[s->count++], sizeof s->ids[0], str_c(subject.id));
    if (s->count)
        return;
    app_say(a, ROLE_WARN, "put the cursor on a request, or mark some with m");
    app_pop(a, s);
}

static void close_sheet(struct app *a, void *state)
{
    (void)a;
    buf_fini(&((struct state *)state)->out);
}

static void draw_form(void *ctx, size_t i, int y, int x, int width)
{
    (void)ctx;
    ui_printf(y, x, 2, ROLE_BAR_KEY, "%c", (char)export_forms[i].key);
    ui_put(y, x + 3, width - 3, ROLE_TEXT, export_forms[i].help);
}

static void draw(struct app *a, void *state, struct rect r)
{
    struct state *s = state;
    char name[120];
    struct rect box = sheet_rect(r, EXPORT_KINDS + 5, 76);
    ui_box(box, s->count > 1 ? "Export what is marked" : "Export");
    pick_draw(&s->pick, (struct rect){box.y + 1, box.x + 2, EXPORT_KINDS, box.w - 4}, EXPORT_KINDS,
        draw_form, s, a);
    file_name(s, name);
    ui_printf(box.y + EXPORT_KINDS + 2, box.x + 2, box.w - 4, ROLE_TEXT, "→ %s", name);
    if (s->asking)
        ui_printf(box.y + EXPORT_KINDS + 3, box.x + 2, box.w - 4, ROLE_DIM, "%zu of %zu…", s->done,
            s->count);
    else
        ui_put(box.y + EXPORT_KINDS + 3, box.x + 2, box.w - 4, ROLE_DIM,
            "in the folder the console was started in");
}

const struct screen sheet_export = {.name = "export",
    .size = sizeof(struct state),
    .open = open_sheet,
    .close = close_sheet,
    .draw = draw,
    .key = key,
    .line = "a letter, or ↑↓ and Enter: write it  Esc close"};
