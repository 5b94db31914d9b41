/* help.c: the help screen, made from keys.def: what the keys do here, then everywhere. */
#include "tui/app.h"

#include "tui/widgets/edit.h"
#include "tui/widgets/text.h"

#include <stdio.h>

struct state {
    struct text text; /* first: text_sheet_close() */
    struct edit search;
    bool searching;
    char title[64];
};

static void lay_context(struct text *t, const enum context *place, enum context c)
{
    text_printf(t, ROLE_HEADING, "%s", context_title(c));
    text_extend(t, ROLE_DIM, STR("   (keys.conf: "));
    for (const char *p = context_name(c); *p; p++)
        text_extend(t, ROLE_DIM, str_n((char[]){(char)(*p | 0x20)}, 1));
    text_extend(t, ROLE_DIM, STR(".…)"));
    for (size_t i = 0; i < key_row_count; i++) {
        const struct key_row *row = &key_rows[i];
        if (row->context != c || !*row->keys || keymap_row(place, row->action) != row)
            continue;
        text_printf(t, ROLE_BAR_KEY, "  %-16s", row->keys);
        text_extend(t, ROLE_TEXT, str_c(row->help));
    }
    text_add(t, ROLE_TEXT, "");
}

static void open(struct app *a, void *state, const void *arg)
{
    struct state *s = state;
    const struct shown *front = app_current(a);
    (void)arg;
    snprintf(s->title, sizeof s->title, "Help: %s", front->screen->title);
    text_reset(&s->text);
    s->text.stay = true;
    const enum context *place = app_place(a, front);
    for (const enum context *c = place; c && *c != CONTEXT_END; c++)
        lay_context(&s->text, place, *c);
    lay_context(&s->text, place, CONTEXT_GLOBAL);
    text_add(&s->text, ROLE_HEADING, "screens");
    for (size_t i = 0; app_screen(i); i++)
        text_printf(&s->text, ROLE_TEXT, "  %c M-%c           %s", app_screen(i)->digit,
            app_screen(i)->digit, app_screen(i)->title);
    text_add(&s->text, ROLE_TEXT, "");
    text_add(&s->text, ROLE_HEADING, "filter");
    text_add(&s->text, ROLE_TEXT,
        "  model:claude*  st:>=400  dur:>2s  ttft:>1s  in:>10k  cost:>0.01  key:ci");
    text_add(&s->text, ROLE_TEXT, "  -route:fallback  \"rate limit\"  a | b  is:live  age:<10m");
    text_add(&s->text, ROLE_HEADING, "marks");
    text_add(&s->text, ROLE_TEXT,
        "  ▸ live  ✓ done  ! 4xx, limit  ✗ failed  ↻ after a retry  → another model answers");
    text_add(
        &s->text, ROLE_TEXT, "  • marked  » selected  ~ estimated cost  s paid by a subscription");
    text_add(&s->text, ROLE_DIM, "");
    text_add(&s->text, ROLE_DIM,
        "Old tmux: set -sg escape-time 10, else Esc is slow. Mouse on (F2): hold Shift to select.");
}

static void draw(struct app *a, void *state, struct rect r)
{
    struct state *s = state;
    ui_box(r, s->title);
    text_draw(&s->text, (struct rect){r.y + 1, r.x + 2, r.h - 2, r.w - 4}, a);
    if (s->searching)
        edit_draw(&s->search, r.y + r.h - 1, r.x + 3, MIN(30, r.w - 6), ROLE_INPUT, a);
}

static bool key(struct app *a, void *state, int key)
{
    struct state *s = state;
    if (s->searching) {
        if (key == '\r' || key == 27)
            s->searching = false;
        else if (edit_key(&s->search, key))
            text_find(&s->text, s->search.text, false);
        return key != 3;
    }
    if (key == '?' || key == KEY_N_F0 + 1) {
        app_pop(a, s);
        return true;
    }
    return false;
}

static bool action(struct app *a, void *state, enum action action)
{
    struct state *s = state;
    if (action == ACTION_SEARCH)
        s->searching = true;
    return action == ACTION_SEARCH || text_sheet_action(a, state, action);
}

static bool typing(struct app *a, void *state)
{
    (void)a;
    return ((struct state *)state)->searching;
}

const struct screen sheet_help = {.name = "help",
    .full = true,
    .size = sizeof(struct state),
    .contexts = text_place,
    .open = open,
    .close = text_sheet_close,
    .draw = draw,
    .key = key,
    .action = action,
    .typing = typing,
    .line = "Space page  / search  n N next  ? or Esc close"};
