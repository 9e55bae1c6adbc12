/* SPDX-License-Identifier: Apache-2.0 */
/* openmetrics: the lines of OpenMetrics text. The stream of lines is the text parser's; what stands in a line is
   stricter: one blank between its parts and nowhere else, a newline at its end, "# EOF" as the last one. Source:
   OpenMetrics 1.0 and prometheus model/textparse/openmetricsparse.go, whose words the errors have.

   A _created line says since when the samples before it count. They are found by the order that the format demands:
   a point of a counter is one line; a histogram's begins with its buckets, a summary's with its quantiles. */
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "private.h"

#define NAME_MAX_BYTES ((size_t)1 << 20)
#define SHOWN 80 /* bytes of wrong text in an error */

enum line_kind { LINE_NONE, LINE_OPENING /* a bucket or quantile */, LINE_OTHER, LINE_CREATED };

struct openmetrics_parser {
    struct text_parser *stream;
    struct exposition_handler handler;
    struct arena arena;
    struct labels exemplar_labels;
    bool eof; /* "# EOF" has come */

    struct buf family; /* of the last TYPE line */
    enum block_metric_type type;
    struct buf before; /* the series text before */
    enum line_kind kind_before;
    uint32_t point; /* samples of the point at hand so far */
};

struct openmetrics_parser *openmetrics_new(size_t max_line)
{
    struct openmetrics_parser *p = xcalloc(1, sizeof *p);
    p->stream = text_new(max_line);
    arena_init(&p->arena);
    labels_init(&p->exemplar_labels, &p->arena);
    buf_init(&p->family, NAME_MAX_BYTES);
    buf_init(&p->before, NAME_MAX_BYTES);
    return p;
}

void openmetrics_free(struct openmetrics_parser *p)
{
    if (!p)
        return;
    text_free(p->stream);
    labels_free(&p->exemplar_labels);
    arena_free(&p->arena);
    buf_free(&p->family);
    buf_free(&p->before);
    free(p);
}

void openmetrics_set_lenient(struct openmetrics_parser *p, exposition_error_fn *on_error)
{
    text_set_lenient(p->stream, on_error);
}

static int shown(struct str s)
{
    return s.n < SHOWN ? (int)s.n : SHOWN;
}

static enum verdict give(bool go_on)
{
    return go_on ? TAKEN : STOPPED;
}

static enum verdict wrong(struct flaw *flaw, size_t at, const char *what, struct str line)
{
    flaw_set(flaw, at, "%s", what);
    flaw_got(flaw, line);
    return WRONG;
}

/* ---- HELP, TYPE, UNIT, EOF ---- */

static enum verdict type_line(struct openmetrics_parser *p, struct str name, struct str text, size_t at,
                              struct flaw *flaw)
{
    static const struct {
        struct str word;
        enum block_metric_type type;
    } TYPES[] = {
        {{"counter", 7}, BLOCK_COUNTER},   {{"gauge", 5}, BLOCK_GAUGE},     {{"histogram", 9}, BLOCK_HISTOGRAM},
        {{"summary", 7}, BLOCK_SUMMARY},   {{"info", 4}, BLOCK_INFO},       {{"gaugehistogram", 14}, BLOCK_GAUGEHISTOGRAM},
        {{"stateset", 8}, BLOCK_STATESET}, {{"unknown", 7}, BLOCK_UNSPECIFIED},
    };
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++) {
        if (!str_eq(text, TYPES[i].word))
            continue;
        p->type = TYPES[i].type;
        p->kind_before = LINE_NONE;
        buf_clear(&p->family);
        buf_add_str(&p->family, name);
        return p->handler.on_type ? give(p->handler.on_type(p->handler.ctx, name, p->type)) : TAKEN;
    }
    flaw_set(flaw, at, "invalid metric type \"%.*s\"", shown(text), text.p);
    return WRONG;
}

