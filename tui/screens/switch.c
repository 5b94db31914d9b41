/* switch.c: the switch sheet: where the next request of this name goes, and for whom.
 *
 * The list holds the route's own targets first, then every model of every provider, then goals and
 * profiles; part of a name finds it. The second line is the scope. Whatever is under the cursor is
 * tried on the gateway (dry_run) and what it would touch is said before Enter. A switch is one
 * atomic, audited change; `u` takes it back. */
#include "tui/app.h"

#include "store/base/clock.h"
#include "tui/clean.h"
#include "tui/format.h"
#include "tui/screens/sheets.h"
#include "tui/widgets/menu.h"
#include "tui/widgets/pick.h"

#include <stdio.h>
#include <stdlib.h>

enum { CHOICES_MAX = 600, TYPED = CHOICES_MAX, PREVIEW_REST_US = 90000, HOUR_MS = 3600000 };

enum choice_kind { CHOICE_OWN, CHOICE_TARGET, CHOICE_GOAL, CHOICE_PROFILE, CHOICE_BACK };

struct choice {
    enum choice_kind kind;
    char to[280];
    char health[24], note[80];
    int64_t p95_us, context;
    char price[40];
};

enum scope { SCOPE_EVERYONE, SCOPE_KEY, SCOPE_SESSION, SCOPE_COUNT };

struct state {
    struct subject subject;
    struct choice *choices;
    size_t count;
    size_t *found, found_count;
    struct pick pick;
    enum scope scope;
    int back; /* index into returns[] */
    struct buf targets, routes;
    bool loaded, overridden, asking, sending;
    int64_t moved_us;
    char preview[400], trouble[500];
};

static const struct {
    const char *text;
    int64_t ms;
} returns[] = {
    {"stays", 0}, {"15 min", 900000}, {"1 h", 3600000}, {"4 h", 14400000}, {"1 day", 86400000}};

/* ---- scope ---- */

static bool has_scope(const struct state *s, enum scope scope)
{
    return scope == SCOPE_EVERYONE || (scope == SCOPE_KEY && s->subject.key[0]) ||
           (scope == SCOPE_SESSION && s->subject.session[0]);
}

static const char *scope_name(const struct state *s)
{
    return s->scope == SCOPE_KEY       ? s->subject.key
           : s->scope == SCOPE_SESSION ? s->subject.session
                                       : "";
}

static const char *const scope_words[] = {"everyone", "key", "session"};

/* Did anybody else use this name in the last hour? */
static bool others_use(struct app *a, const struct state *s, enum scope narrow)
{
    const struct model *m = app_model(a);
    int64_t since = app_now_ms(a) - HOUR_MS;
    for (size_t i = m->row_count; i-- > 0 && m->rows[i]->r.time_ms >= since;) {
        const struct record *r = &m->rows[i]->r;
        struct str mine = str_c(narrow == SCOPE_SESSION ? s->subject.session : s->subject.key);
        struct str theirs = narrow == SCOPE_SESSION ? r->session : r->key;
        if (str_eq(r->model_asked, str_c(s->subject.asked)) && !str_eq(theirs, mine))
            return true;
    }
    return false;
}

static enum scope first_scope(struct app *a, const struct state *s)
{
    enum scope narrow = s->subject.session[0] ? SCOPE_SESSION : SCOPE_KEY;
    if (s->subject.kind != SUBJECT_REQUEST && s->subject.kind != SUBJECT_SESSION)
        return s->subject.kind == SUBJECT_KEY ? SCOPE_KEY : SCOPE_EVERYONE;
    return has_scope(s, narrow) && others_use(a, s, narrow) ? narrow : SCOPE_EVERYONE;
}

/* ---- the list ---- */

static struct choice *add(struct state *s, enum choice_kind kind, struct str to)
{
    if (s->count == CHOICES_MAX || !to.n)
        return NULL;
    for (size_t i = 0; i < s->count; i++)
        if (str_eq(str_c(s->choices[i].to), to) && s->choices[i].kind <= CHOICE_TARGET &&
            kind <= CHOICE_TARGET)
            return NULL;
    struct choice *c = &s->choices[s->count++];
    *c = (struct choice){.kind = kind};
    str_copy(c->to, sizeof c->to, to);
    return c;
}

