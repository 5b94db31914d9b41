/* alarms.c: see alarms.h. The rules; who is told is in notify.c.
 *
 * BUDGET_NEAR: spent (reservations left out, they come and go) over `alarms.budget` of a limit; once
 * a window and limit, also across a restart: what was said is kept in the store. SPEND_ANOMALY: at
 * least $1 an hour and five times the key's hourly mean of the last seven days, once an hour; a key
 * without a past has nothing to be compared with. The past is asked of the store only while some key
 * spends that fast. */
#include "proxy/admin/alarms.h"

#include "proxy/access/account.h"
#include "proxy/admin/keeper.h"
#include "proxy/admin/notify.h"
#include "proxy/admin/state.h"
#include "proxy/event/event.h"
#include "proxy/meter/price.h"
#include "store/base/json_span.h"
#include "store/base/log.h"
#include "store/query.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>

enum { LOOK_EVERY_MS = 2000, ASK_EVERY_MS = 600000, HOUR_MS = 3600000, PAST_HOURS = 7 * 24 - 1,
    TIMES_ITS_PAST = 5 };
static const int64_t least_per_hour_nano = 1000000000; /* $1 */

/* What was said about an account, so that it is said once. */
struct said {
    struct account *account;
    int64_t resets_ms[WINDOW_COUNT], limit[WINDOW_COUNT];
    int64_t anomaly_ms;
    UT_hash_handle hh;
};

/* What a key cost in the seven days before the last hour. */
struct past {
    char name[64];
    int64_t nano;
    UT_hash_handle hh;
};

struct past_answer {
    struct loop_message message;
    struct alarms *alarms;
    struct store_answer *answer;
};

struct alarms {
    struct admin *admin;
    struct notify *notify;
    struct said *said;
    struct past *past;
    int64_t looked_ms, asked_ms;
    bool asking, said_more;
};

/* ---- the past ---- */

static void forget_past(struct alarms *x)
{
    struct past *p, *next;
    HASH_ITER(hh, x->past, p, next) {
        HASH_DEL(x->past, p);
        free(p);
    }
}

static void past_arrived(struct loop_message *m)
{
    struct past_answer *w = CONTAINER_OF(m, struct past_answer, message);
    struct alarms *x = w->alarms;
    struct store_answer *a = w->answer;
    bool good = a && a->rc == 0;
    x->asking = false;
    if (good)
        forget_past(x);
    for (size_t i = 0; good && i < a->n; i++) {
        struct past *p = a->sums[i].name.n ? calloc(1, sizeof *p) : NULL;
        if (!p)
            continue;
        str_copy(p->name, sizeof p->name, a->sums[i].name);
        p->nano = a->sums[i].cost_nano;
        HASH_ADD_STR(x->past, name, p);
    }
    if (a)
        store_answer_free(a);
    free(w);
}

static void past_answered(void *ctx, struct store_answer *a)
{
    struct past_answer *w = ctx;
    w->answer = a;
    loop_post(w->alarms->admin->loop, &w->message);
}

static void ask_past(struct alarms *x, int64_t now_ms)
{
    struct store *store = x->admin->start.store;
    if (!store || x->asking || (x->asked_ms && now_ms - x->asked_ms < ASK_EVERY_MS))
        return;
    struct past_answer *w = calloc(1, sizeof *w);
    if (!w)
        return;
    *w = (struct past_answer){.message.fn = past_arrived, .alarms = x};
    struct store_query q = {.kind = STORE_ASK_SUMS, .dimension = STORE_BY_KEY,
        .from_ms = now_ms - (PAST_HOURS + 1) * (int64_t)HOUR_MS, .to_ms = now_ms - HOUR_MS};
    x->asked_ms = now_ms;
    x->asking = true;
    if (store_ask(store, &q, past_answered, w) == 0) {
        x->asking = false;
        free(w);
    }
}

/* ---- the rules ---- */

