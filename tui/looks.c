/* looks.c: the colours of this console: --theme, else $POINTSMAN_THEME, else what was set, else the
 * terminal's own sixteen; and its marks: ASCII where the terminal has no better ones. A theme of
 * the person's own is read again as soon as its file is written, so that it can be made with the
 * console beside the editor. */
#include "tui/app.h"

#include "store/base/utf8.h"
#include "tui/clean.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

static const char *chosen(const struct app *a)
{
    const char *named = a->options.theme, *env = getenv("POINTSMAN_THEME");
    const char *set = settings_text(&a->settings, "theme");
    return named ? named : env && *env ? env : *set ? set : "term16";
}

/* Our own marks, and how wide some of other people's are, as the terminal has them. */
void looks_marks(struct app *a)
{
    const char *said = settings_text(&a->settings, setting_rows[SETTING_PLAIN].key);
    bool set = settings_on(&a->settings, SETTING_PLAIN);
    bool wide = settings_on(&a->settings, SETTING_WIDE);
    bool plain = *said ? set : terminal_poor_marks();
    utf8_ambiguous_wide(wide);
    clean_plain_marks(plain || wide);
}

bool app_set_theme(struct app *a, const char *name)
{
    struct err e = {0};
    if (theme_load(&a->theme, name, &e) < 0) {
        app_say(a, ROLE_BAD, "%s", e.text);
        return false;
    }
    ui_theme(&a->theme, terminal_depth(), terminal_ascii());
    app_dirty(a);
    return true;
}

const struct theme *app_theme(struct app *a)
{
    return &a->theme;
}

static void watch(struct app *a)
{
    char folder[512];
    a->theme_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (a->theme_fd >= 0 && settings_path(folder, sizeof folder, "themes") &&
        inotify_add_watch(a->theme_fd, folder, IN_CLOSE_WRITE | IN_MOVED_TO) >= 0)
        return;
    looks_close(a); /* no such folder: nothing to watch */
}

void looks_open(struct app *a)
{
    looks_marks(a);
    a->theme = (struct theme){.name = "none"};
    if (!app_set_theme(a, chosen(a)) && theme_load(&a->theme, "term16", NULL) < 0)
        a->theme = (struct theme){.name = "none"};
    ui_theme(&a->theme, terminal_depth(), terminal_ascii());
    watch(a);
}

void looks_changed(struct app *a)
{
    char bytes[4096] __attribute__((aligned(8))), file[64], name[32];
    bool ours = false;
    ssize_t n;
    snprintf(file, sizeof file, "%s.theme", a->theme.name);
    str_copy(name, sizeof name, str_c(a->theme.name));
    while ((n = read(a->theme_fd, bytes, sizeof bytes)) > 0)
        for (char *at = bytes; at < bytes + n;) {
            const struct inotify_event *e = (const void *)at;
            ours = ours || (e->len && strcmp(e->name, file) == 0);
            at += sizeof *e + e->len;
        }
    if (ours && app_set_theme(a, name))
        app_say(a, ROLE_MESSAGE, "theme %s read again", name);
}

void looks_close(struct app *a)
{
    if (a->theme_fd >= 0)
        close(a->theme_fd);
    a->theme_fd = -1;
}
