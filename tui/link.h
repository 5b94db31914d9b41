/* link.h: talks to the gateway: HTTP/1.1 with JSON over the unix socket.
 *
 * Why: the console never waits. It sends requests, goes on drawing, and is called back when an
 * answer (or a piece of a stream) is there. The command line uses the blocking form of the same.
 *
 *     struct link *l = link_new("/run/pointsman/control.sock");
 *     int status; struct buf reply; buf_init(&reply, LINK_REPLY_MAX);
 *     if (link_call(l, "GET", "status", STR_NULL, &status, &reply, &e) < 0) ...  // nobody answers
 *     if (status != 200) link_error(buf_str(&reply), status, &e);
 *
 *     link_send(l, &(struct link_request){.path = "snapshot", .done = on_snapshot, .arg = me});
 *     poll(link_fd(l)), then link_run(l);
 *
 * Paths are below ADMIN_PREFIX; names inside them are put there with link_path(), which escapes.
 * Ownership: bodies are copied when sent; the reply belongs to the link during the callback.
 * Callbacks run only inside link_run(), link_wait() and link_call(), and may send and cancel. One
 * thread. */
#ifndef POINTSMAN_LINK_H
#define POINTSMAN_LINK_H

#include "store/base/buf.h"
#include "store/base/err.h"

struct link;

#define LINK_REPLY_MAX ((size_t)64 << 20)

struct link *link_new(const char *socket_path);
void link_free(struct link *l); /* drops what runs without calling back */

struct link_request {
    const char *method; /* NULL: GET */
    const char *path;   /* "exchanges/01h…?limit=5" */
    struct str body;    /* JSON; empty: none */
    long timeout_ms;    /* 0: 15 s; -1: none (streams) */
    const void *owner;  /* for link_cancel_owner() */
    void *arg;
    /* status 0: no answer, why says why. */
    void (*done)(void *arg, int status, struct str reply, const struct err *why);
    /* When set the body comes here piece by piece and `done` gets an empty reply (errors whole).
     * Returning false ends the request; `done` is still called. */
    bool (*piece)(void *arg, struct str piece);
};

/* Returns the request's number (never 0), or 0 when memory is short. */
uint64_t link_send(struct link *l, const struct link_request *r);
void link_cancel_owner(struct link *l, const void *owner);
unsigned link_running(const struct link *l);

/* Readable when link_run() has something to do; the wait must not be longer than link_timeout_ms()
 * (-1: for ever). */
int link_fd(const struct link *l);
int link_timeout_ms(const struct link *l);
void link_run(struct link *l);

/* Waits at most wait_ms (-1: for ever) and runs once. False when nothing is running. */
bool link_wait(struct link *l, int wait_ms);

/* Blocking: 0 and the status and reply of whatever was answered, or -ERR_NETWORK, -ERR_TIMEOUT. */
int link_call(struct link *l, const char *method, const char *path, struct str body, int *status,
    struct buf *reply, struct err *e) MUST_CHECK;

/* How long blocking calls wait from now on: 0: 15 s; -1: until the answer comes or we are ended. */
void link_set_patience(struct link *l, long ms);

/* Turns {"error":{"message":…}} into *e and returns its code (by status: 403 DENIED …). */
int link_error(struct str reply, int status, struct err *e);

/* Appends one path segment or query value, percent-encoded. */
void link_path(struct buf *out, struct str segment);

#endif
