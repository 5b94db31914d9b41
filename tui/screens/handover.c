/* handover.c: P: a provider key that this terminal's environment holds and the gateway lacks is
 * handed over: on the socket, never on a command line, kept by the gateway in memory only. */
#include "tui/app.h"

#include "tui/screens/sheets.h"
#include "tui/widgets/menu.h"
#include "tui/widgets/pick.h"

#include <stdlib.h>

static const struct {
    const char *variable, *provider;
} known[] = {{"OPENAI_API_KEY", "openai"}, {"ANTHROPIC_API_KEY", "anthropic"},
    {"GEMINI_API_KEY", "gemini"}, {"OPENROUTER_API_KEY", "openrouter"}, {"GROQ_API_KEY", "groq"},
    {"MISTRAL_API_KEY", "mistral"}, {"DEEPSEEK_API_KEY", "deepseek"}, {"XAI_API_KEY", "xai"},
    {"TOGETHER_API_KEY", "together"}};

struct state {
    size_t found[ARRAY_LEN(known)], count;
    struct pick pick;
};

/* Set here, no key of ours, and the gateway has no such provider. */
static bool lacks(struct app *a, size_t i)
{
    const char *value = getenv(known[i].variable);
    char wanted[80] = ",";
    struct str name = str_c(known[i].provider);
    if (!value || strlen(value) < 16 || strncmp(value, "sk-pm-", 6) == 0)
        return false;
    memcpy(wanted + 1, name.p, name.n);
    wanted[1 + name.n] = ',';
    wanted[2 + name.n] = '\0';
    return str_find(str_c(app_model(a)->gateway.provider_names), str_c(wanted)) < 0;
}

const char *handover_variable(struct app *a)
{
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (lacks(a, i))
            return known[i].variable;
    return NULL;
}

static void on_done(struct app *a, void *state, int status, struct str reply)
{
    (void)reply;
    if (status == 200)
        app_say(a, ROLE_OK, "handed over: the gateway uses it until it ends");
    app_pop(a, state);
}

static void hand_over(struct app *a, struct state *s)
{
    size_t i = s->found[s->pick.selected];
    struct buf path, body;
    if (!app_may_change(a))
        return;
    buf_init(&path, 200);
    buf_init(&body, 8192);
    buf_printf(&path, "providers/%s/key", known[i].provider);
    struct json_writer w = json_writer(&body);
    json_object_begin(&w, NULL);
    json_put_c(&w, "variable", known[i].variable);
    json_put_c(&w, "value", getenv(known[i].variable));
    json_object_end(&w);
    if (!path.err && !body.err)
        app_ask(a, s, "POST", buf_c(&path), buf_str(&body), on_done);
    if (body.p)
        explicit_bzero(body.p, body.cap);
    buf_fini(&path);
    buf_fini(&body);
}

static void draw_row(void *ctx, size_t i, int y, int x, int width)
{
    const struct state *s = ctx;
    ui_printf(y, x, width, ROLE_TEXT, "%-20s for provider %s", known[s->found[i]].variable,
        known[s->found[i]].provider);
}

static void draw(struct app *a, void *state, struct rect r)
{
    struct state *s = state;
    struct rect box = sheet_rect(r, (int)s->count + 4, 64);
    ui_box(box, "Hand a provider key over");
    ui_put(
        box.y + 1, box.x + 2, box.w - 4, ROLE_DIM, "The gateway keeps it in memory, in no file.");
    pick_draw(&s->pick, (struct rect){box.y + 2, box.x + 2, (int)s->count, box.w - 4}, s->count,
        draw_row, s, a);
}

static bool key(struct app *a, void *state, int key)
{
    struct state *s = state;
    enum pick_did did = pick_key(&s->pick, key, s->count);
    if (did == PICK_TAKEN)
        hand_over(a, s);
    return did != PICK_NOTHING;
}

static void open_sheet(struct app *a, void *state, const void *arg)
{
    struct state *s = state;
    (void)arg;
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (lacks(a, i))
            s->found[s->count++] = i;
    if (!s->count) {
        app_say(a, ROLE_WARN,
            "this terminal's environment holds no provider key that the gateway lacks");
        app_pop(a, s);
    }
}

const struct screen sheet_handover = {.name = "handover",
    .size = sizeof(struct state),
    .open = open_sheet,
    .draw = draw,
    .key = key,
    .line = "Enter hand it over  Esc close"};
