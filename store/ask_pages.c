/* ask_pages.c: pages of rows, newest first: exchanges, sessions, audit, events, ledger; and the
 * single ones: a record, a body.
 *
 * A page of exchanges walks one index, chosen by the most selective filter that has one, from the
 * cursor on, some hundred rows a slice. Every other filter is looked at row by row, ids before
 * texts, until enough are found, the index ends, or the time is up: then the answer says how far
 * back it has looked, and the cursor goes on from there. Nothing is ever counted over the log. */
#include "store/query_internal.h"

enum { PAGE_ROWS = 100, SLICE_ROWS = 256, SCRATCH_BYTES = 64 << 10 };

/* One bound at either end: of two, SQLite would seek to one and look at every row up to the other,
 * for each page anew. The cursor begins at the span's end (page_start), so that it is that bound. */
#define NEWER_FIRST                                                                                 \
    " AND time_ms >= ?2 AND (time_ms, row) < (?3, ?4) ORDER BY time_ms DESC, row DESC LIMIT ?5"
#define OLDER_FIRST                                                                                 \
    " AND time_ms < ?2 AND (time_ms, row) > (?3, ?4) ORDER BY time_ms, row LIMIT ?5"
#define PAGE(where)                                                                                 \
    {"SELECT " ROW_COLUMNS " FROM exchange WHERE " where NEWER_FIRST,                              \
        "SELECT " ROW_COLUMNS " FROM exchange WHERE " where OLDER_FIRST}

enum page_index { BY_SESSION, BY_KEY, BY_TEAM, BY_MODEL, BY_ROUTE, BY_CLASS, BY_TIME };

/* The term with <> lets the partial index be used; ?1 is never 0 where it stands. */
static const char *const page_sql[][2] = {
    [BY_SESSION] = PAGE("session = ?1 AND session <> 0"),
    [BY_KEY] = PAGE("key = ?1 AND key <> 0"),
    [BY_TEAM] = PAGE("team = ?1 AND team <> 0"),
    [BY_MODEL] = PAGE("model = ?1 AND model <> 0"),
    [BY_ROUTE] = PAGE("route = ?1 AND route <> 0"),
    [BY_CLASS] = PAGE("class = ?1 AND class <> 2"),
    [BY_TIME] = PAGE("?1 = 0"),
};

/* What a row must have, as ids; 0: anything. */
struct wanted {
    int64_t session, key, team, model, provider, route, class, outcome;
};

/* False when a name was never used: then there is no such row. */
static bool wanted_resolve(struct db *db, const struct store_query *q, struct wanted *w, int *rc)
{
    const struct {
        struct str text;
        int64_t *id;
    } names[] = {{q->key, &w->key}, {q->team, &w->team}, {q->model, &w->model},
        {q->provider, &w->provider}, {q->route, &w->route}};
    bool all = true;
    *w = (struct wanted){.class = q->status_class, .outcome = q->outcome};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        *names[i].id = name_find(db, names[i].text);
        all = all && *names[i].id >= 0;
        *rc = *names[i].id == -2 ? -ERR_IO : *rc;
    }
    w->session = session_find(db, q->session);
    *rc = w->session == -2 ? -ERR_IO : *rc;
    return all && w->session >= 0;
}

/* Nearly every row is a 2xx: those are found by time, and not indexed. */
static enum page_index choose(const struct wanted *w, int64_t *value)
{
    const int64_t values[] = {w->session, w->key, w->team, w->model, w->route,
        w->class == 2 ? 0 : w->class};
    for (int i = BY_SESSION; i < BY_TIME; i++)
        if (values[i]) {
            *value = values[i];
            return (enum page_index)i;
        }
    *value = 0;
    return BY_TIME;
}

static bool ids_match(struct db *db, struct db_stmt *s, const struct wanted *w)
{
    const struct {
        int64_t want;
        int column;
    } tests[] = {{w->session, ROW_SESSION}, {w->key, ROW_KEY}, {w->team, ROW_TEAM},
        {w->model, ROW_MODEL}, {w->provider, ROW_PROVIDER}, {w->route, ROW_ROUTE},
        {w->class, ROW_CLASS}, {w->outcome, ROW_OUTCOME}};
    for (size_t i = 0; i < ARRAY_LEN(tests); i++)
        if (tests[i].want && db_int(db, s, tests[i].column) != tests[i].want)
            return false;
    return true;
}

struct page {
    struct asking *k;
    struct wanted wanted;
    struct arena scratch; /* of the row that is looked at */
    unsigned limit;
};

