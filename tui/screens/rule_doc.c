/* rule_doc.c: see rule_doc.h. Values of conditions stay texts: what they mean is the gateway's to
 * check, when the staged route is tried there. */
#include "tui/screens/rule_doc.h"

#include "store/base/arena.h"
#include "store/base/json.h"
#include "store/base/json_span.h"

#include <stdlib.h>

enum { WORD_MAX = 400, WEIGHT_MAX = 10000, REST_MAX = 1 << 20 };

static const char *const members[] = {"rules", "targets", "fallback"};

/* ---- rows ---- */

static void row_free(struct rule_row *r)
{
    free(r->name);
    free(r->text);
}

/* Where the section begins and ends. */
static size_t section_start(const struct rule_doc *d, enum rule_section section)
{
    size_t i = 0;
    while (i < d->count && d->rows[i].section < section)
        i++;
    return i;
}

static int row_insert(struct rule_doc *d, size_t at, struct rule_row row, struct err *e)
{
    if (d->count == RULE_ROWS_MAX || !row.text) {
        row_free(&row);
        return err_set(e, ERR_LIMIT, "at most %d rows", RULE_ROWS_MAX);
    }
    memmove(d->rows + at + 1, d->rows + at, (d->count - at) * sizeof d->rows[0]);
    d->rows[at] = row;
    d->count++;
    return (int)at;
}

/* ---- lines ---- */

static bool needs_quotes(struct str s)
{
    return s.n == 0 || str_chr(s, ' ') >= 0 || str_chr(s, '"') >= 0 || str_chr(s, ',') >= 0;
}

static void put_word(struct buf *out, struct str s)
{
    bool quoted = needs_quotes(s);
    if (quoted)
        buf_putc(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\')
            buf_putc(out, '\\');
        buf_putc(out, s.p[i]);
    }
    if (quoted)
        buf_putc(out, '"');
}

/* The next word, quotes taken away. False at the end, or when a quote stays open (*bad). */
static bool next_word(const char **at, char word[WORD_MAX], bool *bad)
{
    const char *p = *at;
    size_t n = 0;
    bool quoted = false;
    while (*p == ' ' || *p == ',')
        p++;
    if (!*p)
        return false;
    for (; *p && (quoted || (*p != ' ' && *p != ',')) && n + 1 < WORD_MAX; p++) {
        if (*p == '"')
            quoted = !quoted;
        else if (*p == '\\' && p[1])
            word[n++] = *++p;
        else
            word[n++] = *p;
    }
    word[n] = '\0';
    *at = p;
    *bad = quoted || n + 1 == WORD_MAX;
    return !*bad;
}

static unsigned count_uses(const char *line)
{
    char word[WORD_MAX];
    bool bad = false, uses = false;
    unsigned n = 0;
    while (next_word(&line, word, &bad)) {
        n += uses;
        uses = uses || strcmp(word, "->") == 0;
    }
    return n;
}

/* "key=ci-* -> cheap" as {"if":{…},"use":…} members. One use is no list: a route stands alone. */
static int write_rule_line(const char *line, struct json_writer *w, struct err *e)
{
    char word[WORD_MAX];
    bool bad = false, uses = false;
    unsigned n = 0, all = count_uses(line);
    if (w)
        json_object_begin(w, "if");
    while (next_word(&line, word, &bad)) {
        char *equals = strchr(word, '=');
        if (strcmp(word, "->") == 0 && !uses) {
            uses = true;
            if (w)
                json_object_end(w);
            if (w && all > 1)
                json_array_begin(w, "use");
        } else if (uses) {
            n++;
            if (w)
                json_put_c(w, all > 1 ? NULL : "use", word);
        } else if (!equals || equals == word) {
            return err_set(e, ERR_SYNTAX, "\"%.60s\": a condition is NAME=VALUE; targets stand behind ->",
                word);
        } else if (w) {
            *equals = '\0';
            json_put_c(w, word, equals + 1);
        }
    }
    if (w && !uses)
        json_object_end(w);
    else if (w && all > 1)
        json_array_end(w);
    if (bad)
        return err_set(e, ERR_SYNTAX, "a quote stays open, or a word is too long");
    return n ? 0 : err_set(e, ERR_SYNTAX, "say where it goes: conditions -> provider/model, or a route");
}

