/* openai_chat_stream_read.c: chunks of a chat completion → events.
 *
 * Chunks have no parts, only deltas of everything; parts are made here: one begins where another
 * kind of delta comes. Parallel calls may interleave by index: the first is passed on as it comes,
 * the others are held until its arguments are whole JSON (or the choice is finished).
 *
 * Per stream: the state below, and what is held of interleaved calls (STREAM_HOLD_MAX in all). */
#include "proxy/dialect/openai_chat.h"

#include <stdio.h>
#include <stdlib.h>

static void emit(struct stream_reader *s, unsigned choice, struct ir_event ev)
{
    struct chat_reader *r = s->state;
    ev.choice = choice;
    ev.part = r->choice[choice].part;
    stream_emit(s, &ev);
}
#define EMIT(s, i, ...) emit(s, i, (struct ir_event){__VA_ARGS__})

static void end_part(struct stream_reader *s, unsigned i)
{
    struct chat_choice *c = &((struct chat_reader *)s->state)->choice[i];
    if (c->open == CHAT_OPEN_NONE)
        return;
    EMIT(s, i, .kind = IR_EV_PART_END);
    c->open = CHAT_OPEN_NONE;
    c->part++;
}

/* --- calls ------------------------------------------------------------------------------------ */

static void free_call(struct chat_call *call)
{
    buf_fini(&call->id);
    buf_fini(&call->name);
    buf_fini(&call->held);
}

static struct chat_call *new_call(struct chat_choice *c)
{
    if (c->call_count == CHAT_CALLS)
        return NULL;
    if ((c->call_count & (c->call_count - 1)) == 0) {
        size_t room = c->call_count ? 2 * c->call_count : 1;
        struct chat_call *calls = realloc(c->calls, room * sizeof *calls);
        if (!calls)
            return NULL;
        c->calls = calls;
    }
    struct chat_call *call = &c->calls[c->call_count++];
    *call = (struct chat_call){0};
    buf_init(&call->id, 1024);
    buf_init(&call->name, 1024);
    buf_init(&call->held, STREAM_HOLD_MAX);
    return call;
}

/* By index; a new id under an old index is a new call (Gemini's OpenAI form says 0 for all). */
static struct chat_call *call_for(struct chat_choice *c, int64_t index, struct str id)
{
    uint64_t hash = id.n ? str_hash(id) | 1 : 0;
    for (size_t k = c->call_count; k-- > 0;) {
        struct chat_call *call = &c->calls[k];
        if (call->index != index)
            continue;
        if (hash && call->id_hash && hash != call->id_hash)
            break;
        return call;
    }
    struct chat_call *call = new_call(c);
    if (call) {
        call->index = index;
        call->id_hash = hash;
        buf_put_str(&call->id, id);
    }
    return call;
}

static bool is_taken(const struct chat_choice *c, const struct chat_call *call)
{
    for (const struct chat_call *other = c->calls; other != call; other++)
        if (other->id_hash && other->id_hash == call->id_hash)
            return true;
    return false;
}

static void begin_call(struct stream_reader *s, unsigned i, struct chat_call *call)
{
    struct chat_choice *c = &((struct chat_reader *)s->state)->choice[i];
    char made[24];
    struct str id = buf_str(&call->id);
    end_part(s, i);
    if (!id.n || is_taken(c, call)) { /* servers of old give none, or the same to all */
        uint64_t seed = ((struct chat_reader *)s->state)->seed;
        snprintf(made, sizeof made, "call_%08x%02x%02x", (unsigned)(seed ^ seed >> 32), i & 255,
            (unsigned)(call - c->calls) & 255);
        id = str_c(made);
    }
    c->open = CHAT_OPEN_CALL;
    EMIT(s, i, .kind = IR_EV_CALL_START, .id = id, .name = buf_str(&call->name));
    if (call->held.n)
        EMIT(s, i, .kind = IR_EV_CALL_ARGS, .text = buf_str(&call->held));
    ((struct chat_reader *)s->state)->held -= call->held.n;
    buf_fini(&call->held);
}

