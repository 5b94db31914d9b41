/* messages.c: the readable form of a request: who said what, tool calls and results, media as a note of
 * type and size, whatever the dialect; and beside it, where the provider spoke another one, what it was
 * told. Made here from the neutral form, so that the console needs to know no dialect.
 *
 * Never re-printed to a provider: for people only. */
#include "proxy/admin/handlers.h"
#include "proxy/admin/kept.h"
#include "proxy/admin/record_view.h"

#include "store/base/json_span.h"

#include <stdio.h>

enum { VIEW_MAX = 64 << 20, SETTINGS_MAX = 32 };

/* ---- parts ---- */

static void put_plain(struct json_writer *w, const char *key, struct str text, struct arena *a)
{
    struct str plain = ir_plain(text, a);
    if (plain.n)
        json_put_str(w, key, plain);
}

static const char *type_of(const struct ir_part *p)
{
    static const char *const kinds[] = {[IR_TEXT] = "text", [IR_MEDIA] = "media",
        [IR_CALL] = "tool_call", [IR_RESULT] = "tool_result", [IR_REASONING] = "thinking",
        [IR_REDACTED] = "thinking", [IR_REFUSAL] = "refusal", [IR_OPAQUE] = "other"};
    static const char *const media[] = {"image", "audio", "document", "video"};
    return p->kind == IR_MEDIA ? media[p->media.kind] : kinds[p->kind];
}

/* "image/png, 12.3 kB": what it is instead of what it holds. */
static struct str media_note(const struct ir_media *m, struct arena *a)
{
    struct str mime = m->mime.n ? m->mime : STR("of unsaid type");
    size_t padding = str_ends(m->data, STR("==")) ? 2 : str_ends(m->data, STR("="));
    double bytes = m->is_text ? (double)m->data.n : (double)(m->data.n / 4 * 3 - padding);
    if (!m->data.p)
        return arena_printf(a, STR_FMT "%s" STR_FMT, STR_ARG(m->mime), m->mime.n ? ", " : "",
            STR_ARG(ir_plain(m->url.n ? m->url : m->file_id, a)));
    if (bytes < 1000)
        return arena_printf(a, STR_FMT ", %.0f bytes", STR_ARG(mime), bytes);
    return bytes < 1e6 ? arena_printf(a, STR_FMT ", %.1f kB", STR_ARG(mime), bytes / 1e3)
                       : arena_printf(a, STR_FMT ", %.1f MB", STR_ARG(mime), bytes / 1e6);
}

struct view {
    struct json_writer *w;
    struct arena *a;
    const struct ir_request *r; /* names of calls, for their results; NULL: an answer's */
    bool unmarked;              /* without what a client moves on with each turn: cache marks */
};

static void put_part(const struct view *v, const struct ir_part *p);

/* A result's texts in one; its other parts follow as parts of their own. */
static void put_result(const struct view *v, const struct ir_part *p)
{
    struct json_writer *w = v->w;
    struct buf text;
    buf_init(&text, VIEW_MAX);
    for (const struct ir_part *c = p->content; c; c = c->next)
        if (c->kind == IR_TEXT) {
            buf_puts(&text, text.n ? "\n" : "");
            buf_put_str(&text, ir_plain(c->text, v->a));
        }
    json_put_str(w, "text", text.n ? buf_str(&text) : STR(""));
    if (p->is_error)
        json_put_bool(w, "error", true);
    json_object_end(w);
    for (const struct ir_part *c = p->content; c; c = c->next)
        if (c->kind != IR_TEXT)
            put_part(v, c);
    buf_fini(&text);
}

static void put_part(const struct view *v, const struct ir_part *p)
{
    struct json_writer *w = v->w;
    struct arena *a = v->a;
    bool result = p->kind == IR_RESULT && !p->name.p && v->r;
    json_object_begin(w, NULL);
    json_put_c(w, "type", type_of(p));
    put_plain(w, "name", result ? ir_name_of_call(v->r, p->id) : p->name, a);
    put_plain(w, "id", p->id, a);
    switch (p->kind) {
    case IR_RESULT:
        put_result(v, p);
        return;
    case IR_CALL:
        json_put_str(w, "text", p->arguments.p ? p->arguments : ir_plain(p->broken, a));
        break;
    case IR_MEDIA:
        json_put_str(w, "text", media_note(&p->media, a));
        break;
    case IR_OPAQUE:
        json_put_str(w, "text", p->raw.p ? p->raw : STR(""));
        break;
    case IR_REDACTED:
        json_put_c(w, "text", "(encrypted: only its maker can read it)");
        break;
    default: {
        struct str text = ir_plain(p->text, a);
        json_put_str(w, "text", text.p ? text : STR(""));
    }
    }
    if (p->cache.p && !v->unmarked)
        json_put_bool(w, "cached", true);
    json_object_end(w);
    for (const struct ir_citation *c = p->citations; c; c = c->next) {
        json_object_begin(w, NULL);
        json_put_c(w, "type", "source");
        put_plain(w, "name", c->title, a);
        json_put_str(w, "text", c->url.n ? ir_plain(c->url, a) : STR(""));
        json_object_end(w);
    }
}

