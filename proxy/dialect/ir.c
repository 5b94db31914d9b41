/* ir.c: building blocks of the neutral form that every reader and writer uses: texts in their escaped
 * form, lists, notes, efforts. */
#include "proxy/dialect/ir.h"

#include <stdio.h>

/* --- notes ---------------------------------------------------------------------------------- */

static void note(struct ir_notes *notes, struct str what)
{
    size_t n = strlen(notes->dropped);
    struct str said = str_n(notes->dropped, n), one;
    while (str_cut(&said, ',', &one))
        if (str_eq(str_trim(one), what))
            return;
    static const struct str more = {"more", 4};
    if (n + what.n + 3 + more.n + 2 > sizeof notes->dropped) {
        if (str_ends(str_n(notes->dropped, n), more))
            return;
        what = more;
    }
    if (n) {
        notes->dropped[n++] = ',';
        notes->dropped[n++] = ' ';
    }
    str_copy(notes->dropped + n, sizeof notes->dropped - n, what);
}

void ir_dropped(struct ir_notes *notes, const char *what)
{
    if (!notes)
        return;
    notes->count++;
    note(notes, str_c(what));
}

/* Names from outside go into a header: what does not belong there is left out. */
void ir_dropped_text(struct ir_notes *notes, const char *before, struct str what)
{
    char name[64];
    size_t n = 0;
    if (!notes)
        return;
    str_copy(name, sizeof name, str_c(before));
    n = strlen(name);
    for (size_t i = 0; i < what.n && n + 1 < sizeof name; i++) {
        char c = what.p[i];
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            c == '_' || c == '-' || c == '.')
            name[n++] = c;
    }
    name[n] = 0;
    ir_dropped(notes, name);
}

/* Gemini's parts have no type but the member that they hold. */
void ir_dropped_opaque(struct ir_notes *notes, struct str raw)
{
    struct str type = ir_text(json_get(raw, STR("type")));
    struct json_iter it = json_iter(raw);
    struct json_span key, v;
    while (!type.p && it.object && json_next(&it, &key, &v))
        if (v.type == JSON_OBJECT)
            type = ir_text(key);
    ir_dropped_text(notes, "content.", type);
}

void ir_changed_citations(struct ir_notes *notes, const struct ir_request *r)
{
    for (const struct ir_message *m = r->messages; m; m = m->next)
        for (const struct ir_part *p = m->parts; p; p = p->next)
            if (p->kind == IR_TEXT && p->citations) {
                ir_changed(notes, "citations");
                return;
            }
}

void ir_dropped_citation(struct ir_notes *notes, const struct ir_citation *c)
{
    ir_dropped_text(notes, "citations.", c->type.n ? c->type : STR("file"));
}

bool ir_may_be_called(const struct ir_request *r, struct str name)
{
    const struct ir_name *n = r->tool_choice.only;
    if (!n || !name.p || r->tool_choice.mode == IR_CHOICE_NAMED)
        return true;
    for (; n; n = n->next)
        if (str_eq(n->name, name))
            return true;
    return false;
}

bool ir_leaves_out(const struct ir_tool *t, enum wire w, struct ir_notes *notes)
{
    if (t->name.p || t->origin == w)
        return false;
    if (!t->opened)
        ir_dropped_text(notes, "tools.", t->type);
    return true;
}

void ir_changed(struct ir_notes *notes, const char *what)
{
    if (notes)
        note(notes, str_c(what));
}

/* --- texts ---------------------------------------------------------------------------------- */

struct str ir_text(struct json_span v)
{
    return v.type == JSON_STRING ? str_n(v.raw.p + 1, v.raw.n - 2) : STR_NULL;
}

struct str ir_raw(struct json_span v)
{
    return v.type == JSON_NONE || v.type == JSON_NULL ? STR_NULL : v.raw;
}

enum ir_tri ir_tri_of(struct json_span v)
{
    return v.type == JSON_TRUE ? IR_YES : v.type == JSON_FALSE ? IR_NO : IR_UNSAID;
}

struct str ir_text_of(struct arena *a, struct str plain)
{
    struct buf b;
    buf_init(&b, 6 * plain.n + 16);
    json_quote(&b, plain);
    struct str text = STR_NULL;
    if (!b.err)
        text = arena_str(a, str_n(b.p + 1, b.n - 2));
    buf_fini(&b);
    return text;
}

