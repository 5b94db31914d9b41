/* menu.c: see menu.h. */
#include "tui/widgets/menu.h"

#include <stdlib.h>

struct state {
    char title[64];
    char text[MENU_ITEMS_MAX][80];
    int key[MENU_ITEMS_MAX];
    size_t count, selected, top;
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
    s->selected = m->selected < s->count ? m->selected : 0;
    s->chosen = m->chosen;
    s->ctx = m->ctx;
}

static void draw(struct app *a, void *state, struct rect r)
{
    struct state *s = state;
    int w = (int)strlen(s->title) + 8;
    for (size_t i = 0; i < s->count; i++)
        w = MAX(w, (int)strlen(s->text[i]) + 10);
    struct rect box = sheet_rect(r, (int)s->count + 2, w);
    size_t page = (size_t)MAX(box.h - 2, 1);
    if (s->selected < s->top)
        s->top = s->selected;
    if (s->selected >= s->top + page)
        s->top = s->selected - page + 1;
    ui_box(box, s->title);
    for (size_t i = s->top; i < s->count && i < s->top + page; i++) {
        int y = box.y + 1 + (int)(i - s->top);
        char key[2] = {s->key[i] ? (char)s->key[i] : ' ', 0};
        bool on = i == s->selected;
        ui_under(on ? ROLE_SELECTED : ROLE_NONE);
        if (on)
            ui_fill((struct rect){y, box.x + 1, 1, box.w - 2}, ROLE_TEXT);
        ui_put(y, box.x + 2, 1, ROLE_ACCENT, on ? "»" : " ");
        ui_put(y, box.x + 4, 1, ROLE_BAR_KEY, key);
        ui_put(y, box.x + 6, box.w - 8, ROLE_TEXT, s->text[i]);
        ui_under(ROLE_NONE);
        if (on)
            app_cursor(a, y, box.x + 2);
    }
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
    if (key == '\r')
        return choose(a, s, s->selected);
    if ((key == 'j' || key == KEY_N_DOWN) && s->selected + 1 < s->count)
        s->selected++;
    else if ((key == 'k' || key == KEY_N_UP) && s->selected)
        s->selected--;
    else
        return false;
    return true;
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
