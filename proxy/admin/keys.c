/* keys.c: virtual keys: listed with what they have used and may still use, made, limited, paused,
 * rotated, revoked. Credit and the ledger are in credit.c.
 *
 * A secret leaves this file exactly once, in the answer to who made it; it is kept as a keyed hash. */
#include "proxy/admin/handlers.h"
#include "proxy/admin/key_line.h"
#include "proxy/admin/keeper.h"
#include "proxy/admin/keys.h"

#include "proxy/access/account.h"
#include "proxy/access/key.h"
#include "proxy/config/config.h"
#include "proxy/meter/price.h"
#include "store/base/clock.h"
#include "store/base/json_span.h"
#include "store/base/secret.h"

#include <stdio.h>

enum { OBJECT_MAX = 60000, GRACE_MS = 86400000 };

/* ---- listing ---- */

static void put_texts(struct json_writer *w, const char *key, const struct str *list, size_t n)
{
    json_array_begin(w, key);
    for (size_t i = 0; i < n; i++)
        json_put_str(w, NULL, list[i]);
    json_array_end(w);
}

static const char *state_of(const struct key *k, int64_t now)
{
    if (k->revoked)
        return "revoked";
    if (k->paused)
        return "paused";
    return k->expires_ms && k->expires_ms <= now ? "expired" : "active";
}

static void put_windows(struct json_writer *w, const struct account_view *v)
{
    json_array_begin(w, "windows");
    for (int i = 0; i < WINDOW_COUNT; i++) {
        if (v->window[i].limit < 0)
            continue;
        json_object_begin(w, NULL);
        json_put_c(w, "window", window_name((enum window)i));
        json_put_int(w, "limit_nano", v->window[i].limit);
        json_put_int(w, "used_nano", v->window[i].spent);
        json_put_int(w, "reserved_nano", v->window[i].reserved);
        json_put_int(w, "resets_ms", v->window[i].resets_ms);
        json_object_end(w);
    }
    json_array_end(w);
}

static void put_account(struct call *c, struct json_writer *w, const struct key *k, int64_t now)
{
    struct account_view v = {.credit_nano = -1};
    for (int i = 0; i < WINDOW_COUNT; i++)
        v.window[i].limit = -1;
    if (k->account_count && c->admin->start.accounts)
        account_view(c->admin->start.accounts, k->accounts[0], now, &v);
    json_put_int(w, "nano_per_hour", v.rate_nano_per_hour);
    json_put_int(w, "today_nano", v.window[WINDOW_DAY].spent);
    put_windows(w, &v);
    json_put_int(w, "tightest_ppm", v.tightest_ppm);
    json_put_int(w, "credit_nano", v.credit_nano);
    if (v.credit_nano >= 0) {
        char credit[64];
        credit_show(v.balance_nano,
            live_config(c->admin->live)->credits_per_dollar, credit, sizeof credit);
        json_put_c(w, "credit", credit);
    }
    json_put_int(w, "debt_nano", v.debt_nano);
    json_put_int(w, "runs_out_ms", account_runs_out(&v, now));
    json_put_int(w, "rpm", k->rpm);
    json_put_int(w, "rpm_used", v.rpm_used);
    json_put_int(w, "tpm", k->tpm);
    json_put_int(w, "tpm_used", v.tpm_used);
    json_put_int(w, "concurrent", k->concurrent);
    json_put_int(w, "running", v.running);
    json_put_int(w, "last_ms", v.last_ms);
}

static void put_key(struct call *c, struct json_writer *w, const struct key *k, int64_t now)
{
    json_object_begin(w, NULL);
    json_put_str(w, "name", k->name);
    json_put_str(w, "team", k->team);
    json_put_str(w, "owner", k->owner);
    json_put_str(w, "tags", k->tags);
    json_put_str(w, "shown", k->shown);
    put_texts(w, "models", k->models, k->model_count);
    put_texts(w, "sources", k->sources, k->source_count);
    put_texts(w, "raw", k->raw, k->raw_count);
    put_account(c, w, k, now);
    json_put_int(w, "expires_ms", k->expires_ms);
    json_put_int(w, "old_until_ms", k->old_until_ms);
    json_put_c(w, "state", state_of(k, now));
    json_put_bool(w, "from_file", k->from_file);
    json_put_bool(w, "run", k->run_key);
    json_object_end(w);
}

