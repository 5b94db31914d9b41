/* responses_stream_write.c: events → the events of a Responses stream, in the one order that OpenAI's
 * clients accept: created, in_progress, then item after item (added, its parts and deltas, done),
 * then completed or incomplete with the whole response. Sequence numbers have no gap.
 *
 * The last event repeats the answer, so its items are kept (STREAM_WHOLE_MAX). Texts in a row are
 * parts of one message; the message is closed when something else comes. */
#include "proxy/dialect/media.h"
#include "proxy/dialect/responses.h"

#define BUFS(r) \
    {&(r)->items, &(r)->parts, &(r)->text, &(r)->annotations, &(r)->logprobs, &(r)->signature, \
        &(r)->id, &(r)->model, &(r)->created, &(r)->tier, &(r)->call_id, &(r)->name, &(r)->scan.odd}

/* --- the response -------------------------------------------------------------------------- */

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
    struct json_writer w = responses_event(s->state, out, type);
    responses_put_frame(&w, "response", f, s->client);
    responses_event_end(&w);
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

/* --- parts ---------------------------------------------------------------------------------- */

static void close_item(struct responses_writer *r, struct buf *out)
{
    switch (r->open) {
    case RESPONSES_NONE:
        return;
    case RESPONSES_MESSAGE:
        responses_part_done(r, out);
        break;
    case RESPONSES_REASONING:
        responses_summary_done(r, out);
        break;
    case RESPONSES_CALL:
        responses_call_done(r, out);
        break;
    }
    responses_item_done(r, out);
}

static void need(struct responses_writer *r, enum responses_open open, struct buf *out)
{
    if (r->open == open)
        return;
    close_item(r, out);
    responses_item_added(r, open, out);
}

static void proof_only(struct responses_writer *r, const struct ir_event *ev, struct buf *out)
{
    close_item(r, out);
    r->origin = ev->origin;
    r->kind = IR_REDACTED;
    responses_item_added(r, RESPONSES_REASONING, out);
    buf_reset(&r->signature);
    buf_put_str(&r->signature, ev->signature);
    responses_item_done(r, out);
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
    r->tool = ir_tool_named(s->client->request, ev->name);
    r->custom = r->tool && r->tool->custom;
    if (r->custom)
        custom_begin(&r->scan);
    responses_item_added(r, RESPONSES_CALL, out);
}

static void signature(struct responses_writer *r, const struct ir_event *ev, struct buf *out)
{
    if (r->open == RESPONSES_MESSAGE || r->open == RESPONSES_CALL)
        return; /* Gemini's on a text: nobody asks for it again */
    if (r->open == RESPONSES_NONE) {
        r->kind = IR_REASONING;
        responses_item_added(r, RESPONSES_REASONING, out);
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
        struct json_writer w = responses_event(r, out, events[i]);
        json_put_int(&w, "output_index", r->index);
        json_put_raw(&w, "item", ev->raw);
        responses_event_end(&w);
    }
    if (r->items.n)
        buf_putc(&r->items, ',');
    buf_put_str(&r->items, ev->raw);
    r->index++;
}

static void image(struct stream_writer *s, const struct ir_event *ev, struct buf *out)
{
    struct responses_writer *r = s->state;
    struct ir_part p = {.kind = IR_MEDIA, .origin = ev->origin, .raw = ev->raw, .media = *ev->media};
    struct ir_event whole = {.origin = WIRE_RESPONSES};
    struct buf item;
    if (!responses_says_image(&p)) { /* the open item goes on, under its own id */
        media_dropped(s->notes, ev->media);
        return;
    }
    close_item(r, out);
    buf_init(&item, STREAM_WHOLE_MAX);
    struct json_writer w = json_writer(&item);
    if (responses_put_image(&w, NULL, &p, responses_image_id(r), s->notes)) {
        whole.raw = buf_str(&item);
        opaque(s, &whole, out);
    }
    if (item.err)
        r->items.err = item.err;
    buf_fini(&item);
}

/* A message stays open for the next text; everything else is over. */
static void part_end(struct responses_writer *r, struct buf *out)
{
    if (r->open == RESPONSES_MESSAGE)
        responses_part_done(r, out);
    else
        close_item(r, out);
}

/* --- the end -------------------------------------------------------------------------------- */

static void complete(struct stream_writer *s, struct buf *out)
{
    static const struct {
        const char *status, *event, *reason;
    } ends[] = {
        [IR_FINISH_UNSAID] = {"completed", "response.completed", NULL},
        [IR_FINISH_STOP] = {"completed", "response.completed", NULL},
        [IR_FINISH_TOOLS] = {"completed", "response.completed", NULL},
        [IR_FINISH_LENGTH] = {"incomplete", "response.incomplete", "max_output_tokens"},
        [IR_FINISH_FILTER] = {"incomplete", "response.incomplete", "content_filter"},
        [IR_FINISH_ERROR] = {"failed", "response.failed", NULL},
    };
    struct responses_writer *r = s->state;
    close_item(r, out);
    struct responses_frame f = frame_of(r, ends[r->finish].status);
    f.usage = r->said_usage ? &r->usage : NULL;
    f.reason = ends[r->finish].reason;
    put_frame(s, out, ends[r->finish].event, &f);
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
        responses_need_part(r, ev->kind == IR_EV_TEXT ? IR_TEXT : IR_REFUSAL, out);
        responses_text_delta(r, ev, out);
        return;
    case IR_EV_CITATION:
        if (r->open == RESPONSES_MESSAGE && r->in_part && r->kind == IR_TEXT)
            responses_annotation(r, ev, out);
        return;
    case IR_EV_REASONING:
        if (r->open != RESPONSES_REASONING) {
            close_item(r, out);
            r->kind = IR_REASONING;
            r->origin = ev->origin;
            responses_item_added(r, RESPONSES_REASONING, out);
        }
        if (ev->text.n)
            responses_summary_delta(r, ev, out);
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
            responses_call_delta(r, ev, out);
        return;
    case IR_EV_OPAQUE:
        opaque(s, ev, out);
        return;
    case IR_EV_MEDIA:
        image(s, ev, out);
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
