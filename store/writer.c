/* writer.c: the one thread that writes.
 *
 *     wake ─ gather (≤ 100 ms since the last commit) ─ batch ─ bodies ─ one slice of maintenance ─┐
 *       └────────────────────────────────────── nothing waits: sleep on a futex ◀─────────────────┘
 *
 * A batch is one transaction: what the spools hold, what was appended, rollups, ledger, positions.
 * Only after its commit are slots freed, segments deleted and callbacks told. When it fails nothing
 * is lost: the spools are drained again from where the last commit ended, once a second, until the
 * disk has room or the file is back; bodies are shed meanwhile. */
#include "store/base/clock.h"
#include "store/base/secret.h"
#include "store/base/secret_said.h"
#include "store/store_internal.h"

#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    GATHER_US = 100000,
    RETRY_US = 1000000,
    SLOW_US = 1000000,
    MINUTE_US = 60000000,
    DRAIN_BYTES = 4 << 20,     /* of one spool in one batch */
    HURRY_BYTES = 1 << 20,     /* waiting: no gathering, slots are freed by the commit only */
    OPS_A_BATCH = 2000,
    BODY_BYTES_A_ROUND = 8 << 20,
    CHECKPOINT_BYTES = 16 << 20,
    LOG_BYTES_MAX = 64 << 20,
    TRIM_US = 10000000,
    HOUR_MS = 3600000,
    STOP_TRIES = 3
};

static void futex_wait(_Atomic uint32_t *word, uint32_t value, int64_t us)
{
    struct timespec t = {us / 1000000, us % 1000000 * 1000};
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, &t, NULL, 0);
}

/* A record is content to wait for its batch; who waits for an answer is not. */
enum sleep { AWAKE, RESTING, GATHERING };