static enum verdict unit_line(struct openmetrics_parser *p, struct str name, struct str unit, size_t at,
                              struct flaw *flaw)
{
    bool good = unit.n == 0 || (name.n > unit.n && str_ends(name, unit) && name.p[name.n - unit.n - 1] == '_');
    if (!good) {
        flaw_set(flaw, at, "unit \"%.*s\" not a suffix of metric \"%.*s\"", shown(unit), unit.p, shown(name), name.p);
        return WRONG;
    }
    return p->handler.on_unit ? give(p->handler.on_unit(p->handler.ctx, name, unit)) : TAKEN;
}

static enum verdict help_line(struct openmetrics_parser *p, struct str name, struct str text, size_t at,
                              struct flaw *flaw)
{
    if (!text_is_ascii(text) && !str_is_utf8(text)) {
        flaw_set(flaw, at, "help text is not a valid utf8 string");
        return WRONG;
    }
    if (!p->handler.on_help)
        return TAKEN;
    return give(p->handler.on_help(p->handler.ctx, name, text_unescape(text, true, &p->arena)));
}

static enum verdict comment_line(struct openmetrics_parser *p, struct str line, bool ended, struct flaw *flaw)
{
    static const char *const WORDS[] = {"HELP", "TYPE", "UNIT"};
    struct str rest = str_skip(line, 2), name;
    size_t word = 0;
    if (str_eq_c(line, "# EOF")) {
        p->eof = true;
        return TAKEN;
    }
    while (word < 3 && !(rest.n > 4 && memcmp(rest.p, WORDS[word], 4) == 0 && rest.p[4] == ' '))
        word++;
    if (word == 3 || !str_starts(line, STR("# ")))
        return wrong(flaw, 0, "expected a valid start token", line);
    arena_reset(&p->arena);
    size_t at = text_family_name(line, 7, &name, &p->arena);
    if (at == 0) {
        flaw_set(flaw, 7, "expected metric name after %s", WORDS[word]);
        flaw_got(flaw, line);
        return WRONG;
    }
    if (!ended || at >= line.n || line.p[at] != ' ') {
        flaw_set(flaw, at, "expected text in %s", WORDS[word]);
        return WRONG;
    }
    struct str text = str_skip(line, at + 1);
    if (word == 0)
        return help_line(p, name, text, at + 1, flaw);
    return word == 1 ? type_line(p, name, text, at + 1, flaw) : unit_line(p, name, text, at + 1, flaw);
}

/* ---- since when: _created ---- */

static struct str name_of(struct str series)
{
    size_t n = 0;
    while (n < series.n && series.p[n] != '{')
        n++;
    return str_make(series.p, n);
}

/* The suffix of a name behind the family's, or p NULL. */
static struct str suffix_of(const struct openmetrics_parser *p, struct str name)
{
    struct str family = str_make(p->family.p, p->family.n);
    return family.n && str_starts(name, family) ? str_skip(name, family.n) : STR_NULL;
}

static enum line_kind kind_of(const struct openmetrics_parser *p, struct str name)
{
    struct str suffix = suffix_of(p, name);
    if (!suffix.p)
        return LINE_NONE;
    if (str_eq_c(suffix, "_created"))
        return LINE_CREATED;
    bool opening = p->type == BLOCK_SUMMARY ? suffix.n == 0 : str_eq_c(suffix, "_bucket");
    return opening ? LINE_OPENING : LINE_OTHER;
}

/* Copies the labels of a series without le and quantile. */
static size_t plain_labels(struct str series, char *out)
{
    size_t n = 0, i = name_of(series).n;
    while (i < series.n) {
        size_t start = i;
        bool quote = false;
        for (; i < series.n && (quote || (series.p[i] != ',' && series.p[i] != '}' && series.p[i] != '{')); i++) {
            quote ^= series.p[i] == '"';
            i += quote && series.p[i] == '\\';
        }
        i = i < series.n ? i : series.n;
        struct str label = str_make(series.p + start, i - start);
        if (label.n && !str_starts(label, STR("le=")) && !str_starts(label, STR("quantile="))) {
            memcpy(out + n, label.p, label.n);
            n += label.n;
            out[n++] = ',';
        }
        i++;
    }
    return n;
}

