/* answer.c: see answer.h. Times are log-normal, as measured ones are: most answers come near the
 * median, a few take several times as long. */
#include "proxy/demo/answer.h"

enum { ANSWER_TEXT_MAX = 64 << 10, BYTES_A_TOKEN = 4 };

const struct demo_model demo_model_table[] = {
#define X(name, ttft, spread, rate, reasoning, context, in, out, cached) \
    {name, ttft, spread, rate, reasoning, context, in, out, cached},
#include "proxy/demo/models.def"
#undef X
};
const size_t demo_model_total = ARRAY_LEN(demo_model_table);

const struct demo_site demo_sites[] = {
    {"demo", "/v1", "atlas breeze pebble sage quill-embed", 1.0, .012, .004, .002, .002, 0, 0, 0,
        0},
    {"demo-eu", "/eu/v1", "atlas breeze pebble", 1.25, .01, .01, .004, .003, 0, 100, 145, 300},
    {"demo-lab", "/lab/v1", "garnet", 1.0, 0, .01, .004, .004, 3, 0, 0, 0},
};
const size_t demo_site_total = ARRAY_LEN(demo_sites);

const struct demo_model *demo_model_find(struct str name)
{
    for (size_t i = 0; i < demo_model_total; i++)
        if (str_eq(str_c(demo_model_table[i].name), name))
            return &demo_model_table[i];
    return NULL;
}

bool demo_site_serves(const struct demo_site *s, struct str model)
{
    struct str rest = str_c(s->models), one;
    while (str_cut(&rest, ' ', &one))
        if (str_eq(one, model))
            return true;
    return false;
}

static bool in_trouble(const struct demo_question *q)
{
    const struct demo_site *s = q->site;
    if (!s->bad_every_s)
        return false;
    int64_t at = q->since_start_us / 1000000 % s->bad_every_s;
    return at >= s->bad_from_s && at < s->bad_to_s;
}

static int status_of(const struct demo_question *q, struct demo_random *r)
{
    double x = demo_random_unit(r);
    if (q->site->most_at_once && q->in_flight > q->site->most_at_once)
        return 429;
    if (in_trouble(q) && x < 0.6)
        return x < 0.35 ? 500 : 503;
    if (x < q->site->limited)
        return 429;
    return x < q->site->limited + q->site->broken ? 500 : 200;
}

static void count_tokens(const struct demo_question *q, struct demo_answer *a)
{
    a->prompt = (int64_t)(q->prompt_bytes / BYTES_A_TOKEN) + 7;
    if (q->messages > 2 && a->prompt > 1024) /* all but the newest turn, in steps of 128 */
        a->cached = (a->prompt - a->prompt / (q->messages + 1) - 64) / 128 * 128;
    size_t said = a->tool ? strlen(a->tool) + strlen(a->arguments) : a->text.n;
    a->output = (int64_t)(said / BYTES_A_TOKEN) + 1 + a->reasoning;
}

static void fit_maximum(const struct demo_question *q, struct demo_answer *a)
{
    size_t most = (size_t)q->max_tokens * BYTES_A_TOKEN / (q->model->reasoning ? 2 : 1);
    if (q->max_tokens && a->text.n > most)
        a->text.n = most; /* all of it is ASCII */
}

static void choose_words(
    const struct demo_question *q, struct demo_random *r, struct demo_answer *a)
{
    bool call = q->tools && demo_random_chance(r, q->last_is_tool_result ? 0.7 : 0.85);
    if (call) {
        demo_text_tool(r, &a->tool, &a->arguments);
        return;
    }
    unsigned sentences = 2 + (unsigned)demo_random_lognormal(r, 6, 0.7);
    demo_text_answer(&a->text, r, sentences < 60 ? sentences : 60);
    fit_maximum(q, a);
}

static void choose_end(const struct demo_question *q, struct demo_random *r, struct demo_answer *a)
{
    double x = demo_random_unit(r);
    a->end = x < q->site->stalled                  ? DEMO_STALL
             : x < q->site->stalled + q->site->cut ? DEMO_CUT
                                                   : DEMO_COMPLETE;
    a->end_after = (size_t)(demo_random_unit(r) * (double)a->text.n);
}

void demo_answer_make(const struct demo_question *q, struct demo_random *r, struct demo_answer *a)
{
    const struct demo_model *m = q->model;
    double slow = q->site->slower * (in_trouble(q) ? 3.0 : 1.0);
    *a = (struct demo_answer){.status = status_of(q, r)};
    buf_init(&a->text, ANSWER_TEXT_MAX);
    double wait_ms = demo_random_lognormal(r, (double)m->ttft_ms * slow,
        (double)m->spread_percent / 100.0) + (double)q->prompt_bytes / 4000.0;
    a->wait_us = (int64_t)(wait_ms * 1000.0);
    if (a->status != 200) {
        a->wait_us = MIN(a->wait_us, (int64_t)(a->status == 429 ? 40000 : 900000));
        a->retry_after_s = 1 + demo_random_below(r, 4);
        return;
    }
    choose_words(q, r, a);
    if (m->reasoning)
        a->reasoning = (int64_t)demo_random_lognormal(r, (double)m->reasoning, 0.6);
    if (q->max_tokens) /* thinking counts towards the maximum too */
        a->reasoning = MIN(a->reasoning, q->max_tokens - (int64_t)a->text.n / BYTES_A_TOKEN);
    choose_end(q, r, a);
    count_tokens(q, a);
    /* a piece is a word or two: 6 bytes on average */
    double rate = demo_random_lognormal(r, (double)MAX(m->tokens_per_s, 1) / slow, 0.15);
    a->piece_us = (int64_t)(1500000.0 / rate);
}

void demo_answer_fini(struct demo_answer *a)
{
    buf_fini(&a->text);
}
