/* options.c: what is set on a curl handle: once when it is made, and per call.
 *
 * Why apart: each line here is a defence or a measured saving, and each has its reason beside it.
 * Handles are reused; only what differs between calls is set again (curl_easy_reset and the full
 * set cost more than the rest of a small request). */
#include "proxy/upstream/call.h"

#include "store/base/err.h"

#include <stdlib.h>
#include <unistd.h>

#define SMALL_BODY_BYTES ((size_t)32 << 10)
#define READ_BYTES 16384L
#define READ_BYTES_STREAMED 1536L /* held for as long as a stream runs; an event is smaller */
#define AGE_MAX_S 90L       /* an idle connection older than this is not reused */
#define LIFETIME_MAX_S 1800L /* follow the provider's DNS and load balancers now and then */

void options_find_ca(char *out, size_t size)
{
    static const char *const places[] = {
        "/etc/ssl/certs/ca-certificates.crt", /* Debian, Ubuntu, Arch, Alpine */
        "/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora, RHEL */
        "/etc/ssl/ca-bundle.pem",             /* SUSE */
        "/etc/ssl/cert.pem",
    };
    out[0] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        if (access(places[i], R_OK) == 0) {
            str_copy(out, size, str_c(places[i]));
            return;
        }
}

static size_t options_read(char *to, size_t size, size_t n, void *ctx)
{
    struct upstream_call *c = ctx;
    size_t room = size * n, put = 0;
    if (c->cancelled)
        return CURL_READFUNC_ABORT; /* the caller's pieces may be gone */
    while (put < room && c->piece < c->body_count) {
        struct str rest = str_from(c->body[c->piece], c->offset);
        size_t take = MIN(rest.n, room - put);
        if (take > 0)
            memcpy(to + put, rest.p, take);
        put += take;
        c->offset += take;
        if (take == rest.n) {
            c->piece++;
            c->offset = 0;
        }
    }
    return put;
}

/* curl goes back to the start when a warm connection turned out dead. */
static int options_seek(void *ctx, curl_off_t offset, int origin)
{
    struct upstream_call *c = ctx;
    if (origin != SEEK_SET || offset < 0 || c->cancelled)
        return CURL_SEEKFUNC_FAIL;
    size_t left = (size_t)offset;
    c->offset = 0;
    for (c->piece = 0; c->piece < c->body_count; c->piece++) {
        if (left < c->body[c->piece].n) {
            c->offset = left;
            return CURL_SEEKFUNC_OK;
        }
        left -= c->body[c->piece].n;
    }
    return left == 0 ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
}

/* Before each sending of the request, on a new connection or a warm one. A warm one was checked for
 * the provider that opened it; this provider may not be allowed there. */
static int options_before_send(void *ctx, char *ip, char *local_ip, int port, int local_port)
{
    struct upstream_call *c = ctx;
    (void)local_ip;
    (void)port;
    (void)local_port;
    c->sends++;
    names_release(c, true);
    if (c->written || c->allow_private || c->opened > 0 || !address_text_forbidden(ip))
        return CURL_PREREQFUNC_OK;
    c->forbidden = true;
    return CURL_PREREQFUNC_ABORT;
}

static bool options_set_callbacks(CURL *e, struct upstream_call *c)
{
    CURLcode rc = CURLE_OK;
    rc |= curl_easy_setopt(e, CURLOPT_PRIVATE, c);
    rc |= curl_easy_setopt(e, CURLOPT_ERRORBUFFER, c->error);
    rc |= curl_easy_setopt(e, CURLOPT_SHARE, c->u->share);
    rc |= curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, answer_header);
    rc |= curl_easy_setopt(e, CURLOPT_HEADERDATA, c);
    rc |= curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, answer_write);
    rc |= curl_easy_setopt(e, CURLOPT_WRITEDATA, c);
    rc |= curl_easy_setopt(e, CURLOPT_READFUNCTION, options_read);
    rc |= curl_easy_setopt(e, CURLOPT_READDATA, c);
    rc |= curl_easy_setopt(e, CURLOPT_SEEKFUNCTION, options_seek);
    rc |= curl_easy_setopt(e, CURLOPT_SEEKDATA, c);
    rc |= curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, options_before_send);
    rc |= curl_easy_setopt(e, CURLOPT_PREREQDATA, c);
    rc |= curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, multi_open_socket);
    rc |= curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, c);
    rc |= curl_easy_setopt(e, CURLOPT_CLOSESOCKETFUNCTION, multi_close_socket);
    rc |= curl_easy_setopt(e, CURLOPT_CLOSESOCKETDATA, c->u);
    return rc == CURLE_OK;
}

