/* secrets.c: turns a reference (env:NAME, file:/path, sealed:NAME) into its value, or into a
 * complaint that says what to do. A file that others can read is refused: a key in it is no secret
 * any more. What held the value on the way is wiped. */
#include "proxy/config/environment.h"
#include "proxy/config/sealed.h"
#include "store/base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECRET_FILE_MAX = 16 << 10, CALLER_SECRET_MIN = 16 };

static bool from_environment(
    struct reader *r, const struct yaml *n, struct str path, struct str name, struct str *value)
{
    *value = environment_get(r->q->environment, name, true);
    if (value->n)
        return true;
    struct nearest near = {.asked = name};
    char guess[96];
    environment_offer_names(r->q->environment, &near);
    complain(r, n, path, ERR_MISSING, "the environment variable " STR_FMT " is %s%s", STR_ARG(name),
        value->p ? "empty" : "not set",
        near.best.p && !value->p ? nearest_text(&near, guess) : ": set it, or write file:/path");
    return false;
}

/* Files that systemd hands to a service may be readable by root's group; their folder protects them. */
static bool is_credential(struct reader *r, struct str file)
{
    struct str folder = environment_get(r->q->environment, STR("CREDENTIALS_DIRECTORY"), false);
    return folder.n && str_starts(file, folder) && str_find(file, STR("..")) < 0;
}

static const char *file_fault(struct reader *r, const struct stat *st, struct str file)
{
    if (!S_ISREG(st->st_mode))
        return "is not a regular file";
    if (st->st_uid != geteuid() && st->st_uid != 0)
        return "belongs to another user";
    if ((st->st_mode & 077) && !is_credential(r, file))
        return "can be read by others: chmod 600 it";
    return st->st_size > SECRET_FILE_MAX ? "is too large for a key" : NULL;
}

static bool from_file(struct reader *r, const struct yaml *n, struct str path, struct str given,
    struct str *value)
{
    struct str file = expand_home(r, given);
    if (!file.n || *file.p != '/') {
        complain(r, n, path, ERR_SYNTAX, "write the whole path: file:/etc/pointsman/name.key");
        return false;
    }
    const char *name = arena_c(r->a, file);
    int fd = name ? open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) : -1;
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0) {
        complain(r, n, path, ERR_IO, "can't read " STR_FMT ": %s", STR_ARG(file), strerror(errno));
        if (fd >= 0)
            close(fd);
        return false;
    }
    const char *fault = file_fault(r, &st, file);
    char *bytes = fault ? NULL : arena_zalloc(r->a, SECRET_FILE_MAX + 1);
    ssize_t got = bytes ? read(fd, bytes, SECRET_FILE_MAX) : 0;
    close(fd);
    while (got > 0 && (bytes[got - 1] == '\n' || bytes[got - 1] == '\r' || bytes[got - 1] == ' '))
        bytes[--got] = '\0';
    if (!fault && got <= 0)
        fault = "is empty";
    if (fault) {
        complain(r, n, path, ERR_DENIED, STR_FMT " %s", STR_ARG(file), fault);
        return false;
    }
    *value = str_n(bytes, (size_t)got);
    return true;
}

/* A key that does not open must not keep the others from working. */
static bool from_sealed(struct reader *r, const struct yaml *n, struct str path, struct str name,
    struct str *value, struct str *fault)
{
    struct err e = {0};
    struct buf plain;
    const char *bad = fault ? sealed_name_fault(name)
        : "a virtual key's secret is kept as a hash alone: write env:NAME, file:/path or the secret";
    if (bad) {
        complain(r, n, path, ERR_SYNTAX, "sealed: %s", bad);
        return false;
    }
    buf_init(&plain, SEALED_VALUE_MAX + 64);
    int rc = sealed_get(name, &plain, &e);
    if (rc == -ERR_NOT_FOUND) {
        complain(r, n, path, ERR_MISSING, "%s", e.text);
    } else if (rc == 0) {
        *value = arena_str(r->a, buf_str(&plain));
    } else {
        *fault = rc == -ERR_AGAIN ? STR("not opened here") : arena_str(r->a, str_c(e.text));
        if (rc != -ERR_AGAIN)
            warn_about(r, n, path, "%s", e.text);
    }
    secret_wipe(plain.p, plain.n);
    buf_fini(&plain);
    return rc != -ERR_NOT_FOUND && (value->p || fault->n);
}

static bool literal(struct reader *r, const struct yaml *n, struct str path, enum secret_use use,
    struct str *reference, struct str *value)
{
    *reference = STR("literal");
    *value = n->text;
    if (use == SECRET_PROVIDER)
        warn_about(r, n, path,
            "the key stands in the file as plain text; env:NAME or file:/path "
            "keep it out%s",
            (r->file_mode & 077) ? ", and others can read this file (chmod 600)" : "");
    else if (r->file_mode & 077)
        warn_about(r, n, path, "the secret stands in a file that others can read: chmod 600 it");
    return true;
}

static bool value_is_usable(struct reader *r, const struct yaml *n, struct str path,
    enum secret_use use, struct str value)
{
    for (size_t i = 0; i < value.n; i++) {
        if ((unsigned char)value.p[i] >= 0x21 && (unsigned char)value.p[i] <= 0x7e)
            continue;
        complain(r, n, path, ERR_SYNTAX, "the secret holds blanks, line breaks or other characters "
            "that a header can't carry");
        return false;
    }
    if (use == SECRET_CALLER && value.n < CALLER_SECRET_MIN) {
        complain(r, n, path, ERR_RANGE, "the secret has %zu characters; at least 16 are needed",
            value.n);
        return false;
    }
    if (use == SECRET_PROVIDER && str_starts(value, STR("sk-pm-"))) {
        complain(
            r, n, path, ERR_RANGE, "is a key of a pointsman gateway (sk-pm-…), not of a provider");
        return false;
    }
    return true;
}

bool read_secret(struct reader *r, const struct yaml *n, struct str path, enum secret_use use,
    struct str *reference, struct str *value, struct str *fault)
{
    struct str text;
    if (!read_text(r, n, path, &text))
        return false;
    bool got;
    *reference = text;
    if (str_starts(text, STR("env:")))
        got = from_environment(r, n, path, str_from(text, 4), value);
    else if (str_starts(text, STR("file:")))
        got = from_file(r, n, path, str_from(text, 5), value);
    else if (str_starts(text, STR("sealed:")))
        got = from_sealed(r, n, path, str_from(text, 7), value, fault);
    else
        got = literal(r, n, path, use, reference, value);
    if (got && fault && fault->n)
        return true;
    if (!got || !value_is_usable(r, n, path, use, *value))
        return false;
    struct str first = *value;
    *value = arena_str(r->a, first);
    if (str_starts(text, STR("file:")) || str_starts(text, STR("sealed:")))
        secret_wipe((void *)(uintptr_t)first.p, first.n); /* read for us alone */
    secret_add(*value);
    return value->p != NULL;
}
