/* terminal.c: see terminal.h.
 *
 * The terminal is opened afresh by its name, so that O_NONBLOCK stays ours and is not shared with
 * the shell. ncurses sees a pipe: its idea of modes and sizes is not used, both are handled here.
 * The signal handlers below only write(), tcsetattr() and raise(). */
#include "tui/terminal.h"

#include "store/base/buf.h"
#include "store/base/clock.h"
#include "store/base/utf8.h"
#include "tui/clean.h"

#include <curses.h>
#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

/* Everything that may have been turned on, off. All are ignored where unknown. */
#define TITLE_BACK "\033[23;2t"
#define UNDO "\033[?2026l\033[?1006l\033[?1000l\033[?1004l\033[?2004l"
#define UNDO_ALL UNDO "\033[0m\033[?25h\033[?1049l\r\n"
#define OUT_MAX ((size_t)8 << 20)

enum { MY_PASTE_BEGIN = KEY_MAX + 1, MY_PASTE_END, MY_FOCUS_IN, MY_FOCUS_OUT };
enum { PIPE_BYTES = 1 << 20 };

static struct {
    int fd;      /* the terminal */
    bool skipping;  /* the rest of a paste is not wanted; */
    size_t skip_at; /* so much of its end was seen */
    int lent;    /* -1, or the flags of the shell's own description of it, which we use */
    int pipe[2]; /* ncurses writes [1] */
    FILE *in, *to;
    SCREEN *screen;
    struct termios saved, raw;
    struct buf out; /* bytes the terminal has still to take */
    bool open, gone, ascii, sync, extras, mouse, titled;
    unsigned esc_ms;
    enum theme_depth depth;
    int rows, columns, click_y, click_x;
    char name[64], notice[200];
} t = {.fd = -1, .lent = -1, .pipe = {-1, -1}};

static const int crash_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

static void on_crash(int sig)
{
    if (t.open) {
        ssize_t n = t.titled ? write(t.fd, TITLE_BACK, sizeof TITLE_BACK - 1) : 0;
        n += write(t.fd, UNDO_ALL, sizeof UNDO_ALL - 1);
        (void)n;
        tcsetattr(t.fd, TCSANOW, &t.saved);
        if (t.lent >= 0)
            fcntl(t.fd, F_SETFL, t.lent);
    }
    signal(sig, SIG_DFL);
    raise(sig);
}

static void catch_crashes(void)
{
    struct sigaction sa = {.sa_handler = on_crash, .sa_flags = SA_RESETHAND | SA_NODEFER};
    for (size_t i = 0; i < ARRAY_LEN(crash_signals); i++)
        sigaction(crash_signals[i], &sa, NULL);
}

static void put_now(const char *bytes, size_t n)
{
    while (n) {
        ssize_t done = write(t.fd, bytes, n);
        struct pollfd p = {.fd = t.fd, .events = POLLOUT};
        if (done < 0 && errno == EAGAIN && poll(&p, 1, 200) > 0)
            continue;
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return; /* stalled or gone: the modes below still count */
        bytes += done;
        n -= (size_t)done;
    }
}

/* After `su` or `sudo -u` the terminal is still the first user's and can't be opened anew: the
 * shell's description does, made non-blocking only while we draw. */
static void borrow_tty(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO && t.fd < 0; fd++) {
        int flags = isatty(fd) ? fcntl(fd, F_GETFL) : -1;
        if (flags < 0 || (flags & O_ACCMODE) != O_RDWR)
            continue;
        t.fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        t.lent = flags;
    }
}

