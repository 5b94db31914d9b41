/* parser.c: what libmicrohttpd refuses by itself, said in our words.
 *
 * Heads that it can't read (400, 414, 431, 505) and chunks that it can't (400, 413) never reach the
 * request handler: it answers them with a page of its own, in HTML, which no client of an API reads.
 * It offers no hook for that, but it logs the status before it builds the page. So the log callback
 * writes the answer in the caller's shape and shuts our side; the page then finds a closed door.
 *
 * Whose request it is the callback is not told. It is the connection that was read or called back
 * for last, on this thread: libmicrohttpd parses one connection right after it has read it. Reading
 * is seen by standing in for recv(), which costs a look into a table. Where that is not possible (a
 * library that reads by another call) the connection is not known, and the library's own page goes
 * out.
 *
 * The same look tells of a body that can't go on: a line between two chunks that is longer than the
 * connection's buffer. Before 1.0 the library neither refuses it nor waits, it asks to be run again
 * at once, for as long as the connection lasts. */
#undef _FORTIFY_SOURCE /* its header has an inline recv() */
#include "proxy/http/internal.h"

#include <stdlib.h>
#include <string.h>

static _Thread_local int reading_fd = -1;
static _Thread_local struct http_server *here; /* whose connections are read now */

static struct conn *conn_at(const struct http_server *s, int fd)
{
    return s && (size_t)fd < s->by_fd_room ? s->by_fd[fd] : NULL;
}

ssize_t recv(int fd, void *to, size_t n, int flags)
{
    ssize_t got = recvfrom(fd, to, n, flags, NULL, NULL);
    struct conn *c = conn_at(here, fd);
    reading_fd = fd;
    if (c) {
        c->filled = got == (ssize_t)n;
        c->drained = got > 0 && !c->filled && !c->local;
        c->s->moves++;
    }
    return got;
}

void parser_run(struct http_server *s, struct MHD_Daemon *d)
{
    here = s;
    MHD_run(d);
    here = NULL;
}

void parser_knows(struct conn *c)
{
    struct http_server *s = c->s;
    size_t room = MAX(s->by_fd_room, (size_t)64);
    while (room <= (size_t)c->fd)
        room *= 2;
    if (room > s->by_fd_room) {
        struct conn **more = realloc(s->by_fd, room * sizeof(*more));
        if (!more)
            return; /* refused by a page of the library's own, at worst */
        memset(more + s->by_fd_room, 0, (room - s->by_fd_room) * sizeof(*more));
        s->by_fd = more;
        s->by_fd_room = room;
    }
    s->by_fd[c->fd] = c;
}

void parser_forgets(const struct conn *c)
{
    if (conn_at(c->s, c->fd) == c)
        c->s->by_fd[c->fd] = NULL;
}

void parser_reads(const struct conn *c)
{
    reading_fd = c->fd;
}

void parser_unstick(struct http_server *s, const struct shard *d)
{
    for (struct conn *next, *c = s->conns; c; c = next) {
        next = c->next;
        if (c->shard != d || !c->q || c->suspended || !c->filled)
            continue;
        if (c->q->state == REQUEST_BODY)
            request_refuse(c->q, 400, "a line between the chunks of the body is too long");
        if (c->q->state != REQUEST_LEAVING)
            continue;
        /* Nobody will read the rest, and closing over unread bytes resets our answer away. */
        for (int i = 0; i < 64; i++)
            if (recvfrom(c->fd, NULL, HTTP_DISCARD_BYTES, MSG_TRUNC | MSG_DONTWAIT, NULL, NULL) <= 0)
                break;
        conn_kill(c);
    }
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
    struct conn *c = conn_at(s, reading_fd);
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
