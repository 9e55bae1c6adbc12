/* SPDX-License-Identifier: Apache-2.0 */
/* text: the streaming parser of the text format 0.0.4.

   Two ways through a sample line. The fast one only cuts it:

        http_requests_total{code="200",path="/a}b"} 1027 1395066363000\n
        |<---------- series (hashed) ------------->|
                                       last '}' --^      (the rest holds no brace)

   and trusts the owner of the handler to know the series or to give its text to exposition_parse_series. A
   line that the fast way cannot cut goes through series_scan and a full check, which finds the line good
   after all (odd but legal) or says what is wrong and where. So no wrong line passes, and no known line is
   looked at twice.

   A quoted string may go on over a newline, which the format allows by accident and the fast way does not see (it
   then is an error if what stands before the newline looks like a whole sample). */
#include "exposition.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "lines.h"

struct text_parser {
    struct exposition_handler handler;
    struct lines lines;
    struct arena arena;
};

/* ---- comments ---- */

static size_t blanks(struct str text, size_t i)
{
    while (i < text.n && (text.p[i] == ' ' || text.p[i] == '\t'))
        i++;
    return i;
}

static enum verdict help_line(struct text_parser *p, struct str name, struct str text, size_t at,
                              struct flaw *flaw)
{
    if (!text_is_ascii(text) && !str_is_utf8(text)) {
        flaw_set(flaw, at, "help text is not a valid utf8 string");
        return WRONG;
    }
    if (!p->handler.on_help)
        return TAKEN;
    return give(p->handler.on_help(p->handler.ctx, name, text_unescape(text, false, &p->arena)));
}

static enum verdict type_line(struct text_parser *p, struct str name, struct str text, size_t at,
                              struct flaw *flaw)
{
    static const struct {
        struct str word;
        enum block_metric_type type;
    } TYPES[] = {
        {{"counter", 7}, BLOCK_COUNTER},     {{"gauge", 5}, BLOCK_GAUGE},
        {{"histogram", 9}, BLOCK_HISTOGRAM}, {{"summary", 7}, BLOCK_SUMMARY},
        {{"untyped", 7}, BLOCK_UNSPECIFIED},
    };
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++) {
        if (!str_eq(text, TYPES[i].word))
            continue;
        return p->handler.on_type ? give(p->handler.on_type(p->handler.ctx, name, TYPES[i].type)) : TAKEN;
    }
    flaw_set(flaw, at, "invalid metric type \"%.*s\"", text.n < 80 ? (int)text.n : 80, text.p);
    return WRONG;
}

/* A line whose first byte that is not blank is '#', at offset i. Anything but HELP and TYPE is a comment. */
static enum verdict comment_line(struct text_parser *p, struct str line, size_t i, struct flaw *flaw)
{
    size_t word = blanks(line, i + 1);
    struct str rest = str_skip(line, word), name;
    bool help = str_starts(rest, STR("HELP"));
    if (word == i + 1 || (!help && !str_starts(rest, STR("TYPE"))))
        return TAKEN;
    size_t at = blanks(line, word + 4);
    if (at == word + 4)
        return TAKEN;
    arena_reset(&p->arena);
    size_t end = text_family_name(line, at, &name, &p->arena);
    if (end == 0) {
        flaw_set(flaw, at, "expected metric name after %s", help ? "HELP" : "TYPE");
        flaw_got(flaw, line);
        return WRONG;
    }
    /* Whatever one byte stands between, as in Prometheus's lexer. */
    struct str text = str_skip(line, end + 1);
    return help ? help_line(p, name, text, end + 1, flaw) : type_line(p, name, text, end + 1, flaw);
}

/* ---- samples ---- */

static enum verdict emit(struct text_parser *p, struct str series, double value, bool has_ts,
                         int64_t ts_ms, size_t column)
{
    struct exposition_sample sample = {.series = series,
                                       .value = value,
                                       .has_ts = has_ts,
                                       .ts_ms = ts_ms,
                                       .line = p->lines.line,
                                       .column = column};
    return give(p->handler.on_sample(p->handler.ctx, &sample));
}

static size_t digits_end(struct str line, size_t i)
{
    while (i < line.n && line.p[i] >= '0' && line.p[i] <= '9')
        i++;
    return i;
}

/* The timestamp and the end of the line, from offset i. */
static bool line_tail(struct str line, size_t i, bool *has_ts, int64_t *ts_ms, struct flaw *flaw)
{
    i = blanks(line, i);
    *has_ts = i < line.n;
    if (!*has_ts)
        return true;
    size_t end = digits_end(line, i);
    if (end == i) {
        flaw_set(flaw, i, "expected timestamp or new record");
        return flaw_got(flaw, line);
    }
    int64_t ts = 0;
    for (size_t k = i; k < end; k++) {
        if (__builtin_mul_overflow(ts, 10, &ts) || __builtin_add_overflow(ts, line.p[k] - '0', &ts))
            return flaw_set(flaw, i, "strconv.ParseInt: parsing \"%.*s\": value out of range",
                            end - i < 80 ? (int)(end - i) : 80, line.p + i);
    }
    *ts_ms = ts;
    i = blanks(line, end);
    if (i < line.n) {
        flaw_set(flaw, i, "expected next entry after timestamp");
        return flaw_got(flaw, line);
    }
    return true;
}

