/* responses_answer.c: a response object read and written. */
#include "proxy/dialect/media.h"
#include "proxy/dialect/places.h"
#include "proxy/dialect/responses.h"
#include "proxy/dialect/retell.h"

/* --- reading -------------------------------------------------------------------------------- */

struct collecting {
    struct ir_choice *choice;
    unsigned calls;
};

static bool add(void *ctx, enum ir_role role, struct ir_part *p)
{
    struct collecting *g = ctx;
    (void)role;
    g->calls += p->kind == IR_CALL;
    ir_choice_add(g->choice, p);
    return true;
}

enum ir_finish responses_finish(struct json_span response, bool calls)
{
    struct json_span status = json_get(response.raw, STR("status"));
    struct json_span why = json_path(response.raw, "incomplete_details.reason");
    if (json_text_eq(status, STR("failed")) || json_text_eq(status, STR("cancelled")))
        return IR_FINISH_ERROR;
    if (json_text_eq(why, STR("content_filter")))
        return IR_FINISH_FILTER;
    if (json_text_eq(status, STR("incomplete")))
        return IR_FINISH_LENGTH;
    return calls ? IR_FINISH_TOOLS : IR_FINISH_STOP;
}

/* The tokens' probabilities stand in the content part. */
static struct str logprobs_of(const struct ir_choice *c)
{
    for (const struct ir_part *p = c->parts; p; p = p->next) {
        struct json_span list = p->kind == IR_TEXT ? json_get(p->raw, STR("logprobs"))
                                                   : (struct json_span){JSON_NONE, {NULL, 0}};
        if (list.type == JSON_ARRAY && json_count(list))
            return list.raw;
    }
    return STR_NULL;
}

/* They were read as places in their own text. */
static void place_citations(struct ir_part *parts)
{
    int64_t chars = 0;
    for (struct ir_part *p = parts; p; p = p->next) {
        if (p->kind != IR_TEXT)
            continue;
        for (struct ir_citation *c = p->citations; c; c = c->next) {
            c->start += c->end < 0 ? 0 : chars;
            c->end += c->end < 0 ? 0 : chars;
        }
        chars += places_count(p->text);
    }
}

int responses_read_answer(struct str body, const struct spoke_quirks *q, struct arena *a,
    struct ir_answer *out, struct err *e)
{
    struct collecting g = {0};
    struct responses_sink sink = {.a = a, .add = add, .ctx = &g};
    struct json_want w[] = {{STR("output")}, {STR("id")}, {STR("model")}, {STR("created_at")},
        {STR("usage")}, {STR("service_tier")}, {STR("status")}};
    struct json_span k, v;
    *out = (struct ir_answer){.origin = WIRE_RESPONSES};
    if (json_scan(body, w, ARRAY_LEN(w)) < 0 || w[0].value.type != JSON_ARRAY)
        return err_set(e, ERR_TYPE, "the provider's answer has no output");
    if (!(g.choice = ir_add_choice(out, a)))
        return member_no_memory(e);
    struct json_iter it = json_iter(w[0].value.raw);
    while (json_next(&it, &k, &v))
        if (!responses_read_item(v, &sink))
            return member_no_memory(e);
    place_citations(g.choice->parts);
    out->id = ir_text(w[1].value);
    out->model = ir_text(w[2].value);
    out->created = w[3].value.type == JSON_NUMBER ? w[3].value.raw : STR_NULL;
    out->service_tier = ir_text(w[5].value);
    g.choice->finish = responses_finish(json_value(body), g.calls > 0);
    g.choice->finish_native = ir_text(w[6].value);
    g.choice->logprobs = logprobs_of(g.choice);
    if (w[4].value.type == JSON_OBJECT)
        out->usage.have_usage = usage_object(w[4].value.raw, q->usage, &out->usage);
    return 0;
}

/* --- writing -------------------------------------------------------------------------------- */

