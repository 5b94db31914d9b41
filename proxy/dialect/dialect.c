/* dialect.c: names of dialects and wires, and errors said in each of them.
 *
 * Official clients decide by these bodies whether to retry and which exception to throw, so the
 * shapes are those that the providers send; what an HTTP status is called stands in errors.def. */
#include "proxy/dialect/dialect.h"
#include "store/base/json.h"

#include <stdio.h>

static const char *const dialect_names[DIALECT_COUNT] = {
    [DIALECT_OPENAI] = "openai",
    [DIALECT_OPENAI_RESPONSES] = "openai_responses",
    [DIALECT_ANTHROPIC] = "anthropic",
    [DIALECT_GEMINI] = "gemini",
    [DIALECT_AZURE] = "azure",
};

static const struct {
    const char *name;
    enum dialect dialect;
} wires[WIRE_COUNT] = {
    [WIRE_RAW] = {"raw", DIALECT_OPENAI},
    [WIRE_CHAT] = {"chat", DIALECT_OPENAI},
    [WIRE_COMPLETIONS] = {"completions", DIALECT_OPENAI},
    [WIRE_EMBEDDINGS] = {"embeddings", DIALECT_OPENAI},
    [WIRE_RESPONSES] = {"responses", DIALECT_OPENAI},
    [WIRE_MESSAGES] = {"messages", DIALECT_ANTHROPIC},
    [WIRE_COUNT_TOKENS] = {"count_tokens", DIALECT_ANTHROPIC},
    [WIRE_GENERATE] = {"generate", DIALECT_GEMINI},
    [WIRE_STREAM_GENERATE] = {"stream_generate", DIALECT_GEMINI},
    [WIRE_GEMINI_COUNT] = {"gemini_count", DIALECT_GEMINI},
    [WIRE_GEMINI_EMBED] = {"gemini_embed", DIALECT_GEMINI},
    [WIRE_MODELS] = {"models", DIALECT_OPENAI},
};

static const struct error_row {
    int status;
    const char *openai, *anthropic, *gemini;
} error_rows[] = {
#define X(status, openai, anthropic, gemini) {status, openai, anthropic, gemini},
#include "proxy/dialect/errors.def"
#undef X
};

const char *dialect_name(enum dialect d)
{
    return (unsigned)d < DIALECT_COUNT ? dialect_names[d] : "unknown";
}

const char *wire_name(enum wire w)
{
    return (unsigned)w < WIRE_COUNT ? wires[w].name : "unknown";
}

/* A chat's path ends like a completion's too: it stands first. */
enum wire wire_of_endpoint(struct str endpoint)
{
    static const struct {
        const char *end;
        enum wire wire;
    } ends[] = {{"/chat/completions", WIRE_CHAT}, {"/completions", WIRE_COMPLETIONS},
        {"/embeddings", WIRE_EMBEDDINGS}, {"/responses", WIRE_RESPONSES},
        {"/messages", WIRE_MESSAGES}, {"/count_tokens", WIRE_COUNT_TOKENS},
        {":generateContent", WIRE_GENERATE}, {":streamGenerateContent", WIRE_STREAM_GENERATE},
        {":countTokens", WIRE_GEMINI_COUNT}, {":embedContent", WIRE_GEMINI_EMBED},
        {":batchEmbedContents", WIRE_GEMINI_EMBED}};
    for (size_t i = 0; i < ARRAY_LEN(ends); i++)
        if (str_ends(endpoint, str_c(ends[i].end)))
            return ends[i].wire;
    return WIRE_RAW;
}

enum dialect wire_dialect(enum wire w)
{
    return (unsigned)w < WIRE_COUNT ? wires[w].dialect : DIALECT_OPENAI;
}

static const struct error_row *error_row(int status)
{
    const struct error_row *other = NULL;
    int fallback = status >= 500 ? 500 : 400;
    for (size_t i = 0; i < ARRAY_LEN(error_rows); i++) {
        if (error_rows[i].status == status)
            return &error_rows[i];
        if (error_rows[i].status == fallback)
            other = &error_rows[i];
    }
    return other;
}

int dialect_error_status(struct str type)
{
    for (size_t i = 0; i < ARRAY_LEN(error_rows) && type.n; i++)
        if (str_eq(type, str_c(error_rows[i].anthropic)) ||
            str_eq(type, str_c(error_rows[i].gemini)) || str_eq(type, str_c(error_rows[i].openai)))
            return error_rows[i].status;
    return str_eq(type, STR("rate_limit_exceeded")) ? 429 : 0;
}

static void put_or_null(struct json_writer *w, const char *key, struct str value)
{
    if (value.n)
        json_put_str(w, key, value);
    else
        json_put_null(w, key);
}

static void openai_members(struct json_writer *w, const struct dialect_error *error)
{
    json_put_str(w, "message", error->message);
    json_put_c(w, "type", error_row(error->status)->openai);
    put_or_null(w, "param", error->param);
    put_or_null(w, "code", error->code);
}

