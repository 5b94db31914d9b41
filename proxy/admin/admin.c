/* admin.c: the admin thread: its loop, its side to the consoles, who may do what, and the clockwork
 * behind the live state (automatic returns, figures, news). See admin.h.
 *
 * Order of a request: head() finds the row of commands.def and the caller's role, and refuses before a
 * body is read; body() parses the JSON and runs the row's handler; the handler answers now, or when the
 * store has answered, or when there is news. */
#include "proxy/admin/alarms.h"
#include "proxy/admin/clockwork.h"
#include "proxy/admin/handlers.h"
#include "proxy/admin/keeper.h"
#include "proxy/admin/source.h"

#include "proxy/admin/api.h"
#include "proxy/config/config.h"
#include "proxy/event/event.h"
#include "store/base/clock.h"
#include "store/base/log.h"
#include "store/base/slice.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

enum { REQUEST_MAX = 16 << 20, ANSWER_MAX = 48 << 20, SECOND_US = 1000000, LOOK_US = 50000,
    SLICE_US = 100 /* a switch must not wait behind the streams that it is about */ };

static const struct command commands[] = {
#define X(method, path, role, handler) {method, path, ROLE_##role, handler},
#include "proxy/admin/commands.def"
#undef X
};

/* ---- which row ---- */

/* Does `path` fit the pattern? Pieces at '*' are put into args (not yet decoded). */
static bool path_fits(const char *pattern, struct str path, struct str args[2])
{
    struct str want = str_c(pattern), w, p;
    size_t n = 0;
    bool more_w, more_p;
    do {
        more_w = str_cut(&want, '/', &w);
        more_p = str_cut(&path, '/', &p);
        if (more_w != more_p)
            return false;
        if (more_w && str_eq(w, STR("*")) && p.n && n < 2)
            args[n++] = p;
        else if (more_w && !str_eq(w, p))
            return false;
    } while (more_w);
    return true;
}

static const struct command *find_row(struct str method, struct str path, struct str args[2],
    bool *other_method)
{
    const struct command *found = NULL;
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        struct str got[2] = {{0}};
        if (!path_fits(commands[i].path, path, got))
            continue;
        bool same = str_eq(method, str_c(commands[i].method));
        *other_method = *other_method || !same;
        /* a row that spells the path out wins over one with a '*' */
        if (same && (!found || strchr(found->path, '*'))) {
            found = &commands[i];
            args[0] = got[0];
            args[1] = got[1];
        }
    }
    return found;
}

/* ---- the life of a call ---- */

static struct call *call_new(struct admin *a, struct http_request *q)
{
    struct call *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->admin = a;
    c->q = q;
    c->references = 1;
    arena_init(&c->arena, 1024, (size_t)32 << 20);
    buf_init(&c->out, ANSWER_MAX);
    c->next = a->calls;
    if (a->calls)
        a->calls->previous = c;
    a->calls = c;
    q->user = c;
    return c;
}

static void identify(struct call *c)
{
    struct admin *a = c->admin;
    int64_t now = clock_wall_ms();
    c->began_us = loop_now_us(a->loop);
    c->uid = c->q->peer_uid;
    c->role = roles_of(&a->roles, live_config(a->live), c->uid, now);
    c->user = arena_str(&c->arena, str_c(roles_user(&a->roles, c->uid, now)->name));
    c->terminal = arena_str(&c->arena, people_terminal(&a->people, c->uid));
    people_seen(&a->people, c->uid, now);
}

static void refuse_role(struct call *c, enum role needed)
{
    log_warn("admin: %s (uid %lld, %s) was refused " STR_FMT, c->user.p, (long long)c->uid,
        role_text(c->role), STR_ARG(str_first(c->q->path, 80)));
    call_error(c, 403, "denied", "%s has the role %s here and this needs %s; ask the gateway's owner "
        "to name you in access.roles", c->user.p, role_text(c->role), role_text(needed));
}

