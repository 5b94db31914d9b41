/* embed.c: see embed.h. */
#include "proxy/dialect/embed.h"
#include "proxy/dialect/gemini.h"

#include <stdlib.h>

enum wire embed_target_wire(enum dialect d, enum wire client)
{
    bool gemini = d == DIALECT_GEMINI;
    if (client != WIRE_EMBEDDINGS && client != WIRE_GEMINI_EMBED)
        return WIRE_RAW;
    if (d == DIALECT_ANTHROPIC) /* has none */
        return WIRE_RAW;
    return gemini ? WIRE_GEMINI_EMBED : WIRE_EMBEDDINGS;
}

/* --- OpenAI's request → Gemini's ------------------------------------------------------------ */

static int put_request(struct json_writer *w, struct json_span input, struct str model,
    struct json_span dimensions, struct err *e)
{
    if (input.type != JSON_STRING)
        return err_set(e, ERR_UNSUPPORTED, "Gemini embeds texts, not tokens: send input as text");
    json_object_begin(w, NULL);
    json_put_raw(w, "model", STR("\"models/"));
    buf_put_str(w->out, model);
    buf_putc(w->out, '"');
    json_object_begin(w, "content");
    json_array_begin(w, "parts");
    json_object_begin(w, NULL);
    ir_put_text(w, "text", ir_text(input));
    json_object_end(w);
    json_array_end(w);
    json_object_end(w);
    ir_put_raw(w, "outputDimensionality", dimensions.type == JSON_NUMBER ? dimensions.raw : STR_NULL);
    json_object_end(w);
    return 0;
}

/* Only the end user's name may be left out without loss. */
static void note_others(struct str body, struct ir_notes *notes)
{
    static const char *const said[] = {"model", "input", "dimensions", "encoding_format"};
    struct json_iter it = json_iter(body);
    struct json_span k, v;
    while (it.object && json_next(&it, &k, &v)) {
        bool known = v.type == JSON_NULL;
        for (size_t i = 0; i < ARRAY_LEN(said) && !known; i++)
            known = json_text_eq(k, str_c(said[i]));
        if (!known && json_text_eq(k, STR("user")))
            ir_changed(notes, "user");
        else if (!known)
            ir_dropped_text(notes, "", ir_text(k));
    }
}

static int to_gemini(struct str body, struct str model, struct buf *out, struct ir_notes *notes,
    struct err *e)
{
    struct json_span input = json_get(body, STR("input")), k, v;
    struct json_span dimensions = json_get(body, STR("dimensions"));
    struct json_writer w = json_writer(out);
    struct json_iter it = json_iter(input.raw);
    int rc = 0;
    if (input.type != JSON_STRING && (input.type != JSON_ARRAY || !json_count(input)))
        return err_set(e, ERR_TYPE, "`input` must be a text or a list of texts");
    json_object_begin(&w, NULL);
    json_array_begin(&w, "requests");
    if (input.type == JSON_STRING)
        rc = put_request(&w, input, model, dimensions, e);
    while (input.type == JSON_ARRAY && rc == 0 && json_next(&it, &k, &v))
        rc = put_request(&w, v, model, dimensions, e);
    json_array_end(&w);
    json_object_end(&w);
    note_others(body, notes);
    return rc;
}

/* --- Gemini's request → OpenAI's ------------------------------------------------------------ */

/* The texts of one content's parts, as one input. */
static int put_input(struct json_writer *w, struct json_span content, struct err *e)
{
    struct json_iter it = json_iter(gemini_get(content.raw, "parts").raw);
    struct json_span k, v;
    json_put_raw(w, NULL, STR("\""));
    while (!it.object && json_next(&it, &k, &v)) {
        struct json_span text = gemini_get(v.raw, "text");
        if (text.type != JSON_STRING)
            return err_set(e, ERR_UNSUPPORTED, "this provider embeds texts alone");
        buf_put_str(w->out, ir_text(text));
    }
    buf_putc(w->out, '"');
    return 0;
}

static int to_openai(struct str body, struct str model, struct buf *out, struct ir_notes *notes,
    struct err *e)
{
    struct json_span requests = gemini_get(body, "requests"), k, v, first = json_value(body);
    struct json_writer w = json_writer(out);
    int rc = 0;
    json_object_begin(&w, NULL);
    json_put_str(&w, "model", model);
    json_array_begin(&w, "input");
    if (requests.type == JSON_ARRAY) {
        struct json_iter it = json_iter(requests.raw);
        first = json_path(requests.raw, "0");
        while (rc == 0 && json_next(&it, &k, &v))
            rc = put_input(&w, gemini_get(v.raw, "content"), e);
    } else {
        rc = put_input(&w, gemini_get(body, "content"), e);
    }
    json_array_end(&w);
    json_put_c(&w, "encoding_format", "float");
    ir_put_raw(&w, "dimensions", ir_raw(gemini_get(first.raw, "outputDimensionality")));
    json_object_end(&w);
    if (gemini_get(first.raw, "taskType").type == JSON_STRING)
        ir_dropped(notes, "taskType");
    if (gemini_get(first.raw, "title").type == JSON_STRING)
        ir_dropped(notes, "title");
    return rc;
}

