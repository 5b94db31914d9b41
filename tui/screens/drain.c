/* drain.c: the sheet behind D: everything off a provider, as one change.
 *
 * Above: every route and switch that uses it, and where each goes by its own fallbacks. Below: one
 * target for those that have nowhere to go. Back when its probes pass for five minutes, or after a
 * time. Enter waits until the gateway has said where everything goes; what goes nowhere would be
 * refused from then on, and so that takes a y of its own. */
#include "tui/app.h"

#include "store/base/clock.h"
#include "tui/format.h"
#include "tui/screens/sheets.h"
#include "tui/widgets/listing.h"
#include "tui/widgets/menu.h"
#include "tui/widgets/pick.h"

#include <stdio.h>

enum { TARGETS_MAX = 400, MOVES_MAX = 100 };

struct move {
    char what[128], to[280];
    bool by_itself;
};

struct state {
    char provider[64];
    char targets[TARGETS_MAX][160];
    size_t target_count, found[TARGETS_MAX], found_count;
    struct move moves[MOVES_MAX];
    size_t move_count;
    int64_t nowhere;
    struct pick pick;
    bool chosen; /* a target for those with nowhere to go */
    int back;
    unsigned asked, told; /* how often: where everything would go */
    bool known;           /* `moves` and `nowhere` are the last answer's, and it was no refusal */
    bool entered;         /* Enter was pressed before that was told */
    bool confirming, sending;
    char trouble[480];
};

static const struct {
    const char *text;
    int64_t ms;
    bool well;
} returns[] = {{"when it is well for 5 min", 0, true}, {"after 15 min", 900000, false},
    {"after 1 h", 3600000, false}, {"never by itself", 0, false}};

static void refind(struct state *s)
{
    s->found_count = 0;
    for (size_t i = 0; i < s->target_count; i++)
        if (str_find_nocase(str_c(s->targets[i]), str_c(s->pick.edit.text)) >= 0)
            s->found[s->found_count++] = i;
}

static const char *to_of(const struct state *s)
{
    return s->chosen && s->pick.selected < s->found_count ? s->targets[s->found[s->pick.selected]]
                                                          : "";
}

static void write_body(const struct state *s, bool dry, struct buf *out)
{
    struct json_writer w = json_writer(out);
    json_object_begin(&w, NULL);
    if (*to_of(s))
        json_put_c(&w, "to", to_of(s));
    if (returns[s->back].ms)
        json_put_int(&w, "for_ms", returns[s->back].ms);
    json_put_bool(&w, "until_well", returns[s->back].well);
    if (dry)
        json_put_bool(&w, "dry_run", true);
    json_object_end(&w);
}

