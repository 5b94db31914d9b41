/* traffic.c: requests: the list (running, from memory, stored), one with its bodies, cancelling.
 *
 * A record is there at once: the newest page is the running exchanges (slots), what the workers still
 * hold in memory, and the store's page, each request once. */
#include "proxy/admin/handlers.h"

#include "proxy/access/key.h"
#include "proxy/admin/filter.h"
#include "proxy/admin/keeper.h"
#include "proxy/admin/record_view.h"
#include "proxy/meter/price.h"
#include "store/base/clock.h"
#include "store/base/histogram.h"

#include <stdio.h>
#include <stdlib.h>

enum { MEMORY_ROWS = 512, LIVE_VIEW_US = 100000 };

/* ---- running exchanges ---- */

void admin_each_live(struct admin *a, bool (*fn)(void *ctx, const struct record *r), void *ctx)
{
    int64_t now = clock_mono_us();
    struct slot *copy = malloc(sizeof *copy);
    bool more = copy != NULL;
    for (unsigned w = 0; more && w < a->start.workers; w++) {
        const struct spool *s = a->start.spools[w];
        unsigned n = slot_count(s);
        for (unsigned i = 0; more && i < n; i++) {
            struct record r;
            if (!slot_read(s, i, copy))
                continue;
            slot_record(copy, now, &r);
            more = fn(ctx, &r);
        }
    }
    free(copy);
}

/* Thousands of streams and many consoles: counted at most ten times a second. */
size_t admin_live_count(struct admin *a)
{
    int64_t now = clock_mono_us();
    if (a->live_view.counted_us && now - a->live_view.counted_us < LIVE_VIEW_US)
        return a->live_view.count;
    a->live_view.counted_us = now;
    a->live_view.count = 0;
    for (unsigned w = 0; w < a->start.workers; w++)
        a->live_view.count += slot_running(a->start.spools[w]);
    return a->live_view.count;
}

/* ---- the list ---- */

struct list {
    struct filter filter;
    struct store_query query;
    unsigned limit, written;
    bool live, memory;
    /* rows of the workers' memory that may not be stored yet: packed copies, newest first */
    struct str packed[MEMORY_ROWS];
    size_t packed_count;
};

static bool keep_record(void *ctx, const struct record *r)
{
    return filter_match(&((struct list *)ctx)->filter, r);
}

struct live_list {
    struct call *call;
    struct list *list;
};

static bool write_live(void *ctx, const struct record *r)
{
    struct live_list *x = ctx;
    if (!filter_match(&x->list->filter, r))
        return true;
    record_json(r, &x->call->writer);
    return ++x->list->written < x->list->limit;
}

struct gather {
    struct call *call;
    struct list *list;
    size_t most; /* a worker's share */
};

static bool gather_packed(void *ctx, struct str packed)
{
    struct gather *g = ctx;
    struct record r;
    if (g->list->packed_count == MEMORY_ROWS || g->most-- == 0)
        return false;
    if (record_unpack(packed, &r) == 0 && filter_match(&g->list->filter, &r)) {
        struct str copy = arena_str(&g->call->arena, packed);
        if (copy.p)
            g->list->packed[g->list->packed_count++] = copy;
    }
    return true;
}

static int newest_first(const void *a, const void *b)
{
    struct record x, y;
    if (record_unpack(*(const struct str *)a, &x) < 0 || record_unpack(*(const struct str *)b, &y) < 0)
        return 0;
    return x.time_ms < y.time_ms ? 1 : x.time_ms > y.time_ms ? -1 : -str_cmp(x.id, y.id);
}

static void gather_memory(struct call *c, struct list *l)
{
    struct admin *a = c->admin;
    for (unsigned w = 0; w < a->start.workers; w++) {
        struct gather g = {c, l, MEMORY_ROWS / MAX(1u, a->start.workers)};
        spool_recent(a->start.spools[w], gather_packed, &g);
    }
    qsort(l->packed, l->packed_count, sizeof l->packed[0], newest_first);
}

static bool among(const struct store_answer *page, struct str id)
{
    for (size_t i = 0; page && i < page->n; i++)
        if (str_eq(page->records[i].id, id))
            return true;
    return false;
}

static bool among_packed(const struct list *l, size_t before, struct str id)
{
    struct record r;
    for (size_t i = 0; i < before; i++)
        if (record_unpack(l->packed[i], &r) == 0 && str_eq(r.id, id))
            return true;
    return false;
}

/* The newest page may be longer than its limit by what is not stored yet: its cursor is that of the
 * stored rows. With live=1 (nobody pages on) the limit is exact. */

