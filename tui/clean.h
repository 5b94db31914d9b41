/* clean.h: turns bytes that came from outside into glyphs that are safe to show, one at a time.
 *
 * Why: a prompt, a URI or a key's name may hold escape sequences, bidi overrides, tags or broken
 * UTF-8. Sent to a terminal they would move the cursor, set the clipboard or hide text. Every
 * path to the terminal (draw.c, window title, clipboard, exit message) goes through here.
 *
 *     struct clean c = clean(text, false);
 *     struct glyph g;
 *     while (clean_next(&c, &g)) ...            // g.cp[0..g.n), g.width columns, g.marked
 *
 * What can't be shown as it is becomes a visible stand-in with `marked` set: ESC is ␛ (ASCII: ^[),
 * C1 and DEL \x9b, a broken byte �, a bidi or zero-width character ·. Joiners, variation selectors
 * and tags are left out, flags become letters, at most two combining marks stay on a character.
 * Line ends and tabs are marks too; who shows several lines splits them before. Pure. */
#ifndef POINTSMAN_CLEAN_H
#define POINTSMAN_CLEAN_H

#include "store/base/buf.h"
#include "store/base/str.h"

enum { GLYPH_CODES = 3 };

struct glyph {
    uint32_t cp[GLYPH_CODES];
    unsigned n;
    unsigned width; /* 1 or 2 */
    bool marked;
    size_t end; /* bytes of the text consumed up to and with this glyph */
};

struct clean {
    struct str text;
    size_t at;
    bool ascii;
    char queue[12]; /* rest of a stand-in of several characters */
    unsigned queued, sent;
};

/* Where the marks that we draw (arrows, ticks, lines) are missing or two columns wide, their ASCII
 * stand-ins are shown, in every text. Set once, by who opens the terminal. */
void clean_plain_marks(bool on);
bool clean_has_plain_marks(void);

struct clean clean(struct str text, bool ascii);
bool clean_next(struct clean *c, struct glyph *g);

/* Columns that the text takes when painted. */
size_t clean_columns(struct str text, bool ascii);

/* Bytes of the longest beginning that takes at most `columns`; *used gets its columns. */
size_t clean_fit(struct str text, bool ascii, size_t columns, size_t *used);

/* Appends the stand-ins as UTF-8: for title, exit message, clipboard of one line. */
void clean_put(struct buf *out, struct str text, bool ascii);

/* For texts of several lines that leave through the clipboard or a file: line ends and tabs stay,
 * every other control byte becomes \xNN. */
void clean_put_lines(struct buf *out, struct str text);

#endif
