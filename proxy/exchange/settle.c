/* settle.c: what it was worth, written down before anybody may stop reading: usage, price, end
 * record in the spool, then the accounts. Idempotent: every way of ending comes through here once. */
#include "proxy/exchange/exchange.h"

#include "proxy/event/event.h"
#include "proxy/event/repeats.h"
#include "proxy/meter/billed.h"
#include "proxy/worker.h"
#include "store/base/clock.h"
#include "store/base/log.h"
#include "store/base/secret.h"

#include <stdio.h>

enum { WHY_MAX = 4096 }; /* of a record */
enum { IMAGE_TOKENS_USUAL = 1056 }; /* a square one of medium quality */
enum { PROMPTS_A_CALL = 4 };        /* the same request, against the same tool call, before it is said */

/* Output tokens of what passed: counted text by text once the reader has finished, by bytes before. */
static int64_t seen_tokens(const struct exchange *x)
{
    return x->settled ? x->reader.content_tokens : tokens_of_bytes(x->reader.content_bytes);
}

/* The attempt that was last begun; NULL before the first. */
static const struct attempt *last_attempt(const struct exchange *x)
{
    return x->attempt_count ? &x->attempts[x->attempt_count - 1] : NULL;
}

/* It said that it failed, and nothing else. */
static bool refused_by_provider(const struct exchange *x)
{
    return x->mode == ANSWER_FAILED || (x->reader.saw_error && x->reader.content_bytes == 0);
}

/* May the provider have charged for this although it said no usage? Not where it refused. */
static bool may_have_cost(const struct exchange *x)
{
    const struct attempt *a = last_attempt(x);
    if (!x->body_sent || !a || refused_by_provider(x) || x->ep.wire == WIRE_COUNT_TOKENS ||
        x->ep.wire == WIRE_GEMINI_COUNT || (x->ep.wire == WIRE_RAW && !x->price))
        return false;
    if (x->mode == ANSWER_EVENTS || x->mode == ANSWER_PIPED)
        return true;
    if (x->mode == ANSWER_HELD && x->held.n) /* cut, or not to be read */
        return true;
    if (x->ep.wire == WIRE_RAW && !a->ended_us) /* it runs */
        return true;
    return strcmp(a->outcome, "timeout") == 0 || x->outcome == OUTCOME_OK ||
           x->outcome == OUTCOME_CANCELLED || x->outcome == OUTCOME_INTERRUPTED;
}

/* The usage so far, as measured or (what the provider did not say) estimated. */
static struct usage usage_now(const struct exchange *x, enum usage_source *source)
{
    struct usage u = x->reader.usage;
    if ((x->outcome == OUTCOME_OK || may_have_cost(x)) && raw_usage(x, &u, source))
        return u;
    if (u.have_usage) {
        bool whole = x->outcome == OUTCOME_OK || x->outcome == OUTCOME_NONE || x->reader.saw_finish;
        *source = whole ? USAGE_MEASURED : USAGE_PARTIAL;
        if (!whole) /* a first figure, before the rest was written */
            u.output = MAX(u.output, seen_tokens(x));
        if (!u.have_input && may_have_cost(x)) {
            u.input = x->facts.prompt_tokens;
            *source = USAGE_PARTIAL;
        }
        return u;
    }
    if (!may_have_cost(x)) {
        *source = USAGE_NONE;
        return u;
    }
    *source = USAGE_ESTIMATED;
    u.input = x->facts.prompt_tokens;
    u.output = seen_tokens(x) + x->raw_work.images * IMAGE_TOKENS_USUAL;
    return u;
}

/* A search model that was asked to search did, whether it quotes what it found or not. */
static bool searched_unsaid(const struct exchange *x, const struct usage *u)
{
    return x->facts.web_search && u->searches == 0 && u->unit_milli[UNIT_search_low] == 0 &&
           u->unit_milli[UNIT_search_high] == 0 && x->wire == WIRE_CHAT;
}

