/* settings.c: see settings.h. */
#include "tui/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 1 << 20 };

const struct setting_row setting_rows[SETTING_COUNT] = {
#define X(name, key, off, on, by_default, help) {key, help, off, on, by_default},
#include "tui/settings.def"
#undef X
};

bool settings_path(char *out, size_t size, const char *name)
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    int n = 0;
    if (config && *config)
        n = snprintf(out, size, "%s/pointsman/%s", config, name);
    else if (home && *home)
        n = snprintf(out, size, "%s/.config/pointsman/%s", home, name);
    return n > 0 && (size_t)n < size;
}

int settings_read(const char *path, struct buf *out)
{
    FILE *f = fopen(path, "re");
    char part[4096];
    if (!f)
        return -ERR_NOT_FOUND;
    for (size_t n; (n = fread(part, 1, sizeof part, f)) > 0;)
        buf_put(out, part, n);
    fclose(f);
    return out->err;
}

/* ---- lines ---- */

/* False: nothing but a comment stands there. */
static bool split(struct str line, struct str *key, struct str *value)
{
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    line = str_trim(line);
    if (!line.n || line.p[0] == ';')
        return false;
    *key = *value = STR_NULL;
    if (str_chr(line, '=') > 0) {
        str_cut(&line, '=', key);
        *key = str_trim(*key);
        *value = str_trim(line);
    }
    return true;
}

static const struct setting_row *find_row(struct str key)
{
    for (size_t i = 0; i < SETTING_COUNT; i++)
        if (str_eq(key, str_c(setting_rows[i].key)))
            return &setting_rows[i];
    return NULL;
}

static int check(struct str key, struct str value, struct err *e)
{
    if (!key.n)
        return err_set(e, ERR_SYNTAX, "expected: name = value");
    if (str_chr(key, '\n') >= 0 || str_chr(value, '\n') >= 0)
        return err_set(e, ERR_SYNTAX, "a setting is one line");
    if (key.n >= sizeof((struct settings_entry *)0)->key || value.n > SETTING_BYTES_MAX)
        return err_set(e, ERR_LIMIT, "the line is too long");
    if (str_starts(key, STR("filter ")) || str_starts(key, STR("columns ")) ||
        str_eq(key, STR("theme")))
        return 0;
    const struct setting_row *row = find_row(key);
    if (!row)
        return err_set(e, ERR_UNKNOWN,
            "\"" STR_FMT
            "\" is no setting (F2 lists them; also theme, columns SCREEN, filter NAME)",
            STR_ARG(key));
    if (!str_eq(value, str_c(row->on)) && !str_eq(value, str_c(row->off)))
        return err_set(e, ERR_SYNTAX, STR_FMT " is %s or %s, not \"" STR_FMT "\"", STR_ARG(key),
            row->on, row->off, STR_ARG(value));
    return 0;
}

static struct settings_entry *entry_of(const struct settings *s, struct str key)
{
    for (size_t i = 0; i < s->count; i++)
        if (str_eq(key, str_c(s->entries[i].key)))
            return &s->entries[i];
    return NULL;
}

static int keep(struct settings *s, struct str key, struct str value, struct err *e)
{
    struct settings_entry *entry = entry_of(s, key);
    if (!entry && s->count == SETTINGS_MAX)
        return err_set(e, ERR_LIMIT, "more than %d settings", SETTINGS_MAX);
    if (!entry) {
        struct settings_entry *more = realloc(s->entries, (s->count + 1) * sizeof *more);
        if (!more)
            return err_set(e, ERR_NOMEM, "out of memory");
        s->entries = more;
        entry = &s->entries[s->count++];
    }
    str_copy(entry->key, sizeof entry->key, key);
    str_copy(entry->value, sizeof entry->value, value);
    return 0;
}

