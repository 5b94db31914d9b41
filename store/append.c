/* append.c: what other threads hand to the writer, and what each such thing does to the tables.
 *
 * The queues are stacks: a push is one exchange of a pointer, the writer takes the whole stack and
 * turns it around. An op is one allocation with its texts behind it. */
#include "store/store_internal.h"

#include <malloc.h>
#include <stdlib.h>

enum { EVENTS_KEPT = 100000, STATE_BYTES_MAX = 16 << 20 };

const char *store_entry_kind_name(int64_t kind)
{
    static const char *const names[] = {"", "grant", "reserve", "release", "settle", "refund",
        "opening", "carry", "transfer"};
    return kind > 0 && kind < (int64_t)ARRAY_LEN(names) ? names[kind] : "unknown";
}

static struct op *op_new(enum op_kind kind, const struct str *texts, unsigned n)
{
    size_t bytes = sizeof(struct op);
    for (unsigned i = 0; i < n; i++)
        bytes += texts[i].n + 1;
    struct op *op = malloc(bytes);
    if (!op)
        return NULL;
    *op = (struct op){.kind = kind, .bytes = bytes};
    char *to = (char *)(op + 1);
    for (unsigned i = 0; i < n; i++) {
        if (texts[i].n)
            memcpy(to, texts[i].p, texts[i].n);
        op->t[i] = str_n(to, texts[i].n);
        to += texts[i].n + 1;
    }
    return op;
}

static int op_push(struct store *s, struct op *op, store_done done, void *ctx)
{
    if (!op)
        return -ERR_NOMEM;
    if (atomic_fetch_add(&s->ops_bytes, op->bytes) > STORE_OPS_BYTES) {
        atomic_fetch_sub(&s->ops_bytes, op->bytes);
        free(op);
        return -ERR_LIMIT;
    }
    op->done = done;
    op->ctx = ctx;
    op->next = atomic_load(&s->ops);
    while (!atomic_compare_exchange_weak(&s->ops, &op->next, op))
        ;
    writer_hurry(s);
    return 0;
}

/* Appends what was pushed, in order, to the list of what is to be done. */
void ops_take(struct store *s)
{
    struct op *stack = atomic_exchange(&s->ops, NULL), *list = NULL;
    while (stack) {
        struct op *op = stack;
        stack = op->next;
        op->next = list;
        list = op;
    }
    struct op **end = &s->taken;
    while (*end)
        end = &(*end)->next;
    *end = list;
}

void op_finish(struct store *s, struct op *op, int rc)
{
    if (op->done)
        op->done(op->ctx, rc, op->revision);
    atomic_fetch_sub(&s->ops_bytes, op->bytes);
    free(op);
}

int store_put_event(struct store *s, const struct store_event *ev)
{
    const struct str texts[] = {ev->kind, ev->request_id, ev->text};
    struct op *op = op_new(OP_EVENT, texts, ARRAY_LEN(texts));
    if (op) {
        op->n[0] = ev->time_ms;
        op->n[1] = ev->level;
        op->n[2] = ev->repeated;
    }
    return op_push(s, op, NULL, NULL);
}

int store_put_audit(struct store *s, const struct store_audit *a, store_done done, void *ctx)
{
    const struct str texts[] = {a->who, a->terminal, a->what, a->before, a->after};
    struct op *op = op_new(OP_AUDIT, texts, ARRAY_LEN(texts));
    if (op) {
        op->revision = a->revision;
        op->n[0] = a->time_ms;
        op->n[1] = a->uid;
    }
    return op_push(s, op, done, ctx);
}

int store_put_state(struct store *s, struct str name, struct str json, int64_t expected,
    store_done done, void *ctx)
{
    const struct str texts[] = {name, json};
    if (json.n > STATE_BYTES_MAX || name.n == 0)
        return name.n ? -ERR_LIMIT : -ERR_MISSING;
    struct op *op = op_new(OP_STATE, texts, ARRAY_LEN(texts));
    if (op)
        op->n[0] = expected;
    return op_push(s, op, done, ctx);
}

int store_put_sealed(struct store *s, const struct store_sealed *k, store_done done, void *ctx)
{
    const struct str texts[] = {k->name, k->sealed, k->who};
    if (k->name.n == 0)
        return -ERR_MISSING;
    struct op *op = op_new(OP_SEALED, texts, ARRAY_LEN(texts));
    if (op)
        op->n[0] = k->time_ms;
    return op_push(s, op, done, ctx);
}

int store_sync(struct store *s, store_done done, void *ctx)
{
    return op_push(s, op_new(OP_SYNC, NULL, 0), done, ctx);
}

