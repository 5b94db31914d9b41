/* account.h: how fast, and how much: the counters of a key, a team or a route, one per name for the
 * life of the process, shared by all workers.
 *
 * Why: peers check first and spend later, and so overspend. Here a request reserves an upper bound
 * in ALL its windows (key, team, route) or in none, inside one short lock that holds no
 * I/O (< 1 µs), and settles to the real amount afterwards. Pure: time is passed in.
 *
 *     struct reservation r;
 *     int rc = account_reserve(set, &r, nano, now, &refusal);    // before sending
 *     account_settle(set, &r, cost_nano);                        // once, in every way of ending
 */
#ifndef POINTSMAN_ACCOUNT_H
#define POINTSMAN_ACCOUNT_H

#include "proxy/config/snapshot.h"

enum { ACCOUNTS_MAX = 12 }; /* of one request: key, team, its tags, and the route */

struct account;      /* counters of one name */
struct account_set;  /* all of them, and the lock */

struct account_set *account_set_new(struct str zone);
void account_set_free(struct account_set *s);

enum account_kind { ACCOUNT_KEY, ACCOUNT_TEAM, ACCOUNT_ROUTE, ACCOUNT_TAG };
/* The account of that name, made when new. Stable pointer. */
struct account *account_get(struct account_set *s, enum account_kind kind, struct str name);

/* From now on windows begin and end in that zone: those that run keep what was spent and end where
 * the new zone ends them. */
void account_set_timezone(struct account_set *s, struct str zone);

/* Limits are those of the newest snapshot; changing them keeps what was spent. */
void account_set_limits(struct account_set *s, struct account *a, const struct budget_limit *limits,
    size_t n, int64_t rpm, int64_t tpm, int64_t concurrent);
/* Prepaid credit in nano-USD; -1 = none. Moves with grants and settles. */
void account_set_credit(struct account_set *s, struct account *a, int64_t nano);
/* Adds a grant (or takes it back, when negative) without losing what settles at the same time. */
void account_grant(struct account_set *s, struct account *a, int64_t nano);
/* Takes `nano` of what is there and not reserved; false: there is less. */
bool account_take_credit(struct account_set *s, struct account *a, int64_t nano);
/* Rebuilds from the store at start: spent in the window that holds `wall_ms`. */
void account_restore(struct account_set *s, struct account *a, enum window w, int64_t wall_ms,
    int64_t spent_nano);

enum refusal_kind { REFUSED_RPM, REFUSED_TPM, REFUSED_CONCURRENT, REFUSED_BUDGET, REFUSED_CREDIT,
    REFUSED_DEBT, REFUSED_PAUSED, REFUSED_EXPIRED };
struct refusal {
    enum refusal_kind kind;
    struct str name;             /* whose */
    enum account_kind account;
    enum window window;
    int64_t limit, used;         /* nano-USD, requests or tokens; used: reservations included */
    int64_t asked;               /* what this request wanted of it */
    bool running;                /* it runs, and wanted that much more */
    int64_t retry_after_ms;      /* until it may pass again; -1 = never by itself */
};
/* For people: "key ci-bot: daily budget of $5.00 is used up ($4.98, this request may cost $0.04);
 * it resets in 3 h 12 min". */
void account_refusal_text(const struct refusal *r, char *out, size_t size);
const char *account_refusal_code(const struct refusal *r); /* "rate_limit_exceeded" … */
int account_refusal_status(const struct refusal *r);       /* 429, 402 or 401 */

struct reservation {
    struct account *accounts[ACCOUNTS_MAX]; /* account_count() of them */
    int64_t nano;                /* reserved in each of them */
    int64_t tokens;              /* counted against tpm */
    int64_t wall_ms;             /* when: decides the windows it is settled into */
    bool active;
    uint32_t epoch[ACCOUNTS_MAX][WINDOW_COUNT]; /* which windows: a window that ended since takes nothing */
    int64_t rate_s;              /* second in which its tokens were counted */
};

/* Counts the request against rpm/tpm/concurrent and reserves; all or nothing. 0, or -ERR_LIMIT
 * with *why. A new window shows as a fresh one as soon as wall_ms lies in it. */
int account_reserve(struct account_set *s, struct reservation *r, struct account *const *accounts,
    size_t n, int64_t nano, int64_t tokens, int64_t wall_ms, struct refusal *why) MUST_CHECK;
size_t account_count(const struct reservation *r);
/* Has it a limit on money: a budget in some window, or prepaid credit? */
bool account_limits_money(struct account_set *s, struct account *a);
/* Adds to a running reservation (a stream's next step). Same answers. It is taken from the windows in
 * which the request was made, also where these have ended since: a stream never spends more of a
 * minute than that minute had, and nothing of the next one. */
int account_top_up(struct account_set *s, struct reservation *r, int64_t nano,
    struct refusal *why) MUST_CHECK;
/* Ends it: the real cost is charged in full, also above the reserve (debt). Idempotent. */
void account_settle(struct account_set *s, struct reservation *r, int64_t cost_nano,
    int64_t tokens);

/* Of a request that was settled at record_ms, `more` nano-USD (or less) are charged after all. */
void account_adjust(struct account_set *s, struct account *a, int64_t wall_ms, int64_t record_ms,
    int64_t more);

struct account_view {
    struct { int64_t limit, spent, reserved, resets_ms; } window[WINDOW_COUNT]; /* limit -1: none */
    int64_t credit_nano;         /* -1: none; 0 in debt, then balance_nano says how deep */
    int64_t balance_nano;
    int64_t debt_nano;
    int64_t rpm, rpm_used, tpm, tpm_used, concurrent, running;
    int64_t last_ms;
    int64_t rate_nano_per_hour;  /* of the last 10 minutes */
    int64_t tightest_ppm;        /* largest used share of its budgets, reservations counted */
    enum window tightest;        /* which budget that is */
};
/* The part of the view that every request asks for. */
int64_t account_tightest_ppm(struct account_set *s, struct account *a, int64_t wall_ms);
void account_view(struct account_set *s, struct account *a, int64_t wall_ms,
    struct account_view *out);

/* When the first of its budgets or its credit is used up at the present rate; -1: never, since every
 * window is reset before that. */
int64_t account_runs_out(const struct account_view *v, int64_t wall_ms);

/* Every account, in no order; fn must not call back into the set. */
void account_each(struct account_set *s, void (*fn)(void *ctx, struct account *a), void *ctx);
enum account_kind account_kind(const struct account *a);
const char *account_kind_name(enum account_kind kind); /* "team" */
struct str account_name(const struct account *a);
const char *window_name(enum window w); /* "day" */
const char *window_budget_name(enum window w); /* "daily budget" */

/* Start and end (wall ms) of the calendar window that holds `wall_ms` in a time zone. Weeks begin
 * on Monday; WINDOW_TOTAL spans everything. */
void window_bounds(enum window w, const char *zone, int64_t wall_ms, int64_t *start,
    int64_t *end);

#endif
