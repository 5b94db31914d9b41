/* url.c: what a base URL must look like, and whether it is our own address. Strict on purpose: the
 * bytes go to another parser later (libcurl), and two parsers that differ are how requests land
 * where nobody meant them to go. */
#include "proxy/config/options.h"

static bool url_split(
    struct str url, bool *tls, struct str *host, struct str *port, struct str *path)
{
    *tls = str_starts_nocase(url, STR("https://"));
    if (!*tls && !str_starts_nocase(url, STR("http://")))
        return false;
    struct str rest = str_from(url, *tls ? 8 : 7);
    ptrdiff_t slash = str_chr(rest, '/');
    struct str authority = slash < 0 ? rest : str_first(rest, (size_t)slash);
    *path = slash < 0 ? STR("") : str_from(rest, (size_t)slash);
    ptrdiff_t bracket = authority.n && *authority.p == '[' ? str_chr(authority, ']') : -1;
    ptrdiff_t colon = bracket >= 0 ? (ptrdiff_t)bracket + 1 : str_chr(authority, ':');
    if (colon < 0 || (size_t)colon >= authority.n) {
        *host = authority;
        *port = STR_NULL;
    } else {
        *host = str_first(authority, (size_t)colon);
        *port = str_from(authority, (size_t)colon + 1);
        if (authority.p[colon] != ':' || !port->n)
            return false;
    }
    if (bracket >= 0)
        *host = str_n(host->p + 1, host->n - 2);
    return host->n > 0;
}

static bool host_characters(struct str host)
{
    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!plain && c != '.' && c != '-' && c != ':' && c != '_')
            return false;
    }
    return true;
}

const char *url_fault(struct str url)
{
    bool tls;
    struct str host, port, path;
    uint64_t number;
    for (size_t i = 0; i < url.n; i++)
        if ((unsigned char)url.p[i] <= 0x20 || (unsigned char)url.p[i] >= 0x7f)
            return "a URL holds no blanks, control or non-ASCII characters";
    if (str_chr(url, '?') >= 0 || str_chr(url, '#') >= 0)
        return "write it without ? and #";
    if (!url_split(url, &tls, &host, &port, &path))
        return "expected a URL such as https://api.openai.com/v1 or http://127.0.0.1:11434/v1";
    if (str_find(url, STR("@")) >= 0)
        return "no user or password in a URL";
    if (!host_characters(host))
        return "the host holds characters that a host name can't have";
    if (port.p && (!str_to_u64(port, &number) || number < 1 || number > 65535))
        return "the port is not a number from 1 to 65535";
    return NULL;
}

struct str url_host(struct str url)
{
    bool tls;
    struct str host, port, path;
    return url_split(url, &tls, &host, &port, &path) ? host : STR_NULL;
}

bool host_is_loopback(struct str host)
{
    return str_eq_nocase(host, STR("localhost")) || str_eq(host, STR("::1")) ||
           str_starts(host, STR("127.")) || str_eq(host, STR("0.0.0.0")) || str_eq(host, STR("::"));
}

bool url_is_ours(struct str url, struct str listen)
{
    bool tls, ignored;
    struct str host, port, path, our_host, our_port;
    char whole[300];
    if (!url_split(url, &tls, &host, &port, &path) || listen.n > 250)
        return false;
    memcpy(whole, "http://", 7);
    memcpy(whole + 7, listen.p ? listen.p : "", listen.n);
    if (!url_split(str_n(whole, listen.n + 7), &ignored, &our_host, &our_port, &path))
        return false;
    if (!port.p)
        port = tls ? STR("443") : STR("80");
    if (!str_eq(port, our_port))
        return false;
    return str_eq_nocase(host, our_host) || (host_is_loopback(host) && host_is_loopback(our_host));
}
