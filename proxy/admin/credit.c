/* credit.c: prepaid credit: granted, taken back, refunded for a request, handed from key to key; and
 * the ledger behind it, entry by entry.
 *
 * An entry is written before the balance moves, so that a crash between the two loses nothing: the
 * balance is rebuilt as the sum of its entries. Only what leaves a key is taken out first. */
#include "proxy/admin/handlers.h"
#include "proxy/admin/keeper.h"
#include "proxy/admin/keys.h"
#include "proxy/admin/record_view.h"

#include "proxy/access/account.h"
#include "proxy/meter/price.h"
#include "store/base/clock.h"

#include <stdio.h>

struct wish {
    struct account *to, *from;
    int64_t nano;
    struct str what; /* for the audit trail */
};

static int64_t credit_of(struct call *c, struct account *a)
{
    struct account_view v;
    account_view(c->admin->start.accounts, a, clock_wall_ms(), &v);
    return v.credit_nano;
}

static int64_t per_dollar(struct call *c)
{
    return live_config(c->admin->live)->credits_per_dollar;
}

static void move(struct call *c, const struct wish *x)
{
    struct account_set *accounts = c->admin->start.accounts;
    struct account_view v;
    account_view(accounts, x->to, clock_wall_ms(), &v);
    if (v.credit_nano < 0)
        account_set_credit(accounts, x->to, x->nano);
    else
        account_grant(accounts, x->to, x->nano);
}

static void kept(struct call *c, int rc, int64_t revision)
{
    const struct wish *x = c->state;
    (void)revision;
    if (rc < 0 && x->from)
        account_grant(c->admin->start.accounts, x->from, x->nano);
    if (rc == 0) {
        move(c, x);
        keeper_audit_figures(c, x->what.p, call_printf(c, "{\"nano\":%lld}", (long long)x->nano));
    }
    if (!c->q || c->answered)
        return;
    if (rc == -ERR_NOT_FOUND) {
        call_error(c, 404, "not_found", "that key has no request of this id");
        return;
    }
    if (rc == -ERR_LIMIT) {
        call_error(c, 409, "too_much", "more than the request has cost can't be refunded");
        return;
    }
    if (rc < 0) {
        call_error(c, 503, "not_kept", "it could not be written to the ledger: %s", err_text(rc));
        return;
    }
    char left[64];
    struct json_writer *w = call_begin(c);
    struct account_view v;
    account_view(c->admin->start.accounts, x->to, clock_wall_ms(), &v);
    credit_show(v.balance_nano, per_dollar(c), left, sizeof left);
    json_put_str(w, "key", c->args[0]);
    json_put_int(w, "credit_nano", v.credit_nano);
    json_put_c(w, "credit", left);
    call_send(c);
}

/* "amount" as people write it, or "nano". */
static bool read_amount(struct call *c, int64_t *nano)
{
    struct err e = {0};
    struct str text = call_text(c, "amount");
    *nano = json_int(c->body, "nano", 0);
    if (text.n && credit_parse(text, per_dollar(c), nano, &e) < 0) {
        call_error(c, 400, "bad_amount", "%s", e.text);
        return false;
    }
    if (*nano == 0)
        call_error(c, 400, "bad_amount", "amount: such as \"20usd\", or nano: in nano-USD; not zero "
            "(negative takes back)");
    return *nano != 0;
}

/* What a transfer gives must be there; a refund needs credit to come back to. */
static bool read_ends(struct call *c, struct wish *x, struct str from, struct str request)
{
    struct account_set *accounts = c->admin->start.accounts;
    x->to = account_get(accounts, ACCOUNT_KEY, c->args[0]);
    x->from = from.n ? account_get(accounts, ACCOUNT_KEY, from) : NULL;
    if (!x->to || (from.n && !x->from)) {
        call_failed(c, -ERR_NOMEM, NULL);
        return false;
    }
    if (x->nano < 0 && (from.n || request.n)) {
        call_error(c, 400, "bad_amount", "a transfer or a refund has an amount above zero");
        return false;
    }
    if (request.n && credit_of(c, x->to) == -1) {
        call_error(c, 409, "no_credit", "key " STR_FMT " has no prepaid credit that a refund could "
            "come back to; a larger budget does what you want: key limit", STR_ARG(c->args[0]));
        return false;
    }
    if (from.n && (x->from == x->to || !account_take_credit(accounts, x->from, x->nano))) {
        call_error(c, 409, "no_credit", "key " STR_FMT " does not have that much credit to give",
            STR_ARG(str_first(from, 64)));
        return false;
    }
    return true;
}

