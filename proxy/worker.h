/* worker.h: one thread: a loop, its side to the clients, its side to the providers, its exchanges.
 *
 * Why: a request lives in one thread from its first byte to its end record; no hop, no lock on its
 * way. What workers share (health, accounts, snapshot pointer) is listed in server.c.
 *
 * From other threads only worker_cancel(), worker_watch(), worker_drain(), worker_stop() and
 * worker_live(): they post messages. */
#ifndef POINTSMAN_WORKER_H
#define POINTSMAN_WORKER_H

#include "proxy/config/snapshot.h"
#include "proxy/http/http.h"
#include "proxy/loop/loop.h"
#include "proxy/upstream/upstream.h"
#include "store/base/id.h"
#include "store/spool.h"

struct exchange;
struct store;
struct health;
struct account_set;
struct watch;

/* Bytes ready for a client that does not read: past the first the provider is paused, below the
 * second it goes on. */
enum { STREAM_HIGH_WATER = 256 << 10, STREAM_LOW_WATER = 64 << 10 };

/* What all workers share; owned by server.c and alive as long as any worker. */
struct shared {
    struct store *store;
    struct health *health;
    struct account_set *accounts;
    int64_t owner_uid;
    char owner_name[64];
    int64_t memory_limit;           /* held answers, uploads, captures together; bytes */
    _Atomic int64_t memory_used;
    _Atomic int64_t longest_turn_us; /* of any worker's loop, so far */
    _Atomic bool draining;
    char hop[24];                   /* this process, in x-pointsman-hop: a request that comes back
                                       carries it */
};

struct worker {
    unsigned index;
    struct shared *shared;
    struct loop *loop;
    struct http_server *http;
    struct upstream *upstream;
    struct spool *spool;
    struct snapshot *snapshot;      /* our reference to the newest one seen */
    uint64_t snapshot_generation;
    struct id_source ids;
    struct exchange *live;          /* list */
    struct exchange *spare;         /* ended ones, for the next requests: exchange.c */
    unsigned spare_count;
    _Atomic size_t live_count;      /* read by server.c while draining */
    _Atomic bool drained;           /* likewise: no request is still to come */
    struct loop_timer drain_look;
};

int worker_new(struct worker **out, unsigned index, unsigned workers, struct shared *shared,
    struct spool *spool, int listen_fd, struct err *e) MUST_CHECK;
void *worker_run(void *worker);     /* the thread's body */
/* After the thread has ended: what still runs is settled as interrupted; then freed. */
void worker_settle(struct worker *w);
void worker_free(struct worker *w);

void worker_cancel(struct worker *w, struct str id, const char *who);
/* The worker takes its share of `watch` and ends it (watch_end) when the exchange ends or is unknown.
 * False: nothing was posted, the share is still the caller's. */
bool worker_watch(struct worker *w, struct str id, struct watch *watch);
void worker_drain(struct worker *w);
bool worker_drained(const struct worker *w); /* nothing runs, and nothing is still being read */
void worker_stop(struct worker *w);
size_t worker_live(const struct worker *w); /* exchanges that run */

/* The newest snapshot, as a counted reference for one request. */
struct snapshot *worker_snapshot(struct worker *w);

/* The running exchange with that id; NULL. The worker's own thread only. */
struct exchange *worker_find(struct worker *w, struct str id);

/* Charges bytes to the process's memory budget; false when it is used up. */
bool memory_charge(struct shared *s, int64_t bytes);
void memory_release(struct shared *s, int64_t bytes);

#endif