static void on_head(void *ctx, struct http_request *q)
{
    struct call *c = call_new(ctx, q);
    if (!c) {
        (void)http_reply(q, 503, NULL, 0, STR(""));
        return;
    }
    identify(c);
    struct str prefix = STR(ADMIN_PREFIX), args[2] = {{0}};
    bool other_method = false;
    if (str_starts(q->path, prefix))
        c->command = find_row(q->method, str_from(q->path, prefix.n), args, &other_method);
    if (!c->command && other_method)
        call_error(c, 405, "method", "this path takes another method than " STR_FMT,
            STR_ARG(str_first(q->method, 16)));
    else if (!c->command)
        call_error(c, 404, "not_found", "no such path: " STR_FMT " (the API lies below "
            ADMIN_PREFIX ")", STR_ARG(str_first(q->path, 120)));
    else if (c->role < c->command->role)
        refuse_role(c, c->command->role);
    c->args[0] = call_decode(c, args[0]);
    c->args[1] = call_decode(c, args[1]);
}

static void on_body(void *ctx, struct http_request *q)
{
    (void)ctx;
    struct call *c = q->user;
    if (!c || c->answered)
        return;
    struct err e = {0};
    if (str_eq(q->method, STR("POST"))) {
        c->body = json_parse(q->body.n ? buf_str(&q->body) : STR("{}"), &e);
        if (!c->body || !json_is_object(c->body)) {
            call_error(c, 400, "bad_json", "the body must be one JSON object%s%s",
                e.code ? ": " : "", e.code ? e.text : "");
            return;
        }
    }
    c->changes = keeper_changes();
    c->lost = keeper_lost();
    c->command->run(c);
    call_must_go_on(c, 1);
}

static void on_hangup(void *ctx, struct http_request *q)
{
    (void)ctx;
    struct call *c = q->user;
    if (c && c->ticket)
        store_cancel(c->admin->start.store, c->ticket);
}

static void on_closed(void *ctx, struct http_request *q, bool clean)
{
    (void)clean;
    struct admin *a = ctx;
    struct call *c = q->user;
    if (!c)
        return;
    q->user = NULL;
    if (c->ticket)
        store_cancel(a->start.store, c->ticket);
    if (c->left)
        c->left(c);
    loop_timer_stop(a->loop, &c->timer);
    c->q = NULL;
    if (c->previous)
        c->previous->next = c->next;
    else
        a->calls = c->next;
    if (c->next)
        c->next->previous = c->previous;
    call_release(c);
}

static void on_drained(void *ctx, struct http_request *q)
{
    (void)ctx, (void)q; /* streams look at their queue before each piece */
}

static void on_refused(void *ctx, struct str peer, int status, const char *reason)
{
    (void)ctx;
    log_warn("admin: request of " STR_FMT " refused: %d %s", STR_ARG(peer), status, reason);
}

static void write_error(void *ctx, struct str path, int status, const char *reason, struct buf *out)
{
    (void)ctx, (void)path, (void)status;
    json_write_error(out, "bad_request", reason);
}

/* ---- the clockwork ---- */

static void person_gone(const struct person *who)
{
    event_say(EVENT_KIND_DETACHED, STR_NULL, "%s left", who->user);
}

static void every_second(void *ctx)
{
    struct admin *a = ctx;
    int64_t now = clock_wall_ms();
    numbers_second(&a->numbers);
    live_tick(a->live, now);
    people_sweep(&a->people, now, person_gone);
    admin_ask_numbers(a, now);
    admin_probe_drained(a, now);
    admin_ask_models(a, now);
    admin_note_canaries(a, now);
    alarms_tick(a->alarms, now);
    (void)loop_timer_set(a->loop, &a->tick, loop_now_us(a->loop) + SECOND_US);
}

