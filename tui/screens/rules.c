/* rules.c: a route's rules, targets and fallbacks as rows that can be changed, moved, switched off,
 * added and removed. All of it is staged: nothing changes before the diff is applied. T says which
 * rule would take the newest request of the route, w what the recorded ones would do. */
#include "tui/screens/route_edit.h"

#include "tui/format.h"
#include "tui/screens/rule_doc.h"
#include "tui/screens/sheets.h"
#include "tui/screens/why.h"
#include "tui/widgets/listing.h"
#include "tui/widgets/menu.h"
#include "tui/widgets/note.h"
#include "tui/widgets/pick.h"

#include <stdio.h>

enum { OBJECT_MAX = 1 << 20, HEADER = -1, WEIGHT_STEP = 5 };

struct entry { /* what stands on a line: a header of a section, or row `row` */
    enum rule_section section;
    int row;
};

struct state {
    char name[200];
    struct rule_doc doc;
    struct buf before; /* as it is in force, in this sheet's writing */
    int64_t revision;
    struct entry entries[RULE_ROWS_MAX + SECTION_COUNT];
    size_t count;
    struct pick pick;
    struct edit line;
    bool typing, adding, staged;
    char trouble[480];
};

struct arg {
    const char *name;
    struct str object;
    int64_t revision;
};

static const char *const titles[] = {"rules: the first whose conditions all hold decides",
    "targets", "then, when all targets failed"};

/* ---- rows ---- */

static void relist(struct state *s)
{
    size_t row = 0;
    struct buf now;
    s->count = 0;
    for (int k = 0; k < SECTION_COUNT; k++) {
        s->entries[s->count++] = (struct entry){(enum rule_section)k, HEADER};
        for (; row < s->doc.count && s->doc.rows[row].section == (enum rule_section)k; row++)
            s->entries[s->count++] = (struct entry){(enum rule_section)k, (int)row};
    }
    buf_init(&now, OBJECT_MAX);
    rule_doc_write(&s->doc, &now);
    s->staged = !str_eq(buf_str(&now), buf_str(&s->before));
    buf_fini(&now);
}

static const struct entry *chosen(const struct state *s)
{
    return &s->entries[MIN(s->pick.selected, s->count - 1)];
}

static void select_row(struct state *s, size_t row)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->entries[i].row == (int)row)
            s->pick.selected = i;
}

static void draw_entry(void *ctx, size_t i, int y, int x, int width)
{
    const struct state *s = ctx;
    const struct entry *e = &s->entries[i];
    char text[RULE_LINE_MAX + 200];
    if (e->row == HEADER) {
        ui_put(y, x - 1, width + 1, ROLE_HEADING, titles[e->section]);
        return;
    }
    const struct rule_row *r = &s->doc.rows[e->row];
    if (e->section == SECTION_RULES)
        snprintf(text, sizeof text, "[%s] %s%s%s", r->off ? " " : "x", r->name ? r->name : "",
            r->name ? ": " : "", r->text);
    else if (r->weight >= 0)
        snprintf(text, sizeof text, "%-40s weight %ld", r->text, r->weight);
    else
        snprintf(text, sizeof text, "%s", r->text);
    ui_put(y, x + 1, width - 1, r->off ? ROLE_DIM : ROLE_TEXT, text);
}

/* ---- one line is typed ---- */

static void type_begin(struct state *s, bool adding)
{
    const struct entry *e = chosen(s);
    char text[RULE_LINE_MAX + 40] = "";
    s->adding = adding || e->row == HEADER;
    if (!s->adding && s->doc.rows[e->row].weight >= 0)
        snprintf(text, sizeof text, "%s %ld", s->doc.rows[e->row].text, s->doc.rows[e->row].weight);
    else if (!s->adding)
        snprintf(text, sizeof text, "%s", s->doc.rows[e->row].text);
    edit_set(&s->line, text);
    s->typing = true;
    s->trouble[0] = '\0';
}

static void type_end(struct state *s)
{
    const struct entry *e = chosen(s);
    struct err why = {0};
    size_t at = e->row == HEADER ? SIZE_MAX : (size_t)e->row;
    int rc = s->adding ? rule_doc_add(&s->doc, e->section, at, s->line.text, &why)
                       : rule_doc_set_line(&s->doc, at, s->line.text, &why);
    if (rc < 0) {
        str_copy(s->trouble, sizeof s->trouble, str_c(why.text));
        return;
    }
    s->typing = false;
    s->trouble[0] = '\0';
    relist(s);
    if (s->adding)
        select_row(s, (size_t)rc);
}