static int64_t i64(struct str object, const char *key)
{
    int64_t v;
    return json_i64(json_get(object, str_c(key)), &v) == 0 ? v : 0;
}

/* "0.2500" → "0.25", "3.0000" → "3". */
static struct str short_price(struct str s)
{
    while (str_chr(s, '.') >= 0 && (s.p[s.n - 1] == '0' || s.p[s.n - 1] == '.'))
        s.n--;
    return s.n || !s.p ? s : STR("0");
}

static void fill_figures(struct choice *c, struct str v, struct arena *a)
{
    str_copy(c->health, sizeof c->health, json_get_str(v, STR("health"), a));
    struct str in = short_price(json_text(json_path(v, "price.input"), a));
    struct str out = short_price(json_text(json_path(v, "price.output"), a));
    if (in.n || out.n)
        snprintf(c->price, sizeof c->price, "$" STR_FMT "/" STR_FMT, STR_ARG(str_first(in, 12)),
            STR_ARG(str_first(out, 12)));
    c->p95_us = i64(v, "ttft_p95_us");
    c->context = i64(v, "context_tokens");
}

/* The figures of a target stand in `targets`, also for the route's own. */
static void fill_from_targets(struct state *s, struct choice *c, struct arena *a)
{
    struct json_iter it = json_iter(json_get(buf_str(&s->targets), STR("targets")).raw);
    struct json_span k, v;
    while (json_next(&it, &k, &v))
        if (json_text_eq(json_get(v.raw, STR("target")), str_c(c->to))) {
            fill_figures(c, v.raw, a);
            return;
        }
}

/* "anthropic/$model" sends what was asked for: here it is known what that is, but for a pattern. */
static struct str filled(const struct state *s, struct str to, struct arena *a)
{
    ptrdiff_t at = str_find(to, STR("$model"));
    if (at < 0 || str_chr(str_c(s->subject.asked), '*') >= 0)
        return to;
    return arena_printf(a, STR_FMT "%s" STR_FMT, STR_ARG(str_first(to, (size_t)at)),
        s->subject.asked, STR_ARG(str_from(to, (size_t)at + 6)));
}

static void add_own(struct state *s, struct str list, const char *note, struct arena *a)
{
    struct json_iter it = json_iter(list);
    struct json_span k, v;
    while (json_next(&it, &k, &v)) {
        struct str to =
            v.type == JSON_STRING ? json_text(v, a) : json_get_str(v.raw, STR("target"), a);
        struct choice *c = add(s, CHOICE_OWN, filled(s, to, a));
        if (!c)
            continue;
        str_copy(c->note, sizeof c->note, str_c(note));
        fill_from_targets(s, c, a);
    }
}

static void add_route(struct state *s, struct arena *a)
{
    struct json_iter it = json_iter(json_get(buf_str(&s->routes), STR("routes")).raw);
    struct json_span k, v;
    while (json_next(&it, &k, &v)) {
        struct str name = json_get_str(v.raw, STR("name"), a);
        bool asked = str_eq(name, str_c(s->subject.asked));
        if (!asked && !str_eq(name, str_c(s->subject.route)))
            continue;
        if (asked && json_get(v.raw, STR("override")).type == JSON_OBJECT)
            s->overridden = true;
        add_own(s, json_get(v.raw, STR("targets")).raw, "own", a);
        add_own(s, json_get(v.raw, STR("fallback")).raw, "fallback", a);
    }
}

static void add_list(struct state *s, const char *member, enum choice_kind kind, struct arena *a)
{
    struct json_iter it = json_iter(json_get(buf_str(&s->targets), str_c(member)).raw);
    struct json_span k, v;
    while (json_next(&it, &k, &v)) {
        struct str name =
            v.type == JSON_STRING
                ? json_text(v, a)
                : json_get_str(v.raw, kind == CHOICE_TARGET ? STR("target") : STR("name"), a);
        struct choice *c = add(s, kind, name);
        if (c && kind == CHOICE_TARGET)
            fill_figures(c, v.raw, a);
        else if (c && v.type == JSON_OBJECT)
            str_copy(c->note, sizeof c->note, json_get_str(v.raw, STR("expands_to"), a));
    }
}

