/* filter_words.c: see filter_words.h. */
#include "tui/screens/filter_words.h"

#include "proxy/admin/filter.h"

#include <stdio.h>

enum { VALUES_MAX = 10, ROWS_MAX = 2000 };

/* The word at the end of the line, cut into field and value where it has a colon. */
struct last_word {
    size_t at; /* where it begins */
    struct str word, value;
    const struct filter_field *field; /* NULL: no colon yet, or no such field */
    bool colon;
};

static struct last_word last_word(const struct edit *e)
{
    struct last_word w = {.at = e->n};
    while (w.at > 0 && e->text[w.at - 1] != ' ' && e->text[w.at - 1] != '-' &&
           e->text[w.at - 1] != '|')
        w.at--;
    w.word = str_from(str_n(e->text, e->n), w.at);
    ptrdiff_t colon = str_chr(w.word, ':');
    w.colon = colon >= 0;
    struct str name = w.colon ? str_first(w.word, (size_t)colon) : STR_NULL;
    w.value = w.colon ? str_from(w.word, (size_t)colon + 1) : STR_NULL;
    if (w.value.n && (w.value.p[0] == '=' || w.value.p[0] == '"'))
        w.value = str_from(w.value, 1);
    for (size_t i = 0; name.n && i < filter_field_count; i++)
        if (str_eq_nocase(name, str_c(filter_fields[i].name)) ||
            (filter_fields[i].alias && str_eq_nocase(name, str_c(filter_fields[i].alias))))
            w.field = &filter_fields[i];
    return w;
}

/* Values of the field in the newest rows that begin as `value` does. */
static size_t seen_values(struct app *a, const struct last_word *w, struct str out[VALUES_MAX])
{
    const struct model *m = app_model(a);
    size_t n = 0;
    if (!w->field || w->field->kind != FILTER_KIND_TEXT)
        return 0;
    for (size_t i = m->row_count; i-- > 0 && n < VALUES_MAX && m->row_count - i < ROWS_MAX;) {
        struct str v = *(const struct str *)((const char *)&m->rows[i]->r + w->field->offset);
        bool known = !v.n || !str_starts_nocase(v, w->value);
        for (size_t k = 0; k < n && !known; k++)
            known = str_eq(out[k], v);
        if (!known)
            out[n++] = v;
    }
    return n;
}

/* As far as all of them agree. */
static struct str agreed(const struct str *values, size_t n)
{
    struct str common = values[0];
    for (size_t i = 1; i < n; i++) {
        size_t same = 0;
        while (same < common.n && same < values[i].n && common.p[same] == values[i].p[same])
            same++;
        common.n = same;
    }
    return common;
}

static bool complete_value(struct edit *e, struct app *a, const struct last_word *w)
{
    struct str values[VALUES_MAX];
    char text[EDIT_MAX + 1];
    size_t n = seen_values(a, w, values);
    struct str to = n ? agreed(values, n) : STR_NULL;
    if (to.n < w->value.n || (to.n == w->value.n && n > 1) || !n)
        return false;
    bool quote = n == 1 && str_chr(to, ' ') >= 0;
    snprintf(text, sizeof text, "%.*s%s:%s" STR_FMT "%s", (int)w->at, e->text, w->field->name,
        quote ? "\"" : "", STR_ARG(str_first(to, 300)),
        quote    ? "\" "
        : n == 1 ? " "
                 : "");
    edit_set(e, text);
    return true;
}

bool filter_complete(struct edit *e, struct app *a)
{
    struct last_word w = last_word(e);
    if (w.colon)
        return complete_value(e, a, &w);
    for (size_t i = 0; w.word.n && i < filter_field_count; i++)
        if (str_starts_nocase(str_c(filter_fields[i].name), w.word)) {
            char text[EDIT_MAX + 1];
            snprintf(text, sizeof text, "%.*s%s:", (int)w.at, e->text, filter_fields[i].name);
            edit_set(e, text);
            return true;
        }
    return false;
}

static void hint_value(struct app *a, const struct last_word *w, char *line, size_t size)
{
    struct str values[VALUES_MAX];
    size_t count = seen_values(a, w, values);
    size_t n = (size_t)snprintf(line, size, "%s: %.120s", w->field->name, w->field->help);
    for (size_t i = 0; i < count && n + 40 < size; i++)
        n += (size_t)snprintf(line + n, size - n, "%s" STR_FMT, i ? "  " : "   Tab  ",
            STR_ARG(str_first(values[i], 30)));
}

const char *filter_hint(const struct edit *e, struct app *a)
{
    static char line[400];
    struct last_word w = last_word(e);
    size_t n = 0;
    line[0] = '\0';
    if (w.field)
        hint_value(a, &w, line, sizeof line);
    for (size_t i = 0; !w.colon && w.word.n && i < filter_field_count && n + 40 < sizeof line; i++)
        if (str_starts_nocase(str_c(filter_fields[i].name), w.word))
            n += (size_t)snprintf(
                line + n, sizeof line - n, "%s%s:", n ? "  " : "Tab  ", filter_fields[i].name);
    return line[0] ? line
                   : "model:claude  st:>=400  dur:>2s  key:ci  -route:x  a | b  \"text\"   Enter "
                     "keep  Esc back  ↑ earlier";
}
