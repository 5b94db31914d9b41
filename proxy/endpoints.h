/* endpoints.h: from method and path to what is meant: protocol, session in the path, model in the
 * path. Pure.
 *
 *     struct endpoint ep;
 *     endpoint_match(STR("POST"), STR("/s/fix-bug/v1/chat/completions"), arena, &ep);
 *     // ep.wire == WIRE_CHAT, ep.session == "fix-bug", ep.path == "/v1/chat/completions"
 */
#ifndef POINTSMAN_ENDPOINTS_H
#define POINTSMAN_ENDPOINTS_H

#include "proxy/dialect/dialect.h"
#include "store/base/err.h"

enum endpoint_auth { AUTH_NONE, AUTH_LOCAL, AUTH_KEY };
enum endpoint_handler {
    HANDLE_RELAY,
    HANDLE_MODELS,
    HANDLE_MODEL,
    HANDLE_USAGE,
    HANDLE_HEALTHZ,
    HANDLE_READYZ,
    HANDLE_METRICS
};

struct endpoint {
    enum wire wire;
    enum dialect dialect;  /* whose error shape, and whose shape of the model list */
    enum endpoint_auth auth;
    enum endpoint_handler handler;
    struct str path;       /* normalised: "/v1/chat/completions"; what is recorded */
    struct str session;    /* from a /s/NAME/ prefix, decoded; empty when absent */
    struct str model;      /* from a Gemini path, decoded; or the id of /v1/models/{x} */
    const char *allow;     /* for a 405: the methods that this path takes */
};

/* 0; -ERR_NOT_FOUND (no such path; e names the nearest); -ERR_DENIED (method: ep->allow is set).
 * ep->dialect is set in every case: where the path is of no dialect alone, it is `caller`, the one whose
 * headers were sent. */
int endpoint_match(struct str method, struct str path, enum dialect caller, struct arena *a,
    struct endpoint *ep, struct err *e) MUST_CHECK;

/* A parameter of the query, decoded; STR_NULL when it is not there. */
struct str endpoint_parameter(struct str query, const char *name, struct arena *a);

#endif
