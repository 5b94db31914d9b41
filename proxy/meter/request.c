/* request.c: see request.h. One pass of the token walker over the body, whatever its nesting.
 *
 * Policy fields are rows of a table: name, where it stands, what type it must have. Everything else
 * is only counted: bytes for the bound, text for the estimate, marks of media and of things that a
 * provider will fetch by itself. The bound takes every string of the body, so that a field unknown
 * to us can't carry a prompt past a budget. */
#include "proxy/meter/request.h"

#include "proxy/dialect/ir.h"
#include "proxy/dialect/seal.h"
#include "store/base/err.h"
#include "store/base/json_span.h"

enum {
    IMAGE_BOUND = 5000,   /* most tokens that a provider makes of one image */
    IMAGE_USUAL = 800,
    AUDIO_DIVISOR = 16,   /* base64 bytes a token, at the poorest coding in use */
    TOOLS_BOUND = 700,    /* the hidden prompt that comes with tools */
    REQUEST_BOUND = 500,  /* and with every request at some providers (Venice, Snowflake, Groq) */
    MESSAGE_TOKENS = 4,   /* role and separators */
    TOOLS_TOKENS = 60,    /* what a provider says to the model about tools … */
    CLAUDE_TOOLS_TOKENS = 340, /* … and Anthropic says more */
    REQUEST_TOKENS = 3,
    COUNT_MAX_BITS = 40,
    PREFIX_BYTES = 1024   /* of spoken text: what tells one cached prompt from another */
};

/* What a member of the outermost object holds. */
enum section { IN_OTHER, IN_PROMPT, IN_TOOLS, IN_FORMAT, IN_CONFIG, IN_STREAM_OPTIONS, IN_METADATA,
    IN_REASONING, IN_SEARCH };

static const struct {
    struct str key;
    enum section section;
} sections[] = {
    {{"messages", 8}, IN_PROMPT},
    {{"input", 5}, IN_PROMPT},
    {{"contents", 8}, IN_PROMPT},
    {{"content", 7}, IN_PROMPT},
    {{"system", 6}, IN_PROMPT},
    {{"instructions", 12}, IN_PROMPT},
    {{"systemInstruction", 17}, IN_PROMPT},
    {{"system_instruction", 18}, IN_PROMPT},
    {{"prompt", 6}, IN_PROMPT},
    {{"suffix", 6}, IN_PROMPT},
    {{"requests", 8}, IN_PROMPT},
    {{"tools", 5}, IN_TOOLS},
    {{"functions", 9}, IN_TOOLS},
    {{"response_format", 15}, IN_FORMAT},
    {{"text", 4}, IN_FORMAT},
    {{"output_config", 13}, IN_FORMAT},
    {{"output_format", 13}, IN_FORMAT},
    {{"generationConfig", 16}, IN_CONFIG},
    {{"generation_config", 17}, IN_CONFIG},
    {{"stream_options", 14}, IN_STREAM_OPTIONS},
    {{"reasoning", 9}, IN_REASONING},
    {{"web_search_options", 18}, IN_SEARCH},
    {{"metadata", 8}, IN_METADATA},
    {{"client_metadata", 15}, IN_METADATA},
};

enum field {
    F_MODEL,
    F_STREAM,
    F_STREAM_OPTIONS,
    F_INCLUDE_USAGE,
    F_MAX_TOKENS,
    F_MAX_COMPLETION,
    F_MAX_OUTPUT,
    F_N,
    F_SERVICE_TIER,
    F_BACKGROUND,
    F_PREVIOUS,
    F_CONVERSATION,
    F_CACHED,
    F_USER,
    F_SAFETY,
    F_SESSION,
    F_CACHE_KEY,
    F_CONFIG,
    F_TOOL_CALLS,
    F_API_BASE,
    F_BASE_URL,
    F_API_KEY
};
enum wanted { STRING, BOOLEAN, COUNT, OBJECT, ANYTHING, NOTHING };

