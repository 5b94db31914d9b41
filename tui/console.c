/* console.c: the life of a console: open, one loop, close.
 *
 * The loop waits in one poll() for the terminal, the link and signals. A key is answered with a
 * frame at once; what the gateway sends is drawn at most ten times a second; with nothing new
 * nothing is sent and nothing wakes it but the gateway's answers and a clock of a second while
 * something counts up. The gateway is asked with a long poll, so a stopped or slow console costs it
 * nothing. */
#include "tui/app.h"

#include "proxy/admin/api.h"
#include "store/base/clock.h"
#include "store/base/slice.h"
#include "tui/screens/sheets.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum {
    FRAME_US = 100000,      /* data frames and questions for what is new: ten a second */
    SLOW_FRAME_US = 500000,  /* on a slow line two */
    AWAY_FRAME_US = 1000000, /* one while the keyboard is in another window: somebody may still look */
    LATE_MOST = 3,          /* so many frames left out within LATE_US: the line is slow, */
    LATE_US = 10000000,
    SLOW_US = 60000000, /* until none was left out for so long */
    RETRY_US = 1000000,
    STATUS_US = 30000000,
    RESIZE_US = 30000,
    SLICE_US = 100, /* a key is read as soon as it is pressed, also on a busy machine */
    PASTE_MOST = 4096,
    MESSAGE_READ_US = 3500000, /* before its end a message leaves at the next key */
    WAIT_MS = 20000            /* how long the gateway may hold the answer */
};

#define X(it) extern const struct screen it;
#include "tui/screens.def"
#undef X
#define SHEET(action, it) extern const struct screen it;
#include "tui/sheets.def"

static const struct screen *const all_screens[] = {
#define X(it) &it,
#include "tui/screens.def"
#undef X
};

const struct screen *app_screen(size_t i)
{
    return i < ARRAY_LEN(all_screens) ? all_screens[i] : NULL;
}

struct shown *app_current(struct app *a)
{
    return &a->screens[a->current];
}

struct shown *app_top(struct app *a)
{
    return a->sheet_count ? &a->sheets[a->sheet_count - 1] : app_current(a);
}

/* ---- how often ---- */

bool app_slow(const struct app *a)
{
    return a->options.slow || a->slow_until_us || settings_on(&a->settings, SETTING_SLOW);
}

bool app_away(const struct app *a)
{
    return a->away;
}

static int64_t frame_gap_us(const struct app *a)
{
    return a->away ? AWAY_FRAME_US : app_slow(a) ? SLOW_FRAME_US : FRAME_US;
}

/* The terminal has not taken the last frame when the next one is due. */
static void note_late(struct app *a, int64_t now)
{
    if (now < a->late_us + FRAME_US)
        return;
    a->late_count = a->late_us && now < a->late_us + LATE_US ? a->late_count + 1 : 1;
    a->late_us = now;
    if (a->late_count < LATE_MOST)
        return;
    if (!app_slow(a))
        app_say(a, ROLE_WARN, "the line is slow: two frames a second, without graphs, for now");
    a->slow_until_us = now + SLOW_US;
}

/* ---- the gateway ---- */

static void tell_data(struct app *a)
{
    struct shown *s = app_current(a);
    if (s->screen->data)
        s->screen->data(a, s->state);
    for (size_t i = 0; i < a->sheet_count; i++)
        if (a->sheets[i].screen->data)
            a->sheets[i].screen->data(a, a->sheets[i].state);
    a->dirty = true;
}

/* A switch by somebody flashes once in the last line; the line between the rows stays. */
static void flash_marker(struct app *a)
{
    const struct model *m = &a->model;
    if (!m->marker_count)
        return;
    const struct marker *last = &m->markers[m->marker_count - 1];
    if (a->seen_marker && last->seq > a->seen_marker)
        app_news(a, ROLE_SWITCH, "%s: %s%s", last->who, last->text,
            last->undo_rev ? "   (u undoes)" : "");
    a->seen_marker = last->seq ? last->seq : 1;
}