static void wake_from(struct store *s, enum sleep deepest)
{
    uint32_t was = atomic_load(&s->sleeping);
    if (was != AWAKE && was <= (uint32_t)deepest &&
        atomic_compare_exchange_strong(&s->sleeping, &was, AWAKE))
        syscall(SYS_futex, &s->sleeping, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void writer_wake(void *store)
{
    wake_from(store, RESTING);
}

void writer_hurry(struct store *s)
{
    wake_from(s, GATHERING);
}

static int64_t behind(const struct store *s)
{
    int64_t n = 0;
    for (unsigned i = 0; i < atomic_load(&s->spool_count); i++)
        n += s->spools[i] ? spool_behind(s->spools[i]) : 0;
    return n;
}

static bool anything_waits(const struct store *s)
{
    return s->taken || atomic_load(&s->ops) || atomic_load(&s->body_ops) || s->maintenance ||
           behind(s) > 0;
}

/* ---- one batch ------------------------------------------------------------------------------ */

struct freed {
    struct spool *spool;
    int64_t slot;
};

struct batch {
    struct store *store;
    struct spool *spool;
    struct freed *freed; /* slots to free after the commit */
    size_t n, cap;
    unsigned damaged;
};

static int drain_one(void *ctx, uint32_t kind, struct str packed)
{
    struct batch *b = ctx;
    struct record r;
    if (record_unpack(packed, &r) < 0 || r.id.n == 0) {
        b->damaged++; /* of an unknown form: nothing could ever store it */
        return 0;
    }
    if (kind == SPOOL_END && r.slot >= 0) {
        if (b->n == b->cap) {
            size_t cap = b->cap ? b->cap * 2 : 256;
            void *more = realloc(b->freed, cap * sizeof *b->freed);
            if (!more)
                return -ERR_NOMEM;
            b->freed = more;
            b->cap = cap;
        }
        b->freed[b->n++] = (struct freed){b->spool, r.slot};
    }
    return commit_record(&b->store->commit, kind, &r);
}

static int drain_all(struct batch *b)
{
    struct store *s = b->store;
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i < atomic_load(&s->spool_count); i++) {
        b->spool = s->spools[i];
        if (!b->spool || spool_behind(b->spool) == 0)
            continue;
        rc = spool_drain(b->spool, DRAIN_BYTES, drain_one, b);
        if (rc == 0)
            rc = commit_position(&s->commit, i, spool_drained_to(b->spool));
    }
    return rc;
}

static int apply_ops(struct store *s, unsigned *applied)
{
    int rc = 0;
    *applied = 0;
    ops_take(s);
    for (struct op *op = s->taken; rc == 0 && op && *applied < OPS_A_BATCH; op = op->next) {
        if (op->kind >= OP_BACKUP)
            break;
        rc = op_apply(s, op);
        *applied += rc == 0;
    }
    return rc;
}

/* After a commit: the world may know. */
static void batch_done(struct batch *b, unsigned applied)
{
    struct store *s = b->store;
    for (unsigned i = 0; i < atomic_load(&s->spool_count); i++)
        if (s->spools[i])
            spool_drain_commit(s->spools[i]);
    for (size_t i = 0; i < b->n; i++)
        slot_free(b->freed[i].spool, b->freed[i].slot);
    while (applied--) {
        struct op *op = s->taken;
        s->taken = op->next;
        op_finish(s, op, op->rc);
    }
    if (b->damaged)
        store_notify(s, STORE_NOTICE_FAULT, "%u damaged records were left out", b->damaged);
    atomic_fetch_add(&s->rows, s->commit.rows);
    atomic_fetch_add(&s->commits, 1);
    atomic_store(&s->last_commit_ms, clock_wall_ms());
}

/* Who waits for an answer is told now; the rest is tried again. */
static void batch_failed(struct store *s, int rc)
{
    for (struct op **at = &s->taken; *at;) {
        struct op *op = *at;
        if (!op->done || op->kind >= OP_BACKUP) {
            at = &op->next;
            continue;
        }
        *at = op->next;
        op_finish(s, op, rc);
    }
}

void writer_close_main(struct store *s, int why)
{
    maintain_abandon(s, why);
    s->main->backend->close(s->main);
    s->main = NULL;
}

int writer_batch(struct store *s)
{
    struct batch b = {.store = s};
    unsigned applied = 0;
    int rc = s->main ? 0 : rescue_open_main(s, NULL);
    if (rc == 0)
        rc = commit_begin(&s->commit);
    if (rc == 0) {
        rc = drain_all(&b);
        rc = rc ? rc : apply_ops(s, &applied);
        if (rc == 0)
            rc = commit_end(&s->commit);
        else
            commit_abandon(&s->commit);
    }
    if (rc == 0)
        batch_done(&b, applied);
    else
        batch_failed(s, rc);
    free(b.freed);
    return rc;
}

/* ---- around the batch ----------------------------------------------------------------------- */

/* At most once a minute. */
static bool may_tell(int64_t *last_us)
{
    int64_t now = clock_mono_us();
    if (*last_us && now - *last_us < MINUTE_US)
        return false;
    *last_us = now;
    return true;
}

static void look_after_log(struct store *s)
{
    const struct store_backend *k = s->main->backend;
    int64_t bytes = k->log_bytes(s->main);
    if (bytes > CHECKPOINT_BYTES)
        k->checkpoint(s->main, bytes > LOG_BYTES_MAX);
    bytes = k->log_bytes(s->main);
    atomic_store(&s->wal_bytes, bytes);
    if (bytes > LOG_BYTES_MAX && may_tell(&s->last_slow_notice_us))
        store_notify(s, STORE_NOTICE_SLOW, "the write-ahead log holds %lld MiB: a reader is slow",
            (long long)bytes >> 20);
}

static void batch_report(struct store *s, int rc)
{
    int64_t before = atomic_exchange(&s->failing, -rc);
    if (rc == 0) {
        if (before)
            store_notify(s, STORE_NOTICE_HEALED, "records are stored again");
        look_after_log(s);
        return;
    }
    if (before != -rc)
        store_notify(s, rc == -ERR_FULL ? STORE_NOTICE_FULL : STORE_NOTICE_FAULT,
            "%s: %s; records wait in the spool, tried again each second", s->main_path,
            s->main ? s->main->backend->error(s->main) : err_text(rc));
    if (s->main && rc != -ERR_FULL && rc != -ERR_BUSY)
        writer_close_main(s, rc); /* what is broken is opened anew */
}

/* The secrets go before anything reaches the file, those too that are said piece by piece; the record
 * is marked. What could not be looked through is not kept. */
static int body_store(struct store *s, struct body_op *op)
{
    const struct store_body *b = &op->body;
    const struct str plain[] = {b->request, b->request_headers, b->response_headers, b->events};
    int said = secret_redact_said((char *)b->response.p, b->response.n, b->response_cut);
    int asked = said >= 0 && b->request_cut
        ? secret_redact_said((char *)b->request.p, b->request.n, true) : 0;
    if (said < 0 || asked < 0) {
        atomic_fetch_add(&s->bodies_shed, 1);
        return 0;
    }
    size_t found = (size_t)said + (size_t)asked;
    for (size_t i = 0; i < ARRAY_LEN(plain); i++)
        if (plain[i].n)
            found += secret_redact((char *)plain[i].p, plain[i].n);
    int rc = bodies_put(s->bodies, str_c(op->id), b);
    if (rc == 0 && found)
        op_redacted(s, str_c(op->id));
    return rc;
}

/* The caps hold while bodies come faster than old ones go: what waits for room fills the queue, and
 * what does not fit there is shed. Records go first all the same. */
static void bodies_make_room(struct store *s)
{
    int64_t older = clock_wall_ms() - atomic_load(&s->body_keep_ms);
    int64_t most = atomic_load(&s->body_keep_bytes);
    while (bodies_bytes(s->bodies) > most && bodies_trim(s->bodies, older, most) == 1)
        if (behind(s) > 0 && writer_batch(s) < 0)
            return;
}

static void bodies_round(struct store *s)
{
    struct body_op *list = body_ops_take(s);
    int rc = 0;
    while (list) {
        size_t bytes = 0, shed = 0;
        bodies_make_room(s);
        rc = bodies_begin(s->bodies);
        for (struct body_op *op; (op = list) && bytes < BODY_BYTES_A_ROUND;) {
            list = op->next;
            bytes += op->bytes;
            rc = rc ? rc : body_store(s, op);
            shed++;
            body_op_free(s, op);
        }
        rc = bodies_end(s->bodies, rc);
        if (rc < 0)
            atomic_fetch_add(&s->bodies_shed, (int64_t)shed);
        if (behind(s) > 0 && list && writer_batch(s) < 0)
            break; /* records first; what is left of the bodies is shed */
    }
    for (struct body_op *op; (op = list);) {
        list = op->next;
        atomic_fetch_add(&s->bodies_shed, 1);
        body_op_free(s, op);
    }
}

static void bodies_trim_round(struct store *s)
{
    int64_t older = clock_wall_ms() - atomic_load(&s->body_keep_ms), until = clock_mono_us() + 20000;
    bool interrupted = false;
    while (!interrupted && bodies_trim(s->bodies, older, atomic_load(&s->body_keep_bytes)) == 1)
        interrupted = clock_mono_us() > until && behind(s) > 0;
    atomic_store(&s->bodies_bytes, bodies_bytes(s->bodies));
    if (!interrupted) /* else it goes on in the next round */
        s->last_trim_us = clock_mono_us();
}

static void tell_of_shed_bodies(struct store *s, int64_t *told)
{
    int64_t shed = atomic_load(&s->bodies_shed);
    if (shed == *told || !may_tell(&s->last_shed_notice_us))
        return;
    store_notify(s, STORE_NOTICE_BODIES_SHED, "%lld bodies were not kept: the store is behind",
        (long long)(shed - *told));
    *told = shed;
}

static void begin_due_maintenance(struct store *s)
{
    int64_t keep = atomic_load(&s->record_keep_ms), now = clock_wall_ms();
    if (s->maintenance || !s->main)
        return;
    if (s->taken && s->taken->kind >= OP_BACKUP) {
        struct op *op = s->taken;
        s->taken = op->next;
        op->next = NULL;
        maintain_begin(s, op);
    } else if (now - s->last_prune_ms > HOUR_MS && !atomic_load(&s->stopping)) {
        s->last_prune_ms = now;
        store_prune(s, keep ? now - keep : 0, NULL, NULL);
    }
}

static void rest(struct store *s)
{
    atomic_store(&s->sleeping, RESTING);
    if (!anything_waits(s) && !atomic_load(&s->stopping))
        futex_wait(&s->sleeping, RESTING, MINUTE_US);
    atomic_store(&s->sleeping, AWAKE);
}

/* What comes within 100 ms of the last commit shares the next one: its rollups, the pages of its
 * indexes and its flush to disk are written once for all. */
static void gather(struct store *s, int64_t last_us)
{
    int64_t wait = last_us + GATHER_US - clock_mono_us();
    atomic_store(&s->sleeping, GATHERING);
    bool hurry = s->taken || atomic_load(&s->ops) || atomic_load(&s->stopping) ||
                 behind(s) > HURRY_BYTES;
    if (wait > 0 && !hurry)
        futex_wait(&s->sleeping, GATHERING, wait);
    atomic_store(&s->sleeping, AWAKE);
}

static int one_round(struct store *s)
{
    int rc = rescue_look(s);
    if (rc < 0) {
        batch_report(s, rc == -ERR_FULL ? rc : -ERR_BUSY); /* the handle is all that is left */
        return rc;
    }
    if (behind(s) > 0 || s->taken || atomic_load(&s->ops)) {
        int64_t began = clock_mono_us();
        rc = writer_batch(s);
        batch_report(s, rc);
        if (rc == 0 && clock_mono_us() - began > SLOW_US && may_tell(&s->last_slow_notice_us))
            store_notify(s, STORE_NOTICE_SLOW, "storing a batch took %lld ms",
                (long long)(clock_mono_us() - began) / 1000);
    }
    if (rc == 0 && atomic_load(&s->body_ops))
        bodies_round(s);
    if (rc == 0 && (clock_mono_us() - s->last_trim_us > TRIM_US ||
                    bodies_bytes(s->bodies) > atomic_load(&s->body_keep_bytes)))
        bodies_trim_round(s);
    if (rc == 0)
        begin_due_maintenance(s);
    if (rc == 0 && s->maintenance)
        maintain_step(s);
    return rc;
}

static void *writer_run(void *arg)
{
    struct store *s = arg;
    int64_t last_us = 0, told = 0;
    int failed = 0;
    for (;;) {
        bool stop = atomic_load(&s->stopping);
        if (!anything_waits(s)) {
            if (stop)
                break;
            rest(s);
            if (!anything_waits(s)) { /* a minute of peace */
                one_round(s);
                continue;
            }
        }
        if (!s->maintenance)
            gather(s, last_us);
        int rc = one_round(s);
        last_us = clock_mono_us();
        tell_of_shed_bodies(s, &told);
        failed = rc < 0 ? failed + 1 : 0;
        if (stop && failed >= STOP_TRIES)
            break; /* what could not be stored stays in the spool for the next start */
        if (rc < 0)
            usleep(stop ? RETRY_US / 10 : RETRY_US);
    }
    return NULL;
}

int writer_start(struct store *s, struct err *e)
{
    s->last_prune_ms = clock_wall_ms() - HOUR_MS + 60000; /* the first one a minute from now */
    s->last_trim_us = clock_mono_us();
    int rc = store_thread(&s->writer, writer_run, s, "store-writer", e);
    s->running = rc == 0;
    return rc;
}

void writer_stop(struct store *s)
{
    if (!s->running)
        return;
    atomic_store(&s->stopping, true);
    writer_hurry(s);
    pthread_join(s->writer, NULL);
    s->running = false;
    atomic_store(&s->stopping, false);
}