static const struct policy_row {
    struct str key;
    enum section within; /* IN_OTHER: the outermost object */
    enum field field;
    enum wanted wanted;
} policy[] = {
#define ROW(key, within, field, wanted) {{key, sizeof(key) - 1}, within, field, wanted},
    ROW("model", IN_OTHER, F_MODEL, STRING)
    ROW("stream", IN_OTHER, F_STREAM, BOOLEAN)
    ROW("stream_options", IN_OTHER, F_STREAM_OPTIONS, OBJECT)
    ROW("include_usage", IN_STREAM_OPTIONS, F_INCLUDE_USAGE, BOOLEAN)
    ROW("max_tokens", IN_OTHER, F_MAX_TOKENS, COUNT)
    ROW("max_completion_tokens", IN_OTHER, F_MAX_COMPLETION, COUNT)
    ROW("max_output_tokens", IN_OTHER, F_MAX_OUTPUT, COUNT)
    ROW("n", IN_OTHER, F_N, COUNT)
    ROW("service_tier", IN_OTHER, F_SERVICE_TIER, STRING)
    ROW("serviceTier", IN_OTHER, F_SERVICE_TIER, STRING)
    ROW("max_tool_calls", IN_OTHER, F_TOOL_CALLS, COUNT)
    ROW("background", IN_OTHER, F_BACKGROUND, BOOLEAN)
    ROW("previous_response_id", IN_OTHER, F_PREVIOUS, STRING)
    ROW("conversation", IN_OTHER, F_CONVERSATION, ANYTHING)
    ROW("cachedContent", IN_OTHER, F_CACHED, STRING)
    ROW("cached_content", IN_OTHER, F_CACHED, STRING)
    ROW("user", IN_OTHER, F_USER, ANYTHING)
    ROW("safety_identifier", IN_OTHER, F_SAFETY, ANYTHING)
    ROW("session_id", IN_OTHER, F_SESSION, ANYTHING)
    ROW("prompt_cache_key", IN_OTHER, F_CACHE_KEY, ANYTHING)
    ROW("generationConfig", IN_OTHER, F_CONFIG, OBJECT)
    ROW("generation_config", IN_OTHER, F_CONFIG, OBJECT)
    ROW("maxOutputTokens", IN_CONFIG, F_MAX_OUTPUT, COUNT)
    ROW("max_output_tokens", IN_CONFIG, F_MAX_OUTPUT, COUNT)
    ROW("candidateCount", IN_CONFIG, F_N, COUNT)
    ROW("candidate_count", IN_CONFIG, F_N, COUNT)
    /* what other gateways take from a body: where a request goes, and with whose key */
    ROW("api_base", IN_OTHER, F_API_BASE, NOTHING)
    ROW("base_url", IN_OTHER, F_BASE_URL, NOTHING)
    ROW("api_key", IN_OTHER, F_API_KEY, NOTHING)
#undef ROW
};

struct reading {
    struct request_facts *f;
    struct arena *arena;
    enum wire wire;
    enum section section;       /* of the outermost member that is being walked */
    struct str key[JSON_DEPTH_MAX + 1]; /* under which the container at that depth stands */
    uint32_t seen;              /* bit per enum field */
    struct tokens_counter text;
    int64_t extra_tokens;       /* messages, media */
    size_t hashed_bytes;
    struct str user_id, cache_key, session;
    const char *bad;            /* name of the field that is wrong */
};

static bool key_is(struct json_span key, struct str name)
{
    if (key.type != JSON_STRING || key.raw.n < name.n + 2) /* escapes only make it longer */
        return false;
    if (key.raw.n == name.n + 2)
        return memcmp(key.raw.p + 1, name.p, name.n) == 0;
    return memchr(key.raw.p, '\\', key.raw.n) && json_text_eq(key, name);
}

static bool is_gemini(enum wire wire)
{
    return wire_dialect(wire) == DIALECT_GEMINI;
}

static const struct policy_row *policy_find(const struct reading *r, const struct json_token *t)
{
    enum section within = t->depth == 1 ? IN_OTHER : r->section;
    if (t->depth > 2 || (t->depth == 2 && within != IN_STREAM_OPTIONS && within != IN_CONFIG))
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(policy); i++)
        if (policy[i].within == within && key_is(t->key, policy[i].key))
            return &policy[i];
    return NULL;
}

static bool type_fits(enum wanted wanted, const struct json_token *t)
{
    switch (wanted) {
    case STRING: return t->type == JSON_STRING;
    case BOOLEAN: return t->type == JSON_TRUE || t->type == JSON_FALSE;
    case COUNT: return t->type == JSON_NUMBER;
    case OBJECT: return t->type == JSON_OBJECT;
    default: return true;
    }
}

static int wrong(struct reading *r, const struct policy_row *row, int code)
{
    r->bad = row->key.p;
    return -code;
}

