/* plan.c: from targets to an ordered plan with a reason for everyone. See plan.h.
 *
 * Who is left out: drained providers, those whose sealed keys don't open, open breakers, a prompt that
 * can't fit, a protocol that the provider does not have. Who goes last: keys that are all set aside,
 * a context that is tight, what the goal shuns. Then the policy orders what remains, the canary goes
 * in front, the fallbacks follow in their own order. */
#include "proxy/route/plan_state.h"

#include "proxy/config/sealed.h"
#include "proxy/dialect/spoke.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    LOG_BYTES = 64 * 1024,
    STEP_BYTES = 900, /* a step is shorter: names and reasons are cut */
    LOG_KEPT = 4096,  /* as record.def keeps it */
    ERROR_SHARE_PPM = 200000,
    LEAST_SAMPLES = 5,
    SPIKE_FACTOR = 2,
    ATTEMPTS = 2,
    REJECTED_MAX = 32
};
static const unsigned usual_retry_on =
    FAIL_429 | FAIL_5XX | FAIL_NETWORK | FAIL_TIMEOUT | FAIL_CONTEXT | FAIL_KEY | FAIL_MODEL;

bool plan_log_begin(struct planner *pl, const char *step, bool dull)
{
    if (pl->r->trial)
        return false;
    size_t most = pl->r->explain ? LOG_BYTES : dull ? LOG_KEPT / 2 : LOG_KEPT;
    if (pl->log.n + STEP_BYTES > most)
        return false;
    json_object_begin(&pl->w, NULL);
    json_put_c(&pl->w, "step", step);
    return true;
}

void plan_log_end(struct planner *pl)
{
    json_object_end(&pl->w);
}

static void reject(struct planner *pl, const struct provider *p, struct str model,
    const char *fmt, ...) PRINTF_LIKE(4, 5);

static void reject(struct planner *pl, const struct provider *p, struct str model,
    const char *fmt, ...)
{
    char text[160];
    if (!pl->out->rejected)
        pl->out->rejected = arena_alloc(pl->a, REJECTED_MAX * sizeof *pl->out->rejected);
    if (!pl->out->rejected || pl->out->rejected_count == REJECTED_MAX)
        return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    struct rejected *r = &pl->out->rejected[pl->out->rejected_count++];
    r->target = target_text(pl, p, model);
    r->reason = arena_str(pl->a, str_c(text));
}


/* The retry-after of a refusal is the soonest return of anybody. */
static void note_return(struct planner *pl, int64_t us)
{
    int64_t ms = us == INT64_MAX ? -1 : us / 1000 + 1;
    int64_t *soonest = &pl->out->retry_after_ms;
    if (ms >= 0 && (*soonest < 0 || ms < *soonest))
        *soonest = ms;
}

static bool breaker_lets(struct planner *pl, const struct option *o)
{
    const struct health_view *v = &o->view;
    if (v->breaker == BREAKER_OPEN) {
        note_return(pl, v->open_for_us);
        if (v->open_for_us == INT64_MAX)
            reject(pl, o->provider, o->model, "breaker open by hand until cleared");
        else
            reject(pl, o->provider, o->model, "breaker open%s, %lld s left (%s)",
                v->by_hand ? " by hand" : "", (long long)(v->open_for_us / 1000000),
                v->last_error[0] ? v->last_error : "no failure noted");
        return false;
    }
    if (v->breaker == BREAKER_HALF_OPEN && v->probing) {
        note_return(pl, 1000000);
        reject(pl, o->provider, o->model, "breaker half open, its probe is under way");
        return false;
    }
    return true;
}

/* Of those behind an open breaker the one that is soonest back: the early probe, should nobody else
 * be left. What people tripped stays shut. */
static void note_soonest(struct planner *pl, const struct option *o)
{
    if (o->view.breaker != BREAKER_OPEN || o->view.by_hand || o->view.probing)
        return;
    if (!pl->soonest.provider || o->view.open_for_us < pl->soonest.view.open_for_us)
        pl->soonest = *o;
}

/* The estimate may be a tenth too high: between the window and a tenth above it the target goes
 * last, instead of not at all. */
