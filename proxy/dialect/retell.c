/* retell.c: see retell.h. What one direction says the other understands: the tests hold them to it. */
#include "proxy/dialect/retell.h"

/* --- an answer as events -------------------------------------------------------------------- */

struct telling {
    void (*put)(void *ctx, const struct ir_event *ev);
    void *ctx;
    struct arena *a;
    enum wire origin;
    unsigned choice, part;
};

static void tell(struct telling *t, struct ir_event ev)
{
    ev.choice = t->choice;
    ev.part = t->part;
    if (ev.origin == WIRE_RAW)
        ev.origin = t->origin;
    t->put(t->ctx, &ev);
}

static void tell_text(struct telling *t, const struct ir_part *p, struct str logprobs)
{
    tell(t, (struct ir_event){.kind = p->kind == IR_TEXT ? IR_EV_TEXT : IR_EV_REFUSAL,
                .origin = p->origin, .text = p->text.p ? p->text : STR(""), .logprobs = logprobs});
    for (const struct ir_citation *c = p->citations; c; c = c->next)
        tell(t, (struct ir_event){.kind = IR_EV_CITATION, .origin = p->origin, .citation = c});
}

static void tell_call(struct telling *t, const struct ir_part *p)
{
    tell(t, (struct ir_event){.kind = IR_EV_CALL_START, .origin = p->origin, .id = p->id,
                .item_id = p->item_id, .name = p->name, .signature = p->signature});
    tell(t, (struct ir_event){.kind = IR_EV_CALL_ARGS, .origin = p->origin,
                .text = p->arguments.p ? ir_text_of(t->a, p->arguments) : p->broken});
}

static void tell_part(struct telling *t, const struct ir_part *p, struct str logprobs)
{
    struct ir_event whole = {.kind = p->kind == IR_REDACTED ? IR_EV_REDACTED : IR_EV_OPAQUE,
        .origin = p->origin, .signature = p->signature, .raw = p->raw, .item_id = p->item_id};
    switch (p->kind) {
    case IR_TEXT:
    case IR_REFUSAL:
        tell_text(t, p, logprobs);
        if (p->signature.n)
            tell(t, (struct ir_event){.kind = IR_EV_SIGNATURE, .origin = p->origin,
                        .signature = p->signature});
        break;
    case IR_REASONING:
        tell(t, (struct ir_event){.kind = IR_EV_REASONING, .origin = p->origin, .text = p->text});
        if (p->signature.n)
            tell(t, (struct ir_event){.kind = IR_EV_SIGNATURE, .origin = p->origin,
                        .signature = p->signature});
        break;
    case IR_CALL:
        tell_call(t, p);
        break;
    case IR_MEDIA:
        whole.kind = IR_EV_MEDIA;
        whole.media = &p->media;
        tell(t, whole);
        t->part++;
        return;
    default:
        tell(t, whole);
        t->part++;
        return;
    }
    tell(t, (struct ir_event){.kind = IR_EV_PART_END, .origin = p->origin});
    t->part++;
}

void retell_answer(const struct ir_answer *answer, void (*put)(void *ctx, const struct ir_event *ev),
    void *ctx, struct arena *a)
{
    struct telling t = {.put = put, .ctx = ctx, .a = a, .origin = answer->origin};
    tell(&t, (struct ir_event){.kind = IR_EV_START, .id = answer->id, .model = answer->model,
                 .created = answer->created});
    for (const struct ir_choice *c = answer->choices; c; c = c->next) {
        t.choice = c->index;
        t.part = 0;
        struct str logprobs = c->logprobs; /* they are of all texts: told with the first */
        for (const struct ir_part *p = c->parts; p; p = p->next) {
            tell_part(&t, p, p->kind == IR_TEXT ? logprobs : STR_NULL);
            if (p->kind == IR_TEXT)
                logprobs = STR_NULL;
        }
        tell(&t, (struct ir_event){.kind = IR_EV_FINISH, .finish = c->finish,
                     .finish_native = c->finish_native, .stop_sequence = c->stop_sequence});
    }
    t.choice = t.part = 0;
    if (answer->usage.have_usage)
        tell(&t, (struct ir_event){.kind = IR_EV_USAGE, .usage = &answer->usage,
                     .service_tier = answer->service_tier});
    tell(&t, (struct ir_event){.kind = IR_EV_DONE});
}

/* --- events as an answer -------------------------------------------------------------------- */