static int open_tty(struct err *e)
{
    const char *name = ttyname(STDIN_FILENO);
    if (!name)
        name = ttyname(STDOUT_FILENO);
    t.fd = open(name ? name : "/dev/tty", O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (t.fd < 0 && errno == EACCES)
        borrow_tty();
    if (t.fd < 0)
        return err_set(e, ERR_IO,
            "the console needs a terminal (%s): use `pointsman ps` or "
            "`pointsman tail` without one",
            strerror(errno));
    if (tcgetattr(t.fd, &t.saved) < 0)
        return err_set(e, ERR_IO, "the terminal's modes can't be read: %s", strerror(errno));
    t.raw = t.saved;
    cfmakeraw(&t.raw);
    t.raw.c_cc[VMIN] = 1;
    t.raw.c_cc[VTIME] = 0;
    return 0;
}

static int open_pipe(struct err *e)
{
    if (pipe2(t.pipe, O_CLOEXEC) < 0)
        return err_set(e, ERR_IO, "no pipe: %s", strerror(errno));
    fcntl(t.pipe[0], F_SETFL, O_NONBLOCK);
    if (fcntl(t.pipe[1], F_SETPIPE_SZ, PIPE_BYTES) < 0)
        fcntl(t.pipe[1], F_SETPIPE_SZ, 65536 * 4);
    t.to = fdopen(dup(t.pipe[1]), "w");
    t.in = fdopen(dup(t.fd), "r");
    return t.to && t.in ? 0 : err_set(e, ERR_NOMEM, "out of memory or files");
}

/* The named terminal, else one that nearly everything understands. */
static int open_screen(struct err *e)
{
    const char *term = getenv("TERM");
    const char *const tries[] = {term ? term : "", "xterm-256color", "screen", "vt100"};
    unsetenv("LINES"); /* they would freeze the size */
    unsetenv("COLUMNS");
    for (size_t i = 0; i < ARRAY_LEN(tries) && !t.screen; i++) {
        if (!tries[i][0] || (strcmp(tries[i], "dumb") == 0))
            continue;
        t.screen = newterm(tries[i], t.to, t.in);
        str_copy(t.name, sizeof t.name, str_c(tries[i]));
    }
    if (!t.screen)
        return err_set(e, ERR_IO,
            "no terminal description found for TERM=%.40s, nor for "
            "xterm-256color, screen or vt100: install ncurses-base or ncurses-term",
            term ? term : "(unset)");
    if (!term || strcmp(term, t.name) != 0)
        snprintf(t.notice, sizeof t.notice, "no terminal description for TERM=%.40s: taken as %s",
            term ? term : "(unset)", t.name);
    return 0;
}

static bool knows_sync(void)
{
    static const char *const terms[] = {
        "kitty", "foot", "alacritty", "ghostty", "wezterm", "contour"};
    const char *program = getenv("TERM_PROGRAM"), *term = getenv("TERM");
    if (getenv("TMUX") || getenv("STY"))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(terms); i++)
        if (term && strstr(term, terms[i]))
            return true;
    return program && (!strcmp(program, "WezTerm") || !strcmp(program, "ghostty") ||
                          !strcmp(program, "iTerm.app"));
}

/* Where bracketed paste and focus reports may be asked for without showing rubbish. */
static bool knows_extras(void)
{
    return strcmp(t.name, "linux") != 0 && strncmp(t.name, "vt", 2) != 0;
}

static void set_up_curses(const struct terminal_options *o)
{
    noecho();
    nonl();
    raw();
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    typeahead(-1);
    leaveok(stdscr, FALSE);
    t.esc_ms = o->esc_ms ? o->esc_ms : getenv("SSH_CONNECTION") ? 100 : 50;
    set_escdelay((int)t.esc_ms);
    define_key("\033[200~", MY_PASTE_BEGIN);
    define_key("\033[201~", MY_PASTE_END);
    define_key("\033[I", MY_FOCUS_IN);
    define_key("\033[O", MY_FOCUS_OUT);
    t.depth = DEPTH_MONO;
    if (!o->mono && has_colors() && start_color() == OK) {
        use_default_colors();
        t.depth = COLORS >= 256 ? DEPTH_256 : COLORS >= 8 ? DEPTH_16 : DEPTH_MONO;
    }
}

static void enter(void)
{
    tcsetattr(t.fd, TCSANOW, &t.raw);
    if (t.lent >= 0)
        fcntl(t.fd, F_SETFL, t.lent | O_NONBLOCK);
    if (t.extras)
        put_now("\033[?2004h\033[?1004h", 16);
}

