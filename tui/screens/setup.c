/* setup.c: F2: what is on and off for this person, kept in console.conf. Everything here concerns
 * the own console only. */
#include "tui/app.h"

#include "tui/widgets/menu.h"
#include "tui/widgets/pick.h"

#include <stdio.h>
#include <stdlib.h>

struct state {
    struct app *app;
    struct pick pick;
};

static void open(struct app *a, void *state, const void *arg)
{
    (void)arg;
    ((struct state *)state)->app = a;
}

static void draw_item(void *ctx, size_t i, int y, int x, int width)
{
    const struct state *s = ctx;
    bool on = settings_on(&s->app->settings, (enum setting)i);
    ui_put(y, x, 4, on ? ROLE_OK : ROLE_DIM, on ? "[x]" : "[ ]");
    ui_put(y, x + 4, width - 4, ROLE_TEXT, setting_rows[i].help);
}

static const char *below_home(const char *path, char out[520])
{
    const char *home = getenv("HOME");
    size_t n = home ? strlen(home) : 0;
    bool below = n > 1 && strncmp(path, home, n) == 0 && path[n] == '/';
    snprintf(out, 520, "%s%s", below ? "~" : "", path + (below ? n : 0));
    return out;
}

static void draw(struct app *a, void *state, struct rect r)
{
    struct state *s = state;
    char path[512], shown[520];
    struct rect box = sheet_rect(r, SETTING_COUNT + 6, 82);
    ui_box(box, "Setup");
    struct rect list = {box.y + 1, box.x + 2, MIN(SETTING_COUNT, box.h - 2), box.w - 4};
    pick_draw(&s->pick, list, SETTING_COUNT, draw_item, s, a);
    if (box.h < SETTING_COUNT + 6)
        return;
    int y = box.y + SETTING_COUNT + 2;
    ui_printf(y, box.x + 2, box.w - 4, ROLE_DIM,
        "colours: %s (:theme)   columns: :cols   own keys: keys.conf", app_theme(a)->name);
    bool kept = settings_path(path, sizeof path, "console.conf");
    ui_printf(y + 1, box.x + 2, box.w - 4, ROLE_DIM, "kept in %s",
        kept ? below_home(path, shown) : "no file: HOME is not set");
}

static bool key(struct app *a, void *state, int key)
{
    struct state *s = state;
    enum pick_did did = pick_key(&s->pick, key == ' ' ? '\r' : keymap_latin(key), SETTING_COUNT);
    if (did != PICK_TAKEN)
        return did != PICK_NOTHING;
    enum setting i = (enum setting)s->pick.selected;
    const struct setting_row *row = &setting_rows[i];
    app_set(a, row->key, settings_on(&a->settings, i) ? row->off : row->on);
    return true;
}

const struct screen sheet_setup = {.name = "setup",
    .size = sizeof(struct state),
    .open = open,
    .draw = draw,
    .key = key,
    .line = "Space or Enter turns on or off  Esc close"};
