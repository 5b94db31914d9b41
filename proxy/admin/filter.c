/* filter.c: see filter.h.
 *
 * One pass over the text cuts words and fills the term table; matching walks the table. A group of
 * terms joined by `|` is one unit of the "and". The table of fields is the only place that knows the
 * record: a new field is a row. */
#include "proxy/admin/filter.h"

#include <limits.h>

#define F(member) offsetof(struct record, member)

const struct filter_field filter_fields[] = {
    {"model", "m", FILTER_KIND_TEXT, F(model), "model", "asked, sent or served model; model=x: sent to x"},
    {"asked", "model_asked", FILTER_KIND_TEXT, F(model_asked), NULL, "model name that was asked for"},
    {"served", "model_served", FILTER_KIND_TEXT, F(model_served), NULL, "model named by the answer"},
    {"key", "k", FILTER_KIND_TEXT, F(key), "key", "virtual key"},
    {"team", NULL, FILTER_KIND_TEXT, F(team), "team", "team of the key"},
    {"session", "s", FILTER_KIND_TEXT, F(session), "session", "agent run or conversation"},
    {"tag", "tags", FILTER_KIND_TEXT, F(tags), NULL, "tags, env:prod"},
    {"route", "r", FILTER_KIND_TEXT, F(route), "route", "route taken"},
    {"rule", NULL, FILTER_KIND_TEXT, F(rule), NULL, "rule that decided"},
    {"provider", "p", FILTER_KIND_TEXT, F(provider), NULL, "provider of the last attempt"},
    {"target", "to", FILTER_KIND_TEXT, F(provider), NULL, "provider/model"},
    {"client", "agent", FILTER_KIND_TEXT, F(user_agent), NULL, "user agent"},
    {"peer", "from", FILTER_KIND_TEXT, F(peer), NULL, "address of the client"},
    {"endpoint", "path", FILTER_KIND_TEXT, F(endpoint), NULL, "/v1/chat/completions"},
    {"dialect", NULL, FILTER_KIND_TEXT, F(dialect), NULL, "dialect of the client"},
    {"finish", "finish_reason", FILTER_KIND_TEXT, F(finish_reason), NULL, "why the answer ended"},
    {"override", "switch", FILTER_KIND_TEXT, F(override_by), NULL, "live switch that decided"},
    {"error", "err", FILTER_KIND_TEXT, F(error_code), NULL, "error code or message"},
    {"dropped", NULL, FILTER_KIND_TEXT, F(dropped), NULL, "what the target could not take"},
    {"id", NULL, FILTER_KIND_TEXT, F(id), NULL, "request id"},
    {"st", "status", FILTER_KIND_STATUS, F(status), NULL, "HTTP status: 200, >=400, 5xx"},
    {"outcome", NULL, FILTER_KIND_OUTCOME, F(outcome), NULL, "ok, timeout, truncated, cancelled …"},
    {"state", "is", FILTER_KIND_STATE, F(state), NULL, "queued, sent, streaming, done; live"},
    {"in", "input", FILTER_KIND_COUNT, F(input_tokens), NULL, "prompt tokens: >10k"},
    {"out", "output", FILTER_KIND_COUNT, F(output_tokens), NULL, "output tokens"},
    {"cached", NULL, FILTER_KIND_COUNT, F(cached_tokens), NULL, "prompt tokens read from the cache"},
    {"reasoning", NULL, FILTER_KIND_COUNT, F(reasoning_tokens), NULL, "reasoning tokens"},
    {"tools", NULL, FILTER_KIND_COUNT, F(tool_calls), NULL, "tool calls in the answer"},
    {"cost", NULL, FILTER_KIND_MONEY, F(cost_nano), NULL, "USD charged: >0.01"},
    {"dur", "total", FILTER_KIND_DURATION, F(total_us), NULL, "whole duration: >2s, 300ms"},
    {"ttft", NULL, FILTER_KIND_DURATION, F(ttft_us), NULL, "time to the first token"},
    {"gap", "max_gap", FILTER_KIND_DURATION, F(max_gap_us), NULL, "longest silence in a stream"},
    {"queue", NULL, FILTER_KIND_DURATION, F(queue_us), NULL, "time in the provider's queue"},
    {"retry", NULL, FILTER_KIND_DURATION, F(retry_us), NULL, "time spent in failed attempts"},
    {"stall", NULL, FILTER_KIND_DURATION, F(client_stall_us), NULL, "time the client did not read"},
    {"overhead", NULL, FILTER_KIND_DURATION, F(overhead_us), NULL, "our own share"},
    {"up", "request_bytes", FILTER_KIND_SIZE, F(request_bytes), NULL, "bytes of the request: >1MiB"},
    {"down", "response_bytes", FILTER_KIND_SIZE, F(response_bytes), NULL, "bytes of the answer"},
    {"stream", NULL, FILTER_KIND_BOOL, F(stream), NULL, "yes or no"},
    {"redacted", NULL, FILTER_KIND_BOOL, F(redacted), NULL, "a secret was cut out: yes or no"},
    {"uid", NULL, FILTER_KIND_COUNT, F(client_uid), NULL, "unix user of a local client"},
    {"age", NULL, FILTER_KIND_AGE, F(time_ms), NULL, "how long ago: <10m, >1d"},
};
const size_t filter_field_count = ARRAY_LEN(filter_fields);

