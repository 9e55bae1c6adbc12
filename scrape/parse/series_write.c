/* SPDX-License-Identifier: Apache-2.0 */
/* series_write: the text of a series, from its parts. */
#include "series_write.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "labels.h"

void series_write_escaped(struct buf *out, struct str text)
{
    size_t done = 0;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c != '\\' && c != '"' && c != '\n')
            continue;
        buf_add(out, text.p + done, i - done);
        buf_add_c(out, c == '\n' ? "\\n" : c == '"' ? "\\\"" : "\\\\");
        done = i + 1;
    }
    buf_add_str(out, str_skip(text, done));
}

static void quoted(struct buf *out, struct str text)
{
    buf_add_char(out, '"');
    series_write_escaped(out, text);
    buf_add_char(out, '"');
}

void series_write_label(struct buf *out, struct str name, struct str value)
{
    if (out->n)
        buf_add_char(out, ',');
    if (labels_is_legacy_name(name))
        buf_add_str(out, name);
    else
        quoted(out, name);
    buf_add_char(out, '=');
    quoted(out, value);
}

void series_write(struct buf *out, struct str name, bool legacy, struct str suffix, struct str labels, struct str last)
{
    buf_add_c(out, legacy ? "" : "{\"");
    buf_add_str(out, name);
    buf_add_str(out, suffix);
    if (legacy && !labels.n && !last.n)
        return;
    buf_add_c(out, legacy ? "{" : labels.n || last.n ? "\"," : "\"");
    buf_add_str(out, labels);
    if (labels.n && last.n)
        buf_add_char(out, ',');
    buf_add_str(out, last);
    buf_add_char(out, '}');
}

/* d.ddd behind a sign, without zeros at the end, and the exponent of the first digit. */
struct decimal {
    char text[40];
    const char *digits; /* "d.ddd" */
    size_t n;           /* of digits, the point included */
    int exponent;
};

static void shortest(double v, struct decimal *d)
{
    /* Below the normal range fewer digits may do. */
    for (int digits = v < DBL_MIN ? 1 : 15; digits <= 17; digits++) {
        snprintf(d->text, sizeof d->text, "%.*e", digits - 1, v);
        if (strtod(d->text, NULL) == v)
            break;
    }
    size_t e = str_find_char(str_of(d->text), 'e');
    d->exponent = 0;
    for (const char *p = d->text + e + 2; *p; p++) /* behind the sign */
        d->exponent = 10 * d->exponent + (*p - '0');
    d->exponent = d->text[e + 1] == '-' ? -d->exponent : d->exponent;
    d->digits = d->text;
    d->n = e;
    while (d->n > 2 && d->text[d->n - 1] == '0')
        d->n--;
    if (d->n == 2) /* "d." */
        d->n = 1;
}

/* Below 1: zeros, then the digits; else the digits with the point moved. */
static void write_plain(struct buf *out, const struct decimal *d)
{
    char digits[20];
    int n = 0, point = d->exponent + 1;
    for (size_t i = 0; i < d->n; i++)
        if (d->digits[i] != '.')
            digits[n++] = d->digits[i];
    if (point <= 0) {
        buf_addf(out, "0.%.*s%.*s", -point, "0000", n, digits);
    } else if (n <= point) {
        buf_addf(out, "%.*s%.*s", n, digits, point - n, "000000");
    } else {
        buf_addf(out, "%.*s.%.*s", point, digits, n - point, digits + point);
    }
}

void series_write_number(struct buf *out, double v)
{
    struct decimal d;
    if (isnan(v) || isinf(v)) {
        buf_add_double(out, v);
        return;
    }
    if (signbit(v))
        buf_add_char(out, '-');
    v = fabs(v);
    if (v == 0) {
        buf_add_char(out, '0');
        return;
    }
    shortest(v, &d);
    if (d.exponent >= -4 && d.exponent < 6)
        write_plain(out, &d);
    else
        buf_addf(out, "%.*se%+03d", (int)d.n, d.digits, d.exponent);
}