bool line_rest(struct str line, size_t i, double *value, bool *has_ts, int64_t *ts_ms, struct flaw *flaw)
{
    i = blanks(line, i);
    size_t token = i;
    while (i < line.n && line.p[i] != '{' && line.p[i] != ' ' && line.p[i] != '\t' && line.p[i] != '\n')
        i++;
    if (i == token) {
        flaw_set(flaw, i, "expected value after metric");
        return flaw_got(flaw, line);
    }
    struct str number = str_make(line.p + token, i - token);
    if (!exposition_parse_value(number, value)) {
        number_why(number, flaw, token);
        return false;
    }
    return line_tail(line, i, has_ts, ts_ms, flaw);
}

/* The full check of a sample line. */
static enum verdict sample_slow(struct text_parser *p, struct str line, struct flaw *flaw)
{
    size_t start = blanks(line, 0), end;
    double value;
    bool has_ts;
    int64_t ts = 0;
    if (!series_scan(line, NULL, &end, flaw) || !line_rest(line, end, &value, &has_ts, &ts, flaw))
        return WRONG;
    return emit(p, str_make(line.p + start, end - start), value, has_ts, ts, start + 1);
}

/* Where the series text of a line ends if it is written the usual way; 0 when it is not. */
static inline size_t series_end(struct str line)
{
    const char *close = memrchr(line.p, '}', line.n);
    if (close)
        return (size_t)(close - line.p) + 1;
    size_t i = 0;
    while (i < line.n && line.p[i] != ' ' && line.p[i] != '\t')
        i++;
    return memchr(line.p, '{', i) ? 0 : i;
}

/* line.p[line.n] is '\n' or '\r', which ends every number. */
static inline enum verdict sample_line(struct text_parser *p, struct str line, struct flaw *flaw)
{
    double value;
    bool has_ts = false;
    int64_t ts = 0;
    size_t end = series_end(line);
    if (end == 0)
        return sample_slow(p, line, flaw);
    size_t at = blanks(line, end);
    const char *after = number_fast(line.p + at, &value);
    size_t i;
    if (after) {
        i = (size_t)(after - line.p);
    } else {
        for (i = at; i < line.n && line.p[i] != ' ' && line.p[i] != '\t'; i++)
            ;
        if (!exposition_parse_value(str_make(line.p + at, i - at), &value))
            return sample_slow(p, line, flaw);
    }
    if (i != line.n) {
        if ((line.p[i] != ' ' && line.p[i] != '\t') || !line_tail(line, i, &has_ts, &ts, flaw))
            return sample_slow(p, line, flaw);
    }
    return emit(p, str_make(line.p, end), value, has_ts, ts, 1);
}

static inline enum verdict read_line(void *parser, struct str line, bool ended, struct flaw *flaw)
{
    struct text_parser *p = parser;
    (void)ended;
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    char c = line.n ? line.p[0] : '#';
    if (c != '#' && c != ' ' && c != '\t')
        return sample_line(p, line, flaw);
    size_t i = blanks(line, 0);
    if (i == line.n)
        return TAKEN;
    return line.p[i] == '#' ? comment_line(p, line, i, flaw) : sample_slow(p, line, flaw);
}

/* ---- the stream ---- */

struct text_parser *text_new(size_t max_line)
{
    struct text_parser *p = xcalloc(1, sizeof *p);
    lines_init(&p->lines, max_line, true, read_line, p);
    arena_init(&p->arena);
    return p;
}

void text_free(struct text_parser *p)
{
    if (!p)
        return;
    arena_free(&p->arena);
    lines_free(&p->lines);
    free(p);
}

void text_begin(struct text_parser *p, const struct exposition_handler *handler)
{
    p->handler = *handler;
    p->lines.error_ctx = handler->ctx;
    lines_begin(&p->lines);
}

void text_set_lenient(struct text_parser *p, exposition_error_fn *on_error)
{
    p->lines.on_error = on_error;
}

uint64_t text_line(const struct text_parser *p)
{
    return p->lines.line;
}

bool text_feed(struct text_parser *p, const void *bytes, size_t n, struct err *err)
{
    return lines_feed(&p->lines, read_line, bytes, n, err);
}

bool text_finish(struct text_parser *p, struct err *err)
{
    return lines_finish(&p->lines, err);
}