/* "lab/m 20" → its name's length, and the weight. */
static int read_target_line(const char *line, size_t *name_n, long *weight, struct err *e)
{
    const char *blank = strchr(line, ' ');
    *name_n = blank ? (size_t)(blank - line) : strlen(line);
    *weight = -1;
    if (*name_n == 0)
        return err_set(e, ERR_SYNTAX, "a target is provider/model, with its weight behind it if it has one");
    while (blank && *blank == ' ')
        blank++;
    if (!blank || !*blank)
        return 0;
    int64_t n;
    if (!str_to_i64(str_c(blank), &n) || n < 0 || n > WEIGHT_MAX)
        return err_set(e, ERR_RANGE, "\"%.40s\": a weight is a number from 0 to %d", blank, WEIGHT_MAX);
    *weight = (long)n;
    return 0;
}

static int row_of_line(enum rule_section section, const char *line, struct rule_row *out, struct err *e)
{
    size_t n = strlen(line);
    *out = (struct rule_row){.section = section, .weight = -1};
    int rc = section == SECTION_RULES ? write_rule_line(line, NULL, e)
                                      : read_target_line(line, &n, &out->weight, e);
    if (rc < 0)
        return rc;
    out->text = str_dup(str_n(line, n));
    return out->text ? 0 : err_set(e, ERR_NOMEM, "out of memory");
}

/* ---- reading ---- */

static void put_value(struct buf *out, struct json_span v, struct arena *a)
{
    put_word(out, v.type == JSON_STRING ? json_text(v, a) : v.raw);
}

static char *line_of_rule(struct str rule, struct arena *a)
{
    struct buf b;
    struct json_span k, v, use = json_get(rule, STR("use"));
    struct json_iter it = json_iter(json_get(rule, STR("if")).raw);
    buf_init(&b, RULE_LINE_MAX);
    while (it.object && json_next(&it, &k, &v)) {
        buf_put_str(&b, json_text(k, a));
        buf_putc(&b, '=');
        put_value(&b, v, a);
        buf_putc(&b, ' ');
    }
    buf_puts(&b, "->");
    it = json_iter(use.raw);
    bool first = true;
    if (use.type == JSON_STRING) {
        buf_putc(&b, ' ');
        put_value(&b, use, a);
    }
    while (use.type == JSON_ARRAY && json_next(&it, &k, &v)) {
        buf_puts(&b, first ? " " : ", ");
        put_value(&b, v, a);
        first = false;
    }
    char *text = b.err ? NULL : str_dup(buf_str(&b));
    buf_fini(&b);
    return text;
}

static struct rule_row row_of_json(enum rule_section section, struct json_span v, struct arena *a)
{
    struct rule_row row = {.section = section, .weight = -1};
    int64_t weight;
    if (section == SECTION_RULES) {
        struct json_span name = json_get(v.raw, STR("name")), on = json_get(v.raw, STR("enabled"));
        row.name = name.type == JSON_STRING ? str_dup(json_text(name, a)) : NULL;
        row.off = on.type == JSON_FALSE || json_text_eq(on, STR("no"));
        row.text = line_of_rule(v.raw, a);
        return row;
    }
    row.text = str_dup(v.type == JSON_STRING ? json_text(v, a) : json_get_str(v.raw, STR("to"), a));
    struct json_span w = v.type == JSON_OBJECT ? json_get(v.raw, STR("weight")) : (struct json_span){0};
    struct str number = w.type == JSON_STRING ? json_text(w, a) : w.raw; /* YAML's come as texts */
    if (w.type != JSON_NONE && str_to_i64(number, &weight))
        row.weight = (long)weight;
    return row;
}

static int read_section(struct rule_doc *d, enum rule_section section, struct str json,
    struct arena *a, struct err *e)
{
    struct json_span list = json_get(json, str_c(members[section])), k, v;
    struct json_iter it = json_iter(list.raw);
    int rc = 0;
    while (rc >= 0 && list.type == JSON_ARRAY && json_next(&it, &k, &v))
        rc = row_insert(d, d->count, row_of_json(section, v, a), e);
    return rc < 0 ? rc : 0;
}

