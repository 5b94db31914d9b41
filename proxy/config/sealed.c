/* sealed.c: see sealed.h. The master key is read when it is first needed, and once more when a row
 * does not open with what is here: a file that was mended or brought back counts at the next reload,
 * without a restart. */
#include "proxy/config/sealed.h"

#include "proxy/config/environment.h"
#include "store/base/secret.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct row {
    char name[SEALED_NAME_MAX + 1], who[64];
    char *sealed;
    size_t sealed_bytes;
    int64_t time_ms;
};

static struct {
    bool opened;
    char key_file[4096];
    struct secret_box *box;
    const char *from; /* what seals: key_file, or a fixed text */
    struct row *rows; /* in order of name */
    size_t count, cap;
} here;

/* ---- where the master key is ---- */

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

void sealed_key_file(const struct config *c, char *out, size_t size)
{
    char beside[4096];
    struct stat st;
    const char *home = getenv("HOME");
    if (c->master_key.n) {
        str_copy(out, size, c->master_key);
        return;
    }
    snprintf(beside, sizeof beside, STR_FMT "/master.key", STR_ARG(c->data));
    snprintf(out, size, "%s/.config/pointsman/master.key", home ? home : "");
    bool usable = home && *home == '/' && stat(home, &st) == 0 && S_ISDIR(st.st_mode) &&
                  st.st_uid == geteuid() && access(home, W_OK) == 0;
    if (!is_there(out) && (is_there(beside) || !usable))
        snprintf(out, size, "%s", beside);
}

static int read_master(bool create, struct err *e)
{
    struct secret_sources q = {.variable = environment_get(NULL, STR("POINTSMAN_MASTER_KEY"), true),
        .key_file = here.key_file, .create = create};
    struct secret_box *fresh = NULL;
    const char *from = NULL;
    int rc = secret_box_new(&fresh, &q, &from, e);
    if (rc < 0)
        return rc; /* what is open stays open */
    secret_box_free(here.box);
    here.box = fresh;
    here.from = from;
    return 0;
}

static int need_master(struct err *e)
{
    return here.box ? 0 : read_master(false, e);
}

const char *sealed_master(struct err *e)
{
    return need_master(e) == 0 ? here.from : NULL;
}

/* Read again each time. Where its file is gone this process holds the last copy: a new key in its place
 * would be the end of all that is sealed, and what is sealed under the old one won't open after the next
 * start. */
static int master_to_seal(struct err *e)
{
    struct err why = {0};
    bool last_copy = here.box && here.count;
    int rc = read_master(!last_copy, &why);
    if (rc < 0)
        err_set(e, (enum err_code)-rc, "%s%s", why.text, last_copy && rc == -ERR_MISSING
            ? ": bring it back first; what was sealed with it opens until this gateway ends" : "");
    return rc;
}

int sealed_renew(struct err *e)
{
    int rc = master_to_seal(e);
    if (rc == 0 && here.from == here.key_file)
        rc = secret_renew_file(here.key_file, e);
    return rc < 0 ? rc : read_master(false, e);
}

/* ---- the rows ---- */

void sealed_open(const char *key_file)
{
    sealed_close();
    here.opened = true;
    str_copy(here.key_file, sizeof here.key_file, str_c(key_file));
}

void sealed_close(void)
{
    for (size_t i = 0; i < here.count; i++)
        free(here.rows[i].sealed);
    free(here.rows);
    secret_box_free(here.box);
    memset(&here, 0, sizeof here);
}

static size_t place_of(struct str name)
{
    size_t i = 0;
    while (i < here.count && str_cmp(str_c(here.rows[i].name), name) < 0)
        i++;
    return i;
}

static struct row *find(struct str name)
{
    size_t i = place_of(name);
    return i < here.count && str_eq(str_c(here.rows[i].name), name) ? &here.rows[i] : NULL;
}

static struct row *insert(struct str name)
{
    if (here.count == SEALED_MAX || name.n > SEALED_NAME_MAX)
        return NULL;
    if (here.count == here.cap) {
        size_t cap = here.cap ? here.cap * 2 : 16;
        struct row *more = realloc(here.rows, cap * sizeof *more);
        if (!more)
            return NULL;
        here.rows = more;
        here.cap = cap;
    }
    size_t at = place_of(name);
    memmove(here.rows + at + 1, here.rows + at, (here.count++ - at) * sizeof *here.rows);
    here.rows[at] = (struct row){0};
    str_copy(here.rows[at].name, sizeof here.rows[at].name, name);
    return &here.rows[at];
}

int sealed_put(struct str name, struct str sealed, struct str who, int64_t time_ms)
{
    struct row *r = find(name);
    char *copy = str_dup(sealed);
    r = r || !copy ? r : insert(name);
    if (!r || !copy) {
        free(copy);
        return copy ? -ERR_LIMIT : -ERR_NOMEM;
    }
    free(r->sealed);
    r->sealed = copy;
    r->sealed_bytes = sealed.n;
    r->time_ms = time_ms;
    str_copy(r->who, sizeof r->who, who);
    return 0;
}

