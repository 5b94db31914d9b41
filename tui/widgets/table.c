/* table.c: see table.h. */
#include "tui/widgets/table.h"

enum { LEAD = 3, GAP = 1 };

const struct table_column *table_column(const struct table_view *v, size_t i)
{
    size_t stride = v->stride ? v->stride : sizeof *v->columns;
    return (const void *)((const char *)v->columns + i * stride);
}

/* ---- which columns ---- */

static int fit_width(const struct table_fit *f)
{
    int total = -GAP;
    for (size_t i = 0; i < f->count; i++)
        total += f->width[i] + GAP;
    return total;
}

static void leave_out(struct table_fit *f, size_t i)
{
    f->count--;
    memmove(f->index + i, f->index + i + 1, (f->count - i) * sizeof f->index[0]);
    memmove(f->width + i, f->width + i + 1, (f->count - i) * sizeof f->width[0]);
    f->more = true;
}

static void widen(const struct table_view *v, struct table_fit *f, int spare)
{
    for (size_t i = 0; i < f->count && spare > 0; i++) {
        int more = MIN(spare, table_column(v, (size_t)f->index[i])->flex - f->width[i]);
        if (more > 0)
            f->width[i] += more, spare -= more;
    }
}

/* What names the row stays while the others are scrolled over. */
static bool stays(const struct table *t, const struct table_view *v, int column)
{
    return t->chosen_count ? column == t->chosen[0]
                           : table_column(v, (size_t)column)->priority <= 2;
}

static void scroll_over(const struct table *t, const struct table_view *v, struct table_fit *f)
{
    int left = t->shift;
    for (size_t i = 0; left && i < f->count;) {
        if (stays(t, v, f->index[i]))
            i++;
        else
            leave_out(f, i), left--;
    }
    f->more = false;
}

static size_t first_to_drop(const struct table *t, const struct table_view *v, struct table_fit *f)
{
    size_t worst = f->count - 1;
    if (t->shift || t->chosen_count)
        return worst;
    for (size_t i = 0; i < f->count; i++)
        if (table_column(v, (size_t)f->index[i])->priority >
            table_column(v, (size_t)f->index[worst])->priority)
            worst = i;
    return worst;
}

void table_fit(const struct table *t, const struct table_view *v, int width, struct table_fit *f)
{
    *f = (struct table_fit){.count = t->chosen_count ? (size_t)t->chosen_count : v->column_count};
    for (size_t i = 0; i < f->count; i++) {
        f->index[i] = t->chosen_count ? t->chosen[i] : (int)i;
        f->width[i] = table_column(v, (size_t)f->index[i])->width;
    }
    scroll_over(t, v, f);
    while (f->count > 1 && fit_width(f) > width) /* one column stays, however narrow */
        leave_out(f, first_to_drop(t, v, f));
    widen(v, f, width - fit_width(f));
    if (f->count == 1)
        f->width[0] = MIN(f->width[0], width);
}

static int find_column(const struct table_view *v, struct str name)
{
    for (size_t i = 0; i < v->column_count; i++)
        if (str_eq_nocase(name, str_c(table_column(v, i)->title)) ||
            str_eq_nocase(name, str_c(table_column(v, i)->name)))
            return (int)i;
    return -1;
}

bool table_choose(
    struct table *t, const struct table_view *v, struct str names, struct str *unknown)
{
    short chosen[TABLE_COLUMNS_MAX];
    short n = 0;
    struct str word;
    char between = str_chr(names, ',') >= 0 ? ',' : ' ';
    while (str_cut(&names, between, &word)) {
        *unknown = word = str_trim(word);
        int column = find_column(v, word);
        if (word.n && (column < 0 || n == TABLE_COLUMNS_MAX))
            return false;
        if (word.n)
            chosen[n++] = (short)column;
    }
    memcpy(t->chosen, chosen, (size_t)n * sizeof chosen[0]);
    t->chosen_count = n;
    t->shift = 0;
    return true;
}

/* ---- rows ---- */

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

static void draw_title(
    const struct table *t, const struct table_column *c, bool sorted, int y, int x, int width)
{
    enum role role = sorted ? ROLE_SORTED : ROLE_HEADING;
    int n = (int)strlen(c->title);
    if (c->right)
        ui_put_right(y, x, width, role, c->title);
    else
        ui_put(y, x, width, role, c->title);
    if (sorted && n < width)
        ui_put(y, c->right ? x + width - n - 1 : x + n, 1, role, t->descending ? "▼" : "▲");
}

static void draw_heading(
    const struct table *t, const struct table_view *v, struct rect r, const struct table_fit *f)
{
    int x = r.x + LEAD;
    ui_fill((struct rect){r.y, r.x, 1, r.w}, ROLE_HEADING);
    if (t->shift)
        ui_put(r.y, r.x, 1, ROLE_HEADING, "‹");
    for (size_t i = 0; i < f->count; i++) {
        draw_title(
            t, table_column(v, (size_t)f->index[i]), t->sort == f->index[i], r.y, x, f->width[i]);
        x += f->width[i] + GAP;
    }
    if (t->more)
        ui_put(r.y, r.x + 1, 1, ROLE_HEADING, "›");
}

static void draw_row(const struct table *t, const struct table_view *v, struct rect r, int row,
    const struct table_fit *f)
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
    for (size_t i = 0; i < f->count; i++) {
        v->cell(v->ctx, row, f->index[i], r.y, x, f->width[i]);
        x += f->width[i] + GAP;
    }
    ui_under(ROLE_NONE);
}

void table_draw(struct table *t, const struct table_view *v, struct rect r, struct app *a)
{
    struct table_fit fit;
    int page = MAX(r.h - 1, 1);
    if (r.h < 1)
        return;
    table_fit(t, v, r.w - LEAD, &fit);
    t->more = fit.more;
    t->rows = v->rows;
    t->page = page;
    t->y = r.y + 1;
    if (t->follow)
        t->selected = v->rows - 1;
    settle(t, v, t->follow ? -1 : 1);
    scroll(t, page);
    draw_heading(t, v, r, &fit);
    for (int i = 0; i < page && t->top + i < v->rows; i++)
        draw_row(t, v, (struct rect){r.y + 1 + i, r.x, 1, r.w}, t->top + i, &fit);
    if (v->rows == 0 && v->empty)
        ui_put(r.y + 1, r.x + LEAD, r.w - LEAD, ROLE_DIM, v->empty);
    if (v->rows)
        app_cursor(a, r.y + 1 + t->selected - t->top, r.x);
}

bool table_click(struct table *t, const struct table_view *v, int y)
{
    int row = t->top + y - t->y;
    if (y < t->y || y >= t->y + t->page || row >= v->rows || skip_rule(v, row))
        return false;
    t->selected = row;
    return true;
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
    case ACTION_COLUMN_RIGHT:
        t->shift += t->more;
        return true;
    case ACTION_COLUMN_LEFT:
        t->shift -= t->shift > 0;
        return true;
    default:
        return false;
    }
    t->selected = MAX(0, MIN(t->selected, v->rows - 1));
    settle(t, v, t->selected < was ? -1 : 1);
    return true;
}
