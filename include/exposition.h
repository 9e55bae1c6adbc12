/* SPDX-License-Identifier: Apache-2.0 */
/* exposition: the streaming parser of the Prometheus text format 0.0.4. It finds lines, series text, values
   and timestamps; the labels of a series are parsed only when somebody asks, because a known series needs
   none. */
#ifndef OBSAGENT_EXPOSITION_H
#define OBSAGENT_EXPOSITION_H

#include "base/err.h"
#include "base/str.h"
#include "block.h"
#include "labels.h"

#include <stdint.h>

/* One sample line. `series` is the raw text before the value (trailing blanks cut), valid during the
   callback. */
struct exposition_sample {
    struct str series;
    double value; /* NaN always BLOCK_NAN_BITS */
    bool has_ts;
    int64_t ts_ms;
    uint64_t line;   /* from 1 */
    uint64_t column; /* of the series text, from 1 */
};

/* Callbacks return false to stop the parse (exposition_feed then returns false without an own error). Family
   names and help text are unescaped and valid during the call only. */
struct exposition_handler {
    bool (*on_sample)(void *ctx, const struct exposition_sample *sample);
    bool (*on_type)(void *ctx, struct str family, enum block_metric_type type);
    bool (*on_help)(void *ctx, struct str family, struct str help);
    void *ctx;
};

struct exposition_parser;

/* max_line bounds one line (default when 0: 1 MiB); a longer one is an error. The parser is reusable. */
struct exposition_parser *exposition_new(size_t max_line);
void exposition_free(struct exposition_parser *p);
/* Starts a new body. */
void exposition_begin(struct exposition_parser *p, const struct exposition_handler *handler);
/* Takes the next piece, cut anywhere. False on the first error: err says "line L, column C: why"
   (Prometheus's reasons where it has one); the parser then takes nothing more until exposition_begin. */
bool exposition_feed(struct exposition_parser *p, const void *bytes, size_t n, struct err *err) MUSTCHECK;
/* The body is over: parses a last line without newline. */
bool exposition_finish(struct exposition_parser *p, struct err *err) MUSTCHECK;
/* For tools that report every error and go on: on a bad line calls on_error and continues with the next
   one. */
void exposition_set_lenient(struct exposition_parser *p,
                            void (*on_error)(void *ctx, uint64_t line, uint64_t column, struct str text,
                                             const char *why));

/* Parses the raw series text of a sample into labels: __name__ and the rest, unescaped, strings in l's arena
   or in `series` itself (which must then outlive l). Rules of Prometheus's text parser: quoted UTF-8 names,
   escapes \\ \" \n (others kept as they are), duplicate label names and a missing metric name are errors,
   empty values stay. Error text is "column C: why". */
bool exposition_parse_series(struct str series, struct labels *l, struct err *err) MUSTCHECK;

/* A number as Go's strconv.ParseFloat reads it in this format (no hex, no underscores; Inf, NaN in any case),
   correctly rounded, i.e. equal to strtod. */
bool exposition_parse_value(struct str text, double *v) MUSTCHECK;

#endif