static void lost(struct app *a, const char *why)
{
    a->connected = false;
    str_copy(a->trouble, sizeof a->trouble, str_c(why));
    a->poll_us = clock_mono_us() + RETRY_US;
    a->dirty = true;
}

static void on_snapshot(void *arg, int status, struct str reply, const struct err *why)
{
    struct app *a = arg;
    struct err e = {0};
    a->polling = false;
    a->poll_us = MAX(a->poll_us, clock_mono_us());
    if (status != 200 || model_take(&a->model, reply, &e) < 0) {
        if (status == 200)
            lost(a, e.text);
        else if (status) {
            link_error(reply, status, &e);
            lost(a, e.text);
        } else if (why->code != ERR_TIMEOUT) {
            lost(a, why->text);
        }
        return;
    }
    if (!a->connected)
        a->status_us = 0;
    a->connected = true;
    flash_marker(a);
    notices_data(a);
    tell_data(a);
}

static void on_status(void *arg, int status, struct str reply, const struct err *why)
{
    struct app *a = arg;
    struct err e;
    (void)why;
    if (status != 200 || model_take_status(&a->model, reply, &e) < 0)
        return;
    if (!a->version_said && strcmp(a->model.gateway.version, POINTSMAN_VERSION) != 0)
        app_news(a, ROLE_WARN,
            "gateway %s, console %s: :restart drains it and starts the new one",
            a->model.gateway.version, POINTSMAN_VERSION);
    else if (!a->version_said && handover_variable(a))
        app_news(a, ROLE_WARN,
            "this terminal has %s: P hands it to the gateway",
            handover_variable(a));
    a->version_said = true;
    tell_data(a);
}

static void say_hello(struct app *a)
{
    struct buf body;
    int rows, columns;
    char size[32];
    const char *ssh = getenv("SSH_CONNECTION");
    terminal_size(&rows, &columns);
    snprintf(size, sizeof size, "%dx%d", columns, rows);
    buf_init(&body, 4096);
    struct json_writer w = json_writer(&body);
    json_object_begin(&w, NULL);
    json_put_c(&w, "terminal", terminal_name());
    json_put_c(&w, "size", size);
    struct str from = str_c(ssh ? ssh : ""), host;
    json_put_str(&w, "from", str_cut(&from, ' ', &host) ? host : STR("local"));
    json_object_end(&w);
    link_send(a->link, &(struct link_request){
                           .method = "POST", .path = "people", .body = buf_str(&body), .owner = a});
    buf_fini(&body);
}

static void ask_gateway(struct app *a, int64_t now)
{
    char path[128];
    if (!a->polling && now >= a->poll_us) {
        snprintf(path, sizeof path, "snapshot?since=%lld&limit=500&wait_ms=%d&live_at=%lld",
            (long long)(a->connected ? a->model.seq : 0), a->connected ? WAIT_MS : 0,
            (long long)(a->connected ? a->model.live_at : 0));
        a->polling = link_send(a->link, &(struct link_request){.path = path,
                                            .timeout_ms = WAIT_MS + 10000,
                                            .done = on_snapshot,
                                            .arg = a,
                                            .owner = a}) != 0;
        a->poll_us = now + frame_gap_us(a);
    }
    if (now >= a->status_us && a->connected) {
        link_send(a->link,
            &(struct link_request){.path = "status", .done = on_status, .arg = a, .owner = a});
        if (!a->status_us)
            say_hello(a);
        a->status_us = now + STATUS_US;
    }
}

/* ---- keys ---- */

static void show_screen(struct app *a, size_t i)
{
    if (i >= a->screen_count)
        return;
    app_sheet_close_all(a);
    a->current = i;
    struct shown *s = app_current(a);
    if (!s->state) {
        s->state = calloc(1, MAX(s->screen->size, 1));
        if (!s->state) {
            fputs("pointsman: out of memory\n", stderr);
            a->leaving = true;
            return;
        }
        if (s->screen->open)
            s->screen->open(a, s->state, NULL);
    }
    if (s->screen->show)
        s->screen->show(a, s->state);
    app_dirty(a);
}

