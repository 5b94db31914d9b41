/* responses_stream_read.c: the events of a Responses stream → events.
 *
 * One item is open at a time: deltas of another one are left alone, and it is told whole when both
 * are done, from the event that repeats it. The same happens with what came without deltas (items of
 * the codex backend, of servers that answer in one piece). A text or a reasoning is over when the
 * next item begins, whenever it says so itself (OpenRouter: after it). Types are read from the data: some send no
 * event names. */
#include "proxy/dialect/places.h"
#include "proxy/dialect/responses.h"

#define EMIT(s, ...) \
    stream_emit(s, &(struct ir_event){ \
                       .part = ((struct responses_reader *)(s)->state)->part, __VA_ARGS__})

static void end_part(struct stream_reader *s)
{
    struct responses_reader *r = s->state;
    if (!r->in_part)
        return;
    EMIT(s, .kind = IR_EV_PART_END);
    r->in_part = false;
    r->begun = r->chars;
    r->cited = 0;
    r->part++;
}

static void start(struct stream_reader *s, struct json_span response)
{
    struct json_span created = json_get(response.raw, STR("created_at"));
    if (!s->started)
        EMIT(s, .kind = IR_EV_START, .id = ir_text(json_get(response.raw, STR("id"))),
            .model = ir_text(json_get(response.raw, STR("model"))),
            .created = created.type == JSON_NUMBER ? created.raw : STR_NULL);
}

/* --- whole items ---------------------------------------------------------------------------- */

static bool tell_part(void *ctx, enum ir_role role, struct ir_part *p)
{
    struct stream_reader *s = ctx;
    struct responses_reader *r = s->state;
    (void)role;
    switch (p->kind) {
    case IR_TEXT:
    case IR_REFUSAL:
        EMIT(s, .kind = p->kind == IR_TEXT ? IR_EV_TEXT : IR_EV_REFUSAL, .text = p->text);
        r->chars += p->kind == IR_TEXT ? places_count(p->text) : 0;
        for (struct ir_citation *c = p->citations; c; c = c->next) {
            c->start += c->end < 0 ? 0 : r->begun;
            c->end += c->end < 0 ? 0 : r->begun;
            EMIT(s, .kind = IR_EV_CITATION, .citation = c);
        }
        break;
    case IR_REASONING:
        if (!p->text.n)
            return true;
        EMIT(s, .kind = IR_EV_REASONING, .text = p->text);
        if (p->signature.n)
            EMIT(s, .kind = IR_EV_SIGNATURE, .signature = p->signature);
        break;
    case IR_REDACTED:
        EMIT(s, .kind = IR_EV_REDACTED, .signature = p->signature, .item_id = p->item_id);
        r->part++;
        return true;
    case IR_CALL:
        r->calls++;
        EMIT(s, .kind = IR_EV_CALL_START, .id = p->id, .item_id = p->item_id,
            .name = p->name.p ? p->name : STR(""));
        EMIT(s, .kind = IR_EV_CALL_ARGS, .text = p->arguments.p
            ? ir_text_of(&r->a, p->arguments) : p->broken);
        break;
    case IR_MEDIA:
        EMIT(s, .kind = IR_EV_MEDIA, .raw = p->raw, .media = &p->media, .item_id = p->item_id);
        r->part++;
        return true;
    default:
        EMIT(s, .kind = IR_EV_OPAQUE, .raw = p->raw);
        r->part++;
        return true;
    }
    r->in_part = true;
    end_part(s);
    return true;
}

static void tell_whole(struct stream_reader *s, struct json_span item)
{
    struct responses_reader *r = s->state;
    struct responses_sink sink = {.a = &r->a, .add = tell_part, .ctx = s};
    r->items++;
    if (!responses_read_item(item, &sink))
        stream_emit_error(s, STR("{\"error\":\"an item is too large to be translated\"}"), 502);
}

/* --- items under way ------------------------------------------------------------------------ */

static uint64_t bit_of(int64_t index)
{
    return index >= 0 && index < 64 ? (uint64_t)1 << index : 0;
}

