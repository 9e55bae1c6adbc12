/* SPDX-License-Identifier: Apache-2.0 */
/* protobuf_metric: one Metric message becomes the samples that the text formats would have for it. */
#ifndef OBSAGENT_SCRAPE_PARSE_PROTOBUF_METRIC_H
#define OBSAGENT_SCRAPE_PARSE_PROTOBUF_METRIC_H

#include "base/buf.h"
#include "base/err.h"
#include "exposition.h"

#include <stdint.h>

enum metric_type {
    METRIC_COUNTER,
    METRIC_GAUGE,
    METRIC_SUMMARY,
    METRIC_UNTYPED,
    METRIC_HISTOGRAM,
    METRIC_GAUGE_HISTOGRAM
};

/* What the samples of a metric take from its family. */
struct metric_family {
    uint64_t number; /* from 1 */
    uint64_t type;   /* enum metric_type, when it is known */
    struct str name; /* escaped */
    bool legacy;     /* the name needs no quotes */
};

struct metric_reader;

/* max_message bounds a Metric. */
struct metric_reader *metric_reader_new(size_t max_message);
void metric_reader_free(struct metric_reader *m);
void metric_reader_begin(struct metric_reader *m, const struct exposition_options *options,
                         const struct exposition_handler *handler);
/* Gives the samples of a metric to the handler. False when the message is wrong, or, without an error, when the
   handler wants no more. */
bool metric_read(struct metric_reader *m, const struct metric_family *family, struct str message,
                 struct err *err) MUSTCHECK;

#endif