/* What a plain word looks at. */
static const size_t visible[] = {
    F(id), F(key), F(team), F(session), F(tags), F(user_agent), F(peer), F(endpoint), F(model_asked),
    F(route), F(provider), F(model), F(model_served), F(finish_reason), F(override_by),
    F(error_code), F(error_message),
};
static const size_t models[] = {F(model), F(model_asked), F(model_served)};
static const size_t errors[] = {F(error_code), F(error_message)};

static struct str text_at(const struct record *r, size_t offset)
{
    return *(const struct str *)(const void *)((const char *)r + offset);
}

static int64_t int_at(const struct record *r, size_t offset)
{
    return *(const int64_t *)(const void *)((const char *)r + offset);
}

/* ---- parsing ---- */

struct parser {
    struct filter *f;
    struct str all;
    size_t at;
    int64_t now_ms;
    struct err *e;
};

static const struct filter_field *find_field(struct str name)
{
    for (size_t i = 0; i < filter_field_count; i++) {
        const struct filter_field *field = &filter_fields[i];
        if (str_eq_nocase(name, str_c(field->name)) ||
            (field->alias && str_eq_nocase(name, str_c(field->alias))))
            return field;
    }
    return NULL;
}

static const char *nearest_field(struct str name)
{
    const char *best = NULL;
    unsigned least = name.n > 4 ? 3 : 2;
    for (size_t i = 0; i < filter_field_count && name.n > 2; i++) {
        unsigned d = str_distance(name, str_c(filter_fields[i].name), 2);
        if (d < least && strlen(filter_fields[i].name) > 2) {
            least = d;
            best = filter_fields[i].name;
        }
    }
    return best;
}

struct unit {
    const char *name;
    int64_t factor;
};
static const struct unit count_units[] = {{"", 1}, {"k", 1000}, {"m", 1000000}, {NULL, 0}};
static const struct unit duration_units[] = {{"", 1000000}, {"us", 1}, {"ms", 1000},
    {"s", 1000000}, {"m", 60000000}, {"min", 60000000}, {"h", 3600000000}, {"d", 86400000000},
    {NULL, 0}};
static const struct unit size_units[] = {{"", 1}, {"b", 1}, {"k", 1000}, {"kb", 1000},
    {"kib", 1024}, {"m", 1000000}, {"mb", 1000000}, {"mib", 1048576}, {"g", 1000000000},
    {"gib", 1073741824}, {NULL, 0}};
static const struct unit money_units[] = {{"", 1000000000}, {"usd", 1000000000}, {NULL, 0}};

