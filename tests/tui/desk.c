/* desk.c: see desk.h. */
#include "tests/tui/desk.h"

#include "store/base/clock.h"
#include "store/base/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>
#include <glob.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <utmp.h>

enum { STREAM_MAX = 4 << 20, MOST_MS = 6000 };

char folder[] = "/tmp/pointsman-screens-XXXXXX";
int64_t fixed_ms = NOW_S * INT64_C(1000); /* 0: the real clock */
int patience_ms = PATIENCE_MS;

static int64_t fixed_wall(void)
{
    return fixed_ms;
}

int64_t real_mono(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * INT64_C(1000000) + ts.tv_nsec / 1000;
}

/* ---- the gateway ---- */

static bool have_python(void)
{
    return access("/usr/bin/python3", X_OK) == 0 || getenv("PYENV_ROOT") ||
           access("/usr/local/bin/python3", X_OK) == 0;
}

/* more: "--live", or NULL */
struct gateway start_gateway_with(const char *data, const char *more)
{
    struct gateway g;
    static int number;
    int fds[2];
    char now[32], byte;
    snprintf(g.socket, sizeof g.socket, "%s/%d.sock", folder, number++);
    snprintf(now, sizeof now, "%lld", (long long)fixed_ms);
    assert_int_equal(pipe(fds), 0);
    g.pid = fork();
    if (g.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* nothing outlives an aborted run */
        dup2(fds[1], STDOUT_FILENO);
        close(fds[0]);
        execlp("python3", "python3", "tests/tui/fake_gateway.py", g.socket, "--now", now, "--data",
            data, more, (char *)NULL);
        _exit(127);
    }
    close(fds[1]);
    for (byte = 0; byte != '\n';)
        assert_int_equal(read(fds[0], &byte, 1), 1);
    close(fds[0]);
    return g;
}

struct gateway start_gateway(const char *data)
{
    return start_gateway_with(data, NULL);
}

void stop_gateway(struct gateway *g)
{
    kill(g->pid, SIGKILL);
    waitpid(g->pid, NULL, 0);
}

/* ---- the terminal ---- */

static void run_console(const char *socket, const char *name, const struct console_options *more)
{
    struct console_options o = *more;
    static const struct clock_source source = {real_mono, fixed_wall};
    setenv("TERM", name, 1);
    setenv("TZ", "UTC", 1);
    setenv("HOME", folder, 1);
    char described[80];
    snprintf(described, sizeof described, "%s/terminfo", folder);
    setenv("TERMINFO", described, 1);
    snprintf(described, sizeof described, "%s:/usr/bin:/bin", folder);
    setenv("PATH", described, 1); /* set_up() has put a pointsman there */
    setenv("LC_ALL", "C.UTF-8", 1);
    unsetenv("TMUX");
    unsetenv("STY");
    unsetenv("XDG_CONFIG_HOME");
    unsetenv("XDG_CACHE_HOME");
    unsetenv("SSH_CONNECTION");
    unsetenv("NO_COLOR");
    if (fixed_ms)
        clock_replace(&source);
    if (chdir(folder) != 0) /* files are written there */
        _exit(126);
    o.socket = socket;
    _exit(console_main(&o));
}

struct term start(const struct gateway *g, int columns, int rows, const char *name,
    const struct console_options *more)
{
    static const struct console_options none;
    struct term t = {.rows = rows, .columns = columns};
    struct winsize ws = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
    int slave;
    assert_int_equal(openpty(&t.fd, &slave, NULL, NULL, &ws), 0);
    tcgetattr(slave, &t.before);
    t.pid = fork();
    if (t.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(t.fd);
        login_tty(slave);
        run_console(g->socket, name, more ? more : &none);
    }
    close(slave);
    t.vt = vterm_new(rows, columns);
    vterm_set_utf8(t.vt, 1);
    t.screen = vterm_obtain_screen(t.vt);
    vterm_screen_enable_altscreen(t.screen, 1);
    vterm_screen_reset(t.screen, 1);
    t.stream = malloc(STREAM_MAX);
    return t;
}