/* A return that is due before the next second must not be late. */
static int64_t until_return(void *ctx)
{
    struct admin *a = ctx;
    int64_t due = live_due_ms(a->live);
    if (due == INT64_MAX)
        return INT64_MAX;
    int64_t wait = due - clock_wall_ms();
    return wait > 0 ? wait * 1000 : 0;
}

static bool return_due(void *ctx)
{
    struct admin *a = ctx;
    int64_t now = clock_wall_ms();
    if (live_due_ms(a->live) <= now)
        live_tick(a->live, now);
    return false;
}

/* ---- opening and closing ---- */

static void reload_now(struct loop_message *m)
{
    struct admin *a = CONTAINER_OF(m, struct admin, reload);
    atomic_store(&a->reload_posted, false);
    struct err e = {0};
    struct buf kept;
    buf_init(&kept, 1 << 16);
    if (source_reread(a->start.source, &e) < 0 || admin_reload_config(a, &kept, &e) < 0)
        event_say(EVENT_KIND_RELOAD_REFUSED, STR_NULL, "%s", e.text);
    buf_fini(&kept);
}

void admin_reload(struct admin *a)
{
    if (!atomic_exchange(&a->reload_posted, true))
        loop_post(a->loop, &a->reload);
}

static int open_http(struct admin *a, struct err *e)
{
    static const struct http_events events = {on_head, on_body, on_hangup, on_drained, on_closed,
        on_refused, write_error};
    const struct http_config config = {.request_bytes = REQUEST_MAX, .header_bytes = 12 << 10,
        .connections = 512, .shards = 1, .head_deadline_us = 10 * (int64_t)SECOND_US,
        .body_idle_us = 30 * (int64_t)SECOND_US, .write_stall_us = 60 * (int64_t)SECOND_US,
        .high_water = 256 << 10, .low_water = 64 << 10};
    int rc = http_server_new(&a->http, a->loop, &config, &events, a, e);
    return rc < 0 ? rc : http_server_listen(a->http, a->start.listen_fd, e);
}

int admin_new(struct admin **out, const struct admin_start *start, struct err *e)
{
    struct admin *a = calloc(1, sizeof *a);
    if (!a)
        return err_set(e, ERR_NOMEM, "out of memory");
    a->start = *start;
    a->live = start->live;
    a->roles.owner_uid = start->owner_uid;
    a->reload.fn = reload_now;
    a->tick = (struct loop_timer){.fn = every_second, .ctx = a};
    a->look = (struct loop_timer){.fn = admin_look_for_news, .ctx = a};
    a->news = news_new(start->spools, start->workers);
    a->alarms = alarms_new(a);
    int rc = a->news && a->alarms ? loop_new(&a->loop, e) : err_set(e, ERR_NOMEM, "out of memory");
    if (rc == 0)
        rc = open_http(a, e);
    if (rc == 0)
        rc = loop_phase_add(a->loop, "returns", return_due, a);
    if (rc == 0)
        rc = loop_wait_add(a->loop, until_return, a);
    if (rc < 0) {
        admin_free(a);
        return rc;
    }
    admin_attach_live(a);
    *out = a;
    return 0;
}

void *admin_run(void *arg)
{
    struct admin *a = arg;
    prctl(PR_SET_NAME, "admin");
    slice_ask(SLICE_US);
    every_second(a);
    loop_run(a->loop);
    return NULL;
}

void admin_stop(struct admin *a)
{
    loop_stop(a->loop);
    loop_wake(a->loop);
}

void admin_free(struct admin *a)
{
    if (!a)
        return;
    a->closing = true;
    if (a->loop)
        loop_settle(a->loop); /* answers of the store that nobody waits for */
    if (a->http)
        http_server_free(a->http);
    if (a->loop)
        loop_free(a->loop);
    alarms_free(a->alarms);
    news_free(a->news);
    live_rows_free(a);
    buf_fini(&a->live_view.record_json);
    buf_fini(&a->live_view.shared.text);
    free(a);
}
