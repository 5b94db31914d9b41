/* palette.c: everything that can be done here, found by typing part of its name, with its key.
 *
 * Made from keys.def, screens.def and commands.c, so that it never knows less or more than they do.
 * ↑ from the first entry brings back what was done here before. A pasted request id jumps to that
 * request; colours are shown as soon as the cursor is on their name, and stay with Enter. */
#include "tui/app.h"

#include "tui/screens/commands.h"
#include "tui/screens/requests.h"
#include "tui/typed.h"
#include "tui/widgets/edit.h"
#include "tui/widgets/menu.h"

#include <stdio.h>

enum { ENTRIES_MAX = 160 };

struct entry {
    char name[40];
    const char *help;
    const struct key_row *row;     /* an action, … */
    const struct screen *screen;   /* … a screen, … */
    const char *theme;             /* … colours, … */
    const struct command *command; /* … or a command, with the words after its name */
    char args[40];
};

struct state {
    struct entry all[ENTRIES_MAX];
    size_t all_count;
    size_t found[ENTRIES_MAX], found_count, selected, top;
    struct edit edit;
    struct typed done;
    char theme[32]; /* in force when it was opened */
};

static void add(struct state *s, struct entry e)
{
    if (s->all_count < ENTRIES_MAX)
        s->all[s->all_count++] = e;
}

/* What another place here has its own meaning for is left to it. */
static void add_context(struct state *s, const enum context *place, enum context c)
{
    for (size_t i = 0; i < key_row_count; i++) {
        const struct key_row *row = &key_rows[i];
        struct entry e = {.help = row->help, .row = row};
        if (row->context != c || row->action == ACTION_PALETTE ||
            keymap_row(place, row->action) != row)
            continue;
        for (size_t n = 0; row->name[n] && n + 1 < sizeof e.name; n++)
            e.name[n] = row->name[n] == '_' ? '-' : (char)(row->name[n] | 0x20);
        add(s, e);
    }
}

static bool fits(const struct state *s, const struct entry *e)
{
    struct str args;
    const struct command *command = command_find(str_n(s->edit.text, s->edit.n), &args);
    if (command && e->command == command && !e->args[0])
        return true;
    struct str text = str_trim(str_n(s->edit.text, s->edit.n)), word;
    while (str_cut(&text, ' ', &word))
        if (word.n && str_find_nocase(str_c(e->name), word) < 0 &&
            str_find_nocase(str_c(e->help), word) < 0)
            return false;
    return true;
}

static void find(struct state *s)
{
    struct str text = str_n(s->edit.text, s->edit.n);
    s->found_count = 0;
    for (int pass = 0; pass < 2; pass++) /* names that begin so come first */
        for (size_t i = 0; i < s->all_count; i++)
            if (fits(s, &s->all[i]) &&
                str_starts_nocase(str_c(s->all[i].name), text) == (pass == 0))
                s->found[s->found_count++] = i;
    s->selected = s->top = 0;
}

static void add_commands(struct app *a, struct state *s)
{
    const struct settings_entry *saved;
    struct str none;
    for (size_t i = 0; i < command_count; i++) {
        struct entry e = {.help = commands[i].help, .command = &commands[i]};
        snprintf(e.name, sizeof e.name, "%s %s", commands[i].name, commands[i].args);
        add(s, e);
    }
    for (size_t i = 0; (saved = settings_find(&a->settings, "filter ", i)) != NULL; i++) {
        struct entry e = {.help = saved->value};
        e.command = command_find(STR("filter"), &none);
        str_copy(e.args, sizeof e.args, str_from(str_c(saved->key), strlen("filter ")));
        snprintf(e.name, sizeof e.name, "filter %.32s", e.args);
        add(s, e);
    }
}

static void open(struct app *a, void *state, const void *arg)
{
    struct state *s = state;
    (void)arg;
    const enum context *place = app_place(a, app_current(a));
    for (const enum context *c = place; c && *c != CONTEXT_END; c++)
        add_context(s, place, *c);
    add_context(s, place, CONTEXT_GLOBAL);
    for (size_t i = 0; app_screen(i); i++) {
        struct entry e = {.help = "show this screen", .screen = app_screen(i)};
        str_copy(e.name, sizeof e.name, str_c(app_screen(i)->name));
        add(s, e);
    }
    for (size_t i = 0; theme_built_in(i); i++) {
        struct entry e = {.help = "colours, shown at once", .theme = theme_built_in(i)};
        snprintf(e.name, sizeof e.name, "theme %.30s", theme_built_in(i));
        add(s, e);
    }
    add_commands(a, s);
    typed_open(&s->done, "commands");
    str_copy(s->theme, sizeof s->theme, str_c(a->theme.name));
    find(s);
}

