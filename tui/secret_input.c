/* secret_input.c: see secret_input.h. On a terminal the line is read key by key with signals off, so
 * that Ctrl-C can't leave it without an echo. */
#include "tui/secret_input.h"

#include "store/base/secret.h"

#include <errno.h>
#include <termios.h>
#include <unistd.h>

enum { CTRL_C = 3, CTRL_D = 4, CTRL_H = 8, CTRL_U = 21, DELETE = 127 };

static int read_to_end(struct buf *out, struct err *e)
{
    ssize_t n = 0;
    do {
        char *to = buf_reserve(out, 4096);
        n = to ? read(STDIN_FILENO, to, 4096) : 0;
        out->n += n > 0 ? (size_t)n : 0;
    } while (n > 0 || (n < 0 && errno == EINTR));
    if (n < 0)
        return err_set(e, ERR_IO, "standard input: %s", strerror(errno));
    return out->err ? err_set(e, ERR_LIMIT, "that is longer than a key") : 0;
}

static int type_key(struct buf *out, char key)
{
    switch (key) {
    case CTRL_C:
    case CTRL_D:
        return -ERR_CANCELLED;
    case CTRL_H:
    case DELETE:
        out->n -= out->n > 0;
        return 0;
    case CTRL_U:
        out->n = 0;
        return 0;
    default:
        buf_putc(out, key);
        return out->err;
    }
}

static int type_line(struct buf *out, struct err *e)
{
    char key = 0;
    int rc = 0;
    while (rc == 0 && read(STDIN_FILENO, &key, 1) == 1 && key != '\r' && key != '\n')
        rc = type_key(out, key);
    key = 0;
    return rc < 0 ? err_set(e, (enum err_code)-rc, rc == -ERR_CANCELLED ? "nothing was changed"
                                                                       : "that is longer than a key")
                  : 0;
}

static int ask(const char *prompt, struct buf *out, struct err *e)
{
    struct termios was, now;
    if (tcgetattr(STDIN_FILENO, &was) < 0)
        return err_set(e, ERR_IO, "the terminal: %s", strerror(errno));
    now = was;
    now.c_lflag &= (tcflag_t)~(ECHO | ECHONL | ICANON | ISIG);
    if (write(STDERR_FILENO, prompt, strlen(prompt)) < 0 ||
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &now) < 0)
        return err_set(e, ERR_IO, "the terminal: %s", strerror(errno));
    int rc = type_line(out, e);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &was);
    return write(STDERR_FILENO, "\n", 1) < 0 ? -ERR_IO : rc;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

int secret_input(const char *prompt, struct buf *out, struct err *e)
{
    int rc = isatty(STDIN_FILENO) ? ask(prompt, out, e) : read_to_end(out, e);
    if (rc < 0)
        return rc;
    size_t before = 0;
    while (out->n && is_blank(out->p[out->n - 1]))
        out->n--;
    while (before < out->n && is_blank(out->p[before]))
        before++;
    if (before)
        buf_drop(out, before);
    return out->n ? 0 : err_set(e, ERR_MISSING, "no key came on standard input");
}
