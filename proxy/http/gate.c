/* gate.c: see gate.h. One pass over the headers notes what matters; then rules run in a fixed
 * order: framing first, since a head whose framing is in doubt says nothing sure about the rest.
 *
 * What the gate cannot see, because libmicrohttpd 0.9.75 has cut or joined it before, seams.c
 * measures: NUL, folded lines, names of no length. LF instead of CRLF is accepted: it changes
 * nothing about where a request ends, as libmicrohttpd is the only parser behind this gate. */
#include "proxy/http/gate.h"

enum { TARGET_MAX = 8192, HEADERS_MAX = 100, LENGTH_DIGITS_MAX = 12 };

struct seen {
    unsigned lengths, codings, hosts, origins, expects;
    struct str length, coding, host, origin, expect, upgrade, body_coding, content_type;
    struct str asked_method, asked_headers;
    size_t bytes;
};

static void refuse(struct gate_facts *f, int status, const char *reason)
{
    if (f->status)
        return;
    f->status = status;
    f->reason = reason;
}

/* Does a comma-separated header value hold this word? */
static bool lists(struct str value, struct str word)
{
    struct str piece;
    while (str_cut(&value, ',', &piece))
        if (str_eq_nocase(str_trim(piece), word))
            return true;
    return false;
}

static bool named(const struct http_header *h, struct str name)
{
    return h->name.n == name.n && str_eq_nocase(h->name, name);
}

static void note_header(const struct http_header *h, struct seen *s, struct gate_facts *f)
{
    s->bytes += h->name.n + h->value.n + 4;
    if (!str_is_token(h->name))
        refuse(f, 400, "a header name holds bytes that names cannot have");
    if (!str_is_field(h->value))
        refuse(f, 400, "a header value holds control bytes");
    switch (h->name.n) { /* most headers are none of these: one compare by length */
    case 4:
        if (named(h, STR("host"))) {
            s->hosts++;
            s->host = str_trim(h->value);
        }
        break;
    case 6:
        if (named(h, STR("origin"))) {
            s->origins++;
            s->origin = str_trim(h->value);
        } else if (named(h, STR("expect"))) {
            s->expects++;
            s->expect = str_trim(h->value);
        }
        break;
    case 7:
        if (named(h, STR("upgrade")))
            s->upgrade = str_trim(h->value);
        break;
    case 10:
        if (named(h, STR("connection")) && lists(h->value, STR("close")))
            f->wants_close = true;
        break;
    case 12:
        if (named(h, STR("content-type")))
            s->content_type = str_trim(h->value);
        break;
    case 14:
        if (named(h, STR("content-length"))) {
            s->lengths++;
            s->length = str_trim(h->value);
        }
        break;
    case 16:
        if (named(h, STR("content-encoding")))
            s->body_coding = str_trim(h->value);
        break;
    case 17:
        if (named(h, STR("transfer-encoding"))) {
            s->codings++;
            s->coding = h->value; /* untrimmed: with a blank at its end libmicrohttpd misses it */
        }
        break;
    case 29:
        if (named(h, STR("access-control-request-method")))
            s->asked_method = h->value;
        break;
    case 30:
        if (named(h, STR("access-control-request-headers")))
            s->asked_headers = h->value;
        break;
    default:
        break;
    }
}

static void check_framing(const struct seen *s, struct gate_facts *f)
{
    if (s->lengths > 1 || s->codings > 1 || (s->lengths && s->codings))
        refuse(f, 400, "the length of the body is given more than once");
    if (s->lengths) {
        f->has_length = s->length.n <= LENGTH_DIGITS_MAX && str_to_u64(s->length, &f->length);
        if (!f->has_length)
            refuse(f, 400, "content-length is not a number of at most 12 digits");
    }
    if (s->codings && f->http10)
        refuse(f, 400, "transfer-encoding does not exist in HTTP/1.0");
    if (s->codings && !str_eq_nocase(s->coding, STR("chunked")))
        refuse(f, 501, str_eq_nocase(str_trim(s->coding), STR("chunked"))
            ? "transfer-encoding: leave out the blank behind `chunked`"
            : "the only transfer-encoding known here is chunked");
    f->chunked = s->codings > 0;
    if (s->hosts > 1 || (s->hosts == 0 && !f->http10))
        refuse(f, 400, "a request has exactly one Host header");
    if (s->origins > 1 || s->expects > 1)
        refuse(f, 400, "Origin or Expect is given twice");
}