static void draw_entry(struct app *a, const struct entry *e, int y, struct rect r, bool on)
{
    char key[16] = "-";
    if (e->row && *e->row->keys)
        keymap_show(e->row->keys, key);
    else if (e->screen)
        snprintf(key, sizeof key, "%c", e->screen->digit);
    ui_under(on ? ROLE_SELECTED : ROLE_NONE);
    if (on)
        ui_fill((struct rect){y, r.x + 1, 1, r.w - 2}, ROLE_TEXT);
    ui_put(y, r.x + 2, 20, ROLE_TEXT, e->name);
    ui_put(y, r.x + 23, 7, ROLE_BAR_KEY, key);
    ui_put(y, r.x + 31, r.w - 33, ROLE_DIM, e->help);
    ui_under(ROLE_NONE);
    (void)a;
}

static void draw(struct app *a, void *state, struct rect r)
{
    struct state *s = state;
    struct rect box = sheet_rect(r, MIN(r.h, 16), MIN(r.w, 90));
    size_t page = (size_t)MAX(box.h - 4, 1);
    char count[40];
    if (s->selected < s->top)
        s->top = s->selected;
    if (s->selected >= s->top + page)
        s->top = s->selected - page + 1;
    ui_box(box, "Do");
    snprintf(count, sizeof count, " %zu of %zu ", s->found_count, s->all_count);
    ui_put_right(box.y, box.x + box.w - 20, 18, ROLE_DIM, count);
    for (size_t i = s->top; i < s->found_count && i < s->top + page; i++)
        draw_entry(a, &s->all[s->found[i]], box.y + 3 + (int)(i - s->top), box, i == s->selected);
    if (!s->found_count)
        ui_put(box.y + 3, box.x + 2, box.w - 4, ROLE_DIM, "nothing is called so");
    ui_put(box.y + 1, box.x + 2, 1, ROLE_BAR_KEY, ":");
    edit_draw(&s->edit, box.y + 1, box.x + 4, box.w - 6, ROLE_INPUT, a);
}

static bool is_id(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'z')))
            return false;
    return s.n == 26;
}

static void run(struct app *a, struct state *s)
{
    char typed[EDIT_MAX + 1];
    struct str text = str_trim(str_n(s->edit.text, s->edit.n)), args;
    bool jump = is_id(text);
    if (!jump && !s->found_count)
        return;
    struct entry e = jump ? (struct entry){.help = ""} : s->all[s->found[s->selected]];
    str_copy(typed, sizeof typed, text);
    bool words = e.command && command_find(text, &args) == e.command && !e.args[0];
    if (!jump)
        typed_put(&s->done, words ? typed : e.name);
    app_pop(a, s);
    if (jump)
        requests_open(a, str_c(typed));
    else if (e.screen)
        app_show(a, e.screen->name);
    else if (e.theme)
        app_set(a, "theme", e.theme);
    else if (words && command_find(str_c(typed), &args))
        e.command->run(a, args);
    else if (e.command)
        e.command->run(a, str_c(e.args));
    else if (e.row)
        app_do(a, e.row->action);
}

/* The colours of the entry under the cursor, else those that were there before. */
static void preview(struct app *a, const struct state *s)
{
    const struct entry *e = s->found_count ? &s->all[s->found[s->selected]] : NULL;
    const char *name = s->edit.n && e && e->theme ? e->theme : s->theme;
    if (strcmp(name, a->theme.name) != 0)
        app_set_theme(a, name);
}

/* A command waits for its words behind the name; the rest is complete. */
static void complete(struct state *s)
{
    const struct entry *e = &s->all[s->found[s->selected]];
    char text[60];
    snprintf(text, sizeof text, "%s ", e->command && !e->args[0] ? e->command->name : e->name);
    edit_set(&s->edit, text);
}

/* ↑ at the first entry goes on into what was done before, ↓ comes back out of it. */
static void up_or_down(struct state *s, bool up)
{
    const char *text = NULL;
    if (up ? s->selected == 0 : s->done.back > 0)
        text = typed_step(&s->done, up);
    if (text) {
        edit_set(&s->edit, text);
        find(s);
    } else if (up) {
        s->selected -= s->selected > 0;
    } else {
        s->selected += s->selected + 1 < s->found_count;
    }
}

static bool key(struct app *a, void *state, int key)
{
    struct state *s = state;
    if (key == '\r') {
        run(a, s);
        return true;
    }
    if (key == 27 || key == 3) {
        if (strcmp(s->theme, a->theme.name) != 0)
            app_set_theme(a, s->theme);
        app_pop(a, s);
        return true;
    }
    if (key == KEY_N_DOWN || key == 14 || key == KEY_N_UP || key == 16)
        up_or_down(s, key == KEY_N_UP || key == 16);
    else if (key == '\t' && s->found_count)
        complete(s);
    else if (edit_key(&s->edit, key))
        find(s);
    preview(a, s);
    return true;
}

const struct screen sheet_palette = {.name = "palette",
    .size = sizeof(struct state),
    .open = open,
    .draw = draw,
    .key = key,
    .types = true,
    .line = "↑↓ choose, ↑ again: done before  Tab complete  Enter do  Esc close"};
