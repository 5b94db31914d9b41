/* keeper.c: what leaves the live state: objects into the store, changes into the audit trail, markers
 * and events; and how all of it comes back at the start.
 *
 * In the store's state an object is called "live/OBJECT" and holds {"revision":N,"value":{…}}. An audit
 * row holds the objects before and after; the value of a "secret/…" is never written there. */
#include "proxy/admin/keeper.h"

#include "proxy/admin/source.h"
#include "proxy/config/config.h"
#include "proxy/event/event.h"
#include "store/base/clock.h"
#include "store/base/json_span.h"
#include "store/base/log.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static struct {
    struct store *store;
    struct source *source;
    struct admin *admin;
    uint64_t changes; /* handed to the store in this life, by calls and by the clockwork */
    uint64_t lost;    /* of these, not taken */
    int64_t published_us; /* when a snapshot came into force last */
    char *alarms; /* what was said before the start, until alarms.c has read it */
} keeper; /* one admin thread a process; set before it starts */

static const char prefix[] = "live/";

/* ---- out ---- */

static void on_publish(void *ctx, struct snapshot *next)
{
    (void)ctx;
    snapshot_publish(next);
    keeper.published_us = clock_mono_us();
}

int64_t keeper_published_us(void)
{
    return keeper.published_us;
}

void keeper_handed_over(void)
{
    keeper.changes++;
}

static void was_not_taken(const char *what)
{
    keeper.lost++;
    log_error("admin: %s could not be stored", what);
}

uint64_t keeper_lost(void)
{
    return keeper.lost;
}

uint64_t keeper_changes(void)
{
    return keeper.changes;
}

static void on_keep(void *ctx, struct str object, struct str json, int64_t revision)
{
    (void)ctx;
    if (!keeper.store)
        return;
    char name[LIVE_NAME_MAX + 10];
    struct buf doc;
    snprintf(name, sizeof name, "%s" STR_FMT, prefix, STR_ARG(object));
    buf_init(&doc, (size_t)1 << 20);
    if (json.n) {
        struct json_writer w = json_writer(&doc);
        json_object_begin(&w, NULL);
        json_put_int(&w, "revision", revision);
        json_put_raw(&w, "value", json);
        json_object_end(&w);
    }
    /* nobody is told when it is stored, and so it is tried until it is: the call that made the change
     * waits for what comes behind it (call.c) */
    keeper_handed_over();
    if (doc.err || store_put_state(keeper.store, str_c(name), buf_str(&doc), -1, NULL, NULL) < 0)
        was_not_taken(name);
    buf_fini(&doc);
}

static void put_side(struct buf *out, const struct live_change *c, bool after)
{
    struct json_writer w = json_writer(out);
    json_object_begin(&w, NULL);
    if (after && c->undoes)
        json_put_int(&w, "undoes", c->undoes);
    for (size_t i = 0; i < c->part_count; i++) {
        struct str value = after ? c->parts[i].after : c->parts[i].before;
        if (str_starts(c->parts[i].object, STR("secret/")) && value.n)
            value = STR("{\"secret\":\"not shown\"}");
        json_put_key(&w, c->parts[i].object);
        json_put_raw(&w, NULL, value.n ? value : STR("null"));
    }
    json_object_end(&w);
}

static void audit_change(const struct live_change *c)
{
    struct buf before, after;
    buf_init(&before, (size_t)8 << 20);
    buf_init(&after, (size_t)8 << 20);
    put_side(&before, c, false);
    put_side(&after, c, true);
    struct store_audit row = {.revision = c->revision, .time_ms = c->time_ms, .uid = c->uid,
        .who = c->user, .terminal = c->terminal, .what = c->text, .before = buf_str(&before),
        .after = buf_str(&after)};
    keeper_handed_over();
    if (store_put_audit(keeper.store, &row, NULL, NULL) < 0)
        was_not_taken("a row of the audit trail");
    buf_fini(&before);
    buf_fini(&after);
}

static bool is_switch(const struct live_change *c)
{
    for (size_t i = 0; i < c->part_count; i++)
        if (!str_starts(c->parts[i].object, STR("key/")) &&
            !str_starts(c->parts[i].object, STR("secret/")) &&
            !str_starts(c->parts[i].object, STR("profile/")))
            return true;
    return false;
}

