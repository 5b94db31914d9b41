/* server.c: builds and takes down in order; reload; drain.
 *
 * Threads, all of them:
 *   main          waits for signals
 *   worker 0…N-1  loop + http + upstream + exchanges (worker.c)
 *   admin         the unix socket; publishes snapshots (admin/)
 *   writer        the one connection that writes the database (store/)
 *   query ×2      read connections (store/)
 *   demo ×2       simulated providers and their clients, only when they are used (demo/)
 *
 * Words that threads share, all of them:
 *   snapshot pointer and generation  one writer (admin), mutex for the swap; workers hold a reference
 *   account_set    a short lock without I/O          health    atomics, a lock for queues
 *   spools, slots  one worker writes, writer frees, admin reads by sequence counters
 *   table of repeated tool calls            a short lock (event/repeats.h)
 *   counters, event ring, redactor, watch rings      shared.memory_used, .draining, .longest_turn_us (atomics)
 *
 * Order of building: configuration → lock and store → recovery (before anything listens) → accounts
 * → live state → sockets → threads. Taking down: the reverse, after the drain. */
#include "proxy/server.h"

#include "proxy/access/key.h"
#include "proxy/access/account.h"
#include "proxy/demo/demo.h"
#include "proxy/config/sealed.h"
#include "proxy/event/event.h"
#include "proxy/route/health.h"
#include "proxy/server_parts.h"
#include "store/base/clock.h"
#include "store/base/log.h"
#include "store/base/secret.h"

#include <dirent.h>
#include <errno.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { DRAIN_LIMIT_S = 30, DRAIN_LOOK_MS = 20 };

/* --- the process ------------------------------------------------------------------------------- */

/* Threads of a server take and give back the same sizes all the time: by default glibc returns the
 * top of an arena to the kernel, and asks for it again, several times a second. What is large, queues
 * of slow clients and uploads, is mapped one by one and goes back at once: by default the mark moves up
 * with the first of them, and 2,000 clients that do not read cost 464 instead of 322 KiB each, for good. */
static void keep_memory(void)
{
#ifdef __GLIBC__
    mallopt(M_TRIM_THRESHOLD, 1 << 20);
    mallopt(M_MMAP_THRESHOLD, 256 << 10);
#endif
}

/* Secrets live in this process: no core dump, no ptrace by the same user, no file others can read. */
static void harden(void)
{
    struct rlimit none = {0, 0}, files;
    umask(077);
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    signal(SIGPIPE, SIG_IGN);
}

static void block_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, set, NULL);
}

/* Type=notify services: one datagram, no library. */
static void tell_systemd(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (!path || !*path || strlen(path) >= sizeof to.sun_path)
        return;
    str_copy(to.sun_path, sizeof to.sun_path, str_c(path));
    if (*path == '@')
        to.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    socklen_t n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to, n) < 0)
        log_warn("systemd could not be told %s: %s", state, strerror(errno));
    close(fd);
}

/* --- configuration ----------------------------------------------------------------------------- */

enum { DEMO_SEED = 4141 };

/* `pointsman demo`: everything simulated and nothing kept: a folder of its own that goes at the end. */
static int make_demo(struct server *s, struct err *e)
{
    int rc = demo_start(&s->demo, DEMO_SEED, e);
    if (rc < 0)
        return rc;
    buf_init(&s->demo_config, 64 << 10);
    if (!s->options->demo) { /* one provider beside nothing: it needs prices alone */
        demo_prices(s->demo, &s->demo_config);
        return s->demo_config.err;
    }
    const char *tmp = getenv("TMPDIR");
    snprintf(s->demo_dir, sizeof s->demo_dir, "%s/pointsman-demo-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(s->demo_dir)) {
        s->demo_dir[0] = '\0';
        return err_set(e, ERR_IO, "no temporary folder: %s", strerror(errno));
    }
    demo_config(s->demo, str_c(s->options->listen ? s->options->listen : "127.0.0.1:4141"),
        &s->demo_config);
    return s->demo_config.err;
}

