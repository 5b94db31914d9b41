/* table.c: see table.h. */
#include "tui/widgets/table.h"

enum { LEAD = 3, GAP = 1 };

static int total_width(const struct table_column *c, size_t n, const bool *on)
{
    int total = 0;
    for (size_t i = 0; i < n; i++)
        if (on[i])
            total += c[i].width + GAP;
    return total;
}

static void widen(
    const struct table_column *c, size_t count, const int *index, int *widths, int spare)
{
    for (size_t i = 0; i < count && spare > 0; i++)
        if (c[index[i]].flex > widths[i]) {
            int more = MIN(spare, c[index[i]].flex - widths[i]);
            widths[i] += more;
            spare -= more;
        }
}

size_t table_fit(const struct table_column *c, size_t n, int width, int index[TABLE_COLUMNS_MAX],
    int widths[TABLE_COLUMNS_MAX])
{
    bool on[TABLE_COLUMNS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        on[i] = true;
    while (total_width(c, n, on) - GAP > width) {
        size_t worst = n;
        for (size_t i = 0; i < n; i++)
            if (on[i] && (worst == n || c[i].priority > c[worst].priority))
                worst = i;
        if (worst == n)
            break;
        on[worst] = false;
        if (total_width(c, n, on) == 0) {
            on[worst] = true; /* one column stays, however narrow */
            break;
        }
    }
    for (size_t i = 0; i < n; i++)
        if (on[i]) {
            index[count] = (int)i;
            widths[count++] = c[i].width;
        }
    widen(c, count, index, widths, width - (total_width(c, n, on) - GAP));
    if (count == 1)
        widths[0] = MIN(widths[0], width);
    return count;
}

static bool skip_rule(const struct table_view *v, int row)
{
    return v->is_rule && row >= 0 && row < v->rows && v->is_rule(v->ctx, row);
}

static void settle(struct table *t, const struct table_view *v, int direction)
{
    int at = t->selected;
    at = MAX(0, MIN(at, v->rows - 1));
    while (at >= 0 && at < v->rows && skip_rule(v, at))
        at += direction;
    if (at < 0 || at >= v->rows)
        for (at = t->selected; at > 0 && at < v->rows && skip_rule(v, at);)
            at -= direction;
    t->selected = MAX(0, MIN(at, v->rows - 1));
}

static void scroll(struct table *t, int page)
{
    if (t->selected < t->top)
        t->top = t->selected;
    if (t->selected >= t->top + page)
        t->top = t->selected - page + 1;
    t->top = MAX(0, MIN(t->top, t->rows - page));
}

void table_select(struct table *t, int row)
{
    t->selected = MAX(row, 0);
}

static void draw_heading(const struct table *t, const struct table_view *v, struct rect r,
    const int *index, const int *widths, size_t count)
{
    int x = r.x + LEAD;
    ui_fill((struct rect){r.y, r.x, 1, r.w}, ROLE_HEADING);
    for (size_t i = 0; i < count; i++) {
        const struct table_column *c = &v->columns[index[i]];
        bool sorted = t->sort == index[i];
        enum role role = sorted ? ROLE_SORTED : ROLE_HEADING;
        char title[40];
        int n = (int)strlen(c->title);
        str_copy(title, sizeof title, str_c(c->title));
        if (c->right)
            ui_put_right(r.y, x, widths[i], role, title);
        else
            ui_put(r.y, x, widths[i], role, title);
        if (sorted && n < widths[i])
            ui_put(
                r.y, c->right ? x + widths[i] - n - 1 : x + n, 1, role, t->descending ? "▼" : "▲");
        x += widths[i] + GAP;
    }
}

static void draw_row(struct table *t, const struct table_view *v, struct rect r, int row,
    const int *index, const int *widths, size_t count)
{
    int x = r.x + LEAD;
    enum role under = v->row_role ? v->row_role(v->ctx, row) : ROLE_NONE;
    bool selected = row == t->selected;
    if (v->rule && v->rule(v->ctx, row, r.y, r.x, r.w))
        return;
    if (selected)
        under = ROLE_SELECTED;
    ui_under(under);
    if (under != ROLE_NONE)
        ui_fill((struct rect){r.y, r.x, 1, r.w}, ROLE_TEXT);
    ui_put(r.y, r.x, 1, ROLE_ACCENT, selected ? "»" : " ");
    if (v->lead)
        v->lead(v->ctx, row, r.y, r.x + 1);
    for (size_t i = 0; i < count; i++) {
        v->cell(v->ctx, row, index[i], r.y, x, widths[i]);
        x += widths[i] + GAP;
    }
    ui_under(ROLE_NONE);
}

void table_draw(struct table *t, const struct table_view *v, struct rect r, struct app *a)
{
    int index[TABLE_COLUMNS_MAX], widths[TABLE_COLUMNS_MAX];
    size_t count = table_fit(v->columns, v->column_count, r.w - LEAD, index, widths);
    int page = MAX(r.h - 1, 1);
    if (r.h < 1)
        return;
    t->rows = v->rows;
    t->page = page;
    if (t->follow)
        t->selected = v->rows - 1;
    settle(t, v, t->follow ? -1 : 1);
    scroll(t, page);
    draw_heading(t, v, r, index, widths, count);
    for (int i = 0; i < page && t->top + i < v->rows; i++)
        draw_row(t, v, (struct rect){r.y + 1 + i, r.x, 1, r.w}, t->top + i, index, widths, count);
    if (v->rows == 0 && v->empty)
        ui_put(r.y + 1, r.x + LEAD, r.w - LEAD, ROLE_DIM, v->empty);
    if (v->rows)
        app_cursor(a, r.y + 1 + t->selected - t->top, r.x);
}

static bool move_sort(struct table *t, const struct table_view *v, int by)
{
    int n = (int)v->column_count;
    t->sort = ((t->sort < 0 ? 0 : t->sort + by) + n) % n;
    return true;
}

bool table_action(struct table *t, const struct table_view *v, enum action action)
{
    int was = t->selected, half = MAX(t->page / 2, 1), page = MAX(t->page - 1, 1);
    t->rows = v->rows;
    switch (action) {
    case ACTION_DOWN:
        t->selected++;
        break;
    case ACTION_UP:
        t->selected--;
        break;
    case ACTION_PAGE_DOWN:
        t->selected += page;
        break;
    case ACTION_PAGE_UP:
        t->selected -= page;
        break;
    case ACTION_HALF_DOWN:
        t->selected += half;
        break;
    case ACTION_HALF_UP:
        t->selected -= half;
        break;
    case ACTION_TOP:
        t->selected = 0;
        break;
    case ACTION_BOTTOM:
        t->selected = v->rows - 1;
        break;
    case ACTION_SORT_LEFT:
        return move_sort(t, v, -1);
    case ACTION_SORT_RIGHT:
        return move_sort(t, v, 1);
    case ACTION_SORT_INVERT:
        t->descending = !t->descending;
        return true;
    default:
        return false;
    }
    t->selected = MAX(0, MIN(t->selected, v->rows - 1));
    settle(t, v, t->selected < was ? -1 : 1);
    return true;
}
