/* secret_said.h: secrets that are said piece by piece, or in other letters than their own.
 *
 * Why: a model says a key in tokens, each in an event of its own: `sk-`, `proj-`, `Ab9`. No line of
 * the stream holds it, yet whoever puts the answer together reads it; and "\u0073k-…" is a key to
 * everybody but a byte-wise search. Here the strings of an answer are decoded and joined as its
 * readers join them, secrets are looked for in the joins, and what spells them is covered where it
 * lies: asterisks of the same length, so that the text stays what it was (events, JSON, offsets).
 *
 *     secret_redact_said(answer, n, false);            // whole: before it is kept
 *     size_t now = secret_redact_passing(held, n);     // as it runs: so much may be shown
 *
 * Two strings belong together when they stand under the same names (choices[].delta.content) and
 * under the same indices: `index`, `output_index`, `item_id` and such, and the place in an array of
 * alternatives. Events of streams, elements of a JSON array and lines of JSON follow each other; as it
 * runs, each is shown when it is whole.
 * Token lists beside the text (`logprobs`, with their `bytes`) are strings like all others.
 *
 * Pure but for the values of secret.h. Linear in the text; memory is bounded: 32 joins at a time, of
 * 16 KiB or one string. Without memory the text must not be kept, so that is said. */
#ifndef POINTSMAN_SECRET_SAID_H
#define POINTSMAN_SECRET_SAID_H

#include "store/base/str.h"

/* Covers all that secret_redact() covers, and what is said piece by piece. `cut`: the text was cut
 * off at its end, so that what may be the first part of a secret is covered too. Returns how many
 * secrets were found, or -ERR_NOMEM. */
int secret_redact_said(char *p, size_t n, bool cut) MUST_CHECK;

/* The same over a text that goes on: returns how many of its bytes may be shown now (their secrets
 * covered). The others are to come again in front of what follows; never more than 128 KiB. */
size_t secret_redact_passing(char *p, size_t n) MUST_CHECK;

/* For secret_redact(): a plain text whose letters may be written as \u0073. To be called
 * first: half a secret that is covered would hide its escaped half. */
size_t secret_redact_escaped(char *p, size_t n);

#endif
