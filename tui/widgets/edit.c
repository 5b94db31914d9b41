/* edit.c: see edit.h. */
#include "tui/widgets/edit.h"

#include "store/base/utf8.h"
#include "tui/clean.h"

void edit_set(struct edit *e, const char *text)
{
    str_copy(e->text, sizeof e->text, str_c(text));
    e->n = e->at = strlen(e->text);
    e->offered = false;
}

void edit_offer(struct edit *e, const char *text)
{
    edit_set(e, text);
    e->offered = e->n > 0;
}

static size_t before(const struct edit *e)
{
    size_t at = e->at;
    while (at > 0 && ((unsigned char)e->text[--at] & 0xC0) == 0x80)
        ;
    return at;
}

static size_t after(const struct edit *e)
{
    size_t at = e->at < e->n ? e->at + 1 : e->n;
    while (at < e->n && ((unsigned char)e->text[at] & 0xC0) == 0x80)
        at++;
    return at;
}

static void cut(struct edit *e, size_t from, size_t to)
{
    memmove(e->text + from, e->text + to, e->n - to + 1);
    e->n -= to - from;
    e->at = from;
}

static void insert(struct edit *e, uint32_t cp)
{
    char bytes[4];
    unsigned n = utf8_encode(cp, bytes);
    if (e->offered)
        edit_set(e, "");
    if (e->n + n > EDIT_MAX)
        return;
    memmove(e->text + e->at + n, e->text + e->at, e->n - e->at + 1);
    memcpy(e->text + e->at, bytes, n);
    e->n += n;
    e->at += n;
}

static size_t word_before(const struct edit *e)
{
    size_t at = e->at;
    while (at > 0 && e->text[at - 1] == ' ')
        at--;
    while (at > 0 && e->text[at - 1] != ' ')
        at--;
    return at;
}

static bool edit_moved(struct edit *e, int key)
{
    switch (key) {
    case KEY_N_LEFT:
        e->at = before(e);
        return true;
    case KEY_N_RIGHT:
        e->at = after(e);
        return true;
    case KEY_N_HOME:
    case 1: /* ^A */
        e->at = 0;
        return true;
    case KEY_N_END:
    case 5: /* ^E */
        e->at = e->n;
        return true;
    case KEY_N_BACKSPACE:
        cut(e, before(e), e->at);
        return true;
    case KEY_N_DELETE:
    case 4: /* ^D */
        cut(e, e->at, after(e));
        e->at = MIN(e->at, e->n);
        return true;
    case 21: /* ^U */
        cut(e, 0, e->at);
        return true;
    case 11: /* ^K */
        cut(e, e->at, e->n);
        return true;
    case 23: /* ^W */
        cut(e, word_before(e), e->at);
        return true;
    default:
        return false;
    }
}

bool edit_key(struct edit *e, int key)
{
    if (edit_moved(e, key)) {
        e->offered = false; /* taken up: from now on it is edited */
        return true;
    }
    if (key < ' ' || key >= 0x110000 || utf8_class((uint32_t)key) == UTF8_CONTROL)
        return false;
    insert(e, (uint32_t)key);
    return true;
}

void edit_draw(const struct edit *e, int y, int x, int width, enum role role, struct app *a)
{
    int cursor = (int)clean_columns(str_n(e->text, e->at), ui_ascii());
    int skip = cursor >= width ? cursor - width + 1 : 0;
    ui_fill((struct rect){y, x, 1, width}, role);
    ui_text_from(y, x, width, role, str_n(e->text, e->n), skip);
    app_cursor(a, y, x + cursor - skip);
}
