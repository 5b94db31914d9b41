/* spool_file.h: the files under the spool, and the writer's side of it.
 *
 * Why: spool.h is what workers see; draining, freeing and recovery belong to the writer alone, and
 * the layout is shared by a running spool and by the recovery of one that died.
 *
 *     inflight-W          4 KiB head, then struct slot[count]
 *     spool-W-NNNNNNNN    4 MiB (less on a small disk: the file's size says): 64 bytes head, then
 *                         entries: 16 bytes head, packed record, padded to 8. Length 0: nothing yet.
 *                         Length ~0: go on in the next segment.
 *
 * Bytes after the last entry are zero: a segment that serves again is emptied first. Entries carry its
 * number in their checksum, so that none of an earlier use counts where a power loss brings it back. */
#ifndef POINTSMAN_STORE_SPOOL_FILE_H
#define POINTSMAN_STORE_SPOOL_FILE_H

#include "store/base/err.h"
#include "store/spool.h"

enum {
    SPOOL_SEGMENT_BYTES = 4 << 20,
    SPOOL_SEGMENT_LEAST = 256 << 10, /* several of the largest records */
    SPOOL_RECORD_MAX = 64 << 10,
    SPOOL_NAME_MAX = 64,
    SPOOL_VERSION = 1,        /* of the table */
    SPOOL_SEGMENT_VERSION = 2 /* 1: checksums without the number */
};
#define SPOOL_LENGTH_SEALED UINT32_MAX

struct spool_segment_head {
    char magic[8];
    uint32_t version, worker;
    uint64_t number;
    char pad[40];
};

struct spool_entry_head {
    _Atomic uint32_t length; /* of the record; stored last, with release order */
    uint32_t kind;
    uint64_t checksum;
};

struct spool_table_head {
    char magic[8];
    uint32_t version, worker, count, slot_bytes;
    _Atomic uint32_t used_mark; /* 1 + how many slots, from the first, were ever in use; 0: not said */
};
enum { SPOOL_TABLE_HEAD = 4096 };

/* One entry of a mapped segment of `size` at *offset, which moves behind it. 1: *kind and *packed are set
 * (packed lies in the map); 0: nothing there yet; 2: sealed; -ERR_CORRUPT: damaged. */
int spool_entry_read(
    const char *map, size_t size, uint32_t *offset, uint32_t *kind, struct str *packed);
/* A file of `bytes`, reserved on the disk and mapped shared. New, or the one that is there. */
int spool_map_new(int dir_fd, const char *name, size_t bytes, void **map, struct err *e);

/* Where the writer is. */
struct spool_position {
    uint64_t segment;
    uint32_t offset;
};
typedef int (*spool_drain_fn)(void *ctx, uint32_t kind, struct str packed);
/* From the committed position on, until about `max_bytes` or fn answers < 0 (returned). */
int spool_drain(struct spool *s, size_t max_bytes, spool_drain_fn fn, void *ctx) MUST_CHECK;
struct spool_position spool_drained_to(const struct spool *s);
/* The transaction that held what was drained is committed: empties or deletes segments, counts. Without this
 * call the next spool_drain() begins where the last commit ended. */
void spool_drain_commit(struct spool *s);
void slot_free(struct spool *s, int64_t index);
/* Appended and not yet committed. */
int64_t spool_behind(const struct spool *s);

/* Recovery: every file of earlier lives, oldest segment of each worker first, then the tables. */
struct spool_recovery {
    /* Where the database is with that worker; segment 0 when it knows none. */
    struct spool_position (*position)(void *ctx, unsigned worker);
    int (*record)(void *ctx, unsigned worker, uint32_t kind, struct str packed);
    /* The end of a segment: all before it is safe to commit. */
    int (*segment_end)(void *ctx, unsigned worker, struct spool_position at);
    int (*slot)(void *ctx, const struct slot *slot); /* only SLOT_USED ones with an id */
    void *ctx;
    uint64_t damaged; /* entries that did not agree with their checksum (power loss) */
};
int spool_recover(int dir_fd, struct spool_recovery *r, struct err *e) MUST_CHECK;
/* After the last commit. */
int spool_remove_files(int dir_fd, struct err *e) MUST_CHECK;

#endif
