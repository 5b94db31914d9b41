/* responses_stream_items.c: the events within one item of a Responses stream: it is added, its parts
 * come in deltas, and it is done, which repeats all of it. What is done is kept for the last event
 * (responses_stream_write.c). */
#include "proxy/dialect/places.h"
#include "proxy/dialect/responses.h"

#include <stdio.h>

/* --- one event ------------------------------------------------------------------------------ */

struct json_writer responses_event(struct responses_writer *r, struct buf *out, const char *type)
{
    buf_puts(out, "event: ");
    buf_puts(out, type);
    buf_puts(out, "\ndata: ");
    struct json_writer w = json_writer(out);
    json_object_begin(&w, NULL);
    json_put_c(&w, "type", type);
    json_put_int(&w, "sequence_number", r->sequence++);
    return w;
}

void responses_event_end(struct json_writer *w)
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

/* Sixteen digits that are the same for the same answer, and its place. */
static void make_id(struct responses_writer *r, const char *prefix)
{
    snprintf(r->item_id, sizeof r->item_id, "%s%016llx%04x", prefix,
        (unsigned long long)str_hash(buf_str(&r->id)), r->index & 0xffff);
}

/* An event within the open item. */
static struct json_writer begin_inside(struct responses_writer *r, struct buf *out,
    const char *type)
{
    struct json_writer w = responses_event(r, out, type);
    json_put_c(&w, "item_id", r->item_id);
    json_put_int(&w, "output_index", r->index);
    return w;
}

struct str responses_image_id(struct responses_writer *r)
{
    make_id(r, "ig_");
    return str_c(r->item_id);
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

static void put_call_item(struct responses_writer *r, struct json_writer *w, bool done)
{
    json_put_c(w, "type", r->custom ? "custom_tool_call" : "function_call");
    json_put_c(w, "status", done ? "completed" : "in_progress");
    ir_put_text(w, "call_id", buf_str(&r->call_id));
    responses_put_name(w, r->tool, buf_str(&r->name));
    ir_put_text(w, r->custom ? "input" : "arguments", done && r->text.n ? buf_str(&r->text) : STR(""));
}

static void put_item(struct responses_writer *r, struct json_writer *w, const char *key, bool done)
{
    json_object_begin(w, key);
    json_put_c(w, "id", r->item_id);
    if (r->open == RESPONSES_MESSAGE)
        put_message_item(r, w, done);
    else if (r->open == RESPONSES_REASONING)
        put_reasoning_item(r, w, done);
    else
        put_call_item(r, w, done);
    json_object_end(w);
}

void responses_item_added(struct responses_writer *r, enum responses_open open, struct buf *out)
{
    r->open = open;
    make_id(r, prefix_of(r));
    r->content = r->annotation_count = 0;
    buf_reset(&r->parts);
    buf_reset(&r->text);
    struct json_writer w = responses_event(r, out, "response.output_item.added");
    json_put_int(&w, "output_index", r->index);
    put_item(r, &w, "item", false);
    responses_event_end(&w);
}

/* Kept for the last event, and said. */
void responses_item_done(struct responses_writer *r, struct buf *out)
{
    struct json_writer keep = json_writer(&r->items);
    if (r->items.n)
        buf_putc(&r->items, ',');
    put_item(r, &keep, NULL, true);
    struct json_writer w = responses_event(r, out, "response.output_item.done");
    json_put_int(&w, "output_index", r->index);
    put_item(r, &w, "item", true);
    responses_event_end(&w);
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

void responses_part_done(struct responses_writer *r, struct buf *out)
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
    responses_event_end(&w);
    w = begin_inside(r, out, "response.content_part.done");
    json_put_int(&w, "content_index", r->content);
    put_part(r, &w, "part", true);
    responses_event_end(&w);
    struct json_writer keep = json_writer(&r->parts);
    if (r->parts.n)
        buf_putc(&r->parts, ',');
    put_part(r, &keep, NULL, true);
    if (!refusal)
        r->chars += places_count(buf_str(&r->text));
    r->in_part = false;
    r->content++;
}

void responses_need_part(struct responses_writer *r, enum ir_part_kind kind, struct buf *out)
{
    if (r->in_part && r->kind == kind)
        return;
    responses_part_done(r, out);
    r->kind = kind;
    r->in_part = true;
    r->annotation_count = 0;
    buf_reset(&r->text);
    buf_reset(&r->annotations);
    buf_reset(&r->logprobs);
    struct json_writer w = begin_inside(r, out, "response.content_part.added");
    json_put_int(&w, "content_index", r->content);
    put_part(r, &w, "part", false);
    responses_event_end(&w);
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

void responses_text_delta(struct responses_writer *r, const struct ir_event *ev, struct buf *out)
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
    responses_event_end(&w);
}

void responses_annotation(struct responses_writer *r, const struct ir_event *ev, struct buf *out)
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
    responses_event_end(&w);
}

