/* raw.c: see raw.h. */
#include "proxy/meter/raw.h"

#include <stdio.h>

static struct str boundary_of(struct str content_type)
{
    ptrdiff_t at = str_find_nocase(content_type, STR("boundary="));
    if (at < 0)
        return STR_NULL;
    struct str b = str_from(content_type, (size_t)at + 9);
    if (b.n && *b.p == '"') {
        b = str_from(b, 1);
        ptrdiff_t quote = str_chr(b, '"');
        return quote < 0 ? STR_NULL : str_first(b, (size_t)quote);
    }
    ptrdiff_t end = str_chr(b, ';');
    return str_trim(end < 0 ? b : str_first(b, (size_t)end));
}

/* Does this part's head name the field? */
static bool names_field(struct str head, struct str field)
{
    char wanted[64];
    int n = snprintf(wanted, sizeof wanted, "name=\"" STR_FMT "\"", STR_ARG(field));
    ptrdiff_t at = str_find_nocase(head, STR("content-disposition:"));
    if (at < 0)
        return false;
    struct str line = str_from(head, (size_t)at);
    ptrdiff_t end = str_chr(line, '\n');
    if (end >= 0)
        line = str_first(line, (size_t)end);
    ptrdiff_t name = str_find(line, str_n(wanted, (size_t)n));
    return name > 0 && strchr("; ", line.p[name - 1]);
}

struct str raw_multipart_field(struct str body, struct str content_type, struct str field,
    struct arena *a)
{
    struct str boundary = boundary_of(content_type), found = STR_NULL;
    if (boundary.n == 0 || boundary.n > 70)
        return STR_NULL;
    struct str mark = arena_printf(a, "--" STR_FMT, STR_ARG(boundary));
    ptrdiff_t at = str_find(body, mark);
    while (at >= 0) {
        body = str_from(body, (size_t)at + mark.n);
        ptrdiff_t head_end = str_find(body, STR("\r\n\r\n"));
        at = str_find(body, mark);
        if (head_end < 0 || at < 0 || head_end > at || !names_field(str_first(body,
                (size_t)head_end), field))
            continue;
        struct str value = str_n(body.p + head_end + 4, (size_t)(at - head_end) - 4);
        if (str_ends(value, STR("\r\n")))
            value.n -= 2;
        if (found.p && !str_eq(found, value))
            return STR_NULL;
        found = value;
    }
    return found.n <= 200 ? found : STR_NULL;
}
