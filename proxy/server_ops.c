/* server_ops.c: what the admin thread may ask of the workers and of the process. Each returns at
 * once: it posts to a worker's mailbox or sets a flag. */
#include "proxy/server_parts.h"

#include "proxy/event/event.h"

#include "store/base/secret.h"

#include <signal.h>
#include <unistd.h>

static void op_cancel(void *ctx, struct str id)
{
    struct server *s = ctx;
    for (unsigned i = 0; i < s->worker_count; i++)
        worker_cancel(s->workers[i], id, "an operator");
}

/* The worker whose slots hold `id`; NULL when it has ended. */
static struct worker *runs_at(struct server *s, struct str id)
{
    struct slot copy;
    for (unsigned i = 0; i < s->worker_count; i++)
        for (unsigned n = 0; n < slot_count(s->spools[i]); n++)
            if (slot_read(s->spools[i], n, &copy) && str_eq(str_c(copy.id), id))
                return s->workers[i];
    return NULL;
}

static int op_watch(void *ctx, struct str id, struct watch *w)
{
    struct worker *worker = runs_at(ctx, id);
    if (!worker)
        return -ERR_NOT_FOUND;
    return worker_watch(worker, id, w) ? 0 : -ERR_NOMEM;
}

static int op_aside(void *ctx, const struct aside *what, struct loop *back, aside_done *done,
    void *arg)
{
    struct server *s = ctx;
    return aside_start(&s->asides, s->workers[0], what, back, done, arg);
}

/* What lies outside of the snapshot follows a new configuration. */
static void op_configured(void *ctx, const struct config *c)
{
    struct server *s = ctx;
    store_set_retention(s->store, c->capture.keep_ms, c->capture.keep_bytes, 0);
    for (size_t i = 0; i < c->provider_count; i++)
        for (size_t k = 0; k < c->providers[i].key_count; k++) {
            const struct provider_key *key = &c->providers[i].keys[k];
            secret_add(key->secret);
            if (key->fault.n)
                event_say(EVENT_KIND_KEY_LOCKED, STR_NULL, "provider " STR_FMT " lacks a key: " STR_FMT,
                    STR_ARG(c->providers[i].name), STR_ARG(key->fault));
        }
}

static void op_down(void *ctx, bool now)
{
    struct server *s = ctx;
    s->stop_now = now;
    kill(getpid(), SIGTERM);
}

static int op_restart(void *ctx, struct err *e)
{
    struct server *s = ctx;
    if (!s->options->argv)
        return err_set(e, ERR_STATE, "this gateway does not know how it was started");
    s->restart_wanted = true;
    kill(getpid(), SIGTERM);
    return 0;
}

struct admin_ops server_ops(struct server *s)
{
    return (struct admin_ops){
        .ctx = s,
        .cancel = op_cancel,
        .watch = op_watch,
        .aside = op_aside,
        .configured = op_configured,
        .down = op_down,
        .restart = op_restart,
    };
}
