/* yaml.c: see yaml.h. Built from libyaml's events, because its document API neither bounds aliases
 * nor refuses duplicate keys. A recursion per level, at most YAML_DEPTH_MAX. */
#include "proxy/config/yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

enum { ANCHORS_MAX = 64 };

struct builder {
    yaml_parser_t parser;
    struct arena *a;
    struct yaml_fault *f;
    bool failed;
    size_t nodes;
    struct {
        struct str name;
        struct yaml *node;
    } anchors[ANCHORS_MAX];
    size_t anchor_count;
};

static void *fail(struct builder *b, yaml_mark_t at, const char *why)
{
    if (!b->failed) {
        b->f->line = (unsigned)at.line + 1;
        b->f->column = (unsigned)at.column + 1;
        snprintf(b->f->text, sizeof b->f->text, "%s", why);
    }
    b->failed = true;
    return NULL;
}

static bool event_next(struct builder *b, yaml_event_t *ev)
{
    if (yaml_parser_parse(&b->parser, ev))
        return true;
    char why[200];
    const char *problem = b->parser.problem ? b->parser.problem : "is not YAML";
    snprintf(why, sizeof why, "not valid YAML: %s%s%s", problem, b->parser.context ? " " : "",
        b->parser.context ? b->parser.context : "");
    fail(b, b->parser.problem_mark, why);
    return false;
}

static struct yaml *node_new(struct builder *b, enum yaml_kind kind, yaml_mark_t at, size_t weight)
{
    b->nodes += weight;
    if (b->nodes > YAML_NODES_MAX)
        return fail(b, at, "too many values in this file (aliases count as written out)");
    struct yaml *n = arena_zalloc(b->a, sizeof *n);
    if (!n)
        return fail(b, at, "out of memory");
    n->kind = kind;
    n->line = (unsigned)at.line + 1;
    n->column = (unsigned)at.column + 1;
    n->weight = weight;
    return n;
}

static void anchor_keep(struct builder *b, const yaml_char_t *name, struct yaml *n)
{
    if (!name || b->anchor_count == ANCHORS_MAX || !n)
        return;
    b->anchors[b->anchor_count].name = arena_str(b->a, str_c((const char *)name));
    b->anchors[b->anchor_count++].node = n;
}

static struct yaml *alias(struct builder *b, const yaml_event_t *ev)
{
    struct str name = str_c((const char *)ev->data.alias.anchor);
    for (size_t i = b->anchor_count; i-- > 0;) {
        if (!str_eq(b->anchors[i].name, name))
            continue;
        const struct yaml *of = b->anchors[i].node;
        struct yaml *n = node_new(b, of->kind, ev->start_mark, of->weight);
        if (n) {
            n->text = of->text;
            n->first = of->first; /* shared: nothing changes a finished node's children */
            n->count = of->count;
        }
        return n;
    }
    return fail(b, ev->start_mark, "an alias of an anchor that is not defined before it");
}

static bool plain_null(const yaml_event_t *ev)
{
    struct str s = str_n((const char *)ev->data.scalar.value, ev->data.scalar.length);
    return ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (s.n == 0 || str_eq(s, STR("~")) || str_eq(s, STR("null")));
}

static struct yaml *scalar(struct builder *b, const yaml_event_t *ev)
{
    struct yaml *n = node_new(b, plain_null(ev) ? YAML_NULL : YAML_TEXT, ev->start_mark, 1);
    if (n && n->kind == YAML_TEXT)
        n->text = arena_str(b->a,
            str_n((const char *)ev->data.scalar.value, ev->data.scalar.length));
    anchor_keep(b, ev->data.scalar.anchor, n);
    return n;
}

static struct yaml *value(struct builder *b, yaml_event_t *ev, unsigned depth);

static struct yaml *child_find(const struct yaml *map, struct str key)
{
    for (struct yaml *c = map->first; c; c = c->next)
        if (str_eq(c->key, key))
            return c;
    return NULL;
}

static void append(struct yaml *to, struct yaml **tail, struct yaml *child)
{
    if (*tail)
        (*tail)->next = child;
    else
        to->first = child;
    *tail = child;
    to->count++;
}

/* `<<: *base`: members of base that the map does not give itself. */
static bool merge(struct builder *b, struct yaml *map, struct yaml **tail, const struct yaml *from,
    yaml_mark_t at)
{
    if (from->kind == YAML_LIST) {
        for (const struct yaml *c = from->first; c; c = c->next)
            if (!merge(b, map, tail, c, at))
                return false;
        return true;
    }
    if (from->kind != YAML_MAP)
        return fail(b, at, "`<<` takes an alias of a map");
    for (const struct yaml *c = from->first; c; c = c->next) {
        if (child_find(map, c->key))
            continue;
        struct yaml *copy = node_new(b, c->kind, at, c->weight);
        if (!copy)
            return false;
        *copy = *c;
        copy->next = NULL;
        append(map, tail, copy);
    }
    return true;
}

static bool key_read(struct builder *b, const struct yaml *map, yaml_event_t *ev, struct yaml *key)
{
    if (ev->type != YAML_SCALAR_EVENT)
        return fail(b, ev->start_mark, "a name is expected here, not a list or a map");
    struct str name = str_n((const char *)ev->data.scalar.value, ev->data.scalar.length);
    if (child_find(map, name)) {
        char why[160];
        snprintf(why, sizeof why, "\"" STR_FMT "\" is given twice", STR_ARG(str_first(name, 80)));
        return fail(b, ev->start_mark, why);
    }
    key->key = arena_str(b->a, name);
    key->key_line = (unsigned)ev->start_mark.line + 1;
    key->key_column = (unsigned)ev->start_mark.column + 1;
    return key->key.p || fail(b, ev->start_mark, "out of memory");
}