static bool context_lets(struct planner *pl, struct option *o)
{
    int64_t window = o->price ? o->price->context_tokens : 0, prompt = pl->facts->prompt_tokens;
    int64_t whole = prompt + MAX(pl->facts->max_output, (int64_t)0);
    pl->largest_context = MAX(pl->largest_context, window);
    if (!window || whole <= window)
        return true;
    bool strict = goal_preset(pl->goal)->flags & GOAL_FIT_WHOLE;
    if (prompt > window + window / 10 || (strict && prompt <= window)) {
        pl->too_long = true;
        reject(pl, o->provider, o->model, "%s of about %lld tokens > context %lld",
            prompt > window ? "prompt" : "prompt and output",
            (long long)(prompt > window ? prompt : whole), (long long)window);
        return false;
    }
    o->last_resort = "its context is tight";
    return true;
}

static bool wire_lets(struct planner *pl, const struct option *o)
{
    enum wire wire = pl->r->wire;
    const struct provider *p = o->provider;
    if (wire == WIRE_RAW || wire == WIRE_COUNT_TOKENS || wire == WIRE_GEMINI_COUNT)
        return true; /* counts are estimated here where nobody else can */
    if (spoke_target_wire(p->dialect, quirks_of(p->base_url), wire, pl->facts->stream) != WIRE_RAW)
        return true;
    pl->wrong_wire = true;
    reject(pl, p, o->model, "%s can't be asked of a provider that speaks %s", wire_name(wire),
        dialect_name(p->dialect));
    return false;
}

static void shun(struct planner *pl, struct option *o)
{
    unsigned flags = goal_preset(pl->goal)->flags;
    const struct health_view *v = &o->view;
    if (!v->keys_usable)
        o->last_resort = "its keys are set aside";
    if ((flags & GOAL_AVOID_ERRORS) && v->samples >= LEAST_SAMPLES &&
        v->error_ppm >= ERROR_SHARE_PPM)
        o->last_resort = "it fails too often lately";
    if ((flags & GOAL_AVOID_SPIKES) && v->samples >= LEAST_SAMPLES && v->ttft_p95_hour_us &&
        v->ttft_p95_us > SPIKE_FACTOR * v->ttft_p95_hour_us)
        o->last_resort = "it is slower than in its last hour";
}

static bool model_name(struct planner *pl, const struct target *t, struct str *out)
{
    static const struct str mark = {"$model", 6};
    ptrdiff_t at = str_find(t->model, mark);
    *out = t->model;
    if (at < 0)
        return true;
    if (pl->r->asked.n == 0) {
        reject(pl, t->provider, t->model, "the request names no model to put in");
        return false;
    }
    *out = arena_printf(pl->a, STR_FMT STR_FMT STR_FMT, STR_ARG(str_first(t->model, (size_t)at)),
        STR_ARG(pl->r->asked), STR_ARG(str_from(t->model, (size_t)at + mark.n)));
    return out->p != NULL;
}

static bool have_option(const struct planner *pl, const struct provider *p, struct str model)
{
    for (size_t i = 0; i < pl->count; i++)
        if (pl->options[i].provider == p && str_eq(pl->options[i].model, model))
            return true;
    for (size_t i = 0; i < pl->out->rejected_count; i++) {
        struct str t = pl->out->rejected[i].target;
        if (str_starts(t, p->name) && str_eq(str_from(t, p->name.n + 1), model))
            return true;
    }
    return false;
}

/* A trial asks where traffic goes on a usual day: only what was measured counts, not this moment. */
static void look_at_health(struct planner *pl, struct option *o)
{
    health_view(pl->h, o->provider, o->model, pl->r->now_us, &o->view);
    if (pl->r->trial)
        o->view = (struct health_view){.ewma_ttft_us = o->view.ewma_ttft_us,
            .ewma_total_us = o->view.ewma_total_us, .requests_left = -1, .tokens_left = -1,
            .requests_limit = -1, .tokens_limit = -1, .keys_usable = true};
}

