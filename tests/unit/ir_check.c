/* ir_check.c: see ir_check.h. */
#include "tests/unit/ir_check.h"

/* --- lines ---------------------------------------------------------------------------------- */


static void say(struct buf *b, const char *what, struct str text)
{
    if (text.p)
        buf_printf(b, " %s=<" STR_FMT ">", what, STR_ARG(text));
}

/* Escapes as they are written differ ("\u003c" and "<"): compared decoded. */
static void say_text(struct buf *b, const char *what, struct str text)
{
    struct arena a;
    arena_init(&a, 4096, BUF_NO_LIMIT);
    say(b, what, ir_plain(text, &a));
    arena_fini(&a);
}

/* JSON without blanks between its tokens. */
static void say_json(struct buf *b, const char *what, struct str raw)
{
    struct json_walk w = json_walk(raw);
    struct json_token t;
    struct arena a;
    if (!raw.p)
        return;
    arena_init(&a, 4096, BUF_NO_LIMIT);
    buf_printf(b, " %s=", what);
    while (json_walk_next(&w, &t)) {
        if (t.key.type == JSON_STRING)
            buf_printf(b, STR_FMT ":", STR_ARG(t.key.raw));
        if (t.end)
            buf_putc(b, t.type == JSON_OBJECT ? '}' : ']');
        else if (t.type == JSON_STRING)
            buf_printf(b, "<" STR_FMT ">,", STR_ARG(ir_plain(str_n(t.raw.p + 1, t.raw.n - 2), &a)));
        else
            buf_printf(b, STR_FMT "%s", STR_ARG(t.raw), t.type >= JSON_NUMBER ? "," : "");
    }
    arena_fini(&a);
}

static void say_media(struct buf *b, const struct ir_media *m)
{
    if (m->data.p) /* of an address some dialects don't say it */
        say(b, "mime", m->mime);
    if (m->data.p) {
        struct arena a;
        arena_init(&a, 4096, BUF_NO_LIMIT);
        struct str data = ir_plain(m->data, &a);
        buf_printf(b, " data=%zu:%llx", data.n, (unsigned long long)str_hash(data));
        arena_fini(&a);
    }
    say_text(b, "url", m->url);
    say(b, "file", m->file_id);
}

static void say_part(struct buf *b, const struct ir_part *p, int how)
{
    static const char *const kinds[] = {"text", "media", "call", "result", "reasoning", "redacted",
        "refusal", "opaque"};
    bool thought = p->kind == IR_REASONING || p->kind == IR_REDACTED || p->kind == IR_OPAQUE;
    if (how == SAY_COMMON && (thought || (p->kind == IR_TEXT && !p->text.n)))
        return;
    buf_printf(b, "%s", how == SAY_COMMON && p->kind == IR_REFUSAL ? "text" : kinds[p->kind]);
    say_text(b, "text", p->text);
    say(b, "id", p->id);
    if (p->kind != IR_RESULT || how == SAY_ALL)
        say_text(b, "name", p->name);
    if (p->arguments.p)
        say_json(b, "args", p->arguments);
    say_text(b, "broken", p->broken);
    if (p->kind == IR_MEDIA)
        say_media(b, &p->media);
    if (how == SAY_ALL) {
        say(b, "sig", p->signature);
        if (p->kind == IR_OPAQUE)
            say_json(b, "raw", p->raw);
    }
    if (p->kind == IR_RESULT) {
        buf_printf(b, "%s {", p->is_error ? " error" : "");
        for (const struct ir_part *q = p->content; q; q = q->next)
            say_part(b, q, how);
        buf_puts(b, "}");
    }
    for (const struct ir_citation *c = p->citations; c && how == SAY_ALL; c = c->next) {
        say_text(b, "cites", c->url);
        say_text(b, "title", c->title);
        say_text(b, "of", c->cited);
        say_text(b, "file", c->file_id);
        buf_printf(b, " at %lld-%lld", (long long)c->start, (long long)c->end);
    }
    buf_puts(b, "\n");
}