static int make_source(struct server *s, struct err *e)
{
    const struct serve_options *o = s->options;
    struct source_options q = {
        .path = s->demo_dir[0] ? "" : o->config_path, /* the demo reads nobody's file */
        .listen = str_c(o->listen),
        .data = s->demo_dir[0] ? str_c(s->demo_dir) : str_c(o->data),
        .socket = str_c(o->socket),
    };
    if (s->demo) {
        q.demo_url = demo_base_url(s->demo);
        q.demo_models = demo_models(s->demo, &q.demo_model_count);
        if (!s->demo_dir[0])
            q.demo_prices = buf_str(&s->demo_config);
    }
    int rc = source_new(&s->source, &q, e);
    if (rc == 0 && s->demo_dir[0])
        rc = source_set_text(s->source, buf_str(&s->demo_config), e);
    return rc;
}

static void remove_demo_dir(const char *dir)
{
    char path[600];
    static const char *const inside[] = {"spool", ""};
    for (size_t i = 0; i < ARRAY_LEN(inside); i++) {
        snprintf(path, sizeof path, "%s/%s", dir, inside[i]);
        DIR *d = opendir(path);
        for (struct dirent *entry; d && (entry = readdir(d));)
            unlinkat(dirfd(d), entry->d_name, 0);
        if (d)
            closedir(d);
        rmdir(path);
    }
}

/* Loads, and says every fault and warning on stderr. */
static int load_config(struct server *s, bool quiet, struct err *e)
{
    struct buf lines;
    buf_init(&lines, 1 << 20);
    s->config = source_load(s->source, STR_NULL, &lines, e);
    if (!quiet || !s->config) {
        struct str rest = buf_str(&lines), line;
        while (str_cut(&rest, '\n', &line))
            if (line.n)
                fprintf(stderr, "pointsman: " STR_FMT "\n", STR_ARG(line));
    }
    buf_fini(&lines);
    return s->config ? 0 : -(int)e->code;
}

/* --- building ---------------------------------------------------------------------------------- */

static void on_store_notice(void *ctx, enum store_notice what, const char *text)
{
    static const enum event_kind kinds[] = {
        [STORE_NOTICE_RECOVERED] = EVENT_KIND_RECOVERED,
        [STORE_NOTICE_SLOW] = EVENT_KIND_STORE_SLOW,
        [STORE_NOTICE_FULL] = EVENT_KIND_STORE_FULL,
        [STORE_NOTICE_FAULT] = EVENT_KIND_STORE_FULL,
        [STORE_NOTICE_HEALED] = EVENT_KIND_RECOVERED,
        [STORE_NOTICE_BODIES_SHED] = EVENT_KIND_STORE_SLOW,
    };
    (void)ctx;
    event_say(kinds[what], STR_NULL, "%s", text);
}

/* Any thread. One that the store has no room for stays in memory and in the log. */
static void keep_event(void *ctx, const struct event *e)
{
    (void)store_put_event(ctx, &(struct store_event){.time_ms = e->time_ms, .level = e->level,
        .repeated = e->repeated, .kind = str_c(event_kind_name(e->kind)),
        .request_id = str_c(e->request_id), .text = str_c(e->text)});
}

static unsigned count_workers(const struct config *c)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned n = c->workers ? c->workers : (unsigned)MAX(cores, 1L);
    return MIN(n, 64u);
}

static int64_t memory_limit(const struct config *c)
{
    int64_t ram = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    return c->limits.memory > 0 ? c->limits.memory : MIN(ram / 4, (int64_t)2 << 30);
}

static void take_sealed(void *ctx, const struct store_sealed *k)
{
    int *rc = ctx;
    *rc = *rc ? *rc : sealed_put(k->name, k->sealed, k->who, k->time_ms);
}

static int open_sealed(struct server *s, struct err *e)
{
    char key_file[4096];
    int taken = 0;
    if (s->demo_dir[0]) /* leaves no file behind */
        snprintf(key_file, sizeof key_file, "%s/master.key", s->demo_dir);
    else
        sealed_key_file(s->config, key_file, sizeof key_file);
    sealed_open(key_file);
    int rc = store_each_sealed(s->store, take_sealed, &taken);
    rc = rc ? rc : taken;
    return rc < 0 ? err_set(e, (enum err_code)-rc, "the sealed keys can't be read from the store: %s",
        err_text(rc)) : 0;
}

