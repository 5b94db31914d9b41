/* typed.h: what a person typed into a field before, the newest first, also of earlier consoles.
 *
 * Why: filters, palette commands and pipes are typed again and again; ↑ brings them back, and
 * tomorrow, too. Kept in ~/.local/state/pointsman/NAME (or below XDG_STATE_HOME), one text a line,
 * readable by the person alone. Each console reads the file again before it adds to it, so that two
 * of them do not lose each other's texts.
 *
 *     typed_open(&r, "filters");                  // a missing file is an empty list
 *     const char *text = typed_step(&r, true);    // one further back; NULL: there is none
 *     typed_put(&r, "st:>=400");                  // on top and written; the same text stands once
 *
 * A file that can't be written costs nothing but tomorrow's ↑. Ownership: a value of fixed size;
 * nothing to free. */
#ifndef POINTSMAN_TYPED_H
#define POINTSMAN_TYPED_H

#include <stdbool.h>
#include <stddef.h>

enum { TYPED_MAX = 24, TYPED_BYTES_MAX = 1000 };

struct typed {
    const char *name;
    char texts[TYPED_MAX][TYPED_BYTES_MAX + 1];
    size_t count, back; /* back: how far typed_step() went; 0: not */
};

void typed_open(struct typed *r, const char *name);
void typed_put(struct typed *r, const char *text);

/* Starts at the newest again; with `text` at the one that is in the field already. */
void typed_rewind(struct typed *r, const char *text);

/* One further back, or nearer: nearer than the newest is "". NULL: it stays where it is. */
const char *typed_step(struct typed *r, bool earlier);

#endif