/* Appends the target, or says why not. */
static void consider(struct planner *pl, const struct target *t)
{
    struct option o = {.provider = t->provider, .weight = t->weight};
    if (pl->count == PLAN_OPTIONS_MAX || !model_name(pl, t, &o.model) ||
        have_option(pl, o.provider, o.model))
        return;
    const struct drained *drained = pl->r->trial ? NULL : drained_of(pl, o.provider);
    if (drained) {
        reject(pl, o.provider, o.model, "provider drained");
        pl->stand_in = pl->stand_in ? pl->stand_in : drained;
        return;
    }
    if (!pl->r->trial && provider_is_locked(o.provider)) {
        reject(pl, o.provider, o.model, "its key does not open: " STR_FMT,
            STR_ARG(o.provider->keys[0].name));
        return;
    }
    o.price = plan_price(pl, o.provider, o.model);
    look_at_health(pl, &o);
    if (!context_lets(pl, &o) || !wire_lets(pl, &o))
        return;
    if (!breaker_lets(pl, &o)) {
        note_soonest(pl, &o);
        return;
    }
    shun(pl, &o);
    pl->options[pl->count++] = o;
}

static void consider_fallbacks(struct planner *pl, const struct target *targets, size_t n,
    const char *what)
{
    for (size_t i = 0; i < n; i++) {
        size_t before = pl->count;
        consider(pl, &targets[i]);
        if (pl->count > before)
            pl->options[before].reason = arena_printf(pl->a, "%s %zu", what, i + 1);
    }
}

static void consider_wide(struct planner *pl)
{
    const struct config *c = pl->r->snapshot->config;
    size_t own = pl->count;
    for (size_t i = 0; i < own; i++)
        for (size_t k = 0; k < c->provider_count; k++)
            for (size_t m = 0; m < c->providers[k].model_count; m++) {
                struct target t = {&c->providers[k], c->providers[k].models[m], 1};
                if (str_eq(t.model, pl->options[i].model))
                    consider_fallbacks(pl, &t, 1, "the same model elsewhere");
            }
}

/* What a drain has left without a place goes where the drain says. */
static void consider_stand_in(struct planner *pl)
{
    struct target one;
    const struct route *r = NULL;
    const struct drained *d = pl->stand_in;
    if (!d || !d->to.n || !read_stand_in(pl, d->to, &r, &one))
        return;
    for (size_t i = 0; r && i < r->target_count; i++)
        consider(pl, &r->targets[i]);
    for (size_t i = 0; r && i < r->fallback_count; i++)
        consider(pl, &r->fallback[i]);
    if (!r)
        consider(pl, &one);
    for (size_t i = 0; i < pl->count; i++)
        pl->options[i].reason = arena_printf(pl->a, STR_FMT " is drained, what it had goes here",
            STR_ARG(d->name));
    pl->out->stood_in = pl->count > 0;
    if (pl->count && !pl->out->override_by.n)
        pl->out->override_by = arena_printf(pl->a, "drain of " STR_FMT, STR_ARG(d->name));
}

/* --- canary --- */

/* One session stays on one side; without a session each request is drawn by itself. */
static bool canary_drawn(const struct planner *pl)
{
    uint64_t draw = pl->r->session.n ? str_hash(pl->r->session) ^ pl->route->id : pl->r->random;
    draw ^= draw >> 33;
    draw *= 0xff51afd7ed558ccdu;
    draw ^= draw >> 33;
    return (int64_t)(draw % 1000000) < pl->route->canary.share_ppm;
}

static bool canary_was_taken_back(const struct planner *pl)
{
    const struct snapshot *s = pl->r->snapshot;
    for (size_t i = 0; i < s->taken_back_count; i++)
        if (str_eq(s->taken_back[i], pl->route->name))
            return true;
    return health_canary_is_back(pl->h, pl->route);
}

static const char *canary_fault(struct planner *pl)
{
    const struct route *r = pl->route;
    struct health_view v;
    if (pl->r->trial) /* nothing of this moment counts there */
        return NULL;
    health_view(pl->h, r->canary.to.provider, r->canary.to.model, pl->r->now_us, &v);
    if (r->canary.max_error_ppm && v.samples >= LEAST_SAMPLES &&
        v.error_ppm > r->canary.max_error_ppm)
        return "taken back: too many errors";
    if (r->canary.max_latency_us && v.samples >= LEAST_SAMPLES &&
        v.ttft_p95_us > r->canary.max_latency_us)
        return "taken back: too slow";
    if (r->canary.max_cost_ppm && health_canary_dear(pl->h, r))
        return "taken back: too dear";
    return NULL;
}

