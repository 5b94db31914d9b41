/* menu.c: see menu.h. */
#include "tui/widgets/menu.h"

#include "tui/widgets/pick.h"

struct state {
    char title[64];
    char text[MENU_ITEMS_MAX][80];
    int key[MENU_ITEMS_MAX];
    size_t count;
    struct pick pick;
    void (*chosen)(struct app *a, void *ctx, size_t i);
    void *ctx;
};

struct rect sheet_rect(struct rect r, int h, int w)
{
    h = MIN(h, r.h);
    w = MIN(w, r.w);
    return (struct rect){r.y + (r.h - h) / 2, r.x + (r.w - w) / 2, h, w};
}

static void open(struct app *a, void *state, const void *arg)
{
    struct state *s = state;
    const struct menu_arg *m = arg;
    (void)a;
    str_copy(s->title, sizeof s->title, str_c(m->title));
    s->count = MIN(m->count, (size_t)MENU_ITEMS_MAX);
    for (size_t i = 0; i < s->count; i++) {
        str_copy(s->text[i], sizeof s->text[i], str_c(m->items[i].text));
        s->key[i] = m->items[i].key;
    }
    s->pick.selected = m->selected < s->count ? m->selected : 0;
    s->chosen = m->chosen;
    s->ctx = m->ctx;
}

static void draw_item(void *ctx, size_t i, int y, int x, int width)
{
    const struct state *s = ctx;
    char key[2] = {s->key[i] ? (char)s->key[i] : ' ', 0};
    ui_put(y, x, 1, ROLE_BAR_KEY, key);
    ui_put(y, x + 2, width - 2, ROLE_TEXT, s->text[i]);
}

static void draw(struct app *a, void *state, struct rect r)
{
    struct state *s = state;
    int w = (int)strlen(s->title) + 8;
    for (size_t i = 0; i < s->count; i++)
        w = MAX(w, (int)strlen(s->text[i]) + 10);
    struct rect box = sheet_rect(r, (int)s->count + 2, w);
    ui_box(box, s->title);
    pick_draw(&s->pick, (struct rect){box.y + 1, box.x + 2, box.h - 2, box.w - 3}, s->count,
        draw_item, s, a);
}

static bool choose(struct app *a, struct state *s, size_t i)
{
    struct state copy = *s;
    app_pop(a, s);
    copy.chosen(a, copy.ctx, i);
    return true;
}

static bool key(struct app *a, void *state, int key)
{
    struct state *s = state;
    for (size_t i = 0; i < s->count; i++)
        if (s->key[i] && s->key[i] == keymap_latin(key))
            return choose(a, s, i);
    enum pick_did did = pick_key(&s->pick, key, s->count);
    return did == PICK_TAKEN ? choose(a, s, s->pick.selected) : did != PICK_NOTHING;
}

static const struct screen sheet_menu = {.name = "menu",
    .size = sizeof(struct state),
    .open = open,
    .draw = draw,
    .key = key,
    .line = "↑↓ choose  Enter take  Esc close"};

void menu_open(struct app *a, const struct menu_arg *arg)
{
    if (arg->count)
        app_push(a, &sheet_menu, arg);
}