/* Texts in a row are one in dialects without parts. */
static void say_parts(struct buf *b, const struct ir_part *p, int how)
{
    bool in_text = false;
    for (; p; p = p->next) {
        bool text = p->kind == IR_TEXT || p->kind == IR_REFUSAL;
        bool thought = p->kind == IR_REASONING || p->kind == IR_REDACTED || p->kind == IR_OPAQUE;
        if (how == SAY_ALL) {
            say_part(b, p, how);
            continue;
        }
        if (thought || (text && !p->text.n))
            continue;
        if (in_text && text)
            b->n -= 2; /* ">\n" */
        if (!text) {
            say_part(b, p, how);
        } else if (in_text) {
            struct arena a;
            arena_init(&a, 4096, BUF_NO_LIMIT);
            buf_put_str(b, ir_plain(p->text, &a));
            buf_puts(b, ">\n");
            arena_fini(&a);
        } else {
            buf_puts(b, "text");
            say_text(b, "text", p->text);
            buf_puts(b, "\n");
        }
        in_text = text;
    }
}

static void say_tool(struct buf *b, const struct ir_tool *t, int how)
{
    if (how == SAY_COMMON && !t->name.p)
        return;
    buf_puts(b, "tool");
    say_text(b, "name", t->name);
    if (t->description.n)
        say_text(b, "about", t->description);
    if (t->schema.p && json_count(json_get(t->schema, STR("properties"))))
        say_json(b, "schema", t->schema);
    if (how == SAY_ALL && !t->name.p)
        say_json(b, "raw", t->raw);
    buf_puts(b, "\n");
}

struct str say_request(struct buf *b, const struct ir_request *r, int how)
{
    static const char *const roles[] = {"system", "developer", "user", "assistant", "tool"};
    int role = -1;
    for (const struct ir_message *m = r->messages; m; m = m->next) {
        bool system = m->role <= IR_DEVELOPER && how == SAY_COMMON;
        if (role != (int)m->role)
            buf_printf(b, "[%s]\n", roles[system ? IR_SYSTEM : m->role]);
        role = (int)m->role;
        for (const struct ir_part *p = m->parts; p; p = p->next)
            say_part(b, p, how);
    }
    for (const struct ir_tool *t = r->tools; t; t = t->next)
        say_tool(b, t, how);
    buf_printf(b, "choice %d", r->tool_choice.mode);
    for (const struct ir_name *n = r->tool_choice.only; n; n = n->next)
        say(b, "only", n->name);
    buf_printf(b, "\nmax %lld", (long long)r->max_output);
    say(b, "temperature", r->temperature);
    say(b, "top_p", r->top_p);
    if (r->format.kind > IR_FORMAT_TEXT || how == SAY_ALL)
        buf_printf(b, "\nformat %d", r->format.kind);
    say_json(b, "schema", r->format.schema);
    if (how == SAY_ALL) {
        buf_printf(b, "\nreasoning %d %lld %d", r->reasoning.effort, (long long)r->reasoning.budget,
            r->reasoning.shown);
        say(b, "top_k", r->top_k);
        say(b, "seed", r->seed);
        say_json(b, "stop", r->stop);
        buf_printf(b, " n=%lld logprobs=%d", (long long)r->n, r->logprobs);
        for (int inner = 0; inner <= 2; inner++) /* in any order: by their depth here */
            for (const struct ir_member *m = r->rest; m; m = m->next) {
                int depth = str_starts(m->key, STR("generationConfig.")) ? 2 : str_chr(m->key, '.') >= 0;
                if (depth != inner)
                    continue;
                buf_puts(b, "\nrest");
                say(b, "key", m->key);
                say_json(b, "value", m->value);
            }
    }
    buf_puts(b, "\n");
    return buf_str(b);
}

static void say_usage(struct buf *b, const struct usage *u)
{
    buf_printf(b, "usage in %lld cached %lld written %lld out %lld reasoning %lld extra %lld\n",
        (long long)u->input, (long long)u->cached, (long long)(u->cache_write_5m + u->cache_write_1h),
        (long long)u->output, (long long)u->reasoning, (long long)u->extra_input);
}