/* The active call is over where its arguments are whole, or `all` are: the next one's turn. */
static void turn(struct stream_reader *s, unsigned i, bool all)
{
    struct chat_choice *c = &((struct chat_reader *)s->state)->choice[i];
    while (c->active < c->call_count) {
        struct chat_call *call = &c->calls[c->active];
        bool running = c->open == CHAT_OPEN_CALL && !call->over;
        if (!running && call->name.n && !call->over) {
            begin_call(s, i, call);
            running = true;
        }
        bool more = c->active + 1 < c->call_count;
        if (all && running && call->custom)
            EMIT(s, i, .kind = IR_EV_CALL_ARGS, .text = CUSTOM_CLOSE);
        if (!all && !(call->scan.whole && more))
            return;
        call->over = true;
        if (running)
            end_part(s, i);
        c->active++;
    }
}

static void call_arguments(struct stream_reader *s, unsigned i, struct chat_call *call,
    struct str fragment)
{
    struct chat_reader *r = s->state;
    struct chat_choice *c = &r->choice[i];
    fragment = str_first(fragment, arguments_feed(&call->scan, fragment));
    if (!fragment.n || call->over)
        return;
    if (c->open == CHAT_OPEN_CALL && call == &c->calls[c->active]) {
        EMIT(s, i, .kind = IR_EV_CALL_ARGS, .text = fragment);
        return;
    }
    r->held += fragment.n;
    buf_put_str(&call->held, fragment);
    if (r->held > STREAM_HOLD_MAX || call->held.err)
        stream_emit_error(s, STR("{\"error\":{\"message\":\"interleaved tool calls are too large "
            "to be put in order\",\"type\":\"server_error\"}}"), 502);
}

/* The text of a custom tool as JSON's. */
static void custom_input(struct stream_reader *s, unsigned i, struct chat_call *call,
    struct str fragment)
{
    struct buf text;
    if (!fragment.n)
        return;
    buf_init(&text, STREAM_WHOLE_MAX);
    json_quote(&text, fragment);
    if (text.err)
        stream_emit_error(s, STR("{\"error\":\"a chunk is too large\"}"), 502);
    else
        call_arguments(s, i, call, str_n(text.p + 1, text.n - 2));
    buf_fini(&text);
}

static void read_call(struct stream_reader *s, unsigned i, struct json_span v, int64_t place)
{
    struct chat_choice *c = &((struct chat_reader *)s->state)->choice[i];
    struct json_want w[] = {{STR("index")}, {STR("id")}, {STR("function")}, {STR("custom")}};
    struct json_want f[] = {{STR("name")}, {STR("arguments")}, {STR("input")}};
    int64_t index = place;
    if (json_scan(v.raw, w, ARRAY_LEN(w)) < 0)
        return;
    bool custom = w[2].value.type != JSON_OBJECT;
    if (json_scan(w[custom ? 3 : 2].value.raw, f, ARRAY_LEN(f)) < 0)
        return;
    if (w[0].value.type == JSON_NUMBER && json_i64(w[0].value, &index) < 0)
        return;
    struct chat_call *call = call_for(c, index, ir_text(w[1].value));
    if (!call) {
        stream_emit_error(s, STR("{\"error\":\"more than 128 tool calls in one answer\"}"), 502);
        return;
    }
    struct str name = ir_text(f[0].value);
    if (name.n && !call->name.n)
        buf_put_str(&call->name, name);
    if (custom && !call->custom)
        call_arguments(s, i, call, CUSTOM_OPEN);
    call->custom |= custom;
    turn(s, i, false);
    if (custom) {
        custom_input(s, i, call, ir_text(f[2].value));
    } else if (f[1].value.type == JSON_OBJECT && !call->scan.begun) { /* some send an object */
        struct buf text;
        buf_init(&text, STREAM_HOLD_MAX);
        json_quote(&text, f[1].value.raw);
        if (!text.err)
            call_arguments(s, i, call, str_n(text.p + 1, text.n - 2));
        buf_fini(&text);
    } else if (f[1].value.type == JSON_STRING) {
        call_arguments(s, i, call, ir_text(f[1].value));
    }
    turn(s, i, false);
}

/* The older single call. Snowflake sends an empty one on every chunk. */
static void read_only_call(struct stream_reader *s, unsigned i, struct json_span function)
{
    struct chat_choice *c = &((struct chat_reader *)s->state)->choice[i];
    struct json_want w[] = {{STR("name")}, {STR("arguments")}};
    if (function.type != JSON_OBJECT || json_scan(function.raw, w, ARRAY_LEN(w)) < 0)
        return;
    struct str name = ir_text(w[0].value);
    struct chat_call *call = name.n || c->call_count ? call_for(c, 0, STR_NULL) : NULL;
    if (!call)
        return;
    if (name.n && !call->name.n)
        buf_put_str(&call->name, name);
    turn(s, i, false);
    call_arguments(s, i, call, ir_text(w[1].value));
}

