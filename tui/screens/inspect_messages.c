/* inspect_messages.c: the Messages tab: a conversation in one readable form whatever its dialect, as it
 * was written, or beside what the provider was told.
 *
 * What a person looks for comes first: what was there in the request before is folded, thinking too, and
 * beside what was sent a message that was not changed is one line. Enter unfolds all of it. The gateway
 * makes the form (admin's messages.c): no dialect is known here. */
#include "tui/screens/inspector.h"

#include "store/base/utf8.h"

#include <stdio.h>

enum { ARENA_MAX = 80 << 20, GIST = 60, SIDE_LEAST = 12 };

/* ---- one form ---- */

static bool is_thinking(struct str type)
{
    return str_eq(type, STR("thinking"));
}

/* "▸ thought 1,204 bytes: The person wants…" */
static void lay_thought(struct text *t, struct str text)
{
    struct str gist = str_first(text, GIST);
    ptrdiff_t line = str_chr(gist, '\n');
    while (gist.n && gist.n < text.n && ((unsigned char)text.p[gist.n] & 0xc0) == 0x80)
        gist.n--;
    if (line >= 0)
        gist = str_first(gist, (size_t)line);
    text_printf(t, ROLE_DIM, "▸ thought %zu bytes: " STR_FMT "%s", text.n, STR_ARG(gist),
        gist.n < text.n ? "… (Enter unfolds)" : "");
}

static void lay_part(struct text *t, struct str part, bool unfolded, struct arena *a)
{
    struct str type = json_get_str(part, STR("type"), a), text = json_get_str(part, STR("text"), a);
    struct str name = json_get_str(part, STR("name"), a);
    bool error = json_is_true(json_get(part, STR("error")));
    if (is_thinking(type) && !unfolded) {
        lay_thought(t, text);
        return;
    }
    if (type.n && !str_eq(type, STR("text")))
        text_printf(t, error ? ROLE_BAD : ROLE_ACCENT, "┄ " STR_FMT " ┄ " STR_FMT "%s",
            STR_ARG(type), STR_ARG(name), error ? " (error)" : "");
    if (text.n)
        text_put(t, is_thinking(type) ? ROLE_DIM : ROLE_TEXT, text);
}

static void lay_message(struct text *t, struct str message, bool unfolded)
{
    struct json_iter it;
    struct json_span k, v;
    struct arena a;
    arena_init(&a, 65536, ARENA_MAX);
    struct str role = json_get_str(message, STR("role"), &a);
    text_printf(t, str_eq(role, STR("error")) ? ROLE_BAD : ROLE_HEADING, "── " STR_FMT " ──",
        STR_ARG(role));
    it = json_iter(json_get(message, STR("parts")).raw);
    while (json_next(&it, &k, &v))
        lay_part(t, v.raw, unfolded, &a);
    arena_fini(&a);
}

static void lay_note(struct text *t, struct str said, const char *member)
{
    struct arena a;
    arena_init(&a, 1024, 65536);
    struct str note = json_get_str(said, str_c(member), &a);
    if (note.n)
        text_put(t, ROLE_WARN, note);
    arena_fini(&a);
}

static void lay_readable(struct inspector *i, struct str said)
{
    struct text *t = &i->text;
    struct json_iter it = json_iter(json_get(said, STR("messages")).raw);
    struct json_span k, v;
    size_t folded = 0, n = 0;
    lay_note(t, said, "cache_note");
    for (; json_next(&it, &k, &v); n++) {
        if (json_is_true(json_get(v.raw, STR("same_as_before"))) && !i->unfolded) {
            folded++;
            continue;
        }
        if (folded)
            text_printf(t, ROLE_DIM, "▸ %zu messages as before (Enter unfolds)", folded);
        folded = 0;
        lay_message(t, v.raw, i->unfolded);
    }
    if (folded)
        text_printf(t, ROLE_DIM, "▸ %zu messages as before (Enter unfolds)", folded);
    if (!n)
        text_add(
            t, ROLE_DIM, "no readable messages: the body was not kept, or is of a kind not known");
    if (json_is_true(json_get(said, STR("cut"))))
        text_add(t, ROLE_WARN, "… cut: the request was longer than what is kept");
}

