/* admit.c: from a body to a decision: what is asked (read), who may answer (route), and whether it
 * may be spent (admit). Everything after this stands on one parse of the body: the same bytes decide
 * policy and are sent. */
#include "proxy/exchange/exchange.h"

#include "proxy/access/key.h"
#include "proxy/event/event.h"
#include "proxy/meter/raw.h"
#include "proxy/worker.h"
#include "store/base/clock.h"
#include "store/base/secret.h"

#include <stdio.h>

static bool is_form(const struct exchange *x)
{
    return str_starts_nocase(x->content_type, STR("multipart/form-data"));
}

static enum step_result refuse_body(struct exchange *x, int rc, size_t at, const char *field)
{
    if (rc == -ERR_SYNTAX && x->body.n == 0)
        return exchange_refuse(x, 400, "empty_body", -1, "the request has no body; send JSON");
    if (rc == -ERR_SYNTAX && x->ep.wire == WIRE_RAW && is_form(x))
        return exchange_refuse(x, 400, "invalid_form", -1, "the form is broken or could be read in "
            "two ways: name each part once, plainly, as `Content-Disposition: form-data; "
            "name=\"model\"`, and end the form with its boundary");
    if (rc == -ERR_SYNTAX)
        return exchange_refuse(x, 400, "invalid_json", -1,
            "the body is not valid JSON (byte %zu of %zu)", at, x->body.n);
    if (rc == -ERR_LIMIT)
        return exchange_refuse(x, 400, "invalid_json", -1,
            "the body is nested deeper than %d levels", JSON_DEPTH_MAX);
    if (rc == -ERR_DUPLICATE)
        return exchange_refuse(x, 400, "duplicate_field", -1,
            "`%s` stands in the body twice; it must be said once", field ? field : "a field");
    if (rc == -ERR_TYPE)
        return exchange_refuse(x, 400, "invalid_type", -1, "`%s` has the wrong type",
            field ? field : "the body");
    if (rc == -ERR_DENIED)
        return exchange_refuse(x, 400, "not_honoured", -1, "`%s` in a body is not honoured here: a "
            "request can't choose where it goes or with whose key. Leave it out and name a route or a "
            "model (GET /v1/models lists them); addresses and keys are the operator's", field);
    return exchange_refuse(x, 503, "overloaded", 1000, "out of memory");
}

static int read_form(struct exchange *x, const char **field)
{
    static const char *const denied[] = {"api_base", "base_url", "api_key"};
    struct str body = buf_str(&x->body);
    bool twice = false;
    x->facts = (struct request_facts){.n = 1};
    int rc = body.n ? raw_multipart_check(body, x->content_type, denied, ARRAY_LEN(denied), field,
        &x->arena) : 0;
    if (rc < 0)
        return rc;
    x->facts.model = x->facts.model_span =
        raw_multipart_field(body, x->content_type, STR("model"), &twice, &x->arena);
    *field = "model";
    return twice ? -ERR_DUPLICATE : 0;
}

/* Paths that we do not read: the model stands in JSON, whatever its type is called, in a multipart
 * field, or in a header. What is said twice is refused here too: the provider might take the other
 * one. So is what nests too deep to be looked through, and, of a key that may not use every model,
 * all that can't be read: the provider might read it. */
static int read_raw(struct exchange *x, size_t *at, const char **field)
{
    if (is_form(x))
        return read_form(x, field);
    int rc = x->body.n ? request_read(buf_str(&x->body), WIRE_RAW, &x->arena, &x->facts, at, field)
                       : -ERR_SYNTAX;
    bool bound = x->body.n && x->key && x->key->model_count;
    if (bound || (rc != -ERR_SYNTAX && rc != -ERR_TYPE))
        return rc;
    x->facts = (struct request_facts){.n = 1};
    return 0;
}

