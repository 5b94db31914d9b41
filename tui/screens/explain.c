/* explain.c: T: which way this name (or this very request) would take now, and why not the others.
 */
#include "tui/app.h"

#include "tui/screens/sheets.h"
#include "tui/screens/why.h"
#include "tui/widgets/listing.h"
#include "tui/widgets/note.h"

#include <stdio.h>

struct state {
    struct subject subject;
};

static void fill(struct text *t, void *ctx)
{
    struct str reply = *(struct str *)ctx;
    char route[128], rule[96], by[96], error[480], went[280], asked[200];
    listing_text(reply, "asked", asked, sizeof asked);
    listing_text(reply, "went_to", went, sizeof went);
    listing_text(reply, "plan.route", route, sizeof route);
    listing_text(reply, "plan.rule", rule, sizeof rule);
    listing_text(reply, "plan.override", by, sizeof by);
    listing_text(reply, "plan.error", error, sizeof error);
    text_printf(t, ROLE_HEADING, "asked for %s", asked);
    if (went[0])
        text_printf(t, ROLE_TEXT, "this request went to %s; the next one like it would go:", went);
    text_printf(t, ROLE_TEXT, "route %s%s%s%s%s", route[0] ? route : "(none: by its name)",
        rule[0] ? ", rule " : "", rule, by[0] ? ", switched for " : "", by);
    if (error[0])
        text_printf(t, ROLE_BAD, "%s", error);
    text_add(t, ROLE_TEXT, "");
    why_lay(t, json_path(reply, "plan.steps").raw);
}

static void on_plan(struct app *a, void *state, int status, struct str reply)
{
    struct buf copy;
    app_pop(a, state);
    if (status != 200)
        return;
    buf_init(&copy, 4 << 20);
    buf_put_str(&copy, reply);
    struct str text = buf_str(&copy);
    note_open(a, &(struct note_arg){.title = "Which way, and why", .fill = fill, .ctx = &text});
    buf_fini(&copy);
}

static void open(struct app *a, void *state, const void *arg)
{
    struct state *s = state;
    struct buf path;
    (void)arg;
    if (!app_subject(a, &s->subject) || (!s->subject.asked[0] && !s->subject.id[0])) {
        app_say(a, ROLE_WARN, "put the cursor on a request, a route or a model");
        app_pop(a, s);
        return;
    }
    buf_init(&path, 1000);
    buf_puts(&path, "routes/");
    link_path(&path, str_c(s->subject.id[0] ? s->subject.id : s->subject.asked));
    buf_puts(&path, "/explain");
    if (path.err || !app_ask(a, s, "POST", buf_c(&path), STR("{}"), on_plan))
        app_pop(a, s);
    buf_fini(&path);
}

static void draw(struct app *a, void *state, struct rect r)
{
    (void)a;
    (void)state;
    (void)r; /* the answer is a note of its own */
}

const struct screen sheet_explain = {
    .name = "explain", .size = sizeof(struct state), .open = open, .draw = draw};
