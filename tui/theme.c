/* theme.c: see theme.h. */
#include "tui/theme.h"

#include "store/base/buf.h"
#include "tui/settings.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct built_in {
    const char *name, *text;
    size_t n;
};

#include "gen/themes.inc"

enum { THEME_FILE_MAX = 65536, INHERIT_MAX = 4 };

static const char *const role_names[] = {
#define X(name, help) #name,
#include "tui/roles.def"
#undef X
};

static const char *const color_names[] = {"black", "red", "green", "yellow", "blue", "magenta",
    "cyan", "white", "gray", "brightred", "brightgreen", "brightyellow", "brightblue",
    "brightmagenta", "brightcyan", "brightwhite"};

static const unsigned base16[] = {0x000000, 0xcd0000, 0x00cd00, 0xcdcd00, 0x3465e5, 0xcd00cd,
    0x00cdcd, 0xd0d0d0, 0x7f7f7f, 0xff0000, 0x00ff00, 0xffff00, 0x5c5cff, 0xff00ff, 0x00ffff,
    0xffffff};

const char *role_name(enum role role)
{
    return role >= 0 && role < ROLE_COUNT ? role_names[role] : "";
}

const char *theme_built_in(size_t i)
{
    return i < ARRAY_LEN(built_ins) ? built_ins[i].name : NULL;
}

static unsigned rgb_of_256(short c)
{
    if (c < 16)
        return base16[c];
    if (c >= 232) {
        unsigned g = 8 + 10 * (unsigned)(c - 232);
        return g << 16 | g << 8 | g;
    }
    static const unsigned step[] = {0, 95, 135, 175, 215, 255};
    unsigned k = (unsigned)(c - 16);
    return step[k / 36] << 16 | step[k / 6 % 6] << 8 | step[k % 6];
}

static long distance(unsigned a, unsigned b)
{
    long r = (long)(a >> 16 & 255) - (long)(b >> 16 & 255);
    long g = (long)(a >> 8 & 255) - (long)(b >> 8 & 255);
    long l = (long)(a & 255) - (long)(b & 255);
    return 2 * r * r + 4 * g * g + 3 * l * l;
}

static short nearest(unsigned rgb, short from, short to)
{
    short best = from;
    for (short c = from; c < to; c++)
        if (distance(rgb_of_256(c), rgb) < distance(rgb_of_256(best), rgb))
            best = c;
    return best;
}

short theme_nearest_256(unsigned rgb)
{
    return nearest(rgb, 16, 256);
}

short theme_nearest_16(short c)
{
    return c < 16 ? c : nearest(rgb_of_256(c), 0, 16);
}

/* ---- contrast ---- */

static double luminance(short color)
{
    unsigned rgb = rgb_of_256(color);
    static const double weights[] = {0.2126, 0.7152, 0.0722};
    double sum = 0;
    for (int i = 0; i < 3; i++) {
        double v = (double)(rgb >> (16 - 8 * i) & 255) / 255;
        sum += weights[i] * (v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4));
    }
    return sum;
}

static double contrast(short one, short other)
{
    double a = luminance(one), b = luminance(other);
    return (MAX(a, b) + 0.05) / (MIN(a, b) + 0.05);
}

size_t theme_check(const struct theme *t, void (*weak)(void *ctx, enum role role, double contrast),
    void *ctx, size_t *checked)
{
    enum { BLACK = 16, WHITE = 231, LEAST_TENTHS = 45 };
    short text = t->style[ROLE_TEXT][DEPTH_256].fg;
    short ground = text < 0 ? -1 : luminance(text) > 0.2 ? BLACK : WHITE;
    size_t found = 0;
    *checked = 0;
    for (int role = 0; role < ROLE_COUNT; role++) {
        struct style s = t->style[role][DEPTH_256];
        short bg = s.bg >= 0 ? s.bg : ground, fg = s.fg >= 0 ? s.fg : text;
        if (bg < 0 || fg < 0 || role == ROLE_RULE || role == ROLE_BOX)
            continue; /* lines are no text */
        (*checked)++;
        if (contrast(fg, bg) * 10 < LEAST_TENTHS)
            found++, weak(ctx, (enum role)role, contrast(fg, bg));
    }
    return found;
}

