/* ir_check.h: what the tests of the spokes share: a neutral form as lines of text (to compare two of
 * them), a stream run through reader and writer at any cuts, and a walk over recorded exchanges.
 *
 *     struct request_check c = {.wire = WIRE_CHAT, .base_url = "https://api.openai.com/v1"};
 *     each_fixture("openai-chat", NULL, check_request_comes_back, &c);
 *
 * All of it fails the running cmocka test where something is not as it should be. */
#ifndef POINTSMAN_IR_CHECK_H
#define POINTSMAN_IR_CHECK_H

#include "proxy/dialect/spoke.h"
#include "proxy/sse.h"
#include "tests/unit/shared.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* --- lines ---------------------------------------------------------------------------------- */

enum { SAY_ALL = 0, SAY_COMMON = 1 }; /* COMMON: what every dialect can say */

/* Both return what is in `b` then. */
struct str say_request(struct buf *b, const struct ir_request *r, int how);
struct str say_answer(struct buf *b, const struct ir_answer *r, int how);
void assert_same_lines(struct str a, struct str b, const char *name);
/* Every string and number of the JSON `from` is somewhere in `to` (decoded, letters' case aside). */
void assert_all_said(struct str from, struct str to, const char *name);

/* --- streams -------------------------------------------------------------------------------- */

/* What a reader said, put together again as an answer; checks the order that ir.h promises. */
struct heard {
    struct buf lines;
    struct buf text, name, texts;
    struct usage usage;
    bool started, done, failed, said_usage;
    int open;                   /* kind of the part under way, -1 none */
    unsigned choice, part;
    char error[200];
    int error_status;
    struct stream_writer *to;   /* events go on to it; may be NULL */
    struct buf *out;
    int how;
    bool first_only;            /* leave other choices alone: theirs come in between */
};

void heard_init(struct heard *h);
void heard_fini(struct heard *h);
/* Pieces of `size` bytes; 0: whole; -1: random ones. */
void run_stream(enum wire w, const struct spoke_quirks *q, struct str bytes, long size,
    struct heard *h);
/* From one wire to another; the bytes that the client gets are appended to `out`. */
void translate_stream(enum wire from, const struct spoke_quirks *q, struct str bytes, long size,
    enum wire to, const struct spoke_client *client, struct buf *out);

/* A writer of events: retold_event() is what readers and retell_answer() call. */
struct retold {
    struct stream_writer *to;
    struct buf out;
};
void retold_init(struct retold *w, enum wire wire, const struct spoke_client *client,
    struct ir_notes *notes, struct arena *a);
void retold_event(void *retold, const struct ir_event *ev);
void retold_fini(struct retold *w);

/* --- recorded exchanges --------------------------------------------------------------------- */

struct fixture {
    char provider[64], name[128], dialect[40], mode[16], file[40];
    int status;
    const char *dir;
};

/* Calls fn for each row of that dialect, the repository's own and the collection's; returns how many. */
unsigned each_fixture(const char *dialect, const char *mode,
    void (*fn)(const struct fixture *f, void *ctx), void *ctx);

struct request_check {
    enum wire wire;           /* the fixture's */
    const char *model;        /* asked for; NULL: the fixture's own */
    const char *base_url;     /* whose quirks; NULL: none */
    bool all;                 /* each value of it comes back, of refused requests too */
    enum wire over;           /* the other dialect, and the model that is asked for there */
    const char *over_model;
};
/* For each_fixture(), with a struct request_check: through its own dialect; over another and back. */
void check_request_comes_back(const struct fixture *f, void *ctx);
void check_request_over(const struct fixture *f, void *ctx);

#endif