static const struct unit *units_of(enum filter_kind kind)
{
    switch (kind) {
    case FILTER_KIND_DURATION:
    case FILTER_KIND_AGE:
        return duration_units;
    case FILTER_KIND_SIZE:
        return size_units;
    case FILTER_KIND_MONEY:
        return money_units;
    default:
        return count_units;
    }
}

/* "1.5k" → 1500 by the field's units; exact, no floating point. */
static bool parse_number(enum filter_kind kind, struct str s, int64_t *out)
{
    if (kind == FILTER_KIND_MONEY && s.n && s.p[0] == '$')
        s = str_from(s, 1);
    __int128 whole = 0, fraction = 0, scale = 1;
    size_t i = 0, digits = 0;
    for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9' && digits < 18; i++, digits++)
        whole = whole * 10 + (s.p[i] - '0');
    if (i < s.n && s.p[i] == '.') {
        for (i++; i < s.n && s.p[i] >= '0' && s.p[i] <= '9' && scale < 1000000000; i++, digits++) {
            fraction = fraction * 10 + (s.p[i] - '0');
            scale *= 10;
        }
    }
    if (digits == 0)
        return false;
    struct str rest = str_from(s, i);
    for (const struct unit *u = units_of(kind); u->name; u++)
        if (str_eq_nocase(rest, str_c(u->name))) {
            __int128 v = whole * u->factor + fraction * u->factor / scale;
            *out = (int64_t)v;
            return v <= INT64_MAX;
        }
    return false;
}

static bool parse_status(struct str s, int64_t *low, int64_t *high)
{
    if (s.n == 3 && s.p[0] >= '1' && s.p[0] <= '5' && (s.p[1] | 32) == 'x' && (s.p[2] | 32) == 'x') {
        *low = (s.p[0] - '0') * 100;
        *high = *low + 99;
        return true;
    }
    bool ok = str_to_i64(s, low) && *low >= 0 && *low <= 999;
    *high = *low;
    return ok;
}

enum { STATE_LIVE = 100 }; /* "state:live": anything but done */

static bool parse_name(enum filter_kind kind, struct str s, int64_t *out)
{
    if (kind == FILTER_KIND_BOOL) {
        *out = str_eq_nocase(s, STR("yes")) || str_eq_nocase(s, STR("true")) || str_eq(s, STR("1"));
        return *out || str_eq_nocase(s, STR("no")) || str_eq_nocase(s, STR("false")) ||
               str_eq(s, STR("0"));
    }
    if (kind == FILTER_KIND_OUTCOME) {
        *out = record_outcome_from(s);
        return *out >= 0;
    }
    if (str_eq_nocase(s, STR("live"))) {
        *out = STATE_LIVE;
        return true;
    }
    for (*out = STATE_QUEUED; *out <= STATE_DONE; ++*out)
        if (str_eq_nocase(s, str_c(record_state_name(*out))))
            return true;
    return false;
}

static enum filter_op take_op(struct str *v)
{
    static const struct {
        struct str text;
        enum filter_op op;
    } ops[] = {{STR(">="), FILTER_GE}, {STR("<="), FILTER_LE}, {STR("!="), FILTER_NE},
        {STR(">"), FILTER_GT}, {STR("<"), FILTER_LT}, {STR("="), FILTER_EQ}};
    for (size_t i = 0; i < ARRAY_LEN(ops); i++)
        if (str_starts(*v, ops[i].text)) {
            *v = str_from(*v, ops[i].text.n);
            return ops[i].op;
        }
    return FILTER_HAS;
}

static const char *kind_help(enum filter_kind kind)
{
    switch (kind) {
    case FILTER_KIND_DURATION:
    case FILTER_KIND_AGE:
        return "a time such as >2s, 300ms or <10m";
    case FILTER_KIND_SIZE:
        return "a size such as >64k or 1MiB";
    case FILTER_KIND_MONEY:
        return "an amount in USD such as >0.01";
    case FILTER_KIND_STATUS:
        return "a status such as 200, >=400 or 5xx";
    case FILTER_KIND_OUTCOME:
        return "ok, client_error, upstream_error, timeout, truncated, cancelled, refused, interrupted";
    case FILTER_KIND_STATE:
        return "queued, sent, streaming, done or live";
    case FILTER_KIND_BOOL:
        return "yes or no";
    default:
        return "a number such as >10k";
    }
}

