/* gemini_answer.c: an answer in the neutral form → a GenerateContentResponse; and the shapes of the
 * smaller endpoints. */
#include "proxy/dialect/gemini.h"

static void put_choice(struct json_writer *w, const struct ir_choice *c, struct ir_notes *notes)
{
    struct gemini_grounding g = {.count = 0};
    buf_init(&g.chunks, 1 << 20);
    buf_init(&g.supports, 1 << 20);
    json_object_begin(w, NULL);
    json_object_begin(w, "content");
    json_array_begin(w, "parts");
    for (const struct ir_part *p = c->parts; p; p = p->next) {
        gemini_put_part(w, p, notes);
        if (p->kind == IR_TEXT || p->kind == IR_REFUSAL)
            places_add(&g.said, p->text);
        for (const struct ir_citation *at = p->citations; at; at = at->next)
            gemini_add_citation(&g, at);
    }
    json_array_end(w);
    json_put_c(w, "role", "model");
    json_object_end(w);
    json_put_c(w, "finishReason", gemini_finish_name(c->finish));
    json_put_int(w, "index", c->index);
    gemini_put_logprobs(w, c->logprobs);
    gemini_put_grounding(w, &g);
    json_object_end(w);
    buf_fini(&g.chunks);
    buf_fini(&g.supports);
    places_fini(&g.said);
}

int gemini_write_answer(const struct ir_answer *answer, const struct spoke_client *c,
    struct arena *a, struct buf *out, struct ir_notes *notes, struct err *e)
{
    struct json_writer w = json_writer(out);
    (void)a;
    (void)e;
    json_object_begin(&w, NULL);
    json_array_begin(&w, "candidates");
    for (const struct ir_choice *at = answer->choices; at; at = at->next)
        put_choice(&w, at, notes);
    json_array_end(&w);
    if (answer->usage.have_usage)
        gemini_put_usage(&w, &answer->usage, answer->service_tier);
    if (answer->model.p)
        ir_put_text(&w, "modelVersion", answer->model);
    else
        json_put_str(&w, "modelVersion", c->model);
    if (answer->id.p)
        ir_put_text(&w, "responseId", answer->id);
    else
        json_put_str(&w, "responseId", c->fallback_id);
    json_object_end(&w);
    return 0;
}
