/* plan_state.h: what plan.c, resolve.c, policies.c, goals.c and match.c share. Private to this
 * room.
 *
 * A plan is made in three steps: resolve (a name → a route or targets), order (targets → options,
 * filtered and sorted by the policy), tell (candidates, rejections, the log of steps). */
#ifndef POINTSMAN_PLAN_STATE_H
#define POINTSMAN_PLAN_STATE_H

#include "proxy/meter/price.h"
#include "proxy/route/plan.h"

enum { PLAN_OPTIONS_MAX = 64, PLAN_HOPS_MAX = 8 };

struct option {
    const struct provider *provider;
    struct str model;
    unsigned weight;
    struct health_view view;
    const struct price *price;   /* NULL: unknown */
    const char *last_resort;     /* why it is used only when nothing better is left; NULL */
    struct str reason;
    double score;                /* the policy's: lower is better */
};

struct planner {
    const struct plan_request *r;
    const struct request_facts *facts; /* never NULL */
    const struct health *h;
    struct arena *a;
    struct plan *out;
    struct err *e;
    struct str name;             /* asked, or the forced route */
    struct buf log;
    struct json_writer w;
    /* what resolving found */
    const struct route *route;   /* whose settings hold; NULL when named directly */
    const struct target *targets;
    size_t target_count;
    const struct target *more;   /* an overridden route's own targets: behind the new one */
    size_t more_count;
    enum goal goal;
    bool route_by_policy;        /* targets are the route's own list: canary and weights apply */
    const struct route *seen[PLAN_HOPS_MAX]; /* routes on the way here */
    size_t hops;
    /* what ordering made */
    size_t count;
    bool wrong_wire;             /* somebody was left out because it has no such endpoint */
    bool too_long;               /* somebody was left out because the prompt does not fit */
    int64_t largest_context;
    const struct drained *stand_in; /* of the first one left out because it is drained */
    struct option soonest;       /* behind an open breaker; no provider: none */
    struct option options[PLAN_OPTIONS_MAX]; /* last: not zeroed */
};

/* resolve.c: fills route, targets, goal. 0, -ERR_NOT_FOUND, -ERR_DENIED, -ERR_STATE. */
int plan_resolve(struct planner *pl) MUST_CHECK;
/* Where a drained provider's requests go that have nowhere else to: a route, or one target. */
bool read_stand_in(const struct planner *pl, struct str to, const struct route **route,
    struct target *one) MUST_CHECK;
/* NULL: it is in use. */
const struct drained *drained_of(const struct planner *pl, const struct provider *p);

/* makers.c: is that model made by this provider; is it another's, while this one hosts its own
 * only? */
bool maker_makes(const struct provider *p, struct str model);
bool maker_makes_only_others(const struct provider *p, struct str model);

/* match.c. `seen` (may be NULL) gets what the request has, for people. */
bool condition_holds(const struct condition *c, const struct planner *pl, struct str *seen);
const char *condition_name(enum condition_kind k);

/* policies.c: sorts `n` options, best first, with scores and reasons. */
void policy_order(enum policy p, struct planner *pl, struct option *options, size_t n);

/* goals.c */
enum goal_flag {
    GOAL_AVOID_SPIKES = 1, /* first-token p95 far above the target's own last hour */
    GOAL_AVOID_ERRORS = 2, /* an error rate of a fifth or more in the last minute */
    GOAL_FIT_WHOLE = 4,    /* prompt and asked output must fit the context window */
    GOAL_WIDE = 8          /* also other providers that list the same model */
};
struct goal_preset {
    const char *name;
    enum policy policy;
    unsigned flags;
    unsigned attempts;      /* 0: the route's */
    int64_t first_token_us; /* 0: the route's or provider's */
    const char *expands_to; /* for people */
};
const struct goal_preset *goal_preset(enum goal g);

/* NULL when unknown. */
const struct price *plan_price(const struct planner *pl, const struct provider *p,
    struct str model);

/* The log of steps. False when there is no room for another one (records keep 4 KiB of it): then
 * neither members nor plan_log_end(). Steps that are many and dull give up first. */
bool plan_log_begin(struct planner *pl, const char *step, bool dull);
void plan_log_end(struct planner *pl);

/* "provider/model" in the arena. */
struct str target_text(struct planner *pl, const struct provider *p, struct str model);

#endif
