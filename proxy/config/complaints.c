/* complaints.c: the list of what is wrong with a file, each with its place, and the nearest right
 * name. Bounded: after COMPLAINTS_MAX the rest is counted only, so that a hostile file can't make a
 * flood of texts. */
#include "proxy/config/options.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { COMPLAINTS_MAX = 500 };

struct complaint {
    unsigned line, column;
    bool warning;
    size_t order;
    struct err err;
};

struct config_complaints {
    struct complaint *items;
    size_t count, room, faults;
    char file[512];
};

struct config_complaints *config_complaints_new(void)
{
    return calloc(1, sizeof(struct config_complaints));
}

void config_complaints_free(struct config_complaints *c)
{
    if (c)
        free(c->items);
    free(c);
}

size_t config_complaint_count(const struct config_complaints *c)
{
    return c->count;
}

size_t config_fault_count(const struct config_complaints *c)
{
    return c->faults;
}

bool config_complaint_is_warning(const struct config_complaints *c, size_t i)
{
    return c->items[i].warning;
}

const char *config_complaint_text(
    const struct config_complaints *c, size_t i, char *out, size_t size)
{
    const struct complaint *one = &c->items[i];
    if (!one->line)
        snprintf(out, size, "%s%s%s", c->file, *c->file ? ": " : "", one->err.text);
    else
        snprintf(out, size, "%s:%u:%u: %s", c->file, one->line, one->column, one->err.text);
    return out;
}

void complaints_name_file(struct config_complaints *c, struct str file)
{
    str_copy(c->file, sizeof c->file, file);
}

static struct complaint *add(struct config_complaints *c, bool warning)
{
    c->faults += !warning;
    if (c->count == COMPLAINTS_MAX)
        return NULL;
    if (c->count == c->room) {
        size_t room = c->room ? c->room * 2 : 16;
        struct complaint *more = realloc(c->items, room * sizeof *more);
        if (!more)
            return NULL;
        c->items = more;
        c->room = room;
    }
    struct complaint *one = &c->items[c->count];
    *one = (struct complaint){.warning = warning, .order = c->count};
    c->count++;
    return one;
}

static void say(struct config_complaints *c, bool warning, unsigned line, unsigned column,
    struct str path, enum err_code code, const char *fmt, va_list ap)
{
    struct complaint *one = add(c, warning);
    if (!one)
        return;
    char text[400];
    vsnprintf(text, sizeof text, fmt, ap);
    one->line = line;
    one->column = column;
    err_set(
        &one->err, code, STR_FMT "%s%s", STR_ARG(str_first(path, 200)), path.n ? ": " : "", text);
}

void complain(struct reader *r, const struct yaml *at, struct str path, enum err_code code,
    const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(r->complaints, false, at ? at->line : 0, at ? at->column : 0, path, code, fmt, ap);
    va_end(ap);
}

void complain_key(struct reader *r, const struct yaml *at, struct str path, enum err_code code,
    const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(r->complaints, false, at->key_line, at->key_column, path, code, fmt, ap);
    va_end(ap);
}

void warn_about(struct reader *r, const struct yaml *at, struct str path, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(r->complaints, true, at ? at->line : 0, at ? at->column : 0, path, ERR_NONE, fmt, ap);
    va_end(ap);
}

void complain_at(struct config_complaints *c, unsigned line, unsigned column, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(c, false, line, column, STR_NULL, ERR_SYNTAX, fmt, ap);
    va_end(ap);
}

static int by_place(const void *pa, const void *pb)
{
    const struct complaint *a = pa, *b = pb;
    if (a->line != b->line)
        return a->line < b->line ? -1 : 1;
    if (a->column != b->column)
        return a->column < b->column ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

void complaints_sort(struct config_complaints *c)
{
    if (c->count)
        qsort(c->items, c->count, sizeof *c->items, by_place);
}

void nearest_offer(struct nearest *n, struct str name)
{
    /* 2 lets two letters change places; longer names may be further off */
    size_t most_at_first = n->asked.n < 3 ? 1 : MIN(MAX(n->asked.n / 3, (size_t)2), (size_t)4);
    unsigned most = n->best.p ? n->distance - 1 : (unsigned)most_at_first;
    if ((n->best.p && n->distance == 0) || !name.n)
        return;
    unsigned d = str_distance(n->asked, name, most);
    if (d <= most) {
        n->best = name;
        n->distance = d;
    }
}

const char *nearest_text(const struct nearest *n, char out[96])
{
    if (n->best.p)
        snprintf(out, 96, "; did you mean " STR_FMT "?", STR_ARG(str_first(n->best, 64)));
    else
        *out = '\0';
    return out;
}

struct str path_join(struct reader *r, struct str path, struct str key)
{
    return arena_printf(r->a, STR_FMT "%s" STR_FMT, STR_ARG(path), path.n ? "." : "",
        STR_ARG(str_first(key, 80)));
}

struct str path_index(struct reader *r, struct str path, size_t index)
{
    return arena_printf(r->a, STR_FMT "[%zu]", STR_ARG(path), index);
}
