/* json.c: see json.h. The only file that includes cJSON.
 *
 * A tree is read in two steps: our own strict check first (cJSON takes what RFC 8259 refuses), then
 * cJSON. cJSON ends strings at U+0000 and numbers are doubles: good enough for configuration, never
 * used for bodies or prices. */
#include "store/base/json.h"
#include "store/base/json_span.h"

#include <cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct json_writer json_writer(struct buf *out)
{
    return (struct json_writer){.out = out};
}

static void key_begin(struct json_writer *w, struct str key, bool has_key)
{
    if (w->comma[w->depth])
        buf_putc(w->out, ',');
    w->comma[w->depth] = true;
    if (!has_key)
        return;
    json_quote(w->out, key);
    buf_putc(w->out, ':');
}

static void value_begin(struct json_writer *w, const char *key)
{
    key_begin(w, str_c(key), key != NULL);
}

static void container_begin(struct json_writer *w, const char *key, char c)
{
    value_begin(w, key);
    buf_putc(w->out, c);
    if (w->depth + 1 >= JSON_WRITER_DEPTH) {
        if (!w->out->err)
            w->out->err = -ERR_LIMIT;
        return;
    }
    w->comma[++w->depth] = false;
}

static void container_end(struct json_writer *w, char c)
{
    buf_putc(w->out, c);
    if (w->depth)
        w->depth--;
}

void json_object_begin(struct json_writer *w, const char *key)
{
    container_begin(w, key, '{');
}

void json_object_end(struct json_writer *w)
{
    container_end(w, '}');
}

void json_array_begin(struct json_writer *w, const char *key)
{
    container_begin(w, key, '[');
}

void json_array_end(struct json_writer *w)
{
    container_end(w, ']');
}

void json_put_str(struct json_writer *w, const char *key, struct str value)
{
    value_begin(w, key);
    json_quote(w->out, value);
}

void json_put_c(struct json_writer *w, const char *key, const char *value)
{
    json_put_str(w, key, str_c(value));
}

void json_put_int(struct json_writer *w, const char *key, int64_t value)
{
    value_begin(w, key);
    buf_put_i64(w->out, value);
}

void json_put_double(struct json_writer *w, const char *key, double value)
{
    char text[40];
    value_begin(w, key);
    if (!isfinite(value)) {
        buf_puts(w->out, "null");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) { /* the shortest that reads back the same */
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    for (char *p = text; *p; p++)
        if (*p == ',') /* the locale of the console */
            *p = '.';
    buf_puts(w->out, text);
}

void json_put_bool(struct json_writer *w, const char *key, bool value)
{
    value_begin(w, key);
    buf_puts(w->out, value ? "true" : "false");
}

void json_write_error(struct buf *out, const char *code, const char *message)
{
    char small[32];
    size_t n = 0;
    for (; code[n] && n < sizeof small - 1; n++)
        small[n] = code[n] >= 'A' && code[n] <= 'Z' ? (char)(code[n] - 'A' + 'a') : code[n];
    small[n] = '\0';
    struct json_writer w = json_writer(out);
    json_object_begin(&w, NULL);
    json_object_begin(&w, "error");
    json_put_c(&w, "code", small);
    json_put_c(&w, "message", message);
    json_object_end(&w);
    json_object_end(&w);
}

void json_put_null(struct json_writer *w, const char *key)
{
    value_begin(w, key);
    buf_puts(w->out, "null");
}

void json_put_raw(struct json_writer *w, const char *key, struct str json)
{
    value_begin(w, key);
    buf_put_str(w->out, json);
}

void json_put_key(struct json_writer *w, struct str key)
{
    key_begin(w, key, true);
    w->comma[w->depth] = false;
}

/* struct json is a cJSON that nobody else can look into. */
static const cJSON *tree(const struct json *j)
{
    return (const cJSON *)(const void *)j;
}

static struct json *node(cJSON *c)
{
    return (struct json *)(void *)c;
}

struct json *json_parse(struct str text, struct err *e)
{
    size_t at = 0;
    int rc = json_check(text, &at);
    if (rc < 0) {
        err_set(e, (enum err_code)-rc, rc == -ERR_LIMIT ? "JSON nested too deep at byte %zu"
                                                        : "not valid JSON at byte %zu", at);
        return NULL;
    }
    cJSON *c = cJSON_ParseWithLength(text.p, text.n);
    if (!c)
        err_set(e, ERR_NOMEM, "no memory for a JSON document of %zu bytes", text.n);
    return node(c);
}

void json_free(struct json *j)
{
    cJSON_Delete((cJSON *)(void *)j);
}

struct json *json_member(const struct json *object, const char *key)
{
    return node(cJSON_GetObjectItemCaseSensitive(tree(object), key));
}

struct json *json_first(const struct json *container)
{
    return container ? node(tree(container)->child) : NULL;
}

struct json *json_following(const struct json *item)
{
    return item ? node(tree(item)->next) : NULL;
}

const char *json_key(const struct json *item)
{
    return item && tree(item)->string ? tree(item)->string : "";
}

bool json_is_object(const struct json *j)
{
    return cJSON_IsObject(tree(j));
}

bool json_is_array(const struct json *j)
{
    return cJSON_IsArray(tree(j));
}

bool json_is_string(const struct json *j)
{
    return cJSON_IsString(tree(j));
}

bool json_is_number(const struct json *j)
{
    return cJSON_IsNumber(tree(j));
}

bool json_is_bool(const struct json *j)
{
    return cJSON_IsBool(tree(j));
}

bool json_is_null(const struct json *j)
{
    return cJSON_IsNull(tree(j));
}

const char *json_item_string(const struct json *item, const char *otherwise)
{
    return json_is_string(item) ? tree(item)->valuestring : otherwise;
}

int64_t json_item_int(const struct json *item, int64_t otherwise)
{
    if (!json_is_number(item))
        return otherwise;
    double d = tree(item)->valuedouble;
    /* past 2^53 a double has lost digits already */
    return fabs(d) <= 9007199254740992.0 && d == floor(d) ? (int64_t)d : otherwise;
}

double json_item_double(const struct json *item, double otherwise)
{
    return json_is_number(item) ? tree(item)->valuedouble : otherwise;
}

bool json_item_bool(const struct json *item, bool otherwise)
{
    return json_is_bool(item) ? cJSON_IsTrue(tree(item)) : otherwise;
}

const char *json_string(const struct json *object, const char *key, const char *otherwise)
{
    return json_item_string(json_member(object, key), otherwise);
}

int64_t json_int(const struct json *object, const char *key, int64_t otherwise)
{
    return json_item_int(json_member(object, key), otherwise);
}

double json_double(const struct json *object, const char *key, double otherwise)
{
    return json_item_double(json_member(object, key), otherwise);
}

bool json_bool(const struct json *object, const char *key, bool otherwise)
{
    return json_item_bool(json_member(object, key), otherwise);
}

size_t json_size(const struct json *container)
{
    return container ? (size_t)cJSON_GetArraySize(tree(container)) : 0;
}
