/* sealed.c: provider keys sealed in the store: taken, listed, forgotten, sealed anew under another
 * master key.
 *
 * A change is answered when it is stored, and in force from then on. One at a time: a key that is on
 * its way to the store must not be overtaken by its older form. */
#include "proxy/admin/sealed.h"

#include "proxy/admin/handlers.h"
#include "proxy/admin/keeper.h"
#include "proxy/config/sealed.h"
#include "store/base/clock.h"
#include "store/base/log.h"
#include "store/base/secret.h"


/* ---- who uses what ---- */

static bool uses(const struct provider *p, struct str name)
{
    for (size_t i = 0; i < p->key_count; i++)
        if (str_starts(p->keys[i].name, STR("sealed:")) &&
            str_eq(str_from(p->keys[i].name, 7), name))
            return true;
    return false;
}

static void put_users(struct json_writer *w, const struct config *c, struct str name)
{
    json_array_begin(w, "used_by");
    for (size_t i = 0; c && i < c->provider_count; i++)
        if (uses(&c->providers[i], name))
            json_put_str(w, NULL, c->providers[i].name);
    json_array_end(w);
}

struct report {
    struct json_writer *w;
    const struct config *config;
};

static void put_row(void *ctx, const struct sealed_view *v)
{
    struct report *r = ctx;
    json_object_begin(r->w, NULL);
    json_put_str(r->w, "name", v->name);
    json_put_c(r->w, "shown", v->shown);
    json_put_bool(r->w, "opens", v->opens);
    json_put_c(r->w, "fault", v->why);
    json_put_bool(r->w, "current", v->current);
    json_put_str(r->w, "who", v->who);
    json_put_int(r->w, "time_ms", v->time_ms);
    put_users(r->w, r->config, v->name);
    json_object_end(r->w);
}

void sealed_report(struct json_writer *w, const struct config *config)
{
    struct err e = {0};
    struct report r = {w, config};
    const char *master = sealed_count() ? sealed_master(&e) : NULL;
    json_put_c(w, "master", master ? master : "");
    json_put_c(w, "master_fault", e.code ? e.text : "");
    json_array_begin(w, "keys");
    sealed_each(put_row, &r);
    json_array_end(w);
}

void get_sealed(struct call *c)
{
    sealed_report(call_begin(c), live_config(c->admin->live));
    call_send(c);
}

/* ---- one change at a time ---- */

struct sealing {
    struct str name, shown;
    struct sealed_row {
        struct str name, sealed, who;
        int64_t time_ms;
    } *rows;
    size_t count;
    struct str left; /* names that don't open */
    bool forget;
};

/* True when this call may go on; the store must be there. */
static bool begin(struct call *c, struct sealing **x)
{
    *x = arena_zalloc(&c->arena, sizeof **x);
    if (!*x)
        call_failed(c, -ERR_NOMEM, NULL);
    else if (!c->admin->start.store)
        call_error(c, 503, "no_store", "nothing is stored here");
    else if (c->admin->sealing)
        call_error(c, 409, "busy", "another change of sealed keys is on its way to the store; "
            "try again");
    else
        return true;
    return false;
}

static struct call_done *done_of(struct call *c, call_done_fn *fn, struct sealing *x)
{
    struct call_done *d = call_done_new(c, fn);
    if (!d) {
        call_failed(c, -ERR_NOMEM, NULL);
        return NULL;
    }
    c->state = x;
    c->admin->sealing = true;
    call_done_always(d);
    return d;
}

/* The append was refused: nothing has changed. */
static void not_taken(struct call *c, struct call_done *d, int rc)
{
    c->admin->sealing = false;
    call_done_drop(d);
    call_failed(c, rc, NULL);
}

static void put_in_force(struct call *c, const struct sealing *x, int rc)
{
    for (size_t i = 0; rc == 0 && i < x->count; i++)
        if (sealed_put(x->rows[i].name, x->rows[i].sealed, x->rows[i].who, x->rows[i].time_ms) < 0)
            log_warn("admin: no room for the sealed key " STR_FMT " until the next start",
                STR_ARG(x->rows[i].name));
    c->admin->sealing = false;
}

