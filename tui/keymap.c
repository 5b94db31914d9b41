/* keymap.c: see keymap.h. */
#include "tui/keymap.h"

#include "store/base/utf8.h"
#include "tui/settings.h"
#include "tui/terminal.h"

#include <stdio.h>

struct key_row key_rows[] = {
#define KEY(context, action, keys, label, rank, help)                                              \
    {CONTEXT_##context, ACTION_##action, #action, keys, label, help, rank},
#include "tui/keys.def"
};
const size_t key_row_count = ARRAY_LEN(key_rows);

static const char *const context_names[] = {
#define CONTEXT(name, title) #name,
#include "tui/keys.def"
};

static const char *const titles[] = {
#define CONTEXT(name, title) title,
#include "tui/keys.def"
};

static const struct {
    const char *name, *shown;
    int key;
} names[] = {
    {"Up", "↑", KEY_N_UP},
    {"Down", "↓", KEY_N_DOWN},
    {"Left", "←", KEY_N_LEFT},
    {"Right", "→", KEY_N_RIGHT},
    {"Home", "Home", KEY_N_HOME},
    {"End", "End", KEY_N_END},
    {"PgUp", "PgUp", KEY_N_PGUP},
    {"PgDn", "PgDn", KEY_N_PGDN},
    {"Enter", "Enter", '\r'},
    {"Esc", "Esc", 27},
    {"Tab", "Tab", '\t'},
    {"S-Tab", "S-Tab", KEY_N_BACKTAB},
    {"Space", "Space", ' '},
    {"Ins", "Ins", KEY_N_INSERT},
};

const char *context_title(enum context c)
{
    return c < CONTEXT_END ? titles[c] : "";
}

const char *context_name(enum context c)
{
    return c < CONTEXT_END ? context_names[c] : "";
}

int keymap_parse(const char *name, size_t n)
{
    struct str s = str_n(name, n);
    uint64_t f;
    uint32_t cp;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(s, str_c(names[i].name)))
            return names[i].key;
    if (n == 3 && str_starts(s, STR("C-")) && s.p[2] >= 'a' && s.p[2] <= 'z')
        return s.p[2] - 'a' + 1;
    if (n > 2 && str_starts(s, STR("M-"))) {
        int key = keymap_parse(name + 2, n - 2);
        return key ? KEY_ALT + key : 0;
    }
    if (n > 1 && s.p[0] == 'F' && str_to_u64(str_from(s, 1), &f) && f >= 1 && f <= 24)
        return KEY_N_F0 + (int)f;
    return n && utf8_decode(name, n, &cp) == n ? (int)cp : 0;
}

void keymap_show(const char *keys, char out[16])
{
    struct str all = str_c(keys), first;
    out[0] = '\0';
    if (!str_cut(&all, ' ', &first))
        return;
    if (str_starts(first, STR("C-")) && first.n == 3) {
        snprintf(out, 16, "^%c", first.p[2] - 32);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(first, str_c(names[i].name)))
            first = str_c(names[i].shown);
    str_copy(out, 16, first);
}

/* Letters in the place of the QWERTY ones, for hands that do not switch layouts to press j. */
int keymap_latin(int key)
{
    static const char *const rows[][2] = {
        {"йцукенгшщзхъфывапролджэячсмитьбю", "qwertyuiop[]asdfghjkl;'zxcvbnm,."},
        {"ЙЦУКЕНГШЩЗХЪФЫВАПРОЛДЖЭЯЧСМИТЬБЮ", "QWERTYUIOP{}ASDFGHJKL:\"ZXCVBNM<>"},
        {"ςερτυθιοπασδφγηξκλζχψωβνμ", "wertyuiopasdfghjklzxcvbnm"},
        {"ΕΡΤΥΘΙΟΠΑΣΔΦΓΗΞΚΛΖΧΨΩΒΝΜ", "ERTYUIOPASDFGHJKLZXCVBNM"},
    };
    if (key < 0x370 || key > 0x4FF)
        return key;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str s = str_c(rows[i][0]);
        uint32_t cp;
        unsigned n;
        for (size_t at = 0, k = 0; (n = utf8_decode(s.p + at, s.n - at, &cp)); at += n, k++)
            if ((int)cp == key)
                return rows[i][1][k];
    }
    return key;
}

static bool has_key(const char *keys, int key)
{
    struct str all = str_c(keys), one;
    while (str_cut(&all, ' ', &one))
        if (one.n && keymap_parse(one.p, one.n) == key)
            return true;
    return false;
}

