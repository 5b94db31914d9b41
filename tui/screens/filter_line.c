/* filter_line.c: see filter_line.h. */
#include "tui/screens/filter_line.h"

#include "tui/screens/filter_words.h"

#include <stdio.h>

static void apply(struct filter_line *f, struct app *a, const char *text)
{
    struct filter tried;
    struct err e = {0};
    if (filter_parse(&tried, str_c(text), app_now_ms(a), &e) < 0) {
        str_copy(f->error, sizeof f->error, str_c(e.text));
        return;
    }
    f->error[0] = '\0';
    /* terms point into the filter's own text: parsed in place */
    if (filter_parse(&f->filter, str_c(text), app_now_ms(a), NULL) < 0)
        f->filter.count = 0;
    str_copy(f->text, sizeof f->text, str_c(text));
    f->on = f->filter.count > 0;
    f->generation++;
}

void filter_line_edit(struct filter_line *f)
{
    f->editing = true;
    f->back = f->kept_count && strcmp(f->kept[0], f->text) == 0;
    edit_set(&f->edit, f->text);
}

void filter_line_set(struct filter_line *f, struct app *a, const char *text)
{
    f->editing = false;
    edit_set(&f->edit, text);
    apply(f, a, text);
}

void filter_line_add(struct filter_line *f, struct app *a, const char *term)
{
    char text[EDIT_MAX + 1];
    snprintf(text, sizeof text, "%.500s%s%.400s", f->text, f->text[0] ? " " : "", term);
    filter_line_set(f, a, text);
}

void filter_line_toggle(struct filter_line *f)
{
    if (!f->filter.count)
        return;
    f->on = !f->on;
    f->generation++;
}

static void keep(struct filter_line *f)
{
    size_t at = 0;
    while (at < f->kept_count && strcmp(f->kept[at], f->text) != 0)
        at++;
    if (!f->text[0])
        return;
    if (at == f->kept_count)
        at = f->kept_count < FILTERS_KEPT ? f->kept_count++ : FILTERS_KEPT - 1;
    memmove(f->kept[1], f->kept[0], at * sizeof f->kept[0]);
    str_copy(f->kept[0], sizeof f->kept[0], str_c(f->text));
}

/* ↑ and ↓: one further back, or nearer; nearer than the newest is an empty line. */
static void recall(struct filter_line *f, struct app *a, bool earlier)
{
    if (earlier && f->back < f->kept_count)
        f->back++;
    else if (!earlier && f->back)
        f->back--;
    else
        return;
    edit_set(&f->edit, f->back ? f->kept[f->back - 1] : "");
    apply(f, a, f->edit.text);
}

bool filter_line_key(struct filter_line *f, struct app *a, int key)
{
    if (key == '\t') {
        if (filter_complete(&f->edit, a))
            apply(f, a, f->edit.text);
        return true;
    }
    if (key == KEY_N_UP || key == KEY_N_DOWN) {
        recall(f, a, key == KEY_N_UP);
        return true;
    }
    if (key == '\r') {
        f->editing = false;
        keep(f);
        if (f->error[0])
            app_say(a, ROLE_WARN, "filter: %s (the one before stays)", f->error);
        return true;
    }
    if (key == 27) { /* leaves the field; a text that is not valid goes back */
        f->editing = false;
        edit_set(&f->edit, f->text);
        f->error[0] = '\0';
        return true;
    }
    if (edit_key(&f->edit, key)) {
        apply(f, a, f->edit.text);
        return true;
    }
    return key != 3; /* ^C leaves */
}

bool filter_line_narrows(const struct filter_line *f)
{
    return f->on && f->filter.count;
}

const char *filter_line_active(const struct filter_line *f)
{
    return filter_line_narrows(f) ? f->text : "";
}

bool filter_line_passes(struct filter_line *f, struct row *row)
{
    if (!filter_line_narrows(f))
        return true;
    if (row->generation != f->generation || row_is_live(row)) {
        row->match = filter_match(&f->filter, &row->r);
        row->generation = f->generation;
    }
    return row->match;
}

int filter_line_draw(const struct filter_line *f, struct app *a, int y, int width)
{
    int room = MAX(width / 2, 10), x = 1;
    x += ui_put(y, x, 2, ROLE_BAR_KEY, "/") + 1;
    if (f->editing) {
        edit_draw(&f->edit, y, x, room, f->error[0] ? ROLE_INPUT_BAD : ROLE_INPUT, a);
        x += room + 1;
        return x + ui_put(y, x, width - x - 1, ROLE_BAD, f->error);
    }
    if (!f->text[0])
        return x + ui_put(y, x, width - x, ROLE_DIM, "(no filter)");
    return x + ui_put(y, x, width / 2, f->on ? ROLE_INPUT : ROLE_DIM, f->text);
}
