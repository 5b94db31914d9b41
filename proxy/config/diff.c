/* diff.c: what differs between two configurations, object by object and member by member, in lines
 * for people. Compares the texts of objects.c, so that it says what the files say. */
#include "proxy/config/config.h"
#include "store/base/json_span.h"

static const struct config_object *object_find(
    const struct config *c, const struct config_object *like)
{
    const struct config_object *all;
    size_t n = config_objects(c, &all);
    for (size_t i = 0; i < n; i++)
        if (str_eq(all[i].kind, like->kind) && str_eq(all[i].name, like->name))
            return &all[i];
    return NULL;
}

static void put_head(struct buf *out, const struct config_object *o)
{
    buf_printf(out, STR_FMT " " STR_FMT ": ", STR_ARG(o->kind), STR_ARG(o->name));
}

/* The member of an object's text whose raw key is `key`. */
static struct str member(struct str object, struct str key)
{
    struct json_iter it = json_iter(object);
    struct json_span k, v;
    while (json_next(&it, &k, &v))
        if (str_eq(k.raw, key))
            return v.raw;
    return STR_NULL;
}

static struct str plain(struct str raw)
{
    return raw.n >= 2 && *raw.p == '"' ? str_n(raw.p + 1, raw.n - 2) : raw;
}

static void put_change(struct buf *out, const struct config_object *o, struct str key,
    struct str before, struct str after)
{
    put_head(out, o);
    buf_printf(out, STR_FMT "%s", STR_ARG(plain(key)), key.n ? ": " : "");
    if (before.n)
        buf_printf(out, STR_FMT " → ", STR_ARG(plain(before)));
    else
        buf_puts(out, "new: ");
    if (after.n)
        buf_put_str(out, plain(after));
    else
        buf_puts(out, "(removed)");
    buf_putc(out, '\n');
}

static size_t put_members(
    struct buf *out, const struct config_object *a, const struct config_object *b)
{
    struct json_iter it = json_iter(a->text);
    struct json_span key, value;
    size_t n = 0;
    while (json_next(&it, &key, &value)) {
        struct str now = member(b->text, key.raw);
        if (str_eq(value.raw, now))
            continue;
        put_change(out, b, key.raw, value.raw, now);
        n++;
    }
    it = json_iter(b->text);
    while (json_next(&it, &key, &value)) {
        if (member(a->text, key.raw).n)
            continue;
        put_change(out, b, key.raw, STR_NULL, value.raw);
        n++;
    }
    return n;
}

static size_t put_object(
    struct buf *out, const struct config_object *a, const struct config_object *b)
{
    bool maps = a->text.n && b->text.n && *a->text.p == '{' && *b->text.p == '{';
    size_t n = maps ? put_members(out, a, b) : 0;
    if (n)
        return n;
    if (maps) { /* the same members in another order */
        put_head(out, b);
        buf_puts(out, "order changed\n");
    } else {
        put_change(out, b, STR_NULL, a->text, b->text);
    }
    return 1;
}

size_t config_diff(const struct config *before, const struct config *after, struct buf *out)
{
    const struct config_object *all;
    size_t lines = 0, n = config_objects(before, &all);
    for (size_t i = 0; i < n; i++) {
        const struct config_object *now = object_find(after, &all[i]);
        if (!now) {
            put_head(out, &all[i]);
            buf_puts(out, "removed\n");
            lines++;
        } else if (!str_eq(all[i].text, now->text)) {
            lines += put_object(out, &all[i], now);
        }
    }
    n = config_objects(after, &all);
    for (size_t i = 0; i < n; i++) {
        if (object_find(before, &all[i]))
            continue;
        put_head(out, &all[i]);
        buf_printf(out, "added " STR_FMT "\n", STR_ARG(all[i].text));
        lines++;
    }
    return lines;
}
