/* commit.c: see commit.h. */
#include "store/commit.h"

enum { TAGS_MAX = 8 };

int commit_open(struct commit *c, struct db *db, struct err *e)
{
    *c = (struct commit){.db = db, .names = names_new(), .sessions = names_new(),
        .rollups = rollups_new(), .texts = texts_new()};
    if (c->names && c->sessions && c->rollups && c->texts)
        return 0;
    commit_close(c);
    return err_set(e, ERR_NOMEM, "no memory for the writer");
}

void commit_close(struct commit *c)
{
    names_free(c->names);
    names_free(c->sessions);
    rollups_free(c->rollups);
    texts_free(c->texts);
    *c = (struct commit){0};
}

static int sessions_write(struct commit *c)
{
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i < c->session_count; i++) {
        const struct session_change *x = &c->session[i];
        rc = db_do(c->db,
            "UPDATE session SET client = ?2, key = ?3, model = ?4,"
            " first_ms = CASE WHEN turns = 0 THEN ?5 ELSE min(first_ms, ?5) END,"
            " last_id = CASE WHEN ?6 >= last_ms THEN ?7 ELSE last_id END,"
            " last_ms = max(last_ms, ?6), turns = turns + ?8, errors = errors + ?9,"
            " input_tokens = input_tokens + ?10, cached_tokens = cached_tokens + ?11,"
            " output_tokens = output_tokens + ?12, cost_nano = cost_nano + ?13 WHERE id = ?1",
            "iiiiiitiiiiii", x->id, x->client, x->key, x->model, x->first_ms, x->last_ms,
            str_c(x->last_id), x->turns, x->errors, x->input_tokens, x->cached_tokens,
            x->output_tokens, x->cost_nano);
    }
    c->session_count = 0;
    return rc;
}

static int balances_write(struct commit *c)
{
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i < c->balance_count; i++)
        rc = db_do(c->db, "INSERT INTO balance VALUES(?1, ?2, 0) ON CONFLICT(account) DO UPDATE"
                          " SET nano = nano + excluded.nano", "ii", c->balance[i].account,
            c->balance[i].nano);
    c->balance_count = 0;
    return rc;
}

int commit_begin(struct commit *c)
{
    c->rows = 0;
    return c->db->backend->begin(c->db);
}

void commit_abandon(struct commit *c)
{
    c->db->backend->rollback(c->db);
    texts_forget(c->texts);
    names_forget(c->names);
    names_forget(c->sessions);
    rollups_forget(c->rollups);
    c->session_count = c->balance_count = 0;
}

int commit_end(struct commit *c)
{
    int rc = sessions_write(c);
    rc = rc ? rc : balances_write(c);
    rc = rc ? rc : rollups_write(c->rollups, c->db);
    if (rc == 0)
        rc = c->db->backend->commit(c->db);
    if (rc < 0)
        commit_abandon(c);
    return rc;
}

int commit_position(struct commit *c, unsigned worker, struct spool_position at)
{
    return db_do(c->db, "INSERT INTO position VALUES(?1, ?2, ?3) ON CONFLICT(worker) DO UPDATE"
                        " SET segment = excluded.segment, offset = excluded.offset", "iii",
        (int64_t)worker, (int64_t)at.segment, (int64_t)at.offset);
}

static bool is_error(const struct record *r)
{
    return r->outcome == OUTCOME_CLIENT_ERROR || r->outcome == OUTCOME_UPSTREAM_ERROR ||
           r->outcome == OUTCOME_TIMEOUT || r->outcome == OUTCOME_TRUNCATED;
}

static struct session_change *session_change(struct commit *c, int64_t session)
{
    for (unsigned i = 0; i < c->session_count; i++)
        if (c->session[i].id == session)
            return &c->session[i];
    if (c->session_count == COMMIT_CHANGES)
        return NULL;
    struct session_change *x = &c->session[c->session_count++];
    *x = (struct session_change){.id = session, .first_ms = INT64_MAX, .last_ms = INT64_MIN};
    return x;
}

/* turns 1: a new record; 0 with `old`: the difference of an amended one. */
static int session_add(struct commit *c, int64_t session, const struct record *r,
    const struct record *old, int64_t turns)
{
    static const struct record nothing;
    if (session == 0)
        return 0;
    old = old ? old : &nothing;
    int rc = c->session_count == COMMIT_CHANGES ? sessions_write(c) : 0;
    struct session_change *x = rc ? NULL : session_change(c, session);
    if (!x)
        return rc;
    if (r->time_ms >= x->last_ms) {
        x->client = names_id(c->names, c->db, r->user_agent);
        x->key = names_id(c->names, c->db, r->key);
        x->model = names_id(c->names, c->db, r->model);
        x->last_ms = r->time_ms;
        str_copy(x->last_id, sizeof x->last_id, r->id);
    }
    x->first_ms = MIN(x->first_ms, r->time_ms);
    x->turns += turns;
    x->errors += (int64_t)is_error(r) - is_error(old);
    x->input_tokens += r->input_tokens - old->input_tokens;
    x->cached_tokens += r->cached_tokens - old->cached_tokens;
    x->output_tokens += r->output_tokens - old->output_tokens;
    x->cost_nano += r->cost_nano - old->cost_nano;
    return (int)MIN(0, MIN(x->client, MIN(x->key, x->model)));
}

