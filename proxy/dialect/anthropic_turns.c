/* anthropic_turns.c: the neutral messages → `system` and `messages` of a Messages request.
 *
 * The API is strict: the first turn is the user's; every result of a turn stands in one user message,
 * right after the calls, before any text; a text block is never blank; a final assistant text has no
 * blanks at its end; ids are of [a-zA-Z0-9_-]. */
#include "proxy/dialect/anthropic.h"
#include "proxy/dialect/media.h"

bool messages_is_blank(struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (strchr(" \t\r\n", text.p[i]))
            continue;
        if (text.p[i] != '\\' || i + 1 >= text.n || !strchr("ntr", text.p[i + 1]))
            return false;
        i++;
    }
    return true;
}

/* Without blanks at the end, as text of a JSON string: "\n" counts as one. */
static struct str without_tail(struct str text)
{
    while (text.n) {
        char c = text.p[text.n - 1];
        size_t slashes = 0;
        if (c == ' ') {
            text.n--;
            continue;
        }
        while (slashes + 1 < text.n && text.p[text.n - 2 - slashes] == '\\')
            slashes++;
        if (!strchr("ntr", c) || slashes % 2 == 0)
            return text;
        text.n -= 2;
    }
    return text;
}

void messages_put_id(struct json_writer *w, const char *key, struct str id)
{
    char clean[128];
    size_t n = MIN(id.n, sizeof clean);
    for (size_t i = 0; i < n; i++) {
        char c = id.p[i];
        bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '_' || c == '-';
        clean[i] = fits ? c : '_';
    }
    json_put_str(w, key, n ? str_n(clean, n) : STR("call_0"));
}

/* --- blocks ----------------------------------------------------------------------------------- */

static void put_text(struct json_writer *w, struct str text, struct str cache)
{
    json_object_begin(w, NULL);
    json_put_c(w, "type", "text");
    ir_put_text(w, "text", text);
    ir_put_raw(w, "cache_control", cache);
    json_object_end(w);
}

static void put_source(struct json_writer *w, const struct ir_media *m)
{
    json_object_begin(w, "source");
    if (m->data.p && m->is_text) {
        json_put_c(w, "type", "text");
        json_put_c(w, "media_type", "text/plain");
        ir_put_text(w, "data", m->data);
    } else if (m->data.p) {
        json_put_c(w, "type", "base64");
        ir_put_text(w, "media_type", m->mime.n ? m->mime : m->kind == IR_IMAGE
            ? STR("image/png") : STR("application/pdf"));
        ir_put_text(w, "data", m->data);
    } else if (m->url.p) {
        json_put_c(w, "type", "url");
        ir_put_text(w, "url", m->url);
    } else {
        json_put_c(w, "type", "file");
        ir_put_text(w, "file_id", m->file_id);
    }
    json_object_end(w);
}

static bool says_media(const struct ir_part *p)
{
    const struct ir_media *m = &p->media;
    return (m->kind == IR_IMAGE || m->kind == IR_DOCUMENT) && !media_is_elsewhere(p, WIRE_MESSAGES) &&
           (m->data.p || m->url.p || m->file_id.p);
}

static bool put_media(struct json_writer *w, const struct ir_part *p, struct ir_notes *notes)
{
    const struct ir_media *m = &p->media;
    if (p->origin == WIRE_MESSAGES) { /* with its context and what is to be cited */
        json_put_raw(w, NULL, p->raw);
        return true;
    }
    if (!says_media(p)) {
        if (media_is_elsewhere(p, WIRE_MESSAGES))
            media_drop_file(notes, p);
        else
            media_dropped(notes, m);
        return false;
    }
    json_object_begin(w, NULL);
    json_put_c(w, "type", m->kind == IR_IMAGE ? "image" : "document");
    put_source(w, m);
    if (m->kind == IR_DOCUMENT)
        ir_put_text(w, "title", m->filename);
    ir_put_raw(w, "cache_control", p->cache);
    json_object_end(w);
    return true;
}

