/* socket.c: binds the control socket (admin.h: admin_listen).
 *
 * Defences: no abstract names (they have no permissions); the path must be ours or nobody's, and a
 * socket, never a link or a file (a planted one); umask 077 at bind, opened to a group only after. A
 * stale socket is removed; one that answers is that of a gateway on another data folder. */
#include "proxy/admin/admin.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int fill_address(struct str path, struct sockaddr_un *a, struct err *e)
{
    *a = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (path.n == 0 || path.n >= sizeof a->sun_path || memchr(path.p, 0, path.n))
        return err_set(e, ERR_RANGE, "socket: the path must have 1 to %zu bytes; it has %zu: choose "
            "a shorter one with --socket", sizeof a->sun_path - 1, path.n);
    memcpy(a->sun_path, path.p, path.n);
    return 0;
}

/* A full backlog (EAGAIN) is somebody too. */
static bool answers(const struct sockaddr_un *a)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool alive = fd >= 0 &&
                 (connect(fd, (const struct sockaddr *)a, sizeof *a) == 0 || errno == EAGAIN);
    if (fd >= 0)
        close(fd);
    return alive;
}

static int clear_place(const struct sockaddr_un *a, struct err *e)
{
    const char *path = a->sun_path;
    struct stat st;
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
    if (!S_ISSOCK(st.st_mode))
        return err_set(e, ERR_DENIED, "%s exists and is no socket: move it away", path);
    if (st.st_uid != geteuid())
        return err_set(e, ERR_DENIED, "%s belongs to uid %u, not to us: remove it", path,
            (unsigned)st.st_uid);
    if (answers(a))
        return err_set(e, ERR_BUSY, "another gateway answers at %s: end it (pointsman down --socket "
            "%s), or choose another path with --socket", path, path);
    if (unlink(path) < 0)
        return err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
    return 0;
}

static int open_to_group(const char *path, struct str group, struct err *e)
{
    char name[64], memory[8192];
    struct group entry, *found = NULL;
    if (group.n == 0)
        return 0;
    str_copy(name, sizeof name, group);
    getgrnam_r(name, &entry, memory, sizeof memory, &found);
    if (!found)
        return err_set(e, ERR_NOT_FOUND, "access.group: there is no group \"%s\"; make it with: "
            "groupadd %s", name, name);
    if (chown(path, (uid_t)-1, found->gr_gid) < 0 || chmod(path, 0660) < 0)
        return err_set(e, ERR_DENIED, "access.group: %s can't be given to group %s: %s", path, name,
            strerror(errno));
    return 0;
}

int admin_listen(struct str path, struct str group, int *fd, struct err *e)
{
    struct sockaddr_un a;
    int rc = fill_address(path, &a, e);
    if (rc == 0)
        rc = clear_place(&a, e);
    if (rc < 0)
        return rc;
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd < 0)
        return err_set(e, ERR_IO, "socket: %s", strerror(errno));
    mode_t old = umask(077);
    int bound = bind(*fd, (struct sockaddr *)&a, sizeof a);
    int why = errno;
    umask(old);
    if (bound < 0)
        rc = err_set(e, ERR_IO, "%s: %s", a.sun_path, strerror(why));
    else if (chmod(a.sun_path, 0600) < 0 || listen(*fd, 128) < 0)
        rc = err_set(e, ERR_IO, "%s: %s", a.sun_path, strerror(errno));
    else
        rc = open_to_group(a.sun_path, group, e);
    if (rc < 0)
        close(*fd);
    return rc;
}
