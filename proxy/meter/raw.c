/* raw.c: see raw.h. A form is read as strictly as it can be: what others could read in another way
 * (a name that is escaped, said twice or in another character set, a part that doesn't begin or end
 * where one must) is noted as odd; otherwise a field could hide from us and be found by the provider. */
#include "proxy/meter/raw.h"

#include "store/base/err.h"

/* Cuts at the first `;` outside quotes; false when a quote stays open. Some read `\"` inside quotes
 * as a quote that doesn't end them (`escapes`), some as a backslash and the end. */
static bool cut_parameter(struct str *rest, bool escapes, struct str *piece)
{
    bool quoted = false;
    size_t i = 0;
    for (; i < rest->n && (quoted || rest->p[i] != ';'); i++) {
        if (rest->p[i] == '"')
            quoted = !quoted;
        else if (quoted && escapes && rest->p[i] == '\\')
            i++;
    }
    *piece = str_first(*rest, i);
    *rest = str_from(*rest, i + 1);
    return !quoted;
}

/* `"model"` or `model`; false for what is not plain. */
static bool plain_value(struct str value, struct str *out)
{
    bool quoted = value.n && *value.p == '"';
    if (quoted && (value.n < 2 || value.p[value.n - 1] != '"'))
        return false;
    *out = quoted ? str_n(value.p + 1, value.n - 2) : value;
    return str_chr(*out, '"') < 0 && str_chr(*out, '\\') < 0 &&
           (quoted || (str_chr(*out, ' ') < 0 && str_chr(*out, '\t') < 0));
}

/* The parameter `word` of a header's value; absent: p is NULL. False when it stands there twice,
 * without a value or not plainly (`word*=utf-8''…`). */
static bool parameter(struct str header, struct str word, bool escapes, struct str *out)
{
    struct str rest = header, piece;
    bool plain = true;
    *out = STR_NULL;
    while (rest.n) {
        plain &= cut_parameter(&rest, escapes, &piece) || !escapes;
        ptrdiff_t at = str_chr(piece, '=');
        struct str name = str_trim(at < 0 ? piece : str_first(piece, (size_t)at));
        ptrdiff_t star = str_chr(name, '*');
        if (!str_eq_nocase(star < 0 ? name : str_first(name, (size_t)star), word))
            continue;
        plain &= !out->p && star < 0 && at >= 0 &&
                 plain_value(str_trim(str_from(piece, (size_t)at + 1)), out);
    }
    return plain;
}

static struct str boundary_of(struct str content_type)
{
    struct str b;
    return parameter(content_type, STR("boundary"), true, &b) ? b : STR_NULL;
}

/* `form-data; name="model"; …` */
static struct str name_of(struct str disposition, bool *odd)
{
    struct str name, other;
    bool plain = parameter(disposition, STR("name"), true, &name) &&
                 parameter(disposition, STR("name"), false, &other);
    *odd |= !plain || !str_eq(name, other) || str_chr(name, '%') >= 0;
    return name;
}

static struct str field_of(struct str head, bool *odd)
{
    struct str rest = head, name = STR_NULL;
    while (rest.n) {
        ptrdiff_t end = str_find(rest, STR("\r\n"));
        struct str line = end < 0 ? rest : str_first(rest, (size_t)end);
        rest = str_from(rest, line.n + 2);
        *odd |= !str_is_field(line) || !line.n || *line.p == ' ' || *line.p == '\t';
        ptrdiff_t colon = str_chr(line, ':');
        if (colon < 0 || !str_eq_nocase(str_trim(str_first(line, (size_t)colon)),
                             STR("content-disposition")))
            continue;
        *odd |= name.p != NULL;
        name = name_of(str_from(line, (size_t)colon + 1), odd);
    }
    return name;
}

struct parts {
    struct str rest, mark;
    struct str name, value; /* of the part that parts_next() found */
    bool odd; /* something so far could be read in another way */
};

static int parts_of(struct parts *p, struct str body, struct str content_type, struct arena *a)
{
    struct str boundary = boundary_of(content_type);
    if (boundary.n == 0 || boundary.n > 70)
        return -ERR_SYNTAX;
    *p = (struct parts){.mark = arena_printf(a, "--" STR_FMT, STR_ARG(boundary))};
    if (!p->mark.p)
        return -ERR_NOMEM;
    ptrdiff_t at = str_find(body, p->mark);
    if (at < 0)
        return -ERR_SYNTAX;
    p->rest = str_from(body, (size_t)at + p->mark.n);
    return 0;
}

static bool parts_next(struct parts *p)
{
    while (p->rest.p) {
        struct str part = p->rest;
        ptrdiff_t end = str_find(part, p->mark);
        if (end < 0) {
            p->odd |= !str_starts(part, STR("--"));
            return false;
        }
        p->rest = str_from(part, (size_t)end + p->mark.n);
        part = str_first(part, (size_t)end);
        ptrdiff_t head = str_find(part, STR("\r\n\r\n"));
        p->odd |= head < 0 || !str_starts(part, STR("\r\n")) || !str_ends(part, STR("\r\n"));
        if (head < 0)
            continue;
        p->name = head < 2 ? STR_NULL : field_of(str_n(part.p + 2, (size_t)head - 2), &p->odd);
        p->value = str_from(part, (size_t)head + 4);
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
    if (parts_of(&p, body, content_type, a) < 0)
        return STR_NULL;
    while (parts_next(&p)) {
        if (!str_eq(p.name, field))
            continue;
        *twice |= found.p && !str_eq(found, p.value);
        found = p.value;
    }
    return *twice ? STR_NULL : found;
}

int raw_multipart_check(struct str body, struct str content_type, const char *const *names,
    size_t n, const char **denied, struct arena *a)
{
    struct parts p;
    *denied = NULL;
    int rc = parts_of(&p, body, content_type, a);
    if (rc < 0)
        return rc;
    while (parts_next(&p))
        for (size_t i = 0; i < n; i++)
            if (str_eq(p.name, str_c(names[i]))) {
                *denied = names[i];
                return -ERR_DENIED;
            }
    return p.odd ? -ERR_SYNTAX : 0;
}