void responses_put_citation(struct json_writer *w, const struct ir_citation *c, int64_t before)
{
    json_object_begin(w, NULL);
    json_put_c(w, "type", c->url.p ? "url_citation" : "file_citation");
    if (c->url.p) {
        ir_put_text(w, "url", c->url);
        ir_put_text(w, "title", c->title.p ? c->title : STR(""));
        json_put_int(w, "start_index", MAX(c->start - before, 0));
        json_put_int(w, "end_index", MAX(c->end - before, 0));
    } else {
        ir_put_text(w, "file_id", c->file_id.p ? c->file_id : STR(""));
        ir_put_text(w, "filename", c->title.p ? c->title : STR(""));
        json_put_raw(w, "index", c->index.p ? c->index : STR("0"));
    }
    json_object_end(w);
}

bool responses_says_image(const struct ir_part *p)
{
    return (p->origin == WIRE_RESPONSES && p->raw.p) || (p->media.kind == IR_IMAGE && p->media.data.p);
}

bool responses_put_image(struct json_writer *w, const char *key, const struct ir_part *p, struct str id,
    struct ir_notes *notes)
{
    const struct ir_media *m = &p->media;
    if (!responses_says_image(p)) {
        media_dropped(notes, m);
        return false;
    }
    if (p->origin == WIRE_RESPONSES && p->raw.p) {
        json_put_raw(w, key, p->raw);
        return true;
    }
    json_object_begin(w, key);
    json_put_c(w, "type", "image_generation_call");
    ir_put_text(w, "id", id);
    json_put_c(w, "status", "completed");
    if (str_starts(m->mime, STR("image/")))
        ir_put_text(w, "output_format", str_from(m->mime, 6));
    ir_put_text(w, "result", m->data);
    json_object_end(w);
    return true;
}

void responses_put_usage(struct json_writer *w, const struct usage *u)
{
    int64_t input = u->input + u->extra_input, written = u->cache_write_5m + u->cache_write_1h;
    json_object_begin(w, "usage");
    json_put_int(w, "input_tokens", input);
    json_object_begin(w, "input_tokens_details");
    json_put_int(w, "cached_tokens", u->cached);
    if (written)
        json_put_int(w, "cache_write_tokens", written);
    json_object_end(w);
    json_put_int(w, "output_tokens", u->output);
    json_object_begin(w, "output_tokens_details");
    json_put_int(w, "reasoning_tokens", u->reasoning);
    json_object_end(w);
    json_put_int(w, "total_tokens", input + u->output);
    json_object_end(w);
}

static void put_text_or_null(struct json_writer *w, const char *key, struct str text)
{
    if (text.p)
        ir_put_text(w, key, text);
    else
        json_put_null(w, key);
}

static void put_raw_or(struct json_writer *w, const char *key, struct str raw, const char *otherwise)
{
    json_put_raw(w, key, raw.p ? raw : str_c(otherwise));
}

static void put_tools(struct json_writer *w, const struct ir_request *r)
{
    json_array_begin(w, "tools");
    for (const struct ir_tool *t = r->tools; t; t = t->next)
        if (t->origin == WIRE_RESPONSES && t->raw.p && !t->within)
            json_put_raw(w, NULL, t->raw);
    json_array_end(w);
}

/* What was asked, as it is said back. */
static void put_echo(struct json_writer *w, const struct ir_request *r)
{
    static const struct ir_request nothing = {.origin = WIRE_RESPONSES};
    if (!r || r->origin != WIRE_RESPONSES)
        r = &nothing;
    const struct ir_message *m = r->messages;
    bool instructed = m && m->role == IR_SYSTEM && m->parts && !m->parts->raw.p;
    put_text_or_null(w, "instructions", instructed ? m->parts->text : STR_NULL);
    if (r->max_output > 0)
        json_put_int(w, "max_output_tokens", r->max_output);
    else
        json_put_null(w, "max_output_tokens");
    json_put_null(w, "max_tool_calls");
    json_put_bool(w, "parallel_tool_calls", r->parallel != IR_NO);
    json_put_null(w, "previous_response_id");
    put_text_or_null(w, "prompt_cache_key", r->cache_key);
    json_object_begin(w, "reasoning");
    if (r->reasoning.effort)
        json_put_c(w, "effort", ir_effort_name(r->reasoning.effort));
    else
        json_put_null(w, "effort");
    put_text_or_null(w, "summary", r->reasoning.summary);
    json_object_end(w);
    json_put_bool(w, "store", false);
    put_raw_or(w, "temperature", r->temperature, "1.0");
    responses_put_format(w, r);
    responses_put_choice(w, r);
    put_tools(w, r);
    put_raw_or(w, "top_p", r->top_p, "1.0");
    json_put_c(w, "truncation", "disabled");
    put_text_or_null(w, "user", r->user);
    put_raw_or(w, "metadata", r->metadata, "{}");
}

