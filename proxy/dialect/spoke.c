/* spoke.c: the table of spokes, and what all streams have in common. */
#include "proxy/dialect/spoke.h"
#include "proxy/dialect/embed.h"

static const struct spoke *const spokes[WIRE_COUNT] = {
    [WIRE_CHAT] = &spoke_chat,
    [WIRE_MESSAGES] = &spoke_messages,
    [WIRE_RESPONSES] = &spoke_responses,
    [WIRE_GENERATE] = &spoke_generate,
    [WIRE_STREAM_GENERATE] = &spoke_generate,
};

const struct spoke *spoke_of(enum wire w)
{
    return (unsigned)w < WIRE_COUNT ? spokes[w] : NULL;
}

/* Which wires a dialect answers itself. */
static bool speaks(enum dialect d, const struct spoke_quirks *q, enum wire w)
{
    switch (w) {
    case WIRE_CHAT:
        return d == DIALECT_OPENAI || d == DIALECT_AZURE;
    case WIRE_COMPLETIONS:
    case WIRE_EMBEDDINGS:
    case WIRE_RAW:
    case WIRE_MODELS:
        return d == DIALECT_OPENAI || d == DIALECT_AZURE || d == DIALECT_OPENAI_RESPONSES;
    case WIRE_RESPONSES:
        return d == DIALECT_OPENAI_RESPONSES || d == DIALECT_AZURE ||
               (d == DIALECT_OPENAI && !(q->bits & SPOKE_NO_RESPONSES));
    default:
        return wire_dialect(w) == d;
    }
}

enum wire spoke_target_wire(enum dialect d, const struct spoke_quirks *q, enum wire client,
    bool stream)
{
    if (speaks(d, q, client))
        return client;
    if (!spoke_of(client))
        return embed_target_wire(d, client);
    switch (d) {
    case DIALECT_OPENAI:
    case DIALECT_AZURE:
        return WIRE_CHAT;
    case DIALECT_OPENAI_RESPONSES:
        return WIRE_RESPONSES;
    case DIALECT_ANTHROPIC:
        return WIRE_MESSAGES;
    case DIALECT_GEMINI:
        return stream ? WIRE_STREAM_GENERATE : WIRE_GENERATE;
    default:
        return WIRE_RAW;
    }
}

int64_t spoke_default_output(int64_t model_max)
{
    enum { UNKNOWN = 8192, MOST = 32000 };
    return model_max > 0 ? MIN(model_max, (int64_t)MOST) : UNKNOWN;
}

/* --- reading -------------------------------------------------------------------------------- */

struct stream_reader *stream_reader_new(enum wire w, const struct spoke_quirks *q, struct arena *a,
    void (*put)(void *ctx, const struct ir_event *ev), void *ctx)
{
    const struct spoke *spoke = spoke_of(w);
    struct stream_reader *s = spoke ? arena_zalloc(a, sizeof *s) : NULL;
    if (!s || !(s->state = arena_zalloc(a, spoke->reader_size)))
        return NULL;
    s->spoke = spoke;
    s->quirks = q;
    s->put = put;
    s->ctx = ctx;
    return s;
}

static void without_line_ends(char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] == '\n' || p[i] == '\r')
            p[i] = ' ';
}

static bool has_line_ends(struct str s)
{
    return s.n && (memchr(s.p, '\n', s.n) || memchr(s.p, '\r', s.n));
}

struct str stream_one_line(struct arena *a, struct str json)
{
    if (!has_line_ends(json))
        return json;
    char *copy = arena_alloc(a, json.n);
    if (!copy)
        return STR_NULL;
    memcpy(copy, json.p, json.n);
    without_line_ends(copy, json.n);
    return str_n(copy, json.n);
}

/* An event may come in several lines. */
static void read_lines(struct stream_reader *s, struct str name, struct str data)
{
    struct buf b;
    buf_init(&b, STREAM_WHOLE_MAX);
    buf_put_str(&b, data);
    if (b.err) {
        stream_emit_error(s, STR("{\"error\":\"an event is too large\"}"), 502);
    } else {
        without_line_ends(b.p, b.n);
        s->spoke->read_event(s, name, buf_str(&b));
    }
    buf_fini(&b);
}

void stream_read(struct stream_reader *s, struct str name, struct str data)
{
    if (s->done || s->failed)
        return;
    if (has_line_ends(data))
        read_lines(s, name, data);
    else
        s->spoke->read_event(s, name, data);
}

void stream_read_end(struct stream_reader *s)
{
    if (!s->done && !s->failed)
        s->spoke->read_end(s);
}

void stream_reader_fini(struct stream_reader *s)
{
    if (s && s->spoke->reader_fini)
        s->spoke->reader_fini(s);
}

void stream_emit(struct stream_reader *s, struct ir_event *ev)
{
    if (s->done || s->failed)
        return;
    ev->origin = s->spoke->wire;
    if (ev->kind == IR_EV_DONE)
        s->done = true;
    if (ev->kind == IR_EV_ERROR)
        s->failed = true;
    if (ev->kind == IR_EV_START)
        s->started = true;
    s->put(s->ctx, ev);
}

/* In mid-stream an error has no status of its own; the words of its dialect name one. */
static int status_of(const struct dialect_error_read *read, int otherwise)
{
    int64_t code;
    if (str_to_i64(read->code, &code) && code >= 400 && code <= 599)
        return (int)code;
    int status = dialect_error_status(read->type.n ? read->type : read->status_text);
    return status ? status : otherwise;
}

void stream_emit_error(struct stream_reader *s, struct str data, int status)
{
    struct arena a;
    struct dialect_error_read read;
    arena_init(&a, 1024, 256 << 10);
    dialect_read_error(data, &a, &read);
    struct dialect_error error = {
        .status = status_of(&read, status),
        .code = read.code.n ? read.code : read.type,
        .message = read.message.n ? read.message : STR("the provider reported an error"),
        .param = read.param,
    };
    struct ir_event ev = {.kind = IR_EV_ERROR, .error = &error};
    stream_emit(s, &ev);
    arena_fini(&a);
}

/* --- writing -------------------------------------------------------------------------------- */

struct stream_writer *stream_writer_new(enum wire w, const struct spoke_client *c,
    struct ir_notes *notes, struct arena *a)
{
    const struct spoke *spoke = spoke_of(w);
    struct stream_writer *s = spoke ? arena_zalloc(a, sizeof *s) : NULL;
    if (!s || !(s->state = arena_zalloc(a, spoke->writer_size)))
        return NULL;
    s->spoke = spoke;
    s->client = c;
    s->notes = notes;
    return s;
}

void stream_write_event(struct stream_writer *s, const struct ir_event *ev, struct buf *out)
{
    s->spoke->write_event(s, ev, out);
}

void stream_writer_fini(struct stream_writer *s)
{
    if (s && s->spoke->writer_fini)
        s->spoke->writer_fini(s);
}
