/* anthropic.h: what the files of the Messages spoke share. Included by anthropic*.c alone. */
#ifndef POINTSMAN_ANTHROPIC_H
#define POINTSMAN_ANTHROPIC_H

#include "proxy/dialect/members.h"
#include "proxy/dialect/spoke.h"

/* anthropic_blocks.c: one content block → a part; NULL without memory. */
struct ir_part *messages_read_block(struct json_span block, struct arena *a);
void messages_read_citation(struct json_span v, struct ir_citation *out);

void messages_place_citations(struct ir_part *parts);

/* anthropic_read.c, anthropic_write.c, anthropic_turns.c */
int messages_read_request(struct str body, struct arena *a, struct ir_request *out, struct err *e);
int messages_write_request(const struct ir_request *r, const struct spoke_target *t,
    struct buf *out, struct ir_notes *notes, struct err *e);
/* `messages`, and the parts of all system messages as `system`. */
void messages_put_system(struct json_writer *w, const struct ir_request *r, struct str more,
    struct ir_notes *notes);
void messages_put_turns(struct json_writer *w, const struct ir_request *r, bool thinking,
    struct ir_notes *notes);
void messages_put_id(struct json_writer *w, const char *key, struct str id);
bool messages_is_blank(struct str text);

/* anthropic_answer.c */
int messages_read_answer(struct str body, const struct spoke_quirks *q, struct arena *a,
    struct ir_answer *out, struct err *e);
int messages_write_answer(const struct ir_answer *answer, const struct spoke_client *c,
    struct arena *a, struct buf *out, struct ir_notes *notes, struct err *e);
enum ir_finish messages_finish_from(struct str text);
const char *messages_finish_name(enum ir_finish f, struct str stop_sequence);
/* "standard" ↔ OpenAI's "default". */
struct str messages_tier_from(struct str tier);
void messages_put_usage(struct json_writer *w, const char *key, const struct usage *u, struct str tier);
void messages_put_citation(struct json_writer *w, const char *key, const struct ir_citation *c,
    enum wire origin);

/* anthropic_stream_read.c, anthropic_stream_write.c */
enum messages_open { MESSAGES_OPEN_NONE, MESSAGES_OPEN_TEXT, MESSAGES_OPEN_THINKING,
    MESSAGES_OPEN_CALL, MESSAGES_OPEN_OTHER };
struct messages_reader {
    enum messages_open open;
    unsigned part;
    bool called;           /* a tool call was seen */
    int64_t chars, begun;  /* of all texts; of those before the open block */
    struct buf citations;  /* of the open block, comma between them: they come before its text */
    struct usage first;    /* of message_start: input and cache */
};
struct messages_writer {
    enum messages_open open;
    unsigned index;        /* of the open block, or of the next */
    bool started, proved;  /* proved: the open thinking block has its signature */
    enum ir_finish finish;
    struct buf stop_sequence, tier;
    struct usage usage;
};
void messages_read_event(struct stream_reader *s, struct str name, struct str data);
void messages_read_end(struct stream_reader *s);
void messages_reader_fini(struct stream_reader *s);
void messages_write_event(struct stream_writer *s, const struct ir_event *ev, struct buf *out);
void messages_writer_fini(struct stream_writer *s);

#endif
