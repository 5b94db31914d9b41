/* secret.c: the redactor. See secret.h; sealing is in secret_box.c.
 *
 * Speed: bodies of megabytes go through here, so plain text must pass at more than 1 GB/s.
 * - Known values: of each value the last eight bytes are a window with five 4-byte grams, all kept
 *   in a bitmap. A value somewhere in the text covers its window, and one gram in five starts at a
 *   multiple of five: only every fifth position is looked at. A bit that is set leads to a chain of
 *   (value, offset), and there the keyed hash of the whole value decides.
 * - Patterns: memchr for the one rare byte of each prefix ('-' of "sk-", 'z' of "AIza" …), then a
 *   look to both sides.
 *
 * Threads: values are only ever added. A writer fills an entry and then publishes it with release
 * order; readers take no lock. */
#include "store/base/secret.h"
#include "store/base/log.h"
#include "store/base/secret_said.h"

#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>

enum {
    PART_MAX = 2048, /* of an end that may go on; longer ones are no secrets */
    HEAD_BITS = 1 << 14,
    WINDOW = SECRET_VALUE_MIN,
    GRAM = 4,
    GRAMS = WINDOW - GRAM + 1, /* per value; also the stride of the scan */
    BITS = 1 << 18,            /* 32 KiB: fits the first-level cache */
    CHAINS = 1 << 12,
    SHOWN = 4                  /* characters that stay readable */
};

struct value {
    uint64_t hash;
    uint32_t n;
};

struct gram {
    uint32_t bytes;
    uint32_t back;  /* bytes of the value before this gram */
    uint32_t value; /* index */
    uint32_t next;  /* index + 1 in the chain; 0 ends it */
};

static struct {
    pthread_mutex_t lock; /* writers only */
    _Atomic uint32_t count;
    unsigned char hash_key[crypto_shorthash_KEYBYTES];
    struct value values[SECRET_VALUES_MAX];
    struct gram grams[SECRET_VALUES_MAX * GRAMS];
    _Atomic uint32_t chains[CHAINS];
    _Atomic uint64_t bits[BITS / 64];
    _Atomic uint64_t heads[HEAD_BITS / 64]; /* their first byte, first two, three, four */
    _Atomic uint64_t firsts[4]; /* a bit for each first byte */
    _Atomic uint32_t longest;
} known = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint32_t gram_at(const char *p)
{
    uint32_t g;
    memcpy(&g, p, sizeof g);
    return g;
}

static uint32_t spread(uint32_t gram)
{
    return gram * 2654435761u;
}

static uint64_t value_hash(const char *p, size_t n)
{
    uint64_t h;
    crypto_shorthash((unsigned char *)&h, (const unsigned char *)p, n, known.hash_key);
    return h;
}

static void filter_log_line(char *line, unsigned long size)
{
    secret_redact(line, strnlen(line, size));
}

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void start(void)
{
    if (sodium_init() < 0)
        log_error("libsodium does not start: no randomness");
    randombytes_buf(known.hash_key, sizeof known.hash_key);
    log_set_filter(filter_log_line);
}

static void publish_gram(uint32_t index, const char *p, uint32_t back, uint32_t value)
{
    struct gram *g = &known.grams[index];
    uint32_t at = spread(gram_at(p));
    _Atomic uint32_t *chain = &known.chains[at >> 20];
    *g = (struct gram){gram_at(p), back, value, atomic_load_explicit(chain, memory_order_relaxed)};
    atomic_store_explicit(chain, index + 1, memory_order_release);
    uint32_t bit = at >> 14;
    atomic_fetch_or_explicit(&known.bits[bit / 64], (uint64_t)1 << bit % 64, memory_order_release);
}

/* The bit of a beginning of 1 to 4 bytes. */
static uint32_t head_bit(const char *p, size_t n)
{
    uint32_t bytes = 0;
    memcpy(&bytes, p, MIN(n, (size_t)GRAM));
    return spread(bytes + (uint32_t)MIN(n, (size_t)GRAM)) >> 18;
}

static void publish_head(const char *p, size_t n)
{
    for (size_t k = 1; k <= GRAM; k++) {
        uint32_t bit = head_bit(p, k);
        atomic_fetch_or_explicit(&known.heads[bit / 64], (uint64_t)1 << bit % 64, memory_order_release);
    }
    unsigned char first = (unsigned char)p[0];
    atomic_fetch_or_explicit(&known.firsts[first / 64], (uint64_t)1 << first % 64, memory_order_release);
    if (n > atomic_load_explicit(&known.longest, memory_order_relaxed)) /* one writer at a time */
        atomic_store_explicit(&known.longest, (uint32_t)n, memory_order_release);
}

