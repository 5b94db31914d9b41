/* explain.c: T: which way this name (or this very request) would take now, and why not the others.
 */
#include "tui/app.h"

#include "tui/screens/sheets.h"
#include "tui/widgets/listing.h"
#include "tui/widgets/note.h"

#include <stdio.h>

struct state {
    struct subject subject;
};

static void lay_list(struct text *t, struct str list, const char *glyph, enum role role)
{
    struct json_iter it = json_iter(list);
    struct json_span k, v;
    char target[280], reason[400];
    while (json_next(&it, &k, &v)) {
        listing_text(v.raw, "target", target, sizeof target);
        listing_text(v.raw, "reason", reason, sizeof reason);
        text_printf(t, role, "  %s %-36s  %s", glyph, target, reason);
    }
}

/* {"step":"rule","name":"long","taken":false} → "rule  name long  taken false" */
static void lay_step(struct text *t, struct str step, struct arena *a)
{
    struct json_iter it = json_iter(step);
    struct json_span k, v;
    text_add(t, ROLE_DIM, "  ");
    while (it.object && json_next(&it, &k, &v)) {
        struct str key = json_text(k, a);
        if (!str_eq(key, STR("step"))) {
            text_extend(t, ROLE_DIM, STR("  "));
            text_extend(t, ROLE_DIM, key);
            text_extend(t, ROLE_DIM, STR(" "));
        }
        text_extend(t, ROLE_DIM, v.type == JSON_STRING ? json_text(v, a) : v.raw);
    }
    if (!it.object)
        text_extend(t, ROLE_DIM, step);
}

static void lay_steps(struct text *t, struct str steps)
{
    struct json_iter it = json_iter(steps);
    struct json_span k, v;
    struct arena a;
    arena_init(&a, 4096, 1 << 20);
    while (json_next(&it, &k, &v))
        lay_step(t, v.type == JSON_STRING ? json_text(v, &a) : v.raw, &a);
    arena_fini(&a);
}

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
    lay_list(t, json_path(reply, "plan.candidates").raw, "✓", ROLE_OK);
    lay_list(t, json_path(reply, "plan.rejected").raw, "✗", ROLE_WARN);
    if (json_count(json_path(reply, "plan.steps"))) {
        text_add(t, ROLE_TEXT, "");
        text_add(t, ROLE_HEADING, "looked at, in this order");
        lay_steps(t, json_path(reply, "plan.steps").raw);
    }
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
