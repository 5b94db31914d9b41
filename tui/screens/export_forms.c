/* export_forms.c: see export_forms.h. */
#include "tui/screens/export_forms.h"

#include "proxy/admin/api.h"
#include "tui/screens/transcript.h"

#include <stdio.h>

static const char *url_of(const char *listen)
{
    return *listen ? listen : "http://127.0.0.1:4141";
}

/* 'single quoted' for a shell; control bytes as $'\xNN', so that a paste can't run or hide
 * anything. */
static void put_quoted(struct buf *out, struct str s)
{
    buf_puts(out, "$'");
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '\'' || c == '\\')
            buf_putc(out, '\\');
        if (c == '\n')
            buf_puts(out, "\\n");
        else if (c < 0x20 || c >= 0x7F)
            buf_printf(out, "\\x%02x", c);
        else
            buf_putc(out, (char)c);
    }
    buf_putc(out, '\'');
}

void form_curl(struct buf *out, struct str detail, const char *listen, struct arena *mem)
{
    struct str endpoint = json_get_str(detail, STR("endpoint"), mem);
    struct str dialect = json_get_str(detail, STR("dialect"), mem);
    struct str body = json_text(json_path(detail, "request.body"), mem);
    buf_puts(out, "curl ");
    put_quoted(out, arena_printf(mem, "%s" STR_FMT, url_of(listen), STR_ARG(endpoint)));
    buf_puts(out, " -H 'content-type: application/json'");
    if (str_eq(dialect, STR("anthropic")))
        buf_puts(out, " -H \"x-api-key: $ANTHROPIC_API_KEY\" -H 'anthropic-version: 2023-06-01'");
    else if (str_eq(dialect, STR("gemini")))
        buf_puts(out, " -H \"x-goog-api-key: $GEMINI_API_KEY\"");
    else
        buf_puts(out, " -H \"authorization: Bearer $OPENAI_API_KEY\"");
    buf_puts(out, " --data-binary ");
    put_quoted(out, body);
    buf_putc(out, '\n');
}

void form_headers(struct buf *out, struct str detail, const char *side, struct arena *mem)
{
    struct json_iter it =
        json_iter(json_get(json_get(detail, str_c(side)).raw, STR("headers")).raw);
    struct json_span k, v;
    buf_printf(out, "# %s\n", side);
    while (json_next(&it, &k, &v)) {
        bool pair = v.type == JSON_OBJECT;
        buf_put_str(out, it.object ? json_text(k, mem)
                         : pair    ? json_get_str(v.raw, STR("name"), mem)
                                   : json_text(json_path(v.raw, "0"), mem));
        buf_puts(out, ": ");
        buf_put_str(out, it.object ? json_text(v, mem)
                         : pair    ? json_get_str(v.raw, STR("value"), mem)
                                   : json_text(json_path(v.raw, "1"), mem));
        buf_putc(out, '\n');
    }
}

/* What the answer says: of a stream its text, of a chat answer its message, else the body. */
void form_response(struct buf *out, struct str detail, struct arena *mem)
{
    struct str body = json_text(json_path(detail, "response.body"), mem);
    static const char *const paths[] = {"choices.0.message.content", "content.0.text",
        "candidates.0.content.parts.0.text", "output.0.content.0.text", "choices.0.text"};
    struct transcript s = {0};
    size_t before = out->n;
    transcript_reset(&s);
    if (transcript_body(&s, body))
        transcript_plain(&s, out);
    transcript_fini(&s);
    for (size_t i = 0; out->n == before && i < ARRAY_LEN(paths); i++)
        buf_put_str(out, json_text(json_path(body, paths[i]), mem));
    if (out->n == before)
        buf_put_str(out, body);
}

/* ---- files ---- */

/* The header that carries the caller's key, and the variable it is in. */
static const char *key_header(struct str dialect, const char **variable)
{
    bool anthropic = str_eq(dialect, STR("anthropic")), gemini = str_eq(dialect, STR("gemini"));
    *variable = anthropic ? "ANTHROPIC_API_KEY" : gemini ? "GEMINI_API_KEY" : "OPENAI_API_KEY";
    return anthropic ? "x-api-key" : gemini ? "x-goog-api-key" : "authorization";
}

