/* SPDX-License-Identifier: Apache-2.0 */
/* openmetrics: the lines of OpenMetrics text, versions 1.0.0 and 0.0.1. Stricter than the text format: one blank
   between the parts of a line and nowhere else, a newline at its end, no comments, "# EOF" as the last line. Source:
   OpenMetrics 1.0 and prometheus model/textparse/openmetricsparse.go, whose words the errors have. A newline within
   quotes is wrong here even in a name, where Prometheus's lexer lets it through.

   As in the text format a sample line is first only cut, at its last '}', and read in full when that does not
   work out. A line with an exemplar has another '}' and is always read in full. */
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "created.h"
#include "lines.h"

#define SHOWN 80 /* bytes of wrong text in an error */
#define MS_MAX 9.2e18

struct openmetrics_parser {
    struct lines lines;
    struct exposition_handler handler;
    struct arena arena;
    struct labels exemplar_labels;
    struct created created;
    bool eof; /* "# EOF" has come */
};

/* A sample line as far as it is read. */
struct sample {
    struct exposition_sample out;
    struct exposition_exemplar exemplar;
};

static int shown(struct str s)
{
    return s.n < SHOWN ? (int)s.n : SHOWN;
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
        {{"counter", 7}, BLOCK_COUNTER},     {{"gauge", 5}, BLOCK_GAUGE},
        {{"histogram", 9}, BLOCK_HISTOGRAM}, {{"gaugehistogram", 14}, BLOCK_GAUGEHISTOGRAM},
        {{"summary", 7}, BLOCK_SUMMARY},     {{"info", 4}, BLOCK_INFO},
        {{"stateset", 8}, BLOCK_STATESET},   {{"unknown", 7}, BLOCK_UNSPECIFIED},
    };
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++) {
        if (!str_eq(text, TYPES[i].word))
            continue;
        created_type(&p->created, TYPES[i].type);
        return p->handler.on_type ? give(p->handler.on_type(p->handler.ctx, name, TYPES[i].type)) : TAKEN;
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

/* `# WORD name text`, where word is 0 for HELP, 1 for TYPE, 2 for UNIT. */
static enum verdict header_line(struct openmetrics_parser *p, struct str line, size_t word, bool ended,
                                struct flaw *flaw)
{
    static const char *const WORDS[] = {"HELP", "TYPE", "UNIT"};
    struct str name;
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
    size_t quote = line.p[7] == '"';
    created_header(&p->created, str_make(line.p + 7 + quote, at - 7 - 2 * quote));
    struct str text = str_skip(line, at + 1);
    if (word == 0)
        return help_line(p, name, text, at + 1, flaw);
    return word == 1 ? type_line(p, name, text, at + 1, flaw) : unit_line(p, name, text, at + 1, flaw);
}

/* A line that begins with '#'. */
static enum verdict hash_line(struct openmetrics_parser *p, struct str line, bool ended, struct flaw *flaw)
{
    static const struct str STARTS[] = {{"# HELP ", 7}, {"# TYPE ", 7}, {"# UNIT ", 7}};
    for (size_t i = 0; i < sizeof STARTS / sizeof *STARTS; i++)
        if (str_starts(line, STARTS[i]))
            return header_line(p, line, i, ended, flaw);
    if (!str_starts(line, STR("# EOF")))
        return wrong(flaw, 0, "expected a valid start token", line);
    p->eof = true;
    if (line.n == 5)
        return TAKEN;
    flaw_set(flaw, 5, "unexpected data after # EOF");
    return WRONG;
}

/* ---- samples ---- */

static size_t token_end(struct str line, size_t i)
{
    while (i < line.n && line.p[i] != ' ')
        i++;
    return i;
}

/* A number behind one blank at *i, moved behind it. A newline stands behind the line. */
static inline bool take_number(struct str line, size_t *i, const char *after, double *v, struct flaw *flaw)
{
    size_t at = *i + 1;
    if (at < line.n && line.p[*i] == ' ') {
        const char *fast = number_fast(line.p + at, v);
        if (fast && (fast == line.p + line.n || *fast == ' ')) {
            *i = (size_t)(fast - line.p);
            return true;
        }
    }
    size_t end = *i < line.n && line.p[*i] == ' ' ? token_end(line, at) : *i;
    if (end <= at) {
        flaw_set(flaw, *i, "expected value after %s", after);
        return flaw_got(flaw, line);
    }
    struct str text = str_make(line.p + at, end - at);
    if (!exposition_parse_value(text, v)) {
        number_why(text, flaw, at);
        return false;
    }
    *i = end;
    return true;
}

/* Seconds as a float, cut to milliseconds. What int64 does not hold becomes INT64_MAX, which no clock reaches. */
static bool take_stamp(struct str line, size_t *i, const char *what, int64_t *ts_ms, struct flaw *flaw)
{
    double v;
    size_t at = *i + 1;
    if (!take_number(line, i, what, &v, flaw))
        return false;
    if (!isfinite(v))
        return flaw_set(flaw, at, "invalid %s %s", what, isnan(v) ? "NaN" : v > 0 ? "+Inf" : "-Inf");
    *ts_ms = fabs(v * 1000) < MS_MAX ? (int64_t)(v * 1000) : INT64_MAX;
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
static inline bool rest_of_line(struct openmetrics_parser *p, struct str line, size_t i, struct sample *s,
                                struct flaw *flaw)
{
    if (!take_number(line, &i, "metric", &s->out.value, flaw))
        return false;
    if (i == line.n)
        return true;
    if (!is_exemplar(line, i)) {
        s->out.has_ts = true;
        if (!take_stamp(line, &i, "timestamp", &s->out.ts_ms, flaw))
            return false;
        if (i == line.n)
            return true;
        if (!is_exemplar(line, i)) {
            flaw_set(flaw, i, "expected next entry after timestamp");
            return flaw_got(flaw, line);
        }
    }
    if (!take_exemplar(p, line, i, &s->exemplar, flaw))
        return false;
    /* One of no time that there is would be too old or too new for anybody. */
    s->out.exemplars = &s->exemplar;
    s->out.exemplars_n = !(s->exemplar.has_ts && s->exemplar.ts_ms == INT64_MAX);
    return true;
}

/* Where the series of a line without exemplar ends when it is written the usual way; 0 when it is not. */
static inline size_t series_end(struct str line)
{
    const char *close = memrchr(line.p, '}', line.n);
    if (close)
        return (size_t)(close - line.p) + 1;
    size_t i = token_end(line, 0);
    return memchr(line.p, '{', i) ? 0 : i;
}

/* The full check: false says what is wrong and where. */
static bool sample_slow(struct openmetrics_parser *p, struct str line, struct sample *s, struct flaw *flaw)
{
    size_t end;
    s->out = (struct exposition_sample){0};
    if (!series_scan_strict(line, NULL, &end, flaw) || !rest_of_line(p, line, end, s, flaw))
        return false;
    s->out.series = str_make(line.p, end);
    return true;
}

static enum verdict sample_line(struct openmetrics_parser *p, struct str line, bool ended, struct flaw *flaw)
{
    struct sample s;
    size_t end = memchr(line.p, '#', line.n) ? 0 : series_end(line);
    s.out = (struct exposition_sample){.series = str_make(line.p, end)};
    if (!(end && rest_of_line(p, line, end, &s, flaw)) && !sample_slow(p, line, &s, flaw))
        return WRONG;
    if (!ended) {
        p->eof = true; /* said now, not again at the end */
        flaw_set(flaw, line.n, "data does not end with # EOF");
        return WRONG;
    }
    s.out.line = p->lines.line;
    s.out.column = 1;
    created_sample(&p->created, &s.out);
    return give(p->handler.on_sample(p->handler.ctx, &s.out));
}

static inline enum verdict read_line(void *parser, struct str line, bool ended, struct flaw *flaw)
{
    struct openmetrics_parser *p = parser;
    if (p->eof) {
        flaw_set(flaw, 0, "unexpected data after # EOF");
        return WRONG;
    }
    if (line.n == 0)
        return wrong(flaw, 0, "expected a valid start token", line);
    return line.p[0] == '#' ? hash_line(p, line, ended, flaw) : sample_line(p, line, ended, flaw);
}

/* ---- the stream ---- */

struct openmetrics_parser *openmetrics_new(size_t max_line)
{
    struct openmetrics_parser *p = xcalloc(1, sizeof *p);
    lines_init(&p->lines, max_line, false, read_line, p);
    arena_init(&p->arena);
    labels_init(&p->exemplar_labels, &p->arena);
    created_init(&p->created, p->lines.max_line);
    return p;
}

void openmetrics_free(struct openmetrics_parser *p)
{
    if (!p)
        return;
    created_free(&p->created);
    labels_free(&p->exemplar_labels);
    arena_free(&p->arena);
    lines_free(&p->lines);
    free(p);
}

void openmetrics_begin(struct openmetrics_parser *p, const struct exposition_handler *handler)
{
    p->handler = *handler;
    p->eof = false;
    created_begin(&p->created);
    p->lines.error_ctx = handler->ctx;
    lines_begin(&p->lines);
}

void openmetrics_set_lenient(struct openmetrics_parser *p, exposition_error_fn *on_error)
{
    p->lines.on_error = on_error;
}

uint64_t openmetrics_line(const struct openmetrics_parser *p)
{
    return p->lines.line;
}

bool openmetrics_feed(struct openmetrics_parser *p, const void *bytes, size_t n, struct err *err)
{
    return lines_feed(&p->lines, read_line, bytes, n, err);
}

bool openmetrics_finish(struct openmetrics_parser *p, struct err *err)
{
    struct flaw flaw;
    if (!lines_finish(&p->lines, err))
        return false;
    if (p->eof)
        return true;
    flaw_set(&flaw, 0, "data does not end with # EOF");
    return lines_wrong(&p->lines, STR(""), &flaw, err);
}