static bool parse_bounds(struct filter_term *t, struct str v)
{
    enum filter_kind kind = t->field->kind;
    if (kind == FILTER_KIND_STATUS) {
        if (!parse_status(v, &t->low, &t->high))
            return false;
        if (t->op == FILTER_EQ && t->high != t->low)
            t->op = FILTER_BETWEEN;
        return t->high == t->low || t->op == FILTER_BETWEEN;
    }
    if (kind == FILTER_KIND_OUTCOME || kind == FILTER_KIND_STATE || kind == FILTER_KIND_BOOL)
        return (t->op == FILTER_EQ || t->op == FILTER_NE) && parse_name(kind, v, &t->low);
    ptrdiff_t dots = str_find(v, STR(".."));
    if (dots > 0 && t->op == FILTER_EQ) {
        t->op = FILTER_BETWEEN;
        return parse_number(kind, str_first(v, (size_t)dots), &t->low) &&
               parse_number(kind, str_from(v, (size_t)dots + 2), &t->high) && t->low <= t->high;
    }
    if (kind == FILTER_KIND_AGE && t->op == FILTER_NE)
        return false;
    return parse_number(kind, v, &t->low);
}

/* "younger than 10 m" is "its time is above now − 10 m": turned round once, here. */
static void turn_age(struct filter_term *t, int64_t now_ms)
{
    int64_t low = now_ms - t->low / 1000, high = now_ms - t->high / 1000;
    switch (t->op) {
    case FILTER_LT: t->op = FILTER_GT; break;
    case FILTER_GT: t->op = FILTER_LT; break;
    case FILTER_LE: t->op = FILTER_GE; break;
    case FILTER_GE: t->op = FILTER_LE; break;
    case FILTER_BETWEEN:
        t->high = low;
        t->low = high;
        return;
    default:
        t->op = FILTER_GE; /* age:10m means at most ten minutes old */
    }
    t->low = low;
}

static int finish_text(struct parser *p, struct filter_term *t, struct str v, bool quoted)
{
    if (t->op == FILTER_EQ)
        t->op = FILTER_IS;
    else if (t->op == FILTER_NE) {
        t->op = FILTER_IS;
        t->negated = !t->negated;
    } else if (t->op != FILTER_HAS)
        return err_set(p->e, ERR_SYNTAX, "column %u: %s is a text: it takes %s:word, %s:pattern* or "
            "%s=whole, not < or >", t->column, t->field->name, t->field->name, t->field->name,
            t->field->name);
    bool star = !quoted && (str_chr(v, '*') >= 0 || str_chr(v, '?') >= 0);
    if (t->op == FILTER_HAS && star)
        t->op = FILTER_GLOB;
    t->text = v;
    return 0;
}

static int finish_value(struct parser *p, struct filter_term *t, struct str v, bool quoted,
    bool equals)
{
    t->op = quoted ? FILTER_HAS : take_op(&v);
    if (equals && t->op == FILTER_HAS)
        t->op = FILTER_EQ;
    if (v.n == 0 && !quoted)
        return err_set(p->e, ERR_SYNTAX, "column %u: nothing after %s:", t->column,
            t->field->name);
    if (t->field->kind == FILTER_KIND_TEXT)
        return finish_text(p, t, v, quoted);
    if (t->op == FILTER_HAS)
        t->op = FILTER_EQ;
    if (!parse_bounds(t, v))
        return err_set(p->e, ERR_RANGE, "column %u: \"" STR_FMT "\" is not %s", t->column,
            STR_ARG(v), kind_help(t->field->kind));
    if (t->field->kind == FILTER_KIND_AGE)
        turn_age(t, p->now_ms);
    return 0;
}