void responses_put_frame(struct json_writer *w, const char *key, const struct responses_frame *f,
    const struct spoke_client *c)
{
    json_object_begin(w, key);
    if (f->id.n)
        ir_put_text(w, "id", f->id);
    else
        json_put_str(w, "id", c->fallback_id);
    json_put_c(w, "object", "response");
    if (f->created.p)
        json_put_raw(w, "created_at", f->created);
    else
        json_put_int(w, "created_at", c->now_s);
    json_put_c(w, "status", f->status);
    json_put_bool(w, "background", false);
    if (strcmp(f->status, "failed") == 0)
        json_put_raw(w, "error", STR("{\"code\":\"server_error\",\"message\":\"the model broke off its answer "
            "in error\"}"));
    else
        json_put_null(w, "error");
    if (f->reason) {
        json_object_begin(w, "incomplete_details");
        json_put_c(w, "reason", f->reason);
        json_object_end(w);
    } else {
        json_put_null(w, "incomplete_details");
    }
    if (f->model.n)
        ir_put_text(w, "model", f->model);
    else
        json_put_str(w, "model", c->model);
    json_array_begin(w, "output");
    buf_put_str(w->out, f->output);
    json_array_end(w);
    put_echo(w, c->request);
    ir_put_text(w, "service_tier", f->service_tier);
    if (f->usage)
        responses_put_usage(w, f->usage);
    else
        json_put_null(w, "usage");
    json_object_end(w);
}

/* An answer said as the stream that would say it, and its end taken: one way to build items. */
struct whole {
    struct stream_writer *to;
    struct buf out;
};

static void write_whole(void *ctx, const struct ir_event *ev)
{
    struct whole *g = ctx;
    buf_reset(&g->out); /* only what the last event says counts */
    stream_write_event(g->to, ev, &g->out);
}

/* The response inside the last event: data: {"type":…,"sequence_number":…,"response":{…}} */
static bool take_response(struct whole *g, struct buf *out)
{
    static const char *const last[] = {"event: response.completed\ndata: ",
        "event: response.incomplete\ndata: ", "event: response.failed\ndata: "};
    ptrdiff_t at = -1;
    size_t n = 0;
    for (size_t i = 0; at < 0 && i < ARRAY_LEN(last); i++) {
        at = str_find(buf_str(&g->out), str_c(last[i]));
        n = strlen(last[i]);
    }
    if (g->out.err || at < 0)
        return false;
    struct json_span event_data = json_value(str_from(buf_str(&g->out), (size_t)at + n));
    struct json_span response = json_get(event_data.raw, STR("response"));
    buf_put_str(out, response.raw);
    return response.type == JSON_OBJECT && !out->err;
}

int responses_write_answer(const struct ir_answer *answer, const struct spoke_client *c,
    struct arena *a, struct buf *out, struct ir_notes *notes, struct err *e)
{
    struct whole g = {.to = stream_writer_new(WIRE_RESPONSES, c, notes, a)};
    if (!g.to || !answer->choices)
        return member_no_memory(e);
    buf_init(&g.out, 2 * (size_t)STREAM_WHOLE_MAX);
    retell_answer(answer, write_whole, &g, a);
    bool good = take_response(&g, out);
    stream_writer_fini(g.to);
    buf_fini(&g.out);
    return good ? 0 : err_set(e, ERR_LIMIT, "the answer is too large to be translated");
}