static void answer_change(struct call *c, const struct sealing *x)
{
    struct json_writer *w = call_begin(c);
    struct err e = {0};
    const char *master = sealed_master(&e);
    json_put_str(w, "name", x->name);
    json_put_str(w, "shown", x->shown);
    json_put_c(w, "master", master ? master : "");
    put_users(w, live_config(c->admin->live), x->name);
    call_send(c);
}

static void changed(struct call *c, int rc, int64_t revision)
{
    const struct sealing *x = c->state;
    struct err e = {0};
    struct buf kept;
    (void)revision;
    put_in_force(c, x, rc);
    if (rc == 0 && x->forget)
        sealed_drop(x->name);
    if (rc < 0) {
        call_error(c, 503, "not_kept", "the store did not take it: %s; nothing has changed",
            err_text(rc));
        return;
    }
    keeper_audit(c, call_printf(c, "%s provider key " STR_FMT, x->forget ? "forgot sealed" : "sealed",
        STR_ARG(x->name)).p);
    buf_init(&kept, 1 << 16);
    rc = admin_reload_config(c->admin, &kept, &e);
    buf_fini(&kept);
    if (rc < 0)
        call_error(c, 409, "not_in_force", "stored, but the configuration does not load with it: %s",
            e.text);
    else
        answer_change(c, x);
}

/* ---- sealing ---- */

static void wipe_request(struct call *c, struct str value)
{
    if (value.n)
        secret_wipe((void *)(uintptr_t)value.p, value.n);
    if (c->q && c->q->body.p)
        secret_wipe(c->q->body.p, c->q->body.n);
}

static bool seal(struct call *c, struct sealing *x, struct str value)
{
    struct buf sealed;
    struct err e = {0};
    char shown[24];
    buf_init(&sealed, SEALED_VALUE_MAX + 1024);
    int rc = sealed_make(x->name, value, &sealed, &e);
    sealed_show(value, shown);
    x->shown = arena_str(&c->arena, str_c(shown));
    x->rows = arena_zalloc(&c->arena, sizeof *x->rows);
    if (rc == 0 && x->rows)
        x->rows[x->count++] = (struct sealed_row){x->name, arena_str(&c->arena, buf_str(&sealed)),
            c->user, clock_wall_ms()};
    buf_fini(&sealed);
    if (rc < 0)
        call_failed(c, rc, &e);
    else if (!x->count || !x->rows[0].sealed.p)
        call_failed(c, -ERR_NOMEM, NULL);
    return !c->answered;
}

static bool is_known(struct str name)
{
    struct err e = {0};
    struct buf plain;
    buf_init(&plain, SEALED_VALUE_MAX + 64);
    int rc = sealed_get(name, &plain, &e);
    secret_wipe(plain.p, plain.n);
    buf_fini(&plain);
    return rc != -ERR_NOT_FOUND;
}

void post_sealed(struct call *c)
{
    struct sealing *x;
    struct str value = call_text(c, "value");
    const char *bad = sealed_name_fault(c->args[0]);
    bool good = call_allows(c, "value");
    if (good && !bad)
        bad = sealed_value_fault(value);
    if (good && !bad && sealed_count() >= SEALED_MAX && !is_known(c->args[0]))
        bad = "too many keys are sealed here";
    if (bad)
        call_error(c, 400, "bad_key", "%s", bad);
    if (c->answered || !begin(c, &x)) {
        wipe_request(c, value);
        return;
    }
    x->name = c->args[0];
    secret_add(value);
    bool sealed = seal(c, x, value);
    wipe_request(c, value);
    struct call_done *d = sealed ? done_of(c, changed, x) : NULL;
    if (!d)
        return;
    struct store_sealed k = {x->name, x->rows->sealed, c->user, x->rows->time_ms};
    int rc = store_put_sealed(c->admin->start.store, &k, call_done_post, d);
    if (rc < 0)
        not_taken(c, d, rc);
}

/* ---- forgetting ---- */

/* A provider of the file or of a live edit would not load any more; one that was found by its sealed
 * key just goes. */