/* False: it never left; `trouble` says so. */
static bool send(struct app *a, struct state *s, bool dry, app_answer done)
{
    bool sent = false;
    struct buf path, body;
    buf_init(&path, 400);
    buf_init(&body, 2000);
    buf_puts(&path, "providers/");
    link_path(&path, str_c(s->provider));
    buf_puts(&path, "/drain");
    write_body(s, dry, &body);
    if (!path.err && !body.err)
        sent = app_ask_quiet(a, s, "POST", buf_c(&path), buf_str(&body), done);
    buf_fini(&path);
    buf_fini(&body);
    if (!sent)
        str_copy(s->trouble, sizeof s->trouble, STR("the question could not be sent: no memory"));
    return sent;
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

static void on_drained(struct app *a, void *state, int status, struct str reply)
{
    struct state *s = state;
    char marker[200];
    s->sending = false;
    if (status != 200) {
        say_trouble(s, status, reply);
        return;
    }
    listing_text(reply, "marker", marker, sizeof marker);
    app_say(a, ROLE_SWITCH, "%s   (u undoes)", marker[0] ? marker : "drained");
    app_pop(a, s);
}

static void apply(struct app *a, struct state *s)
{
    s->sending = send(a, s, false, on_drained);
}

static const char *first_stuck(const struct state *s)
{
    for (size_t i = 0; i < s->move_count; i++)
        if (!s->moves[i].to[0])
            return s->moves[i].what;
    return "";
}

static void try_it(struct app *a, struct state *s);

static void enter(struct app *a, struct state *s)
{
    if (s->sending || !app_may_change(a))
        return;
    s->entered = s->asked != s->told || !s->known;
    if (s->entered) {
        if (s->asked == s->told)
            try_it(a, s);
        return;
    }
    if (!s->nowhere) {
        apply(a, s);
        return;
    }
    s->confirming = true;
    snprintf(s->trouble, sizeof s->trouble, "%.60s%s would be refused: choose a target, or y all the same",
        first_stuck(s), s->nowhere > 1 ? " and others" : "");
}

static void on_tried(struct app *a, void *state, int status, struct str reply)
{
    struct state *s = state;
    struct json_iter it = json_iter(json_get(reply, STR("moves")).raw);
    struct json_span k, v;
    s->told++;
    s->trouble[0] = '\0';
    s->confirming = false;
    s->known = status == 200;
    if (!s->known) {
        s->entered = false;
        s->move_count = 0;
        say_trouble(s, status, reply);
        return;
    }
    s->nowhere = listing_i64(reply, "nowhere");
    for (s->move_count = 0; s->move_count < MOVES_MAX && json_next(&it, &k, &v); s->move_count++) {
        struct move *m = &s->moves[s->move_count];
        listing_text(v.raw, "route", m->what, sizeof m->what);
        listing_text(v.raw, "to", m->to, sizeof m->to);
        m->by_itself = json_is_true(json_get(v.raw, STR("by_itself")));
    }
    if (s->entered)
        enter(a, s);
}

static void try_it(struct app *a, struct state *s)
{
    s->asked++;
    if (send(a, s, true, on_tried))
        return;
    s->told++; /* Enter asks again */
    s->known = s->entered = false;
    s->move_count = 0;
}

static void on_targets(struct app *a, void *state, int status, struct str reply)
{
    struct state *s = state;
    struct json_iter it = json_iter(json_get(reply, STR("targets")).raw);
    struct json_span k, v;
    (void)a;
    while (status == 200 && s->target_count < TARGETS_MAX && json_next(&it, &k, &v)) {
        char provider[64];
        listing_text(v.raw, "provider", provider, sizeof provider);
        if (strcmp(provider, s->provider) != 0)
            listing_text(v.raw, "target", s->targets[s->target_count++], sizeof s->targets[0]);
    }
    refind(s);
}

static void draw_target(void *ctx, size_t i, int y, int x, int width)
{
    const struct state *s = ctx;
    ui_put(y, x, width, ROLE_TEXT, s->targets[s->found[i]]);
}

static int draw_moves(const struct state *s, int y, int x, int width, int room)
{
    for (size_t i = 0; i < s->move_count && room > 0; i++, y++, room--) {
        const struct move *m = &s->moves[i];
        if (room == 1 && i + 1 < s->move_count) {
            ui_printf(y, x, width, ROLE_DIM, "… and %zu more", s->move_count - i);
            return y + 1;
        }
        ui_put(y, x, 31, ROLE_ACCENT, m->what);
        if (m->to[0])
            ui_printf(y, x + 32, width - 32, m->by_itself ? ROLE_TEXT : ROLE_SWITCH, "→ %s%s",
                m->to, m->by_itself ? "  (its own)" : "");
        else
            ui_put(y, x + 32, width - 32, ROLE_BAD, "✗ nowhere to go");
    }
    if (!s->move_count)
        ui_put(y++, x, width, ROLE_DIM,
            s->known              ? "no route uses it"
            : s->asked != s->told ? "asking the gateway…"
                                  : "not known (Enter asks again)");
    return y;
}

static void draw(struct app *a, void *state, struct rect r)
{
    struct state *s = state;
    struct rect box = sheet_rect(r, r.h, MIN(r.w, 100));
    char title[120];
    int x = box.x + 2, w = box.w - 4, y = box.y + 1, end = box.y + box.h - 1;
    snprintf(title, sizeof title, "Drain %s", s->provider);
    ui_box(box, title);
    ui_printf(y++, x, w, ROLE_TEXT, "back: %s", returns[s->back].text);
    y = draw_moves(s, y, x, w, (box.h - 6) / 2 + 1);
    ui_put(y++, x, w, ROLE_BAD, s->trouble);
    if (s->nowhere || s->chosen) {
        ui_printf(y++, x, w, ROLE_HEADING, "to one target, those with nowhere to go: %s",
            s->pick.edit.n ? s->pick.edit.text : "(type or choose)");
        s->pick.idle = !s->chosen; /* a mark would say that Enter takes it */
        pick_draw(&s->pick, (struct rect){y, x, end - y, w}, s->found_count, draw_target, s, a);
    }
}

static bool key(struct app *a, void *state, int key)
{
    struct state *s = state;
    bool confirmed = s->confirming && key == 'y';
    if (s->confirming)
        s->trouble[0] = '\0';
    s->confirming = false;
    if (confirmed) {
        apply(a, s);
        return true;
    }
    if (key == KEY_ALT + 't' || (key == 't' && s->pick.in_list)) {
        s->back = (s->back + 1) % (int)ARRAY_LEN(returns);
        return true;
    }
    if (key == '\r') {
        enter(a, s);
        return true;
    }
    switch (pick_key(&s->pick, key, s->found_count)) {
    case PICK_TYPED:
        refind(s);
        s->chosen = s->pick.edit.n > 0;
        try_it(a, s);
        return true;
    case PICK_MOVED:
        if (!s->chosen)
            s->pick.selected = 0; /* the first move only begins to choose */
        s->chosen = true;
        try_it(a, s);
        return true;
    default:
        return key == 'q';
    }
}

static void open(struct app *a, void *state, const void *arg)
{
    struct state *s = state;
    struct subject subject;
    if (arg)
        str_copy(s->provider, sizeof s->provider, str_c(arg));
    else if (app_subject(a, &subject))
        str_copy(s->provider, sizeof s->provider, str_c(subject.provider));
    s->pick.typed = true;
    if (!s->provider[0]) {
        app_say(a, ROLE_WARN, "put the cursor on a provider or a request");
        app_pop(a, s);
        return;
    }
    app_ask(a, s, "GET", "targets", STR_NULL, on_targets);
    try_it(a, s);
}

static bool typing(struct app *a, void *state)
{
    (void)a;
    (void)state;
    return true;
}

static const char *hint(struct app *a, void *state)
{
    const struct state *s = state;
    (void)a;
    if (s->confirming)
        return "y drain all the same  any other key goes back";
    return s->nowhere || s->chosen ? "type or ↑↓: a target for the others  M-t back  Enter apply  Esc close"
                                   : "M-t back  Enter apply  Esc close";
}

const struct screen sheet_drain = {.name = "drain",
    .size = sizeof(struct state),
    .open = open,
    .draw = draw,
    .key = key,
    .typing = typing,
    .hint = hint};
