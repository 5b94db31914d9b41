/* translate.c: a kept request and its answer as another dialect would say them: for people who compare,
 * and to see what a switch of providers does to a conversation. Nothing is sent. */
#include "proxy/admin/handlers.h"
#include "proxy/admin/record_view.h"

#include "proxy/dialect/spoke.h"
#include "store/base/json_span.h"

static enum wire wire_of(const struct record *r)
{
    if (str_ends(r->endpoint, STR("/chat/completions")))
        return WIRE_CHAT;
    if (str_ends(r->endpoint, STR("/responses")))
        return WIRE_RESPONSES;
    if (str_ends(r->endpoint, STR("/messages")))
        return WIRE_MESSAGES;
    return str_find(r->endpoint, STR("enerateContent")) >= 0 ? WIRE_GENERATE : WIRE_RAW;
}

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
    const struct spoke *from, *to;
    struct spoke_target target;
    struct spoke_client client;
    struct ir_notes notes;
    struct ir_request request;
    struct buf out;
};

static int say_request(struct call *c, struct said *s, struct str body, struct err *e)
{
    int rc = json_check(body, NULL) == 0 ? s->from->read_request(body, &c->arena, &s->request, e)
                                         : err_set(e, ERR_SYNTAX, "the kept request is no whole JSON");
    return rc < 0 ? rc : s->to->write_request(&s->request, &s->target, &s->out, &s->notes, e);
}

static int say_answer(struct call *c, struct said *s, struct str body, struct err *e)
{
    struct ir_answer answer = {0};
    int rc = s->from->read_answer(body, &quirks_none, &c->arena, &answer, e);
    s->client.request = &s->request;
    return rc < 0 ? rc
                  : s->to->write_answer(&answer, &s->client, &c->arena, &s->out, &s->notes, e);
}

static void translated(struct call *c, const struct store_body *b, struct said *s)
{
    struct err e = {0};
    buf_init(&s->out, (size_t)16 << 20);
    int rc = say_request(c, s, b->request, &e);
    if (rc < 0) {
        call_failed(c, rc, &e);
        buf_fini(&s->out);
        return;
    }
    struct json_writer *w = call_begin(c);
    put_body(w, "request", buf_str(&s->out));
    buf_reset(&s->out);
    if (json_check(b->response, NULL) == 0 && say_answer(c, s, b->response, &e) == 0)
        put_body(w, "response", buf_str(&s->out));
    else
        json_put_str(w, "response", b->response);
    json_put_c(w, "dropped", s->notes.dropped);
    call_send(c);
    buf_fini(&s->out);
}

static void body_answered(struct call *c, struct store_answer *a)
{
    const struct record *r = call_record(c);
    enum wire from = wire_of(r), to = wire_named(c->args[1]);
    if (a->rc < 0) {
        call_error(c, 404, "no_body", "no body is kept of this request (capture)");
        return;
    }
    if (from == to) {
        struct json_writer *w = call_begin(c);
        put_body(w, "request", a->body.request);
        put_body(w, "response", a->body.response);
        json_put_c(w, "dropped", "");
        call_send(c);
        return;
    }
    struct said *s = arena_zalloc(&c->arena, sizeof *s);
    if (s) {
        s->from = spoke_of(from);
        s->to = spoke_of(to);
        s->target = (struct spoke_target){.model = r->model, .quirks = &quirks_none,
            .max_output = 4096, .stream = r->stream != 0};
        s->client = (struct spoke_client){.model = r->model_served, .fallback_id = r->id,
            .now_s = r->time_ms / 1000};
    }
    if (s && s->from && s->to)
        translated(c, &a->body, s);
    else
        call_error(c, 400, "untranslated", "requests to " STR_FMT " are not said in that dialect",
            STR_ARG(r->endpoint));
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
