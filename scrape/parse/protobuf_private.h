/* SPDX-License-Identifier: Apache-2.0 */
/* protobuf_private: what the parts that read a Metric share. Field numbers are those of io.prometheus.client. */
#ifndef OBSAGENT_SCRAPE_PARSE_PROTOBUF_PRIVATE_H
#define OBSAGENT_SCRAPE_PARSE_PROTOBUF_PRIVATE_H

#include "base/arena.h"
#include "classic.h"
#include "histogram.h"
#include "protobuf_metric.h"
#include "wire_field.h"

#define KNOWN_NUMBERS 64

/* Numbers of le and quantile as text: metrics of a family mostly have the same ones at the same places. */
struct known_number {
    double v;
    uint8_t n;
    char text[31];
};

struct metric_reader {
    struct exposition_options options;
    struct exposition_handler handler;
    struct arena arena; /* of the exemplars' labels */
    struct exposition_exemplar *exemplars; /* of the next sample */
    size_t exemplars_n, exemplars_cap;
    struct buf labels, last, series, bytes; /* text of the metric's labels, of le or quantile, of the whole; wire */
    struct histogram histogram;
    struct classic classic;
    struct known_number known[KNOWN_NUMBERS];

    /* The metric being read. */
    const struct metric_family *family;
    struct str message, exemplar;
    int64_t ts_ms, start_ts_ms;
    double value, count_float, zero_count_float;
    uint64_t count, zero_count;
    bool native, has_buckets, has_exemplars;
};

struct bucket {
    double le, count;
    struct str exemplar;
};

/* The messages that the metric's type puts its numbers in. */
struct wire_items metric_body(const struct metric_reader *m);
/* Records that this message is malformed. Returns false. */
bool metric_malformed(const char *what, struct err *err);
/* The first pass over m->message: labels as text, numbers, what there is. */
bool metric_scan(struct metric_reader *m, struct err *err) MUSTCHECK;
/* Adds an exemplar to those of the next sample; timed: only when it has a timestamp. */
bool metric_add_exemplar(struct metric_reader *m, struct str bytes, bool timed, struct err *err) MUSTCHECK;
/* The next classic bucket; false at the end, and with an error when it is malformed. */
bool metric_next_bucket(struct wire_items *items, struct bucket *b, struct err *err);
/* Fills m->histogram with the native histogram's buckets; false when it is malformed or unsound. */
bool metric_read_native(struct metric_reader *m, struct err *err) MUSTCHECK;

#endif
