/* options.c: see options.h and options.def. */
#include "proxy/config/options.h"
#include "proxy/config/units.h"

#include <stdio.h>

#define MEMBER_SIZE(s, m) sizeof(((struct s *)0)->m)
const struct option options[] = {
#define OPTION(sec, k, t, s, m, ch, lo, hi, def, fl, h)                                            \
    {SECTION_##sec, k, TYPE_##t, ch, lo, hi, def, fl, offsetof(struct s, m), MEMBER_SIZE(s, m), 0, \
        h},
#define LIST(sec, k, s, m, count, item, fl, h) \
    {SECTION_##sec, k, TYPE_LIST, item, 0, 0, "", fl, offsetof(struct s, m), MEMBER_SIZE(s, m), \
        offsetof(struct s, count), h},
#define SPECIAL(sec, k, form, def, fl, h)                                                          \
    {SECTION_##sec, k, TYPE_SPECIAL, form, 0, 0, def, fl, 0, 0, 0, h},
#define LATER(sec, k, h) {SECTION_##sec, k, TYPE_LATER, "", 0, 0, "", 0, 0, 0, 0, h},
#include "proxy/config/options.def"
#undef OPTION
#undef LIST
#undef SPECIAL
#undef LATER
};
const size_t option_count = ARRAY_LEN(options);

static const char *const paths[] = {
#define X(name, path, help) path,
#include "proxy/config/sections.def"
#undef X
};
static const char *const helps[] = {
#define X(name, path, help) help,
#include "proxy/config/sections.def"
#undef X
};

const char *section_path(enum section s)
{
    return paths[s];
}

const char *section_help(enum section s)
{
    return helps[s];
}

static const char policy_choices[] =
#define X(name, text, help) "|" text
#include "proxy/config/policies.def"
#undef X
    ;

const char *option_choices(const struct option *o)
{
    return str_eq(str_c(o->choices), STR("@policies")) ? policy_choices + 1 : o->choices;
}

bool read_text(struct reader *r, const struct yaml *n, struct str path, struct str *out)
{
    if (n->kind != YAML_TEXT) {
        complain(r, n, path, ERR_TYPE, "expected a text, not a %s",
            n->kind == YAML_LIST ? "list" : n->kind == YAML_MAP ? "map" : "missing value");
        return false;
    }
    for (size_t i = 0; i < n->text.n; i++) {
        if ((unsigned char)n->text.p[i] < 0x20 || n->text.p[i] == 0x7f) {
            complain(r, n, path, ERR_SYNTAX, "must not hold control characters or line breaks");
            return false;
        }
    }
    *out = n->text;
    return true;
}

void read_texts(struct reader *r, const struct yaml *n, struct str path, const struct str **out,
    size_t *count)
{
    size_t most = n->kind == YAML_LIST ? n->count : 1, taken = 0;
    struct str *texts = arena_alloc(r->a, most * sizeof *texts + 1);
    if (n->kind == YAML_MAP || !texts) {
        complain(r, n, path, ERR_TYPE, "expected a list such as [a, b]");
        return;
    }
    const struct yaml *c =
        n->kind == YAML_LIST ? n->first : n; /* one text stands for a list of one */
    for (size_t i = 1; c; c = n->kind == YAML_LIST ? c->next : NULL, i++)
        if (read_text(r, c, n->kind == YAML_LIST ? path_index(r, path, i) : path, &texts[taken]))
            taken++;
    *out = texts;
    *count = taken;
}

bool read_enum(
    struct reader *r, const struct yaml *n, struct str path, const char *choices, int *out)
{
    struct str text, rest = str_c(choices), one;
    if (!read_text(r, n, path, &text))
        return false;
    struct nearest near = {.asked = text};
    for (int i = 0; str_cut(&rest, '|', &one); i++) {
        if (str_eq(one, text)) {
            *out = i;
            return true;
        }
        nearest_offer(&near, one);
    }
    char list[200], guess[96];
    str_copy(list, sizeof list, str_c(choices));
    for (char *c = list; *c; c++)
        if (*c == '|')
            *c = ' ';
    complain(r, n, path, ERR_UNKNOWN, "is \"" STR_FMT "\"; expected one of: %s%s",
        STR_ARG(str_first(text, 60)), list, nearest_text(&near, guess));
    return false;
}

struct str expand_home(struct reader *r, struct str path)
{
    if (!str_starts(path, STR("~/")))
        return path;
    return arena_printf(r->a, "%s/" STR_FMT, r->home, STR_ARG(str_from(path, 2)));
}

static void store_int(void *base, const struct option *o, int64_t v)
{
    char *at = (char *)base + o->offset;
    if (o->size == sizeof(int64_t))
        memcpy(at, &v, sizeof v);
    else if (o->size == sizeof(int))
        memcpy(at, &(int){(int)v}, sizeof(int));
    else
        *(bool *)(void *)at = v != 0;
}

static void store_text(struct reader *r, void *base, const struct option *o, struct str v)
{
    char *at = (char *)base + o->offset;
    if (o->type == TYPE_CPATH || o->type == TYPE_CURL) {
        const char *c = v.n ? arena_c(r->a, v) : NULL;
        memcpy(at, &c, sizeof c);
    } else {
        memcpy(at, &v, sizeof v);
    }
}

static int parse_number(const struct option *o, struct str text, int64_t *v, struct err *e)
{
    switch (o->type) {
    case TYPE_SIZE: return unit_size(text, v, e);
    case TYPE_TIME_US: return unit_duration(text, v, e);
    case TYPE_TIME_MS: return unit_duration(text, v, e);
    case TYPE_PERCENT: return unit_percent(text, v, e);
    case TYPE_RATE: return unit_rate(text, v, e);
    case TYPE_DATE: return unit_date(text, v, e);
    default: return unit_count(text, v, e);
    }
}

static void put_value(struct buf *b, const struct option *o, int64_t v)
{
    if (o->type == TYPE_SIZE)
        unit_put_size(b, v);
    else if (o->type == TYPE_TIME_US || o->type == TYPE_TIME_MS)
        unit_put_duration(b, v);
    else if (o->type == TYPE_PERCENT)
        unit_put_percent(b, v);
    else
        buf_printf(b, "%lld", (long long)v);
}

void option_put_range(struct buf *b, const struct option *o)
{
    if (!o->least && !o->most)
        return;
    put_value(b, o, o->least);
    buf_puts(b, " to ");
    put_value(b, o, o->most);
}

static void read_number(struct reader *r, const struct yaml *n, struct str path,
    const struct option *o, void *base)
{
    struct str text;
    struct err e;
    int64_t v;
    if (!read_text(r, n, path, &text))
        return;
    if (*o->choices && str_eq(text, str_c(o->choices))) {
        store_int(base, o, 0);
        return;
    }
    if (parse_number(o, text, &v, &e) < 0) {
        complain(r, n, path, e.code, "%s%s%s", e.text, *o->choices ? ", or " : "", o->choices);
        return;
    }
    if ((o->least || o->most) && (v < o->least || v > o->most)) {
        struct buf b;
        buf_init(&b, 200);
        option_put_range(&b, o);
        complain(r, n, path, ERR_RANGE, "is " STR_FMT "; allowed is %s%s%s",
            STR_ARG(str_first(text, 60)), buf_c(&b), *o->choices ? ", or " : "", o->choices);
        buf_fini(&b);
        return;
    }
    store_int(base, o, o->type == TYPE_TIME_MS ? v / 1000 : v);
}

/* "127.0.0.1:4141", "[::1]:4141", "localhost:0": what listens. */
static const char *address_fault(struct str s)
{
    size_t colon = s.n;
    while (colon && s.p[colon - 1] != ':')
        colon--;
    uint64_t port;
    struct str host = str_first(s, colon ? colon - 1 : 0);
    if (!colon || !host.n || !str_to_u64(str_from(s, colon), &port) || port > 65535)
        return "expected HOST:PORT such as 127.0.0.1:4141 or [::1]:4141";
    if (str_chr(host, ':') >= 0 && (host.p[0] != '[' || host.p[host.n - 1] != ']'))
        return "an IPv6 address stands in brackets: [::1]:4141";
    if (str_chr(host, '/') >= 0 || str_chr(host, '@') >= 0 || str_chr(host, ' ') >= 0)
        return "expected HOST:PORT without a scheme: 127.0.0.1:4141";
    return NULL;
}

static void read_texty(struct reader *r, const struct yaml *n, struct str path,
    const struct option *o, void *base)
{
    struct str v;
    int ignored;
    if (o->type == TYPE_TEXT_OF && !read_enum(r, n, path, o->choices, &ignored))
        return;
    if (!read_text(r, n, path, &v))
        return;
    const char *fault = o->type == TYPE_ADDRESS                         ? address_fault(v)
                        : o->type == TYPE_URL || o->type == TYPE_CURL ? url_fault(v)
                                                                        : NULL;
    if (fault) {
        complain(
            r, n, path, ERR_SYNTAX, "is \"" STR_FMT "\": %s", STR_ARG(str_first(v, 120)), fault);
        return;
    }
    if (o->type == TYPE_PATH || o->type == TYPE_CPATH)
        v = expand_home(r, v);
    while (o->type == TYPE_URL && v.n && v.p[v.n - 1] == '/')
        v.n--;
    store_text(r, base, o, v);
}

/* One value by its row; `n` is a node of the file, or of a default. */
static void read_value(struct reader *r, const struct yaml *n, struct str path,
    const struct option *o, void *base)
{
    struct err e;
    bool flag;
    int choice;
    struct str text;
    if (o->type == TYPE_LIST) {
        read_texts(r, n, path, (const struct str **)(void *)((char *)base + o->offset),
            (size_t *)(void *)((char *)base + o->count_offset));
    } else if (o->type == TYPE_BOOL) {
        if (!read_text(r, n, path, &text))
            return;
        if (unit_bool(text, &flag, &e) < 0)
            complain(r, n, path, e.code, "%s", e.text);
        else
            store_int(base, o, flag);
    } else if (o->type == TYPE_ENUM) {
        if (read_enum(r, n, path, option_choices(o), &choice))
            store_int(base, o, choice);
    } else if (o->type >= TYPE_TEXT && o->type <= TYPE_ADDRESS) {
        read_texty(r, n, path, o, base);
    } else {
        read_number(r, n, path, o, base);
    }
}

void options_defaults(struct reader *r, enum section s, void *base)
{
    for (size_t i = 0; i < option_count; i++) {
        const struct option *o = &options[i];
        if (o->section != s || o->type <= TYPE_LIST)
            continue;
        struct yaml n = {.kind = YAML_TEXT, .text = str_c(o->fallback)};
        if (o->type == TYPE_RATE)
            store_int(base, o, -1);
        else if (*o->fallback)
            read_value(r, &n, str_c(o->key), o, base);
    }
}

static const struct option *option_find(enum section s, struct str key, struct nearest *near)
{
    for (size_t i = 0; i < option_count; i++) {
        if (options[i].section != s)
            continue;
        if (str_eq(str_c(options[i].key), key))
            return &options[i];
        if (options[i].type != TYPE_LATER)
            nearest_offer(near, str_c(options[i].key));
    }
    return NULL;
}

static void complain_unknown(struct reader *r, const struct yaml *n, struct str path,
    enum section s, const struct nearest *near)
{
    char guess[96];
    if (near->best.p) {
        complain_key(r, n, path, ERR_UNKNOWN, "unknown field%s", nearest_text(near, guess));
        return;
    }
    struct buf known;
    buf_init(&known, 300);
    for (size_t i = 0; i < option_count; i++)
        if (options[i].section == s && options[i].type != TYPE_LATER)
            buf_printf(&known, "%s%s", known.n ? ", " : "", options[i].key);
    complain_key(r, n, path, ERR_UNKNOWN, "unknown field; known are: " STR_FMT,
        STR_ARG(buf_str(&known)));
    buf_fini(&known);
}

static void complain_missing(
    struct reader *r, const struct yaml *map, struct str path, enum section s)
{
    for (size_t i = 0; i < option_count; i++) {
        const struct option *o = &options[i];
        if (o->section == s && (o->flags & NEED) && !yaml_get(map, o->key))
            complain(r, map, path, ERR_MISSING, "`%s` is missing: %s", o->key, o->help);
    }
}

void options_read(struct reader *r, const struct yaml *map, struct str path, enum section s,
    void *base, option_special_fn *special, void *ctx)
{
    if (base)
        options_defaults(r, s, base);
    if (map->kind != YAML_MAP) {
        complain(r, map, path, ERR_TYPE, "expected a map such as { name: value }");
        return;
    }
    for (const struct yaml *n = map->first; n; n = n->next) {
        struct nearest near = {.asked = n->key};
        const struct option *o = option_find(s, n->key, &near);
        struct str at = path_join(r, path, n->key);
        if (!o)
            complain_unknown(r, n, at, s, &near);
        else if (o->type == TYPE_LATER)
            complain_key(r, n, at, ERR_UNSUPPORTED, "not in this version: %s", o->help);
        else if (n->kind == YAML_NULL)
            continue; /* `keys:` with nothing below says nothing */
        else if (o->type == TYPE_SPECIAL)
            special(r, o, n, at, ctx);
        else
            read_value(r, n, at, o, base);
    }
    complain_missing(r, map, path, s);
}
