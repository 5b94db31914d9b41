/* strip.c: see strip.h. */
#include "tui/screens/strip.h"

#include "tui/format.h"
#include "tui/widgets/chart.h"

/* One line of what the last hour looked like, where there is room for it. */
void strip_draw(struct app *a, int y, int width)
{
    const struct figures *f = &app_model(a)->now;
    char b[FORMAT_MAX];
    const struct {
        const char *title;
        const int64_t *values;
    } charts[] = {{"req/s", f->req_history}, {"TTFT p95", f->ttft_history},
        {"err%", f->err_history}, {"tok/s", f->tok_history}, {"$/min", f->nano_history}};
    int each = width / (int)ARRAY_LEN(charts);
    for (size_t i = 0; i < ARRAY_LEN(charts) && f->history; i++) {
        int x = 1 + (int)i * each;
        int64_t last = charts[i].values[f->history - 1];
        int n = ui_put(y, x, each - 2, ROLE_DIM, charts[i].title) + 1;
        const char *now = i == 0   ? format_rate(b, f->req_per_s)
                          : i == 1 ? format_seconds(b, last)
                          : i == 2 ? format_share(b, last)
                          : i == 4 ? format_dollars(b, last)
                                   : format_count(b, last);
        chart_spark(y, x + n, each - n - 11, ROLE_CHART, charts[i].values, f->history);
        ui_put(y, x + each - 10, 9, ROLE_HEADER, now);
    }
}
