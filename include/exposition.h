/* SPDX-License-Identifier: Apache-2.0 */
/* exposition: the streaming parsers of what targets answer: the Prometheus text format, OpenMetrics text and
   delimited protobuf. They find samples: the text of a series, its value and what comes with it; the labels of a
   series are parsed only when somebody asks, because a known series needs none. */
#ifndef OBSAGENT_EXPOSITION_H
#define OBSAGENT_EXPOSITION_H

#include "base/err.h"
#include "base/str.h"
#include "block.h"
#include "labels.h"

#include <stdint.h>

enum exposition_format {
    EXPOSITION_TEXT,        /* text/plain, versions 0.0.4 and 1.0.0 */
    EXPOSITION_OPENMETRICS, /* application/openmetrics-text, versions 0.0.1 and 1.0.0 */
    EXPOSITION_PROTOBUF     /* application/vnd.google.protobuf: varint-delimited io.prometheus.client.MetricFamily */
};

struct exposition_options {
    enum exposition_format format;
    bool native_histograms;      /* read native histograms of protobuf; else only their classic buckets */
    bool classic_histograms_too; /* classic buckets of a histogram that is native, or made so, as well */
    bool nhcb;                   /* turn classic histograms into native ones with custom buckets */
    uint64_t bucket_limit;       /* of a native histogram; 0 = none. Resolution is reduced as far as schema -4, then
                                    the scrape fails: "histogram bucket limit exceeded" */
    double min_bucket_factor;    /* the finest growth between buckets that is kept; 0 = any */
};

struct exposition_exemplar {
    const struct label *labels; /* unescaped, as exposed */
    size_t labels_n;
    double value;
    bool has_ts;
    int64_t ts_ms;
};

/* One sample. `series` is the raw text of a line before its value (trailing blanks cut), or for protobuf the same
   written by the parser: legacy names bare, others quoted, labels in the order of the message, numbers of le and
   quantile in their shortest form. In the text formats the rest of its line lies behind it and ends in '\n' or '\r'
   (not of what nhcb makes). Everything is valid during the callback. */
struct exposition_sample {
    struct str series;
    double value; /* NaN always BLOCK_NAN_BITS */
    bool has_ts;
    int64_t ts_ms;
    /* The instant from which a counter, histogram or summary counts; 0 = unknown. `started` 0: of this sample.
       Else this is OpenMetrics's _created, and the `started` samples right before it are meant. */
    int64_t start_ts_ms;
    uint32_t started;
    /* A native histogram: the bytes of a remote-write Histogram message without its timestamps (fields 15 and 17);
       value is meaningless. p is NULL for a float sample. */
    struct str histogram;
    const struct exposition_exemplar *exemplars;
    size_t exemplars_n;
    uint64_t line;   /* from 1; of protobuf the number of the metric family */
    uint64_t column; /* of the series text, from 1; 0 of protobuf */
};

/* Callbacks return false to stop the parse (exposition_feed then returns false without an own error). Family
   names and help text are unescaped and valid during the call only. */
struct exposition_handler {
    bool (*on_sample)(void *ctx, const struct exposition_sample *sample);
    bool (*on_type)(void *ctx, struct str family, enum block_metric_type type);
    bool (*on_help)(void *ctx, struct str family, struct str help);
    bool (*on_unit)(void *ctx, struct str family, struct str unit); /* may be NULL */
    void *ctx;
};

struct exposition_parser;

/* max_line bounds one line (default when 0: 1 MiB); a longer one is an error. The parser is reusable. */
struct exposition_parser *exposition_new(size_t max_line);
void exposition_free(struct exposition_parser *p);
/* Starts a new body; options NULL = the text format. */
void exposition_begin(struct exposition_parser *p, const struct exposition_options *options,
                      const struct exposition_handler *handler);
/* Takes the next piece, cut anywhere. False on the first error: err says "line L, column C: why", of protobuf
   "metric family N (name): why" (Prometheus's reasons where it has one); the parser then takes nothing more until
   exposition_begin. */
bool exposition_feed(struct exposition_parser *p, const void *bytes, size_t n, struct err *err) MUSTCHECK;
/* The body is over: parses a last line without newline; OpenMetrics must have had its # EOF. */
bool exposition_finish(struct exposition_parser *p, struct err *err) MUSTCHECK;
/* Where the parser is: the line being read or next to be read, from 1; of protobuf the number of the metric family. For
   handlers that want to say where a TYPE stood. */
uint64_t exposition_line(const struct exposition_parser *p);
/* For tools that report every error and go on: on a bad line calls on_error and continues with the next
   one. Of protobuf it is a bad metric, or what is left of a family; line is the number of the family, column the offset
   in the body, text the family's name. */
void exposition_set_lenient(struct exposition_parser *p,
                            void (*on_error)(void *ctx, uint64_t line, uint64_t column, struct str text,
                                             const char *why));

/* Parses the raw series text of a sample into labels: __name__ and the rest, unescaped, strings in l's arena
   or in `series` itself (which must then outlive l). Rules of Prometheus's text parser: quoted UTF-8 names,
   escapes \\ \" \n (others kept as they are), duplicate label names and a missing metric name are errors,
   empty values stay. Error text is "column C: why". */
bool exposition_parse_series(struct str series, struct labels *l, struct err *err) MUSTCHECK;

/* The same by the rules of OpenMetrics: no blanks anywhere, a comma between labels. */
bool exposition_parse_series_strict(struct str series, struct labels *l, struct err *err) MUSTCHECK;

/* A number as Go's strconv.ParseFloat reads it in this format (no hex, no underscores; Inf, NaN in any case),
   correctly rounded, i.e. equal to strtod. */
bool exposition_parse_value(struct str text, double *v) MUSTCHECK;

#endif
