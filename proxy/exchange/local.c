/* local.c: answers that are made here: a key's own usage, health, metrics; the lists of
 * models are in models.c. */
#include "proxy/exchange/exchange.h"

#include "proxy/access/key.h"
#include "proxy/event/event.h"
#include "proxy/worker.h"
#include "store/base/clock.h"
#include "store/base/secret.h"

#include <stdio.h>
#include <unistd.h>

static void reply_with(struct exchange *x, int status, const char *type, struct buf *body,
    struct http_header more)
{
    struct http_header headers[] = {
        {STR("content-type"), str_c(type)},
        {STR("x-request-id"), str_c(x->id)},
        more,
    };
    x->status = status;
    x->outcome = OUTCOME_OK;
    x->replied = true;
    settle(x);
    if (x->q)
        http_reply(x->q, body->err ? 500 : status, headers, more.name.n ? 3 : 2, buf_str(body));
    buf_fini(body);
    exchange_enter(x, STEP_SETTLE);
}

void local_reply(struct exchange *x, int status, const char *type, struct buf *body)
{
    reply_with(x, status, type, body, (struct http_header){STR_NULL, STR_NULL});
}

/* --- usage ------------------------------------------------------------------------------------- */

static const char *const window_names[WINDOW_COUNT] = {"minute", "hour", "day", "week", "month",
    "total"};

static void put_windows(struct json_writer *w, const struct account_view *v)
{
    json_array_begin(w, "windows");
    for (int i = 0; i < WINDOW_COUNT; i++) {
        if (v->window[i].limit < 0 && v->window[i].spent == 0)
            continue;
        json_object_begin(w, NULL);
        json_put_c(w, "window", window_names[i]);
        json_put_int(w, "spent_nano", v->window[i].spent);
        json_put_int(w, "reserved_nano", v->window[i].reserved);
        json_put_int(w, "limit_nano", v->window[i].limit);
        json_put_int(w, "left_nano", v->window[i].limit < 0 ? -1
            : MAX(v->window[i].limit - v->window[i].spent - v->window[i].reserved, 0));
        json_put_int(w, "resets_ms", v->window[i].resets_ms);
        json_object_end(w);
    }
    json_array_end(w);
}

static void usage(struct exchange *x)
{
    struct buf b;
    buf_init(&b, 64 << 10);
    struct json_writer w = json_writer(&b);
    struct account_view v;
    if (!x->key || !x->key->account_count) {
        buf_fini(&b);
        exchange_refuse(x, 404, "no_key", -1,
            "this request carries no pointsman key: there is no usage of its own to show");
        return;
    }
    account_view(x->worker->shared->accounts, x->key->accounts[0], clock_wall_ms(), &v);
    json_object_begin(&w, NULL);
    json_put_c(&w, "object", "usage");
    json_put_str(&w, "key", x->key->name);
    json_put_str(&w, "team", x->key->team);
    put_windows(&w, &v);
    json_put_int(&w, "credit_nano", v.credit_nano);
    json_put_int(&w, "debt_nano", v.debt_nano);
    if (v.credit_nano >= 0) {
        char credit[64];
        credit_show(v.balance_nano, x->snapshot->config->credits_per_dollar, credit,
            sizeof credit);
        json_put_c(&w, "credit", credit);
    }
    json_put_int(&w, "rpm", v.rpm);
    json_put_int(&w, "rpm_used", v.rpm_used);
    json_put_int(&w, "tpm", v.tpm);
    json_put_int(&w, "tpm_used", v.tpm_used);
    json_put_int(&w, "concurrent", v.concurrent);
    json_put_int(&w, "running", v.running);
    json_put_int(&w, "expires_ms", x->key->expires_ms);
    json_object_end(&w);
    local_reply(x, 200, "application/json", &b);
}

/* --- health and metrics ------------------------------------------------------------------------ */

static void healthz(struct exchange *x, bool ready)
{
    struct buf b;
    bool ok = !ready || (!x->worker->shared->draining && spool_has_room(x->worker->spool));
    buf_init(&b, 256);
    buf_puts(&b, ok ? "ok\n" : x->worker->shared->draining ? "draining\n" : "no room for records\n");
    /* Whoever finds the port taken by us is told who "us" is, since /proc hides it (http/holder.c). */
    struct shared *shared = x->worker->shared;
    struct http_header pid = {STR_NULL, STR_NULL};
    if (x->client_uid == shared->owner_uid || x->client_uid == 0)
        pid = (struct http_header){STR("x-pointsman-pid"),
            arena_printf(&x->arena, "%ld", (long)getpid())};
    reply_with(x, ok ? 200 : 503, "text/plain", &b, pid);
}

static void metrics(struct exchange *x)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    for (int i = 0; i < COUNTER_COUNT; i++) {
        const char *name = counter_name((enum counter)i);
        buf_printf(&b, "# HELP pointsman_%s_total %s\n# TYPE pointsman_%s_total counter\n"
            "pointsman_%s_total %lld\n", name, counter_help((enum counter)i), name, name,
            (long long)counter_read((enum counter)i));
    }
    buf_printf(&b, "# HELP pointsman_memory_bytes held answers, uploads and captures\n"
        "# TYPE pointsman_memory_bytes gauge\npointsman_memory_bytes %lld\n",
        (long long)x->worker->shared->memory_used);
    buf_printf(&b, "# HELP pointsman_longest_turn_us the longest turn of a worker's loop so far\n"
        "# TYPE pointsman_longest_turn_us gauge\npointsman_longest_turn_us %lld\n",
        (long long)x->worker->shared->longest_turn_us);
    local_reply(x, 200, "text/plain; version=0.0.4", &b);
}

void local_answer(struct exchange *x)
{
    switch (x->ep.handler) {
    case HANDLE_MODELS:
        models_list(x);
        return;
    case HANDLE_MODEL:
        models_one(x);
        return;
    case HANDLE_USAGE:
        usage(x);
        return;
    case HANDLE_METRICS:
        metrics(x);
        return;
    default:
        healthz(x, x->ep.handler == HANDLE_READYZ);
    }
}
