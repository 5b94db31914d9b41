/* secret_said.c: see secret_said.h.
 *
 *     answer ──scan: strings, with the names and indices above them──▶ notes of one event
 *     notes ──decoded──▶ joins, one for each place ──secret_find()──▶ runs ──▶ asterisks in the answer
 *
 * The scanner takes any text: it follows brackets and quotes and does not ask for good JSON, since
 * answers are cut off and streams are broken. What it does not see is still looked through as plain
 * letters. An index may stand behind the text that it belongs to: so strings are noted, and sorted
 * into joins when their event is over. */
#include "store/base/secret_said.h"

#include "store/base/err.h"
#include "store/base/secret.h"
#include "store/base/secret_join.h"

#include <stdlib.h>

enum {
    JOINS = 32,
    JOIN_BYTES = 16 << 10, /* then its finished part is looked through and forgotten */
    JOIN_RUNS = 8 << 10,
    DEPTH = 64,            /* strings nested deeper are not joined */
    FRAMES = 512,
    NOTES = 512,
    HOLD_BYTES = 128 << 10,
    HOLD_EVENTS = 16 /* that go on elsewhere: then nobody waits for the rest of a word */
};

struct place {
    struct join join;
    uint64_t id;
    uint64_t used;  /* for who goes first when there is no room */
    uint64_t event; /* that went on with it */
    bool spoken;    /* it stands under a name that text is said under */
};

struct frame { /* an object or an array of the event */
    uint64_t path;     /* names from the outside to here */
    uint64_t marks;    /* indices in it */
    struct str name;   /* that it stands under; an array's hold for its elements */
    struct str key;    /* of the member under way */
    uint32_t parent;
    uint32_t elements;
    bool array;
    bool alternatives; /* its elements don't follow each other */
};

struct note {
    uint64_t path;
    uint32_t frame, from, n;
    bool spoken, number;
};

struct said {
    char *p;
    size_t n;
    size_t found;
    bool failed, by_element;
    uint64_t clock, event;
    struct place places[JOINS];
    struct frame frames[FRAMES];
    struct note notes[NOTES];
    uint32_t frame_count, note_count;
    uint32_t open[DEPTH]; /* the frames around where we are; [0] is around the event itself */
    uint32_t depth, too_deep;
};

static uint64_t mix(uint64_t a, uint64_t b)
{
    a = (a ^ b) * 0x9e3779b97f4a7c15u;
    return a ^ a >> 29;
}

static bool one_of(struct str s, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(s, str_c(names[i])))
            return true;
    return false;
}

/* Names that models speak under, in any dialect. What stands under other names (ids, models, kinds)
 * comes again with each event, so that its end is never the end of a word: nobody waits for it. */
static bool is_spoken(struct str name)
{
    static const char *const names[] = {"content", "text", "delta", "partial_json", "arguments",
        "thinking", "reasoning", "reasoning_content", "reasoning_text", "refusal", "transcript",
        "token", "tokens", "bytes", "completion", "input", "code", "summary", "stringValue"};
    return one_of(name, names, ARRAY_LEN(names));
}

static bool is_index(struct str name)
{
    static const char *const names[] = {"index", "output_index", "content_index", "summary_index",
        "item_id"};
    return one_of(name, names, ARRAY_LEN(names));
}

static bool are_alternatives(struct str name)
{
    static const char *const names[] = {"choices", "candidates", "top_logprobs"};
    return one_of(name, names, ARRAY_LEN(names));
}

static void begin_event(struct said *s)
{
    s->frames[0] = (struct frame){.path = 1};
    s->frame_count = 1;
    s->open[0] = s->depth = s->too_deep = 0;
}

static void place_look(struct said *s, struct place *at, size_t n)
{
    if (n)
        s->found += join_cover(&at->join, n, 1);
}

static void place_leave(struct said *s, struct place *at)
{
    place_look(s, at, at->join.text.n);
    buf_reset(&at->join.text);
    buf_reset(&at->join.runs);
}

static struct place *place_of(struct said *s, uint64_t id)
{
    struct place *oldest = &s->places[0];
    for (size_t i = 0; i < JOINS; i++) {
        struct place *at = &s->places[i];
        if (at->used && at->id == id)
            return at;
        if (at->used < oldest->used)
            oldest = at;
    }
    place_leave(s, oldest);
    oldest->id = id;
    oldest->spoken = false;
    return oldest;
}