static int open_store(struct server *s, struct err *e)
{
    char dir[4096];
    str_copy(dir, sizeof dir, s->config->data);
    struct store_config c = {
        .dir = dir,
        .workers = s->worker_count,
        .spool_bytes = (size_t)s->config->limits.spool_bytes,
        .body_keep_ms = s->config->capture.keep_ms,
        .body_keep_bytes = s->config->capture.keep_bytes,
        .notice = on_store_notice,
    };
    struct store_recovered recovered;
    int rc = store_open(&s->store, &c, e);
    if (rc < 0)
        return rc;
    if ((rc = open_sealed(s, e)) < 0)
        return rc;
    /* Keys are hashed with the store's pepper, and sealed ones lie in the store: the configuration once
     * more, now that both are known. */
    key_set_pepper(store_pepper(s->store));
    config_put(s->config);
    if ((rc = load_config(s, true, e)) < 0)
        return rc;
    event_set_sink(keep_event, s->store);
    rc = store_recover(s->store, clock_wall_ms(), &recovered, e);
    if (rc == 0 && recovered.records + recovered.interrupted > 0)
        event_say(EVENT_KIND_RECOVERED, STR_NULL,
            "%llu records and %llu interrupted requests of an earlier life were brought in",
            (unsigned long long)recovered.records, (unsigned long long)recovered.interrupted);
    return rc;
}

static bool loopback_address(struct str listen)
{
    return str_starts(listen, STR("127.")) || str_starts(listen, STR("[::1]")) ||
           str_starts(listen, STR("localhost:"));
}

/* An open port on a network is an open purse. */
static int check_exposure(struct server *s, struct err *e)
{
    struct snapshot *now = snapshot_current();
    bool keys = key_table_demands(now->keys);
    snapshot_put(now);
    if (loopback_address(s->config->listen))
        return 0;
    if (!keys)
        return err_set(e, ERR_DENIED, "listen: " STR_FMT " can be reached from other machines and "
            "no key is defined: make one first (`pointsman key add`), or listen on 127.0.0.1",
            STR_ARG(s->config->listen));
    if (!s->config->allow_plaintext)
        return err_set(e, ERR_DENIED, "listen: " STR_FMT " would take keys in clear text: put TLS "
            "in front and say `allow_plaintext: true`, or listen on 127.0.0.1",
            STR_ARG(s->config->listen));
    return 0;
}

/* Workers share one port; a first socket without sharing tells whether a stranger holds it. */
static int listen_all(struct server *s, int *fds, struct err *e)
{
    struct str address = s->config->listen;
    bool any_port = str_ends(address, STR(":0"));
    if (!any_port) {
        int probe = http_listen_tcp(address, false, &s->port, e);
        if (probe < 0)
            return probe;
        close(probe);
    }
    size_t colon = address.n;
    while (colon && address.p[colon - 1] != ':')
        colon--;
    char text[264]; /* a name of 255 characters and a port */
    snprintf(text, sizeof text, STR_FMT, STR_ARG(address));
    for (unsigned i = 0; i < s->worker_count; i++) {
        fds[i] = http_listen_tcp(str_c(text), true, &s->port, e);
        if (fds[i] < 0)
            return fds[i];
        snprintf(text, sizeof text, STR_FMT "%d", STR_ARG(str_first(address, colon)), s->port);
    }
    snprintf(s->listen_url, sizeof s->listen_url, "http://%s", text);
    return 0;
}

static int make_workers(struct server *s, struct err *e)
{
    int fds[64];
    s->workers = calloc(s->worker_count, sizeof *s->workers);
    s->spools = calloc(s->worker_count, sizeof *s->spools);
    s->threads = calloc(s->worker_count, sizeof *s->threads);
    if (!s->workers || !s->spools || !s->threads)
        return err_set(e, ERR_NOMEM, "out of memory");
    int rc = listen_all(s, fds, e);
    for (unsigned i = 0; rc == 0 && i < s->worker_count; i++) {
        s->spools[i] = store_spool(s->store, i, e);
        rc = !s->spools[i] ? -ERR_IO
            : worker_new(&s->workers[i], i, s->worker_count, &s->shared, s->spools[i], fds[i], e);
    }
    return rc;
}

static bool uses_demo(const struct config *c)
{
    for (size_t i = 0; i < c->provider_count; i++)
        if (c->providers[i].demo)
            return true;
    return false;
}