static bool map_fill(struct builder *b, struct yaml *map, unsigned depth)
{
    struct yaml *tail = NULL;
    const struct yaml *merges[8];
    yaml_mark_t merge_at = {0};
    size_t merge_count = 0;
    for (;;) {
        yaml_event_t ev;
        struct yaml key = {0};
        if (!event_next(b, &ev))
            return false;
        if (ev.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&ev);
            break;
        }
        bool ok = key_read(b, map, &ev, &key);
        yaml_mark_t at = ev.start_mark;
        yaml_event_delete(&ev);
        if (!ok || !event_next(b, &ev))
            return false;
        struct yaml *child = value(b, &ev, depth + 1);
        yaml_event_delete(&ev);
        if (!child)
            return false;
        map->weight += child->weight;
        if (str_eq(key.key, STR("<<")) && merge_count < ARRAY_LEN(merges)) {
            merges[merge_count++] = child; /* after its own members, which win */
            merge_at = at;
            continue;
        }
        child->key = key.key;
        child->key_line = key.key_line;
        child->key_column = key.key_column;
        append(map, &tail, child);
    }
    for (size_t i = 0; i < merge_count; i++)
        if (!merge(b, map, &tail, merges[i], merge_at))
            return false;
    return true;
}

static bool list_fill(struct builder *b, struct yaml *list, unsigned depth)
{
    struct yaml *tail = NULL;
    for (;;) {
        yaml_event_t ev;
        if (!event_next(b, &ev))
            return false;
        bool end = ev.type == YAML_SEQUENCE_END_EVENT;
        struct yaml *child = end ? NULL : value(b, &ev, depth + 1);
        yaml_event_delete(&ev);
        if (end)
            return true;
        if (!child)
            return false;
        list->weight += child->weight;
        append(list, &tail, child);
    }
}

/* The value that starts with `ev`, which stays the caller's. */
static struct yaml *value(struct builder *b, yaml_event_t *ev, unsigned depth)
{
    if (depth > YAML_DEPTH_MAX)
        return fail(b, ev->start_mark, "nested too deeply");
    if (ev->type == YAML_SCALAR_EVENT)
        return scalar(b, ev);
    if (ev->type == YAML_ALIAS_EVENT)
        return alias(b, ev);
    bool map = ev->type == YAML_MAPPING_START_EVENT;
    if (!map && ev->type != YAML_SEQUENCE_START_EVENT)
        return fail(b, ev->start_mark, "a value is expected here");
    struct yaml *n = node_new(b, map ? YAML_MAP : YAML_LIST, ev->start_mark, 1);
    if (!n || !(map ? map_fill(b, n, depth) : list_fill(b, n, depth)))
        return NULL;
    /* known only from here on: an alias inside of its own anchor is an unknown one */
    anchor_keep(b, map ? ev->data.mapping_start.anchor : ev->data.sequence_start.anchor, n);
    return n;
}

/* Skips to the first value; NULL without failure for an empty document. */
static struct yaml *document(struct builder *b)
{
    struct yaml *root = NULL;
    bool end = false;
    while (!end && !b->failed) {
        yaml_event_t ev;
        if (!event_next(b, &ev))
            return NULL;
        if (ev.type == YAML_STREAM_END_EVENT)
            end = true;
        else if (ev.type == YAML_DOCUMENT_START_EVENT && root)
            fail(b, ev.start_mark, "one document only: remove what follows `---`");
        else if (ev.type != YAML_STREAM_START_EVENT && ev.type != YAML_DOCUMENT_START_EVENT &&
                 ev.type != YAML_DOCUMENT_END_EVENT)
            root = value(b, &ev, 0);
        yaml_event_delete(&ev);
    }
    return root;
}

struct yaml *yaml_read(struct str text, struct arena *a, struct yaml_fault *f)
{
    struct builder *b = calloc(1, sizeof *b);
    *f = (struct yaml_fault){.line = 1, .column = 1, .text = "out of memory"};
    if (!b)
        return NULL;
    b->a = a;
    b->f = f;
    struct yaml *root = NULL;
    if (text.n > YAML_BYTES_MAX) {
        fail(b, (yaml_mark_t){0}, "the file is larger than 1 MiB");
    } else if (yaml_parser_initialize(&b->parser)) {
        yaml_parser_set_encoding(&b->parser, YAML_UTF8_ENCODING);
        yaml_parser_set_input_string(&b->parser, (const unsigned char *)(text.p ? text.p : ""),
            text.n);
        root = document(b);
        yaml_parser_delete(&b->parser);
        if (!b->failed && (!root || root->kind == YAML_NULL))
            root = node_new(b, YAML_MAP, (yaml_mark_t){0}, 1);
        if (root && root->kind != YAML_MAP)
            root = fail(b, (yaml_mark_t){.line = root->line - 1, .column = root->column - 1},
                "expected `name: value` lines");
    }
    if (b->failed)
        root = NULL;
    free(b);
    return root;
}

const struct yaml *yaml_get(const struct yaml *n, const char *key)
{
    if (!n || n->kind != YAML_MAP)
        return NULL;
    const struct yaml *c = child_find(n, str_c(key));
    return c && c->kind != YAML_NULL ? c : NULL;
}