static bool already_known(uint64_t hash, size_t n, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (known.values[i].hash == hash && known.values[i].n == n)
            return true;
    return false;
}

static bool add_one(struct str v)
{
    uint64_t hash = value_hash(v.p, v.n);
    pthread_mutex_lock(&known.lock);
    uint32_t count = atomic_load_explicit(&known.count, memory_order_relaxed);
    bool old = already_known(hash, v.n, count), room = count < SECRET_VALUES_MAX;
    if (!old && room) {
        known.values[count] = (struct value){hash, (uint32_t)v.n};
        uint32_t window = (uint32_t)(v.n - WINDOW);
        for (uint32_t i = 0; i < GRAMS; i++)
            publish_gram(count * GRAMS + i, v.p + window + i, window + i, count);
        publish_head(v.p, v.n);
        atomic_store_explicit(&known.count, count + 1, memory_order_release);
    }
    pthread_mutex_unlock(&known.lock);
    return old || room;
}

/* The forms that a JSON encoder may give the value: quotes and backslashes always escaped, the
 * slash (frequent in base64) by some. */
static bool add_escaped(struct str v, bool slash)
{
    char text[1024];
    size_t n = 0;
    for (size_t i = 0; i < v.n && n + 2 < sizeof text; i++) {
        if (v.p[i] == '"' || v.p[i] == '\\' || (slash && v.p[i] == '/'))
            text[n++] = '\\';
        text[n++] = v.p[i];
    }
    bool ok = n == v.n || add_one(str_n(text, n));
    sodium_memzero(text, sizeof text);
    return ok;
}

bool secret_add(struct str value)
{
    if (value.n < WINDOW || value.n > UINT32_MAX)
        return false;
    pthread_once(&once, start);
    bool ok = add_one(value);
    if (value.n <= 500)
        ok = add_escaped(value, false) && add_escaped(value, true) && ok;
    if (!ok)
        log_warn("more than %d secrets: the rest is redacted by pattern only", SECRET_VALUES_MAX);
    return ok;
}

/* A text that is looked through. */
struct look {
    char *p;
    size_t n;
    void (*found)(void *ctx, size_t from, size_t n);
    void *ctx;
};

static void cover(struct look *l, size_t at, size_t n)
{
    if (n <= SHOWN)
        return;
    memset(l->p + at + SHOWN, '*', n - SHOWN);
    if (l->found)
        l->found(l->ctx, at + SHOWN, n - SHOWN);
}

/* Is a known value lying over the gram at `at`? Covers it and returns its end, else 0. */
static size_t cover_value(struct look *l, size_t at, size_t from, uint32_t gram)
{
    uint32_t i = atomic_load_explicit(&known.chains[spread(gram) >> 20], memory_order_acquire);
    for (; i; i = known.grams[i - 1].next) {
        const struct gram *g = &known.grams[i - 1];
        const struct value *v = &known.values[g->value];
        if (g->bytes != gram || g->back > at - from || v->n > l->n - (at - g->back))
            continue;
        size_t start_at = at - g->back;
        if (value_hash(l->p + start_at, v->n) != v->hash)
            continue;
        cover(l, start_at, v->n);
        return start_at + v->n;
    }
    return 0;
}

static size_t redact_values(struct look *l)
{
    size_t cut = 0, from = 0;
    for (size_t at = 0; at + GRAM <= l->n; at += GRAMS) {
        uint32_t gram = gram_at(l->p + at), bit = spread(gram) >> 14;
        uint64_t word = atomic_load_explicit(&known.bits[bit / 64], memory_order_relaxed);
        if (LIKELY(!(word >> bit % 64 & 1)))
            continue;
        size_t end = cover_value(l, at, from, gram);
        if (end) {
            cut++;
            from = end; /* what is covered is not looked at again */
            at = end - GRAMS;
        }
    }
    return cut;
}

/* The shapes of keys: a prefix with the byte of it that is rarest in text, and its tail. */
enum tail { TAIL_WORD, TAIL_WORD_DASH, TAIL_UPPER };

