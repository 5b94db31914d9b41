/* holder.c: who holds a port that we wanted. Linux only: the kernel lists listening sockets with
 * their user in /proc/net/tcp{,6}; the process is the one with that socket among its descriptors.
 *
 * The process can only be seen when it is ours and dumpable, or when we are root. A gateway is not
 * dumpable (it holds secrets), so one of the same user is asked: its /healthz tells its own user the
 * pid. Only what is proven is named. Runs once, when a start fails: it may read all of /proc and wait
 * a moment. */
#include "proxy/http/internal.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct holder {
    uint64_t inode;
    unsigned uid;
    long pid;           /* 0: not seen */
    char name[24];
};

/* ---- the socket ---- */

/* An address as /proc writes it: words of 32 bits in the machine's own order. */
static void proc_address(const struct sockaddr *a, char out[33])
{
    uint32_t words[4] = {0};
    bool six = a->sa_family == AF_INET6;
    if (six)
        memcpy(words, &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr, 16);
    else
        words[0] = ((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr;
    for (int i = 0; i < (six ? 4 : 1); i++)
        snprintf(out + (size_t)i * 8, 9, "%08" PRIX32, words[i]);
}

static bool is_any(const char *address)
{
    return strspn(address, "0") == strlen(address);
}

/* A listener on the port whose address meets ours: the same, or one of the two is "any". Listeners of
 * the other family meet ours only when one of them is "any". */
static bool find_listener(const char *file, const char *address, unsigned port, struct holder *h)
{
    FILE *f = fopen(file, "re");
    char line[512], theirs[33];
    bool found = false;
    while (f && !found && fgets(line, sizeof line, f)) {
        unsigned their_port, state, uid;
        uint64_t inode;
        if (sscanf(line, " %*u: %32[0-9A-F]:%x %*[0-9A-F]:%*x %x %*x:%*x %*x:%*x %*x %u %*d %" SCNu64,
                theirs, &their_port, &state, &uid, &inode) != 5)
            continue;
        found = state == 0x0a && their_port == port &&
                (strcmp(theirs, address) == 0 || is_any(theirs) || is_any(address));
        if (found)
            *h = (struct holder){.inode = inode, .uid = uid};
    }
    if (f)
        fclose(f);
    return found;
}

/* ---- the process ---- */

static void read_name(const char *pid, char name[24])
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%.20s/comm", pid);
    FILE *f = fopen(path, "re");
    name[0] = '\0';
    if (f && fgets(name, 24, f))
        name[strcspn(name, "\n")] = '\0';
    if (f)
        fclose(f);
    for (char *c = name; *c; c++) /* a process gives itself its name */
        if (*c < 0x20 || *c == 0x7f)
            *c = '?';
}

static bool has_socket(const char *pid, uint64_t inode)
{
    char path[64], wanted[48], link[64];
    snprintf(path, sizeof path, "/proc/%.20s/fd", pid);
    snprintf(wanted, sizeof wanted, "socket:[%" PRIu64 "]", inode);
    DIR *d = opendir(path);
    bool found = false;
    for (struct dirent *e; d && !found && (e = readdir(d));) {
        ssize_t n = readlinkat(dirfd(d), e->d_name, link, sizeof link - 1);
        link[n > 0 ? n : 0] = '\0';
        found = strcmp(link, wanted) == 0;
    }
    if (d)
        closedir(d);
    return found;
}

static void find_process(struct holder *h)
{
    DIR *proc = opendir("/proc");
    for (struct dirent *e; proc && !h->pid && (e = readdir(proc));) {
        long pid = strtol(e->d_name, NULL, 10);
        if (pid > 0 && has_socket(e->d_name, h->inode)) {
            h->pid = pid;
            read_name(e->d_name, h->name);
        }
    }
    if (proc)
        closedir(proc);
}

/* A gateway of our own user tells who it is; what is no process of that user is not believed. */
static void ask_gateway(const struct sockaddr *a, struct holder *h)
{
    static const char ask[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    struct sockaddr_storage to = {0};
    struct timeval limit = {.tv_usec = 500000};
    char answer[2048], path[64];
    struct stat st;
    size_t n = a->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    int fd = socket(a->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memcpy(&to, a, n);
    if (fd < 0)
        return;
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit); /* connecting too */
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ssize_t got = -1;
    if (connect(fd, (struct sockaddr *)&to, (socklen_t)n) == 0 &&
        send(fd, ask, sizeof ask - 1, MSG_NOSIGNAL) == (ssize_t)sizeof ask - 1)
        got = recv(fd, answer, sizeof answer - 1, 0);
    close(fd);
    answer[got > 0 ? got : 0] = '\0';
    const char *found = strcasestr(answer, "\r\nx-pointsman-pid: ");
    long pid = found ? strtol(found + 19, NULL, 10) : 0;
    snprintf(path, sizeof path, "/proc/%ld", pid);
    if (pid <= 0 || stat(path, &st) < 0 || st.st_uid != h->uid)
        return;
    h->pid = pid;
    str_copy(h->name, sizeof h->name, STR("pointsman"));
}

bool port_holder(const struct sockaddr *a, char *out, size_t size)
{
    struct holder h;
    char address[33], memory[4096], user[64];
    unsigned port = a->sa_family == AF_INET6
        ? ntohs(((const struct sockaddr_in6 *)(const void *)a)->sin6_port)
        : ntohs(((const struct sockaddr_in *)(const void *)a)->sin_port);
    bool six = a->sa_family == AF_INET6;
    proc_address(a, address);
    if (!find_listener(six ? "/proc/net/tcp6" : "/proc/net/tcp", address, port, &h) &&
        !find_listener(six ? "/proc/net/tcp" : "/proc/net/tcp6", "-", port, &h))
        return false;
    struct passwd entry, *who = NULL;
    getpwuid_r((uid_t)h.uid, &entry, memory, sizeof memory, &who);
    if (who)
        str_copy(user, sizeof user, str_c(who->pw_name));
    else
        snprintf(user, sizeof user, "uid %u", h.uid);
    find_process(&h);
    if (!h.pid && h.uid == getuid())
        ask_gateway(a, &h);
    if (h.pid)
        snprintf(out, size, "held by %s (pid %ld) of %s", h.name, h.pid, user);
    else
        snprintf(out, size, "held by a process of %s", user);
    return true;
}
