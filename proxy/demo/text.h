/* text.h: what demo users ask and demo models say: whole sentences, put together by chance. */
#ifndef POINTSMAN_DEMO_TEXT_H
#define POINTSMAN_DEMO_TEXT_H

#include "proxy/demo/random.h"
#include "store/base/buf.h"

/* An answer of about `sentences` sentences on one topic, sometimes with a short piece of code. */
void demo_text_answer(struct buf *out, struct demo_random *r, unsigned sentences);
/* One question or instruction. */
void demo_text_question(struct buf *out, struct demo_random *r);
/* The instructions that agents begin with. */
extern const char demo_text_system[];
/* A tool call of a coding agent: its name and its arguments (JSON). */
void demo_text_tool(struct demo_random *r, const char **name, const char **arguments);
/* What a tool answered. */
void demo_text_tool_result(struct buf *out, struct demo_random *r);

#endif