/* What the answer leaves out, known from the request and from where it was sent. */
static void add_asked(const struct exchange *x, struct usage *u)
{
    if (searched_unsaid(x, u))
        u->searches = 1;
    if (u->searches && x->facts.search_size != SEARCH_MEDIUM)
        usage_searched(u, u->searches, x->facts.search_size);
    if (x->ep.wire != WIRE_RAW)
        u->unit_milli[UNIT_image_in] = x->facts.image_count * 1000;
    else if (x->raw_work.images && !u->output_split)
        u->image_out = u->output;
    enum residency in = x->target ? x->target->provider->served_in : RESIDENCY_NONE;
    u->served[FACTOR_us] |= in == RESIDENCY_US;
    u->served[FACTOR_eu] |= in == RESIDENCY_EU;
    u->served[FACTOR_region] |= in == RESIDENCY_REGION;
}

struct charge {
    struct usage usage;
    enum usage_source usage_source;
    enum cost_source cost_source;
    enum price_tier tier;
    int64_t cost_nano, list_nano;
};

static struct charge charge_now(const struct exchange *x)
{
    struct charge c = {.usage = usage_now(x, &c.usage_source)};
    c.tier = price_tier_from(str_c(x->reader.service_tier));
    c.usage.earlier_nano = x->earlier_nano;
    if (c.usage_source == USAGE_NONE) {
        c.cost_nano = c.list_nano = x->earlier_nano;
        c.cost_source = x->earlier_nano ? COST_ESTIMATED : COST_NONE;
        return c;
    }
    add_asked(x, &c.usage);
    const struct price *images = x->target
        ? price_of_images(x->snapshot->config->prices, x->target->provider->name, &c.usage) : NULL;
    c.cost_nano = price_charge(x->price, images, &c.usage, c.tier, &c.list_nano, &c.cost_source);
    if (c.cost_source == COST_MEASURED && c.usage_source != USAGE_MEASURED)
        c.cost_source = COST_ESTIMATED;
    if (x->target && x->target->provider->client_login && c.cost_source != COST_NONE)
        c.cost_source = COST_SUBSCRIPTION;
    return c;
}

/* What the account pays: a subscription's list price is shown, not charged. */
static int64_t charged(const struct charge *c)
{
    return c->cost_source == COST_SUBSCRIPTION ? c->usage.earlier_nano : c->cost_nano;
}

static void write_usage(struct slot *s, const struct charge *c)
{
    s->input_tokens = c->usage.input;
    s->cached_tokens = c->usage.cached;
    s->cache_write_tokens = c->usage.cache_write_5m + c->usage.cache_write_1h;
    s->cache_write_1h_tokens = c->usage.cache_write_1h;
    s->output_tokens = c->usage.output;
    s->reasoning_tokens = c->usage.reasoning;
    s->usage_source = c->usage_source;
    s->cost_nano = charged(c);
}

void settle_attempt(struct exchange *x)
{
    usage_finish(&x->reader);
    struct charge c = charge_now(x);
    x->earlier_nano = charged(&c);
    usage_reader_init(&x->reader, x->wire, 0);
    x->body_sent = false;
    slot_write_begin(x->slot);
    x->slot->body_sent = 0;
    x->slot->earlier_nano = x->earlier_nano;
    write_usage(x->slot, &(struct charge){.cost_nano = x->earlier_nano, .usage_source = USAGE_ESTIMATED,
        .usage.input = x->facts.prompt_tokens});
    slot_write_end(x->slot);
}

void slot_update(struct exchange *x)
{
    struct slot *s = x->slot;
    if (!s || x->settled)
        return;
    struct charge c = charge_now(x);
    int64_t streaming_us = x->received_us - x->first_token_us;
    slot_write_begin(s);
    s->response_bytes = x->response_bytes;
    s->content_bytes = x->reader.content_bytes;
    s->tool_calls = x->reader.tool_calls;
    s->max_gap_us = x->max_gap_us;
    write_usage(s, &c);
    if (x->first_token_us && streaming_us > 0)
        s->tokens_per_second = c.usage.output * 1000000 / streaming_us;
    slot_write_end(s);
}

static struct str attempts_json(struct exchange *x)
{
    struct buf b;
    buf_init(&b, 4096);
    buf_reserve(&b, 500); /* what one or two take */
    struct json_writer w = json_writer(&b);
    json_array_begin(&w, NULL);
    for (unsigned i = 0; i < x->attempt_count; i++) {
        const struct attempt *a = &x->attempts[i];
        json_object_begin(&w, NULL);
        json_put_c(&w, "target", a->target);
        json_put_int(&w, "status", a->status);
        json_put_c(&w, "outcome", a->outcome);
        json_put_c(&w, "reason", a->reason);
        json_put_int(&w, "ms", ((a->ended_us ? a->ended_us : clock_mono_us()) - a->started_us) /
            1000);
        json_object_end(&w);
    }
    json_array_end(&w);
    struct str s = b.err ? STR("[]") : arena_str(&x->arena, buf_str(&b));
    buf_fini(&b);
    return s;
}