int settings_load(struct settings *s, struct err *e)
{
    char path[512];
    struct buf text;
    struct str rest, line, key, value;
    int rc = 0, bad = 0;
    *s = (struct settings){0};
    if (!settings_path(path, sizeof path, "console.conf"))
        return 0;
    buf_init(&text, FILE_MAX);
    rest = settings_read(path, &text) == 0 ? buf_str(&text) : STR_NULL;
    for (int number = 1; str_cut(&rest, '\n', &line); number++) {
        struct err why = {0};
        if (!split(line, &key, &value))
            continue;
        int fault = check(key, value, &why);
        if (fault == 0)
            fault = keep(s, key, value, &why);
        if (fault < 0 && bad++ == 0)
            rc = err_set(e, why.code, "%s line %d: %s", path, number, why.text);
    }
    buf_fini(&text);
    return rc;
}

void settings_fini(struct settings *s)
{
    free(s->entries);
    *s = (struct settings){0};
}

const char *settings_text(const struct settings *s, const char *key)
{
    const struct settings_entry *entry = entry_of(s, str_c(key));
    return entry ? entry->value : "";
}

bool settings_on(const struct settings *s, enum setting setting)
{
    const char *text = settings_text(s, setting_rows[setting].key);
    const struct setting_row *row = &setting_rows[setting];
    return *text ? strcmp(text, row->on) == 0 : row->by_default;
}

const struct settings_entry *settings_find(const struct settings *s, const char *prefix, size_t i)
{
    for (size_t n = 0; n < s->count; n++)
        if (str_starts(str_c(s->entries[n].key), str_c(prefix)) && s->entries[n].value[0] &&
            i-- == 0)
            return &s->entries[n];
    return NULL;
}

/* ---- the file ---- */

/* The old text with this one line put in, replaced, or (an empty value) taken out. */
static void rewrite(struct buf *out, struct str old, struct str key, struct str value)
{
    struct str line, k, v;
    bool there = !value.n;
    while (str_cut(&old, '\n', &line)) {
        bool same = split(line, &k, &v) && str_eq(k, key);
        if (!same && (line.n || old.n))
            buf_printf(out, STR_FMT "\n", STR_ARG(line));
        else if (same && !there)
            buf_printf(out, STR_FMT " = " STR_FMT "\n", STR_ARG(key), STR_ARG(value));
        there = there || same;
    }
    if (!there)
        buf_printf(out, STR_FMT " = " STR_FMT "\n", STR_ARG(key), STR_ARG(value));
}

static void make_folders(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
}

int settings_write(char *path, struct str text, struct err *e)
{
    char fresh[600];
    make_folders(path);
    snprintf(fresh, sizeof fresh, "%s.%ld", path, (long)getpid());
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_set(e, ERR_IO, "%s: %s", fresh, strerror(errno));
    bool ok = write(fd, text.p, text.n) == (ssize_t)text.n;
    ok = close(fd) == 0 && ok;
    if (ok && rename(fresh, path) == 0)
        return 0;
    int rc = err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
    unlink(fresh);
    return rc;
}

int settings_put(struct settings *s, const char *key, const char *value, struct err *e)
{
    char path[512];
    struct buf old, fresh;
    int rc = check(str_c(key), str_c(value), e);
    if (rc < 0 && *value)
        return rc;
    rc = keep(s, str_c(key), str_c(value), e);
    if (rc < 0)
        return rc;
    if (!settings_path(path, sizeof path, "console.conf"))
        return err_set(e, ERR_NOT_FOUND, "no HOME: in force, but kept nowhere");
    buf_init(&old, FILE_MAX);
    buf_init(&fresh, FILE_MAX);
    rc = settings_read(path, &old);
    if (rc == 0 || rc == -ERR_NOT_FOUND) {
        rewrite(&fresh, buf_str(&old), str_c(key), str_c(value));
        rc = fresh.err ? err_set(e, ERR_LIMIT, "%s is too large", path)
                       : settings_write(path, buf_str(&fresh), e);
    }
    buf_fini(&old);
    buf_fini(&fresh);
    return rc;
}