static bool options_set_defences(CURL *e)
{
    CURLcode rc = CURLE_OK;
    rc |= curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    rc |= curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L); /* a redirect would carry the key away */
    rc |= curl_easy_setopt(e, CURLOPT_PROXY, "");          /* none from the environment */
    rc |= curl_easy_setopt(e, CURLOPT_NOPROXY, "");        /* nor exceptions from a configured one */
    rc |= curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    rc |= curl_easy_setopt(e, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    rc |= curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    rc |= curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
    rc |= curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
    rc |= curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    rc |= curl_easy_setopt(e, CURLOPT_CAPATH, NULL); /* a path defeats curl's cache of the bundle */
    rc |= curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
    return rc == CURLE_OK;
}

static bool options_set_transport(CURL *e)
{
    CURLcode rc = CURLE_OK;
    rc |= curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L); /* else a hung lookup stops the loop */
    rc |= curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    rc |= curl_easy_setopt(e, CURLOPT_NOPROGRESS, 1L);
    rc |= curl_easy_setopt(e, CURLOPT_TCP_NODELAY, 1L);
    rc |= curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    rc |= curl_easy_setopt(e, CURLOPT_MAXAGE_CONN, AGE_MAX_S);
    rc |= curl_easy_setopt(e, CURLOPT_MAXLIFETIME_CONN, LIFETIME_MAX_S);
    return rc == CURLE_OK;
}

CURL *options_new_handle(struct upstream_call *c)
{
    CURL *e = curl_easy_init();
    if (e && options_set_callbacks(e, c) && options_set_defences(e) && options_set_transport(e))
        return e;
    curl_easy_cleanup(e);
    return NULL;
}

void options_forget_texts(struct upstream_call *c)
{
    char **const texts[] = {&c->proxy, &c->ca_file, &c->method, &c->url};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        free(*texts[i]);
        *texts[i] = NULL;
    }
    curl_url_cleanup(c->parsed_url);
    c->parsed_url = NULL;
}

bool options_renew_handle(struct upstream_call *c)
{
    curl_easy_reset(c->easy);
    options_forget_texts(c);
    return options_set_callbacks(c->easy, c) && options_set_defences(c->easy) &&
           options_set_transport(c->easy);
}

static bool is_ours(struct str name)
{
#define NAME(lit) {"" lit, sizeof(lit) - 1}
    static const struct str framing[] = {NAME("content-length"), NAME("transfer-encoding"),
        NAME("connection"), NAME("expect"), NAME("upgrade"), NAME("te"), NAME("trailer"),
        NAME("keep-alive"), NAME("proxy-connection")};
#undef NAME
    for (size_t i = 0; i < ARRAY_LEN(framing); i++)
        if (str_eq_nocase(name, framing[i]))
            return true;
    return false;
}

struct said {
    bool accept, type;
};

/* curl hands CR and LF through to the wire (T11). */
static int options_check(const struct upstream_request *r, struct err *e)
{
    if (!str_is_token(r->method))
        return err_set(e, ERR_RANGE, "the request method is not a token");
    if (!str_is_field(r->url) || r->url.n == 0 || r->url.n > 16384)
        return err_set(e, ERR_RANGE, "the URL is empty, too long or holds control bytes");
    for (size_t i = 0; i < r->header_count; i++) {
        const struct http_header *h = &r->headers[i];
        if (!str_is_token(h->name))
            return err_set(e, ERR_RANGE, "header %zu towards the provider has a bad name", i + 1);
        if (!str_is_field(h->value))
            return err_set(e, ERR_RANGE, "the value of header %.*s holds control bytes",
                (int)MIN(h->name.n, (size_t)64), h->name.p);
    }
    return 0;
}

