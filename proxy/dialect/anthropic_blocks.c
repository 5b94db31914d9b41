/* anthropic_blocks.c: content blocks of Messages → parts; requests and answers have the same. */
#include "proxy/dialect/anthropic.h"
#include "proxy/dialect/places.h"
#include "proxy/dialect/seal.h"

/* --- media ------------------------------------------------------------------------------------ */

static void read_source(struct ir_media *m, struct json_span source)
{
    struct json_want w[] = {{STR("type")}, {STR("media_type")}, {STR("data")}, {STR("url")},
        {STR("file_id")}};
    if (source.type != JSON_OBJECT || json_scan(source.raw, w, ARRAY_LEN(w)) < 0)
        return;
    m->mime = ir_mime(ir_text(w[1].value));
    m->data = ir_text(w[2].value);
    m->url = ir_text(w[3].value);
    m->file_id = ir_text(w[4].value);
    m->is_text = ir_is(ir_text(w[0].value), "text");
}

static bool read_citations(struct ir_part *p, struct json_span list, struct arena *a)
{
    struct json_iter it = json_iter(list.raw);
    struct json_span key, v;
    struct ir_citation **at = &p->citations;
    while (list.type == JSON_ARRAY && json_next(&it, &key, &v)) {
        if (!(*at = arena_zalloc(a, sizeof **at)))
            return false;
        messages_read_citation(v, *at);
        at = &(*at)->next;
    }
    return true;
}

/* web_search_result_location has an url, search_result_location a source (mostly one), char_, page_
 * and content_block_location a document. Its place in that document only the maker can say. */
void messages_read_citation(struct json_span v, struct ir_citation *out)
{
    struct json_want w[] = {{STR("type")}, {STR("url")}, {STR("source")}, {STR("title")},
        {STR("document_title")}, {STR("file_id")}, {STR("document_index")}, {STR("cited_text")}};
    *out = (struct ir_citation){.raw = v.raw, .start = IR_PLACE_UNSAID, .end = IR_PLACE_UNSAID};
    if (json_scan(v.raw, w, ARRAY_LEN(w)) < 0)
        return;
    struct str source = ir_text(w[2].value);
    bool page = str_starts(source, STR("http"));
    out->type = ir_text(w[0].value);
    out->url = page ? source : ir_text(w[1].value);
    out->title = ir_text(w[w[3].count ? 3 : 4].value);
    out->file_id = page || !source.p ? ir_text(w[5].value) : source;
    out->index = ir_raw(w[6].value);
    out->cited = ir_text(w[7].value);
}

/* All of a block's text rests on its citations. */
void messages_place_citations(struct ir_part *parts)
{
    int64_t chars = 0;
    for (struct ir_part *p = parts; p; p = p->next) {
        int64_t begun = chars;
        if (p->kind != IR_TEXT)
            continue;
        chars += places_count(p->text);
        for (struct ir_citation *c = p->citations; c; c = c->next) {
            c->start = begun;
            c->end = chars;
        }
    }
}

/* --- results ---------------------------------------------------------------------------------- */

static bool read_result(struct ir_part *p, struct json_span content, struct arena *a)
{
    struct json_iter it = json_iter(content.raw);
    struct json_span key, v;
    struct ir_part **at = &p->content;
    if (content.type == JSON_STRING) {
        if (!(*at = ir_new_part(a, IR_TEXT, WIRE_MESSAGES)))
            return false;
        (*at)->text = ir_text(content);
        return true;
    }
    while (content.type == JSON_ARRAY && json_next(&it, &key, &v)) {
        if (!(*at = messages_read_block(v, a)))
            return false;
        at = &(*at)->next;
    }
    return true;
}

/* --- reasoning -------------------------------------------------------------------------------- */

