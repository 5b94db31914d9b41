/* state.h: the admin thread's own state: what struct admin holds. Private to this room. */
#ifndef POINTSMAN_ADMIN_STATE_H
#define POINTSMAN_ADMIN_STATE_H

#include "proxy/admin/admin.h"
#include "proxy/admin/live_rows.h"
#include "proxy/admin/news.h"
#include "proxy/admin/numbers.h"
#include "proxy/admin/people.h"
#include "proxy/admin/roles.h"

struct alarms;
struct call;
struct http_server;

/* The last answer to consoles without a filter, for the next one that has seen as much. */
struct shared_snapshot {
    struct buf text;
    uint64_t since, sequence; /* since 0: none is kept */
    unsigned limit;
    int64_t known_us, written_us;
};

struct admin {
    struct admin_start start;
    struct loop *loop;
    struct http_server *http;
    struct live *live;
    struct roles roles;
    struct people people;
    struct news *news;           /* what happened lately, by sequence */
    struct numbers numbers;      /* rates and sums shown in every header */
    struct {                     /* running requests, looked at ten times a second at most */
        int64_t counted_us;
        size_t count;
        struct live_rows rows;   /* the first of them, as snapshots tell them */
        struct buf record_json;  /* one that ended, before news keeps its text */
        struct shared_snapshot shared;
    } live_view;
    struct alarms *alarms;       /* budgets, spend, and who is told */
    struct call *calls;          /* every call whose connection is open */
    struct loop_timer tick;      /* once a second */
    struct loop_timer look;      /* while somebody waits for news: every 50 ms */
    struct loop_message reload;  /* posted by SIGHUP */
    _Atomic bool reload_posted;
    bool sealing;                /* a change of sealed keys is on its way to the store */
    bool closing;                /* the gateway ends: connections that close now left not by themselves */
};

#endif