/* Records are read by people. */
struct str exchange_covered(struct exchange *x, struct str text)
{
    if (text.n < SECRET_VALUE_MIN)
        return text;
    struct str copy = arena_str(&x->arena, text);
    if (copy.p) {
        secret_redact((char *)(uintptr_t)copy.p, copy.n);
        capture_cover_login(x, (char *)(uintptr_t)copy.p, copy.n);
    }
    return copy.p ? copy : STR("");
}

/* The plan's log; a refusal stands at its end, since nothing after it was decided. */
static struct str why_json(struct exchange *x)
{
    struct str log = x->plan.log.n ? x->plan.log : STR("[]");
    if (x->outcome != OUTCOME_REFUSED || log.n < 2)
        return x->plan.log;
    struct buf b;
    buf_init(&b, 8192);
    buf_put_str(&b, str_first(log, log.n - 1));
    buf_puts(&b, log.n > 2 ? "," : "");
    struct json_writer w = json_writer(&b);
    json_object_begin(&w, NULL);
    json_put_c(&w, "step", "refused");
    json_put_c(&w, "code", x->error_code);
    json_put_c(&w, "reason", x->error_message);
    json_object_end(&w);
    buf_putc(&b, ']');
    struct str s = b.err || b.n > WHY_MAX ? x->plan.log : arena_str(&x->arena, buf_str(&b));
    buf_fini(&b);
    return s;
}

static void record_texts(struct exchange *x, struct record *r)
{
    r->id = str_c(x->id);
    if (x->key) {
        r->key = x->key->name;
        r->team = x->key->team;
    }
    r->session = exchange_covered(x, x->session);
    r->tags = exchange_covered(x, x->tags);
    r->user_agent = exchange_covered(x, x->user_agent);
    r->peer = x->peer;
    r->endpoint = exchange_covered(x, x->ep.path);
    r->dialect = str_c(dialect_name(x->ep.dialect));
    r->model_asked = exchange_covered(x, x->asked);
    r->route = x->plan.route_name;
    r->rule = x->plan.rule_name;
    if (x->target) {
        r->provider = x->target->provider->name;
        r->model = exchange_covered(x, x->target->model);
    }
    r->model_served = exchange_covered(x, str_c(x->reader.model_served));
    r->finish_reason = exchange_covered(x, str_c(x->reader.finish_reason));
    r->override_by = x->plan.override_by;
    r->error_code = exchange_covered(x,
        str_c(x->error_code[0] ? x->error_code : x->reader.error_code));
    r->error_message = exchange_covered(x,
        str_c(x->error_message[0] ? x->error_message : x->reader.error_message));
    r->upstream_request_id = exchange_covered(x, str_c(x->upstream_request_id));
    r->response_ref = exchange_covered(x, str_c(x->reader.response_id));
    r->attempts = exchange_covered(x, attempts_json(x));
    r->why = exchange_covered(x, why_json(x));
    r->dropped = str_c(x->dropped ? x->dropped : "");
    r->price_key = x->price ? str_c(x->price->key) : STR_NULL;
}

/* Is some of it billed by the day, the hour or the minute, beside what the answer states? */
static bool used_unseen(const struct exchange *x)
{
    const struct usage_tools *t = &x->reader.tools;
    return x->body_sent && (x->facts.stored || t->sessions || t->file_searches || t->code);
}

