/* notify.c: see notify.h. Reads the ring of events: what is an alarm is a table. Each of the two ways
 * has its own place in the ring of waiting alarms, so that a slow URL does not hold up the program. */
#include "proxy/admin/notify.h"

#include "proxy/admin/state.h"
#include "proxy/event/event.h"
#include "store/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WAITING = 64, TEXT_MAX = 1024, PROGRAM_MS = 10000, ENVIRONMENT_MAX = 40 }; /* a text fits into an empty pipe */

static const bool is_alarm[EVENT_KIND_COUNT] = {
    [EVENT_KIND_BUDGET_NEAR] = true,
    [EVENT_KIND_BUDGET_HIT] = true,
    [EVENT_KIND_SPEND_ANOMALY] = true,
    [EVENT_KIND_LOOPING] = true,
    [EVENT_KIND_DEBT] = true,
    [EVENT_KIND_BREAKER_OPEN] = true,
    [EVENT_KIND_KEY_DEAD] = true,
    [EVENT_KIND_CANARY_BACK] = true,
    [EVENT_KIND_STORE_FULL] = true,
};

struct notify {
    struct admin *admin;
    uint64_t seen;                   /* last event looked at */
    char waiting[WAITING][TEXT_MAX]; /* that of number i at i % WAITING */
    uint64_t count, to_url, to_program; /* alarms made; the next one of each way */
    bool calling;
    pid_t program;                   /* 0: none runs */
    int64_t program_ms;
};

/* Said where people look; no alarm itself, or it would tell of itself for ever. */
static void PRINTF_LIKE(1, 2) failed(const char *fmt, ...)
{
    char text[300];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    event_say(EVENT_KIND_NOTIFY_FAILED, STR_NULL, "%s", text);
}

/* ---- what there is to tell ---- */

static void write_alarm(const struct notify *n, const struct event *e, char out[TEXT_MAX])
{
    struct buf b;
    buf_init(&b, 8192);
    struct json_writer w = json_writer(&b);
    json_object_begin(&w, NULL);
    json_put_c(&w, "kind", event_kind_name(e->kind));
    json_put_c(&w, "level", event_level_name(e->level));
    json_put_int(&w, "time_ms", e->time_ms);
    json_put_c(&w, "text", e->text);
    json_put_c(&w, "request_id", e->request_id);
    json_put_str(&w, "gateway", n->admin->start.listen_url);
    json_object_end(&w);
    bool fits = !b.err && b.n < TEXT_MAX;
    str_copy(out, TEXT_MAX, fits ? buf_str(&b) : STR("{\"kind\":\"TOO_LONG\"}"));
    buf_fini(&b);
}

struct gathering {
    struct notify *n;
    struct event found[WAITING]; /* newest first */
    size_t count;
};

static bool gather_one(void *ctx, const struct event *e)
{
    struct gathering *g = ctx;
    if (e->sequence <= g->n->seen || g->count == WAITING)
        return false;
    if (is_alarm[e->kind])
        g->found[g->count++] = *e;
    return true;
}

static void gather(struct notify *n)
{
    uint64_t last = event_sequence();
    struct gathering *g = last == n->seen ? NULL : calloc(1, sizeof *g);
    if (!g)
        return;
    g->n = n;
    event_recent(gather_one, g);
    n->seen = last;
    while (g->count)
        write_alarm(n, &g->found[--g->count], n->waiting[n->count++ % WAITING]);
    free(g);
}

/* The next text of one way, or NULL. What was written over is given up. */
static const char *take(const struct notify *n, uint64_t *at, const char *way)
{
    if (n->count - *at > WAITING) {
        failed("%s: %llu alarms were given up", way,
            (unsigned long long)(n->count - *at - WAITING));
        *at = n->count - WAITING;
    }
    return *at < n->count ? n->waiting[(*at)++ % WAITING] : NULL;
}

/* ---- notify.url ---- */

static void call_ended(void *arg, int status, int64_t total_us, struct str body, struct str error)
{
    struct notify *n = arg;
    (void)total_us, (void)body; /* what it says is nobody's matter */
    n->calling = false;
    if (status < 200 || status > 299)
        failed("notify.url: an alarm was not taken: %d " STR_FMT, status, STR_ARG(error));
}