struct str ir_plain(struct str text, struct arena *a)
{
    if (!text.p || !memchr(text.p, '\\', text.n))
        return text;
    /* the quotes stand around it in what it was read from, except where it was made here */
    struct str quoted = arena_printf(a, "\"" STR_FMT "\"", STR_ARG(text));
    return quoted.p ? json_text(json_value(quoted), a) : STR_NULL;
}

bool ir_is(struct str text, const char *word)
{
    return text.p && str_eq(text, str_c(word));
}

struct str ir_object_of(struct str text, struct arena *a)
{
    struct str plain = str_trim(ir_plain(text, a));
    if (text.n == 0)
        return STR("{}");
    if (!plain.p || json_value(plain).type != JSON_OBJECT || json_check(plain, NULL) < 0)
        return STR_NULL;
    return plain;
}

void ir_set_arguments(struct ir_part *part, struct str text, struct arena *a)
{
    part->arguments = ir_object_of(text, a);
    part->broken = part->arguments.p ? STR_NULL : text;
}

/* --- lists ---------------------------------------------------------------------------------- */

struct ir_message *ir_add_message(struct ir_request *r, struct arena *a, enum ir_role role)
{
    struct ir_message *m = arena_zalloc(a, sizeof *m);
    if (!m)
        return NULL;
    m->role = role;
    if (r->last_message)
        r->last_message->next = m;
    else
        r->messages = m;
    return r->last_message = m;
}

struct ir_part *ir_new_part(struct arena *a, enum ir_part_kind kind, enum wire origin)
{
    struct ir_part *p = arena_zalloc(a, sizeof *p);
    if (p) {
        p->kind = kind;
        p->origin = origin;
    }
    return p;
}

void ir_message_add(struct ir_message *m, struct ir_part *p)
{
    if (m->last)
        m->last->next = p;
    else
        m->parts = p;
    m->last = p;
}

struct ir_part *ir_add_part(struct ir_message *m, struct arena *a, enum ir_part_kind kind)
{
    struct ir_part *p = ir_new_part(a, kind, WIRE_RAW);
    if (p)
        ir_message_add(m, p);
    return p;
}

struct ir_tool *ir_add_tool(struct ir_request *r, struct arena *a)
{
    struct ir_tool *t = arena_zalloc(a, sizeof *t);
    if (!t)
        return NULL;
    t->origin = r->origin;
    if (r->last_tool)
        r->last_tool->next = t;
    else
        r->tools = t;
    return r->last_tool = t;
}

struct ir_choice *ir_add_choice(struct ir_answer *r, struct arena *a)
{
    struct ir_choice *c = arena_zalloc(a, sizeof *c);
    if (!c)
        return NULL;
    if (r->last_choice) {
        c->index = r->last_choice->index + 1;
        r->last_choice->next = c;
    } else {
        r->choices = c;
    }
    return r->last_choice = c;
}

void ir_choice_add(struct ir_choice *c, struct ir_part *p)
{
    if (c->last)
        c->last->next = p;
    else
        c->parts = p;
    c->last = p;
}

bool ir_add_rest(struct ir_request *r, struct arena *a, struct str key, struct str value)
{
    struct ir_member *m = arena_zalloc(a, sizeof *m);
    if (!m)
        return false;
    m->key = key;
    m->value = value;
    if (r->last_rest)
        r->last_rest->next = m;
    else
        r->rest = m;
    r->last_rest = m;
    return true;
}

struct str ir_mime(struct str text)
{
    static const char *const known[] = {"image/png", "image/jpeg", "image/gif", "image/webp", "image/heic",
        "image/heif", "image/svg+xml", "audio/wav", "audio/x-wav", "audio/mpeg", "audio/mp3", "audio/ogg",
        "audio/flac", "audio/aac", "audio/webm", "audio/mp4", "audio/m4a", "video/mp4", "video/webm",
        "video/mpeg", "video/quicktime", "application/pdf", "application/json", "text/plain", "text/html",
        "text/markdown", "text/csv"};
    ptrdiff_t at = str_find(text, STR("\\/"));
    for (size_t i = 0; at >= 0 && i < ARRAY_LEN(known); i++) {
        struct str one = str_c(known[i]);
        size_t slash = (size_t)str_chr(one, '/');
        if (str_eq(str_first(text, (size_t)at), str_first(one, slash)) &&
            str_eq(str_from(text, (size_t)at + 2), str_from(one, slash + 1)))
            return one;
    }
    return text;
}