/* What memory has and the store's page has not, and which belongs before the page's end. */
static void write_memory(struct call *c, struct list *l, const struct store_answer *page)
{
    int64_t oldest = page && page->n && !page->done ? page->records[page->n - 1].time_ms : INT64_MIN;
    for (size_t i = 0; i < l->packed_count && l->written < l->limit; i++) {
        struct record r;
        if (record_unpack(l->packed[i], &r) < 0 || r.time_ms < oldest || among(page, r.id) ||
            among_packed(l, i, r.id))
            continue;
        record_json(&r, &c->writer);
        l->written++;
    }
}

static void write_cursor(struct json_writer *w, const struct store_answer *page)
{
    char text[64];
    snprintf(text, sizeof text, "%lld.%lld", (long long)page->cursor.at, (long long)page->cursor.row);
    json_put_c(w, "cursor", page->done ? "" : text);
    json_put_bool(w, "done", page->done);
    clock_rfc3339(page->searched_back_ms, text);
    json_put_c(w, "searched_back_to", page->done ? "" : text);
}

static void write_page(struct call *c, struct store_answer *page)
{
    struct list *l = c->state;
    struct json_writer *w = call_begin(c);
    json_array_begin(w, "rows");
    struct live_list live = {c, l};
    if (l->live)
        admin_each_live(c->admin, write_live, &live);
    if (l->memory)
        write_memory(c, l, page);
    for (size_t i = 0; page && i < page->n && !(l->live && l->written >= l->limit); i++) {
        record_json(&page->records[i], w);
        l->written++;
    }
    json_array_end(w);
    if (page) {
        write_cursor(w, page);
    } else {
        json_put_c(w, "cursor", "");
        json_put_bool(w, "done", true);
    }
    call_send(c);
}

static void page_answered(struct call *c, struct store_answer *a)
{
    if (a->rc < 0)
        call_failed(c, a->rc, &a->err);
    else
        write_page(c, a);
}

bool call_cursor(struct call *c, struct store_cursor *out)
{
    struct str text = call_param(c, "before"), at;
    *out = (struct store_cursor){0};
    if (text.n == 0)
        return true;
    if (str_cut(&text, '.', &at) && str_to_i64(at, &out->at) && str_to_i64(text, &out->row))
        return true;
    call_error(c, 400, "bad_cursor", "before: not a cursor of an earlier answer");
    return false;
}

bool call_filter(struct call *c, struct filter *f)
{
    struct err e = {0};
    if (filter_parse(f, call_param(c, "filter"), clock_wall_ms(), &e) == 0)
        return true;
    call_error(c, 400, "bad_filter", "filter: %s", e.text);
    return false;
}

static void narrow(struct list *l)
{
    struct store_query *q = &l->query;
    (void)filter_equal(&l->filter, "key", &q->key);
    (void)filter_equal(&l->filter, "team", &q->team);
    (void)filter_equal(&l->filter, "model", &q->model);
    (void)filter_equal(&l->filter, "route", &q->route);
    (void)filter_equal(&l->filter, "session", &q->session);
    if (!filter_is_indexed(&l->filter)) {
        q->keep = keep_record;
        q->keep_ctx = l;
    }
}

void get_exchanges(struct call *c)
{
    struct list *l = arena_zalloc(&c->arena, sizeof *l);
    if (!l) {
        call_failed(c, -ERR_NOMEM, NULL);
        return;
    }
    c->state = l;
    l->limit = call_limit(c, 50, STORE_PAGE_MAX);
    l->query = (struct store_query){.kind = STORE_ASK_EXCHANGES, .limit = l->limit,
        .oldest_first = call_param_int(c, "oldest_first", 0) != 0};
    l->query.from_ms = call_time(c, "since");
    l->query.to_ms = call_time(c, "until");
    if (l->query.from_ms < 0 || l->query.to_ms < 0 || !call_filter(c, &l->filter) ||
        !call_cursor(c, &l->query.cursor))
        return;
    bool first = call_param(c, "before").n == 0 && !l->query.oldest_first && !l->query.to_ms;
    l->live = first && call_param_int(c, "live", 0) != 0;
    l->memory = first;
    if (l->memory)
        gather_memory(c, l);
    narrow(l);
    if (c->admin->start.store)
        call_ask(c, &l->query, page_answered);
    else
        write_page(c, NULL);
}

/* ---- one exchange ---- */

struct find {
    struct str id;
    struct call *call;
    struct record record;
    bool found;
};

