/* secret_box.c: provider keys at rest. See secret.h.
 *
 * A sealed blob: version (1 byte) | mark of the master key (4) | nonce (24) | ciphertext and tag.
 * Authenticated beside it: version, mark and row id. The mark finds the master key among several,
 * and tells a lost one apart from damage. */
#include "store/base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    VERSION = 1,
    MARK = 4,
    NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    TAG = crypto_aead_xchacha20poly1305_ietf_ABYTES,
    HEAD = 1 + MARK + NONCE,
    HEX = SECRET_MASTER_BYTES * 2,
    FILE_BYTES = SECRET_MASTERS_MAX * (HEX + 2),
    PATH_BYTES = 4096,
    PLAIN_MAX = 64 * 1024,
    ROW_ID_MAX = 256,
    LOCK_TRIES = 20,
    LOCK_LOOK_US = 5000
};

struct secret_box {
    unsigned char (*keys)[SECRET_MASTER_BYTES]; /* sodium_malloc: guarded, locked, wiped when freed */
    unsigned char marks[2 * SECRET_MASTERS_MAX][MARK];
    size_t count; /* the first one seals */
};

static void mark_of(const unsigned char key[SECRET_MASTER_BYTES], unsigned char mark[MARK])
{
    unsigned char digest[crypto_generichash_BYTES_MIN];
    crypto_generichash(digest, sizeof digest, (const unsigned char *)"pointsman mark", 14, key,
        SECRET_MASTER_BYTES);
    memcpy(mark, digest, MARK);
}

static struct secret_box *box_new(struct err *e)
{
    struct secret_box *b = sodium_init() < 0 ? NULL : calloc(1, sizeof *b);
    if (b)
        b->keys = sodium_allocarray(ARRAY_LEN(b->marks), SECRET_MASTER_BYTES);
    if (b && b->keys)
        return b;
    free(b);
    err_set(e, ERR_NOMEM, "no guarded memory for the master key (see ulimit -l)");
    return NULL;
}

/* One that is there already is left out; what does not fit can't be reached. */
static void box_add(struct secret_box *b, const unsigned char key[SECRET_MASTER_BYTES])
{
    for (size_t i = 0; i < b->count; i++)
        if (sodium_memcmp(b->keys[i], key, SECRET_MASTER_BYTES) == 0)
            return;
    if (b->count == ARRAY_LEN(b->marks))
        return;
    memcpy(b->keys[b->count], key, SECRET_MASTER_BYTES);
    mark_of(key, b->marks[b->count++]);
}

int secret_box_from(struct secret_box **out, const unsigned char key[SECRET_MASTER_BYTES],
    struct err *e)
{
    struct secret_box *b = box_new(e);
    if (!b)
        return -ERR_NOMEM;
    box_add(b, key);
    sodium_mprotect_readonly(b->keys);
    *out = b;
    return 0;
}

void secret_box_free(struct secret_box *b)
{
    if (!b)
        return;
    sodium_free(b->keys);
    free(b);
}

/* ---- where master keys come from ---- */

static int add_hex(struct secret_box *b, struct str text, const char *where, struct err *e)
{
    static const char between[] = " ,\r\n\t";
    unsigned char key[SECRET_MASTER_BYTES];
    size_t at = 0, n = 0, bytes, found = 0;
    int rc = 0;
    for (; rc == 0 && at < text.n; at += n) {
        for (n = 0; at + n < text.n && strchr(between, text.p[at + n]); n++)
            ;
        at += n;
        for (n = 0; at + n < text.n && !strchr(between, text.p[at + n]); n++)
            ;
        if (n == 0)
            break;
        if (n != HEX || sodium_hex2bin(key, sizeof key, text.p + at, n, NULL, &bytes, NULL) != 0 ||
            bytes != sizeof key || found++ == SECRET_MASTERS_MAX)
            rc = err_set(e, ERR_SYNTAX, "%s: a master key is %d hex digits, and there are at most %d "
                "of them", where, HEX, SECRET_MASTERS_MAX);
        else
            box_add(b, key);
    }
    sodium_memzero(key, sizeof key);
    return rc == 0 && !found ? err_set(e, ERR_SYNTAX, "%s: holds no master key (%d hex digits)",
        where, HEX) : rc;
}

/* `checked`: nobody but the owner may be able to read it (systemd checks its own folder). Into `text`,
 * of FILE_BYTES + 1. */
