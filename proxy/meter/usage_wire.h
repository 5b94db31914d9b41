/* usage_wire.h: what the readers of one wire each share, and their doors, for usage*.c alone.
 *
 * A reader walks an event or a body once per level that matters. The common event of a stream carries
 * a few tokens of text: it must cost next to nothing. Text is neither decoded nor copied; ids and
 * names are taken the first time only. Keys are compared as they lie: no provider escapes them, and
 * one that did would only lose its metering. Readers answer with bits of enum usage_seen. */
#ifndef POINTSMAN_USAGE_WIRE_H
#define POINTSMAN_USAGE_WIRE_H

#include "proxy/meter/usage.h"
#include "proxy/meter/usage_object.h"

#define IS(key, lit)                                                                               \
    ((key).raw.n == sizeof(lit) + 1 && memcmp((key).raw.p + 1, lit, sizeof(lit) - 1) == 0)

/* A string value into a field of the reader; _once: the first one stays. */
void usage_copy(char *dst, size_t size, struct json_span v);
void usage_copy_once(char *dst, size_t size, struct json_span v);
#define TAKE(field, v) usage_copy(r->field, sizeof r->field, v)
#define TAKE_ONCE(field, v) usage_copy_once(r->field, sizeof r->field, v)

/* A piece of what the model said; all strings within a value. */
unsigned usage_content(struct usage_reader *r, struct json_span v);
unsigned usage_content_within(struct usage_reader *r, struct json_span v);
unsigned usage_finished(struct usage_reader *r, struct json_span reason);
/* Names and arguments of tool calls, into the digest of them all. */
void usage_call_bytes(struct usage_reader *r, struct json_span v);
/* True for what was not counted yet: a call without id is told by its name. */
bool usage_new_id(struct usage_reader *r, struct json_span id);
bool usage_new_call(struct usage_reader *r, struct json_span id, struct json_span name);
/* A usage object; merge: over what was said before, else in its place. */
void usage_take(struct usage_reader *r, struct json_span v, bool merge);
unsigned usage_take_error(struct usage_reader *r, struct str object);

unsigned usage_chat(struct usage_reader *r, struct str object);
/* The response object: a body, or inside created, completed, incomplete, failed. */
unsigned usage_response(struct usage_reader *r, struct str object, bool ended);
unsigned usage_responses_event(struct usage_reader *r, struct str object);
/* The message object: a body, or inside message_start. */
unsigned usage_message(struct usage_reader *r, struct str object);
unsigned usage_messages_event(struct usage_reader *r, struct str object);
unsigned usage_gemini(struct usage_reader *r, struct str object);

#endif
