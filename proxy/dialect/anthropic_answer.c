/* anthropic_answer.c: a whole Messages answer, read and written. */
#include "proxy/dialect/anthropic.h"
#include "proxy/dialect/media.h"
#include "proxy/dialect/seal.h"

static const struct {
    const char *name;
    enum ir_finish finish;
} finishes[] = {
    {"end_turn", IR_FINISH_STOP}, {"stop_sequence", IR_FINISH_STOP}, {"pause_turn", IR_FINISH_STOP},
    {"max_tokens", IR_FINISH_LENGTH}, {"model_context_window_exceeded", IR_FINISH_LENGTH},
    {"tool_use", IR_FINISH_TOOLS}, {"refusal", IR_FINISH_FILTER},
};

enum ir_finish messages_finish_from(struct str text)
{
    for (size_t i = 0; i < ARRAY_LEN(finishes); i++)
        if (ir_is(text, finishes[i].name))
            return finishes[i].finish;
    return IR_FINISH_STOP;
}

const char *messages_finish_name(enum ir_finish f, struct str stop_sequence)
{
    static const char *const names[] = {"end_turn", "end_turn", "max_tokens", "tool_use",
        "refusal", "end_turn"};
    return f == IR_FINISH_STOP && stop_sequence.p ? "stop_sequence" : names[f];
}

/* --- reading ---------------------------------------------------------------------------------- */

int messages_read_answer(struct str body, const struct spoke_quirks *q, struct arena *a,
    struct ir_answer *out, struct err *e)
{
    struct json_want w[] = {{STR("id")}, {STR("model")}, {STR("content")}, {STR("stop_reason")},
        {STR("stop_sequence")}, {STR("usage")}};
    struct json_span key, v;
    bool called = false;
    *out = (struct ir_answer){.origin = WIRE_MESSAGES};
    if (json_scan(body, w, ARRAY_LEN(w)) < 0 || w[2].value.type != JSON_ARRAY)
        return err_set(e, ERR_TYPE, "the provider's answer is no message");
    struct ir_choice *c = ir_add_choice(out, a);
    if (!c)
        return member_no_memory(e);
    out->id = ir_text(w[0].value);
    out->model = ir_text(w[1].value);
    struct json_iter it = json_iter(w[2].value.raw);
    while (json_next(&it, &key, &v)) {
        struct ir_part *p = messages_read_block(v, a);
        if (!p)
            return member_no_memory(e);
        called |= p->kind == IR_CALL;
        ir_choice_add(c, p);
    }
    messages_place_citations(c->parts);
    c->finish_native = ir_text(w[3].value);
    c->finish = messages_finish_from(c->finish_native);
    c->stop_sequence = ir_text(w[4].value);
    if (c->finish == IR_FINISH_STOP && called)
        c->finish = IR_FINISH_TOOLS;
    if (w[5].value.type == JSON_OBJECT && !usage_object(w[5].value.raw, q->usage, &out->usage))
        out->usage = (struct usage){0};
    out->service_tier = messages_tier_from(ir_text(json_get(w[5].value.raw, STR("service_tier"))));
    return 0;
}

/* --- writing ---------------------------------------------------------------------------------- */

struct str messages_tier_from(struct str tier)
{
    return ir_is(tier, "standard") ? STR("default") : tier;
}

void messages_put_usage(struct json_writer *w, const char *key, const struct usage *u, struct str tier)
{
    /* parts of the input here; where a provider counts a token as both, it was read */
    int64_t most = MAX(u->input - u->cached, 0);
    int64_t written_1h = MIN(u->cache_write_1h, most);
    int64_t written_5m = MIN(u->cache_write_5m, most - written_1h);
    int64_t written = written_5m + written_1h;
    json_object_begin(w, key);
    json_put_int(w, "input_tokens", most - written + u->extra_input);
    json_put_int(w, "cache_creation_input_tokens", written);
    json_put_int(w, "cache_read_input_tokens", u->cached);
    if (written) {
        json_object_begin(w, "cache_creation");
        json_put_int(w, "ephemeral_5m_input_tokens", written_5m);
        json_put_int(w, "ephemeral_1h_input_tokens", written_1h);
        json_object_end(w);
    }
    json_put_int(w, "output_tokens", u->output);
    if (u->reasoning) {
        json_object_begin(w, "output_tokens_details");
        json_put_int(w, "thinking_tokens", u->reasoning);
        json_object_end(w);
    }
    if (u->searches) {
        json_object_begin(w, "server_tool_use");
        json_put_int(w, "web_search_requests", u->searches);
        json_object_end(w);
    }
    if (ir_is(tier, "default"))
        json_put_c(w, "service_tier", "standard");
    else if (ir_is(tier, "priority"))
        json_put_c(w, "service_tier", "priority");
    json_object_end(w);
}

static void put_text_or_null(struct json_writer *w, const char *key, struct str text)
{
    if (text.p)
        ir_put_text(w, key, text);
    else
        json_put_null(w, key);
}

