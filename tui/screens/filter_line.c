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
    str_copy(f->text, sizeof f->text, str_trim(str_c(text)));
    f->on = f->filter.count > 0;
    f->generation++;
}

void filter_line_edit(struct filter_line *f)
{
    f->editing = true;
    str_copy(f->before, sizeof f->before, str_c(f->text));
    typed_rewind(&f->kept, f->text);
    edit_set(&f->edit, f->text);
    if (f->text[0])
        edit_key(&f->edit, ' '); /* what is typed is one word more */
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

static void recall(struct filter_line *f, struct app *a, bool earlier)
{
    const char *text = typed_step(&f->kept, earlier);
    if (!text)
        return;
    edit_set(&f->edit, text);
    apply(f, a, text);
}

static void enter(struct filter_line *f, struct app *a)
{
    if (f->error[0]) {
        app_say(a, ROLE_WARN, "filter: %s", f->error);
        return;
    }
    f->editing = false;
    typed_put(&f->kept, f->text);
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
        enter(f, a);
        return true;
    }
    if (key == 27) {
        f->editing = false;
        f->error[0] = '\0';
        if (strcmp(f->before, f->text) != 0)
            filter_line_set(f, a, f->before);
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
        return x + ui_put(y, x, width - x - 1, ROLE_BAD, f->error[0] ? "not valid yet" : "");
    }
    if (!f->text[0])
        return x + ui_put(y, x, width - x, ROLE_DIM, "(no filter)");
    x += ui_put(y, x, width / 2 - (f->on ? 0 : 6), f->on ? ROLE_INPUT : ROLE_DIM, f->text);
    return x + ui_put(y, x + 1, 5, ROLE_WARN, f->on ? "" : "(off)");
}
