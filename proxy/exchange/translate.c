/* translate.c: where the target speaks another dialect than the client: body, answer, errors and
 * stream go through the neutral form (dialect/ir.h). Usage is read from the provider's own bytes, on
 * its own wire, before anything is translated. */
#include "proxy/exchange/translate.h"

#include "proxy/dialect/embed.h"
#include "proxy/dialect/retell.h"
#include "proxy/worker.h"

#include <stdio.h>

enum {
    ARENA_BLOCK = 16 << 10,
    ARENA_BOUND = 96 << 20,  /* of the neutral form of one request */
    BODY_BOUND = 96 << 20,
    OUT_BOUND = 64 << 20     /* written for one event of the provider */
};

static struct translation *translation_of(struct exchange *x)
{
    if (x->translation)
        return x->translation;
    struct translation *t = arena_zalloc(&x->arena, sizeof *t);
    if (!t)
        return NULL;
    arena_init(&t->arena, ARENA_BLOCK, ARENA_BOUND);
    buf_init(&t->body, BODY_BOUND);
    buf_init(&t->out, OUT_BOUND);
    x->dropped = t->notes.dropped;
    return x->translation = t;
}

void translate_reset(struct exchange *x)
{
    struct translation *t = x->translation;
    if (!t)
        return;
    stream_reader_fini(t->from);
    stream_writer_fini(t->to);
    t->from = NULL;
    t->to = NULL;
    t->over = t->failed = t->told = false;
    t->notes = (struct ir_notes){0};
    buf_reset(&t->out);
}

void translate_free(struct exchange *x)
{
    struct translation *t = x->translation;
    if (!t)
        return;
    translate_reset(x);
    buf_fini(&t->body);
    buf_fini(&t->out);
    arena_fini(&t->arena);
}

/* --- the request ------------------------------------------------------------------------------ */

/* Thinking that another dialect's model made (under our seal) stands in the client's history: its
 * own maker alone may get it back, so the body can't pass as it is. */
static bool holds_sealed(const struct exchange *x)
{
    return spoke_of(x->ep.wire) && x->facts.sealed;
}

static int read_request(struct exchange *x, struct translation *t, struct err *e)
{
    if (t->read)
        return 0;
    struct str body = stream_one_line(&t->arena, buf_str(&x->body)); /* parts of it are told back */
    if (!body.p)
        return -ERR_NOMEM;
    int rc = spoke_of(x->ep.wire)->read_request(body, &t->arena, &t->request, e);
    if (rc < 0)
        return rc;
    t->request.stream = x->facts.stream;
    t->client = (struct spoke_client){
        .model = x->asked,
        .fallback_id = str_c(x->id),
        .now_s = x->time_ms / 1000,
        .include_usage = x->facts.include_usage,
        .json_array = x->ep.wire == WIRE_STREAM_GENERATE && str_find(x->query, STR("alt=sse")) < 0,
        .request = &t->request,
    };
    t->read = true;
    return 0;
}

/* More output than the model has is an error at some providers: asked for is what there is. */
static void bound_output(struct exchange *x, struct ir_request *r, struct ir_notes *notes)
{
    int64_t most = x->price ? x->price->max_output_tokens : 0;
    if (!most || r->max_output <= most)
        return;
    r->max_output = most;
    ir_changed(notes, "max_tokens");
}

static int refuse_dropped(const struct exchange *x, const struct translation *t, struct err *e)
{
    if (!t->notes.count || !x->plan.route || !x->plan.route->refuse_dropped)
        return 0;
    return err_set(e, ERR_UNSUPPORTED, "this target can't do what was asked (%s), and the route "
        "refuses to leave it out", t->notes.dropped);
}

static int write_request(struct exchange *x, const struct provider *p, struct str model,
    const struct spoke_quirks *q, struct err *e)
{
    struct translation *t = x->translation;
    struct ir_request request = t->request; /* each attempt has its own bounds */
    struct spoke_target target = {
        .model = model,
        .quirks = q,
        .max_output = spoke_default_output(x->price ? x->price->max_output_tokens : 0),
        .stream = x->facts.stream,
        .ask_usage = p->ask_usage && !x->usage_refused &&
                     !health_lacks(x->worker->shared->health, p, HEALTH_LACKS_STREAM_OPTIONS),
    };
    t->notes = (struct ir_notes){0};
    bound_output(x, &request, &t->notes);
    buf_reset(&t->body);
    int rc = spoke_of(x->wire)->write_request(&request, &target, &t->body, &t->notes, e);
    if (rc == 0)
        rc = refuse_dropped(x, t, e);
    if (rc < 0)
        return rc;
    x->usage_asked = target.ask_usage && x->facts.stream && x->wire == WIRE_CHAT;
    t->unwrap = (struct unwrap){.tool = t->notes.schema_tool};
    x->pieces[0] = buf_str(&t->body);
    x->piece_count = 1;
    return 0;
}

