/* SPDX-License-Identifier: Apache-2.0 */
/* paint: colours on a terminal. */
#include "paint.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_MAX 1024

struct paint paint_for(FILE *stream)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    bool dumb = !term || strcmp(term, "dumb") == 0;
    return (struct paint){.on = !(no && no[0]) && !dumb && isatty(fileno(stream))};
}

void paint_add(const struct paint *paint, struct buf *out, enum paint_color color, const char *fmt, ...)
{
    static const char *const CODES[] = {
        [PAINT_PLAIN] = "0", [PAINT_BOLD] = "1",   [PAINT_DIM] = "2",
        [PAINT_RED] = "31",  [PAINT_GREEN] = "32", [PAINT_YELLOW] = "33",
    };
    char text[TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    bool painted = paint->on && color != PAINT_PLAIN;
    if (painted)
        buf_addf(out, "\033[%sm", CODES[color]);
    buf_add_c(out, text);
    if (painted)
        buf_add_c(out, "\033[0m");
}

void paint_plain(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        buf_add_char(out, c < ' ' || c == 127 ? '?' : (char)c);
    }
}