static void call_url(struct notify *n, struct str url)
{
    const struct admin_ops *ops = &n->admin->start.ops;
    const char *text = n->calling || !ops->aside ? NULL : take(n, &n->to_url, "notify.url");
    struct http_header headers[] = {{STR("content-type"), STR("application/json")},
        {STR("accept-encoding"), STR("identity")}};
    struct aside what = {.method = STR("POST"), .url = url, .headers = headers,
        .header_count = ARRAY_LEN(headers), .connect_timeout_us = ASIDE_CONNECT_US,
        .limit_us = ASIDE_LIMIT_US, .allow_private = true}; /* an address in the file is meant */
    if (!text)
        return;
    what.json = str_c(text);
    n->calling = ops->aside(ops->ctx, &what, n->admin->loop, call_ended, n) == 0;
}

/* ---- notify.command ---- */

static void reap(struct notify *n, int64_t now_ms)
{
    int status = 0;
    if (!n->program)
        return;
    if (waitpid(n->program, &status, WNOHANG) == 0) {
        if (now_ms - n->program_ms <= PROGRAM_MS)
            return;
        failed("notify.command: ended after %d s", PROGRAM_MS / 1000);
        kill(-n->program, SIGKILL); /* its group: a shell's children too */
        n->program_ms = now_ms;
        return;
    }
    n->program = 0;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        failed("notify.command: failed with status %d",
            WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

/* What a program needs to find its way, and no more: providers' keys stand in our environment. */
static void small_environment(const char *out[], size_t size)
{
    static const char *const kept[] = {"PATH=", "HOME=", "USER=", "LOGNAME=", "SHELL=", "LANG=", "LC_",
        "TZ=", "TMPDIR=", "XDG_RUNTIME_DIR=", "DBUS_SESSION_BUS_ADDRESS=", "DISPLAY=",
        "WAYLAND_DISPLAY="};
    size_t n = 0;
    for (char **e = environ; *e && n + 1 < size; e++)
        for (size_t i = 0; i < ARRAY_LEN(kept); i++)
            if (str_starts(str_c(*e), str_c(kept[i]))) {
                out[n++] = *e;
                break;
            }
    out[n] = NULL;
}

/* A process group of its own, no signal blocked, nothing of ours but the pipe. */
static int spawn(const char *command, int in, pid_t *pid)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t none, all;
    const char *const words[] = {"sh", "-c", command, NULL};
    const char *env[ENVIRONMENT_MAX];
    small_environment(env, ENVIRONMENT_MAX);
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&how);
    posix_spawn_file_actions_adddup2(&files, in, 0);
    posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
    posix_spawnattr_setflags(&how,
        POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&how, 0);
    posix_spawnattr_setsigmask(&how, &none);
    posix_spawnattr_setsigdefault(&how, &all);
    int rc = posix_spawn(pid, "/bin/sh", &files, &how, (char *const *)(uintptr_t)words,
        (char *const *)(uintptr_t)env);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&how);
    return rc;
}

static void run_program(struct notify *n, struct str command, int64_t now_ms)
{
    char line[1024];
    int ends[2];
    const char *text = n->program ? NULL : take(n, &n->to_program, "notify.command");
    if (!text || pipe2(ends, O_CLOEXEC) < 0)
        return;
    str_copy(line, sizeof line, command);
    int rc = spawn(line, ends[0], &n->program);
    if (rc == 0) { /* an empty pipe takes it at once; SIGPIPE is ignored */
        n->program_ms = now_ms;
        if (write(ends[1], text, strlen(text)) < 0 || write(ends[1], "\n", 1) < 0)
            failed("notify.command: %s", strerror(errno));
    } else {
        n->program = 0;
        failed("notify.command: can't be started: %s", strerror(rc));
    }
    close(ends[0]);
    close(ends[1]);
}

/* ---- life ---- */

void notify_tick(struct notify *n, int64_t now_ms)
{
    const struct config *c = live_config(n->admin->live);
    gather(n);
    reap(n, now_ms);
    if (c->notify_url.n)
        call_url(n, c->notify_url);
    else
        n->to_url = n->count;
    if (c->notify_command.n)
        run_program(n, c->notify_command, now_ms);
    else
        n->to_program = n->count;
}

struct notify *notify_new(struct admin *a)
{
    struct notify *n = calloc(1, sizeof *n);
    if (n) {
        n->admin = a;
        n->seen = event_sequence();
    }
    return n;
}

void notify_free(struct notify *n)
{
    if (n && n->program) {
        kill(-n->program, SIGKILL);
        waitpid(n->program, NULL, 0);
    }
    free(n);
}