static void record_numbers(struct exchange *x, const struct charge *c, struct record *r)
{
    int64_t now = clock_mono_us();
    r->time_ms = x->time_ms;
    r->stream = x->facts.stream;
    r->state = STATE_DONE;
    r->status = x->status;
    r->outcome = x->outcome;
    r->input_tokens = c->usage.input;
    r->cached_tokens = c->usage.cached;
    r->cache_write_tokens = c->usage.cache_write_5m + c->usage.cache_write_1h;
    r->cache_write_1h_tokens = c->usage.cache_write_1h;
    r->output_tokens = c->usage.output;
    r->reasoning_tokens = c->usage.reasoning;
    r->audio_input_tokens = c->usage.audio_in;
    r->audio_output_tokens = c->usage.audio_out;
    r->usage_source = c->usage_source;
    r->cost_nano = charged(c);
    r->cost_source = c->cost_source;
    r->list_cost_nano = c->list_nano;
    r->reserve_nano = x->reserve_nano;
    r->request_bytes = (int64_t)x->body.n;
    r->response_bytes = x->response_bytes;
    r->queue_us = x->queue_us;
    r->connect_us = x->connect_us;
    r->retry_us = x->retry_us;
    r->ttft_us = x->first_token_us ? x->first_token_us - x->head_us : 0;
    r->max_gap_us = x->max_gap_us;
    r->client_stall_us = x->q ? http_client_stall_us(x->q) : 0;
    r->overhead_us = x->overhead_us;
    r->total_us = now - x->head_us;
    r->tool_calls = x->reader.tool_calls;
    r->client_uid = x->client_uid;
    r->slot = x->slot ? x->slot->index : -1;
    r->worker = x->worker->index;
    r->features = RECORD_FEATURES | (x->facts.tools ? RECORD_TOOLS : 0) |
                  (x->facts.images ? RECORD_IMAGES : 0) |
                  (x->facts.json_schema ? RECORD_JSON_SCHEMA : 0) | (x->forced ? RECORD_FORCED : 0) |
                  (used_unseen(x) ? RECORD_UNSEEN : 0);
}

static void count(const struct exchange *x, const struct charge *c)
{
    switch (x->outcome) {
    case OUTCOME_OK:
        counter_add(COUNTER_requests_ok, 1);
        break;
    case OUTCOME_CANCELLED:
        counter_add(COUNTER_requests_cancelled, 1);
        break;
    case OUTCOME_UPSTREAM_ERROR:
    case OUTCOME_TIMEOUT:
    case OUTCOME_TRUNCATED:
        counter_add(COUNTER_requests_failed, 1);
        break;
    default:
        break;
    }
    counter_add(COUNTER_tokens_in, c->usage.input);
    counter_add(COUNTER_tokens_cached, c->usage.cached);
    counter_add(COUNTER_tokens_out, c->usage.output);
    counter_add(COUNTER_cost_nano, charged(c));
}

/* Costs above the reserve are charged all the same; who is below zero now takes no more requests. */
static void say_debt(const struct exchange *x, int64_t cost_nano)
{
    char cost[40], above[40], debt[40];
    struct account_view v;
    money_show(cost_nano, cost, sizeof cost);
    money_show(cost_nano - x->reserve_nano, above, sizeof above);
    for (size_t i = 0; i < account_count(&x->reservation); i++) {
        struct account *a = x->reservation.accounts[i];
        account_view(x->worker->shared->accounts, a, clock_wall_ms(), &v);
        if (v.debt_nano <= 0)
            continue;
        money_show(v.debt_nano, debt, sizeof debt);
        event_say(EVENT_KIND_DEBT, str_c(x->id), "%s " STR_FMT " is $%s in debt and blocked: a "
            "request cost $%s, $%s above its reserve", account_kind_name(account_kind(a)),
            STR_ARG(account_name(a)), debt, cost, above);
    }
}

/* A canary is held against what the others really cost. One that failed over counts for nobody. */
static void compare_canary(const struct exchange *x, const struct charge *c)
{
    const struct plan *p = &x->plan;
    bool taken = p->canary && x->target == &p->candidates[0];
    if (x->outcome == OUTCOME_OK && (taken || p->beside_canary) && p->route->canary.max_cost_ppm)
        health_canary_cost(x->worker->shared->health, p->route, taken, charged(c));
}

/* Said once, and at every doubling. */
static bool worth_saying(int64_t n, int64_t limit)
{
    int64_t at = limit;
    while (at < n)
        at *= 2;
    return at == n;
}

/* A program that is stuck sends one prompt again and again; some do so on purpose, so later than for a
 * tool call. Told of the session, else of the key. */
