/* store.h: THE door of the store: what is kept, and how to ask for it.
 *
 * Why: the data path appends to memory (spool.h) and never waits; one writer thread stores rows,
 * rollups, ledger entries and its position in one transaction; questions run beside it (query.h).
 * Nobody else opens the files.
 *
 *     struct store *s;
 *     store_open(&s, &config, &e);              // lock, permissions, migration, pepper
 *     store_recover(s, now_ms, &recovered, &e); // BEFORE a listener opens
 *     struct spool *w0 = store_spool(s, 0, &e); // one a worker
 *     store_start(s, &e);                       // writer and query threads
 *     ...
 *     store_stop(s);                            // workers have ended: stores all that is left
 *     store_close(s);
 *
 * `db check|backup|prune` without a gateway: open, recover, the synchronous calls, close.
 *
 * Threads: what is asynchronous may be called from any thread after store_start(); callbacks run on
 * the writer thread (appends) or a query thread (answers) and must be short. */
#ifndef POINTSMAN_STORE_H
#define POINTSMAN_STORE_H

#include "store/query.h"
#include "store/spool.h"

struct store;

enum store_notice {
    STORE_NOTICE_RECOVERED,  /* records of an earlier life were brought in */
    STORE_NOTICE_SLOW,       /* more than a second behind, or the log over 64 MiB */
    STORE_NOTICE_FULL,       /* no room on the disk: the spool holds the records meanwhile */
    STORE_NOTICE_FAULT,      /* another error of the database; tried again each second */
    STORE_NOTICE_HEALED,
    STORE_NOTICE_BODIES_SHED /* at most once a minute */
};

struct store_config {
    const char *dir;          /* the data folder; made with 0700 when it does not exist */
    unsigned workers, slots;  /* slots: most running exchanges of one worker (ended ones
                                 hold theirs for some 100 ms more); 0: 16,384 */
    size_t spool_bytes;       /* ceiling of all workers' segments together; 0: 256 MiB */
    size_t queue_bytes;       /* bodies waiting to be written; 0: 64 MiB */
    int64_t body_keep_ms, body_keep_bytes; /* 0: 7 days, 2 GiB */
    int64_t record_keep_ms;   /* 0: for ever (until store_prune) */
    void (*notice)(void *ctx, enum store_notice what, const char *text); /* any thread; or NULL */
    void *notice_ctx;
};

/* Refuses, saying what and what to do: a folder or file that others may read or that belongs to
 * somebody else, a symbolic link in its place, another gateway (names its pid; -ERR_BUSY), files of
 * a newer version. */
int store_open(struct store **out, const struct store_config *c, struct err *e) MUST_CHECK;
void store_close(struct store *s);

struct store_recovered {
    uint64_t records;     /* end records found in spools */
    uint64_t interrupted; /* exchanges that were running */
    int64_t charged_nano; /* what the interrupted ones were charged */
};
int store_recover(struct store *s, int64_t now_ms, struct store_recovered *r,
    struct err *e) MUST_CHECK;
struct spool *store_spool(struct store *s, unsigned worker, struct err *e);
int store_start(struct store *s, struct err *e) MUST_CHECK;
void store_stop(struct store *s);

const unsigned char *store_pepper(const struct store *s); /* 32 bytes */
/* On a reload. */
void store_set_retention(struct store *s, int64_t body_keep_ms, int64_t body_keep_bytes,
    int64_t record_keep_ms);

struct store_stats {
    int64_t rows, commits;         /* stored since the start */
    int64_t last_commit_ms;        /* wall; 0: none yet */
    int64_t behind;                /* records appended and not yet stored */
    int64_t wal_bytes, bodies_bytes, bodies_shed, queue_bytes;
    int64_t failing;               /* 0, or the error code that is being retried */
};
void store_stats(const struct store *s, struct store_stats *out);

/* ---- appends: any thread, asynchronous. `done` (may be NULL) is called once, after the commit or
 * when it failed: rc 0, -ERR_CONFLICT, -ERR_NOT_FOUND, -ERR_FULL. Texts are copied. -ERR_LIMIT at
 * once (and no callback) when too much waits. */
