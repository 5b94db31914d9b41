/* settings.h: what a person has set for the own console, kept in ~/.config/pointsman/console.conf.
 *
 * Why: a theme, chosen columns, saved filters and switches (settings.def) should be there again
 * tomorrow. The file is the person's own: one `name = value` a line, `;` begins a comment; a line
 * that changes is replaced in place, everything else stays as it was written.
 *
 *     if (settings_load(&s, &e) < 0) say(e.text);         // bad lines are named, good ones count
 *     if (settings_on(&s, SETTING_BELL)) …
 *     settings_text(&s, "theme")                          // "" when it is not set
 *     settings_put(&s, "filter slow", "dur:>10s", &e)     // in force and written; "" removes it
 *
 * Ownership: a value; settings_fini() frees. Bounded: SETTINGS_MAX lines. */
#ifndef POINTSMAN_SETTINGS_H
#define POINTSMAN_SETTINGS_H

#include "store/base/buf.h"
#include "store/base/err.h"
#include "store/base/str.h"

enum { SETTINGS_MAX = 200, SETTING_BYTES_MAX = 1000 };

enum setting {
#define X(name, key, off, on, by_default, help) SETTING_##name,
#include "tui/settings.def"
#undef X
    SETTING_COUNT
};

struct setting_row {
    const char *key, *help, *off, *on;
    bool by_default;
};
extern const struct setting_row setting_rows[SETTING_COUNT];

struct settings_entry {
    char key[64], value[SETTING_BYTES_MAX + 1];
};

struct settings {
    struct settings_entry *entries;
    size_t count;
};

/* A missing file is no error. The text of *e names the file, the line and what may stand there. */
int settings_load(struct settings *s, struct err *e) MUST_CHECK;
void settings_fini(struct settings *s);

const char *settings_text(const struct settings *s, const char *key);
bool settings_on(const struct settings *s, enum setting setting);
int settings_put(struct settings *s, const char *key, const char *value, struct err *e) MUST_CHECK;

/* The i-th entry whose key begins so: "filter " lists the saved filters. NULL past the end. */
const struct settings_entry *settings_find(const struct settings *s, const char *prefix, size_t i);

/* ~/.config/pointsman/NAME, or where XDG_CONFIG_HOME says; false without a home. */
bool settings_path(char *out, size_t size, const char *name);

/* Appends a whole file: 0, -ERR_NOT_FOUND, -ERR_LIMIT. */
int settings_read(const char *path, struct buf *out) MUST_CHECK;
/* Replaces a file of the person's own at once and for this person alone; makes its folders. */
int settings_write(char *path, struct str text, struct err *e) MUST_CHECK;

#endif
