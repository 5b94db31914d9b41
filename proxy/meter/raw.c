/* raw.c: see raw.h. A name is read as those read it who get the body: quoted or not, in any case, or
 * in the form `name*=utf-8''…`; otherwise a field could hide from us and be found by the provider. */
#include "proxy/meter/raw.h"

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

/* `"model"`, `model` or (with `name*`) `utf-8''model`. */
static struct str plain_name(struct str value, bool extended)
{
    for (int quote = 0; extended && quote < 2; quote++) { /* the character set, the language */
        ptrdiff_t end = str_chr(value, '\'');
        value = str_from(value, end < 0 ? 0 : (size_t)end + 1);
    }
    if (!value.n || *value.p != '"')
        return value;
    value = str_from(value, 1);
    ptrdiff_t end = str_chr(value, '"');
    return end < 0 ? value : str_first(value, (size_t)end);
}

/* `form-data; name="model"; …` */
static struct str name_of(struct str disposition)
{
    struct str rest = disposition, value, word;
    while (str_cut(&rest, ';', &value)) {
        if (!str_cut(&value, '=', &word))
            continue;
        word = str_trim(word);
        bool extended = str_eq_nocase(word, STR("name*"));
        if (extended || str_eq_nocase(word, STR("name")))
            return plain_name(str_trim(value), extended);
    }
    return STR_NULL;
}

static struct str field_of(struct str head)
{
    ptrdiff_t at = str_find_nocase(head, STR("content-disposition:"));
    if (at < 0)
        return STR_NULL;
    struct str line = str_from(head, (size_t)at + 20);
    ptrdiff_t end = str_find(line, STR("\r\n"));
    return name_of(end < 0 ? line : str_first(line, (size_t)end));
}

struct parts {
    struct str rest, mark;
    struct str name, value; /* of the part that parts_next() found */
};

static bool parts_of(struct parts *p, struct str body, struct str content_type, struct arena *a)
{
    struct str boundary = boundary_of(content_type);
    if (boundary.n == 0 || boundary.n > 70)
        return false;
    *p = (struct parts){.rest = body, .mark = arena_printf(a, "--" STR_FMT, STR_ARG(boundary))};
    ptrdiff_t at = p->mark.p ? str_find(body, p->mark) : -1;
    p->rest = at < 0 ? STR_NULL : str_from(body, (size_t)at + p->mark.n);
    return at >= 0;
}

static bool parts_next(struct parts *p)
{
    while (p->rest.p) {
        struct str part = p->rest;
        ptrdiff_t end = str_find(part, p->mark);
        if (end < 0)
            return false;
        p->rest = str_from(part, (size_t)end + p->mark.n);
        ptrdiff_t head = str_find(str_first(part, (size_t)end), STR("\r\n\r\n"));
        if (head < 0)
            continue;
        p->name = field_of(str_first(part, (size_t)head));
        p->value = str_n(part.p + head + 4, (size_t)(end - head) - 4);
        if (str_ends(p->value, STR("\r\n")))
            p->value.n -= 2;
        return true;
    }
    return false;
}

struct str raw_multipart_field(struct str body, struct str content_type, struct str field,
    bool *twice, struct arena *a)
{
    struct parts p;
    struct str found = STR_NULL;
    *twice = false;
    if (!parts_of(&p, body, content_type, a))
        return STR_NULL;
    while (parts_next(&p)) {
        if (!str_eq(p.name, field))
            continue;
        *twice |= found.p && !str_eq(found, p.value);
        found = p.value;
    }
    return *twice || found.n > 200 ? STR_NULL : found;
}

const char *raw_multipart_names(struct str body, struct str content_type, const char *const *names,
    size_t n, struct arena *a)
{
    struct parts p;
    if (!parts_of(&p, body, content_type, a))
        return NULL;
    while (parts_next(&p))
        for (size_t i = 0; i < n; i++)
            if (str_eq(p.name, str_c(names[i])))
                return names[i];
    return NULL;
}
