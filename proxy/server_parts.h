/* server_parts.h: what the files of the server share: server.c (order, signals), server_ops.c (what
 * the admin may ask of workers and of the process). */
#ifndef POINTSMAN_SERVER_PARTS_H
#define POINTSMAN_SERVER_PARTS_H

#include "proxy/admin/admin.h"
#include "proxy/admin/source.h"
#include "proxy/aside.h"
#include "proxy/config/config.h"
#include "proxy/server.h"
#include "proxy/worker.h"
#include "store/store.h"

#include <pthread.h>

struct demo;

struct server {
    const struct serve_options *options;
    struct demo *demo;            /* NULL: none */
    char demo_dir[512];           /* the data folder of `pointsman demo`, removed at the end */
    struct buf demo_config;
    struct source *source;
    struct config *config;        /* of the start; later ones live in snapshots */
    struct store *store;
    struct health *health;
    struct account_set *accounts;
    struct live *live;
    struct admin *admin;
    struct asides asides;         /* calls that the admin asked for */
    struct shared shared;
    unsigned worker_count;
    struct worker **workers;
    struct spool **spools;
    pthread_t *threads, admin_thread;
    bool admin_runs;
    unsigned threads_run;
    int port;
    char listen_url[272];
    char binary[4096];            /* where this program lay at the start: `restart` looks there */
    _Atomic bool restart_wanted, stop_now;
};

/* server_ops.c */
struct admin_ops server_ops(struct server *s);

#endif
