/* status.c: is it up, whose, since when; who is attached; the header's figures; ending the process. */
#include "proxy/admin/clockwork.h"
#include "proxy/admin/handlers.h"
#include "proxy/admin/keeper.h"
#include "proxy/admin/record_view.h"
#include "proxy/admin/source.h"

#include "proxy/access/account.h"
#include "proxy/access/key.h"
#include "proxy/admin/api.h"
#include "proxy/config/config.h"
#include "proxy/route/plan.h"
#include "store/base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { NUMBERS_EVERY_MS = 10000 };

/* ---- figures of the header, asked of the store in the background ---- */

struct numbers_answer {
    struct loop_message message; /* first */
    struct admin *admin;
    struct store_answer *answer;
    int part; /* 0 history, 1 today, 2 keys of the hour */
};

static void numbers_arrived(struct loop_message *m)
{
    struct numbers_answer *x = (struct numbers_answer *)m;
    struct numbers *n = &x->admin->numbers;
    struct store_answer *a = x->answer;
    if (a && a->rc == 0 && x->part == 0)
        numbers_take_history(n, a);
    if (a && a->rc == 0 && x->part == 1) {
        n->today_nano = a->n ? a->sums[0].cost_nano : 0;
        n->counter_then = counter_read(COUNTER_cost_nano);
    }
    if (a && a->rc == 0 && x->part == 2) {
        int64_t most = 0;
        n->top_key[0] = 0;
        for (size_t i = 0; i < a->n; i++)
            if (a->sums[i].cost_nano > most && a->sums[i].name.n) {
                most = a->sums[i].cost_nano;
                str_copy(n->top_key, sizeof n->top_key, a->sums[i].name);
            }
    }
    if (a)
        store_answer_free(a);
    n->asking = false;
    free(x);
}

static void numbers_answered(void *ctx, struct store_answer *a)
{
    struct numbers_answer *x = ctx;
    x->answer = a;
    loop_post(x->admin->loop, &x->message);
}

static void ask_part(struct admin *a, const struct store_query *q, int part)
{
    struct numbers_answer *x = calloc(1, sizeof *x);
    if (!x)
        return;
    x->message.fn = numbers_arrived;
    x->admin = a;
    x->part = part;
    if (store_ask(a->start.store, q, numbers_answered, x) == 0)
        free(x);
    else
        a->numbers.asking = true;
}

void admin_ask_numbers(struct admin *a, int64_t now_ms)
{
    struct numbers *n = &a->numbers;
    if (!a->start.store || n->asking || now_ms - n->asked_ms < NUMBERS_EVERY_MS)
        return;
    n->asked_ms = now_ms;
    struct store_query q = {0};
    int64_t from, to;
    char timezone[64];
    numbers_query(&q, now_ms);
    ask_part(a, &q, 0);
    str_copy(timezone, sizeof timezone, live_config(a->live)->timezone);
    window_bounds(WINDOW_DAY, timezone, now_ms, &from, &to);
    q = (struct store_query){.kind = STORE_ASK_SUMS, .dimension = STORE_BY_ALL, .from_ms = from,
        .to_ms = now_ms + 60000};
    ask_part(a, &q, 1);
    q = (struct store_query){.kind = STORE_ASK_SUMS, .dimension = STORE_BY_KEY,
        .from_ms = now_ms - 3600000, .to_ms = now_ms + 60000};
    ask_part(a, &q, 2);
}

/* ---- status ---- */

static const char *capture_name(int mode)
{
    static const char *const names[] = {"off", "errors", "sample", "all"};
    return names[mode];
}

static bool count_change(void *ctx, struct str object, struct str json, int64_t revision)
{
    (void)object, (void)json, (void)revision;
    ++*(int64_t *)ctx;
    return true;
}

/* Live objects that stand in no file. */
int64_t admin_drift(struct live *l)
{
    static const char *const kinds[] = {"override/", "drain/", "route/", "provider/", "canary/"};
    int64_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        live_each(l, str_c(kinds[i]), count_change, &n);
    return n;
}

static void put_warnings(struct call *c, const struct config *config, struct json_writer *w)
{
    char text[200];
    json_array_begin(w, "warnings");
    if (config->provider_count == 0)
        json_put_c(w, NULL, "no provider: set a provider's key in the environment, or write a "
            "configuration (pointsman config options)");
    if (str_eq(config->open_to, STR("any")))
        json_put_c(w, NULL, "open_to: any lets every user of this machine spend");
    if (counter_read(COUNTER_records_lost)) {
        snprintf(text, sizeof text, "%lld records were lost",
            (long long)counter_read(COUNTER_records_lost));
        json_put_c(w, NULL, text);
    }
    if (c->admin->start.store) {
        struct store_stats st;
        store_stats(c->admin->start.store, &st);
        if (st.failing) {
            snprintf(text, sizeof text, "the store fails (%s); records wait in the spool",
                err_text((int)st.failing));
            json_put_c(w, NULL, text);
        }
    }
    json_array_end(w);
}

