/* query.c: the two query threads: a queue of questions, a connection each, a deadline each.
 *
 * A connection lives as long as its thread; a statement is reset at the end of each slice, so that
 * no snapshot outlives it and the write-ahead log can always be reset. A question that was cancelled
 * while it waited is answered at once; one that runs is interrupted. */
#include "store/query_internal.h"
#include "store/base/clock.h"

#include <stdlib.h>

enum { THREADS = 2, WAITING_MAX = 256, ANSWER_BYTES_MAX = 512 << 20, GRACE_US = 200000 };

struct job {
    struct job *next;
    uint64_t ticket;
    struct store_query q;
    struct arena texts;
    store_answered fn;
    void *ctx;
    _Atomic int cancelled;
};

struct queries {
    struct store *store;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct job *first, *last, *running[THREADS];
    unsigned waiting;
    uint64_t tickets;
    bool stopping;
    pthread_t threads[THREADS];
    unsigned started;
};

/* A page promises its answer within 50 ms: it looks for 40 and has 10 to be said in. */
static const struct {
    int (*run)(struct asking *k);
    unsigned budget_ms;
    bool partial; /* at its deadline it has an answer all the same */
} kinds[] = {
    [STORE_ASK_EXCHANGES] = {ask_exchanges, 40, true},
    [STORE_ASK_WALK] = {ask_walk, 40, true},
    [STORE_ASK_RECORD] = {ask_record, 1000, false},
    [STORE_ASK_RESPONSE] = {ask_response, 1000, false},
    [STORE_ASK_BODY] = {ask_body, 5000, false},
    [STORE_ASK_SESSIONS] = {ask_sessions, 40, true},
    [STORE_ASK_SUMS] = {ask_sums, 2000, false},
    [STORE_ASK_FACETS] = {ask_facets, 2000, false},
    [STORE_ASK_AUDIT] = {ask_audit, 1000, false},
    [STORE_ASK_EVENTS] = {ask_events, 1000, false},
    [STORE_ASK_LEDGER] = {ask_ledger, 1000, false},
    [STORE_ASK_CHECK] = {ask_check, 600000, false},
};

void store_answer_free(struct store_answer *a)
{
    if (a)
        arena_fini(&a->arena);
    free(a);
}

void *answer_array(struct store_answer *a, size_t n, size_t size)
{
    return arena_zalloc(&a->arena, MAX(n, 1) * size);
}

bool asking_over(const struct asking *k)
{
    return (k->cancelled && atomic_load(k->cancelled)) || clock_mono_us() > k->deadline_us;
}

/* ---- connections ---------------------------------------------------------------------------- */

int reader_open(struct reader **out, struct store *s, struct err *e)
{
    struct reader *r = calloc(1, sizeof *r);
    *out = NULL;
    if (!r || !(r->texts = texts_new())) {
        free(r);
        return err_set(e, ERR_NOMEM, "no memory for a reader");
    }
    r->store = s;
    r->generation = atomic_load(&s->generation);
    int rc = backend_sqlite.open(&r->main, s->main_path, DB_READER, e);
    if (rc < 0)
        reader_close(r);
    else
        *out = r;
    return rc;
}

void reader_close(struct reader *r)
{
    if (!r)
        return;
    if (r->main)
        r->main->backend->close(r->main);
    if (r->bodies)
        r->bodies->backend->close(r->bodies);
    texts_free(r->texts);
    free(r);
}

int reader_bodies(struct reader *r)
{
    return r->bodies ? 0 : backend_sqlite.open(&r->bodies, r->store->bodies_path, DB_READER, NULL);
}

/* A fresh connection after the files were opened anew, or after an error of this one. */
static int reader_ready(struct reader **r, struct store *s, struct err *e)
{
    if (*r && (*r)->generation != atomic_load(&s->generation)) {
        reader_close(*r);
        *r = NULL;
    }
    return *r ? 0 : reader_open(r, s, e);
}

/* ---- one question --------------------------------------------------------------------------- */

static struct store_answer *answer_new(enum store_ask kind)
{
    struct store_answer *a = calloc(1, sizeof *a);
    if (a) {
        a->kind = kind;
        arena_init(&a->arena, 16384, ANSWER_BYTES_MAX);
    }
    return a;
}

static struct store_answer *answer(struct reader **r, struct store *s, const struct store_query *q,
    const _Atomic int *cancelled)
{
    struct store_answer *a = answer_new(q->kind);
    if (!a)
        return NULL;
    a->rc = cancelled && atomic_load(cancelled) ? -ERR_CANCELLED : reader_ready(r, s, &a->err);
    if (a->rc < 0)
        return a;
    unsigned budget_ms = q->budget_ms ? q->budget_ms : kinds[q->kind].budget_ms;
    struct asking k = {.r = *r, .q = q, .a = a, .cancelled = cancelled,
        .deadline_us = clock_mono_us() + (int64_t)budget_ms * 1000};
    struct db *db = (*r)->main;
    db->backend->set_deadline(db, k.deadline_us + (kinds[q->kind].partial ? GRACE_US : 0),
        cancelled);
    a->rc = kinds[q->kind].run(&k);
    db->backend->set_deadline(db, 0, NULL);
    if (a->rc == -ERR_CANCELLED && !(cancelled && atomic_load(cancelled)))
        a->rc = -ERR_TIMEOUT;
    if (a->rc < 0 && !a->err.code)
        err_set(&a->err, (enum err_code)-a->rc, "%s", err_text(a->rc));
    if (a->rc == -ERR_IO || a->rc == -ERR_CORRUPT) {
        reader_close(*r);
        *r = NULL;
    }
    return a;
}

