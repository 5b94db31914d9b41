/* peer.c: who is at the other end of a connection: address as text, and the unix user.
 *
 * For TCP on this host the kernel is asked by netlink (sock_diag) for the socket that mirrors ours;
 * one question and one answer, a few µs, once a connection. A socket whose process has gone is
 * reported with uid 0 and inode 0: that is "unknown", never root. */
#include "proxy/http/internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

int peer_diag_open(void)
{
    int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    struct timeval most = {.tv_usec = 100000}; /* the kernel answers within the send; be sure */
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
    return fd;
}

static void put_address(const struct sockaddr_storage *a, uint32_t address[4], uint16_t *port)
{
    if (a->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const void *)a;
        memcpy(address, &in->sin6_addr, 16);
        *port = in->sin6_port;
    } else {
        const struct sockaddr_in *in = (const void *)a;
        address[0] = in->sin_addr.s_addr;
        *port = in->sin_port;
    }
}

static int64_t read_answer(int fd, uint32_t sequence)
{
    union {
        struct nlmsghdr head;
        char bytes[4096];
    } answer;
    for (int tries = 0; tries < 4; tries++) { /* answers to questions given up on come first */
        ssize_t n = recv(fd, &answer, sizeof answer, 0);
        if (n < (ssize_t)NLMSG_LENGTH(0))
            return -1;
        if (answer.head.nlmsg_seq != sequence)
            continue;
        if (answer.head.nlmsg_type != SOCK_DIAG_BY_FAMILY ||
            n < (ssize_t)NLMSG_LENGTH(sizeof(struct inet_diag_msg)))
            return -1;
        const struct inet_diag_msg *m = NLMSG_DATA(&answer.head);
        return m->idiag_inode ? (int64_t)m->idiag_uid : -1;
    }
    return -1;
}

int64_t peer_uid_inet(int diag_fd, const struct sockaddr_storage *peer,
    const struct sockaddr_storage *own)
{
    static _Atomic uint32_t sequence;
    struct {
        struct nlmsghdr head;
        struct inet_diag_req_v2 ask;
    } m = {
        .head = {.nlmsg_len = sizeof m,
            .nlmsg_type = SOCK_DIAG_BY_FAMILY,
            .nlmsg_flags = NLM_F_REQUEST,
            .nlmsg_seq = ++sequence},
        .ask = {.sdiag_family = (unsigned char)peer->ss_family,
            .sdiag_protocol = IPPROTO_TCP,
            .idiag_states = UINT32_MAX,
            .id.idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}},
    };
    if (diag_fd < 0 || peer->ss_family != own->ss_family)
        return -1;
    put_address(peer, m.ask.id.idiag_src, &m.ask.id.idiag_sport);
    put_address(own, m.ask.id.idiag_dst, &m.ask.id.idiag_dport);
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    if (sendto(diag_fd, &m, sizeof m, 0, (void *)&kernel, sizeof kernel) != (ssize_t)sizeof m)
        return -1;
    return read_answer(diag_fd, m.head.nlmsg_seq);
}

int64_t peer_uid_unix(int fd, int64_t *pid)
{
    struct ucred who;
    socklen_t n = sizeof who;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) < 0)
        return -1;
    *pid = who.pid;
    return who.uid;
}

void peer_text(const struct sockaddr_storage *peer, char *out, size_t size)
{
    char address[INET6_ADDRSTRLEN] = "?";
    if (peer->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const void *)peer;
        bool mapped = IN6_IS_ADDR_V4MAPPED(&in->sin6_addr);
        if (mapped)
            inet_ntop(AF_INET, &in->sin6_addr.s6_addr[12], address, sizeof address);
        else
            inet_ntop(AF_INET6, &in->sin6_addr, address, sizeof address);
        snprintf(out, size, mapped ? "%s:%u" : "[%s]:%u", address, ntohs(in->sin6_port));
    } else {
        const struct sockaddr_in *in = (const void *)peer;
        inet_ntop(AF_INET, &in->sin_addr, address, sizeof address);
        snprintf(out, size, "%s:%u", address, ntohs(in->sin_port));
    }
}

bool peer_is_loopback(const struct sockaddr_storage *peer)
{
    if (peer->ss_family == AF_INET6) {
        const struct in6_addr *a = &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr;
        return IN6_IS_ADDR_LOOPBACK(a) || (IN6_IS_ADDR_V4MAPPED(a) && a->s6_addr[12] == 127);
    }
    const struct sockaddr_in *in = (const void *)peer;
    return peer->ss_family == AF_INET && ntohl(in->sin_addr.s_addr) >> 24 == 127;
}