static int read_keys(const char *path, bool checked, char *text, size_t *n, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return err_set(e, errno == ENOENT || errno == ENOTDIR ? ERR_MISSING : ERR_IO,
            "master key %s: %s", path, strerror(errno));
    struct stat st;
    int rc = 0;
    ssize_t got = 0;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        rc = err_set(e, ERR_IO, "master key %s: not a regular file", path);
    else if (checked && st.st_uid != geteuid() && st.st_uid != 0)
        rc = err_set(e, ERR_DENIED, "master key %s belongs to uid %u: chown it, or run as them",
            path, (unsigned)st.st_uid);
    else if (checked && (st.st_mode & 077))
        rc = err_set(e, ERR_DENIED, "master key %s is open to others (%03o): chmod 600 it",
            path, (unsigned)(st.st_mode & 0777));
    else if ((got = read(fd, text, FILE_BYTES + 1)) < 0)
        rc = err_set(e, ERR_IO, "master key %s: %s", path, strerror(errno));
    else if (got > FILE_BYTES)
        rc = err_set(e, ERR_LIMIT, "master key %s: larger than %d keys", path, SECRET_MASTERS_MAX);
    close(fd);
    *n = rc == 0 ? (size_t)got : 0;
    return rc;
}

static int add_file(struct secret_box *b, const char *path, bool checked, struct err *e)
{
    char text[FILE_BYTES + 1];
    size_t n;
    int rc = read_keys(path, checked, text, &n, e);
    if (rc == 0)
        rc = add_hex(b, str_n(text, n), path, e);
    sodium_memzero(text, sizeof text);
    return rc;
}

static int add_credentials(struct secret_box *b, struct err *e)
{
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    char path[PATH_BYTES];
    int n = folder && *folder ? snprintf(path, sizeof path, "%s/pointsman.key", folder) : -1;
    return n < 0 || (size_t)n >= sizeof path ? -ERR_MISSING : add_file(b, path, false, e);
}

/* ---- making and renewing the file ---- */

/* Folders of ours on the way to the file, closed to others; those that are there stay as they are. */
static void make_folders(const char *path)
{
    char part[PATH_BYTES];
    for (size_t i = 1; path[i] && i < sizeof part; i++)
        if (path[i] == '/') {
            str_copy(part, sizeof part, str_n(path, i));
            mkdir(part, 0700);
        }
}

/* Locked while it is open: two gateways of one user may share the file. */
static int open_folder(const char *path, struct err *e)
{
    char folder[PATH_BYTES];
    const char *slash = strrchr(path, '/');
    str_copy(folder, sizeof folder, slash > path ? str_n(path, (size_t)(slash - path)) : STR("/"));
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, ERR_IO, "master key: folder %s: %s", folder, strerror(errno));
    for (int i = 0; i < LOCK_TRIES; i++, usleep(LOCK_LOOK_US))
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return fd;
    close(fd);
    return err_set(e, ERR_BUSY, "master key: another program holds %s; try again", folder);
}

/* A new key, then `old`; beside the file, then in its place. */
static int write_file(const char *path, int folder, struct str old, struct err *e)
{
    char beside[PATH_BYTES + 8], text[HEX + 2];
    unsigned char key[SECRET_MASTER_BYTES];
    snprintf(beside, sizeof beside, "%s.new", path);
    unlink(beside); /* of one who was killed here: it was never in force */
    int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set(e, ERR_IO, "master key %s: %s", beside, strerror(errno));
    secret_random(key, sizeof key);
    sodium_bin2hex(text, HEX + 1, key, sizeof key);
    text[HEX] = '\n';
    bool ok = write(fd, text, HEX + 1) == HEX + 1 &&
              write(fd, old.p ? old.p : "", old.n) == (ssize_t)old.n && fsync(fd) == 0;
    int why = errno;
    ok = close(fd) == 0 && ok;
    sodium_memzero(key, sizeof key);
    sodium_memzero(text, sizeof text);
    if (ok && rename(beside, path) == 0 && fsync(folder) == 0)
        return 0;
    why = ok ? errno : why;
    unlink(beside);
    return err_set(e, ERR_IO, "master key %s: %s", path, strerror(why));
}

int secret_renew_file(const char *path, struct err *e)
{
    char text[FILE_BYTES + 1], target[PATH_BYTES];
    size_t n;
    if (realpath(path, target)) /* a link to where keys are kept stays one */
        path = target;
    int folder = open_folder(path, e), rc = folder < 0 ? folder : 0;
    if (rc == 0)
        rc = read_keys(path, true, text, &n, e);
    struct secret_box *b = rc == 0 ? box_new(e) : NULL;
    if (rc == 0)
        rc = b ? add_hex(b, str_n(text, n), path, e) : -ERR_NOMEM; /* what is no key is not kept on */
    size_t most = (SECRET_MASTERS_MAX - 1) * (HEX + 1), kept = 0;
    for (size_t i = 0; rc == 0 && i < b->count && kept + HEX + 1 <= most; i++) {
        sodium_bin2hex(text + kept, HEX + 1, b->keys[i], SECRET_MASTER_BYTES);
        text[kept + HEX] = '\n';
        kept += HEX + 1;
    }
    if (rc == 0)
        rc = write_file(path, folder, str_n(text, kept), e);
    secret_box_free(b);
    sodium_memzero(text, sizeof text);
    if (folder >= 0)
        close(folder);
    return rc;
}