int store_put_grant(struct store *s, const struct store_grant *g, store_done done, void *ctx)
{
    const struct str texts[] = {g->account, g->who, g->note, g->request, g->from};
    if (g->account.n == 0 || (g->from.n && g->nano <= 0))
        return -ERR_MISSING;
    struct op *op = op_new(OP_GRANT, texts, ARRAY_LEN(texts));
    if (op) {
        op->n[0] = g->from.n ? LEDGER_TRANSFER : g->request.n ? LEDGER_REFUND : LEDGER_GRANT;
        op->n[1] = g->nano;
        op->n[2] = g->time_ms;
    }
    return op_push(s, op, done, ctx);
}

int store_put_record(struct store *s, enum spool_kind kind, const struct record *r, store_done done,
    void *ctx)
{
    struct buf packed;
    buf_init(&packed, SPOOL_RECORD_MAX);
    record_pack(r, &packed);
    struct str text = buf_str(&packed);
    struct op *op = packed.err ? NULL : op_new(OP_RECORD, &text, 1);
    buf_fini(&packed);
    if (op)
        op->n[0] = kind;
    return op_push(s, op, done, ctx);
}

void op_redacted(struct store *s, struct str id)
{
    if (op_push(s, op_new(OP_REDACTED, &id, 1), NULL, NULL) < 0)
        store_notify(s, STORE_NOTICE_FAULT, "a record could not be marked as redacted");
}

static int push_maintenance(struct store *s, struct op *op, store_done done, void *ctx)
{
    if (s->running)
        return op_push(s, op, done, ctx);
    if (!op)
        return -ERR_NOMEM;
    op->done = done;
    op->ctx = ctx;
    atomic_fetch_add(&s->ops_bytes, op->bytes);
    int rc = maintain_begin(s, op);
    while (rc == 0 && maintain_step(s))
        ;
    return rc;
}

int store_backup(struct store *s, const char *path, store_done done, void *ctx)
{
    struct str text = str_n(path, strlen(path) + 1);
    return push_maintenance(s, op_new(OP_BACKUP, &text, 1), done, ctx);
}

int store_prune(struct store *s, int64_t older_than_ms, store_done done, void *ctx)
{
    struct op *op = op_new(OP_PRUNE, NULL, 0);
    if (op)
        op->n[0] = older_than_ms;
    return push_maintenance(s, op, done, ctx);
}

/* ---- what they do ------------------------------------------------------------------------- */

static int apply_event(struct store *s, struct op *op)
{
    int rc = db_do(s->main, "INSERT INTO event(time_ms, level, repeated, kind, request_id, text)"
                            " VALUES(?1, ?2, ?3, ?4, ?5, ?6)", "iiittt", op->n[0], op->n[1],
        op->n[2], op->t[0], op->t[1], op->t[2]);
    return rc ? rc : db_do(s->main, "DELETE FROM event WHERE sequence <="
                                    " (SELECT max(sequence) FROM event) - ?1", "i",
        (int64_t)EVENTS_KEPT);
}

static int apply_audit(struct store *s, struct op *op)
{
    int rc = 0;
    if (op->revision == 0)
        op->revision = db_one(s->main, "SELECT coalesce(max(revision), 0) + 1 FROM audit", 1, &rc);
    return rc ? rc : db_do(s->main, "INSERT INTO audit VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        "iiittttt", op->revision, op->n[0], op->n[1], op->t[0], op->t[1], op->t[2], op->t[3],
        op->t[4]);
}

static int apply_state(struct store *s, struct op *op)
{
    struct db_stmt *q = db_ask(s->main, "SELECT revision FROM state WHERE name = ?1", "t",
        op->t[0]);
    int rc = db_step(s->main, q);
    int64_t now = rc == 1 ? db_int(s->main, q, 0) : 0;
    db_end(s->main, q);
    if (rc < 0)
        return rc;
    op->revision = now;
    if (op->n[0] >= 0 && op->n[0] != now) {
        op->rc = -ERR_CONFLICT;
        return 0;
    }
    if (op->t[1].n == 0)
        return db_do(s->main, "DELETE FROM state WHERE name = ?1", "t", op->t[0]);
    op->revision = now + 1;
    return db_do(s->main, "INSERT INTO state VALUES(?1, ?2, ?3) ON CONFLICT(name) DO UPDATE SET"
                          " json = excluded.json, revision = excluded.revision", "tti", op->t[0],
        op->t[1], op->revision);
}

static int apply_sealed(struct store *s, struct op *op)
{
    if (op->t[1].n == 0) {
        int rc = db_do(s->main, "DELETE FROM sealed_key WHERE name = ?1", "t", op->t[0]);
        if (rc == 0 && s->main->backend->changes(s->main) == 0)
            op->rc = -ERR_NOT_FOUND;
        return rc;
    }
    return db_do(s->main, "INSERT INTO sealed_key VALUES(?1, ?2, ?3, ?4) ON CONFLICT(name) DO UPDATE"
                          " SET sealed = excluded.sealed, time_ms = excluded.time_ms,"
                          " who = excluded.who", "tbit", op->t[0], op->t[1], op->n[0], op->t[2]);
}

