/* bound.c: what a request may cost at most, reserved before it is sent and raised while it runs.
 *
 * Why: a key can't spend what it does not have only if every way to spend is bounded first: the
 * target that answers in the end (not the one planned first), the service tier asked for, output
 * that nobody limited, input that only the provider can see. What has no bound is refused, or runs
 * as debt, as `unbounded` says; a stream without a maximum is topped up in steps as it passes. */
#include "proxy/exchange/exchange.h"

#include "proxy/event/event.h"
#include "proxy/worker.h"

#include <stdio.h>

enum { TOP_UP_STEP_TOKENS = 512, TOP_UP_LEAST_TOKENS = 32, BYTES_PER_TOKEN_LEAST = 3, TOOL_CALLS_USUAL_MOST = 16,
    IMAGES_USUAL_MOST = 4 };

static bool has_no_output(enum wire wire)
{
    return wire == WIRE_EMBEDDINGS || wire == WIRE_GEMINI_EMBED || wire == WIRE_COUNT_TOKENS ||
           wire == WIRE_GEMINI_COUNT;
}

/* Most output tokens of one candidate at that price, or -1: nothing bounds them. */
static int64_t output_bound(const struct exchange *x, const struct price *p)
{
    const struct config *config = x->snapshot->config;
    if (has_no_output(x->ep.wire))
        return 0;
    if (x->facts.max_output)
        return x->facts.max_output;
    int64_t model = p->max_output_tokens ? p->max_output_tokens : p->context_tokens;
    if (x->facts.stream || config->unbounded == UNBOUNDED_DEBT) /* begins small, grows as it runs */
        return model ? MIN(model, config->reserve_output) : config->reserve_output;
    return config->unbounded == UNBOUNDED_MODEL_MAX && model ? model : -1;
}

/* Most input tokens, or -1. */
static int64_t input_bound(const struct exchange *x, const struct price *p)
{
    enum unbounded rule = x->snapshot->config->unbounded;
    if (!x->facts.unbounded_input || rule == UNBOUNDED_DEBT)
        return x->facts.prompt_bytes;
    return rule == UNBOUNDED_MODEL_MAX && p->context_tokens
        ? MAX(p->context_tokens, x->facts.prompt_bytes) : -1;
}

/* Uses of tools at the provider's side: as asked, else as many as one answer rarely makes. */
static int64_t tool_calls_bound(const struct request_facts *f)
{
    if (f->server_tools)
        return f->tool_calls_most ? f->tool_calls_most : TOOL_CALLS_USUAL_MOST;
    return f->web_search;
}

/* Images that a tool of the answer makes with a model of its own, at the rates of `p` where nobody
 * knows that one's. */
static int64_t images_bound(const struct exchange *x, const struct price *p, struct str provider, int64_t in)
{
    struct usage u = {.drawn = {.output = 1}};
    if (!x->facts.image_tool)
        return 0;
    str_copy(u.drawn.model, sizeof u.drawn.model,
        x->facts.tool_model.n ? x->facts.tool_model : STR(USAGE_DRAWN_USUAL));
    const struct price *images = price_of_images(x->snapshot->config->prices, provider, &u);
    int64_t most = MIN(tool_calls_bound(&x->facts), (int64_t)IMAGES_USUAL_MOST);
    return price_bound(images ? images : p, in, most * IMAGE_TOKENS_MOST);
}

/* What this target may cost; -1 where nothing bounds it. *output: tokens of all candidates. */
static int64_t bound_at(const struct exchange *x, const struct candidate *c, const struct price *p,
    int64_t *output)
{
    if (x->ep.wire == WIRE_RAW) {
        int64_t nano = raw_bound(x, p);
        return nano < 0 && x->snapshot->config->unbounded == UNBOUNDED_DEBT ? 0 : nano;
    }
    int64_t in = input_bound(x, p), out = output_bound(x, p);
    if (in < 0 || out < 0)
        return -1;
    *output = out * MAX(x->facts.n, (int64_t)1);
    return price_bound_tier(p, in, *output, price_tier_from(x->facts.service_tier)) +
           images_bound(x, p, c->provider->name, in) +
           price_bound_tools(p, tool_calls_bound(&x->facts), x->facts.image_count);
}

static const struct price *price_of(const struct exchange *x, const struct candidate *c)
{
    return x->ep.wire == WIRE_RAW ? raw_price(x, c)
        : price_find(x->snapshot->config->prices, c->provider->name, c->model);
}

/* Requests of a demo or paid by the caller's own login need no price. */
static bool price_missing(const struct exchange *x, const struct candidate *c,
    const struct price *p)
{
    return !p && x->snapshot->config->unknown_price == UNKNOWN_PRICE_REFUSE &&
           !c->provider->demo && !c->provider->client_login;
}

static enum step_result refuse_unbounded(struct exchange *x, const struct candidate *c)
{
    struct arena *a = &x->arena;
    struct str model = arena_printf(a, STR_FMT "/" STR_FMT, STR_ARG(c->provider->name),
        STR_ARG(str_first(c->model, 100)));
    bool output = output_bound(x, x->price) < 0;
    if (x->ep.wire == WIRE_RAW)
        return exchange_refuse(x, 400, "unbounded_cost", -1, "what this request may cost is only known "
            "after it, and it is charged to a budget; `unbounded: debt` lets it run, and a known "
            "`max_output` under `prices` of " STR_FMT " bounds it", STR_ARG(model));
    return exchange_refuse(x, 400, "unbounded_cost", -1,
        "what this request may cost has no bound, and it is charged to a budget: %s. The gateway's "
        "owner can allow it: `prices: { " STR_FMT ": { %s } }` says the model's own limit, "
        "`unbounded: debt` lets it run",
        output ? "set a maximum of output tokens, or stream the answer"
               : "send files and images by content instead of naming them, and leave out stored "
                 "conversations and tools that work at the provider's side",
        STR_ARG(model), output ? "max_output: 8192" : "context: 128000");
}

