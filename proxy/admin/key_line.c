/* key_line.c: see key_line.h. A new object is written member by member: those that the words name from
 * the words, the rest from the base. */
#include "proxy/admin/key_line.h"

#include "proxy/access/account.h"
#include "proxy/meter/price.h"
#include "store/base/clock.h"

#include <stdio.h>

enum member { M_OWNER, M_TEAM, M_TAGS, M_MODELS, M_SOURCES, M_RAW, M_RPM, M_TPM, M_CONCURRENT,
    M_EXPIRES, M_CAPTURE, MEMBERS };
enum shape { TEXT, LIST, NUMBER, TIME, CAPTURE };

static const struct {
    const char *word, *member;
    enum shape shape;
} rows[MEMBERS] = {
    [M_OWNER] = {"owner", "owner", TEXT},
    [M_TEAM] = {"team", "team", TEXT},
    [M_TAGS] = {"tags", "tags", TEXT},
    [M_MODELS] = {"models", "models", LIST},
    [M_SOURCES] = {"sources", "sources", LIST},
    [M_RAW] = {"raw", "raw", LIST},
    [M_RPM] = {"rpm", "rpm", NUMBER},
    [M_TPM] = {"tpm", "tpm", NUMBER},
    [M_CONCURRENT] = {"concurrent", "concurrent", NUMBER},
    [M_EXPIRES] = {"expires", "expires_ms", TIME},
    [M_CAPTURE] = {"capture", "capture", CAPTURE},
};

/* What a line sets. */
struct wish {
    bool given[MEMBERS];
    struct str text[MEMBERS];
    int64_t number[MEMBERS];
    bool budget_given[WINDOW_COUNT];
    int64_t budget[WINDOW_COUNT]; /* nano; -1 none */
    int64_t raise[WINDOW_COUNT];  /* nano, once; 0: none */
    int64_t wall_ms;
};

bool key_name_ok(struct str name)
{
    bool ok = name.n > 0 && name.n <= 64;
    for (size_t i = 0; ok && i < name.n; i++) {
        char c = name.p[i];
        ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             c == '.' || c == '-' || c == '_';
    }
    return ok;
}

/* ---- words ---- */

static int window_of(struct str name)
{
    for (int w = 0; w < WINDOW_COUNT; w++)
        if (str_eq_nocase(name, str_c(window_name((enum window)w))))
            return w;
    return -1;
}

static bool none(struct str s)
{
    return str_eq(s, STR("none"));
}

/* "200k", "60" */
static bool read_count(struct str s, int64_t *out)
{
    int64_t factor = 1;
    if (s.n > 1 && (s.p[s.n - 1] | 32) == 'k')
        factor = 1000;
    if (s.n > 1 && (s.p[s.n - 1] | 32) == 'm')
        factor = 1000000;
    if (factor > 1)
        s.n--;
    if (!str_to_i64(s, out) || *out <= 0 || *out > INT64_MAX / factor / 2)
        return false;
    *out *= factor;
    return true;
}

static bool read_span(struct str s, int64_t *ms)
{
    static const struct {
        char unit;
        int64_t ms;
    } units[] = {{'m', 60000}, {'h', 3600000}, {'d', 86400000}, {'w', 604800000}};
    int64_t n;
    if (s.n < 2 || !str_to_i64(str_first(s, s.n - 1), &n) || n <= 0 || n > 100000)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (s.p[s.n - 1] == units[i].unit) {
            *ms = n * units[i].ms;
            return true;
        }
    return false;
}

static int set_budget(struct wish *x, struct str amount, struct str window, struct err *e)
{
    int w = window.n ? window_of(window) : WINDOW_TOTAL;
    if (w < 0)
        return err_set(e, ERR_UNKNOWN, "\"" STR_FMT "\" is no window; there are minute, hour, day, "
            "week, month and total", STR_ARG(window));
    if (x->budget_given[w])
        return err_set(e, ERR_DUPLICATE, "the budget for %s is given twice",
            window_name((enum window)w));
    x->budget_given[w] = true;
    x->budget[w] = -1;
    struct err why = {0};
    if (none(amount) || money_parse(amount, false, &x->budget[w], &why) == 0)
        return 0;
    return err_set(e, ERR_RANGE, "\"" STR_FMT "\" is no amount above zero; in a shell `$20` is a "
        "variable and becomes nothing: write 20/%s. To take a limit away write none/%s",
        STR_ARG(amount), window_name((enum window)w), window_name((enum window)w));
}