static bool read_rgb(struct str w, short *color)
{
    unsigned rgb = 0;
    if (w.n != 7 || w.p[0] != '#')
        return false;
    for (size_t i = 1; i < 7; i++) {
        const char *hex = "0123456789abcdef", *at;
        char c = (char)(w.p[i] | 0x20);
        if (w.p[i] == 0 || !(at = strchr(hex, w.p[i] >= 'A' ? c : w.p[i])))
            return false;
        rgb = rgb << 4 | (unsigned)(at - hex);
    }
    *color = theme_nearest_256(rgb);
    return true;
}

static bool read_color(struct str w, short *color)
{
    uint64_t v;
    *color = -1;
    if (str_eq(w, STR("-")) || str_eq(w, STR("default")) || read_rgb(w, color))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(color_names); i++)
        if (str_eq(w, str_c(color_names[i]))) {
            *color = (short)i;
            return true;
        }
    if (!str_to_u64(w, &v) || v > 255)
        return false;
    *color = (short)v;
    return true;
}

static bool read_flag(struct str w, unsigned char *flags)
{
    static const struct {
        const char *name;
        unsigned char flag;
    } names[] = {{"bold", STYLE_BOLD}, {"dim", STYLE_DIM}, {"underline", STYLE_UNDERLINE},
        {"reverse", STYLE_REVERSE}, {"italic", STYLE_ITALIC}, {"plain", 0}};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(w, str_c(names[i].name))) {
            *flags |= names[i].flag;
            return true;
        }
    return false;
}

static bool read_style(struct str entry, struct style *s)
{
    struct str word;
    bool background = false;
    *s = (struct style){.fg = -1, .bg = -1};
    while (str_cut(&entry, ' ', &word)) {
        word = str_trim(word);
        if (!word.n || read_flag(word, &s->flags))
            continue;
        if (str_eq(word, STR("on")))
            background = true;
        else if (!read_color(word, background ? &s->bg : &s->fg))
            return false;
    }
    return true;
}

static struct style to_16(struct style s)
{
    if (s.fg >= 16)
        s.fg = theme_nearest_16(s.fg);
    if (s.bg >= 16)
        s.bg = theme_nearest_16(s.bg);
    return s;
}

/* true, 256, 16, mono: each missing one comes from the one before it. */
static bool read_role(struct str value, struct style out[DEPTH_COUNT])
{
    struct style s[4] = {{-1, -1, 0}, {-1, -1, 0}, {-1, -1, 0}, {-1, -1, 0}};
    struct str entry;
    size_t n = 0;
    while (str_cut(&value, ',', &entry)) {
        if (n == 4 || !read_style(str_trim(entry), &s[n]))
            return false;
        n++;
    }
    out[DEPTH_256] = n > 1 ? s[1] : s[0];
    out[DEPTH_16] = to_16(n > 2 ? s[2] : out[DEPTH_256]);
    out[DEPTH_MONO] = n > 3 ? s[3] : (struct style){-1, -1, s[0].flags};
    out[DEPTH_MONO].fg = out[DEPTH_MONO].bg = -1;
    return n > 0;
}

static int parse_at(struct theme *t, struct str text, unsigned depth, struct err *e);

static int load_at(struct theme *t, const char *name, unsigned depth, struct err *e);

static int read_line(struct theme *t, struct str line, bool base, unsigned depth, struct err *e)
{
    struct str key;
    str_cut(&line, '=', &key);
    key = str_trim(key);
    if (base) {
        char parent[32];
        str_copy(parent, sizeof parent, str_trim(line));
        if (!str_eq(key, STR("inherit")))
            return err_set(e, ERR_UNKNOWN,
                "\"" STR_FMT "\" under [base]: only inherit stands there", STR_ARG(key));
        if (depth >= INHERIT_MAX)
            return err_set(e, ERR_LIMIT, "themes inherit in a circle or too deep");
        return load_at(t, parent, depth + 1, e);
    }
    for (int role = 0; role < ROLE_COUNT; role++)
        if (str_eq_nocase(key, str_c(role_names[role]))) {
            struct style s[DEPTH_COUNT];
            if (!read_role(line, s))
                return err_set(e, ERR_SYNTAX, "\"" STR_FMT "\" is not: true colour, 256, 16, mono",
                    STR_ARG(str_trim(line)));
            memcpy(t->style[role], s, sizeof s);
            return 0;
        }
    return err_set(e, ERR_UNKNOWN, "no role is called \"" STR_FMT "\"", STR_ARG(key));
}