/* --- texts ------------------------------------------------------------------------------------ */

static void open_part(struct stream_reader *s, unsigned i, enum chat_open kind)
{
    struct chat_choice *c = &((struct chat_reader *)s->state)->choice[i];
    if (c->open == kind)
        return;
    turn(s, i, true); /* text after calls: they are over */
    end_part(s, i);
    c->open = kind;
}

static void text(struct stream_reader *s, unsigned i, enum chat_open kind, struct str fragment,
    struct str logprobs)
{
    static const enum ir_event_kind events[] = {[CHAT_OPEN_TEXT] = IR_EV_TEXT,
        [CHAT_OPEN_REASONING] = IR_EV_REASONING, [CHAT_OPEN_REFUSAL] = IR_EV_REFUSAL};
    if (!fragment.n)
        return;
    open_part(s, i, kind);
    EMIT(s, i, .kind = events[kind], .text = fragment, .logprobs = logprobs);
}

/* Mistral streams content as an array of thinking and text. */
struct parts_to {
    struct stream_reader *s;
    unsigned choice;
};

static bool stream_part(void *ctx, struct ir_part *part)
{
    struct parts_to *to = ctx;
    if (part->kind == IR_TEXT || part->kind == IR_REASONING)
        text(to->s, to->choice, part->kind == IR_TEXT ? CHAT_OPEN_TEXT : CHAT_OPEN_REASONING, part->text,
            STR_NULL);
    return true;
}

static void read_content(struct stream_reader *s, unsigned i, struct json_span v,
    struct str logprobs)
{
    struct arena a;
    struct parts_to to = {s, i};
    if (v.type == JSON_STRING) {
        text(s, i, CHAT_OPEN_TEXT, ir_text(v), logprobs);
        return;
    }
    if (v.type != JSON_ARRAY && v.type != JSON_OBJECT)
        return;
    arena_init(&a, 2048, STREAM_HOLD_MAX);
    struct chat_sink sink = {.a = &a, .add = stream_part, .ctx = &to};
    if (!chat_read_content(v, &sink))
        stream_emit_error(s, STR("{\"error\":\"a chunk is too large\"}"), 502);
    arena_fini(&a);
}

/* reasoning_details: its text only where no plain member has it; its proofs always. */
static void read_details(struct stream_reader *s, unsigned i, struct json_span v, bool with_text)
{
    struct json_iter it = json_iter(v.raw);
    struct json_span key, one;
    while (v.type == JSON_ARRAY && json_next(&it, &key, &one)) {
        struct json_want w[] = {{STR("type")}, {STR("text")}, {STR("summary")}, {STR("signature")},
            {STR("data")}};
        if (json_scan(one.raw, w, ARRAY_LEN(w)) < 0)
            continue;
        struct str hidden = ir_text(w[4].value), proof = ir_text(w[3].value);
        if (ir_is(ir_text(w[0].value), "reasoning.encrypted") && hidden.n) {
            open_part(s, i, CHAT_OPEN_NONE);
            EMIT(s, i, .kind = IR_EV_REDACTED, .signature = hidden);
            ((struct chat_reader *)s->state)->choice[i].part++;
            continue;
        }
        if (with_text)
            text(s, i, CHAT_OPEN_REASONING, ir_text(w[w[1].count ? 1 : 2].value), STR_NULL);
        if (proof.n) {
            open_part(s, i, CHAT_OPEN_REASONING);
            EMIT(s, i, .kind = IR_EV_SIGNATURE, .signature = proof);
        }
    }
}

static void read_citations(struct stream_reader *s, unsigned i, struct json_span list)
{
    struct json_iter it = json_iter(list.raw);
    struct json_span key, v;
    struct ir_citation one;
    while (list.type == JSON_ARRAY && json_next(&it, &key, &v)) {
        if (!chat_read_citation(v, &one))
            continue;
        open_part(s, i, CHAT_OPEN_TEXT);
        ((struct chat_reader *)s->state)->choice[i].cited = true;
        EMIT(s, i, .kind = IR_EV_CITATION, .citation = &one);
    }
}