/* "+5/day": that much more until this day is over. */
static int set_raise(struct wish *x, struct str amount, struct str window, struct err *e)
{
    int w = window.n ? window_of(window) : WINDOW_TOTAL;
    if (w < 0)
        return err_set(e, ERR_UNKNOWN, "\"" STR_FMT "\" is no window; there are minute, hour, day, "
            "week, month and total", STR_ARG(window));
    if (money_parse(amount, false, &x->raise[w], NULL) == 0)
        return 0;
    return err_set(e, ERR_RANGE, "\"+" STR_FMT "\" is no amount above zero: write +5/%s",
        STR_ARG(amount), window_name((enum window)w));
}

static int capture_of(struct str s)
{
    static const char *const names[] = {"off", "errors", "sample", "all"};
    for (int i = 0; i < 4; i++)
        if (str_eq(s, str_c(names[i])))
            return i;
    return none(s) || str_eq(s, STR("default")) ? -1 : -2;
}

static int set_member(struct wish *x, enum member m, struct str value, int64_t wall_ms, struct err *e)
{
    bool ok = value.n > 0;
    if (x->given[m])
        return err_set(e, ERR_DUPLICATE, "%s is given twice", rows[m].word);
    x->given[m] = true;
    x->text[m] = none(value) ? STR("") : value;
    if (rows[m].shape == NUMBER)
        ok = none(value) || read_count(value, &x->number[m]);
    else if (rows[m].shape == TIME && !none(value)) {
        ok = read_span(value, &x->number[m]);
        x->number[m] += wall_ms;
    } else if (rows[m].shape == CAPTURE) {
        x->number[m] = capture_of(value);
        ok = x->number[m] > -2;
    }
    return ok ? 0 : err_set(e, ERR_RANGE, "%s:" STR_FMT ": not understood; such as %s", rows[m].word,
        STR_ARG(value), rows[m].shape == NUMBER ? "rpm:60 or tpm:200k"
            : rows[m].shape == TIME ? "expires:90d" : rows[m].shape == CAPTURE
            ? "capture:off, errors, all or default" : "models:fast,claude-*");
}

static int take_word(struct wish *x, struct str word, int64_t wall_ms, struct err *e)
{
    ptrdiff_t slash = str_chr(word, '/'), colon = str_chr(word, ':');
    if (colon > 0) {
        struct str name = str_first(word, (size_t)colon);
        struct str value = str_from(word, (size_t)colon + 1);
        for (int m = 0; m < MEMBERS; m++)
            if (str_eq(name, str_c(rows[m].word)))
                return set_member(x, (enum member)m, value, wall_ms, e);
        if (window_of(name) >= 0)
            return set_budget(x, value, name, e);
        return err_set(e, ERR_UNKNOWN, "\"" STR_FMT ":\" is unknown; there are owner, team, tags, "
            "models, sources, raw, rpm, tpm, concurrent, expires, capture and day, week, month …",
            STR_ARG(name));
    }
    struct str amount = slash >= 0 ? str_first(word, (size_t)slash) : word;
    struct str window = slash >= 0 ? str_from(word, (size_t)slash + 1) : STR_NULL;
    if (str_starts(amount, STR("+")))
        return set_raise(x, str_from(amount, 1), window, e);
    return set_budget(x, amount, window, e);
}

/* ---- writing ---- */

static void put_list(struct json_writer *w, const char *key, struct str text)
{
    struct str piece;
    json_array_begin(w, key);
    while (text.n && str_cut(&text, ',', &piece))
        if (str_trim(piece).n)
            json_put_str(w, NULL, str_trim(piece));
    json_array_end(w);
}

static void put_member(struct json_writer *w, enum member m, const struct wish *x)
{
    if (rows[m].shape == TEXT)
        json_put_str(w, rows[m].member, x->text[m]);
    else if (rows[m].shape == LIST)
        put_list(w, rows[m].member, x->text[m]);
    else
        json_put_int(w, rows[m].member, x->number[m]);
}

static bool is_given(const struct wish *x, struct json_span key)
{
    for (int m = 0; m < MEMBERS; m++)
        if (x->given[m] && json_text_eq(key, str_c(rows[m].member)))
            return true;
    return json_text_eq(key, STR("budgets")) || json_text_eq(key, STR("raised"));
}

