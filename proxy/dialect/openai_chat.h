/* openai_chat.h: what the files of the chat spoke share. Included by openai_chat_*.c alone. */
#ifndef POINTSMAN_OPENAI_CHAT_H
#define POINTSMAN_OPENAI_CHAT_H

#include "proxy/dialect/arguments.h"
#include "proxy/dialect/custom.h"
#include "proxy/dialect/members.h"
#include "proxy/dialect/spoke.h"

/* openai_chat_read.c */
int chat_read_request(struct str body, struct arena *a, struct ir_request *out, struct err *e);
/* openai_chat_parts.c: the parts of a message: used for requests, answers and (content as an
 * array) streams. Parts are handed to add() in their order. */
struct chat_sink {
    struct arena *a;
    bool (*add)(void *ctx, struct ir_part *part);
    void *ctx;
    const char *reasoning; /* the provider's own member, or NULL */
};
bool chat_read_message(struct str message, const struct chat_sink *sink); /* false: no memory */
bool chat_read_content(struct json_span content, const struct chat_sink *sink);
/* What a model made: [{"type":"image_url","image_url":{"url":…}}]. */
bool chat_read_images(struct json_span list, const struct chat_sink *sink);
/* False: neither, or not one of ours. */
bool chat_read_citation(struct json_span annotation, struct ir_citation *out);
bool chat_read_source(struct json_span source, struct ir_citation *out);
/* Those of a list, to a text; false: no memory. */
bool chat_add_citations(struct ir_part *text, struct json_span list,
    bool (*read)(struct json_span v, struct ir_citation *out), struct arena *a);

/* openai_chat_write.c */
int chat_write_request(const struct ir_request *r, const struct spoke_target *t, struct buf *out,
    struct ir_notes *notes, struct err *e);
/* openai_chat_messages.c */
void chat_put_messages(struct json_writer *w, const struct ir_request *r,
    const struct spoke_target *t, struct ir_notes *notes);
/* Of a call: its type, name and arguments (the input of a custom one). */
void chat_put_called(struct json_writer *w, const struct ir_part *call, bool custom);
/* An id that this provider takes, the same for call and result. */
void chat_put_id(struct json_writer *w, const char *key, struct str id, unsigned quirks);

/* openai_chat_answer.c */
int chat_read_answer(struct str body, const struct spoke_quirks *q, struct arena *a,
    struct ir_answer *out, struct err *e);
int chat_write_answer(const struct ir_answer *answer, const struct spoke_client *c,
    struct arena *a, struct buf *out, struct ir_notes *notes, struct err *e);
enum ir_finish chat_finish_from(struct str text);
const char *chat_finish_name(enum ir_finish f);
void chat_put_usage(struct json_writer *w, const char *key, const struct usage *u);
/* An element of `images`, as OpenRouter has them. */
void chat_put_image(struct json_writer *w, const struct ir_media *m, unsigned index);
void chat_put_citation(struct json_writer *w, const struct ir_citation *c);
struct str chat_made_id(struct arena *a, uint64_t seed, unsigned choice, unsigned n);
/* One of reasoning_details: `kind` REASONING or REDACTED. */
void chat_put_reasoning_detail(struct json_writer *w, enum ir_part_kind kind, struct str text,
    struct str signature, enum wire maker, unsigned index);
enum wire chat_maker_of(struct str format);

/* openai_chat_stream_read.c, openai_chat_stream_write.c */
#define CHAT_AUDIO STR("{\"type\":\"audio\"}") /* what notes call it */
enum { CHAT_CHOICES = 16, CHAT_CALLS = 128 };
enum chat_open { CHAT_OPEN_NONE, CHAT_OPEN_TEXT, CHAT_OPEN_REASONING, CHAT_OPEN_REFUSAL,
    CHAT_OPEN_CALL };
struct chat_call {
    int64_t index;
    uint64_t id_hash;      /* 0: it came without */
    bool over;
    bool custom;           /* it is closed when it is over: nothing says so before */
    struct arguments_scan scan;
    struct buf id, name, held; /* of one that waits; name empty until it is known */
};
struct chat_choice {
    enum chat_open open;
    unsigned part;         /* the number of the open part, or of the next */
    bool seen, finished;
    bool plain_thought;    /* its reasoning comes in a member of its own */
    bool cited;            /* an annotation was read */
    struct chat_call *calls;
    size_t call_count, active; /* calls[active] is the one passed on; == call_count: none */
};
struct chat_reader {
    struct chat_choice choice[CHAT_CHOICES];
    size_t held;           /* bytes of arguments that wait */
    struct json_span sources; /* of the event under way */
    uint64_t seed;         /* for ids where the server gives none */
};
struct chat_writer {
    struct buf head;       /* data: {"id":…,"choices":[ : the same in every chunk */
    uint32_t begun;        /* bit per choice: its role was said */
    uint32_t bare;         /* bit per choice: a call is under way, without any arguments yet */
    struct buf tier;       /* text */
    unsigned calls[CHAT_CHOICES]; /* tool calls begun */
    unsigned images[CHAT_CHOICES]; /* told */
    unsigned thoughts[CHAT_CHOICES]; /* proofs of reasoning written */
    uint32_t custom;       /* bit per choice: the call under way is of a custom tool */
    struct custom_scan scan[CHAT_CHOICES];
    bool failed;           /* nothing follows */
    struct buf input;      /* of such a call: what an event brought of it */
    struct buf thought[CHAT_CHOICES]; /* the part under way: its proof is said with its whole text */
    struct usage usage;
};
void chat_read_event(struct stream_reader *s, struct str name, struct str data);
void chat_read_end(struct stream_reader *s);
void chat_reader_fini(struct stream_reader *s);
void chat_write_event(struct stream_writer *s, const struct ir_event *ev, struct buf *out);
void chat_writer_fini(struct stream_writer *s);

#endif