static int create_file(const char *path, struct err *e)
{
    make_folders(path);
    int folder = open_folder(path, e);
    if (folder < 0)
        return folder;
    /* whoever was here first has made the one that counts */
    int rc = access(path, F_OK) == 0 ? 0 : write_file(path, folder, STR_NULL, e);
    close(folder);
    return rc;
}

static int add_sources(struct secret_box *b, const struct secret_sources *q, const char **from,
    struct err *e)
{
    static const char credentials[] = "$CREDENTIALS_DIRECTORY/pointsman.key",
                      variable[] = "$POINTSMAN_MASTER_KEY";
    int rc = add_credentials(b, e);
    *from = rc == 0 ? credentials : NULL;
    if ((rc == 0 || rc == -ERR_MISSING) && q->variable.n) {
        rc = add_hex(b, q->variable, variable, e);
        *from = *from ? *from : variable;
    }
    if ((rc == 0 || rc == -ERR_MISSING) && q->key_file) {
        rc = add_file(b, q->key_file, true, e);
        if (rc == -ERR_MISSING && q->create && b->count == 0) {
            rc = create_file(q->key_file, e);
            rc = rc ? rc : add_file(b, q->key_file, true, e);
        }
        *from = *from ? *from : q->key_file;
    }
    return rc == -ERR_MISSING && b->count ? 0 : rc;
}

int secret_box_new(struct secret_box **out, const struct secret_sources *sources, const char **from,
    struct err *e)
{
    const char *where = NULL;
    struct secret_box *b = box_new(e);
    if (!b)
        return -ERR_NOMEM;
    int rc = add_sources(b, sources, &where, e);
    if (rc == -ERR_MISSING)
        rc = err_set(e, ERR_MISSING, "no master key in %s, nor in $POINTSMAN_MASTER_KEY",
            sources->key_file ? sources->key_file : "a file");
    if (rc < 0) {
        secret_box_free(b);
        return rc;
    }
    sodium_mprotect_readonly(b->keys);
    if (from)
        *from = where;
    *out = b;
    return 0;
}

/* Version, mark and row id, one after the other. */
static size_t associated(const unsigned char *head, struct str row_id, unsigned char *out)
{
    memcpy(out, head, 1 + MARK);
    memcpy(out + 1 + MARK, row_id.p, row_id.n);
    return 1 + MARK + row_id.n;
}

int secret_seal(const struct secret_box *b, struct str row_id, struct str plain, struct buf *out)
{
    unsigned char ad[1 + MARK + ROW_ID_MAX];
    if (plain.n > PLAIN_MAX || row_id.n == 0 || row_id.n > ROW_ID_MAX)
        return -ERR_RANGE;
    unsigned char *to = (unsigned char *)buf_reserve(out, HEAD + plain.n + TAG);
    if (!to)
        return out->err;
    to[0] = VERSION;
    memcpy(to + 1, b->marks[0], MARK);
    randombytes_buf(to + 1 + MARK, NONCE);
    unsigned long long n = 0;
    crypto_aead_xchacha20poly1305_ietf_encrypt(to + HEAD, &n, (const unsigned char *)plain.p,
        plain.n, ad, associated(to, row_id, ad), NULL, to + 1 + MARK, b->keys[0]);
    out->n += HEAD + (size_t)n;
    return 0;
}

/* Which of our keys, or -1. */
static int key_of(const struct secret_box *b, const unsigned char *mark)
{
    for (size_t i = 0; i < b->count; i++)
        if (memcmp(mark, b->marks[i], MARK) == 0)
            return (int)i;
    return -1;
}

bool secret_is_current(const struct secret_box *b, struct str sealed)
{
    return sealed.n > HEAD && key_of(b, (const unsigned char *)sealed.p + 1) == 0;
}

int secret_open(const struct secret_box *b, struct str row_id, struct str sealed, struct buf *out,
    struct err *e)
{
    const unsigned char *p = (const unsigned char *)sealed.p;
    if (sealed.n < HEAD + TAG || sealed.n > HEAD + PLAIN_MAX + TAG || row_id.n == 0 ||
        row_id.n > ROW_ID_MAX)
        return err_set(e, ERR_CORRUPT, "damaged: %zu bytes long", sealed.n);
    if (p[0] != VERSION)
        return err_set(e, ERR_UNSUPPORTED, "sealed in form %d, and this program knows %d", p[0],
            VERSION);
    int key = key_of(b, p + 1);
    if (key < 0)
        return err_set(e, ERR_DENIED, "sealed with another master key");
    char *to = buf_reserve(out, sealed.n - HEAD - TAG);
    if (!to)
        return err_set(e, (enum err_code)-out->err, "no room for the plain text");
    unsigned char ad[1 + MARK + ROW_ID_MAX];
    unsigned long long n = 0;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt((unsigned char *)to, &n, NULL, p + HEAD,
            sealed.n - HEAD, ad, associated(p, row_id, ad), p + 1 + MARK, b->keys[key]) != 0)
        return err_set(e, ERR_CORRUPT,
            "damaged, or moved from another row");
    out->n += (size_t)n;
    return 0;
}