static int balance_add(struct commit *c, int64_t account, int64_t nano)
{
    for (unsigned i = 0; i < c->balance_count; i++)
        if (c->balance[i].account == account) {
            c->balance[i].nano += nano;
            return 0;
        }
    int rc = c->balance_count == COMMIT_CHANGES ? balances_write(c) : 0;
    if (rc == 0)
        c->balance[c->balance_count++] = (struct balance_change){account, nano};
    return rc;
}

int commit_entry(struct commit *c, const struct ledger_entry *x)
{
    int rc = db_do(c->db, "INSERT INTO ledger VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        "iiiiiiitt", x->account, x->time_ms, x->exchange, x->seq, (int64_t)x->kind, x->nano,
        x->reserve_nano, x->who, x->note);
    return rc ? rc : balance_add(c, x->account, x->nano);
}

static int64_t next_seq(struct commit *c, int64_t account, int64_t time_ms, int64_t exchange)
{
    struct db_stmt *s = db_ask(c->db, "SELECT coalesce(max(seq), 0) + 1 FROM ledger WHERE"
                                      " account = ?1 AND time_ms = ?2 AND exchange = ?3", "iii",
        account, time_ms, exchange);
    int rc = db_step(c->db, s);
    int64_t seq = rc == 1 ? db_int(c->db, s, 0) : MIN(rc, -1);
    db_end(c->db, s);
    return seq;
}

int commit_refundable(struct commit *c, struct ledger_entry *x, struct str request)
{
    struct db_stmt *s = db_ask(c->db, "SELECT row, cost_nano + (SELECT coalesce(-sum(amount_nano), 0)"
        " FROM ledger WHERE account = ?2 AND exchange = row AND kind = ?3) FROM exchange WHERE"
        " id = ?1 AND key = ?2", "tii", request, x->account, (int64_t)LEDGER_REFUND);
    int rc = db_step(c->db, s);
    int64_t left = rc == 1 ? db_int(c->db, s, 1) : 0;
    x->exchange = rc == 1 ? db_int(c->db, s, 0) : 0;
    db_end(c->db, s);
    if (rc != 1)
        return rc < 0 ? rc : -ERR_NOT_FOUND;
    return x->nano > 0 && x->nano <= left ? 0 : -ERR_LIMIT;
}

int commit_grant(struct commit *c, struct ledger_entry *x)
{
    int rc = balances_write(c);
    if (rc < 0)
        return rc;
    struct db_stmt *s = db_ask(c->db, "SELECT nano, granted FROM balance WHERE account = ?1", "i",
        x->account);
    rc = db_step(c->db, s);
    int64_t before = rc == 1 ? db_int(c->db, s, 0) : 0;
    bool first = rc == 0 || (rc == 1 && db_int(c->db, s, 1) == 0);
    db_end(c->db, s);
    x->seq = rc < 0 ? rc : next_seq(c, x->account, x->time_ms, x->exchange);
    if (x->seq < 0)
        return (int)x->seq;
    if (first && before != 0) {
        struct ledger_entry opening = *x;
        opening.kind = LEDGER_OPENING;
        opening.nano = -before;
        opening.note = STR("spent before the first credit");
        if ((rc = commit_entry(c, &opening)) < 0)
            return rc;
        x->seq++;
    }
    rc = commit_entry(c, x);
    if (rc == 0)
        rc = db_do(c->db, "INSERT INTO balance VALUES(?1, 0, 1) ON CONFLICT(account) DO UPDATE"
                          " SET granted = 1", "i", x->account);
    return rc;
}

static int ledger_record(struct commit *c, const struct record *r, int64_t row)
{
    if (r->key.n == 0 || (r->reserve_nano == 0 && r->cost_nano == 0))
        return 0;
    struct ledger_entry x = {.account = names_id(c->names, c->db, r->key), .time_ms = r->time_ms,
        .exchange = row, .seq = 1, .kind = LEDGER_SETTLE, .nano = -r->cost_nano,
        .reserve_nano = r->reserve_nano};
    return x.account < 0 ? (int)x.account : commit_entry(c, &x);
}