static struct str parts_json(const struct ir_part *parts, const struct ir_request *r, bool unmarked,
    struct arena *a)
{
    struct buf b;
    buf_init(&b, VIEW_MAX);
    struct json_writer w = json_writer(&b);
    struct view v = {.w = &w, .a = a, .r = r, .unmarked = unmarked};
    json_array_begin(&w, NULL);
    for (const struct ir_part *p = parts; p; p = p->next)
        put_part(&v, p);
    json_array_end(&w);
    struct str json = arena_str(a, buf_str(&b));
    buf_fini(&b);
    return json.p ? json : STR("[]");
}

/* ---- messages ---- */

static void put_message(struct json_writer *w, const char *role, bool same, struct str parts)
{
    json_object_begin(w, NULL);
    json_put_c(w, "role", role);
    json_put_bool(w, "same_as_before", same);
    json_put_raw(w, "parts", parts);
    json_object_end(w);
}

/* ---- beside the request before ---- */

/* The request before in the same session, and where this one ceases to begin as that one did: there
 * the provider's prompt cache ends. */
struct since {
    const struct ir_request *before;  /* NULL: none, or another conversation */
    char note[200];
};

static bool is_instruction(const struct ir_message *m)
{
    return m && (m->role == IR_SYSTEM || m->role == IR_DEVELOPER);
}

static bool same_message(const struct ir_message *m, const struct ir_message *old,
    const struct ir_request *r, const struct ir_request *before, struct arena *a)
{
    return m && old && m->role == old->role &&
           str_eq(parts_json(m->parts, r, true, a), parts_json(old->parts, before, true, a));
}

static const struct ir_message *first_said(const struct ir_request *r)
{
    const struct ir_message *m = r->messages;
    while (is_instruction(m))
        m = m->next;
    return m;
}

/* Another conversation of the same session (a helper of the agent): neither the first message nor the
 * one after it is known. */
static bool unrelated(const struct ir_request *r, const struct ir_request *before, struct arena *a)
{
    const struct ir_message *m = first_said(r), *old = first_said(before);
    return !same_message(m, old, r, before, a) &&
           !(m && old && same_message(m->next, old->next, r, before, a));
}

static bool same_tools(const struct ir_request *r, const struct ir_request *before)
{
    const struct ir_tool *t = r->tools, *old = before->tools;
    for (; t && old; t = t->next, old = old->next)
        if (!str_eq(t->name, old->name) || !str_eq(t->description, old->description) ||
            !str_eq(t->schema, old->schema))
            return false;
    return !t && !old;
}

/* Tools and system prompt stand before the messages in what a provider caches. */
static void note_head(struct since *s, const char *what)
{
    if (!s->note[0])
        snprintf(s->note, sizeof s->note, "the %s changed since the request before: the provider's "
            "prompt cache was broken at its beginning", what);
}

static const char *role_name(enum ir_role role)
{
    static const char *const roles[] = {[IR_SYSTEM] = "system", [IR_DEVELOPER] = "developer",
        [IR_USER] = "user", [IR_ASSISTANT] = "assistant", [IR_TOOL] = "tool"};
    return roles[role];
}

static void note_message(struct since *s, const struct ir_message *m, size_t n)
{
    if (m->role == IR_SYSTEM)
        note_head(s, "system prompt");
    else if (!s->note[0])
        snprintf(s->note, sizeof s->note, "message %zu (%s) is not what it was in the request before: "
            "the provider's prompt cache was read up to there", n, role_name(m->role));
}

/* Folds what equals the beginning of the request before. */
static void put_messages(struct json_writer *w, const struct ir_request *r, struct since *s,
    struct arena *a)
{
    const struct ir_message *old = s->before ? s->before->messages : NULL;
    bool same = s->before != NULL;
    size_t n = 0;
    if (same && !same_tools(r, s->before))
        note_head(s, "tools");
    for (const struct ir_message *m = r->messages; m; m = m->next) {
        bool known = same && old;
        n += !is_instruction(m);
        same = known && same_message(m, old, r, s->before, a);
        if (known && !same)
            note_message(s, m, n);
        old = known ? old->next : NULL;
        put_message(w, role_name(m->role), same, parts_json(m->parts, r, false, a));
    }
}