int embed_write_request(enum wire client, struct str body, struct str model, struct buf *out,
    struct ir_notes *notes, struct err *e)
{
    int rc = client == WIRE_EMBEDDINGS ? to_gemini(body, model, out, notes, e)
                                       : to_openai(body, model, out, notes, e);
    if (rc == 0 && out->err)
        rc = err_set(e, ERR_LIMIT, "the request is too large to be translated");
    return rc;
}

/* --- answers -------------------------------------------------------------------------------- */

struct base64 {
    struct buf *out;
    unsigned bits, have;
};

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void put_byte(struct base64 *b, unsigned char c)
{
    b->bits = b->bits << 8 | c;
    b->have += 8;
    while (b->have >= 6) {
        b->have -= 6;
        buf_putc(b->out, digits[b->bits >> b->have & 63]);
    }
}

/* Little-endian float32, as the official client asks for by default. */
static void put_packed(struct json_writer *w, struct str values)
{
    struct json_iter it = json_iter(values);
    struct json_span k, v;
    size_t bytes = 0;
    json_put_raw(w, "embedding", STR("\""));
    struct base64 b = {.out = w->out};
    while (!it.object && json_next(&it, &k, &v)) {
        char text[48];
        uint32_t word;
        str_copy(text, sizeof text, v.raw);
        float f = strtof(text, NULL);
        memcpy(&word, &f, sizeof word);
        for (int i = 0; i < 4; i++, bytes++)
            put_byte(&b, (unsigned char)(word >> 8 * i));
    }
    if (b.have)
        buf_putc(w->out, digits[b.bits << (6 - b.have) & 63]);
    for (; bytes % 3; bytes++)
        buf_putc(w->out, '=');
    buf_putc(w->out, '"');
}

static void put_one(struct json_writer *w, struct str values, unsigned index, bool packed)
{
    json_object_begin(w, NULL);
    json_put_c(w, "object", "embedding");
    json_put_int(w, "index", index);
    if (packed)
        put_packed(w, values);
    else
        json_put_raw(w, "embedding", values);
    json_object_end(w);
}

static int from_gemini(struct str answer, const struct embed_client *c, struct buf *out,
    struct err *e)
{
    struct json_span list = gemini_get(answer, "embeddings"), k, v;
    struct json_writer w = json_writer(out);
    struct json_iter it = json_iter(list.raw);
    bool packed = json_text_eq(json_get(c->request, STR("encoding_format")), STR("base64"));
    unsigned n = 0;
    if (list.type != JSON_ARRAY)
        return err_set(e, ERR_TYPE, "the provider's answer has no embeddings");
    json_object_begin(&w, NULL);
    json_put_c(&w, "object", "list");
    json_array_begin(&w, "data");
    while (json_next(&it, &k, &v)) {
        struct json_span values = gemini_get(v.raw, "values");
        if (values.type != JSON_ARRAY)
            return err_set(e, ERR_TYPE, "the provider's answer has an embedding without values");
        put_one(&w, values.raw, n++, packed);
    }
    json_array_end(&w);
    json_put_str(&w, "model", c->model);
    json_object_begin(&w, "usage");
    json_put_int(&w, "prompt_tokens", c->prompt_tokens);
    json_put_int(&w, "total_tokens", c->prompt_tokens);
    json_object_end(&w);
    json_object_end(&w);
    return 0;
}

static int from_openai(struct str answer, const struct embed_client *c, struct buf *out,
    struct err *e)
{
    struct json_span list = json_get(answer, STR("data")), k, v;
    struct json_writer w = json_writer(out);
    struct json_iter it = json_iter(list.raw);
    if (list.type != JSON_ARRAY || !json_count(list))
        return err_set(e, ERR_TYPE, "the provider's answer has no embeddings");
    json_object_begin(&w, NULL);
    if (c->batch)
        json_array_begin(&w, "embeddings");
    while (json_next(&it, &k, &v)) {
        struct json_span values = json_get(v.raw, STR("embedding"));
        if (values.type != JSON_ARRAY)
            return err_set(e, ERR_TYPE, "the provider's answer has an embedding without numbers");
        json_object_begin(&w, c->batch ? NULL : "embedding");
        json_put_raw(&w, "values", values.raw);
        json_object_end(&w);
        if (!c->batch)
            break;
    }
    if (c->batch)
        json_array_end(&w);
    json_object_end(&w);
    return 0;
}

int embed_write_answer(enum wire client, struct str answer, const struct embed_client *c,
    struct buf *out, struct err *e)
{
    int rc = client == WIRE_EMBEDDINGS ? from_gemini(answer, c, out, e)
                                       : from_openai(answer, c, out, e);
    return rc == 0 && out->err ? err_set(e, ERR_LIMIT, "the answer is too large to be translated") : rc;
}