/* A whole number; below zero it is no maximum at all (llama.cpp's "as many as you like"). */
static int take_count(
    struct reading *r, const struct policy_row *row, struct json_span v, int64_t *out)
{
    const int64_t most = (int64_t)1 << COUNT_MAX_BITS;
    int64_t n = 0;
    int rc = json_i64(v, &n);
    if (rc == -ERR_TYPE)
        return wrong(r, row, ERR_TYPE);
    n = rc == -ERR_RANGE ? (*v.raw.p == '-' ? 0 : most) : MIN(n, most);
    *out = MAX(*out, n);
    return 0;
}

static int take_policy(struct reading *r, const struct policy_row *row, const struct json_token *t)
{
    struct request_facts *f = r->f;
    struct json_span v = {t->type, t->raw};
    switch (row->field) {
    case F_MODEL:
        if (!is_gemini(r->wire)) {
            f->model = json_text(v, r->arena);
            f->model_span = t->raw;
            if (!f->model.p)
                return -ERR_LIMIT;
        }
        break;
    case F_STREAM:
        f->stream = t->type == JSON_TRUE;
        f->stream_given = true;
        break;
    case F_INCLUDE_USAGE:
        f->include_usage = t->type == JSON_TRUE;
        break;
    case F_MAX_TOKENS:
    case F_MAX_COMPLETION:
    case F_MAX_OUTPUT:
        return take_count(r, row, v, &f->max_output);
    case F_N:
        return take_count(r, row, v, &f->n);
    case F_TOOL_CALLS:
        return take_count(r, row, v, &f->tool_calls_most);
    case F_SERVICE_TIER:
        f->service_tier = json_text(v, r->arena);
        break;
    case F_BACKGROUND:
        f->background = t->type == JSON_TRUE;
        break;
    case F_PREVIOUS:
    case F_CONVERSATION:
    case F_CACHED:
        f->unbounded_input = true;
        f->stored |= row->field == F_CACHED;
        break;
    case F_USER:
    case F_SAFETY:
        if (!f->user.n)
            f->user = json_text(v, r->arena);
        break;
    case F_SESSION:
        r->session = json_text(v, r->arena);
        break;
    case F_CACHE_KEY:
        r->cache_key = json_text(v, r->arena);
        break;
    case F_API_BASE:
    case F_BASE_URL:
    case F_API_KEY:
        return wrong(r, row, ERR_DENIED);
    case F_STREAM_OPTIONS: /* its extent is known at its end */
    case F_CONFIG:
        break;
    }
    return 0;
}

static int policy_field(struct reading *r, const struct json_token *t)
{
    const struct policy_row *row = policy_find(r, t);
    if (!row)
        return 0;
    uint32_t bit = (uint32_t)1 << row->field;
    if (r->seen & bit)
        return wrong(r, row, ERR_DUPLICATE);
    r->seen |= bit;
    if (row->field == F_STREAM_OPTIONS)
        r->f->stream_options = t->raw; /* null, or grown at its end */
    if (t->type == JSON_NULL && row->field != F_MODEL)
        return 0;
    if (!type_fits(row->wanted, t) && !(row->field == F_MODEL && is_gemini(r->wire)))
        return wrong(r, row, ERR_TYPE);
    return take_policy(r, row, t);
}

/* --- the prompt ---------------------------------------------------------------------------- */

static bool one_of(struct str s, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s.n && *s.p == names[i][0] && str_eq(s, str_c(names[i])))
            return true;
    return false;
}
#define ONE_OF(s, ...) one_of(s, (const char *const[]){__VA_ARGS__}, \
    sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

/* Bytes of a string once its escapes are decoded, never fewer. */
static int64_t decoded_bytes(struct str inside)
{
    int64_t n = (int64_t)inside.n;
    const char *p = inside.p, *end = inside.p + inside.n;
    while ((p = memchr(p, '\\', (size_t)(end - p)))) {
        bool unicode = p[1] == 'u';
        n -= unicode ? 3 : 1;
        p += unicode ? 6 : 2;
    }
    return n;
}

/* Looks like base64: its first bytes hold nothing else. */
static bool is_base64(struct str s)
{
    s = str_first(s, 256);
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool letter = (c | 32) >= 'a' && (c | 32) <= 'z';
        if (!letter && !(c >= '0' && c <= '9') && !strchr("+/=-_\\", c))
            return false;
    }
    return s.n > 0;
}