static void lay_raw(struct inspector *i)
{
    if (!inspect_have_detail(i))
        return;
    text_add(&i->text, ROLE_HEADING, "── request, as the client wrote it ──");
    inspect_lay_body(i, "request", true);
    text_add(&i->text, ROLE_HEADING, "── answer, as the client read it ──");
    inspect_lay_body(i, "response", false);
}

/* ---- side by side ---- */

/* How many bytes of a line fit into that many columns; *used: the columns they take. */
static size_t fitting(struct str s, size_t columns, size_t *used)
{
    size_t at = 0;
    *used = 0;
    while (at < s.n) {
        uint32_t cp = 0;
        unsigned n = utf8_decode(s.p + at, s.n - at, &cp);
        unsigned wide = n ? utf8_width(cp) : 1;
        if (*used + wide > columns)
            break;
        *used += wide;
        at += n ? n : 1;
    }
    return at;
}

/* Cuts the next line of at most `columns` from a text of lines. False: there is none. */
static bool cut_row(struct str *s, size_t columns, struct str *row, size_t *used)
{
    if (!s->p || !s->n)
        return false;
    ptrdiff_t end = str_chr(*s, '\n');
    struct str line = end < 0 ? *s : str_first(*s, (size_t)end);
    size_t n = fitting(line, columns, used);
    n = n ? n : MIN(line.n, (size_t)1);
    *row = str_first(line, n);
    *s = str_from(*s, n == line.n && end >= 0 ? n + 1 : n);
    return true;
}

/* Two texts beside each other, each in its half. */
static void lay_pair(struct inspector *i, enum role role, struct str left, struct str right)
{
    size_t half = (size_t)MAX((i->width - 3) / 2, SIDE_LEAST);
    for (;;) {
        struct str l = STR(""), r = STR("");
        size_t used = 0, ignored = 0;
        bool more = cut_row(&left, half, &l, &used);
        more |= cut_row(&right, half, &r, &ignored);
        if (!more)
            return;
        text_printf(&i->text, role, STR_FMT "%*s │ " STR_FMT, STR_ARG(l), (int)(half - used), "",
            STR_ARG(r));
    }
}

/* A message as lines, tabs and all else that moves a column away. */
static void message_lines(struct str message, bool unfolded, struct buf *out)
{
    struct text t = {0};
    lay_message(&t, message, unfolded);
    for (size_t n = 0; n < t.line_count; n++) {
        for (size_t at = 0; at < t.lines[n].n; at++) {
            char c = t.bytes.p[t.lines[n].at + at];
            buf_putc(out, (unsigned char)c < ' ' ? ' ' : c);
        }
        buf_putc(out, '\n');
    }
    text_fini(&t);
}

static void lay_settings(struct inspector *i, struct str sent)
{
    struct json_iter it = json_iter(json_get(sent, STR("settings")).raw);
    struct json_span k, v;
    struct arena a;
    arena_init(&a, 4096, 1 << 20);
    while (json_next(&it, &k, &v)) {
        struct str name = json_get_str(v.raw, STR("name"), &a);
        struct str said = json_get_str(v.raw, STR("said"), &a);
        struct str told = json_get_str(v.raw, STR("sent"), &a);
        lay_pair(i, ROLE_WARN,
            arena_printf(&a, STR_FMT ": " STR_FMT, STR_ARG(name), STR_ARG(said.n ? said : STR("–"))),
            arena_printf(&a, STR_FMT ": " STR_FMT, STR_ARG(name), STR_ARG(told.n ? told : STR("–"))));
    }
    arena_fini(&a);
}

struct side {
    struct json_iter it;
    struct json_span message; /* the next one; JSON_NONE: no more */
};

static void step(struct side *s)
{
    struct json_span key;
    if (!json_next(&s->it, &key, &s->message))
        s->message = (struct json_span){JSON_NONE, {NULL, 0}};
}

