/* rule_doc.h: a route while it is being edited: its rules, targets and fallbacks as rows that can be
 * changed, moved, added and removed; everything else of it is kept as it came.
 *
 *     rule_doc_read(&d, json, &e);                 // as the configuration has it
 *     rule_doc_set_line(&d, i, "tools=yes -> lab/m", &e);
 *     rule_doc_write(&d, &buf);                    // JSON again
 *
 * A rule on one line: conditions NAME=VALUE (quoted where they hold blanks), "->", targets or a route
 * with commas between. A target on one line: its name, and its weight where it has one.
 * Ownership: the document owns its texts; rule_doc_fini() frees. Zeroed memory is empty. Pure. */
#ifndef POINTSMAN_RULE_DOC_H
#define POINTSMAN_RULE_DOC_H

#include "store/base/buf.h"
#include "store/base/err.h"

enum rule_section { SECTION_RULES, SECTION_TARGETS, SECTION_FALLBACK, SECTION_COUNT };
enum { RULE_ROWS_MAX = 200, RULE_LINE_MAX = 1000 };

struct rule_row {
    enum rule_section section;
    char *name;      /* of a rule; NULL: none */
    bool off;        /* a rule that is kept without being used */
    char *text;      /* the line */
    long weight;     /* of a target; -1: none is written */
};
struct rule_doc {
    struct rule_row rows[RULE_ROWS_MAX]; /* rules, then targets, then fallbacks */
    size_t count;
    struct buf rest;                     /* further members: ,"policy":"weighted"… */
};

int rule_doc_read(struct rule_doc *d, struct str json, struct err *e) MUST_CHECK;
void rule_doc_fini(struct rule_doc *d);
void rule_doc_write(const struct rule_doc *d, struct buf *out);

/* A new row after row `at` (SIZE_MAX: as the first of its section); its place, or -ERR_X. */
int rule_doc_add(struct rule_doc *d, enum rule_section section, size_t at, const char *line,
    struct err *e) MUST_CHECK;
int rule_doc_set_line(struct rule_doc *d, size_t i, const char *line, struct err *e) MUST_CHECK;
void rule_doc_remove(struct rule_doc *d, size_t i);
/* Up or down within its section; where it stands then. */
size_t rule_doc_move(struct rule_doc *d, size_t i, int by);
void rule_doc_weigh(struct rule_doc *d, size_t i, long by); /* from 0 to 10,000 */

#endif
