/* gemini_stream_write.c: events → the chunks of streamGenerateContent. A call goes out whole, as
 * Gemini does it; the last chunk has the finish reasons, the usage and where the answer comes from.
 * Answers of several candidates come in between each other: each has a state of its own, made when
 * it begins. */
#include "proxy/dialect/gemini.h"

#include <stdlib.h>

#define CALL_BUFS(c) {&(c)->arguments, &(c)->id, &(c)->name, &(c)->signature}
#define WRITER_BUFS(g) {&(g)->id, &(g)->model, &(g)->tier}

enum { WORDS_MAX = 1 << 20 };

static void make_ready(struct gemini_writer *g)
{
    struct buf *all[] = WRITER_BUFS(g);
    for (size_t i = 0; !g->ready && i < ARRAY_LEN(all); i++)
        buf_init(all[i], WORDS_MAX);
    g->ready = true;
}

static struct gemini_candidate *candidate_of(struct gemini_writer *g, unsigned i)
{
    struct gemini_candidate *c = g->candidate[i];
    if (c || !(c = g->candidate[i] = calloc(1, sizeof *c)))
        return c;
    struct buf *all[] = CALL_BUFS(c);
    for (size_t k = 0; k < ARRAY_LEN(all); k++)
        buf_init(all[k], k ? WORDS_MAX : STREAM_WHOLE_MAX);
    buf_init(&c->grounding.chunks, WORDS_MAX);
    buf_init(&c->grounding.supports, WORDS_MAX);
    return c;
}

static bool overflown(struct gemini_writer *g, const struct gemini_candidate *c)
{
    return g->id.err || g->model.err || g->tier.err || c->arguments.err || c->id.err || c->name.err ||
           c->signature.err || c->grounding.chunks.err || c->grounding.supports.err;
}

static void candidate_free(struct gemini_candidate *c)
{
    struct buf *all[] = CALL_BUFS(c);
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        buf_fini(all[i]);
    buf_fini(&c->grounding.chunks);
    buf_fini(&c->grounding.supports);
    places_fini(&c->grounding.said);
    free(c);
}

void gemini_writer_fini(struct stream_writer *s)
{
    struct gemini_writer *g = s->state;
    struct buf *all[] = WRITER_BUFS(g);
    for (size_t i = 0; g->ready && i < ARRAY_LEN(all); i++)
        buf_fini(all[i]);
    for (size_t i = 0; i < GEMINI_CHOICES; i++) {
        if (g->candidate[i])
            candidate_free(g->candidate[i]);
        g->candidate[i] = NULL;
    }
    g->ready = false;
}

static void chunk_begin(struct stream_writer *s, struct json_writer *w)
{
    struct gemini_writer *g = s->state;
    if (!s->client->json_array)
        buf_puts(w->out, "data: ");
    else
        buf_puts(w->out, g->begun ? ",\r\n" : "[");
    g->begun = true;
    json_object_begin(w, NULL);
    json_array_begin(w, "candidates");
}

static void chunk_end(struct stream_writer *s, struct json_writer *w, bool with_usage)
{
    struct gemini_writer *g = s->state;
    json_array_end(w);
    if (with_usage)
        gemini_put_usage(w, &g->usage, g->tier.n ? buf_str(&g->tier) : STR_NULL);
    if (g->model.n)
        ir_put_text(w, "modelVersion", buf_str(&g->model));
    else
        json_put_str(w, "modelVersion", s->client->model);
    if (g->id.n)
        ir_put_text(w, "responseId", buf_str(&g->id));
    else
        json_put_str(w, "responseId", s->client->fallback_id);
    json_object_end(w);
    if (!s->client->json_array)
        buf_puts(w->out, "\r\n\r\n");
}

static void put_part(struct stream_writer *s, unsigned choice, const struct ir_part *p,
    struct str logprobs, struct buf *out)
{
    struct json_writer w = json_writer(out);
    chunk_begin(s, &w);
    json_object_begin(&w, NULL);
    json_object_begin(&w, "content");
    json_array_begin(&w, "parts");
    gemini_put_part(&w, p, s->notes);
    json_array_end(&w);
    json_put_c(&w, "role", "model");
    json_object_end(&w);
    json_put_int(&w, "index", choice);
    gemini_put_logprobs(&w, logprobs);
    json_object_end(&w);
    chunk_end(s, &w, false);
}

static void put_text(struct stream_writer *s, struct gemini_candidate *c, const struct ir_event *ev,
    enum ir_part_kind kind, struct buf *out)
{
    struct ir_part p = {.kind = kind, .origin = ev->origin, .text = ev->text.p ? ev->text : STR("")};
    if (ev->kind != IR_EV_TEXT && ev->kind != IR_EV_REFUSAL)
        p.signature = ev->signature;
    if (kind == IR_TEXT)
        places_add(&c->grounding.said, p.text);
    put_part(s, ev->choice, &p, ev->logprobs, out);
    c->open = kind == IR_REASONING ? GEMINI_OPEN_REASONING : GEMINI_OPEN_TEXT;
}

static void call_start(struct gemini_candidate *c, const struct ir_event *ev)
{
    struct buf *all[] = CALL_BUFS(c);
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        buf_reset(all[i]);
    buf_put_str(&c->id, ev->id);
    buf_put_str(&c->name, ev->name);
    buf_put_str(&c->signature, ev->signature);
    c->origin = ev->origin;
    c->open = GEMINI_OPEN_CALL;
}