static bool type_key(struct state *s, int key)
{
    if (key == '\r')
        type_end(s);
    else if (key != 27)
        edit_key(&s->line, key);
    if (key == 27) {
        s->typing = false;
        s->trouble[0] = '\0';
    }
    return true;
}

/* ---- test, what if, apply ---- */

static void fill_test(struct text *t, void *ctx)
{
    struct str reply = *(struct str *)ctx;
    char error[480], rule[96];
    listing_text(reply, "plan.error", error, sizeof error);
    listing_text(reply, "plan.rule", rule, sizeof rule);
    text_printf(t, ROLE_HEADING, "with the staged edits: %s%s", rule[0] ? "by " : "no rule takes it",
        rule);
    if (error[0])
        text_printf(t, ROLE_BAD, "%s", error);
    why_lay(t, json_path(reply, "plan.steps").raw);
}

static void on_tested(struct app *a, void *state, int status, struct str reply)
{
    struct state *s = state;
    struct err e = {0};
    s->trouble[0] = '\0';
    if (status == 200) {
        note_open(a, &(struct note_arg){.title = "Test", .fill = fill_test, .ctx = &reply});
        return;
    }
    if (status)
        link_error(reply, status, &e);
    str_copy(s->trouble, sizeof s->trouble, status ? str_c(e.text) : reply);
}

/* The newest request of this route that the console knows; else the bare name. */
static struct str newest_request(struct app *a, const struct state *s)
{
    const struct model *m = app_model(a);
    for (size_t i = m->row_count; i-- > 0;) {
        const struct record *r = &m->rows[i]->r;
        if (str_eq(r->route, str_c(s->name)) || str_eq(r->model_asked, str_c(s->name)))
            return r->id;
    }
    return str_c(s->name);
}

static void test(struct app *a, struct state *s)
{
    struct buf path, body;
    buf_init(&path, 1000);
    buf_init(&body, OBJECT_MAX + 1000);
    buf_puts(&path, "routes/");
    link_path(&path, newest_request(a, s));
    buf_puts(&path, "/explain");
    struct json_writer w = json_writer(&body);
    json_object_begin(&w, NULL);
    json_put_c(&w, "route", s->name);
    json_object_end(&w);
    body.n--; /* the staged route follows */
    buf_puts(&body, ",\"set\":");
    rule_doc_write(&s->doc, &body);
    buf_putc(&body, '}');
    str_copy(s->trouble, sizeof s->trouble, STR("testing…"));
    if (!path.err && !body.err)
        app_ask_quiet(a, s, "POST", buf_c(&path), buf_str(&body), on_tested);
    buf_fini(&path);
    buf_fini(&body);
}

static void whatif(struct app *a, struct state *s)
{
    struct buf part;
    buf_init(&part, OBJECT_MAX + 100);
    buf_puts(&part, "\"set\":");
    rule_doc_write(&s->doc, &part);
    if (!part.err)
        app_push(a, &sheet_whatif, &(struct whatif_arg){s->name, buf_str(&part)});
    buf_fini(&part);
}

static void apply(struct app *a, struct state *s, bool in_editor)
{
    struct buf after;
    buf_init(&after, OBJECT_MAX);
    rule_doc_write(&s->doc, &after);
    struct route_stage stage = {s->name, buf_str(&s->before), buf_str(&after), s->revision, s};
    if (in_editor)
        route_edit(a, &stage);
    else if (!s->staged)
        app_say(a, ROLE_MESSAGE, "nothing is staged yet");
    else
        route_stage(a, &stage);
    buf_fini(&after);
}

/* Written the same way on both sides, so that the diff holds changes only. */
static void take_base(struct state *s, struct str object)
{
    struct rule_doc now;
    struct err e = {0};
    buf_reset(&s->before);
    if (rule_doc_read(&now, object, &e) == 0)
        rule_doc_write(&now, &s->before);
    rule_doc_fini(&now);
}

/* Somebody else changed it: what is there now becomes the base, the edits stay. */
static void on_routes(struct app *a, void *state, int status, struct str reply)
{
    struct state *s = state;
    struct json_iter it = json_iter(json_get(reply, STR("routes")).raw);
    struct json_span k, v;
    if (status != 200)
        return;
    s->revision = listing_i64(reply, "revision");
    while (json_next(&it, &k, &v))
        if (json_text_eq(json_get(v.raw, STR("name")), str_c(s->name)))
            take_base(s, json_get(v.raw, STR("object")).raw);
    relist(s);
    app_say(a, ROLE_MESSAGE, "the diff is now against revision %lld; your edits stand",
        (long long)s->revision);
}

/* ---- keys ---- */

