/* typed.c: see typed.h. */
#include "tui/typed.h"

#include "tui/settings.h"

#include <stdio.h>
#include <stdlib.h>

enum { FILE_MAX = TYPED_MAX * (TYPED_BYTES_MAX + 1) };

static bool path_of(const struct typed *r, char *out, size_t size)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int n = 0;
    if (state && *state)
        n = snprintf(out, size, "%s/pointsman/%s", state, r->name);
    else if (home && *home)
        n = snprintf(out, size, "%s/.local/state/pointsman/%s", home, r->name);
    return n > 0 && (size_t)n < size;
}

/* Something that would not come back as one line is not kept. */
static bool fits(struct str text)
{
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7F)
            return false;
    return text.n && text.n <= TYPED_BYTES_MAX;
}

static void read_file(struct typed *r)
{
    char path[512];
    struct buf text;
    struct str rest, line;
    if (!path_of(r, path, sizeof path))
        return;
    buf_init(&text, FILE_MAX);
    if (settings_read(path, &text) == 0) {
        rest = buf_str(&text);
        r->count = 0;
        while (r->count < TYPED_MAX && str_cut(&rest, '\n', &line))
            if (fits(line))
                str_copy(r->texts[r->count++], sizeof r->texts[0], line);
    }
    buf_fini(&text);
}

static void write_file(const struct typed *r)
{
    char path[512];
    struct buf text;
    struct err e;
    if (!path_of(r, path, sizeof path))
        return;
    buf_init(&text, FILE_MAX);
    for (size_t i = 0; i < r->count; i++)
        buf_printf(&text, "%s\n", r->texts[i]);
    int rc = text.err ? -ERR_LIMIT : settings_write(path, buf_str(&text), &e);
    (void)rc; /* said nowhere: the text is there as long as this console is */
    buf_fini(&text);
}

void typed_open(struct typed *r, const char *name)
{
    r->name = name;
    r->count = r->back = 0;
    read_file(r);
}

void typed_put(struct typed *r, const char *text)
{
    char copy[TYPED_BYTES_MAX + 1];
    size_t at = 0;
    if (!fits(str_c(text)))
        return;
    str_copy(copy, sizeof copy, str_c(text)); /* it may be one of the list itself */
    read_file(r);
    while (at < r->count && strcmp(r->texts[at], copy) != 0)
        at++;
    if (at == r->count)
        at = r->count < TYPED_MAX ? r->count++ : TYPED_MAX - 1;
    memmove(r->texts[1], r->texts[0], at * sizeof r->texts[0]);
    str_copy(r->texts[0], sizeof r->texts[0], str_c(copy));
    r->back = 0;
    write_file(r);
}

void typed_rewind(struct typed *r, const char *text)
{
    r->back = r->count && strcmp(r->texts[0], text) == 0;
}

const char *typed_step(struct typed *r, bool earlier)
{
    if (earlier ? r->back == r->count : r->back == 0)
        return NULL;
    r->back += earlier ? 1 : -(size_t)1;
    return r->back ? r->texts[r->back - 1] : "";
}
