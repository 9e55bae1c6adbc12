/* SPDX-License-Identifier: Apache-2.0 */
/* series_text: `name{labels}` by the rules of Prometheus's lexer (model/textparse). This is the rigorous and
   slow part: it runs for series seen for the first time and for lines the fast split could not read. What the
   lexer lets through, this lets through too: blanks anywhere between tokens, a missing or a trailing comma, a
   raw newline in a quoted string, `{"name", a="b"}`. */
#include "exposition.h"

#include <stdarg.h>
#include <stdio.h>

#include "private.h"

#define QUADRATIC_MAX 32 /* more labels than this are sorted to find repeated names */

bool flaw_set(struct flaw *flaw, size_t at, const char *fmt, ...)
{
    va_list ap;
    flaw->at = at;
    va_start(ap, fmt);
    vsnprintf(flaw->why, sizeof flaw->why, fmt, ap);
    va_end(ap);
    return false;
}

bool flaw_got(struct flaw *flaw, struct str text)
{
    size_t n = strlen(flaw->why);
    char *out = flaw->why + n;
    if (flaw->at >= text.n) {
        snprintf(out, sizeof flaw->why - n, ", got end of line");
        return false;
    }
    unsigned char c = (unsigned char)text.p[flaw->at];
    size_t step = str_utf8_step(str_skip(text, flaw->at));
    if (c == '\n' || c == '\r')
        snprintf(out, sizeof flaw->why - n, ", got end of line");
    else if (c < 0x20 || c == 0x7f || step == 0)
        snprintf(out, sizeof flaw->why - n, ", got byte 0x%02x", c);
    else
        snprintf(out, sizeof flaw->why - n, ", got \"%.*s\"", (int)step, text.p + flaw->at);
    return false;
}

/* The reader of one series: a cursor over the text, and where the labels go. */
struct scan {
    struct str text;
    size_t i;
    struct labels *l; /* may be NULL */
    struct flaw *flaw;
    struct str metric;
    bool named;    /* the metric name was given */
    bool strict;   /* OpenMetrics: no blanks, commas between labels, no raw newline */
    bool exemplar; /* labels alone: no metric name among them */
};

static bool expected(struct scan *s, const char *what)
{
    flaw_set(s->flaw, s->i, "expected %s", what);
    return flaw_got(s->flaw, s->text);
}

static int peek(const struct scan *s)
{
    return s->i < s->text.n ? (unsigned char)s->text.p[s->i] : -1;
}

static void skip_blanks(struct scan *s)
{
    while (!s->strict && s->i < s->text.n && (s->text.p[s->i] == ' ' || s->text.p[s->i] == '\t'))
        s->i++;
}

