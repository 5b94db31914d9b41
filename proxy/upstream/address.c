/* address.c: which addresses must not be dialled (T9). Pure: judged is what curl is about to dial,
 * after the name was resolved, so no spelling of a URL gets around it.
 *
 * Three classes: never (metadata services, link-local, multicast, reserved), private (loopback, home
 * and carrier nets, documentation and test nets: must be written out or allowed), public. */
#include "proxy/upstream/call.h"

#include <arpa/inet.h>
#include <netinet/in.h>

enum class { PUBLIC, PRIVATE, NEVER };

struct net4 {
    uint32_t net;
    unsigned bits;
    enum class class;
};

#define IP4(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (d))

/* The first match counts: single addresses before the nets that hold them. */
static const struct net4 nets4[] = {
    {IP4(100, 100, 100, 200), 32, NEVER}, /* metadata of Alibaba Cloud */
    {IP4(168, 63, 129, 16), 32, NEVER},   /* Azure's platform service */
    {IP4(192, 0, 0, 192), 32, NEVER},     /* metadata of Oracle Cloud */
    {IP4(0, 0, 0, 0), 8, NEVER},
    {IP4(169, 254, 0, 0), 16, NEVER}, /* link-local, and metadata of AWS, Azure, Google */
    {IP4(224, 0, 0, 0), 4, NEVER},    /* multicast */
    {IP4(240, 0, 0, 0), 4, NEVER},    /* reserved, broadcast */
    {IP4(127, 0, 0, 0), 8, PRIVATE},
    {IP4(10, 0, 0, 0), 8, PRIVATE},
    {IP4(172, 16, 0, 0), 12, PRIVATE},
    {IP4(192, 168, 0, 0), 16, PRIVATE},
    {IP4(100, 64, 0, 0), 10, PRIVATE}, /* carrier NAT, tailnets */
    {IP4(192, 0, 0, 0), 24, PRIVATE},
    {IP4(192, 0, 2, 0), 24, PRIVATE}, /* documentation */
    {IP4(198, 51, 100, 0), 24, PRIVATE},
    {IP4(203, 0, 113, 0), 24, PRIVATE},
    {IP4(198, 18, 0, 0), 15, PRIVATE}, /* benchmarks */
};

static enum class class4(uint32_t ip)
{
    for (size_t i = 0; i < ARRAY_LEN(nets4); i++)
        if ((ip ^ nets4[i].net) >> (32 - nets4[i].bits) == 0)
            return nets4[i].class;
    return PUBLIC;
}

static uint32_t read4(const unsigned char *p)
{
    return IP4(p[0], p[1], p[2], p[3]);
}

static enum class class6(const unsigned char *p)
{
    static const unsigned char zero[12] = {0};
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    static const unsigned char nat64[12] = {0x00, 0x64, 0xff, 0x9b};
    static const unsigned char aws[16] = {0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54};
    if (memcmp(p, zero, 12) == 0)
        return read4(p + 12) == 1 ? PRIVATE : NEVER; /* ::1; ::, and IPv4-compatible forms */
    if (memcmp(p, mapped, 12) == 0 || memcmp(p, nat64, 12) == 0)
        return class4(read4(p + 12));
    if (p[0] == 0x20 && p[1] == 0x02) /* 6to4 carries an IPv4 address */
        return class4(read4(p + 2));
    if (memcmp(p, aws, 16) == 0 || p[0] == 0xff || (p[0] == 0xfe && (p[1] & 0xc0) == 0x80))
        return NEVER; /* metadata, multicast, link-local */
    if ((p[0] & 0xfe) == 0xfc || (p[0] == 0xfe && (p[1] & 0xc0) == 0xc0))
        return PRIVATE; /* unique local, site-local */
    if (read4(p) == 0x20010db8u || read4(p) >> 16 == 0x0064u)
        return PRIVATE; /* documentation, local-use translation */
    return PUBLIC;
}

bool upstream_address_forbidden(const struct sockaddr *a, bool allow_private, bool written)
{
    enum class class = NEVER;
    if (a->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, a, sizeof in);
        class = class4(ntohl(in.sin_addr.s_addr));
    } else if (a->sa_family == AF_INET6) {
        struct sockaddr_in6 in;
        memcpy(&in, a, sizeof in);
        class = class6(in.sin6_addr.s6_addr);
    }
    return class == NEVER || (class == PRIVATE && !allow_private && !written);
}

bool address_text_forbidden(const char *ip)
{
    unsigned char raw[16];
    uint32_t v4;
    if (inet_pton(AF_INET, ip, raw) == 1) {
        memcpy(&v4, raw, sizeof v4);
        return class4(ntohl(v4)) != PUBLIC;
    }
    return inet_pton(AF_INET6, ip, raw) != 1 || class6(raw) != PUBLIC;
}

bool address_is_https(struct str url)
{
    return str_starts_nocase(url, STR("https://"));
}

/* The host of an absolute URL, without user, port and brackets; empty when there is none. */
struct str address_host(struct str url, bool *brackets)
{
    ptrdiff_t at = str_find(url, STR("://"));
    *brackets = false;
    if (at < 0)
        return STR("");
    struct str host = str_from(url, (size_t)at + 3);
    size_t n = 0;
    while (n < host.n && !strchr("/?#\\", host.p[n]))
        n++;
    host = str_first(host, n);
    if (str_chr(host, '@') >= 0)
        return STR(""); /* user@host is refused by curl's option */
    if (host.n > 0 && host.p[0] == '[') {
        *brackets = true;
        ptrdiff_t end = str_chr(host, ']');
        return end < 0 ? STR("") : str_n(host.p + 1, (size_t)end - 1);
    }
    ptrdiff_t colon = str_chr(host, ':');
    return colon < 0 ? host : str_first(host, (size_t)colon);
}

bool address_written(struct str url)
{
    bool brackets;
    struct str host = address_host(url, &brackets);
    char text[64];
    unsigned char raw[16];
    if (host.n == 0 || host.n >= sizeof text)
        return false;
    str_copy(text, sizeof text, host);
    if (brackets)
        return inet_pton(AF_INET6, text, raw) == 1;
    /* 127.1, 0x7f000001 and their like are not how anybody means an address */
    return inet_pton(AF_INET, text, raw) == 1 || str_eq_nocase(host, STR("localhost"));
}
