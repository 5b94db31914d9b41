/* seal.c: see seal.h. No secret: it tells whose a proof is, it does not vouch for it; the maker checks
 * its own. */
#include "proxy/dialect/seal.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
#define SEAL STR("cG0x") /* base64 of "pm1" */

struct seal {
    struct buf *out;
    unsigned bits, have;
};

static void seal_byte(struct seal *s, unsigned char c)
{
    s->bits = s->bits << 8 | c;
    s->have += 8;
    while (s->have >= 6) {
        s->have -= 6;
        buf_putc(s->out, alphabet[s->bits >> s->have & 63]);
    }
}

static void seal_put(struct buf *out, enum wire maker, struct str signature)
{
    struct seal s = {.out = out};
    buf_put_str(out, SEAL);
    seal_byte(&s, (unsigned char)('a' + (int)maker));
    for (size_t i = 0; i < signature.n; i++)
        seal_byte(&s, (unsigned char)signature.p[i]);
    size_t bytes = signature.n + 1;
    if (s.have)
        buf_putc(out, alphabet[s.bits << (6 - s.have) & 63]);
    for (; bytes % 3; bytes++)
        buf_putc(out, '=');
}

struct str ir_seal(struct arena *a, enum wire maker, struct str signature)
{
    struct buf b;
    buf_init(&b, 2 * signature.n + 64);
    seal_put(&b, maker, signature);
    struct str sealed = b.err ? STR_NULL : arena_str(a, buf_str(&b));
    buf_fini(&b);
    return sealed;
}

void ir_put_sealed(struct json_writer *w, const char *key, enum wire maker, struct str signature)
{
    json_put_raw(w, key, STR("\""));
    seal_put(w->out, maker, signature);
    buf_putc(w->out, '"');
}

bool ir_is_sealed(struct str signature)
{
    return signature.n > 4 && str_starts(signature, SEAL);
}

/* In both alphabets: clients that keep a proof as bytes write it again as they like. */
static int digit(char c)
{
    const char *at = c ? strchr(alphabet, c) : NULL;
    if (c == '-' || c == '_')
        return c == '-' ? 62 : 63;
    return at ? (int)(at - alphabet) : -1;
}

/* What a client sends back may be forged: the text inside must be that of a JSON string again. */
static bool is_text(struct str s, struct arena *a)
{
    struct str quoted = arena_printf(a, "\"" STR_FMT "\"", STR_ARG(s));
    return quoted.p && json_check(quoted, NULL) == 0;
}

bool ir_unseal(struct arena *a, struct str signature, enum wire *maker, struct str *text)
{
    if (!ir_is_sealed(signature))
        return false;
    struct str in = str_from(signature, 4);
    char *out = arena_alloc(a, in.n + 1);
    size_t n = 0;
    unsigned bits = 0, have = 0;
    if (!out)
        return false;
    for (size_t i = 0; i < in.n && in.p[i] != '='; i++) {
        int d = digit(in.p[i]);
        if (d < 0)
            return false;
        bits = bits << 6 | (unsigned)d;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[n++] = (char)(bits >> have & 255);
        }
    }
    if (n == 0 || out[0] < 'a' || out[0] >= 'a' + WIRE_COUNT || !is_text(str_n(out + 1, n - 1), a))
        return false;
    *maker = (enum wire)(out[0] - 'a');
    *text = str_n(out + 1, n - 1);
    return true;
}