static int make_admin(struct server *s, struct err *e)
{
    struct admin_start start = {
        .socket_path = s->config->socket,
        .data_path = s->config->data,
        .listen_url = str_c(s->listen_url),
        .demo = uses_demo(s->config),
        .owner_uid = (int64_t)getuid(),
        .started_ms = clock_wall_ms(),
        .workers = s->worker_count,
        .spools = s->spools,
        .health = s->health,
        .accounts = s->accounts,
        .store = s->store,
        .source = s->source,
        .live = s->live,
        .memory_used = &s->shared.memory_used,
        .memory_limit = s->shared.memory_limit,
        .ops = server_ops(s),
    };
    int rc = admin_listen(s->config->socket, s->config->access.group, &start.listen_fd, e);
    return rc < 0 ? rc : admin_new(&s->admin, &start, e);
}

static void on_health(void *ctx, enum health_change change, const struct provider *p,
    struct str model, const char *text)
{
    static const enum event_kind kinds[] = {
        [HEALTH_OPENED] = EVENT_KIND_BREAKER_OPEN,
        [HEALTH_CLOSED] = EVENT_KIND_BREAKER_CLOSED,
        [HEALTH_KEY_DEAD] = EVENT_KIND_KEY_DEAD,
        [HEALTH_KEY_RESTS] = EVENT_KIND_LIMITED,
        [HEALTH_CANARY_BACK] = EVENT_KIND_CANARY_BACK,
    };
    (void)ctx;
    event_say(kinds[change], STR_NULL, STR_FMT "%s" STR_FMT ": %s", STR_ARG(p->name),
        model.n ? "/" : "", STR_ARG(model), text);
}

static void fill_shared(struct server *s)
{
    const struct passwd *me = getpwuid(getuid());
    s->shared.store = s->store;
    s->shared.health = s->health;
    s->shared.accounts = s->accounts;
    s->shared.owner_uid = (int64_t)getuid();
    str_copy(s->shared.owner_name, sizeof s->shared.owner_name, str_c(me ? me->pw_name : "?"));
    s->shared.memory_limit = memory_limit(s->config);
    snprintf(s->shared.hop, sizeof s->shared.hop, "%016llx",
        (unsigned long long)secret_random_u64());
}

static int build(struct server *s, struct err *e)
{
    s->worker_count = count_workers(s->config);
    int rc = open_store(s, e);
    if (rc < 0)
        return rc;
    s->health = health_new();
    s->accounts = account_set_new(s->config->timezone);
    if (!s->health || !s->accounts)
        return err_set(e, ERR_NOMEM, "out of memory");
    fill_shared(s);
    health_on_change(s->health, on_health, s);
    if ((rc = admin_live_open(&s->live, s->source, s->config, s->store, s->accounts, e)) < 0)
        return rc;
    /* Live state owns that reference now, and may have laid edited objects over it. */
    struct snapshot *first = snapshot_current();
    s->config = config_get(first->config);
    snapshot_put(first);
    server_ops(s).configured(s, s->config);
    if ((rc = admin_restore_balances(s->store, s->accounts, clock_wall_ms(), e)) < 0 ||
        (rc = check_exposure(s, e)) < 0 || (rc = make_workers(s, e)) < 0 ||
        (rc = store_start(s->store, e)) < 0)
        return rc;
    return make_admin(s, e);
}

static int start_threads(struct server *s, struct err *e)
{
    if (pthread_create(&s->admin_thread, NULL, admin_run, s->admin) != 0)
        return err_set(e, ERR_NOMEM, "a thread could not be started");
    s->admin_runs = true;
    for (unsigned i = 0; i < s->worker_count; i++) {
        if (pthread_create(&s->threads[i], NULL, worker_run, s->workers[i]) != 0)
            return err_set(e, ERR_NOMEM, "a thread could not be started");
        s->threads_run++;
    }
    return 0;
}

/* --- running and taking down ------------------------------------------------------------------- */

static size_t live_requests(const struct server *s)
{
    size_t n = 0;
    for (unsigned i = 0; i < s->worker_count; i++)
        n += worker_live(s->workers[i]);
    return n;
}

static bool all_drained(const struct server *s)
{
    for (unsigned i = 0; i < s->worker_count; i++)
        if (!worker_drained(s->workers[i]))
            return false;
    return true;
}