/* Sorts what was noted into the joins. */
static void sort_notes(struct said *s)
{
    for (uint32_t i = 0; i < s->note_count; i++) {
        const struct note *note = &s->notes[i];
        uint64_t id = note->path;
        for (uint32_t f = note->frame; f; f = s->frames[f].parent)
            id = mix(id, s->frames[f].marks);
        struct place *at = place_of(s, id);
        at->used = ++s->clock;
        at->event = s->event;
        at->spoken |= note->spoken;
        if (note->number) {
            int64_t code = 0;
            char letter = str_to_i64(str_n(s->p + note->from, note->n), &code) && code >= 0x20 &&
                          code < 0x7f ? (char)code : '\1';
            join_put(&at->join, &letter, 1, note->from, note->n);
        } else {
            join_decode(&at->join, note->from, note->n);
        }
        s->failed |= join_failed(&at->join);
        if (at->join.text.n < JOIN_BYTES && join_runs(&at->join) < JOIN_RUNS)
            continue;
        size_t whole = s->failed ? 0 : join_whole(&at->join, 1);
        place_look(s, at, whole);
        if (whole && whole < at->join.text.n)
            join_drop(&at->join, whole);
        else if (whole)
            place_leave(s, at);
    }
    s->note_count = 0;
}

/* Makes room: what was noted goes to its joins, and only the frames around us stay. */
static void make_room(struct said *s)
{
    sort_notes(s);
    for (uint32_t i = 1; i <= s->depth; i++) {
        s->frames[i] = s->frames[s->open[i]];
        s->frames[i].parent = i - 1;
        s->open[i] = i;
    }
    s->frame_count = s->depth + 1;
}

static uint64_t path_in(const struct frame *f)
{
    if (!f->array)
        return mix(f->path, str_hash(f->key));
    return mix(f->path, f->alternatives ? f->elements + 2 : 1);
}

static void open_frame(struct said *s, bool array)
{
    if (s->depth + 1 == DEPTH || s->too_deep) {
        s->too_deep++;
        return;
    }
    if (s->frame_count == FRAMES)
        make_room(s);
    const struct frame *in = &s->frames[s->open[s->depth]];
    struct str name = in->array ? in->name : in->key;
    struct frame *f = &s->frames[s->frame_count];
    *f = (struct frame){.path = path_in(in), .name = name, .parent = s->open[s->depth], .array = array,
        .alternatives = array && are_alternatives(name)};
    s->open[++s->depth] = s->frame_count++;
}

static void close_frame(struct said *s)
{
    if (s->too_deep)
        s->too_deep--;
    else if (s->depth)
        s->depth--;
}

static void note(struct said *s, size_t from, size_t n, bool number)
{
    if (s->too_deep)
        return;
    if (s->note_count == NOTES)
        make_room(s);
    struct frame *f = &s->frames[s->open[s->depth]];
    struct str name = f->array ? f->name : f->key;
    if (!f->array && is_index(name))
        f->marks ^= mix(str_hash(name), str_hash(str_n(s->p + from, n)));
    if (number && !(f->array && str_eq(name, STR("bytes"))))
        return;
    s->notes[s->note_count++] = (struct note){.path = path_in(f), .frame = s->open[s->depth],
        .from = (uint32_t)from, .n = (uint32_t)n, .spoken = is_spoken(name), .number = number};
}

/* Completions name the alternatives of a token by the tokens themselves: {" sk":-0.1," the":-3.2}. */
static void note_key(struct said *s, size_t from, size_t n)
{
    if (s->note_count == NOTES)
        make_room(s);
    uint32_t at = s->open[s->depth];
    const struct frame *f = &s->frames[at], *list = &s->frames[f->parent];
    s->notes[s->note_count++] = (struct note){.path = mix(list->path, f->elements + 2),
        .frame = f->parent, .from = (uint32_t)from, .n = (uint32_t)n};
}

/* The end of the string that begins behind the quote before `at`: its closing quote, or `end`. */
static size_t string_end(const char *p, size_t at, size_t end)
{
    while (at < end) {
        const char *quote = memchr(p + at, '"', end - at);
        size_t stop = quote ? (size_t)(quote - p) : end, back = stop;
        while (back > at && p[back - 1] == '\\')
            back--;
        if (stop == end || (stop - back) % 2 == 0)
            return stop;
        at = stop + 1;
    }
    return end;
}