/* ---- the target ---- */

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Walks the path as a server behind us might decode it: %2e is a dot, %2f a slash. */
static void check_path(struct str p, struct gate_facts *f)
{
    size_t dots = 0, others = 0;
    for (size_t i = 0; i <= p.n; i++) {
        int c = i < p.n ? (unsigned char)p.p[i] : '/', least = 0x21;
        if (c == '%' && i + 2 < p.n && hex(p.p[i + 1]) >= 0 && hex(p.p[i + 2]) >= 0) {
            c = hex(p.p[i + 1]) * 16 + hex(p.p[i + 2]);
            i += 2;
            least = 0x20;
        }
        if (c < least || c == 0x7f)
            refuse(f, 400, "the path holds control bytes or blanks");
        if (c == '/' || c == '\\' || c == ';') { /* "..;x": some servers cut off what follows */
            if (others == 0 && (dots == 1 || dots == 2))
                refuse(f, 400, "the path holds a '.' or '..' segment");
            dots = others = 0;
        } else if (c == '.') {
            dots++;
        } else {
            others++;
        }
    }
    if (str_find(p, STR("//")) >= 0)
        refuse(f, 400, "the path holds '//': does the client's base URL end in a slash?");
}

/* "http://HOST/path" is what a client sends to a proxy: fine where it names the Host it sends. */
static struct str strip_absolute(struct str target, struct str host, struct gate_facts *f)
{
    struct str rest = target;
    if (str_starts_nocase(target, STR("http://")))
        rest = str_from(target, 7);
    else if (str_starts_nocase(target, STR("https://")))
        rest = str_from(target, 8);
    else
        return target;
    size_t n = 0;
    while (n < rest.n && rest.p[n] != '/' && rest.p[n] != '?')
        n++;
    if (!str_eq_nocase(str_first(rest, n), host))
        refuse(f, 400, "the request target names another host than the Host header");
    return n == rest.n ? STR("/") : str_from(rest, n);
}

static void check_target(struct str target, struct str host, struct gate_facts *f)
{
    if (target.n > TARGET_MAX)
        refuse(f, 414, "the request target is longer than 8 KiB");
    if (str_chr(target, '#') >= 0)
        refuse(f, 400, "the request target holds '#'; write it as %23");
    target = strip_absolute(target, host, f);
    ptrdiff_t mark = str_chr(target, '?');
    f->path = mark < 0 ? target : str_first(target, (size_t)mark);
    f->query = mark < 0 ? STR("") : str_from(target, (size_t)mark + 1);
    if (f->path.n == 0 || f->path.p[0] != '/')
        refuse(f, 400, "the request target is not a path");
    check_path(f->path, f);
    if (!str_is_field(f->query))
        refuse(f, 400, "the query holds control bytes");
}

/* ---- who is asked for, and by which page ---- */

/* "name", "name:port", "[v6]:port" → name (with brackets) and port text; false when malformed. */
static bool split_host(struct str host, struct str *name, struct str *port)
{
    ptrdiff_t colon = -1;
    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!word && (c == 0 || !strchr(".-_~[]:", c)))
            return false;
        if (c == ':')
            colon = (ptrdiff_t)i;
    }
    if (host.n && host.p[0] == '[') {
        ptrdiff_t end = str_chr(host, ']');
        if (end < 0)
            return false;
        colon = (size_t)end + 1 < host.n ? end + 1 : -1;
        if (colon >= 0 && host.p[colon] != ':')
            return false;
    } else if (str_chr(host, '[') >= 0 || str_chr(host, ']') >= 0 || str_chr(host, ':') != colon) {
        return false;
    }
    *name = colon < 0 ? host : str_first(host, (size_t)colon);
    *port = colon < 0 ? STR_NULL : str_from(host, (size_t)colon + 1);
    uint64_t number;
    return name->n > 0 && (colon < 0 || (str_to_u64(*port, &number) && number <= 65535));
}

static bool is_loopback_name(struct str name)
{
    struct str tail = name.n > 10 ? str_from(name, name.n - 10) : STR_NULL;
    if (str_eq_nocase(name, STR("localhost")) || str_eq_nocase(tail, STR(".localhost")) ||
        str_eq(name, STR("[::1]")))
        return true;
    struct str piece;
    unsigned pieces = 0;
    if (!str_starts(name, STR("127.")))
        return false;
    for (uint64_t number; str_cut(&name, '.', &piece); pieces++)
        if (piece.n > 3 || !str_to_u64(piece, &number) || number > 255)
            return false;
    return pieces == 4;
}

static bool is_listed(struct str s, const struct str *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq_nocase(s, list[i]))
            return true;
    return false;
}

