/* seams.c: what libmicrohttpd has cut or joined in a head before anybody sees it.
 *
 * Up to 0.9.77 it ends a value or the target at a NUL, joins folded lines, and takes a line that
 * begins with ':' for the end of the head, so that the lines behind it are read as a request of
 * their own. But it works in place: method, version, names and values point into the bytes that
 * came, and it tells how many these were. So the seams can be measured: between two parts stands one
 * line end, made NUL, and nothing else. From 1.0 on it refuses all of this by itself. */
#include "proxy/http/internal.h"

/* From the end of one part to the begin of the next: "\r\n" or "\n". */
static bool line_end(const char *end, const char *next)
{
    return next - end == 1 || (next - end == 2 && end[1] == 0);
}

static bool seams_hold(const struct gate_head *head, const char *end_of_head)
{
    const struct http_header *h = head->headers;
    size_t n = head->header_count;
    const char *at = head->version.p + head->version.n;
    if (head->version.p - (head->method.p + head->method.n) != (ptrdiff_t)head->target.n + 2)
        return false; /* NUL in the target, or more than one blank beside it */
    for (size_t i = 0; i < n; i++) {
        if (!line_end(at, h[i].name.p) || h[i].value.p <= h[i].name.p + h[i].name.n)
            return false;
        at = h[i].value.p + h[i].value.n;
    }
    ptrdiff_t rest = end_of_head - at; /* the last line's end and the empty line's */
    return rest >= 2 && rest <= 4 && at[1] == 0 && (rest < 4 || at[2] == 0);
}

bool seams_clean(struct MHD_Connection *mhd, const struct gate_head *head)
{
    if (MHD_VERSION >= 0x01000000)
        return true;
    const union MHD_ConnectionInfo *i = MHD_get_connection_info(mhd,
        MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    return !i || seams_hold(head, head->method.p + i->header_size);
}