static size_t take_string(struct said *s, size_t at, size_t end)
{
    size_t stop = string_end(s->p, at, end), next = stop + 1;
    while (next < end && strchr(" \t\r\n", s->p[next]))
        next++;
    struct frame *f = &s->frames[s->open[s->depth]];
    if (next < end && s->p[next] == ':' && !f->array) {
        f->key = str_n(s->p + at, stop - at);
        if (s->frames[f->parent].alternatives && !s->too_deep)
            note_key(s, at, stop - at);
        return next + 1;
    }
    note(s, at, stop - at, false);
    return stop + 1;
}

static size_t take_number(struct said *s, size_t at, size_t end)
{
    size_t stop = at;
    while (stop < end && s->p[stop] >= '0' && s->p[stop] <= '9')
        stop++;
    note(s, at, stop - at, true);
    return stop;
}

/* Brackets, strings and numbers of [at, end). An element of the outermost array, and a value outside
 * of everything, is an event. */
static void take(struct said *s, size_t at, size_t end)
{
    while (at < end) {
        char c = s->p[at];
        if (c == '"') {
            at = take_string(s, at + 1, end);
            continue;
        }
        if (c >= '0' && c <= '9') {
            at = take_number(s, at, end);
            continue;
        }
        if (c == '{' || c == '[')
            open_frame(s, c == '[');
        else if (c == ',')
            s->frames[s->open[s->depth]].elements++;
        else if (c == '}' || c == ']')
            close_frame(s);
        if ((c == '}' || c == ',') && (s->depth == 0 || (s->depth == 1 && s->frames[s->open[1]].array))) {
            make_room(s);
            s->event += s->by_element && c == '}';
        }
        at++;
    }
}

/* Looks through windows that double: a text of \r alone isn't searched to its end for each \n. */
static size_t line_end(const char *p, size_t at, size_t n)
{
    for (size_t window = 256;; window *= 2) {
        size_t look = MIN(window, n - at);
        const char *lf = memchr(p + at, '\n', look);
        size_t end = lf ? (size_t)(lf - p) : at + look;
        const char *cr = memchr(p + at, '\r', end - at);
        if (cr || lf || end == n)
            return cr ? (size_t)(cr - p) : end;
    }
}

static bool is_data(const char *p, size_t n)
{
    return n >= 5 && memcmp(p, "data:", 5) == 0;
}

/* Does a stream of events begin here, or go on here? */
static bool is_events(const char *p, size_t n)
{
    size_t at = n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    while (at < n) {
        size_t end = line_end(p, at, n);
        if (is_data(p + at, end - at) || (end - at >= 6 && memcmp(p + at, "event:", 6) == 0))
            return true;
        if (end > at && (p[at] == '{' || p[at] == '['))
            return false;
        at = end + 1;
    }
    return false;
}

