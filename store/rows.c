/* rows.c: see rows.h. Statement texts are put together by the compiler from columns.def. */
#include "store/rows.h"
#include "store/step.h"

#include <stdlib.h>

enum { NAMES_SLOTS = 8192, NAMES_MAX = NAMES_SLOTS / 4 * 3, TEXTS_SLOTS = 1024 };

struct named {
    char *text; /* NULL: free */
    size_t n;
    int64_t id;
};

struct names {
    struct named slots[NAMES_SLOTS];
    size_t count;
};

struct names *names_new(void)
{
    return calloc(1, sizeof(struct names));
}

void names_forget(struct names *n)
{
    for (size_t i = 0; i < NAMES_SLOTS; i++)
        free(n->slots[i].text);
    memset(n, 0, sizeof *n);
}

void names_free(struct names *n)
{
    if (n)
        names_forget(n);
    free(n);
}

static struct named *names_slot(struct names *n, struct str text)
{
    size_t at = str_hash(text) % NAMES_SLOTS;
    while (n->slots[at].text && !str_eq(str_n(n->slots[at].text, n->slots[at].n), text))
        at = (at + 1) % NAMES_SLOTS;
    return &n->slots[at];
}

/* The id that stands in the table, or that of a new row. */
static int64_t id_make(struct db *db, const char *find_sql, const char *insert_sql, struct str text)
{
    struct db_stmt *s = db_ask(db, find_sql, "t", text);
    int rc = db_step(db, s);
    int64_t id = rc == 1 ? db_int(db, s, 0) : rc;
    db_end(db, s);
    if (rc != 0)
        return id;
    s = db_ask(db, insert_sql, "t", text);
    id = s ? db->backend->insert(s) : db->failed;
    db_end(db, s);
    return id ? id : -ERR_CORRUPT;
}

static int64_t cached_id(struct names *n, struct db *db, const char *find_sql,
    const char *insert_sql, struct str text)
{
    if (text.n == 0)
        return 0;
    struct named *slot = names_slot(n, text);
    if (slot->text)
        return slot->id;
    int64_t id = id_make(db, find_sql, insert_sql, text);
    if (id <= 0)
        return id;
    if (n->count >= NAMES_MAX) {
        names_forget(n);
        slot = names_slot(n, text);
    }
    slot->text = str_dup(text);
    if (slot->text) {
        slot->n = text.n;
        slot->id = id;
        n->count++;
    }
    return id;
}

int64_t names_id(struct names *n, struct db *db, struct str text)
{
    return cached_id(n, db, "SELECT id FROM name WHERE text = ?1",
        "INSERT INTO name(text) VALUES(?1)", text);
}

int64_t sessions_id(struct names *n, struct db *db, struct str text)
{
    return cached_id(n, db, "SELECT id FROM session WHERE text = ?1",
        "INSERT INTO session(text, turns, errors, input_tokens, cached_tokens, output_tokens,"
        " cost_nano, first_ms, last_ms) VALUES(?1, 0, 0, 0, 0, 0, 0, 0, 0)", text);
}

static int64_t find(struct db *db, const char *sql, struct str text)
{
    if (text.n == 0)
        return 0;
    struct db_stmt *s = db_ask(db, sql, "t", text);
    int rc = db_step(db, s);
    int64_t id = rc == 1 ? db_int(db, s, 0) : rc < 0 ? -2 : -1;
    db_end(db, s);
    return id;
}

int64_t name_find(struct db *db, struct str text)
{
    return find(db, "SELECT id FROM name WHERE text = ?1", text);
}

int64_t session_find(struct db *db, struct str text)
{
    return find(db, "SELECT id FROM session WHERE text = ?1", text);
}

struct text_slot {
    int64_t id; /* negative: of a session */
    char *text;
    size_t n;
};

struct texts {
    struct text_slot slots[TEXTS_SLOTS];
};

struct texts *texts_new(void)
{
    return calloc(1, sizeof(struct texts));
}

void texts_forget(struct texts *t)
{
    for (size_t i = 0; i < TEXTS_SLOTS; i++)
        free(t->slots[i].text);
    memset(t, 0, sizeof *t);
}

void texts_free(struct texts *t)
{
    if (t)
        texts_forget(t);
    free(t);
}

static struct str texts_get(struct texts *t, struct db *db, const char *sql, int64_t id,
    int64_t mark)
{
    struct text_slot *slot = &t->slots[(uint64_t)id % TEXTS_SLOTS];
    if (id <= 0)
        return STR("");
    if (slot->id == mark && slot->text)
        return str_n(slot->text, slot->n);
    struct db_stmt *s = db_ask(db, sql, "i", id);
    struct str found = db_step(db, s) == 1 ? db_text(db, s, 0) : STR("");
    free(slot->text);
    slot->text = str_dup(found);
    slot->n = slot->text ? found.n : 0;
    slot->id = mark;
    db_end(db, s);
    return str_n(slot->text, slot->n);
}