static bool passes(const struct choice *c, struct str text)
{
    struct str word;
    static const char *const kinds[] = {"", "", "goal", "profile", "as configured"};
    while (str_cut(&text, ' ', &word))
        if (word.n && str_find_nocase(str_c(c->to), word) < 0 &&
            str_find_nocase(str_c(kinds[c->kind]), word) < 0)
            return false;
    return true;
}

/* A model that no list has: provider/model as typed. The gateway says whether it can be. */
static void find_typed(struct state *s)
{
    struct str text = str_trim(str_c(s->pick.edit.text));
    struct choice *typed = &s->choices[TYPED];
    *typed = (struct choice){.kind = CHOICE_TARGET, .note = "as typed; no list names it"};
    if (s->found_count || !s->loaded || str_chr(text, '/') <= 0 || str_chr(text, ' ') >= 0)
        return;
    str_copy(typed->to, sizeof typed->to, text);
    s->found[s->found_count++] = TYPED;
}

static void refind(struct state *s)
{
    s->found_count = 0;
    for (size_t i = 0; i < s->count; i++)
        if (passes(&s->choices[i], str_c(s->pick.edit.text)))
            s->found[s->found_count++] = i;
    find_typed(s);
    s->preview[0] = s->trouble[0] = '\0';
    s->moved_us = clock_mono_us();
}

static bool is_well(const struct choice *c)
{
    return !c->health[0] || strcmp(c->health, "ok") == 0;
}

/* The cursor starts on the first target that is well and not the present one: a switch is a change. */
static void first_choice(struct state *s)
{
    for (int any = 0; any < 2; any++)
        for (size_t i = 0; i < s->found_count; i++) {
            const struct choice *c = &s->choices[s->found[i]];
            if (strcmp(c->to, s->subject.target) == 0 || (!any && (c->kind > CHOICE_TARGET || !is_well(c))))
                continue;
            s->pick.selected = i;
            return;
        }
}

static void rebuild(struct state *s)
{
    struct arena a;
    arena_init(&a, 16384, 4 << 20);
    s->count = 0;
    s->overridden = false;
    add_route(s, &a);
    add_list(s, "targets", CHOICE_TARGET, &a);
    add_list(s, "goals", CHOICE_GOAL, &a);
    add_list(s, "profiles", CHOICE_PROFILE, &a);
    arena_fini(&a);
    struct choice *back = s->overridden ? add(s, CHOICE_BACK, STR("as configured")) : NULL;
    if (back)
        str_copy(back->note, sizeof back->note, STR("takes the switch back"));
    refind(s);
    first_choice(s);
}

static void on_targets(struct app *a, void *state, int status, struct str reply)
{
    struct state *s = state;
    (void)a;
    if (status != 200)
        return;
    buf_put_str(&s->targets, reply);
    s->loaded = true;
    rebuild(s);
}

static void on_routes(struct app *a, void *state, int status, struct str reply)
{
    struct state *s = state;
    (void)a;
    if (status != 200)
        return;
    buf_put_str(&s->routes, reply);
    rebuild(s);
}

/* ---- trying and applying ---- */

static const struct choice *chosen(const struct state *s)
{
    return s->pick.selected < s->found_count ? &s->choices[s->found[s->pick.selected]] : NULL;
}

/* A what-if takes no time of return. */
static void write_switch(const struct state *s, const struct choice *c, bool dry, bool whatif,
    struct buf *out)
{
    char to[300];
    struct json_writer w = json_writer(out);
    snprintf(to, sizeof to, "%s%s", c->kind == CHOICE_GOAL ? "goal:" : "",
        c->kind == CHOICE_BACK ? "" : c->to);
    json_object_begin(&w, NULL);
    json_put_c(&w, "to", to);
    json_put_c(&w, "scope", scope_words[s->scope]);
    if (s->scope != SCOPE_EVERYONE)
        json_put_c(&w, "scope_name", scope_name(s));
    if (!whatif && returns[s->back].ms && c->kind != CHOICE_BACK)
        json_put_int(&w, "for_ms", returns[s->back].ms);
    if (dry)
        json_put_bool(&w, "dry_run", true);
    json_object_end(&w);
}

