/* arguments.c: see arguments.h. A fragment is the text of a JSON string that itself holds JSON, so
 * two layers of escapes lie on top of each other; only the outer one is taken off here. */
#include "proxy/dialect/arguments.h"

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 32);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 0;
}

/* The next character of the JSON inside; its bytes of the fragment are left in *used. */
static char next_char(struct str s, size_t i, size_t *used)
{
    *used = 1;
    if (s.p[i] != '\\' || i + 1 >= s.n)
        return s.p[i];
    *used = 2;
    switch (s.p[i + 1]) {
    case 'u':
        if (i + 6 > s.n)
            return 'x';
        *used = 6;
        if (s.p[i + 2] != '0' || s.p[i + 3] != '0')
            return 'x';
        return (char)(hex(s.p[i + 4]) << 4 | hex(s.p[i + 5]));
    case 'n':
    case 'r':
    case 't':
    case 'b':
    case 'f':
        return ' ';
    default:
        return s.p[i + 1]; /* quote, backslash, slash */
    }
}

static void in_string(struct arguments_scan *s, char c)
{
    if (s->escaped)
        s->escaped = false;
    else if (c == '\\')
        s->escaped = true;
    else if (c == '"')
        s->in_string = false;
}

static void outside(struct arguments_scan *s, char c)
{
    if (c == ' ' || c == '\n' || c == '\r' || c == '\t')
        return;
    s->begun = true;
    if (c == '"')
        s->in_string = true;
    else if (c == '{' || c == '[')
        s->depth++;
    else if ((c == '}' || c == ']') && s->depth && --s->depth == 0)
        s->whole = true;
}

size_t arguments_feed(struct arguments_scan *s, struct str fragment)
{
    size_t i = 0, used;
    while (i < fragment.n && !s->whole) {
        char c = next_char(fragment, i, &used);
        if (s->in_string)
            in_string(s, c);
        else
            outside(s, c);
        i += used;
    }
    return i;
}
