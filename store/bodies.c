/* bodies.c: see bodies.h. The five parts of a body are one zstd frame (level 1: 100 kB in some
 * 30 µs); their lengths stand beside it. Rows come in the order of their age, so trimming takes the
 * lowest numbers. What is deleted is overwritten (secure_delete); the file gives pages back when
 * more than 16 MiB of it are free. */
#include "store/bodies.h"
#include "store/migrate.h"

#include <stdlib.h>
#include <zstd.h>

enum { PARTS = 5, TRIM_ROWS = 64, GIVE_BACK_BYTES = 16 << 20, CHECKPOINT_BYTES = 4 << 20 };
enum { FLAG_REQUEST_CUT = 1, FLAG_RESPONSE_CUT = 2 };

struct bodies {
    struct db *db;
    ZSTD_CCtx *zstd;
    struct buf plain, packed;
    int64_t bytes;
};

int bodies_open(struct bodies **out, const char *path, struct err *e)
{
    struct bodies *b = calloc(1, sizeof *b);
    int rc = b ? backend_sqlite.open(&b->db, path, DB_BODIES, e) : err_set(e, ERR_NOMEM, "memory");
    if (rc == 0)
        rc = migrate(b->db, MIGRATE_BODIES, e);
    if (rc == 0 && !(b->zstd = ZSTD_createCCtx()))
        rc = err_set(e, ERR_NOMEM, "no memory to compress bodies");
    if (rc < 0) {
        bodies_close(b);
        return rc;
    }
    buf_init(&b->plain, BUF_NO_LIMIT);
    buf_init(&b->packed, BUF_NO_LIMIT);
    ZSTD_CCtx_setParameter(b->zstd, ZSTD_c_compressionLevel, 1);
    b->bytes = b->db->backend->used_bytes(b->db);
    *out = b;
    return 0;
}

void bodies_close(struct bodies *b)
{
    if (!b)
        return;
    if (b->db)
        b->db->backend->close(b->db);
    ZSTD_freeCCtx(b->zstd);
    buf_fini(&b->plain);
    buf_fini(&b->packed);
    free(b);
}

int64_t bodies_bytes(const struct bodies *b)
{
    return b->bytes;
}

int bodies_begin(struct bodies *b)
{
    return b->db->backend->begin(b->db);
}

int bodies_end(struct bodies *b, int rc)
{
    const struct store_backend *k = b->db->backend;
    if (rc == 0)
        rc = k->commit(b->db);
    if (rc < 0)
        k->rollback(b->db);
    /* a large body's buffers are not kept for small ones */
    if (b->plain.cap > 1 << 20 || b->packed.cap > 1 << 20) {
        buf_fini(&b->plain);
        buf_fini(&b->packed);
        buf_init(&b->plain, BUF_NO_LIMIT);
        buf_init(&b->packed, BUF_NO_LIMIT);
    }
    if (k->log_bytes(b->db) > CHECKPOINT_BYTES)
        k->checkpoint(b->db, false);
    b->bytes = k->used_bytes(b->db);
    return rc;
}

int bodies_put(struct bodies *b, struct str id, const struct store_body *body)
{
    const struct str parts[PARTS] = {body->request, body->response, body->request_headers,
        body->response_headers, body->events};
    buf_reset(&b->plain);
    buf_reset(&b->packed);
    for (int i = 0; i < PARTS; i++)
        buf_put_str(&b->plain, parts[i]);
    size_t most = ZSTD_compressBound(b->plain.n);
    char *to = buf_reserve(&b->packed, most);
    if (b->plain.err || !to)
        return -ERR_NOMEM;
    size_t n = ZSTD_compress2(b->zstd, to, most, b->plain.p, b->plain.n);
    if (ZSTD_isError(n))
        return -ERR_NOMEM;
    int64_t flags = (body->request_cut ? FLAG_REQUEST_CUT : 0) |
                    (body->response_cut ? FLAG_RESPONSE_CUT : 0);
    return db_do(b->db, "INSERT INTO body(id, time_ms, flags, request_n, response_n,"
                        " request_headers_n, response_headers_n, events_n, packed)"
                        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT(id) DO NOTHING",
        "tiiiiiiib", id, body->time_ms, flags, (int64_t)parts[0].n, (int64_t)parts[1].n,
        (int64_t)parts[2].n, (int64_t)parts[3].n, (int64_t)parts[4].n, str_n(to, n));
}

