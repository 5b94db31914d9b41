/* translate.c: what translation costs: CPU per event of a stream, and per prompt.
 *
 *     build/tests/bench/translate               µs per streamed event and ms per 1 MB prompt, each way
 *     build/tests/bench/translate FROM          streams of that wire alone ("stream_generate")
 *
 * A stream is read with the SSE parser, metered, read into the neutral form and written in the other
 * dialect, as the data path does. */
#include "proxy/dialect/spoke.h"
#include "proxy/sse.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { EVENTS = 2000, ROUNDS = 15, PROMPT_BYTES = 1 << 20 };

static const enum wire wires[] = {WIRE_CHAT, WIRE_MESSAGES, WIRE_RESPONSES, WIRE_GENERATE};
static const struct spoke_client client = {.model = {"m", 1}, .fallback_id = {"id", 2},
    .now_s = 1, .include_usage = true};

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *v, size_t n)
{
    qsort(v, n, sizeof *v, compare);
    return v[n / 2];
}

static double cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

struct to {
    struct stream_writer *w;
    struct buf out;
};

static void put(void *ctx, const struct ir_event *ev)
{
    struct to *to = ctx;
    stream_write_event(to->w, ev, &to->out);
}

/* A stream of deltas as `w` has them, made by its own writer. */
static void make_stream(enum wire w, struct buf *out)
{
    struct arena a;
    arena_init(&a, 4096, 64 << 20);
    struct stream_writer *s = stream_writer_new(w, &client, NULL, &a);
    struct ir_event ev = {.kind = IR_EV_START, .id = STR("msg_1"), .model = STR("model-1")};
    struct usage u = {.input = 10, .output = EVENTS, .have_usage = true};
    stream_write_event(s, &ev, out);
    for (int i = 0; i < EVENTS; i++) {
        ev = (struct ir_event){.kind = IR_EV_TEXT, .text = STR(" some words of an answer\\n")};
        stream_write_event(s, &ev, out);
    }
    ev = (struct ir_event){.kind = IR_EV_PART_END};
    stream_write_event(s, &ev, out);
    ev = (struct ir_event){.kind = IR_EV_FINISH, .finish = IR_FINISH_STOP};
    stream_write_event(s, &ev, out);
    ev = (struct ir_event){.kind = IR_EV_USAGE, .usage = &u};
    stream_write_event(s, &ev, out);
    ev = (struct ir_event){.kind = IR_EV_DONE};
    stream_write_event(s, &ev, out);
    stream_writer_fini(s);
    arena_fini(&a);
}

static double stream_once(enum wire from, enum wire to_wire, struct str bytes)
{
    struct arena a;
    struct to to = {0};
    struct sse s;
    struct sse_event ev;
    struct usage_reader meter;
    arena_init(&a, 4096, 64 << 20);
    buf_init(&to.out, 64 << 20);
    to.w = stream_writer_new(to_wire, &client, NULL, &a);
    struct stream_reader *r = stream_reader_new(from, &quirks_none, &a, put, &to);
    usage_reader_init(&meter, from, 0);
    sse_init(&s, 16 << 20);
    double began = cpu_us();
    for (size_t at = 0; at < bytes.n; at += 1400) { /* as packets bring it */
        if (sse_feed(&s, str_first(str_from(bytes, at), 1400)) < 0)
            break;
        while (sse_next(&s, &ev)) {
            usage_event(&meter, ev.name, ev.data);
            buf_reset(&to.out);
            stream_read(r, ev.name, ev.data);
        }
    }
    double took = cpu_us() - began;
    stream_reader_fini(r);
    stream_writer_fini(to.w);
    sse_fini(&s);
    buf_fini(&to.out);
    arena_fini(&a);
    return took / EVENTS;
}

