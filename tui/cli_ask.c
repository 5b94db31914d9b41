/* cli_ask.c: see cli_ask.h. */
#include "tui/cli_ask.h"

#include "store/base/array.h"
#include "store/base/clock.h"
#include "tui/clean.h"
#include "tui/format.h"
#include "tui/launch.h"
#include "tui/link.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Without an escape, whoever made the text. */
static void put_clean(FILE *to, const char *front, const char *fmt, va_list ap)
{
    char raw[2048];
    vsnprintf(raw, sizeof raw, fmt, ap);
    struct buf out;
    buf_init(&out, 1 << 16);
    clean_put(&out, str_c(raw), false);
    fprintf(to, "%s%s\n", front, buf_c(&out) ? buf_c(&out) : "");
    buf_fini(&out);
}

/* What was last complained of, until it is told as JSON. */
static struct {
    char code[32], text[512];
} complaint;

void cli_complain(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(complaint.text, sizeof complaint.text, fmt, ap);
    va_end(ap);
    va_start(ap, fmt);
    put_clean(stderr, "pointsman: ", fmt, ap);
    va_end(ap);
}

int cli_fail(const struct err *e)
{
    str_copy(complaint.code, sizeof complaint.code, str_c(err_name(e->code)));
    cli_complain("%s", e->text);
    return CLI_FAILED;
}

bool cli_connect_quietly(struct cli *c)
{
    struct err e = {0};
    if (launch_find(c, c->socket_path, &e) < 0)
        return false;
    c->link = link_new(c->socket_path);
    return c->link != NULL;
}

static bool told; /* something stands on stdout as JSON */

/* For scripts: on stdout where the answer would stand, as the gateway says it. */
static void put_error(const struct cli *c, const char *code, const char *text)
{
    struct buf out;
    if (!c->json)
        return;
    buf_init(&out, 1 << 16);
    json_write_error(&out, code, text);
    cli_put_json(buf_str(&out));
    buf_fini(&out);
    told = true;
}

void cli_tell_failure(const struct cli *c, int status)
{
    if (status == CLI_DONE || told || !complaint.text[0])
        return;
    put_error(c, status == CLI_USAGE ? "usage" : complaint.code[0] ? complaint.code : "failed",
        complaint.text);
}

void cli_no_such(const struct cli *c, const char *kind, const char *name)
{
    char text[300];
    snprintf(text, sizeof text, "no %s \"%.200s\"; see: pointsman %s list", kind, name, kind);
    put_error(c, err_name(ERR_NOT_FOUND), text);
    cli_complain("%s", text);
}

int cli_connect(struct cli *c, bool start)
{
    struct err e = {0};
    int rc = launch_find(c, c->socket_path, &e);
    if (rc == -ERR_NOT_FOUND && start)
        rc = launch_start(c, c->socket_path, &e);
    if (rc == 0 && !(c->link = link_new(c->socket_path)))
        rc = err_set(&e, ERR_NOMEM, "out of memory");
    if (rc == 0)
        return CLI_DONE;
    put_error(c, rc == -ERR_NOT_FOUND ? "no_gateway" : err_name(-rc), e.text);
    cli_complain("%s", e.text);
    return rc == -ERR_NOT_FOUND ? CLI_NO_GATEWAY : CLI_FAILED;
}

/* ---- asking ---- */

static int ask(
    struct cli *c, struct reply *r, const char *method, const char *path, struct str body)
{
    struct err e = {0};
    int status = 0;
    r->json = NULL;
    buf_init(&r->text, LINK_REPLY_MAX);
    int rc = link_call(c->link, method, path, body, &status, &r->text, &e);
    if (rc < 0) {
        put_error(c, "no_gateway", e.text);
        cli_complain("the gateway at %s does not answer: %s", c->socket_path, e.text);
        buf_fini(&r->text);
        return CLI_NO_GATEWAY;
    }
    char code[32] = "";
    if (status < 200 || status > 299)
        (void)link_error(buf_str(&r->text), status, &e);
    else if (!(r->json = json_parse(buf_str(&r->text), &e)))
        err_context(&e, 0, "the gateway's answer");
    const char *late = json_string(r->json, "not_stored", "");
    if (*late)
        cli_complain("in force, but not stored yet: %s", late);
    if (r->json)
        return CLI_DONE;
    struct json *refusal = json_parse(buf_str(&r->text), NULL);
    str_copy(code, sizeof code, str_c(json_string(json_member(refusal, "error"), "code", err_name(e.code))));
    json_free(refusal);
    put_error(c, code, e.text);
    buf_fini(&r->text);
    return cli_fail(&e);
}