static void watch_prompt(struct exchange *x, int64_t limit)
{
    struct str key = x->key ? x->key->name : STR_NULL, who = x->session.n ? x->session : key;
    if (x->ep.wire == WIRE_RAW || x->ep.wire == WIRE_EMBEDDINGS || x->ep.wire == WIRE_GEMINI_EMBED)
        return;
    struct str name = ARENA_JOIN(&x->arena, STR("prompt "), x->session.n ? STR("s ") : STR("k "), who);
    int64_t n = name.p ? repeats_note(name, repeats_digest(buf_str(&x->body)), x->time_ms) : 0;
    if (!worth_saying(n, limit * PROMPTS_A_CALL))
        return;
    if (x->session.n)
        event_say(EVENT_KIND_LOOPING, str_c(x->id), "session " STR_FMT " sent the same request %lld times: "
            "look at it, or end it with `pointsman cancel session:" STR_FMT "`", STR_ARG(str_first(who, 64)),
            (long long)n, STR_ARG(str_first(who, 64)));
    else
        event_say(EVENT_KIND_LOOPING, str_c(x->id), "%s" STR_FMT " sent the same request %lld times: look "
            "at it, or pause its key", who.n ? "key " : "somebody without a key",
            STR_ARG(str_first(who, 64)), (long long)n);
}

/* An agent that is stuck makes the same call again and again. */
static void watch_for_loops(struct exchange *x)
{
    int64_t limit = x->snapshot->config->alarm_repeats;
    if (!limit || x->outcome != OUTCOME_OK)
        return;
    watch_prompt(x, limit);
    if (!x->reader.calls_digest || !x->session.n)
        return;
    int64_t n = repeats_note(x->session, x->reader.calls_digest, x->time_ms);
    if (worth_saying(n, limit))
        event_say(EVENT_KIND_LOOPING, str_c(x->id), "session " STR_FMT " made the same tool call "
            "%lld times: look at it, or end it with `pointsman cancel session:" STR_FMT "`",
            STR_ARG(str_first(x->session, 64)), (long long)n, STR_ARG(str_first(x->session, 64)));
}

/* Is this worth a row? A stranger never reaches the store: refusals before a key or an open door was
 * recognised are events only. */
static bool kept(const struct exchange *x)
{
    return x->slot || x->step > STEP_AUTH;
}

void settle(struct exchange *x)
{
    if (x->settled)
        return;
    x->settled = true;
    if (x->attempt_count && !x->attempts[x->attempt_count - 1].ended_us)
        attempt_end(x, "ok", x->upstream_status, "");
    usage_finish(&x->reader);
    struct charge c = charge_now(x);
    if (!kept(x) || x->ep.handler != HANDLE_RELAY)
        return;
    if (x->slot) {
        slot_write_begin(x->slot);
        write_usage(x->slot, &c);
        slot_write_end(x->slot);
    }
    struct record r = {0};
    char billed[200];
    record_texts(x, &r);
    billed_write(&c.usage, c.tier, billed, sizeof billed);
    r.billed = str_c(billed);
    record_numbers(x, &c, &r);
    if (spool_append(x->worker->spool, SPOOL_END, &r) < 0) {
        counter_add(COUNTER_records_lost, 1);
        log_error("%s: its end record could not be kept", x->id);
    }
    if (x->reservation.active) {
        account_settle(x->worker->shared->accounts, &x->reservation, charged(&c),
            c.usage.input + c.usage.output);
        if (charged(&c) > x->reserve_nano)
            say_debt(x, charged(&c));
    }
    count(x, &c);
    compare_canary(x, &c);
    watch_for_loops(x);
    if (x->slot) {
        struct charge shown = c; /* for the cost header of a held answer */
        slot_write_begin(x->slot);
        x->slot->cost_nano = charged(&shown);
        slot_write_end(x->slot);
    }
}

enum step_result step_settle(struct exchange *x)
{
    settle(x);
    loop_timer_stop(x->worker->loop, &x->timer);
    loop_timer_stop(x->worker->loop, &x->total_timer);
    if (x->call) {
        upstream_cancel(x->call);
        x->call = NULL;
    }
    attempt_release(x);
    if (x->counted_in_flight) { /* ended by us */
        x->counted_in_flight = false;
        health_ended(x->worker->shared->health, x->target->provider, x->target->model, FAIL_CLIENT,
            0, 0, clock_mono_us());
    }
    capture_end(x);
    return STEP_NEXT;
}
