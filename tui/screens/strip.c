/* strip.c: see strip.h. */
#include "tui/screens/strip.h"

#include "tui/format.h"
#include "tui/widgets/chart.h"

enum { NOTE = 22, FIGURE = 9 };

static const int spans[] = {10, 30, MODEL_HISTORY};

static size_t span_of(const struct strip *s)
{
    for (size_t i = 0; i < ARRAY_LEN(spans); i++)
        if (spans[i] == s->minutes)
            return i;
    return ARRAY_LEN(spans) - 1;
}

void strip_zoom(struct strip *s, bool longer)
{
    size_t i = span_of(s);
    i = longer ? MIN(i + 1, ARRAY_LEN(spans) - 1) : i - (i > 0);
    s->minutes = spans[i];
}

void strip_draw(const struct strip *s, struct app *a, int y, int width)
{
    const struct figures *f = &app_model(a)->now;
    size_t minutes = MIN((size_t)spans[span_of(s)], f->history);
    char rate[FORMAT_MAX], first[FORMAT_MAX], errors[FORMAT_MAX], tokens[FORMAT_MAX],
        money[FORMAT_MAX];
    if (!f->history)
        return;
    size_t last = f->history - 1;
    const struct {
        const char *title, *now;
        const int64_t *values;
    } charts[] = {{"req/s", format_rate(rate, f->req_per_s), f->req_history},
        {"TTFT p95", format_seconds(first, f->ttft_history[last]), f->ttft_history},
        {"err%", format_share(errors, f->err_history[last]), f->err_history},
        {"tok/s", format_rate(tokens, (double)f->tok_history[last] / 1000), f->tok_history},
        {"$/min", format_dollars(money, f->nano_history[last]), f->nano_history}};
    int each = (width - NOTE) / (int)ARRAY_LEN(charts);
    for (size_t i = 0; i < ARRAY_LEN(charts); i++) {
        int x = 1 + (int)i * each;
        int n = ui_put(y, x, each - 2, ROLE_DIM, charts[i].title) + 1;
        chart_span(y, x + n, each - n - FIGURE - 2, ROLE_CHART,
            charts[i].values + f->history - minutes, minutes);
        ui_put(y, x + each - FIGURE - 1, FIGURE, ROLE_HEADER, charts[i].now);
    }
    ui_printf(y, width - NOTE, NOTE - 1, ROLE_DIM, "(%zu min; + - window)", minutes);
}
