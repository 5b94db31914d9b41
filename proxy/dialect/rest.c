/* rest.c: see rest.h. */
#include "proxy/dialect/rest.h"
#include "store/base/json_span.h"

static const struct {
    const char *key, *instead;
} kept_elsewhere[] = {
    {"previous_response_id", "send the whole conversation in input"},
    {"conversation", "send the whole conversation in input"},
    {"background", "ask without background"},
    {"input.item_reference", "send the items themselves"},
    {"prompt", "send the text of the stored prompt"},
    {"cachedContent", "send the cached content itself"},
};

void rest_put(struct json_writer *w, const struct ir_request *r, const char *under)
{
    struct str prefix = str_c(under ? under : "");
    for (const struct ir_member *m = r->rest; m; m = m->next) {
        struct str name = str_from(m->key, prefix.n);
        if (!str_starts(m->key, prefix) || (under && !prefix.n && str_chr(name, '.') >= 0))
            continue;
        json_put_raw(w, NULL, STR("\""));
        buf_put_str(w->out, name);
        buf_puts(w->out, "\":");
        buf_put_str(w->out, m->value);
    }
}

/* Nothing that the answer's words depend on. */
static const char *const harmless[] = {"store", "context_management", "cache_control", "truncation",
    "include", "client_metadata", "inference_geo", "stream_options", "prompt_cache_retention",
    "prompt_cache_options", "safety_identifier", "safetySettings", "reasoning.context",
    "reasoning.mode", "generationConfig.mediaResolution"};

/* "background":false and "conversation":null ask for nothing. */
static bool asks(struct str value)
{
    return value.n && !str_eq(value, STR("false")) && !str_eq(value, STR("null"));
}

int rest_check_state(const struct ir_request *r, const char *target, struct err *e)
{
    bool may = r->origin == WIRE_RESPONSES || r->origin == WIRE_GENERATE;
    for (const struct ir_member *m = may ? r->rest : NULL; m; m = m->next)
        for (size_t i = 0; i < ARRAY_LEN(kept_elsewhere); i++)
            if (ir_is(m->key, kept_elsewhere[i].key) && asks(m->value))
                return err_set(e, ERR_UNSUPPORTED,
                    "%s is kept by the provider that made it, and this model is answered by %s: %s",
                    kept_elsewhere[i].key, target, kept_elsewhere[i].instead);
    return 0;
}

void rest_note(const struct ir_request *r, struct ir_notes *notes)
{
    for (const struct ir_member *m = r->rest; m; m = m->next) {
        bool soft = !asks(m->value) || ir_is(m->key, "input.additional_tools");
        if (soft)
            continue;
        for (size_t i = 0; i < ARRAY_LEN(harmless) && !soft; i++)
            if ((soft = ir_is(m->key, harmless[i])))
                ir_changed(notes, harmless[i]);
        if (!soft)
            ir_dropped_text(notes, "", m->key);
    }
}
