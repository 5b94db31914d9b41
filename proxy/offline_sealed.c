/* offline_sealed.c: sealed provider keys without a gateway: before its first start, or where it does not
 * start for want of one. The store is opened as its only user; a change counts when it is committed. */
#include "proxy/admin/sealed.h"
#include "proxy/config/sealed.h"
#include "proxy/offline.h"
#include "store/base/clock.h"
#include "store/base/secret.h"
#include "store/store.h"

#include <pwd.h>
#include <unistd.h>

struct room {
    struct store *store;
    int rc;
};

static void take(void *ctx, const struct store_sealed *k)
{
    struct room *m = ctx;
    m->rc = m->rc ? m->rc : sealed_put(k->name, k->sealed, k->who, k->time_ms);
}

static void leave(struct room *m)
{
    sealed_close();
    if (m->store)
        store_close(m->store);
}

static int enter(struct room *m, const struct offline *o, struct err *e)
{
    char key_file[4096];
    *m = (struct room){0};
    int rc = offline_open_store(o, &m->store, key_file, sizeof key_file, e);
    if (rc < 0)
        return rc;
    sealed_open(key_file);
    rc = store_each_sealed(m->store, take, m);
    rc = rc ? rc : m->rc;
    if (rc == 0)
        return 0;
    leave(m);
    return err_set(e, (enum err_code)-rc, "the sealed keys can't be read: %s", err_text(rc));
}

static void stored(void *ctx, int rc, int64_t revision)
{
    struct room *m = ctx;
    (void)revision;
    m->rc = m->rc ? m->rc : rc;
}

/* The writer runs for as long as it takes. */
static int keep(struct room *m, const struct store_sealed *keys, size_t n, struct err *e)
{
    int rc = store_start(m->store, e);
    if (rc < 0)
        return rc;
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = store_put_sealed(m->store, &keys[i], stored, m);
    store_stop(m->store);
    rc = rc ? rc : m->rc;
    return rc < 0 ? err_set(e, (enum err_code)-rc, "the store did not take it: %s", err_text(rc)) : 0;
}

static struct str me(void)
{
    const struct passwd *who = getpwuid(getuid());
    return str_c(who ? who->pw_name : "?");
}

static void say_change(struct str name, const char *shown, struct buf *json)
{
    struct err e = {0};
    const char *master = sealed_master(&e);
    struct json_writer w = json_writer(json);
    json_object_begin(&w, NULL);
    json_put_str(&w, "name", name);
    json_put_c(&w, "shown", shown);
    json_put_c(&w, "master", master ? master : "");
    json_object_end(&w);
}

int offline_seal(const struct offline *o, struct str name, struct str value, struct buf *json,
    struct err *e)
{
    struct room m;
    struct buf sealed;
    char shown[24];
    const char *bad = sealed_name_fault(name);
    bad = bad ? bad : sealed_value_fault(value);
    if (bad)
        return err_set(e, ERR_RANGE, "%s", bad);
    int rc = enter(&m, o, e);
    if (rc < 0)
        return rc;
    buf_init(&sealed, SEALED_VALUE_MAX + 1024);
    rc = sealed_make(name, value, &sealed, e);
    struct store_sealed k = {name, buf_str(&sealed), me(), clock_wall_ms()};
    if (rc == 0)
        rc = keep(&m, &k, 1, e);
    sealed_show(value, shown);
    if (rc == 0)
        say_change(name, shown, json);
    buf_fini(&sealed);
    leave(&m);
    return rc;
}

int offline_sealed(const struct offline *o, struct buf *json, struct err *e)
{
    struct room m;
    int rc = enter(&m, o, e);
    if (rc < 0)
        return rc;
    struct json_writer w = json_writer(json);
    json_object_begin(&w, NULL);
    sealed_report(&w, NULL);
    json_object_end(&w);
    leave(&m);
    return json->err;
}

int offline_forget(const struct offline *o, struct str name, struct buf *json, struct err *e)
{
    struct room m;
    int rc = enter(&m, o, e);
    if (rc < 0)
        return rc;
    struct store_sealed k = {.name = name};
    rc = keep(&m, &k, 1, e);
    if (rc == -ERR_NOT_FOUND)
        rc = err_set(e, ERR_NOT_FOUND, "no key is sealed under the name " STR_FMT
            "; see: provider sealed", STR_ARG(str_first(name, SEALED_NAME_MAX)));
    if (rc == 0)
        say_change(name, "", json);
    leave(&m);
    return rc;
}

struct again {
    struct room *room;
    struct arena arena;
    struct store_sealed *keys;
    size_t count;
    struct buf left;
    int rc;
};

static void seal_again(void *ctx, const struct sealed_view *v)
{
    struct again *a = ctx;
    struct buf sealed;
    struct err e = {0};
    buf_init(&sealed, SEALED_VALUE_MAX + 1024);
    if (!v->opens)
        buf_printf(&a->left, "%s" STR_FMT, a->left.n ? ", " : "", STR_ARG(v->name));
    else if (a->rc == 0 && (a->rc = sealed_again(v->name, &sealed, &e)) == 0)
        a->keys[a->count++] = (struct store_sealed){arena_str(&a->arena, v->name),
            arena_str(&a->arena, buf_str(&sealed)), arena_str(&a->arena, v->who), v->time_ms};
    buf_fini(&sealed);
}

int offline_reseal(const struct offline *o, struct buf *json, struct err *e)
{
    struct room m;
    struct again a = {.room = &m};
    int rc = enter(&m, o, e);
    if (rc < 0)
        return rc;
    arena_init(&a.arena, 1 << 14, (size_t)64 << 20);
    buf_init(&a.left, 1 << 16);
    a.keys = arena_zalloc(&a.arena, sealed_count() * sizeof *a.keys + 1);
    rc = a.keys ? sealed_renew(e) : err_set(e, ERR_NOMEM, "out of memory");
    if (rc == 0)
        sealed_each(seal_again, &a);
    if (rc == 0 && a.rc < 0)
        rc = err_set(e, (enum err_code)-a.rc, "the keys can't be sealed anew: %s", err_text(a.rc));
    if (rc == 0)
        rc = keep(&m, a.keys, a.count, e);
    if (rc == 0) {
        struct err none = {0};
        const char *master = sealed_master(&none);
        struct json_writer w = json_writer(json);
        json_object_begin(&w, NULL);
        json_put_c(&w, "master", master ? master : "");
        json_put_int(&w, "resealed", (int64_t)a.count);
        json_put_str(&w, "left", buf_str(&a.left));
        json_object_end(&w);
    }
    buf_fini(&a.left);
    arena_fini(&a.arena);
    leave(&m);
    return rc;
}
