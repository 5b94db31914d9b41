/* rawwork.c: paths that we pass on without reading are billed all the same: images by the piece or
 * the pixel, speech by the character, transcriptions by the second, documents by the page.
 *
 * What the answer says (tokens, seconds, pages) goes first. What it leaves out is taken from the
 * request: characters and images are exact, seconds of an upload are a guess by its size, and say
 * so (`estimated`). */
#include "proxy/exchange/exchange.h"

#include "proxy/meter/raw.h"
#include "store/base/json_span.h"

#include <stdio.h>

enum {
    USUAL_BYTES_A_SECOND = 16000, /* MP3 at 128 kbit/s */
    LEAST_BYTES_A_SECOND = 2000,  /* the poorest speech coding in use: most seconds for its bytes */
    SPEECH_TOKENS_A_CHARACTER = 4,
    BYTES_AN_AUDIO_TOKEN = 16,
    IMAGES_MOST = 100
};

static bool is_path(const struct exchange *x, const char *prefix)
{
    return str_starts(x->ep.path, str_c(prefix));
}

static bool is_multipart(const struct exchange *x)
{
    return str_starts_nocase(x->content_type, STR("multipart/form-data"));
}

/* A field of the request, as JSON or as a form. */
static struct str field(struct exchange *x, struct str name)
{
    struct str body = buf_str(&x->body);
    bool twice;
    if (is_multipart(x))
        return raw_multipart_field(body, x->content_type, name, &twice, &x->arena);
    struct json_span v = json_get(body, name);
    return v.type == JSON_STRING ? json_text(v, &x->arena) : v.type == JSON_NUMBER ? v.raw : STR_NULL;
}

/* "1024x1536" → the product. */
static int64_t pixels_of(struct str size)
{
    struct str rest = size, width;
    int64_t w = 0, h = 0;
    if (!str_cut(&rest, 'x', &width) || !str_to_i64(width, &w) || !str_to_i64(rest, &h) || w < 1 ||
        h < 1 || w > 100000 || h > 100000)
        return 0;
    return w * h;
}

static int64_t characters_of(struct str text)
{
    int64_t n = 0;
    for (size_t i = 0; i < text.n; i++)
        n += ((unsigned char)text.p[i] & 0xc0) != 0x80;
    return n;
}

void raw_work_read(struct exchange *x)
{
    struct raw_work *work = &x->raw_work;
    if (x->body.n == 0)
        return;
    if (is_path(x, "/v1/images/")) {
        int64_t n = 0;
        if (!str_to_i64(field(x, STR("n")), &n))
            n = 1;
        work->images = MIN(MAX(n, (int64_t)1), (int64_t)IMAGES_MOST);
        work->size = str_first(field(x, STR("size")), 24);
        work->quality = str_first(field(x, STR("quality")), 24);
        work->pixels = work->images * (work->size.n ? pixels_of(work->size) : 1024 * 1024);
    } else if (is_path(x, "/v1/audio/speech")) {
        work->characters = characters_of(field(x, STR("input")));
    } else if (is_multipart(x)) {
        work->upload_bytes = (int64_t)x->body.n;
    }
}

/* Lists name image models by quality and size ("hd/1024-x-1024/dall-e-3") where these matter. */
const struct price *raw_price(const struct exchange *x, const struct candidate *c)
{
    const struct price_list *list = x->snapshot->config->prices;
    const struct raw_work *work = &x->raw_work;
    const struct price *plain = price_find(list, c->provider->name, c->model);
    ptrdiff_t cross = str_chr(work->size, 'x');
    char name[400], quality[32];
    if (cross < 0 || c->model.n > 200 || (plain && plain->base[TIER_DEFAULT].image_out >= 0))
        return plain;
    struct str wide = str_first(work->size, (size_t)cross);
    struct str high = str_from(work->size, (size_t)cross + 1);
    str_copy(quality, sizeof quality, work->quality.n ? work->quality : STR("standard"));
    snprintf(name, sizeof name, "%s/" STR_FMT "-x-" STR_FMT "/" STR_FMT, quality, STR_ARG(wide),
        STR_ARG(high), STR_ARG(c->model));
    const struct price *p = work->quality.n || !plain
        ? price_find(list, c->provider->name, str_c(name)) : NULL;
    if (!p && !plain)
        p = price_find(list, c->provider->name, str_from(str_c(name), strlen(quality) + 1));
    return p ? p : plain;
}

/* The units that are known before the answer, for `seconds` of an upload at so many bytes each. */
static void put_units(const struct raw_work *work, int64_t bytes_a_second, struct usage *u)
{
    u->unit_milli[UNIT_image_out] = work->images * 1000;
    u->unit_milli[UNIT_pixel_out] = work->pixels * 1000;
    u->unit_milli[UNIT_character_in] = work->characters * 1000;
    if (!u->unit_milli[UNIT_second_in])
        u->unit_milli[UNIT_second_in] = work->upload_bytes * 1000 / bytes_a_second;
}

int64_t raw_bound(const struct exchange *x, const struct price *p)
{
    const struct raw_work *work = &x->raw_work;
    const struct price_rates *base = &p->base[TIER_DEFAULT];
    struct usage u = {0};
    int64_t in = work->upload_bytes ? work->upload_bytes / BYTES_AN_AUDIO_TOKEN + 1000
                                    : x->facts.prompt_bytes;
    int64_t out = p->max_output_tokens;
    if (work->images)
        out = work->images * IMAGE_TOKENS_MOST;
    else if (work->characters)
        out = work->characters * SPEECH_TOKENS_A_CHARACTER + 1000;
    bool silent = is_path(x, "/v1/rerank") || is_path(x, "/v1/moderations");
    if (p->unit[UNIT_page] > 0 || (out == 0 && !silent && MAX(base->output, base->audio_out) > 0))
        return -1;
    put_units(work, LEAST_BYTES_A_SECOND, &u);
    int64_t units = price_cost(p, &u, TIER_DEFAULT);
    int64_t tokens = price_bound_tier(p, in, out, TIER_DEFAULT);
    return units > INT64_MAX - tokens ? INT64_MAX : units + tokens;
}

static bool has_units(const struct price *p)
{
    bool any = p->per_request > 0;
    for (int i = 0; i < UNIT_search_low; i++)
        any |= p->unit[i] > 0;
    return any;
}

bool raw_usage(const struct exchange *x, struct usage *u, enum usage_source *source)
{
    if (x->ep.wire != WIRE_RAW || !x->price || !has_units(x->price))
        return false;
    bool said = u->unit_milli[UNIT_second_in] > 0;
    put_units(&x->raw_work, USUAL_BYTES_A_SECOND, u);
    if (u->output > 0 && x->price->base[TIER_DEFAULT].image_out >= 0) /* not by the piece as well */
        u->unit_milli[UNIT_image_out] = u->unit_milli[UNIT_pixel_out] = 0;
    bool cut = x->outcome != OUTCOME_OK;
    bool guessed = !said && x->raw_work.upload_bytes && x->price->unit[UNIT_second_in] > 0;
    *source = guessed || cut ? USAGE_ESTIMATED : USAGE_MEASURED;
    return true;
}