static void put_budgets(struct json_writer *w, struct str base, const struct wish *x)
{
    struct str old = json_get(base, STR("budgets")).raw;
    bool any = old.n > 0;
    for (int i = 0; i < WINDOW_COUNT; i++)
        any = any || x->budget_given[i];
    if (!any)
        return;
    json_object_begin(w, "budgets");
    for (int i = 0; i < WINDOW_COUNT; i++) {
        int64_t nano = -1;
        if (x->budget_given[i])
            nano = x->budget[i];
        else if (json_i64(json_get(old, str_c(window_name((enum window)i))), &nano) < 0)
            nano = -1;
        if (nano >= 0)
            json_put_int(w, window_name((enum window)i), nano);
    }
    json_object_end(w);
}

/* Old ones stay: they mean nothing once their window is over. */
static void put_raises(struct json_writer *w, struct str base, const struct wish *x)
{
    struct str old = json_get(base, STR("raised")).raw;
    bool any = old.n > 0;
    for (int i = 0; i < WINDOW_COUNT; i++)
        any = any || x->raise[i];
    if (!any)
        return;
    json_object_begin(w, "raised");
    for (int i = 0; i < WINDOW_COUNT; i++) {
        const char *name = window_name((enum window)i);
        struct str kept = json_get(old, str_c(name)).raw;
        if (!x->raise[i] && kept.n)
            json_put_raw(w, name, kept);
        if (!x->raise[i])
            continue;
        json_array_begin(w, name);
        json_put_int(w, NULL, x->raise[i]);
        json_put_int(w, NULL, x->wall_ms);
        json_array_end(w);
    }
    json_object_end(w);
}

/* What is to be raised must be limited. */
static int check_raises(struct str base, const struct wish *x, struct err *e)
{
    struct str budgets = json_get(base, STR("budgets")).raw;
    for (int i = 0; i < WINDOW_COUNT; i++) {
        const char *name = window_name((enum window)i);
        bool limited = x->budget_given[i] ? x->budget[i] > 0 : json_get(budgets, str_c(name)).raw.n > 0;
        if (x->raise[i] && !limited)
            return err_set(e, ERR_RANGE, "there is no budget for %s that could be raised", name);
    }
    return 0;
}

static void write_object(struct str base, const struct wish *x, struct buf *out)
{
    struct json_writer w = json_writer(out);
    struct json_iter it = json_iter(base);
    struct json_span key, value;
    json_object_begin(&w, NULL);
    while (base.n && json_next(&it, &key, &value))
        if (!is_given(x, key)) {
            json_put_key(&w, str_first(str_from(key.raw, 1), key.raw.n - 2)); /* our own plain names */
            json_put_raw(&w, NULL, value.raw);
        }
    for (int m = 0; m < MEMBERS; m++)
        if (x->given[m])
            put_member(&w, (enum member)m, x);
    put_budgets(&w, base, x);
    put_raises(&w, base, x);
    json_object_end(&w);
}

int key_line_apply(struct str base, struct str words, int64_t wall_ms, struct buf *out, struct err *e)
{
    struct wish x = {.wall_ms = wall_ms};
    struct str word;
    int rc = 0;
    while (rc == 0 && words.n && str_cut(&words, ' ', &word))
        if (word.n)
            rc = take_word(&x, word, wall_ms, e);
    rc = rc ? rc : check_raises(base, &x, e);
    if (rc == 0)
        write_object(base, &x, out);
    return rc;
}

/* ---- from the API ---- */

static int join_list(const struct json *list, char *out, size_t size, struct str *text)
{
    size_t at = 0;
    for (const struct json *i = json_first(list); i; i = json_following(i)) {
        const char *s = json_item_string(i, NULL);
        size_t n = s ? strlen(s) : 0;
        if (!s || n == 0 || strchr(s, ',') || at + n + 1 >= size)
            return -ERR_TYPE;
        if (at)
            out[at++] = ',';
        memcpy(out + at, s, n);
        at += n;
    }
    *text = str_n(out, at);
    return 0;
}

