/* gemini_stream.c: the chunks of streamGenerateContent ↔ events.
 *
 * Reading: a chunk holds whole parts, each continuing the one before where it is of its kind. Nothing
 * says that a stream is over but its end, and a finish reason may be followed by more: so FINISH,
 * USAGE and DONE come when the bytes are over. Writing: a call goes out whole, as Gemini does it; the
 * last chunk has the finish reasons, the usage and where the answer comes from. */
#include "proxy/dialect/gemini.h"
#include "proxy/dialect/proof.h"

enum { CHOICES = 16 };
enum open { OPEN_NONE, OPEN_TEXT, OPEN_REASONING, OPEN_CALL };

/* --- reading -------------------------------------------------------------------------------- */

struct gemini_choice {
    enum open open;
    unsigned part, calls;
    bool seen, partial_call;
    char finish[48];             /* empty: not said yet */
    struct gemini_partial partial;
};

struct gemini_reader {
    struct gemini_choice choice[CHOICES];
    struct arena a;              /* of the event under way */
    bool begun, blocked, said_usage, beyond_ascii;
    struct usage usage;
    char tier[24];
    char answer_id[80];
};

#define EMIT(s, c, ...) \
    stream_emit(s, &(struct ir_event){.choice = (c), \
                       .part = ((struct gemini_reader *)(s)->state)->choice[c].part, __VA_ARGS__})

static void end_part(struct stream_reader *s, unsigned i)
{
    struct gemini_choice *c = &((struct gemini_reader *)s->state)->choice[i];
    struct buf rest;
    if (c->open == OPEN_NONE)
        return;
    if (c->partial_call) {
        buf_init(&rest, 4096);
        gemini_partial_end(&c->partial, &rest);
        struct str text = ir_text_of(&((struct gemini_reader *)s->state)->a, buf_str(&rest));
        EMIT(s, i, .kind = IR_EV_CALL_ARGS, .text = text);
        buf_fini(&rest);
        c->partial_call = false;
    }
    EMIT(s, i, .kind = IR_EV_PART_END);
    c->open = OPEN_NONE;
    c->part++;
}

static void open_part(struct stream_reader *s, unsigned i, enum open kind)
{
    struct gemini_choice *c = &((struct gemini_reader *)s->state)->choice[i];
    if (c->open == kind && kind != OPEN_CALL)
        return;
    end_part(s, i);
    c->open = kind;
}

static void read_text(struct stream_reader *s, unsigned i, const struct ir_part *p,
    struct str logprobs)
{
    struct gemini_reader *r = s->state;
    bool thought = p->kind == IR_REASONING;
    for (size_t n = 0; !thought && !r->beyond_ascii && n < p->text.n; n++)
        r->beyond_ascii = (unsigned char)p->text.p[n] >= 0x80 || p->text.p[n] == '\\';
    if (!p->text.n && !p->signature.p)
        return;
    open_part(s, i, thought ? OPEN_REASONING : OPEN_TEXT);
    if (p->text.n || logprobs.p)
        EMIT(s, i, .kind = thought ? IR_EV_REASONING : IR_EV_TEXT, .text = p->text,
            .logprobs = logprobs);
    if (p->signature.p)
        EMIT(s, i, .kind = IR_EV_SIGNATURE, .signature = p->signature);
}

static void start_call(struct stream_reader *s, unsigned i, const struct ir_part *p)
{
    struct gemini_reader *r = s->state;
    struct gemini_choice *c = &r->choice[i];
    struct str id = p->id.p ? p->id
        : gemini_invent_id(&r->a, str_c(r->answer_id), str_hash(p->name), i << 8 | c->calls);
    open_part(s, i, OPEN_CALL);
    c->calls++;
    EMIT(s, i, .kind = IR_EV_CALL_START, .id = id, .name = p->name.p ? p->name : STR(""),
        .signature = p->signature);
}