void get_keys(struct call *c)
{
    struct snapshot *s = snapshot_current();
    int64_t now = clock_wall_ms();
    struct str name = call_param(c, "name");
    bool mine = call_param_int(c, "mine", 0) != 0;
    struct json_writer *w = call_begin(c);
    json_array_begin(w, "keys");
    for (size_t i = 0; s && i < key_table_count(s->keys); i++) {
        const struct key *k = key_table_at(s->keys, i);
        if ((!name.n || str_eq(k->name, name)) && (!mine || str_eq(k->owner, c->user)))
            put_key(c, w, k, now);
    }
    json_array_end(w);
    snapshot_put(s);
    call_send(c);
}

/* ---- making and changing ---- */

struct str key_object(struct call *c, const char *kind, struct str name)
{
    return call_printf(c, "%s/" STR_FMT, kind, STR_ARG(name));
}

/* The limits that the file gives, so that a live edit of one of them keeps the others. */
static struct str base_object(struct call *c, struct str name)
{
    struct str live = live_get(c->admin->live, key_object(c, "key", name));
    struct snapshot *s = live.n ? NULL : snapshot_current();
    const struct key *k = s ? key_by_name(s->keys, name) : NULL;
    struct str out = live;
    if (k && k->budget_count) {
        struct buf b;
        buf_init(&b, OBJECT_MAX);
        struct json_writer w = json_writer(&b);
        json_object_begin(&w, NULL);
        json_object_begin(&w, "budgets");
        for (size_t i = 0; i < k->budget_count; i++)
            json_put_int(&w, window_name(k->budgets[i].window), k->budgets[i].limit_nano);
        json_object_end(&w);
        json_object_end(&w);
        out = arena_str(&c->arena, buf_str(&b));
        buf_fini(&b);
    }
    snapshot_put(s);
    return out;
}

static bool key_exists(struct str name)
{
    struct snapshot *s = snapshot_current();
    bool there = s && key_by_name(s->keys, name);
    snapshot_put(s);
    return there;
}