void gather_init(struct gather *g, struct arena *a)
{
    *g = (struct gather){.a = a};
    for (size_t i = 0; i < GATHER_CHOICES; i++) {
        buf_init(&g->at[i].text, STREAM_WHOLE_MAX);
        buf_init(&g->at[i].logprobs, STREAM_WHOLE_MAX);
    }
}

void gather_fini(struct gather *g)
{
    for (size_t i = 0; i < GATHER_CHOICES; i++) {
        buf_fini(&g->at[i].text);
        buf_fini(&g->at[i].logprobs);
    }
}

static void too_large(struct gather *g)
{
    g->failed = true;
    g->error = (struct dialect_error){.status = 502, .code = STR("answer_too_large"),
        .message = STR("the answer is too large to be translated")};
}

static struct str keep(struct gather *g, struct str s)
{
    if (!s.p)
        return s;
    struct str copy = arena_str(g->a, s);
    if (!copy.p)
        too_large(g);
    return copy;
}

static void end_part(struct gather *g, struct gather_choice *at)
{
    struct ir_part *p = at->part;
    if (!p)
        return;
    struct str text = at->text.n ? keep(g, buf_str(&at->text)) : STR("");
    if (p->kind == IR_CALL)
        ir_set_arguments(p, text, g->a);
    else
        p->text = text;
    at->part = NULL;
    buf_reset(&at->text);
}

static struct gather_choice *choice_of(struct gather *g, unsigned index)
{
    struct gather_choice *at = index < GATHER_CHOICES ? &g->at[index] : NULL;
    if (!at || at->choice)
        return at;
    if (!(at->choice = ir_add_choice(&g->answer, g->a))) {
        too_large(g);
        return NULL;
    }
    at->choice->index = index;
    return at;
}

/* The part under way if it is of that kind, else a new one. */
static struct ir_part *part_of(struct gather *g, struct gather_choice *at, enum ir_part_kind kind,
    enum wire origin)
{
    if (at->part && at->part->kind == kind && kind != IR_CALL)
        return at->part;
    end_part(g, at);
    struct ir_part *p = ir_new_part(g->a, kind, origin);
    if (!p) {
        too_large(g);
        return NULL;
    }
    ir_choice_add(at->choice, p);
    at->part = p;
    at->citation = &p->citations;
    return p;
}

static void add_text(struct gather *g, struct gather_choice *at, const struct ir_event *ev,
    enum ir_part_kind kind)
{
    struct str list = str_trim(ev->logprobs);
    if (!part_of(g, at, kind, ev->origin))
        return;
    buf_put_str(&at->text, ev->text);
    g->bytes += ev->text.n + list.n;
    if (list.n > 2) {
        buf_putc(&at->logprobs, at->logprobs.n ? ',' : '[');
        buf_put_str(&at->logprobs, str_n(list.p + 1, list.n - 2));
    }
    if (g->bytes > STREAM_WHOLE_MAX)
        too_large(g);
}

static void add_signature(struct gather *g, struct gather_choice *at, const struct ir_event *ev)
{
    struct ir_part *p = at->part ? at->part : part_of(g, at, IR_REASONING, ev->origin);
    if (!p)
        return;
    p->signature = keep(g, ev->signature);
    p->origin = ev->origin;
}

static void add_call(struct gather *g, struct gather_choice *at, const struct ir_event *ev)
{
    struct ir_part *p = part_of(g, at, IR_CALL, ev->origin);
    if (!p)
        return;
    p->id = keep(g, ev->id);
    p->name = keep(g, ev->name);
    p->item_id = keep(g, ev->item_id);
    p->signature = keep(g, ev->signature);
    buf_put_str(&at->text, ev->text);
}

static void add_whole(struct gather *g, struct gather_choice *at, const struct ir_event *ev)
{
    enum ir_part_kind kind = ev->kind == IR_EV_REDACTED ? IR_REDACTED : IR_OPAQUE;
    end_part(g, at);
    struct ir_part *p = part_of(g, at, kind, ev->origin);
    if (!p)
        return;
    p->signature = keep(g, ev->signature);
    p->raw = keep(g, ev->raw);
    p->item_id = keep(g, ev->item_id);
    at->part = NULL;
}