/* Does any of the accounts have a limit on money? Without one nothing has to be bounded. */
static bool any_budget(struct exchange *x, struct account *const *accounts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (account_limits_money(x->worker->shared->accounts, accounts[i]))
            return true;
    return false;
}

enum step_result bound_first(struct exchange *x, struct account *const *accounts, size_t n)
{
    const struct candidate *c = &x->plan.candidates[0];
    x->price = price_of(x, c);
    if (price_missing(x, c, x->price))
        return exchange_refuse(x, 403, "unknown_price", -1, "no price is known for " STR_FMT "/"
            STR_FMT ", and this gateway refuses such models: add it under `prices`, or import a "
            "newer list (pointsman prices import)", STR_ARG(c->provider->name), STR_ARG(c->model));
    if (!x->price)
        return STEP_WAIT;
    int64_t nano = bound_at(x, c, x->price, &x->reserve_output);
    if (nano < 0 && any_budget(x, accounts, n))
        return refuse_unbounded(x, c);
    x->reserve_nano = MAX(nano, (int64_t)0);
    return STEP_WAIT;
}

static bool no(struct bound_no *why, int status, const char *code, const char *text)
{
    *why = (struct bound_no){.status = status, .code = code, .retry_ms = -1};
    snprintf(why->text, sizeof why->text, "%s", text);
    return false;
}

static bool no_money(struct exchange *x, struct refusal *r, struct bound_no *why)
{
    r->running = false; /* the request, not an answer that grows */
    no(why, account_refusal_status(r), account_refusal_code(r), "");
    why->retry_ms = r->retry_after_ms;
    account_refusal_text(r, why->text, sizeof why->text);
    event_say(EVENT_KIND_BUDGET_HIT, str_c(x->id), "%s", why->text);
    return false;
}

/* A dearer target than the one reserved for needs the difference before it is asked; so does one that
 * is asked after an attempt that had to be paid for. */
bool bound_target(struct exchange *x, struct bound_no *why)
{
    const struct candidate *c = x->target;
    struct refusal refusal;
    int64_t output = 0;
    x->price = price_of(x, c);
    if (price_missing(x, c, x->price))
        return no(why, 403, "unknown_price", "no price is known for this target");
    if (!x->price || !x->reservation.active)
        return true;
    int64_t nano = bound_at(x, c, x->price, &output);
    if (nano < 0 && any_budget(x, x->reservation.accounts, account_count(&x->reservation)))
        return no(why, 400, "unbounded_cost", "what this target may cost has no bound");
    nano = MAX(nano, (int64_t)0) > INT64_MAX - x->earlier_nano ? INT64_MAX
                                                              : MAX(nano, (int64_t)0) + x->earlier_nano;
    x->reserve_output = MAX(x->reserve_output, output);
    if (nano <= x->reserve_nano)
        return true;
    if (account_top_up(x->worker->shared->accounts, &x->reservation, nano - x->reserve_nano,
            &refusal) < 0)
        return no_money(x, &refusal, why);
    x->reserve_nano = nano;
    return true;
}

static int64_t output_so_far(const struct exchange *x)
{
    int64_t seen = x->reader.content_bytes / BYTES_PER_TOKEN_LEAST;
    return MAX(x->reader.usage.output, seen);
}

static bool top_up(struct exchange *x, int64_t tokens, struct refusal *why)
{
    int64_t nano = price_bound_tier(x->price, 0, tokens, price_tier_from(x->facts.service_tier));
    if (account_top_up(x->worker->shared->accounts, &x->reservation, nano, why) < 0)
        return false;
    x->reserve_output += tokens;
    x->reserve_nano += nano;
    slot_write_begin(x->slot);
    x->slot->reserve_nano = x->reserve_nano;
    slot_write_end(x->slot);
    return true;
}

bool bound_grow(struct exchange *x)
{
    const struct config *config = x->snapshot->config;
    char text[300];
    struct refusal why;
    if (!x->reservation.active || !x->price || output_so_far(x) < x->reserve_output)
        return true;
    int64_t passed = output_so_far(x) - x->reserve_output;
    int64_t step = MAX(config->reserve_output / 4, (int64_t)TOP_UP_STEP_TOKENS);
    for (; step >= TOP_UP_LEAST_TOKENS; step /= 4) /* near the end of the money in small ones */
        if (top_up(x, passed + step, &why))
            return true;
    account_refusal_text(&why, text, sizeof text);
    if (config->top_up == TOP_UP_DEBT) {
        event_say(EVENT_KIND_BUDGET_HIT, str_c(x->id), "stream runs on as debt: %s", text);
        x->reserve_output = INT64_MAX;
        return true;
    }
    event_say(EVENT_KIND_BUDGET_HIT, str_c(x->id), "stream cut: %s", text);
    upstream_cancel(x->call);
    x->call = NULL;
    x->outcome = OUTCOME_REFUSED;
    attempt_end(x, "cut", x->upstream_status, text);
    exchange_fail(x, 402, account_refusal_code(&why), text);
    return false;
}