/* Header lines in c->text, and the list that curl reads, both owned by the call: a list made with
 * curl_slist_append() would cost two allocations a header. */
static int options_write_lines(struct upstream_call *c, const struct upstream_request *r,
    size_t *count)
{
    struct said said = {0};
    *count = 0;
    for (size_t i = 0; i < r->header_count; i++) {
        const struct http_header *h = &r->headers[i];
        if (is_ours(h->name))
            continue;
        said.accept |= str_eq_nocase(h->name, STR("accept"));
        said.type |= str_eq_nocase(h->name, STR("content-type"));
        struct str value = str_trim(h->value);
        buf_put_str(&c->text, h->name);
        buf_puts(&c->text, value.n ? ": " : ";"); /* curl's way to send an empty value */
        buf_put_str(&c->text, value);
        buf_putc(&c->text, '\0');
        ++*count;
    }
    /* what curl would add by itself */
    buf_put(&c->text, "Expect:", 8);
    ++*count;
    if (!said.accept) {
        buf_put(&c->text, "Accept:", 8);
        ++*count;
    }
    if (!said.type) {
        buf_put(&c->text, "Content-Type:", 14);
        ++*count;
    }
    return c->text.err;
}

static int options_link_lines(struct upstream_call *c, size_t from, size_t count)
{
    if (count > c->line_cap) {
        struct curl_slist *more = realloc(c->lines, count * sizeof *more);
        if (!more)
            return -ERR_NOMEM;
        c->lines = more;
        c->line_cap = count;
    }
    char *at = c->text.p + from;
    for (size_t i = 0; i < count; i++) {
        c->lines[i].data = at;
        c->lines[i].next = i + 1 < count ? &c->lines[i + 1] : NULL;
        at += strlen(at) + 1;
    }
    return 0;
}

static int options_take_body(struct upstream_call *c, const struct upstream_request *r)
{
    size_t total = 0;
    for (size_t i = 0; i < r->body_count; i++)
        total += r->body[i].n;
    c->body = r->body;
    c->body_count = r->body_count;
    c->body_bytes = (int64_t)total;
    if (total > SMALL_BODY_BYTES)
        return 0;
    for (size_t i = 0; i < r->body_count; i++)
        buf_put_str(&c->small, r->body[i]);
    return c->small.err;
}

/* Sets a text option only when it differs from what the handle has. */
static CURLcode options_set_text(CURL *e, CURLoption option, char **have, const char *want)
{
    if ((!*have && !want) || (*have && want && strcmp(*have, want) == 0))
        return CURLE_OK;
    char *copy = want ? str_dup(str_c(want)) : NULL;
    if (want && !copy)
        return CURLE_OUT_OF_MEMORY;
    free(*have);
    *have = copy;
    const char *none = option == CURLOPT_PROXY ? "" : NULL;
    return curl_easy_setopt(e, option, want ? want : none);
}

static CURLcode options_set_method(struct upstream_call *c, const struct upstream_request *r,
    const char *method)
{
    CURL *e = c->easy;
    bool body = c->body_bytes > 0 || str_eq(r->method, STR("POST")) ||
                str_eq(r->method, STR("PUT")) || str_eq(r->method, STR("PATCH"));
    CURLcode rc = CURLE_OK;
    c->is_head = str_eq(r->method, STR("HEAD"));
    rc |= curl_easy_setopt(e, CURLOPT_NOBODY, c->is_head ? 1L : 0L);
    if (body && !c->is_head) {
        bool small = (size_t)c->body_bytes <= SMALL_BODY_BYTES;
        rc |= curl_easy_setopt(e, CURLOPT_POST, 1L);
        rc |= curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)c->body_bytes);
        rc |= curl_easy_setopt(e, CURLOPT_POSTFIELDS, small ? buf_c(&c->small) : NULL);
    } else if (!c->is_head) {
        rc |= curl_easy_setopt(e, CURLOPT_HTTPGET, 1L);
    }
    return rc | options_set_text(e, CURLOPT_CUSTOMREQUEST, &c->method, method);
}

