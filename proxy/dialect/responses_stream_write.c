/* responses_stream_write.c: events → the events of a Responses stream, in the one order that OpenAI's
 * clients accept: created, in_progress, then item after item (added, its parts and deltas, done),
 * then completed or incomplete with the whole response. Sequence numbers have no gap.
 *
 * The last event repeats the answer, so its items are kept (STREAM_WHOLE_MAX). Texts in a row are
 * parts of one message; the message is closed when something else comes. */
#include "proxy/dialect/places.h"
#include "proxy/dialect/responses.h"

#define BUFS(r) \
    {&(r)->items, &(r)->parts, &(r)->text, &(r)->annotations, &(r)->logprobs, &(r)->signature, \
        &(r)->id, &(r)->model, &(r)->created, &(r)->tier, &(r)->call_id, &(r)->name}

/* --- one event ------------------------------------------------------------------------------ */

static struct json_writer begin(struct responses_writer *r, struct buf *out, const char *type)
{
    buf_printf(out, "event: %s\ndata: ", type);
    struct json_writer w = json_writer(out);
    json_object_begin(&w, NULL);
    json_put_c(&w, "type", type);
    json_put_int(&w, "sequence_number", r->sequence++);
    return w;
}

static void end(struct json_writer *w)
{
    json_object_end(w);
    buf_puts(w->out, "\n\n");
}

static const char *prefix_of(const struct responses_writer *r)
{
    if (r->open == RESPONSES_MESSAGE)
        return "msg_";
    if (r->open == RESPONSES_REASONING)
        return "rs_";
    return r->custom ? "ctc_" : "fc_";
}

static void put_id(struct responses_writer *r, struct json_writer *w, const char *key)
{
    responses_put_item_id(w, key, prefix_of(r), buf_str(&r->id), r->index);
}

/* An event within the open item. */
static struct json_writer begin_inside(struct responses_writer *r, struct buf *out,
    const char *type)
{
    struct json_writer w = begin(r, out, type);
    put_id(r, &w, "item_id");
    json_put_int(&w, "output_index", r->index);
    return w;
}

static struct responses_frame frame_of(struct responses_writer *r, const char *status)
{
    return (struct responses_frame){
        .id = buf_str(&r->id), .model = buf_str(&r->model),
        .created = r->created.n ? buf_str(&r->created) : STR_NULL, .status = status,
        .output = buf_str(&r->items),
        .service_tier = r->tier.n ? buf_str(&r->tier) : STR_NULL,
    };
}

static void put_frame(struct stream_writer *s, struct buf *out, const char *type,
    const struct responses_frame *f)
{
    struct json_writer w = begin(s->state, out, type);
    responses_put_frame(&w, "response", f, s->client);
    end(&w);
}

static void start(struct stream_writer *s, const struct ir_event *ev, struct buf *out)
{
    struct responses_writer *r = s->state;
    if (r->started)
        return;
    r->started = true;
    if (ev && ev->kind == IR_EV_START) {
        buf_put_str(&r->id, ev->id);
        buf_put_str(&r->model, ev->model);
        buf_put_str(&r->created, ev->created);
    }
    struct responses_frame f = frame_of(r, "in_progress");
    put_frame(s, out, "response.created", &f);
    put_frame(s, out, "response.in_progress", &f);
}

/* --- items ---------------------------------------------------------------------------------- */

static void put_encrypted(struct responses_writer *r, struct json_writer *w)
{
    if (!r->signature.n)
        return;
    if (r->origin == WIRE_RESPONSES)
        ir_put_text(w, "encrypted_content", buf_str(&r->signature));
    else
        proof_put(w, "encrypted_content",
            r->kind == IR_REDACTED ? PROOF_REDACTED : PROOF_REASONING, r->origin,
            buf_str(&r->signature));
}

static void put_reasoning_item(struct responses_writer *r, struct json_writer *w, bool done)
{
    json_put_c(w, "type", "reasoning");
    json_array_begin(w, "summary");
    if (done && r->text.n) {
        json_object_begin(w, NULL);
        json_put_c(w, "type", "summary_text");
        ir_put_text(w, "text", buf_str(&r->text));
        json_object_end(w);
    }
    json_array_end(w);
    if (done)
        put_encrypted(r, w);
}

static void put_message_item(struct responses_writer *r, struct json_writer *w, bool done)
{
    json_put_c(w, "type", "message");
    json_put_c(w, "status", done ? "completed" : "in_progress");
    json_put_c(w, "role", "assistant");
    json_array_begin(w, "content");
    if (done)
        buf_put_str(w->out, buf_str(&r->parts));
    json_array_end(w);
}

