/* ask_walk.c: all rows of a span, a few columns each, handed to the asker one by one.
 *
 * A page of records costs some microseconds a row: every text is copied. A replay of yesterday's
 * traffic wants numbers only, and a text once in a thousand rows; so names stay numbers until they
 * are asked for. The walk goes by time, newest first, in slices of some thousand rows, each a
 * statement that ends with it; when the time of one question is up, the cursor says where the next
 * goes on. A slice is cut on the index alone, so that one in which no row is wanted ends too. */
#include "store/query_internal.h"

enum { SLICE_ROWS = 2000, SLICE_MOST_US = 5000000 /* a cold disk: a slice once begun is finished */ };

#define BELOW " time_ms >= ?1 AND time_ms <= ?2 AND (time_ms, row) < (?2, ?3)"
#define WALK(team, tags, user_agent, session)                                                       \
    "SELECT id, row, time_ms, " session ", key, " team ", provider, model, route, stream,"          \
    " input_tokens, cached_tokens, cache_write_tokens, cache_write_1h_tokens, output_tokens,"       \
    " reasoning_tokens, cost_nano, ttft_us, total_us, " tags ", " user_agent ", endpoint,"          \
    " model_asked, features FROM exchange INDEXED BY exchange_time WHERE" BELOW                     \
    " AND (time_ms, row) >= (?1, ?4) AND (?5 = 0 OR route = ?5 OR model_asked = ?5)"                \
    " ORDER BY time_ms DESC, row DESC"

static const char walk_sql[] = WALK("0", "0", "0", "0");
static const char whole_sql[] = WALK("team", "tags", "user_agent", "session");
/* One upper bound only: of two, SQLite would seek to the first. */
static const char cut_sql[] = "SELECT time_ms, row FROM exchange WHERE" BELOW
    " ORDER BY time_ms DESC, row DESC LIMIT 1 OFFSET ?4";
static const char rest_sql[] = "SELECT count(*) FROM exchange WHERE" BELOW;

struct str store_step_name(const struct store_step *s, int64_t name)
{
    struct reader *r = s->asking->r;
    return texts_name(r->texts, r->main, name);
}

struct str store_step_session(const struct store_step *s)
{
    struct reader *r = s->asking->r;
    return texts_session(r->texts, r->main, s->session);
}

struct str store_step_id(const struct store_step *s)
{
    return db_text(s->asking->r->main, s->statement, 0);
}

/* Where this slice ends: its last row. 1; 0: all the rest is one slice; or an error. */
static int slice_end(struct asking *k, struct store_cursor *end)
{
    struct db *db = k->r->main;
    const struct store_cursor *at = &k->a->cursor;
    struct db_stmt *s = db_ask(db, cut_sql, "iiii", k->q->from_ms, at->at, at->row,
        (int64_t)SLICE_ROWS - 1);
    int rc = db_step(db, s);
    if (rc == 1)
        *end = (struct store_cursor){db_int(db, s, 0), db_int(db, s, 1)};
    db_end(db, s);
    if (rc != 0)
        return rc;
    *end = (struct store_cursor){k->q->from_ms, INT64_MIN};
    s = db_ask(db, rest_sql, "iii", k->q->from_ms, at->at, at->row);
    rc = db_step(db, s);
    k->a->n += rc == 1 ? (size_t)db_int(db, s, 0) : 0;
    db_end(db, s);
    return rc < 0 ? rc : 0;
}

/* 1: go on, 0: the end or the time is up, < 0: an error. */
static int walk_slice(struct asking *k, int64_t name)
{
    struct db *db = k->r->main;
    const struct store_query *q = k->q;
    struct store_cursor end;
    int more = slice_end(k, &end), rc;
    if (more < 0)
        return more;
    struct db_stmt *st = db_ask(db, q->walk_whole ? whole_sql : walk_sql, "iiiii", end.at,
        k->a->cursor.at, k->a->cursor.row, end.row, name);
    while ((rc = db_step(db, st)) == 1) {
        struct store_step s = {.asking = k, .statement = st};
        int at = 1;
#define X(column) s.column = db_int(db, st, at++);
        STORE_STEP_COLUMNS(X)
#undef X
        q->walk(q->walk_ctx, &s);
    }
    db_end(db, st);
    if (rc < 0)
        return rc;
    k->a->cursor = end;
    k->a->n += more ? SLICE_ROWS : 0;
    k->a->done = !more;
    return more && !asking_over(k);
}

int ask_walk(struct asking *k)
{
    struct db *db = k->r->main;
    int64_t name = name_find(db, k->q->name);
    int rc = name == -2 ? -ERR_IO : name < 0 ? 0 : 1;
    k->a->done = rc == 0; /* nobody has used that name */
    db->backend->set_deadline(db, k->deadline_us + SLICE_MOST_US, k->cancelled);
    k->a->cursor = k->q->cursor;
    if (!k->q->cursor.at && !k->q->cursor.row)
        k->a->cursor = (struct store_cursor){k->q->to_ms ? k->q->to_ms - 1 : INT64_MAX, INT64_MAX};
    while (rc == 1)
        rc = walk_slice(k, name);
    k->a->searched_back_ms = k->a->done ? k->q->from_ms : k->a->cursor.at;
    return rc;
}
