/* spool_internal.h: the struct that spool.c, slots.c and recent.c share. Nobody else. */
#ifndef POINTSMAN_STORE_SPOOL_INTERNAL_H
#define POINTSMAN_STORE_SPOOL_INTERNAL_H

#include "store/spool_file.h"

struct segment {
    uint64_t number;
    char *map;
    struct segment *_Atomic next; /* set by the worker when it moves on */
};

struct slot_table {
    struct spool_table_head *head; /* the mapped file */
    struct slot *slots;
    unsigned count;
    _Atomic unsigned used_below;
    /* the worker's: */
    uint32_t *stack;
    unsigned stacked;
    uint64_t returned_read;
    /* from the writer to the worker: */
    uint32_t *returned;
    _Atomic uint64_t returned_write;
};

enum { RECENT_WORDS = 32 << 10 };

struct recent {
    _Atomic uint64_t *words;   /* a ring; entries are payload words, then one word of bytes */
    _Atomic uint64_t reserved; /* the writer may be changing words below this */
    _Atomic uint64_t head;     /* words below this are whole entries */
};

struct spool {
    int dir_fd;
    unsigned worker;
    size_t segment_bytes;
    int max_segments;
    void (*wake)(void *ctx);
    void *wake_ctx;
    struct slot_table table;
    struct recent recent;
    /* the worker's: */
    struct segment *current, *spare;
    uint32_t offset;
    uint64_t next_number;
    int64_t retry_us; /* when a spare may be tried again */
    struct buf scratch;
    /* the writer's: what is committed, and how far the running transaction is */
    struct segment *done, *at;
    uint32_t done_offset, at_offset;
    int64_t at_count;
    /* shared: */
    struct segment *_Atomic emptied; /* by the writer, for the worker */
    _Atomic int segments;
    _Atomic uint64_t appended, committed;
};

int slot_table_open(struct spool *s, unsigned count, struct err *e);
void slot_table_close(struct spool *s);
void slot_end(struct spool *s, int64_t index);
int recent_init(struct recent *r);
void recent_fini(struct recent *r);
void recent_put(struct recent *r, struct str packed);

#endif