int rule_doc_read(struct rule_doc *d, struct str json, struct err *e)
{
    struct json_iter it = json_iter(json);
    struct json_span k, v;
    struct arena a;
    int rc = 0;
    *d = (struct rule_doc){0};
    buf_init(&d->rest, REST_MAX);
    arena_init(&a, 4096, REST_MAX);
    for (int s = 0; rc == 0 && s < SECTION_COUNT; s++)
        rc = read_section(d, (enum rule_section)s, json, &a, e);
    while (rc == 0 && it.object && json_next(&it, &k, &v)) {
        bool own = false;
        for (int s = 0; s < SECTION_COUNT; s++)
            own = own || json_text_eq(k, str_c(members[s]));
        if (!own)
            buf_printf(&d->rest, STR_FMT ":" STR_FMT ",", STR_ARG(k.raw), STR_ARG(v.raw));
    }
    arena_fini(&a);
    if (rc == 0 && d->rest.err)
        rc = err_set(e, ERR_LIMIT, "the route is too long to be edited here");
    return rc;
}

void rule_doc_fini(struct rule_doc *d)
{
    for (size_t i = 0; i < d->count; i++)
        row_free(&d->rows[i]);
    buf_fini(&d->rest);
    *d = (struct rule_doc){0};
}

/* ---- writing ---- */

static void write_row(const struct rule_row *r, struct json_writer *w)
{
    if (r->section != SECTION_RULES && r->weight < 0) {
        json_put_c(w, NULL, r->text);
        return;
    }
    json_object_begin(w, NULL);
    if (r->section == SECTION_RULES) {
        if (r->name)
            json_put_c(w, "name", r->name);
        if (r->off)
            json_put_bool(w, "enabled", false);
        (void)write_rule_line(r->text, w, NULL); /* it was read before */
    } else {
        json_put_c(w, "to", r->text);
        json_put_int(w, "weight", r->weight);
    }
    json_object_end(w);
}

void rule_doc_write(const struct rule_doc *d, struct buf *out)
{
    buf_putc(out, '{');
    buf_put_str(out, buf_str(&d->rest));
    size_t i = 0;
    bool first = true;
    for (int s = 0; s < SECTION_COUNT; s++) {
        if (s != SECTION_TARGETS && (i == d->count || d->rows[i].section != (enum rule_section)s))
            continue; /* what is empty is left out, but for the targets */
        buf_printf(out, "%s\"%s\":", first ? "" : ",", members[s]);
        first = false;
        struct json_writer w = json_writer(out);
        json_array_begin(&w, NULL);
        for (; i < d->count && d->rows[i].section == (enum rule_section)s; i++)
            write_row(&d->rows[i], &w);
        json_array_end(&w);
    }
    buf_putc(out, '}');
}

/* ---- changing ---- */

int rule_doc_add(struct rule_doc *d, enum rule_section section, size_t at, const char *line,
    struct err *e)
{
    struct rule_row row;
    int rc = row_of_line(section, line, &row, e);
    if (rc < 0)
        return rc;
    bool behind = at < d->count && d->rows[at].section == section;
    return row_insert(d, behind ? at + 1 : section_start(d, section), row, e);
}

int rule_doc_set_line(struct rule_doc *d, size_t i, const char *line, struct err *e)
{
    struct rule_row row;
    int rc = i < d->count ? row_of_line(d->rows[i].section, line, &row, e) : -ERR_RANGE;
    if (rc < 0)
        return rc;
    free(d->rows[i].text);
    d->rows[i].text = row.text;
    if (row.section != SECTION_RULES)
        d->rows[i].weight = row.weight;
    return 0;
}

void rule_doc_remove(struct rule_doc *d, size_t i)
{
    if (i >= d->count)
        return;
    row_free(&d->rows[i]);
    d->count--;
    memmove(d->rows + i, d->rows + i + 1, (d->count - i) * sizeof d->rows[0]);
}

size_t rule_doc_move(struct rule_doc *d, size_t i, int by)
{
    size_t to = i + (size_t)by; /* below 0 wraps and is refused */
    if (i >= d->count || to >= d->count || d->rows[i].section != d->rows[to].section)
        return i;
    struct rule_row row = d->rows[i];
    d->rows[i] = d->rows[to];
    d->rows[to] = row;
    return to;
}

void rule_doc_weigh(struct rule_doc *d, size_t i, long by)
{
    if (i >= d->count || d->rows[i].section == SECTION_RULES)
        return;
    long now = d->rows[i].weight < 0 ? 1 : d->rows[i].weight;
    d->rows[i].weight = MAX(0L, MIN(now + by, (long)WEIGHT_MAX));
}