static bool send(struct app *a, struct state *s, const struct choice *c, bool dry, app_answer done)
{
    struct buf path, body;
    bool sent;
    buf_init(&path, 2000);
    buf_init(&body, 4000);
    if (c->kind == CHOICE_PROFILE) {
        buf_puts(&path, "profiles/");
        link_path(&path, str_c(c->to));
        buf_puts(&path, "/apply");
        buf_puts(&body, dry ? "{\"dry_run\":true}" : "{}");
    } else {
        buf_puts(&path, "routes/");
        link_path(&path, str_c(s->subject.asked));
        buf_puts(&path, "/switch");
        write_switch(s, c, dry, false, &body);
    }
    sent =
        !path.err && !body.err && app_ask_quiet(a, s, "POST", buf_c(&path), buf_str(&body), done);
    buf_fini(&path);
    buf_fini(&body);
    return sent;
}

static void put_share(char *out, size_t size, int64_t ppm, const char *text)
{
    char b[FORMAT_MAX];
    size_t n = strlen(out);
    if (ppm > 0)
        snprintf(out + n, size - n, ", %s %% %s", format_share(b, ppm), text);
}

static void read_preview(struct state *s, struct str reply)
{
    struct str p = json_get(reply, STR("preview")).raw;
    char money[FORMAT_MAX];
    struct arena a;
    arena_init(&a, 2048, 65536);
    struct str sentence = json_get_str(p, STR("sentence"), &a),
               diff = json_get_str(reply, STR("diff"), &a);
    str_copy(s->preview, sizeof s->preview, sentence.n ? sentence : diff);
    size_t n = strlen(s->preview);
    s->trouble[0] = '\0';
    put_share(s->trouble, sizeof s->trouble, i64(p, "too_long_ppm"), "too long for it");
    if (i64(p, "cold_cache_nano") > 0)
        snprintf(s->preview + n, sizeof s->preview - n, "; cold prompt cache costs %s",
            format_dollars(money, i64(p, "cold_cache_nano")));
    arena_fini(&a);
}

static void on_tried(struct app *a, void *state, int status, struct str reply)
{
    struct state *s = state;
    struct err e = {0};
    (void)a;
    s->asking = false;
    s->preview[0] = s->trouble[0] = '\0';
    if (status == 200) {
        read_preview(s, reply);
        return;
    }
    if (status)
        link_error(reply, status, &e);
    else
        str_copy(e.text, sizeof e.text, reply);
    snprintf(s->trouble, sizeof s->trouble, ", %s", e.text);
}

static void on_applied(struct app *a, void *state, int status, struct str reply)
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
        snprintf(s->trouble, sizeof s->trouble, ", %s", e.text);
        app_say(a, ROLE_BAD, "%s", e.text);
        return;
    }
    arena_init(&mem, 1024, 65536);
    struct str marker = json_get_str(reply, STR("marker"), &mem);
    app_say(a, ROLE_SWITCH, STR_FMT "   (u undoes)", STR_ARG(marker.n ? marker : STR("switched")));
    arena_fini(&mem);
    app_pop(a, s);
}

static void apply(struct app *a, struct state *s)
{
    const struct choice *c = chosen(s);
    if (!c || s->sending || !app_may_change(a))
        return;
    app_forget(a, s);
    s->asking = false;
    s->sending = send(a, s, c, false, on_applied);
}

/* w: what recorded requests would have done there; nothing is sent to anybody. */
static void whatif(struct app *a, struct state *s)
{
    const struct choice *c = chosen(s);
    struct buf part;
    if (!c || c->kind > CHOICE_GOAL) {
        app_say(a, ROLE_WARN, "what if is for targets and goals");
        return;
    }
    buf_init(&part, 4000);
    write_switch(s, c, false, true, &part);
    struct str members = buf_str(&part);
    if (!part.err)
        app_push(a, &sheet_whatif,
            &(struct whatif_arg){s->subject.asked, str_n(members.p + 1, members.n - 2)});
    buf_fini(&part);
}

