/* transcript.c: see transcript.h. */
#include "tui/screens/transcript.h"

#include "store/base/array.h"

#include <stdio.h>
#include <stdlib.h>

enum { STALL_US = 300000 };

void transcript_reset(struct transcript *s)
{
    buf_fini(&s->bytes);
    free(s->events);
    *s = (struct transcript){0};
    buf_init(&s->bytes, TRANSCRIPT_BYTES_MAX);
}

void transcript_fini(struct transcript *s)
{
    buf_fini(&s->bytes);
    free(s->events);
    *s = (struct transcript){0};
}

void transcript_again(struct transcript *s)
{
    s->shown = 0;
    s->kind[0] = '\0';
}

static struct str at(const struct transcript *s, size_t from, size_t n)
{
    return str_n(s->bytes.p + from, n);
}

static void push(struct transcript *s, struct transcript_event e)
{
    if (s->count == TRANSCRIPT_EVENTS_MAX)
        s->full = true;
    if (s->full || !array_room(&s->events, &s->room, s->count, sizeof *s->events))
        return;
    if (s->count)
        s->max_gap_us = MAX(s->max_gap_us, e.us - s->events[s->count - 1].us);
    s->events[s->count++] = e;
}

/* With the fields' names around them, so that the raw form reads as what came. */
void transcript_add(struct transcript *s, int64_t us, struct str name, struct str data)
{
    struct transcript_event e = {.us = us, .name_n = name.n, .data_n = data.n};
    if (name.n)
        buf_puts(&s->bytes, "event: ");
    e.name_at = s->bytes.n;
    buf_put_str(&s->bytes, name);
    buf_puts(&s->bytes, name.n ? "\ndata: " : "data: ");
    e.data_at = s->bytes.n;
    buf_put_str(&s->bytes, data);
    buf_puts(&s->bytes, "\n\n");
    s->full = s->full || s->bytes.err;
    push(s, e);
    s->parsed = s->bytes.n;
    s->last_us = us;
}

/* One event's lines: the last `event:` and the first `data:` are what the providers send. */
static void parse_event(struct transcript *s, size_t from, size_t n, int64_t us)
{
    struct str block = at(s, from, n), line;
    struct transcript_event e = {.us = us};
    const char *base = s->bytes.p;
    while (str_cut(&block, '\n', &line)) {
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        ptrdiff_t colon = str_chr(line, ':');
        if (colon <= 0)
            continue;
        struct str field = str_first(line, (size_t)colon),
                   value = str_from(line, (size_t)colon + 1);
        if (value.n && value.p[0] == ' ')
            value = str_from(value, 1);
        if (str_eq(field, STR("event"))) {
            e.name_at = (size_t)(value.p - base);
            e.name_n = value.n;
        } else if (str_eq(field, STR("data")) && !e.data_n) {
            e.data_at = (size_t)(value.p - base);
            e.data_n = value.n;
        }
    }
    if (e.name_n || e.data_n)
        push(s, e);
}

/* The end of the event that begins at `from`: after an empty line. 0: not there yet. */
static size_t event_end(const struct transcript *s, size_t from)
{
    for (size_t i = from; i + 1 < s->bytes.n; i++) {
        if (s->bytes.p[i] != '\n')
            continue;
        if (s->bytes.p[i + 1] == '\n')
            return i + 2;
        if (i + 2 < s->bytes.n && s->bytes.p[i + 1] == '\r' && s->bytes.p[i + 2] == '\n')
            return i + 3;
    }
    return 0;
}

void transcript_feed(struct transcript *s, int64_t us, struct str bytes)
{
    size_t end;
    if (s->full)
        return;
    buf_put_str(&s->bytes, bytes);
    if (s->bytes.err) {
        s->full = true;
        return;
    }
    while ((end = event_end(s, s->parsed)) != 0) {
        parse_event(s, s->parsed, end - s->parsed, us);
        s->parsed = end;
    }
    s->last_us = us;
}

/* ---- what a person reads in an event ---- */

struct reading {
    const char *kind; /* "text", "thinking", "tool" */
    struct json_span text, name;
};

static bool take(struct reading *r, const char *kind, struct json_span text)
{
    if (text.type != JSON_STRING || text.raw.n <= 2)
        return false;
    r->kind = kind;
    r->text = text;
    return true;
}

static bool read_openai(struct str data, struct reading *r)
{
    struct str delta = json_path(data, "choices.0.delta").raw;
    struct str call = json_path(delta, "tool_calls.0.function").raw;
    if (!delta.n)
        return take(r, "text", json_path(data, "choices.0.text"));
    r->name = json_get(call, STR("name"));
    if (take(r, "tool", json_get(call, STR("arguments"))) || r->name.type == JSON_STRING) {
        r->kind = "tool";
        return true;
    }
    return take(r, "thinking", json_get(delta, STR("reasoning_content"))) ||
           take(r, "thinking", json_get(delta, STR("reasoning"))) ||
           take(r, "text", json_get(delta, STR("content"))) ||
           take(r, "refusal", json_get(delta, STR("refusal")));
}

static bool read_anthropic(struct str data, struct reading *r)
{
    struct str block = json_get(data, STR("content_block")).raw;
    struct str delta = json_get(data, STR("delta")).raw;
    if (block.n && json_text_eq(json_get(block, STR("type")), STR("tool_use"))) {
        r->kind = "tool";
        r->name = json_get(block, STR("name"));
        return true;
    }
    return take(r, "text", json_get(delta, STR("text"))) ||
           take(r, "thinking", json_get(delta, STR("thinking"))) ||
           take(r, "tool", json_get(delta, STR("partial_json")));
}

