/* gemini_ground.c: where an answer of Gemini comes from (groundingMetadata ↔ citations), and how
 * sure it was of each token (logprobsResult ↔ chat's array). */
#include "proxy/dialect/gemini.h"

/* --- grounding ------------------------------------------------------------------------------ */

enum { CHUNKS_MAX = 256 };

static void read_chunk(struct json_span chunk, struct ir_citation *c)
{
    struct json_iter it = json_iter(chunk.raw);
    struct json_span k, v;
    while (it.object && json_next(&it, &k, &v)) /* web, retrievedContext, maps */
        if (v.type == JSON_OBJECT) {
            c->url = ir_text(gemini_get(v.raw, "uri"));
            c->title = ir_text(gemini_get(v.raw, "title"));
        }
    c->raw = chunk.raw;
}

static struct ir_citation *read_support(struct ir_citation *tail, struct json_span support,
    const struct ir_citation *chunks, size_t n, bool ascii, struct arena *a)
{
    struct json_span segment = gemini_get(support.raw, "segment"), k, v;
    struct json_iter it = json_iter(gemini_get(support.raw, "groundingChunkIndices").raw);
    while (!it.object && json_next(&it, &k, &v)) {
        int64_t at;
        struct ir_citation *c;
        if (json_i64(v, &at) < 0 || at < 0 || (size_t)at >= n)
            continue;
        if (!(c = arena_alloc(a, sizeof *c)))
            return NULL;
        *c = chunks[at];
        c->cited = ir_text(gemini_get(segment.raw, "text"));
        if (ascii) {
            struct json_span start = gemini_get(segment.raw, "startIndex");
            c->start = start.type == JSON_NUMBER ? start.raw : STR("0");
            c->end = ir_raw(gemini_get(segment.raw, "endIndex"));
        }
        tail = tail->next = c;
    }
    return tail;
}

bool gemini_read_grounding(struct json_span metadata, bool ascii, struct arena *a,
    struct ir_citation **out)
{
    struct ir_citation head = {0}, *tail = &head, *chunks;
    struct json_iter it = json_iter(gemini_get(metadata.raw, "groundingChunks").raw);
    struct json_span k, v;
    size_t n = 0;
    *out = NULL;
    if (it.err || !(chunks = arena_zalloc(a, CHUNKS_MAX * sizeof *chunks)))
        return it.err != 0;
    while (!it.object && n < CHUNKS_MAX && json_next(&it, &k, &v))
        read_chunk(v, &chunks[n++]);
    it = json_iter(gemini_get(metadata.raw, "groundingSupports").raw);
    while (!it.object && json_next(&it, &k, &v))
        if (!(tail = read_support(tail, v, chunks, n, ascii, a)))
            return false;
    if (tail == &head) /* sources without places */
        for (size_t i = 0; i < n; i++)
            tail = tail->next = &chunks[i];
    *out = head.next;
    return true;
}

void gemini_add_citation(struct gemini_grounding *g, const struct ir_citation *c)
{
    struct json_writer w = json_writer(&g->chunks);
    if (g->count)
        buf_putc(&g->chunks, ',');
    json_object_begin(&w, NULL);
    json_object_begin(&w, c->url.p ? "web" : "retrievedContext");
    ir_put_text(&w, "uri", c->url);
    ir_put_text(&w, "title", c->title);
    json_object_end(&w);
    json_object_end(&w);
    w = json_writer(&g->supports);
    if (g->count)
        buf_putc(&g->supports, ',');
    json_object_begin(&w, NULL);
    json_object_begin(&w, "segment");
    ir_put_raw(&w, "startIndex", c->start);
    ir_put_raw(&w, "endIndex", c->end);
    ir_put_text(&w, "text", c->cited);
    json_object_end(&w);
    json_array_begin(&w, "groundingChunkIndices");
    json_put_int(&w, NULL, g->count++);
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
