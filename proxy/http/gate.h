/* gate.h: is this request head one that we serve at all? Pure: no socket, no libmicrohttpd.
 *
 * Why: libmicrohttpd 0.9.75 lets through what request smuggling, DNS rebinding and cross-site posts
 * need. The gate looks at the whole head before anything else does and before a byte of the body
 * is read; what it refuses ends its connection.
 *
 *     struct gate_facts f;
 *     gate_check(&rules, &head, &f);
 *     if (f.status)
 *         … refuse with f.status and f.reason …
 *
 * Ownership: facts point into the head; reasons are literals. */
#ifndef POINTSMAN_HTTP_GATE_H
#define POINTSMAN_HTTP_GATE_H

#include "store/base/http_header.h"

#define GATE_METHODS "GET, HEAD, POST, PUT, PATCH, DELETE"

struct gate_rules {
    bool check_host;          /* a loopback listener: Host and Origin must be local or listed */
    unsigned port;            /* of the listener; 0 = any port in Host */
    const struct str *hosts, *origins;
    size_t host_count, origin_count;
    size_t request_bytes, header_bytes;
};

struct gate_head {
    struct str method, target, version; /* as on the wire */
    const struct http_header *headers;
    size_t header_count;
};

struct gate_facts {
    int status;               /* 0: let it in */
    const char *reason;       /* one sentence for the client */
    struct str path, query;   /* set also when refused, as far as known */
    struct str origin;        /* a listed one: the page may read the answer; empty: none */
    struct str asked_headers; /* of a preflight request */
    bool preflight;           /* OPTIONS of a listed Origin: answered here, passed on to nobody */
    bool http10, has_length, chunked, expects_continue, wants_close;
    uint64_t length;          /* of the body, when has_length */
    size_t head_bytes;        /* of the headers as they came */
};

void gate_check(
    const struct gate_rules *rules, const struct gate_head *head, struct gate_facts *out);

#endif
