/* custom.h: custom tools, whose argument is a text, not JSON (OpenAI's alone: chat and Responses).
 *
 * Why: elsewhere such a tool is a function with one string, `input`; what the text must look like
 * (a grammar) is told in words. In the neutral form a call of one holds {"input":"…"} and says so.
 *
 *     part->arguments = custom_arguments(input, arena);          text → {"input":"…"}
 *     struct str input = custom_text(part, arena);               … and back
 *
 *     custom_begin(&scan);                                       of a stream: as it comes
 *     custom_feed(&scan, fragment, &out);                        out: what is new of the text
 *     custom_end(&scan, &out);
 *     custom_fini(&scan);
 *
 * Pure. */
#ifndef POINTSMAN_CUSTOM_H
#define POINTSMAN_CUSTOM_H

#include "proxy/dialect/ir.h"

/* Sets what makes a function of it; false: no memory. */
bool custom_tool(struct ir_tool *t, struct str syntax, struct str grammar, struct arena *a);

struct str custom_arguments(struct str input, struct arena *a);
/* The text of a call, whatever a model made of it: the JSON itself where it is not {"input":"…"}. */
struct str custom_text(const struct ir_part *call, struct arena *a);
/* Is the request's tool of that name one? r may be NULL. */
bool custom_is_named(const struct ir_request *r, struct str name);

/* What stands around the input in the text of the arguments; in between fragments are quoted once
 * more (ir_text_of()). */
#define CUSTOM_OPEN STR("{\\\"input\\\":\\\"")
#define CUSTOM_CLOSE STR("\\\"}")

/* {"input":"…"} in fragments, each the text of a JSON string, to the inside of that string. A model
 * that says something else is held (`odd`) until it is whole. */
enum custom_phase { CUSTOM_BEFORE, CUSTOM_INSIDE, CUSTOM_AFTER, CUSTOM_ODD };
struct custom_scan {
    enum custom_phase phase;
    unsigned at;             /* characters of {"input":" that came */
    char escape[12];         /* the one under way inside: told when it is whole, a pair at once */
    unsigned escape_n;
    struct buf odd;
};
void custom_begin(struct custom_scan *s);
void custom_feed(struct custom_scan *s, struct str fragment, struct buf *out);
void custom_end(struct custom_scan *s, struct buf *out);
void custom_fini(struct custom_scan *s);

#endif
