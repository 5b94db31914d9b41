/* profiles.c: S: named states of all routes ("day", "batch night"), shown as a diff, applied as one
 * change.
 *
 * The first row saves what is in force now under a name. */
#include "tui/app.h"

#include "store/base/clock.h"
#include "tui/screens/sheets.h"
#include "tui/widgets/listing.h"
#include "tui/widgets/menu.h"
#include "tui/widgets/pick.h"
#include "tui/widgets/text.h"

#include <stdio.h>

enum { PROFILES_MAX = 60, REST_US = 90000 };

struct state {
    char names[PROFILES_MAX][64];
    size_t count; /* names; row 0 of the list is "save" */
    struct pick pick;
    struct edit name;
    bool naming, loaded, sending, asking;
    int64_t moved_us;
    struct text diff;
    int64_t changes; /* -1: not known yet */
    char trouble[480];
};

static const char *selected(const struct state *s)
{
    return s->pick.selected && s->pick.selected <= s->count ? s->names[s->pick.selected - 1] : "";
}

static void on_profiles(struct app *a, void *state, int status, struct str reply)
{
    struct state *s = state;
    struct json_iter it = json_iter(json_get(reply, STR("profiles")).raw);
    struct json_span k, v;
    struct arena mem;
    (void)a;
    arena_init(&mem, 1024, 65536);
    while (status == 200 && s->count < PROFILES_MAX && json_next(&it, &k, &v))
        str_copy(s->names[s->count++], sizeof s->names[0],
            v.type == JSON_STRING ? json_text(v, &mem) : json_get_str(v.raw, STR("name"), &mem));
    arena_fini(&mem);
    s->loaded = true;
    s->pick.selected = s->count ? 1 : 0;
    s->moved_us = clock_mono_us();
}

static void say_trouble(struct state *s, int status, struct str reply)
{
    struct err e = {0};
    if (status)
        link_error(reply, status, &e);
    else
        str_copy(e.text, sizeof e.text, reply);
    str_copy(s->trouble, sizeof s->trouble, str_c(e.text));
}

static void lay_diff(struct state *s, struct str diff)
{
    struct str line;
    text_reset(&s->diff);
    s->diff.stay = true;
    while (str_cut(&diff, '\n', &line))
        text_put(&s->diff,
            line.n && line.p[0] == '+'   ? ROLE_ADDED
            : line.n && line.p[0] == '-' ? ROLE_REMOVED
                                         : ROLE_TEXT,
            line);
}

static void on_tried(struct app *a, void *state, int status, struct str reply)
{
    struct state *s = state;
    struct arena mem;
    (void)a;
    s->asking = false;
    if (status != 200) {
        say_trouble(s, status, reply);
        return;
    }
    arena_init(&mem, 4096, 1 << 20);
    s->changes = listing_i64(reply, "changes");
    lay_diff(s, json_get_str(reply, STR("diff"), &mem));
    arena_fini(&mem);
}

static void on_done(struct app *a, void *state, int status, struct str reply)
{
    struct state *s = state;
    s->sending = false;
    if (status != 200) {
        say_trouble(s, status, reply);
        return;
    }
    app_say(a, ROLE_SWITCH, s->naming ? "profile saved" : "profile %s is in force   (u undoes)",
        selected(s));
    app_pop(a, s);
}

static bool ask_apply(struct app *a, struct state *s, bool dry, app_answer done)
{
    struct buf path;
    buf_init(&path, 400);
    buf_puts(&path, "profiles/");
    link_path(&path, str_c(selected(s)));
    buf_puts(&path, "/apply");
    bool sent = !path.err && app_ask_quiet(a, s, "POST", buf_c(&path),
                                 dry ? STR("{\"dry_run\":true}") : STR("{}"), done);
    buf_fini(&path);
    return sent;
}

static void save(struct app *a, struct state *s)
{
    struct buf body;
    buf_init(&body, 2000);
    struct json_writer w = json_writer(&body);
    json_object_begin(&w, NULL);
    json_put_c(&w, "name", s->name.text);
    json_object_end(&w);
    s->sending = app_ask_quiet(a, s, "POST", "profiles", buf_str(&body), on_done);
    buf_fini(&body);
}

