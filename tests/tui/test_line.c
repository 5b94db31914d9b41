/* The line to the terminal: pastes, lines that lag, sizes, its end, and that nothing hostile reaches it. */
#include "tests/tui/desk.h"

#include "store/base/compiler.h"
#include "store/base/utf8.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Length of the sequence at p that ncurses may emit for xterm-256color, or 0. */
static size_t allowed_sequence(const char *p, size_t n)
{
    static const char *const private[] = {"?1049h", "?1049l", "?1h", "?1l", "?25h", "?25l", "?12l",
        "?12h", "?7h", "?7l", "?2004h", "?2004l", "?2026h", "?2026l", "?1006l", "?1000l", "?1004l",
        "?1004h"};
    if (n > 2 && p[1] == '(' && (p[2] == 'B' || p[2] == '0'))
        return 3;
    if (n > 1 && strchr("=>78M", p[1]))
        return 2;
    if (n > 3 && p[1] == ']' && (p[2] == '2' || p[2] == '9') && p[3] == ';') { /* title, notice */
        const char *end = memchr(p, '\a', MIN(n, 400));
        return end && !memchr(p + 1, '\033', (size_t)(end - p) - 1) ? (size_t)(end - p) + 1 : 0;
    }
    if (n < 3 || p[1] != '[')
        return 0;
    if (p[2] == '?') {
        for (size_t i = 0; i < ARRAY_LEN(private); i++)
            if (n >= 2 + strlen(private[i]) && memcmp(p + 2, private[i], strlen(private[i])) == 0)
                return 2 + strlen(private[i]);
        if (memcmp(p + 2, "?12;25h", 7) == 0)
            return 9;
        return 0;
    }
    size_t i = 2;
    while (i < n && i < 40 && ((p[i] >= '0' && p[i] <= '9') || p[i] == ';'))
        i++;
    return i < n && strchr("HABCDdGJKmrLMPXbI@STlht", p[i]) ? i + 1 : 0;
}

static void check_stream(const struct term *t)
{
    for (size_t i = 0; i < t->n;) {
        uint32_t cp = 0;
        unsigned n = utf8_decode(t->stream + i, t->n - i, &cp);
        if (cp == 0x1B && n) {
            size_t length = allowed_sequence(t->stream + i, t->n - i);
            if (!length)
                fail_msg("at byte %zu: ESC %.12s", i, t->stream + i + 1);
            i += length;
            continue;
        }
        if (!n)
            fail_msg("at byte %zu: not UTF-8: %02x", i, (unsigned char)t->stream[i]);
        bool line = cp == '\r' || cp == '\n' || cp == '\b' || cp == 0x0E || cp == 0x0F || cp == '\t';
        enum utf8_class class = utf8_class(cp);
        if (!line && (class == UTF8_CONTROL || class == UTF8_FORMAT || class == UTF8_UNSURE ||
                         class == UTF8_PRIVATE))
            fail_msg("at byte %zu: U+%04X was sent to the terminal", i, cp);
        i += n;
    }
}

static void a_paste_outside_a_field_does_nothing(void **state)
{
    struct term *t = &((struct desk *)*state)->t;
    type(t, "\033[200~sQ\rq\033[201~");
    expect(t, "pasted text ignored");
    expect(t, "Model");
    type(t, "/");
    type(t, "\033[200~model:gpt\033[201~");
    expect(t, "model:gpt");
}

static void a_paste_without_end_leaves_the_field_usable(void **state)
{
    struct term *t = &((struct desk *)*state)->t;
    char many[4097];
    memset(many, 'a', sizeof many - 1);
    many[sizeof many - 1] = '\0';
    type(t, "/");
    type(t, "\033[200~");
    for (int i = 0; i < 16; i++)
        type(t, many);
    type(t, "\033[201~");
    expect(t, "the rest of what was pasted is left out");
    type(t, "\033");
    expect(t, "(no filter)");
}

static void a_slow_line_gets_no_graphs(void **state)
{
    struct gateway g = start_gateway("traffic");
    struct term t = start(&g, 200, 60, "xterm-256color", NULL);
    (void)state;
    ready(&t);
    expect(&t, "(60 min; + - window)");
    type(&t, "-");
    expect(&t, "(30 min; + - window)");
    stop(&t);
    t = start(&g, 200, 60, "xterm-256color", &(struct console_options){.slow = true});
    ready(&t);
    expect(&t, " slow ");
    expect_not(&t, "min; + -");
    expect_not(&t, "▁▁");
    stop(&t);
    stop_gateway(&g);
}

/* A terminal that takes nothing for a while: the console notices by itself, and says so. */
static void a_line_that_lags_is_found_out(void **state)
{
    struct gateway g = start_gateway_with("traffic", "--live");
    struct term t = start(&g, 200, 60, "xterm-256color", NULL);
    (void)state;
    ready(&t);
    expect_not(&t, " slow ");
    for (int i = 0; i < 100; i++) { /* whole screens, until no more fit into the line */
        assert_int_equal(write(t.fd, i % 2 ? "1" : "7", 1), 1);
        poll(NULL, 0, 20);
    }
    poll(NULL, 0, 1000);
    expect(&t, " slow ");
    stop(&t);
    stop_gateway(&g);
}

