/* upstream.c: the room's door: calls are taken from a pool, marked, acted on, ended.
 *
 * Order within a turn: descriptors (curl runs, head() and data() are called from its callbacks),
 * then our phase: marked calls, curl's timers that are due, curl's messages (done() is called).
 *
 * Invariants: nothing of curl's multi interface is called while in_curl; a call is on `marked` or
 * `running` exactly while it is neither pooled nor in finish(); c->shard is set while curl has it. */
#include "proxy/upstream/call.h"

#include "store/base/err.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#define POOL_MAX 512 /* idle handles kept, 6 KiB each */
#define ROUNDS_MAX 3 /* of one phase: what was marked meanwhile, such as calls that waited for a name */
#define YIELDED_A_ROUND 2 /* bursts; a turn has up to four rounds: a millisecond or two, which a new request waits */

void call_fail(struct upstream_call *c, enum upstream_end end, const char *fmt, ...)
{
    va_list ap;
    if (c->fail != UPSTREAM_OK)
        return;
    c->fail = end;
    va_start(ap, fmt);
    vsnprintf(c->fail_reason, sizeof c->fail_reason, fmt, ap);
    va_end(ap);
}

/* ---- the pool ---- */

static void call_free(struct upstream_call *c)
{
    if (!c)
        return;
    curl_easy_cleanup(c->easy);
    options_forget_texts(c);
    coding_free(c->coding);
    buf_fini(&c->text);
    buf_fini(&c->small);
    buf_fini(&c->head);
    free(c->lines);
    free(c);
}

static struct upstream_call *call_new(struct upstream *u)
{
    struct upstream_call *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->u = u;
    buf_init(&c->text, BUF_NO_LIMIT); /* bounded by what is given: headers and a small body */
    buf_init(&c->small, BUF_NO_LIMIT);
    buf_init(&c->head, u->config.answer_head_bytes + 1);
    c->easy = options_new_handle(c);
    if (c->easy)
        return c;
    call_free(c);
    return NULL;
}

static struct upstream_call *call_take(struct upstream *u)
{
    struct upstream_call *c = u->pool;
    if (!c)
        return call_new(u);
    u->pool = c->next;
    u->pooled--;
    if (!c->worn || options_renew_handle(c)) {
        c->worn = false;
        return c;
    }
    call_free(c);
    return NULL;
}

void call_yield(struct upstream_call *c)
{
    if (c->yielded)
        return;
    c->yielded = true;
    DL_APPEND2(c->u->yielded, c, yield_prev, yield_next);
}

static void call_unyield(struct upstream_call *c)
{
    if (c->yielded)
        DL_DELETE2(c->u->yielded, c, yield_prev, yield_next);
    c->yielded = false;
}

/* Forgets the request and the answer; the handle keeps its settings. */
static void call_give_back(struct upstream_call *c)
{
    struct upstream *u = c->u;
    answer_reset(c);
    call_unyield(c);
    /* curl 7.88 counts retries over a handle's life and gives up at the fifth; only a reset helps */
    c->worn = c->worn || c->sends > 1;
    c->sends = 0;
    buf_reset(&c->text);
    buf_reset(&c->small);
    c->body = NULL;
    c->body_count = c->piece = c->offset = 0;
    c->body_bytes = 0;
    c->opened = 0;
    c->forbidden = c->marked = c->cancelled = c->paused = false;
    c->held = c->finished = c->over = c->undecoded = false;
    c->followed = c->waits_for_name = c->name_known = false;
    c->fail = UPSTREAM_OK;
    c->error[0] = '\0';
    c->prev = NULL;
    if (u->pooled >= POOL_MAX) {
        call_free(c);
        return;
    }
    c->next = u->pool;
    u->pool = c;
    u->pooled++;
}

/* ---- marks and acts ---- */

void call_mark(struct upstream_call *c)
{
    if (c->marked || c->over)
        return;
    DL_DELETE(c->u->running, c);
    DL_APPEND(c->u->marked, c);
    c->marked = true;
}

static void call_unmark(struct upstream_call *c)
{
    DL_DELETE(c->u->marked, c);
    DL_APPEND(c->u->running, c);
    c->marked = false;
}