int terminal_open(const struct terminal_options *o, struct err *e)
{
    setlocale(LC_ALL, "");
    buf_init(&t.out, OUT_MAX);
    t.ascii = o->ascii || strcmp(nl_langinfo(CODESET), "UTF-8") != 0;
    if (open_tty(e) < 0 || open_pipe(e) < 0 || open_screen(e) < 0) {
        int rc = e ? -(int)e->code : -ERR_IO;
        terminal_close();
        return rc;
    }
    set_term(t.screen);
    set_up_curses(o);
    t.sync = !o->no_sync && knows_sync();
    t.extras = knows_extras();
    t.open = true;
    t.gone = false;
    enter();
    catch_crashes();
    terminal_resized();
    return 0;
}

/* Takes what ncurses wrote from the pipe. */
static void collect(void)
{
    for (;;) {
        char *room = buf_reserve(&t.out, 65536);
        ssize_t n = room ? read(t.pipe[0], room, 65536) : -1;
        if (n <= 0)
            return;
        t.out.n += (size_t)n;
    }
}

void terminal_leave(void)
{
    if (!t.open)
        return;
    collect();
    put_now(t.out.p, t.out.n);
    buf_reset(&t.out);
    put_now(UNDO, sizeof UNDO - 1);
    if (t.titled)
        put_now(TITLE_BACK, sizeof TITLE_BACK - 1);
    t.titled = false;
    endwin();
    collect();
    put_now(t.out.p, t.out.n);
    buf_reset(&t.out);
    put_now("\033[0m\033[?25h", 10);
    tcsetattr(t.fd, TCSANOW, &t.saved);
    if (t.lent >= 0)
        fcntl(t.fd, F_SETFL, t.lent);
}

void terminal_return(void)
{
    enter();
    if (t.mouse)
        terminal_mouse(true);
    terminal_resized();
    clearok(curscr, TRUE);
    refresh();
    collect();
}

void terminal_suspend(void)
{
    terminal_leave();
    raise(SIGSTOP);
    terminal_return();
}

void terminal_close(void)
{
    if (t.open)
        terminal_leave();
    t.open = false;
    if (t.screen)
        delscreen(t.screen);
    t.screen = NULL;
    if (t.to)
        fclose(t.to);
    if (t.in)
        fclose(t.in);
    t.to = t.in = NULL;
    for (int i = 0; i < 2; i++)
        if (t.pipe[i] >= 0)
            close(t.pipe[i]), t.pipe[i] = -1;
    if (t.fd >= 0)
        close(t.fd);
    t.fd = t.lent = -1;
    buf_fini(&t.out);
    for (size_t i = 0; i < ARRAY_LEN(crash_signals); i++)
        signal(crash_signals[i], SIG_DFL);
}

const char *terminal_notice(void)
{
    return t.notice;
}

int terminal_fd(void)
{
    return t.fd;
}

bool terminal_gone(void)
{
    return t.gone;
}

bool terminal_ascii(void)
{
    return t.ascii;
}

bool terminal_poor_marks(void)
{
    static const char *const east_asian[] = {"zh", "ja", "ko"};
    const char *locale = setlocale(LC_CTYPE, NULL);
    for (size_t i = 0; locale && i < ARRAY_LEN(east_asian); i++)
        if (strncmp(locale, east_asian[i], 2) == 0)
            return true;
    return strncmp(t.name, "linux", 5) == 0;
}

/* ncurses asks libc how wide a character is. It gets our table instead, so that its idea of the
 * cursor's place and that of what is painted never differ. */
int wcwidth(wchar_t c)
{
    return c == 0 ? 0 : utf8_class((uint32_t)c) == UTF8_CONTROL ? -1 : (int)utf8_width((uint32_t)c);
}

enum theme_depth terminal_depth(void)
{
    return t.depth;
}

const char *terminal_name(void)
{
    return t.name;
}

