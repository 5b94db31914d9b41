/* spool.h: what survives kill -9: in-flight slots and the append-only spool, one pair a worker.
 *
 * Why: an answer that a client has received must be in the ledger, whatever happens next. Before a
 * request leaves, its slot says what may be owed; before the terminal event is handed on, its end
 * record lies in the spool. Both are shared file mappings: the death of the process loses nothing
 * (power loss may cost the last second). Files are reserved with posix_fallocate before use, since
 * a hole in a full disk is a SIGBUS.
 *
 * A record counts when its length word, stored last with release order, and its checksum agree.
 * The writer thread (writer.h) drains; a slot is freed after its end record is committed.
 *
 * Threads: one worker appends and fills; the writer reads and frees; the admin thread reads slots
 * and recent records by sequence counters (no lock). */
#ifndef POINTSMAN_SPOOL_H
#define POINTSMAN_SPOOL_H

#include "store/record.h"

#include <stdatomic.h>

struct spool; /* of one worker */

/* One running exchange. Texts are ended by NUL and cut to fit. The worker writes between
 * slot_write_begin() and slot_write_end(); everybody else copies with slot_read(). */
struct slot {
    _Atomic uint32_t sequence; /* odd while being written */
    _Atomic uint32_t state;    /* SLOT_FREE, SLOT_USED, SLOT_ENDED (record appended) */
    uint64_t generation;
    char id[40], key[64], team[64], session[128], user_agent[96], peer[48], endpoint[64];
    char dialect[20], model_asked[96], route[64], rule[48], provider[48], model[96], tags[128];
    char price_key[96], override_by[64];
    int64_t time_ms;           /* wall */
    int64_t started_us;        /* monotonic of this process */
    int64_t first_token_us;    /* monotonic; 0 = not yet */
    int64_t phase;             /* enum record_state */
    int64_t stream, attempts, body_sent; /* body_sent: a request went upstream: never worth zero */
    int64_t status;
    int64_t request_bytes, response_bytes, content_bytes;
    int64_t input_tokens, cached_tokens, cache_write_tokens, cache_write_1h_tokens, output_tokens;
    int64_t reasoning_tokens;
    int64_t usage_source;      /* of the tokens above: measured so far, or estimated */
    int64_t reserve_nano, cost_nano; /* cost so far by the prices below, with … */
    int64_t earlier_nano;      /* … what attempts before the running one were charged */
    int64_t rate_input, rate_output, rate_cached; /* femto-USD per token, for recovery */
    int64_t tokens_per_second, max_gap_us, client_uid, tool_calls, worker, index;
};
enum slot_state { SLOT_FREE, SLOT_USED, SLOT_ENDED };

struct spool_config {
    int dir_fd;              /* the data folder's spool directory */
    size_t bytes;            /* ceiling of all segments of this worker; at least two are taken */
    size_t segment_bytes;    /* of one segment; 0: 4 MiB */
    unsigned slots;          /* most running exchanges of this worker */
    uint64_t first_segment;  /* number of the first segment; above all that were ever drained */
    void (*wake)(void *ctx); /* told of each append; must be cheap. NULL: nobody */
    void *wake_ctx;
};

/* -ERR_CONFLICT when files of an earlier life lie there: they must be recovered first. */
int spool_open(struct spool **out, const struct spool_config *c, unsigned worker,
    struct err *e) MUST_CHECK;
/* Removes its files when all is drained and every slot free; else they stay for the next start. */
void spool_close(struct spool *s);

/* Worker's side. NULL when no slot is free (503). A taken slot is zeroed but for its header. */
struct slot *slot_take(struct spool *s);
void slot_write_begin(struct slot *slot);
void slot_write_end(struct slot *slot);

enum spool_kind { SPOOL_END = 1, SPOOL_AMEND = 2 };
/* Appends a packed record (record_pack). r->slot/worker name the slot to free after the commit.
 * 0, -ERR_FULL (spool_bytes reached or no disk), -ERR_IO. Costs no system call but at a new
 * segment. Wakes the writer when it sleeps. */
int spool_append(struct spool *s, enum spool_kind kind, const struct record *r) MUST_CHECK;

/* Is there room for new work? Asked at admission, before a request leaves. */
bool spool_has_room(const struct spool *s);

/* Any thread. Copies slot `index`; false when no exchange is running in it (an ended one is in
 * spool_recent()) or it was being written all the time. */
bool slot_read(const struct spool *s, unsigned index, struct slot *copy);
/* All slots in use lie below this index (the most that were ever in use at once). */
unsigned slot_count(const struct spool *s);
/* How many of them are running; looks at each slot's state alone. */
unsigned slot_running(const struct spool *s);
/* A slot as a (running) record; texts point into *slot. now_us: monotonic. */
void slot_record(const struct slot *slot, int64_t now_us, struct record *out);

/* The last finished records of this worker (some hundred: 256 KiB of them), newest first, from
 * memory, any thread. Calls fn with the packed bytes (record_unpack), valid during the call; fn
 * returns false to stop. An amended record comes again, newer, under the same id. */
void spool_recent(const struct spool *s, bool (*fn)(void *ctx, struct str packed), void *ctx);
/* Counts appended records; changes whenever spool_recent() has something new. */
uint64_t spool_sequence(const struct spool *s);

#endif