static int ledger_amend(struct commit *c, const struct record *r, const struct record *old,
    int64_t row)
{
    if (r->key.n == 0 || r->cost_nano == old->cost_nano)
        return 0;
    struct ledger_entry x = {.account = names_id(c->names, c->db, r->key), .time_ms = r->time_ms,
        .exchange = row, .kind = LEDGER_SETTLE, .nano = old->cost_nano - r->cost_nano,
        .note = STR("amended")};
    if (x.account < 0)
        return (int)x.account;
    x.seq = next_seq(c, x.account, x.time_ms, row);
    return x.seq < 0 ? (int)x.seq : commit_entry(c, &x);
}

static int rollup_name(struct commit *c, enum store_dimension d, struct str name,
    const struct record *r, int sign)
{
    if (name.n == 0)
        return 0;
    int64_t id = names_id(c->names, c->db, name);
    return id < 0 ? (int)id : rollups_add(c->rollups, d, id, r, sign);
}

static int rollup_tags(struct commit *c, const struct record *r, int sign)
{
    struct str rest = r->tags, tag;
    int rc = 0;
    for (int i = 0; rc == 0 && i < TAGS_MAX && str_cut(&rest, ',', &tag); i++)
        rc = rollup_name(c, STORE_BY_TAG, str_trim(tag), r, sign);
    return rc;
}

static int rollup_record(struct commit *c, const struct record *r, int64_t session, int sign)
{
    char target[300];
    size_t n = 0;
    if (r->provider.n && r->provider.n + r->model.n < sizeof target) {
        memcpy(target, r->provider.p, r->provider.n);
        target[r->provider.n] = '/';
        memcpy(target + r->provider.n + 1, r->model.p, r->model.n);
        n = r->provider.n + 1 + r->model.n;
    }
    int rc = rollups_add(c->rollups, STORE_BY_ALL, 0, r, sign);
    rc = rc ? rc : rollup_name(c, STORE_BY_KEY, r->key, r, sign);
    rc = rc ? rc : rollup_name(c, STORE_BY_TEAM, r->team, r, sign);
    rc = rc ? rc : rollup_name(c, STORE_BY_MODEL, str_n(target, n), r, sign);
    rc = rc ? rc : rollup_name(c, STORE_BY_PROVIDER, r->provider, r, sign);
    rc = rc ? rc : rollup_name(c, STORE_BY_ROUTE, r->route, r, sign);
    rc = rc ? rc : rollup_tags(c, r, sign);
    if (rc == 0 && session)
        rc = rollups_add(c->rollups, STORE_BY_SESSION, session, r, sign);
    if (rc == 0 && rollups_full(c->rollups))
        rc = rollups_write(c->rollups, c->db);
    return rc;
}

static int record_new(struct commit *c, const struct record *r)
{
    int64_t session = sessions_id(c->sessions, c->db, r->session);
    int64_t row = session < 0 ? session : row_insert(c->db, c->names, r, 0, session);
    if (row <= 0)
        return (int)row; /* stored already: nothing to do */
    c->rows++;
    int rc = session_add(c, session, r, NULL, 1);
    rc = rc ? rc : rollup_record(c, r, session, 1);
    return rc ? rc : ledger_record(c, r, row);
}

/* The row is written anew under its number; money, tokens and times move by the difference. What
 * the record belongs to (time, key, session) stays as it was. */
static int record_change(struct commit *c, const struct record *r, const struct record *old,
    int64_t row, int64_t session)
{
    struct record now = *r;
    now.time_ms = old->time_ms;
    now.key = old->key;
    now.session = old->session;
    int rc = db_do(c->db, "DELETE FROM exchange WHERE row = ?1", "i", row);
    int64_t made = rc ? rc : row_insert(c->db, c->names, &now, row, session);
    if (made < 0)
        return (int)made;
    rc = session_add(c, session, &now, old, 0);
    rc = rc ? rc : rollup_record(c, old, session, -1);
    rc = rc ? rc : rollup_record(c, &now, session, 1);
    return rc ? rc : ledger_amend(c, &now, old, row);
}

static int record_amend(struct commit *c, const struct record *r)
{
    struct arena a;
    struct record old;
    int64_t row = 0, session = 0;
    arena_init(&a, 4096, 1 << 20);
    struct db_stmt *s = db_ask(c->db, "SELECT " ROW_COLUMNS " FROM exchange WHERE id = ?1", "t",
        r->id);
    int rc = db_step(c->db, s);
    if (rc == 1) {
        row = db_int(c->db, s, ROW_NUMBER);
        session = db_int(c->db, s, ROW_SESSION);
        rc = row_read(c->db, s, c->texts, &a, &old);
    }
    db_end(c->db, s);
    if (rc == 0)
        rc = row ? record_change(c, r, &old, row, session) : record_new(c, r);
    arena_fini(&a);
    return rc;
}

int commit_record(struct commit *c, uint32_t kind, const struct record *r)
{
    if (r->id.n == 0)
        return -ERR_MISSING;
    return kind == SPOOL_AMEND ? record_amend(c, r) : record_new(c, r);
}
