/* live_keys.c: the virtual keys of the file and those made live, merged into one table. A live
 * object of the same name is laid over a file's key: what it names wins, the rest stays.
 *
 * Accounts (counters, one per name for the life of the process) are looked up here and given the
 * limits of the newest state, so that a changed limit holds for the next request. */
#include "proxy/access/account.h"
#include "proxy/access/key.h"
#include "proxy/admin/live_state.h"
#include "proxy/config/config.h"

#include <stdio.h>
#include <stdlib.h>

void live_keys_put(void *keys)
{
    struct live_keys *k = keys;
    if (!k || atomic_fetch_sub_explicit(&k->references, 1, memory_order_acq_rel) != 1)
        return;
    key_table_free(k->table);
    arena_fini(&k->arena);
    free(k);
}

static const struct str *read_texts(struct arena *a, const struct json *list, size_t *count)
{
    size_t n = json_is_array(list) ? json_size(list) : 0;
    struct str *out = arena_zalloc(a, n * sizeof *out + 1);
    if (!out)
        return NULL;
    size_t i = 0;
    for (const struct json *item = json_first(list); item && i < n; item = json_following(item))
        out[i++] = arena_str(a, str_c(json_item_string(item, "")));
    *count = n;
    return out;
}

static const struct budget_limit *read_budgets(struct arena *a, const struct json *budgets,
    size_t *count)
{
    struct budget_limit *out = arena_zalloc(a, WINDOW_COUNT * sizeof *out);
    size_t n = 0;
    for (size_t w = 0; out && w < WINDOW_COUNT; w++) {
        int64_t nano = json_int(budgets, window_name((enum window)w), -1);
        if (nano >= 0)
            out[n++] = (struct budget_limit){(enum window)w, nano};
    }
    *count = n;
    return out;
}

/* "raised":{"day":[nano, when]}: laid on copies of the limits. */
static const struct budget_limit *lay_raises(struct arena *a, const struct budget_limit *limits,
    size_t count, const struct json *raised)
{
    struct budget_limit *out = arena_zalloc(a, count * sizeof *out + 1);
    if (!out || !count)
        return limits;
    memcpy(out, limits, count * sizeof *out);
    for (size_t i = 0; i < count; i++) {
        const struct json *pair = json_first(json_member(raised, window_name(out[i].window)));
        out[i].raise_nano = pair ? json_item_int(pair, 0) : 0;
        out[i].raised_ms = pair && json_following(pair) ? json_item_int(json_following(pair), 0) : 0;
    }
    return out;
}

static bool read_hex(const char *hex, unsigned char out[32])
{
    if (strlen(hex) != 64)
        return false;
    for (size_t i = 0; i < 64; i++) {
        char c = hex[i];
        int v = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (v < 0)
            return false;
        out[i / 2] = (unsigned char)(i % 2 ? out[i / 2] << 4 | v : v);
    }
    return true;
}

static void lay_text(struct arena *a, struct str *field, const struct json *j, const char *name)
{
    if (json_is_string(json_member(j, name)))
        *field = arena_str(a, str_c(json_string(j, name, "")));
}

/* What the object names wins over what is in *k already. */
static void lay_over(struct arena *a, struct key *k, const struct json *j)
{
    lay_text(a, &k->team, j, "team");
    lay_text(a, &k->owner, j, "owner");
    lay_text(a, &k->tags, j, "tags");
    if (json_member(j, "models"))
        k->models = read_texts(a, json_member(j, "models"), &k->model_count);
    if (json_member(j, "sources"))
        k->sources = read_texts(a, json_member(j, "sources"), &k->source_count);
    if (json_member(j, "raw"))
        k->raw = read_texts(a, json_member(j, "raw"), &k->raw_count);
    if (json_member(j, "budgets"))
        k->budgets = read_budgets(a, json_member(j, "budgets"), &k->budget_count);
    if (json_member(j, "raised"))
        k->budgets = lay_raises(a, k->budgets, k->budget_count, json_member(j, "raised"));
    k->rpm = json_int(j, "rpm", k->rpm);
    k->tpm = json_int(j, "tpm", k->tpm);
    k->concurrent = json_int(j, "concurrent", k->concurrent);
    k->expires_ms = json_int(j, "expires_ms", k->expires_ms);
    k->paused = json_bool(j, "paused", k->paused);
    k->revoked = json_bool(j, "revoked", k->revoked);
    k->run_key = json_bool(j, "run", k->run_key);
    k->capture = (int)json_int(j, "capture", k->capture);
}

static bool lay_secret(struct arena *a, struct key *k, const struct json *j)
{
    if (!read_hex(json_string(j, "digest", ""), k->digest))
        return false;
    k->shown = arena_str(a, str_c(json_string(j, "shown", "")));
    k->old_until_ms = json_int(j, "old_until_ms", 0);
    if (k->old_until_ms > 0 && !read_hex(json_string(j, "old_digest", ""), k->old_digest))
        k->old_until_ms = 0;
    return true;
}

static struct json *object_of(const struct live *l, const char *kind, struct str name)
{
    char object[LIVE_NAME_MAX + 1];
    snprintf(object, sizeof object, "%s" STR_FMT, kind, STR_ARG(str_first(name, 150)));
    struct str json = live_get(l, str_c(object));
    return json.n ? json_parse(json, NULL) : NULL;
}

static void add_account(struct key *k, struct account *a)
{
    for (size_t i = 0; i < k->account_count; i++)
        if (k->accounts[i] == a)
            return; /* a tag said twice is charged once */
    if (a && k->account_count < KEY_ACCOUNTS)
        k->accounts[k->account_count++] = a;
}