static const struct shape {
    const char *prefix;
    size_t rare; /* offset of the byte that is searched */
    enum tail tail;
    size_t least, most; /* bytes of the tail */
} shapes[] = {
    {"sk-", 2, TAIL_WORD_DASH, 20, SIZE_MAX},
    {"gsk_", 3, TAIL_WORD, 20, SIZE_MAX},
    {"xai-", 3, TAIL_WORD, 20, SIZE_MAX},
    {"AIza", 2, TAIL_WORD_DASH, 35, 35},
    {"AKIA", 1, TAIL_UPPER, 16, 16},
};

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool in_tail(enum tail t, char c)
{
    if (t == TAIL_UPPER)
        return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return is_word(c) || (t == TAIL_WORD_DASH && c == '-');
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Does a word start here? In JSON the letter before may belong to an escape: "\nsk-…". */
static bool word_starts(const char *p, size_t at)
{
    if (at == 0 || !is_word(p[at - 1]))
        return true;
    if (at >= 2 && p[at - 2] == '\\' && strchr("nrtbf", p[at - 1]))
        return true;
    return at >= 6 && p[at - 6] == '\\' && p[at - 5] == 'u' && is_hex(p[at - 4]) &&
           is_hex(p[at - 3]) && is_hex(p[at - 2]) && is_hex(p[at - 1]);
}

/* May the text's end from `at` on be the first part of a secret of this shape? */
static bool may_be_shape(struct str text, size_t at, const struct shape *s)
{
    size_t prefix = strlen(s->prefix), rest = text.n - at;
    if (memcmp(text.p + at, s->prefix, MIN(rest, prefix)) != 0 || !word_starts(text.p, at) ||
        (rest > prefix && rest - prefix >= s->most))
        return false;
    for (size_t i = prefix; i < rest; i++)
        if (!in_tail(s->tail, text.p[at + i]))
            return false;
    return true;
}

static bool may_be_secret(struct str text, size_t at)
{
    size_t rest = text.n - at;
    unsigned char first = (unsigned char)text.p[at];
    bool of_value = atomic_load_explicit(&known.firsts[first / 64], memory_order_relaxed) >> first % 64 & 1;
    if (!of_value && first != 's' && first != 'g' && first != 'x' && first != 'A')
        return false; /* nearly all letters; those are what the shapes begin with */
    if (of_value && rest < atomic_load_explicit(&known.longest, memory_order_acquire)) {
        uint32_t bit = head_bit(text.p + at, rest);
        if (atomic_load_explicit(&known.heads[bit / 64], memory_order_relaxed) >> bit % 64 & 1)
            return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++)
        if (text.p[at] == shapes[i].prefix[0] && may_be_shape(text, at, &shapes[i]))
            return true;
    return false;
}

size_t secret_whole(struct str text)
{
    size_t at = text.n > PART_MAX ? text.n - PART_MAX : 0;
    while (at < text.n && !may_be_secret(text, at))
        at++;
    return at;
}

struct str secret_first(struct str text, size_t n)
{
    return text.n <= n ? text : str_first(text, secret_whole(str_first(text, n)));
}

static size_t redact_shape(struct look *l, const struct shape *s)
{
    char *p = l->p;
    size_t n = l->n, cut = 0, at = s->rare, prefix = strlen(s->prefix);
    while (at < n) {
        const char *hit = memchr(p + at, s->prefix[s->rare], n - at);
        if (!hit)
            break;
        size_t begin = (size_t)(hit - p) - s->rare;
        at = (size_t)(hit - p) + 1;
        if (n - begin < prefix + s->least || memcmp(p + begin, s->prefix, prefix) != 0 ||
            !word_starts(p, begin))
            continue;
        size_t end = begin + prefix;
        while (end < n && end - begin - prefix < s->most && in_tail(s->tail, p[end]))
            end++;
        if (end - begin - prefix >= s->least) {
            cover(l, begin, end - begin);
            cut++;
        }
        at = MAX(end, at);
    }
    return cut;
}

size_t secret_find(char *p, size_t n, void (*found)(void *ctx, size_t from, size_t n), void *ctx)
{
    struct look l = {p, n, found, ctx};
    if (n < SECRET_VALUE_MIN)
        return 0;
    size_t cut = 0;
    if (atomic_load_explicit(&known.count, memory_order_acquire))
        cut += redact_values(&l);
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++)
        cut += redact_shape(&l, &shapes[i]);
    return cut;
}

size_t secret_redact(char *p, size_t n)
{
    size_t escaped = secret_redact_escaped(p, n);
    return escaped + secret_find(p, n, NULL, NULL);
}

void secret_redact_cut(char *text, size_t size)
{
    size_t n = strnlen(text, size);
    if (n + 4 >= size) { /* or up to three bytes less, so that no letter is cut */
        n = secret_whole(str_n(text, n));
        text[n] = '\0';
    }
    secret_redact(text, n);
}

void secret_random(void *p, size_t n)
{
    pthread_once(&once, start);
    randombytes_buf(p, n);
}

uint64_t secret_random_u64(void)
{
    uint64_t v;
    secret_random(&v, sizeof v);
    return v;
}

bool secret_equal(const void *a, const void *b, size_t n)
{
    return sodium_memcmp(a, b, n) == 0;
}

void secret_wipe(void *p, size_t n)
{
    sodium_memzero(p, n);
}
