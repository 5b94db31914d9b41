/* anthropic_stream_write.c: events → a Messages stream, in the order that Anthropic's SDKs rely on:
 * message_start, then blocks one after the other (start, deltas, stop; index from 0, no gap), then
 * one message_delta with stop_reason and the whole usage, then message_stop. */
#include "proxy/dialect/anthropic.h"
#include "proxy/dialect/media.h"
#include "proxy/dialect/seal.h"

static struct json_writer begin(struct buf *out, const char *type)
{
    buf_puts(out, "event: ");
    buf_puts(out, type);
    buf_puts(out, "\ndata: ");
    struct json_writer w = json_writer(out);
    json_object_begin(&w, NULL);
    json_put_c(&w, "type", type);
    return w;
}

static void end(struct json_writer *w)
{
    json_object_end(w);
    buf_puts(w->out, "\n\n");
}

static void message_start(struct stream_writer *s, const struct ir_event *ev, struct buf *out)
{
    struct messages_writer *m = s->state;
    struct usage none = {0};
    if (m->started)
        return;
    m->started = true;
    buf_init(&m->stop_sequence, 4096);
    buf_init(&m->tier, 1024);
    struct json_writer w = begin(out, "message_start");
    json_object_begin(&w, "message");
    if (ev->kind == IR_EV_START && ev->id.n)
        ir_put_text(&w, "id", ev->id);
    else
        json_put_str(&w, "id", s->client->fallback_id);
    json_put_c(&w, "type", "message");
    json_put_c(&w, "role", "assistant");
    if (ev->kind == IR_EV_START && ev->model.n)
        ir_put_text(&w, "model", ev->model);
    else
        json_put_str(&w, "model", s->client->model);
    json_put_raw(&w, "content", STR("[]"));
    json_put_null(&w, "stop_reason");
    json_put_null(&w, "stop_sequence");
    messages_put_usage(&w, "usage", &none, STR_NULL);
    json_object_end(&w);
    end(&w);
}

/* --- blocks ----------------------------------------------------------------------------------- */

static struct json_writer begin_delta(struct messages_writer *m, struct buf *out, const char *type)
{
    struct json_writer w = begin(out, "content_block_delta");
    json_put_int(&w, "index", m->index);
    json_object_begin(&w, "delta");
    json_put_c(&w, "type", type);
    return w;
}

static void end_delta(struct json_writer *w)
{
    json_object_end(w);
    end(w);
}

static void put_proof(struct json_writer *w, const char *key, const struct ir_event *ev)
{
    if (ev->origin == WIRE_MESSAGES)
        ir_put_text(w, key, ev->signature.p ? ev->signature : STR(""));
    else
        ir_put_sealed(w, key, ev->origin, ev->signature);
}

static void delta_proof(struct messages_writer *m, const struct ir_event *ev, struct buf *out)
{
    struct json_writer w = begin_delta(m, out, "signature_delta");
    put_proof(&w, "signature", ev);
    end_delta(&w);
    m->proved = true;
}

static void close_block(struct messages_writer *m, const struct ir_event *ev, struct buf *out)
{
    if (m->open == MESSAGES_OPEN_NONE)
        return;
    if (m->open == MESSAGES_OPEN_THINKING && !m->proved && ev->origin != WIRE_MESSAGES) {
        /* sealed although empty: it must be known as another maker's when it comes back */
        struct ir_event none = {.origin = ev->origin};
        delta_proof(m, &none, out);
    }
    struct json_writer w = begin(out, "content_block_stop");
    json_put_int(&w, "index", m->index);
    end(&w);
    m->open = MESSAGES_OPEN_NONE;
    m->index++;
}

static struct json_writer open_block(struct messages_writer *m, const struct ir_event *ev,
    enum messages_open kind, const char *type, struct buf *out)
{
    close_block(m, ev, out);
    m->open = kind;
    m->proved = false;
    struct json_writer w = begin(out, "content_block_start");
    json_put_int(&w, "index", m->index);
    json_object_begin(&w, "content_block");
    json_put_c(&w, "type", type);
    return w;
}

static void need_text(struct messages_writer *m, const struct ir_event *ev, struct buf *out)
{
    if (m->open == MESSAGES_OPEN_TEXT)
        return;
    struct json_writer w = open_block(m, ev, MESSAGES_OPEN_TEXT, "text", out);
    json_put_c(&w, "text", "");
    end_delta(&w);
}

static void need_thinking(struct messages_writer *m, const struct ir_event *ev, struct buf *out)
{
    if (m->open == MESSAGES_OPEN_THINKING)
        return;
    struct json_writer w = open_block(m, ev, MESSAGES_OPEN_THINKING, "thinking", out);
    json_put_c(&w, "thinking", "");
    json_put_c(&w, "signature", "");
    end_delta(&w);
}

static void delta(struct messages_writer *m, const char *type, const char *key, struct str text,
    struct buf *out)
{
    struct json_writer w = begin_delta(m, out, type);
    ir_put_text(&w, key, text);
    end_delta(&w);
}