/* A sealed proof names another maker: it goes back to that one. */
static void read_proof(struct ir_part *p, struct str signature, struct arena *a)
{
    enum wire maker;
    struct str inside;
    p->signature = signature;
    if (ir_unseal(a, signature, &maker, &inside)) {
        p->origin = maker;
        p->raw = STR_NULL; /* the block is not that maker's */
        p->signature = inside.n ? inside : STR_NULL;
    }
}

/* --- blocks ----------------------------------------------------------------------------------- */

enum { B_TYPE, B_TEXT, B_SOURCE, B_ID, B_NAME, B_INPUT, B_TOOL_USE_ID, B_CONTENT, B_IS_ERROR,
    B_THINKING, B_SIGNATURE, B_DATA, B_CACHE, B_CITATIONS, B_TITLE, B_COUNT };

static const struct {
    const char *type;
    enum ir_part_kind kind;
} kinds[] = {
    {"text", IR_TEXT}, {"image", IR_MEDIA}, {"document", IR_MEDIA}, {"tool_use", IR_CALL},
    {"tool_result", IR_RESULT}, {"thinking", IR_REASONING}, {"redacted_thinking", IR_REDACTED},
};

static enum ir_part_kind kind_of(struct str type)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (ir_is(type, kinds[i].type))
            return kinds[i].kind;
    return IR_OPAQUE;
}

static bool fill(struct ir_part *p, const struct json_want w[B_COUNT], struct arena *a)
{
    switch (p->kind) {
    case IR_TEXT:
        p->text = ir_text(w[B_TEXT].value);
        return read_citations(p, w[B_CITATIONS].value, a);
    case IR_MEDIA:
        p->media.kind = ir_is(ir_text(w[B_TYPE].value), "image") ? IR_IMAGE : IR_DOCUMENT;
        p->media.filename = ir_text(w[B_TITLE].value);
        p->media.to_be_cited = json_is_true(json_get(w[B_CITATIONS].value.raw, STR("enabled")));
        read_source(&p->media, w[B_SOURCE].value);
        if (!p->media.data.p && !p->media.url.p && !p->media.file_id.p)
            p->kind = IR_OPAQUE; /* a document of blocks */
        return true;
    case IR_CALL:
        p->id = ir_text(w[B_ID].value);
        p->name = ir_text(w[B_NAME].value);
        p->arguments = w[B_INPUT].value.type == JSON_OBJECT ? w[B_INPUT].value.raw : STR("{}");
        return true;
    case IR_RESULT:
        p->id = ir_text(w[B_TOOL_USE_ID].value);
        p->is_error = json_is_true(w[B_IS_ERROR].value);
        return read_result(p, w[B_CONTENT].value, a);
    case IR_REASONING:
        p->text = ir_text(w[B_THINKING].value);
        read_proof(p, ir_text(w[B_SIGNATURE].value), a);
        return true;
    case IR_REDACTED:
        read_proof(p, ir_text(w[B_DATA].value), a);
        return true;
    default:
        return true;
    }
}

struct ir_part *messages_read_block(struct json_span block, struct arena *a)
{
    struct json_want w[B_COUNT] = {{STR("type")}, {STR("text")}, {STR("source")}, {STR("id")},
        {STR("name")}, {STR("input")}, {STR("tool_use_id")}, {STR("content")}, {STR("is_error")},
        {STR("thinking")}, {STR("signature")}, {STR("data")}, {STR("cache_control")},
        {STR("citations")}, {STR("title")}};
    struct ir_part *p = ir_new_part(a, IR_OPAQUE, WIRE_MESSAGES);
    if (!p)
        return NULL;
    p->raw = block.raw;
    if (block.type == JSON_STRING) {
        p->kind = IR_TEXT;
        p->text = ir_text(block);
        return p;
    }
    if (json_scan(block.raw, w, B_COUNT) < 0)
        return p;
    p->kind = kind_of(ir_text(w[B_TYPE].value));
    p->cache = ir_raw(w[B_CACHE].value);
    return fill(p, w, a) ? p : NULL;
}