struct str say_answer(struct buf *b, const struct ir_answer *r, int how)
{
    if (how == SAY_ALL) {
        say(b, "id", r->id);
        say_text(b, "model", r->model);
    }
    buf_puts(b, "\n");
    for (const struct ir_choice *c = r->choices; c; c = c->next) {
        buf_printf(b, "choice %u\n", c->index);
        say_parts(b, c->parts, how);
        buf_printf(b, "finish %d", c->finish);
        if (how == SAY_ALL)
            say_json(b, "logprobs", c->logprobs);
        buf_puts(b, "\n");
    }
    if (how == SAY_ALL)
        say_usage(b, &r->usage);
    return buf_str(b);
}

/* --- streams -------------------------------------------------------------------------------- */


void heard_init(struct heard *h)
{
    *h = (struct heard){.open = -1};
    buf_init(&h->lines, 64 << 20);
    buf_init(&h->text, 64 << 20);
    buf_init(&h->name, 64 << 20);
    buf_init(&h->texts, 64 << 20);
}

void heard_fini(struct heard *h)
{
    buf_fini(&h->lines);
    buf_fini(&h->text);
    buf_fini(&h->name);
    buf_fini(&h->texts);
}

static void heard_texts(struct heard *h)
{
    if (!h->texts.n)
        return;
    buf_printf(&h->lines, "%u text", h->choice);
    say_text(&h->lines, "text", buf_str(&h->texts));
    buf_puts(&h->lines, "\n");
    buf_reset(&h->texts);
}

static void heard_end(struct heard *h)
{
    static const char *const kinds[] = {[IR_EV_TEXT] = "text", [IR_EV_REASONING] = "reasoning",
        [IR_EV_REFUSAL] = "refusal", [IR_EV_CALL_START] = "call"};
    bool skip = h->how == SAY_COMMON && h->open == IR_EV_REASONING;
    bool text = h->open == IR_EV_TEXT || h->open == IR_EV_REFUSAL;
    if (h->open < 0)
        return;
    if (h->how == SAY_COMMON && text) { /* joined until something else comes */
        buf_put_str(&h->texts, buf_str(&h->text));
        buf_reset(&h->text);
        buf_reset(&h->name);
        h->open = -1;
        return;
    }
    if (!skip)
        heard_texts(h);
    if (!skip && (h->text.n || h->name.n)) {
        buf_printf(&h->lines, "%u %s" STR_FMT, h->choice, kinds[h->open],
            STR_ARG(buf_str(&h->name)));
        say_text(&h->lines, "text", buf_str(&h->text));
        buf_puts(&h->lines, "\n");
    }
    buf_reset(&h->text);
    buf_reset(&h->name);
    h->open = -1;
}