static void draw_row(void *ctx, size_t i, int y, int x, int width)
{
    const struct state *s = ctx;
    if (i == 0)
        ui_put(y, x, width, ROLE_DIM, "save what is in force now as…");
    else
        ui_put(y, x, width, ROLE_ACCENT, s->names[i - 1]);
}

static void draw(struct app *a, void *state, struct rect r)
{
    struct state *s = state;
    struct rect box = sheet_rect(r, MIN(r.h, 20), MIN(r.w, 100));
    int rows = MIN((int)s->count + 1, box.h / 2 - 2), x = box.x + 2, w = box.w - 4;
    int y = box.y + 1 + rows;
    ui_box(box, "Profiles");
    pick_draw(&s->pick, (struct rect){box.y + 1, x, rows, w}, s->count + 1, draw_row, s, a);
    ui_hline(y++, box.x + 1, box.w - 2, ROLE_BOX);
    if (s->trouble[0])
        ui_put(y, x, w, ROLE_BAD, s->trouble);
    else if (s->naming)
        ui_put(y, x, w, ROLE_HEADING, "name (a-z, 0-9, - and _)");
    else if (*selected(s) && s->changes >= 0)
        ui_printf(y, x, w, ROLE_HEADING, "%lld changes", (long long)s->changes);
    y++;
    if (s->naming)
        edit_draw(&s->name, y, x, MIN(w, 40), ROLE_INPUT, a);
    else if (*selected(s) && s->diff.line_count)
        text_draw(&s->diff, (struct rect){y, x, box.y + box.h - 1 - y, w}, a);
}

static bool naming_key(struct app *a, struct state *s, int key)
{
    if (key == 27) {
        s->naming = false;
    } else if (key == '\r') {
        if (s->name.n && !s->sending && app_may_change(a))
            save(a, s);
    } else {
        s->trouble[0] = '\0';
        edit_key(&s->name, key);
    }
    return true;
}

static bool key(struct app *a, void *state, int key)
{
    struct state *s = state;
    if (s->naming)
        return naming_key(a, s, key);
    enum pick_did did = pick_key(&s->pick, key, s->count + 1);
    if (did == PICK_MOVED) {
        s->moved_us = clock_mono_us();
        s->changes = -1;
        s->trouble[0] = '\0';
        text_reset(&s->diff);
    } else if (did == PICK_TAKEN && s->pick.selected == 0) {
        s->naming = true;
    } else if (did == PICK_TAKEN && !s->sending && app_may_change(a)) {
        app_forget(a, s);
        s->asking = false;
        s->sending = ask_apply(a, s, false, on_done);
    }
    return did != PICK_NOTHING;
}

static int tick(struct app *a, void *state)
{
    struct state *s = state;
    int64_t rest = clock_mono_us() - s->moved_us;
    if (!*selected(s) || s->asking || s->sending || s->naming || s->changes >= 0 || s->trouble[0])
        return -1;
    if (rest < REST_US)
        return (int)((REST_US - rest) / 1000) + 1;
    s->asking = ask_apply(a, s, true, on_tried);
    return -1;
}

static void open(struct app *a, void *state, const void *arg)
{
    struct state *s = state;
    (void)arg;
    s->changes = -1;
    app_ask(a, s, "GET", "profiles", STR_NULL, on_profiles);
}

static void close(struct app *a, void *state)
{
    (void)a;
    text_fini(&((struct state *)state)->diff);
}

static bool typing(struct app *a, void *state)
{
    (void)a;
    return ((struct state *)state)->naming;
}

static const char *hint(struct app *a, void *state)
{
    (void)a;
    return ((struct state *)state)->naming ? "Enter save  Esc back"
                                           : "↑↓ choose  Enter apply  Esc close";
}

const struct screen sheet_profiles = {.name = "profiles",
    .size = sizeof(struct state),
    .open = open,
    .close = close,
    .draw = draw,
    .key = key,
    .tick = tick,
    .typing = typing,
    .hint = hint};