/* Takes what stands at p->at up to a blank, a `|` or the closing quote. */
static int take_text(struct parser *p, struct str *out, bool *quoted, bool stop_at_field)
{
    struct str all = p->all;
    *quoted = p->at < all.n && all.p[p->at] == '"';
    if (*quoted) {
        ptrdiff_t end = str_chr(str_from(all, p->at + 1), '"');
        if (end < 0)
            return err_set(p->e, ERR_SYNTAX, "column %zu: the quote is not closed", p->at + 1);
        *out = str_first(str_from(all, p->at + 1), (size_t)end);
        p->at += (size_t)end + 2;
        return 0;
    }
    size_t from = p->at;
    while (p->at < all.n && all.p[p->at] != ' ' && all.p[p->at] != '\t' && all.p[p->at] != '|' &&
           !(stop_at_field && (all.p[p->at] == ':' || all.p[p->at] == '=')))
        p->at++;
    *out = str_first(str_from(all, from), p->at - from);
    return 0;
}

static int take_term(struct parser *p, struct filter_term *t)
{
    t->column = (unsigned)p->at + 1;
    if (p->all.p[p->at] == '-') {
        t->negated = true;
        p->at++;
    }
    size_t start = p->at;
    bool quoted;
    struct str word;
    int rc = take_text(p, &word, &quoted, true);
    if (rc < 0)
        return rc;
    bool field = !quoted && word.n && p->at < p->all.n &&
                 (p->all.p[p->at] == ':' || p->all.p[p->at] == '=');
    if (field)
        t->field = find_field(word);
    if (field && t->field) {
        bool equals = p->all.p[p->at] == '=';
        p->at++;
        rc = take_text(p, &word, &quoted, false);
        return rc < 0 ? rc : finish_value(p, t, word, quoted, equals);
    }
    if (field && p->all.p[p->at] == ':' && nearest_field(word))
        return err_set(p->e, ERR_UNKNOWN, "column %u: no field \"" STR_FMT "\"; did you mean %s:?",
            t->column, STR_ARG(word), nearest_field(word));
    if (field) { /* "env:prod", "http://…": a plain word with a colon in it */
        p->at = start;
        rc = take_text(p, &word, &quoted, false);
    }
    if (rc == 0 && word.n == 0)
        return err_set(p->e, ERR_SYNTAX, "column %u: a word is missing here", t->column);
    t->op = FILTER_HAS;
    t->text = word;
    return rc;
}

static int take_all(struct parser *p)
{
    bool either = false;
    for (;;) {
        while (p->at < p->all.n && (p->all.p[p->at] == ' ' || p->all.p[p->at] == '\t'))
            p->at++;
        if (p->at == p->all.n)
            return either ? err_set(p->e, ERR_SYNTAX, "column %zu: nothing after |", p->at + 1) : 0;
        if (p->all.p[p->at] == '|') {
            if (either || p->f->count == 0)
                return err_set(p->e, ERR_SYNTAX, "column %zu: nothing before |", p->at + 1);
            either = true;
            p->at++;
            continue;
        }
        if (p->f->count == FILTER_TERMS_MAX)
            return err_set(p->e, ERR_LIMIT, "column %zu: more than %d words", p->at + 1,
                FILTER_TERMS_MAX);
        struct filter_term *t = &p->f->terms[p->f->count];
        *t = (struct filter_term){.either = either};
        int rc = take_term(p, t);
        if (rc < 0)
            return rc;
        p->f->count++;
        either = false;
    }
}

int filter_parse(struct filter *f, struct str text, int64_t now_ms, struct err *e)
{
    f->count = 0;
    f->text[0] = 0;
    if (text.n > FILTER_TEXT_MAX)
        return err_set(e, ERR_LIMIT, "column %d: a filter has at most %d bytes", FILTER_TEXT_MAX + 1,
            FILTER_TEXT_MAX);
    if (text.n)
        memcpy(f->text, text.p, text.n);
    f->text[text.n] = 0;
    struct parser p = {f, {f->text, text.n}, 0, now_ms, e};
    int rc = take_all(&p);
    if (rc < 0)
        f->count = 0;
    return rc;
}

