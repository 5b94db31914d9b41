/* retell.h: an answer as the events of a stream, and the events of a stream as an answer.
 *
 * Why: some providers answer a request for a stream in one piece, some stream whatever was asked; and
 * people look at streams as at answers.
 *
 *     retell_answer(&answer, put, ctx, &arena);        // put(ctx, event) in the order of ir.h
 *
 *     struct gather g;
 *     gather_init(&g, &arena);
 *     reader = stream_reader_new(wire, quirks, &arena, gather_event, &g);  … stream_read() …
 *     gather_end(&g)                                    // g.answer; g.failed, g.error: it said so
 *     gather_fini(&g);
 *
 * Ownership: what gather holds lies in the arena; only texts under way lie on the heap, at most
 * STREAM_WHOLE_MAX in all: past it g.failed. Pure. */
#ifndef POINTSMAN_RETELL_H
#define POINTSMAN_RETELL_H

#include "proxy/dialect/spoke.h"

void retell_answer(const struct ir_answer *answer, void (*put)(void *ctx, const struct ir_event *ev),
    void *ctx, struct arena *a);

enum { GATHER_CHOICES = 16 };
struct gather {
    struct arena *a;
    struct ir_answer answer;
    struct gather_choice {
        struct ir_choice *choice;
        struct ir_part *part;    /* under way, or NULL */
        struct ir_citation **citation;
        struct buf text, logprobs;
    } at[GATHER_CHOICES];
    size_t bytes;
    bool done;                   /* the provider said that all is said */
    bool failed;                 /* … or that it failed, or it was too much */
    struct dialect_error error;  /* of failed */
};

void gather_init(struct gather *g, struct arena *a);
void gather_event(void *gather, const struct ir_event *ev);
void gather_end(struct gather *g);
void gather_fini(struct gather *g);

#endif
