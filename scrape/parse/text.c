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

   Lines are read where they lie; only one that is cut by the border of a chunk is put together in `carry`. So
   is a line whose quoted string goes on over a newline, which the format allows by accident and the fast way
   does not see (it then is an error if what stands before the newline looks like a whole sample). */
#include "exposition.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "private.h"

#define LINE_MAX_DEFAULT ((size_t)1 << 20)
#define CARRY_KEEP ((size_t)16 << 10)

struct text_parser {
    struct exposition_handler handler;
    size_t max_line;
    char *carry; /* the beginning of a line whose end has not come yet */
    size_t carry_n, carry_cap;
    bool joined;            /* carry begins with whole lines that end inside a quoted string */
    bool in_quote, escaped; /* when joined: the state behind the last byte of carry */
    bool skipping;          /* lenient: throws away the rest of a line that was too long */
    bool failed;
    text_line_fn *read_line; /* of another format */
    void *line_ctx;
    uint64_t line; /* of the next line to parse, from 1 */
    struct arena arena;
    void (*on_error)(void *ctx, uint64_t line, uint64_t column, struct str text, const char *why);
};

struct text_parser *text_new(size_t max_line)
{
    struct text_parser *p = xcalloc(1, sizeof *p);
    p->max_line = max_line ? max_line : LINE_MAX_DEFAULT;
    arena_init(&p->arena);
    return p;
}

void text_free(struct text_parser *p)
{
    if (!p)
        return;
    arena_free(&p->arena);
    free(p->carry);
    free(p);
}

void text_begin(struct text_parser *p, const struct exposition_handler *handler)
{
    p->handler = *handler;
    p->carry_n = 0;
    p->joined = p->skipping = p->failed = false;
    p->line = 1;
    if (p->carry_cap > CARRY_KEEP) {
        free(p->carry);
        p->carry = NULL;
        p->carry_cap = 0;
    }
}

void text_set_reader(struct text_parser *p, text_line_fn *read_line, void *ctx)
{
    p->read_line = read_line;
    p->line_ctx = ctx;
}

uint64_t text_line(const struct text_parser *p)
{
    return p->line;
}

void text_set_lenient(struct text_parser *p,
                            void (*on_error)(void *ctx, uint64_t line, uint64_t column, struct str text,
                                             const char *why))
{
    p->on_error = on_error;
}

/* ---- comments ---- */

static enum verdict give(bool go_on)
{
    return go_on ? TAKEN : STOPPED;
}

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
                                       .line = p->line,
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

/* One line without its newline (which stands behind it). */
static inline enum verdict parse_line(struct text_parser *p, struct str line, struct flaw *flaw)
{
    flaw->open_quote = false;
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

/* Reports a wrong line; true when the parse goes on. */
static bool wrong_line(struct text_parser *p, struct str line, const struct flaw *flaw, struct err *err)
{
    if (p->on_error) {
        p->on_error(p->handler.ctx, p->line, flaw->at + 1, line, flaw->why);
        return true;
    }
    p->failed = true;
    return err_set(err, "line %llu, column %zu: %s", (unsigned long long)p->line, flaw->at + 1, flaw->why);
}

static bool too_long(struct text_parser *p, struct str line, struct err *err)
{
    struct flaw flaw;
    line.n = line.n < 80 ? line.n : 80;
    flaw_set(&flaw, p->max_line, "line is longer than %zu bytes", p->max_line);
    return wrong_line(p, line, &flaw, err);
}

/* Follows quotes through bytes added to a joined line. Its state lives on, so a string over many lines costs
   its length once. */
static void follow_quotes(struct text_parser *p, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p->escaped)
            p->escaped = false;
        else if (bytes[i] == '\\')
            p->escaped = p->in_quote;
        else if (bytes[i] == '"')
            p->in_quote = !p->in_quote;
    }
}

