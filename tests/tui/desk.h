/* desk.h: a person at the console: keys in, screens out.
 *
 * The console runs on a pseudo-terminal with a real terminal emulator (libvterm), against
 * fake_gateway.py or the real demo, in a child of its own and with a fixed wall clock, so that a screen
 * is the same on every machine; the emulator is fed whatever the child writes until it is quiet.
 *
 *     static void q_leaves(void **state)                // AT_DESK(q_leaves): 100x30, traffic, ready
 *     {
 *         struct desk *d = *state;
 *         type(&d->t, "q");
 *     }
 *
 * What does not come within patience_ms fails the test. */
#ifndef POINTSMAN_TESTS_DESK_H
#define POINTSMAN_TESTS_DESK_H

#include "tui/console.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/types.h>
#include <termios.h>
#include <vterm.h>

enum { NOW_S = 1795442531, QUIET_MS = 40, PATIENCE_MS = 30000 };

#define UP "\033OA"
#define DOWN "\033OB"

extern char folder[];    /* HOME and working directory of the consoles */
extern int64_t fixed_ms; /* the wall clock; 0: the real one */
extern int patience_ms;

struct gateway {
    pid_t pid;
    char socket[128];
};

struct term {
    pid_t pid;
    int fd, rows, columns;
    VTerm *vt;
    VTermScreen *screen;
    char *stream; /* everything that came */
    size_t n;
    struct termios before;
};

struct desk {
    struct gateway g;
    struct term t;
};

int64_t real_mono(void);

/* data: traffic, empty, hostile; more: "--live", or NULL. */
struct gateway start_gateway(const char *data);
struct gateway start_gateway_with(const char *data, const char *more);
void stop_gateway(struct gateway *g);

/* `pointsman demo` in a folder of its own. False: it did not start. */
bool start_demo(struct gateway *g);

/* What the console sent to the fake gateway. */
bool was_sent(const struct gateway *g, const char *text);
void expect_sent(const struct gateway *g, const char *text);

/* stop() gives the status of its end. */
struct term start(const struct gateway *g, int columns, int rows, const char *name,
    const struct console_options *more);
void ready(struct term *t);
int stop(struct term *t);

/* settle: until nothing came for quiet_ms. dump, read_whole: freed by the caller. */
void type(struct term *t, const char *keys);
void settle(struct term *t, int quiet_ms);
char *dump(struct term *t);
char *read_whole(const char *path);

/* Waits for a text, or for the picture golden/NAME-WxH.txt; POINTSMAN_GOLDEN=1 writes it anew. */
void expect(struct term *t, const char *text);
void expect_not(struct term *t, const char *text);
void golden(struct term *t, const char *name);

/* The fixtures of a group and of AT_DESK. */
int set_up(void **state);
int tear_down(void **state);
int sit_down(void **state);
int stand_up(void **state);
#define AT_DESK(test) cmocka_unit_test_setup_teardown(test, sit_down, stand_up)

/* Takes a pattern of tests from the command line. False: nothing can be run here, and that is said. */
bool may_run(int argc, char **argv);

#endif
