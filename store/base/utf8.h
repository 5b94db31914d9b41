/* utf8.h: strict UTF-8, and how wide a character is on a terminal.
 *
 * Why: what clients and providers send is shown to a person. libc's tables differ from machine to
 * machine and from the terminal's; ours is one table, and a character whose width is not sure is
 * classed as such, so that the caller can show something that is.
 *
 *     uint32_t cp;
 *     unsigned n = utf8_decode(p, left, &cp);      // 0: p[0] does not begin a valid sequence
 *     switch (utf8_class(cp)) ...
 *
 * Overlong forms, surrogates and anything above U+10FFFF are invalid. East-Asian ambiguous
 * characters are one column wide, unless who opens the terminal says otherwise once. Nothing to free. */
#ifndef POINTSMAN_UTF8_H
#define POINTSMAN_UTF8_H

#include "store/base/str.h"

enum utf8_class {
    UTF8_PRINT,     /* has columns: utf8_width() says 1 or 2 */
    UTF8_CONTROL,   /* C0, DEL, C1 */
    UTF8_COMBINING, /* no columns of its own; belongs to the character before it */
    UTF8_FORMAT,    /* invisible and able to mislead: bidi, zero width, soft hyphen, BOM, tags */
    UTF8_UNSURE,    /* joiners, variation selectors, skin tones, flag letters: terminals disagree */
    UTF8_PRIVATE    /* private use, non-characters, unassigned planes */
};

/* Bytes of the sequence that starts at p (1 to 4), or 0 when it is not valid. n is what is there.
 */
unsigned utf8_decode(const char *p, size_t n, uint32_t *cp);

/* Writes 1 to 4 bytes; U+FFFD for what is no scalar value. */
unsigned utf8_encode(uint32_t cp, char out[4]);

enum utf8_class utf8_class(uint32_t cp);

void utf8_ambiguous_wide(bool on);

/* Columns: 0, 1 or 2. Controls are 0: they are never sent as they are. */
unsigned utf8_width(uint32_t cp);

/* For tests, over the two above: the sum of the widths, each invalid byte counting one; and whether
 * every byte belongs to a scalar value. */
size_t utf8_columns(struct str s);
bool utf8_valid(struct str s);

#endif