void ir_set_url(struct ir_media *m, struct str url)
{
    ptrdiff_t comma = str_chr(url, ','), semicolon = str_chr(url, ';');
    m->url = url;
    if (!str_starts(url, STR("data:")) || comma < 0 || semicolon < 0 || semicolon > comma)
        return;
    if (!str_ends(str_first(url, (size_t)comma), STR(";base64")))
        return;
    m->url = STR_NULL;
    m->mime = ir_mime(str_n(url.p + 5, (size_t)semicolon - 5));
    m->data = str_from(url, (size_t)comma + 1);
}

void ir_set_place(struct ir_citation *c, struct json_span start, struct json_span end, int64_t before)
{
    enum { FURTHEST = 1 << 30 };
    int64_t from, to;
    c->start = c->end = IR_PLACE_UNSAID;
    if (json_i64(start, &from) < 0 || json_i64(end, &to) < 0 || from < 0 || to < from || to > FURTHEST)
        return;
    c->start = before + from;
    c->end = before + to;
}

const struct ir_tool *ir_tool_named(const struct ir_request *r, struct str name)
{
    for (const struct ir_tool *t = r ? r->tools : NULL; t; t = t->next)
        if (t->name.p && str_eq(t->name, name))
            return t;
    return NULL;
}

struct str ir_name_of_call(const struct ir_request *r, struct str id)
{
    for (const struct ir_message *m = r->messages; m; m = m->next)
        for (const struct ir_part *p = m->parts; p; p = p->next)
            if (p->kind == IR_CALL && p->id.p && str_eq(p->id, id))
                return p->name;
    return STR_NULL;
}

/* --- ids of calls --------------------------------------------------------------------------- */

/* Calls in their order, found by id: a table of chains, the newest first. */
struct known_call {
    struct ir_part *call;
    struct str id;            /* as it came */
    bool answered;
    struct known_call *next;
};

enum { ID_CHAINS = 256 };

static struct known_call **chain_of(struct known_call *chains[ID_CHAINS], struct str id)
{
    return &chains[str_hash(id) % ID_CHAINS];
}

static bool know_call(struct known_call *chains[ID_CHAINS], struct ir_part *call, struct arena *a)
{
    struct known_call **chain = chain_of(chains, call->id), *k = arena_zalloc(a, sizeof *k);
    unsigned before = 0;
    if (!k)
        return false;
    for (struct known_call *other = *chain; other; other = other->next)
        before += str_eq(other->id, call->id);
    *k = (struct known_call){.call = call, .id = call->id, .next = *chain};
    *chain = k;
    if (before)
        call->id = arena_printf(a, STR_FMT "_%u", STR_ARG(call->id), before + 1);
    return call->id.p != NULL;
}

/* A result is of the first call of the newest turn with this id that has none: in a row of parallel
 * calls the oldest one that is unanswered, unless one of an earlier turn was never answered. */
static void find_call(struct known_call *chains[ID_CHAINS], struct ir_part *result)
{
    struct known_call *found = NULL;
    for (struct known_call *k = *chain_of(chains, result->id); k; k = k->next) {
        if (!str_eq(k->id, result->id))
            continue;
        if (k->answered)
            break;
        found = k;
    }
    if (!found)
        return;
    found->answered = true;
    result->id = found->call->id;
    result->custom = found->call->custom;
}

bool ir_tell_calls_apart(struct ir_request *r, struct arena *a)
{
    struct known_call **chains = arena_zalloc(a, ID_CHAINS * sizeof *chains);
    if (!chains)
        return false;
    for (struct ir_message *m = r->messages; m; m = m->next)
        for (struct ir_part *p = m->parts; p; p = p->next) {
            if (p->kind == IR_CALL && p->id.n && !know_call(chains, p, a))
                return false;
            if (p->kind == IR_RESULT && p->id.n)
                find_call(chains, p);
        }
    return true;
}

/* --- kinds of answer ------------------------------------------------------------------------ */