static int apply_sync(struct store *s, struct op *op)
{
    (void)s, (void)op; /* its turn has come: all before it is in this transaction, or in one before */
    return 0;
}

static int apply_grant(struct store *s, struct op *op)
{
    struct ledger_entry x = {.account = names_id(s->commit.names, s->main, op->t[0]),
        .time_ms = op->n[2], .kind = (enum store_entry_kind)op->n[0], .nano = op->n[1],
        .who = op->t[1], .note = op->t[2]};
    if (x.account < 0)
        return (int)x.account;
    if (x.kind == LEDGER_REFUND && (op->rc = commit_refundable(&s->commit, &x, op->t[3])) < 0)
        return 0;
    if (x.kind == LEDGER_TRANSFER) {
        struct ledger_entry out = x;
        out.account = names_id(s->commit.names, s->main, op->t[4]);
        out.nano = -x.nano;
        int rc = out.account < 0 ? (int)out.account : commit_grant(&s->commit, &out);
        if (rc < 0)
            return rc;
    }
    return commit_grant(&s->commit, &x);
}

static int apply_record(struct store *s, struct op *op)
{
    struct record r;
    op->rc = record_unpack(op->t[0], &r);
    if (op->rc == 0 && r.id.n == 0)
        op->rc = -ERR_MISSING;
    return op->rc ? 0 : commit_record(&s->commit, (uint32_t)op->n[0], &r);
}

static int apply_redacted(struct store *s, struct op *op)
{
    return db_do(s->main, "UPDATE exchange SET redacted = 1 WHERE id = ?1", "t", op->t[0]);
}

int op_apply(struct store *s, struct op *op)
{
    static int (*const apply[])(struct store *, struct op *) = {
        [OP_EVENT] = apply_event, [OP_AUDIT] = apply_audit, [OP_STATE] = apply_state,
        [OP_GRANT] = apply_grant, [OP_RECORD] = apply_record,
        [OP_REDACTED] = apply_redacted, [OP_SEALED] = apply_sealed, [OP_SYNC] = apply_sync,
    };
    op->rc = 0;
    int rc = apply[op->kind](s, op);
    /* what is wrong with this op alone is its own answer, not the batch's */
    if (rc == -ERR_CONFLICT || rc == -ERR_LIMIT || rc == -ERR_TYPE) {
        op->rc = rc;
        rc = 0;
    }
    return rc;
}

/* ---- bodies ------------------------------------------------------------------------------- */

/* A piece cut from something much larger must not hold the rest of it until it is written. */
static struct str shrink(struct str text)
{
    if (!text.p || malloc_usable_size((void *)text.p) <= text.n + 4096)
        return text;
    void *less = realloc((void *)text.p, MAX(text.n, 1));
    return less ? str_n(less, text.n) : text;
}

int store_put_body(struct store *s, struct str id, const struct store_body *b)
{
    size_t bytes = sizeof(struct body_op) + b->request.n + b->response.n + b->request_headers.n +
                   b->response_headers.n + b->events.n;
    size_t most = s->config.queue_bytes;
    struct body_op *op = NULL;
    if (atomic_fetch_add(&s->body_bytes, bytes) + bytes <= most && !atomic_load(&s->failing) &&
        id.n < sizeof op->id)
        op = malloc(sizeof *op);
    if (!op) {
        atomic_fetch_sub(&s->body_bytes, bytes);
        atomic_fetch_add(&s->bodies_shed, 1);
        return -ERR_FULL;
    }
    *op = (struct body_op){.bytes = bytes, .body = *b};
    op->body.request = shrink(b->request);
    op->body.response = shrink(b->response);
    str_copy(op->id, sizeof op->id, id);
    op->next = atomic_load(&s->body_ops);
    while (!atomic_compare_exchange_weak(&s->body_ops, &op->next, op))
        ;
    writer_wake(s);
    return 0;
}

struct body_op *body_ops_take(struct store *s)
{
    struct body_op *stack = atomic_exchange(&s->body_ops, NULL), *list = NULL;
    while (stack) {
        struct body_op *op = stack;
        stack = op->next;
        op->next = list;
        list = op;
    }
    return list;
}

void body_op_free(struct store *s, struct body_op *op)
{
    const struct str parts[] = {op->body.request, op->body.response, op->body.request_headers,
        op->body.response_headers, op->body.events};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        free((char *)parts[i].p);
    atomic_fetch_sub(&s->body_bytes, op->bytes);
    free(op);
}
