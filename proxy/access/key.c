/* key.c: who may. See key.h.
 *
 * A table is an open-addressed index over the digests of all keys, the old ones of a rotation's
 * grace time included. The digest is keyed with the pepper, so nobody outside can aim at a place in
 * the index; what is found there is compared in constant time over all 32 bytes. Every secret
 * costs one hash and one look-up, whatever becomes of it. */
#include "proxy/access/key.h"
#include "store/base/secret.h"

#include <arpa/inet.h>
#include <sodium.h>
#include <stdlib.h>

enum {
    SECRET_LEAST = 16,
    SECRET_MOST = 512,
    RANDOM_CHARS = 43, /* base62 of 256 bits */
    CHECK_CHARS = 6,   /* base62 of a CRC32 */
    DIGEST = 32
};

#define PREFIX "sk-pm-"

static unsigned char pepper[DIGEST];

void key_set_pepper(const unsigned char p[32])
{
    memcpy(pepper, p, DIGEST);
}

void key_digest(struct str secret, unsigned char out[32])
{
    crypto_generichash(out, DIGEST, (const unsigned char *)secret.p, secret.n, pepper, DIGEST);
}

static const char base62[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* `bytes` as a big-endian number; it is used up. */
static void write_base62(unsigned char *bytes, size_t n, char *out, size_t chars)
{
    while (chars--) {
        unsigned rest = 0;
        for (size_t i = 0; i < n; i++) {
            unsigned v = rest << 8 | bytes[i];
            bytes[i] = (unsigned char)(v / 62);
            rest = v % 62;
        }
        out[chars] = base62[rest];
    }
}

static uint32_t crc32_of(const char *p, size_t n)
{
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < n; i++) {
        crc ^= (unsigned char)p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static void write_check(const char *p, size_t n, char out[CHECK_CHARS])
{
    uint32_t crc = crc32_of(p, n);
    unsigned char bytes[4] = {(unsigned char)(crc >> 24), (unsigned char)(crc >> 16),
        (unsigned char)(crc >> 8), (unsigned char)crc};
    write_base62(bytes, sizeof bytes, out, CHECK_CHARS);
}

void key_make_secret(char secret[80], char shown[32])
{
    unsigned char bytes[DIGEST];
    size_t n = sizeof PREFIX - 1;
    secret_random(bytes, sizeof bytes);
    memcpy(secret, PREFIX, n);
    write_base62(bytes, sizeof bytes, secret + n, RANDOM_CHARS);
    write_check(secret, n + RANDOM_CHARS, secret + n + RANDOM_CHARS);
    n += RANDOM_CHARS + CHECK_CHARS;
    secret[n] = '\0';
    memcpy(shown, PREFIX "\xe2\x80\xa6", sizeof PREFIX - 1 + 3);
    memcpy(shown + sizeof PREFIX - 1 + 3, secret + n - 4, 5);
    secret_wipe(bytes, sizeof bytes);
}

bool key_well_formed(struct str secret)
{
    size_t n = sizeof PREFIX - 1 + RANDOM_CHARS;
    char check[CHECK_CHARS];
    if (secret.n != n + CHECK_CHARS || !str_starts(secret, STR(PREFIX)))
        return false;
    write_check(secret.p, n, check);
    return memcmp(check, secret.p + n, CHECK_CHARS) == 0;
}

struct entry {
    const struct key *key;
    bool old; /* the digest of before a rotation */
};

struct key_table {
    size_t count, places; /* places: a power of two, at least twice the entries */
    const struct key **keys;
    struct entry *index;
};

static const unsigned char *entry_digest(const struct entry *e)
{
    return e->old ? e->key->old_digest : e->key->digest;
}

static size_t place_of(const struct key_table *t, const unsigned char *digest)
{
    uint64_t h;
    memcpy(&h, digest, sizeof h);
    return (size_t)h & (t->places - 1);
}

static void put(struct key_table *t, const struct key *k, bool old)
{
    struct entry e = {k, old};
    size_t at = place_of(t, entry_digest(&e));
    while (t->index[at].key)
        at = (at + 1) & (t->places - 1);
    t->index[at] = e;
}

struct key_table *key_table_new(const struct key *const *keys, size_t n)
{
    struct key_table *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->places = 16;
    while (t->places < 4 * n)
        t->places *= 2;
    t->keys = calloc(n + 1, sizeof *t->keys);
    t->index = calloc(t->places, sizeof *t->index);
    if (!t->keys || !t->index) {
        key_table_free(t);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        t->keys[t->count++] = keys[i];
        put(t, keys[i], false);
        if (keys[i]->old_until_ms)
            put(t, keys[i], true);
    }
    return t;
}

void key_table_free(struct key_table *t)
{
    if (!t)
        return;
    free(t->keys);
    free(t->index);
    free(t);
}

bool key_table_demands(const struct key_table *t)
{
    for (size_t i = 0; t && i < t->count; i++)
        if (!t->keys[i]->run_key && !t->keys[i]->revoked)
            return true;
    return false;
}

size_t key_table_count(const struct key_table *t)
{
    return t ? t->count : 0;
}

const struct key *key_table_at(const struct key_table *t, size_t i)
{
    return t && i < t->count ? t->keys[i] : NULL;
}

const struct key *key_by_name(const struct key_table *t, struct str name)
{
    for (size_t i = 0; i < key_table_count(t); i++)
        if (str_eq(t->keys[i]->name, name))
            return t->keys[i];
    return NULL;
}

const struct key *key_find(const struct key_table *t, struct str secret, int64_t wall_ms)
{
    unsigned char digest[DIGEST];
    const struct key *found = NULL;
    if (!t || secret.n < SECRET_LEAST || secret.n > SECRET_MOST)
        return NULL;
    key_digest(secret, digest);
    for (size_t at = place_of(t, digest); t->index[at].key; at = (at + 1) & (t->places - 1)) {
        const struct entry *e = &t->index[at];
        bool in_time = !e->old || wall_ms < e->key->old_until_ms;
        if (secret_equal(entry_digest(e), digest, DIGEST) && in_time)
            found = e->key;
    }
    secret_wipe(digest, sizeof digest);
    return found;
}

bool key_allows(const struct key *k, struct str name)
{
    if (!k || k->model_count == 0)
        return true;
    for (size_t i = 0; i < k->model_count; i++)
        if (str_glob(k->models[i], name))
            return true;
    return false;
}

/* An address as 16 bytes; IPv4 in its mapped form, so that both spellings of it are one. A zone
 * ("fe80::1%eth0") and brackets are dropped. */
static bool read_address(struct str text, unsigned char out[16], bool *v4)
{
    char c[INET6_ADDRSTRLEN + 1];
    ptrdiff_t zone;
    if (text.n > 2 && text.p[0] == '[' && text.p[text.n - 1] == ']')
        text = str_n(text.p + 1, text.n - 2);
    if ((zone = str_chr(text, '%')) >= 0)
        text = str_first(text, (size_t)zone);
    if (text.n == 0 || text.n >= sizeof c)
        return false;
    str_copy(c, sizeof c, text);
    static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    memcpy(out, mapped, sizeof mapped);
    if (inet_pton(AF_INET, c, out + 12) == 1) {
        *v4 = true;
        return true;
    }
    if (inet_pton(AF_INET6, c, out) != 1)
        return false;
    *v4 = memcmp(out, mapped, sizeof mapped) == 0;
    return true;
}

static bool same_bits(const unsigned char *a, const unsigned char *b, unsigned bits)
{
    if (memcmp(a, b, bits / 8) != 0)
        return false;
    unsigned char mask = (unsigned char)(0xff00 >> bits % 8);
    return bits % 8 == 0 || ((a[bits / 8] ^ b[bits / 8]) & mask) == 0;
}

static bool in_network(struct str network, const unsigned char address[16])
{
    unsigned char base[16];
    bool v4;
    uint64_t bits = 0;
    struct str rest = network, host;
    str_cut(&rest, '/', &host);
    if (!read_address(host, base, &v4))
        return false;
    unsigned whole = v4 && str_chr(host, ':') < 0 ? 32 : 128;
    if (!rest.p)
        bits = whole;
    else if (!str_to_u64(rest, &bits) || bits > whole)
        return false;
    return same_bits(base, address, (unsigned)bits + 128 - whole);
}

bool address_in_network(struct str address, struct str network)
{
    unsigned char bytes[16];
    bool v4;
    return read_address(address, bytes, &v4) && in_network(network, bytes);
}

bool key_allows_source(const struct key *k, struct str address)
{
    unsigned char bytes[16];
    bool v4;
    if (!k || k->source_count == 0)
        return true;
    if (!read_address(address, bytes, &v4))
        return false;
    for (size_t i = 0; i < k->source_count; i++)
        if (in_network(k->sources[i], bytes))
            return true;
    return false;
}