/* Feeds the emulator until nothing came for `quiet_ms`. */
void settle(struct term *t, int quiet_ms)
{
    int64_t end = real_mono() + MOST_MS * 1000;
    struct pollfd p = {.fd = t->fd, .events = POLLIN};
    while (real_mono() < end && poll(&p, 1, quiet_ms) > 0) {
        char part[8192];
        ssize_t n = read(t->fd, part, sizeof part);
        if (n <= 0)
            return;
        vterm_input_write(t->vt, part, (size_t)n);
        if (t->n + (size_t)n < STREAM_MAX) {
            memcpy(t->stream + t->n, part, (size_t)n);
            t->n += (size_t)n;
        }
    }
}

void type(struct term *t, const char *keys)
{
    assert_int_equal(write(t->fd, keys, strlen(keys)), (ssize_t)strlen(keys));
    settle(t, QUIET_MS);
}

char *dump(struct term *t)
{
    size_t room = (size_t)t->rows * (size_t)(t->columns * 8 + 1) + 1, at = 0;
    char *out = malloc(room);
    for (int y = 0; y < t->rows; y++) {
        size_t end = at;
        for (int x = 0; x < t->columns; x++) {
            VTermScreenCell cell;
            VTermPos pos = {y, x};
            vterm_screen_get_cell(t->screen, pos, &cell);
            if (cell.chars[0] == (uint32_t)-1)
                continue; /* the right half of a wide one */
            for (int i = 0; i < VTERM_MAX_CHARS_PER_CELL && cell.chars[i]; i++)
                at += utf8_encode(cell.chars[i], out + at);
            if (!cell.chars[0])
                out[at++] = ' ';
            if (cell.chars[0] && cell.chars[0] != ' ')
                end = at;
        }
        at = end;
        out[at++] = '\n';
    }
    out[at] = '\0';
    return out;
}

int stop(struct term *t)
{
    int status = 0;
    int64_t end = real_mono() + patience_ms * INT64_C(1000);
    kill(t->pid, SIGTERM);
    while (waitpid(t->pid, &status, WNOHANG) == 0) {
        settle(t, 20);
        poll(NULL, 0, 2); /* its side may be closed before it has ended */
        if (real_mono() > end)
            kill(t->pid, SIGKILL);
    }
    close(t->fd);
    vterm_free(t->vt);
    free(t->stream);
    return status;
}

char *read_whole(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    char *text = calloc(1, 1 << 20);
    if (fread(text, 1, (1 << 20) - 1, f) == 0)
        text[0] = '\0';
    fclose(f);
    return text;
}

/* The first line that differs, both ways. */
static void fail_at_line(const char *path, const char *then, const char *now)
{
    for (int line = 1; *then || *now; line++) {
        size_t n = strcspn(then, "\n"), m = strcspn(now, "\n");
        if (n != m || memcmp(then, now, n) != 0)
            fail_msg("%s, line %d\n  was %.*s\n  is  %.*s", path, line, (int)n, then, (int)m, now);
        then += n + (then[n] != 0);
        now += m + (now[m] != 0);
    }
}

void golden(struct term *t, const char *name)
{
    char path[200];
    char *now = NULL, *then = NULL;
    bool same = false;
    snprintf(path, sizeof path, "tests/tui/golden/%s-%dx%d.txt", name, t->columns, t->rows);
    if (getenv("POINTSMAN_GOLDEN")) {
        settle(t, 600);
        now = dump(t);
        mkdir("tests/tui/golden", 0755);
        FILE *f = fopen(path, "wb");
        assert_non_null(f);
        fputs(now, f);
        fclose(f);
    }
    then = read_whole(path);
    if (!then)
        fail_msg("%s is missing: run with POINTSMAN_GOLDEN=1", path);
    for (int64_t end = real_mono() + patience_ms * INT64_C(1000); !same && real_mono() < end;) {
        free(now);
        now = dump(t);
        same = strcmp(then, now) == 0;
        if (!same)
            settle(t, QUIET_MS);
    }
    if (!same)
        fail_at_line(path, then, now);
    free(then);
    free(now);
}

/* Waits for the text to be there (or gone). */
static void expect_that(struct term *t, const char *text, bool there)
{
    char *now = NULL;
    bool is = !there;
    for (int64_t end = real_mono() + patience_ms * INT64_C(1000); is != there && real_mono() < end;) {
        free(now);
        now = dump(t);
        is = strstr(now, text) != NULL;
        if (is != there)
            settle(t, QUIET_MS);
    }
    if (is != there)
        fail_msg("\"%s\" is %son the screen:\n%s", text, there ? "not " : "", now);
    free(now);
}