/* Looks at one row; 0 or an error. */
static int page_row(struct page *p, struct db_stmt *s)
{
    struct asking *k = p->k;
    struct db *db = k->r->main;
    struct record r;
    k->a->cursor = (struct store_cursor){db_int(db, s, ROW_TIME), db_int(db, s, ROW_NUMBER)};
    if (!ids_match(db, s, &p->wanted))
        return 0;
    if (k->q->keep) {
        arena_reset(&p->scratch);
        int rc = row_read(db, s, k->r->texts, &p->scratch, &r);
        if (rc < 0)
            return rc;
        if (!k->q->keep(k->q->keep_ctx, &r))
            return 0;
    }
    return row_read(db, s, k->r->texts, &k->a->arena, &k->a->records[k->a->n++]);
}

/* One slice: a statement run of some rows. 1: go on, 0: end of the index or enough. */
static int page_slice(struct page *p, const char *sql, int64_t value, bool filtered)
{
    struct asking *k = p->k;
    struct db *db = k->r->main;
    const struct store_query *q = k->q;
    int64_t to = q->to_ms ? q->to_ms : INT64_MAX;
    int64_t most = filtered ? SLICE_ROWS : MIN(SLICE_ROWS, p->limit - k->a->n), rows = 0;
    struct db_stmt *s = db_ask(db, sql, "iiiii", value, q->oldest_first ? to : q->from_ms,
        k->a->cursor.at, k->a->cursor.row, most);
    int rc;
    bool over = false;
    while ((rc = db_step(db, s)) == 1) {
        rows++;
        if ((rc = page_row(p, s)) < 0 || k->a->n == p->limit || (over = asking_over(k)))
            break;
    }
    db_end(db, s);
    if (rc < 0)
        return rc;
    if (rc == 0 && rows < most && k->a->n < p->limit && !over)
        k->a->done = true; /* ran off the end */
    return !k->a->done && !over && k->a->n < p->limit;
}

/* The asker's cursor, or where the span begins; never outside of it. */
static struct store_cursor page_start(const struct store_query *q)
{
    struct store_cursor c = q->cursor;
    bool fresh = !c.at && !c.row;
    int64_t last = q->to_ms ? q->to_ms - 1 : INT64_MAX;
    if (q->oldest_first)
        return fresh || c.at < q->from_ms ? (struct store_cursor){MAX(q->from_ms, 0), -1} : c;
    return fresh || c.at > last ? (struct store_cursor){last, INT64_MAX} : c;
}

int ask_exchanges(struct asking *k)
{
    const struct store_query *q = k->q;
    struct page p = {.k = k, .limit = MIN(q->limit ? q->limit : PAGE_ROWS, STORE_PAGE_MAX)};
    struct store_answer *a = k->a;
    int64_t value;
    int rc = 0;
    a->records = answer_array(a, p.limit, sizeof *a->records);
    if (!a->records)
        return -ERR_NOMEM;
    a->cursor = page_start(q);
    if (!wanted_resolve(k->r->main, q, &p.wanted, &rc)) {
        a->done = rc == 0;
        return rc;
    }
    enum page_index index = choose(&p.wanted, &value);
    struct wanted rest = p.wanted;
    int64_t *const covered[] = {&rest.session, &rest.key, &rest.team, &rest.model, &rest.route,
        &rest.class};
    if (index != BY_TIME)
        *covered[index] = 0;
    static const struct wanted nothing;
    bool filtered = q->keep || memcmp(&rest, &nothing, sizeof rest) != 0;
    arena_init(&p.scratch, SCRATCH_BYTES, 1 << 20);
    do
        rc = page_slice(&p, page_sql[index][q->oldest_first], value, filtered);
    while (rc == 1);
    arena_fini(&p.scratch);
    if (rc == -ERR_CANCELLED && !(k->cancelled && atomic_load(k->cancelled)))
        rc = 0; /* its time was up in the middle of a row: the cursor stands before it */
    a->searched_back_ms = !a->done ? a->cursor.at : q->oldest_first ? q->to_ms : q->from_ms;
    return rc;
}

static int one_record(struct asking *k, const char *sql)
{
    struct db *db = k->r->main;
    k->a->records = answer_array(k->a, 1, sizeof *k->a->records);
    if (!k->a->records)
        return -ERR_NOMEM;
    struct db_stmt *s = db_ask(db, sql, "t", k->q->id);
    int rc = db_step(db, s);
    if (rc == 1) {
        k->a->n = 1;
        rc = row_read(db, s, k->r->texts, &k->a->arena, k->a->records);
    } else if (rc == 0) {
        rc = -ERR_NOT_FOUND;
    }
    db_end(db, s);
    return rc;
}