static void put_call(struct json_writer *w, const struct ir_part *p)
{
    json_object_begin(w, NULL);
    json_put_c(w, "type", "tool_use");
    messages_put_id(w, "id", p->id);
    ir_put_text(w, "name", p->name);
    ir_put_arguments(w, "input", p);
    ir_put_raw(w, "cache_control", p->cache);
    json_object_end(w);
}

static bool put_part(struct json_writer *w, const struct ir_part *p, bool thinking,
    struct ir_notes *notes);

static void put_result(struct json_writer *w, const struct ir_part *p, struct ir_notes *notes)
{
    json_object_begin(w, NULL);
    json_put_c(w, "type", "tool_result");
    messages_put_id(w, "tool_use_id", p->id);
    if (p->content && !p->content->next && p->content->kind == IR_TEXT && !p->content->cache.p) {
        ir_put_text(w, "content", p->content->text);
    } else if (p->content) {
        json_array_begin(w, "content");
        for (const struct ir_part *c = p->content; c; c = c->next)
            put_part(w, c, false, notes);
        json_array_end(w);
    }
    if (p->is_error)
        json_put_bool(w, "is_error", true);
    ir_put_raw(w, "cache_control", p->cache);
    json_object_end(w);
}

/* Thinking goes back to its maker only, and only where this turn may think. */
static bool put_thought(struct json_writer *w, const struct ir_part *p, bool thinking,
    struct ir_notes *notes)
{
    if (p->origin != WIRE_MESSAGES || !p->signature.n) {
        ir_changed(notes, "reasoning");
        return false;
    }
    if (!thinking)
        return false;
    json_object_begin(w, NULL);
    if (p->kind == IR_REASONING) {
        json_put_c(w, "type", "thinking");
        ir_put_text(w, "thinking", p->text);
        ir_put_text(w, "signature", p->signature);
    } else {
        json_put_c(w, "type", "redacted_thinking");
        ir_put_text(w, "data", p->signature);
    }
    json_object_end(w);
    return true;
}

/* True when something was written. */
static bool put_part(struct json_writer *w, const struct ir_part *p, bool thinking,
    struct ir_notes *notes)
{
    switch (p->kind) {
    case IR_TEXT:
    case IR_REFUSAL:
        if (!p->text.p || messages_is_blank(p->text))
            return false;
        if (p->citations && p->origin == WIRE_MESSAGES)
            json_put_raw(w, NULL, p->raw);
        else
            put_text(w, p->text, p->cache);
        return true;
    case IR_MEDIA:
        return put_media(w, p, notes);
    case IR_CALL:
        put_call(w, p);
        return true;
    case IR_RESULT:
        put_result(w, p, notes);
        return true;
    case IR_REASONING:
    case IR_REDACTED:
        return put_thought(w, p, thinking, notes);
    case IR_OPAQUE:
        if (p->origin == WIRE_MESSAGES)
            json_put_raw(w, NULL, p->raw);
        else
            ir_dropped_opaque(notes, p->raw);
        return p->origin == WIRE_MESSAGES;
    }
    return false;
}

/* --- system ----------------------------------------------------------------------------------- */

/* Of other dialects all instructions go to the top; Anthropic's own newest models take them in the
 * middle too, and there they stay. */
static bool is_system(const struct ir_request *r, const struct ir_message *m)
{
    return (m->role == IR_SYSTEM || m->role == IR_DEVELOPER) &&
           (r->origin != WIRE_MESSAGES || m == r->messages);
}

void messages_put_system(struct json_writer *w, const struct ir_request *r, struct str more,
    struct ir_notes *notes)
{
    const struct ir_part *only = NULL;
    size_t n = more.n != 0;
    for (const struct ir_message *m = r->messages; m; m = m->next)
        for (const struct ir_part *p = is_system(r, m) ? m->parts : NULL; p; p = p->next) {
            only = p;
            n++;
        }
    if (n == 0)
        return;
    if (n == 1 && only && only->kind == IR_TEXT && !only->cache.p) {
        if (!messages_is_blank(only->text))
            ir_put_text(w, "system", only->text);
        return;
    }
    json_array_begin(w, "system");
    for (const struct ir_message *m = r->messages; m; m = m->next)
        for (const struct ir_part *p = is_system(r, m) ? m->parts : NULL; p; p = p->next)
            if (p->kind == IR_TEXT && !messages_is_blank(p->text))
                put_text(w, p->text, p->cache);
            else if (p->kind != IR_TEXT)
                ir_dropped(notes, "system.content");
    if (more.n)
        put_text(w, more, STR_NULL);
    json_array_end(w);
}