/* Every chunk repeats them: those of the last one count. */
static void read_sources(struct stream_reader *s, unsigned i)
{
    struct chat_reader *r = s->state;
    struct json_iter it = json_iter(r->sources.raw);
    struct json_span key, v;
    struct ir_citation one;
    if (r->sources.type != JSON_ARRAY || r->choice[i].open != CHAT_OPEN_TEXT || r->choice[i].cited)
        return;
    while (json_next(&it, &key, &v))
        if (chat_read_source(v, &one))
            EMIT(s, i, .kind = IR_EV_CITATION, .citation = &one);
}

/* Whole. */
static bool tell_image(void *ctx, struct ir_part *part)
{
    struct parts_to *to = ctx;
    open_part(to->s, to->choice, CHAT_OPEN_NONE);
    EMIT(to->s, to->choice, .kind = IR_EV_MEDIA, .raw = part->raw, .media = &part->media);
    ((struct chat_reader *)to->s->state)->choice[to->choice].part++;
    return true;
}

static void read_images(struct stream_reader *s, unsigned i, struct json_span list)
{
    struct arena a;
    struct parts_to to = {s, i};
    struct chat_sink sink = {.a = &a, .add = tell_image, .ctx = &to};
    arena_init(&a, 2048, STREAM_HOLD_MAX);
    chat_read_images(list, &sink);
    arena_fini(&a);
}

/* In pieces of samples, beside the words that they say. */
static void read_sound(struct stream_reader *s, unsigned i, struct json_span audio)
{
    struct ir_media m = {.kind = IR_AUDIO, .mime = STR("audio/L16;rate=24000")};
    text(s, i, CHAT_OPEN_TEXT, ir_text(json_get(audio.raw, STR("transcript"))), STR_NULL);
    m.data = ir_text(json_get(audio.raw, STR("data")));
    m.file_id = ir_text(json_get(audio.raw, STR("id")));
    if (m.data.n)
        EMIT(s, i, .kind = IR_EV_MEDIA, .raw = CHAT_AUDIO, .media = &m);
}

static void read_delta(struct stream_reader *s, unsigned i, struct str delta, struct str logprobs)
{
    struct json_want w[] = {{STR("content")}, {STR("tool_calls")}, {STR("refusal")},
        {STR("reasoning_content")}, {STR("reasoning")}, {STR("reasoning_details")},
        {STR("annotations")}, {STR("function_call")}, {STR("audio")}, {STR("images")}};
    struct json_span key, v;
    if (json_scan(delta, w, ARRAY_LEN(w)) < 0)
        return;
    struct str thought = ir_text(w[3].value);
    if (!thought.n)
        thought = ir_text(w[4].value);
    struct chat_choice *c = &((struct chat_reader *)s->state)->choice[i];
    c->plain_thought |= thought.n != 0;
    text(s, i, CHAT_OPEN_REASONING, thought, STR_NULL);
    if (w[5].count)
        read_details(s, i, w[5].value, !c->plain_thought);
    read_content(s, i, w[0].value, logprobs);
    if (w[6].count)
        read_citations(s, i, w[6].value);
    if (w[8].value.type == JSON_OBJECT)
        read_sound(s, i, w[8].value);
    if (w[9].count)
        read_images(s, i, w[9].value);
    text(s, i, CHAT_OPEN_REFUSAL, ir_text(w[2].value), STR_NULL);
    struct json_iter it = json_iter(w[1].value.raw);
    for (int64_t place = 0; w[1].value.type == JSON_ARRAY && json_next(&it, &key, &v); place++)
        read_call(s, i, v, place);
    read_only_call(s, i, w[7].value);
}

/* --- chunks ----------------------------------------------------------------------------------- */

static void finish(struct stream_reader *s, unsigned i, struct str native)
{
    struct chat_choice *c = &((struct chat_reader *)s->state)->choice[i];
    enum ir_finish why = chat_finish_from(native);
    if (c->finished) /* OpenRouter says it twice */
        return;
    read_sources(s, i);
    turn(s, i, true);
    end_part(s, i);
    c->finished = true;
    if (why == IR_FINISH_STOP && c->call_count)
        why = IR_FINISH_TOOLS;
    EMIT(s, i, .kind = IR_EV_FINISH, .finish = why, .finish_native = native);
}

static void read_usage(struct stream_reader *s, struct json_span usage, struct str tier)
{
    struct usage u;
    if (usage.type != JSON_OBJECT || !usage_object(usage.raw, s->quirks->usage, &u))
        return;
    struct ir_event ev = {.kind = IR_EV_USAGE, .usage = &u, .service_tier = tier};
    stream_emit(s, &ev);
}

