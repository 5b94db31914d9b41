/* whatif.c: what recorded requests would have done under a proposal: where, at what cost, how fast,
 * and which would not fit. Nothing is sent to anybody and nothing changes; Esc goes back to where
 * the proposal is being made. */
#include "tui/screens/sheets.h"

#include "tui/format.h"
#include "tui/widgets/listing.h"
#include "tui/widgets/menu.h"
#include "tui/widgets/text.h"

#include <stdio.h>

struct state {
    struct text text; /* first: text_sheet_action() */
    char name[200];
    struct buf proposal;
    size_t span;
    bool asking;
    char trouble[480];
};

static const struct {
    const char *text;
    int64_t ms;
} spans[] = {{"the last hour", 3600000}, {"the last 24 h", 86400000}, {"the last 7 days", 604800000},
    {"the last 30 days", 2592000000}};

/* ---- laying it out ---- */

static void lay_count(struct text *t, struct str reply, const char *member, enum role role,
    const char *what)
{
    int64_t n = listing_i64(reply, member);
    if (n)
        text_printf(t, role, "%lld %s", (long long)n, what);
}

static void lay_summary(struct text *t, struct str r)
{
    char now[FORMAT_MAX], was[FORMAT_MAX], a[FORMAT_MAX], b[FORMAT_MAX], c[FORMAT_MAX],
        d[FORMAT_MAX];
    text_printf(t, ROLE_HEADING, "%lld requests, %lld of them elsewhere",
        (long long)listing_i64(r, "rows"), (long long)listing_i64(r, "moved"));
    text_printf(t, ROLE_MONEY, "cost         %s instead of %s",
        format_dollars(now, listing_i64(r, "cost_nano")),
        format_dollars(was, listing_i64(r, "was_nano")));
    text_printf(t, ROLE_TEXT, "first token  p50 %s (was %s)  p95 %s (was %s) s",
        format_seconds(a, listing_i64(r, "ttft_p50_us")),
        format_seconds(b, listing_i64(r, "was_ttft_p50_us")),
        format_seconds(c, listing_i64(r, "ttft_p95_us")),
        format_seconds(d, listing_i64(r, "was_ttft_p95_us")));
    text_printf(t, ROLE_TEXT, "whole        p50 %s (was %s)  p95 %s (was %s) s",
        format_seconds(a, listing_i64(r, "total_p50_us")),
        format_seconds(b, listing_i64(r, "was_total_p50_us")),
        format_seconds(c, listing_i64(r, "total_p95_us")),
        format_seconds(d, listing_i64(r, "was_total_p95_us")));
    lay_count(t, r, "too_long", ROLE_WARN, "would not fit a target that would have taken them");
    lay_count(t, r, "refused", ROLE_BAD, "would be refused");
    lay_count(t, r, "unpriced", ROLE_WARN, "would go where no price is known");
    lay_count(t, r, "guessed", ROLE_WARN, "depend on what records don't hold (read as absent)");
}

static void lay_target(struct text *t, struct str v)
{
    char to[280], cost[FORMAT_MAX], p50[FORMAT_MAX], p95[FORMAT_MAX], n[FORMAT_MAX];
    bool goes = json_get(v, STR("target")).type == JSON_STRING;
    listing_text(v, goes ? "target" : "refused", to, sizeof to);
    text_printf(t, goes ? ROLE_TEXT : ROLE_BAD, "%7s  %-36s %8s  p50 %5s  p95 %5s",
        format_count(n, listing_i64(v, "requests")), to,
        format_dollars(cost, listing_i64(v, "cost_nano")),
        format_seconds(p50, listing_i64(v, "ttft_p50_us")),
        format_seconds(p95, listing_i64(v, "ttft_p95_us")));
}

static void lay_move(struct text *t, struct str v)
{
    char from[280], to[280], now[FORMAT_MAX], was[FORMAT_MAX], n[FORMAT_MAX];
    bool goes = json_get(v, STR("to")).type == JSON_STRING;
    listing_text(v, "from", from, sizeof from);
    listing_text(v, goes ? "to" : "refused", to, sizeof to);
    text_printf(t, goes ? ROLE_TEXT : ROLE_BAD, "%7s  %s → %s  %s instead of %s",
        format_count(n, listing_i64(v, "requests")), from, to,
        format_dollars(now, listing_i64(v, "cost_nano")),
        format_dollars(was, listing_i64(v, "was_nano")));
}

