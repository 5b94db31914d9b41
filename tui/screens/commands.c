/* commands.c: see commands.h. */
#include "tui/screens/commands.h"

#include "tui/screens/requests.h"
#include "tui/settings.h"
#include "tui/widgets/note.h"

#include <stdio.h>

/* ---- filters by name ---- */

static bool plain_name(struct app *a, struct str name)
{
    if (name.n && name.n < 40 && str_chr(name, '=') < 0)
        return true;
    app_say(a, ROLE_WARN, "a name is 1 to 39 characters without =: :save slow");
    return false;
}

static void save(struct app *a, struct str name)
{
    char key[64];
    const char *filter = requests_filter_text(a);
    if (!plain_name(a, name))
        return;
    if (!*filter) {
        app_say(a, ROLE_WARN, "there is no filter to save: / sets one");
        return;
    }
    snprintf(key, sizeof key, "filter " STR_FMT, STR_ARG(name));
    if (app_set(a, key, filter))
        app_say(a, ROLE_MESSAGE, "saved: :filter " STR_FMT " brings it back", STR_ARG(name));
}

static void use(struct app *a, struct str name)
{
    char key[64];
    snprintf(key, sizeof key, "filter " STR_FMT, STR_ARG(str_first(name, 50)));
    const char *filter = settings_text(app_settings(a), key);
    if (*filter)
        requests_filter(a, filter);
    else
        app_say(a, ROLE_WARN, "no filter is saved as \"" STR_FMT "\" (:save does it)",
            STR_ARG(str_first(name, 40)));
}

static void forget(struct app *a, struct str name)
{
    char key[64];
    if (!plain_name(a, name))
        return;
    snprintf(key, sizeof key, "filter " STR_FMT, STR_ARG(name));
    if (!*settings_text(app_settings(a), key))
        app_say(a, ROLE_WARN, "no filter is saved as \"" STR_FMT "\"", STR_ARG(name));
    else if (app_set(a, key, ""))
        app_say(a, ROLE_MESSAGE, "forgotten: " STR_FMT, STR_ARG(name));
}

/* ---- columns ---- */

static void choose_columns(struct app *a, struct str names)
{
    char key[64], text[SETTING_BYTES_MAX + 1];
    const char *screen = app_columns(a, names);
    if (!screen)
        return;
    snprintf(key, sizeof key, "columns %s", screen);
    str_copy(text, sizeof text, names);
    if (app_set(a, key, text))
        app_say(a, ROLE_MESSAGE,
            names.n ? "these columns stay for %s (:cols alone brings all back)"
                    : "%s shows all columns again",
            screen);
}

/* ---- colours ---- */

static void weak_role(void *ctx, enum role role, double contrast)
{
    text_printf(ctx, ROLE_WARN, "%-10s %4.1f", role_name(role), contrast);
}

static void fill_check(struct text *t, void *ctx)
{
    const struct theme *theme = ctx;
    size_t checked = 0, weak;
    text_printf(t, ROLE_HEADING, "contrast below 4.5 in %s, 256 colours:", theme->name);
    weak = theme_check(theme, weak_role, t, &checked);
    if (!weak)
        text_add(t, ROLE_OK, "none");
    text_printf(
        t, ROLE_DIM, "%zu roles checked; the others have the terminal's own colours", checked);
}

static void check_theme(struct app *a, struct str args)
{
    (void)args;
    note_open(a, &(struct note_arg){.title = "Theme",
                     .height = 24,
                     .width = 64,
                     .fill = fill_check,
                     .ctx = (void *)app_theme(a)});
}

static void set_theme(struct app *a, struct str name)
{
    char text[40];
    str_copy(text, sizeof text, name);
    if (!app_set_theme(a, text))
        return; /* the reason is said */
    if (app_set(a, "theme", text))
        app_say(a, ROLE_MESSAGE, "%s from now on", text);
}

const struct command commands[] = {
    {"save", "NAME", "keep the filter of Requests under a name", save},
    {"filter", "NAME", "show requests by a saved filter", use},
    {"forget", "NAME", "remove a saved filter", forget},
    {"cols", "NAMES", "columns of this list, in this order; none: all (cols st model dur cost)",
        choose_columns},
    {"theme", "NAME", "colours of ~/.config/pointsman/themes/NAME.theme", set_theme},
    {"theme-check", "", "roles that are hard to read in these colours", check_theme},
};
const size_t command_count = ARRAY_LEN(commands);

const struct command *command_find(struct str text, struct str *args)
{
    struct str word;
    text = str_trim(text);
    *args = STR_NULL;
    if (!str_cut(&text, ' ', &word))
        return NULL;
    for (size_t i = 0; i < command_count; i++)
        if (str_eq_nocase(word, str_c(commands[i].name))) {
            *args = str_trim(text);
            return &commands[i];
        }
    return NULL;
}