/* JSON's own escapes are Python's, too: the body is one literal, whatever stands in it. */
static void form_python(struct buf *out, struct str detail, const char *listen, struct arena *mem)
{
    const char *variable;
    struct str dialect = json_get_str(detail, STR("dialect"), mem);
    const char *header = key_header(dialect, &variable);
    struct str endpoint = json_get_str(detail, STR("endpoint"), mem);
    buf_puts(out, "import os, urllib.request\n\nbody = ");
    json_quote(out, json_text(json_path(detail, "request.body"), mem));
    buf_puts(out, "\nrequest = urllib.request.Request(");
    json_quote(out, arena_printf(mem, "%s" STR_FMT, url_of(listen), STR_ARG(endpoint)));
    buf_printf(out,
        ", body.encode(), {\n    \"content-type\": \"application/json\",%s\n"
        "    \"%s\": %sos.environ[\"%s\"]})\n",
        str_eq(dialect, STR("anthropic")) ? " \"anthropic-version\": \"2023-06-01\"," : "", header,
        strcmp(header, "authorization") == 0 ? "\"Bearer \" + " : "", variable);
    buf_puts(out, "with urllib.request.urlopen(request) as answer:\n"
                  "    for line in answer:\n        print(line.decode(), end=\"\")\n");
}

/* A fence longer than any run of backticks inside. */
static void put_fenced(struct buf *out, const char *kind, struct str text)
{
    size_t most = 2, run = 0;
    for (size_t i = 0; i < text.n; i++) {
        run = text.p[i] == '`' ? run + 1 : 0;
        most = MAX(most, run);
    }
    for (size_t i = 0; i <= most; i++)
        buf_putc(out, '`');
    buf_printf(out, "%s\n" STR_FMT "\n", kind, STR_ARG(text));
    for (size_t i = 0; i <= most; i++)
        buf_putc(out, '`');
    buf_puts(out, "\n\n");
}

static void form_markdown(struct buf *out, struct str detail, struct arena *mem)
{
    static const char *const facts[] = {"time", "key", "session", "model_asked", "target", "status",
        "outcome", "input_tokens", "output_tokens", "cost_nano", "ttft_us", "total_us", "sentence"};
    struct buf said;
    buf_printf(out, "# Request " STR_FMT "\n\n", STR_ARG(json_get_str(detail, STR("id"), mem)));
    for (size_t i = 0; i < ARRAY_LEN(facts); i++) {
        struct json_span v = json_get(detail, str_c(facts[i]));
        struct str text = v.type == JSON_STRING ? json_text(v, mem) : v.raw;
        if (text.n)
            buf_printf(out, "- %s: " STR_FMT "\n", facts[i], STR_ARG(text));
    }
    buf_puts(out, "\n## Request\n\n");
    put_fenced(out, "json", json_text(json_path(detail, "request.body"), mem));
    buf_puts(out, "## Answer\n\n");
    buf_init(&said, (size_t)80 << 20);
    form_response(&said, detail, mem);
    put_fenced(out, "", buf_str(&said));
    buf_fini(&said);
}

static void har_headers(
    struct json_writer *w, struct str detail, const char *side, struct arena *mem)
{
    struct json_iter it =
        json_iter(json_get(json_get(detail, str_c(side)).raw, STR("headers")).raw);
    struct json_span k, v;
    json_array_begin(w, "headers");
    while (it.object && json_next(&it, &k, &v)) {
        json_object_begin(w, NULL);
        json_put_str(w, "name", json_text(k, mem));
        json_put_str(w, "value", json_text(v, mem));
        json_object_end(w);
    }
    json_array_end(w);
}

static int64_t number(struct str detail, const char *member)
{
    int64_t v = 0;
    return json_i64(json_get(detail, str_c(member)), &v) == 0 ? v : 0;
}

static void har_empty(struct json_writer *w)
{
    json_array_begin(w, "cookies");
    json_array_end(w);
    json_put_int(w, "headersSize", -1);
}

