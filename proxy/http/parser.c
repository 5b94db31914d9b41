/* parser.c: what libmicrohttpd refuses by itself, said in our words.
 *
 * Heads that it can't read (400, 414, 431, 505) and chunks that it can't (400, 413) never reach the
 * request handler: it answers them with a page of its own, in HTML, which no client of an API reads.
 * It offers no hook for that, but it logs the status before it builds the page. So the log callback
 * writes the answer in the caller's shape and shuts our side; the page then finds a closed door.
 *
 * Whose request it is the callback is not told. It is the connection that was read or called back
 * for last, on this thread: libmicrohttpd parses one connection right after it has read it. Reading
 * is seen by standing in for recv(), which costs one store. Where that is not possible (a library
 * that reads by another call) the connection is not known, and the library's own page goes out. */
#undef _FORTIFY_SOURCE /* its header has an inline recv() */
#include "proxy/http/internal.h"

static _Thread_local int reading_fd = -1;

ssize_t recv(int fd, void *to, size_t n, int flags)
{
    reading_fd = fd;
    return recvfrom(fd, to, n, flags, NULL, NULL);
}

void parser_reads(const struct conn *c)
{
    reading_fd = c->fd;
}

/* The page tells malformed requests apart, the status does not. */
static const char *reason_of(unsigned status, const char *page)
{
    switch (status) {
    case 413:
        return "the request body is larger than limits.request_bytes";
    case 414:
        return "the request target is longer than limits.header_bytes";
    case 431:
        return "the request headers are larger than limits.header_bytes, or over 100";
    case 505:
        return "spoken here: HTTP/1.1 and HTTP/1.0";
    case 400:
        break;
    default:
        return "the request could not be read";
    }
    if (strstr(page, "Host:"))
        return "a request has exactly one Host header";
    if (strstr(page, "Content-Length"))
        return "content-length is not a number of at most 12 digits";
    if (strstr(page, "chunked"))
        return "the chunked body is malformed";
    return "the request is malformed; spoken here: HTTP/1.1";
}

static void refused(struct http_server *s, unsigned status, const char *page)
{
    struct conn *c = s->conns;
    while (c && c->fd != reading_fd)
        c = c->next;
    if (!c || c->suspended || status < 400 || status > 599)
        return;
    if (!c->q)
        conn_refuse(c, (int)status, reason_of(status, page));
    else if (c->q->state == REQUEST_BODY)
        request_refuse(c->q, (int)status, reason_of(status, page));
}

void parser_log(void *cls, const char *format, va_list ap)
{
    if (!strstr(format, "HTTP response code is %u"))
        return; /* the rest tells of clients that left, which is known */
    unsigned status = va_arg(ap, unsigned);
    refused(cls, status, va_arg(ap, const char *));
}