void app_show(struct app *a, const char *name)
{
    for (size_t i = 0; i < a->screen_count; i++)
        if (strcmp(a->screens[i].screen->name, name) == 0)
            show_screen(a, i);
}

static bool digit_key(struct app *a, int key)
{
    int digit = key >= KEY_ALT ? key - KEY_ALT : key;
    for (size_t i = 0; i < a->screen_count; i++)
        if (a->screens[i].screen->digit == digit) {
            show_screen(a, i);
            return true;
        }
    return false;
}

/* Sheets that every screen can open; the table is what a feature adds itself to. */
static const struct {
    enum action action;
    const struct screen *sheet;
} sheets[] = {
#define SHEET(action, it) {ACTION_##action, &it},
#include "tui/sheets.def"
};

static bool open_sheet(struct app *a, enum action action)
{
    for (size_t i = 0; i < ARRAY_LEN(sheets); i++)
        if (sheets[i].action == action) {
            app_push(a, sheets[i].sheet, NULL);
            return true;
        }
    return false;
}

static void own_action(struct app *a, enum action action)
{
    switch (action) {
    case ACTION_QUIT:
        if (!a->sheet_count)
            a->leaving = true;
        break;
    case ACTION_QUIT_NOW:
        a->leaving = true;
        break;
    case ACTION_REFRESH:
        link_cancel_owner(a->link, a);
        a->polling = a->connected = false;
        a->poll_us = 0;
        break;
    case ACTION_REDRAW:
        terminal_redraw();
        break;
    case ACTION_SUSPEND:
        terminal_suspend();
        break;
    case ACTION_EVENTS:
        app_show(a, "events");
        break;
    case ACTION_TROUBLE:
        if (a->model.trouble_count)
            providers_select(a, a->model.trouble[0].provider);
        else
            app_say(a, ROLE_OK, "no provider is in trouble");
        break;
    default:
        open_sheet(a, action);
    }
}

void app_do(struct app *a, enum action action)
{
    struct shown *s = app_current(a);
    if (!s->screen->action || !s->screen->action(a, s->state, action))
        own_action(a, action);
    a->urgent = true;
}

/* Names of screens in the header. */
static void click_tab(struct app *a)
{
    int y, x;
    terminal_click(&y, &x);
    for (size_t i = a->screen_count; y == 0 && i-- > 0;)
        if (a->tab_x[i] >= 0 && x >= a->tab_x[i] && x < a->tab_end) {
            show_screen(a, i);
            return;
        }
}

static void one_key(struct app *a, int key)
{
    struct shown *top = app_top(a);
    a->urgent = true;
    if (a->message[0] && clock_mono_us() > a->message_until_us - MESSAGE_READ_US)
        a->message[0] = '\0'; /* read by now: the keys stand there again */
    if (top->screen->key && top->screen->key(a, top->state, key))
        return;
    if (key == KEY_N_CLICK) {
        click_tab(a);
        return;
    }
    if (key == KEY_N_WHEEL_UP || key == KEY_N_WHEEL_DOWN)
        key = key == KEY_N_WHEEL_UP ? KEY_N_UP : KEY_N_DOWN;
    enum action action = keymap_action(app_place(a, top), key);
    if (action && top->screen->action && top->screen->action(a, top->state, action))
        return;
    if (a->sheet_count) { /* a sheet has the keyboard: only leaving goes through */
        if (action == ACTION_QUIT_NOW || action == ACTION_REDRAW || action == ACTION_SUSPEND)
            own_action(a, action);
        else if (key == 27 || key == 'q')
            app_pop(a, app_top(a)->state);
        return;
    }
    if (action)
        own_action(a, action);
    else
        digit_key(a, keymap_latin(key));
}