static void heard_event(void *ctx, const struct ir_event *ev)
{
    struct heard *h = ctx;
    int kind = ev->kind == IR_EV_CALL_ARGS ? IR_EV_CALL_START : (int)ev->kind;
    assert_false(h->done || h->failed);
    if (h->to)
        stream_write_event(h->to, ev, h->out);
    if (ev->choice && h->first_only)
        return;
    if (ev->kind != IR_EV_START && ev->kind != IR_EV_PING && ev->kind != IR_EV_ERROR)
        assert_true(h->started);
    switch (ev->kind) {
    case IR_EV_START:
        assert_false(h->started);
        h->started = true;
        return;
    case IR_EV_TEXT:
    case IR_EV_REASONING:
    case IR_EV_REFUSAL:
    case IR_EV_CALL_START:
    case IR_EV_CALL_ARGS:
        if (ev->kind == IR_EV_CALL_ARGS || h->open >= 0)
            assert_int_equal(h->open, kind); /* parts are not interleaved */
        if (h->open >= 0) {
            assert_int_equal(h->choice, ev->choice);
            assert_int_equal(h->part, ev->part);
        }
        h->open = kind;
        h->choice = ev->choice;
        h->part = ev->part;
        buf_put_str(&h->text, ev->text);
        if (ev->kind == IR_EV_CALL_START) {
            say(&h->name, "id", ev->id);
            say_text(&h->name, "name", ev->name);
            if (h->how == SAY_ALL)
                say(&h->name, "sig", ev->signature);
        }
        return;
    case IR_EV_SIGNATURE:
        if (h->how == SAY_ALL)
            say(&h->name, "sig", ev->signature);
        if (h->open < 0)
            h->open = IR_EV_REASONING;
        h->choice = ev->choice;
        h->part = ev->part;
        return;
    case IR_EV_REDACTED:
    case IR_EV_OPAQUE:
        heard_end(h);
        if (h->how == SAY_ALL) {
            buf_printf(&h->lines, "%u whole", ev->choice);
            say(&h->lines, "sig", ev->signature);
            say_json(&h->lines, "raw", ev->raw);
            buf_puts(&h->lines, "\n");
        }
        return;
    case IR_EV_MEDIA: /* sound comes beside a text */
        if (ev->media->kind != IR_AUDIO)
            heard_end(h);
        if (h->how == SAY_ALL) {
            buf_printf(&h->lines, "%u media %d", ev->choice, ev->media->kind);
            say_media(&h->lines, ev->media);
            buf_puts(&h->lines, "\n");
        }
        return;
    case IR_EV_CITATION:
        if (h->how == SAY_ALL) {
            buf_puts(&h->lines, "cites");
            say_text(&h->lines, "url", ev->citation->url);
            say_text(&h->lines, "title", ev->citation->title);
            buf_printf(&h->lines, " at %lld-%lld", (long long)ev->citation->start,
                (long long)ev->citation->end);
            buf_puts(&h->lines, "\n");
        }
        return;
    case IR_EV_PART_END:
        heard_end(h);
        return;
    case IR_EV_FINISH:
        assert_int_equal(h->open, -1);
        heard_texts(h);
        buf_printf(&h->lines, "%u finish %d\n", ev->choice, ev->finish);
        return;
    case IR_EV_USAGE:
        h->usage = *ev->usage;
        h->said_usage = true;
        return;
    case IR_EV_ERROR:
        h->failed = true;
        h->error_status = ev->error->status;
        snprintf(h->error, sizeof h->error, STR_FMT, STR_ARG(ev->error->message));
        return;
    case IR_EV_PING:
        return;
    case IR_EV_DONE:
        h->done = true;
        return;
    }
}

void run_stream(enum wire w, const struct spoke_quirks *q, struct str bytes, long size,
    struct heard *h)
{
    struct arena a;
    struct sse sse;
    struct sse_event ev;
    arena_init(&a, 4096, 1 << 20);
    sse_init(&sse, 16 << 20);
    struct stream_reader *s = stream_reader_new(w, q, &a, heard_event, h);
    assert_non_null(s);
    for (size_t at = 0; at < bytes.n;) {
        size_t n = size == 0 ? bytes.n : size > 0 ? (size_t)size : 1 + (size_t)rand() % 97;
        struct str piece = str_first(str_from(bytes, at), n);
        assert_int_equal(sse_feed(&sse, piece), 0);
        while (sse_next(&sse, &ev))
            if (ev.has_data)
                stream_read(s, ev.name, ev.data);
        at += piece.n;
    }
    if (sse_finish(&sse, &ev) && ev.has_data)
        stream_read(s, ev.name, ev.data);
    stream_read_end(s);
    stream_reader_fini(s);
    sse_fini(&sse);
    arena_fini(&a);
    heard_end(h);
    heard_texts(h);
}

void translate_stream(enum wire from, const struct spoke_quirks *q, struct str bytes,
    long size, enum wire to, const struct spoke_client *client, struct buf *out)
{
    struct arena a;
    struct heard h;
    struct ir_notes notes = {0};
    heard_init(&h);
    arena_init(&a, 4096, 1 << 20);
    h.first_only = true;
    h.to = stream_writer_new(to, client, &notes, &a);
    h.out = out;
    run_stream(from, q, bytes, size, &h);
    stream_writer_fini(h.to);
    arena_fini(&a);
    heard_fini(&h);
    assert_int_equal(out->err, 0);
}

/* --- recorded exchanges --------------------------------------------------------------------- */