static void mark(const struct live_change *c)
{
    struct news_marker m = {.time_ms = c->time_ms, .revision = c->undoable ? c->revision : 0};
    str_copy(m.text, sizeof m.text, c->text);
    str_copy(m.who, sizeof m.who, c->user);
    if (keeper.admin)
        news_mark(keeper.admin->news, &m);
}

static void on_changed(void *ctx, const struct live_change *c)
{
    (void)ctx;
    bool run = c->part_count && str_starts(c->text, STR("run "));
    if (keeper.store)
        audit_change(c);
    if (is_switch(c))
        mark(c);
    if (!run)
        event_say(is_switch(c) ? EVENT_KIND_SWITCHED : EVENT_KIND_AUDIT_CHANGE, STR_NULL,
            STR_FMT ": " STR_FMT " (revision %lld)", STR_ARG(c->user), STR_ARG(c->text),
            (long long)c->revision);
    if (keeper.admin)
        admin_tell_news(keeper.admin);
}

static struct config *on_configure(void *ctx, struct str overlay, struct err *e)
{
    (void)ctx;
    return source_load(keeper.source, overlay, NULL, e);
}

/* ---- back ---- */

struct loading {
    struct live *live;
    struct source *source;
    size_t failed;
};

static void load_state(void *ctx, struct str name, struct str json, int64_t revision)
{
    (void)revision;
    struct loading *x = ctx;
    struct err e = {0};
    if (str_eq(name, STR("prices"))) {
        if (source_set_prices(x->source, json, &e) < 0)
            log_warn("admin: the imported prices are left out: %s", e.text);
        return;
    }
    if (str_eq(name, STR("alarms"))) {
        free(keeper.alarms);
        keeper.alarms = str_dup(json);
        return;
    }
    if (!str_starts(name, str_c(prefix)))
        return;
    int64_t made = 0;
    struct json_span value = json_get(json, STR("value"));
    if (json_i64(json_get(json, STR("revision")), &made) < 0 || value.type != JSON_OBJECT ||
        live_load(x->live, str_from(name, strlen(prefix)), value.raw, made) < 0)
        x->failed++;
}

static void load_change(struct live *l, const struct store_audit *row, struct arena *a)
{
    struct json_span object, value;
    size_t n = 0, most = json_count(json_value(row->after));
    struct live_part *parts = arena_zalloc(a, most * sizeof *parts + 1);
    struct json_iter it = json_iter(row->after);
    struct live_change c = {.revision = row->revision, .time_ms = row->time_ms, .uid = row->uid,
        .user = row->who, .terminal = row->terminal, .text = row->what, .parts = parts};
    while (parts && json_next(&it, &object, &value)) {
        struct str name = json_text(object, a);
        if (str_eq(name, STR("undoes"))) {
            if (json_i64(value, &c.undoes) < 0)
                return;
            continue;
        }
        struct json_span before = json_get(row->before, name);
        parts[n].object = name;
        parts[n].before = before.type == JSON_OBJECT ? before.raw : STR_NULL;
        parts[n++].after = value.type == JSON_OBJECT ? value.raw : STR_NULL;
    }
    c.part_count = n;
    if (n && live_load_change(l, &c) < 0)
        log_warn("admin: revision %lld can't be undone any more", (long long)c.revision);
}

static void load_history(struct live *l, struct store *store)
{
    struct store_query q = {.kind = STORE_ASK_AUDIT, .limit = LIVE_HISTORY};
    struct store_answer *a = store_ask_now(store, &q);
    struct arena arena;
    live_see_revision(l, store_last_revision(store)); /* also of what can't be undone */
    if (!a)
        return;
    arena_init(&arena, 1 << 16, (size_t)64 << 20);
    for (size_t i = a->rc == 0 ? a->n : 0; i > 0; i--)
        load_change(l, &a->audits[i - 1], &arena);
    arena_fini(&arena);
    store_answer_free(a);
}

/* Runs whose process has gone while we were down: their keys end. */
struct ended {
    char names[32][LIVE_NAME_MAX];
    size_t n;
};

static bool find_ended_run(void *ctx, struct str object, struct str json, int64_t revision)
{
    (void)revision;
    struct ended *x = ctx;
    struct json *j = json_parse(json, NULL);
    if (json_bool(j, "run", false) && kill((pid_t)json_int(j, "pid", 0), 0) < 0 && errno == ESRCH)
        str_copy(x->names[x->n++], sizeof x->names[0], object);
    json_free(j);
    return x->n < ARRAY_LEN(x->names);
}

