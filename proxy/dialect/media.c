/* media.c: see media.h. Sound is taken out of base64 only where pieces are joined, or a header comes
 * before them: images are never looked into. */
#include "proxy/dialect/media.h"

/* --- whose file ------------------------------------------------------------------------------- */

/* Chat and Responses have the same files. */
static enum wire house_of(enum wire w)
{
    if (w == WIRE_RESPONSES)
        return WIRE_CHAT;
    return w == WIRE_STREAM_GENERATE ? WIRE_GENERATE : w;
}

static bool is_google_file(struct str url)
{
    return str_starts(url, STR("gs:")) || /* slashes may be escaped */
           (str_find(url, STR("googleapis.com")) >= 0 && str_find(url, STR("files")) >= 0);
}

bool media_is_elsewhere(const struct ir_part *p, enum wire to)
{
    const struct ir_media *m = &p->media;
    if (m->data.p || house_of(p->origin) == house_of(to))
        return false;
    if (m->url.p)
        return house_of(p->origin) == WIRE_GENERATE && is_google_file(m->url);
    /* an address where an id belongs is what Google's files are known by */
    return m->file_id.p && !(house_of(to) == WIRE_GENERATE && str_starts(m->file_id, STR("https:")));
}

void media_drop_file(struct ir_notes *notes, const struct ir_part *p)
{
    ir_dropped(notes, p->media.url.p ? "fileUri" : "file_id");
}

void media_dropped(struct ir_notes *notes, const struct ir_media *m)
{
    static const char *const names[] = {"content.image", "content.audio", "content.document",
        "content.video"};
    ir_dropped(notes, names[m->kind]);
}

/* --- sound ------------------------------------------------------------------------------------ */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

struct base64 {
    struct buf *out;
    unsigned bits, have;
    size_t bytes;
};

static void put_byte(struct base64 *b, unsigned char c)
{
    b->bits = b->bits << 8 | c;
    b->bytes++;
    for (b->have += 8; b->have >= 6;) {
        b->have -= 6;
        buf_putc(b->out, alphabet[b->bits >> b->have & 63]);
    }
}

static void put_end(struct base64 *b)
{
    if (b->have)
        buf_putc(b->out, alphabet[b->bits << (6 - b->have) & 63]);
    for (; b->bytes % 3; b->bytes++)
        buf_putc(b->out, '=');
}

static int digit(char c)
{
    if (c == '-' || c == '_')
        return c == '-' ? 62 : 63;
    const char *at = c ? strchr(alphabet, c) : NULL;
    return at ? (int)(at - alphabet) : -1;
}

/* Of a text of base64 ("\/" stands for "/"). */
static size_t decoded_bytes(struct str data)
{
    size_t digits = 0;
    for (size_t i = 0; i < data.n; i++)
        digits += digit(data.p[i]) >= 0;
    return digits * 6 / 8;
}

static void put_decoded(struct base64 *to, struct str data)
{
    unsigned bits = 0, have = 0;
    for (size_t i = 0; i < data.n; i++) {
        int d = digit(data.p[i]);
        if (d < 0)
            continue;
        bits = bits << 6 | (unsigned)d;
        if ((have += 6) >= 8) {
            have -= 8;
            put_byte(to, (unsigned char)(bits >> have));
        }
    }
}

bool media_is_raw_sound(const struct ir_media *m)
{
    return m->kind == IR_AUDIO && m->mime.n >= 9 &&
           (str_eq_nocase(str_first(m->mime, 9), STR("audio/l16")) ||
            str_eq_nocase(str_first(m->mime, 9), STR("audio/pcm")));
}

static uint32_t rate_of(struct str mime)
{
    ptrdiff_t at = str_find(mime, STR("rate="));
    uint32_t rate = 0;
    for (size_t i = (size_t)at + 5; at >= 0 && i < mime.n && mime.p[i] >= '0' && mime.p[i] <= '9' &&
         rate < 1000000; i++)
        rate = rate * 10 + (uint32_t)(mime.p[i] - '0');
    return rate ? rate : 24000;
}

static void put_le(struct base64 *b, uint32_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        put_byte(b, (unsigned char)(v >> 8 * i));
}

/* 16 bits, one channel: the only raw form that is spoken. */
static void put_header(struct base64 *b, uint32_t rate, uint32_t bytes)
{
    static const char riff[] = "RIFF", wave[] = "WAVEfmt ", data[] = "data";
    for (int i = 0; riff[i]; i++)
        put_byte(b, (unsigned char)riff[i]);
    put_le(b, 36 + bytes, 4);
    for (int i = 0; wave[i]; i++)
        put_byte(b, (unsigned char)wave[i]);
    put_le(b, 16, 4);
    put_le(b, 1, 2); /* samples as they are */
    put_le(b, 1, 2); /* channels */
    put_le(b, rate, 4);
    put_le(b, 2 * rate, 4);
    put_le(b, 2, 2);
    put_le(b, 16, 2);
    for (int i = 0; data[i]; i++)
        put_byte(b, (unsigned char)data[i]);
    put_le(b, bytes, 4);
}

void media_put_sound(struct buf *out, const struct ir_part *parts, bool wav)
{
    const struct ir_part *first = NULL;
    struct base64 b = {.out = out};
    size_t bytes = 0, pieces = 0;
    for (const struct ir_part *p = parts; p; p = p->next)
        if (p->kind == IR_MEDIA && p->media.kind == IR_AUDIO && p->media.data.p) {
            first = first ? first : p;
            bytes += decoded_bytes(p->media.data);
            pieces++;
        }
    bool header = wav && first && media_is_raw_sound(&first->media);
    if (pieces == 1 && !header) {
        buf_put_str(out, first->media.data);
        return;
    }
    if (header)
        put_header(&b, rate_of(first->media.mime), (uint32_t)bytes);
    for (const struct ir_part *p = first; p; p = p->next)
        if (p->kind == IR_MEDIA && p->media.kind == IR_AUDIO)
            put_decoded(&b, p->media.data);
    put_end(&b);
}
