/* responses.h: what the files of the Responses spoke share. Included by responses_*.c alone; the door
 * is spoke_responses.
 *
 * An item is known by two ids: its own (fc_…, ours are made from the answer's id) and, a call, by
 * call_id, which is the neutral id. Reasoning of another maker travels in encrypted_content under our
 * seal (proof.h). */
#ifndef POINTSMAN_RESPONSES_H
#define POINTSMAN_RESPONSES_H

#include "proxy/dialect/custom.h"
#include "proxy/dialect/members.h"
#include "proxy/dialect/proof.h"
#include "proxy/dialect/rest.h"
#include "proxy/dialect/spoke.h"

/* responses_items.c: items of input and output. Parts are handed to add() in their order. */
struct responses_sink {
    struct arena *a;
    bool (*add)(void *ctx, enum ir_role role, struct ir_part *part); /* false: no memory */
    /* An item_reference or additional_tools: no part of the conversation; may be NULL. */
    bool (*aside)(void *ctx, struct str type, struct json_span item);
    void *ctx;
};
bool responses_read_item(struct json_span item, const struct responses_sink *sink);
bool responses_read_citation(struct json_span annotation, int64_t before, struct ir_citation *out);

/* responses_tools.c */
#define RESPONSES_MORE_TOOLS "input.additional_tools" /* in request->rest: such an item */
int responses_read_tools(struct ir_request *r, struct json_span v, struct arena *a, struct err *e);
bool responses_read_more_tools(struct ir_request *r, struct json_span item, struct arena *a);
int responses_read_choice(struct ir_request *r, struct json_span v, struct arena *a,
    struct err *e);
void responses_put_tools(struct json_writer *w, const struct ir_request *r,
    struct ir_notes *notes);
void responses_put_choice(struct json_writer *w, const struct ir_request *r);
/* The name that other dialects call it by; and back: "name" and, where it has one, "namespace". */
struct str responses_flat_name(struct str space, struct str name, struct arena *a);
void responses_put_name(struct json_writer *w, const struct ir_tool *t, struct str name);

/* responses_read.c */
int responses_read_request(struct str body, struct arena *a, struct ir_request *out, struct err *e);

/* responses_write.c */
int responses_write_request(const struct ir_request *r, const struct spoke_target *t,
    struct buf *out, struct ir_notes *notes, struct err *e);
void responses_put_format(struct json_writer *w, const struct ir_request *r);

/* responses_answer.c */
int responses_read_answer(struct str body, const struct spoke_quirks *q, struct arena *a,
    struct ir_answer *out, struct err *e);
int responses_write_answer(const struct ir_answer *answer, const struct spoke_client *c,
    struct arena *a, struct buf *out, struct ir_notes *notes, struct err *e);
enum ir_finish responses_finish(struct json_span response, bool calls);
/* An image_generation_call: only images in base64 have that form, others are noted (false). */
bool responses_says_image(const struct ir_part *p);
bool responses_put_image(struct json_writer *w, const char *key, const struct ir_part *p, struct str id,
    struct ir_notes *notes);
/* Its place counts from the beginning of the text after `before` characters. */
void responses_put_citation(struct json_writer *w, const struct ir_citation *c, int64_t before);
void responses_put_usage(struct json_writer *w, const struct usage *u);

/* A response object around its output, in any state of its life. */
struct responses_frame {
    struct str id, model;     /* texts; absent: the client's */
    struct str created;       /* raw number; absent: now */
    const char *status;       /* in_progress, completed, incomplete, failed */
    const char *reason;       /* of incomplete_details; NULL: none */
    struct str output;        /* items, comma between them */
    const struct usage *usage; /* NULL: null */
    struct str service_tier;  /* text */
};
void responses_put_frame(struct json_writer *w, const char *key, const struct responses_frame *f,
    const struct spoke_client *c);

/* responses_stream_read.c, responses_stream_write.c */
enum responses_open { RESPONSES_NONE, RESPONSES_MESSAGE, RESPONSES_REASONING, RESPONSES_CALL };
struct responses_reader {
    struct arena a;           /* of the event under way */
    bool ready;
    enum responses_open open;
    int64_t index;            /* output_index of the open item */
    int64_t content;          /* content_index or summary_index of its open part, -1 none */
    unsigned part, calls, items;
    unsigned cited;           /* annotations of the open part that were told */
    bool in_part, spoke;      /* a part was begun; the item said something in deltas */
    int64_t chars, begun;     /* of all texts; of those before the open part */
    bool raw_reasoning;       /* reasoning_text, not its summary */
    bool custom;              /* the open call is of a custom tool */
    uint64_t left;            /* items (by index, the first 64) that were left before they were done */
    struct buf held;          /* items that were done while another was open, comma between them */
};
void responses_read_event(struct stream_reader *s, struct str name, struct str data);
void responses_read_end(struct stream_reader *s);
void responses_reader_fini(struct stream_reader *s);

struct responses_writer {
    struct buf id, model, created, tier;
    struct buf items;         /* finished, comma between them */
    struct buf parts;         /* finished content parts of the open message */
    struct buf text, annotations, logprobs; /* of the open part */
    struct buf signature, call_id, name;
    char item_id[32];         /* of the open item */
    enum responses_open open;
    enum ir_part_kind kind;   /* of the open content part */
    enum wire origin;         /* of the reasoning under way */
    const struct ir_tool *tool; /* that is called; NULL: not one of the request's */
    bool ready, started, in_part, custom, said_usage, over;
    struct custom_scan scan;  /* of a custom call */
    unsigned index, content, annotation_count;
    int64_t chars;            /* of the finished texts */
    int64_t sequence;
    enum ir_finish finish;
    struct usage usage;
};
void responses_write_event(struct stream_writer *s, const struct ir_event *ev, struct buf *out);
void responses_writer_fini(struct stream_writer *s);

/* Of an image that is told as an item of its own. */
struct str responses_image_id(struct responses_writer *r);
/* responses_stream_items.c: one event, and those of the open item. */
struct json_writer responses_event(struct responses_writer *r, struct buf *out, const char *type);
void responses_event_end(struct json_writer *w);
void responses_item_added(struct responses_writer *r, enum responses_open open, struct buf *out);
void responses_item_done(struct responses_writer *r, struct buf *out);
void responses_need_part(struct responses_writer *r, enum ir_part_kind kind, struct buf *out);
void responses_text_delta(struct responses_writer *r, const struct ir_event *ev, struct buf *out);
void responses_annotation(struct responses_writer *r, const struct ir_event *ev, struct buf *out);
void responses_part_done(struct responses_writer *r, struct buf *out);
void responses_summary_delta(struct responses_writer *r, const struct ir_event *ev, struct buf *out);
void responses_summary_done(struct responses_writer *r, struct buf *out);
void responses_call_delta(struct responses_writer *r, const struct ir_event *ev, struct buf *out);
void responses_call_done(struct responses_writer *r, struct buf *out);

#endif