struct store_answer *store_ask_now(struct store *s, const struct store_query *q)
{
    return answer(&s->now, s, q, NULL);
}

/* ---- the queue ------------------------------------------------------------------------------ */

static void job_free(struct job *j)
{
    arena_fini(&j->texts);
    free(j);
}

static struct job *job_new(const struct store_query *q, store_answered fn, void *ctx)
{
    struct job *j = calloc(1, sizeof *j);
    if (!j)
        return NULL;
    arena_init(&j->texts, 512, 1 << 20);
    j->q = *q;
    j->fn = fn;
    j->ctx = ctx;
    struct str *const texts[] = {&j->q.id, &j->q.key, &j->q.team, &j->q.model, &j->q.provider,
        &j->q.route, &j->q.session, &j->q.name};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (texts[i]->n)
            *texts[i] = arena_str(&j->texts, *texts[i]);
    return j;
}

uint64_t store_ask(struct store *s, const struct store_query *q, store_answered fn, void *ctx)
{
    struct queries *all = s->queries;
    struct job *j = all && (unsigned)q->kind < ARRAY_LEN(kinds) ? job_new(q, fn, ctx) : NULL;
    if (!j)
        return 0;
    pthread_mutex_lock(&all->lock);
    bool taken = !all->stopping && all->waiting < WAITING_MAX;
    uint64_t ticket = taken ? ++all->tickets : 0;
    if (taken) {
        j->ticket = ticket;
        if (all->last)
            all->last->next = j;
        else
            all->first = j;
        all->last = j;
        all->waiting++;
        pthread_cond_signal(&all->wake);
    }
    pthread_mutex_unlock(&all->lock);
    if (!taken)
        job_free(j);
    return ticket;
}

void store_cancel(struct store *s, uint64_t ticket)
{
    struct queries *all = s->queries;
    if (!all || !ticket)
        return;
    pthread_mutex_lock(&all->lock);
    for (struct job *j = all->first; j; j = j->next)
        if (j->ticket == ticket)
            atomic_store(&j->cancelled, 1);
    for (unsigned i = 0; i < THREADS; i++)
        if (all->running[i] && all->running[i]->ticket == ticket)
            atomic_store(&all->running[i]->cancelled, 1);
    pthread_mutex_unlock(&all->lock);
}

static struct job *job_take(struct queries *all, unsigned me)
{
    pthread_mutex_lock(&all->lock);
    while (!all->first && !all->stopping)
        pthread_cond_wait(&all->wake, &all->lock);
    struct job *j = all->first;
    if (j) {
        all->first = j->next;
        if (!all->first)
            all->last = NULL;
        all->waiting--;
        if (all->stopping)
            atomic_store(&j->cancelled, 1);
    }
    all->running[me] = j;
    pthread_mutex_unlock(&all->lock);
    return j;
}

struct query_thread {
    struct queries *all;
    unsigned me;
};

static void *query_run(void *arg)
{
    struct query_thread t = *(struct query_thread *)arg;
    struct reader *reader = NULL;
    free(arg);
    for (struct job *j; (j = job_take(t.all, t.me));) {
        struct store_answer *a = answer(&reader, t.all->store, &j->q, &j->cancelled);
        pthread_mutex_lock(&t.all->lock);
        t.all->running[t.me] = NULL;
        pthread_mutex_unlock(&t.all->lock);
        j->fn(j->ctx, a);
        job_free(j);
    }
    reader_close(reader);
    return NULL;
}

int queries_start(struct store *s, struct err *e)
{
    struct queries *all = calloc(1, sizeof *all);
    if (!all)
        return err_set(e, ERR_NOMEM, "no memory for the query threads");
    all->store = s;
    pthread_mutex_init(&all->lock, NULL);
    pthread_cond_init(&all->wake, NULL);
    s->queries = all;
    for (unsigned i = 0; i < THREADS; i++) {
        struct query_thread *t = malloc(sizeof *t);
        if (!t)
            return err_set(e, ERR_NOMEM, "no memory for the query threads");
        *t = (struct query_thread){all, i};
        int rc = store_thread(&all->threads[i], query_run, t, "store-query", e);
        if (rc < 0) {
            free(t);
            return rc;
        }
        all->started++;
    }
    return 0;
}

void queries_stop(struct store *s)
{
    struct queries *all = s->queries;
    if (!all)
        return;
    pthread_mutex_lock(&all->lock);
    all->stopping = true;
    for (unsigned i = 0; i < THREADS; i++)
        if (all->running[i])
            atomic_store(&all->running[i]->cancelled, 1);
    pthread_cond_broadcast(&all->wake);
    pthread_mutex_unlock(&all->lock);
    for (unsigned i = 0; i < all->started; i++)
        pthread_join(all->threads[i], NULL);
    pthread_mutex_destroy(&all->lock);
    pthread_cond_destroy(&all->wake);
    s->queries = NULL;
    free(all);
}