static bool find_live(void *ctx, const struct record *r)
{
    struct find *f = ctx;
    if (!str_eq(r->id, f->id))
        return true;
    struct buf packed; /* the slot's copy goes: keep the texts in the arena */
    buf_init(&packed, 1 << 20);
    record_pack(r, &packed);
    struct str kept = arena_str(&f->call->arena, buf_str(&packed));
    f->found = kept.n && record_unpack(kept, &f->record) == 0;
    buf_fini(&packed);
    return false;
}

static bool find_packed(void *ctx, struct str packed)
{
    struct find *f = ctx;
    struct record r;
    if (record_unpack(packed, &r) < 0 || !str_eq(r.id, f->id))
        return true;
    struct str kept = arena_str(&f->call->arena, packed);
    f->found = kept.p && record_unpack(kept, &f->record) == 0;
    return false;
}

/* Running or still in a worker's memory. Texts live in the call's arena. */
bool admin_find_record(struct call *c, struct str id, struct record *out)
{
    struct admin *a = c->admin;
    struct find f = {.id = id, .call = c};
    for (unsigned w = 0; w < a->start.workers && !f.found; w++)
        spool_recent(a->start.spools[w], find_packed, &f);
    if (!f.found)
        admin_each_live(a, find_live, &f);
    *out = f.record;
    return f.found;
}

struct one {
    struct record record;
    struct str previous; /* messages.c */
    struct str sentence; /* where the time went */
    int64_t usual_p50_us, usual_p95_us; /* first token at the same target, in the hour before */
    call_fn *then;
};

struct record *call_record(const struct call *c)
{
    return &((struct one *)c->state)->record;
}

struct str call_previous(const struct call *c)
{
    return ((struct one *)c->state)->previous;
}

void call_set_previous(struct call *c, struct str messages)
{
    ((struct one *)c->state)->previous = messages;
}

static void keep_record_of(struct call *c, const struct record *r)
{
    struct one *one = c->state;
    struct buf packed;
    buf_init(&packed, 1 << 20);
    record_pack(r, &packed);
    struct str kept = arena_str(&c->arena, buf_str(&packed));
    bool ok = kept.n && record_unpack(kept, &one->record) == 0;
    buf_fini(&packed);
    if (ok)
        one->then(c);
    else
        call_failed(c, -ERR_NOMEM, NULL);
}

static void record_answered(struct call *c, struct store_answer *a)
{
    if (a->rc == -ERR_NOT_FOUND || (a->rc == 0 && a->n == 0))
        call_error(c, 404, "not_found", "no request has the id " STR_FMT,
            STR_ARG(str_first(c->args[0], 64)));
    else if (a->rc < 0)
        call_failed(c, a->rc, &a->err);
    else
        keep_record_of(c, &a->records[0]);
}

/* Finds the record named in the path, wherever it is, then runs `then` with call_record(). */
void call_with_record(struct call *c, call_fn *then)
{
    struct one *one = arena_zalloc(&c->arena, sizeof *one);
    if (!one) {
        call_failed(c, -ERR_NOMEM, NULL);
        return;
    }
    c->state = one;
    one->then = then;
    if (admin_find_record(c, c->args[0], &one->record)) {
        then(c);
        return;
    }
    struct store_query q = {.kind = STORE_ASK_RECORD, .id = c->args[0]};
    if (c->admin->start.store)
        call_ask(c, &q, record_answered);
    else
        call_error(c, 404, "not_found", "no request has the id " STR_FMT,
            STR_ARG(str_first(c->args[0], 64)));
}

/* ---- whose prompts one may read ---- */

/* Says yes or no by `access.bodies`; looks by others than the owner are audited both ways. */
bool call_may_read(struct call *c, const struct record *r)
{
    struct admin *a = c->admin;
    struct str owner = STR_NULL;
    struct snapshot *s = snapshot_current();
    const struct key *k = s && r->key.n ? key_by_name(s->keys, r->key) : NULL;
    if (k)
        owner = arena_str(&c->arena, k->owner);
    snapshot_put(s);
    bool may = roles_may_read(&a->roles, live_config(a->live), c->uid, r->client_uid, owner,
        clock_wall_ms());
    bool own = c->uid == a->roles.owner_uid || c->uid == 0 || c->uid == r->client_uid;
    if (!own)
        keeper_audit(c, call_printf(c, "%s the bodies of " STR_FMT, may ? "read" : "was refused",
            STR_ARG(r->id)).p);
    return may;
}