static void read_pieces(struct stream_reader *s, unsigned i, struct json_span pieces)
{
    struct gemini_reader *r = s->state;
    struct json_iter it = json_iter(pieces.raw);
    struct json_span k, v;
    struct buf text;
    buf_init(&text, STREAM_HOLD_MAX);
    while (!it.object && json_next(&it, &k, &v))
        gemini_partial_add(&r->choice[i].partial, v, &text);
    if (text.n)
        EMIT(s, i, .kind = IR_EV_CALL_ARGS, .text = ir_text_of(&r->a, buf_str(&text)));
    buf_fini(&text);
}

/* Whole, or piece by piece: a head with willContinue, then pieces, then one without it. */
static void read_call(struct stream_reader *s, unsigned i, const struct ir_part *p)
{
    struct gemini_reader *r = s->state;
    struct gemini_choice *c = &r->choice[i];
    struct json_span call = gemini_get(p->raw, "functionCall");
    struct json_span pieces = gemini_get(call.raw, "partialArgs");
    bool more = json_is_true(gemini_get(call.raw, "willContinue"));
    if (p->name.p || !c->partial_call)
        start_call(s, i, p);
    if (!c->partial_call && !more && pieces.type != JSON_ARRAY) {
        EMIT(s, i, .kind = IR_EV_CALL_ARGS, .text = p->arguments.p
            ? ir_text_of(&r->a, p->arguments) : p->broken);
    } else {
        c->partial_call = true;
        read_pieces(s, i, pieces);
    }
    if (!more)
        end_part(s, i);
}

static void read_part(struct stream_reader *s, unsigned i, struct json_span v, struct str logprobs)
{
    struct gemini_reader *r = s->state;
    struct ir_part *p = gemini_read_part(v, &r->a);
    if (!p) {
        stream_emit_error(s, STR("{\"error\":\"an event is too large\"}"), 502);
        return;
    }
    if (p->kind == IR_TEXT || p->kind == IR_REASONING) {
        read_text(s, i, p, logprobs);
    } else if (p->kind == IR_CALL) {
        read_call(s, i, p);
    } else {
        open_part(s, i, OPEN_NONE);
        EMIT(s, i, .kind = IR_EV_OPAQUE, .raw = p->raw);
        r->choice[i].part++;
    }
}

static void read_citations(struct stream_reader *s, unsigned i, struct json_span metadata)
{
    struct gemini_reader *r = s->state;
    struct ir_citation *c = NULL;
    if (r->choice[i].open != OPEN_TEXT ||
        !gemini_read_grounding(metadata, !r->beyond_ascii, &r->a, &c))
        return;
    for (; c; c = c->next)
        EMIT(s, i, .kind = IR_EV_CITATION, .citation = c);
}

/* A short word of the provider's; anything else would be cut in the middle of an escape. */
static void keep_word(char *to, size_t size, struct str text, const char *otherwise)
{
    bool plain = text.n < size && str_chr(text, '\\') < 0;
    str_copy(to, size, plain ? text : str_c(otherwise));
}

static void read_candidate(struct stream_reader *s, struct json_span candidate, int64_t place)
{
    struct gemini_reader *r = s->state;
    enum { INDEX, CONTENT, FINISH, LOGPROBS, GROUNDING };
    struct gemini_want w[] = {[INDEX] = {.camel = "index"}, [CONTENT] = {.camel = "content"},
        [FINISH] = {.camel = "finishReason"}, [LOGPROBS] = {.camel = "logprobsResult"},
        [GROUNDING] = {.camel = "groundingMetadata"}};
    struct json_span k, v, index;
    int64_t i = place;
    gemini_scan(candidate.raw, w, ARRAY_LEN(w));
    index = w[INDEX].value;
    if ((index.type == JSON_NUMBER && json_i64(index, &i) < 0) || i < 0 || i >= CHOICES)
        return;
    struct gemini_choice *c = &r->choice[i];
    c->seen = true;
    struct str logprobs = gemini_read_logprobs(w[LOGPROBS].value, &r->a);
    struct json_iter it = json_iter(gemini_get(w[CONTENT].value.raw, "parts").raw);
    while (!it.object && json_next(&it, &k, &v)) {
        read_part(s, (unsigned)i, v, logprobs);
        logprobs = STR_NULL;
    }
    if (w[GROUNDING].value.type == JSON_OBJECT)
        read_citations(s, (unsigned)i, w[GROUNDING].value);
    struct str finish = ir_text(w[FINISH].value);
    if (finish.n)
        keep_word(c->finish, sizeof c->finish, finish, "OTHER");
}

