/* gemini.h: what the files of the Gemini spoke share. Included by gemini*.c alone; the door is
 * spoke_generate.
 *
 * Gemini takes every key in camelCase and in snake_case; keys are looked up by gemini_get(). A call
 * may come without an id: one is invented, the same for the same bytes, and left out again when the
 * request goes to Gemini. A thoughtSignature stays on its part; one that another maker wrote for us
 * is sealed (proof.h). */
#ifndef POINTSMAN_GEMINI_H
#define POINTSMAN_GEMINI_H

#include "proxy/dialect/places.h"
#include "proxy/dialect/spoke.h"

#define GEMINI_INVENTED "call_pm"

bool gemini_key(struct json_span key, const char *camel);
struct json_span gemini_get(struct str object, const char *camel);
/* Several members in one pass: where each event is looked into. */
struct gemini_want {
    const char *camel;
    struct json_span value;
};
bool gemini_scan(struct str object, struct gemini_want *wants, size_t n); /* false: no object */

/* One element of `parts`. A part without anything gives TEXT with an absent text. NULL: no memory. */
struct ir_part *gemini_read_part(struct json_span part, struct arena *a);
/* Neighbours of one kind are one part, cut by a stream: joined, the last one's signature kept. */
bool gemini_join_parts(struct ir_part *first, struct ir_part **last, struct arena *a);
/* The id of a call that came without one: of this answer, the ordinal-th call. */
struct str gemini_invent_id(struct arena *a, struct str answer_id, uint64_t salt, unsigned ordinal);

enum ir_finish gemini_finish(struct str native, bool calls);
const char *gemini_finish_name(enum ir_finish finish);
/* logprobsResult ↔ chat's array of tokens. */
struct str gemini_read_logprobs(struct json_span result, struct arena *a);
void gemini_put_logprobs(struct json_writer *w, struct str chat_array);
/* What a candidate says of its sources → citations. */
struct gemini_sources {
    struct json_span grounding, citations; /* groundingMetadata, citationMetadata */
    struct json_span parts;     /* of a whole answer; a stream's places count from its beginning */
    const struct places *said;  /* all of its text */
};
bool gemini_read_sources(const struct gemini_sources *from, struct arena *a,
    struct ir_citation **out); /* false: no memory */
/* The two arrays of groundingMetadata, citation by citation. */
struct gemini_grounding {
    struct buf chunks, supports;
    struct places said;         /* all of the candidate's text so far */
    unsigned count;
};
void gemini_add_citation(struct gemini_grounding *g, const struct ir_citation *c);
void gemini_put_grounding(struct json_writer *w, const struct gemini_grounding *g);

/* Has it a form here? Noted where it has none. */
bool gemini_says_media(const struct ir_part *p, struct ir_notes *notes);
/* An element of `parts`. False: nothing was written (another maker's reasoning …). */
bool gemini_put_part(struct json_writer *w, const struct ir_part *p, struct ir_notes *notes);
void gemini_put_usage(struct json_writer *w, const struct usage *u, struct str service_tier);

/* gemini_schema.c: an OpenAPI schema as Gemini writes it ("type":"OBJECT", nullable) → JSON schema;
 * the same bytes where nothing has to change. */
struct str gemini_schema_read(struct str schema, struct arena *a);
/* Does `parameters` or `responseSchema` take this JSON schema as it is? */
bool gemini_schema_fits(struct str schema);

/* gemini_partial.c: the arguments of a call that come piece by piece as {jsonPath, value}; gives the
 * text of the JSON so far, fragment by fragment. */
enum { GEMINI_PATH_DEPTH = 16 };
struct gemini_partial {
    struct gemini_step {
        bool index;             /* an element; else a member */
        char key[96];
    } open[GEMINI_PATH_DEPTH];  /* containers under way: `open[i]` is the place within container i */
    unsigned depth;             /* containers open; 0: none yet */
    bool in_string, broken;
};
/* Fragments are appended to `out` as plain JSON. False: a path that this can't follow. */
bool gemini_partial_add(struct gemini_partial *p, struct json_span piece, struct buf *out);
void gemini_partial_end(struct gemini_partial *p, struct buf *out);

/* gemini_stream_read.c, gemini_stream_write.c */
enum { GEMINI_CHOICES = 16 };
enum gemini_open { GEMINI_OPEN_NONE, GEMINI_OPEN_TEXT, GEMINI_OPEN_REASONING, GEMINI_OPEN_CALL };
struct gemini_reader {
    struct gemini_choice {
        enum gemini_open open;
        unsigned part, calls;
        bool seen, partial_call;
        char finish[48];         /* empty: not said yet */
        struct places said;
        struct gemini_partial *partial; /* NULL until a call comes in pieces */
    } choice[GEMINI_CHOICES];
    struct arena a;              /* of the event under way */
    bool begun, blocked, said_usage;
    struct usage usage;
    char tier[24];
    char answer_id[80];
};
struct gemini_writer {
    struct buf id, model, tier;  /* texts */
    bool begun, ready, failed, said_usage;
    struct usage usage;
    struct gemini_candidate {
        enum gemini_open open;
        struct buf arguments, id, name, signature; /* texts of the call under way */
        enum wire origin;        /* of that call */
        enum ir_finish finish;
        struct gemini_grounding grounding;
    } *candidate[GEMINI_CHOICES]; /* NULL until it begins */
};
void gemini_read_event(struct stream_reader *s, struct str name, struct str data);
void gemini_read_end(struct stream_reader *s);
void gemini_reader_fini(struct stream_reader *s);
void gemini_write_event(struct stream_writer *s, const struct ir_event *ev, struct buf *out);
void gemini_writer_fini(struct stream_writer *s);

int gemini_read_request(struct str body, struct arena *a, struct ir_request *out, struct err *e);
int gemini_write_request(const struct ir_request *r, const struct spoke_target *t, struct buf *out,
    struct ir_notes *notes, struct err *e);
int gemini_read_answer(struct str body, const struct spoke_quirks *q, struct arena *a,
    struct ir_answer *out, struct err *e);
int gemini_write_answer(const struct ir_answer *answer, const struct spoke_client *c,
    struct arena *a, struct buf *out, struct ir_notes *notes, struct err *e);

#endif
