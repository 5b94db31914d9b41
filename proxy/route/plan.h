/* plan.h: which targets a request may go to, in which order, and why. PURE: a snapshot, facts of
 * the request, health, a random number and the time go in; an ordered plan with a reason for every
 * candidate comes out. No descriptor, no thread, no clock: the product's worth, tested at full
 * speed.
 *
 * Order of resolution (interface: "A model name is resolved"): live override (session, then key,
 * then everyone) → exact route → route pattern → provider/model → a model that providers list →
 * -ERR_NOT_FOUND with the nearest names. */
#ifndef POINTSMAN_PLAN_H
#define POINTSMAN_PLAN_H

#include "proxy/config/snapshot.h"
#include "proxy/meter/request.h"
#include "proxy/route/health.h"

enum failure_class {
    FAIL_429 = 1,
    FAIL_5XX = 2,
    FAIL_NETWORK = 4,
    FAIL_TIMEOUT = 8,
    FAIL_CONTEXT = 16,   /* prompt too long for the model */
    FAIL_CONTENT = 32,   /* content refused */
    FAIL_KEY = 64,       /* 401, 402, 403: a dead provider key */
    FAIL_CLIENT = 128,   /* the client's own fault: never retried, never trips a breaker */
    FAIL_MODEL = 256     /* the provider does not have this model: always on to the next target */
};
/* What an answer means; body is the (start of the) error body. 0 for success. */
enum failure_class failure_classify(int status, struct str error_body);
/* The same for an error inside a 200 stream: its data. FAIL_5XX where it does not say. */
enum failure_class failure_classify_event(struct str data);
/* May trying the same target again help? (429, 5xx, network, timeout; not with a refused key,
 * content or context.) */
bool failure_worth_repeating(enum failure_class f);
const char *failure_name(enum failure_class f); /* "5xx" */

/* For a look at one way only: no override and no rule counts but these. Both empty: the name as it is
 * configured. */
struct plan_what {
    const struct rule *rule;     /* of the name's route: taken as if it held */
    struct str to;               /* as if switched there */
};

struct plan_request {
    const struct snapshot *snapshot;
    struct str asked;            /* model name as asked */
    struct str forced_route;     /* x-pointsman-route, or empty */
    const struct key *key;       /* NULL when open */
    struct str session, tags, user_agent;
    const struct http_header *headers;
    size_t header_count;
    const struct request_facts *facts;
    enum wire wire;
    uint64_t random;
    int64_t now_us, wall_ms;
    int64_t budget_used_ppm;     /* of the key's tightest budget */
    bool explain;                /* also say why the others were not taken */
    const struct plan_what *what; /* NULL: as requests go */
    bool trial;                  /* recorded traffic: what is broken, drained or busy at this moment
                                    doesn't count, no memory of policies moves, no log is kept */
};

struct candidate {
    const struct provider *provider;
    struct str model;            /* as sent to the provider */
    struct str reason;           /* "priority 1", "p95 0.9 s", "fallback 2" */
    double score;
};
struct rejected {
    struct str target, reason;   /* "breaker open, 12 s left", "prompt 210k > context 200k" */
};
struct plan {
    const struct route *route;   /* NULL when named directly */
    struct str route_name;       /* as recorded */
    const struct rule *rule;
    struct str rule_name, override_by; /* "everyone", "key alice", "session x", or empty */
    struct candidate *candidates; /* at least one after success */
    size_t count;
    struct rejected *rejected;
    size_t rejected_count;
    struct str log;              /* JSON array of steps, for "why" */
    bool canary;                 /* the first candidate is the route's canary */
    bool beside_canary;          /* it could have been, and the lot fell otherwise */
    bool guessed;                /* of a trial: a rule asked for what records don't hold */
    bool by_chance;              /* the order may differ the next time */
    bool stood_in;               /* all had been drained: candidates are what the drain names instead */
    bool too_long;               /* for somebody who would else have had a chance to be the first */
    /* How to carry it out: the route's settings, else the goal's, else the defaults. */
    unsigned attempts;           /* most on one target */
    unsigned retry_on;           /* failures that are tried again or go to the next target */
    int64_t first_token_us;      /* 0 = the provider's own */
    int64_t retry_after_ms;      /* after -ERR_FULL: when a target may be back; -1 unknown */
};

/* For people and the command line. */
const char *goal_name(enum goal g);
const char *goal_expands_to(enum goal g);
int goal_from_name(struct str name); /* or -1 */
const char *policy_name(enum policy p);
/* The route that this name reaches without any override: exact, then the most specific pattern. */
const struct route *plan_find_route(const struct config *c, struct str name);
const struct provider *plan_find_provider(const struct config *c, struct str name);
/* Each model that a provider is known to have: those that its configuration lists, else those that it
 * named when it was asked, else those of the price list that it makes or that stand there under its
 * name. Others may work all the same. A text lives during its call alone. */
typedef void plan_model_fn(void *ctx, const struct provider *p, struct str model);
enum plan_known { PLAN_KNOWN_NOT, PLAN_KNOWN_LISTED, PLAN_KNOWN_ASKED, PLAN_KNOWN_PRICED };
enum plan_known plan_each_model(const struct config *c, const struct health *h,
    const struct provider *p, plan_model_fn *fn, void *ctx);

/* Everything in the plan lives in the arena or the snapshot. 0; -ERR_NOT_FOUND (unknown name; e has
 * the nearest names); -ERR_DENIED (the key may not use it); -ERR_FULL (no target left: all tripped
 * or drained); -ERR_LIMIT (fits no context window); -ERR_UNSUPPORTED (no dialect of a target has
 * such an endpoint). */
int plan_make(const struct plan_request *r, const struct health *h, struct arena *a,
    struct plan *out, struct err *e) MUST_CHECK;

#endif
