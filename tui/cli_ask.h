/* cli_ask.h: what the verbs share: finding the gateway, asking it, printing tables safely.
 *
 * Why: everything that is printed may come from outside (a model's name, a session, an error text),
 * so every cell passes clean.h; colour only on a terminal without NO_COLOR; status is word and
 * sign, never colour alone.
 *
 *     struct reply r;
 *     int status = cli_get(c, &r, "exchanges?limit=20");
 *     if (status) return status;                    // said why already
 *     ... json_member(r.json, "rows") ...
 *     reply_free(&r);
 *
 *     struct table t; table_init(&t, "ID Model <Cost");   // '<': numbers, aligned right
 *     table_row(&t); table_cell(&t, text); ...
 *     table_print(&t, c); */
#ifndef POINTSMAN_CLI_ASK_H
#define POINTSMAN_CLI_ASK_H

#include "store/base/json.h"
#include "store/base/json_span.h"
#include "tui/cli.h"

struct reply {
    struct buf text;
    struct json *json; /* NULL when --json prints the text as it came */
};

/* Finds the gateway (and starts one when `start`); sets c->link. Says why not. */
int cli_connect(struct cli *c, bool start);
bool cli_connect_quietly(struct cli *c);

/* Ask; on anything but 2xx the reason is on stderr and the exit status comes back. `json` of the
 * reply is parsed always. */
int cli_get(struct cli *c, struct reply *r, const char *path);
int cli_post(struct cli *c, struct reply *r, const char *path, struct str body);
void reply_free(struct reply *r);
/* A line "pointsman: …" on stderr: it may quote what was typed, or what came from outside. */
void cli_complain(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* With --json, where a verb failed and nothing else stands on stdout: {"error":{"code","message"}} with what
 * was complained of. */
void cli_tell_failure(const struct cli *c, int status);
/* "no route "x"; see: pointsman route list", with --json on stdout too. */
void cli_no_such(const struct cli *c, const char *kind, const char *name);
/* Says why on stderr; returns CLI_FAILED. */
int cli_fail(const struct err *e);

/* A line of JSON as it came; on a terminal what could move its cursor is made visible. */
void cli_shell_quote(struct buf *out, const char *text); /* 'it'\''s': safe in a POSIX shell */
void cli_put_json(struct str json);
/* With --json: the reply as one line. True when it was printed. */
bool cli_json(const struct cli *c, const struct reply *r);
/* With --json: each element of the array under `member` on a line of its own. */
bool cli_json_lines(const struct cli *c, const struct reply *r, const char *member);

/* "since" as people type it ("2h", "2026-11-23T14:00", "today") → wall ms; -1 when it is none. */
int64_t cli_time(const char *text, int64_t now_ms);
/* "15m" → ms, or -1 after saying so. */
int64_t cli_duration(const char *option, const char *text);

/* "20", "20usd", "-5", "0.5" → nano-USD; false for anything else and for nothing at all. */
bool cli_amount(const char *text, int64_t *nano);
/* "keys/NAME/VERB", escaped. */
void cli_key_path(struct buf *path, const char *name, const char *verb);
int cli_list_keys(struct cli *c, const char *name, bool mine);
/* A file, or stdin for "-"; says why it can't. The exit status. */
int cli_read_file(const char *name, struct buf *out);

bool cli_colors(const struct cli *c);
/* Appends &name=value (or ?name=value) escaped. */
void cli_query(struct buf *path, const char *name, const char *value);

enum { TABLE_COLUMNS_MAX = 24 };
enum cell_color { CELL_PLAIN, CELL_GOOD, CELL_WARN, CELL_BAD, CELL_DIM };
struct table {
    struct {
        const char *title;
        size_t title_n;
        bool right;
        size_t width, most;
    } columns[TABLE_COLUMNS_MAX];
    size_t column_count;
    struct cell *cells;
    size_t count, cap;
    struct buf text;
};
/* Titles separated by blanks; '<' in front: aligned right; ':N' behind: at most N columns wide. */
void table_init(struct table *t, const char *titles);
void table_cell(struct table *t, struct str text, enum cell_color color);
void table_text(struct table *t, const char *text);
void table_json(struct table *t, const struct json *row, const char *member); /* a text */
void table_count(struct table *t, int64_t n);                                 /* 12.4k; 0 as "-" */
void table_money(struct table *t, int64_t nano);
void table_seconds(struct table *t, int64_t us); /* 0 as "-" */
void table_share(struct table *t, int64_t ppm);
/* Prints and frees; without rows prints `empty`. */
void table_print(struct table *t, const struct cli *c, const char *empty);

/* A line of prose with outside text in it, sanitised. */
void cli_say(const struct cli *c, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