/* The text of a custom tool's call out of {"input":…}; the JSON itself where it is not that. */
static struct str custom_input(struct responses_writer *r, struct arena *a)
{
    struct str object = ir_object_of(buf_str(&r->text), a);
    struct str input = object.p ? responses_custom_input(object) : STR_NULL;
    return input.p ? input : buf_str(&r->text);
}

static void put_call_item(struct responses_writer *r, struct json_writer *w, bool done)
{
    struct arena a;
    arena_init(&a, 4096, 2 * (size_t)STREAM_WHOLE_MAX);
    json_put_c(w, "type", r->custom ? "custom_tool_call" : "function_call");
    json_put_c(w, "status", done ? "completed" : "in_progress");
    ir_put_text(w, "call_id", buf_str(&r->call_id));
    responses_put_name(w, r->tool, buf_str(&r->name));
    if (r->custom)
        ir_put_text(w, "input", done ? custom_input(r, &a) : STR(""));
    else
        ir_put_text(w, "arguments", done ? buf_str(&r->text) : STR(""));
    arena_fini(&a);
}

static void put_item(struct responses_writer *r, struct json_writer *w, const char *key, bool done)
{
    json_object_begin(w, key);
    put_id(r, w, "id");
    if (r->open == RESPONSES_MESSAGE)
        put_message_item(r, w, done);
    else if (r->open == RESPONSES_REASONING)
        put_reasoning_item(r, w, done);
    else
        put_call_item(r, w, done);
    json_object_end(w);
}

static void item_added(struct responses_writer *r, enum responses_open open, struct buf *out)
{
    r->open = open;
    r->content = r->annotation_count = 0;
    buf_reset(&r->parts);
    buf_reset(&r->text);
    struct json_writer w = begin(r, out, "response.output_item.added");
    json_put_int(&w, "output_index", r->index);
    put_item(r, &w, "item", false);
    end(&w);
}

/* Kept for the last event, and said. */
static void item_done(struct responses_writer *r, struct buf *out)
{
    struct json_writer keep = json_writer(&r->items);
    if (r->items.n)
        buf_putc(&r->items, ',');
    put_item(r, &keep, NULL, true);
    struct json_writer w = begin(r, out, "response.output_item.done");
    json_put_int(&w, "output_index", r->index);
    put_item(r, &w, "item", true);
    end(&w);
    r->open = RESPONSES_NONE;
    r->index++;
    buf_reset(&r->text);
    buf_reset(&r->signature);
}

/* --- text ----------------------------------------------------------------------------------- */

static void put_part(struct responses_writer *r, struct json_writer *w, const char *key, bool done)
{
    bool refusal = r->kind == IR_REFUSAL;
    json_object_begin(w, key);
    json_put_c(w, "type", refusal ? "refusal" : "output_text");
    ir_put_text(w, refusal ? "refusal" : "text", done ? buf_str(&r->text) : STR(""));
    if (!refusal) {
        json_array_begin(w, "annotations");
        if (done)
            buf_put_str(w->out, buf_str(&r->annotations));
        json_array_end(w);
        json_array_begin(w, "logprobs");
        if (done)
            buf_put_str(w->out, buf_str(&r->logprobs));
        json_array_end(w);
    }
    json_object_end(w);
}

static void part_done(struct responses_writer *r, struct buf *out)
{
    bool refusal = r->kind == IR_REFUSAL;
    if (!r->in_part)
        return;
    struct json_writer w =
        begin_inside(r, out, refusal ? "response.refusal.done" : "response.output_text.done");
    json_put_int(&w, "content_index", r->content);
    ir_put_text(&w, refusal ? "refusal" : "text", buf_str(&r->text));
    if (!refusal) {
        json_array_begin(&w, "logprobs");
        buf_put_str(out, buf_str(&r->logprobs));
        json_array_end(&w);
    }
    end(&w);
    w = begin_inside(r, out, "response.content_part.done");
    json_put_int(&w, "content_index", r->content);
    put_part(r, &w, "part", true);
    end(&w);
    struct json_writer keep = json_writer(&r->parts);
    if (r->parts.n)
        buf_putc(&r->parts, ',');
    put_part(r, &keep, NULL, true);
    if (!refusal)
        r->chars += places_count(buf_str(&r->text));
    r->in_part = false;
    r->content++;
}

