/* commit.h: what one record, and each kind of append, means to the tables. Inside a transaction of
 * the writer's; nothing here begins or commits one.
 *
 * A record becomes: a row, its share of the rollups, its session's summary, ledger entries of its
 * key. All of them only when the row is new (the id is unique), so a replay changes nothing. */
#ifndef POINTSMAN_STORE_COMMIT_H
#define POINTSMAN_STORE_COMMIT_H

#include "store/backend.h"
#include "store/query.h"
#include "store/rollup.h"
#include "store/rows.h"
#include "store/spool_file.h"

/* What a batch means to one session, or to one balance: written once at its end. */
struct session_change {
    int64_t id, client, key, model, first_ms, last_ms, turns, errors;
    int64_t input_tokens, cached_tokens, output_tokens, cost_nano;
    char last_id[40];
};
struct balance_change {
    int64_t account, nano;
};
enum { COMMIT_CHANGES = 256 };

struct commit {
    struct db *db;
    struct names *names, *sessions;
    struct rollups *rollups;
    struct texts *texts; /* to read the old form of an amended record */
    int64_t rows;        /* new in this transaction */
    struct session_change session[COMMIT_CHANGES];
    struct balance_change balance[COMMIT_CHANGES];
    unsigned session_count, balance_count;
};

int commit_open(struct commit *c, struct db *db, struct err *e) MUST_CHECK;
void commit_close(struct commit *c);

int commit_begin(struct commit *c) MUST_CHECK;
int commit_record(struct commit *c, uint32_t kind, const struct record *r) MUST_CHECK;
int commit_position(struct commit *c, unsigned worker, struct spool_position at) MUST_CHECK;
/* Writes the gathered rollups and commits; rolls everything back on an error. */
int commit_end(struct commit *c) MUST_CHECK;
void commit_abandon(struct commit *c);

/* Moves an account's balance by one entry. exchange 0: an entry of its own (grant, refund). A
 * settlement carries what had been reserved: it stands for the entries reserve (-reserve), release
 * (+reserve) and settle, which always come together, at the price of one row. */
struct ledger_entry {
    int64_t account, time_ms, exchange, seq;
    enum store_entry_kind kind;
    int64_t nano, reserve_nano;
    struct str who, note;
};
int commit_entry(struct commit *c, const struct ledger_entry *entry) MUST_CHECK;
/* May x->nano come back of what that request cost? Sets x->exchange. -ERR_NOT_FOUND, -ERR_LIMIT. */
int commit_refundable(struct commit *c, struct ledger_entry *x, struct str request) MUST_CHECK;
/* With the opening entry before an account's first grant. */
int commit_grant(struct commit *c, struct ledger_entry *entry) MUST_CHECK;

#endif
