/* terminal.h: the terminal itself: opened, read, written to, and given back as it was.
 *
 * Why: ncurses would block in refresh() when nobody reads the terminal, and write a frame in a
 * dozen pieces. It writes into a pipe here; one frame is taken from it and leaves with one write().
 * A frame is not even drawn while the terminal is still taking the last one. Whatever way the
 * program ends (also by a crash signal) modes, cursor and screen are put back.
 *
 *     if (terminal_open(&options, &e) < 0) ...
 *     poll(terminal_fd() for POLLIN, and POLLOUT while terminal_busy())
 *     while (terminal_key(&key)) ...
 *     if (terminal_frame_begin()) { paint with draw.h; terminal_frame_end(y, x); }
 *     terminal_close();
 *
 * One terminal a process; all calls from one thread. */
#ifndef POINTSMAN_TERMINAL_H
#define POINTSMAN_TERMINAL_H

#include "store/base/err.h"
#include "store/base/str.h"
#include "tui/theme.h"

/* A key is a character (with Alt: + KEY_ALT), or one of these. Ctrl-A is 1, Enter 13, Esc 27. */
enum {
    KEY_NAMED = 0x200000,
    KEY_N_UP,
    KEY_N_DOWN,
    KEY_N_LEFT,
    KEY_N_RIGHT,
    KEY_N_HOME,
    KEY_N_END,
    KEY_N_PGUP,
    KEY_N_PGDN,
    KEY_N_INSERT,
    KEY_N_DELETE,
    KEY_N_BACKTAB,
    KEY_N_BACKSPACE,
    KEY_N_PASTE_BEGIN,
    KEY_N_PASTE_END,
    KEY_N_FOCUS_IN,
    KEY_N_FOCUS_OUT,
    KEY_N_WHEEL_UP,
    KEY_N_WHEEL_DOWN,
    KEY_N_CLICK,         /* terminal_click() says where */
    KEY_N_F0 = 0x200100, /* + n */
    KEY_ALT = 0x1000000
};

struct terminal_options {
    bool ascii;      /* only ASCII leaves, also where the locale could do more */
    bool mono;       /* no colours, whatever the terminal offers */
    bool no_sync;    /* never wrap frames in synchronized-update marks */
    unsigned esc_ms; /* 0: 50, or 100 over ssh */
};

int terminal_open(const struct terminal_options *o, struct err *e) MUST_CHECK;
void terminal_close(void);

/* What terminal_open() had to do that a person should know ("no entry for xterm-ghostty …"), or "".
 */
const char *terminal_notice(void);

int terminal_fd(void);
bool terminal_gone(void); /* hung up */
bool terminal_ascii(void);
/* Fonts here often lack our arrows and ticks, or show them two columns wide: the Linux console, and
 * East Asian locales. */
bool terminal_poor_marks(void);
enum theme_depth terminal_depth(void);
const char *terminal_name(void); /* $TERM as used */

/* Rows and columns now; asks the kernel again after a SIGWINCH was told by terminal_resized(). */
void terminal_size(int *rows, int *columns);
void terminal_resized(void);

bool terminal_key(int *key);
void terminal_skip_paste(void); /* the next key is the end of the paste under way */
void terminal_click(int *y, int *x);
void terminal_mouse(bool on);

/* False when the terminal has not taken the last frame yet: try again when it is writable. */
bool terminal_frame_begin(void);
/* Sends what changed, and leaves the cursor at y, x (hidden when y < 0). */
void terminal_frame_end(int y, int x);
bool terminal_busy(void);   /* bytes wait for POLLOUT */
void terminal_flush(void);  /* when POLLOUT came */
void terminal_redraw(void); /* the next frame paints everything */

/* The window's title, where the terminal has one; the old one comes back at the end, or with NULL.
 * The text is cleaned here. */
void terminal_title(const char *text);
/* A notice on the desktop by the terminal (OSC 9), where it may be sent; with `bell` the bell, too.
 */
void terminal_notify(const char *text, bool desktop, bool bell);

/* Bytes outside of frames: title, bell, clipboard sequence. Already safe; queued behind the frame.
 */
void terminal_send(struct str bytes);

/* Hands the screen to the shell (Ctrl-Z) or to a child program, and takes it back. */
void terminal_suspend(void);
void terminal_leave(void);
void terminal_return(void);

#endif