static void read_choice(struct stream_reader *s, struct json_span v)
{
    struct chat_reader *r = s->state;
    struct json_want w[] = {{STR("index")}, {STR("delta")}, {STR("finish_reason")},
        {STR("logprobs")}, {STR("usage")}};
    int64_t i = 0;
    if (json_scan(v.raw, w, ARRAY_LEN(w)) < 0)
        return;
    if (w[0].value.type == JSON_NUMBER && (json_i64(w[0].value, &i) < 0 || i < 0 ||
            i >= CHAT_CHOICES))
        return;
    struct chat_choice *c = &r->choice[i];
    c->seen = true;
    if (w[4].count) /* older Moonshot streams */
        read_usage(s, w[4].value, STR_NULL);
    if (c->finished)
        return;
    struct str logprobs = STR_NULL;
    if (w[3].value.type == JSON_OBJECT)
        logprobs = ir_raw(json_get(w[3].value.raw, STR("content")));
    if (w[1].value.type == JSON_OBJECT)
        read_delta(s, (unsigned)i, w[1].value.raw, logprobs);
    if (w[2].value.type == JSON_STRING && w[2].value.raw.n > 2)
        finish(s, (unsigned)i, ir_text(w[2].value));
}

static void start(struct stream_reader *s, struct json_span id, struct json_span model,
    struct json_span created)
{
    struct ir_event ev = {.kind = IR_EV_START, .id = ir_text(id), .model = ir_text(model),
        .created = created.type == JSON_NUMBER ? created.raw : STR_NULL};
    ((struct chat_reader *)s->state)->seed = str_hash(ev.id);
    stream_emit(s, &ev);
}

static void over(struct stream_reader *s)
{
    struct chat_reader *r = s->state;
    r->sources = (struct json_span){JSON_NONE, {NULL, 0}};
    for (unsigned i = 0; i < CHAT_CHOICES; i++)
        if (r->choice[i].seen && !r->choice[i].finished)
            finish(s, i, STR("stop"));
    struct ir_event ev = {.kind = IR_EV_DONE};
    stream_emit(s, &ev);
}

void chat_read_event(struct stream_reader *s, struct str name, struct str data)
{
    struct json_want w[] = {{STR("choices")}, {STR("usage")}, {STR("error")}, {STR("id")},
        {STR("model")}, {STR("created")}, {STR("service_tier")}, {STR("x_groq")},
        {STR("search_results")}, {STR("citations")}};
    struct json_span key, v;
    if (str_eq(str_trim(data), STR("[DONE]"))) {
        over(s);
        return;
    }
    if (json_scan(data, w, ARRAY_LEN(w)) < 0)
        return; /* not ours to judge: a provider's own kind of event */
    bool error = w[2].count && w[2].value.type != JSON_NULL;
    if (error || str_eq(name, STR("error"))) {
        stream_emit_error(s, data, 502);
        return;
    }
    ((struct chat_reader *)s->state)->sources = w[w[8].count ? 8 : 9].value;
    struct json_iter it = json_iter(w[0].value.raw);
    while (w[0].value.type == JSON_ARRAY && json_next(&it, &key, &v)) {
        if (!s->started)
            start(s, w[3].value, w[4].value, w[5].value);
        read_choice(s, v);
    }
    if (w[1].value.type != JSON_OBJECT && w[7].count)
        w[1].value = json_get(w[7].value.raw, STR("usage"));
    read_usage(s, w[1].value, ir_text(w[6].value));
}

/* Some never send [DONE]: it is whole when every answer that began has said why it ended. */
void chat_read_end(struct stream_reader *s)
{
    struct chat_reader *r = s->state;
    bool seen = false, whole = true;
    for (unsigned i = 0; i < CHAT_CHOICES; i++) {
        seen |= r->choice[i].seen;
        whole &= !r->choice[i].seen || r->choice[i].finished;
    }
    if (seen && whole)
        over(s);
}

void chat_reader_fini(struct stream_reader *s)
{
    struct chat_reader *r = s->state;
    for (unsigned i = 0; i < CHAT_CHOICES; i++) {
        for (size_t k = 0; k < r->choice[i].call_count; k++)
            free_call(&r->choice[i].calls[k]);
        free(r->choice[i].calls);
        r->choice[i] = (struct chat_choice){0};
    }
}