void terminal_resized(void)
{
    struct winsize ws = {0};
    if (ioctl(t.fd, TIOCGWINSZ, &ws) < 0 || !ws.ws_row || !ws.ws_col)
        ws = (struct winsize){.ws_row = 24, .ws_col = 80};
    t.rows = MIN(ws.ws_row, 500);
    t.columns = MIN(ws.ws_col, 1000);
    resizeterm(t.rows, t.columns);
}

void terminal_size(int *rows, int *columns)
{
    *rows = t.rows;
    *columns = t.columns;
}

static int named(wint_t code)
{
    static const struct {
        int curses, ours;
    } names[] = {{KEY_UP, KEY_N_UP}, {KEY_DOWN, KEY_N_DOWN}, {KEY_LEFT, KEY_N_LEFT},
        {KEY_RIGHT, KEY_N_RIGHT}, {KEY_HOME, KEY_N_HOME}, {KEY_END, KEY_N_END},
        {KEY_PPAGE, KEY_N_PGUP}, {KEY_NPAGE, KEY_N_PGDN}, {KEY_IC, KEY_N_INSERT},
        {KEY_DC, KEY_N_DELETE}, {KEY_BTAB, KEY_N_BACKTAB}, {KEY_BACKSPACE, KEY_N_BACKSPACE},
        {KEY_ENTER, '\r'}, {KEY_A1, KEY_N_HOME}, {KEY_A3, KEY_N_PGUP}, {KEY_C1, KEY_N_END},
        {KEY_C3, KEY_N_PGDN}, {KEY_FIND, KEY_N_HOME}, {KEY_SELECT, KEY_N_END},
        {MY_PASTE_BEGIN, KEY_N_PASTE_BEGIN}, {MY_PASTE_END, KEY_N_PASTE_END},
        {MY_FOCUS_IN, KEY_N_FOCUS_IN}, {MY_FOCUS_OUT, KEY_N_FOCUS_OUT}};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (names[i].curses == (int)code)
            return names[i].ours;
    if ((int)code > KEY_F0 && (int)code <= KEY_F(24))
        return KEY_N_F0 + ((int)code - KEY_F0);
    return 0;
}

static int mouse_key(void)
{
    MEVENT m;
    if (getmouse(&m) != OK)
        return 0;
    t.click_y = m.y;
    t.click_x = m.x;
    if (m.bstate & BUTTON4_PRESSED)
        return KEY_N_WHEEL_UP;
    if (m.bstate & BUTTON5_PRESSED)
        return KEY_N_WHEEL_DOWN;
    return m.bstate & (BUTTON1_PRESSED | BUTTON1_CLICKED) ? KEY_N_CLICK : 0;
}

static int plain(wint_t c)
{
    return c == '\n' ? '\r' : c == 0x7F || c == '\b' ? KEY_N_BACKSPACE : (int)c;
}

void terminal_skip_paste(void)
{
    t.skipping = true;
    t.skip_at = 0;
}

/* Drops what is pasted in whole blocks: curses reads a byte at a time. What was typed behind the end
 * goes back to curses. */
static bool paste_ended(void)
{
    static const char end[] = "\033[201~";
    struct pollfd p = {.fd = t.fd, .events = POLLIN};
    char part[4096];
    while (poll(&p, 1, 0) > 0 && (p.revents & POLLIN)) {
        ssize_t n = read(t.fd, part, sizeof part);
        for (ssize_t i = 0; i < n; i++) {
            t.skip_at = part[i] == end[t.skip_at] ? t.skip_at + 1 : part[i] == end[0];
            if (t.skip_at < sizeof end - 1)
                continue;
            t.skipping = false;
            while (n > i + 1)
                ungetch((unsigned char)part[--n]);
            return true;
        }
        if (n <= 0)
            break;
    }
    return false;
}