struct str texts_name(struct texts *t, struct db *db, int64_t id)
{
    return texts_get(t, db, "SELECT text FROM name WHERE id = ?1", id, id);
}

struct str texts_session(struct texts *t, struct db *db, int64_t id)
{
    return texts_get(t, db, "SELECT text FROM session WHERE id = ?1", id, -id);
}

int64_t row_class(int64_t status)
{
    return status >= 100 && status < 600 ? status / 100 : 6;
}

static const char row_sql[] = "INSERT INTO exchange(row, class, session"
#define NAME(field) ", " #field
#define PLAIN(field) ", " #field
#define NUMBER(field) ", " #field
#include "store/columns.def"
    ", step) VALUES(nullif(?, 0), ?, ?"
#define NAME(field) ", ?"
#define PLAIN(field) ", ?"
#define NUMBER(field) ", ?"
#include "store/columns.def"
    ", ?) ON CONFLICT(id) DO NOTHING";

/* All ids first: making one runs a statement of its own. */
struct row_names {
#define NAME(field) int64_t field;
#include "store/columns.def"
};

static int row_names(struct db *db, struct names *n, const struct record *r, struct row_names *out)
{
    int64_t least = 0;
#define NAME(field) least = MIN(least, out->field = names_id(n, db, r->field));
#include "store/columns.def"
    return (int)least;
}

static size_t row_step(uint8_t out[STEP_BYTES], const struct record *r, const struct row_names *id,
    int64_t session)
{
    struct store_step s = {.session = session, .key = id->key, .team = id->team,
        .provider = id->provider, .model = id->model, .route = id->route, .stream = r->stream,
        .input_tokens = r->input_tokens, .cached_tokens = r->cached_tokens,
        .cache_write_tokens = r->cache_write_tokens,
        .cache_write_1h_tokens = r->cache_write_1h_tokens, .output_tokens = r->output_tokens,
        .reasoning_tokens = r->reasoning_tokens, .cost_nano = r->cost_nano, .ttft_us = r->ttft_us,
        .total_us = r->total_us, .tags = id->tags, .user_agent = id->user_agent,
        .endpoint = id->endpoint, .model_asked = id->model_asked, .features = r->features};
    return step_pack(out, &s);
}

int64_t row_insert(struct db *db, struct names *n, const struct record *r, int64_t row,
    int64_t session)
{
    struct row_names id;
    uint8_t step[STEP_BYTES];
    int rc = row_names(db, n, r, &id), at = 4;
    if (rc < 0)
        return rc;
    size_t step_n = row_step(step, r, &id, session);
    const struct store_backend *b = db->backend;
    struct db_stmt *s = db_ask(db, row_sql, "iii", row, row_class(r->status), session);
    if (!s)
        return db->failed;
#define NAME(field) rc = rc ? rc : b->bind_int(s, at++, id.field);
#define PLAIN(field) rc = rc ? rc : b->bind_text(s, at++, r->field);
#define NUMBER(field) rc = rc ? rc : b->bind_int(s, at++, r->field);
#include "store/columns.def"
    rc = rc ? rc : b->bind_blob(s, at, str_n((const char *)step, step_n));
    int64_t made = rc ? rc : b->insert(s);
    b->end(s);
    return made;
}

/* The literal of rows.h says the same as columns.def. */
_Static_assert(sizeof(ROW_FIELDS_SQL) == sizeof(
#define NAME(field) ", " #field
#define PLAIN(field) ", " #field
#define NUMBER(field) ", " #field
#include "store/columns.def"
), "ROW_FIELDS_SQL and columns.def differ");

int row_read(struct db *db, struct db_stmt *s, struct texts *t, struct arena *a, struct record *r)
{
    int at = ROW_SESSION;
    bool ok = true;
    *r = (struct record){.slot = -1};
    r->session = arena_str(a, texts_session(t, db, db_int(db, s, at++)));
#define NAME(field)                                                                                 \
    r->field = arena_str(a, texts_name(t, db, db_int(db, s, at++)));                               \
    ok = ok && r->field.p;
#define PLAIN(field)                                                                                \
    r->field = arena_str(a, db_text(db, s, at++));                                                 \
    ok = ok && r->field.p;
#define NUMBER(field) r->field = db_int(db, s, at++);
#include "store/columns.def"
    return ok && r->session.p ? 0 : -ERR_NOMEM;
}