static void start(struct stream_reader *s, struct str data)
{
    struct gemini_reader *r = s->state;
    struct ir_event ev = {.kind = IR_EV_START};
    ev.id = ir_text(gemini_get(data, "responseId"));
    ev.model = ir_text(gemini_get(data, "modelVersion"));
    str_copy(r->answer_id, sizeof r->answer_id, ev.id);
    r->begun = true;
    stream_emit(s, &ev);
}

static void read_usage(struct stream_reader *s, struct json_span usage)
{
    struct gemini_reader *r = s->state;
    struct usage u;
    if (usage.type != JSON_OBJECT || !usage_object(usage.raw, s->quirks->usage, &u))
        return;
    r->usage = u;
    r->said_usage = true;
    struct str tier = ir_text(gemini_get(usage.raw, "serviceTier"));
    bool standard = str_eq_nocase(tier, STR("standard"));
    keep_word(r->tier, sizeof r->tier, standard ? STR("default") : tier, "");
}

static void read_event(struct stream_reader *s, struct str name, struct str data)
{
    struct gemini_reader *r = s->state;
    enum { ERROR, CANDIDATES, USAGE, FEEDBACK };
    struct gemini_want w[] = {[ERROR] = {.camel = "error"}, [CANDIDATES] = {.camel = "candidates"},
        [USAGE] = {.camel = "usageMetadata"}, [FEEDBACK] = {.camel = "promptFeedback"}};
    struct json_span k, v;
    (void)name;
    if (json_value(data).type != JSON_OBJECT)
        return;
    gemini_scan(data, w, ARRAY_LEN(w));
    if (w[ERROR].value.type == JSON_OBJECT) {
        stream_emit_error(s, data, 502);
        return;
    }
    if (!r->begun) {
        arena_init(&r->a, 4096, STREAM_WHOLE_MAX);
        start(s, data);
    }
    struct json_iter it = json_iter(w[CANDIDATES].value.raw);
    for (int64_t place = 0; !it.object && json_next(&it, &k, &v); place++)
        read_candidate(s, v, place);
    read_usage(s, w[USAGE].value);
    struct str reason = w[FEEDBACK].value.type == JSON_OBJECT
        ? ir_text(gemini_get(w[FEEDBACK].value.raw, "blockReason")) : STR_NULL;
    if (reason.n && !r->choice[0].seen) {
        r->choice[0].seen = r->blocked = true;
        keep_word(r->choice[0].finish, sizeof r->choice[0].finish, reason, "OTHER");
    }
    arena_reset(&r->a);
}

static void finish(struct stream_reader *s, unsigned i)
{
    struct gemini_reader *r = s->state;
    struct gemini_choice *c = &r->choice[i];
    struct str native = str_c(c->finish);
    end_part(s, i);
    EMIT(s, i, .kind = IR_EV_FINISH, .finish_native = native,
        .finish = r->blocked ? IR_FINISH_FILTER : gemini_finish(native, c->calls > 0));
}

