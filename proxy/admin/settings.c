/* settings.c: the configuration and the prices: shown, checked, applied, compared; the store's own
 * upkeep. */
#include "proxy/admin/handlers.h"
#include "proxy/admin/keeper.h"
#include "proxy/admin/record_view.h"
#include "proxy/admin/source.h"

#include "proxy/access/key.h"
#include "proxy/config/config.h"
#include "proxy/config/sealed.h"
#include "proxy/meter/price.h"
#include "store/base/clock.h"
#include "store/base/json_span.h"

#include <stdio.h>

enum { EXPORT_MAX = 8 << 20, LIVE_RESET_MAX = 500 };

/* ---- what was changed live ---- */

static bool put_drift(void *ctx, struct str object, struct str json, int64_t revision)
{
    struct json_writer *w = ctx;
    json_object_begin(w, NULL);
    json_put_str(w, "object", object);
    json_put_raw(w, "value", json);
    json_put_int(w, "revision", revision);
    json_object_end(w);
    return true;
}

static void put_all_drift(struct call *c, struct json_writer *w)
{
    static const char *const kinds[] = {"override/", "drain/", "route/", "provider/", "canary/"};
    json_array_begin(w, "drift");
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        live_each(c->admin->live, str_c(kinds[i]), put_drift, w);
    json_array_end(w);
}

/* The file as it is now on disk against what is in force. */
static void put_file_changes(struct call *c, struct json_writer *w)
{
    struct err e = {0};
    struct buf diff;
    struct source *s = c->admin->start.source;
    buf_init(&diff, 1 << 20);
    if (source_reread(s, &e) < 0) {
        json_put_c(w, "file_error", e.text);
        json_put_c(w, "file", "");
    } else {
        struct config *fresh = source_load(s, STR_NULL, NULL, &e);
        if (fresh)
            (void)config_diff(live_config(c->admin->live), fresh, &diff);
        json_put_c(w, "file_error", fresh ? "" : e.text);
        json_put_str(w, "file", buf_str(&diff));
        if (fresh)
            config_put(fresh);
    }
    source_settle(s, false);
    buf_fini(&diff);
}

void get_config_diff(struct call *c)
{
    struct json_writer *w = call_begin(c);
    put_all_drift(c, w);
    put_file_changes(c, w);
    call_send(c);
}

void get_config(struct call *c)
{
    struct snapshot *s = snapshot_current();
    const struct key *keys[512];
    struct config_live live = {.keys = keys, .wall_ms = clock_wall_ms()};
    struct buf yaml;
    buf_init(&yaml, EXPORT_MAX);
    if (s) {
        live.overrides = s->overrides;
        live.override_count = s->override_count;
        live.drained = s->drained;
        live.drained_count = s->drained_count;
        live.taken_back = s->taken_back;
        live.taken_back_count = s->taken_back_count;
        for (size_t i = 0; i < key_table_count(s->keys) && live.key_count < ARRAY_LEN(keys); i++) {
            const struct key *k = key_table_at(s->keys, i);
            if (!k->from_file && !k->run_key)
                keys[live.key_count++] = k;
        }
        config_export(s->config, &live, &yaml);
    }
    struct json_writer *w = call_begin(c);
    json_put_c(w, "file", source_path(c->admin->start.source));
    json_put_int(w, "revision", live_revision(c->admin->live));
    json_put_str(w, "yaml", buf_str(&yaml));
    put_all_drift(c, w);
    snapshot_put(s);
    buf_fini(&yaml);
    call_send(c);
}

void get_config_options(struct call *c)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    config_options_json(&b);
    json_put_raw(call_begin(c), "options", json_get(buf_str(&b), STR("options")).raw);
    buf_fini(&b);
    call_send(c);
}

static void put_lines(struct json_writer *w, struct str lines)
{
    struct str line;
    json_array_begin(w, "complaints");
    while (lines.n && str_cut(&lines, '\n', &line))
        if (line.n)
            json_put_str(w, NULL, line);
    json_array_end(w);
}

