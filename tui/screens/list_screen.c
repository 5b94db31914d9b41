/* list_screen.c: see list_screen.h. */
#include "tui/screens/list_screen.h"

#include "tui/clean.h"
#include "tui/screens/requests.h"

#include <stdio.h>
#include <time.h>

enum { NAME_MAX_BYTES = 120, COLUMNS_MAX = 256, ELEMENTS_MAX = 16 };

static const struct list_frame *frame_of(const struct listing *l)
{
    return CONTAINER_OF(l->def, const struct list_frame, def);
}

void list_open(struct app *a, void *state, const void *arg)
{
    const struct list_frame *f = app_screen_of(a, state)->list;
    (void)arg;
    listing_init(state, a, &f->def);
    if (f->opened)
        f->opened(state);
}

void list_close(struct app *a, void *state)
{
    const struct list_frame *f = frame_of(state);
    listing_close(a, state);
    if (f->closed)
        f->closed(state);
}

/* What stands below is painted first: the cursor rests in the list. */
void list_draw(struct app *a, void *state, struct rect r)
{
    const struct list_frame *f = frame_of(state);
    int foot = f->foot ? f->foot(r.h) : 0;
    (void)a;
    if (f->head)
        f->head(state, r.y++, r.w), r.h--;
    if (foot)
        f->draw_foot(state, (struct rect){r.y + r.h - foot, r.x, foot, r.w});
    listing_draw(state, (struct rect){r.y, r.x, r.h - foot, r.w});
}

bool list_action(struct app *a, void *state, enum action action)
{
    struct listing *l = state;
    const struct list_frame *f = frame_of(l);
    struct str row = listing_row(l);
    if ((f->act && f->act(l, row, action)) || listing_action(l, action))
        return true;
    if (action == ACTION_EXPORT) {
        list_save(a, f->def.member, l->rows, l->count);
        return true;
    }
    if (action != ACTION_OPEN || !f->term)
        return false;
    requests_of(a, row, f->term, f->member);
    return true;
}

bool list_subject(struct app *a, void *state, struct subject *out)
{
    const struct list_frame *f = frame_of(state);
    struct str row = listing_row(state);
    (void)a;
    if (!row.n || !f->subject)
        return false;
    f->subject(state, row, out);
    return true;
}

void list_post(struct app *a, struct listing *l, const char *what, const char *name, const char *verb,
    const char *body, app_answer done)
{
    struct buf path;
    if (!app_may_change(a))
        return;
    buf_init(&path, 600);
    buf_printf(&path, "%s/", what);
    link_path(&path, str_c(name));
    buf_printf(&path, "/%s", verb);
    if (!path.err)
        app_ask(a, l, "POST", buf_c(&path), str_c(body), done);
    buf_fini(&path);
}

/* ---- as a file ---- */

struct names { /* of the columns, in the order in which the rows have them */
    char text[COLUMNS_MAX][NAME_MAX_BYTES];
    size_t count;
};

static void add_name(struct names *n, struct str group, struct str name)
{
    char text[NAME_MAX_BYTES];
    snprintf(text, sizeof text, STR_FMT "%s" STR_FMT, STR_ARG(str_first(group, 50)),
        group.n ? "." : "", STR_ARG(str_first(name, 60)));
    for (size_t i = 0; i < n->count; i++)
        if (strcmp(n->text[i], text) == 0)
            return;
    if (n->count < COLUMNS_MAX)
        memcpy(n->text[n->count++], text, sizeof text);
}

static void add_names(struct names *n, struct str group, struct str object);

/* Of objects: NAME.0.MEMBER and so on. Lists of figures and texts have no place in a table. */
static void add_elements(struct names *n, struct str name, struct str list)
{
    struct json_iter it = json_iter(list);
    struct json_span k, v;
    char group[NAME_MAX_BYTES];
    for (int i = 0; i < ELEMENTS_MAX && json_next(&it, &k, &v) && v.type == JSON_OBJECT; i++) {
        snprintf(group, sizeof group, STR_FMT ".%d", STR_ARG(str_first(name, 40)), i);
        add_names(n, str_c(group), v.raw);
    }
}

/* Objects stand as NAME.MEMBER. */
static void add_names(struct names *n, struct str group, struct str object)
{
    struct json_iter it = json_iter(object);
    struct json_span k, v;
    while (it.object && json_next(&it, &k, &v)) {
        struct str name = str_n(k.raw.p + 1, k.raw.n - 2);
        if (v.type == JSON_OBJECT && !group.n)
            add_names(n, name, v.raw);
        else if (v.type == JSON_ARRAY && !group.n)
            add_elements(n, name, v.raw);
        else if (v.type != JSON_OBJECT && v.type != JSON_ARRAY)
            add_name(n, group, name);
    }
}

/* As the lists show it: files are looked at with cat, too. Cleaning leaves out joiners and the like:
 * a formula that hid behind one is at the beginning only then. */
static void put_text(struct buf *out, struct str s)
{
    struct buf shown;
    buf_init(&shown, 4 << 20);
    clean_put(&shown, s, false);
    buf_putc(out, '"');
    if (shown.n && (strchr("=+-@", shown.p[0]) || strchr("\t\r\n", s.p[0])))
        buf_putc(out, '\'');
    for (size_t i = 0; i < shown.n; i++) {
        if (shown.p[i] == '"')
            buf_putc(out, '"');
        buf_putc(out, shown.p[i]);
    }
    buf_putc(out, '"');
    buf_fini(&shown);
}

static void put_value(struct buf *out, struct json_span v)
{
    struct arena mem;
    arena_init(&mem, 512, 1 << 20);
    if (v.type == JSON_STRING)
        put_text(out, json_text(v, &mem));
    else if (v.type != JSON_NONE && v.type != JSON_NULL && v.type != JSON_ARRAY)
        buf_put_str(out, v.raw);
    arena_fini(&mem);
}

void list_csv(struct buf *out, const struct str *rows, size_t count)
{
    struct names n = {.count = 0};
    for (size_t i = 0; i < count; i++)
        add_names(&n, STR_NULL, rows[i]);
    for (size_t c = 0; c < n.count; c++)
        buf_printf(out, "%s%s", c ? "," : "", n.text[c]);
    buf_putc(out, '\n');
    for (size_t i = 0; i < count; i++, buf_putc(out, '\n'))
        for (size_t c = 0; c < n.count; c++) {
            if (c)
                buf_putc(out, ',');
            put_value(out, json_path(rows[i], n.text[c]));
        }
}

void list_save(struct app *a, const char *name, const struct str *rows, size_t count)
{
    struct buf out;
    char file[120], when[32];
    time_t now = (time_t)(app_now_ms(a) / 1000);
    struct tm tm;
    if (!count) {
        app_say(a, ROLE_WARN, "there is no row to write");
        return;
    }
    strftime(when, sizeof when, "%Y%m%d-%H%M%S", localtime_r(&now, &tm));
    snprintf(file, sizeof file, "pointsman-%s-%s.csv", name, when);
    buf_init(&out, (size_t)64 << 20);
    list_csv(&out, rows, count);
    app_save(a, file, &out);
    buf_fini(&out);
}