enum step_result step_read(struct exchange *x)
{
    if (x->ep.handler != HANDLE_RELAY) {
        local_answer(x);
        return STEP_NEXT;
    }
    size_t at = 0;
    const char *field = NULL;
    bool raw = x->ep.wire == WIRE_RAW;
    int rc = raw ? read_raw(x, &at, &field)
        : request_read(buf_str(&x->body), x->ep.wire, &x->arena, &x->facts, &at, &field);
    if (rc < 0)
        return refuse_body(x, rc, at, field);
    if (raw)
        raw_work_read(x);
    if (x->ep.wire == WIRE_STREAM_GENERATE)
        x->facts.stream = true;
    x->asked = x->ep.model.n ? x->ep.model : x->facts.model;
    if (x->ep.wire != WIRE_RAW && x->asked.n == 0)
        return exchange_refuse(x, 400, "missing_model", -1,
            "`model` is missing: name a route or a model (GET /v1/models lists them)");
    if (x->asked.n > 200)
        return exchange_refuse(x, 400, "invalid_model", -1, "`model` is longer than 200 bytes");
    for (size_t i = 0; i < x->asked.n; i++)
        if ((unsigned char)x->asked.p[i] < 0x20 || x->asked.p[i] == 0x7f)
            return exchange_refuse(x, 400, "invalid_model", -1,
                "`model` holds control characters");
    if (x->session.n == 0)
        x->session = secret_first(x->facts.session_hint, 128);
    enum step_result result = raw_allowed(x);
    return result == STEP_WAIT ? STEP_NEXT : result;
}

static struct str client_header(const struct exchange *x, struct str name)
{
    for (size_t i = 0; i < x->client_header_count; i++)
        if (str_eq_nocase(x->client_headers[i].name, name))
            return x->client_headers[i].value;
    return STR_NULL;
}

static enum step_result refuse_plan(struct exchange *x, int rc, const struct err *e)
{
    const struct config *config = x->snapshot->config;
    switch (-rc) {
    case ERR_NOT_FOUND:
        if (config->provider_count == 1 && config->providers[0].demo)
            return exchange_refuse(x, 404, "model_not_found", -1, "%s; only the simulated provider "
                "is here (its models are called demo/…): set OPENAI_API_KEY, ANTHROPIC_API_KEY or "
                "GEMINI_API_KEY and start the gateway anew for real ones", e->text);
        return exchange_refuse(x, 404, "model_not_found", -1, "%s", e->text);
    case ERR_DENIED:
        return exchange_refuse(x, 403, "model_not_allowed", -1, "%s", e->text);
    case ERR_LIMIT:
        return exchange_refuse(x, 400, "context_length_exceeded", -1, "%s", e->text);
    case ERR_FULL:
        return exchange_refuse(x, 503, "no_target", x->plan.retry_after_ms, "%s", e->text);
    case ERR_UNSUPPORTED:
        return exchange_refuse(x, 400, "unsupported_by_target", -1, "%s", e->text);
    case ERR_MISSING:
        return exchange_refuse(x, 400, "missing_target", -1, "%s", e->text);
    default:
        return exchange_refuse(x, 503, "overloaded", 1000, "%s",
            e->text[0] ? e->text : err_text(rc));
    }
}

enum step_result step_route(struct exchange *x)
{
    const struct config *config = x->snapshot->config;
    struct err e = {0};
    if (config->provider_count == 0)
        return exchange_refuse(x, 503, "no_provider", -1,
            "no provider: set OPENAI_API_KEY, ANTHROPIC_API_KEY or GEMINI_API_KEY (or write a "
            "configuration file) and restart the gateway");
    struct plan_request request = {
        .snapshot = x->snapshot,
        .asked = x->asked,
        .forced_route = client_header(x, STR("x-pointsman-route")),
        .key = x->key,
        .session = x->session,
        .tags = x->tags,
        .user_agent = x->user_agent,
        .headers = x->client_headers,
        .header_count = x->client_header_count,
        .facts = &x->facts,
        .wire = x->ep.wire,
        .random = id_random(&x->worker->ids),
        .now_us = clock_mono_us(),
        .wall_ms = x->time_ms,
    };
    x->forced = request.forced_route.n > 0;
    if (x->ep.wire == WIRE_RAW && (request.forced_route.n
            ? raw_names_provider(x, request.forced_route) : !x->asked.n)) {
        enum step_result result = raw_plan(x);
        if (result == STEP_NEXT && x->step == STEP_ROUTE)
            counter_add(COUNTER_requests, 1);
        return result;
    }
    if (x->key && x->key->account_count)
        request.budget_used_ppm = account_tightest_ppm(x->worker->shared->accounts,
            x->key->accounts[0], clock_wall_ms());
    int rc = plan_make(&request, x->worker->shared->health, &x->arena, &x->plan, &e);
    if (rc < 0)
        return refuse_plan(x, rc, &e);
    counter_add(COUNTER_requests, 1);
    return STEP_NEXT;
}

