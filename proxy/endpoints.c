/* endpoints.c: see endpoints.h. The table is endpoints.def; first match wins. */
#include "proxy/endpoints.h"

#include "store/base/err.h"
#include "store/base/secret.h"

struct row {
    const char *methods, *path;
    enum wire wire;
    enum endpoint_auth auth;
    enum endpoint_handler handler;
    const char *help;
};

static const struct row rows[] = {
#define X(methods, path, wire, auth, handler, help) \
    {methods, path, wire, AUTH_##auth, HANDLE_##handler, help},
#include "proxy/endpoints.def"
#undef X
};

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* %XX decoded; STR_NULL without memory or with a control character in it. */
static struct str unescape(struct str s, struct arena *a)
{
    char *out = arena_alloc(a, s.n + 1);
    size_t n = 0;
    if (!out)
        return STR_NULL;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '%' && i + 2 < s.n && hex(s.p[i + 1]) >= 0 && hex(s.p[i + 2]) >= 0) {
            c = (char)(hex(s.p[i + 1]) * 16 + hex(s.p[i + 2]));
            i += 2;
        }
        if ((unsigned char)c < 0x20 || c == 0x7f)
            return STR_NULL;
        out[n++] = c;
    }
    return str_n(out, n);
}

struct str endpoint_parameter(struct str query, const char *name, struct arena *a)
{
    struct str rest = query, one, key = str_c(name);
    while (str_cut(&rest, '&', &one))
        if (one.n > key.n && one.p[key.n] == '=' && str_starts(one, key))
            return unescape(str_from(one, key.n + 1), a);
    return STR_NULL;
}

static bool method_in(const char *methods, struct str method)
{
    struct str rest = str_c(methods), one;
    if (str_eq(method, STR("HEAD")))
        method = STR("GET");
    while (str_cut(&rest, ' ', &one))
        if (str_eq(one, method))
            return true;
    return false;
}

static bool is_version(struct str s)
{
    return str_eq(s, STR("v1")) || str_eq(s, STR("v1beta")) || str_eq(s, STR("v1alpha"));
}

/* First segment of a path that starts with '/'. */
static struct str first_segment(struct str path)
{
    struct str s = str_from(path, 1);
    ptrdiff_t slash = str_chr(s, '/');
    return slash < 0 ? s : str_first(s, (size_t)slash);
}

/* "/models/x:generateContent" and its like; an OpenAI model's id may hold a colon too. */
static bool is_gemini_verb(struct str path)
{
    if (!str_starts(path, STR("/models/")))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *verb = strchr(rows[i].path, '}');
        if (verb && verb[1] == ':' && str_ends(path, str_c(verb + 1)))
            return true;
    }
    return false;
}

/* Exactly one version in front: "/chat" → "/v1/chat", "/v1/v1/chat" → "/v1/chat", and Gemini's
 * "/v1/models/x:generateContent" → "/v1beta/…", so that the table names each path once. */
static struct str normalise(struct str path, struct arena *a, bool *versioned, bool *google)
{
    while (path.n > 1 && path.p[path.n - 1] == '/')
        path.n--;
    if (str_eq(path, STR("/healthz")) || str_eq(path, STR("/readyz")) ||
        str_eq(path, STR("/metrics")))
        return path;
    struct str version = STR("v1");
    *versioned = is_version(first_segment(path));
    while (is_version(first_segment(path))) {
        version = first_segment(path);
        *google |= !str_eq(version, STR("v1"));
        path = str_from(path, version.n + 1);
    }
    if (is_gemini_verb(path))
        version = STR("v1beta");
    else if (!str_eq(path, STR("/models")))
        version = STR("v1");
    else if (str_eq(version, STR("v1alpha")))
        version = STR("v1beta");
    return ARENA_JOIN(a, STR("/"), version, path);
}