static void har_request(
    struct json_writer *w, struct str detail, const char *listen, struct arena *mem)
{
    struct str body = json_text(json_path(detail, "request.body"), mem);
    char url[600];
    snprintf(url, sizeof url, "%.200s" STR_FMT, url_of(listen),
        STR_ARG(str_first(json_get_str(detail, STR("endpoint"), mem), 300)));
    json_object_begin(w, "request");
    json_put_c(w, "method", "POST");
    json_put_c(w, "url", url);
    json_put_c(w, "httpVersion", "HTTP/1.1");
    har_empty(w);
    har_headers(w, detail, "request", mem);
    json_array_begin(w, "queryString");
    json_array_end(w);
    json_object_begin(w, "postData");
    json_put_c(w, "mimeType", "application/json");
    json_put_str(w, "text", body);
    json_object_end(w);
    json_put_int(w, "bodySize", number(detail, "request_bytes"));
    json_object_end(w);
}

static void har_response(struct json_writer *w, struct str detail, struct arena *mem)
{
    bool stream = json_is_true(json_get(detail, STR("stream")));
    json_object_begin(w, "response");
    json_put_int(w, "status", number(detail, "status"));
    json_put_c(w, "statusText", "");
    json_put_c(w, "httpVersion", "HTTP/1.1");
    har_empty(w);
    har_headers(w, detail, "response", mem);
    json_object_begin(w, "content");
    json_put_int(w, "size", number(detail, "response_bytes"));
    json_put_c(w, "mimeType", stream ? "text/event-stream" : "application/json");
    json_put_str(w, "text", json_text(json_path(detail, "response.body"), mem));
    json_object_end(w);
    json_put_c(w, "redirectURL", "");
    json_put_int(w, "bodySize", number(detail, "response_bytes"));
    json_object_end(w);
}

static void form_har(struct buf *out, struct str detail, const char *listen, struct arena *mem)
{
    struct json_writer w = json_writer(out);
    int64_t first = number(detail, "ttft_us"), whole = number(detail, "total_us");
    first = first ? first : whole;
    json_object_begin(&w, NULL);
    json_put_str(&w, "startedDateTime", json_get_str(detail, STR("time"), mem));
    json_put_double(&w, "time", (double)whole / 1000);
    har_request(&w, detail, listen, mem);
    har_response(&w, detail, mem);
    json_object_begin(&w, "cache");
    json_object_end(&w);
    json_object_begin(&w, "timings");
    json_put_int(&w, "send", 0);
    json_put_double(&w, "wait", (double)first / 1000);
    json_put_double(&w, "receive", (double)MAX(whole - first, 0) / 1000);
    json_object_end(&w);
    json_object_end(&w);
}

const struct export_form export_forms[] = {
    [EXPORT_JSONL] = {'j', "jsonl", "JSON lines: record, headers, bodies, events"},
    [EXPORT_CURL] = {'c', "sh", "curl commands"},
    [EXPORT_HAR] = {'h', "har", "HAR, for browsers' and other tools' network views"},
    [EXPORT_PYTHON] = {'p', "py", "Python, standard library only"},
    [EXPORT_MARKDOWN] = {'m', "md", "Markdown, to read and to paste"},
};

void export_begin(struct buf *out, enum export_kind kind)
{
    if (kind == EXPORT_CURL)
        buf_puts(out, "#!/bin/bash\n");
    if (kind == EXPORT_HAR)
        buf_puts(out, "{\"log\":{\"version\":\"1.2\",\"creator\":{\"name\":\"pointsman\","
                      "\"version\":\"" POINTSMAN_VERSION "\"},\"entries\":[\n");
}

void export_put(
    struct buf *out, enum export_kind kind, struct str detail, const char *listen, bool first)
{
    struct arena mem;
    arena_init(&mem, 65536, (size_t)160 << 20);
    if (!first && kind == EXPORT_HAR)
        buf_puts(out, ",\n");
    else if (!first && kind != EXPORT_JSONL)
        buf_putc(out, '\n');
    switch (kind) {
    case EXPORT_JSONL:
        buf_put_str(out, detail);
        buf_putc(out, '\n');
        break;
    case EXPORT_CURL:
        form_curl(out, detail, listen, &mem);
        break;
    case EXPORT_HAR:
        form_har(out, detail, listen, &mem);
        break;
    case EXPORT_PYTHON:
        form_python(out, detail, listen, &mem);
        break;
    default:
        form_markdown(out, detail, &mem);
    }
    arena_fini(&mem);
}

void export_end(struct buf *out, enum export_kind kind)
{
    if (kind == EXPORT_HAR)
        buf_puts(out, "\n]}}\n");
}