static struct side side_of(struct str list)
{
    struct side s = {.it = json_iter(list)};
    step(&s);
    return s;
}

static struct json_span role_of(const struct side *s)
{
    return json_get(s->message.raw, STR("role"));
}

/* A message that only one side has stands alone: roles tell which. */
static bool goes_alone(const struct side *one, const struct side *other)
{
    struct side next = *one;
    if (one->message.type == JSON_NONE || other->message.type == JSON_NONE)
        return one->message.type != JSON_NONE;
    if (str_eq(role_of(one).raw, role_of(other).raw))
        return false;
    step(&next);
    return next.message.type == JSON_NONE || str_eq(role_of(&next).raw, role_of(other).raw);
}

static void lay_two(struct inspector *i, struct str left, struct str right)
{
    ptrdiff_t head = str_chr(left, '\n');
    if (!str_eq(left, right) || i->unfolded) {
        lay_pair(i, str_eq(left, right) ? ROLE_DIM : ROLE_TEXT, left, right);
        return;
    }
    text_printf(&i->text, ROLE_DIM, STR_FMT " as it was said (Enter unfolds)",
        STR_ARG(head < 0 ? left : str_first(left, (size_t)head)));
}

static void lay_sent_messages(struct inspector *i, struct str said, struct str sent)
{
    struct side left = side_of(json_get(said, STR("messages")).raw);
    struct side right = side_of(json_get(sent, STR("messages")).raw);
    struct buf l, r;
    buf_init(&l, TEXT_BYTES_MAX);
    buf_init(&r, TEXT_BYTES_MAX);
    while (right.message.type != JSON_NONE) { /* what is left over on the left is the answer */
        bool only_left = goes_alone(&left, &right), only_right = !only_left && goes_alone(&right, &left);
        buf_reset(&l);
        buf_reset(&r);
        if (!only_right && left.message.type != JSON_NONE) {
            message_lines(left.message.raw, true, &l);
            step(&left);
        }
        if (!only_left) {
            message_lines(right.message.raw, true, &r);
            step(&right);
        }
        lay_two(i, buf_str(&l), buf_str(&r));
    }
    buf_fini(&l);
    buf_fini(&r);
}

static void lay_sent(struct inspector *i, struct str said)
{
    struct json_span sent = json_get(said, STR("sent"));
    struct arena a;
    if (sent.type != JSON_OBJECT) {
        text_add(&i->text, ROLE_DIM,
            "the provider was asked in the client's own words: nothing was translated");
        return;
    }
    arena_init(&a, 4096, 1 << 20);
    struct str changed = json_get_str(sent.raw, STR("changed"), &a);
    struct str dialect = json_get_str(said, STR("dialect"), &a);
    struct str told = json_get_str(sent.raw, STR("dialect"), &a);
    struct str provider = json_get_str(sent.raw, STR("provider"), &a);
    text_printf(&i->text, changed.n ? ROLE_WARN : ROLE_DIM, "changed or left out: " STR_FMT,
        STR_ARG(changed.n ? changed : STR("nothing")));
    lay_pair(i, ROLE_HEADING, arena_printf(&a, "the client said (" STR_FMT ")", STR_ARG(dialect)),
        arena_printf(&a, STR_FMT " was told (" STR_FMT ")", STR_ARG(provider), STR_ARG(told)));
    lay_settings(i, sent.raw);
    lay_sent_messages(i, said, sent.raw);
    text_add(&i->text, ROLE_HEADING, "── the body that was sent ──");
    text_json(&i->text, json_get(sent.raw, STR("body")).raw);
    arena_fini(&a);
}

void inspect_lay_messages(struct inspector *i)
{
    if (!i->messages.n)
        text_add(&i->text, ROLE_DIM, "asking the gateway…");
    else if (i->said == MESSAGES_RAW)
        lay_raw(i);
    else if (i->said == MESSAGES_SENT)
        lay_sent(i, buf_str(&i->messages));
    else
        lay_readable(i, buf_str(&i->messages));
}