static void item_added(struct stream_reader *s, struct json_span item, int64_t index)
{
    struct responses_reader *r = s->state;
    struct str type = ir_text(json_get(item.raw, STR("type")));
    struct str id = ir_text(json_get(item.raw, STR("call_id")));
    struct str name = responses_flat_name(ir_text(json_get(item.raw, STR("namespace"))),
        ir_text(json_get(item.raw, STR("name"))), &r->a);
    if (r->open == RESPONSES_CALL)
        return;
    if (r->open != RESPONSES_NONE && r->spoke) {
        end_part(s);
        r->items++;
        r->left |= bit_of(r->index);
    }
    r->open = RESPONSES_NONE;
    r->index = index;
    r->content = -1;
    r->spoke = r->raw_reasoning = false;
    if (ir_is(type, "message")) {
        r->open = RESPONSES_MESSAGE;
    } else if (ir_is(type, "reasoning")) {
        r->open = RESPONSES_REASONING;
    } else if ((ir_is(type, "function_call") || ir_is(type, "custom_tool_call")) && id.n && name.n) {
        r->open = RESPONSES_CALL;
        r->in_part = true;
        r->custom = ir_is(type, "custom_tool_call");
        r->calls++;
        EMIT(s, .kind = IR_EV_CALL_START, .id = id, .name = name,
            .item_id = ir_text(json_get(item.raw, STR("id"))));
    }
}

static void call_delta(struct stream_reader *s, struct str text)
{
    struct responses_reader *r = s->state;
    if (r->custom && !r->spoke)
        EMIT(s, .kind = IR_EV_CALL_ARGS, .text = CUSTOM_OPEN);
    if (text.n)
        EMIT(s, .kind = IR_EV_CALL_ARGS, .text = r->custom ? ir_text_of(&r->a, text) : text);
    r->spoke = true;
}

static void call_done(struct stream_reader *s, struct json_span item)
{
    struct responses_reader *r = s->state;
    struct str text = ir_text(json_get(item.raw, r->custom ? STR("input") : STR("arguments")));
    r->items++;
    if (!r->spoke)
        call_delta(s, text.n || r->custom ? text : STR("{}"));
    if (r->custom)
        EMIT(s, .kind = IR_EV_CALL_ARGS, .text = CUSTOM_CLOSE);
    end_part(s);
}

static void reasoning_done(struct stream_reader *s, struct json_span item)
{
    struct responses_reader *r = s->state;
    struct str proof = ir_text(json_get(item.raw, STR("encrypted_content")));
    if (r->in_part && proof.n)
        EMIT(s, .kind = IR_EV_SIGNATURE, .signature = proof);
    end_part(s);
}

static void hold(struct stream_reader *s, struct json_span item)
{
    struct responses_reader *r = s->state;
    buf_putc(&r->held, r->held.n ? ',' : '[');
    buf_put_str(&r->held, item.raw);
    if (r->held.err)
        stream_emit_error(s, STR("{\"error\":{\"message\":\"interleaved items are too large to be put "
            "in order\",\"type\":\"server_error\"}}"), 502);
}

static void tell_held(struct stream_reader *s)
{
    struct responses_reader *r = s->state;
    struct json_span k, v;
    if (!r->held.n)
        return;
    buf_putc(&r->held, ']');
    struct json_iter it = json_iter(buf_str(&r->held));
    while (json_next(&it, &k, &v))
        tell_whole(s, v);
    buf_reset(&r->held);
}

static void item_done(struct stream_reader *s, struct json_span item, int64_t index)
{
    struct responses_reader *r = s->state;
    if (r->left & bit_of(index))
        return;
    if (r->open != RESPONSES_NONE && index != r->index) {
        hold(s, item);
        return;
    }
    if (r->open == RESPONSES_NONE) {
        tell_whole(s, item);
        return;
    }
    enum responses_open open = r->open;
    r->open = RESPONSES_NONE;
    if (open == RESPONSES_CALL) {
        call_done(s, item);
    } else if (!r->spoke) {
        tell_whole(s, item);
    } else {
        r->items++;
        if (open == RESPONSES_REASONING)
            reasoning_done(s, item);
        end_part(s);
    }
    tell_held(s);
}