/* Embeddings have no neutral form: two shapes, each told in the other's words. */
static int embed_request(struct exchange *x, struct str model, struct err *e)
{
    struct translation *t = translation_of(x);
    if (!t)
        return -ERR_NOMEM;
    t->notes = (struct ir_notes){0};
    buf_reset(&t->body);
    int rc = embed_write_request(x->ep.wire, buf_str(&x->body), model, &t->body, &t->notes, e);
    if (rc == 0)
        rc = refuse_dropped(x, t, e);
    x->pieces[0] = buf_str(&t->body);
    x->piece_count = 1;
    return rc;
}

static int embed_answer(struct exchange *x, struct buf *out, struct err *e)
{
    struct embed_client c = {
        .request = buf_str(&x->body),
        .model = x->asked,
        .batch = str_ends(x->ep.path, STR(":batchEmbedContents")),
        .prompt_tokens = x->facts.prompt_tokens,
    };
    return embed_write_answer(x->ep.wire, buf_str(&x->held), &c, out, e);
}

int translate_request(struct exchange *x, const struct provider *p, struct str model,
    struct err *e)
{
    const struct spoke_quirks *q = quirks_of(p->base_url);
    x->wire = spoke_target_wire(p->dialect, q, x->ep.wire, x->facts.stream);
    if (x->wire == WIRE_RESPONSES && p->dialect != DIALECT_OPENAI_RESPONSES &&
        health_lacks(x->worker->shared->health, p, HEALTH_LACKS_RESPONSES))
        x->wire = WIRE_CHAT;
    if (x->wire != x->ep.wire && (x->wire == WIRE_EMBEDDINGS || x->wire == WIRE_GEMINI_EMBED))
        return embed_request(x, model, e);
    if (x->wire == x->ep.wire && !holds_sealed(x))
        return body_pieces(x, p, model);
    if (x->wire == WIRE_RAW || !spoke_of(x->wire))
        return err_set(e, ERR_UNSUPPORTED, "%s can't be asked of a provider that speaks %s",
            wire_name(x->ep.wire), dialect_name(p->dialect));
    struct translation *t = translation_of(x);
    if (!t)
        return -ERR_NOMEM;
    int rc = read_request(x, t, e);
    return rc < 0 ? rc : write_request(x, p, model, q, e);
}

/* --- whole answers ---------------------------------------------------------------------------- */

static const struct spoke_quirks *quirks_here(const struct exchange *x)
{
    return quirks_of(x->target->provider->base_url);
}

/* x->held becomes that answer in the client's dialect; NULL: embeddings, which have no such form. */
static int hold_answer(struct exchange *x, struct ir_answer *answer, struct err *e)
{
    struct translation *t = x->translation;
    struct buf out;
    buf_init(&out, OUT_BOUND);
    if (answer)
        unwrap_answer(answer, t->notes.schema_tool, &t->arena);
    int rc = !answer ? embed_answer(x, &out, e)
        : spoke_of(x->ep.wire)->write_answer(answer, &t->client, &t->arena, &out, &t->notes, e);
    if (rc < 0) {
        buf_fini(&out);
        return rc;
    }
    buf_fini(&x->held);
    x->held = out;
    return 0;
}

void translate_error(struct exchange *x, const struct dialect_error_read *read,
    int64_t retry_after_us)
{
    struct dialect_error error = {
        .status = x->upstream_status,
        .code = read->code.n ? read->code : read->type,
        .message = read->message.n ? read->message : STR("the provider gave no reason"),
        .param = read->param,
        .retry_after_ms = MAX(retry_after_us, 0) / 1000,
        .request_id = str_c(x->id),
    };
    struct buf out;
    buf_init(&out, OUT_BOUND);
    dialect_write_error(x->ep.dialect, &error, &out);
    buf_fini(&x->held);
    x->held = out;
}

/* What `from` was told is one answer now, which lies in the arena. */
static int gathered(struct gather *g, struct ir_answer *out, struct err *e)
{
    gather_end(g);
    *out = g->answer;
    return g->failed ? err_set(e, ERR_STATE, STR_FMT, STR_ARG(str_first(g->error.message, 200)))
        : !g->done ? err_set(e, ERR_STATE, "the provider's stream ended before it was complete") : 0;
}

/* The chunks of a stream as one array: so Gemini tells them to whom doesn't ask for events. */
static int read_array(struct exchange *x, struct json_span array, struct ir_answer *out, struct err *e)
{
    struct arena *a = &x->translation->arena;
    struct json_iter it = json_iter(array.raw);
    struct json_span k, v;
    struct gather g;
    gather_init(&g, a);
    struct stream_reader *from = stream_reader_new(x->wire, quirks_here(x), a, gather_event, &g);
    while (from && json_next(&it, &k, &v))
        stream_read(from, STR_NULL, stream_one_line(a, v.raw));
    if (from)
        stream_read_end(from);
    stream_reader_fini(from);
    int rc = gathered(&g, out, e);
    gather_fini(&g);
    return rc;
}

static int read_answer(struct exchange *x, struct str body, struct ir_answer *out, struct err *e)
{
    struct json_span array = json_value(body);
    if (array.type == JSON_ARRAY)
        return read_array(x, array, out, e);
    return spoke_of(x->wire)->read_answer(body, quirks_here(x), &x->translation->arena, out, e);
}