int cli_get(struct cli *c, struct reply *r, const char *path)
{
    return ask(c, r, "GET", path, STR_NULL);
}

int cli_post(struct cli *c, struct reply *r, const char *path, struct str body)
{
    return ask(c, r, "POST", path, body.n ? body : STR("{}"));
}

void reply_free(struct reply *r)
{
    json_free(r->json);
    buf_fini(&r->text);
}

/* 'it'\''s': safe inside a POSIX shell's single quotes. */
void cli_shell_quote(struct buf *out, const char *text)
{
    buf_putc(out, '\'');
    for (; *text; text++)
        if (*text == '\'')
            buf_puts(out, "'\\''");
        else
            buf_putc(out, *text);
    buf_putc(out, '\'');
}

void cli_put_json(struct str json)
{
    struct buf out;
    told = true;
    if (!isatty(1)) {
        fwrite(json.p, 1, json.n, stdout);
        putchar('\n');
        return;
    }
    buf_init(&out, LINK_REPLY_MAX);
    clean_put_lines(&out, json);
    printf("%s\n", buf_c(&out) ? buf_c(&out) : "");
    buf_fini(&out);
}

bool cli_json(const struct cli *c, const struct reply *r)
{
    if (!c->json)
        return false;
    cli_put_json(buf_str(&r->text));
    return true;
}

bool cli_json_lines(const struct cli *c, const struct reply *r, const char *member)
{
    if (!c->json)
        return false;
    struct json_span list = json_get(buf_str(&r->text), str_c(member)), key, value;
    struct json_iter it = json_iter(list.raw);
    while (list.type == JSON_ARRAY && json_next(&it, &key, &value))
        cli_put_json(value.raw);
    return true;
}

void cli_query(struct buf *path, const char *name, const char *value)
{
    if (!value)
        return;
    buf_printf(path, "%c%s=", str_chr(buf_str(path), '?') >= 0 ? '&' : '?', name);
    link_path(path, str_c(value));
}

int64_t cli_duration(const char *option, const char *text)
{
    int64_t ms;
    if (format_read_duration(text, &ms))
        return ms;
    cli_complain("--%s: \"%s\" is no time such as 30s, 15m, 2h or 7d", option, text);
    return -1;
}

int64_t cli_time(const char *text, int64_t now_ms)
{
    int64_t ms;
    if (format_read_duration(text, &ms))
        return now_ms - ms;
    struct tm tm = {.tm_isdst = -1};
    time_t now = (time_t)(now_ms / 1000);
    if (strcmp(text, "today") == 0) {
        localtime_r(&now, &tm);
        tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
        return (int64_t)mktime(&tm) * 1000;
    }
    static const char *const forms[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d"};
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        tm = (struct tm){.tm_isdst = -1};
        const char *end = strptime(text, forms[i], &tm);
        if (end && *end == '.')
            end += 1 + strspn(end + 1, "0123456789");
        if (end && strcmp(end, "Z") == 0)
            return (int64_t)timegm(&tm) * 1000;
        if (end && *end == 0)
            return (int64_t)mktime(&tm) * 1000;
    }
    return -1;
}

/* ---- printing ---- */

bool cli_colors(const struct cli *c)
{
    const char *none = getenv("NO_COLOR"), *term = getenv("TERM");
    return !c->no_color && !(none && *none) && isatty(1) && term && strcmp(term, "dumb") != 0;
}

void cli_say(const struct cli *c, const char *fmt, ...)
{
    (void)c;
    va_list ap;
    va_start(ap, fmt);
    put_clean(stdout, "", fmt, ap);
    va_end(ap);
}

struct cell {
    size_t from, bytes; /* in table.text, sanitised already */
    size_t columns;
    enum cell_color color;
};

