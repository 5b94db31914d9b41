/* read_error.c: a provider's error body, whatever its shape.
 *
 * Nobody agrees on the envelope: OpenAI nests an object, xAI and Ollama give a string, Bedrock and
 * Mistral put the members at the top, FastAPI servers say "detail", Gemini wraps the whole in an
 * array when it was streaming. What is read here goes into records and routing ("is it the quota or
 * the rate?"); the client of the same dialect gets the body itself. */
#include "proxy/dialect/dialect.h"
#include "store/base/json_span.h"

#include <stdlib.h>

/* Text of a string, digits of a number, else empty. */
static struct str scalar(struct json_span v, struct arena *a)
{
    if (v.type == JSON_STRING)
        return json_text(v, a);
    return v.type == JSON_NUMBER ? v.raw : STR_NULL;
}

static void take(struct str *to, struct json_span v, struct arena *a)
{
    struct str s = scalar(v, a);
    if (!to->n && s.n)
        *to = s;
}

/* {"detail":"text"}, {"detail":[{"msg":"text",…}]}, {"detail":{"message":…}} */
static void take_detail(struct str *to, struct json_span v, struct arena *a)
{
    take(to, v, a);
    if (v.type == JSON_ARRAY)
        take(to, json_path(v.raw, "0.msg"), a);
    if (v.type == JSON_OBJECT) {
        take(to, json_get(v.raw, STR("message")), a);
        take_detail(to, json_get(v.raw, STR("detail")), a);
    }
}

static void read_members(struct str object, struct arena *a, struct dialect_error_read *out)
{
    struct json_want w[] = {{STR("message")}, {STR("type")}, {STR("code")}, {STR("param")},
        {STR("status")}, {STR("detail")}, {STR("msg")}, {STR("Message")}};
    if (json_scan(object, w, ARRAY_LEN(w)) < 0)
        return;
    take_detail(&out->message, w[0].value, a);
    take(&out->message, w[7].value, a);
    take(&out->message, w[6].value, a);
    take_detail(&out->message, w[5].value, a);
    take(&out->type, w[1].value, a);
    take(&out->code, w[2].value, a);
    take(&out->param, w[3].value, a);
    if (w[4].value.type == JSON_STRING)
        take(&out->status_text, w[4].value, a);
}

/* {"@type":"…RetryInfo","retryDelay":"34.4s"} among `details`. */
static int64_t retry_delay_ms(struct str error, struct arena *a)
{
    struct json_span list = json_get(error, STR("details")), k, v;
    struct json_iter it = json_iter(list.raw);
    while (list.type == JSON_ARRAY && json_next(&it, &k, &v)) {
        struct str delay = json_get_str(v.raw, STR("retryDelay"), a);
        char text[24];
        str_copy(text, sizeof text, delay);
        double s = str_ends(delay, STR("s")) ? strtod(text, NULL) : 0;
        if (s > 0 && s < 86400)
            return (int64_t)(s * 1000);
    }
    return 0;
}

static void read_object(struct str object, struct arena *a, struct dialect_error_read *out)
{
    struct json_span error = json_get(object, STR("error"));
    if (error.type != JSON_OBJECT) /* Cloudflare and others: a list of them */
        error = error.type == JSON_NONE ? json_path(object, "errors.0") : error;
    if (error.type == JSON_NONE || error.type == JSON_NULL) /* response.failed, response.json */
        error = json_path(object, "response.error");
    if (error.type == JSON_OBJECT) {
        read_members(error.raw, a, out);
        out->retry_after_ms = retry_delay_ms(error.raw, a);
        if (out->message.n || out->code.n)
            return;
    }
    take(&out->message, error, a);
    read_members(object, a, out);
    take(&out->type, json_get(object, STR("error_type")), a);
}

/* A proxy's plain sentence is worth showing, its HTML page is not. */
static struct str plain_text(struct str body)
{
    while (body.n && strchr(" \r\n\t", *body.p))
        body = str_from(body, 1);
    if (!body.n || *body.p == '<' || *body.p == '{' || *body.p == '[')
        return STR_NULL;
    ptrdiff_t line = str_chr(body, '\n');
    return str_trim(str_first(body, MIN(line < 0 ? body.n : (size_t)line, (size_t)300)));
}

void dialect_read_error(struct str body, struct arena *a, struct dialect_error_read *out)
{
    *out = (struct dialect_error_read){0};
    struct json_span v = json_value(body);
    if (v.type == JSON_ARRAY)
        v = json_path(body, "0");
    if (v.type == JSON_OBJECT)
        read_object(v.raw, a, out);
    else if (v.type == JSON_STRING)
        out->message = json_text(v, a);
    else
        out->message = plain_text(body);
}