static const struct key_row *find_key(enum context c, int key)
{
    for (size_t i = 0; i < key_row_count; i++)
        if (key_rows[i].context == c && has_key(key_rows[i].keys, key))
            return &key_rows[i];
    return NULL;
}

enum action keymap_action(const enum context *contexts, int key)
{
    const struct key_row *row = NULL;
    key = keymap_latin(key);
    for (; contexts && *contexts != CONTEXT_END && !row; contexts++)
        row = find_key(*contexts, key);
    if (!row)
        row = find_key(CONTEXT_GLOBAL, key);
    return row ? row->action : ACTION_NONE;
}

static const struct key_row *find_action(enum context c, enum action action)
{
    for (size_t i = 0; i < key_row_count; i++)
        if (key_rows[i].context == c && key_rows[i].action == action)
            return &key_rows[i];
    return NULL;
}

const struct key_row *keymap_row(const enum context *contexts, enum action action)
{
    const struct key_row *row = NULL;
    for (; contexts && *contexts != CONTEXT_END && !row; contexts++)
        row = find_action(*contexts, action);
    return row ? row : find_action(CONTEXT_GLOBAL, action);
}

/* ---- keys.conf ---- */

enum { KEYS_FILE_MAX = 65536, KEYS_TEXT_MAX = 8192 };

static char own_keys[KEYS_TEXT_MAX]; /* what rows changed by keys.conf point to */
static size_t own_used;

/* "mark_only", "mark-only" or "MARK_ONLY". */
static bool same_name(struct str text, const char *name)
{
    if (text.n != strlen(name))
        return false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if ((c == '-' ? '_' : c >= 'a' && c <= 'z' ? (char)(c - 32) : c) != name[i])
            return false;
    }
    return true;
}

static struct key_row *named_row(struct str name)
{
    struct str context;
    if (!str_cut(&name, '.', &context))
        return NULL;
    for (size_t i = 0; i < key_row_count; i++)
        if (same_name(context, context_names[key_rows[i].context]) &&
            same_name(name, key_rows[i].name))
            return &key_rows[i];
    return NULL;
}

static int take_keys(struct key_row *row, struct str keys, struct err *e)
{
    struct str all = keys, one;
    while (str_cut(&all, ' ', &one)) {
        int key = one.n ? keymap_parse(one.p, one.n) : 0;
        const struct key_row *other = key ? find_key(row->context, key) : NULL;
        if (one.n && !key)
            return err_set(e, ERR_UNKNOWN,
                "\"" STR_FMT "\" is no key: a character, or C-a, M-a, F5, Enter, Esc, Tab, Space, "
                "Up, PgDn …",
                STR_ARG(one));
        if (other && other != row)
            return err_set(e, ERR_DUPLICATE, STR_FMT " already means %s here: change that first",
                STR_ARG(one), other->name);
    }
    if (own_used + keys.n + 1 > sizeof own_keys)
        return err_set(e, ERR_LIMIT, "too many keys");
    row->keys = own_keys + own_used;
    str_copy(own_keys + own_used, keys.n + 1, keys);
    own_used += keys.n + 1;
    return 0;
}

static int take_line(struct str line, struct err *e)
{
    struct str name;
    if (str_chr(line, '=') <= 0)
        return err_set(e, ERR_SYNTAX, "expected: place.action = keys");
    str_cut(&line, '=', &name);
    struct key_row *row = named_row(str_trim(name));
    struct str keys = str_trim(line);
    if (!row)
        return err_set(e, ERR_UNKNOWN,
            "there is no \"" STR_FMT
            "\": places are in the headings of ?, actions in : (list.page-down)",
            STR_ARG(str_trim(name)));
    return take_keys(row, str_eq(keys, STR("-")) ? STR_NULL : keys, e);
}

int keymap_read(struct str text, const char *path, struct err *e)
{
    struct str line;
    int rc = 0;
    for (int number = 1; str_cut(&text, '\n', &line); number++) {
        struct err why = {0};
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        line = str_trim(line);
        if (line.n && line.p[0] != ';' && take_line(line, &why) < 0 && rc == 0)
            rc = err_set(e, why.code, "%s line %d: %s", path, number, why.text);
    }
    return rc;
}

int keymap_load(struct err *e)
{
    char path[512];
    struct buf text;
    int rc = 0;
    if (!settings_path(path, sizeof path, "keys.conf"))
        return 0;
    buf_init(&text, KEYS_FILE_MAX);
    if (settings_read(path, &text) == 0)
        rc = keymap_read(buf_str(&text), path, e);
    buf_fini(&text);
    return rc;
}