typedef void (*store_done)(void *ctx, int rc, int64_t revision);

int store_put_event(struct store *s, const struct store_event *ev); /* sequence is set by the store */
/* revision 0: the next one; the callback tells it. */
int store_put_audit(struct store *s, const struct store_audit *a, store_done done, void *ctx);
/* Small JSON documents by name ("overrides", "drains", "profiles", "prices" …; at most 16 MiB).
 * expected: the revision that the caller has seen (0: must be new), -1: any. Empty json: removed. */
int store_put_state(struct store *s, struct str name, struct str json, int64_t expected,
    store_done done, void *ctx);
/* Provider keys, sealed (base/secret.h): what is stored opens with the master key alone, which lies
 * elsewhere. `sealed` empty: removed; -ERR_NOT_FOUND when there is none. */
struct store_sealed {
    struct str name, sealed, who;
    int64_t time_ms;
};
int store_put_sealed(struct store *s, const struct store_sealed *k, store_done done, void *ctx);
/* Nothing itself: done when all is committed that was appended before. */
int store_sync(struct store *s, store_done done, void *ctx);
/* Prepaid credit of a key: a grant (nano may be negative), a refund of (a part of) what one request
 * cost, or, with `from`, a transfer. A refund's rc: -ERR_NOT_FOUND for a request that is not that
 * key's, -ERR_LIMIT where more than it cost would come back. */
struct store_grant {
    struct str account, who, note;
    struct str request; /* a refund: the id of the request */
    struct str from;    /* a transfer: the key that gives */
    int64_t nano, time_ms;
};
int store_put_grant(struct store *s, const struct store_grant *g, store_done done, void *ctx);
/* Takes the texts of *b over when it returns 0: each must be from malloc() (or empty). Shed
 * (-ERR_FULL, nothing taken) when the queue or the disk is full; counted. */
int store_put_body(struct store *s, struct str id, const struct store_body *b);
/* A record from outside the data path: SPOOL_END (import) or SPOOL_AMEND (repricing). */
int store_put_record(struct store *s, enum spool_kind kind, const struct record *r, store_done done,
    void *ctx);

/* ---- questions (query.h) */
/* A ticket, or 0 when too many wait (the callback is not called then). */
uint64_t store_ask(struct store *s, const struct store_query *q, store_answered fn, void *ctx);
/* The callback still comes, once, with -ERR_CANCELLED (or the answer, when it was faster). */
void store_cancel(struct store *s, uint64_t ticket);
/* The same on the caller's thread: at start, in tests, and for commands without a gateway. */
struct store_answer *store_ask_now(struct store *s, const struct store_query *q);

/* ---- synchronous, at start (after store_recover, before store_start) */
int store_each_state(struct store *s,
    void (*fn)(void *ctx, struct str name, struct str json, int64_t revision), void *ctx) MUST_CHECK;
int store_each_sealed(struct store *s, void (*fn)(void *ctx, const struct store_sealed *k),
    void *ctx) MUST_CHECK;
/* Sum of its ledger entries for every key with any; granted: it ever had prepaid credit. */
int store_each_balance(struct store *s, void (*fn)(void *ctx, struct str account, int64_t nano,
    bool granted), void *ctx) MUST_CHECK;
/* Charged in [from, to) (whole minutes) to each name of a dimension: budgets are rebuilt from it. */
int store_each_spent(struct store *s, enum store_dimension by, int64_t from_ms, int64_t to_ms,
    void (*fn)(void *ctx, struct str name, int64_t nano), void *ctx) MUST_CHECK;
int64_t store_last_revision(struct store *s);

/* ---- maintenance: with the threads running it is done by the writer, in slices between batches;
 * without, at once on the caller's thread. Both ways `done` is called (revision: rows removed). */
int store_backup(struct store *s, const char *path, store_done done, void *ctx); /* a new file */
int store_prune(struct store *s, int64_t older_than_ms, store_done done, void *ctx);

#endif