static void call_detach(struct upstream_call *c)
{
    struct upstream *u = c->u;
    if (!c->shard)
        return;
    u->in_curl++;
    curl_multi_remove_handle(c->shard->multi, c->easy); /* unfinished: closes its connection */
    u->in_curl--;
    c->shard->live--;
    c->shard = NULL;
}

/* The end of a call that was not cancelled. */
static void call_finish(struct upstream_call *c, CURLcode code)
{
    struct upstream *u = c->u;
    struct upstream_result result;
    ends_fill(c, code, &result);
    if (result.end != UPSTREAM_OK && c->opened == 0 && c->sends == 0 && !c->finished)
        names_fail(c, &result);
    names_release(c, false);
    call_detach(c);
    DL_DELETE(u->running, c);
    u->stats.live--;
    u->stats.reused += result.reused;
    c->over = true;
    if (c->events.done)
        c->events.done(c->ctx, &result);
    call_give_back(c);
}

static void call_add(struct upstream_call *c)
{
    if (!names_enter(c))
        return;
    struct upstream_shard *s = multi_choose(c->u);
    c->shard = s;
    s->live++;
    CURLMcode rc = curl_multi_add_handle(s->multi, c->easy);
    if (rc == CURLM_OK)
        return;
    s->live--;
    c->shard = NULL;
    call_fail(c, UPSTREAM_INTERNAL, "the call could not be started: %s", curl_multi_strerror(rc));
    call_finish(c, CURLE_OUT_OF_MEMORY);
}

static void call_go_on(struct upstream_call *c)
{
    c->held = false;
    c->shard->dirty = true;
    c->u->entered++;
    c->u->in_curl++;
    curl_easy_pause(c->easy, CURLPAUSE_CONT); /* may hand us the piece it kept */
    c->u->in_curl--;
}

static void call_resume(struct upstream_call *c)
{
    if (!answer_resume(c)) {
        if (!c->cancelled && c->fail != UPSTREAM_OK)
            call_finish(c, CURLE_WRITE_ERROR);
        return;
    }
    if (c->finished)
        call_finish(c, c->code);
    else if (c->held)
        call_go_on(c);
}

/* Each in its turn, so that a thousand providers that send as fast as they can share a worker with a
 * client that has just come. */
static void upstream_resume_yielded(struct upstream *u)
{
    struct upstream_call *c;
    for (int i = 0; i < YIELDED_A_ROUND && (c = u->yielded) != NULL; i++) {
        call_unyield(c);
        if (c->held && !c->paused && !c->cancelled) /* else it is resumed when that ends */
            call_go_on(c);
    }
}

static void call_act(struct upstream_call *c)
{
    if (c->cancelled) {
        names_release(c, false);
        call_detach(c);
        DL_DELETE(c->u->running, c);
        c->u->stats.live--;
        call_give_back(c);
    } else if (!c->shard && !c->finished) {
        call_add(c);
    } else if (!c->paused) {
        call_resume(c);
    }
}

void upstream_act(struct upstream *u)
{
    if (u->in_curl || !u->marked)
        return;
    struct upstream_call *last = u->marked->prev, *c; /* not those marked meanwhile */
    bool more = true;
    while (more && (c = u->marked) != NULL) {
        more = c != last;
        call_unmark(c);
        call_act(c);
    }
}

static void upstream_read_messages(struct upstream_shard *s)
{
    int left;
    CURLMsg *m;
    s->dirty = false;
    while ((m = curl_multi_info_read(s->multi, &left)) != NULL) {
        struct upstream_call *c = NULL;
        CURLcode code = m->data.result;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &c);
        if (m->msg != CURLMSG_DONE || c->cancelled)
            continue; /* its removal is marked */
        if (c->undecoded && code == CURLE_OK) {
            c->finished = true;
            c->code = code;
            call_detach(c);
            call_mark(c);
        } else {
            if (c->marked)
                call_unmark(c);
            call_finish(c, code);
        }
    }
}