/* What the URL says of the connection that it needs. */
static void options_note_url(struct upstream_call *c, struct str url)
{
    bool brackets;
    struct str host = address_host(url, &brackets);
    c->url_written = address_written(url);
    c->plain = !address_is_https(url);
    str_copy(c->url_host, sizeof c->url_host, host.n >= sizeof c->url_host ? STR("") : host);
}

/* Handed over parsed: the few URLs of a provider come again and again, and curl would take each
 * apart, and put it together again, for every transfer. */
static CURLcode options_set_url(struct upstream_call *c, const char *url)
{
    const unsigned flags = CURLU_GUESS_SCHEME | CURLU_NON_SUPPORT_SCHEME | CURLU_DISALLOW_USER |
                           CURLU_PATH_AS_IS;
    if (c->url && strcmp(c->url, url) == 0)
        return CURLE_OK;
    options_note_url(c, str_c(url));
    CURLcode rc = options_set_text(c->easy, CURLOPT_URL, &c->url, url);
    CURLU *parsed = curl_url();
    if (parsed && curl_url_set(parsed, CURLUPART_URL, url, flags) != CURLUE_OK) {
        curl_url_cleanup(parsed);
        parsed = NULL;
    }
    rc |= curl_easy_setopt(c->easy, CURLOPT_CURLU, parsed);
    curl_url_cleanup(c->parsed_url);
    c->parsed_url = parsed;
    return rc;
}

int options_apply(struct upstream_call *c, const struct upstream_request *r, struct err *e)
{
    int bad = options_check(r, e);
    if (bad)
        return bad;
    buf_put_str(&c->text, r->method);
    buf_putc(&c->text, '\0');
    size_t url_at = c->text.n, count = 0;
    buf_put_str(&c->text, r->url);
    buf_putc(&c->text, '\0');
    size_t lines_at = c->text.n;
    if (options_write_lines(c, r, &count) < 0 || options_link_lines(c, lines_at, count) < 0 ||
        options_take_body(c, r) < 0)
        return err_set(e, ERR_NOMEM, "no memory for a request towards the provider");

    const char *ca = r->ca_file ? r->ca_file : c->u->ca_file[0] ? c->u->ca_file : NULL;
    CURLcode rc = options_set_method(c, r, c->text.p);
    rc |= options_set_url(c, c->text.p + url_at);
    rc |= curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, c->lines);
    rc |= curl_easy_setopt(c->easy, CURLOPT_CONNECTTIMEOUT_MS,
        (long)MAX(r->connect_timeout_us / 1000, 1));
    rc |= curl_easy_setopt(c->easy, CURLOPT_HTTP_VERSION,
        (long)(r->http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
    rc |= curl_easy_setopt(c->easy, CURLOPT_PIPEWAIT, r->http2 ? 1L : 0L); /* share, don't dial */
    /* refused, and no harm done, where a call that failed early has left its buffer on the handle */
    curl_easy_setopt(c->easy, CURLOPT_BUFFERSIZE, r->streamed ? READ_BYTES_STREAMED : READ_BYTES);
    rc |= curl_easy_setopt(c->easy, CURLOPT_FORBID_REUSE, 0L);
    rc |= options_set_text(c->easy, CURLOPT_PROXY, &c->proxy, r->proxy);
    rc |= options_set_text(c->easy, CURLOPT_CAINFO, &c->ca_file, ca);
    if (rc != CURLE_OK)
        return err_set(e, ERR_NOMEM, "no memory for a request towards the provider");
    /* what a proxy of the configuration dials is its affair; its own address is meant */
    c->written = r->proxy || c->url_written;
    c->allow_private = r->allow_private;
    c->streamed = r->streamed;
    c->http2 = r->http2;
    c->host = c->written ? "" : c->url_host;
    return 0;
}