static int parse_at(struct theme *t, struct str text, unsigned depth, struct err *e)
{
    struct str line;
    bool base = false;
    for (int number = 1; str_cut(&text, '\n', &line); number++) {
        ptrdiff_t comment = str_chr(line, ';');
        line = str_trim(str_trim(comment < 0 ? line : str_first(line, (size_t)comment)));
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        if (!line.n)
            continue;
        if (line.p[0] == '[') {
            base = str_eq(line, STR("[base]"));
            continue;
        }
        int rc = read_line(t, line, base, depth, e);
        if (rc < 0)
            return err_context(e, rc, "line %d", number);
    }
    return 0;
}

int theme_parse(struct theme *t, struct str text, struct err *e)
{
    return parse_at(t, text, 0, e);
}

/* PREFIX/bin/pointsman → PREFIX/share/pointsman/themes/NAME.theme, wherever it was installed. */
static void installed_theme(char *path, size_t size, const char *name)
{
    char self[256];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    struct str prefix = n > 0 ? str_n(self, (size_t)n) : STR_NULL;
    while (prefix.n && prefix.p[prefix.n - 1] != '/')
        prefix.n--;
    if (str_ends(prefix, STR("/bin/")))
        snprintf(path, size, STR_FMT "share/pointsman/themes/%s.theme",
            STR_ARG(str_first(prefix, prefix.n - strlen("bin/"))), name);
}

#define NAME_BYTES "abcdefghijklmnopqrstuvwxyz0123456789_-"

static int load_file(struct theme *t, const char *name, unsigned depth, struct err *e)
{
    char path[2][512] = {"", ""}, file[64];
    struct buf text;
    int rc = -ERR_NOT_FOUND;
    if (!*name || strlen(name) > 32 || name[strspn(name, NAME_BYTES)])
        return -ERR_NOT_FOUND; /* a name, never a path */
    snprintf(file, sizeof file, "themes/%s.theme", name);
    if (!settings_path(path[0], sizeof path[0], file))
        path[0][0] = '\0';
    installed_theme(path[1], sizeof path[1], name);
    buf_init(&text, THEME_FILE_MAX);
    for (size_t i = 0; i < ARRAY_LEN(path) && rc == -ERR_NOT_FOUND; i++) {
        buf_reset(&text);
        if (path[i][0] && (rc = settings_read(path[i], &text)) == 0)
            rc = err_context(e, parse_at(t, buf_str(&text), depth, e), "%s", path[i]);
    }
    buf_fini(&text);
    return rc;
}

static int load_at(struct theme *t, const char *name, unsigned depth, struct err *e)
{
    int rc = load_file(t, name, depth, e);
    if (rc != -ERR_NOT_FOUND)
        return rc;
    for (size_t i = 0; i < ARRAY_LEN(built_ins); i++)
        if (strcmp(built_ins[i].name, name) == 0)
            return parse_at(t, str_n(built_ins[i].text, built_ins[i].n), depth, e);
    return err_set(e, ERR_NOT_FOUND, "no theme is called \"%.40s\"", name);
}

int theme_load(struct theme *t, const char *name, struct err *e)
{
    struct theme fresh;
    for (int role = 0; role < ROLE_COUNT; role++)
        for (int depth = 0; depth < DEPTH_COUNT; depth++)
            fresh.style[role][depth] = (struct style){.fg = -1, .bg = -1};
    str_copy(fresh.name, sizeof fresh.name, str_c(name));
    int rc = load_at(&fresh, name, 0, e);
    if (rc == 0)
        *t = fresh;
    return rc;
}
