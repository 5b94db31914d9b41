/* ask_walk.c: all rows of a span, a few numbers each, handed to the asker one by one.
 *
 * A page of records costs some microseconds a row: every text is copied. A replay of yesterday's
 * traffic wants numbers only, and a text once in a thousand rows; so names stay numbers until they
 * are asked for, and the numbers come packed out of the index that lies in order of time: the table
 * is not touched. The walk goes newest first, in slices of some thousand rows, each a statement that
 * ends with it; when the time of one question is up, the cursor says where the next goes on. */
#include "store/query_internal.h"
#include "store/step.h"

enum { SLICE_ROWS = 2000, SLICE_MOST_US = 5000000 /* a cold disk: a slice once begun is finished */ };

/* One upper bound only: of two, SQLite would seek to the first. */
static const char walk_sql[] = "SELECT row, time_ms, step FROM exchange INDEXED BY exchange_step"
    " WHERE time_ms >= ?1 AND (time_ms, row) < (?2, ?3) ORDER BY time_ms DESC, row DESC LIMIT ?4";

/* A row from before steps were kept. */
#define COMMA(column) ", " #column
static const char columns_sql[] = "SELECT row" STORE_STEP_PACKED(COMMA) " FROM exchange WHERE row = ?1";

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
    struct asking *k = s->asking;
    struct db_stmt *st = db_ask(k->r->main, "SELECT id FROM exchange WHERE row = ?1", "i", s->row);
    struct str id = db_step(k->r->main, st) == 1 ? arena_str(&k->a->arena, db_text(k->r->main, st, 0))
                                                 : STR("");
    db_end(k->r->main, st);
    return id;
}

static int columns_read(struct db *db, struct store_step *s)
{
    struct db_stmt *st = db_ask(db, columns_sql, "i", s->row);
    int rc = db_step(db, st), at = 1;
#define X(column) s->column = rc == 1 ? db_int(db, st, at++) : 0;
    STORE_STEP_PACKED(X)
#undef X
    db_end(db, st);
    return MIN(rc, 0);
}

/* 1: go on, 0: the end or the time is up, < 0: an error. */
static int walk_slice(struct asking *k, int64_t name)
{
    struct db *db = k->r->main;
    const struct store_query *q = k->q;
    struct store_step s = {.asking = k};
    size_t rows = 0;
    int rc;
    struct db_stmt *st = db_ask(db, walk_sql, "iiii", q->from_ms, k->a->cursor.at,
        k->a->cursor.row, (int64_t)SLICE_ROWS);
    while ((rc = db_step(db, st)) == 1) {
        rows++;
        s.row = db_int(db, st, 0);
        s.time_ms = db_int(db, st, 1);
        if (!step_unpack(db_text(db, st, 2), &s) && (rc = columns_read(db, &s)) < 0)
            break;
        if (!name || s.route == name || s.model_asked == name)
            q->walk(q->walk_ctx, &s);
    }
    db_end(db, st);
    if (rc < 0)
        return rc;
    if (rows)
        k->a->cursor = (struct store_cursor){s.time_ms, s.row};
    k->a->n += rows;
    k->a->done = rows < SLICE_ROWS;
    return !k->a->done && !asking_over(k);
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