/* --- reasoning ------------------------------------------------------------------------------ */

static void summary_begin(struct responses_writer *r, struct buf *out)
{
    struct json_writer w = begin_inside(r, out, "response.reasoning_summary_part.added");
    json_put_int(&w, "summary_index", 0);
    json_put_raw(&w, "part", STR("{\"type\":\"summary_text\",\"text\":\"\"}"));
    responses_event_end(&w);
    r->in_part = true;
}

void responses_summary_delta(struct responses_writer *r, const struct ir_event *ev, struct buf *out)
{
    if (!r->in_part)
        summary_begin(r, out);
    buf_put_str(&r->text, ev->text);
    struct json_writer w = begin_inside(r, out, "response.reasoning_summary_text.delta");
    json_put_int(&w, "summary_index", 0);
    ir_put_text(&w, "delta", ev->text);
    responses_event_end(&w);
}

void responses_summary_done(struct responses_writer *r, struct buf *out)
{
    if (!r->in_part)
        return;
    struct json_writer w = begin_inside(r, out, "response.reasoning_summary_text.done");
    json_put_int(&w, "summary_index", 0);
    ir_put_text(&w, "text", buf_str(&r->text));
    responses_event_end(&w);
    w = begin_inside(r, out, "response.reasoning_summary_part.done");
    json_put_int(&w, "summary_index", 0);
    json_object_begin(&w, "part");
    json_put_c(&w, "type", "summary_text");
    ir_put_text(&w, "text", buf_str(&r->text));
    json_object_end(&w);
    responses_event_end(&w);
    r->in_part = false;
}

/* --- calls ---------------------------------------------------------------------------------- */

/* What came to the text of the call from `at` on. */
static void call_delta(struct responses_writer *r, size_t at, struct buf *out)
{
    if (at == r->text.n)
        return;
    struct json_writer w = begin_inside(r, out, r->custom ? "response.custom_tool_call_input.delta"
                                                          : "response.function_call_arguments.delta");
    ir_put_text(&w, "delta", str_from(buf_str(&r->text), at));
    responses_event_end(&w);
}

void responses_call_delta(struct responses_writer *r, const struct ir_event *ev, struct buf *out)
{
    size_t at = r->text.n;
    if (r->custom)
        custom_feed(&r->scan, ev->text, &r->text);
    else
        buf_put_str(&r->text, ev->text);
    call_delta(r, at, out);
}

void responses_call_done(struct responses_writer *r, struct buf *out)
{
    struct json_writer w;
    size_t at = r->text.n;
    if (r->custom) {
        custom_end(&r->scan, &r->text);
        call_delta(r, at, out);
        w = begin_inside(r, out, "response.custom_tool_call_input.done");
        ir_put_text(&w, "input", r->text.n ? buf_str(&r->text) : STR(""));
    } else {
        if (!r->text.n)
            buf_puts(&r->text, "{}");
        w = begin_inside(r, out, "response.function_call_arguments.done");
        ir_put_text(&w, "name", r->tool && r->tool->inner.p ? r->tool->inner : buf_str(&r->name));
        ir_put_text(&w, "arguments", buf_str(&r->text));
    }
    responses_event_end(&w);
}
