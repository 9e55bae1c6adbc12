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

/* C1: the two bytes that UTF-8 has for it. */
static bool is_control(struct str text, size_t i)
{
    unsigned char c = (unsigned char)text.p[i], next = i + 1 < text.n ? (unsigned char)text.p[i + 1] : 0;
    return c < ' ' || c == 127 || (c == 0xc2 && next >= 0x80 && next < 0xa0);
}

void paint_plain(struct buf *out, struct str text)
{
    bool utf8 = str_is_utf8(text);
    for (size_t i = 0; i < text.n; i++) {
        bool bad = is_control(text, i) || ((text.p[i] & 0x80) && !utf8);
        buf_add_char(out, text.p[i] == '\t' ? ' ' : bad ? '?' : text.p[i]);
        i += bad && utf8 && (text.p[i] & 0x80);
    }
}