static void need_part(struct responses_writer *r, enum ir_part_kind kind, struct buf *out)
{
    if (r->in_part && r->kind == kind)
        return;
    part_done(r, out);
    r->kind = kind;
    r->in_part = true;
    r->annotation_count = 0;
    buf_reset(&r->text);
    buf_reset(&r->annotations);
    buf_reset(&r->logprobs);
    struct json_writer w = begin_inside(r, out, "response.content_part.added");
    json_put_int(&w, "content_index", r->content);
    put_part(r, &w, "part", false);
    end(&w);
}

static void keep_logprobs(struct responses_writer *r, struct str list)
{
    struct json_span v = json_value(list);
    if (v.type != JSON_ARRAY || v.raw.n <= 2)
        return;
    if (r->logprobs.n)
        buf_putc(&r->logprobs, ',');
    buf_put_str(&r->logprobs, str_n(v.raw.p + 1, v.raw.n - 2));
}

static void text_delta(struct responses_writer *r, const struct ir_event *ev, struct buf *out)
{
    bool refusal = r->kind == IR_REFUSAL;
    buf_put_str(&r->text, ev->text);
    struct json_writer w =
        begin_inside(r, out, refusal ? "response.refusal.delta" : "response.output_text.delta");
    json_put_int(&w, "content_index", r->content);
    ir_put_text(&w, "delta", ev->text.p ? ev->text : STR(""));
    if (!refusal) {
        json_put_raw(&w, "logprobs", ev->logprobs.p ? ev->logprobs : STR("[]"));
        keep_logprobs(r, ev->logprobs);
    }
    end(&w);
}

static void annotation(struct responses_writer *r, const struct ir_event *ev, struct buf *out)
{
    const struct ir_citation *c = ev->citation;
    struct json_writer keep = json_writer(&r->annotations);
    struct json_writer w = begin_inside(r, out, "response.output_text.annotation.added");
    json_put_int(&w, "content_index", r->content);
    json_put_int(&w, "annotation_index", r->annotation_count++);
    if (r->annotations.n)
        buf_putc(&r->annotations, ',');
    size_t at = r->annotations.n;
    if (ev->origin == WIRE_RESPONSES && c->raw.p)
        json_put_raw(&keep, NULL, c->raw);
    else
        responses_put_citation(&keep, c, r->chars);
    json_put_raw(&w, "annotation", str_from(buf_str(&r->annotations), at));
    end(&w);
}

/* --- reasoning ------------------------------------------------------------------------------ */

static void summary_begin(struct responses_writer *r, struct buf *out)
{
    struct json_writer w = begin_inside(r, out, "response.reasoning_summary_part.added");
    json_put_int(&w, "summary_index", 0);
    json_put_raw(&w, "part", STR("{\"type\":\"summary_text\",\"text\":\"\"}"));
    end(&w);
    r->in_part = true;
}

static void summary_delta(struct responses_writer *r, const struct ir_event *ev, struct buf *out)
{
    if (!r->in_part)
        summary_begin(r, out);
    buf_put_str(&r->text, ev->text);
    struct json_writer w = begin_inside(r, out, "response.reasoning_summary_text.delta");
    json_put_int(&w, "summary_index", 0);
    ir_put_text(&w, "delta", ev->text);
    end(&w);
}

static void summary_done(struct responses_writer *r, struct buf *out)
{
    if (!r->in_part)
        return;
    struct json_writer w = begin_inside(r, out, "response.reasoning_summary_text.done");
    json_put_int(&w, "summary_index", 0);
    ir_put_text(&w, "text", buf_str(&r->text));
    end(&w);
    w = begin_inside(r, out, "response.reasoning_summary_part.done");
    json_put_int(&w, "summary_index", 0);
    json_object_begin(&w, "part");
    json_put_c(&w, "type", "summary_text");
    ir_put_text(&w, "text", buf_str(&r->text));
    json_object_end(&w);
    end(&w);
    r->in_part = false;
}

/* --- calls ---------------------------------------------------------------------------------- */

static void call_delta(struct responses_writer *r, const struct ir_event *ev, struct buf *out)
{
    buf_put_str(&r->text, ev->text);
    if (r->custom || !ev->text.n)
        return; /* the input of a custom tool is told when it is whole */
    struct json_writer w = begin_inside(r, out, "response.function_call_arguments.delta");
    ir_put_text(&w, "delta", ev->text);
    end(&w);
}