/* Where nothing is said: all while nobody has to show a key, errors from then on. */
static int capture_in_force(const struct config *config)
{
    if (config->capture.mode_given)
        return (int)config->capture.mode;
    struct snapshot *s = snapshot_current();
    bool keys = s && key_table_demands(s->keys);
    snapshot_put(s);
    return keys ? CAPTURE_ERRORS : CAPTURE_ALL;
}

static void put_capture(struct call *c, const struct config *config, struct json_writer *w)
{
    struct store_stats st = {0};
    if (c->admin->start.store)
        store_stats(c->admin->start.store, &st);
    json_object_begin(w, "capture");
    json_put_c(w, "mode", capture_name(capture_in_force(config)));
    json_put_int(w, "keep_ms", config->capture.keep_ms);
    json_put_int(w, "keep_bytes", config->capture.keep_bytes);
    json_put_int(w, "bytes", st.bodies_bytes);
    json_object_end(w);
}

static void put_you(struct call *c, struct json_writer *w)
{
    json_object_begin(w, "you");
    json_put_str(w, "user", c->user);
    json_put_int(w, "uid", c->uid);
    json_put_c(w, "role", role_text(c->role));
    json_object_end(w);
}

static void put_places(struct call *c, const struct config *config, struct json_writer *w)
{
    const struct admin_start *s = &c->admin->start;
    char time[32];
    json_array_begin(w, "listen");
    json_put_str(w, NULL, s->listen_url);
    json_array_end(w);
    json_put_str(w, "open_to", config->open_to);
    json_put_str(w, "data", s->data_path);
    json_put_str(w, "socket", s->socket_path);
    json_put_c(w, "config_file", source_path(s->source));
    clock_rfc3339(s->started_ms, time);
    json_put_c(w, "started", time);
    json_put_int(w, "uptime_s", (clock_wall_ms() - s->started_ms) / 1000);
    json_put_int(w, "workers", s->workers);
}

static bool has_demo(const struct config *config)
{
    for (size_t i = 0; i < config->provider_count; i++)
        if (config->providers[i].demo)
            return true;
    return false;
}

/* Cheap ones that converse, of providers whose whole price list is known: taken before others. */
static const char *const small_models[] = {"gpt-5-mini", "claude-haiku-4-5", "gemini-2.5-flash"};

static bool is_small(struct str model)
{
    for (size_t i = 0; i < ARRAY_LEN(small_models); i++)
        if (str_eq(model, str_c(small_models[i])))
            return true;
    return false;
}

struct sample {
    char name[280];
    bool small;
};

static void take_sample(void *ctx, const struct provider *p, struct str model)
{
    struct sample *s = ctx;
    if (s->small || (s->name[0] && !is_small(model)))
        return;
    s->small = is_small(model);
    snprintf(s->name, sizeof s->name, STR_FMT "/" STR_FMT, STR_ARG(p->name), STR_ARG(model));
}

/* What somebody who knows nothing of this gateway can ask for: its first route by a plain name, else a
 * model of a provider. "" when none is known. */
static void find_sample(struct admin *a, const struct config *config, struct sample *s)
{
    for (size_t i = 0; i < config->route_count; i++)
        if (!config->routes[i].pattern && config->routes[i].target_count) {
            str_copy(s->name, sizeof s->name, config->routes[i].name);
            return;
        }
    for (size_t i = 0; i < config->provider_count && !s->name[0]; i++)
        plan_each_model(config, a->start.health, &config->providers[i], take_sample, s);
}

