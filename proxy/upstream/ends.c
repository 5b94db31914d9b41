/* ends.c: how a transfer ended: curl's code, and what our callbacks saw, as one of upstream.h's ends
 * and a sentence for people.
 *
 * Why not curl's text alone: one code stands for several causes (56 is a reset and a bad chunk), an
 * answer cut within its head is "OK" to curl, and "Couldn't connect to server" doesn't say why. */
#include "proxy/upstream/call.h"

#include <netdb.h>
#include <stdio.h>

struct end_row {
    CURLcode code;
    enum upstream_end end;
    const char *text; /* NULL: curl's own text says more */
};

static const struct end_row rows[] = {
    {CURLE_COULDNT_RESOLVE_HOST, UPSTREAM_DNS, NULL},
    {CURLE_COULDNT_RESOLVE_PROXY, UPSTREAM_DNS, NULL},
    {CURLE_COULDNT_CONNECT, UPSTREAM_REFUSED, NULL},
    {CURLE_PROXY, UPSTREAM_REFUSED, NULL},
    {CURLE_OPERATION_TIMEDOUT, UPSTREAM_CONNECT_TIMEOUT, NULL},
    {CURLE_SSL_CONNECT_ERROR, UPSTREAM_TLS, NULL},
    {CURLE_PEER_FAILED_VERIFICATION, UPSTREAM_TLS, NULL},
    {CURLE_SSL_CERTPROBLEM, UPSTREAM_TLS, NULL},
    {CURLE_SSL_CIPHER, UPSTREAM_TLS, NULL},
    {CURLE_SSL_CACERT_BADFILE, UPSTREAM_TLS, "the file of certificate authorities can't be read"},
    {CURLE_SSL_ISSUER_ERROR, UPSTREAM_TLS, NULL},
    {CURLE_SSL_INVALIDCERTSTATUS, UPSTREAM_TLS, NULL},
    {CURLE_USE_SSL_FAILED, UPSTREAM_TLS, NULL},
    {CURLE_GOT_NOTHING, UPSTREAM_RESET, "the connection was closed without an answer"},
    {CURLE_SEND_ERROR, UPSTREAM_RESET, "the connection was lost while the request was sent"},
    {CURLE_SEND_FAIL_REWIND, UPSTREAM_RESET, "the connection was lost while the request was sent"},
    {CURLE_RECV_ERROR, UPSTREAM_RESET, NULL},
    {CURLE_PARTIAL_FILE, UPSTREAM_TRUNCATED, "the answer ended before its announced end"},
    {CURLE_WEIRD_SERVER_REPLY, UPSTREAM_MALFORMED, NULL},
    {CURLE_UNSUPPORTED_PROTOCOL, UPSTREAM_MALFORMED, NULL},
    {CURLE_HTTP2, UPSTREAM_RESET, NULL},
    {CURLE_HTTP2_STREAM, UPSTREAM_RESET, NULL},
#if LIBCURL_VERSION_NUM >= 0x080600
    {CURLE_TOO_LARGE, UPSTREAM_MALFORMED, "a header line of the answer is too large"},
#endif
    {CURLE_BAD_CONTENT_ENCODING, UPSTREAM_CODING, NULL},
};

/* One line of printable text from curl's buffer, which may quote the other side. */
static void ends_text(char *out, size_t size, const char *text)
{
    size_t n = 0;
    for (; text[n] && n + 1 < size; n++)
        out[n] = text[n] >= ' ' && text[n] < 0x7f ? text[n] : ' ';
    out[n] = '\0';
}

static void ends_say(struct upstream_result *r, enum upstream_end end, const char *text)
{
    r->end = end;
    ends_text(r->reason, sizeof r->reason, text);
}

/* "could not connect to 127.0.0.1:9: Connection refused" */
static void ends_say_refused(struct upstream_call *c, struct upstream_result *r)
{
    long os = 0;
    char host[NI_MAXHOST], port[NI_MAXSERV];
    curl_easy_getinfo(c->easy, CURLINFO_OS_ERRNO, &os);
    r->end = UPSTREAM_REFUSED;
    if (os == 0 || c->opened == 0 ||
        getnameinfo((struct sockaddr *)&c->dialled, c->dialled_size, host, sizeof host, port,
            sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        ends_text(r->reason, sizeof r->reason, c->error[0] ? c->error : "could not connect");
        return;
    }
    bool v6 = c->dialled.ss_family == AF_INET6;
    snprintf(r->reason, sizeof r->reason, "could not connect to %s%.64s%s:%s: %.64s", v6 ? "[" : "",
        host, v6 ? "]" : "", port, strerror((int)os));
}

static const struct end_row *ends_find(CURLcode code)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].code == code)
            return &rows[i];
    return NULL;
}