static void take_events(struct said *s)
{
    size_t at = s->n >= 3 && memcmp(s->p, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    while (at < s->n) {
        size_t end = line_end(s->p, at, s->n);
        if (is_data(s->p + at, end - at))
            take(s, at + 5, end);
        bool blank = end == at;
        at = end + 1;
        if (end + 1 < s->n && s->p[end] == '\r' && s->p[end + 1] == '\n')
            at++;
        if (blank && end < s->n) {
            sort_notes(s);
            begin_event(s);
            s->event++;
        }
    }
    sort_notes(s);
}

static struct said *said_new(char *p, size_t n)
{
    struct said *s = n < UINT32_MAX ? malloc(sizeof *s) : NULL;
    if (!s)
        return NULL;
    s->p = p;
    s->n = n;
    s->found = s->clock = s->event = 0;
    s->failed = s->by_element = false;
    s->note_count = 0;
    for (size_t i = 0; i < JOINS; i++) {
        s->places[i] = (struct place){0};
        join_init(&s->places[i].join, p, NULL);
    }
    begin_event(s);
    return s;
}

static void said_free(struct said *s)
{
    for (size_t i = 0; i < JOINS; i++)
        join_fini(&s->places[i].join);
    free(s);
}

/* ---- the doors ------------------------------------------------------------------------------ */

int secret_redact_said(char *p, size_t n, bool cut)
{
    if (n < SECRET_VALUE_MIN)
        return 0;
    struct said *s = said_new(p, n);
    if (!s)
        return -ERR_NOMEM;
    if (is_events(p, n)) {
        take_events(s);
    } else {
        take(s, 0, n);
        sort_notes(s);
    }
    for (size_t i = 0; i < JOINS && !s->failed; i++) {
        struct join *j = &s->places[i].join;
        size_t all = j->text.n, whole = cut && all ? join_whole(j, 1) : all;
        place_look(s, &s->places[i], all);
        if (s->places[i].spoken && all - whole > 4) { /* half a secret would not be known as one */
            join_hide(j, whole + 4, all - whole - 4);
            s->found++;
        }
    }
    size_t found = s->found + secret_redact(p, n);
    int rc = s->failed ? -ERR_NOMEM : (int)MIN(found, (size_t)INT32_MAX);
    said_free(s);
    return rc;
}

/* The start of the event that the byte at `at` lies in: behind a line end behind a line end. */
static size_t event_start(const char *p, size_t at)
{
    for (; at >= 2; at--) {
        size_t before = at - 1 - (at > 2 && p[at - 1] == '\n' && p[at - 2] == '\r');
        if ((p[at - 1] == '\n' || p[at - 1] == '\r') && (p[before - 1] == '\n' || p[before - 1] == '\r'))
            return at;
    }
    return 0;
}

/* The same of an element of the outermost array, or of a value outside of everything; where all of them
 * are whole, `at`. */
static size_t element_start(const char *p, size_t at)
{
    size_t last = 0, begin = 0;
    while (begin < at && strchr(" \t\r\n,", p[begin]))
        begin++;
    int64_t depth = 0, outside = begin < at && p[begin] == '[';
    for (size_t i = begin; i < at; i++) {
        if (p[i] == '"')
            i = string_end(p, i + 1, at);
        else if (p[i] == '{' || p[i] == '[')
            depth++;
        else if (p[i] == '}' || p[i] == ']')
            depth--;
        if (i < at && p[i] != '"' && depth <= outside)
            last = i + 1;
    }
    return last;
}

/* Does JSON begin here, or go on between two of its elements? */
static bool is_json(struct str text)
{
    struct str start = str_trim(text);
    return start.n && strchr("[{,", start.p[0]);
}

/* A text without events, letters escaped or not. */
static size_t letters_passing(char *p, size_t n)
{
    struct join j;
    size_t whole = join_half_escape(str_n(p, n));
    join_init(&j, p, NULL);
    join_decode(&j, 0, whole);
    size_t letters = j.text.n ? join_whole(&j, 1) : 0;
    if (join_failed(&j))
        whole = 0;
    else if (letters < j.text.n)
        whole = join_source(&j, letters);
    join_fini(&j);
    return whole;
}

/* Events, or the elements of an array and lines of JSON: whole ones alone, and none that a secret may
 * have begun in. */
static size_t pieces_passing(char *p, size_t n, bool events)
{
    size_t (*start_of)(const char *p, size_t at) = events ? event_start : element_start;
    size_t whole = start_of(p, n);
    struct said *s = said_new(p, whole);
    if (!s)
        return 0;
    s->by_element = !events;
    if (events) {
        take_events(s);
    } else {
        take(s, 0, whole);
        sort_notes(s);
    }
    for (size_t i = 0; i < JOINS && !s->failed; i++) {
        struct join *j = &s->places[i].join;
        bool going_on = s->places[i].spoken && s->event - s->places[i].event <= HOLD_EVENTS;
        size_t open = going_on && j->text.n ? join_whole(j, 1) : j->text.n;
        if (open < j->text.n)
            whole = MIN(whole, start_of(p, join_source(j, open)));
        place_look(s, &s->places[i], open);
    }
    if (s->failed)
        whole = 0;
    said_free(s);
    return whole;
}

size_t secret_redact_passing(char *p, size_t n)
{
    static const struct str bom = {"\xef\xbb\xbf", 3};
    struct str start = str_n(p, n);
    if (str_starts(start, bom))
        start = str_from(start, 3);
    if (str_starts(bom, start) || str_starts(STR("data:"), start) || str_starts(STR("event:"), start))
        return 0; /* what it is will be seen */
    bool events = is_events(p, n);
    size_t whole = events || is_json(start) ? pieces_passing(p, n, events) : letters_passing(p, n);
    if (n - whole > HOLD_BYTES) /* nobody waits so long */
        whole = secret_redact_said(p, n, true) < 0 ? 0 : n;
    secret_redact(p, whole);
    return whole;
}

size_t secret_redact_escaped(char *p, size_t n)
{
    size_t found = 0;
    if (!join_holds_escape(p, n))
        return 0;
    struct join j;
    join_init(&j, p, NULL);
    join_decode(&j, 0, n);
    if (!join_failed(&j))
        found = join_cover(&j, j.text.n, 1);
    else
        memset(p, '*', n); /* unseen is unshown */
    join_fini(&j);
    return found;
}
