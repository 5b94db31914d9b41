/* store_internal.h: the struct behind the door, shared by store.c, append.c, writer.c, maintain.c
 * and query.c. Nobody else.
 *
 * Who touches what: `main`, `bodies`, `commit`, `taken`, `maintenance` belong to the writer thread
 * while it runs, else to the one thread that holds the store. The queues are stacks that any thread
 * pushes to and the writer takes whole. */
#ifndef POINTSMAN_STORE_INTERNAL_H
#define POINTSMAN_STORE_INTERNAL_H

#include "store/bodies.h"
#include "store/commit.h"
#include "store/store.h"

#include <pthread.h>
#include <sys/types.h>

enum { STORE_WORKERS_MAX = 256, STORE_OPS_BYTES = 32 << 20 };

enum op_kind {
    OP_EVENT, OP_AUDIT, OP_STATE, OP_GRANT, OP_RECORD, OP_REDACTED, OP_SEALED,
    OP_SYNC,
    OP_BACKUP, OP_PRUNE /* from here on: maintenance, not part of a batch */
};

struct op {
    struct op *next;
    enum op_kind kind;
    size_t bytes;
    store_done done;
    void *ctx;
    int rc;
    int64_t revision;
    int64_t n[4];
    struct str t[6]; /* lie behind the struct */
};

struct body_op {
    struct body_op *next;
    size_t bytes;
    char id[64];
    struct store_body body; /* texts from malloc() */
};

struct maintenance; /* maintain.c: a backup or prune that is under way */
struct queries;     /* query.c */
struct reader;

struct file_id {
    dev_t device;
    ino_t inode;
};

struct store {
    struct store_config config;
    char *dir;
    char main_path[512], bodies_path[512];
    int dir_fd, spool_fd, lock_fd;
    unsigned char pepper[32];
    _Atomic int64_t body_keep_ms, body_keep_bytes, record_keep_ms;

    struct db *main;
    struct bodies *bodies;
    struct file_id main_file, bodies_file; /* which files these are */
    struct commit commit;
    struct spool_position positions[STORE_WORKERS_MAX];
    struct spool *spools[STORE_WORKERS_MAX];
    struct spool_config spool_size; /* bytes, segment_bytes, slots of each */
    _Atomic unsigned spool_count;

    struct op *_Atomic ops;
    struct body_op *_Atomic body_ops;
    struct op *taken; /* in order; those of a batch that failed stay here */
    _Atomic size_t ops_bytes, body_bytes;
    struct maintenance *maintenance;

    pthread_t writer;
    bool running;
    _Atomic uint32_t sleeping;
    _Atomic bool stopping;
    int64_t last_trim_us, last_shed_notice_us, last_prune_ms, last_slow_notice_us;

    _Atomic int64_t rows, commits, last_commit_ms, wal_bytes, bodies_bytes, bodies_shed, failing;
    _Atomic unsigned generation; /* moves when readers must open the files anew */
    struct queries *queries;
    struct reader *now; /* connection of store_ask_now(); made when first used */
};

void store_notify(struct store *s, enum store_notice what, const char *fmt, ...) PRINTF_LIKE(3, 4);
int store_open_main(struct store *s, struct err *e);
int store_touch(struct store *s, const char *name, struct err *e); /* makes a file of the folder */
void writer_close_main(struct store *s, int why);

/* rescue.c */
struct file_id file_id_of(const char *path);
/* Are the files still those that are open? Mends what it can; < 0: the main file is gone and could
 * not be copied yet. The writer's thread. */
int rescue_look(struct store *s) MUST_CHECK;
int rescue_open_main(struct store *s, struct err *e) MUST_CHECK; /* after writer_close_main() */
/* A thread that takes no signals. */
int store_thread(pthread_t *t, void *(*run)(void *), void *arg, const char *name, struct err *e);

/* append.c */
int op_apply(struct store *s, struct op *op) MUST_CHECK; /* < 0: the database failed */
void ops_take(struct store *s);
void op_finish(struct store *s, struct op *op, int rc);
void op_redacted(struct store *s, struct str id); /* the record of that body is to be marked */
struct body_op *body_ops_take(struct store *s);
void body_op_free(struct store *s, struct body_op *op);

/* writer.c */
int writer_start(struct store *s, struct err *e);
void writer_stop(struct store *s);
void writer_wake(void *store); /* there are records, or bodies */
void writer_hurry(struct store *s); /* somebody waits */
int writer_batch(struct store *s) MUST_CHECK; /* one transaction of what waits */

/* maintain.c */
int maintain_begin(struct store *s, struct op *op); /* takes op over */
int maintain_step(struct store *s);                 /* 1: more, 0: done */
void maintain_abandon(struct store *s, int rc);     /* before `main` is closed */
int64_t maintain_minutes_from(struct db *db);

/* query.c */
int queries_start(struct store *s, struct err *e);
void queries_stop(struct store *s);
void reader_close(struct reader *r);

#endif