static const char *const mode_names[] = {"text", "image", "audio"};

unsigned ir_modes_of(struct json_span list)
{
    struct json_iter it = json_iter(list.raw);
    struct json_span k, v;
    unsigned modes = 0;
    while (list.type == JSON_ARRAY && json_next(&it, &k, &v))
        for (unsigned i = 0; i < ARRAY_LEN(mode_names); i++)
            if (str_eq_nocase(ir_text(v), str_c(mode_names[i])))
                modes |= 1u << i;
    return modes;
}

void ir_dropped_modes(struct ir_notes *notes, const struct ir_request *r)
{
    if (r->modes & ~(unsigned)IR_MODE_TEXT)
        ir_dropped(notes, r->origin == WIRE_GENERATE ? "responseModalities" : "modalities");
}

/* --- effort --------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int64_t budget; /* tokens */
} efforts[IR_EFFORT_COUNT] = {
    [IR_EFFORT_UNSAID] = {"", 0},
    [IR_EFFORT_NONE] = {"none", 0},
    [IR_EFFORT_MINIMAL] = {"minimal", 1024},
    [IR_EFFORT_LOW] = {"low", 2048},
    [IR_EFFORT_MEDIUM] = {"medium", 8192},
    [IR_EFFORT_HIGH] = {"high", 16384},
    [IR_EFFORT_XHIGH] = {"xhigh", 24576},
    [IR_EFFORT_MAX] = {"max", 32000},
};

enum ir_effort ir_effort_from(struct str text)
{
    for (int i = IR_EFFORT_NONE; i < IR_EFFORT_COUNT; i++)
        if (ir_is(text, efforts[i].name))
            return (enum ir_effort)i;
    return IR_EFFORT_UNSAID;
}

const char *ir_effort_name(enum ir_effort e)
{
    return (unsigned)e < IR_EFFORT_COUNT ? efforts[e].name : "";
}

int64_t ir_budget_of(enum ir_effort e, int64_t max_output)
{
    int64_t budget = (unsigned)e < IR_EFFORT_COUNT ? efforts[e].budget : 0;
    if (max_output > 0 && budget > max_output * 4 / 5) /* the answer needs room too */
        budget = max_output * 4 / 5;
    return budget;
}

/* The effort whose budget is nearest from above: what one asked for is at least given. */
enum ir_effort ir_effort_of_budget(int64_t budget)
{
    if (budget == IR_BUDGET_UNSAID)
        return IR_EFFORT_UNSAID;
    if (budget == IR_BUDGET_DYNAMIC)
        return IR_EFFORT_MEDIUM;
    for (int i = IR_EFFORT_NONE; i < IR_EFFORT_XHIGH; i++)
        if (budget <= efforts[i].budget)
            return (enum ir_effort)i;
    return IR_EFFORT_HIGH; /* xhigh and max are asked for by name alone: few models take them */
}

/* --- writing -------------------------------------------------------------------------------- */

void ir_put_text(struct json_writer *w, const char *key, struct str text)
{
    if (!text.p)
        return;
    json_put_raw(w, key, STR("\""));
    buf_put_str(w->out, text);
    buf_putc(w->out, '"');
}

void ir_put_raw(struct json_writer *w, const char *key, struct str raw)
{
    if (raw.p)
        json_put_raw(w, key, raw);
}

void ir_put_object_as_text(struct json_writer *w, const char *key, struct str object)
{
    json_put_str(w, key, object.p ? object : STR("{}"));
}

void ir_put_arguments(struct json_writer *w, const char *key, const struct ir_part *call)
{
    if (call->arguments.p) {
        json_put_raw(w, key, call->arguments);
        return;
    }
    json_object_begin(w, key);
    ir_put_text(w, "INVALID_JSON", call->broken);
    json_object_end(w);
}

void ir_put_data_url(struct json_writer *w, const char *key, const struct ir_media *m)
{
    if (!m->data.p) {
        ir_put_text(w, key, m->url);
        return;
    }
    json_put_raw(w, key, STR("\"data:"));
    buf_put_str(w->out, m->mime.p ? m->mime : STR("application/octet-stream"));
    buf_puts(w->out, ";base64,");
    buf_put_str(w->out, m->data);
    buf_putc(w->out, '"');
}
