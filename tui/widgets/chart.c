/* chart.c: see chart.h. */
#include "tui/widgets/chart.h"

static const char *const eighths[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};

void chart_spark(int y, int x, int width, enum role role, const int64_t *values, size_t n)
{
    int64_t most = 0;
    size_t from = n > (size_t)width ? n - (size_t)width : 0;
    int pad = (int)((size_t)width - (n - from));
    for (size_t i = from; i < n; i++)
        most = MAX(most, values[i]);
    for (size_t i = from; i < n; i++) {
        int64_t v = MAX(values[i], 0);
        int level = most ? (int)((v * 7 + most / 2) / most) : 0;
        ui_put(y, x + pad + (int)(i - from), 1, role, v ? eighths[MAX(level, 1)] : eighths[0]);
    }
}

void chart_bar(int y, int x, int width, enum role role, int64_t ppm)
{
    int64_t full = MAX(0, MIN(ppm, 1000000)) * width * 8 / 1000000;
    for (int i = 0; i < width; i++) {
        int64_t part = full - (int64_t)i * 8;
        if (part >= 8)
            ui_put(y, x + i, 1, role, ui_ascii() ? "#" : "▇");
        else if (part > 0)
            ui_put(y, x + i, 1, role, ui_ascii() ? "-" : part >= 4 ? "▌" : "▏");
        else
            ui_put(y, x + i, 1, ROLE_DIM, "·");
    }
}