static bool read_responses(struct str data, struct reading *r)
{
    struct json_span type = json_get(data, STR("type")), delta = json_get(data, STR("delta"));
    if (json_text_eq(type, STR("response.output_item.added")) &&
        json_text_eq(json_path(data, "item.type"), STR("function_call"))) {
        r->kind = "tool";
        r->name = json_path(data, "item.name");
        return true;
    }
    if (json_text_eq(type, STR("response.function_call_arguments.delta")))
        return take(r, "tool", delta);
    if (json_text_eq(type, STR("response.output_text.delta")))
        return take(r, "text", delta);
    return str_find(type.raw, STR("reasoning")) >= 0 && take(r, "thinking", delta);
}

static bool read_event(struct str data, struct reading *r)
{
    *r = (struct reading){0};
    return read_openai(data, r) || read_anthropic(data, r) || read_responses(data, r) ||
           take(r, "text", json_path(data, "candidates.0.content.parts.0.text"));
}

static void show_text(struct transcript *s, struct text *t, const struct transcript_event *e)
{
    struct reading r;
    struct arena a;
    struct str data = at(s, e->data_at, e->data_n);
    if (!read_event(data, &r)) {
        if (json_get(data, STR("error")).type == JSON_OBJECT) {
            text_add(t, ROLE_BAD, "┄ error ┄");
            text_put(t, ROLE_BAD, data);
            s->kind[0] = '\0';
        }
        return;
    }
    arena_init(&a, 1024, 1 << 20);
    struct str name = json_text(r.name, &a);
    if (name.n || strcmp(s->kind, r.kind) != 0) {
        text_printf(t, ROLE_HEADING, "┄ %s ┄ " STR_FMT, r.kind, STR_ARG(name));
        text_add(t, ROLE_TEXT, "");
        str_copy(s->kind, sizeof s->kind, str_c(r.kind));
    }
    if (r.text.type == JSON_STRING)
        text_extend(t, ROLE_TEXT, json_text(r.text, &a));
    arena_fini(&a);
}

/* A delta is what it says, the rest as it came; the raw form has all of it. */
static void show_payload(struct text *t, struct str data)
{
    struct reading r;
    if (!read_event(data, &r)) {
        text_extend(t, ROLE_TEXT, str_first(data, 4096));
        return;
    }
    if (strcmp(r.kind, "text") != 0) {
        text_extend(t, ROLE_TEXT, str_c(r.kind));
        text_extend(t, ROLE_TEXT, STR(" "));
    }
    text_extend(t, ROLE_TEXT, str_first(r.name.raw, 200));
    text_extend(t, ROLE_TEXT, r.name.raw.n && r.text.raw.n ? STR(" ") : STR(""));
    text_extend(t, ROLE_TEXT, str_first(r.text.raw, 4096));
}

static void show_event(struct transcript *s, struct text *t, size_t i)
{
    const struct transcript_event *e = &s->events[i];
    int64_t gap = e->us - (i ? s->events[i - 1].us : 0);
    struct str name = at(s, e->name_at, e->name_n), data = at(s, e->data_at, e->data_n);
    if (!name.n)
        name = STR("message");
    bool stall = i && gap >= STALL_US;
    char line[96];
    snprintf(line, sizeof line, "%7lld%c %4zu  %-20.*s ", (long long)(gap / 1000),
        stall ? '!' : ' ', i + 1, (int)MIN(name.n, 20), name.p);
    text_put(t, stall ? ROLE_WARN : ROLE_TEXT, str_c(line));
    show_payload(t, data);
}

void transcript_text(struct transcript *s, struct text *t, enum transcript_form form)
{
    if (form == FORM_RAW) {
        if (s->bytes.n > s->shown)
            text_extend(t, ROLE_TEXT, at(s, s->shown, s->bytes.n - s->shown));
        s->shown = s->bytes.n;
        return;
    }
    if (form == FORM_EVENTS && !s->shown && s->count)
        text_add(t, ROLE_HEADING, "     Δms    #  event                payload");
    for (; s->shown < s->count; s->shown++)
        if (form == FORM_TEXT)
            show_text(s, t, &s->events[s->shown]);
        else
            show_event(s, t, s->shown);
    if (s->full && !s->ended) {
        text_add(t, ROLE_WARN, "… more than is kept here: export has it");
        s->ended = true;
    }
}

bool transcript_body(struct transcript *s, struct str body)
{
    if (!str_starts(body, STR("data:")) && !str_starts(body, STR("event:")))
        return false;
    transcript_feed(s, 0, body);
    transcript_feed(s, 0, STR("\n\n"));
    return true;
}

void transcript_plain(const struct transcript *s, struct buf *out)
{
    struct reading r;
    for (size_t i = 0; i < s->count; i++) {
        struct arena a;
        if (!read_event(at(s, s->events[i].data_at, s->events[i].data_n), &r) ||
            strcmp(r.kind, "text") != 0)
            continue;
        arena_init(&a, 1024, 1 << 20);
        buf_put_str(out, json_text(r.text, &a));
        arena_fini(&a);
    }
}