/* Beside a text that is under way. */
static void add_media(struct gather *g, struct gather_choice *at, const struct ir_event *ev)
{
    struct ir_part *p = ir_new_part(g->a, IR_MEDIA, ev->origin);
    if (!p) {
        too_large(g);
        return;
    }
    g->bytes += ev->media->data.n;
    p->raw = keep(g, ev->raw);
    p->item_id = keep(g, ev->item_id);
    p->media = *ev->media;
    p->media.mime = keep(g, ev->media->mime);
    p->media.data = keep(g, ev->media->data);
    p->media.url = keep(g, ev->media->url);
    p->media.file_id = keep(g, ev->media->file_id);
    p->media.filename = keep(g, ev->media->filename);
    p->media.detail = keep(g, ev->media->detail);
    ir_choice_add(at->choice, p);
    if (g->bytes > STREAM_WHOLE_MAX)
        too_large(g);
}

static void add_citation(struct gather *g, struct gather_choice *at, const struct ir_citation *c)
{
    struct ir_citation *kept = arena_zalloc(g->a, sizeof *kept);
    if (!kept || !part_of(g, at, IR_TEXT, g->answer.origin))
        return;
    *kept = *c;
    kept->type = keep(g, c->type);
    kept->url = keep(g, c->url);
    kept->title = keep(g, c->title);
    kept->file_id = keep(g, c->file_id);
    kept->index = keep(g, c->index);
    kept->cited = keep(g, c->cited);
    kept->said = keep(g, c->said);
    kept->raw = keep(g, c->raw);
    kept->next = NULL;
    *at->citation = kept;
    at->citation = &kept->next;
}

static void finish(struct gather *g, struct gather_choice *at, const struct ir_event *ev)
{
    end_part(g, at);
    at->choice->finish = ev->finish;
    at->choice->finish_native = keep(g, ev->finish_native);
    at->choice->stop_sequence = keep(g, ev->stop_sequence);
}

static void add_content(struct gather *g, const struct ir_event *ev)
{
    struct gather_choice *at = choice_of(g, ev->choice);
    if (!at)
        return;
    switch (ev->kind) {
    case IR_EV_TEXT:
        add_text(g, at, ev, IR_TEXT);
        return;
    case IR_EV_REASONING:
        add_text(g, at, ev, IR_REASONING);
        return;
    case IR_EV_REFUSAL:
        add_text(g, at, ev, IR_REFUSAL);
        return;
    case IR_EV_SIGNATURE:
        add_signature(g, at, ev);
        return;
    case IR_EV_CALL_START:
        add_call(g, at, ev);
        return;
    case IR_EV_CALL_ARGS:
        g->bytes += ev->text.n;
        buf_put_str(&at->text, ev->text);
        return;
    case IR_EV_CITATION:
        add_citation(g, at, ev->citation);
        return;
    case IR_EV_REDACTED:
    case IR_EV_OPAQUE:
        add_whole(g, at, ev);
        return;
    case IR_EV_MEDIA:
        add_media(g, at, ev);
        return;
    case IR_EV_FINISH:
        finish(g, at, ev);
        return;
    default:
        end_part(g, at);
    }
}

static void note_failure(struct gather *g, const struct dialect_error *error)
{
    g->failed = true;
    g->error = (struct dialect_error){.status = error->status, .code = keep(g, error->code),
        .message = keep(g, error->message), .param = keep(g, error->param)};
}

void gather_event(void *gather, const struct ir_event *ev)
{
    struct gather *g = gather;
    if (g->failed)
        return;
    switch (ev->kind) {
    case IR_EV_START:
        g->answer.origin = ev->origin;
        g->answer.id = keep(g, ev->id);
        g->answer.model = keep(g, ev->model);
        g->answer.created = keep(g, ev->created);
        return;
    case IR_EV_USAGE:
        g->answer.usage = *ev->usage;
        g->answer.usage.have_usage = true;
        if (ev->service_tier.n)
            g->answer.service_tier = keep(g, ev->service_tier);
        return;
    case IR_EV_ERROR:
        note_failure(g, ev->error);
        return;
    case IR_EV_PING:
        return;
    case IR_EV_DONE:
        g->done = true;
        return;
    default:
        add_content(g, ev);
    }
}

void gather_end(struct gather *g)
{
    for (size_t i = 0; i < GATHER_CHOICES; i++) {
        struct gather_choice *at = &g->at[i];
        end_part(g, at);
        if (at->choice && at->logprobs.n && !at->choice->logprobs.p) {
            buf_putc(&at->logprobs, ']');
            at->choice->logprobs = keep(g, buf_str(&at->logprobs));
        }
        if (at->text.err || at->logprobs.err)
            too_large(g);
    }
}