static bool upstream_phase(void *ctx)
{
    struct upstream *u = ctx;
    upstream_resume_yielded(u);
    for (int round = 0; round < ROUNDS_MAX && (round == 0 || u->marked); round++) {
        upstream_act(u);
        for (unsigned i = 0; i < u->config.shards; i++) {
            if (u->shards[i].due)
                multi_run_timer(&u->shards[i]);
            if (u->shards[i].dirty)
                upstream_read_messages(&u->shards[i]);
        }
    }
    return false; /* upstream_wait() knows */
}

static int64_t upstream_wait(void *ctx)
{
    const struct upstream *u = ctx;
    if (u->marked || u->yielded)
        return 0;
    for (unsigned i = 0; i < u->config.shards; i++)
        if (u->shards[i].due || u->shards[i].dirty)
            return 0;
    return INT64_MAX;
}

/* ---- the door ---- */

int upstream_new(struct upstream **out, struct loop *l, const struct upstream_config *config,
    struct err *e)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    *out = NULL;
    pthread_once(&once, memory_init_curl);
    if (config->shards == 0 || config->fill == 0 || config->decoded_ratio == 0)
        return err_set(e, ERR_RANGE, "upstream: shards, fill and decoded_ratio start at 1");
    struct upstream *u = calloc(1, sizeof *u);
    if (!u)
        return err_set(e, ERR_NOMEM, "no memory for the upstream side");
    u->loop = l;
    u->config = *config;
    options_find_ca(u->ca_file, sizeof u->ca_file);
    u->shards = calloc(config->shards, sizeof *u->shards);
    u->share = curl_share_init();
    int rc = u->shards && u->share ? 0 : err_set(e, ERR_NOMEM, "no memory for the upstream side");
    for (unsigned i = 0; rc == 0 && i < config->shards; i++)
        rc = multi_init(u, &u->shards[i], e);
    if (rc == 0) {
        curl_share_setopt(u->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
        curl_share_setopt(u->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
        if (loop_phase_add(l, "upstream", upstream_phase, u) < 0 ||
            loop_wait_add(l, upstream_wait, u) < 0)
            rc = err_set(e, ERR_FULL, "the loop has no room for the upstream side");
    }
    if (rc < 0)
        upstream_free(u);
    else
        *out = u;
    return rc;
}

static void upstream_drop_all(struct upstream_call **list)
{
    while (*list) {
        struct upstream_call *c = *list;
        DL_DELETE(*list, c);
        call_detach(c);
        call_free(c);
    }
}

void upstream_free(struct upstream *u)
{
    if (!u)
        return;
    upstream_drop_all(&u->marked);
    upstream_drop_all(&u->running);
    while (u->pool) {
        struct upstream_call *c = u->pool;
        u->pool = c->next;
        call_free(c);
    }
    for (unsigned i = 0; u->shards && i < u->config.shards; i++)
        multi_fini(&u->shards[i]);
    curl_share_cleanup(u->share);
    for (size_t i = 0; i < u->socket_cap; i++)
        free(u->sockets[i]);
    free(u->sockets);
    free(u->headers);
    free(u->shards);
    free(u);
}

int upstream_start(struct upstream *u, const struct upstream_request *r,
    const struct upstream_events *events, void *ctx, struct upstream_call **call, struct err *e)
{
    *call = NULL;
    struct upstream_call *c = call_take(u);
    if (!c)
        return err_set(e, ERR_NOMEM, "no memory for a request towards the provider");
    int rc = options_apply(c, r, e);
    if (rc < 0) {
        call_give_back(c);
        return rc;
    }
    c->events = *events;
    c->ctx = ctx;
    DL_APPEND(u->running, c);
    call_mark(c);
    u->stats.live++;
    u->stats.started++;
    *call = c;
    return 0;
}

void upstream_pause(struct upstream_call *c)
{
    c->paused = true; /* the next piece makes curl stop reading */
}

void upstream_resume(struct upstream_call *c)
{
    if (!c->paused)
        return;
    c->paused = false;
    if (c->held || c->undecoded || c->finished)
        call_mark(c);
}

void upstream_cancel(struct upstream_call *c)
{
    c->cancelled = true;
    c->events = (struct upstream_events){0};
    call_mark(c);
}

struct upstream_stats upstream_stats(const struct upstream *u)
{
    struct upstream_stats s = u->stats;
    s.idle_connections = u->connections > s.live ? u->connections - s.live : 0;
    return s;
}