static bool next_key(int *key)
{
    wint_t c, next;
    if (t.skipping && !paste_ended())
        return false;
    if (t.skip_at) {
        t.skip_at = 0;
        *key = KEY_N_PASTE_END;
        return true;
    }
    for (;;) {
        int kind = wget_wch(stdscr, &c);
        if (kind == ERR)
            return false;
        *key = kind != KEY_CODE_YES ? plain(c) : (int)c == KEY_MOUSE ? mouse_key() : named(c);
        if (*key == 27 && wget_wch(stdscr, &next) == OK)
            *key = KEY_ALT + plain(next);
        if (*key)
            return true;
    }
}

bool terminal_key(int *key)
{
    if (next_key(key))
        return true;
    struct pollfd p = {.fd = t.fd, .events = POLLIN};
    if (poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR | POLLNVAL)))
        t.gone = true;
    return false;
}

void terminal_click(int *y, int *x)
{
    *y = t.click_y;
    *x = t.click_x;
}

void terminal_mouse(bool on)
{
    t.mouse = on;
    mouseinterval(0);
    mousemask(on ? BUTTON1_PRESSED | BUTTON1_CLICKED | BUTTON4_PRESSED | BUTTON5_PRESSED : 0, NULL);
    collect();
}

bool terminal_busy(void)
{
    return t.out.n > 0;
}

void terminal_flush(void)
{
    while (t.out.n) {
        ssize_t n = write(t.fd, t.out.p, t.out.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN)
            t.gone = true, n = (ssize_t)t.out.n;
        if (n <= 0)
            return;
        buf_drop(&t.out, (size_t)n);
    }
}

bool terminal_frame_begin(void)
{
    struct pollfd p = {.fd = t.fd, .events = POLLOUT};
    if (t.out.n)
        terminal_flush();
    if (t.out.n || poll(&p, 1, 0) <= 0 || !(p.revents & POLLOUT)) {
        return false;
    }
    werase(stdscr);
    return true;
}

void terminal_frame_end(int y, int x)
{
    size_t before;
    curs_set(y >= 0 ? 1 : 0);
    if (y >= 0)
        wmove(stdscr, MIN(y, t.rows - 1), MIN(x, t.columns - 1));
    wnoutrefresh(stdscr);
    if (t.sync)
        buf_puts(&t.out, "\033[?2026h");
    before = t.out.n;
    doupdate();
    collect();
    if (t.sync && t.out.n == before)
        buf_reset(&t.out); /* nothing changed: nothing is sent */
    else if (t.sync)
        buf_puts(&t.out, "\033[?2026l");
    if (t.out.err)
        buf_reset(&t.out), terminal_redraw();
    terminal_flush();
}

void terminal_redraw(void)
{
    clearok(curscr, TRUE);
}

/* Known to take a title and to ignore what else it does not know of OSC. */
static bool knows_osc(void)
{
    static const char *const terms[] = {"xterm", "tmux", "screen", "rxvt", "alacritty", "foot",
        "kitty", "wezterm", "konsole", "st-", "ghostty", "contour", "vte", "gnome"};
    for (size_t i = 0; i < ARRAY_LEN(terms); i++)
        if (!t.notice[0] && strncmp(t.name, terms[i], strlen(terms[i])) == 0)
            return true;
    return false;
}

static void send_osc(const char *number, const char *text)
{
    struct buf out;
    buf_init(&out, 4096);
    buf_printf(&out, "\033]%s;", number);
    clean_put(&out, str_c(text), t.ascii);
    buf_puts(&out, "\a");
    if (!out.err)
        terminal_send(buf_str(&out));
    buf_fini(&out);
}

void terminal_title(const char *text)
{
    if (!text && t.titled)
        terminal_send(STR(TITLE_BACK));
    if (!text)
        t.titled = false;
    if (!text || !knows_osc())
        return;
    if (!t.titled)
        terminal_send(STR("\033[22;2t"));
    t.titled = true;
    send_osc("2", text);
}

void terminal_notify(const char *text, bool desktop, bool bell)
{
    if (desktop && knows_osc())
        send_osc("9", text);
    if (bell)
        terminal_send(STR("\a"));
}

void terminal_send(struct str bytes)
{
    buf_put_str(&t.out, bytes);
    terminal_flush();
}