static bool path_matches(const char *pattern, struct str path, struct str *capture)
{
    struct str p = str_c(pattern);
    if (str_ends(p, STR("/*")))
        return str_starts(path, str_first(p, p.n - 1)) && path.n > p.n - 1;
    ptrdiff_t open = str_chr(p, '{');
    if (open < 0)
        return str_eq(p, path);
    struct str before = str_first(p, (size_t)open), after = str_from(p, (size_t)open + 3);
    if (!str_starts(path, before) || !str_ends(path, after) || path.n <= before.n + after.n)
        return false;
    *capture = str_n(path.p + before.n, path.n - before.n - after.n);
    return true;
}

/* By the headers only where the path is of no dialect alone. */
static enum dialect error_dialect(struct str path, bool google, enum dialect caller)
{
    static const char *const openai[] = {"/v1/chat/", "/v1/responses", "/v1/completions", "/v1/embeddings"};
    if (google || str_starts(path, STR("/v1beta/")))
        return DIALECT_GEMINI;
    for (size_t i = 0; i < ARRAY_LEN(openai); i++)
        if (str_starts(path, str_c(openai[i])))
            return DIALECT_OPENAI;
    return str_starts(path, STR("/v1/messages")) ? DIALECT_ANTHROPIC : caller;
}

static int not_found(struct str path, struct err *e)
{
    const char *nearest = NULL;
    unsigned best = (unsigned)MIN(path.n / 3 + 1, (size_t)7); /* a short path is near to all */
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        unsigned d = str_distance(path, str_c(rows[i].path), best);
        if (d < best && !strchr(rows[i].path, '*')) {
            best = d;
            nearest = rows[i].path;
        }
    }
    if (nearest)
        return err_set(e, ERR_NOT_FOUND, "no such path: " STR_FMT "; did you mean %s?",
            STR_ARG(secret_first(path, 120)), nearest);
    return err_set(e, ERR_NOT_FOUND, "no such path: " STR_FMT "; this gateway answers below /v1",
        STR_ARG(secret_first(path, 120)));
}

/* Takes "/s/NAME" off the front. */
static struct str take_session(struct str path, struct arena *a, struct endpoint *ep)
{
    if (!str_starts(path, STR("/s/")))
        return path;
    struct str rest = str_from(path, 3), name;
    if (!str_cut(&rest, '/', &name) || !rest.p || name.n == 0 || name.n > 128)
        return path;
    ep->session = unescape(name, a);
    return ep->session.p ? str_n(rest.p - 1, rest.n + 1) : path;
}

int endpoint_match(struct str method, struct str path, enum dialect caller, struct arena *a,
    struct endpoint *ep, struct err *e)
{
    *ep = (struct endpoint){0};
    path = take_session(path, a, ep);
    bool versioned = true, google = false;
    path = normalise(path, a, &versioned, &google);
    if (!path.p)
        return err_set(e, ERR_NOMEM, "out of memory");
    ep->path = path;
    ep->dialect = error_dialect(path, google, caller);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str capture = STR_NULL;
        if (!path_matches(rows[i].path, path, &capture))
            continue;
        if (rows[i].wire == WIRE_RAW && rows[i].handler == HANDLE_RELAY && !versioned)
            continue; /* a missing version is mended for known paths only */
        if (!method_in(rows[i].methods, method)) {
            if (!ep->allow)
                ep->allow = rows[i].methods;
            if (rows[i].wire == WIRE_RAW || rows[i].wire == WIRE_MODELS)
                continue; /* the raw row at the end may take it */
            break;
        }
        ep->wire = rows[i].wire;
        ep->auth = rows[i].auth;
        ep->handler = rows[i].handler;
        ep->allow = NULL;
        if (capture.p && !(ep->model = unescape(capture, a)).p)
            return err_set(e, ERR_NOT_FOUND, "the model's name in the path is not readable");
        return 0;
    }
    if (ep->allow)
        return err_set(e, ERR_DENIED, STR_FMT " takes %s, not " STR_FMT,
            STR_ARG(secret_first(path, 120)), ep->allow, STR_ARG(str_first(method, 16)));
    return not_found(path, e);
}
