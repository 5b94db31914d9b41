/* quirks.c: finds the row of quirks.def that a base URL belongs to. */
#include "proxy/dialect/quirks.h"

static const struct spoke_quirks rows[] = {
#define X(host, reasoning, bits, usage) {host, reasoning, bits, usage},
#include "proxy/dialect/quirks.def"
#undef X
};

/* Their hosts' lengths: the rows are walked several times a request. */
static const unsigned char host_bytes[] = {
#define X(host, reasoning, bits, usage) sizeof(host) - 1,
#include "proxy/dialect/quirks.def"
#undef X
};

/* Nobody we know: what the fewest servers refuse. */
const struct spoke_quirks quirks_none = {"", "reasoning_content",
    SPOKE_MAX_TOKENS | SPOKE_NO_DEVELOPER, 0};

/* "https://user@host:8000/v1" → "host:8000" */
static struct str authority(struct str url)
{
    ptrdiff_t scheme = str_find(url, STR("://")), end;
    if (scheme >= 0)
        url = str_from(url, (size_t)scheme + 3);
    if ((end = str_chr(url, '/')) >= 0)
        url = str_first(url, (size_t)end);
    if ((end = str_chr(url, '@')) >= 0)
        url = str_from(url, (size_t)end + 1);
    return url;
}

static bool fits(struct str authority, struct str name, struct str host)
{
    if (*host.p == ':')
        return str_ends(authority, host);
    if (name.n < host.n || !str_eq_nocase(str_from(name, name.n - host.n), host))
        return false;
    return name.n == host.n || name.p[name.n - host.n - 1] == '.';
}

const struct spoke_quirks *quirks_of(struct str base_url)
{
    struct str at = authority(base_url);
    ptrdiff_t colon = str_chr(at, ':');
    struct str name = colon < 0 ? at : str_first(at, (size_t)colon);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (fits(at, name, str_n(rows[i].host, host_bytes[i])))
            return &rows[i];
    return &quirks_none;
}