static void call_done(struct responses_writer *r, struct buf *out)
{
    struct arena a;
    struct json_writer w;
    arena_init(&a, 4096, 2 * (size_t)STREAM_WHOLE_MAX);
    if (!r->text.n)
        buf_puts(&r->text, "{}");
    if (r->custom) {
        struct str input = custom_input(r, &a);
        w = begin_inside(r, out, "response.custom_tool_call_input.delta");
        ir_put_text(&w, "delta", input);
        end(&w);
        w = begin_inside(r, out, "response.custom_tool_call_input.done");
        ir_put_text(&w, "input", input);
    } else {
        w = begin_inside(r, out, "response.function_call_arguments.done");
        ir_put_text(&w, "name", r->tool && r->tool->inner.p ? r->tool->inner : buf_str(&r->name));
        ir_put_text(&w, "arguments", buf_str(&r->text));
    }
    end(&w);
    arena_fini(&a);
}

/* --- parts ---------------------------------------------------------------------------------- */

static void close_item(struct responses_writer *r, struct buf *out)
{
    switch (r->open) {
    case RESPONSES_NONE:
        return;
    case RESPONSES_MESSAGE:
        part_done(r, out);
        break;
    case RESPONSES_REASONING:
        summary_done(r, out);
        break;
    case RESPONSES_CALL:
        call_done(r, out);
        break;
    }
    item_done(r, out);
}

static void need(struct responses_writer *r, enum responses_open open, struct buf *out)
{
    if (r->open == open)
        return;
    close_item(r, out);
    item_added(r, open, out);
}

static void proof_only(struct responses_writer *r, const struct ir_event *ev, struct buf *out)
{
    close_item(r, out);
    r->origin = ev->origin;
    r->kind = IR_REDACTED;
    item_added(r, RESPONSES_REASONING, out);
    buf_reset(&r->signature);
    buf_put_str(&r->signature, ev->signature);
    item_done(r, out);
}

static void call_start(struct stream_writer *s, const struct ir_event *ev, struct buf *out)
{
    struct responses_writer *r = s->state;
    if (ev->signature.n) /* Gemini's, on the call itself: it has no other place here */
        proof_only(r, ev, out);
    close_item(r, out);
    buf_reset(&r->call_id);
    buf_reset(&r->name);
    buf_put_str(&r->call_id, ev->id);
    buf_put_str(&r->name, ev->name);
    r->tool = responses_tool(s->client->request, ev->name);
    r->custom = r->tool && ir_is(r->tool->type, "custom");
    item_added(r, RESPONSES_CALL, out);
}

static void signature(struct responses_writer *r, const struct ir_event *ev, struct buf *out)
{
    if (r->open == RESPONSES_MESSAGE || r->open == RESPONSES_CALL)
        return; /* Gemini's on a text: nobody asks for it again */
    if (r->open == RESPONSES_NONE) {
        r->kind = IR_REASONING;
        item_added(r, RESPONSES_REASONING, out);
    }
    r->origin = ev->origin;
    buf_reset(&r->signature);
    buf_put_str(&r->signature, ev->signature);
}

static void opaque(struct stream_writer *s, const struct ir_event *ev, struct buf *out)
{
    struct responses_writer *r = s->state;
    static const char *const events[] = {"response.output_item.added", "response.output_item.done"};
    if (ev->origin != WIRE_RESPONSES) {
        ir_dropped_opaque(s->notes, ev->raw);
        return;
    }
    close_item(r, out);
    for (size_t i = 0; i < ARRAY_LEN(events); i++) {
        struct json_writer w = begin(r, out, events[i]);
        json_put_int(&w, "output_index", r->index);
        json_put_raw(&w, "item", ev->raw);
        end(&w);
    }
    if (r->items.n)
        buf_putc(&r->items, ',');
    buf_put_str(&r->items, ev->raw);
    r->index++;
}

/* A message stays open for the next text; everything else is over. */
static void part_end(struct responses_writer *r, struct buf *out)
{
    if (r->open == RESPONSES_MESSAGE)
        part_done(r, out);
    else
        close_item(r, out);
}

/* --- the end -------------------------------------------------------------------------------- */

static void complete(struct stream_writer *s, struct buf *out)
{
    struct responses_writer *r = s->state;
    bool filter = r->finish == IR_FINISH_FILTER;
    bool whole = r->finish != IR_FINISH_LENGTH && !filter;
    close_item(r, out);
    struct responses_frame f = frame_of(r, whole ? "completed" : "incomplete");
    f.usage = r->said_usage ? &r->usage : NULL;
    f.reason = whole ? NULL : filter ? "content_filter" : "max_output_tokens";
    put_frame(s, out, whole ? "response.completed" : "response.incomplete", &f);
    r->over = true;
}