void sealed_drop(struct str name)
{
    struct row *r = find(name);
    if (!r)
        return;
    free(r->sealed);
    here.count--;
    memmove(r, r + 1, (size_t)(here.rows + here.count - r) * sizeof *r);
}

size_t sealed_count(void)
{
    return here.count;
}

/* ---- sealing and opening ---- */

const char *sealed_name_fault(struct str name)
{
    if (!name.n || name.n > SEALED_NAME_MAX)
        return "a name has 1 to 64 characters";
    for (size_t i = 0; i < name.n; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", name.p[i]))
            return "a name has letters, digits, '.', '_' and '-' alone";
    return NULL;
}

const char *sealed_value_fault(struct str value)
{
    if (value.n < SECRET_VALUE_MIN || value.n > SEALED_VALUE_MAX)
        return "a provider key has 8 to 16,384 characters";
    for (size_t i = 0; i < value.n; i++)
        if ((unsigned char)value.p[i] < 0x21 || (unsigned char)value.p[i] > 0x7e)
            return "the key holds blanks, line breaks or characters that a header can't carry";
    return str_starts(value, STR("sk-pm-"))
        ? "that is a key of a pointsman gateway (sk-pm-…), not of a provider" : NULL;
}

/* What is authenticated beside the ciphertext: a row under another name does not open. */
static struct str row_id(struct str name, char out[SEALED_NAME_MAX + 20])
{
    int n = snprintf(out, SEALED_NAME_MAX + 20, "provider-key/" STR_FMT, STR_ARG(name));
    return str_n(out, (size_t)n);
}

int sealed_make(struct str name, struct str value, struct buf *out, struct err *e)
{
    char id[SEALED_NAME_MAX + 20];
    int rc = master_to_seal(e);
    if (rc == 0 && (rc = secret_seal(here.box, row_id(name, id), value, out)) < 0)
        err_set(e, (enum err_code)-rc, "the key can't be sealed: %s", err_text(rc));
    return rc;
}

static int unseal(const struct row *r, struct buf *out, struct err *e)
{
    char id[SEALED_NAME_MAX + 20];
    struct str sealed = str_n(r->sealed, r->sealed_bytes), name = row_id(str_c(r->name), id);
    int rc = need_master(e);
    if (rc == 0)
        rc = secret_open(here.box, name, sealed, out, e);
    if (rc == -ERR_DENIED && here.box && read_master(false, e) == 0)
        rc = secret_open(here.box, name, sealed, out, e);
    return rc;
}

int sealed_get(struct str name, struct buf *out, struct err *e)
{
    if (!here.opened)
        return -ERR_AGAIN;
    const struct row *r = find(name);
    if (!r)
        return err_set(e, ERR_NOT_FOUND, "no key is sealed under the name " STR_FMT
            ": pointsman provider seal " STR_FMT, STR_ARG(str_first(name, SEALED_NAME_MAX)),
            STR_ARG(str_first(name, SEALED_NAME_MAX)));
    struct err why = {0};
    int rc = unseal(r, out, &why);
    if (rc == 0)
        return 0;
    bool lost = rc == -ERR_MISSING || (rc == -ERR_DENIED && here.box);
    return err_set(e, (enum err_code)-rc, "sealed:%s does not open: %s; %s, or seal it anew (pointsman "
        "provider seal %s)", r->name, why.text, lost ? "bring it back and reload"
        : here.box ? "restore a backup" : "then reload", r->name);
}

int sealed_again(struct str name, struct buf *out, struct err *e)
{
    struct buf plain;
    buf_init(&plain, SEALED_VALUE_MAX + 64);
    int rc = sealed_get(name, &plain, e);
    if (rc == 0)
        rc = sealed_make(name, buf_str(&plain), out, e);
    secret_wipe(plain.p, plain.n);
    buf_fini(&plain);
    return rc;
}

/* ---- what people see ---- */

void sealed_show(struct str value, char out[24])
{
    out[0] = '\0';
    if (value.n > 12)
        snprintf(out, 24, "%.4s…%.4s", value.p, value.p + value.n - 4);
}

void sealed_each(void (*fn)(void *ctx, const struct sealed_view *v), void *ctx)
{
    struct buf plain;
    buf_init(&plain, SEALED_VALUE_MAX + 64);
    for (size_t i = 0; i < here.count; i++) {
        const struct row *r = &here.rows[i];
        struct err e = {0};
        struct sealed_view v = {.name = str_c(r->name), .who = str_c(r->who), .time_ms = r->time_ms};
        v.opens = unseal(r, &plain, &e) == 0;
        v.current = here.box && secret_is_current(here.box, str_n(r->sealed, r->sealed_bytes));
        if (v.opens)
            sealed_show(buf_str(&plain), v.shown);
        else
            str_copy(v.why, sizeof v.why, str_c(e.text));
        fn(ctx, &v);
        secret_wipe(plain.p, plain.n);
        buf_reset(&plain);
    }
    buf_fini(&plain);
}
