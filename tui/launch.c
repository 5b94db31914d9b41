/* launch.c: see launch.h. */
#include "tui/launch.h"

#include "store/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOG_MAX = 4 << 20, START_WAIT_MS = 15000, LOOK_EVERY_US = 5000, AGAIN_US = 200000 };
static const char system_socket[] = "/run/pointsman/control.sock";

/* 0, or the errno of connect(). */
static int try_connect(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof a.sun_path)
        return ENAMETOOLONG;
    memcpy(a.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    int why = connect(fd, (struct sockaddr *)&a, sizeof a) < 0 ? errno : 0;
    close(fd);
    return why;
}

static int denied(const char *path, struct err *e)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return err_set(e, ERR_DENIED,
            "%s: a gateway may be there, but its folder is closed to you; "
            "ask its owner for a place in access.group",
            path);
    struct group *g = getgrgid(st.st_gid);
    struct passwd *p = getpwuid(st.st_uid);
    const char *group = g ? g->gr_name : "?", *owner = p ? p->pw_name : "?";
    if ((st.st_mode & S_IWGRP) == 0)
        return err_set(e, ERR_DENIED,
            "%s: the gateway is open to %s alone; ask for access.group to "
            "be set",
            path, owner);
    return err_set(e, ERR_DENIED,
        "%s: the gateway of %s is open to group %s: join it (sudo usermod "
        "-aG %s $USER), then log in anew",
        path, owner, group, group);
}

/* 0 when it answers. What was refused is remembered: worth more than "none answers". */
static int look_at(const char *path, char out[256], int *refused, char refused_path[256])
{
    int why = try_connect(path);
    if (why == 0) {
        snprintf(out, 256, "%s", path);
        return 0;
    }
    if (why == EACCES && !*refused) {
        *refused = why;
        snprintf(refused_path, 256, "%s", path);
    }
    return -ERR_NOT_FOUND;
}

int launch_find(const struct cli *c, char path[256], struct err *e)
{
    char data[256] = "", own[256] = "", refused_path[256] = "";
    int refused = 0;
    c->hooks->where(c, data, own);
    const char *places[3] = {own, NULL, NULL};
    const char *environment = getenv("POINTSMAN_SOCKET");
    if (!c->socket && !c->data) {
        bool given = environment && *environment;
        places[0] = given ? environment : own;
        places[1] = given ? own : system_socket;
        places[2] = given ? system_socket : NULL;
    }
    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        if (places[i] && places[i][0] && look_at(places[i], path, &refused, refused_path) == 0)
            return 0;
    if (refused)
        return denied(refused_path, e);
    snprintf(path, 256, "%s", own);
    return err_set(e, ERR_NOT_FOUND, "no gateway answers at %s%s%s; start one: pointsman serve",
        places[0], places[1] ? " nor at " : "", places[1] ? places[1] : "");
}

/* ---- starting ---- */

static int make_folder(const char *path, struct err *e)
{
    char part[256];
    size_t n = strlen(path);
    for (size_t i = 1; i <= n && n < sizeof part; i++) {
        if (path[i] != '/' && path[i] != 0)
            continue;
        memcpy(part, path, i);
        part[i] = 0;
        if (mkdir(part, 0700) < 0 && errno != EEXIST)
            return err_set(
                e, ERR_IO, "%s: %s; choose another folder with --data", part, strerror(errno));
    }
    return 0;
}

