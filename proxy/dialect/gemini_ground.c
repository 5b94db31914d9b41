/* gemini_ground.c: where an answer of Gemini comes from (groundingMetadata ↔ citations;
 * citationMetadata is read, and said as grounding), and how
 * sure it was of each token (logprobsResult ↔ chat's array). */
#include "proxy/dialect/gemini.h"

/* --- sources -------------------------------------------------------------------------------- */

enum { CHUNKS_MAX = 256, FURTHEST = 1 << 30 };

struct chunk {
    struct ir_citation c;
    bool named; /* a support names it */
};

struct sources {
    const struct gemini_sources *from;
    struct arena *a;
    struct ir_citation head, *tail;
    struct chunk *chunks;
    size_t count;
};

static bool add(struct sources *s, struct ir_citation c)
{
    struct ir_citation *kept = arena_alloc(s->a, sizeof *kept);
    if (!kept)
        return false;
    c.next = NULL;
    *kept = c;
    s->tail = s->tail->next = kept;
    return true;
}

/* web, maps, and retrievedContext: of a file, whose text it repeats. */
static void read_chunk(struct json_span chunk, struct ir_citation *c)
{
    struct json_iter it = json_iter(chunk.raw);
    struct json_span k, v;
    *c = (struct ir_citation){.raw = chunk.raw, .start = IR_PLACE_UNSAID, .end = IR_PLACE_UNSAID};
    while (it.object && json_next(&it, &k, &v)) {
        if (v.type != JSON_OBJECT)
            continue;
        struct str uri = ir_text(gemini_get(v.raw, "uri"));
        bool file = gemini_key(k, "retrievedContext") && !str_starts(uri, STR("http"));
        c->type = ir_text(k);
        c->title = ir_text(gemini_get(v.raw, "title"));
        c->cited = gemini_key(k, "retrievedContext") ? ir_text(gemini_get(v.raw, "text")) : STR_NULL;
        *(file ? &c->file_id : &c->url) = uri;
        if (!c->url.p && !c->file_id.p) /* a search among files names their store at least */
            c->file_id = ir_text(gemini_get(v.raw, "fileSearchStore"));
    }
}

/* Characters of the texts before the part that a segment stands in. */
static int64_t chars_before(struct json_span parts, int64_t part)
{
    struct json_iter it = json_iter(parts.raw);
    struct json_span k, v;
    int64_t chars = 0;
    for (; part > 0 && !it.object && json_next(&it, &k, &v); part--)
        if (!json_is_true(gemini_get(v.raw, "thought")))
            chars += places_count(ir_text(gemini_get(v.raw, "text")));
    return chars;
}

static int64_t integer_or(struct json_span v, int64_t otherwise)
{
    int64_t n;
    return json_i64(v, &n) == 0 ? n : otherwise;
}

/* From bytes to characters. A segment at the very beginning leaves its start out. */
static void place(const struct gemini_sources *from, struct json_span segment, struct ir_citation *c)
{
    int64_t start = integer_or(gemini_get(segment.raw, "startIndex"), 0);
    int64_t end = integer_or(gemini_get(segment.raw, "endIndex"), -1);
    int64_t part = integer_or(gemini_get(segment.raw, "partIndex"), 0);
    c->start = c->end = IR_PLACE_UNSAID;
    if (start < 0 || end < start || end > FURTHEST)
        return;
    int64_t base = places_bytes(from->said, chars_before(from->parts, part));
    int64_t first = base < 0 ? -1 : places_chars(from->said, base + start);
    int64_t last = base < 0 ? -1 : places_chars(from->said, base + end);
    if (first < 0 || last < 0)
        return;
    c->start = first;
    c->end = last;
}