static bool is_letter(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* An unquoted name; colons only in metric names. Empty when there is none. */
static struct str bare_name(struct scan *s, bool colons)
{
    size_t start = s->i;
    int c = peek(s);
    while (is_letter(c) || (colons && c == ':') || (s->i > start && c >= '0' && c <= '9')) {
        s->i++;
        c = peek(s);
    }
    return str_make(s->text.p + start, s->i - start);
}

struct str text_unescape(struct str text, bool quotes, struct arena *arena)
{
    if (!text.n || !memchr(text.p, '\\', text.n))
        return text;
    char *out = arena_alloc(arena, text.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        char next = i + 1 < text.n ? text.p[i + 1] : '\0';
        if (text.p[i] != '\\' || !(next == '\\' || next == 'n' || (quotes && next == '"'))) {
            out[n++] = text.p[i];
            continue;
        }
        out[n++] = next == 'n' ? '\n' : next;
        i++;
    }
    return str_make(out, n);
}

size_t text_family_name(struct str line, size_t i, struct str *name, struct arena *arena)
{
    size_t start = i;
    if (i < line.n && line.p[i] == '"') {
        for (i++; i < line.n && line.p[i] != '"'; i++)
            i += line.p[i] == '\\';
        if (i >= line.n)
            return 0;
        *name = text_unescape(str_make(line.p + start + 1, i - start - 1), true, arena);
        return i + 1;
    }
    for (; i < line.n; i++) {
        char c = line.p[i];
        if (!is_letter(c) && c != ':' && !(i > start && c >= '0' && c <= '9'))
            break;
    }
    *name = str_make(line.p + start, i - start);
    return i == start ? 0 : i;
}

/* A quoted string: *raw is what stands between the quotes. A backslash takes the next byte with it, unless
   that is a newline. */
static bool quoted(struct scan *s, const char *what, struct str *raw)
{
    size_t start = s->i + 1;
    if (peek(s) != '"')
        return expected(s, what);
    for (size_t i = start; i < s->text.n; i++) {
        char c = s->text.p[i];
        if (c == '"') {
            *raw = str_make(s->text.p + start, i - start);
            s->i = i + 1;
            return true;
        }
        if (c == '\\' && (++i == s->text.n || s->text.p[i] == '\n'))
            break;
        if (c == '\n' && s->strict)
            break;
    }
    s->flaw->open_quote = true;
    return flaw_set(s->flaw, s->i, "expected %s, got a quoted string without end", what);
}

static bool set_metric(struct scan *s, struct str name, size_t at)
{
    if (s->exemplar)
        return expected(s, "label name");
    if (s->named)
        return flaw_set(s->flaw, at, "metric name already set");
    s->named = true;
    s->metric = name;
    return true;
}

/* ="value" after a label name. */
static bool label_value(struct scan *s, struct str name)
{
    struct str raw;
    skip_blanks(s);
    if (peek(s) != '=')
        return expected(s, "equal");
    s->i++;
    skip_blanks(s);
    size_t at = s->i;
    if (!quoted(s, "label value", &raw))
        return false;
    if (!text_is_ascii(raw) && !str_is_utf8(raw))
        return flaw_set(s->flaw, at, "invalid UTF-8 label value");
    if (s->l)
        labels_push(s->l, name, text_unescape(raw, true, s->l->arena));
    return true;
}

/* One item between the braces: a label, or the quoted metric name. */
static bool brace_item(struct scan *s)
{
    size_t at = s->i;
    struct str name;
    if (peek(s) == '"') {
        if (!quoted(s, "label name", &name))
            return false;
        if (s->l)
            name = text_unescape(name, true, s->l->arena);
        skip_blanks(s);
        if (peek(s) == ',' || peek(s) == '}')
            return set_metric(s, name, at);
    } else {
        name = bare_name(s, false);
        if (!name.n)
            return expected(s, "label name");
    }
    return label_value(s, name);
}

static bool braces(struct scan *s)
{
    s->i++;
    for (;;) {
        skip_blanks(s);
        if (peek(s) == '}') {
            s->i++;
            return true;
        }
        if (!brace_item(s))
            return false;
        skip_blanks(s);
        if (peek(s) == ',')
            s->i++;
        else if (s->strict && peek(s) != '}')
            return expected(s, "comma or brace close");
    }
}

static bool unique_names(struct scan *s)
{
    struct labels *l = s->l;
    if (l->n > QUADRATIC_MAX)
        labels_sort(l);
    for (size_t i = 1; i < l->n; i++) {
        size_t from = l->n > QUADRATIC_MAX ? i - 1 : 0;
        for (size_t k = from; k < i; k++)
            if (str_eq(l->v[i].name, l->v[k].name))
                return flaw_set(s->flaw, s->i, "label name \"%.*s\" is not unique",
                                l->v[i].name.n < 80 ? (int)l->v[i].name.n : 80, l->v[i].name.p);
    }
    return true;
}

static bool scan_series(struct scan *s, size_t *end)
{
    s->flaw->open_quote = false;
    skip_blanks(s);
    size_t start = s->i;
    struct str name = bare_name(s, true);
    if (name.n)
        (void)set_metric(s, name, start);
    else if (peek(s) != '{')
        return expected(s, "a valid start token");
    size_t after_name = s->i;
    skip_blanks(s);
    if (peek(s) == '{') {
        if (!braces(s))
            return false;
    } else {
        s->i = after_name;
    }
    if (!s->named)
        return flaw_set(s->flaw, start, "metric name not set");
    *end = s->i;
    if (!s->l)
        return true;
    labels_push(s->l, STR("__name__"), s->metric);
    return unique_names(s);
}

bool series_scan(struct str text, struct labels *l, size_t *end, struct flaw *flaw)
{
    struct scan s = {.text = text, .l = l, .flaw = flaw};
    return scan_series(&s, end);
}

bool series_scan_strict(struct str text, struct labels *l, size_t *end, struct flaw *flaw)
{
    struct scan s = {.text = text, .l = l, .flaw = flaw, .strict = true};
    return scan_series(&s, end);
}

bool exemplar_scan(struct str text, size_t from, struct labels *l, size_t *end, struct flaw *flaw)
{
    struct scan s = {.text = text, .i = from, .l = l, .flaw = flaw, .strict = true, .exemplar = true};
    flaw->open_quote = false;
    if (!braces(&s))
        return false;
    *end = s.i;
    return true;
}

/* The fast split took part of the line for the series: what a full reading says of it. */
static bool not_series(struct str text, size_t end, struct flaw *flaw)
{
    double v;
    size_t i = end + 1;
    while (i < text.n && text.p[i] != ' ')
        i++;
    struct str number = str_make(text.p + end + 1, i - end - 1);
    if (text.p[end] == ' ' && number.n && !exposition_parse_value(number, &v)) {
        number_why(number, flaw, end + 1);
        return false;
    }
    if (text.p[end] == ' ' && number.n) {
        flaw_set(flaw, i, "expected next entry after value");
        return flaw_got(flaw, text);
    }
    flaw_set(flaw, end, "expected value after metric");
    return flaw_got(flaw, text);
}

bool exposition_parse_series_strict(struct str series, struct labels *l, struct err *err)
{
    struct flaw flaw;
    size_t end = 0;
    labels_clear(l);
    if (series_scan_strict(series, l, &end, &flaw) && (end == series.n || not_series(series, end, &flaw)))
        return true;
    return err_set(err, "column %zu: %s", flaw.at + 1, flaw.why);
}

bool exposition_parse_series(struct str series, struct labels *l, struct err *err)
{
    struct flaw flaw;
    size_t end = 0;
    labels_clear(l);
    if (!series_scan(series, l, &end, &flaw))
        return err_set(err, "column %zu: %s", flaw.at + 1, flaw.why);
    while (end < series.n && (series.p[end] == ' ' || series.p[end] == '\t'))
        end++;
    if (end == series.n)
        return true;
    /* The fast split took part of the line for the series. What is wrong with it is what a full reading says;
       the only line without a fault of its own is one that the caller made up. */
    double value;
    bool has_ts;
    int64_t ts_ms;
    if (line_rest(series, end, &value, &has_ts, &ts_ms, &flaw)) {
        flaw_set(&flaw, end, "unexpected text after the series");
        flaw_got(&flaw, series);
    }
    return err_set(err, "column %zu: %s", flaw.at + 1, flaw.why);
}