/* Puts the canary in front when this request is one of its share. */
static void try_canary(struct planner *pl)
{
    if (!pl->route_by_policy || !pl->route->canary.share_ppm || !pl->route->canary.to.provider)
        return;
    struct target to = pl->route->canary.to;
    pl->out->by_chance |= !pl->r->session.n;
    if (canary_was_taken_back(pl)) {
        reject(pl, to.provider, to.model, "canary was taken back");
        return;
    }
    size_t at = pl->count;
    pl->out->beside_canary = true;
    if (!canary_drawn(pl))
        return;
    const char *fault = canary_fault(pl); /* also of one whose breaker has opened meanwhile */
    if (fault) {
        health_canary_back(pl->h, pl->route, fault);
        reject(pl, to.provider, to.model, "canary %s", fault);
        return;
    }
    consider(pl, &to);
    if (pl->count == at)
        return;
    struct option canary = pl->options[--pl->count];
    memmove(pl->options + 1, pl->options, at * sizeof pl->options[0]);
    canary.reason =
        arena_printf(pl->a, "canary, %.1f %%", (double)pl->route->canary.share_ppm / 1e4);
    pl->options[0] = canary;
    pl->count++;
    pl->out->canary = true;
    pl->out->beside_canary = false;
}

/* --- putting it together --- */

static enum policy policy_of(const struct planner *pl)
{
    const struct goal_preset *g = goal_preset(pl->goal);
    if (pl->goal != GOAL_NONE && (!pl->route || pl->route->policy == POLICY_PRIORITY))
        return g->policy;
    return pl->route ? pl->route->policy : POLICY_PRIORITY;
}

/* What is a last resort goes behind everything else, in the order that it had. */
static void put_last_resorts_last(struct planner *pl)
{
    struct option later[PLAN_OPTIONS_MAX];
    size_t kept = 0, moved = 0;
    for (size_t i = 0; i < pl->count; i++) {
        if (pl->options[i].last_resort)
            later[moved++] = pl->options[i];
        else
            pl->options[kept++] = pl->options[i];
    }
    for (size_t i = 0; i < moved; i++) {
        if (kept)
            later[i].reason = arena_printf(pl->a, STR_FMT "; last, since %s",
                STR_ARG(later[i].reason), later[i].last_resort);
        pl->options[kept + i] = later[i];
    }
}

/* The first target in the order given is there, and the policy takes the first. */
static bool takes_the_first(const struct planner *pl)
{
    return policy_of(pl) == POLICY_PRIORITY && pl->count &&
           pl->options[0].provider == pl->targets[0].provider && !pl->options[0].last_resort;
}

static void order(struct planner *pl)
{
    for (size_t i = 0; i < pl->target_count; i++)
        consider(pl, &pl->targets[i]);
    pl->out->too_long = pl->too_long && !takes_the_first(pl);
    if (pl->target_count == 1 && pl->count == 1 && !pl->route_by_policy)
        pl->options[0].reason = pl->out->override_by.n ? STR("switched there")
            : pl->out->rule ? STR("by the rule") : STR("named directly");
    else
        policy_order(policy_of(pl), pl, pl->options, pl->count);
    try_canary(pl);
    consider_fallbacks(pl, pl->more, pl->more_count, "the route's target");
    if (pl->route)
        consider_fallbacks(pl, pl->route->fallback, pl->route->fallback_count, "fallback");
    if (goal_preset(pl->goal)->flags & GOAL_WIDE)
        consider_wide(pl);
    put_last_resorts_last(pl);
    if (pl->count == 0)
        consider_stand_in(pl);
    if (pl->count == 0 && pl->soonest.provider) {
        pl->options[pl->count++] = pl->soonest;
        pl->options[0].reason = STR("its breaker is open, but nothing else is left: an early probe");
    }
}

static void carry_out(struct planner *pl)
{
    const struct goal_preset *g = goal_preset(pl->goal);
    const struct route *r = pl->route;
    struct plan *out = pl->out;
    out->attempts = r && r->retry_attempts ? r->retry_attempts : ATTEMPTS;
    out->attempts = g->attempts ? g->attempts : out->attempts;
    out->retry_on = r && r->retry_on ? r->retry_on | FAIL_KEY | FAIL_MODEL : usual_retry_on;
    out->first_token_us = r && r->first_token_us ? r->first_token_us : g->first_token_us;
}

