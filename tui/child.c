/* child.c: see child.h. */
#include "tui/child.h"

#include "tui/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static void begin(const char *command, const char *arg, int in)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    if (in >= 0)
        dup2(in, STDIN_FILENO);
    execl("/bin/sh", "sh", "-c", command, "sh", arg, (char *)NULL);
    _exit(127);
}

/* The reader may stop before the end: SIGPIPE is ignored here, so that write() says so. */
static void feed(int fd, struct str text)
{
    while (text.n) {
        ssize_t n = write(fd, text.p, text.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        text = str_from(text, (size_t)n);
    }
}

static int wait_for(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void wait_for_enter(int status)
{
    char byte = 0;
    if (status)
        printf("\n[status %d]", status);
    fputs("\n[Enter: back to the console]", stdout);
    fflush(stdout);
    while (byte != '\n' && read(STDIN_FILENO, &byte, 1) == 1)
        ;
}

int child_run(const char *command, const char *arg, const struct str *input)
{
    int fds[2] = {-1, -1}, status = -1;
    if (input && pipe2(fds, O_CLOEXEC) < 0)
        return -1;
    terminal_leave();
    pid_t pid = fork();
    if (pid == 0)
        begin(command, arg, fds[0]);
    if (input) {
        close(fds[0]);
        if (pid > 0)
            feed(fds[1], *input);
        close(fds[1]);
    }
    if (pid > 0)
        status = wait_for(pid);
    if (input)
        wait_for_enter(status);
    terminal_return();
    return status;
}