static struct said *said_of(struct alarms *x, struct account *account)
{
    struct said *s = NULL;
    HASH_FIND_PTR(x->said, &account, s);
    if (!s && (s = calloc(1, sizeof *s))) {
        s->account = account;
        HASH_ADD_PTR(x->said, account, s);
    }
    return s;
}

/* {"key/bob/day":[end of the window, limit],…}: windows that are over are left out. */
static void keep_said(struct alarms *x, int64_t now_ms)
{
    struct buf b;
    struct said *s, *next;
    buf_init(&b, 1 << 20);
    struct json_writer w = json_writer(&b);
    json_object_begin(&w, NULL);
    HASH_ITER(hh, x->said, s, next)
        for (int i = 0; i < WINDOW_COUNT; i++) {
            char name[200];
            if (s->resets_ms[i] <= now_ms)
                continue;
            snprintf(name, sizeof name, "%s/" STR_FMT "/%s", account_kind_name(account_kind(s->account)),
                STR_ARG(str_first(account_name(s->account), 128)), window_name((enum window)i));
            json_array_begin(&w, name);
            json_put_int(&w, NULL, s->resets_ms[i]);
            json_put_int(&w, NULL, s->limit[i]);
            json_array_end(&w);
        }
    json_object_end(&w);
    struct store *store = x->admin->start.store;
    if (store && !b.err &&
        store_put_state(store, STR("alarms"), buf_str(&b), -1, NULL, NULL) < 0)
        log_warn("admin: alarms that were said could not be kept");
    buf_fini(&b);
}

/* "key/bob/day": names hold no slash, routes' may: the last one ends the name. */
static bool read_name(struct str text, enum account_kind *kind, struct str *name, enum window *w)
{
    const char *last = text.n ? memrchr(text.p, '/', text.n) : NULL;
    struct str front = last ? str_first(text, (size_t)(last - text.p)) : STR_NULL, first;
    if (!last || !str_cut(&front, '/', &first) || !front.n)
        return false;
    struct str window = str_from(text, (size_t)(last - text.p) + 1);
    *name = front;
    for (*w = WINDOW_MINUTE; *w < WINDOW_COUNT; ++*w)
        if (str_eq(window, str_c(window_name(*w))))
            break;
    for (*kind = ACCOUNT_KEY; *kind <= ACCOUNT_TAG; ++*kind)
        if (str_eq(first, str_c(account_kind_name(*kind))))
            break;
    return *w < WINDOW_COUNT && *kind <= ACCOUNT_TAG;
}

static void remember_said(struct alarms *x)
{
    char *kept = keeper_take_alarms();
    struct arena a;
    struct json_span k, v;
    arena_init(&a, 4096, 1 << 20);
    struct json_iter it = json_iter(str_c(kept ? kept : "{}"));
    while (x->admin->start.accounts && it.object && json_next(&it, &k, &v)) {
        enum account_kind kind;
        enum window w;
        struct str name;
        struct account *account = read_name(json_text(k, &a), &kind, &name, &w)
            ? account_get(x->admin->start.accounts, kind, name) : NULL;
        struct said *s = account ? said_of(x, account) : NULL;
        if (s && (json_i64(json_path(v.raw, "0"), &s->resets_ms[w]) < 0 ||
                     json_i64(json_path(v.raw, "1"), &s->limit[w]) < 0))
            s->resets_ms[w] = 0; /* said once more */
    }
    arena_fini(&a);
    free(kept);
}

