/* translate.c: a kept request and its answer as another dialect would say them: for people who compare,
 * and to see what a switch of providers does to a conversation. Nothing is sent. A streamed answer is
 * said as the other dialect's stream. */
#include "proxy/admin/handlers.h"
#include "proxy/admin/kept.h"
#include "proxy/admin/record_view.h"

#include "store/base/json_span.h"

enum { SAID_MAX = 64 << 20 };

static enum wire wire_named(struct str name)
{
    static const struct {
        const char *name;
        enum wire wire;
    } rows[] = {{"openai", WIRE_CHAT}, {"anthropic", WIRE_MESSAGES}, {"gemini", WIRE_GENERATE},
        {"responses", WIRE_RESPONSES}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (str_eq(name, str_c(rows[i].name)))
            return rows[i].wire;
    return WIRE_RAW;
}

static void put_body(struct json_writer *w, const char *key, struct str body)
{
    if (json_check(body, NULL) == 0)
        json_put_raw(w, key, body);
    else
        json_put_str(w, key, body);
}

struct said {
    struct kept k;
    const struct spoke *to;
    struct spoke_client client;
    struct ir_notes notes;
    struct ir_request request;
    struct stream_writer *stream;
    struct buf out;
};

static int say_request(struct said *s, struct str body, struct err *e)
{
    struct spoke_target target = s->k.target;
    target.quirks = &quirks_none; /* of the dialect as it stands, not of one provider */
    int rc = kept_request(&s->k, body, &s->request, e);
    s->client.request = &s->request;
    return rc < 0 ? rc : s->to->write_request(&s->request, &target, &s->out, &s->notes, e);
}

static void write_event(void *ctx, const struct ir_event *ev)
{
    struct said *s = ctx;
    stream_write_event(s->stream, ev, &s->out);
}

/* False: it is no stream. */
static bool say_stream(struct said *s, struct str body)
{
    struct arena *a = s->k.arena;
    s->stream = stream_writer_new(s->to->wire, &s->client, &s->notes, a);
    struct stream_reader *from = stream_reader_new(s->k.wire, s->k.target.quirks, a, write_event, s);
    bool said = s->stream && from && kept_feed(&s->k, body, from);
    stream_reader_fini(from);
    stream_writer_fini(s->stream);
    return said && s->out.n && !s->out.err;
}

static bool say_answer(struct said *s, struct str body)
{
    struct ir_answer answer;
    struct err e = {0};
    if (say_stream(s, body))
        return true;
    buf_reset(&s->out);
    return kept_answer(&s->k, body, &answer, &e) == 0 &&
           s->to->write_answer(&answer, &s->client, s->k.arena, &s->out, &s->notes, &e) == 0;
}

static void translated(struct call *c, const struct store_body *b, struct said *s)
{
    struct err e = {0};
    buf_init(&s->out, SAID_MAX);
    int rc = say_request(s, b->request, &e);
    if (rc < 0) {
        call_failed(c, rc, &e);
        buf_fini(&s->out);
        return;
    }
    struct json_writer *w = call_begin(c);
    put_body(w, "request", buf_str(&s->out));
    buf_reset(&s->out);
    put_body(w, "response", say_answer(s, b->response) ? buf_str(&s->out) : b->response);
    json_put_c(w, "dropped", s->notes.dropped);
    call_send_redacted(c);
    buf_fini(&s->out);
}

static void body_answered(struct call *c, struct store_answer *a)
{
    const struct record *r = call_record(c);
    struct said *s = arena_zalloc(&c->arena, sizeof *s);
    if (a->rc < 0 || !s) {
        call_error(c, 404, "no_body", "no body is kept of this request (capture)");
        return;
    }
    kept_init(&s->k, c, r);
    s->to = spoke_of(wire_named(c->args[1]));
    s->client = (struct spoke_client){.model = r->model_served.n ? r->model_served : r->model,
        .fallback_id = r->id, .now_s = r->time_ms / 1000, .include_usage = true};
    if (!s->k.spoke) {
        call_error(c, 400, "untranslated", "requests to " STR_FMT " are not said in that dialect",
            STR_ARG(r->endpoint));
    } else if (s->k.wire != s->to->wire) {
        translated(c, &a->body, s);
    } else {
        struct json_writer *w = call_begin(c);
        put_body(w, "request", a->body.request);
        put_body(w, "response", a->body.response);
        json_put_c(w, "dropped", "");
        call_send(c);
    }
}

static void with_record(struct call *c)
{
    struct store_query q = {.kind = STORE_ASK_BODY, .id = call_record(c)->id};
    if (!call_may_read(c, call_record(c)))
        call_error(c, 403, "denied", "access.bodies does not let you read this request's bodies");
    else
        call_ask(c, &q, body_answered);
}

void get_exchange_as(struct call *c)
{
    if (wire_named(c->args[1]) == WIRE_RAW)
        call_error(c, 400, "bad_dialect", "as: one of openai, anthropic, gemini, responses");
    else
        call_with_record(c, with_record);
}