/* --- deltas --------------------------------------------------------------------------------- */

static bool is_open(struct responses_reader *r, enum responses_open open, int64_t index)
{
    return r->open == open && (index == r->index || index < 0);
}

static void content_delta(struct stream_reader *s, enum ir_event_kind kind, struct json_span data,
    int64_t content)
{
    struct responses_reader *r = s->state;
    struct json_span logprobs = json_get(data.raw, STR("logprobs"));
    struct str text = ir_text(json_get(data.raw, STR("delta")));
    if (content != r->content)
        end_part(s);
    r->content = content;
    r->in_part = r->spoke = true;
    r->chars += kind == IR_EV_TEXT ? places_count(text) : 0;
    if (text.n)
        EMIT(s, .kind = kind, .text = text,
            .logprobs = logprobs.type == JSON_ARRAY && json_count(logprobs) ? logprobs.raw : STR_NULL);
}

/* Parts of a summary are one reasoning, an empty line between them. */
static void reasoning_delta(struct stream_reader *s, struct json_span data, int64_t part, bool raw)
{
    struct responses_reader *r = s->state;
    struct str text = ir_text(json_get(data.raw, STR("delta")));
    if (r->spoke && raw != r->raw_reasoning)
        return; /* both are told: the first one counts */
    if (r->spoke && part != r->content)
        EMIT(s, .kind = IR_EV_REASONING, .text = STR("\\n\\n"));
    r->content = part;
    r->raw_reasoning = raw;
    r->in_part = r->spoke = true;
    if (text.n)
        EMIT(s, .kind = IR_EV_REASONING, .text = text);
}

static int64_t integer(struct json_span data, const char *key)
{
    int64_t n;
    return json_i64(json_get(data.raw, str_c(key)), &n) == 0 ? n : -1;
}

static void annotation(struct stream_reader *s, struct json_span v)
{
    struct responses_reader *r = s->state;
    struct ir_citation c;
    r->cited++;
    if (responses_read_citation(v, r->begun, &c))
        EMIT(s, .kind = IR_EV_CITATION, .citation = &c);
}

/* Some give no event for each, but name them all at the end of the text. */
static void rest_of_annotations(struct stream_reader *s, struct json_span part)
{
    struct responses_reader *r = s->state;
    struct json_span list = json_get(part.raw, STR("annotations")), k, v;
    struct json_iter it = json_iter(list.raw);
    unsigned n = 0;
    while (r->in_part && list.type == JSON_ARRAY && json_next(&it, &k, &v))
        if (n++ >= r->cited)
            annotation(s, v);
}

static void read_delta(struct stream_reader *s, struct str type, struct json_span data,
    int64_t index)
{
    struct responses_reader *r = s->state;
    if (ir_is(type, "response.output_text.delta") || ir_is(type, "response.refusal.delta")) {
        if (is_open(r, RESPONSES_MESSAGE, index))
            content_delta(s, ir_is(type, "response.refusal.delta") ? IR_EV_REFUSAL : IR_EV_TEXT, data,
                integer(data, "content_index"));
    } else if (ir_is(type, "response.function_call_arguments.delta") ||
               ir_is(type, "response.custom_tool_call_input.delta")) {
        struct str text = ir_text(json_get(data.raw, STR("delta")));
        if (is_open(r, RESPONSES_CALL, index) && text.n)
            call_delta(s, text);
    } else if (ir_is(type, "response.reasoning_summary_text.delta")) {
        if (is_open(r, RESPONSES_REASONING, index))
            reasoning_delta(s, data, integer(data, "summary_index"), false);
    } else if (ir_is(type, "response.reasoning_text.delta")) {
        if (is_open(r, RESPONSES_REASONING, index))
            reasoning_delta(s, data, integer(data, "content_index"), true);
    } else if (ir_is(type, "response.output_text.annotation.added")) {
        if (is_open(r, RESPONSES_MESSAGE, index) && r->in_part)
            annotation(s, json_get(data.raw, STR("annotation")));
    } else if (ir_is(type, "response.content_part.done")) {
        if (is_open(r, RESPONSES_MESSAGE, index))
            rest_of_annotations(s, json_get(data.raw, STR("part")));
    }
}