/* Limits of the account are those of the newest state; what was spent stays. Every tag is counted,
 * also one without limits: they may come later, and then hold for the window that runs. */
static void bind_accounts(struct account_set *accounts, struct key *k)
{
    struct str rest = k->tags, tag;
    k->account_count = 0;
    struct account *own = accounts ? account_get(accounts, ACCOUNT_KEY, k->name) : NULL;
    if (!own)
        return;
    account_set_limits(accounts, own, k->budgets, k->budget_count, k->rpm, k->tpm, k->concurrent);
    add_account(k, own);
    if (k->team.n)
        add_account(k, account_get(accounts, ACCOUNT_TEAM, k->team));
    while (rest.n && str_cut(&rest, ',', &tag))
        if (str_trim(tag).n)
            add_account(k, account_get(accounts, ACCOUNT_TAG, str_trim(tag)));
}

/* The key `name` over its place in the file (or NULL). False: it has no secret, so it is none. */
static bool make_key(const struct live *l, struct arena *a, const struct key *file, struct str name,
    struct key *out)
{
    if (file)
        *out = *file;
    else
        *out = (struct key){.name = arena_str(a, name), .capture = -1};
    out->from_file = file != NULL;
    struct json *object = object_of(l, "key/", name), *secret = object_of(l, "secret/", name);
    bool usable = file || (object && secret);
    if (object)
        lay_over(a, out, object);
    if (secret && !lay_secret(a, out, secret))
        usable = usable && file;
    json_free(object);
    json_free(secret);
    if (usable)
        bind_accounts(l->accounts, out);
    return usable;
}

static bool in_file(const struct config *c, struct str name)
{
    for (size_t i = 0; i < c->key_count; i++)
        if (str_eq(c->keys[i].name, name))
            return true;
    return false;
}

static size_t make_all(const struct live *l, const struct config *c, struct arena *a,
    const struct key **list, struct key *keys)
{
    size_t n = 0;
    for (size_t i = 0; i < c->key_count; i++)
        if (make_key(l, a, &c->keys[i], c->keys[i].name, &keys[n])) {
            list[n] = &keys[n];
            n++;
        }
    struct str prefix = STR("key/");
    for (size_t i = live_lower_bound(l, prefix); i < l->count; i++) {
        struct str name = str_c(l->objects[i]->name);
        if (!str_starts(name, prefix))
            break;
        name = str_from(name, prefix.n);
        if (l->objects[i]->json && !in_file(c, name) && make_key(l, a, NULL, name, &keys[n])) {
            list[n] = &keys[n];
            n++;
        }
    }
    return n;
}

struct binding {
    struct account_set *accounts;
    const struct config *config;
};

static bool has_limits(const struct config *c, enum account_kind kind, struct str name)
{
    const struct group_limits *list = kind == ACCOUNT_TEAM ? c->teams : c->tags;
    size_t n = kind == ACCOUNT_TEAM ? c->team_count : kind == ACCOUNT_TAG ? c->tag_count : 0;
    for (size_t i = 0; i < n; i++)
        if (str_eq(list[i].name, name))
            return true;
    for (size_t i = 0; kind == ACCOUNT_ROUTE && i < c->route_count; i++)
        if (str_eq(c->routes[i].name, name))
            return c->routes[i].budget_count > 0;
    return false;
}

/* Limits that the file no longer holds. */
static void unbind(void *ctx, struct account *a)
{
    const struct binding *b = ctx;
    if (account_kind(a) != ACCOUNT_KEY && !has_limits(b->config, account_kind(a), account_name(a)))
        account_set_limits(b->accounts, a, NULL, 0, 0, 0, 0);
}

/* Limits of teams, tags and routes come from the file alone. */
static void bind_groups(struct account_set *s, const struct config *c)
{
    struct binding binding = {s, c};
    if (s) {
        account_set_timezone(s, c->timezone);
        account_each(s, unbind, &binding);
    }
    for (size_t i = 0; s && i < c->team_count + c->tag_count; i++) {
        bool team = i < c->team_count;
        const struct group_limits *g = team ? &c->teams[i] : &c->tags[i - c->team_count];
        struct account *a = account_get(s, team ? ACCOUNT_TEAM : ACCOUNT_TAG, g->name);
        if (a)
            account_set_limits(s, a, g->budgets, g->budget_count, g->rpm, g->tpm, g->concurrent);
    }
    for (size_t i = 0; s && i < c->route_count; i++) {
        const struct route *r = &c->routes[i];
        struct account *a = r->budget_count ? account_get(s, ACCOUNT_ROUTE, r->name) : NULL;
        if (a)
            account_set_limits(s, a, r->budgets, r->budget_count, 0, 0, 0);
    }
}

struct live_keys *live_keys_build(const struct live *l, const struct config *config, struct err *e)
{
    struct live_keys *k = calloc(1, sizeof *k);
    if (!k) {
        err_set(e, ERR_NOMEM, "out of memory");
        return NULL;
    }
    k->references = 1;
    arena_init(&k->arena, 8192, (size_t)64 << 20);
    size_t most = config->key_count + l->count;
    const struct key **list = arena_zalloc(&k->arena, most * sizeof(struct key *) + 1);
    struct key *keys = arena_zalloc(&k->arena, most * sizeof *keys + 1);
    if (list && keys) {
        size_t n = make_all(l, config, &k->arena, list, keys);
        k->table = key_table_new(list, n);
    }
    if (k->table) {
        bind_groups(l->accounts, config);
        return k;
    }
    err_set(e, ERR_NOMEM, "out of memory");
    live_keys_put(k);
    return NULL;
}