static void put_hex(char out[65], const unsigned char digest[32])
{
    for (size_t i = 0; i < 32; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

void make_secret(struct call *c, struct made *m, struct str old_digest, int64_t old_until_ms)
{
    unsigned char digest[32];
    char hex[65];
    key_make_secret(m->secret, m->shown);
    key_digest(str_c(m->secret), digest);
    put_hex(hex, digest);
    struct str old = old_digest.n
        ? call_printf(c, ",\"old_digest\":\"" STR_FMT "\",\"old_until_ms\":%lld", STR_ARG(old_digest),
              (long long)old_until_ms)
        : STR("");
    m->object = call_printf(c, "{\"digest\":\"%s\",\"shown\":\"%s\"" STR_FMT "}", hex, m->shown,
        STR_ARG(old));
}

static void put_lines(struct call *c, struct json_writer *w, const char *secret)
{
    struct str url = c->admin->start.listen_url;
    json_array_begin(w, "lines");
    json_put_str(w, NULL, call_printf(c, "export OPENAI_BASE_URL=" STR_FMT "/v1 OPENAI_API_KEY=%s",
        STR_ARG(url), secret));
    json_put_str(w, NULL, call_printf(c, "export ANTHROPIC_BASE_URL=" STR_FMT
        " ANTHROPIC_API_KEY=%s", STR_ARG(url), secret));
    json_array_end(w);
}

static void put_secret(struct call *c, struct json_writer *w, struct made *m)
{
    json_put_c(w, "secret", m->secret);
    json_put_c(w, "shown", m->shown);
    put_lines(c, w, m->secret);
    secret_wipe(m->secret, sizeof m->secret);
}

static void put_meaning(struct json_writer *w, struct str object)
{
    struct buf b;
    buf_init(&b, 1 << 16);
    key_meaning(object, &b);
    json_put_str(w, "meaning", buf_str(&b));
    buf_fini(&b);
}

/* "key bob limited: $5.00 a day, $20.00 a week" */
static struct str key_changed(struct call *c, const char *how, struct str name, struct str object)
{
    struct buf b;
    buf_init(&b, 1 << 16);
    key_meaning(object, &b);
    struct str text = call_printf(c, "key " STR_FMT " %s: " STR_FMT, STR_ARG(name), how,
        STR_ARG(str_first(buf_str(&b), 200)));
    buf_fini(&b);
    return text;
}

/* "line" or members → the new "key/NAME" object in *out. */
static int wished_object(struct call *c, struct str base, struct str words, struct buf *out,
    struct err *e)
{
    if (words.n)
        return key_line_apply(base, words, clock_wall_ms(), out, e);
    return key_members_apply(base, c->body, out, e);
}

static const char key_members[] = "line name owner team tags models sources raw budgets rpm tpm "
                                  "concurrent expires_ms capture dry_run";

void post_key(struct call *c)
{
    struct err e = {0};
    struct buf object;
    struct str line = str_trim(call_text(c, "line")), name = call_text(c, "name");
    if (!call_allows(c, key_members))
        return;
    if (line.n && !str_cut(&line, ' ', &name))
        name = line;
    if (!key_name_ok(name)) {
        call_error(c, 400, "bad_name", "a key's name has 1 to 64 letters, digits, '.', '-' and '_'");
        return;
    }
    if (key_exists(name) || live_get(c->admin->live, key_object(c, "key", name)).n) {
        call_error(c, 409, "exists", "there is a key \"" STR_FMT "\" already; see: key limit, key rotate",
            STR_ARG(name));
        return;
    }
    buf_init(&object, OBJECT_MAX);
    int rc = wished_object(c, STR_NULL, line, &object, &e);
    if (rc < 0) {
        call_failed(c, rc, &e);
        buf_fini(&object);
        return;
    }
    struct made made;
    make_secret(c, &made, STR_NULL, 0);
    struct live_part parts[] = {{.object = key_object(c, "key", name), .after = buf_str(&object)},
        {.object = key_object(c, "secret", name), .after = made.object}};
    struct live_who who = call_who(c);
    bool dry = json_bool(c->body, "dry_run", false);
    rc = dry ? live_try(c->admin->live, parts, 2, &e)
             : live_apply(c->admin->live, &who, parts, 2,
                   key_changed(c, "made", name, buf_str(&object)), -1, NULL, &e);
    if (rc < 0) {
        call_failed(c, rc, &e);
    } else {
        struct json_writer *w = call_begin(c);
        json_put_str(w, "key", name);
        put_meaning(w, buf_str(&object));
        json_put_bool(w, "dry_run", dry);
        if (!dry)
            put_secret(c, w, &made);
        call_send(c);
    }
    secret_wipe(made.secret, sizeof made.secret);
    buf_fini(&object);
}

bool key_must_exist(struct call *c)
{
    if (key_exists(c->args[0]))
        return true;
    call_error(c, 404, "not_found", "no key \"" STR_FMT "\"; see: key list",
        STR_ARG(str_first(c->args[0], 64)));
    return false;
}

static void change_object(struct call *c, struct buf *object, struct str text)
{
    struct err e = {0};
    struct live_who who = call_who(c);
    int64_t revision = 0;
    struct live_part part = {.object = key_object(c, "key", c->args[0]), .after = buf_str(object)};
    int rc = live_apply(c->admin->live, &who, &part, 1, text, -1, &revision, &e);
    if (rc < 0) {
        call_failed(c, rc, &e);
        return;
    }
    struct json_writer *w = call_begin(c);
    json_put_str(w, "key", c->args[0]);
    json_put_int(w, "revision", revision);
    put_meaning(w, buf_str(object));
    call_send(c);
}

void post_key_limit(struct call *c)
{
    struct err e = {0};
    struct buf object;
    if (!call_allows(c, key_members) || !key_must_exist(c))
        return;
    buf_init(&object, OBJECT_MAX);
    int rc = wished_object(c, base_object(c, c->args[0]), str_trim(call_text(c, "line")), &object, &e);
    if (rc < 0)
        call_failed(c, rc, &e);
    else
        change_object(c, &object, key_changed(c, "limited", c->args[0], buf_str(&object)));
    buf_fini(&object);
}

/* Lays {"paused":…} or {"revoked":…} over the object. */
static void set_flag(struct call *c, const char *flag, bool on, struct str text)
{
    struct str base = base_object(c, c->args[0]);
    struct json_iter it = json_iter(base);
    struct json_span key, value;
    struct buf b;
    buf_init(&b, OBJECT_MAX);
    struct json_writer w = json_writer(&b);
    json_object_begin(&w, NULL);
    while (base.n && json_next(&it, &key, &value)) {
        if (json_text_eq(key, str_c(flag)))
            continue;
        json_put_key(&w, str_first(str_from(key.raw, 1), key.raw.n - 2));
        json_put_raw(&w, NULL, value.raw);
    }
    json_put_bool(&w, flag, on);
    json_object_end(&w);
    change_object(c, &b, text);
    buf_fini(&b);
}

void post_key_pause(struct call *c)
{
    if (key_must_exist(c))
        set_flag(c, "paused", true, call_printf(c, "key " STR_FMT " paused", STR_ARG(c->args[0])));
}

void post_key_resume(struct call *c)
{
    if (key_must_exist(c))
        set_flag(c, "paused", false, call_printf(c, "key " STR_FMT " resumed",
            STR_ARG(c->args[0])));
}

void post_key_rotate(struct call *c)
{
    struct err e = {0};
    if (!call_allows(c, "grace_ms") || !key_must_exist(c))
        return;
    int64_t grace = json_int(c->body, "grace_ms", GRACE_MS);
    struct snapshot *s = snapshot_current();
    const struct key *k = s ? key_by_name(s->keys, c->args[0]) : NULL;
    char old[65] = "";
    if (k)
        put_hex(old, k->digest);
    snapshot_put(s);
    struct made made;
    make_secret(c, &made, grace > 0 ? str_c(old) : STR_NULL, clock_wall_ms() + grace);
    struct str object = base_object(c, c->args[0]);
    struct live_part parts[] = {{.object = key_object(c, "key", c->args[0]),
                                    .after = object.n ? object : STR("{}")},
        {.object = key_object(c, "secret", c->args[0]), .after = made.object}};
    struct live_who who = call_who(c);
    int rc = live_apply(c->admin->live, &who, parts, 2,
        call_printf(c, "key " STR_FMT " rotated", STR_ARG(c->args[0])), -1, NULL, &e);
    if (rc < 0) {
        call_failed(c, rc, &e);
    } else {
        struct json_writer *w = call_begin(c);
        json_put_str(w, "key", c->args[0]);
        json_put_int(w, "old_until_ms", grace > 0 ? clock_wall_ms() + grace : 0);
        put_secret(c, w, &made);
        call_send(c);
    }
    secret_wipe(made.secret, sizeof made.secret);
}

/* For good: a key made live is forgotten with its hash, one of the file stays refused. */
void post_key_revoke(struct call *c)
{
    if (!key_must_exist(c))
        return;
    struct str secret = key_object(c, "secret", c->args[0]);
    struct str text = call_printf(c, "key " STR_FMT " revoked", STR_ARG(c->args[0]));
    if (live_get(c->admin->live, secret).n == 0) {
        set_flag(c, "revoked", true, text);
        return;
    }
    struct err e = {0};
    struct live_who who = call_who(c);
    struct str dead = STR("{\"revoked\":true}"); /* the hash of 256 zero bits belongs to no secret */
    struct str none = STR("{\"digest\":\"00000000000000000000000000000000000000000000000000000000"
                          "00000000\",\"shown\":\"revoked\"}");
    struct live_part parts[] = {{.object = key_object(c, "key", c->args[0]), .after = dead},
        {.object = secret, .after = none}};
    int64_t revision = 0;
    int rc = live_apply(c->admin->live, &who, parts, 2, text, -1, &revision, &e);
    if (rc < 0) {
        call_failed(c, rc, &e);
        return;
    }
    struct json_writer *w = call_begin(c);
    json_put_str(w, "key", c->args[0]);
    json_put_int(w, "revision", revision);
    call_send(c);
}