static void call_end(struct stream_writer *s, struct gemini_candidate *c, const struct ir_event *ev,
    struct buf *out)
{
    struct ir_part p = {.kind = IR_CALL, .origin = c->origin, .id = buf_str(&c->id),
        .name = buf_str(&c->name)};
    struct arena a;
    if (c->signature.n)
        p.signature = buf_str(&c->signature);
    arena_init(&a, 4096, 3 * (size_t)STREAM_WHOLE_MAX);
    ir_set_arguments(&p, c->arguments.n ? buf_str(&c->arguments) : STR(""), &a);
    put_part(s, ev->choice, &p, STR_NULL, out);
    arena_fini(&a);
}

static void put_last_candidate(const struct gemini_candidate *c, unsigned i, struct json_writer *w)
{
    json_object_begin(w, NULL);
    json_object_begin(w, "content");
    json_array_begin(w, "parts");
    json_object_begin(w, NULL);
    json_put_c(w, "text", "");
    json_object_end(w);
    json_array_end(w);
    json_put_c(w, "role", "model");
    json_object_end(w);
    json_put_c(w, "finishReason", gemini_finish_name(c->finish));
    json_put_int(w, "index", i);
    gemini_put_grounding(w, &c->grounding);
    json_object_end(w);
}

static void put_last(struct stream_writer *s, struct buf *out)
{
    struct gemini_writer *g = s->state;
    struct json_writer w = json_writer(out);
    chunk_begin(s, &w);
    for (unsigned i = 0; i < GEMINI_CHOICES; i++)
        if (g->candidate[i] && g->candidate[i]->finish != IR_FINISH_UNSAID)
            put_last_candidate(g->candidate[i], i, &w);
    chunk_end(s, &w, g->said_usage);
    if (s->client->json_array)
        buf_puts(out, "]");
}

static void write_error(struct stream_writer *s, const struct dialect_error *error,
    struct buf *out)
{
    struct gemini_writer *g = s->state;
    g->failed = true;
    if (!s->client->json_array) {
        dialect_write_stream_error(WIRE_STREAM_GENERATE, error, out);
        return;
    }
    buf_puts(out, g->begun ? ",\r\n" : "[");
    dialect_write_error(DIALECT_GEMINI, error, out);
    buf_puts(out, "]");
}

static void put_opaque(struct stream_writer *s, const struct ir_event *ev, struct buf *out)
{
    struct ir_part p = {.kind = IR_OPAQUE, .origin = ev->origin, .raw = ev->raw};
    if (ev->kind == IR_EV_MEDIA) {
        p.kind = IR_MEDIA;
        p.media = *ev->media;
        if (!gemini_says_media(&p, s->notes))
            return;
    } else if (ev->kind == IR_EV_REDACTED) {
        p.kind = IR_REDACTED;
        p.signature = ev->signature;
    } else if (ev->origin != WIRE_GENERATE) {
        ir_dropped_opaque(s->notes, ev->raw);
        return;
    }
    put_part(s, ev->choice, &p, STR_NULL, out);
}

static void put_signature(struct stream_writer *s, struct gemini_candidate *c,
    const struct ir_event *ev, struct buf *out)
{
    bool thought = c->open == GEMINI_OPEN_REASONING || ev->origin != WIRE_GENERATE;
    put_text(s, c, ev, thought ? IR_REASONING : IR_TEXT, out);
}

static void note_usage(struct gemini_writer *g, const struct ir_event *ev)
{
    g->usage = *ev->usage;
    g->said_usage = true;
    if (ev->service_tier.n) {
        buf_reset(&g->tier);
        buf_put_str(&g->tier, ev->service_tier);
    }
}

static void write_one(struct stream_writer *s, struct gemini_candidate *c, const struct ir_event *ev,
    struct buf *out)
{
    struct gemini_writer *g = s->state;
    switch (ev->kind) {
    case IR_EV_START:
        buf_put_str(&g->id, ev->id);
        buf_put_str(&g->model, ev->model);
        return;
    case IR_EV_TEXT:
    case IR_EV_REFUSAL:
        put_text(s, c, ev, IR_TEXT, out);
        return;
    case IR_EV_REASONING:
        put_text(s, c, ev, IR_REASONING, out);
        return;
    case IR_EV_SIGNATURE:
        put_signature(s, c, ev, out);
        return;
    case IR_EV_REDACTED:
    case IR_EV_MEDIA:
    case IR_EV_OPAQUE:
        put_opaque(s, ev, out);
        return;
    case IR_EV_CALL_START:
        call_start(c, ev);
        return;
    case IR_EV_CALL_ARGS:
        buf_put_str(&c->arguments, ev->text);
        return;
    case IR_EV_PART_END:
        if (c->open == GEMINI_OPEN_CALL)
            call_end(s, c, ev, out);
        c->open = GEMINI_OPEN_NONE;
        return;
    case IR_EV_CITATION:
        gemini_add_citation(&c->grounding, ev->citation);
        return;
    case IR_EV_FINISH:
        c->finish = ev->finish ? ev->finish : IR_FINISH_STOP;
        return;
    case IR_EV_USAGE:
        note_usage(g, ev);
        return;
    case IR_EV_ERROR:
        write_error(s, ev->error, out);
        return;
    case IR_EV_DONE:
        put_last(s, out);
        return;
    case IR_EV_PING:
        return; /* a comment would end up in the official client's JSON */
    }
}

void gemini_write_event(struct stream_writer *s, const struct ir_event *ev, struct buf *out)
{
    static const struct dialect_error large = {.status = 502, .code = {"answer_too_large", 16},
        .message = {"the answer is too large to be translated", 40}};
    struct gemini_writer *g = s->state;
    make_ready(g);
    if (g->failed || ev->choice >= GEMINI_CHOICES)
        return;
    struct gemini_candidate *c = candidate_of(g, ev->choice);
    if (c)
        write_one(s, c, ev, out);
    if (!g->failed && (!c || overflown(g, c)))
        write_error(s, &large, out);
}