void expect(struct term *t, const char *text)
{
    expect_that(t, text, true);
}

void expect_not(struct term *t, const char *text)
{
    expect_that(t, text, false);
}

/* What the console sent to the gateway holds this text. */
void expect_sent(const struct gateway *g, const char *text)
{
    char path[160];
    snprintf(path, sizeof path, "%s.log", g->socket);
    char *log = NULL;
    for (int i = 0; i < 100 && (!log || !strstr(log, text)); i++) {
        free(log);
        poll(NULL, 0, 20);
        log = read_whole(path);
    }
    if (!log || !strstr(log, text))
        fail_msg("\"%s\" was not sent; the log is:\n%s", text, log ? log : "(none)");
    free(log);
}

/* The first answer of the gateway is on show. */
void ready(struct term *t)
{
    expect(t, "/s");
    settle(t, QUIET_MS);
}

/* Does the log of what was sent hold this text? */
bool was_sent(const struct gateway *g, const char *text)
{
    char path[160];
    snprintf(path, sizeof path, "%s.log", g->socket);
    char *log = read_whole(path);
    bool found = log && strstr(log, text);
    free(log);
    return found;
}

/* ---- the real gateway ---- */

/* `pointsman demo` in a folder of its own; its socket is found there. */
bool start_demo(struct gateway *g)
{
    const char *binary = getenv("POINTSMAN_BIN") ? getenv("POINTSMAN_BIN") : "build/pointsman";
    char pattern[160];
    glob_t found = {0};
    g->pid = fork();
    if (g->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        setenv("TMPDIR", folder, 1);
        setenv("HOME", folder, 1);
        if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
            _exit(126);
        execl(binary, binary, "demo", "--listen", "127.0.0.1:0", (char *)NULL);
        _exit(127);
    }
    snprintf(pattern, sizeof pattern, "%s/pointsman-demo-*/control.sock", folder);
    for (int i = 0; i < 200 && (glob(pattern, 0, NULL, &found) != 0 || !found.gl_pathc); i++) {
        globfree(&found);
        poll(NULL, 0, 50);
    }
    if (found.gl_pathc)
        snprintf(g->socket, sizeof g->socket, "%s", found.gl_pathv[0]);
    globfree(&found);
    return g->socket[0] != '\0';
}

/* ---- before and after ---- */

/* libvterm 0.1 to 0.3 leaves cells behind where characters are deleted or inserted outside of a scroll
 * region; real terminals do not. So that the pictures are what a person sees, ncurses is told that
 * this terminal can do neither. Without tic(1) the pictures of wide screens differ. */
static void describe_terminal(void)
{
    char command[400];
    snprintf(command, sizeof command,
        "infocmp -x -1 xterm-256color 2>/dev/null | grep -vE '^\t(dch1?|ich1?|smir|rmir|mir)[=,]' | "
        "tic -x -o %s/terminfo - 2>/dev/null",
        folder);
    if (system(command) != 0)
        fputs("# no tic(1): the terminal stays as it is described\n", stderr);
}

int set_up(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    if (!mkdtemp(folder))
        return -1;
    describe_terminal();
    char path[80];
    snprintf(path, sizeof path, "%s/pointsman", folder);
    FILE *f = fopen(path, "w");
    return f && fclose(f) == 0 && chmod(path, 0700) == 0 ? 0 : -1;
}

int tear_down(void **state)
{
    char command[200];
    pid_t pid;
    (void)state;
    snprintf(command, sizeof command, "%s", folder);
    pid = fork();
    if (pid == 0) {
        execlp("rm", "rm", "-rf", command, (char *)NULL);
        _exit(127);
    }
    waitpid(pid, NULL, 0);
    return 0;
}

int sit_down(void **state)
{
    struct desk *d = calloc(1, sizeof *d);
    if (!d)
        return -1;
    d->g = start_gateway("traffic");
    d->t = start(&d->g, 100, 30, "xterm-256color", NULL);
    ready(&d->t);
    *state = d;
    return 0;
}

int stand_up(void **state)
{
    struct desk *d = *state;
    stop(&d->t);
    stop_gateway(&d->g);
    free(d);
    return 0;
}

bool may_run(int argc, char **argv)
{
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    if (have_python())
        return true;
    puts("1..1\nok 1 - screens # SKIP python3 plays the gateway here");
    return false;
}