static void bench_streams(const char *only)
{
    for (size_t i = 0; i < ARRAY_LEN(wires); i++)
        for (size_t k = 0; k < ARRAY_LEN(wires); k++) {
            enum wire from = wires[i] == WIRE_GENERATE ? WIRE_STREAM_GENERATE : wires[i];
            enum wire to = wires[k] == WIRE_GENERATE ? WIRE_STREAM_GENERATE : wires[k];
            double v[ROUNDS];
            struct buf bytes;
            if (i == k || (only && strcmp(only, wire_name(from)) != 0))
                continue;
            buf_init(&bytes, 64 << 20);
            make_stream(from, &bytes);
            for (int n = 0; n < ROUNDS; n++)
                v[n] = stream_once(from, to, buf_str(&bytes));
            printf("stream  %-16s to %-16s %6.2f us per event\n", wire_name(from), wire_name(to),
                median(v, ROUNDS));
            buf_fini(&bytes);
        }
}

/* 1 MB of a conversation with tools, in chat's words; the others are written from it. */
static void make_prompt(struct buf *out)
{
    buf_puts(out, "{\"model\":\"m\",\"max_tokens\":100,\"tools\":[{\"type\":\"function\","
        "\"function\":{\"name\":\"read\",\"parameters\":{\"type\":\"object\"}}}],\"messages\":[");
    for (int i = 0; out->n < PROMPT_BYTES; i++) {
        buf_printf(out, "%s{\"role\":\"user\",\"content\":\"line %d\\n", i ? "," : "", i);
        for (int k = 0; k < 40; k++)
            buf_puts(out, "int main(void) { return \\\"x\\\"; }\\n");
        buf_printf(out, "\"},{\"role\":\"assistant\",\"content\":\"ok\",\"tool_calls\":[{\"id\":"
            "\"call_%d\",\"type\":\"function\",\"function\":{\"name\":\"read\",\"arguments\":"
            "\"{\\\"path\\\":\\\"/a/b%d\\\"}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"call_%d\","
            "\"content\":\"", i, i, i);
        for (int k = 0; k < 40; k++)
            buf_puts(out, "some text that a tool gave back, line by line\\n");
        buf_puts(out, "\"}");
    }
    buf_puts(out, "]}");
}

static int translate(enum wire from, enum wire to, struct str body, struct buf *out)
{
    struct arena a;
    struct ir_request r;
    struct err e = {0};
    struct ir_notes notes = {0};
    struct spoke_target t = {.model = STR("m"), .quirks = &quirks_none};
    arena_init(&a, 16 << 10, 256 << 20);
    int rc = spoke_of(from)->read_request(body, &a, &r, &e);
    if (rc == 0)
        rc = spoke_of(to)->write_request(&r, &t, out, &notes, &e);
    if (rc < 0)
        printf("%s to %s: %s\n", wire_name(from), wire_name(to), e.text);
    arena_fini(&a);
    return rc;
}

static void bench_prompts(void)
{
    struct buf chat;
    buf_init(&chat, 64 << 20);
    make_prompt(&chat);
    for (size_t i = 0; i < ARRAY_LEN(wires); i++) {
        struct buf body;
        buf_init(&body, 64 << 20);
        if (!spoke_of(wires[i]) || translate(WIRE_CHAT, wires[i], buf_str(&chat), &body) < 0)
            continue;
        for (size_t k = 0; k < ARRAY_LEN(wires); k++) {
            double v[ROUNDS];
            if (i == k || !spoke_of(wires[k]))
                continue;
            for (int n = 0; n < ROUNDS; n++) {
                struct buf out;
                buf_init(&out, 64 << 20);
                double began = cpu_us();
                if (translate(wires[i], wires[k], buf_str(&body), &out) < 0)
                    break;
                v[n] = (cpu_us() - began) / 1e3 * PROMPT_BYTES / (double)body.n;
                buf_fini(&out);
            }
            printf("prompt  %-16s to %-16s %6.2f ms per MB\n", wire_name(wires[i]),
                wire_name(wires[k]), median(v, ROUNDS));
        }
        buf_fini(&body);
    }
    buf_fini(&chat);
}

int main(int argc, char **argv)
{
    bench_streams(argc > 1 ? argv[1] : NULL);
    if (argc < 2)
        bench_prompts();
    return 0;
}