static void put_answer(struct json_writer *w, const struct ir_answer *answer, struct arena *a)
{
    for (const struct ir_choice *c = answer->choices; c; c = c->next)
        put_message(w, "assistant", false, parts_json(c->parts, NULL, false, a));
}

static void put_words(struct json_writer *w, const char *role, struct str text)
{
    json_object_begin(w, NULL);
    json_put_c(w, "role", role);
    json_put_bool(w, "same_as_before", false);
    json_array_begin(w, "parts");
    json_object_begin(w, NULL);
    json_put_c(w, "type", "text");
    json_put_str(w, "text", text);
    json_object_end(w);
    json_array_end(w);
    json_object_end(w);
}

/* ---- what was asked beside the messages ---- */

struct setting {
    const char *name;
    struct str value; /* as it is shown; empty: unsaid */
};

static struct str number(int64_t v, struct arena *a)
{
    return v > 0 ? arena_printf(a, "%lld", (long long)v) : STR_NULL;
}

static struct str thinking(const struct ir_request *r, struct arena *a)
{
    if (r->reasoning.effort)
        return str_c(ir_effort_name(r->reasoning.effort));
    if (r->reasoning.budget > 0)
        return arena_printf(a, "%lld tokens", (long long)r->reasoning.budget);
    return r->reasoning.adaptive ? STR("adaptive") : r->reasoning.budget == 0 ? STR("off")
        : r->reasoning.budget == IR_BUDGET_DYNAMIC ? STR("dynamic") : STR_NULL;
}

static struct str choice(const struct ir_request *r, struct arena *a)
{
    static const char *const modes[] = {"", "auto", "none", "required", "named"};
    if (r->tool_choice.mode == IR_CHOICE_NAMED && r->tool_choice.only)
        return arena_printf(a, "only " STR_FMT, STR_ARG(r->tool_choice.only->name));
    return str_c(modes[r->tool_choice.mode]);
}

static struct str tri(enum ir_tri t)
{
    return t == IR_YES ? STR("yes") : t == IR_NO ? STR("no") : STR_NULL;
}

static int64_t count_tools(const struct ir_request *r)
{
    int64_t n = 0;
    for (const struct ir_tool *t = r->tools; t; t = t->next)
        n += !t->opened;
    return n;
}

static int64_t count_marks(const struct ir_request *r)
{
    int64_t n = 0;
    for (const struct ir_message *m = r->messages; m; m = m->next)
        for (const struct ir_part *p = m->parts; p; p = p->next)
            n += p->cache.p != NULL;
    for (const struct ir_tool *t = r->tools; t; t = t->next)
        n += t->cache.p != NULL;
    return n;
}

static size_t settings_of(const struct ir_request *r, struct arena *a,
    struct setting out[SETTINGS_MAX])
{
    static const char *const formats[] = {"", "text", "json", "json schema"};
    const struct setting all[] = {
        {"max tokens", number(r->max_output, a)}, {"temperature", r->temperature},
        {"top_p", r->top_p}, {"top_k", r->top_k}, {"seed", r->seed}, {"answers", number(r->n, a)},
        {"stop", r->stop}, {"frequency penalty", r->frequency_penalty},
        {"presence penalty", r->presence_penalty}, {"log probabilities", tri(r->logprobs)},
        {"tools", number(count_tools(r), a)}, {"tool choice", choice(r, a)},
        {"parallel calls", tri(r->parallel)}, {"format", str_c(formats[r->format.kind])},
        {"thinking", thinking(r, a)}, {"verbosity", r->verbosity},
        {"service tier", r->service_tier}, {"user", r->user}, {"metadata", r->metadata},
        {"cache key", r->cache_key}, {"cache marks", number(count_marks(r), a)},
    };
    memcpy(out, all, sizeof all);
    return ARRAY_LEN(all);
}

static void put_settings(struct json_writer *w, const struct ir_request *r,
    const struct ir_request *sent, struct arena *a)
{
    struct setting mine[SETTINGS_MAX], theirs[SETTINGS_MAX];
    size_t n = settings_of(r, a, mine);
    settings_of(sent, a, theirs);
    json_array_begin(w, "settings");
    for (size_t i = 0; i < n; i++) {
        if (str_eq(mine[i].value, theirs[i].value))
            continue;
        json_object_begin(w, NULL);
        json_put_c(w, "name", mine[i].name);
        json_put_str(w, "said", mine[i].value.n ? mine[i].value : STR(""));
        json_put_str(w, "sent", theirs[i].value.n ? theirs[i].value : STR(""));
        json_object_end(w);
    }
    json_array_end(w);
}

