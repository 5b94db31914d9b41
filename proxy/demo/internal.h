/* internal.h: what the files of the demo share. Private to this room. */
#ifndef POINTSMAN_DEMO_INTERNAL_H
#define POINTSMAN_DEMO_INTERNAL_H

#include "proxy/demo/answer.h"
#include "proxy/demo/demo.h"
#include "proxy/http/http.h"
#include "proxy/loop/loop.h"

#include <pthread.h>
#include <stdatomic.h>

enum { DEMO_SITES = 3 };

struct demo_load;

struct demo {
    struct loop *loop;          /* of the providers' thread */
    struct http_server *server;
    pthread_t thread;
    int port;
    char base_url[64];
    uint64_t seed;
    struct demo_random random;  /* providers' thread only */
    int64_t started_us;
    unsigned in_flight[DEMO_SITES];
    _Atomic int64_t served;
    struct demo_load *load;     /* NULL until started */
    struct str models[16];      /* of the first site */
    size_t model_count;
};

extern const struct http_events demo_events; /* serve.c; the context is struct demo */

/* The virtual keys of demo_config(), used by the load too. */
struct demo_key {
    const char *name, *secret, *more; /* `more`: the rest of its options as YAML */
};
extern const struct demo_key demo_keys[];
extern const size_t demo_key_total;

struct demo_counts demo_load_counts(const struct demo_load *l);
void demo_load_stop(struct demo_load *l);

/* conversation.c: what a synthetic client sends next. */
enum { DEMO_CONVERSATION_MAX = 256 << 10 };
struct demo_conversation {
    char session[40];
    const char *agent, *key, *model;
    bool tools, stream, agentic; /* agentic: goes on for many turns */
    unsigned turns_left, turn;
    struct buf messages;         /* JSON objects with commas */
};
void demo_conversation_begin(struct demo_conversation *c, struct demo_random *r, unsigned number);
/* The whole HTTP request, appended to out. `host` is "127.0.0.1:4141". */
void demo_conversation_request(struct demo_conversation *c, struct demo_random *r, const char *host,
    struct buf *out);
/* What came back: the next turn builds on it. False when the conversation is over. */
bool demo_conversation_answered(struct demo_conversation *c, struct demo_random *r, bool ok);
void demo_conversation_end(struct demo_conversation *c);

#endif
