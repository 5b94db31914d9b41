/* openai_chat_stream_write.c: events → chunks of a chat completion, in the order in which OpenAI
 * sends them: a chunk with the role, deltas, one with finish_reason, the usage (where it was asked
 * for) with no choices, [DONE]. */
#include "proxy/dialect/media.h"
#include "proxy/dialect/openai_chat.h"

static void make_head(struct stream_writer *s, const struct ir_event *ev)
{
    struct chat_writer *c = s->state;
    buf_init(&c->head, 8192);
    buf_init(&c->tier, 1024);
    buf_init(&c->input, STREAM_WHOLE_MAX);
    for (size_t i = 0; i < CHAT_CHOICES; i++)
        buf_init(&c->thought[i], STREAM_HOLD_MAX);
    buf_puts(&c->head, "data: {\"id\":");
    if (ev->id.n)
        buf_printf(&c->head, "\"" STR_FMT "\"", STR_ARG(ev->id));
    else
        json_quote(&c->head, s->client->fallback_id);
    buf_puts(&c->head, ",\"object\":\"chat.completion.chunk\",\"created\":");
    if (ev->created.p)
        buf_put_str(&c->head, ev->created);
    else
        buf_printf(&c->head, "%lld", (long long)s->client->now_s);
    buf_puts(&c->head, ",\"model\":");
    if (ev->model.n)
        buf_printf(&c->head, "\"" STR_FMT "\"", STR_ARG(ev->model));
    else
        json_quote(&c->head, s->client->model);
    buf_puts(&c->head, ",\"choices\":[");
}

static struct json_writer begin(struct stream_writer *s, unsigned choice, struct buf *out)
{
    struct chat_writer *c = s->state;
    buf_put_str(out, buf_str(&c->head));
    buf_puts(out, "{\"index\":");
    buf_put_i64(out, choice);
    buf_puts(out, ",\"delta\":");
    struct json_writer w = json_writer(out);
    json_object_begin(&w, NULL);
    return w;
}

static void end(struct stream_writer *s, struct json_writer *w, const char *finish,
    struct str logprobs)
{
    struct buf *out = w->out;
    json_object_end(w);
    if (logprobs.p) {
        buf_puts(out, ",\"logprobs\":{\"content\":");
        buf_put_str(out, logprobs);
        buf_puts(out, ",\"refusal\":null}");
    } else {
        buf_puts(out, ",\"logprobs\":null");
    }
    buf_puts(out, finish ? ",\"finish_reason\":\"" : ",\"finish_reason\":null}]");
    if (finish) {
        buf_puts(out, finish);
        buf_puts(out, "\"}]");
    }
    buf_puts(out, s->client->include_usage ? ",\"usage\":null}\n\n" : "}\n\n");
}

static void role(struct stream_writer *s, unsigned choice, struct buf *out)
{
    struct chat_writer *c = s->state;
    if (c->begun & 1u << choice)
        return;
    c->begun |= 1u << choice;
    struct json_writer w = begin(s, choice, out);
    json_put_raw(&w, "role", STR("\"assistant\",\"content\":\"\",\"refusal\":null"));
    end(s, &w, NULL, STR_NULL);
}

static void delta_text(struct stream_writer *s, const struct ir_event *ev, const char *key,
    struct buf *out)
{
    struct json_writer w = begin(s, ev->choice, out);
    ir_put_text(&w, key, ev->text);
    end(s, &w, NULL, ev->logprobs);
}

static void delta_proof(struct stream_writer *s, const struct ir_event *ev, struct buf *out)
{
    struct chat_writer *c = s->state;
    bool hidden = ev->kind == IR_EV_REDACTED;
    if (!hidden && c->thought[ev->choice].err)
        return; /* longer than is kept: a proof without its text is refused by its maker */
    struct json_writer w = begin(s, ev->choice, out);
    json_array_begin(&w, "reasoning_details");
    chat_put_reasoning_detail(&w, hidden ? IR_REDACTED : IR_REASONING,
        hidden ? STR_NULL : buf_str(&c->thought[ev->choice]), ev->signature, ev->origin,
        c->thoughts[ev->choice]++);
    json_array_end(&w);
    end(s, &w, NULL, STR_NULL);
}