static void without_the_keyboard_it_draws_once_a_second(void **state)
{
    struct gateway g = start_gateway_with("traffic", "--live");
    struct term t = start(&g, 80, 24, "xterm-256color", NULL);
    int frames[2] = {0};
    (void)state;
    ready(&t);
    for (int away = 0; away < 2; away++) {
        type(&t, away ? "\033[O" : "\033[I");
        for (int64_t end = real_mono() + 3000000; real_mono() < end;) {
            struct pollfd p = {.fd = t.fd, .events = POLLIN};
            char part[65536];
            if (poll(&p, 1, 20) > 0 && read(t.fd, part, sizeof part) > 0)
                frames[away]++;
        }
    }
    assert_true(frames[1] > 0 && frames[1] <= 6); /* three, and what was under way */
    assert_true(frames[0] > 2 * frames[1]);
    stop(&t);
    stop_gateway(&g);
}

static void an_idle_console_sends_nothing(void **state)
{
    struct gateway g = start_gateway("empty");
    struct term t = start(&g, 80, 24, "xterm-256color", NULL);
    (void)state;
    settle(&t, 600);
    size_t before = t.n;
    settle(&t, 2500);
    assert_int_equal(t.n, before);
    stop(&t);
    stop_gateway(&g);
}

static void any_size_is_survived(void **state)
{
    static const int sizes[][2] = {
        {1, 1}, {80, 24}, {2, 200}, {300, 3}, {28, 6}, {27, 5}, {40, 10}, {500, 200}, {1, 50}, {80, 24}};
    struct gateway g = start_gateway("traffic");
    struct term t = start(&g, 80, 24, "xterm-256color", NULL);
    (void)state;
    ready(&t);
    type(&t, "s");
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct winsize ws = {.ws_row = (unsigned short)sizes[i][1], .ws_col = (unsigned short)sizes[i][0]};
        vterm_set_size(t.vt, ws.ws_row, ws.ws_col);
        ioctl(t.fd, TIOCSWINSZ, &ws);
        settle(&t, QUIET_MS);
        if (i % 3 == 0)
            type(&t, "\033");
        else
            type(&t, i % 2 ? "j?" : ":");
    }
    assert_int_equal(kill(t.pid, 0), 0);
    int status = stop(&t);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    stop_gateway(&g);
}

static void the_terminal_is_given_back(void **state)
{
    static const int signals[] = {SIGTERM, SIGHUP, SIGSEGV, SIGABRT};
    struct gateway g = start_gateway("traffic");
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
        struct term t = start(&g, 80, 24, "xterm-256color", NULL);
        struct termios after;
        ready(&t);
        kill(t.pid, signals[i]);
        settle(&t, 500);
        waitpid(t.pid, NULL, 0);
        tcgetattr(t.fd, &after);
        assert_int_equal(after.c_lflag, t.before.c_lflag);
        assert_int_equal(after.c_iflag, t.before.c_iflag);
        assert_int_equal(after.c_oflag, t.before.c_oflag);
        t.stream[t.n] = '\0';
        assert_non_null(strstr(t.stream, "\033[?1049l"));
        assert_non_null(strstr(t.stream, "\033[?2004l"));
        close(t.fd);
        vterm_free(t.vt);
        free(t.stream);
    }
    stop_gateway(&g);
}

static void hostile_bytes_never_reach_the_terminal(void **state)
{
    static const char *const walks[] = {"", "d", "\r", "\rl", "\rll", "\rllllllll", "s", "y", "X", "*",
        "kkkk\r", "/a\rG", "T"};
    struct gateway g = start_gateway("hostile");
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(walks); i++) {
        struct term t = start(&g, i % 2 ? 200 : 80, i % 2 ? 60 : 24, "xterm-256color", NULL);
        ready(&t);
        for (const char *k = walks[i]; *k; k++)
            type(&t, (char[]){*k, 0});
        for (int page = 0; page < 3; page++)
            type(&t, "\033[5~");
        settle(&t, 200);
        check_stream(&t);
        stop(&t);
    }
    stop_gateway(&g);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        AT_DESK(a_paste_outside_a_field_does_nothing),
        AT_DESK(a_paste_without_end_leaves_the_field_usable),
        cmocka_unit_test(a_slow_line_gets_no_graphs),
        cmocka_unit_test(a_line_that_lags_is_found_out),
        cmocka_unit_test(without_the_keyboard_it_draws_once_a_second),
        cmocka_unit_test(an_idle_console_sends_nothing),
        cmocka_unit_test(any_size_is_survived),
        cmocka_unit_test(the_terminal_is_given_back),
        cmocka_unit_test(hostile_bytes_never_reach_the_terminal),
    };
    if (!may_run(argc, argv))
        return 0;
    return cmocka_run_group_tests_name("line", tests, set_up, tear_down);
}