static int64_t oldest_ms(struct bodies *b, int *rc)
{
    return db_one(b->db, "SELECT time_ms FROM body ORDER BY time_ms LIMIT 1", INT64_MAX, rc);
}

/* The highest of the oldest row numbers whose bytes make up `excess`, at most a slice of them. */
static int64_t last_to_go(struct bodies *b, int64_t excess)
{
    struct db_stmt *s = db_ask(b->db, "SELECT row, length(packed) FROM body ORDER BY row LIMIT ?1",
        "i", (int64_t)TRIM_ROWS);
    int64_t row = 0;
    while (excess > 0 && db_step(b->db, s) == 1) {
        row = db_int(b->db, s, 0);
        excess -= db_int(b->db, s, 1);
    }
    db_end(b->db, s);
    return row;
}

int bodies_trim(struct bodies *b, int64_t older_than_ms, int64_t most_bytes)
{
    const struct store_backend *k = b->db->backend;
    int rc = 0;
    if (b->bytes <= most_bytes && oldest_ms(b, &rc) >= older_than_ms)
        return rc < 0 ? rc : k->give_back(b->db, GIVE_BACK_BYTES);
    rc = bodies_begin(b);
    if (rc == 0 && b->bytes > most_bytes)
        rc = db_do(b->db, "DELETE FROM body WHERE row <= ?1", "i",
            last_to_go(b, b->bytes - most_bytes / 16 * 15)); /* not a row at each body */
    else if (rc == 0)
        rc = db_do(b->db, "DELETE FROM body WHERE row IN"
                          " (SELECT row FROM body WHERE time_ms < ?1 ORDER BY time_ms LIMIT ?2)",
            "ii", older_than_ms, (int64_t)TRIM_ROWS);
    bool removed = rc == 0 && k->changes(b->db) > 0;
    rc = bodies_end(b, rc);
    return rc < 0 ? rc : removed;
}

static int unpack(struct str packed, const size_t n[PARTS], struct arena *a, struct str out[PARTS])
{
    size_t total = 0;
    for (int i = 0; i < PARTS; i++)
        total += n[i];
    char *plain = arena_alloc(a, total + 1);
    if (!plain)
        return -ERR_NOMEM;
    if (ZSTD_decompress(plain, total, packed.p, packed.n) != total)
        return -ERR_CORRUPT;
    for (int i = 0; i < PARTS; plain += n[i++])
        out[i] = str_n(plain, n[i]);
    return 0;
}

int body_read(struct db *db, struct str id, struct arena *a, struct store_body *out)
{
    struct str parts[PARTS];
    size_t n[PARTS];
    struct db_stmt *s = db_ask(db, "SELECT time_ms, flags, request_n, response_n,"
                                   " request_headers_n, response_headers_n, events_n, packed"
                                   " FROM body WHERE id = ?1", "t", id);
    int rc = db_step(db, s);
    if (rc == 1) {
        int64_t flags = db_int(db, s, 1);
        *out = (struct store_body){.time_ms = db_int(db, s, 0),
            .request_cut = flags & FLAG_REQUEST_CUT, .response_cut = flags & FLAG_RESPONSE_CUT};
        for (int i = 0; i < PARTS; i++)
            n[i] = (size_t)db_int(db, s, 2 + i);
        rc = unpack(db_text(db, s, 7), n, a, parts);
    } else if (rc == 0) {
        rc = -ERR_NOT_FOUND;
    }
    db_end(db, s);
    if (rc < 0)
        return rc;
    out->request = parts[0];
    out->response = parts[1];
    out->request_headers = parts[2];
    out->response_headers = parts[3];
    out->events = parts[4];
    return 0;
}
