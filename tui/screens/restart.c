/* restart.c: the sheet behind `restart`: the gateway lets its requests end and starts the program
 * as it is now on the same socket; the console finds it again by itself. */
#include "tui/app.h"

#include "tui/widgets/menu.h"
#include "tui/widgets/pick.h"

#include "proxy/admin/api.h"

struct state {
    struct pick pick;
};

static const char *const options[] = {
    "leave it as it is", "restart: drain, then start the new one"};

static void on_done(struct app *a, void *state, int status, struct str reply)
{
    (void)reply;
    if (status == 200)
        app_say(a, ROLE_OK, "the gateway drains and starts anew; this console waits for it");
    app_pop(a, state);
}

static void draw_option(void *ctx, size_t i, int y, int x, int width)
{
    (void)ctx;
    ui_put(y, x, width, i ? ROLE_WARN : ROLE_TEXT, options[i]);
}

static void draw(struct app *a, void *state, struct rect r)
{
    struct state *s = state;
    const struct gateway *g = &app_model(a)->gateway;
    struct rect box = sheet_rect(r, 7, 72);
    ui_box(box, "Restart");
    ui_printf(box.y + 1, box.x + 2, box.w - 4, ROLE_TEXT, "gateway %s, this console %s", g->version,
        POINTSMAN_VERSION);
    ui_put(box.y + 2, box.x + 2, box.w - 4, ROLE_DIM,
        "What runs may end first; new requests wait for the new one.");
    pick_draw(&s->pick, (struct rect){box.y + 4, box.x + 2, 2, box.w - 4}, ARRAY_LEN(options),
        draw_option, s, a);
}

static bool key(struct app *a, void *state, int key)
{
    struct state *s = state;
    enum pick_did did = pick_key(&s->pick, key, ARRAY_LEN(options));
    if (did != PICK_TAKEN)
        return did != PICK_NOTHING;
    if (s->pick.selected == 0 || !app_may_change(a))
        app_pop(a, s);
    else
        app_ask(a, s, "POST", "restart", STR("{}"), on_done);
    return true;
}

const struct screen sheet_restart = {.name = "restart",
    .size = sizeof(struct state),
    .draw = draw,
    .key = key,
    .line = "↑↓ choose  Enter do it  Esc close"};
