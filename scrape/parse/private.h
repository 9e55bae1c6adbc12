/* SPDX-License-Identifier: Apache-2.0 */
/* private: what the parsers share, and each format's parser as exposition.c sees it. */
#ifndef OBSAGENT_SCRAPE_PARSE_PRIVATE_H
#define OBSAGENT_SCRAPE_PARSE_PRIVATE_H

#include "base/err.h"
#include "base/str.h"
#include "exposition.h"
#include "labels.h"

#include <stdint.h>

/* ---- one parser for each format; the contracts are those of exposition.h ---- */

typedef void exposition_error_fn(void *ctx, uint64_t line, uint64_t column, struct str text, const char *why);

struct text_parser *text_new(size_t max_line);
void text_free(struct text_parser *p);
void text_begin(struct text_parser *p, const struct exposition_handler *handler);
bool text_feed(struct text_parser *p, const void *bytes, size_t n, struct err *err) MUSTCHECK;
bool text_finish(struct text_parser *p, struct err *err) MUSTCHECK;
void text_set_lenient(struct text_parser *p, exposition_error_fn *on_error);
uint64_t text_line(const struct text_parser *p);

struct openmetrics_parser *openmetrics_new(size_t max_line);
void openmetrics_free(struct openmetrics_parser *p);
void openmetrics_begin(struct openmetrics_parser *p, const struct exposition_handler *handler);
bool openmetrics_feed(struct openmetrics_parser *p, const void *bytes, size_t n, struct err *err) MUSTCHECK;
bool openmetrics_finish(struct openmetrics_parser *p, struct err *err) MUSTCHECK;
void openmetrics_set_lenient(struct openmetrics_parser *p, exposition_error_fn *on_error);
uint64_t openmetrics_line(const struct openmetrics_parser *p);

/* max_message (default when 0: 16 MiB) bounds one Metric of a family, its name and its help; a family may be of any
   size. */
struct protobuf_parser *protobuf_new(size_t max_message);
void protobuf_free(struct protobuf_parser *p);
void protobuf_begin(struct protobuf_parser *p, const struct exposition_options *options,
                    const struct exposition_handler *handler);
bool protobuf_feed(struct protobuf_parser *p, const void *bytes, size_t n, struct err *err) MUSTCHECK;
bool protobuf_finish(struct protobuf_parser *p, struct err *err) MUSTCHECK;
void protobuf_set_lenient(struct protobuf_parser *p, exposition_error_fn *on_error);
uint64_t protobuf_line(const struct protobuf_parser *p);

/* A handler in front of another one, which turns classic histograms of the text formats into native ones with custom
   buckets. nhcb_finish passes on what is pending; to be called before the parser's own finish returns good. */
struct nhcb *nhcb_new(void);
void nhcb_free(struct nhcb *n);
/* Fills `out` with callbacks that end in `handler`, which is copied. */
void nhcb_begin(struct nhcb *n, const struct exposition_options *options, const struct exposition_handler *handler,
                struct exposition_handler *out);
bool nhcb_finish(struct nhcb *n, struct err *err) MUSTCHECK;
/* Whether it was this handler that stopped the parse: err then says why. */
bool nhcb_failed(const struct nhcb *n, struct err *err);

/* ---- text ---- */

/* Where and why a text is wrong. */
struct flaw {
    size_t at;       /* offset of the byte that is wrong */
    bool open_quote; /* a quoted string reached the end of the text: more text might close it */
    char why[256];
};

/* Records a flaw; always returns false. */
bool flaw_set(struct flaw *flaw, size_t at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Appends ", got ..." naming what stands at flaw->at. Always returns false. */
bool flaw_got(struct flaw *flaw, struct str text);

/* Reads `name{labels}` from the start of text (leading blanks are skipped). On success *end is the offset
   behind the series. With l NULL it only checks. */
bool series_scan(struct str text, struct labels *l, size_t *end, struct flaw *flaw);
/* The same as OpenMetrics wants it: no blanks, commas between labels. */
bool series_scan_strict(struct str text, struct labels *l, size_t *end, struct flaw *flaw);
/* Reads the labels of an exemplar, whose brace stands at `from`, to *end behind the closing one. */
bool exemplar_scan(struct str text, size_t from, struct labels *l, size_t *end, struct flaw *flaw);
/* Reads value and timestamp of a sample line, from offset i behind the series to the end. */
bool line_rest(struct str line, size_t i, double *value, bool *has_ts, int64_t *ts_ms, struct flaw *flaw);
/* Most text is: eight bytes at a time, before anything looks at runes. */
static inline bool text_is_ascii(struct str s)
{
    size_t i = 0;
    uint64_t seen = 0, word;
    for (; i + 8 <= s.n; i += 8) {
        memcpy(&word, s.p + i, 8);
        seen |= word;
    }
    for (; i < s.n; i++)
        seen |= (uint64_t)(unsigned char)s.p[i];
    return !(seen & 0x8080808080808080ull);
}

/* `text` with \\ \n (and \" when quotes is set) replaced; other escapes stay. A view of text when it has
   none. */
struct str text_unescape(struct str text, bool quotes, struct arena *arena);

/* The family name of a HELP, TYPE or UNIT line at offset i: bare or quoted. Returns the offset behind it, or 0. */
size_t text_family_name(struct str line, size_t i, struct str *name, struct arena *arena);

/* The common forms of numbers, correctly rounded: at most 19 significant digits, decimal exponent of the last
   digit within +-27. p must be followed by a byte that is in no number (the newline). Returns the first byte
   that does not belong to it, or NULL when the form needs exposition_parse_value. */
const char *number_fast(const char *p, double *v);
/* Why exposition_parse_value refuses text, in Go's words. */
void number_why(struct str text, struct flaw *flaw, size_t at);

#endif
