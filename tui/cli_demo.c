/* cli_demo.c: the whole program on simulated providers, to look at: a gateway that lives as long as
 * the console in front of it.
 *
 * On a terminal `pointsman demo` opens the console on its own gateway; where there is no terminal,
 * or with --headless, it is the gateway alone, in the foreground. The gateway is a child with a
 * temporary folder for its socket and log; it ends with the console, however that one ends, and the
 * folder goes with it. Nothing of a gateway that already runs is touched. */
#include "store/base/clock.h"
#include "tui/cli_verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { START_WAIT_MS = 15000, LOOK_EVERY_US = 5000, DRAIN_LOOKS = 20, REASON_MAX = 1024 };

/* What one demo keeps on disk while it is looked at. */
struct place {
    char folder[128], socket[160], log[160];
};

static int make_place(struct place *p)
{
    const char *tmp = getenv("TMPDIR");
    int n = snprintf(p->folder, sizeof p->folder, "%s/pointsman-demo-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (n < 0 || (size_t)n >= sizeof p->folder || !mkdtemp(p->folder)) {
        fprintf(stderr, "pointsman: no temporary folder in %s: %s; set TMPDIR to one\n",
            tmp && *tmp ? tmp : "/tmp", strerror(errno));
        return -1;
    }
    snprintf(p->socket, sizeof p->socket, "%s/control.sock", p->folder);
    snprintf(p->log, sizeof p->log, "%s/gateway.log", p->folder);
    return 0;
}

static void remove_place(const struct place *p)
{
    (void)unlink(p->socket);
    (void)unlink(p->log);
    (void)rmdir(p->folder);
}

/* The child: a demo without a console, that ends when its parent does. */
static void become_gateway(const struct cli *c, const struct place *p, pid_t parent)
{
    const char *listen = cli_option(c, "listen");
    int nothing = open("/dev/null", O_RDWR);
    int log = open(p->log, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0600);
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (nothing < 0 || log < 0 || getppid() != parent)
        _exit(1);
    dup2(nothing, 0);
    dup2(log, 1);
    dup2(log, 2);
    char *argv[] = {"pointsman", "demo", "--headless", "--socket", (char *)(uintptr_t)p->socket,
        listen ? "--listen" : NULL, (char *)(uintptr_t)listen, NULL};
    execv("/proc/self/exe", argv);
    fprintf(stderr, "pointsman: /proc/self/exe: %s\n", strerror(errno));
    _exit(1);
}

/* The gateway's last words, when it could not start. */
static void say_reason(const struct place *p)
{
    char text[REASON_MAX] = "";
    int fd = open(p->log, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        fprintf(stderr, "pointsman: the demo ended at once and gave no reason\n");
    else
        fprintf(stderr, "%.*s", (int)n, text);
}

static bool answers(const struct place *p, pid_t child, bool *ended)
{
    for (int64_t until = clock_mono_us() + START_WAIT_MS * 1000; clock_mono_us() < until;) {
        if (access(p->socket, F_OK) == 0)
            return true;
        if (waitpid(child, NULL, WNOHANG) == child) {
            *ended = true;
            return false;
        }
        usleep(LOOK_EVERY_US);
    }
    return false;
}

/* The first signal drains; simulated streams are nothing to wait for, so a second ends them. */
static void end_gateway(pid_t child)
{
    kill(child, SIGTERM);
    for (int looks = 0; looks < DRAIN_LOOKS; looks++) {
        if (waitpid(child, NULL, WNOHANG) == child)
            return;
        usleep(LOOK_EVERY_US);
    }
    kill(child, SIGTERM);
    (void)waitpid(child, NULL, 0);
}

int cli_demo(struct cli *c)
{
    struct place p;
    bool ended = false;
    if (cli_option(c, "headless") || c->socket || !c->hooks->console || !isatty(0) || !isatty(1))
        return c->hooks->serve(c, true);
    if (make_place(&p) < 0)
        return CLI_FAILED;
    pid_t parent = getpid(), child = fork();
    if (child == 0)
        become_gateway(c, &p, parent);
    int status = CLI_FAILED;
    if (child < 0) {
        fprintf(stderr, "pointsman: fork: %s\n", strerror(errno));
    } else if (answers(&p, child, &ended)) {
        c->quiet = true; /* the console's farewell says that the gateway stays: this one does not */
        status = c->hooks->console(c, p.socket, false);
    } else {
        say_reason(&p);
    }
    if (child > 0 && !ended)
        end_gateway(child);
    remove_place(&p);
    return status;
}