static void redacted(struct messages_writer *m, const struct ir_event *ev, struct buf *out)
{
    struct json_writer w = open_block(m, ev, MESSAGES_OPEN_OTHER, "redacted_thinking", out);
    put_proof(&w, "data", ev);
    end_delta(&w);
    close_block(m, ev, out);
}

static void call_start(struct messages_writer *m, const struct ir_event *ev, struct buf *out)
{
    if (ev->signature.p)
        redacted(m, ev, out);
    struct json_writer w = open_block(m, ev, MESSAGES_OPEN_CALL, "tool_use", out);
    messages_put_id(&w, "id", ev->id);
    ir_put_text(&w, "name", ev->name);
    json_put_raw(&w, "input", STR("{}"));
    end_delta(&w);
    if (ev->text.n)
        delta(m, "input_json_delta", "partial_json", ev->text, out);
}

static void citation(struct messages_writer *m, const struct ir_event *ev, struct buf *out)
{
    need_text(m, ev, out);
    struct json_writer w = begin_delta(m, out, "citations_delta");
    messages_put_citation(&w, "citation", ev->citation, ev->origin);
    end_delta(&w);
}

static void opaque(struct stream_writer *s, const struct ir_event *ev, struct buf *out)
{
    struct messages_writer *m = s->state;
    if (ev->origin != WIRE_MESSAGES) {
        ir_dropped_opaque(s->notes, ev->raw);
        return;
    }
    close_block(m, ev, out);
    struct json_writer w = begin(out, "content_block_start");
    json_put_int(&w, "index", m->index);
    json_put_raw(&w, "content_block", ev->raw);
    end(&w);
    m->open = MESSAGES_OPEN_OTHER;
    close_block(m, ev, out);
}

/* --- the end ---------------------------------------------------------------------------------- */

static void done(struct messages_writer *m, const struct ir_event *ev, struct buf *out)
{
    close_block(m, ev, out);
    struct str met = m->stop_sequence.n ? str_n(m->stop_sequence.p + 1, m->stop_sequence.n - 2)
                                        : STR_NULL;
    struct json_writer w = begin(out, "message_delta");
    json_object_begin(&w, "delta");
    json_put_c(&w, "stop_reason", messages_finish_name(m->finish, met));
    if (met.p)
        ir_put_text(&w, "stop_sequence", met);
    else
        json_put_null(&w, "stop_sequence");
    json_object_end(&w);
    messages_put_usage(&w, "usage", &m->usage, buf_str(&m->tier));
    end(&w);
    w = begin(out, "message_stop");
    end(&w);
}

static void finish(struct messages_writer *m, const struct ir_event *ev)
{
    m->finish = ev->finish;
    if (ev->stop_sequence.p)
        buf_printf(&m->stop_sequence, "\"" STR_FMT "\"", STR_ARG(ev->stop_sequence));
}

void messages_write_event(struct stream_writer *s, const struct ir_event *ev, struct buf *out)
{
    struct messages_writer *m = s->state;
    if (ev->choice > 0)
        return; /* this dialect has one answer */
    if (ev->kind != IR_EV_ERROR && ev->kind != IR_EV_PING)
        message_start(s, ev, out);
    switch (ev->kind) {
    case IR_EV_START:
        break;
    case IR_EV_TEXT:
    case IR_EV_REFUSAL:
        need_text(m, ev, out);
        delta(m, "text_delta", "text", ev->text, out);
        break;
    case IR_EV_REASONING:
        need_thinking(m, ev, out);
        delta(m, "thinking_delta", "thinking", ev->text, out);
        break;
    case IR_EV_SIGNATURE:
        if (m->open != MESSAGES_OPEN_TEXT) {
            need_thinking(m, ev, out);
            delta_proof(m, ev, out);
        }
        break;
    case IR_EV_REDACTED:
        redacted(m, ev, out);
        break;
    case IR_EV_CALL_START:
        call_start(m, ev, out);
        break;
    case IR_EV_CALL_ARGS:
        if (m->open == MESSAGES_OPEN_CALL)
            delta(m, "input_json_delta", "partial_json", ev->text, out);
        break;
    case IR_EV_CITATION:
        citation(m, ev, out);
        break;
    case IR_EV_OPAQUE:
        opaque(s, ev, out);
        break;
    case IR_EV_MEDIA:
        media_dropped(s->notes, ev->media);
        break;
    case IR_EV_PART_END:
        close_block(m, ev, out);
        break;
    case IR_EV_FINISH:
        finish(m, ev);
        break;
    case IR_EV_USAGE:
        m->usage = *ev->usage;
        if (ev->service_tier.n) {
            buf_reset(&m->tier);
            buf_put_str(&m->tier, ev->service_tier);
        }
        break;
    case IR_EV_ERROR:
        dialect_write_stream_error(WIRE_MESSAGES, ev->error, out);
        break;
    case IR_EV_PING:
        if (m->started)
            buf_puts(out, "event: ping\ndata: {\"type\":\"ping\"}\n\n");
        break;
    case IR_EV_DONE:
        done(m, ev, out);
        break;
    }
}

void messages_writer_fini(struct stream_writer *s)
{
    struct messages_writer *m = s->state;
    buf_fini(&m->stop_sequence);
    buf_fini(&m->tier);
}
