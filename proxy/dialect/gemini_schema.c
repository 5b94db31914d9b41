/* gemini_schema.c: between JSON Schema and the part of OpenAPI that Gemini calls a schema.
 *
 * Gemini's own form names types in capitals and says "nullable"; everybody else wants JSON Schema.
 * The other way, `parameters` refuses what OpenAPI does not know ($schema, $ref,
 * additionalProperties, lists of types): such a schema goes into parametersJsonSchema whole. */
#include "proxy/dialect/gemini.h"

enum { SCHEMA_DEPTH = 64 };

/* --- reading -------------------------------------------------------------------------------- */

static bool is_capital(struct str quoted)
{
    return quoted.n > 2 && quoted.p[1] >= 'A' && quoted.p[1] <= 'Z';
}

/* Members that hold schemas: one, a list, or named ones. */
static bool holds_schema(struct json_span key)
{
    return gemini_key(key, "items") || gemini_key(key, "anyOf") ||
           gemini_key(key, "additionalProperties") || gemini_key(key, "prefixItems");
}

static bool needs_change(struct json_span v, unsigned depth, bool names)
{
    struct json_iter it;
    struct json_span k, e;
    if ((v.type != JSON_OBJECT && v.type != JSON_ARRAY) || depth > SCHEMA_DEPTH)
        return false;
    it = json_iter(v.raw);
    while (json_next(&it, &k, &e)) {
        if (v.type == JSON_ARRAY || names || holds_schema(k)) {
            if (needs_change(e, depth + 1, false))
                return true;
        } else if (gemini_key(k, "properties") || gemini_key(k, "$defs")) {
            if (needs_change(e, depth + 1, true))
                return true;
        } else if ((gemini_key(k, "type") && e.type == JSON_STRING && is_capital(e.raw)) ||
                   (gemini_key(k, "nullable") && e.type == JSON_TRUE)) {
            return true;
        }
    }
    return false;
}

static void put_lower(struct buf *out, struct str quoted)
{
    for (size_t i = 0; i < quoted.n; i++) {
        char c = quoted.p[i];
        buf_putc(out, c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c);
    }
}

static void put_changed(struct buf *out, struct json_span v, unsigned depth, bool names);

static void put_type(struct buf *out, struct json_span type, bool nullable)
{
    if (nullable)
        buf_putc(out, '[');
    put_lower(out, type.raw);
    if (nullable)
        buf_puts(out, ",\"null\"]");
}

static void put_member(struct buf *out, struct json_span k, struct json_span v, unsigned depth,
    bool nullable)
{
    buf_put_str(out, k.raw);
    buf_putc(out, ':');
    if (gemini_key(k, "type") && v.type == JSON_STRING)
        put_type(out, v, nullable);
    else if (holds_schema(k))
        put_changed(out, v, depth + 1, false);
    else if (gemini_key(k, "properties") || gemini_key(k, "$defs"))
        put_changed(out, v, depth + 1, true);
    else
        buf_put_str(out, v.raw);
}

static void put_changed(struct buf *out, struct json_span v, unsigned depth, bool names)
{
    struct json_span k, e;
    bool first = true, object = v.type == JSON_OBJECT;
    if ((!object && v.type != JSON_ARRAY) || depth > SCHEMA_DEPTH) {
        buf_put_str(out, v.raw);
        return;
    }
    bool nullable = object && !names && json_is_true(json_get(v.raw, STR("nullable"))) &&
                    json_get(v.raw, STR("type")).type == JSON_STRING;
    struct json_iter it = json_iter(v.raw);
    buf_putc(out, object ? '{' : '[');
    while (json_next(&it, &k, &e)) {
        if (nullable && gemini_key(k, "nullable"))
            continue;
        if (!first)
            buf_putc(out, ',');
        first = false;
        if (!object) {
            put_changed(out, e, depth + 1, false);
        } else if (names) {
            buf_put_str(out, k.raw);
            buf_putc(out, ':');
            put_changed(out, e, depth + 1, false);
        } else {
            put_member(out, k, e, depth, nullable);
        }
    }
    buf_putc(out, object ? '}' : ']');
}

struct str gemini_schema_read(struct str schema, struct arena *a)
{
    struct json_span v = json_value(schema);
    if (!schema.p || !needs_change(v, 0, false))
        return schema;
    struct buf b;
    buf_init(&b, 2 * schema.n + 64);
    put_changed(&b, v, 0, false);
    struct str changed = b.err ? STR_NULL : arena_str(a, buf_str(&b));
    buf_fini(&b);
    return changed;
}

/* --- writing -------------------------------------------------------------------------------- */

static bool is_one_of(struct json_span key, const char *const *words)
{
    for (; *words; words++)
        if (json_text_eq(key, str_c(*words)))
            return true;
    return false;
}

static bool fits(struct json_span schema, unsigned depth);

static bool all_fit(struct json_span container, unsigned depth)
{
    struct json_iter it = json_iter(container.raw);
    struct json_span k, v;
    while (json_next(&it, &k, &v))
        if (!fits(v, depth))
            return false;
    return !it.err;
}

static bool all_strings(struct json_span array)
{
    struct json_iter it = json_iter(array.raw);
    struct json_span k, v;
    while (json_next(&it, &k, &v))
        if (v.type != JSON_STRING)
            return false;
    return !it.err;
}

static bool member_fits(struct json_span k, struct json_span v, unsigned depth)
{
    static const char *const plain[] = {"title", "description", "nullable", "maxItems", "minItems",
        "required", "minProperties", "maxProperties", "minLength", "maxLength", "pattern",
        "example", "propertyOrdering", "default", "minimum", "maximum", NULL};
    static const char *const formats[] = {"enum", "date-time", "float", "double", "int32", "int64",
        NULL};
    if (json_text_eq(k, STR("type")))
        return v.type == JSON_STRING && !json_text_eq(v, STR("null"));
    if (json_text_eq(k, STR("format")))
        return is_one_of(v, formats);
    if (json_text_eq(k, STR("enum")))
        return v.type == JSON_ARRAY && all_strings(v);
    if (json_text_eq(k, STR("properties")))
        return v.type == JSON_OBJECT && json_count(v) > 0 && all_fit(v, depth + 1);
    if (json_text_eq(k, STR("items")))
        return fits(v, depth + 1);
    if (json_text_eq(k, STR("anyOf")))
        return v.type == JSON_ARRAY && all_fit(v, depth + 1);
    return is_one_of(k, plain);
}

/* Without a type, or an object without members, `parameters` is refused too. */
static bool fits(struct json_span schema, unsigned depth)
{
    struct json_span k, v, type = {0};
    bool properties = false, any_of = false;
    if (schema.type != JSON_OBJECT || depth > SCHEMA_DEPTH / 4)
        return false;
    struct json_iter it = json_iter(schema.raw);
    while (json_next(&it, &k, &v)) {
        if (!member_fits(k, v, depth))
            return false;
        if (json_text_eq(k, STR("type")))
            type = v;
        properties |= json_text_eq(k, STR("properties"));
        any_of |= json_text_eq(k, STR("anyOf"));
    }
    if (it.err || (type.type == JSON_NONE && !any_of))
        return false;
    return properties || !(json_text_eq(type, STR("object")) || json_text_eq(type, STR("OBJECT")));
}

bool gemini_schema_fits(struct str schema)
{
    return fits(json_value(schema), 0);
}
