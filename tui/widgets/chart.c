/* chart.c: see chart.h. */
#include "tui/widgets/chart.h"

#include "store/base/utf8.h"

enum { SPAN_MAX = 256 };

static const char *const eighths[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};

/* Means of n values over `points` places; a value fills several where there are fewer values. */
static void spread(const int64_t *values, size_t n, int64_t *out, size_t points)
{
    for (size_t i = 0; i < points; i++) {
        size_t from = i * n / points, to = MAX((i + 1) * n / points, from + 1);
        int64_t sum = 0;
        for (size_t k = from; k < to; k++)
            sum += MAX(values[k], 0);
        out[i] = sum / (int64_t)(to - from);
    }
}

/* Two values a cell, each a column of up to four dots; a zero is the lowest dot. */
static void braille(int y, int x, enum role role, int64_t left, int64_t right, int64_t most)
{
    static const unsigned char dots[2][4] = {{0x40, 0x04, 0x02, 0x01}, {0x80, 0x20, 0x10, 0x08}};
    const int64_t pair[] = {left, right};
    uint32_t cp = 0x2800;
    char text[5] = "";
    for (int side = 0; side < 2; side++) {
        int level = most ? (int)((pair[side] * 4 + most / 2) / most) : 0;
        for (int i = 0; i < MAX(level, 1); i++)
            cp |= dots[side][i];
    }
    text[utf8_encode(cp, text)] = '\0';
    ui_put(y, x, 1, role, text);
}

void chart_span(int y, int x, int width, enum role role, const int64_t *values, size_t n)
{
    int64_t points[SPAN_MAX], most = 0;
    size_t count = (size_t)MIN(MAX(width, 0), SPAN_MAX / 2) * (ui_plain() ? 1 : 2);
    if (!n || !count)
        return;
    spread(values, n, points, count);
    if (ui_plain()) {
        chart_spark(y, x, (int)count, role, points, count);
        return;
    }
    for (size_t i = 0; i < count; i++)
        most = MAX(most, points[i]);
    for (size_t i = 0; i < count; i += 2)
        braille(y, x + (int)(i / 2), role, points[i], points[i + 1], most);
}

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
            ui_put(y, x + i, 1, role, ui_plain() ? "#" : "▇");
        else if (part > 0)
            ui_put(y, x + i, 1, role, ui_plain() ? "-" : part >= 4 ? "▌" : "▏");
        else
            ui_put(y, x + i, 1, ROLE_DIM, "·");
    }
}