/* "data:image/png;base64,…" → its payload; empty when it is none. */
static struct str data_url_payload(struct str s)
{
    ptrdiff_t comma = str_chr(str_first(s, 128), ',');
    if (!str_starts(s, STR("data:")) || comma < 0 ||
        str_find(str_first(s, (size_t)comma), STR(";base64")) < 0)
        return STR_NULL;
    return str_from(s, (size_t)comma + 1);
}

static void count_media(struct reading *r, bool image, size_t payload_bytes)
{
    if (image) {
        r->f->images = true;
        r->f->image_count++;
        r->f->prompt_bytes += /* Gemini's inlineData may be sound as well */
            MAX((int64_t)IMAGE_BOUND, (int64_t)(payload_bytes / AUDIO_DIVISOR));
        r->extra_tokens += IMAGE_USUAL;
    } else {
        r->f->audio = true;
        r->f->prompt_bytes += (int64_t)(payload_bytes / AUDIO_DIVISOR) + 100;
        r->extra_tokens += (int64_t)payload_bytes / 100;
    }
}

/* A string that carries an image, sound or file, or says where one lies. True when it was that. */
static bool media_string(
    struct reading *r, const struct json_token *t, struct str key, struct str in)
{
    struct str parent = r->key[t->depth - 1];
    struct str payload = data_url_payload(in);
    if (ONE_OF(key, "url", "image_url") &&
        (str_eq(key, STR("image_url")) || str_eq(parent, STR("image_url")))) {
        count_media(r, true, payload.n);
        r->f->unbounded_input |= !payload.n;
        return true;
    }
    if (str_eq(key, STR("data")) && is_base64(in) &&
        ONE_OF(parent, "source", "inlineData", "inline_data", "input_audio")) {
        count_media(r, !str_eq(parent, STR("input_audio")), in.n);
        return true;
    }
    if (ONE_OF(key, "file_data", "document_url")) {
        r->f->unbounded_input = true; /* pages hold more than their packed bytes */
        return payload.n || is_base64(in);
    }
    r->f->stored |= ONE_OF(key, "file_id", "file_uri", "fileUri");
    if (ONE_OF(key, "file_id", "file_url", "file_uri", "fileUri", "url"))
        r->f->unbounded_input = true;
    return false;
}

/* "type" and "mime_type" of parts and tools. */
static void marks(struct reading *r, struct str key, struct str in)
{
    struct request_facts *f = r->f;
    if (ONE_OF(key, "mimeType", "mime_type", "media_type")) {
        f->audio |= str_starts(in, STR("audio/"));
        f->unbounded_input |= str_starts(in, STR("application/")) || str_starts(in, STR("video/"));
    }
    if (!str_eq(key, STR("type")))
        return;
    if (r->section == IN_PROMPT) {
        f->images |= ONE_OF(in, "image", "image_url", "input_image");
        f->audio |= ONE_OF(in, "input_audio", "audio");
        f->unbounded_input |=
            ONE_OF(in, "document", "file", "input_file", "video_url", "container_upload");
    }
    if (r->section == IN_FORMAT)
        f->json_schema |= str_eq(in, STR("json_schema"));
}

/* Whether a string of the prompt is said to the model as text. */
static bool is_spoken(struct str key)
{
    return !ONE_OF(key, "type", "role", "id", "call_id", "tool_call_id", "tool_use_id", "signature",
        "thoughtSignature", "thought_signature", "encrypted_content", "media_type", "mimeType",
        "mime_type", "detail", "ttl", "status", "format");
}

static void hash_prefix(struct reading *r, struct str in)
{
    struct str piece = str_first(in, PREFIX_BYTES - r->hashed_bytes);
    if (piece.n)
        r->f->prefix_hash = (r->f->prefix_hash ^ str_hash(piece)) * 1099511628211u;
    r->hashed_bytes += piece.n;
}

static void count_string(struct reading *r, const struct json_token *t, struct str key)
{
    struct str in = {t->raw.p + 1, t->raw.n - 2};
    r->f->sealed |= ir_is_sealed(in);
    bool walked = t->depth > 1 &&
                  (r->section == IN_PROMPT || r->section == IN_TOOLS || r->section == IN_FORMAT);
    if (walked && r->section == IN_PROMPT && media_string(r, t, key, in))
        return;
    if (walked)
        marks(r, key, in);
    r->f->prompt_bytes += decoded_bytes(in) + 2;
    if ((r->section == IN_PROMPT || r->section == IN_TOOLS) && (t->depth == 1 || is_spoken(key))) {
        tokens_feed_json(&r->text, in);
        tokens_break(&r->text);
        if (r->section == IN_PROMPT)
            hash_prefix(r, in);
    }
}