static bool still_wanted(struct call *c, struct str name)
{
    const struct config *config = live_config(c->admin->live);
    for (size_t i = 0; i < config->provider_count; i++)
        if (!config->providers[i].from_environment && uses(&config->providers[i], name)) {
            call_error(c, 409, "in_use", "provider " STR_FMT " takes its key from sealed:" STR_FMT
                ": give it another one first", STR_ARG(config->providers[i].name), STR_ARG(name));
            return true;
        }
    return false;
}

void post_forget_sealed(struct call *c)
{
    struct sealing *x;
    if (!call_allows(c, ""))
        return;
    if (!is_known(c->args[0])) {
        call_error(c, 404, "not_found", "no key is sealed under the name " STR_FMT
            "; see: provider sealed", STR_ARG(str_first(c->args[0], SEALED_NAME_MAX)));
        return;
    }
    if (still_wanted(c, c->args[0]) || !begin(c, &x))
        return;
    x->name = c->args[0];
    x->forget = true;
    struct call_done *d = done_of(c, changed, x);
    if (!d)
        return;
    struct store_sealed k = {.name = x->name};
    int rc = store_put_sealed(c->admin->start.store, &k, call_done_post, d);
    if (rc < 0)
        not_taken(c, d, rc);
}

/* ---- another master key ---- */

static void resealed(struct call *c, int rc, int64_t revision)
{
    const struct sealing *x = c->state;
    struct err e = {0};
    (void)revision;
    put_in_force(c, x, rc);
    if (rc < 0) {
        call_error(c, 503, "not_kept", "the store did not take them yet: %s; the old master key stays "
            "in its place behind the new one, so they open all the same", err_text(rc));
        return;
    }
    keeper_audit(c, call_printf(c, "sealed %zu provider keys anew under another master key",
        x->count).p);
    struct json_writer *w = call_begin(c);
    const char *master = sealed_master(&e);
    json_put_c(w, "master", master ? master : "");
    json_put_int(w, "resealed", (int64_t)x->count);
    json_put_str(w, "left", x->left);
    call_send(c);
}

struct collecting {
    struct call *call;
    struct sealing *x;
    int rc;
};

static void seal_again(void *ctx, const struct sealed_view *v)
{
    struct collecting *a = ctx;
    struct arena *arena = &a->call->arena;
    struct err e = {0};
    struct buf sealed;
    buf_init(&sealed, SEALED_VALUE_MAX + 1024);
    if (a->rc == 0 && !v->opens)
        a->x->left = call_printf(a->call, STR_FMT "%s" STR_FMT, STR_ARG(a->x->left),
            a->x->left.n ? ", " : "", STR_ARG(v->name));
    else if (a->rc == 0 && (a->rc = sealed_again(v->name, &sealed, &e)) == 0)
        a->x->rows[a->x->count++] = (struct sealed_row){arena_str(arena, v->name),
            arena_str(arena, buf_str(&sealed)), arena_str(arena, v->who), v->time_ms};
    buf_fini(&sealed);
    if (a->rc == 0 && a->x->count && !a->x->rows[a->x->count - 1].sealed.p)
        a->rc = -ERR_NOMEM;
}

void post_reseal(struct call *c)
{
    struct sealing *x;
    struct err e = {0};
    if (!call_allows(c, "") || !begin(c, &x))
        return;
    x->rows = arena_zalloc(&c->arena, sealed_count() * sizeof *x->rows + 1);
    struct collecting a = {c, x, x->rows ? sealed_renew(&e) : -ERR_NOMEM};
    if (a.rc == 0)
        sealed_each(seal_again, &a);
    if (a.rc < 0) {
        call_failed(c, a.rc, &e);
        return;
    }
    struct call_done *d = done_of(c, resealed, x);
    if (!d)
        return;
    int rc = 0;
    struct store *store = c->admin->start.store;
    for (size_t i = 0; rc == 0 && i < x->count; i++) {
        struct store_sealed k = {x->rows[i].name, x->rows[i].sealed, x->rows[i].who,
            x->rows[i].time_ms};
        rc = store_put_sealed(store, &k, NULL, NULL);
    }
    if (rc == 0)
        rc = store_sync(store, call_done_post, d);
    if (rc < 0)
        not_taken(c, d, rc);
}