static bool read_support(struct sources *s, struct json_span support)
{
    struct json_span segment = gemini_get(support.raw, "segment"), k, v;
    struct json_iter it = json_iter(gemini_get(support.raw, "groundingChunkIndices").raw);
    while (!it.object && json_next(&it, &k, &v)) {
        int64_t at;
        if (json_i64(v, &at) < 0 || at < 0 || (size_t)at >= s->count)
            continue;
        struct ir_citation c = s->chunks[at].c;
        s->chunks[at].named = true;
        c.said = ir_text(gemini_get(segment.raw, "text"));
        place(s->from, segment, &c);
        if (!add(s, c))
            return false;
    }
    return true;
}

static bool read_grounding(struct sources *s)
{
    struct json_iter it = json_iter(gemini_get(s->from->grounding.raw, "groundingChunks").raw);
    struct json_span k, v;
    bool good = true;
    if (it.err || !(s->chunks = arena_zalloc(s->a, CHUNKS_MAX * sizeof *s->chunks)))
        return it.err != 0;
    while (!it.object && s->count < CHUNKS_MAX && json_next(&it, &k, &v))
        read_chunk(v, &s->chunks[s->count++].c);
    it = json_iter(gemini_get(s->from->grounding.raw, "groundingSupports").raw);
    while (good && !it.object && json_next(&it, &k, &v))
        good = read_support(s, v);
    for (size_t i = 0; good && i < s->count; i++) /* sources without places */
        good = s->chunks[i].named || add(s, s->chunks[i].c);
    return good;
}

/* Recitation: the answer's own words stand in a source. "citationSources", at Vertex "citations". */
static bool read_recitations(struct sources *s)
{
    struct json_span list = gemini_get(s->from->citations.raw, "citationSources"), k, v;
    if (list.type != JSON_ARRAY)
        list = gemini_get(s->from->citations.raw, "citations");
    struct json_iter it = json_iter(list.raw);
    while (list.type == JSON_ARRAY && json_next(&it, &k, &v)) {
        struct ir_citation c = {.type = STR("citationSources"), .raw = v.raw};
        c.url = ir_text(gemini_get(v.raw, "uri"));
        c.title = ir_text(gemini_get(v.raw, "title"));
        place(s->from, v, &c);
        if (!add(s, c))
            return false;
    }
    return true;
}

bool gemini_read_sources(const struct gemini_sources *from, struct arena *a,
    struct ir_citation **out)
{
    struct sources s = {.from = from, .a = a};
    s.tail = &s.head;
    *out = NULL;
    if ((from->grounding.type == JSON_OBJECT && !read_grounding(&s)) ||
        (from->citations.type == JSON_OBJECT && !read_recitations(&s)))
        return false;
    *out = s.head.next;
    return true;
}

static void put_segment(struct json_writer *w, struct gemini_grounding *g,
    const struct ir_citation *c)
{
    int64_t start = c->end < 0 ? -1 : places_bytes(&g->said, c->start);
    int64_t end = c->end < 0 ? -1 : places_bytes(&g->said, c->end);
    json_object_begin(w, "segment");
    if (start >= 0 && end >= 0) {
        json_put_int(w, "startIndex", start);
        json_put_int(w, "endIndex", end);
    }
    ir_put_text(w, "text", c->said);
    json_object_end(w);
}

void gemini_add_citation(struct gemini_grounding *g, const struct ir_citation *c)
{
    struct json_writer w = json_writer(&g->chunks);
    unsigned index = g->count++;
    if (index)
        buf_putc(&g->chunks, ',');
    json_object_begin(&w, NULL);
    json_object_begin(&w, c->url.p ? "web" : "retrievedContext");
    ir_put_text(&w, "uri", c->url.p ? c->url : c->file_id);
    ir_put_text(&w, "title", c->title);
    if (!c->url.p)
        ir_put_text(&w, "text", c->cited);
    json_object_end(&w);
    json_object_end(&w);
    if (c->end < 0 && !c->said.p)
        return; /* a source without a place */
    w = json_writer(&g->supports);
    if (g->supports.n)
        buf_putc(&g->supports, ',');
    json_object_begin(&w, NULL);
    put_segment(&w, g, c);
    json_array_begin(&w, "groundingChunkIndices");
    json_put_int(&w, NULL, index);
    json_array_end(&w);
    json_object_end(&w);
}