/* ---- matching ---- */

static bool text_matches(const struct filter_term *t, struct str s)
{
    if (t->op == FILTER_IS)
        return str_eq(s, t->text); /* as an index compares */
    if (t->op == FILTER_GLOB)
        return str_glob_nocase(t->text, s);
    return t->text.n == 0 ? s.n == 0 : str_find_nocase(s, t->text) >= 0;
}

static bool any_text(const struct filter_term *t, const struct record *r, const size_t *offsets,
    size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (text_matches(t, text_at(r, offsets[i])))
            return true;
    return false;
}

static bool target_matches(const struct filter_term *t, const struct record *r)
{
    char both[320];
    size_t p = MIN(r->provider.n, (size_t)100), m = MIN(r->model.n, (size_t)210);
    if (p)
        memcpy(both, r->provider.p, p);
    both[p] = '/';
    if (m)
        memcpy(both + p + 1, r->model.p, m);
    return text_matches(t, (struct str){both, p + 1 + m});
}

/* Tags are a list: `tag:env:prod` means one of them. */
static bool tag_matches(const struct filter_term *t, const struct record *r)
{
    struct str rest = r->tags, tag;
    while (str_cut(&rest, ',', &tag))
        if (text_matches(t, str_trim(tag)))
            return true;
    return false;
}

static bool field_text_matches(const struct filter_term *t, const struct record *r)
{
    const struct filter_field *f = t->field;
    if (f->offset == F(model) && t->op != FILTER_IS)
        return any_text(t, r, models, ARRAY_LEN(models));
    if (f->offset == F(error_code))
        return any_text(t, r, errors, ARRAY_LEN(errors));
    if (f->offset == F(tags))
        return tag_matches(t, r);
    if (f->offset == F(provider) && f->name[0] == 't')
        return target_matches(t, r);
    return text_matches(t, text_at(r, f->offset));
}

static bool number_matches(const struct filter_term *t, const struct record *r)
{
    int64_t v = int_at(r, t->field->offset);
    if (t->field->kind == FILTER_KIND_STATE && t->low == STATE_LIVE)
        return (v != STATE_DONE) == (t->op == FILTER_EQ);
    switch (t->op) {
    case FILTER_LT: return v < t->low;
    case FILTER_LE: return v <= t->low;
    case FILTER_GT: return v > t->low;
    case FILTER_GE: return v >= t->low;
    case FILTER_NE: return v != t->low;
    case FILTER_BETWEEN: return v >= t->low && v <= t->high;
    default: return v == t->low;
    }
}

static bool term_matches(const struct filter_term *t, const struct record *r)
{
    bool m;
    if (!t->field)
        m = any_text(t, r, visible, ARRAY_LEN(visible)) || target_matches(t, r);
    else if (t->field->kind == FILTER_KIND_TEXT)
        m = field_text_matches(t, r);
    else
        m = number_matches(t, r);
    return m != t->negated;
}

bool filter_match(const struct filter *f, const struct record *r)
{
    for (size_t i = 0; i < f->count;) {
        bool any = term_matches(&f->terms[i], r);
        for (i++; i < f->count && f->terms[i].either; i++)
            any = any || term_matches(&f->terms[i], r);
        if (!any)
            return false;
    }
    return true;
}

static bool is_equality(const struct filter *f, size_t i)
{
    const struct filter_term *t = &f->terms[i];
    bool alone = !t->either && (i + 1 == f->count || !f->terms[i + 1].either);
    return alone && !t->negated && t->op == FILTER_IS && t->field && t->field->column;
}

bool filter_equal(const struct filter *f, const char *column, struct str *value)
{
    for (size_t i = 0; i < f->count; i++)
        if (is_equality(f, i) && strcmp(f->terms[i].field->column, column) == 0) {
            *value = f->terms[i].text;
            return true;
        }
    return false;
}

bool filter_is_indexed(const struct filter *f)
{
    for (size_t i = 0; i < f->count; i++)
        if (!is_equality(f, i))
            return false;
    return true;
}