/* --- the end -------------------------------------------------------------------------------- */

static void over(struct stream_reader *s, struct json_span response)
{
    struct responses_reader *r = s->state;
    struct json_iter it = json_iter(json_get(response.raw, STR("output")).raw);
    struct json_span k, v, usage = json_get(response.raw, STR("usage"));
    struct usage u;
    r->items += r->in_part;
    end_part(s);
    r->open = RESPONSES_NONE;
    tell_held(s);
    while (!r->items && !it.object && json_next(&it, &k, &v)) {
        tell_whole(s, v);
        r->items = 0;
    }
    EMIT(s, .kind = IR_EV_FINISH, .finish = responses_finish(response, r->calls > 0),
        .finish_native = ir_text(json_get(response.raw, STR("status"))));
    if (usage.type == JSON_OBJECT && usage_object(usage.raw, s->quirks->usage, &u))
        EMIT(s, .kind = IR_EV_USAGE, .usage = &u,
            .service_tier = ir_text(json_get(response.raw, STR("service_tier"))));
    EMIT(s, .kind = IR_EV_DONE);
}

static void failed(struct stream_reader *s, struct json_span response)
{
    struct json_span error = json_get(response.raw, STR("error"));
    struct buf b;
    buf_init(&b, STREAM_HOLD_MAX);
    buf_puts(&b, "{\"error\":");
    buf_put_str(&b, error.type == JSON_OBJECT ? error.raw : STR("\"the response failed\""));
    buf_puts(&b, "}");
    stream_emit_error(s, buf_str(&b), 502);
    buf_fini(&b);
}

static void dispatch(struct stream_reader *s, struct str type, struct json_span data)
{
    struct json_span response = json_get(data.raw, STR("response"));
    int64_t index = integer(data, "output_index");
    if (ir_is(type, "error")) {
        stream_emit_error(s, data.raw, 502);
        return;
    }
    if (response.type == JSON_OBJECT || str_starts(type, STR("response.output_item.")))
        start(s, response); /* some begin with an item */
    if (ir_is(type, "response.output_item.added"))
        item_added(s, json_get(data.raw, STR("item")), index);
    else if (ir_is(type, "response.output_item.done"))
        item_done(s, json_get(data.raw, STR("item")), index);
    else if (ir_is(type, "response.completed") || ir_is(type, "response.incomplete"))
        over(s, response);
    else if (ir_is(type, "response.failed"))
        failed(s, response);
    else
        read_delta(s, type, data, index);
}

void responses_read_event(struct stream_reader *s, struct str name, struct str data)
{
    struct responses_reader *r = s->state;
    struct json_span v = json_value(data);
    if (v.type != JSON_OBJECT)
        return; /* [DONE] */
    if (!r->ready) {
        arena_init(&r->a, 4096, STREAM_WHOLE_MAX);
        buf_init(&r->held, STREAM_HOLD_MAX);
    }
    r->ready = true;
    struct str type = ir_text(json_get(data, STR("type")));
    if (!type.p && json_get(data, STR("error")).type == JSON_OBJECT)
        type = STR("error");
    dispatch(s, type.p ? type : name, v);
    arena_reset(&r->a);
}

/* Only response.completed, .incomplete and .failed end it. */
void responses_read_end(struct stream_reader *s)
{
    (void)s;
}

void responses_reader_fini(struct stream_reader *s)
{
    struct responses_reader *r = s->state;
    if (r->ready) {
        arena_fini(&r->a);
        buf_fini(&r->held);
    }
    r->ready = false;
}
