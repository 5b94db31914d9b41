/* gemini_stream_read.c: the chunks of streamGenerateContent → events.
 *
 * A chunk holds whole parts, each continuing the one before where it is of its kind. Nothing says
 * that a stream is over but its end, and a finish reason may be followed by more: so FINISH, USAGE
 * and DONE come when the bytes are over. */
#include "proxy/dialect/gemini.h"

#include <stdlib.h>

#define EMIT(s, c, ...) \
    stream_emit(s, &(struct ir_event){.choice = (c), \
                       .part = ((struct gemini_reader *)(s)->state)->choice[c].part, __VA_ARGS__})

static void end_part(struct stream_reader *s, unsigned i)
{
    struct gemini_choice *c = &((struct gemini_reader *)s->state)->choice[i];
    struct buf rest;
    if (c->open == GEMINI_OPEN_NONE)
        return;
    if (c->partial_call) {
        buf_init(&rest, 4096);
        gemini_partial_end(c->partial, &rest);
        struct str text = ir_text_of(&((struct gemini_reader *)s->state)->a, buf_str(&rest));
        EMIT(s, i, .kind = IR_EV_CALL_ARGS, .text = text);
        buf_fini(&rest);
        c->partial_call = false;
    }
    EMIT(s, i, .kind = IR_EV_PART_END);
    c->open = GEMINI_OPEN_NONE;
    c->part++;
}

static void open_part(struct stream_reader *s, unsigned i, enum gemini_open kind)
{
    struct gemini_choice *c = &((struct gemini_reader *)s->state)->choice[i];
    if (c->open == kind && kind != GEMINI_OPEN_CALL)
        return;
    end_part(s, i);
    c->open = kind;
}

static void read_text(struct stream_reader *s, unsigned i, const struct ir_part *p,
    struct str logprobs)
{
    struct gemini_reader *r = s->state;
    bool thought = p->kind == IR_REASONING;
    if (!thought)
        places_add(&r->choice[i].said, p->text);
    if (!p->text.n && !p->signature.p)
        return;
    open_part(s, i, thought ? GEMINI_OPEN_REASONING : GEMINI_OPEN_TEXT);
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
    open_part(s, i, GEMINI_OPEN_CALL);
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
        gemini_partial_add(r->choice[i].partial, v, &text);
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
    } else if (c->partial || (c->partial = calloc(1, sizeof *c->partial))) {
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
        bool media = p->kind == IR_MEDIA;
        if (!media || p->media.kind != IR_AUDIO)
            open_part(s, i, GEMINI_OPEN_NONE);
        EMIT(s, i, .kind = media ? IR_EV_MEDIA : IR_EV_OPAQUE, .raw = p->raw, .media = &p->media);
        r->choice[i].part += r->choice[i].open == GEMINI_OPEN_NONE;
    }
}

/* After other parts they still are of the text before. */
static void read_citations(struct stream_reader *s, unsigned i, struct json_span grounding,
    struct json_span citations)
{
    struct gemini_choice *c = &((struct gemini_reader *)s->state)->choice[i];
    struct gemini_sources from = {.grounding = grounding, .citations = citations, .said = &c->said};
    struct ir_citation *one = NULL;
    if (!c->said.chars || !gemini_read_sources(&from, &((struct gemini_reader *)s->state)->a, &one))
        return;
    for (; one; one = one->next) {
        open_part(s, i, GEMINI_OPEN_TEXT);
        EMIT(s, i, .kind = IR_EV_CITATION, .citation = one);
    }
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
    enum { INDEX, CONTENT, FINISH, LOGPROBS, GROUNDING, CITATIONS };
    struct gemini_want w[] = {[INDEX] = {.camel = "index"}, [CONTENT] = {.camel = "content"},
        [FINISH] = {.camel = "finishReason"}, [LOGPROBS] = {.camel = "logprobsResult"},
        [GROUNDING] = {.camel = "groundingMetadata"}, [CITATIONS] = {.camel = "citationMetadata"}};
    struct json_span k, v, index;
    int64_t i = place;
    gemini_scan(candidate.raw, w, ARRAY_LEN(w));
    index = w[INDEX].value;
    if ((index.type == JSON_NUMBER && json_i64(index, &i) < 0) || i < 0 || i >= GEMINI_CHOICES)
        return;
    struct gemini_choice *c = &r->choice[i];
    c->seen = true;
    struct str logprobs = gemini_read_logprobs(w[LOGPROBS].value, &r->a);
    struct json_iter it = json_iter(gemini_get(w[CONTENT].value.raw, "parts").raw);
    while (!it.object && json_next(&it, &k, &v)) {
        read_part(s, (unsigned)i, v, logprobs);
        logprobs = STR_NULL;
    }
    if (w[GROUNDING].value.type == JSON_OBJECT || w[CITATIONS].value.type == JSON_OBJECT)
        read_citations(s, (unsigned)i, w[GROUNDING].value, w[CITATIONS].value);
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

void gemini_read_event(struct stream_reader *s, struct str name, struct str data)
{
    struct gemini_reader *r = s->state;
    enum { ERROR, CANDIDATES, USAGE, FEEDBACK };
    struct gemini_want w[] = {[ERROR] = {.camel = "error"}, [CANDIDATES] = {.camel = "candidates"},
        [USAGE] = {.camel = "usageMetadata"}, [FEEDBACK] = {.camel = "promptFeedback"}};
    struct json_span k, v;
    (void)name;
    if (!gemini_scan(data, w, ARRAY_LEN(w)))
        return;
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
void gemini_read_end(struct stream_reader *s)
{
    struct gemini_reader *r = s->state;
    bool whole = false;
    for (unsigned i = 0; i < GEMINI_CHOICES; i++)
        whole |= r->choice[i].finish[0] != 0;
    for (unsigned i = 0; i < GEMINI_CHOICES; i++) {
        if (r->choice[i].seen && !r->choice[i].finish[0])
            whole = false;
    }
    if (!whole)
        return;
    for (unsigned i = 0; i < GEMINI_CHOICES; i++)
        if (r->choice[i].seen)
            finish(s, i);
    if (r->said_usage)
        EMIT(s, 0, .kind = IR_EV_USAGE, .usage = &r->usage,
            .service_tier = r->tier[0] ? str_c(r->tier) : STR_NULL);
    EMIT(s, 0, .kind = IR_EV_DONE);
}

void gemini_reader_fini(struct stream_reader *s)
{
    struct gemini_reader *r = s->state;
    for (unsigned i = 0; i < GEMINI_CHOICES; i++) {
        places_fini(&r->choice[i].said);
        free(r->choice[i].partial);
        r->choice[i].partial = NULL;
    }
    if (r->begun)
        arena_fini(&r->a);
    r->begun = false;
}