static int tell_candidates(struct planner *pl)
{
    struct plan *out = pl->out;
    out->candidates = arena_alloc(pl->a, (pl->count + 1) * sizeof *out->candidates);
    if (!out->candidates)
        return err_set(pl->e, ERR_NOMEM, "no memory for the plan");
    for (size_t i = 0; i < pl->count; i++) {
        const struct option *o = &pl->options[i];
        out->candidates[i] = (struct candidate){o->provider, o->model, o->reason, o->score};
        if (!plan_log_begin(pl, "candidate", i > 7))
            continue;
        json_put_int(&pl->w, "place", (int64_t)i + 1);
        json_put_str(&pl->w, "target", target_text(pl, o->provider, o->model));
        json_put_str(&pl->w, "reason", str_first(o->reason, 200));
        bool says_something = o->score < (double)i || o->score > (double)i; /* not just its place */
        if (isfinite(o->score) && says_something)
            json_put_double(&pl->w, "score", o->score);
        plan_log_end(pl);
    }
    out->count = pl->count;
    return 0;
}

static void tell_rejected(struct planner *pl)
{
    for (size_t i = 0; i < pl->out->rejected_count; i++) {
        if (!plan_log_begin(pl, "rejected", i > 7))
            continue;
        json_put_str(&pl->w, "target", pl->out->rejected[i].target);
        json_put_str(&pl->w, "reason", pl->out->rejected[i].reason);
        plan_log_end(pl);
    }
}

static int nobody_left(struct planner *pl)
{
    struct str list = STR("");
    size_t n = pl->out->rejected_count, too_long = 0, wrong_wire = 0;
    for (size_t i = 0; i < n; i++) {
        const struct rejected *r = &pl->out->rejected[i];
        too_long += str_find(r->reason, STR("> context")) >= 0;
        wrong_wire += str_find(r->reason, STR("can't be asked of")) >= 0;
        if (i < 3)
            list = arena_printf(pl->a, STR_FMT "%s" STR_FMT ": " STR_FMT, STR_ARG(list),
                i ? "; " : "", STR_ARG(str_first(r->target, 60)),
                STR_ARG(str_first(r->reason, 80)));
    }
    if (pl->too_long && too_long == n)
        return err_set(pl->e, ERR_LIMIT,
            "prompt of about %lld tokens (asked output: %lld) fits no target of \"" STR_FMT
            "\"; the largest context window is %lld tokens",
            (long long)pl->facts->prompt_tokens, (long long)pl->facts->max_output,
            STR_ARG(str_first(pl->name, 100)), (long long)pl->largest_context);
    if (pl->wrong_wire && wrong_wire == n)
        return err_set(pl->e, ERR_UNSUPPORTED, "no target of \"" STR_FMT "\" can do it: " STR_FMT,
            STR_ARG(str_first(pl->name, 100)), STR_ARG(list));
    return err_set(pl->e, ERR_FULL, "no target of \"" STR_FMT "\" can take requests now%s" STR_FMT,
        STR_ARG(str_first(pl->name, 100)), n ? ": " : "", STR_ARG(list));
}

/* Everything after the name is known to be good. */
static int make(struct planner *pl)
{
    int rc = plan_resolve(pl);
    if (rc)
        return rc;
    pl->out->route = pl->route;
    pl->out->route_name = pl->route ? pl->route->name : STR("");
    order(pl);
    carry_out(pl);
    rc = tell_candidates(pl);
    tell_rejected(pl);
    return rc ? rc : pl->count ? 0 : nobody_left(pl);
}

int plan_make(const struct plan_request *r, const struct health *h, struct arena *a,
    struct plan *out, struct err *e)
{
    static const struct request_facts nothing;
    struct planner pl; /* some 20 KiB: on the stack, since the arena lives as long as the stream */
    memset(&pl, 0, offsetof(struct planner, options));
    *out = (struct plan){.retry_after_ms = -1};
    pl.r = r;
    pl.facts = r->facts ? r->facts : &nothing;
    pl.h = h;
    pl.a = a;
    pl.out = out;
    pl.e = e;
    pl.name = r->forced_route.n ? r->forced_route : r->asked;
    buf_init(&pl.log, LOG_BYTES);
    buf_reserve(&pl.log, 500); /* what most decisions take */
    pl.w = json_writer(&pl.log);
    json_array_begin(&pl.w, NULL);
    int rc = make(&pl);
    json_array_end(&pl.w);
    out->log = pl.log.err ? STR("") : arena_str(a, buf_str(&pl.log));
    buf_fini(&pl.log);
    return rc;
}
