/* gemini.h: what the files of the Gemini spoke share (gemini_read.c, gemini_write.c,
 * gemini_stream.c, gemini_schema.c, gemini_partial.c). Private to them; the door is spoke_generate.
 *
 * Gemini takes every key in camelCase and in snake_case; keys are looked up by gemini_get(). A call
 * may come without an id: one is invented, the same for the same bytes, and left out again when the
 * request goes to Gemini. A thoughtSignature stays on its part; one that another maker wrote for us
 * is sealed (proof.h). */
#ifndef POINTSMAN_GEMINI_H
#define POINTSMAN_GEMINI_H

#include "proxy/dialect/spoke.h"

#define GEMINI_INVENTED "call_pm"

bool gemini_key(struct json_span key, const char *camel);
struct json_span gemini_get(struct str object, const char *camel);
/* Several members in one pass: where each event is looked into. */
struct gemini_want {
    const char *camel;
    struct json_span value;
};
void gemini_scan(struct str object, struct gemini_want *wants, size_t n);

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
/* groundingMetadata → citations, each given once; `ascii` says that offsets in bytes are offsets in
 * characters. */
bool gemini_read_grounding(struct json_span metadata, bool ascii, struct arena *a,
    struct ir_citation **out);
/* The two arrays of groundingMetadata, citation by citation. */
struct gemini_grounding {
    struct buf chunks, supports;
    unsigned count;
};
void gemini_add_citation(struct gemini_grounding *g, const struct ir_citation *c);
void gemini_put_grounding(struct json_writer *w, const struct gemini_grounding *g);

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

int gemini_read_request(struct str body, struct arena *a, struct ir_request *out, struct err *e);
int gemini_write_request(const struct ir_request *r, const struct spoke_target *t, struct buf *out,
    struct ir_notes *notes, struct err *e);
int gemini_read_answer(struct str body, const struct spoke_quirks *q, struct arena *a,
    struct ir_answer *out, struct err *e);
int gemini_write_answer(const struct ir_answer *answer, const struct spoke_client *c,
    struct arena *a, struct buf *out, struct ir_notes *notes, struct err *e);

#endif
