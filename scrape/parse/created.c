/* SPDX-License-Identifier: Apache-2.0 */
/* created: OpenMetrics says since when a metric counts in a line of its own, behind the samples it speaks of:

        # TYPE h histogram
        h_bucket{path="/",le="1"} 2   --+  a point opens with its buckets, a summary's with its quantiles
        h_bucket{path="/",le="+Inf"} 3  |
        h_sum{path="/"} 4               |  ... and lasts until other labels, a line that opens, or a header
        h_count{path="/"} 3           --+
        h_created{path="/"} 1.7e9          4 samples started then

   The order is what the format demands, so nothing has to be remembered but how long the point is by now. Lines
   that keep to no order are samples like any other: what is in doubt starts at no time. */
#include "created.h"

#include <math.h>

#define KEEP ((size_t)4 << 10)
#define SECONDS_MAX 9e12 /* in milliseconds still exact */

void created_init(struct created *c, size_t max_line)
{
    *c = (struct created){0};
    buf_init(&c->family, max_line);
    buf_init(&c->before, max_line);
}

void created_free(struct created *c)
{
    buf_free(&c->family);
    buf_free(&c->before);
}

static void forget_point(struct created *c)
{
    c->before_kind = CREATED_FOREIGN;
    c->point = 0;
}

void created_begin(struct created *c)
{
    buf_trim(&c->family, KEEP);
    buf_trim(&c->before, KEEP);
    buf_clear(&c->family);
    c->counts = false;
    forget_point(c);
}

void created_header(struct created *c, struct str family)
{
    forget_point(c);
    if (str_eq(buf_str(&c->family), family))
        return;
    buf_clear(&c->family);
    buf_add_str(&c->family, family);
    c->counts = false;
}

void created_type(struct created *c, enum block_metric_type type)
{
    c->type = type;
    c->counts = type == BLOCK_COUNTER || type == BLOCK_HISTOGRAM || type == BLOCK_GAUGEHISTOGRAM ||
                type == BLOCK_SUMMARY;
}

/* Cuts `name{labels}` or `{"name",labels}` into the two, as written. A name further behind is not looked for. */
static struct str cut_name(struct str series, struct str *labels)
{
    size_t from = 0, end = 0;
    if (series.n > 1 && series.p[0] == '{' && series.p[1] == '"') {
        for (from = end = 2; end < series.n && series.p[end] != '"'; end++)
            end += series.p[end] == '\\';
        *labels = str_skip(series, end + 1 < series.n && series.p[end + 1] == ',' ? end + 2 : end + 1);
    } else {
        end = str_find_char(series, '{');
        *labels = str_skip(series, end + 1);
    }
    if (labels->n && labels->p[labels->n - 1] == '}')
        labels->n--;
    return end < series.n ? str_make(series.p + from, end - from) : str_skip(series, from);
}

/* A line whose suffix is none that its family has belongs to no point. */
static enum created_line kind_of(const struct created *c, struct str name)
{
    if (!c->family.n || !str_starts(name, buf_str(&c->family)))
        return CREATED_FOREIGN;
    struct str suffix = str_skip(name, c->family.n);
    if (str_eq_c(suffix, "_created"))
        return CREATED_LINE;
    if (c->type == BLOCK_COUNTER)
        return suffix.n == 0 || str_eq_c(suffix, "_total") ? CREATED_OPENING : CREATED_FOREIGN;
    if (c->type == BLOCK_SUMMARY ? suffix.n == 0 : str_eq_c(suffix, "_bucket"))
        return CREATED_OPENING;
    bool part = str_eq_c(suffix, "_sum") || str_eq_c(suffix, "_count") ||
                (c->type == BLOCK_GAUGEHISTOGRAM && (str_eq_c(suffix, "_gsum") || str_eq_c(suffix, "_gcount")));
    return part ? CREATED_POINT : CREATED_FOREIGN;
}

/* Takes the next of labels, as written; false when there is none. le and quantile are left out. */
static bool next_label(struct str *labels, struct str *label)
{
    do {
        size_t end = 0;
        bool quote = false;
        for (; end < labels->n && (quote || labels->p[end] != ','); end++) {
            quote ^= labels->p[end] == '"';
            end += quote && labels->p[end] == '\\';
        }
        end = end < labels->n ? end : labels->n;
        *label = str_make(labels->p, end);
        *labels = str_skip(*labels, end + 1);
    } while (label->n && (str_starts(*label, STR("le=\"")) || str_starts(*label, STR("quantile=\""))));
    return label->n > 0;
}

static bool same_labels(struct str a, struct str b)
{
    struct str one, other;
    for (;;) {
        bool more = next_label(&a, &one);
        if (next_label(&b, &other) != more)
            return false;
        if (!more)
            return true;
        if (!str_eq(one, other))
            return false;
    }
}

static bool opens(const struct created *c, enum created_line kind, struct str labels)
{
    if (kind == CREATED_FOREIGN || c->before_kind == CREATED_FOREIGN || c->before_kind == CREATED_LINE)
        return true;
    struct str before = buf_str(&c->before);
    if (kind == CREATED_OPENING)
        return c->type == BLOCK_COUNTER || c->before_kind != CREATED_OPENING || str_ends(before, STR("le=\"+Inf\""));
    return c->before_kind == CREATED_POINT && !str_eq(labels, before);
}

void created_sample(struct created *c, struct exposition_sample *s)
{
    struct str labels;
    if (!c->counts)
        return;
    enum created_line kind = kind_of(c, cut_name(s->series, &labels));
    bool follows = c->before_kind == CREATED_OPENING || c->before_kind == CREATED_POINT;
    if (kind == CREATED_LINE && follows && s->value > 0 && s->value < SECONDS_MAX &&
        same_labels(labels, buf_str(&c->before))) {
        s->start_ts_ms = llround(s->value * 1000);
        s->started = s->start_ts_ms ? c->point : 0;
    }
    c->point = opens(c, kind, labels) ? 1 : c->point + 1;
    c->before_kind = kind;
    buf_clear(&c->before);
    if (kind != CREATED_FOREIGN && kind != CREATED_LINE)
        buf_add_str(&c->before, labels);
}