/* Claude Code: "user_…_account_…_session_UUID", or a JSON object as text with a session_id. */
static void metadata_string(struct reading *r, const struct json_token *t)
{
    struct str value = json_text((struct json_span){t->type, t->raw}, r->arena);
    if (key_is(t->key, STR("user_id")))
        r->user_id = value;
    else if (key_is(t->key, STR("session_id")) && value.n)
        r->session = value;
}

static void scalar(struct reading *r, const struct json_token *t)
{
    struct str key = t->key.type == JSON_STRING ? str_n(t->key.raw.p + 1, t->key.raw.n - 2)
                   : t->depth ? r->key[t->depth - 1] : STR_NULL;
    if (t->type == JSON_STRING)
        count_string(r, t, key);
    else
        r->f->prompt_bytes += (int64_t)t->raw.n + 1;
    if (r->section == IN_REASONING && t->depth == 2 && key_is(t->key, STR("mode")))
        r->f->unbounded_input = true; /* "pro": the prompt is read several times */
    if (r->section == IN_METADATA && t->depth == 2 && t->type == JSON_STRING)
        metadata_string(r, t);
    if (r->section == IN_TOOLS && t->type == JSON_NUMBER) {
        tokens_feed_json(&r->text, t->raw);
        tokens_break(&r->text);
    }
}

static void container(struct reading *r, const struct json_token *t)
{
    struct str inherited = t->depth ? r->key[t->depth - 1] : STR_NULL;
    r->key[t->depth] =
        t->key.type == JSON_STRING ? str_n(t->key.raw.p + 1, t->key.raw.n - 2) : inherited;
    r->f->prompt_bytes += 2;
    if (r->section == IN_PROMPT && t->depth == 2)
        r->extra_tokens += MESSAGE_TOKENS;
    if (r->section == IN_TOOLS && t->depth == 2)
        r->f->tools = true;
    if (r->section == IN_PROMPT && t->depth == 1 && t->type == JSON_OBJECT &&
        key_is(t->key, STR("prompt")))
        r->f->unbounded_input = true; /* a stored prompt, named by its id */
    if (r->section == IN_PROMPT && ONE_OF(r->key[t->depth], "fileData", "file_data"))
        r->f->unbounded_input = true;
}

/* "search_context_size" of OpenAI's web search, whole or as an option of chat. */
static void search_size(struct reading *r, const struct json_token *t)
{
    struct json_span v = {t->type, t->raw};
    if (!key_is(t->key, STR("search_context_size")))
        return;
    if (json_text_eq(v, STR("low")))
        r->f->search_size = SEARCH_LOW;
    else if (json_text_eq(v, STR("high")))
        r->f->search_size = SEARCH_HIGH;
}

/* A tool that is no function works at the provider's side and may read whatever it likes. */
static void server_tool(struct reading *r, const struct json_token *t)
{
    static const char *const own[] = {"function", "custom", "functionDeclarations",
        "function_declarations"};
    int64_t uses;
    if (r->section == IN_SEARCH && !t->end && t->depth <= 2) {
        r->f->web_search = true;
        search_size(r, t);
    }
    if (r->section != IN_TOOLS || t->end || t->depth != 3)
        return;
    search_size(r, t);
    if (t->type == JSON_NUMBER && key_is(t->key, STR("max_uses")) && /* Anthropic */
        json_i64((struct json_span){t->type, t->raw}, &uses) == 0 && uses > 0)
        r->f->tool_calls_most += MIN(uses, (int64_t)1000);
    if (t->type == JSON_STRING && key_is(t->key, STR("type"))) {
        struct str type = str_n(t->raw.p + 1, t->raw.n - 2);
        r->f->server_tools |= !one_of(type, own, ARRAY_LEN(own));
        r->f->unbounded_input |= r->f->server_tools;
        r->f->image_tool |= str_eq(type, STR("image_generation"));
    } else if (t->type == JSON_STRING && key_is(t->key, STR("model"))) {
        r->f->tool_model = str_n(t->raw.p + 1, t->raw.n - 2);
    } else if (t->type == JSON_OBJECT && t->key.type == JSON_STRING && is_gemini(r->wire)) {
        /* {"google_search":{}} */
        struct str name = str_n(t->key.raw.p + 1, t->key.raw.n - 2);
        r->f->server_tools |= !one_of(name, own, ARRAY_LEN(own));
        r->f->unbounded_input |= r->f->server_tools;
    }
}

