/* replay.h: where recorded requests would go under another snapshot. PURE, and fast enough for a
 * million of them: whatever the planner can't tell apart is planned once.
 *
 *     struct replay *r = replay_new(&(struct replay_setup){.snapshot = s, .health = h, …});
 *     for each recorded request
 *         if ((at = replay_request(r, &q, ctx, &flags)) >= 0) ...   // replay_place(r, at)->name
 *     replay_free(r);
 *
 * Two requests are the same to the planner when all is the same that a rule, an override, a policy
 * or a context window of this snapshot can ask for: times of day count only where a rule asks for
 * them, prompt sizes only between its limits. Where a policy draws lots, each kind of request is
 * drawn many times, and its requests are spread over the draws.
 *
 * Ownership: texts are asked for by number, within the call; the snapshot must live as long as the
 * replay. One thread at a time. */
#ifndef POINTSMAN_REPLAY_H
#define POINTSMAN_REPLAY_H

#include "proxy/meter/price.h"
#include "proxy/route/plan.h"

/* A recorded request; names by number, the same number always meaning the same text, 0 none. */
struct replay_request {
    int64_t time_ms, asked, route, key, team, tags, client, session, endpoint;
    int64_t prompt_tokens;
    bool stream, tools, images, json_schema;
    bool facts_known;      /* tools, images and json_schema were recorded */
    bool forced;           /* its route was named by x-pointsman-route */
    uint64_t draw;         /* any number of its own */
};

enum replay_text { REPLAY_ASKED, REPLAY_ROUTE, REPLAY_KEY, REPLAY_TEAM, REPLAY_TAGS, REPLAY_CLIENT,
    REPLAY_SESSION, REPLAY_ENDPOINT };
/* The text behind a number; valid until the next call. */
typedef struct str replay_text_fn(void *ctx, enum replay_text what, int64_t number);

struct replay_setup {
    const struct snapshot *snapshot;
    const struct health *health;   /* measured speed, for lowest-latency; or NULL */
    struct str name;               /* the route or model whose requests are replayed */
    int64_t now_us;
    replay_text_fn *text;
};

/* Where requests end up: a target, or why they have none. */
enum { REPLAY_NAME = 280, REPLAY_PLACES = 1000 /* the last one stands for all further */ };
struct replay_place {
    bool target;                   /* else `name` is the reason of a refusal */
    char name[REPLAY_NAME];        /* "provider/model" */
    const struct price *price;     /* NULL: unknown */
};

enum replay_flag {
    REPLAY_GUESSED = 1,            /* a rule asked for what records don't hold */
    REPLAY_TOO_LONG = 2            /* it does not fit a target that would have taken it */
};

struct replay;
struct replay *replay_new(const struct replay_setup *s); /* NULL without memory */
void replay_free(struct replay *r);

/* The number of its place, -1 when it is no request of that name. `ctx` is given to text(). */
int replay_request(struct replay *r, const struct replay_request *q, void *ctx, unsigned *flags);
const struct replay_place *replay_place(const struct replay *r, int place);
int replay_places(const struct replay *r);
unsigned replay_plans(const struct replay *r); /* how often the planner was asked */

#endif
