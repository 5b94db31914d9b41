/* fuzz_ir.c: any bytes as a request, an answer or a stream of each dialect. Readers take everything;
 * what writers make of it is always JSON, in the order that ir.h promises. First byte: what it is. */
#include "proxy/dialect/retell.h"
#include "proxy/dialect/unwrap.h"
#include "proxy/sse.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const enum wire wires[] = {WIRE_CHAT, WIRE_MESSAGES, WIRE_RESPONSES, WIRE_GENERATE};
/* Calls of these two are written as those of custom tools. */
static struct ir_tool patch = {.name = {"f", 1}, .custom = true};
static struct ir_tool look = {.name = {"get_weather", 11}, .custom = true, .next = &patch};
static const struct ir_request asked = {.origin = WIRE_CHAT, .tools = &look};
static const struct spoke_client client = {.model = {"m", 1}, .fallback_id = {"id", 2},
    .now_s = 1, .include_usage = true, .request = &asked};

static void require(bool right)
{
    if (!right)
        abort();
}

static void require_json(const struct buf *b)
{
    require(b->err || json_check(buf_str(b), NULL) == 0);
}

static void as_request(const struct spoke *from, struct str body, struct arena *a)
{
    struct ir_request r;
    struct err e = {0};
    if (from->read_request(body, a, &r, &e) < 0)
        return;
    for (size_t i = 0; i < ARRAY_LEN(wires); i++) {
        const struct spoke *to = spoke_of(wires[i]);
        struct ir_notes notes = {0};
        struct spoke_target t = {.model = body.n % 2 ? STR("claude-opus-4-6") : STR("claude-3-5-haiku"),
            .quirks = body.n % 3 ? &quirks_none : quirks_of(STR("https://api.deepseek.com")),
            .stream = true, .ask_usage = true};
        struct buf out;
        buf_init(&out, 8 << 20);
        if (to && to->write_request(&r, &t, &out, &notes, &e) == 0)
            require_json(&out);
        buf_fini(&out);
    }
}

static void as_answer(const struct spoke *from, struct str body, struct arena *a)
{
    struct ir_answer answer;
    struct err e = {0};
    if (from->read_answer(body, &quirks_none, a, &answer, &e) < 0)
        return;
    for (size_t i = 0; i < ARRAY_LEN(wires); i++) {
        const struct spoke *to = spoke_of(wires[i]);
        struct buf out;
        buf_init(&out, 8 << 20);
        if (to && to->write_answer(&answer, &client, a, &out, NULL, &e) == 0)
            require_json(&out);
        buf_fini(&out);
    }
}

struct retold {
    struct stream_writer *to;
    struct buf out;
};

static void write_event(void *ctx, const struct ir_event *ev)
{
    struct retold *r = ctx;
    stream_write_event(r->to, ev, &r->out);
}

/* What was written is a stream again, each event of it JSON. */
static void check_written(const struct buf *out)
{
    struct sse s;
    struct sse_event ev;
    sse_init(&s, 16 << 20);
    if (!out->err && sse_feed(&s, buf_str(out)) == 0)
        while (sse_next(&s, &ev))
            require(!ev.has_data || str_eq(ev.data, STR("[DONE]")) ||
                    json_check(ev.data, NULL) == 0);
    sse_fini(&s);
}

/* A stream gathered into an answer, unwrapped, said in each dialect, and told as a stream again. */
static void as_gathered(const struct spoke *from, struct str body, struct arena *a)
{
    struct gather g;
    struct sse sse;
    struct sse_event ev;
    struct err e = {0};
    gather_init(&g, a);
    sse_init(&sse, 1 << 20);
    struct stream_reader *r = stream_reader_new(from->wire, &quirks_none, a, gather_event, &g);
    require(r != NULL);
    if (sse_feed(&sse, body) == 0)
        while (sse_next(&sse, &ev))
            if (ev.has_data)
                stream_read(r, ev.name, ev.data);
    stream_read_end(r);
    stream_reader_fini(r);
    sse_fini(&sse);
    gather_end(&g);
    unwrap_answer(&g.answer, STR("answer"), a);
    for (size_t i = 0; i < ARRAY_LEN(wires); i++) {
        struct retold c = {.to = stream_writer_new(wires[i], &client, NULL, a)};
        buf_init(&c.out, 8 << 20);
        if (spoke_of(wires[i])->write_answer(&g.answer, &client, a, &c.out, NULL, &e) == 0)
            require_json(&c.out);
        buf_reset(&c.out);
        retell_answer(&g.answer, write_event, &c, a);
        check_written(&c.out);
        stream_writer_fini(c.to);
        buf_fini(&c.out);
    }
    gather_fini(&g);
}

struct checked {
    struct stream_writer *to[ARRAY_LEN(wires)];
    struct buf out[ARRAY_LEN(wires)];
    bool over, in_call;
};

static void put(void *ctx, const struct ir_event *ev)
{
    struct checked *c = ctx;
    require(!c->over);
    c->over = ev->kind == IR_EV_DONE || ev->kind == IR_EV_ERROR;
    for (size_t i = 0; i < ARRAY_LEN(wires); i++)
        if (c->to[i])
            stream_write_event(c->to[i], ev, &c->out[i]);
}

static void as_stream(enum wire w, struct str bytes, struct arena *a)
{
    struct checked c = {0};
    struct sse s;
    struct sse_event ev;
    w = w == WIRE_GENERATE ? WIRE_STREAM_GENERATE : w;
    for (size_t i = 0; i < ARRAY_LEN(wires); i++) {
        enum wire to = wires[i] == WIRE_GENERATE ? WIRE_STREAM_GENERATE : wires[i];
        c.to[i] = spoke_of(to) ? stream_writer_new(to, &client, NULL, a) : NULL;
        buf_init(&c.out[i], 8 << 20);
    }
    struct stream_reader *r = stream_reader_new(w, &quirks_none, a, put, &c);
    sse_init(&s, 1 << 20);
    if (sse_feed(&s, bytes) == 0)
        while (sse_next(&s, &ev))
            if (ev.has_data)
                stream_read(r, ev.name, ev.data);
    stream_read_end(r);
    stream_reader_fini(r);
    sse_fini(&s);
    for (size_t i = 0; i < ARRAY_LEN(wires); i++) {
        check_written(&c.out[i]);
        stream_writer_fini(c.to[i]);
        buf_fini(&c.out[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    if (size < 2)
        return 0;
    enum wire w = wires[data[0] % ARRAY_LEN(wires)];
    struct str in = str_n((const char *)data + 1, size - 1);
    if (!spoke_of(w))
        return 0;
    arena_init(&a, 4096, 64 << 20);
    if (data[0] / 4 % 3 == 2 && data[0] >= 128)
        as_gathered(spoke_of(w), in, &a);
    else if (data[0] / 4 % 3 == 2)
        as_stream(w, in, &a);
    else if (json_check(in, NULL) == 0)
        (data[0] / 4 % 3 ? as_answer : as_request)(spoke_of(w), in, &a);
    arena_fini(&a);
    return 0;
}