/* Without any finish reason it was cut: no DONE. */
static void read_end(struct stream_reader *s)
{
    struct gemini_reader *r = s->state;
    bool whole = false;
    for (unsigned i = 0; i < CHOICES; i++)
        whole |= r->choice[i].finish[0] != 0;
    for (unsigned i = 0; i < CHOICES; i++) {
        if (r->choice[i].seen && !r->choice[i].finish[0])
            whole = false;
    }
    if (!whole)
        return;
    for (unsigned i = 0; i < CHOICES; i++)
        if (r->choice[i].seen)
            finish(s, i);
    if (r->said_usage)
        EMIT(s, 0, .kind = IR_EV_USAGE, .usage = &r->usage,
            .service_tier = r->tier[0] ? str_c(r->tier) : STR_NULL);
    EMIT(s, 0, .kind = IR_EV_DONE);
}

static void reader_fini(struct stream_reader *s)
{
    struct gemini_reader *r = s->state;
    if (r->begun)
        arena_fini(&r->a);
    r->begun = false;
}

/* --- writing -------------------------------------------------------------------------------- */

struct gemini_writer {
    struct buf id, model;        /* texts */
    struct buf arguments;        /* text of the call under way */
    struct buf call_id, call_name, call_signature;
    enum wire call_origin;
    enum open open;
    bool begun, ready, failed, said_usage;
    enum ir_finish finish[CHOICES];
    struct gemini_grounding grounding;
    struct usage usage;
    struct buf tier;
};

#define WRITER_BUFS(g) \
    {&(g)->arguments, &(g)->id, &(g)->model, &(g)->call_id, &(g)->call_name, &(g)->tier, \
        &(g)->call_signature, &(g)->grounding.chunks, &(g)->grounding.supports}

static void make_ready(struct gemini_writer *g)
{
    struct buf *all[] = WRITER_BUFS(g);
    for (size_t i = 0; !g->ready && i < ARRAY_LEN(all); i++)
        buf_init(all[i], i ? 1 << 20 : STREAM_WHOLE_MAX);
    g->ready = true;
}

static bool overflown(struct gemini_writer *g)
{
    struct buf *all[] = WRITER_BUFS(g);
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (all[i]->err)
            return true;
    return false;
}

static void writer_fini(struct stream_writer *s)
{
    struct gemini_writer *g = s->state;
    struct buf *all[] = WRITER_BUFS(g);
    for (size_t i = 0; g->ready && i < ARRAY_LEN(all); i++)
        buf_fini(all[i]);
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

static void put_text(struct stream_writer *s, const struct ir_event *ev, enum ir_part_kind kind,
    struct buf *out)
{
    struct gemini_writer *g = s->state;
    struct ir_part p = {.kind = kind, .origin = ev->origin, .text = ev->text.p ? ev->text : STR("")};
    if (ev->kind != IR_EV_TEXT && ev->kind != IR_EV_REFUSAL)
        p.signature = ev->signature;
    put_part(s, ev->choice, &p, ev->logprobs, out);
    g->open = kind == IR_REASONING ? OPEN_REASONING : OPEN_TEXT;
}

static void call_start(struct gemini_writer *g, const struct ir_event *ev)
{
    struct buf *all[] = {&g->call_id, &g->call_name, &g->call_signature, &g->arguments};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        buf_reset(all[i]);
    buf_put_str(&g->call_id, ev->id);
    buf_put_str(&g->call_name, ev->name);
    buf_put_str(&g->call_signature, ev->signature);
    g->call_origin = ev->origin;
    g->open = OPEN_CALL;
}

static void call_end(struct stream_writer *s, const struct ir_event *ev, struct buf *out)
{
    struct gemini_writer *g = s->state;
    struct ir_part p = {.kind = IR_CALL, .origin = g->call_origin, .id = buf_str(&g->call_id),
        .name = buf_str(&g->call_name)};
    struct arena a;
    if (g->call_signature.n)
        p.signature = buf_str(&g->call_signature);
    arena_init(&a, 4096, 3 * (size_t)STREAM_WHOLE_MAX);
    ir_set_arguments(&p, g->arguments.n ? buf_str(&g->arguments) : STR(""), &a);
    put_part(s, ev->choice, &p, STR_NULL, out);
    arena_fini(&a);
}

static void put_last_candidate(struct gemini_writer *g, unsigned i, struct json_writer *w)
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
    json_put_c(w, "finishReason", gemini_finish_name(g->finish[i]));
    json_put_int(w, "index", i);
    if (i == 0)
        gemini_put_grounding(w, &g->grounding);
    json_object_end(w);
}