static void check_host(const struct gate_rules *rules, struct str host, struct gate_facts *f)
{
    struct str name, port;
    if (!split_host(host, &name, &port)) {
        refuse(f, 400, "the Host header is not a host name");
        return;
    }
    if (!rules->check_host || is_listed(host, rules->hosts, rules->host_count) ||
        is_listed(name, rules->hosts, rules->host_count))
        return;
    uint64_t number = 0;
    bool own_port = !port.p || !rules->port ||
                    (str_to_u64(port, &number) && number == rules->port);
    if (!is_loopback_name(name) || !own_port)
        refuse(f, 403, "this Host is not served here; add it to allow_hosts if it should be");
}

static void check_origin(const struct gate_rules *rules, const struct seen *s, struct str method,
    struct gate_facts *f)
{
    if (!s->origins || (!rules->check_host && !rules->origin_count))
        return;
    if (!is_listed(s->origin, rules->origins, rules->origin_count)) {
        refuse(f, 403, "pages of this Origin may not call; add it to allow_origins if they should");
        return;
    }
    f->origin = s->origin;
    bool writes = str_eq(method, STR("POST")) || str_eq(method, STR("PUT")) ||
                  str_eq(method, STR("PATCH"));
    struct str type = s->content_type;
    ptrdiff_t mark = str_chr(type, ';');
    if (mark >= 0)
        type = str_trim(str_first(type, (size_t)mark));
    if (writes && !str_eq_nocase(type, STR("application/json")))
        refuse(f, 415, "with an Origin the content-type has to be application/json");
}

static void check_method(struct str method, const struct seen *s, struct gate_facts *f)
{
    static const struct str served[] = {{"GET", 3}, {"HEAD", 4}, {"POST", 4}, {"PUT", 3},
        {"PATCH", 5}, {"DELETE", 6}};
    for (size_t i = 0; i < ARRAY_LEN(served); i++)
        if (str_eq(method, served[i]))
            return;
    if (str_eq(method, STR("OPTIONS"))) {
        f->preflight = f->origin.n && s->asked_method.n;
        f->asked_headers = s->asked_headers;
        if (!f->preflight)
            refuse(f, 403, "preflights are answered to listed Origins only (allow_origins)");
        return;
    }
    refuse(f, 405, "served methods are " GATE_METHODS);
}

static void check_version(struct str version, struct gate_facts *f)
{
    f->http10 = str_eq(version, STR("HTTP/1.0"));
    f->wants_close |= f->http10;
    if (!f->http10 && !str_eq(version, STR("HTTP/1.1")))
        refuse(f, 505, "spoken here: HTTP/1.1 and HTTP/1.0");
}

static void check_rest(const struct gate_rules *rules, const struct seen *s, struct gate_facts *f)
{
    /* java.net.http offers h2c with the first request of every connection and takes a 426 for the
     * answer, so the words must say how it is told not to. */
    if (str_eq_nocase(s->upgrade, STR("h2c")))
        refuse(f, 426, "HTTP/2 without TLS is not served; set the client to HTTP/1.1 (Java: "
                       "HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1))");
    else if (s->upgrade.n)
        refuse(f, 426, "WebSocket and other upgrades are not served; use HTTP requests");
    if (s->expects && !str_eq_nocase(s->expect, STR("100-continue")))
        refuse(f, 417, "the only expectation known here is 100-continue");
    f->expects_continue = s->expects > 0 && !f->http10;
    if (s->body_coding.n && !str_eq_nocase(s->body_coding, STR("identity")))
        refuse(f, 415, "compressed request bodies are not accepted");
    if (f->has_length && f->length > rules->request_bytes)
        refuse(f, 413, "the request body is larger than limits.request_bytes");
}

void gate_check(
    const struct gate_rules *rules, const struct gate_head *head, struct gate_facts *out)
{
    struct seen s = {0};
    *out = (struct gate_facts){0};
    check_version(head->version, out);
    for (size_t i = 0; i < head->header_count; i++)
        note_header(&head->headers[i], &s, out);
    if (head->header_count > HEADERS_MAX || s.bytes > rules->header_bytes)
        refuse(out, 431, "the request headers are larger than limits.header_bytes, or over 100");
    out->head_bytes = s.bytes + head->target.n;
    check_framing(&s, out);
    check_origin(rules, &s, head->method, out);
    check_method(head->method, &s, out);
    check_target(head->target, s.host, out);
    if (s.hosts)
        check_host(rules, s.host, out);
    check_rest(rules, &s, out);
}
