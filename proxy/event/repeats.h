/* repeats.h: how often a session made the same tool call lately, or sent the same request.
 *
 * Why: an agent that is stuck asks for the same thing again and again, and pays each time. The
 * workers note the calls of every answer (meter's digest of names and arguments); the table is small
 * and shared, behind a short lock: only answers with tool calls and a session come here.
 *
 *     unsigned n = repeats_note(session, reader.calls_digest, now_ms);
 *     if (n == limit) event_say(EVENT_KIND_LOOPING, …);
 *
 * Kept: the last 8 different calls of the last 512 sessions. Calls that lie further apart than 8
 * others are no loop, and are forgotten. */
#ifndef POINTSMAN_REPEATS_H
#define POINTSMAN_REPEATS_H

#include "store/base/str.h"

/* Which time this was, from 1. Any thread. */
unsigned repeats_note(struct str session, uint64_t digest, int64_t now_ms);
/* Of a whole request, eight bytes at a time: bodies are long. Never 0. */
uint64_t repeats_digest(struct str body);

#endif
