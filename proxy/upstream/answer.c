/* answer.c: what curl hands us of an answer: its head line by line, then its body.
 *
 * The head is collected and judged whole: 1xx heads are skipped, a head that is too large, folded or
 * holds control bytes ends the call, since what we pass on must mean the same to every reader.
 * These run inside curl: they may call the owner, and the owner may pause or cancel, which only
 * leaves marks (see call.h). A paused call returns CURL_WRITEFUNC_PAUSE: curl keeps that piece. */
#include "proxy/upstream/call.h"

#include <stdlib.h>

#define DECODED_PIECE_BYTES 32768
#define HEAD_KEEP_BYTES 8192
/* What one entry into curl may hand on of a call: curl reads on up to 100 times while there is more, and
 * a provider that sends as fast as it can held a worker for milliseconds, a thousand of them for seconds. */
#define BURST_BYTES ((size_t)64 << 10)
#define BURST_BYTES_STREAMED ((size_t)16 << 10)

static void answer_drop_head(struct upstream_call *c, size_t keep_bytes)
{
    if (c->head.cap > keep_bytes)
        buf_fini(&c->head);
    buf_reset(&c->head);
}

void answer_reset(struct upstream_call *c)
{
    coding_free(c->coding);
    c->coding = NULL;
    answer_drop_head(c, HEAD_KEEP_BYTES);
    c->head_total = 0;
    c->status_seen = c->headed = c->body_unframed = false;
}

/* "HTTP/1.1 200 OK" → 200; 0 when it isn't that. */
static int answer_status(struct str line)
{
    ptrdiff_t blank = str_chr(line, ' ');
    uint64_t status;
    if (blank < 0)
        return 0;
    struct str code = str_first(str_from(line, (size_t)blank + 1), 3);
    struct str rest = str_from(line, (size_t)blank + 4);
    if (code.n != 3 || (rest.n > 0 && rest.p[0] != ' ') || !str_to_u64(code, &status))
        return 0;
    return status >= 100 && status <= 599 ? (int)status : 0;
}

/* One table for all calls: the owner copies what it keeps before its head() returns. */
static struct http_header *answer_add(struct upstream *u, size_t n)
{
    if (n == u->header_cap) {
        size_t cap = MAX(n * 2, (size_t)32);
        struct http_header *more = realloc(u->headers, cap * sizeof *more);
        if (!more)
            return NULL;
        u->headers = more;
        u->header_cap = cap;
    }
    return &u->headers[n];
}

/* The lines behind the status line, in place. False: the call has failed. */
static bool answer_split(struct upstream_call *c, struct str lines, size_t *count)
{
    struct str line;
    *count = 0;
    while (str_cut(&lines, '\n', &line)) {
        if (line.n > 0 && line.p[line.n - 1] == '\r')
            line.n--;
        if (line.n == 0)
            continue;
        ptrdiff_t colon = str_chr(line, ':');
        struct str name = str_first(line, colon < 0 ? 0 : (size_t)colon);
        if (!str_is_token(name) || !str_is_field(line)) {
            call_fail(c, UPSTREAM_MALFORMED, "header line %zu of the answer is malformed",
                *count + 1);
            return false;
        }
        struct http_header *h = answer_add(c->u, *count);
        if (!h) {
            call_fail(c, UPSTREAM_INTERNAL, "no memory for the answer's headers");
            return false;
        }
        *h = (struct http_header){name, str_trim(str_from(line, (size_t)colon + 1))};
        ++*count;
    }
    return true;
}

struct framing {
    struct str length;
    bool chunked, other_coding, conflict;
    struct str encoding;
};

static struct framing answer_framing(const struct http_header *h, size_t n)
{
    struct framing f = {0};
    for (size_t i = 0; i < n; i++) {
        if (str_eq_nocase(h[i].name, STR("content-length"))) {
            f.conflict |= f.length.p && !str_eq(f.length, h[i].value);
            f.length = h[i].value;
        } else if (str_eq_nocase(h[i].name, STR("transfer-encoding"))) {
            f.conflict |= f.chunked || f.other_coding;
            f.chunked = str_eq_nocase(h[i].value, STR("chunked"));
            f.other_coding = !f.chunked;
        } else if (str_eq_nocase(h[i].name, STR("content-encoding"))) {
            f.conflict |= f.encoding.n > 0;
            f.encoding = h[i].value;
        }
    }
    return f;
}

/* Sets up decoding; the headers that described the coded body are taken out. */
static bool answer_set_coding(struct upstream_call *c, struct str coding, size_t *n)
{
    if (coding.n == 0 || str_eq_nocase(coding, STR("identity")))
        return true;
    if (!str_eq_nocase(coding, STR("gzip")) && !str_eq_nocase(coding, STR("x-gzip"))) {
        call_fail(c, UPSTREAM_CODING, "the answer came in a content coding that was not asked for");
        return false;
    }
    c->coding = coding_new(c->u->config.decoded_bytes, c->u->config.decoded_ratio);
    if (!c->coding) {
        call_fail(c, UPSTREAM_INTERNAL, "no memory to decode the answer");
        return false;
    }
    size_t kept = 0;
    for (size_t i = 0; i < *n; i++)
        if (!str_eq_nocase(c->u->headers[i].name, STR("content-encoding")) &&
            !str_eq_nocase(c->u->headers[i].name, STR("content-length")))
            c->u->headers[kept++] = c->u->headers[i];
    *n = kept;
    return true;
}