void messages_put_citation(struct json_writer *w, const char *key, const struct ir_citation *c,
    enum wire origin)
{
    if (origin == WIRE_MESSAGES) {
        ir_put_raw(w, key, c->raw);
        return;
    }
    json_object_begin(w, key);
    if (c->url.p) {
        json_put_c(w, "type", "web_search_result_location");
        ir_put_text(w, "url", c->url);
        ir_put_text(w, "title", c->title.p ? c->title : STR(""));
        json_put_c(w, "encrypted_index", "");
    } else { /* which file is known, no place in it: of no characters */
        json_put_c(w, "type", "char_location");
        json_put_raw(w, "document_index", c->index.p ? c->index : STR("0"));
        put_text_or_null(w, "document_title", c->title);
        put_text_or_null(w, "file_id", c->file_id);
        json_put_int(w, "start_char_index", 0);
        json_put_int(w, "end_char_index", 0);
    }
    ir_put_text(w, "cited_text", c->cited.p ? c->cited : STR(""));
    json_object_end(w);
}

static void put_citations(struct json_writer *w, const struct ir_part *p)
{
    if (!p->citations)
        return;
    json_array_begin(w, "citations");
    for (const struct ir_citation *c = p->citations; c; c = c->next)
        messages_put_citation(w, NULL, c, p->origin);
    json_array_end(w);
}

static void put_proof(struct json_writer *w, const char *key, const struct ir_part *p)
{
    if (p->origin == WIRE_MESSAGES)
        ir_put_text(w, key, p->signature.p ? p->signature : STR(""));
    else
        ir_put_sealed(w, key, p->origin, p->signature);
}

static void put_redacted(struct json_writer *w, const struct ir_part *p)
{
    json_object_begin(w, NULL);
    json_put_c(w, "type", "redacted_thinking");
    put_proof(w, "data", p);
    json_object_end(w);
}

static void put_call(struct json_writer *w, const struct ir_part *p)
{
    if (p->signature.p) /* Gemini's proof on a call travels before it */
        put_redacted(w, p);
    json_object_begin(w, NULL);
    json_put_c(w, "type", "tool_use");
    messages_put_id(w, "id", p->id);
    ir_put_text(w, "name", p->name);
    ir_put_arguments(w, "input", p);
    json_object_end(w);
}

static void put_block(struct json_writer *w, const struct ir_part *p, struct ir_notes *notes)
{
    switch (p->kind) {
    case IR_TEXT:
    case IR_REFUSAL:
        if (!p->text.n && !p->citations)
            return;
        json_object_begin(w, NULL);
        json_put_c(w, "type", "text");
        ir_put_text(w, "text", p->text.p ? p->text : STR(""));
        put_citations(w, p);
        json_object_end(w);
        break;
    case IR_REASONING:
        json_object_begin(w, NULL);
        json_put_c(w, "type", "thinking");
        ir_put_text(w, "thinking", p->text.p ? p->text : STR(""));
        put_proof(w, "signature", p);
        json_object_end(w);
        break;
    case IR_REDACTED:
        put_redacted(w, p);
        break;
    case IR_CALL:
        put_call(w, p);
        break;
    case IR_OPAQUE:
        if (p->origin == WIRE_MESSAGES)
            json_put_raw(w, NULL, p->raw);
        else
            ir_dropped_opaque(notes, p->raw);
        break;
    case IR_MEDIA:
        media_dropped(notes, &p->media);
        break;
    case IR_RESULT:
        ir_dropped_opaque(notes, p->raw);
        break;
    }
}

int messages_write_answer(const struct ir_answer *answer, const struct spoke_client *c,
    struct arena *a, struct buf *out, struct ir_notes *notes, struct err *e)
{
    struct json_writer w = json_writer(out);
    const struct ir_choice *choice = answer->choices;
    (void)a;
    if (!choice)
        return err_set(e, ERR_MISSING, "the provider's answer holds no choice");
    json_object_begin(&w, NULL);
    if (answer->id.n)
        ir_put_text(&w, "id", answer->id);
    else
        json_put_str(&w, "id", c->fallback_id);
    json_put_c(&w, "type", "message");
    json_put_c(&w, "role", "assistant");
    if (answer->model.n)
        ir_put_text(&w, "model", answer->model);
    else
        json_put_str(&w, "model", c->model);
    json_array_begin(&w, "content");
    for (const struct ir_part *p = choice->parts; p; p = p->next)
        put_block(&w, p, notes);
    json_array_end(&w);
    json_put_c(&w, "stop_reason", messages_finish_name(choice->finish, choice->stop_sequence));
    if (choice->stop_sequence.p)
        ir_put_text(&w, "stop_sequence", choice->stop_sequence);
    else
        json_put_null(&w, "stop_sequence");
    messages_put_usage(&w, "usage", &answer->usage, answer->service_tier);
    json_object_end(&w);
    return out->err ? err_set(e, ERR_LIMIT, "the answer is too large to be translated") : 0;
}
