/* secret_box.c: provider keys at rest. See secret.h.
 *
 * A sealed blob: version (1 byte) | mark of the master key (4) | nonce (24) | ciphertext and tag.
 * Authenticated beside it: version, mark and row id. The mark only serves the message: a lost or
 * changed master key is told apart from damage. */
#include "store/base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    VERSION = 1,
    MARK = 4,
    NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    TAG = crypto_aead_xchacha20poly1305_ietf_ABYTES,
    HEAD = 1 + MARK + NONCE,
    HEX = SECRET_MASTER_BYTES * 2,
    PLAIN_MAX = 64 * 1024,
    ROW_ID_MAX = 256
};

struct secret_box {
    unsigned char *key; /* sodium_malloc: guarded, locked, wiped when freed */
    unsigned char mark[MARK];
};

int secret_box_from(struct secret_box **out, const unsigned char key[SECRET_MASTER_BYTES],
    struct err *e)
{
    if (sodium_init() < 0)
        return err_set(e, ERR_IO, "libsodium does not start: no randomness");
    struct secret_box *b = calloc(1, sizeof *b);
    if (b)
        b->key = sodium_malloc(SECRET_MASTER_BYTES);
    if (!b || !b->key) {
        free(b);
        return err_set(e, ERR_NOMEM, "no guarded memory for the master key (see ulimit -l)");
    }
    memcpy(b->key, key, SECRET_MASTER_BYTES);
    unsigned char digest[crypto_generichash_BYTES_MIN];
    crypto_generichash(digest, sizeof digest, (const unsigned char *)"pointsman mark", 14, b->key,
        SECRET_MASTER_BYTES);
    memcpy(b->mark, digest, MARK);
    sodium_mprotect_readonly(b->key);
    *out = b;
    return 0;
}

void secret_box_free(struct secret_box *b)
{
    if (!b)
        return;
    sodium_free(b->key);
    free(b);
}

static int from_hex(struct secret_box **out, const char *text, size_t n, const char *where,
    struct err *e)
{
    while (n && (text[n - 1] == '\n' || text[n - 1] == '\r' || text[n - 1] == ' '))
        n--;
    unsigned char key[SECRET_MASTER_BYTES];
    size_t bytes = 0;
    if (n != HEX || sodium_hex2bin(key, sizeof key, text, n, NULL, &bytes, NULL) != 0 ||
        bytes != sizeof key)
        return err_set(e, ERR_SYNTAX, "%s: the master key must be %d hex digits", where, HEX);
    int rc = secret_box_from(out, key, e);
    sodium_memzero(key, sizeof key);
    return rc;
}

/* `checked`: nobody but the owner may be able to read it (systemd checks its own folder). */
static int from_file(struct secret_box **out, const char *path, bool checked, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return err_set(e, errno == ENOENT ? ERR_MISSING : ERR_IO, "%s: %s", path, strerror(errno));
    struct stat st;
    char text[HEX + 8];
    int rc = 0;
    ssize_t n = -1;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        rc = err_set(e, ERR_IO, "%s: not a regular file", path);
    else if (checked && ((st.st_mode & 077) || (st.st_uid != geteuid() && st.st_uid != 0)))
        rc = err_set(e, ERR_DENIED,
            "%s: others can read or own the master key; chmod 600 it and make it yours", path);
    else if ((n = read(fd, text, sizeof text)) < 0)
        rc = err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
    close(fd);
    if (rc == 0)
        rc = from_hex(out, text, (size_t)n, path, e);
    sodium_memzero(text, sizeof text);
    return rc;
}