/* The log of the gateway to be started; bounded by setting the old one aside. */
static int open_log(const char *data, off_t *from, char path[300], struct err *e)
{
    snprintf(path, 300, "%s/gateway.log", data);
    struct stat st;
    if (stat(path, &st) == 0 && st.st_size > LOG_MAX) {
        char old[310];
        snprintf(old, sizeof old, "%s.1", path);
        (void)rename(path, old);
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_set(
            e, ERR_IO, "%s: %s; choose another folder with --data", path, strerror(errno));
    *from = fstat(fd, &st) == 0 ? st.st_size : 0;
    return fd;
}

static void become_gateway(const struct cli *c, int log)
{
    int nothing = open("/dev/null", O_RDWR);
    setsid();
    dup2(nothing, 0);
    dup2(log, 1);
    dup2(log, 2);
    char *argv[12] = {"pointsman", "serve"};
    size_t n = 2;
    const char *const pairs[][2] = {
        {"--config", c->config}, {"--data", c->data}, {"--socket", c->socket},
        {"--listen", c->command ? NULL : cli_option(c, "listen")}};
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
        if (pairs[i][1]) {
            argv[n++] = (char *)(uintptr_t)pairs[i][0];
            argv[n++] = (char *)(uintptr_t)pairs[i][1];
        }
    if (!c->command) /* for the console: without any provider it shows the simulated one */
        setenv("POINTSMAN_STARTED", "1", 1);
    execv("/proc/self/exe", argv);
    fprintf(stderr, "pointsman: /proc/self/exe: %s\n", strerror(errno));
    _exit(1);
}

/* The last line that it wrote: its reason. */
static int say_reason(const char *log_path, off_t from, struct err *e)
{
    char text[2048];
    int fd = open(log_path, O_RDONLY | O_CLOEXEC);
    ssize_t n = -1;
    if (fd >= 0) {
        off_t end = lseek(fd, 0, SEEK_END);
        n = pread(fd, text, sizeof text - 1, MAX(from, end - (off_t)sizeof text + 1));
        close(fd);
    }
    text[n > 0 ? n : 0] = 0;
    struct str rest = str_trim(str_c(text)), line, last = STR_NULL;
    while (str_cut(&rest, '\n', &line))
        if (line.n)
            last = line;
    if (str_starts(last, STR("pointsman: ")))
        last = str_from(last, strlen("pointsman: "));
    if (last.n == 0)
        return err_set(
            e, ERR_STATE, "the gateway ended at once and gave no reason; see %s", log_path);
    return err_set(e, ERR_STATE, "the gateway could not start: " STR_FMT, STR_ARG(last));
}

/* Ours did not get the lock of the folder. */
static bool another_starts(const char *log_path, off_t from)
{
    struct err e = {0};
    (void)say_reason(log_path, from, &e);
    return strstr(e.text, "another gateway") != NULL;
}

/* Starts one; its pid, or an error. *from: where what it says begins in the log. */
static int spawn(const struct cli *c, const char *data, char log_path[300], off_t *from, struct err *e)
{
    int log = open_log(data, from, log_path, e);
    if (log < 0)
        return log;
    pid_t child = fork();
    if (child == 0)
        become_gateway(c, log);
    close(log);
    return child < 0 ? err_set(e, ERR_NOMEM, "fork: %s", strerror(errno)) : (int)child;
}

/* Ours may meet another gateway on the folder: one that was started in the same moment answers soon;
 * one that is just ending does not, and then ours is started again. */
static int wait_for_it(const struct cli *c, const char *data, char path[256], struct err *e)
{
    int64_t until = clock_mono_us() + START_WAIT_MS * 1000;
    char log_path[300];
    off_t from = 0;
    int child = spawn(c, data, log_path, &from, e);
    while (child > 0 && clock_mono_us() < until) {
        struct err ignored = {0};
        int status;
        if (launch_find(c, path, &ignored) == 0)
            return 0; /* ours, or one that was faster */
        if (waitpid(child, &status, WNOHANG) != child) {
            usleep(LOOK_EVERY_US);
            continue;
        }
        if (launch_find(c, path, &ignored) == 0)
            return 0;
        if (!another_starts(log_path, from))
            return say_reason(log_path, from, e);
        usleep(AGAIN_US);
        child = launch_find(c, path, &ignored) == 0 ? child : spawn(c, data, log_path, &from, e);
    }
    return child < 0 ? child : err_set(e, ERR_TIMEOUT,
        "the gateway was started (pid %d) and does not answer; see %s", child, log_path);
}

int launch_start(const struct cli *c, char path[256], struct err *e)
{
    if (geteuid() == 0 && !c->data)
        return err_set(e, ERR_DENIED,
            "as root a gateway is started only with --data DIR or as a "
            "service (pointsman serve): its files would belong to root");
    char data[256] = "", own[256] = "";
    c->hooks->where(c, data, own);
    int rc = make_folder(data, e);
    return rc < 0 ? rc : wait_for_it(c, data, path, e);
}
