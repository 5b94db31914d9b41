/* places.h: where in an answer's text a citation stands, in the two ways of counting.
 *
 * OpenAI counts characters, Gemini the bytes of UTF-8; the neutral form counts characters of all
 * texts of a choice in a row. A text is added as it comes, fragment by fragment:
 *
 *     places_add(&p, text);                       a text as it stands in a JSON string
 *     places_bytes(&p, citation->start)           characters → bytes
 *
 * Kept is one byte a character from the first one on that is not ASCII; nothing before. Past
 * PLACES_MAX of these a place is not known (-1). Pure. */
#ifndef POINTSMAN_PLACES_H
#define POINTSMAN_PLACES_H

#include "store/base/buf.h"

enum { PLACES_MAX = 1 << 20 };

struct places {
    int64_t chars;        /* of the text so far */
    int64_t plain;        /* characters of one byte each that it begins with */
    struct buf widths;    /* of the characters after these, a byte each */
};

void places_add(struct places *p, struct str text);
int64_t places_bytes(const struct places *p, int64_t character); /* -1: not known */
int64_t places_chars(const struct places *p, int64_t byte);      /* the same */
void places_fini(struct places *p);

/* Characters of a text as it stands in a JSON string. */
int64_t places_count(struct str text);

#endif