/* curl was content; are we? */
static void ends_judge_ok(struct upstream_call *c, struct upstream_result *r)
{
    if (!c->headed)
        ends_say(r, c->status_seen || c->head.n > 0 ? UPSTREAM_TRUNCATED : UPSTREAM_RESET,
            "the connection was closed within the answer's head");
    else if (c->coding && !coding_complete(c->coding))
        ends_say(r, UPSTREAM_TRUNCATED, "the compressed answer ended early");
    else
        r->end = UPSTREAM_OK;
}

static bool ends_was_sent(struct upstream_call *c)
{
    long bytes = 0;
    curl_easy_getinfo(c->easy, CURLINFO_REQUEST_SIZE, &bytes);
    return bytes > 0;
}

static void ends_judge(struct upstream_call *c, CURLcode code, struct upstream_result *r)
{
    const char *text = c->error[0] ? c->error : curl_easy_strerror(code);
    const struct end_row *row = ends_find(code);
    if (c->fail != UPSTREAM_OK)
        ends_say(r, c->fail, c->fail_reason);
    else if (code == CURLE_OK)
        ends_judge_ok(c, r);
    else if (c->forbidden && (c->opened == 0 || code == CURLE_ABORTED_BY_CALLBACK))
        ends_say(r, UPSTREAM_FORBIDDEN, "the provider's name leads to an address that is not allowed"
            " (allow_private permits private ones)");
    else if (code == CURLE_COULDNT_CONNECT)
        ends_say_refused(c, r);
    else if (code == CURLE_RECV_ERROR && strstr(c->error, "chunk"))
        ends_say(r, UPSTREAM_MALFORMED, "the answer's chunks are malformed");
    else if (code == CURLE_RECV_ERROR && c->head_total > 0 && !c->headed && strstr(c->error, "eader"))
        ends_say(r, UPSTREAM_MALFORMED, text);
    else if (code == CURLE_OUT_OF_MEMORY && ends_was_sent(c) && !c->headed)
        ends_say(r, UPSTREAM_MALFORMED, "a header line of the answer is too large"); /* 100 KB, before curl 8.6 */
    else if (row && !(code == CURLE_UNSUPPORTED_PROTOCOL && c->opened == 0 && !r->reused))
        ends_say(r, row->end, row->text ? row->text : text);
    else
        ends_say(r, UPSTREAM_INTERNAL, text);
}

static void ends_measure(struct upstream_call *c, struct upstream_result *r)
{
    curl_off_t tls_us = 0, tcp_us = 0, body_up = 0, body_down = 0;
    long head_up = 0, head_down = 0, connects = 0;
    curl_easy_getinfo(c->easy, CURLINFO_APPCONNECT_TIME_T, &tls_us);
    curl_easy_getinfo(c->easy, CURLINFO_CONNECT_TIME_T, &tcp_us);
    curl_easy_getinfo(c->easy, CURLINFO_NUM_CONNECTS, &connects);
    curl_easy_getinfo(c->easy, CURLINFO_REQUEST_SIZE, &head_up);
    curl_easy_getinfo(c->easy, CURLINFO_SIZE_UPLOAD_T, &body_up);
    curl_easy_getinfo(c->easy, CURLINFO_HEADER_SIZE, &head_down);
    curl_easy_getinfo(c->easy, CURLINFO_SIZE_DOWNLOAD_T, &body_down);
    r->answered = c->status_seen;
    r->body_unframed = c->body_unframed;
    r->reused = connects == 0 && c->status_seen;
    r->connect_us = r->reused ? 0 : MAX(tls_us, tcp_us);
    r->sent_bytes = (int64_t)head_up + body_up;
    r->received_bytes = (int64_t)head_down + body_down;
}

void ends_fill(struct upstream_call *c, CURLcode code, struct upstream_result *r)
{
    *r = (struct upstream_result){0};
    ends_measure(c, r);
    ends_judge(c, code, r);
}
