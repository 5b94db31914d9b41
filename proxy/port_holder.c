/* port_holder.c: see port_holder.h. /proc/net/tcp gives user and inode of a listening socket; whose
 * descriptor leads to that inode is the process. Linux only. */
#include "proxy/port_holder.h"

#include <dirent.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STATE_LISTEN = 0x0a };

static bool find_socket(const char *table, int port, unsigned *uid, unsigned long *inode)
{
    char line[512];
    bool found = false;
    FILE *f = fopen(table, "re");
    while (f && !found && fgets(line, sizeof line, f)) {
        unsigned local = 0, state = 0;
        found = sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*x:%*x %*x:%*x %*x %u %*d %lu",
                    &local, &state, uid, inode) == 4 &&
                (int)local == port && state == STATE_LISTEN;
    }
    if (f)
        fclose(f);
    return found;
}

static bool has_socket(const char *pid, const char *wanted)
{
    char path[300], link[64];
    bool found = false;
    snprintf(path, sizeof path, "/proc/%s/fd", pid);
    DIR *d = opendir(path);
    for (struct dirent *e; d && !found && (e = readdir(d));) {
        snprintf(path, sizeof path, "/proc/%s/fd/%.30s", pid, e->d_name);
        ssize_t n = readlink(path, link, sizeof link - 1);
        link[n > 0 ? n : 0] = 0;
        found = strcmp(link, wanted) == 0;
    }
    if (d)
        closedir(d);
    return found;
}

static void read_name(const char *pid, char *out, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%.20s/comm", pid);
    FILE *f = fopen(path, "re");
    if (!f || !fgets(out, (int)size, f))
        snprintf(out, size, "a process");
    out[strcspn(out, "\n")] = 0;
    if (f)
        fclose(f);
}

bool port_holder(int port, char *out, size_t size)
{
    unsigned uid = 0;
    unsigned long inode = 0;
    char wanted[64], name[64] = "", pid[24] = "", user[64];
    if (!find_socket("/proc/net/tcp", port, &uid, &inode) &&
        !find_socket("/proc/net/tcp6", port, &uid, &inode))
        return false;
    snprintf(wanted, sizeof wanted, "socket:[%lu]", inode);
    DIR *d = opendir("/proc");
    for (struct dirent *e; d && !pid[0] && (e = readdir(d));)
        if (e->d_name[0] >= '1' && e->d_name[0] <= '9' && has_socket(e->d_name, wanted)) {
            snprintf(pid, sizeof pid, "%.20s", e->d_name);
            read_name(pid, name, sizeof name);
        }
    if (d)
        closedir(d);
    const struct passwd *p = getpwuid(uid);
    snprintf(user, sizeof user, "%s", p ? p->pw_name : "?");
    if (pid[0])
        snprintf(out, size, "%s (pid %s, user %s)", name, pid, user);
    else
        snprintf(out, size, "a process of user %s", user);
    return true;
}