static void move(struct state *s, int by)
{
    const struct entry *e = chosen(s);
    if (e->row == HEADER)
        return;
    size_t to = rule_doc_move(&s->doc, (size_t)e->row, by);
    relist(s);
    select_row(s, to);
}

static bool change(struct state *s, int key)
{
    const struct entry *e = chosen(s);
    struct rule_row *r = e->row == HEADER ? NULL : &s->doc.rows[e->row];
    if (key == ' ' && r && r->section == SECTION_RULES)
        r->off = !r->off;
    else if ((key == '+' || key == '-') && r)
        rule_doc_weigh(&s->doc, (size_t)e->row, key == '+' ? WEIGHT_STEP : -WEIGHT_STEP);
    else if (key == 'x' && r)
        rule_doc_remove(&s->doc, (size_t)e->row);
    else
        return false;
    relist(s);
    return true;
}

static bool key(struct app *a, void *state, int key)
{
    struct state *s = state;
    if (s->typing)
        return type_key(s, key);
    if (change(s, key))
        return true;
    switch (key) {
    case 'J':
    case 'K': move(s, key == 'J' ? 1 : -1); return true;
    case 'a':
    case 'e': type_begin(s, key == 'a'); return true;
    case 'T': test(a, s); return true;
    case 'w': whatif(a, s); return true;
    case 'E': apply(a, s, true); return true;
    case 'A':
    case '\r': apply(a, s, false); return true;
    case 'R': app_ask(a, s, "GET", "routes", STR_NULL, on_routes); return true;
    default: return pick_key(&s->pick, key, s->count) != PICK_NOTHING;
    }
}

/* ---- the sheet ---- */

static void open(struct app *a, void *state, const void *arg)
{
    struct state *s = state;
    const struct arg *given = arg;
    struct err e = {0};
    struct str object = given->object;
    if (!object.n || str_eq(object, STR("null")))
        object = STR("{\"targets\":[]}");
    str_copy(s->name, sizeof s->name, str_c(given->name));
    s->revision = given->revision;
    buf_init(&s->before, OBJECT_MAX);
    if (rule_doc_read(&s->doc, object, &e) < 0) {
        app_say(a, ROLE_BAD, "%s", e.text);
        app_pop(a, s);
        return;
    }
    take_base(s, object);
    relist(s);
}

static void close(struct app *a, void *state)
{
    struct state *s = state;
    (void)a;
    rule_doc_fini(&s->doc);
    buf_fini(&s->before);
}

static void draw_line(struct app *a, struct state *s, int y, int x, int width)
{
    static const char *const examples[] = {"key=ci-* prompt_tokens=>150k -> lab/qwen3",
        "provider/model 20", "provider/model"};
    enum rule_section section = chosen(s)->section;
    edit_draw(&s->line, y, x, width, ROLE_INPUT, a);
    if (!s->line.n)
        ui_printf(y, x + 1, width - 1, ROLE_DIM, "such as: %s", examples[section]);
}

static void draw(struct app *a, void *state, struct rect r)
{
    struct state *s = state;
    struct rect box = sheet_rect(r, r.h, MIN(r.w, 110));
    char title[280];
    int x = box.x + 2, w = box.w - 4, bottom = box.y + box.h - 4;
    snprintf(title, sizeof title, "Rules of %s   rev %lld%s", s->name, (long long)s->revision,
        s->staged ? "   staged, not in force" : "");
    ui_box(box, title);
    pick_draw(&s->pick, (struct rect){box.y + 1, x, bottom - box.y - 1, w}, s->count, draw_entry, s,
        a);
    ui_hline(bottom, box.x + 1, box.w - 2, ROLE_BOX);
    if (s->trouble[0])
        ui_put(bottom + 2, x, w, ROLE_BAD, s->trouble);
    if (s->typing)
        draw_line(a, s, bottom + 1, x, w);
}

static bool typing(struct app *a, void *state)
{
    (void)a;
    return ((struct state *)state)->typing;
}

static const char *hint(struct app *a, void *state)
{
    (void)a;
    if (((struct state *)state)->typing)
        return "conditions -> targets   Enter take it  Esc leave it";
    return "Enter diff  a add  e edit  Space on/off  JK move  +- weight  x remove  T test  w what if  E editor";
}

static const struct screen sheet_rules = {.name = "rules",
    .size = sizeof(struct state),
    .open = open,
    .close = close,
    .draw = draw,
    .key = key,
    .typing = typing,
    .hint = hint};

void rules_open(struct app *a, const char *name, struct str object, int64_t revision)
{
    app_push(a, &sheet_rules, &(struct arg){name, object, revision});
}