static void write_openai(struct json_writer *w, const struct dialect_error *error)
{
    json_object_begin(w, NULL);
    json_object_begin(w, "error");
    openai_members(w, error);
    json_object_end(w);
    json_object_end(w);
}

static void write_anthropic(struct json_writer *w, const struct dialect_error *error)
{
    json_object_begin(w, NULL);
    json_put_c(w, "type", "error");
    json_object_begin(w, "error");
    json_put_c(w, "type", error_row(error->status)->anthropic);
    json_put_str(w, "message", error->message);
    if (str_eq(error->code, STR(DIALECT_NO_THREAD))) {
        json_object_begin(w, "details");
        json_put_str(w, "error_code", error->code);
        json_array_begin(w, "unsupported");
        json_put_c(w, NULL, "thread");
        json_array_end(w);
        json_object_end(w);
    }
    json_object_end(w);
    put_or_null(w, "request_id", error->request_id);
    json_object_end(w);
}

static void write_gemini(struct json_writer *w, const struct dialect_error *error)
{
    json_object_begin(w, NULL);
    json_object_begin(w, "error");
    json_put_int(w, "code", error->status);
    json_put_str(w, "message", error->message);
    json_put_c(w, "status", error_row(error->status)->gemini);
    json_array_begin(w, "details");
    if (error->code.n) { /* Google's own way to say a machine-readable reason */
        json_object_begin(w, NULL);
        json_put_c(w, "@type", "type.googleapis.com/google.rpc.ErrorInfo");
        json_put_str(w, "reason", error->code);
        json_put_c(w, "domain", "pointsman");
        json_object_end(w);
    }
    if (error->retry_after_ms > 0) {
        char delay[32];
        snprintf(delay, sizeof delay, "%lld.%03llds", (long long)(error->retry_after_ms / 1000),
            (long long)(error->retry_after_ms % 1000));
        json_object_begin(w, NULL);
        json_put_c(w, "@type", "type.googleapis.com/google.rpc.RetryInfo");
        json_put_c(w, "retryDelay", delay);
        json_object_end(w);
    }
    json_array_end(w);
    json_object_end(w);
    json_object_end(w);
}

void dialect_write_error(enum dialect d, const struct dialect_error *error, struct buf *out)
{
    struct json_writer w = json_writer(out);
    if (d == DIALECT_ANTHROPIC)
        write_anthropic(&w, error);
    else if (d == DIALECT_GEMINI)
        write_gemini(&w, error);
    else
        write_openai(&w, error);
}

/* `error` as clients of old and new versions read it: members at the top and in an object. */
static void write_responses_error(struct json_writer *w, const struct dialect_error *error)
{
    json_object_begin(w, NULL);
    json_put_c(w, "type", "error");
    json_put_int(w, "sequence_number", error->sequence);
    put_or_null(w, "code", error->code);
    json_put_str(w, "message", error->message);
    put_or_null(w, "param", error->param);
    json_object_begin(w, "error");
    openai_members(w, error);
    json_object_end(w);
    json_object_end(w);
}

static void write_responses_failed(struct json_writer *w, const struct dialect_error *error)
{
    json_object_begin(w, NULL);
    json_put_c(w, "type", "response.failed");
    json_put_int(w, "sequence_number", error->sequence + 1);
    json_object_begin(w, "response");
    json_put_str(w, "id", error->response_id);
    json_put_c(w, "object", "response");
    json_put_int(w, "created_at", 0);
    json_put_c(w, "status", "failed");
    json_object_begin(w, "error");
    json_put_str(w, "code", error->code.n ? error->code : STR("server_error"));
    json_put_str(w, "message", error->message);
    json_object_end(w);
    json_put_null(w, "incomplete_details");
    json_put_str(w, "model", error->model);
    json_array_begin(w, "output");
    json_array_end(w);
    json_put_null(w, "usage");
    json_object_begin(w, "metadata");
    json_object_end(w);
    json_object_end(w);
    json_object_end(w);
}

static void responses_stream_error(const struct dialect_error *error, struct buf *out)
{
    struct json_writer w = json_writer(out);
    buf_puts(out, "event: error\ndata: ");
    write_responses_error(&w, error);
    buf_puts(out, "\n\nevent: response.failed\ndata: ");
    w = json_writer(out);
    write_responses_failed(&w, error);
    buf_puts(out, "\n\n");
}

void dialect_write_stream_error(enum wire wire, const struct dialect_error *error, struct buf *out)
{
    if (wire == WIRE_RESPONSES) {
        responses_stream_error(error, out);
        return;
    }
    enum dialect d = wire_dialect(wire);
    buf_puts(out, d == DIALECT_ANTHROPIC ? "event: error\ndata: " : "data: ");
    dialect_write_error(d, error, out);
    buf_puts(out, d == DIALECT_GEMINI ? "\r\n\r\n" : "\n\n");
}