static struct str say(struct call *c, int64_t nano, struct str from, struct str request)
{
    char amount[64];
    credit_show(nano, per_dollar(c), amount, sizeof amount);
    if (from.n)
        return call_printf(c, "%s from key " STR_FMT " to key " STR_FMT, amount, STR_ARG(from),
            STR_ARG(c->args[0]));
    if (request.n)
        return call_printf(c, "refunded %s to key " STR_FMT " for " STR_FMT, amount,
            STR_ARG(c->args[0]), STR_ARG(request));
    return call_printf(c, "granted %s to key " STR_FMT, amount, STR_ARG(c->args[0]));
}

void post_key_grant(struct call *c)
{
    struct wish *x = arena_zalloc(&c->arena, sizeof *x);
    struct str from = call_text(c, "from"), request = call_text(c, "request");
    if (!x || !call_allows(c, "nano amount note from request") || !key_must_exist(c) ||
        !read_amount(c, &x->nano))
        return;
    if (from.n && request.n) {
        call_error(c, 400, "bad_grant", "from (a transfer) and request (a refund) exclude each other");
        return;
    }
    struct call_done *d = c->admin->start.store ? call_done_new(c, kept) : NULL;
    if (!d) {
        call_error(c, 503, "no_store", "credit needs the store");
        return;
    }
    if (!read_ends(c, x, from, request)) {
        call_done_drop(d);
        return;
    }
    x->what = say(c, x->nano, from, request);
    c->state = x;
    call_done_always(d);
    struct store_grant g = {.account = c->args[0], .who = c->user, .note = call_text(c, "note"),
        .request = request, .from = from, .nano = x->nano, .time_ms = clock_wall_ms()};
    int rc = store_put_grant(c->admin->start.store, &g, call_done_post, d);
    if (rc == 0)
        return;
    if (x->from)
        account_grant(c->admin->start.accounts, x->from, x->nano);
    call_done_drop(d);
    call_failed(c, rc, NULL);
}

/* ---- the ledger ---- */

static void ledger_answered(struct call *c, struct store_answer *a)
{
    if (a->rc < 0) {
        call_failed(c, a->rc, &a->err);
        return;
    }
    char cursor[64];
    struct json_writer *w = call_begin(c);
    json_array_begin(w, "entries");
    for (size_t i = 0; i < a->n; i++) {
        const struct store_entry *x = &a->entries[i];
        json_object_begin(w, NULL);
        json_put_int(w, "time_ms", x->time_ms);
        json_put_c(w, "kind", store_entry_kind_name(x->kind));
        json_put_int(w, "amount_nano", x->amount_nano);
        json_put_str(w, "request", x->exchange_id);
        json_put_str(w, "who", x->who);
        json_put_str(w, "note", x->note);
        json_object_end(w);
    }
    json_array_end(w);
    snprintf(cursor, sizeof cursor, "%lld.%lld", (long long)a->cursor.at, (long long)a->cursor.row);
    json_put_c(w, "cursor", a->done ? "" : cursor);
    json_put_bool(w, "done", a->done);
    call_send(c);
}

void get_key_ledger(struct call *c)
{
    struct store_query q = {.kind = STORE_ASK_LEDGER, .key = c->args[0],
        .id = call_param(c, "request"), .limit = call_limit(c, 100, STORE_PAGE_MAX)};
    if (call_cursor(c, &q.cursor))
        call_ask(c, &q, ledger_answered);
}