static void delta_custom(struct stream_writer *s, const struct ir_event *ev, struct buf *out)
{
    static const struct dialect_error large = {.status = 502, .code = {"answer_too_large", 16},
        .message = {"the input of a custom tool is too large to be translated", 56}};
    struct chat_writer *c = s->state;
    bool first = ev->kind == IR_EV_CALL_START;
    struct custom_scan *scan = &c->scan[ev->choice];
    buf_reset(&c->input);
    if (first)
        custom_begin(scan);
    custom_feed(scan, ev->text, &c->input);
    if (ev->kind == IR_EV_PART_END)
        custom_end(scan, &c->input);
    if (scan->odd.err || c->input.err) {
        dialect_write_stream_error(WIRE_CHAT, &large, out);
        c->failed = true;
    }
    if (c->failed || (!first && !c->input.n))
        return;
    struct json_writer w = begin(s, ev->choice, out);
    json_array_begin(&w, "tool_calls");
    json_object_begin(&w, NULL);
    json_put_int(&w, "index", first ? c->calls[ev->choice]++ : c->calls[ev->choice] - 1);
    if (first) {
        ir_put_text(&w, "id", ev->id);
        json_put_c(&w, "type", "custom");
    }
    json_object_begin(&w, "custom");
    if (first)
        ir_put_text(&w, "name", ev->name);
    ir_put_text(&w, "input", c->input.n ? buf_str(&c->input) : STR(""));
    json_object_end(&w);
    json_object_end(&w);
    json_array_end(&w);
    end(s, &w, NULL, STR_NULL);
}

static void delta_call(struct stream_writer *s, const struct ir_event *ev, struct buf *out)
{
    struct chat_writer *c = s->state;
    struct json_writer w = begin(s, ev->choice, out);
    json_array_begin(&w, "tool_calls");
    json_object_begin(&w, NULL);
    if (ev->kind == IR_EV_CALL_START) {
        json_put_int(&w, "index", c->calls[ev->choice]++);
        ir_put_text(&w, "id", ev->id);
        json_put_c(&w, "type", "function");
    } else {
        json_put_int(&w, "index", c->calls[ev->choice] ? c->calls[ev->choice] - 1 : 0);
    }
    json_object_begin(&w, "function");
    if (ev->kind == IR_EV_CALL_START)
        ir_put_text(&w, "name", ev->name);
    ir_put_text(&w, "arguments", ev->text.p ? ev->text : STR(""));
    json_object_end(&w);
    if (ev->signature.p) {
        json_put_raw(&w, "extra_content", STR("{\"google\":{\"thought_signature\":\""));
        buf_put_str(out, ev->signature);
        buf_puts(out, "\"}}");
    }
    json_object_end(&w);
    json_array_end(&w);
    end(s, &w, NULL, STR_NULL);
}

static void delta_citation(struct stream_writer *s, const struct ir_event *ev, struct buf *out)
{
    if (!ev->citation->url.p) {
        ir_dropped_citation(s->notes, ev->citation);
        return;
    }
    struct json_writer w = begin(s, ev->choice, out);
    json_array_begin(&w, "annotations");
    chat_put_citation(&w, ev->citation);
    json_array_end(&w);
    end(s, &w, NULL, STR_NULL);
}

static void delta_media(struct stream_writer *s, const struct ir_event *ev, struct buf *out)
{
    struct chat_writer *c = s->state;
    const struct ir_media *m = ev->media;
    bool image = m->kind == IR_IMAGE && (m->data.p || m->url.p);
    if (!image && (m->kind != IR_AUDIO || !m->data.p)) {
        media_dropped(s->notes, m);
        return;
    }
    struct json_writer w = begin(s, ev->choice, out);
    if (image) {
        json_array_begin(&w, "images");
        chat_put_image(&w, m, c->images[ev->choice]++);
        json_array_end(&w);
    } else {
        json_object_begin(&w, "audio");
        if (m->file_id.p)
            ir_put_text(&w, "id", m->file_id);
        else
            json_put_str(&w, "id", s->client->fallback_id);
        ir_put_text(&w, "data", m->data);
        json_object_end(&w);
    }
    end(s, &w, NULL, STR_NULL);
}

