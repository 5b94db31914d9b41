/* clipboard.c: the ways a text can leave a terminal program, best first.
 *
 * Inside tmux its own buffer (with -w tmux hands it on to the outer terminal; raw sequences are
 * dropped by default). Inside screen the sequence wrapped for screen. Else OSC 52. In every case
 * also a file, since nothing tells whether the terminal took it. The text is freed of control bytes
 * first: what is pasted into a shell must not carry any. The clipboard is never read. */
#include "tui/app.h"
#include "tui/clean.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OSC52_MAX = 74994 };

static bool to_tmux(struct str text)
{
    int fds[2], status;
    if (pipe2(fds, O_CLOEXEC) < 0)
        return false;
    pid_t pid = fork();
    if (pid == 0) {
        sigset_t none;
        int null = open("/dev/null", O_WRONLY);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        dup2(fds[0], STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        execlp("tmux", "tmux", "load-buffer", "-w", "-", (char *)NULL);
        _exit(127);
    }
    close(fds[0]);
    for (size_t at = 0; pid > 0 && at < text.n;) {
        ssize_t n = write(fds[1], text.p + at, text.n - at);
        if (n <= 0 && errno != EINTR)
            break;
        at += n > 0 ? (size_t)n : 0;
    }
    close(fds[1]);
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}

static void put_base64(struct buf *out, struct str s)
{
    static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < s.n; i += 3) {
        const unsigned char *p = (const unsigned char *)s.p + i;
        size_t left = s.n - i;
        unsigned v =
            (unsigned)p[0] << 16 | (left > 1 ? (unsigned)p[1] << 8 : 0) | (left > 2 ? p[2] : 0);
        char four[4] = {set[v >> 18], set[v >> 12 & 63], left > 1 ? set[v >> 6 & 63] : '=',
            left > 2 ? set[v & 63] : '='};
        buf_put(out, four, 4);
    }
}

/* screen takes a DCS string of at most 768 bytes: a longer one is sent in pieces. */
static void put_wrapped(struct buf *out, struct str s)
{
    for (size_t at = 0; at < s.n; at += 700) {
        buf_puts(out, "\033P");
        buf_put_str(out, str_first(str_from(s, at), 700));
        buf_puts(out, "\033\\");
    }
}

static bool to_terminal(struct str text, bool screen)
{
    struct buf osc, out;
    if (text.n > OSC52_MAX * 3 / 4)
        return false;
    buf_init(&osc, 4 * OSC52_MAX);
    buf_init(&out, 4 * OSC52_MAX);
    buf_puts(&osc, "\033]52;c;");
    put_base64(&osc, text);
    buf_puts(&osc, "\a");
    if (screen)
        put_wrapped(&out, buf_str(&osc));
    else
        buf_put_str(&out, buf_str(&osc));
    bool ok = !out.err && !osc.err;
    if (ok)
        terminal_send(buf_str(&out));
    buf_fini(&osc);
    buf_fini(&out);
    return ok;
}

static bool to_file(struct str text, char *path, size_t size)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    char folder[400];
    if (cache && *cache)
        snprintf(folder, sizeof folder, "%s/pointsman", cache);
    else if (home && *home)
        snprintf(folder, sizeof folder, "%s/.cache/pointsman", home);
    else
        return false;
    for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(folder, 0700);
        *slash = '/';
    }
    mkdir(folder, 0700);
    snprintf(path, size, "%.380s/clip.txt", folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return false;
    ssize_t n = write(fd, text.p, text.n);
    close(fd);
    return n == (ssize_t)text.n;
}

bool clipboard_put(struct str text, char how[160])
{
    struct buf safe;
    char path[420] = "";
    const char *term = getenv("TERM"), *way = NULL;
    buf_init(&safe, (size_t)64 << 20);
    clean_put_lines(&safe, text);
    struct str s = buf_str(&safe);
    if (safe.err) {
        snprintf(how, 160, "memory is short");
        buf_fini(&safe);
        return false;
    }
    if (getenv("TMUX"))
        way = to_tmux(s) ? "tmux buffer" : NULL;
    else if (to_terminal(s, getenv("STY") || (term && strncmp(term, "screen", 6) == 0)))
        way = "terminal clipboard";
    bool file = to_file(s, path, sizeof path);
    buf_fini(&safe);
    if (way && file)
        snprintf(how, 160, "%s, and %.120s", way, path);
    else if (way)
        snprintf(how, 160, "%s", way);
    else
        snprintf(how, 160,
            file ? "too long for the terminal, saved to %.110s"
                 : "no clipboard and no cache folder to write to%.0s",
            path);
    return way || file;
}