/* The blank line was reached. */
static bool answer_head_done(struct upstream_call *c)
{
    struct str all = buf_str(&c->head), line;
    if (!str_cut(&all, '\n', &line))
        line = STR("");
    int status = answer_status(str_trim(line.n && line.p[line.n - 1] == '\r'
                                            ? str_first(line, line.n - 1) : line));
    if (status == 0 || status == 101) {
        call_fail(c, UPSTREAM_MALFORMED, "the answer's status line is malformed");
        return false;
    }
    c->status_seen = true;
    if (status < 200)
        return true; /* 100, 103: the real head follows */
    size_t n;
    if (!answer_split(c, all, &n))
        return false;
    struct framing f = answer_framing(c->u->headers, n);
    bool bodyless = c->is_head || status == 204 || status == 304;
    if ((f.conflict || f.other_coding) && !bodyless) {
        call_fail(c, UPSTREAM_MALFORMED, "the answer contradicts itself about its length or coding");
        return false;
    }
    if (f.chunked && f.length.p) /* curl goes by the chunks; trust the connection no further */
        curl_easy_setopt(c->easy, CURLOPT_FORBID_REUSE, 1L);
    c->body_unframed = !bodyless && !f.chunked && !f.length.p && !str_starts(line, STR("HTTP/2"));
    if (!bodyless && !answer_set_coding(c, f.encoding, &n))
        return false;
    c->headed = true;
    if (c->events.head)
        c->events.head(c->ctx, status, c->u->headers, n);
    answer_drop_head(c, c->streamed ? 0 : HEAD_KEEP_BYTES); /* a stream may last for an hour */
    return !c->cancelled;
}

size_t answer_header(char *bytes, size_t size, size_t n, void *ctx)
{
    struct upstream_call *c = ctx;
    struct str line = {bytes, size * n};
    if (c->cancelled)
        return 0;
    c->head_total += line.n;
    if (c->head_total > c->u->config.answer_head_bytes) {
        call_fail(c, UPSTREAM_MALFORMED, "the answer's head is larger than %zu bytes",
            c->u->config.answer_head_bytes);
        return 0;
    }
    if (c->headed)
        return line.n; /* a trailer */
    if (str_starts(line, STR("HTTP/")))
        buf_reset(&c->head);
    if (str_eq(line, STR("\r\n")) || str_eq(line, STR("\n")))
        return answer_head_done(c) ? line.n : 0;
    buf_put_str(&c->head, line);
    if (!c->head.err)
        return line.n;
    call_fail(c, UPSTREAM_INTERNAL, "no memory for the answer's head");
    return 0;
}

static void answer_deliver(struct upstream_call *c, struct str bytes)
{
    if (bytes.n > 0 && c->events.data)
        c->events.data(c->ctx, bytes);
}

/* Decodes until the input is used up or the reader pauses; what is left then waits. */
static bool answer_decode(struct upstream_call *c, struct str in)
{
    char out[DECODED_PIECE_BYTES];
    enum coding_step step = CODING_MORE;
    while (step == CODING_MORE && !c->paused && !c->cancelled) {
        size_t n;
        step = coding_next(c->coding, &in, out, sizeof out, &n);
        if (step == CODING_BAD || step == CODING_BOMB) {
            call_fail(c, UPSTREAM_CODING, step == CODING_BAD
                    ? "the gzip coding of the answer is damaged"
                    : "the answer decompresses to more than is allowed");
            return false;
        }
        answer_deliver(c, str_n(out, n));
    }
    if (c->cancelled)
        return false;
    c->undecoded = step == CODING_MORE;
    buf_put_str(coding_waiting(c->coding), in);
    return !coding_waiting(c->coding)->err;
}

/* The streams of one HTTP/2 connection share its window: pausing one for fairness may stop its siblings,
 * and 7.88 may forget to go on. */
static bool answer_burst_over(struct upstream_call *c, size_t n)
{
    if (c->burst_of != c->u->entered) {
        c->burst_of = c->u->entered;
        c->burst = 0;
    }
    if (c->burst >= (c->streamed ? BURST_BYTES_STREAMED : BURST_BYTES) && !c->http2)
        return true;
    c->burst += n;
    return false;
}

size_t answer_write(char *bytes, size_t size, size_t n, void *ctx)
{
    struct upstream_call *c = ctx;
    struct str piece = {bytes, size * n};
    if (c->cancelled || !c->headed)
        return 0;
    bool waits = c->paused || c->undecoded; /* in order: what the decoder holds comes first */
    if (!waits && answer_burst_over(c, piece.n)) {
        call_yield(c);
        waits = true;
    }
    if (waits) {
        c->held = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    if (c->coding)
        return answer_decode(c, piece) ? piece.n : 0;
    answer_deliver(c, piece);
    return c->cancelled ? 0 : piece.n;
}

bool answer_resume(struct upstream_call *c)
{
    if (!c->coding || !c->undecoded)
        return !c->paused;
    struct buf *waiting = coding_waiting(c->coding);
    struct buf taken = *waiting;
    buf_init(waiting, taken.max);
    bool good = answer_decode(c, buf_str(&taken));
    buf_fini(&taken);
    return good && !c->paused;
}
