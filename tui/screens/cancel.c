/* cancel.c: the sheet behind X: leaves it be unless told otherwise; a request, or its whole
 * session. */
#include "tui/app.h"

#include "tui/screens/sheets.h"
#include "tui/widgets/menu.h"
#include "tui/widgets/pick.h"

#include <stdio.h>

enum what { LEAVE, REQUEST, SESSION };

struct state {
    struct subject subject;
    enum what options[3];
    size_t count;
    struct pick pick;
};

static void on_cancelled(struct app *a, void *state, int status, struct str reply)
{
    int64_t n = 0;
    if (status == 200 && json_i64(json_get(reply, STR("cancelled")), &n) == 0)
        app_say(a, ROLE_MESSAGE, n == 1 ? "1 request cancelled" : "%lld requests cancelled",
            (long long)n);
    app_pop(a, state);
}

static void apply(struct app *a, struct state *s)
{
    struct buf path;
    enum what what = s->options[s->pick.selected];
    if (what == LEAVE || !app_may_change(a)) {
        app_pop(a, s);
        return;
    }
    buf_init(&path, 1000);
    buf_puts(&path, what == REQUEST ? "exchanges/" : "sessions/");
    link_path(&path, str_c(what == REQUEST ? s->subject.id : s->subject.session));
    buf_puts(&path, "/cancel");
    if (!path.err)
        app_ask(a, s, "POST", buf_c(&path), STR_NULL, on_cancelled);
    buf_fini(&path);
}

static void draw_option(void *ctx, size_t i, int y, int x, int width)
{
    const struct state *s = ctx;
    switch (s->options[i]) {
    case LEAVE:
        ui_put(y, x, width, ROLE_TEXT, "leave it running");
        break;
    case REQUEST:
        ui_printf(y, x, width, ROLE_BAD, "cancel this request (%s, key %s)", s->subject.asked,
            s->subject.key[0] ? s->subject.key : "-");
        break;
    case SESSION:
        ui_printf(y, x, width, ROLE_BAD, "cancel all that runs in session %s", s->subject.session);
        break;
    }
}

static void draw(struct app *a, void *state, struct rect r)
{
    struct state *s = state;
    struct rect box = sheet_rect(r, (int)s->count + 4, 72);
    ui_box(box, "Cancel");
    ui_put(box.y + 1, box.x + 2, box.w - 4, ROLE_DIM,
        "The client gets an error at once; what was used so far is charged.");
    pick_draw(&s->pick, (struct rect){box.y + 2, box.x + 2, (int)s->count, box.w - 4}, s->count,
        draw_option, s, a);
}

static bool key(struct app *a, void *state, int key)
{
    struct state *s = state;
    enum pick_did did = pick_key(&s->pick, key, s->count);
    if (did == PICK_TAKEN)
        apply(a, s);
    return did != PICK_NOTHING;
}

static void open(struct app *a, void *state, const void *arg)
{
    struct state *s = state;
    if (arg)
        s->subject = *(const struct subject *)arg;
    else
        app_subject(a, &s->subject);
    s->options[s->count++] = LEAVE;
    if (s->subject.kind == SUBJECT_REQUEST && s->subject.live)
        s->options[s->count++] = REQUEST;
    if (s->subject.session[0])
        s->options[s->count++] = SESSION;
    if (s->count == 1) {
        app_say(
            a, ROLE_WARN, "nothing is in flight here: put the cursor on a ▸ request or a session");
        app_pop(a, s);
    }
}

const struct screen sheet_cancel = {.name = "cancel",
    .size = sizeof(struct state),
    .open = open,
    .draw = draw,
    .key = key,
    .line = "↑↓ choose  Enter do it  Esc close"};