void table_init(struct table *t, const char *titles)
{
    *t = (struct table){0};
    buf_init(&t->text, (size_t)256 << 20);
    struct str rest = str_c(titles), title;
    while (t->column_count < TABLE_COLUMNS_MAX && rest.n && str_cut(&rest, ' ', &title)) {
        bool right = title.n && title.p[0] == '<';
        if (right)
            title = str_from(title, 1);
        int64_t most = 0;
        ptrdiff_t colon = str_chr(title, ':');
        if (colon >= 0 && str_to_i64(str_from(title, (size_t)colon + 1), &most))
            title = str_first(title, (size_t)colon);
        t->columns[t->column_count].title = title.p;
        t->columns[t->column_count].title_n = title.n;
        t->columns[t->column_count].right = right;
        t->columns[t->column_count].width = title.n;
        t->columns[t->column_count++].most = most ? (size_t)most : 60;
    }
}

void table_cell(struct table *t, struct str text, enum cell_color color)
{
    if (!array_room(&t->cells, &t->cap, t->count, sizeof *t->cells))
        return;
    size_t column = t->count % t->column_count, used;
    struct cell *cell = &t->cells[t->count++];
    text = str_first(text, clean_fit(text, false, t->columns[column].most, &used));
    *cell = (struct cell){.from = t->text.n, .columns = used, .color = color};
    clean_put(&t->text, text, false);
    cell->bytes = t->text.n - cell->from;
    t->columns[column].width = MAX(t->columns[column].width, used);
}

void table_text(struct table *t, const char *text)
{
    table_cell(t, text && *text ? str_c(text) : STR("-"), CELL_PLAIN);
}

void table_json(struct table *t, const struct json *row, const char *member)
{
    table_text(t, json_string(row, member, ""));
}

void table_count(struct table *t, int64_t n)
{
    char b[FORMAT_MAX];
    table_text(t, n ? format_count(b, n) : "-");
}

void table_money(struct table *t, int64_t nano)
{
    char b[FORMAT_MAX];
    table_text(t, nano ? format_money(b, nano) : "-");
}

void table_seconds(struct table *t, int64_t us)
{
    char b[FORMAT_MAX];
    table_text(t, us ? format_seconds(b, us) : "-");
}

void table_share(struct table *t, int64_t ppm)
{
    char b[FORMAT_MAX];
    table_text(t, ppm ? format_share(b, ppm) : "-");
}

static void pad(size_t n)
{
    printf("%*s", (int)n, "");
}

static void print_cell(const struct table *t, size_t i, bool colors)
{
    static const char *const codes[] = {"", "\033[32m", "\033[33m", "\033[31m", "\033[2m"};
    const struct cell *cell = &t->cells[i];
    size_t column = i % t->column_count, width = t->columns[column].width;
    bool last = column + 1 == t->column_count, color = colors && cell->color != CELL_PLAIN;
    if (column)
        pad(2);
    if (t->columns[column].right)
        pad(width - cell->columns);
    printf("%s%.*s%s", color ? codes[cell->color] : "", (int)cell->bytes, t->text.p + cell->from,
        color ? "\033[0m" : "");
    if (!t->columns[column].right && !last)
        pad(width - cell->columns);
    if (last)
        putchar('\n');
}

void table_print(struct table *t, const struct cli *c, const char *empty)
{
    bool colors = cli_colors(c);
    for (size_t i = 0; t->count && !c->quiet && i < t->column_count; i++) {
        size_t gap = t->columns[i].width - t->columns[i].title_n;
        if (i)
            pad(2);
        if (t->columns[i].right)
            pad(gap);
        printf("%.*s", (int)t->columns[i].title_n, t->columns[i].title);
        if (!t->columns[i].right && i + 1 < t->column_count)
            pad(gap);
    }
    if (t->count && !c->quiet)
        putchar('\n');
    for (size_t i = 0; t->text.err == 0 && i < t->count; i++)
        print_cell(t, i, colors);
    if (t->count == 0 && !c->quiet)
        printf("%s\n", empty);
    free(t->cells);
    buf_fini(&t->text);
}