/* The accounts that this request is charged to: key, team and tags, and the route's. */
static size_t accounts_of(struct exchange *x, struct account *out[ACCOUNTS_MAX])
{
    size_t n = x->key ? x->key->account_count : 0;
    if (n)
        memcpy(out, x->key->accounts, n * sizeof out[0]);
    if (x->plan.route)
        out[n++] = account_get(x->worker->shared->accounts, ACCOUNT_ROUTE, x->plan.route->name);
    return n && !out[n - 1] ? n - 1 : n; /* without memory for a new one */
}

static enum step_result refuse_limit(struct exchange *x, const struct refusal *why)
{
    char text[300];
    account_refusal_text(why, text, sizeof text);
    if (why->kind == REFUSED_BUDGET || why->kind == REFUSED_CREDIT || why->kind == REFUSED_DEBT)
        event_say(EVENT_KIND_BUDGET_HIT, str_c(x->id), "%s", text);
    return exchange_refuse(x, account_refusal_status(why), account_refusal_code(why),
        why->retry_after_ms, "%s", text);
}

static void fill_slot(struct exchange *x)
{
    struct slot *s = x->slot;
    slot_write_begin(s);
    /* what a client wrote is covered as a whole, before any of it lies in a file */
#define COPY(field, value) str_copy(s->field, sizeof s->field, value)
    COPY(id, str_c(x->id));
    if (x->key) {
        COPY(key, x->key->name);
        COPY(team, x->key->team);
    }
    COPY(session, exchange_covered(x, x->session));
    COPY(user_agent, exchange_covered(x, x->user_agent));
    COPY(peer, x->peer);
    COPY(endpoint, exchange_covered(x, x->ep.path));
    COPY(dialect, str_c(dialect_name(x->ep.dialect)));
    COPY(model_asked, exchange_covered(x, x->asked));
    COPY(route, x->plan.route_name);
    COPY(rule, x->plan.rule_name);
    COPY(override_by, x->plan.override_by);
    COPY(tags, exchange_covered(x, x->tags));
#undef COPY
    s->time_ms = x->time_ms;
    s->started_us = x->head_us;
    s->phase = STATE_QUEUED;
    s->stream = x->facts.stream;
    s->request_bytes = (int64_t)x->body.n;
    s->input_tokens = x->facts.prompt_tokens;
    s->usage_source = USAGE_ESTIMATED;
    s->reserve_nano = x->reserve_nano;
    s->client_uid = x->client_uid;
    slot_write_end(s);
}

enum step_result step_admit(struct exchange *x)
{
    struct account *accounts[ACCOUNTS_MAX];
    size_t n = accounts_of(x, accounts);
    struct refusal why = {0};
    enum step_result result = bound_first(x, accounts, n);
    if (result != STEP_WAIT)
        return result;
    if (n && account_reserve(x->worker->shared->accounts, &x->reservation, accounts, n,
                 x->reserve_nano, x->facts.prompt_tokens, clock_wall_ms(), &why) < 0)
        return refuse_limit(x, &why);
    x->slot = slot_take(x->worker->spool);
    if (!x->slot)
        return exchange_refuse(x, 503, "too_many_requests_in_flight", 1000,
            "this gateway runs as many requests as it has room for");
    fill_slot(x);
    usage_reader_init(&x->reader, x->ep.wire, x->plan.candidates[0].provider->quirks);
    capture_begin(x);
    return STEP_NEXT;
}
