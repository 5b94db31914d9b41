/* columns.h: the columns of a list of requests: what is in a cell, and what orders by it.
 *
 * Readers: the Requests screen and its order menu. One row of the table in columns.c is a column.
 */
#ifndef POINTSMAN_COLUMNS_H
#define POINTSMAN_COLUMNS_H

#include "tui/widgets/table.h"

enum time_form { TIME_CLOCK, TIME_AGE, TIME_ISO, TIME_DELTA, TIME_FORMS };

struct cell;

struct request_column {
    struct table_column head;
    struct str (*text)(const struct row *row);
    int64_t (*number)(const struct row *row, int64_t now_ms);
    void (*paint)(const struct cell *cell);
    const char *field;
    enum role role;
};
extern const struct request_column request_columns[]; /* the first is the time */
extern const size_t request_column_count;

/* How times are written: `before` is the request before this one in the list (TIME_DELTA), or NULL.
 */
struct time_style {
    enum time_form form;
    int64_t now_ms;
    const struct row *before;
};
void request_cell(
    const struct row *row, int column, int y, int x, int width, const struct time_style *times);

/* <0, 0, >0; the order of the column, ascending. Ties: by id. */
int request_compare(const struct row *a, const struct row *b, int column, int64_t now_ms);

/* "key:alice": the filter term that this cell would be; false when the column has none. */
bool request_term(const struct row *row, int column, char *out, size_t size);

/* Glyph and word of the state: "✓ 200", "▸ live", "! 429", "✗ 502". */
enum role request_state(const struct row *row, char out[16]);

#endif