int translate_whole(struct exchange *x, struct err *e)
{
    struct ir_answer answer;
    if (x->wire == WIRE_EMBEDDINGS || x->wire == WIRE_GEMINI_EMBED)
        return hold_answer(x, NULL, e);
    int rc = read_answer(x, str_after_bom(buf_str(&x->held)), &answer, e);
    return rc < 0 ? rc : hold_answer(x, &answer, e);
}

/* --- streams ---------------------------------------------------------------------------------- */

static void put(void *ctx, const struct ir_event *ev)
{
    struct exchange *x = ctx;
    struct translation *t = x->translation;
    struct ir_event said = *ev;
    t->over |= ev->kind == IR_EV_DONE;
    t->failed |= ev->kind == IR_EV_ERROR;
    if (unwrap_event(&t->unwrap, &said))
        stream_write_event(t->to, &said, &t->out);
}

int translate_told(struct exchange *x, struct err *e)
{
    struct translation *t = x->translation;
    struct ir_answer answer;
    struct str body = str_after_bom(buf_str(&x->held));
    int rc = read_answer(x, stream_one_line(&t->arena, body), &answer, e);
    if (rc < 0)
        return rc;
    t->to = stream_writer_new(x->ep.wire, &t->client, &t->notes, &t->arena);
    if (!t->to)
        return err_set(e, ERR_NOMEM, "out of memory");
    t->told = true;
    buf_reset(&t->out);
    retell_answer(&answer, put, x, &t->arena);
    return t->out.err ? err_set(e, ERR_LIMIT, "the answer is too large to be translated") : 0;
}

/* The events of x->held, metered by the way. */
static void gather_held(struct exchange *x, struct stream_reader *from)
{
    struct sse sse;
    struct sse_event ev;
    bool last = false;
    sse_init(&sse, OUT_BOUND);
    int rc = sse_feed(&sse, buf_str(&x->held));
    while (rc == 0 && (sse_next(&sse, &ev) || (!last && (last = sse_finish(&sse, &ev))))) {
        if (!ev.has_data)
            continue;
        usage_event(&x->reader, ev.name, ev.data);
        stream_read(from, ev.name, ev.data);
    }
    stream_read_end(from);
    sse_fini(&sse);
}

int translate_gathered(struct exchange *x, struct err *e)
{
    struct translation *t = x->translation;
    struct ir_answer answer;
    struct gather g;
    gather_init(&g, &t->arena);
    struct stream_reader *from = stream_reader_new(x->wire, quirks_here(x), &t->arena, gather_event,
        &g);
    if (from)
        gather_held(x, from);
    stream_reader_fini(from);
    int rc = gathered(&g, &answer, e);
    gather_fini(&g);
    return rc < 0 ? rc : hold_answer(x, &answer, e);
}

bool translate_begin_stream(struct exchange *x)
{
    struct translation *t = x->translation;
    t->from = stream_reader_new(x->wire, quirks_here(x), &t->arena, put, x);
    t->to = stream_writer_new(x->ep.wire, &t->client, &t->notes, &t->arena);
    return t->from && t->to;
}

void translate_ping(struct exchange *x)
{
    struct ir_event ev = {.kind = IR_EV_PING, .origin = x->wire};
    buf_reset(&x->translation->out);
    stream_write_event(x->translation->to, &ev, &x->translation->out);
}

void translate_event(struct exchange *x, struct str name, struct str data)
{
    struct translation *t = x->translation;
    buf_reset(&t->out);
    stream_read(t->from, name, data);
}

void translate_end(struct exchange *x)
{
    struct translation *t = x->translation;
    buf_reset(&t->out);
    stream_read_end(t->from);
}

void translate_abort(struct exchange *x, const struct dialect_error *error)
{
    struct translation *t = x->translation;
    struct ir_event ev = {.kind = IR_EV_ERROR, .error = error, .origin = x->wire};
    buf_reset(&t->out);
    if (!t->over && !t->failed && t->to)
        stream_write_event(t->to, &ev, &t->out);
}

/* --- counts ----------------------------------------------------------------------------------- */

bool translate_count(struct exchange *x)
{
    const struct provider *p = x->plan.candidates[0].provider;
    struct http_header headers[] = {
        {STR("content-type"), STR("application/json")},
        {STR("x-request-id"), str_c(x->id)},
        {STR("x-pointsman-estimated"), STR("1")},
    };
    char body[80];
    if ((x->ep.wire != WIRE_COUNT_TOKENS && x->ep.wire != WIRE_GEMINI_COUNT) ||
        p->dialect == x->ep.dialect)
        return false;
    const char *name = x->ep.wire == WIRE_COUNT_TOKENS ? "input_tokens" : "totalTokens";
    snprintf(body, sizeof body, "{\"%s\":%lld}", name, (long long)x->facts.prompt_tokens);
    x->status = 200;
    x->outcome = OUTCOME_OK;
    x->replied = true;
    x->response_bytes = (int64_t)strlen(body);
    settle(x);
    if (x->q)
        http_reply(x->q, 200, headers, ARRAY_LEN(headers), str_c(body));
    return true;
}