void post_config_check(struct call *c)
{
    struct err e = {0};
    struct buf lines;
    struct source *s = c->admin->start.source;
    struct str text = call_text(c, "text");
    if (!call_allows(c, "text"))
        return;
    buf_init(&lines, 1 << 20);
    int rc = text.n ? source_set_text(s, text, &e) : source_reread(s, &e);
    struct config *fresh = rc == 0 ? source_load(s, STR_NULL, &lines, &e) : NULL;
    struct json_writer *w = call_begin(c);
    json_put_bool(w, "ok", fresh != NULL);
    json_put_c(w, "error", fresh ? "" : e.text);
    put_lines(w, buf_str(&lines));
    call_send(c);
    if (fresh)
        config_put(fresh);
    source_settle(s, false);
    buf_fini(&lines);
}

/* ---- applying ---- */

struct drop_list {
    struct live_part parts[LIVE_RESET_MAX];
    size_t n;
};

static bool add_drop(void *ctx, struct str object, struct str json, int64_t revision)
{
    struct drop_list *l = ctx;
    (void)json, (void)revision;
    l->parts[l->n++] = (struct live_part){.object = object};
    return l->n < LIVE_RESET_MAX;
}

/* `--reset`: what was changed live goes back to what the file says, as one change. */
static int drop_live(struct call *c, struct err *e)
{
    static const char *const kinds[] = {"override/", "drain/", "route/", "canary/"};
    struct drop_list *l = arena_zalloc(&c->arena, sizeof *l);
    struct live_who who = call_who(c);
    if (!l)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (l->n < LIVE_RESET_MAX)
            live_each(c->admin->live, str_c(kinds[i]), add_drop, l);
    for (size_t i = 0; i < l->n; i++) /* names move when objects go */
        l->parts[i].object = arena_str(&c->arena, l->parts[i].object);
    return l->n == 0 ? 0 : live_apply(c->admin->live, &who, l->parts, l->n,
        call_printf(c, "live state dropped: %zu objects", l->n), -1, NULL, e);
}

void post_config_apply(struct call *c)
{
    struct err e = {0};
    struct buf kept;
    struct source *s = c->admin->start.source;
    struct str text = call_text(c, "text");
    if (!call_allows(c, "text reset"))
        return;
    buf_init(&kept, 1 << 18);
    int rc = text.n ? source_set_text(s, text, &e) : source_reread(s, &e);
    if (rc == 0)
        rc = admin_reload_config(c->admin, &kept, &e);
    if (rc == 0 && json_bool(c->body, "reset", false))
        rc = drop_live(c, &e);
    if (rc < 0) {
        call_failed(c, rc, &e);
    } else {
        keeper_audit(c, text.n ? "configuration applied from a text" : "configuration applied");
        struct json_writer *w = call_begin(c);
        json_put_int(w, "revision", live_revision(c->admin->live));
        json_put_str(w, "kept", json_bool(c->body, "reset", false) ? STR("")
                                                                   : str_trim(buf_str(&kept)));
        call_send(c);
    }
    buf_fini(&kept);
}

/* ---- prices ---- */

struct price_list_view {
    struct json_writer *w;
    struct str part;
};

static void put_price(void *ctx, const struct price *p)
{
    struct price_list_view *v = ctx;
    if (v->part.n && str_find_nocase(str_c(p->key), v->part) < 0)
        return;
    json_object_begin(v->w, NULL);
    json_put_c(v->w, "name", p->key);
    price_json(v->w, p);
    json_put_int(v->w, "max_output_tokens", p->max_output_tokens);
    json_object_end(v->w);
}

void get_prices(struct call *c)
{
    const struct config *config = live_config(c->admin->live);
    struct json_writer *w = call_begin(c);
    struct price_list_view v = {w, call_param(c, "part")};
    json_put_c(w, "built_in_date", price_list_builtin_date());
    json_array_begin(w, "prices");
    if (config->prices)
        price_list_each(config->prices, put_price, &v);
    json_array_end(w);
    call_send(c);
}