/* No new work; what runs, or was sent before, may end within a limit. A second signal stops now. */
static void drain(struct server *s, const sigset_t *signals)
{
    event_say(EVENT_KIND_STOPPING, STR_NULL, "draining: %zu requests run", live_requests(s));
    tell_systemd("STOPPING=1");
    s->shared.draining = true;
    for (unsigned i = 0; i < s->worker_count; i++)
        worker_drain(s->workers[i]);
    struct timespec look = {.tv_nsec = DRAIN_LOOK_MS * 1000000L};
    for (int i = 0; i < DRAIN_LIMIT_S * 1000 / DRAIN_LOOK_MS && !all_drained(s) && !s->stop_now; i++) {
        int sig = sigtimedwait(signals, NULL, &look);
        if (sig == SIGTERM || sig == SIGINT)
            break;
    }
    if (live_requests(s))
        log_warn("stopping with %zu requests unfinished", live_requests(s));
}

static void wait_for_signals(struct server *s, const sigset_t *signals)
{
    for (;;) {
        int sig = sigwaitinfo(signals, NULL);
        if (sig == SIGHUP)
            admin_reload(s->admin);
        else if (sig == SIGTERM || sig == SIGINT)
            break;
        else if (sig < 0 && errno != EINTR)
            break;
    }
    drain(s, signals);
}

static void take_down(struct server *s)
{
    for (unsigned i = 0; i < s->threads_run; i++)
        worker_stop(s->workers[i]);
    for (unsigned i = 0; i < s->threads_run; i++)
        pthread_join(s->threads[i], NULL);
    if (s->admin_runs) {
        admin_stop(s->admin);
        pthread_join(s->admin_thread, NULL);
    }
    /* Answers of query threads come back by loop_post(): the store's threads end before the loops. */
    for (unsigned i = 0; s->workers && i < s->worker_count; i++)
        if (s->workers[i])
            worker_settle(s->workers[i]);
    aside_end_all(&s->asides);
    event_set_sink(NULL, NULL);
    if (s->store)
        store_stop(s->store);
    if (s->admin)
        admin_free(s->admin);
    for (unsigned i = 0; s->workers && i < s->worker_count; i++)
        worker_free(s->workers[i]);
    if (s->live)
        live_close(s->live);
    if (s->store)
        store_close(s->store);
    snapshot_publish(NULL);
    if (s->config)
        config_put(s->config);
    if (s->source)
        source_free(s->source);
    sealed_close();
    if (s->health)
        health_free(s->health);
    if (s->accounts)
        account_set_free(s->accounts);
    if (s->demo)
        demo_stop(s->demo);
    if (s->demo_dir[0])
        remove_demo_dir(s->demo_dir);
    buf_fini(&s->demo_config);
    free(s->workers);
    free(s->spools);
    free(s->threads);
}

/* An install puts a new file in the old one's place; /proc/self/exe would still be the old one. */
static void start_again(struct server *s)
{
    environment_restore();
    execv(s->binary, s->options->argv);
    log_warn("%s could not be started (%s): the present binary again", s->binary, strerror(errno));
    execv("/proc/self/exe", s->options->argv);
    log_error("the gateway could not be started again: %s", strerror(errno));
}

int server_main(const struct serve_options *options)
{
    struct server s = {.options = options};
    struct err e = {0};
    sigset_t signals;
    harden();
    keep_memory();
    block_signals(&signals);
    if (readlink("/proc/self/exe", s.binary, sizeof s.binary - 1) < 0)
        s.binary[0] = '\0';
    int rc = options->demo || options->demo_if_empty ? make_demo(&s, &e) : 0;
    if (rc == 0)
        rc = make_source(&s, &e);
    if (rc == 0)
        rc = load_config(&s, false, &e);
    environment_wipe_secrets();
    if (rc == 0)
        rc = build(&s, &e);
    if (rc == 0) {
        printf("listening %s\n", s.listen_url);
        fflush(stdout);
        rc = start_threads(&s, &e);
    }
    if (rc == 0 && options->demo)
        rc = demo_load_start(s.demo, s.listen_url, &e);
    if (rc < 0) {
        fprintf(stderr, "pointsman: %s\n", e.text);
    } else {
        event_say(EVENT_KIND_STARTED, STR_NULL, "listening on %s", s.listen_url);
        tell_systemd("READY=1");
        wait_for_signals(&s, &signals);
    }
    take_down(&s);
    if (s.restart_wanted)
        start_again(&s);
    return rc < 0;
}
