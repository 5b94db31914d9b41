/* spoke.h: one dialect's way into the neutral form (ir.h) and out of it, as a table of functions.
 *
 * Why: any client may be answered by any provider. The exchange asks for the client's spoke and the
 * target's and never knows which they are:
 *
 *     const struct spoke *in = spoke_of(client_wire), *out = spoke_of(target_wire);
 *     in->read_request(body, arena, &r, &e);
 *     out->write_request(&r, &target, &buf, &notes, &e);        // upstream it goes
 *     ...
 *     struct stream_reader *from = stream_reader_new(target_wire, &arena, &quirks, put, ctx);
 *     stream_read(from, ev.name, ev.data);                      // calls put(ctx, event) 0..n times
 *     stream_read_end(from);                                    // the provider's stream is over
 *     // and put(): stream_write(to, event, &buf)
 *
 * A reader accepts anything: what it does not know is kept raw or left alone. A writer says what its
 * dialect can say and notes the rest. Both are incremental: an event in, its events out, at once.
 *
 * Memory of a stream, beyond the states themselves: readers hold at most STREAM_HOLD_MAX (arguments
 * of interleaved calls), writers at most STREAM_WHOLE_MAX (dialects whose last event repeats the
 * whole answer). Past it: an ERROR event. */
#ifndef POINTSMAN_SPOKE_H
#define POINTSMAN_SPOKE_H

#include "proxy/dialect/ir.h"
#include "proxy/dialect/quirks.h"
#include "store/base/err.h"

enum { STREAM_HOLD_MAX = 1 << 20, STREAM_WHOLE_MAX = 16 << 20 };

/* Where a request goes. */
struct spoke_target {
    struct str model;             /* plain, as the provider calls it */
    const struct spoke_quirks *quirks; /* never NULL: quirks_none for none */
    int64_t max_output;           /* what to ask for where a maximum must be said and none was */
    bool stream;
    bool ask_usage;               /* the provider takes stream_options */
};

/* For whom an answer is written. */
struct spoke_client {
    struct str model;             /* plain: where the provider does not name one */
    struct str fallback_id;       /* plain: the exchange's id, where the provider gives none */
    int64_t now_s;                /* where it says no time of creation */
    bool include_usage;           /* of a chat stream */
    bool json_array;              /* a Gemini stream without alt=sse: one JSON array */
    const struct ir_request *request; /* echoed by dialects that do (Responses); may be NULL */
};

struct stream_reader {
    const struct spoke *spoke;
    const struct spoke_quirks *quirks;
    void (*put)(void *ctx, const struct ir_event *ev);
    void *ctx;
    bool started, done, failed;   /* kept by stream_emit(): nothing is emitted after DONE or ERROR */
    void *state;
};

struct stream_writer {
    const struct spoke *spoke;
    const struct spoke_client *client;
    struct ir_notes *notes;       /* what could not be said; may be NULL */
    void *state;
};

struct spoke {
    enum wire wire;
    /* 0; -ERR_SYNTAX or -ERR_TYPE (e says which member), -ERR_NOMEM. The body is valid JSON. */
    int (*read_request)(struct str body, struct arena *a, struct ir_request *out, struct err *e);
    /* 0; -ERR_UNSUPPORTED: this dialect has no way to do it and leaving it out would be a lie: a
     * 400 whose text is e->text. */
    int (*write_request)(const struct ir_request *r, const struct spoke_target *t, struct buf *out,
        struct ir_notes *notes, struct err *e);
    int (*read_answer)(struct str body, const struct spoke_quirks *q, struct arena *a,
        struct ir_answer *out, struct err *e);
    int (*write_answer)(const struct ir_answer *answer, const struct spoke_client *c,
        struct arena *a, struct buf *out, struct ir_notes *notes, struct err *e);

    /* Streams. State of that size is zeroed; fini frees what it took from the heap. */
    size_t reader_size, writer_size;
    void (*read_event)(struct stream_reader *s, struct str name, struct str data);
    void (*read_end)(struct stream_reader *s); /* the bytes are over: DONE if it was complete */
    void (*reader_fini)(struct stream_reader *s);  /* may be NULL */
    void (*write_event)(struct stream_writer *s, const struct ir_event *ev, struct buf *out);
    void (*writer_fini)(struct stream_writer *s);  /* may be NULL */
};

/* NULL: this wire has no neutral form (raw paths, counts; embeddings: see embed.h). */
const struct spoke *spoke_of(enum wire w);

/* The wire on which that dialect answers what was asked on `client`: the same one where the dialect
 * speaks it, else its own main one; WIRE_RAW: there is none. */
enum wire spoke_target_wire(enum dialect d, const struct spoke_quirks *q, enum wire client,
    bool stream);

/* What is asked for where a maximum of output must be said and the client said none, of a model that
 * has at most that much (0: not known). */
int64_t spoke_default_output(int64_t model_max);

/* Nothing to free but fini; NULL without memory. */
struct stream_reader *stream_reader_new(enum wire w, const struct spoke_quirks *q, struct arena *a,
    void (*put)(void *ctx, const struct ir_event *ev), void *ctx);
void stream_read(struct stream_reader *s, struct str name, struct str data);
void stream_read_end(struct stream_reader *s);
void stream_reader_fini(struct stream_reader *s); /* NULL allowed */

struct stream_writer *stream_writer_new(enum wire w, const struct spoke_client *c,
    struct ir_notes *notes, struct arena *a);
void stream_write_event(struct stream_writer *s, const struct ir_event *ev, struct buf *out);
void stream_writer_fini(struct stream_writer *s); /* NULL allowed */

/* JSON without line ends between its tokens (no string has any): what is kept raw of it may stand in
 * an event then. The same bytes where it has none; NULL without memory. */
struct str stream_one_line(struct arena *a, struct str json);

/* For readers: the one way out. Sets origin; drops what comes after DONE or ERROR. */
void stream_emit(struct stream_reader *s, struct ir_event *ev);
/* An ERROR event from an error object of any shape. */
void stream_emit_error(struct stream_reader *s, struct str data, int status);

extern const struct spoke spoke_chat, spoke_messages, spoke_responses, spoke_generate;

#endif