/* A paste is text for a field, never commands. */
static void paste_key(struct app *a, int key)
{
    bool typing = app_typing(a);
    if (key == KEY_N_PASTE_END)
        a->pasting = false;
    else if (++a->pasted > PASTE_MOST) {
        app_say(a, ROLE_WARN, "the rest of what was pasted is left out: a field holds one line");
        terminal_skip_paste();
    } else if (typing && key >= ' ' && key < 0x110000)
        one_key(a, key);
    else if (!typing)
        app_say(a, ROLE_WARN, "pasted text ignored: no text field is open (: opens one)");
}

static void read_keys(struct app *a)
{
    int key;
    while (!a->leaving && terminal_key(&key)) {
        bool focus = key == KEY_N_FOCUS_IN || key == KEY_N_FOCUS_OUT;
        a->away = key == KEY_N_FOCUS_OUT; /* a key is pressed where one looks */
        if (focus)
            a->urgent = true;
        else if (key == KEY_N_PASTE_BEGIN)
            a->pasting = true, a->pasted = 0;
        else if (a->pasting)
            paste_key(a, key);
        else if (key != KEY_N_PASTE_END)
            one_key(a, key);
    }
    if (terminal_gone())
        a->leaving = true;
}

/* ---- the loop ---- */

static int until_ms(int64_t when_us, int64_t now, int wait)
{
    int64_t left = when_us <= now ? 0 : (when_us - now + 999) / 1000;
    return wait < 0 || left < wait ? (int)left : wait;
}

static int tick(struct app *a, int wait)
{
    struct shown *top = app_top(a), *below = app_current(a);
    struct shown *both[] = {below, top == below ? NULL : top};
    for (size_t i = 0; i < ARRAY_LEN(both); i++)
        if (both[i] && both[i]->screen->tick) {
            int ms = both[i]->screen->tick(a, both[i]->state);
            if (ms >= 0 && (wait < 0 || ms < wait))
                wait = ms;
        }
    return wait;
}

static int wait_ms(struct app *a, int64_t now)
{
    int wait = link_timeout_ms(a->link);
    if (!a->polling)
        wait = until_ms(a->poll_us, now, wait);
    if (a->connected)
        wait = until_ms(a->status_us, now, wait);
    if (a->resize_us)
        wait = until_ms(a->resize_us, now, wait);
    if (a->message[0])
        wait = until_ms(a->message_until_us, now, wait);
    if (a->dirty && !terminal_busy())
        wait = until_ms(a->frame_us + frame_gap_us(a), now, wait);
    int notice = notices_tick(a);
    if (notice >= 0 && (wait < 0 || notice < wait))
        wait = notice;
    return tick(a, wait);
}

static void draw_when_due(struct app *a)
{
    int64_t now = clock_mono_us();
    if (a->message[0] && now >= a->message_until_us) {
        a->message[0] = '\0';
        a->dirty = true;
    }
    app_tell_news(a);
    if (a->resize_us && now >= a->resize_us) {
        a->resize_us = 0;
        terminal_resized();
        a->urgent = true;
    }
    if (a->slow_until_us && now >= a->slow_until_us) {
        a->slow_until_us = 0;
        a->dirty = true;
    }
    if (!a->urgent && !(a->dirty && now >= a->frame_us + frame_gap_us(a)))
        return;
    if (!terminal_frame_begin()) {
        note_late(a, now); /* this frame is left out */
        return;
    }
    a->dirty = a->urgent = false;
    a->frame_us = now;
    frame_draw(a);
}

static void take_signal(struct app *a, int fd)
{
    struct signalfd_siginfo info;
    while (read(fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGWINCH)
            a->resize_us = clock_mono_us() + RESIZE_US;
        else if (info.ssi_signo == SIGTSTP)
            terminal_suspend(), a->urgent = true;
        else
            a->leaving = true;
    }
}

