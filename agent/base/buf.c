/* SPDX-License-Identifier: Apache-2.0 */
/* buf: a growable byte buffer that knows its maximum. One byte more than asked is always allocated, so that a NUL can
   stand behind the contents. */
#include "base/buf.h"

#include "base/alloc.h"

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_free(struct buf *b)
{
    free(b->p);
    *b = (struct buf){.max = b->max};
}

void buf_clear(struct buf *b)
{
    b->n = 0;
    b->overflow = false;
}

void buf_trim(struct buf *b, size_t keep)
{
    if (b->cap > keep) {
        free(b->p);
        b->p = NULL;
        b->cap = 0;
    }
    buf_clear(b);
}

char *buf_reserve(struct buf *b, size_t extra)
{
    if (extra > b->max || b->n > b->max - extra) {
        b->overflow = true;
        return NULL;
    }
    size_t need = b->n + extra + 1;
    if (need > b->cap) {
        size_t cap = b->cap + b->cap / 2 + 64;
        if (cap - 1 > b->max)
            cap = b->max + 1;
        if (cap < need)
            cap = need;
        b->p = xrealloc(b->p, cap);
        b->cap = cap;
    }
    return b->p + b->n;
}

bool buf_add(struct buf *b, const void *p, size_t n)
{
    char *at = buf_reserve(b, n);
    if (!at)
        return false;
    if (n)
        memcpy(at, p, n);
    b->n += n;
    return true;
}

bool buf_add_str(struct buf *b, struct str s)
{
    return buf_add(b, s.p, s.n);
}

bool buf_add_c(struct buf *b, const char *cstr)
{
    return buf_add(b, cstr, strlen(cstr));
}

bool buf_add_char(struct buf *b, char c)
{
    return buf_add(b, &c, 1);
}

static bool __attribute__((format(printf, 2, 0))) buf_addv(struct buf *b, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    char *at = n < 0 ? NULL : buf_reserve(b, (size_t)n);
    if (at) {
        vsnprintf(at, (size_t)n + 1, fmt, again);
        b->n += (size_t)n;
    }
    va_end(again);
    return at != NULL;
}

bool buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    bool ok = buf_addv(b, fmt, ap);
    va_end(ap);
    return ok;
}

static void add_json_char(struct buf *b, unsigned char c)
{
    switch (c) {
    case '"':
        buf_add_c(b, "\\\"");
        break;
    case '\\':
        buf_add_c(b, "\\\\");
        break;
    case '\n':
        buf_add_c(b, "\\n");
        break;
    case '\r':
        buf_add_c(b, "\\r");
        break;
    case '\t':
        buf_add_c(b, "\\t");
        break;
    default:
        if (c < 0x20 || c == 0x7f)
            buf_addf(b, "\\u%04x", c);
        else
            buf_add_char(b, (char)c);
    }
}

bool buf_add_json(struct buf *b, struct str s)
{
    buf_add_char(b, '"');
    while (s.n) {
        size_t step = str_utf8_step(s);
        if (step == 0)
            buf_add_c(b, "\xef\xbf\xbd");
        else if (step == 1)
            add_json_char(b, (unsigned char)s.p[0]);
        else
            buf_add(b, s.p, step);
        s = str_skip(s, step ? step : 1);
    }
    buf_add_char(b, '"');
    return !b->overflow;
}

bool buf_add_html(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        switch (s.p[i]) {
        case '&':
            buf_add_c(b, "&amp;");
            break;
        case '<':
            buf_add_c(b, "&lt;");
            break;
        case '>':
            buf_add_c(b, "&gt;");
            break;
        case '"':
            buf_add_c(b, "&quot;");
            break;
        case '\'':
            buf_add_c(b, "&#39;");
            break;
        default:
            buf_add_char(b, s.p[i]);
        }
    }
    return !b->overflow;
}

bool buf_add_double(struct buf *b, double v)
{
    char text[40];
    if (isnan(v))
        return buf_add_c(b, "NaN");
    if (isinf(v))
        return buf_add_c(b, v > 0 ? "+Inf" : "-Inf");
    /* Most values are whole: up to 15 digits %g writes them as an integer, and nothing has to be read back. */
    if (fabs(v) < 1e15 && v == (double)(int64_t)v && !(v == 0 && signbit(v)))
        return buf_addf(b, "%lld", (long long)v);
    /* Below the normal range fewer digits may do; everywhere else %g drops those that 15 give too many. */
    for (int precision = fabs(v) < DBL_MIN ? 1 : 15; precision <= 17; precision++) {
        snprintf(text, sizeof text, "%.*g", precision, v);
        double back = strtod(text, NULL);
        if (memcmp(&back, &v, sizeof v) == 0)
            break;
    }
    return buf_add_c(b, text);
}

const char *buf_c(struct buf *b)
{
    if (!b->p)
        return "";
    b->p[b->n] = '\0';
    return b->p;
}

char *buf_take(struct buf *b)
{
    char *p = b->p ? b->p : xmalloc(1);
    p[b->n] = '\0';
    *b = (struct buf){.max = b->max};
    return p;
}