int ask_record(struct asking *k)
{
    return one_record(k, "SELECT " ROW_COLUMNS " FROM exchange WHERE id = ?1");
}

int ask_response(struct asking *k)
{
    return one_record(k, "SELECT " ROW_COLUMNS " FROM exchange WHERE response_ref = ?1 AND"
                         " response_ref <> '' ORDER BY row DESC LIMIT 1");
}

int ask_body(struct asking *k)
{
    int rc = reader_bodies(k->r);
    return rc ? rc : body_read(k->r->bodies, k->q->id, &k->a->arena, &k->a->body);
}

/* ---- the other lists ------------------------------------------------------------------------ */

/* Runs s to its end or the limit; read() fills row n. Rows it answers 0 for are left out. */
static int list(struct asking *k, struct db_stmt *s, unsigned limit,
    int (*read)(struct asking *k, struct db_stmt *s))
{
    struct db *db = k->r->main;
    int rc;
    while ((rc = db_step(db, s)) == 1) {
        int kept = read(k, s);
        if (kept < 0) {
            rc = kept;
            break;
        }
        k->a->n += (size_t)kept;
        if (k->a->n >= limit || asking_over(k))
            break;
    }
    db_end(db, s);
    k->a->done = rc == 0;
    k->a->searched_back_ms = rc == 0 ? k->q->from_ms : k->a->cursor.at;
    return rc < 0 ? rc : 0;
}

static struct store_cursor list_start(const struct asking *k)
{
    struct store_cursor c = k->q->cursor;
    return c.at || c.row ? c : (struct store_cursor){INT64_MAX, INT64_MAX};
}

static unsigned list_limit(const struct asking *k)
{
    return MIN(k->q->limit ? k->q->limit : PAGE_ROWS, STORE_PAGE_MAX);
}

static struct str copy(struct asking *k, struct str text)
{
    return arena_str(&k->a->arena, text);
}

static int read_session(struct asking *k, struct db_stmt *s)
{
    struct db *db = k->r->main;
    struct store_session *x = &k->a->sessions[k->a->n];
    int at = 0;
    k->a->cursor.row = db_int(db, s, at++);
    x->session = copy(k, db_text(db, s, at++));
    x->client = copy(k, texts_name(k->r->texts, db, db_int(db, s, at++)));
    x->key = copy(k, texts_name(k->r->texts, db, db_int(db, s, at++)));
    x->model = copy(k, texts_name(k->r->texts, db, db_int(db, s, at++)));
    x->turns = db_int(db, s, at++);
    x->errors = db_int(db, s, at++);
    x->input_tokens = db_int(db, s, at++);
    x->cached_tokens = db_int(db, s, at++);
    x->output_tokens = db_int(db, s, at++);
    x->cost_nano = db_int(db, s, at++);
    x->first_ms = db_int(db, s, at++);
    x->last_ms = k->a->cursor.at = db_int(db, s, at++);
    x->last_id = copy(k, db_text(db, s, at++));
    return (k->q->key.n == 0 || str_eq(x->key, k->q->key)) &&
           (k->q->session.n == 0 || str_eq(x->session, k->q->session));
}

int ask_sessions(struct asking *k)
{
    struct store_cursor c = list_start(k);
    unsigned limit = list_limit(k);
    k->a->cursor = c;
    k->a->sessions = answer_array(k->a, limit, sizeof *k->a->sessions);
    return !k->a->sessions ? -ERR_NOMEM : list(k, db_ask(k->r->main,
        "SELECT id, text, client, key, model, turns, errors, input_tokens, cached_tokens,"
        " output_tokens, cost_nano, first_ms, last_ms, last_id FROM session WHERE last_ms >= ?3"
        " AND last_ms <= ?1 AND (last_ms, id) < (?1, ?2) ORDER BY last_ms DESC, id DESC", "iii",
        c.at, c.row, k->q->from_ms), limit, read_session);
}

static int read_audit(struct asking *k, struct db_stmt *s)
{
    struct db *db = k->r->main;
    struct store_audit *x = &k->a->audits[k->a->n];
    *x = (struct store_audit){.revision = db_int(db, s, 0), .time_ms = db_int(db, s, 1),
        .uid = db_int(db, s, 2), .who = copy(k, db_text(db, s, 3)),
        .terminal = copy(k, db_text(db, s, 4)), .what = copy(k, db_text(db, s, 5)),
        .before = copy(k, db_text(db, s, 6)), .after = copy(k, db_text(db, s, 7))};
    k->a->cursor = (struct store_cursor){x->time_ms, x->revision};
    return 1;
}

