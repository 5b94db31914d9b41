/* balances.c: at the start, before anything listens: what was spent in every window that is still open,
 * and the prepaid credit of every key, from the store into the accounts. */
#include "proxy/admin/admin.h"

#include "proxy/access/account.h"
#include "store/store.h"

struct restoring {
    struct account_set *accounts;
    enum account_kind kind;
    enum window window;
    int64_t wall_ms;
};

static void restore_one(void *ctx, struct str name, int64_t nano)
{
    struct restoring *x = ctx;
    struct account *a = name.n ? account_get(x->accounts, x->kind, name) : NULL;
    if (a)
        account_restore(x->accounts, a, x->window, x->wall_ms, nano);
}

static void restore_credit(void *ctx, struct str account, int64_t nano, bool granted)
{
    struct account_set *accounts = ctx;
    struct account *a = granted ? account_get(accounts, ACCOUNT_KEY, account) : NULL;
    if (a)
        account_set_credit(accounts, a, nano);
}

int admin_restore_balances(struct store *store, struct account_set *accounts, int64_t wall_ms,
    struct err *e)
{
    static const struct {
        enum account_kind kind;
        enum store_dimension by;
    } rows[] = {{ACCOUNT_KEY, STORE_BY_KEY}, {ACCOUNT_TEAM, STORE_BY_TEAM},
        {ACCOUNT_ROUTE, STORE_BY_ROUTE}, {ACCOUNT_TAG, STORE_BY_TAG}};
    int rc = 0;
    char timezone[64] = "";
    struct snapshot *s = snapshot_current();
    if (s)
        str_copy(timezone, sizeof timezone, s->config->timezone);
    snapshot_put(s);
    for (size_t i = 0; store && rc == 0 && i < ARRAY_LEN(rows); i++)
        for (int w = WINDOW_MINUTE; rc == 0 && w < WINDOW_COUNT; w++) {
            struct restoring x = {accounts, rows[i].kind, (enum window)w, wall_ms};
            int64_t start, end;
            window_bounds((enum window)w, timezone, wall_ms, &start, &end);
            rc = store_each_spent(store, rows[i].by, MAX(start, (int64_t)0), wall_ms + 60000,
                restore_one, &x);
        }
    if (store && rc == 0)
        rc = store_each_balance(store, restore_credit, accounts);
    return rc < 0 ? err_set(e, (enum err_code)-rc, "balances can't be rebuilt from the store: %s",
        err_text(rc)) : 0;
}