static int create_file(const char *path, struct err *e)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
    unsigned char key[SECRET_MASTER_BYTES];
    char text[HEX + 2];
    secret_random(key, sizeof key);
    sodium_bin2hex(text, HEX + 1, key, sizeof key);
    text[HEX] = '\n';
    bool ok = write(fd, text, HEX + 1) == HEX + 1 && fsync(fd) == 0;
    int why = errno;
    ok = close(fd) == 0 && ok;
    sodium_memzero(key, sizeof key);
    sodium_memzero(text, sizeof text);
    if (ok)
        return 0;
    unlink(path); /* half a key would be refused for ever */
    return err_set(e, ERR_IO, "%s: %s", path, strerror(why));
}

static int from_credentials(struct secret_box **out, struct err *e)
{
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    if (!folder || !*folder)
        return -ERR_MISSING;
    char path[1024];
    int n = snprintf(path, sizeof path, "%s/pointsman.key", folder);
    if (n < 0 || (size_t)n >= sizeof path)
        return -ERR_MISSING;
    return from_file(out, path, false, e);
}

int secret_box_new(struct secret_box **out, const char *key_file, bool create, const char **from,
    struct err *e)
{
    const char *where = "$CREDENTIALS_DIRECTORY/pointsman.key";
    const char *text = getenv("POINTSMAN_MASTER_KEY");
    int rc = from_credentials(out, e);
    if (rc == -ERR_MISSING && key_file) {
        where = key_file;
        rc = from_file(out, key_file, true, e);
    }
    if (rc == -ERR_MISSING && text && *text) {
        where = "$POINTSMAN_MASTER_KEY";
        rc = from_hex(out, text, strlen(text), where, e);
    }
    if (rc == -ERR_MISSING && key_file && create) {
        where = key_file;
        rc = create_file(key_file, e);
        rc = rc ? rc : from_file(out, key_file, true, e);
    }
    if (rc == -ERR_MISSING)
        return err_set(e, ERR_MISSING,
            "no master key: give $CREDENTIALS_DIRECTORY/pointsman.key, the file %s or "
            "$POINTSMAN_MASTER_KEY",
            key_file ? key_file : "of the data folder");
    if (rc == 0 && from)
        *from = where;
    return rc;
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
    memcpy(to + 1, b->mark, MARK);
    randombytes_buf(to + 1 + MARK, NONCE);
    unsigned long long n = 0;
    crypto_aead_xchacha20poly1305_ietf_encrypt(to + HEAD, &n, (const unsigned char *)plain.p,
        plain.n, ad, associated(to, row_id, ad), NULL, to + 1 + MARK, b->key);
    out->n += HEAD + (size_t)n;
    return 0;
}

int secret_open(const struct secret_box *b, struct str row_id, struct str sealed, struct buf *out,
    struct err *e)
{
    const unsigned char *p = (const unsigned char *)sealed.p;
    if (sealed.n < HEAD + TAG || sealed.n > HEAD + PLAIN_MAX + TAG || row_id.n == 0 ||
        row_id.n > ROW_ID_MAX)
        return err_set(e, ERR_CORRUPT, "sealed value: cannot open: %zu bytes long", sealed.n);
    if (p[0] != VERSION)
        return err_set(e, ERR_UNSUPPORTED, "sealed value: version %d, this program knows %d", p[0],
            VERSION);
    if (memcmp(p + 1, b->mark, MARK) != 0)
        return err_set(e, ERR_DENIED,
            "sealed value: cannot open: sealed with another master key; bring that key back or add "
            "the provider key again");
    char *to = buf_reserve(out, sealed.n - HEAD - TAG);
    if (!to)
        return err_set(e, (enum err_code)-out->err, "sealed value: no room for the plain text");
    unsigned char ad[1 + MARK + ROW_ID_MAX];
    unsigned long long n = 0;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt((unsigned char *)to, &n, NULL, p + HEAD,
            sealed.n - HEAD, ad, associated(p, row_id, ad), p + 1 + MARK, b->key) != 0)
        return err_set(e, ERR_CORRUPT,
            "sealed value: cannot open: damaged, or moved from another row");
    out->n += (size_t)n;
    return 0;
}