unsigned each_fixture(const char *dialect, const char *mode,
    void (*fn)(const struct fixture *f, void *ctx), void *ctx)
{
    struct exchanges x = {.turn = 0};
    unsigned n = 0;
    while (exchange_next(&x)) {
        struct fixture f = {.dir = x.dir};
        int64_t status = 0;
        (void)str_to_i64(column(x.line, 4), &status);
        str_copy(f.provider, sizeof f.provider, x.provider);
        str_copy(f.name, sizeof f.name, x.name);
        str_copy(f.dialect, sizeof f.dialect, column(x.line, 2));
        str_copy(f.mode, sizeof f.mode, column(x.line, 3));
        str_copy(f.file, sizeof f.file, column(x.line, 6));
        f.status = (int)status;
        if (strcmp(f.dialect, dialect) || (mode && strcmp(f.mode, mode)))
            continue;
        fn(&f, ctx);
        n++;
    }
    assert_true(n > 0); /* the repository's own, at least */
    return n;
}

void assert_all_said(struct str from, struct str to, const char *name)
{
    struct json_walk w = json_walk(from), v;
    struct json_token t, u;
    struct arena a;
    arena_init(&a, 1 << 16, BUF_NO_LIMIT);
    while (json_walk_next(&w, &t)) {
        if (t.end || (t.type != JSON_STRING && t.type != JSON_NUMBER) || t.raw.n == 2)
            continue;
        if (t.key.type == JSON_STRING && json_text_eq(t.key, STR("role")))
            continue;
        struct json_span one = {t.type, t.raw};
        struct str plain = t.type == JSON_STRING ? json_text(one, &a) : t.raw;
        bool found = false;
        v = json_walk(to);
        while (!found && json_walk_next(&v, &u)) {
            struct json_span other = {u.type, u.raw};
            if (u.end || (u.type != JSON_STRING && u.type != JSON_NUMBER))
                continue;
            struct str text = u.type == JSON_STRING ? json_text(other, &a) : u.raw;
            found = str_eq_nocase(text, plain);
        }
        if (!found)
            fail_msg("%s: " STR_FMT " is lost in " STR_FMT, name, STR_ARG(str_first(t.raw, 200)),
                STR_ARG(str_first(to, 3000)));
    }
    assert_int_equal(w.err, 0);
    arena_fini(&a);
}

void assert_same_lines(struct str a, struct str b, const char *name)
{
    size_t at = 0;
    if (str_eq(a, b))
        return;
    while (at < a.n && at < b.n && a.p[at] == b.p[at])
        at++;
    size_t from = at > 160 ? at - 160 : 0;
    fail_msg("%s: differs at byte %zu\n--- " STR_FMT "\n+++ " STR_FMT, name, at,
        STR_ARG(str_first(str_from(a, from), 700)), STR_ARG(str_first(str_from(b, from), 700)));
}

/* --- rounds --------------------------------------------------------------------------------- */

enum { ROUND_MAX = 64 << 20 };

struct round {
    struct arena a;
    struct ir_notes notes;
    struct err e;
    struct buf there, back, before, after;
};

static void round_init(struct round *r)
{
    *r = (struct round){.notes = {.count = 0}};
    arena_init(&r->a, 1 << 16, ROUND_MAX);
    buf_init(&r->there, ROUND_MAX);
    buf_init(&r->back, ROUND_MAX);
    buf_init(&r->before, ROUND_MAX);
    buf_init(&r->after, ROUND_MAX);
}

static void round_fini(struct round *r)
{
    buf_fini(&r->there);
    buf_fini(&r->back);
    buf_fini(&r->before);
    buf_fini(&r->after);
    arena_fini(&r->a);
}

static void read_request(struct round *r, enum wire w, struct str body, struct ir_request *out,
    const char *name)
{
    if (spoke_of(w)->read_request(body, &r->a, out, &r->e) < 0)
        fail_msg("%s: %s", name, r->e.text);
}

static void write_request(struct round *r, enum wire w, const struct ir_request *request,
    const struct spoke_target *t, struct buf *out, const char *name)
{
    if (spoke_of(w)->write_request(request, t, out, &r->notes, &r->e) < 0)
        fail_msg("%s: %s", name, r->e.text);
    if (json_check(buf_str(out), NULL) < 0)
        fail_msg("%s: not JSON: " STR_FMT, name, STR_ARG(buf_str(out)));
}

