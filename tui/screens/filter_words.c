/* filter_words.c: see filter_words.h. */
#include "tui/screens/filter_words.h"

#include "proxy/admin/filter.h"

#include <stdio.h>

/* Tab: the field whose name begins as the last word does. */
bool filter_complete(struct edit *e)
{
    size_t at = e->n;
    while (at > 0 && e->text[at - 1] != ' ' && e->text[at - 1] != '-')
        at--;
    struct str word = str_from(str_n(e->text, e->n), at);
    for (size_t i = 0; word.n && i < filter_field_count; i++)
        if (str_starts_nocase(str_c(filter_fields[i].name), word)) {
            char text[EDIT_MAX + 1];
            snprintf(text, sizeof text, "%.*s%s:", (int)at, e->text, filter_fields[i].name);
            edit_set(e, text);
            return true;
        }
    return false;
}

/* What the word at the end means, or may become. */
const char *filter_hint(const struct edit *e)
{
    static char line[240];
    size_t at = e->n, n = 0;
    while (at > 0 && e->text[at - 1] != ' ' && e->text[at - 1] != '-')
        at--;
    struct str word = str_from(str_n(e->text, e->n), at), field = word;
    ptrdiff_t colon = str_chr(word, ':');
    if (colon >= 0)
        field = str_first(word, (size_t)colon);
    line[0] = '\0';
    for (size_t i = 0; word.n && i < filter_field_count && n + 40 < sizeof line; i++) {
        const struct filter_field *f = &filter_fields[i];
        if (colon >= 0 && (str_eq_nocase(field, str_c(f->name)) ||
                              (f->alias && str_eq_nocase(field, str_c(f->alias)))))
            n += (size_t)snprintf(line + n, sizeof line - n, "%s: %.150s", f->name, f->help);
        else if (colon < 0 && str_starts_nocase(str_c(f->name), word))
            n += (size_t)snprintf(line + n, sizeof line - n, "%s%s:", n ? "  " : "Tab  ", f->name);
    }
    return line[0] ? line
                   : "model:claude  st:>=400  dur:>2s  key:ci  -route:x  a | b  \"text\"   Enter "
                     "keep  Esc back";
}
