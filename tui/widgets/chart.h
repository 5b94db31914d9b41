/* chart.h: spark lines and bars of block characters (ASCII where only that may be sent).
 *
 *     chart_spark(y, x, 12, ROLE_CHART, history, 60);        // the newest 12, at the right
 *     chart_span(y, x, 20, ROLE_CHART, history, 60);         // all 60 over the width, braille
 *     chart_bar(y, x, 8, ROLE_CHART, 410000);                // 41 % of eight columns */
#ifndef POINTSMAN_CHART_H
#define POINTSMAN_CHART_H

#include "tui/draw.h"

void chart_spark(int y, int x, int width, enum role role, const int64_t *values, size_t n);
void chart_span(int y, int x, int width, enum role role, const int64_t *values, size_t n);
void chart_bar(int y, int x, int width, enum role role, int64_t ppm);

#endif