/* ---- drawing ---- */

static void draw_choice(void *ctx, size_t i, int y, int x, int width)
{
    const struct state *s = ctx;
    const struct choice *c = &s->choices[s->found[i]];
    static const char *const kinds[] = {"", "", "goal", "profile", "back"};
    bool now = strcmp(c->to, s->subject.target) == 0;
    char b[FORMAT_MAX], line[80];
    int w = MAX(18, MIN(46, width - 45));
    bool ok = is_well(c);
    ui_text_middle(y, x, w, now ? ROLE_DIM : ROLE_TEXT, str_c(c->to));
    x += w + 1;
    width -= w + 1;
    if (c->kind >= CHOICE_GOAL) {
        ui_printf(y, x, width, ROLE_DIM, "%s  %s", kinds[c->kind], c->note);
        return;
    }
    snprintf(line, sizeof line, "%s %s", ok ? "✓" : "✗", c->health[0] ? c->health : "ok");
    ui_put(y, x, 9, ok ? ROLE_OK : ROLE_BAD, line);
    snprintf(line, sizeof line, "p95 %s", c->p95_us ? format_seconds(b, c->p95_us) : "-");
    ui_put(y, x + 10, 8, ROLE_TEXT, line);
    ui_put(y, x + 19, 11, ROLE_MONEY, c->price);
    ui_put_right(y, x + 30, 5, ROLE_TEXT, c->context ? format_count(b, c->context) : "-");
    ui_put(y, x + 36, width - 36, ROLE_DIM, now ? "now" : c->note);
}

static void draw_scope(const struct state *s, int y, int x, int width)
{
    int end = x + width;
    for (int i = 0; i < SCOPE_COUNT; i++) {
        char text[200];
        if (!has_scope(s, (enum scope)i))
            continue;
        snprintf(text, sizeof text, "%s%s%s", scope_words[i], i ? " " : "",
            i == SCOPE_KEY       ? s->subject.key
            : i == SCOPE_SESSION ? s->subject.session
                                 : "");
        x += ui_put(y, x, end - x, (int)s->scope == i ? ROLE_TAB_ON : ROLE_TAB, text);
        x += ui_put(y, x, MAX(end - x, 0), ROLE_DIM, " · ");
    }
}

/* Two lines, cut at a blank. */
static int draw_preview(const struct state *s, int y, int x, int width)
{
    struct str text = str_c(s->preview[0] ? s->preview : s->asking || !s->loaded ? "…" : "-");
    size_t n = clean_fit(text, ui_ascii(), (size_t)width, NULL);
    while (n < text.n && n > 0 && text.p[n - 1] != ' ')
        n--;
    ui_text(y, x, width, ROLE_TEXT, str_first(text, n));
    ui_text(y + 1, x, width, ROLE_TEXT, str_from(text, n));
    return 2;
}

static void draw(struct app *a, void *state, struct rect r)
{
    struct state *s = state;
    struct rect box = sheet_rect(r, r.h, MIN(r.w, 110));
    char title[260];
    int x = box.x + 2, w = box.w - 4, y = box.y + 1;
    snprintf(title, sizeof title, "Switch %s", s->subject.asked);
    ui_box(box, title);
    ui_put(y, x, 6, ROLE_HEADING, "to");
    struct edit field = s->pick.edit;
    if (!field.n)
        ui_put(y, x + 6, w - 6, ROLE_DIM, "type part of a name");
    else
        ui_put(y, x + 6, w - 6, ROLE_INPUT, field.text);
    y++;
    ui_put(y, x, 6, ROLE_HEADING, "for");
    draw_scope(s, y, x + 6, w - 24);
    ui_printf(y, box.x + box.w - 18, 16, ROLE_TEXT, "back: %s", returns[s->back].text);
    y++;
    ui_put(y, x, 6, ROLE_HEADING, "touch");
    y += draw_preview(s, y, x + 6, w - 6);
    ui_put(y, x + 6, w - 6, ROLE_WARN, s->trouble[0] ? s->trouble + 2 : "");
    y++;
    pick_draw(
        &s->pick, (struct rect){y, x, box.y + box.h - 1 - y, w}, s->found_count, draw_choice, s, a);
    if (!s->found_count)
        ui_put(y, x, w, ROLE_DIM, s->loaded ? "nothing is called so" : "asking the gateway…");
    if (!s->pick.in_list)
        app_cursor(
            a, box.y + 1, x + 6 + (int)clean_columns(str_n(field.text, field.at), ui_ascii()));
}

