/* call.h: one request of a console or command line, from its arrival to its answer. Private to this
 * room.
 *
 * Why: a handler reads its arguments, writes its answer, or asks the store and goes on when the
 * answer is back; who asks, whether they may, and what happens when they leave stands here once.
 *
 *     void get_audit(struct call *c)                        // a row of commands.def
 *     {
 *         struct store_query q = {.kind = STORE_ASK_AUDIT, .limit = call_limit(c, 100, 1000)};
 *         call_ask(c, &q, audit_answered);
 *     }
 *     static void audit_answered(struct call *c, struct store_answer *a)   // in the admin thread
 *     {
 *         struct json_writer *w = call_begin(c); … call_send(c);           // exactly once a call
 *     }
 *
 * A change is answered when it is stored: call_send() holds the answer back until all is committed that
 * was handed to the store meanwhile (at most STORING_US: then it says so in "not_stored"). The change is
 * in force all the while, and the loop goes on.
 *
 * Ownership: a call lives until its connection closed AND every question of it came back; after the
 * client left, c->q is NULL and answers are dropped. Texts of c->arena live as long as the call. */
#ifndef POINTSMAN_ADMIN_CALL_H
#define POINTSMAN_ADMIN_CALL_H

#include "proxy/admin/state.h"
#include "proxy/http/http.h"
#include "store/store.h"

struct call;
typedef void call_fn(struct call *c);
typedef void call_answered(struct call *c, struct store_answer *a);

struct call {
    struct admin *admin;
    struct http_request *q;      /* NULL: the client has left */
    const struct command *command;
    struct str args[2];          /* what stood at the '*' of the path, decoded */
    enum role role;
    int64_t uid;
    struct str user, terminal;
    struct json *body;           /* POST: the object; never NULL there */
    struct buf out;              /* the answer */
    struct json_writer writer;
    struct arena arena;
    unsigned references;         /* connection + questions under way */
    uint64_t ticket;             /* of the question under way; 0 = none */
    bool answered, streaming;
    bool storing;                /* answered, and the answer waits until the change is stored */
    int status;                  /* of that answer */
    uint64_t changes, lost;      /* keeper_changes(), keeper_lost() before the handler ran */
    int64_t began_us;            /* the turn of the loop in which it arrived */
    struct call *next, *previous; /* all calls, or those that wait for news */
    bool waiting;
    struct loop_timer timer;
    void *state;                 /* of the handler: in the arena */
    void (*left)(struct call *c); /* the connection closed: stop timers, leave rings */
    void (*done)(struct call *c); /* no question is under way any more: free what `state` holds */
};

struct command {
    const char *method, *path;   /* "routes/" "*" "/switch": '*' is one piece of the path */
    enum role role;
    call_fn *run;
};

/* Arguments after '?', decoded; empty when absent. */
struct str call_param(struct call *c, const char *name);
int64_t call_param_int(struct call *c, const char *name, int64_t otherwise);
unsigned call_limit(struct call *c, unsigned otherwise, unsigned most);
/* "since": RFC 3339 or wall ms; -1 after an error was sent, 0 when absent. */
int64_t call_time(struct call *c, const char *name);
/* Percent-decoded copy in the call's arena. */
struct str call_decode(struct call *c, struct str s);
/* A text member of the body, or "". */
struct str call_text(const struct call *c, const char *name);
/* True when the body holds only these members (separated by blanks); else 400 was sent. */
bool call_allows(struct call *c, const char *members);

/* The answer: an object is begun; members go to the writer; then call_send(). */
struct json_writer *call_begin(struct call *c);
/* What a change of routes answers with, right behind live_apply(): its revision, how long it took from
 * the arrival until the next request meets it, the line between the rows. */
struct json_writer *call_begin_change(struct call *c, int64_t revision, struct str marker);
void call_send(struct call *c);
/* The same; what was put together from pieces of a conversation may hold a secret that no piece held. */
void call_send_redacted(struct call *c);
/* A whole answer that was written before, for somebody else. */
void call_send_text(struct call *c, struct str json);
void call_error(struct call *c, int status, const char *code, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
void call_failed(struct call *c, int rc, const struct err *e); /* -ERR_X → status */

/* After a handler: one that has neither answered nor something under way ran out of memory. `held`:
 * references that stand for no question. */
void call_must_go_on(struct call *c, unsigned held);

/* Asks the store; `fn` runs in the admin thread, not at all when the client has left. */
void call_ask(struct call *c, const struct store_query *q, call_answered *fn);

/* For asynchronous appends: fn(c, rc, revision) in the admin thread. */
struct call_done;
typedef void call_done_fn(struct call *c, int rc, int64_t revision);
struct call_done *call_done_new(struct call *c, call_done_fn *fn);
/* fn runs also when the client has left (c->q is NULL then): it moves what was written. */
void call_done_always(struct call_done *d);
void call_done_post(void *call_done, int rc, int64_t revision); /* a store_done */
void call_done_drop(struct call_done *d);                       /* the append was refused */

/* A memory copy of a text in the call's arena. */
struct str call_printf(struct call *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
struct live_who call_who(const struct call *c);

void call_release(struct call *c);

#endif