static void loop(struct app *a, int signals)
{
    while (!a->leaving) {
        int64_t now = clock_mono_us();
        ask_gateway(a, now);
        int wait = wait_ms(a, now); /* screens may mark themselves due in it */
        draw_when_due(a);
        bool late = (a->dirty || a->urgent) && !terminal_busy();
        struct pollfd p[] = {
            {.fd = terminal_fd(),
                .events = (short)(POLLIN | (terminal_busy() || a->urgent ? POLLOUT : 0))},
            {.fd = link_fd(a->link), .events = POLLIN},
            {.fd = signals, .events = POLLIN},
            {.fd = a->theme_fd, .events = POLLIN},
        };
        if (late)
            wait = until_ms(a->frame_us + frame_gap_us(a), clock_mono_us(), wait);
        if (late && wait == 0)
            wait = FRAME_US / 1000; /* the terminal is full: look again in a while */
        if (poll(p, ARRAY_LEN(p), wait) < 0 && errno != EINTR)
            break;
        if (p[0].revents & POLLOUT)
            terminal_flush();
        if (p[0].revents & ~POLLOUT)
            read_keys(a);
        if (p[2].revents)
            take_signal(a, signals);
        if (p[3].revents)
            looks_changed(a);
        link_run(a->link);
    }
}

/* ---- life ---- */

static int catch_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    const int all[] = {SIGWINCH, SIGTERM, SIGHUP, SIGINT, SIGTSTP};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        sigaddset(&set, all[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static bool no_colors(void)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return (no && *no) || (term && strcmp(term, "dumb") == 0);
}

static int open_console(struct app *a, struct err *e)
{
    const struct console_options *o = &a->options;
    struct terminal_options t = {
        .ascii = o->ascii, .mono = o->mono || no_colors(), .no_sync = o->no_sync};
    a->theme_fd = -1;
    model_init(&a->model);
    a->link = link_new(o->socket);
    if (!a->link)
        return err_set(e, ERR_NOMEM, "out of memory");
    int rc = terminal_open(&t, e);
    if (rc < 0)
        return rc;
    struct err faults = {0}, keys = {0};
    int settings = settings_load(&a->settings, &faults);
    looks_open(a);
    if (settings_on(&a->settings, SETTING_MOUSE))
        terminal_mouse(true);
    if (settings < 0)
        app_say(a, ROLE_BAD, "%s", faults.text);
    if (keymap_load(&keys) < 0)
        app_say(a, ROLE_BAD, "%s", keys.text);
    for (size_t i = 0; app_screen(i); i++)
        a->screens[a->screen_count++].screen = app_screen(i);
    show_screen(a, 0);
    if (*terminal_notice())
        app_say(a, ROLE_WARN, "%s", terminal_notice());
    a->urgent = true;
    return 0;
}

static void close_console(struct app *a)
{
    app_sheet_close_all(a);
    for (size_t i = 0; i < a->screen_count; i++) {
        struct shown *s = &a->screens[i];
        app_forget_asks(a, s->state);
        if (s->state && s->screen->close)
            s->screen->close(a, s->state);
        free(s->state);
    }
    app_forget_asks(a, NULL);
    terminal_close();
    looks_close(a);
    settings_fini(&a->settings);
    link_free(a->link);
}

static void say_goodbye(const struct app *a)
{
    const struct gateway *g = &a->model.gateway;
    if (a->options.quiet)
        return;
    if (!a->connected)
        fprintf(stderr, "no gateway answers on %s\n", a->options.socket);
    else if (g->known)
        fprintf(stderr, "gateway still running (pid %lld, %s, %lld live); end it: pointsman down\n",
            (long long)g->pid, g->listen, (long long)a->model.now.live);
}

int console_main(const struct console_options *options)
{
    struct app *a = calloc(1, sizeof *a);
    struct err e = {0};
    int signals = catch_signals();
    if (!a || signals < 0)
        return 1;
    a->options = *options;
    slice_ask(SLICE_US);
    if (open_console(a, &e) < 0) {
        fprintf(stderr, "pointsman: %s\n", e.text);
        link_free(a->link);
        free(a);
        return 1;
    }
    loop(a, signals);
    close_console(a);
    say_goodbye(a);
    int rc = a->connected ? 0 : 3;
    model_fini(&a->model);
    close(signals);
    free(a);
    return rc;
}
