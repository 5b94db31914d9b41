/* theme.h: which colours a role has, at each depth of colour that a terminal may offer.
 *
 * Why: code names roles (ROLE_WARN), files name colours, and a terminal of 8 or no colours degrades
 * a theme instead of replacing it. The themes are data: the built-in ones are compiled in from the
 * very files in themes/ that users copy to ~/.config/pointsman/themes/NAME.theme.
 *
 *     [base]
 *     inherit = dark
 *     [roles]
 *     accent = #7aa2f7, 111, blue, bold          ; true colour, 256, 16, mono
 *     selected = - on #283457, - on 238, reverse, reverse
 *
 * Each entry is [foreground] [on background] [bold|dim|underline|reverse|italic ...]; `-` or
 * nothing is the terminal's own. A missing 256 entry is the nearest to the true colour, a missing
 * 16 entry the nearest to the 256 one. Pure but for theme_load(). Values; nothing to free. */
#ifndef POINTSMAN_THEME_H
#define POINTSMAN_THEME_H

#include "store/base/err.h"
#include "store/base/str.h"

enum role {
#define X(name, help) ROLE_##name,
#include "tui/roles.def"
#undef X
    ROLE_COUNT,
    ROLE_NONE = -1
};

enum theme_depth { DEPTH_256, DEPTH_16, DEPTH_MONO, DEPTH_COUNT };

enum { STYLE_BOLD = 1, STYLE_DIM = 2, STYLE_UNDERLINE = 4, STYLE_REVERSE = 8, STYLE_ITALIC = 16 };

struct style {
    short fg, bg; /* 0 to 255, or -1: the terminal's own */
    unsigned char flags;
};

struct theme {
    char name[32];
    struct style style[ROLE_COUNT][DEPTH_COUNT];
};

/* Over what *t holds: lines that are not there leave it as it is. Errors name the line. `inherit`
 * is looked up with theme_load(), at most four deep. For tests: files are read by theme_load(). */
int theme_parse(struct theme *t, struct str text, struct err *e) MUST_CHECK;

/* The user's folder, then the system's, then the built-in ones. */
int theme_load(struct theme *t, const char *name, struct err *e) MUST_CHECK;

/* Names for :theme, built-in ones first. NULL past the end. */
const char *theme_built_in(size_t i);

const char *role_name(enum role role);

/* Calls `weak` for each role whose contrast is below 4.5 to 1 with 256 colours; returns how many,
 * and in *checked how many have colours of their own. Where a theme leaves the background to the
 * terminal, it is taken as black when its text is light, else as white. */
size_t theme_check(const struct theme *t, void (*weak)(void *ctx, enum role role, double contrast),
    void *ctx, size_t *checked);

/* The nearest of the 256 palette, and of its first 16. */
short theme_nearest_256(unsigned rgb);
short theme_nearest_16(short color256);

#endif