/* ---- keys and life ---- */

static void next_scope(struct state *s, int by)
{
    int at = (int)s->scope;
    do
        at = (at + by + SCOPE_COUNT) % SCOPE_COUNT;
    while (!has_scope(s, (enum scope)at));
    s->scope = (enum scope)at;
    s->moved_us = clock_mono_us();
    s->preview[0] = s->trouble[0] = '\0';
}

static bool key(struct app *a, void *state, int key)
{
    struct state *s = state;
    if (key == '\t' || key == KEY_N_BACKTAB) {
        next_scope(s, key == '\t' ? 1 : -1);
        return true;
    }
    if (key == KEY_ALT + 't' || (key == 't' && s->pick.in_list)) {
        s->back = (s->back + 1) % (int)ARRAY_LEN(returns);
        return true;
    }
    if (key == KEY_ALT + 'w' || (key == 'w' && s->pick.in_list)) {
        whatif(a, s);
        return true;
    }
    if (key == '/' && !s->pick.edit.n)
        return true; /* typing finds anyway */
    switch (pick_key(&s->pick, key, s->found_count)) {
    case PICK_TAKEN:
        apply(a, s);
        return true;
    case PICK_TYPED:
        refind(s);
        return true;
    case PICK_MOVED:
        s->moved_us = clock_mono_us();
        s->preview[0] = s->trouble[0] = '\0';
        return true;
    default:
        return key == 'q';
    }
}

/* What is under the cursor is tried when the cursor has rested. */
static int tick(struct app *a, void *state)
{
    struct state *s = state;
    const struct choice *c = chosen(s);
    int64_t rest = clock_mono_us() - s->moved_us;
    if (!c || s->asking || s->sending || s->preview[0] || s->trouble[0])
        return -1;
    if (rest < PREVIEW_REST_US)
        return (int)((PREVIEW_REST_US - rest) / 1000) + 1;
    s->asking = send(a, s, c, true, on_tried);
    return -1;
}

static void open(struct app *a, void *state, const void *arg)
{
    struct state *s = state;
    const struct subject *given = arg;
    s->choices = calloc(CHOICES_MAX + 1, sizeof *s->choices);
    s->found = calloc(CHOICES_MAX + 1, sizeof *s->found);
    buf_init(&s->targets, 16 << 20);
    buf_init(&s->routes, 16 << 20);
    s->pick.typed = true;
    s->moved_us = clock_mono_us();
    if (given)
        s->subject = *given;
    else
        app_subject(a, &s->subject);
    if (!s->choices || !s->found || !s->subject.asked[0]) {
        app_say(a, ROLE_WARN,
            "nothing here can be switched: put the cursor on a request, session, route or model");
        app_pop(a, s);
        return;
    }
    s->scope = first_scope(a, s);
    app_ask(a, s, "GET", "targets", STR_NULL, on_targets);
    app_ask(a, s, "GET", "routes", STR_NULL, on_routes);
}

static void close(struct app *a, void *state)
{
    struct state *s = state;
    (void)a;
    free(s->choices);
    free(s->found);
    buf_fini(&s->targets);
    buf_fini(&s->routes);
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
    return s->pick.in_list
               ? "↑↓ choose  Tab scope  t back  w what if  letters find  Enter apply  Esc close"
               : "type a name  ↓ list  Tab scope  M-t back  M-w what if  Enter apply  Esc close";
}

const struct screen sheet_switch = {.name = "switch",
    .size = sizeof(struct state),
    .open = open,
    .close = close,
    .draw = draw,
    .key = key,
    .tick = tick,
    .typing = typing,
    .hint = hint};