static void put_last(struct stream_writer *s, struct buf *out)
{
    struct gemini_writer *g = s->state;
    struct json_writer w = json_writer(out);
    chunk_begin(s, &w);
    for (unsigned i = 0; i < CHOICES; i++)
        if (g->finish[i] != IR_FINISH_UNSAID)
            put_last_candidate(g, i, &w);
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
    if (ev->kind == IR_EV_REDACTED) {
        p.kind = IR_REDACTED;
        p.signature = ev->signature;
    } else if (ev->origin != WIRE_GENERATE) {
        ir_dropped_text(s->notes, "content.", ir_text(json_get(ev->raw, STR("type"))));
        return;
    }
    put_part(s, ev->choice, &p, STR_NULL, out);
}

static void put_signature(struct stream_writer *s, const struct ir_event *ev, struct buf *out)
{
    struct gemini_writer *g = s->state;
    bool thought = g->open == OPEN_REASONING || ev->origin != WIRE_GENERATE;
    put_text(s, ev, thought ? IR_REASONING : IR_TEXT, out);
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

static void write_one(struct stream_writer *s, const struct ir_event *ev, struct buf *out)
{
    struct gemini_writer *g = s->state;
    switch (ev->kind) {
    case IR_EV_START:
        buf_put_str(&g->id, ev->id);
        buf_put_str(&g->model, ev->model);
        return;
    case IR_EV_TEXT:
    case IR_EV_REFUSAL:
        put_text(s, ev, IR_TEXT, out);
        return;
    case IR_EV_REASONING:
        put_text(s, ev, IR_REASONING, out);
        return;
    case IR_EV_SIGNATURE:
        put_signature(s, ev, out);
        return;
    case IR_EV_REDACTED:
    case IR_EV_OPAQUE:
        put_opaque(s, ev, out);
        return;
    case IR_EV_CALL_START:
        call_start(g, ev);
        return;
    case IR_EV_CALL_ARGS:
        buf_put_str(&g->arguments, ev->text);
        return;
    case IR_EV_PART_END:
        if (g->open == OPEN_CALL)
            call_end(s, ev, out);
        g->open = OPEN_NONE;
        return;
    case IR_EV_CITATION:
        gemini_add_citation(&g->grounding, ev->citation);
        return;
    case IR_EV_FINISH:
        g->finish[ev->choice] = ev->finish ? ev->finish : IR_FINISH_STOP;
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

static void write_event(struct stream_writer *s, const struct ir_event *ev, struct buf *out)
{
    static const struct dialect_error large = {.status = 502, .code = {"answer_too_large", 16},
        .message = {"the answer is too large to be translated", 40}};
    struct gemini_writer *g = s->state;
    make_ready(g);
    if (g->failed || ev->choice >= CHOICES)
        return;
    write_one(s, ev, out);
    if (!g->failed && overflown(g))
        write_error(s, &large, out);
}

const struct spoke spoke_generate = {
    .wire = WIRE_GENERATE,
    .read_request = gemini_read_request,
    .write_request = gemini_write_request,
    .read_answer = gemini_read_answer,
    .write_answer = gemini_write_answer,
    .reader_size = sizeof(struct gemini_reader),
    .writer_size = sizeof(struct gemini_writer),
    .read_event = read_event,
    .read_end = read_end,
    .reader_fini = reader_fini,
    .write_event = write_event,
    .writer_fini = writer_fini,
};
