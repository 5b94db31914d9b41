/* admin.h: the admin thread: HTTP and JSON on the unix socket, for consoles and command lines.
 *
 * Why: there is one way in for people and scripts. This thread serves it, owns the live state
 * (live.h) and is the only one that publishes snapshots. It never touches SQLite (query threads post
 * their answers back to its loop), never waits for a worker, and a console that reads slowly costs
 * it one bounded buffer.
 *
 * Who may: the peer's uid (SO_PEERCRED) decides the role (roles.h); every change names its doer.
 *
 *     source_new(&source, …); config = source_load(source, …);    // source.h
 *     admin_live_open(&live, source, config, store, accounts, &e); // the first snapshot is published
 *     admin_restore_balances(store, accounts, now, &e);            // before the listener opens
 *     admin_new(&admin, &start, &e);
 *     pthread_create(…, admin_run, admin); // until admin_stop()
 *     admin_free(admin);
 *
 * Ownership: everything in struct admin_start outlives the admin. */
#ifndef POINTSMAN_ADMIN_H
#define POINTSMAN_ADMIN_H

#include "proxy/admin/live.h"
#include "proxy/loop/loop.h"
#include "store/base/http_header.h"

struct admin;
struct account_set;
struct health;
struct source;
struct spool;
struct store;
struct watch;

/* A small call to a provider or a URL beside the traffic. Texts are copied. */
struct aside {
    struct str method, url;
    const struct http_header *headers;
    size_t header_count;
    struct str json;               /* the body; none when empty */
    int64_t connect_timeout_us, limit_us;
    bool http2, allow_private;
    const char *proxy, *ca_file;   /* NULL: none, the system's bundle */
};
enum { ASIDE_CONNECT_US = 5 * 1000000, ASIDE_LIMIT_US = 15 * 1000000 };
/* Runs on the loop that asked. status 0: no answer, `error` says why. Texts live during the call. */
typedef void aside_done(void *arg, int status, int64_t total_us, struct str body, struct str error);

/* What touches workers or the process: given by server.c. All are called from the admin thread and
 * must return at once (they post to a worker's mailbox or set a flag). */
struct admin_ops {
    void *ctx;
    /* Ends a running exchange, whichever worker has it. Ids unknown by then are ignored. */
    void (*cancel)(void *ctx, struct str id);
    /* Running answers (event/watch.h): the worker that runs `id` copies its events into `w` from now
     * on, until the exchange ends or the reader left (watch_leave); it wakes the admin loop. */
    int (*watch)(void *ctx, struct str id, struct watch *w);
    /* By a worker's own upstream; done() comes through loop_post() to `back`. 0 or -ERR_NOMEM. */
    int (*aside)(void *ctx, const struct aside *what, struct loop *back, aside_done *done, void *arg);
    /* A new configuration was published: what lies outside of the snapshot follows it (limits, log
     * level, retention). May be NULL. */
    void (*configured)(void *ctx, const struct config *config);
    void (*down)(void *ctx, bool now);
    int (*restart)(void *ctx, struct err *e);
};

struct admin_start {
    int listen_fd;                 /* AF_UNIX, listening (admin_listen) */
    struct str socket_path, data_path;
    struct str listen_url;         /* "http://127.0.0.1:4141" */
    bool demo;
    int64_t owner_uid;
    int64_t started_ms;
    unsigned workers;
    struct spool *const *spools;   /* one a worker: in flight and recent */
    struct health *health;
    struct account_set *accounts;
    struct store *store;           /* may be NULL: nothing is kept */
    struct source *source;
    struct live *live;
    const _Atomic int64_t *memory_used; /* bodies held now, of memory_limit; NULL: not told */
    int64_t memory_limit;
    struct admin_ops ops;
};

/* Binds the control socket: refuses a path that is not ours, takes over a stale one (the lock of the
 * data folder is held by then), umask 077, then the group and 0660 when `group` is given. */
int admin_listen(struct str path, struct str group, int *fd, struct err *e) MUST_CHECK;

int admin_new(struct admin **out, const struct admin_start *start, struct err *e) MUST_CHECK;
void *admin_run(void *admin);                  /* the thread's body */
void admin_reload(struct admin *a);            /* any thread: SIGHUP */
void admin_stop(struct admin *a);              /* any thread */
void admin_free(struct admin *a);              /* after the thread has ended */

/* At start, before any thread: opens the live state over the source's configuration, loads what the
 * store keeps of it (also the changes for undo and the imported prices), publishes the first
 * snapshot. `config`: the one that source_load() gave; its reference is taken on success. */
int admin_live_open(struct live **out, struct source *source, struct config *config,
    struct store *store, struct account_set *accounts, struct err *e) MUST_CHECK;
/* Then: what was spent in every window, and prepaid credit, from the store into the accounts. */
int admin_restore_balances(struct store *store, struct account_set *accounts, int64_t wall_ms,
    struct err *e) MUST_CHECK;

#endif