void get_status(struct call *c)
{
    struct admin *a = c->admin;
    const struct config *config = live_config(a->live);
    struct json_writer *w = call_begin(c);
    struct snapshot *s = snapshot_current();
    struct sample sample = {.small = false};
    json_put_c(w, "version", POINTSMAN_VERSION);
    json_put_int(w, "api", ADMIN_API_VERSION);
    json_put_int(w, "pid", getpid());
    json_put_c(w, "owner", roles_user(&a->roles, a->roles.owner_uid, clock_wall_ms())->name);
    json_put_int(w, "owner_uid", a->roles.owner_uid);
    put_you(c, w);
    put_places(c, config, w);
    json_put_int(w, "live", (int64_t)admin_live_count(a));
    json_put_int(w, "requests", counter_read(COUNTER_requests));
    json_put_double(w, "req_per_s", (double)numbers_rate_milli(&a->numbers) / 1000.0);
    json_put_int(w, "err_ppm", numbers_error_ppm(&a->numbers));
    json_put_int(w, "spend_today_nano", numbers_today_nano(&a->numbers));
    json_put_int(w, "spend_hour_nano", numbers_hour_nano(&a->numbers));
    json_array_begin(w, "providers");
    for (size_t i = 0; i < config->provider_count; i++)
        json_put_str(w, NULL, config->providers[i].name);
    json_array_end(w);
    json_put_int(w, "keys", s ? (int64_t)key_table_count(s->keys) : 0);
    json_put_bool(w, "demo", a->start.demo || has_demo(config));
    find_sample(a, config, &sample);
    json_put_c(w, "try_model", sample.name);
    put_capture(c, config, w);
    json_put_int(w, "drift", admin_drift(a->live));
    put_warnings(c, config, w);
    json_put_int(w, "mem_bytes", admin_memory_bytes());
    json_put_int(w, "consoles", (int64_t)a->people.count);
    json_put_int(w, "revision", live_revision(a->live));
    snapshot_put(s);
    call_send(c);
}

/* ---- people ---- */

void get_people(struct call *c)
{
    const struct people *p = &c->admin->people;
    struct json_writer *w = call_begin(c);
    json_array_begin(w, "people");
    for (size_t i = 0; i < p->count; i++) {
        const struct person *who = &p->list[i];
        json_object_begin(w, NULL);
        json_put_c(w, "user", who->user);
        json_put_int(w, "uid", who->uid);
        json_put_c(w, "role", who->role);
        json_put_c(w, "from", who->from);
        json_put_c(w, "terminal", who->terminal);
        json_put_c(w, "tty", who->tty);
        json_put_c(w, "size", who->size);
        json_put_int(w, "since_ms", who->since_ms);
        json_put_int(w, "seen_ms", who->seen_ms);
        json_object_end(w);
    }
    json_array_end(w);
    call_send(c);
}

void post_people(struct call *c)
{
    struct person who = {.uid = c->uid};
    if (!call_allows(c, "terminal size from tty"))
        return;
    str_copy(who.user, sizeof who.user, c->user);
    str_copy(who.role, sizeof who.role, str_c(role_text(c->role)));
    str_copy(who.from, sizeof who.from, call_text(c, "from"));
    str_copy(who.terminal, sizeof who.terminal, call_text(c, "terminal"));
    str_copy(who.tty, sizeof who.tty, call_text(c, "tty"));
    str_copy(who.size, sizeof who.size, call_text(c, "size"));
    if (!people_hello(&c->admin->people, &who, clock_wall_ms()))
        event_say(EVENT_KIND_ATTACHED, STR_NULL, "%s attached%s%s, %s %s", who.user,
            who.from[0] ? " from " : "", who.from, who.terminal, who.size);
    json_put_int(call_begin(c), "attached", (int64_t)c->admin->people.count);
    call_send(c);
}

/* ---- the process ---- */

void post_down(struct call *c)
{
    struct admin *a = c->admin;
    if (!call_allows(c, "now"))
        return;
    bool now = json_bool(c->body, "now", false);
    event_say(EVENT_KIND_STOPPING, STR_NULL, STR_FMT " ended the gateway%s", STR_ARG(c->user),
        now ? " at once" : "");
    struct json_writer *w = call_begin(c);
    json_put_int(w, "pid", getpid());
    json_put_int(w, "live", (int64_t)admin_live_count(a));
    call_send(c);
    a->start.ops.down(a->start.ops.ctx, now);
}

void post_restart(struct call *c)
{
    struct admin *a = c->admin;
    struct err e = {0};
    int rc = a->start.ops.restart(a->start.ops.ctx, &e);
    if (rc < 0) {
        call_failed(c, rc, &e);
        return;
    }
    event_say(EVENT_KIND_STOPPING, STR_NULL, STR_FMT " restarts the gateway", STR_ARG(c->user));
    json_put_int(call_begin(c), "pid", getpid());
    call_send(c);
}

void post_reload(struct call *c)
{
    struct admin *a = c->admin;
    struct err e = {0};
    struct buf kept;
    buf_init(&kept, 1 << 16);
    int rc = source_reread(a->start.source, &e);
    if (rc == 0)
        rc = admin_reload_config(a, &kept, &e);
    if (rc < 0) {
        event_say(EVENT_KIND_RELOAD_REFUSED, STR_NULL, "%s", e.text);
        call_failed(c, rc, &e);
    } else {
        struct json_writer *w = call_begin(c);
        json_put_int(w, "revision", live_revision(a->live));
        json_put_str(w, "kept", str_trim(buf_str(&kept)));
        call_send(c);
    }
    buf_fini(&kept);
}
