/* anthropic_blocks.c: content blocks of Messages → parts; requests and answers have the same. */
#include "proxy/dialect/anthropic.h"

/* --- media ------------------------------------------------------------------------------------ */

static void read_source(struct ir_media *m, struct json_span source)
{
    struct json_want w[] = {{STR("type")}, {STR("media_type")}, {STR("data")}, {STR("url")},
        {STR("file_id")}};
    if (source.type != JSON_OBJECT || json_scan(source.raw, w, ARRAY_LEN(w)) < 0)
        return;
    m->mime = ir_text(w[1].value);
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
        if (!(*at = arena_zalloc(a, sizeof **at)) || !messages_read_citation(v, a, *at))
            return false;
        at = &(*at)->next;
    }
    return true;
}

bool messages_read_citation(struct json_span v, struct arena *a, struct ir_citation *out)
{
    (void)a;
    out->raw = v.raw;
    out->url = ir_text(json_get(v.raw, STR("url")));
    out->title = ir_text(json_get(v.raw, STR("title")));
    out->cited = ir_text(json_get(v.raw, STR("cited_text")));
    return true;
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
