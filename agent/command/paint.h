/* SPDX-License-Identifier: Apache-2.0 */
/* paint: colours on a terminal, and text from outside made fit for one. */
#ifndef OBSAGENT_COMMAND_PAINT_H
#define OBSAGENT_COMMAND_PAINT_H

#include "base/buf.h"

#include <stdio.h>

struct paint {
    bool on;
};

enum paint_color { PAINT_PLAIN, PAINT_BOLD, PAINT_DIM, PAINT_RED, PAINT_GREEN, PAINT_YELLOW };

/* On when the stream is a terminal that knows colours, unless NO_COLOR is set and not empty. */
struct paint paint_for(FILE *stream);
/* The text in a colour, or as it is. */
void paint_add(const struct paint *paint, struct buf *out, enum paint_color color, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Text from outside: control characters and what is no UTF-8 become '?', tabs blanks, so that nobody but us writes to
   our terminal. */
void paint_plain(struct buf *out, struct str text);

#endif