static void carry_add(struct text_parser *p, const char *bytes, size_t n)
{
    p->carry = xgrow(p->carry, &p->carry_cap, p->carry_n + n + 1, 1);
    if (n)
        memcpy(p->carry + p->carry_n, bytes, n);
    p->carry_n += n;
    if (p->joined)
        follow_quotes(p, bytes, n);
}

/* A line ended inside a quoted string: keeps it, newline included, and waits for more. */
static void keep_open(struct text_parser *p, struct str line)
{
    bool own = line.p == p->carry;
    p->joined = true;
    p->in_quote = p->escaped = false;
    p->carry_n = 0;
    if (own) {
        follow_quotes(p, line.p, line.n);
        p->carry_n = line.n;
    } else {
        carry_add(p, line.p, line.n);
    }
    carry_add(p, "\n", 1);
}

static bool one_line(struct text_parser *p, struct str line, bool last, struct err *err)
{
    struct flaw flaw;
    flaw.open_quote = false;
    enum verdict verdict = p->read_line ? p->read_line(p->line_ctx, line, !last, &flaw) : parse_line(p, line, &flaw);
    if (__builtin_expect(verdict == TAKEN, 1))
        return true;
    if (verdict == STOPPED) {
        p->failed = true;
        return false;
    }
    if (flaw.open_quote && !last && !p->on_error && !p->read_line) {
        keep_open(p, line);
        return true;
    }
    return wrong_line(p, line, &flaw, err);
}

/* The carried line is whole. */
static bool end_carried(struct text_parser *p, bool last, struct err *err)
{
    bool was_joined = p->joined;
    uint64_t newlines = 0;
    struct str line = str_make(p->carry, p->carry_n);
    for (size_t i = 0; was_joined && i < line.n; i++)
        newlines += line.p[i] == '\n';
    p->carry[p->carry_n] = '\n';
    p->joined = false;
    bool go_on = one_line(p, line, last || was_joined, err);
    if (!p->joined) {
        p->carry_n = 0;
        p->line += newlines + 1;
    }
    return go_on;
}

/* The piece completes the carried line. */
static bool carried_line(struct text_parser *p, const char *piece, size_t n, struct err *err)
{
    if (p->skipping) {
        p->skipping = false;
        p->line++;
        return true;
    }
    if (p->carry_n + n > p->max_line) {
        bool go_on = too_long(p, str_make(p->carry, p->carry_n), err);
        p->carry_n = 0;
        p->joined = false;
        p->line++;
        return go_on;
    }
    carry_add(p, piece, n);
    if (p->joined && p->in_quote) {
        carry_add(p, "\n", 1);
        return true;
    }
    return end_carried(p, false, err);
}

/* Keeps the beginning of a line for the next chunk. */
static bool carry_rest(struct text_parser *p, const char *bytes, size_t n, struct err *err)
{
    if (p->skipping)
        return true;
    if (p->carry_n + n > p->max_line) {
        struct str shown = p->carry_n ? str_make(p->carry, p->carry_n) : str_make(bytes, n);
        p->skipping = true;
        bool go_on = too_long(p, shown, err);
        p->carry_n = 0;
        p->joined = false;
        return go_on;
    }
    carry_add(p, bytes, n);
    return true;
}

bool text_feed(struct text_parser *p, const void *bytes, size_t n, struct err *err)
{
    const char *at = bytes, *end = at + n;
    if (p->failed)
        return false;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        if (!newline)
            return carry_rest(p, at, (size_t)(end - at), err);
        size_t len = (size_t)(newline - at);
        bool ok;
        if (p->carry_n || p->skipping) {
            ok = carried_line(p, at, len, err);
        } else if (len > p->max_line) {
            ok = too_long(p, str_make(at, len), err);
            p->line++;
        } else {
            ok = one_line(p, str_make(at, len), false, err);
            p->line += p->carry_n == 0;
        }
        if (!ok)
            return false;
        at = newline + 1;
    }
    return true;
}

bool text_finish(struct text_parser *p, struct err *err)
{
    if (p->failed)
        return false;
    if (!p->carry_n || p->skipping)
        return true;
    return end_carried(p, true, err);
}