static void each(struct text *t, struct str list, void (*lay)(struct text *, struct str))
{
    struct json_iter it = json_iter(list);
    struct json_span k, v;
    while (json_next(&it, &k, &v))
        lay(t, v.raw);
}

static void lay(struct state *s, struct str r)
{
    struct text *t = &s->text;
    text_reset(t);
    t->stay = true;
    if (!listing_i64(r, "rows")) {
        text_add(t, ROLE_DIM, "no recorded request of that name in that time; + looks further back");
        return;
    }
    lay_summary(t, r);
    text_add(t, ROLE_TEXT, "");
    text_add(t, ROLE_HEADING, "where they would go, with what each target has measured itself");
    each(t, json_get(r, STR("targets")).raw, lay_target);
    if (json_count(json_get(r, STR("moves")))) {
        text_add(t, ROLE_TEXT, "");
        text_add(t, ROLE_HEADING, "who would move");
        each(t, json_get(r, STR("moves")).raw, lay_move);
    }
    text_add(t, ROLE_TEXT, "");
    text_printf(t, ROLE_DIM, "%lld rows looked at in %lld ms; nothing was sent",
        (long long)listing_i64(r, "scanned"), (long long)listing_i64(r, "took_ms"));
}

/* ---- asking ---- */

static void on_answer(struct app *a, void *state, int status, struct str reply)
{
    struct state *s = state;
    struct err e = {0};
    (void)a;
    s->asking = false;
    if (status == 200) {
        lay(s, reply);
        return;
    }
    if (status)
        link_error(reply, status, &e);
    str_copy(s->trouble, sizeof s->trouble, status ? str_c(e.text) : reply);
}

static void ask(struct app *a, struct state *s)
{
    struct buf body;
    app_forget(a, s);
    s->trouble[0] = '\0';
    buf_init(&body, 2 << 20);
    struct json_writer w = json_writer(&body);
    json_object_begin(&w, NULL);
    json_put_c(&w, "route", s->name);
    json_put_int(&w, "since_ms", app_now_ms(a) - spans[s->span].ms);
    json_object_end(&w);
    body.n--; /* the proposal's members follow */
    buf_printf(&body, "," STR_FMT "}", STR_ARG(buf_str(&s->proposal)));
    s->asking = !body.err && app_ask_quiet(a, s, "POST", "whatif", buf_str(&body), on_answer);
    buf_fini(&body);
}

/* ---- the sheet ---- */

static void open(struct app *a, void *state, const void *arg)
{
    struct state *s = state;
    const struct whatif_arg *given = arg;
    str_copy(s->name, sizeof s->name, str_c(given->name));
    buf_init(&s->proposal, 1 << 20);
    buf_put_str(&s->proposal, given->proposal);
    s->span = 1;
    ask(a, s);
}

static void close(struct app *a, void *state)
{
    buf_fini(&((struct state *)state)->proposal);
    text_sheet_close(a, state);
}

static void draw(struct app *a, void *state, struct rect r)
{
    struct state *s = state;
    struct rect box = sheet_rect(r, r.h, MIN(r.w, 110));
    char title[260];
    snprintf(title, sizeof title, "What if: %s over %s", s->name, spans[s->span].text);
    ui_box(box, title);
    struct rect inside = {box.y + 1, box.x + 2, box.h - 2, box.w - 4};
    if (s->trouble[0])
        ui_put(inside.y, inside.x, inside.w, ROLE_BAD, s->trouble);
    else if (s->asking)
        ui_put(inside.y, inside.x, inside.w, ROLE_DIM, "replaying recorded requests…");
    else
        text_draw(&s->text, inside, a);
}

static bool key(struct app *a, void *state, int key)
{
    struct state *s = state;
    if (key != '+' && key != '-')
        return false;
    size_t next = key == '+' ? MIN(s->span + 1, ARRAY_LEN(spans) - 1) : s->span - (s->span > 0);
    if (next == s->span)
        return true;
    s->span = next;
    ask(a, s);
    return true;
}

const struct screen sheet_whatif = {.name = "whatif",
    .size = sizeof(struct state),
    .contexts = text_place,
    .open = open,
    .close = close,
    .draw = draw,
    .key = key,
    .action = text_sheet_action,
    .line = "+ - longer or shorter time  ↑↓ scroll  Esc back"};