void post_prices_import(struct call *c)
{
    struct err e = {0};
    struct buf kept;
    struct str text = call_text(c, "text");
    struct price_import done = {0};
    if (!call_allows(c, "text dry_run"))
        return;
    struct price_list *trial = price_list_new(price_list_builtin());
    int rc = trial ? price_import(trial, text, &done, &e) : -ERR_NOMEM;
    price_list_free(trial);
    bool dry = json_bool(c->body, "dry_run", false);
    buf_init(&kept, 1 << 16);
    if (rc == 0 && !dry)
        rc = source_set_prices(c->admin->start.source, text, &e);
    if (rc == 0 && !dry)
        rc = admin_reload_config(c->admin, &kept, &e);
    if (rc == 0 && !dry && c->admin->start.store) {
        keeper_handed_over();
        rc = store_put_state(c->admin->start.store, STR("prices"), text, -1, NULL, NULL);
    }
    buf_fini(&kept);
    if (rc < 0) {
        call_failed(c, rc, &e);
        return;
    }
    if (!dry)
        keeper_audit(c, call_printf(c, "prices imported: %zu", done.taken).p);
    struct json_writer *w = call_begin(c);
    json_put_int(w, "taken", (int64_t)done.taken);
    json_put_int(w, "rounded", (int64_t)done.rounded);
    json_put_int(w, "skipped", (int64_t)done.skipped);
    json_array_begin(w, "not_carried");
    for (size_t i = 0; i < done.not_carried_count; i++) {
        json_object_begin(w, NULL);
        json_put_c(w, "field", done.not_carried[i].field);
        json_put_int(w, "models", (int64_t)done.not_carried[i].models);
        json_object_end(w);
    }
    json_array_end(w);
    call_send(c);
}

/* ---- the store's upkeep ---- */

static void check_answered(struct call *c, struct store_answer *a)
{
    if (a->rc < 0) {
        call_failed(c, a->rc, &a->err);
        return;
    }
    struct json_writer *w = call_begin(c);
    json_put_bool(w, "ok", a->problems == 0);
    json_put_int(w, "problems", a->problems);
    json_array_begin(w, "report");
    for (size_t i = 0; i < a->n; i++)
        json_put_str(w, NULL, a->report[i]);
    json_array_end(w);
    call_send(c);
}

void post_db_check(struct call *c)
{
    struct store_query q = {.kind = STORE_ASK_CHECK};
    if (call_allows(c, ""))
        call_ask(c, &q, check_answered);
}

static void upkeep_done(struct call *c, int rc, int64_t rows)
{
    struct str path = call_text(c, "path");
    if (rc == -ERR_CONFLICT && path.n) {
        call_error(c, 409, err_name(rc), STR_FMT " is there already: name a new file", STR_ARG(path));
        return;
    }
    if (rc < 0) {
        call_failed(c, rc, NULL);
        return;
    }
    struct json_writer *w = call_begin(c);
    struct err e = {0};
    const char *master = sealed_count() ? sealed_master(&e) : NULL;
    json_put_bool(w, "ok", true);
    json_put_int(w, "removed", rows);
    json_put_int(w, "sealed", (int64_t)sealed_count()); /* a copy holds them, their master key not */
    json_put_c(w, "master", master ? master : "");
    call_send(c);
}

void post_db_backup(struct call *c)
{
    struct str path = call_text(c, "path");
    if (!call_allows(c, "path"))
        return;
    if (path.n == 0 || path.p[0] != '/' || path.n > 1000) {
        call_error(c, 400, "bad_path", "path: an absolute path of a file that is not there yet");
        return;
    }
    struct call_done *d = c->admin->start.store ? call_done_new(c, upkeep_done) : NULL;
    if (!d) {
        call_error(c, 503, "no_store", "nothing is stored here");
        return;
    }
    int rc = store_backup(c->admin->start.store, path.p, call_done_post, d);
    if (rc == 0) {
        keeper_audit(c, call_printf(c, "backup to " STR_FMT, STR_ARG(path)).p);
        return;
    }
    call_done_drop(d);
    call_failed(c, rc, NULL);
}

void post_db_prune(struct call *c)
{
    int64_t older = json_int(c->body, "older_than_ms", 0);
    if (!call_allows(c, "older_than_ms"))
        return;
    if (older <= 0 || older > clock_wall_ms()) {
        call_error(c, 400, "bad_time", "older_than_ms: wall-clock ms; records before it are removed");
        return;
    }
    struct call_done *d = c->admin->start.store ? call_done_new(c, upkeep_done) : NULL;
    if (!d) {
        call_error(c, 503, "no_store", "nothing is stored here");
        return;
    }
    int rc = store_prune(c->admin->start.store, older, call_done_post, d);
    if (rc == 0) {
        char day[32];
        clock_rfc3339(older, day);
        keeper_audit(c, call_printf(c, "records of the days before %.10s removed", day).p);
        return;
    }
    call_done_drop(d);
    call_failed(c, rc, NULL);
}
