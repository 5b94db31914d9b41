/* embed.h: embeddings asked for in OpenAI's words and given by Gemini, and the other way round.
 *
 *     embed_write_request(WIRE_EMBEDDINGS, body, model, &out, e)    → a batchEmbedContents body
 *     embed_write_answer(WIRE_EMBEDDINGS, answer, &client, &out, e) → what the OpenAI client wants
 *
 * The first argument is the client's wire, WIRE_EMBEDDINGS or WIRE_GEMINI_EMBED. Numbers stay as they
 * were written, except where base64 of float32 was asked for. Pure. */
#ifndef POINTSMAN_EMBED_H
#define POINTSMAN_EMBED_H

#include "proxy/dialect/ir.h"
#include "store/base/err.h"

/* The wire on which a provider of that dialect embeds for this client's; WIRE_RAW: it can't. */
enum wire embed_target_wire(enum dialect d, enum wire client);

/* 0; -ERR_TYPE; -ERR_UNSUPPORTED (tokens instead of texts, media). */
int embed_write_request(enum wire client, struct str body, struct str model, struct buf *out,
    struct ir_notes *notes, struct err *e) MUST_CHECK;

struct embed_client {
    struct str request;      /* the client's body */
    struct str model;        /* plain */
    bool batch;              /* Gemini: batchEmbedContents */
    int64_t prompt_tokens;   /* said where the provider says nothing */
};
int embed_write_answer(enum wire client, struct str answer, const struct embed_client *c,
    struct buf *out, struct err *e) MUST_CHECK;

#endif