static void look_at_budgets(struct alarms *x, struct account *account,
    const struct account_view *v, int64_t share_ppm)
{
    char so_far[40], most[40];
    for (int w = 0; w < WINDOW_COUNT; w++) {
        int64_t limit = v->window[w].limit, spent = v->window[w].spent;
        if (limit <= 0 || (__int128)spent * 1000000 < (__int128)limit * share_ppm)
            continue;
        struct said *s = said_of(x, account);
        if (!s || (s->resets_ms[w] == v->window[w].resets_ms && s->limit[w] == limit))
            continue;
        s->resets_ms[w] = v->window[w].resets_ms;
        s->limit[w] = limit;
        x->said_more = true;
        money_show(spent, so_far, sizeof so_far);
        money_show(limit, most, sizeof most);
        event_say(EVENT_KIND_BUDGET_NEAR, STR_NULL, "%s " STR_FMT ": %lld %% of its %s is spent "
            "($%s of $%s)", account_kind_name(account_kind(account)), STR_ARG(account_name(account)),
            (long long)((__int128)spent * 100 / limit), window_budget_name((enum window)w), so_far,
            most);
    }
}

static void look_at_spend(struct alarms *x, struct account *account, const struct account_view *v,
    int64_t now_ms)
{
    char name[64], rate[40], usual[40];
    struct past *p = NULL;
    if (account_kind(account) != ACCOUNT_KEY || v->rate_nano_per_hour < least_per_hour_nano)
        return;
    ask_past(x, now_ms);
    str_copy(name, sizeof name, account_name(account));
    HASH_FIND_STR(x->past, name, p);
    int64_t mean = p ? p->nano / PAST_HOURS : 0;
    if (mean <= 0 || v->rate_nano_per_hour / TIMES_ITS_PAST < mean)
        return;
    struct said *s = said_of(x, account);
    if (!s || (s->anomaly_ms && now_ms - s->anomaly_ms < HOUR_MS))
        return;
    s->anomaly_ms = now_ms;
    money_show(v->rate_nano_per_hour, rate, sizeof rate);
    money_show(mean, usual, sizeof usual);
    event_say(EVENT_KIND_SPEND_ANOMALY, STR_NULL, "key %s spends $%s an hour, %lld times its mean "
        "of the last 7 days ($%s an hour)", name, rate, (long long)(v->rate_nano_per_hour / mean),
        usual);
}

struct found {
    struct account **list;
    size_t n, room;
};

static void find_account(void *ctx, struct account *a)
{
    struct found *f = ctx;
    if (f->n == f->room) {
        size_t room = f->room ? f->room * 2 : 64;
        struct account **more = realloc(f->list, room * sizeof(struct account *));
        if (!more)
            return; /* looked at next time */
        f->list = more;
        f->room = room;
    }
    f->list[f->n++] = a;
}

static void look_at_accounts(struct alarms *x, int64_t now_ms)
{
    struct account_set *set = x->admin->start.accounts;
    const struct config *c = live_config(x->admin->live);
    struct found f = {0};
    account_each(set, find_account, &f);
    for (size_t i = 0; i < f.n; i++) {
        struct account_view v;
        account_view(set, f.list[i], now_ms, &v);
        look_at_budgets(x, f.list[i], &v, c->alarm_budget_ppm);
        look_at_spend(x, f.list[i], &v, now_ms);
    }
    free(f.list);
    if (x->said_more)
        keep_said(x, now_ms);
    x->said_more = false;
}

/* ---- life ---- */

void alarms_tick(struct alarms *x, int64_t now_ms)
{
    if (x->admin->start.accounts && now_ms - x->looked_ms >= LOOK_EVERY_MS) {
        x->looked_ms = now_ms;
        look_at_accounts(x, now_ms);
    }
    notify_tick(x->notify, now_ms);
}

struct alarms *alarms_new(struct admin *a)
{
    struct alarms *x = calloc(1, sizeof *x);
    if (x && !(x->notify = notify_new(a))) {
        free(x);
        return NULL;
    }
    if (x) {
        x->admin = a;
        remember_said(x);
    }
    return x;
}

void alarms_free(struct alarms *x)
{
    struct said *s, *next;
    if (!x)
        return;
    forget_past(x);
    HASH_ITER(hh, x->said, s, next) {
        HASH_DEL(x->said, s);
        free(s);
    }
    notify_free(x->notify);
    free(x);
}