/* "sent": what the provider was told, in the same form; null where it was asked in the same words. */
static void put_sent(struct json_writer *w, const struct kept *k, const struct ir_request *r,
    const struct record *record)
{
    struct ir_notes notes = {0};
    struct ir_request sent;
    struct err e = {0};
    struct str body = kept_sent(k, r, &notes);
    if (!body.n || spoke_of(k->sent_wire)->read_request(body, k->arena, &sent, &e) < 0) {
        json_put_null(w, "sent");
        return;
    }
    json_object_begin(w, "sent");
    json_put_c(w, "dialect", wire_name(k->sent_wire));
    json_put_str(w, "provider", record->provider);
    json_put_str(w, "changed", record->dropped.n ? record->dropped : str_c(notes.dropped));
    json_array_begin(w, "messages");
    put_messages(w, &sent, &(struct since){0}, k->arena);
    json_array_end(w);
    put_settings(w, r, &sent, k->arena);
    json_put_raw(w, "body", body);
    json_object_end(w);
}

/* ---- the handler: the request before, its body, then this one's body ---- */

static void ask_body(struct call *c, struct str id, call_answered *fn)
{
    struct store_query q = {.kind = STORE_ASK_BODY, .id = id};
    call_ask(c, &q, fn);
}

/* Completions of old and embeddings have no neutral form: one prompt, one text. */
static void put_old(struct json_writer *w, struct call *c, const struct store_body *b)
{
    struct str prompt = json_get_str(b->request, STR("prompt"), &c->arena);
    struct str input = json_get_str(b->request, STR("input"), &c->arena);
    struct json_span text = json_path(b->response, "choices.0.text");
    if (prompt.n || input.n)
        put_words(w, "user", prompt.n ? prompt : input);
    if (text.type == JSON_STRING)
        put_words(w, "assistant", json_text(text, &c->arena));
}

static void put_said(struct json_writer *w, const struct kept *k, const struct store_body *b,
    const struct ir_request *r, const struct ir_request *before)
{
    struct ir_answer answer;
    struct err e = {0};
    struct since since = {.before = before && !unrelated(r, before, k->arena) ? before : NULL};
    put_messages(w, r, &since, k->arena);
    if (b->response.n) {
        int rc = kept_answer(k, b->response, &answer, &e);
        put_answer(w, &answer, k->arena);
        struct dialect_error_read read = {0};
        if (rc < 0)
            dialect_read_error(b->response, k->arena, &read);
        if (rc < 0)
            put_words(w, "error", read.message.n ? read.message : str_c(e.text));
    }
    json_array_end(w);
    json_put_c(w, "cache_note", since.note);
}

static void messages_answered(struct call *c, struct store_answer *a)
{
    struct kept k;
    struct ir_request r, before;
    struct err e = {0};
    if (a->rc < 0) {
        call_error(c, 404, "no_body", "no body is kept of this request (capture)");
        return;
    }
    struct json_writer *w = call_begin(c);
    kept_init(&k, c, call_record(c));
    struct str previous = call_previous(c);
    bool had = previous.n && kept_request(&k, previous, &before, &e) == 0;
    json_array_begin(w, "messages");
    if (kept_request(&k, a->body.request, &r, &e) == 0) {
        put_said(w, &k, &a->body, &r, had ? &before : NULL);
        json_put_c(w, "dialect", wire_name(k.wire));
        put_sent(w, &k, &r, call_record(c));
    } else {
        put_old(w, c, &a->body);
        json_array_end(w);
    }
    json_put_bool(w, "cut", a->body.request_cut);
    call_send_redacted(c);
}

static void previous_body_answered(struct call *c, struct store_answer *a)
{
    if (a->rc == 0)
        call_set_previous(c, arena_str(&c->arena, a->body.request));
    ask_body(c, call_record(c)->id, messages_answered);
}

static void previous_answered(struct call *c, struct store_answer *a)
{
    if (a->rc == 0 && a->n)
        ask_body(c, arena_str(&c->arena, a->records[0].id), previous_body_answered);
    else
        ask_body(c, call_record(c)->id, messages_answered);
}

static void show_messages(struct call *c)
{
    const struct record *r = call_record(c);
    struct store_query q = {.kind = STORE_ASK_EXCHANGES, .limit = 1, .session = r->session,
        .model = r->model, .to_ms = r->time_ms};
    if (!call_may_read(c, r))
        call_error(c, 403, "denied", "access.bodies does not let you read this request's bodies");
    else if (r->session.n)
        call_ask(c, &q, previous_answered);
    else
        ask_body(c, r->id, messages_answered);
}

void get_messages(struct call *c)
{
    call_with_record(c, show_messages);
}