static void schema_marks(struct reading *r, const struct json_token *t)
{
    if (r->section == IN_CONFIG && t->depth == 2)
        r->f->json_schema |= key_is(t->key, STR("responseSchema")) ||
                             key_is(t->key, STR("response_schema")) ||
                             key_is(t->key, STR("responseJsonSchema")) ||
                             key_is(t->key, STR("response_json_schema"));
}

/* --- the walk ------------------------------------------------------------------------------ */

static int token(struct reading *r, const struct json_token *t)
{
    if (t->depth == 0)
        return t->type == JSON_OBJECT ? 0 : -ERR_TYPE;
    if (t->end) {
        if (t->depth == 1 && r->section == IN_STREAM_OPTIONS)
            r->f->stream_options.n = (size_t)(t->raw.p + 1 - r->f->stream_options.p);
        return 0;
    }
    if (t->depth == 1) {
        r->section = IN_OTHER;
        for (size_t i = 0; i < ARRAY_LEN(sections); i++)
            if (key_is(t->key, sections[i].key))
                r->section = sections[i].section;
    }
    int rc = policy_field(r, t);
    if (rc < 0)
        return rc;
    if (t->key.type == JSON_STRING) {
        r->f->prompt_bytes += (int64_t)t->key.raw.n + 1;
        if (r->section == IN_TOOLS && t->depth > 3) {
            tokens_feed_json(&r->text, str_n(t->key.raw.p + 1, t->key.raw.n - 2));
            tokens_break(&r->text);
        }
    }
    server_tool(r, t);
    schema_marks(r, t);
    if (t->type == JSON_OBJECT || t->type == JSON_ARRAY)
        container(r, t);
    else
        scalar(r, t);
    return 0;
}

static struct str session_in_user_id(struct str user_id, struct arena *a)
{
    ptrdiff_t at = str_find(user_id, STR("_session_"));
    if (at >= 0)
        return str_from(user_id, (size_t)at + 9);
    return user_id.n && *user_id.p == '{' ? json_get_str(user_id, STR("session_id"), a) : STR_NULL;
}

static void conclude(struct reading *r)
{
    struct request_facts *f = r->f;
    if (r->wire == WIRE_STREAM_GENERATE)
        f->stream = true;
    f->n = MAX(f->n, 1);
    f->prompt_bytes += REQUEST_BOUND + (f->tools ? TOOLS_BOUND : 0);
    f->prompt_tokens = tokens_count(&r->text) + r->extra_tokens + REQUEST_TOKENS;
    if (f->tools)
        f->prompt_tokens +=
            wire_dialect(r->wire) == DIALECT_ANTHROPIC ? CLAUDE_TOOLS_TOKENS : TOOLS_TOKENS;
    f->session_hint = r->session;
    if (!f->session_hint.n)
        f->session_hint = session_in_user_id(r->user_id, r->arena);
    if (!f->session_hint.n)
        f->session_hint = r->cache_key;
    if (!f->user.n)
        f->user = r->user_id;
}

int request_read(struct str body, enum wire wire, struct arena *a, struct request_facts *out,
    size_t *at, const char **field)
{
    *out = (struct request_facts){0};
    struct reading r = {.f = out, .arena = a, .wire = wire, .bad = "body"};
    struct json_walk w = json_walk(body);
    struct json_token t;
    int rc = 0;
    bool mistyped = false; /* what follows is looked through all the same: for what is denied */
    const char *bad = r.bad;
    while ((rc == 0 || rc == -ERR_TYPE) && json_walk_next(&w, &t)) {
        rc = token(&r, &t);
        if (rc == -ERR_TYPE && !mistyped)
            bad = r.bad;
        mistyped |= rc == -ERR_TYPE;
    }
    if (at)
        *at = w.at;
    if (rc == 0 || rc == -ERR_TYPE)
        rc = w.err ? w.err : mistyped ? -ERR_TYPE : 0;
    if (field)
        *field = rc == -ERR_TYPE ? bad : r.bad;
    if (rc < 0)
        return rc;
    conclude(&r);
    return 0;
}