static bool same_point(const struct openmetrics_parser *p, struct str series)
{
    struct str before = str_make(p->before.p, p->before.n);
    char *a = xmalloc(series.n + 2), *b = xmalloc(before.n + 2);
    size_t a_n = plain_labels(series, a), b_n = plain_labels(before, b);
    bool same = a_n == b_n && memcmp(a, b, a_n) == 0;
    free(a);
    free(b);
    return same;
}

/* How many samples before this _created line it speaks of. */
static uint32_t started(const struct openmetrics_parser *p, struct str series)
{
    if (p->kind_before != LINE_OPENING && p->kind_before != LINE_OTHER)
        return 0;
    return same_point(p, series) ? p->type == BLOCK_COUNTER ? 1 : p->point : 0;
}

static bool has_start(enum block_metric_type type)
{
    return type == BLOCK_COUNTER || type == BLOCK_HISTOGRAM || type == BLOCK_SUMMARY || type == BLOCK_GAUGEHISTOGRAM;
}

/* Follows the points of the family, and marks a _created sample. */
static void follow(struct openmetrics_parser *p, struct exposition_sample *s)
{
    enum line_kind kind = kind_of(p, name_of(s->series));
    if (kind == LINE_CREATED && s->value > 0 && s->value < 1e15) {
        s->started = started(p, s->series);
        s->start_ts_ms = s->started ? (int64_t)llround(s->value * 1000) : 0;
    }
    if (p->kind_before == LINE_NONE || p->kind_before == LINE_CREATED ||
        (kind == LINE_OPENING && p->kind_before == LINE_OTHER))
        p->point = 0;
    p->point++;
    p->kind_before = kind;
    buf_clear(&p->before);
    buf_add_str(&p->before, s->series);
}

/* ---- samples ---- */

static size_t token_end(struct str line, size_t i)
{
    while (i < line.n && line.p[i] != ' ')
        i++;
    return i;
}

/* A number behind one blank at *i, moved behind it. */
static bool take_number(struct str line, size_t *i, const char *after, double *v, struct flaw *flaw)
{
    size_t end = *i < line.n && line.p[*i] == ' ' ? token_end(line, *i + 1) : *i;
    if (end <= *i + 1) {
        flaw_set(flaw, *i, "expected value after %s", after);
        return flaw_got(flaw, line);
    }
    struct str text = str_make(line.p + *i + 1, end - *i - 1);
    if (!exposition_parse_value(text, v)) {
        number_why(text, flaw, *i + 1);
        return false;
    }
    *i = end;
    return true;
}

/* Seconds as a float, cut to milliseconds. */
static bool take_stamp(struct str line, size_t *i, const char *what, int64_t *ts_ms, struct flaw *flaw)
{
    double v;
    size_t at = *i + 1;
    if (!take_number(line, i, "timestamp", &v, flaw))
        return false;
    if (!isfinite(v) || fabs(v) > 9e15)
        return flaw_set(flaw, at, "invalid %s %f", what, v);
    *ts_ms = (int64_t)(v * 1000);
    return true;
}

static bool is_exemplar(struct str line, size_t i)
{
    return line.n - i >= 4 && memcmp(line.p + i, " # {", 4) == 0;
}

/* ` # {labels} value [timestamp]` to the end of the line. */
static bool take_exemplar(struct openmetrics_parser *p, struct str line, size_t i, struct exposition_exemplar *e,
                          struct flaw *flaw)
{
    arena_reset(&p->arena);
    labels_clear(&p->exemplar_labels);
    if (!exemplar_scan(line, i + 3, &p->exemplar_labels, &i, flaw) ||
        !take_number(line, &i, "exemplar labels", &e->value, flaw))
        return false;
    e->has_ts = i < line.n;
    if (e->has_ts && !take_stamp(line, &i, "exemplar timestamp", &e->ts_ms, flaw))
        return false;
    if (i < line.n) {
        flaw_set(flaw, i, "expected next entry after exemplar timestamp");
        return flaw_got(flaw, line);
    }
    e->labels = p->exemplar_labels.v;
    e->labels_n = p->exemplar_labels.n;
    return true;
}