static void fail(struct stream_writer *s, const struct dialect_error *error, struct buf *out)
{
    struct responses_writer *r = s->state;
    struct dialect_error numbered = *error;
    struct arena a;
    start(s, NULL, out);
    arena_init(&a, 1024, 1 << 20);
    numbered.sequence = r->sequence;
    numbered.response_id = r->id.n ? ir_plain(buf_str(&r->id), &a) : s->client->fallback_id;
    numbered.model = r->model.n ? ir_plain(buf_str(&r->model), &a) : s->client->model;
    dialect_write_stream_error(WIRE_RESPONSES, &numbered, out);
    arena_fini(&a);
    r->sequence += 2;
    r->over = true;
}

static void note_usage(struct responses_writer *r, const struct ir_event *ev)
{
    r->usage = *ev->usage;
    r->said_usage = true;
    if (ev->service_tier.n) {
        buf_reset(&r->tier);
        buf_put_str(&r->tier, ev->service_tier);
    }
}

static void write_content(struct stream_writer *s, const struct ir_event *ev, struct buf *out)
{
    struct responses_writer *r = s->state;
    switch (ev->kind) {
    case IR_EV_TEXT:
    case IR_EV_REFUSAL:
        need(r, RESPONSES_MESSAGE, out);
        need_part(r, ev->kind == IR_EV_TEXT ? IR_TEXT : IR_REFUSAL, out);
        text_delta(r, ev, out);
        return;
    case IR_EV_CITATION:
        if (r->open == RESPONSES_MESSAGE && r->in_part && r->kind == IR_TEXT)
            annotation(r, ev, out);
        return;
    case IR_EV_REASONING:
        if (r->open != RESPONSES_REASONING) {
            close_item(r, out);
            r->kind = IR_REASONING;
            r->origin = ev->origin;
            item_added(r, RESPONSES_REASONING, out);
        }
        if (ev->text.n)
            summary_delta(r, ev, out);
        return;
    case IR_EV_SIGNATURE:
        signature(r, ev, out);
        return;
    case IR_EV_REDACTED:
        proof_only(r, ev, out);
        return;
    case IR_EV_CALL_START:
        call_start(s, ev, out);
        return;
    case IR_EV_CALL_ARGS:
        if (r->open == RESPONSES_CALL)
            call_delta(r, ev, out);
        return;
    case IR_EV_OPAQUE:
        opaque(s, ev, out);
        return;
    default:
        part_end(r, out);
    }
}

static void write_one(struct stream_writer *s, const struct ir_event *ev, struct buf *out)
{
    struct responses_writer *r = s->state;
    switch (ev->kind) {
    case IR_EV_START:
        start(s, ev, out);
        return;
    case IR_EV_FINISH:
        r->finish = ev->finish;
        return;
    case IR_EV_USAGE:
        note_usage(r, ev);
        return;
    case IR_EV_ERROR:
        fail(s, ev->error, out);
        return;
    case IR_EV_PING:
        buf_puts(out, ": ping\n\n"); /* a comment: any other event would be refused */
        return;
    case IR_EV_DONE:
        start(s, NULL, out);
        complete(s, out);
        return;
    default:
        start(s, NULL, out);
        write_content(s, ev, out);
    }
}

void responses_write_event(struct stream_writer *s, const struct ir_event *ev, struct buf *out)
{
    static const struct dialect_error large = {.status = 502, .code = {"answer_too_large", 16},
        .message = {"the answer is too large to be translated", 40}};
    struct responses_writer *r = s->state;
    struct buf *all[] = BUFS(r);
    if (r->over || ev->choice > 0) /* one answer: this API knows no others */
        return;
    for (size_t i = 0; !r->ready && i < ARRAY_LEN(all); i++)
        buf_init(all[i], i < 3 ? STREAM_WHOLE_MAX : 1 << 20);
    r->ready = true;
    write_one(s, ev, out);
    for (size_t i = 0; !r->over && i < ARRAY_LEN(all); i++)
        if (all[i]->err)
            fail(s, &large, out);
}

void responses_writer_fini(struct stream_writer *s)
{
    struct responses_writer *r = s->state;
    struct buf *all[] = BUFS(r);
    for (size_t i = 0; r->ready && i < ARRAY_LEN(all); i++)
        buf_fini(all[i]);
    r->ready = false;
}

const struct spoke spoke_responses = {
    .wire = WIRE_RESPONSES,
    .read_request = responses_read_request,
    .write_request = responses_write_request,
    .read_answer = responses_read_answer,
    .write_answer = responses_write_answer,
    .reader_size = sizeof(struct responses_reader),
    .writer_size = sizeof(struct responses_writer),
    .read_event = responses_read_event,
    .read_end = responses_read_end,
    .reader_fini = responses_reader_fini,
    .write_event = responses_write_event,
    .writer_fini = responses_writer_fini,
};