static int read_budgets(const struct json *budgets, struct wish *x, struct err *e)
{
    for (const struct json *b = json_first(budgets); b; b = json_following(b)) {
        int w = window_of(str_c(json_key(b)));
        int64_t nano = json_is_null(b) ? -1 : json_item_int(b, 0);
        if (w < 0 || nano == 0 || nano < -1)
            return err_set(e, ERR_RANGE, "budgets: {\"week\": nano-USD above zero, or null}");
        x->budget_given[w] = true;
        x->budget[w] = nano;
    }
    return 0;
}

int key_members_apply(struct str base, const struct json *members, struct buf *out, struct err *e)
{
    struct wish x = {0};
    char lists[MEMBERS][2048];
    int rc = read_budgets(json_member(members, "budgets"), &x, e);
    for (int m = 0; rc == 0 && m < MEMBERS; m++) {
        const struct json *v = json_member(members, rows[m].member);
        if (!v)
            continue;
        x.given[m] = true;
        bool ok = rows[m].shape == TEXT ? json_is_string(v)
            : rows[m].shape == LIST ? json_is_array(v)
            : rows[m].shape == CAPTURE ? json_is_string(v) || json_is_number(v)
            : json_is_number(v) && json_item_int(v, -1) >= 0;
        if (ok && rows[m].shape == LIST)
            ok = join_list(v, lists[m], sizeof lists[m], &x.text[m]) == 0;
        else if (ok && rows[m].shape == TEXT)
            x.text[m] = str_c(json_item_string(v, ""));
        else if (ok)
            x.number[m] = json_is_string(v) ? capture_of(str_c(json_item_string(v, "")))
                                            : json_item_int(v, 0);
        if (!ok || (rows[m].shape == CAPTURE && x.number[m] < -1))
            rc = err_set(e, ERR_TYPE, "%s: not of the expected type", rows[m].member);
    }
    if (rc == 0)
        write_object(base, &x, out);
    return rc;
}

/* ---- in words ---- */

static void put_comma(struct buf *out, size_t from)
{
    if (out->n > from)
        buf_puts(out, ", ");
}

static void say_list(struct buf *out, size_t from, const char *what, struct str list)
{
    struct json_iter it = json_iter(list);
    struct json_span key, value;
    bool first = true;
    while (list.n && json_next(&it, &key, &value)) {
        if (first)
            put_comma(out, from);
        buf_puts(out, first ? what : ", ");
        buf_put_str(out, str_first(str_from(value.raw, 1), value.raw.n - 2));
        first = false;
    }
}

static void say_number(struct buf *out, size_t from, struct str object, const char *member,
    const char *what)
{
    int64_t n = 0;
    if (json_i64(json_get(object, str_c(member)), &n) < 0 || n <= 0)
        return;
    put_comma(out, from);
    buf_printf(out, "%lld %s", (long long)n, what);
}

void key_meaning(struct str object, struct buf *out)
{
    size_t from = out->n;
    struct str budgets = json_get(object, STR("budgets")).raw;
    int64_t nano, expires = 0;
    char text[48];
    for (int w = 0; w < WINDOW_COUNT; w++) {
        if (json_i64(json_get(budgets, str_c(window_name((enum window)w))), &nano) < 0)
            continue;
        money_show(nano, text, sizeof text);
        put_comma(out, from);
        buf_printf(out, w == WINDOW_TOTAL ? "$%s in all" : "$%s a %s", text,
            window_name((enum window)w));
    }
    for (int w = 0; w < WINDOW_COUNT; w++) {
        char path[40];
        snprintf(path, sizeof path, "raised.%s.0", window_name((enum window)w));
        if (json_i64(json_path(object, path), &nano) < 0)
            continue;
        money_show(nano, text, sizeof text);
        put_comma(out, from);
        buf_printf(out, "$%s more once (%s)", text, window_name((enum window)w));
    }
    if (out->n == from)
        buf_puts(out, "no budget");
    say_number(out, from, object, "rpm", "requests a minute");
    say_number(out, from, object, "tpm", "tokens a minute");
    say_number(out, from, object, "concurrent", "at once");
    say_list(out, from, "only ", json_get(object, STR("models")).raw);
    say_list(out, from, "from ", json_get(object, STR("sources")).raw);
    if (json_i64(json_get(object, STR("expires_ms")), &expires) == 0 && expires > 0) {
        char time[32];
        clock_rfc3339(expires, time);
        put_comma(out, from);
        buf_printf(out, "until %.10s", time);
    }
}