void check_request_comes_back(const struct fixture *f, void *ctx)
{
    const struct request_check *c = ctx;
    struct str body = f->status == 200 || c->all ? shared_read(f->dir, "request.json") : STR_NULL;
    struct ir_request one, two;
    struct round r;
    if (!body.p)
        return;
    round_init(&r);
    read_request(&r, c->wire, body, &one, f->name);
    struct str model = c->model ? str_c(c->model) : json_text(json_get(body, STR("model")), &r.a);
    struct spoke_target t = {.model = model.p ? model : STR("m"), .stream = one.stream,
        .quirks = c->base_url ? quirks_of(str_c(c->base_url)) : &quirks_none, .max_output = 4096,
        .ask_usage = one.include_usage};
    write_request(&r, c->wire, &one, &t, &r.there, f->name);
    read_request(&r, c->wire, buf_str(&r.there), &two, f->name);
    say_request(&r.before, &one, SAY_ALL);
    say_request(&r.after, &two, SAY_ALL);
    if (c->all || !r.notes.dropped[0])
        assert_same_lines(buf_str(&r.before), buf_str(&r.after), f->name);
    if (c->all)
        assert_all_said(body, buf_str(&r.there), f->name);
    round_fini(&r);
    free((char *)body.p);
}

/* A tool's message in chat is text: what it showed goes into a message of the user after it. */
static bool has_media_in_results(const struct ir_request *r)
{
    for (const struct ir_message *m = r->messages; m; m = m->next)
        for (const struct ir_part *p = m->parts; p; p = p->next)
            for (const struct ir_part *q = p->content; q; q = q->next)
                if (q->kind == IR_MEDIA)
                    return true;
    return false;
}

/* What a dialect has no place for, though nothing is left out. */
static bool is_said_otherwise(const struct ir_request *r, const struct request_check *c)
{
    bool listed = r->tool_choice.only && r->tool_choice.mode != IR_CHOICE_NAMED;
    return (c->over == WIRE_CHAT && c->wire == WIRE_GENERATE && has_media_in_results(r)) ||
           (c->over != WIRE_GENERATE && listed); /* shown only those there */
}

void check_request_over(const struct fixture *f, void *ctx)
{
    const struct request_check *c = ctx;
    struct str body = f->status == 200 ? shared_read(f->dir, "request.json") : STR_NULL;
    struct spoke_target there = {.model = str_c(c->over_model), .quirks = &quirks_none,
        .max_output = 4096};
    struct spoke_target back = {.model = str_c(c->model), .quirks = &quirks_none, .max_output = 4096};
    struct ir_request one, two, three;
    struct round r;
    if (!body.p)
        return;
    round_init(&r);
    read_request(&r, c->wire, body, &one, f->name);
    there.stream = one.stream;
    int rc = spoke_of(c->over)->write_request(&one, &there, &r.there, &r.notes, &r.e);
    if (rc == 0) {
        read_request(&r, c->over, buf_str(&r.there), &two, f->name);
        back.stream = two.stream;
        write_request(&r, c->wire, &two, &back, &r.back, f->name);
        read_request(&r, c->wire, buf_str(&r.back), &three, f->name);
        three.max_output = one.max_output; /* some dialects must say one */
        say_request(&r.before, &one, SAY_COMMON);
        say_request(&r.after, &three, SAY_COMMON);
        bool lost = r.notes.dropped[0] && strcmp(r.notes.dropped, "reasoning");
        if (!lost && !is_said_otherwise(&one, c))
            assert_same_lines(buf_str(&r.before), buf_str(&r.after), f->name);
    } else {
        assert_int_equal(rc, -ERR_UNSUPPORTED);
        assert_true(r.e.text[0] != 0);
    }
    round_fini(&r);
    free((char *)body.p);
}

/* --- any writer ----------------------------------------------------------------------------- */

void retold_init(struct retold *w, enum wire wire, const struct spoke_client *client,
    struct ir_notes *notes, struct arena *a)
{
    w->to = stream_writer_new(wire, client, notes, a);
    assert_non_null(w->to);
    buf_init(&w->out, 256 << 20);
}

void retold_event(void *retold, const struct ir_event *ev)
{
    struct retold *w = retold;
    stream_write_event(w->to, ev, &w->out);
}

void retold_fini(struct retold *w)
{
    stream_writer_fini(w->to);
    buf_fini(&w->out);
}
