/* sse.c: see sse.h. Two steps: sse_scan() looks at each byte once and finds where an event ends,
 * whatever the cuts; only then are its lines read, in place.
 *
 * Invariants: drop ≤ scanned ≤ in.n; bytes before `drop` were reported (they stay until the next
 * feed, because the last event points to them); `ready`, when not 0, is the end of a finished event that
 * was found early and not reported yet. */
#include "proxy/sse.h"

#include "store/base/err.h"

#define KEEP_BYTES ((size_t)64 << 10) /* an emptied buffer above this is given back */

void sse_init(struct sse *s, size_t max_event)
{
    *s = (struct sse){.max_event = max_event};
    buf_init(&s->in, BUF_NO_LIMIT); /* max_event is watched by sse_feed() */
    buf_init(&s->joined, BUF_NO_LIMIT);
}

void sse_fini(struct sse *s)
{
    buf_fini(&s->in);
    buf_fini(&s->joined);
}

static void sse_compact(struct sse *s)
{
    if (s->drop == 0)
        return;
    if (s->drop == s->in.n && s->in.cap > KEEP_BYTES) {
        buf_fini(&s->in);
        buf_init(&s->in, BUF_NO_LIMIT);
    } else {
        buf_drop(&s->in, s->drop);
    }
    s->scanned -= s->drop;
    s->ready -= s->ready ? s->drop : 0;
    s->drop = 0;
}

/* False while the bytes so far may still become a BOM. */
static bool sse_skip_bom(struct sse *s)
{
    static const char bom[3] = "\xef\xbb\xbf";
    size_t n = MIN(s->in.n, sizeof bom);
    if (memcmp(s->in.p, bom, n) == 0) {
        if (n < sizeof bom)
            return false;
        s->scanned = s->lead = sizeof bom;
    }
    s->started = true;
    return true;
}

static size_t sse_line_end(const char *p, size_t from, size_t n)
{
    const char *lf = memchr(p + from, '\n', n - from);
    size_t end = lf ? (size_t)(lf - p) : n;
    const char *cr = memchr(p + from, '\r', end - from);
    return cr ? (size_t)(cr - p) : end;
}

/* Offset behind the next event, or 0 when it isn't complete. */
static size_t sse_scan(struct sse *s)
{
    const char *p = s->in.p;
    size_t n = s->in.n;
    if (!s->started && (n == 0 || !sse_skip_bom(s)))
        return 0;
    while (s->scanned < n) {
        char c = p[s->scanned];
        if (s->after_cr && c == '\n') {
            if (s->scanned == s->drop)
                s->lead = 1;
            s->after_cr = false;
            s->scanned++;
            continue;
        }
        s->after_cr = false;
        if (c != '\n' && c != '\r') {
            s->line_used = true;
            s->scanned = sse_line_end(p, s->scanned, n);
            continue;
        }
        bool blank = !s->line_used;
        s->line_used = false;
        s->scanned++;
        if (c == '\r' && s->scanned < n && p[s->scanned] == '\n')
            s->scanned++;
        else
            s->after_cr = c == '\r';
        if (blank)
            return s->scanned;
    }
    return 0;
}

static void sse_add_data(struct sse *s, struct sse_event *ev, struct str value)
{
    if (!ev->has_data) {
        ev->has_data = true;
        ev->data = value;
        return;
    }
    if (s->joined.n == 0)
        buf_put_str(&s->joined, ev->data);
    buf_putc(&s->joined, '\n');
    buf_put_str(&s->joined, value);
    ev->data = buf_str(&s->joined);
}

static void sse_read_line(struct sse *s, struct sse_event *ev, struct str line)
{
    if (line.n == 0 || line.p[0] == ':')
        return;
    ev->only_comment = false;
    struct str name = line, value = STR("");
    ptrdiff_t colon = str_chr(line, ':');
    if (colon >= 0) {
        name = str_first(line, (size_t)colon);
        value = str_from(line, (size_t)colon + 1);
        if (value.n > 0 && value.p[0] == ' ')
            value = str_from(value, 1);
    }
    if (str_eq(name, STR("data")))
        sse_add_data(s, ev, value);
    else if (str_eq(name, STR("event")))
        ev->name = value;
    else if (str_eq(name, STR("id")) && (value.n == 0 || !memchr(value.p, '\0', value.n)))
        ev->id = value; /* WHATWG: an id that holds NUL is ignored */
}

/* Reports the bytes from `drop` to `end` as one event. */
static void sse_report(struct sse *s, size_t end, struct sse_event *ev)
{
    const char *p = s->in.p;
    *ev = (struct sse_event){
        .raw = {p + s->drop, end - s->drop}, .name = STR(""), .data = STR(""), .id = STR(""),
        .only_comment = !s->released};
    buf_reset(&s->joined);
    for (size_t at = s->drop + s->lead; !s->released && at < end;) {
        size_t stop = sse_line_end(p, at, end);
        sse_read_line(s, ev, str_n(p + at, stop - at));
        at = stop + 1;
        if (stop + 1 < end && p[stop] == '\r' && p[stop + 1] == '\n')
            at++;
    }
    s->overflow = s->overflow || ev->raw.n > s->max_event;
    if (s->joined.err) { /* no memory to join the lines: what can't be read is told as too large */
        s->overflow = true;
        ev->data = STR("");
    }
    s->drop = s->scanned = end;
    s->lead = 0;
    s->released = false;
}

int sse_feed(struct sse *s, struct str bytes)
{
    sse_compact(s);
    buf_put_str(&s->in, bytes);
    if (s->in.err)
        return s->in.err;
    if (s->in.n <= s->max_event || s->released || s->ready != 0)
        return 0;
    s->ready = sse_scan(s);
    if (s->ready != 0)
        return 0;
    s->overflow = true;
    return -ERR_LIMIT;
}

bool sse_next(struct sse *s, struct sse_event *ev)
{
    size_t end = s->ready ? s->ready : sse_scan(s);
    s->ready = 0;
    if (end == 0)
        return false;
    sse_report(s, end, ev);
    return true;
}

bool sse_finish(struct sse *s, struct sse_event *ev)
{
    if (s->drop == s->in.n)
        return false;
    sse_report(s, s->in.n, ev);
    return true;
}

struct str sse_pending(const struct sse *s)
{
    return (struct str){s->in.p ? s->in.p + s->drop : NULL, s->in.n - s->drop};
}

void sse_release(struct sse *s)
{
    if (s->ready == 0 && s->scanned < s->in.n)
        s->ready = sse_scan(s);
    if (s->ready != 0)
        return; /* no event is under way: the bytes held are whole events */
    s->released = s->released || s->in.n - s->drop > s->lead;
    s->overflow = false;
    s->started = s->started || s->in.n > 0;
    s->drop = s->scanned = s->in.n;
    s->lead = 0;
}