/* What follows the series, from offset i. */
static enum verdict rest_of_line(struct openmetrics_parser *p, struct str line, size_t i,
                                 struct exposition_sample *s, struct flaw *flaw)
{
    struct exposition_exemplar exemplar = {0};
    if (!take_number(line, &i, "metric", &s->value, flaw))
        return WRONG;
    if (i < line.n && !is_exemplar(line, i)) {
        s->has_ts = true;
        if (!take_stamp(line, &i, "timestamp", &s->ts_ms, flaw))
            return WRONG;
        if (i < line.n && !is_exemplar(line, i))
            return wrong(flaw, i, "expected next entry after timestamp", line);
    }
    if (i < line.n) {
        if (!take_exemplar(p, line, i, &exemplar, flaw))
            return WRONG;
        s->exemplars = &exemplar;
        s->exemplars_n = 1;
    }
    if (has_start(p->type))
        follow(p, s);
    return give(p->handler.on_sample(p->handler.ctx, s));
}

/* Where the series of a line without exemplar ends when it is written the usual way; 0 when it is not. */
static size_t series_end(struct str line)
{
    const char *close = memrchr(line.p, '}', line.n);
    if (close)
        return (size_t)(close - line.p) + 1;
    size_t i = token_end(line, 0);
    return memchr(line.p, '{', i) ? 0 : i;
}

static enum verdict sample_line(struct openmetrics_parser *p, struct str line, struct flaw *flaw)
{
    struct exposition_sample s = {.line = text_line(p->stream), .column = 1};
    size_t end = memchr(line.p, '#', line.n) ? 0 : series_end(line);
    if (end == 0 && !series_scan_strict(line, NULL, &end, flaw))
        return WRONG;
    s.series = str_make(line.p, end);
    size_t scanned = end;
    enum verdict verdict = rest_of_line(p, line, end, &s, flaw);
    if (verdict != WRONG)
        return verdict;
    /* It may be wrong already where the usual way of writing was taken for granted. */
    struct flaw first;
    if (!series_scan_strict(line, NULL, &scanned, &first))
        *flaw = first;
    else if (scanned != end)
        (void)rest_of_line(p, line, scanned, &s, flaw);
    return WRONG;
}

static enum verdict read_line(void *ctx, struct str line, bool ended, struct flaw *flaw)
{
    struct openmetrics_parser *p = ctx;
    if (p->eof) {
        flaw_set(flaw, 0, "unexpected data after # EOF");
        return WRONG;
    }
    if (line.n == 0)
        return wrong(flaw, 0, "expected a valid start token", line);
    if (line.p[0] == '#')
        return comment_line(p, line, ended, flaw);
    if (!ended) {
        flaw_set(flaw, line.n, "data does not end with # EOF");
        return WRONG;
    }
    return sample_line(p, line, flaw);
}

/* ---- the stream ---- */

void openmetrics_begin(struct openmetrics_parser *p, const struct exposition_handler *handler)
{
    p->handler = *handler;
    p->eof = false;
    p->type = BLOCK_UNSPECIFIED;
    p->kind_before = LINE_NONE;
    p->point = 0;
    buf_clear(&p->family);
    text_begin(p->stream, handler);
    text_set_reader(p->stream, read_line, p);
}

bool openmetrics_feed(struct openmetrics_parser *p, const void *bytes, size_t n, struct err *err)
{
    return text_feed(p->stream, bytes, n, err);
}

bool openmetrics_finish(struct openmetrics_parser *p, struct err *err)
{
    if (!text_finish(p->stream, err))
        return false;
    if (p->eof)
        return true;
    return err_set(err, "line %llu, column 1: data does not end with # EOF", (unsigned long long)text_line(p->stream));
}