/* --- turns ------------------------------------------------------------------------------------ */

enum side { SIDE_NONE, SIDE_USER, SIDE_ASSISTANT, SIDE_SYSTEM };

static enum side side_of(const struct ir_message *m)
{
    if (m->role == IR_SYSTEM)
        return SIDE_SYSTEM;
    return m->role == IR_ASSISTANT ? SIDE_ASSISTANT : SIDE_USER;
}

struct turns {
    struct json_writer *w;
    enum side open;
};

static void begin_turn(struct turns *t, enum side side)
{
    if (t->open == side)
        return;
    if (t->open != SIDE_NONE) {
        json_array_end(t->w);
        json_object_end(t->w);
    } else if (side == SIDE_ASSISTANT) { /* a conversation is begun by the user */
        json_put_raw(t->w, NULL,
            STR("{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"(continued)\"}]}"));
    }
    json_object_begin(t->w, NULL);
    static const char *const roles[] = {"", "user", "assistant", "system"};
    json_put_c(t->w, "role", roles[side]);
    json_array_begin(t->w, "content");
    t->open = side;
}

/* Is anything of this part written at all? A turn is begun only for something. */
static bool says_something(const struct ir_part *p, bool thinking)
{
    if (p->kind == IR_TEXT || p->kind == IR_REFUSAL)
        return p->text.p && !messages_is_blank(p->text);
    if (p->kind == IR_REASONING || p->kind == IR_REDACTED)
        return thinking && p->origin == WIRE_MESSAGES && p->signature.n;
    if (p->kind == IR_MEDIA)
        return says_media(p);
    return p->kind != IR_OPAQUE || p->origin == WIRE_MESSAGES;
}

/* Anthropic wants what was thought before what was called, whatever order the parts came in. */
static bool in_pass(const struct ir_part *p, int pass)
{
    bool thought = p->kind == IR_REASONING || p->kind == IR_REDACTED;
    return pass == 0 ? thought : !thought;
}

static bool in_order(const struct ir_message *m)
{
    return m->role != IR_ASSISTANT || !m->parts || m->parts->origin == WIRE_MESSAGES;
}

static void put_message(struct turns *t, const struct ir_message *m, bool thinking, bool last,
    struct ir_notes *notes)
{
    for (int pass = in_order(m) ? 2 : 0; pass < 3; pass++) {
        if (pass == 2 && !in_order(m))
            break;
        for (const struct ir_part *p = m->parts; p; p = p->next) {
            if (pass < 2 && !in_pass(p, pass))
                continue;
            if (p->kind == IR_MEDIA && m->role == IR_ASSISTANT) { /* what a model made */
                media_dropped(notes, &p->media);
                continue;
            }
            if (!says_something(p, thinking)) {
                put_part(t->w, p, false, notes); /* for its note */
                continue;
            }
            begin_turn(t, side_of(m));
            if (last && !p->next && p->kind == IR_TEXT)
                put_text(t->w, without_tail(p->text), p->cache);
            else
                put_part(t->w, p, thinking, notes);
        }
    }
}

void messages_put_turns(struct json_writer *w, const struct ir_request *r, bool thinking,
    struct ir_notes *notes)
{
    struct turns t = {.w = w};
    json_array_begin(w, "messages");
    for (const struct ir_message *m = r->messages; m; m = m->next)
        if (!is_system(r, m))
            put_message(&t, m, thinking, !m->next && m->role == IR_ASSISTANT, notes);
    if (t.open == SIDE_NONE) { /* instructions alone: the API wants a turn */
        begin_turn(&t, SIDE_USER);
        put_text(w, STR("(begin)"), STR_NULL);
    }
    json_array_end(w);
    json_object_end(w);
    json_array_end(w);
}
