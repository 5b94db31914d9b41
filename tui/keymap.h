/* keymap.h: from keys to actions, and from actions back to keys, both out of keys.def.
 *
 * Why: one table has all its readers, so that what is drawn in the last line, the help and the
 * palette is what a key really does. Letters of other keyboard layouts count as the key in the same
 * place.
 *
 *     enum action a = keymap_action((enum context[]){CONTEXT_REQUESTS, CONTEXT_LIST, CONTEXT_END},
 * key);
 *
 * CONTEXT_GLOBAL is looked at last without being listed.
 *
 * ~/.config/pointsman/keys.conf changes keys: `requests.pause = Space p`, one action a line, as
 * many keys as wanted; `-` takes all away. What is not named there stays. */
#ifndef POINTSMAN_KEYMAP_H
#define POINTSMAN_KEYMAP_H

#include "store/base/err.h"
#include "store/base/str.h"

#include <stdbool.h>
#include <stddef.h>

enum context {
#define CONTEXT(name, title) CONTEXT_##name,
#include "tui/keys.def"
    CONTEXT_END
};

enum action {
    ACTION_NONE,
#define ACTION(name) ACTION_##name,
#include "tui/keys.def"
    ACTION_COUNT
};

struct key_row {
    enum context context;
    enum action action;
    const char *name; /* "PAGE_DOWN" */
    const char *keys, *label, *help;
    int rank;
};

extern struct key_row key_rows[]; /* changed by keymap_read() only */
extern const size_t key_row_count;

const char *context_title(enum context c);
const char *context_name(enum context c); /* "REQUESTS", as keys.conf has it in any case */

enum action keymap_action(const enum context *contexts, int key);

/* The row that a key or an action has in these contexts (or globally); NULL when none. */
const struct key_row *keymap_row(const enum context *contexts, enum action action);

/* Reads keys.conf of the person. A line that can't be is left out; *e names the first, with line
 * and reason. A missing file is no error. */
int keymap_load(struct err *e) MUST_CHECK;
int keymap_read(struct str text, const char *path, struct err *e) MUST_CHECK;

/* "Enter", "C-d", "M-1", "F5", "й" → key; 0 when it is no key's name. */
int keymap_parse(const char *name, size_t n);

/* The first of the row's keys, as a person reads it: "^D", "Enter", "?". */
void keymap_show(const char *keys, char out[16]);

/* Е → t, й → q, α → a: the QWERTY letter in the same place; others as they are. */
int keymap_latin(int key);

#endif