static void put_list(struct json_writer *w, const char *key, const struct buf *list)
{
    json_array_begin(w, key);
    buf_put_str(w->out, buf_str(list));
    json_array_end(w);
}

void gemini_put_grounding(struct json_writer *w, const struct gemini_grounding *g)
{
    if (!g->count)
        return;
    json_object_begin(w, "groundingMetadata");
    put_list(w, "groundingChunks", &g->chunks);
    put_list(w, "groundingSupports", &g->supports);
    json_object_end(w);
}

/* --- log probabilities ---------------------------------------------------------------------- */

/* {"token":…,"logProbability":…} ↔ {"token":…,"logprob":…,"bytes":null}; open: more may follow. */
static void put_chat_token(struct json_writer *w, struct json_span from)
{
    json_object_begin(w, NULL);
    ir_put_raw(w, "token", ir_raw(gemini_get(from.raw, "token")));
    ir_put_raw(w, "logprob", ir_raw(gemini_get(from.raw, "logProbability")));
    json_put_null(w, "bytes");
}

static void put_chat_tops(struct json_writer *w, struct json_span tops)
{
    struct json_iter it = json_iter(gemini_get(tops.raw, "candidates").raw);
    struct json_span k, v;
    json_array_begin(w, "top_logprobs");
    while (!it.object && json_next(&it, &k, &v)) {
        put_chat_token(w, v);
        json_object_end(w);
    }
    json_array_end(w);
}

struct str gemini_read_logprobs(struct json_span result, struct arena *a)
{
    struct json_iter chosen = json_iter(gemini_get(result.raw, "chosenCandidates").raw);
    struct json_iter tops = json_iter(gemini_get(result.raw, "topCandidates").raw);
    struct json_span k, v, top;
    struct buf b;
    if (chosen.err || chosen.object)
        return STR_NULL;
    buf_init(&b, 16 << 20);
    struct json_writer w = json_writer(&b);
    json_array_begin(&w, NULL);
    while (json_next(&chosen, &k, &v)) {
        top = (struct json_span){JSON_NONE, {NULL, 0}};
        if (!tops.object && !tops.err)
            json_next(&tops, &k, &top);
        put_chat_token(&w, v);
        put_chat_tops(&w, top);
        json_object_end(&w);
    }
    json_array_end(&w);
    struct str all = b.err ? STR_NULL : arena_str(a, buf_str(&b));
    buf_fini(&b);
    return all;
}

static void put_token(struct json_writer *w, struct json_span from)
{
    json_object_begin(w, NULL);
    ir_put_raw(w, "token", ir_raw(json_get(from.raw, STR("token"))));
    ir_put_raw(w, "logProbability", ir_raw(json_get(from.raw, STR("logprob"))));
    json_object_end(w);
}

void gemini_put_logprobs(struct json_writer *w, struct str chat_array)
{
    struct json_iter it = json_iter(chat_array), top;
    struct json_span k, v, e;
    if (!chat_array.p || it.err || it.object)
        return;
    json_object_begin(w, "logprobsResult");
    json_array_begin(w, "chosenCandidates");
    while (json_next(&it, &k, &v))
        put_token(w, v);
    json_array_end(w);
    json_array_begin(w, "topCandidates");
    it = json_iter(chat_array);
    while (json_next(&it, &k, &v)) {
        json_object_begin(w, NULL);
        json_array_begin(w, "candidates");
        top = json_iter(json_get(v.raw, STR("top_logprobs")).raw);
        while (!top.object && json_next(&top, &k, &e))
            put_token(w, e);
        json_array_end(w);
        json_object_end(w);
    }
    json_array_end(w);
    json_object_end(w);
}