static void done(struct stream_writer *s, struct buf *out)
{
    struct chat_writer *c = s->state;
    if (s->client->include_usage) {
        buf_put_str(out, buf_str(&c->head));
        buf_puts(out, "],");
        struct json_writer w = json_writer(out);
        chat_put_usage(&w, "usage", &c->usage);
        if (c->tier.n) {
            buf_puts(out, ",\"service_tier\":\"");
            buf_put_str(out, buf_str(&c->tier));
            buf_putc(out, '"');
        }
        buf_puts(out, "}\n\n");
    }
    buf_puts(out, "data: [DONE]\n\n");
}

static void call(struct stream_writer *s, const struct ir_event *ev, struct buf *out)
{
    struct chat_writer *c = s->state;
    uint32_t bit = 1u << ev->choice;
    bool start = ev->kind == IR_EV_CALL_START;
    if (start && custom_is_named(s->client->request, ev->name))
        c->custom |= bit;
    if (c->custom & bit) {
        delta_custom(s, ev, out);
        return;
    }
    delta_call(s, ev, out);
    if (ev->text.n)
        c->bare &= ~bit;
    else if (start)
        c->bare |= bit;
}

static void part_end(struct stream_writer *s, const struct ir_event *ev, struct buf *out)
{
    struct chat_writer *c = s->state;
    uint32_t bit = 1u << ev->choice;
    if (c->bare & bit) { /* clients parse what came, and "" is no JSON */
        struct ir_event none = {.kind = IR_EV_CALL_ARGS, .choice = ev->choice, .text = STR("{}")};
        delta_call(s, &none, out);
    }
    if (c->custom & bit)
        delta_custom(s, ev, out);
    c->custom &= ~bit;
    c->bare &= ~bit;
    buf_reset(&c->thought[ev->choice]);
}

void chat_write_event(struct stream_writer *s, const struct ir_event *ev, struct buf *out)
{
    struct chat_writer *c = s->state;
    if (ev->choice >= CHAT_CHOICES || c->failed)
        return;
    if (!c->head.n && ev->kind != IR_EV_ERROR && ev->kind != IR_EV_PING)
        make_head(s, ev);
    if (ev->kind < IR_EV_USAGE)
        role(s, ev->choice, out);
    switch (ev->kind) {
    case IR_EV_TEXT:
        delta_text(s, ev, "content", out);
        break;
    case IR_EV_REASONING:
        buf_put_str(&c->thought[ev->choice], ev->text);
        delta_text(s, ev, "reasoning_content", out);
        break;
    case IR_EV_REFUSAL:
        delta_text(s, ev, "refusal", out);
        break;
    case IR_EV_SIGNATURE:
    case IR_EV_REDACTED:
        delta_proof(s, ev, out);
        break;
    case IR_EV_CALL_START:
    case IR_EV_CALL_ARGS:
        call(s, ev, out);
        break;
    case IR_EV_CITATION:
        delta_citation(s, ev, out);
        break;
    case IR_EV_MEDIA:
        delta_media(s, ev, out);
        break;
    case IR_EV_FINISH: {
        struct json_writer w = begin(s, ev->choice, out);
        end(s, &w, chat_finish_name(ev->finish), STR_NULL);
        break;
    }
    case IR_EV_USAGE:
        c->usage = *ev->usage;
        if (ev->service_tier.n) {
            buf_reset(&c->tier);
            buf_put_str(&c->tier, ev->service_tier);
        }
        break;
    case IR_EV_ERROR:
        dialect_write_stream_error(WIRE_CHAT, ev->error, out);
        break;
    case IR_EV_PING:
        buf_puts(out, ": ping\n\n");
        break;
    case IR_EV_DONE:
        done(s, out);
        break;
    case IR_EV_PART_END:
        part_end(s, ev, out);
        break;
    case IR_EV_START:
        break;
    case IR_EV_OPAQUE:
        ir_dropped_opaque(s->notes, ev->raw);
        break;
    }
}

void chat_writer_fini(struct stream_writer *s)
{
    struct chat_writer *c = s->state;
    buf_fini(&c->head);
    buf_fini(&c->tier);
    buf_fini(&c->input);
    for (size_t i = 0; i < CHAT_CHOICES; i++) {
        buf_fini(&c->thought[i]);
        custom_fini(&c->scan[i]);
    }
}
