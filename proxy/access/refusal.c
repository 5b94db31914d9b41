/* refusal.c: how a limit or a budget says no: a text for people, a code and a status for programs.
 * See account.h.
 *
 * Status: 429 where waiting helps soon (official clients try again by themselves), 402 where money
 * is needed or the window lasts longer than a client would wait. */
#include "proxy/access/account.h"

#include <stdio.h>

enum { WORTH_RETRYING_MS = 60000 };

/* "$4.98", "$0.0326": at least two decimals, as many as are needed. */
static void show_money(int64_t nano, char *out, size_t size)
{
    char digits[16];
    snprintf(digits, sizeof digits, "%09lld", (long long)(nano % 1000000000));
    int n = 9;
    while (n > 2 && digits[n - 1] == '0')
        n--;
    snprintf(out, size, "$%lld.%.*s", (long long)(nano / 1000000000), n, digits);
}

static void show_wait(int64_t ms, char *out, size_t size)
{
    long long s = (long long)(ms + 999) / 1000;
    if (s < 120)
        snprintf(out, size, "in %lld s", s);
    else if (s < 7200)
        snprintf(out, size, "in %lld min", (s + 59) / 60);
    else if (s < 48 * 3600)
        snprintf(out, size, "in %lld h %lld min", s / 3600, s % 3600 / 60);
    else
        snprintf(out, size, "in %lld d %lld h", s / 86400, s % 86400 / 3600);
}

const char *account_kind_name(enum account_kind kind)
{
    static const char *const names[] = {"key", "team", "route", "tag"};
    return (unsigned)kind < ARRAY_LEN(names) ? names[kind] : "account";
}

const char *window_budget_name(enum window w)
{
    static const char *const names[] = {"budget of the minute", "hourly budget", "daily budget",
        "weekly budget", "monthly budget", "total budget"};
    return (unsigned)w < ARRAY_LEN(names) ? names[w] : "budget";
}

static void write_budget(const struct refusal *r, char *out, size_t size)
{
    char limit[40], used[40], asked[40], wait[40];
    show_money(r->limit, limit, sizeof limit);
    show_money(r->used, used, sizeof used);
    show_money(r->asked, asked, sizeof asked);
    show_wait(r->retry_after_ms, wait, sizeof wait);
    bool held = r->retry_after_ms >= 0 && r->retry_after_ms <= 1000;
    int n = snprintf(out, size,
        "%s " STR_FMT ": %s %s: %s used or reserved, this %s %s", account_kind_name(r->account),
        STR_ARG(str_first(r->name, 64)), window_budget_name(r->window), limit, used,
        r->running ? "answer needs another" : "request may cost", asked);
    if (n < 0 || (size_t)n >= size)
        return;
    if (r->retry_after_ms >= 0)
        snprintf(out + n, size - (size_t)n, held ? "; try again %s" : "; it resets %s", wait);
    else
        snprintf(out + n, size - (size_t)n, r->asked > r->limit && !r->running
            ? "; ask for fewer output tokens or have the budget raised"
            : "; ask its owner to raise it");
}

static void write_credit(const struct refusal *r, char *out, size_t size)
{
    char left[40], used[40], asked[40];
    show_money(r->limit, left, sizeof left);
    show_money(r->used, used, sizeof used);
    show_money(r->asked, asked, sizeof asked);
    if (r->kind == REFUSED_DEBT)
        snprintf(out, size, "%s " STR_FMT ": is %s in debt; ask its owner to grant more",
            account_kind_name(r->account), STR_ARG(str_first(r->name, 64)), used);
    else
        snprintf(out, size,
            "%s " STR_FMT ": credit of %s (%s of it reserved by running requests) does not cover "
            "%s %s",
            account_kind_name(r->account), STR_ARG(str_first(r->name, 64)), left, used,
            r->running ? "the rest of this answer, which may cost" : "this request, which may cost", asked);
}

static void write_rate(const struct refusal *r, char *out, size_t size)
{
    char wait[40];
    static const char *const units[] = {"requests a minute", "tokens a minute",
        "requests at the same time"};
    show_wait(r->retry_after_ms, wait, sizeof wait);
    int n = snprintf(out, size, "%s " STR_FMT ": limit of %lld %s: %lld used", account_kind_name(r->account),
        STR_ARG(str_first(r->name, 64)), (long long)r->limit, units[r->kind], (long long)r->used);
    if (n < 0 || (size_t)n >= size)
        return;
    if (r->retry_after_ms < 0)
        snprintf(out + n, size - (size_t)n, "; this request alone asks for %lld",
            (long long)r->asked);
    else
        snprintf(out + n, size - (size_t)n, "; try again %s", wait);
}

void account_refusal_text(const struct refusal *r, char *out, size_t size)
{
    switch (r->kind) {
    case REFUSED_RPM:
    case REFUSED_TPM:
    case REFUSED_CONCURRENT:
        write_rate(r, out, size);
        return;
    case REFUSED_BUDGET:
        write_budget(r, out, size);
        return;
    case REFUSED_CREDIT:
    case REFUSED_DEBT:
        write_credit(r, out, size);
        return;
    case REFUSED_PAUSED:
    case REFUSED_EXPIRED:
        snprintf(out, size, "key " STR_FMT ": %s; ask its owner", STR_ARG(str_first(r->name, 64)),
            r->kind == REFUSED_PAUSED ? "is paused" : "has expired");
        return;
    }
}

const char *account_refusal_code(const struct refusal *r)
{
    static const char *const codes[] = {"rate_limit_exceeded", "rate_limit_exceeded",
        "concurrency_limit_exceeded", "budget_exceeded", "insufficient_credit",
        "insufficient_credit", "key_paused", "key_expired"};
    return (unsigned)r->kind < ARRAY_LEN(codes) ? codes[r->kind] : "refused";
}

int account_refusal_status(const struct refusal *r)
{
    if (r->kind == REFUSED_PAUSED || r->kind == REFUSED_EXPIRED)
        return 401;
    if (r->kind == REFUSED_RPM || r->kind == REFUSED_TPM || r->kind == REFUSED_CONCURRENT)
        return 429;
    return r->retry_after_ms >= 0 && r->retry_after_ms <= WORTH_RETRYING_MS ? 429 : 402;
}