static void drop_ended_runs(struct live *l)
{
    struct ended *x = calloc(1, sizeof *x);
    if (!x)
        return;
    live_each(l, STR("key/run-"), find_ended_run, x);
    for (size_t i = 0; i < x->n; i++) {
        char secret[LIVE_NAME_MAX + 10];
        snprintf(secret, sizeof secret, "secret/%s", x->names[i] + strlen("key/"));
        struct live_part parts[] = {{.object = str_c(x->names[i])}, {.object = str_c(secret)}};
        struct live_who us = {-1, STR("pointsman"), STR_NULL};
        struct err e = {0};
        if (live_apply(l, &us, parts, 2, STR("run ended while the gateway was down"), -1, NULL,
                &e) < 0)
            log_warn("admin: %s: %s", x->names[i], e.text);
    }
    free(x);
}

static int publish_first(struct live *l, struct source *source, struct err *e)
{
    struct buf overlay;
    struct err why = {0};
    buf_init(&overlay, (size_t)16 << 20);
    live_overlay(l, &overlay);
    /* again: now with what was edited live and the imported prices */
    struct config *c = source_load(source, buf_str(&overlay), NULL, &why);
    buf_fini(&overlay);
    if (!c) {
        log_warn("admin: what was edited live no longer fits the file and is left out: %s", why.text);
        return live_publish(l, e);
    }
    int rc = live_publish_config(l, c, NULL, e);
    if (rc < 0)
        config_put(c);
    return rc;
}

int admin_live_open(struct live **out, struct source *source, struct config *config,
    struct store *store, struct account_set *accounts, struct err *e)
{
    static const struct live_hooks hooks = {NULL, on_publish, on_keep, on_changed, on_configure};
    keeper.store = store;
    keeper.source = source;
    keeper.admin = NULL;
    int rc = live_open(out, &hooks, config, accounts, e);
    if (rc < 0)
        return rc;
    struct loading x = {*out, source, 0};
    if (store) {
        rc = store_each_state(store, load_state, &x);
        load_history(*out, store);
    }
    if (x.failed)
        log_warn("admin: %zu live objects could not be read and are left out", x.failed);
    if (rc < 0)
        rc = err_set(e, (enum err_code)-rc, "the live state can't be read from the store: %s",
            err_text(rc));
    if (rc == 0)
        rc = publish_first(*out, source, e);
    if (rc == 0)
        drop_ended_runs(*out);
    return rc;
}

void admin_attach_live(struct admin *a)
{
    keeper.admin = a;
}

char *keeper_take_alarms(void)
{
    char *json = keeper.alarms;
    keeper.alarms = NULL;
    return json;
}

void keeper_audit(struct call *c, const char *what)
{
    keeper_audit_figures(c, what, STR_NULL);
}

void keeper_audit_figures(struct call *c, const char *what, struct str json)
{
    struct store_audit row = {.revision = live_take_revision(c->admin->live),
        .time_ms = clock_wall_ms(), .uid = c->uid, .who = c->user, .terminal = c->terminal,
        .what = str_c(what), .after = json};
    keeper_handed_over();
    if (keeper.store && store_put_audit(keeper.store, &row, NULL, NULL) < 0)
        was_not_taken(what);
}

/* ---- a reload ---- */

int admin_reload_config(struct admin *a, struct buf *kept, struct err *e)
{
    struct buf overlay, lines;
    buf_init(&overlay, (size_t)16 << 20);
    buf_init(&lines, 1 << 18);
    live_overlay(a->live, &overlay);
    struct config *c = source_load(a->start.source, buf_str(&overlay), &lines, e);
    int rc = c ? live_publish_config(a->live, c, kept, e) : -(int)e->code;
    if (c && rc < 0)
        config_put(c);
    source_settle(a->start.source, rc == 0);
    if (rc == 0) {
        const struct admin_ops *ops = &a->start.ops;
        if (ops->configured)
            ops->configured(ops->ctx, live_config(a->live));
        event_say(EVENT_KIND_RELOADED, STR_NULL, "configuration in force%s" STR_FMT,
            kept && kept->n ? "; " : "", STR_ARG(kept ? str_trim(buf_str(kept)) : STR_NULL));
        admin_tell_news(a);
    }
    buf_fini(&overlay);
    buf_fini(&lines);
    return rc < 0 && !e->code ? err_set(e, (enum err_code)-rc, "%s", err_text(rc)) : rc;
}