static void write_record(struct call *c, struct json_writer *w)
{
    const struct record *r = call_record(c);
    const struct one *one = c->state;
    const struct config *config = live_config(c->admin->live);
    const struct price *p = config->prices ? price_find(config->prices, r->provider, r->model) : NULL;
    record_json_members(r, w);
    json_put_str(w, "sentence", one->sentence);
    json_object_begin(w, "usual");
    json_put_int(w, "ttft_p50_us", one->usual_p50_us);
    json_put_int(w, "ttft_p95_us", one->usual_p95_us);
    json_object_end(w);
    json_put_int(w, "context_tokens", p ? p->context_tokens : 0);
}

static void body_answered(struct call *c, struct store_answer *a)
{
    struct json_writer *w = call_begin(c);
    write_record(c, w);
    if (a->rc == 0)
        body_json(&a->body, w);
    else
        json_put_c(w, "denied", call_record(c)->state == STATE_DONE
            ? "no body is kept of this request (capture)" : "the bodies are kept when it has ended");
    call_send(c);
}

static void show_bodies(struct call *c)
{
    struct store_query q = {.kind = STORE_ASK_BODY, .id = call_record(c)->id};
    if (c->admin->start.store && call_may_read(c, call_record(c))) {
        call_ask(c, &q, body_answered);
        return;
    }
    struct json_writer *w = call_begin(c);
    write_record(c, w);
    json_put_c(w, "denied", c->admin->start.store
        ? "access.bodies does not let you read this request's bodies" : "nothing is stored here");
    call_send(c);
}

static void hour_answered(struct call *c, struct store_answer *a)
{
    const struct store_sum *s = a && a->rc == 0 && a->n ? &a->sums[0] : NULL;
    char text[200] = "";
    struct one *one = c->state;
    if (!record_sentence(call_record(c), s ? s->ttft : NULL, s ? s->total : NULL, text, sizeof text))
        text[0] = '\0';
    one->sentence = arena_str(&c->arena, str_c(text));
    one->usual_p50_us = s && s->ttft ? histogram_percentile(s->ttft, 500000) : 0;
    one->usual_p95_us = s && s->ttft ? histogram_percentile(s->ttft, 950000) : 0;
    show_bodies(c);
}

/* What the same target did in the hour before says whether this was slow. */
static void show_record(struct call *c)
{
    enum { HOUR_MS = 3600000, MINUTE_MS = 60000 };
    const struct record *r = call_record(c);
    char target[300];
    if (!c->admin->start.store || !r->provider.n) {
        hour_answered(c, NULL);
        return;
    }
    snprintf(target, sizeof target, STR_FMT "/" STR_FMT, STR_ARG(r->provider), STR_ARG(r->model));
    struct store_query q = {.kind = STORE_ASK_SUMS, .dimension = STORE_BY_MODEL,
        .name = str_c(target), .from_ms = r->time_ms - HOUR_MS, .to_ms = r->time_ms + MINUTE_MS};
    call_ask(c, &q, hour_answered);
}

void get_exchange(struct call *c)
{
    call_with_record(c, show_record);
}

/* ---- ending requests ---- */

struct cancel {
    struct call *call;
    struct str session;
    int64_t n;
};

static bool cancel_one(void *ctx, const struct record *r)
{
    struct cancel *x = ctx;
    const struct admin_ops *ops = &x->call->admin->start.ops;
    bool wanted = x->session.n ? str_eq(r->session, x->session) : str_eq(r->id, x->call->args[0]);
    if (wanted) {
        ops->cancel(ops->ctx, r->id);
        x->n++;
    }
    return true;
}

static void say_cancelled(struct call *c, const struct cancel *x)
{
    if (x->n == 0) {
        call_error(c, 404, "not_found", x->session.n ? "no request of session " STR_FMT " is running"
                                                     : "no running request has the id " STR_FMT,
            STR_ARG(str_first(c->args[0], 64)));
        return;
    }
    event_say(EVENT_KIND_AUDIT_CHANGE, x->session.n ? STR_NULL : c->args[0],
        STR_FMT " cancelled %s " STR_FMT, STR_ARG(c->user), x->session.n ? "session" : "request",
        STR_ARG(str_first(c->args[0], 64)));
    json_put_int(call_begin(c), "cancelled", x->n);
    call_send(c);
}

void post_cancel(struct call *c)
{
    struct cancel x = {.call = c};
    admin_each_live(c->admin, cancel_one, &x);
    say_cancelled(c, &x);
}

void post_cancel_session(struct call *c)
{
    struct cancel x = {.call = c, .session = c->args[0]};
    admin_each_live(c->admin, cancel_one, &x);
    say_cancelled(c, &x);
}
