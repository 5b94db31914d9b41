/* members.c: the table reader of members.h. */
#include "proxy/dialect/members.h"

int member_wrong(struct err *e, const char *key)
{
    return err_set(e, ERR_TYPE, "`%s` has the wrong type", key);
}

int member_no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "the request is too large to be translated");
}

static int take(const struct member_rule *rule, struct json_span v, struct ir_request *r,
    struct arena *a, struct err *e)
{
    void *at = (char *)r + rule->at;
    bool ok = true;
    switch (rule->kind) {
    case MEMBER_TEXT:
        ok = v.type == JSON_STRING;
        *(struct str *)at = ir_text(v);
        break;
    case MEMBER_RAW:
        *(struct str *)at = v.raw;
        break;
    case MEMBER_NUMBER:
        ok = v.type == JSON_NUMBER;
        *(struct str *)at = v.raw;
        break;
    case MEMBER_INT:
        ok = json_i64(v, at) == 0;
        break;
    case MEMBER_TRI:
        ok = v.type == JSON_TRUE || v.type == JSON_FALSE;
        *(enum ir_tri *)at = v.type == JSON_TRUE ? IR_YES : IR_NO;
        break;
    case MEMBER_BOOL:
        ok = v.type == JSON_TRUE || v.type == JSON_FALSE;
        *(bool *)at = v.type == JSON_TRUE;
        break;
    case MEMBER_FN:
        return rule->fn(r, v, a, e);
    case MEMBER_SKIP:
        break;
    }
    return ok ? 0 : member_wrong(e, rule->key);
}

int members_read(struct str object, const struct member_rule *rules, size_t n,
    struct ir_request *r, struct arena *a, struct err *e)
{
    struct json_iter it = json_iter(object);
    struct json_span key, v;
    while (json_next(&it, &key, &v)) {
        size_t i = 0;
        if (v.type == JSON_NULL)
            continue;
        while (i < n && !json_text_eq(key, str_c(rules[i].key)))
            i++;
        if (i == n && !ir_add_rest(r, a, ir_text(key), v.raw))
            return member_no_memory(e);
        int rc = i < n ? take(&rules[i], v, r, a, e) : 0;
        if (rc < 0)
            return rc;
    }
    return it.err ? err_set(e, ERR_SYNTAX, "the body is no JSON object") : 0;
}