int ask_audit(struct asking *k)
{
    unsigned limit = list_limit(k);
    k->a->cursor = list_start(k);
    k->a->audits = answer_array(k->a, limit, sizeof *k->a->audits);
    return !k->a->audits ? -ERR_NOMEM : list(k, db_ask(k->r->main,
        "SELECT revision, time_ms, uid, who, terminal, what, before, after FROM audit"
        " WHERE revision < ?1 ORDER BY revision DESC", "i", k->a->cursor.row), limit, read_audit);
}

static int read_event(struct asking *k, struct db_stmt *s)
{
    struct db *db = k->r->main;
    struct store_event *x = &k->a->events[k->a->n];
    *x = (struct store_event){.sequence = db_int(db, s, 0), .time_ms = db_int(db, s, 1),
        .level = db_int(db, s, 2), .repeated = db_int(db, s, 3),
        .kind = copy(k, db_text(db, s, 4)), .request_id = copy(k, db_text(db, s, 5)),
        .text = copy(k, db_text(db, s, 6))};
    k->a->cursor = (struct store_cursor){x->time_ms, x->sequence};
    return 1;
}

int ask_events(struct asking *k)
{
    unsigned limit = list_limit(k);
    k->a->cursor = list_start(k);
    k->a->events = answer_array(k->a, limit, sizeof *k->a->events);
    return !k->a->events ? -ERR_NOMEM : list(k, db_ask(k->r->main,
        "SELECT sequence, time_ms, level, repeated, kind, request_id, text FROM event"
        " WHERE sequence < ?1 AND level >= ?2 AND time_ms < ?3 ORDER BY sequence DESC", "iii",
        k->a->cursor.row, (int64_t)k->q->level, k->q->to_ms ? k->q->to_ms : INT64_MAX), limit,
        read_event);
}

/* A cursor has two numbers, an entry's place three: exchange and sequence share one. */
enum { SEQ_BITS = 20 };

enum { ENTRIES_A_ROW = 3 };

/* A settlement stands for three entries, newest first (commit.h). */
static int read_entry(struct asking *k, struct db_stmt *s)
{
    struct db *db = k->r->main;
    struct store_entry *x = &k->a->entries[k->a->n];
    int64_t reserve = db_int(db, s, 8);
    *x = (struct store_entry){.time_ms = db_int(db, s, 0), .kind = db_int(db, s, 3),
        .amount_nano = db_int(db, s, 4), .who = copy(k, db_text(db, s, 5)),
        .note = copy(k, db_text(db, s, 6)), .exchange_id = copy(k, db_text(db, s, 7))};
    k->a->cursor = (struct store_cursor){x->time_ms,
        db_int(db, s, 1) << SEQ_BITS | db_int(db, s, 2)};
    if (!reserve)
        return 1;
    x[1] = x[2] = *x;
    x[1].kind = LEDGER_RELEASE;
    x[1].amount_nano = reserve;
    x[2].kind = LEDGER_RESERVE;
    x[2].amount_nano = -reserve;
    return ENTRIES_A_ROW;
}

int ask_ledger(struct asking *k)
{
    struct db *db = k->r->main;
    struct store_cursor c = list_start(k);
    unsigned limit = list_limit(k);
    int64_t account = name_find(db, k->q->key);
    k->a->cursor = c;
    k->a->entries = answer_array(k->a, limit + ENTRIES_A_ROW, sizeof *k->a->entries);
    k->a->done = account <= 0;
    if (!k->a->entries || account <= 0)
        return !k->a->entries ? -ERR_NOMEM : account == -2 ? -ERR_IO : 0;
    return list(k, db_ask(db,
        "SELECT time_ms, exchange, seq, kind, amount_nano, who, note,"
        " coalesce((SELECT id FROM exchange WHERE row = ledger.exchange), ''), reserve_nano"
        " FROM ledger"
        " WHERE account = ?1 AND time_ms <= ?2 AND (time_ms, exchange, seq) < (?2, ?3, ?4)"
        " AND (?5 = '' OR exchange = (SELECT row FROM exchange WHERE id = ?5))"
        " ORDER BY time_ms DESC, exchange DESC, seq DESC", "iiiit", account, c.at,
        c.row >> SEQ_BITS, c.row & ((1 << SEQ_BITS) - 1), k->q->id), limit, read_entry);
}
