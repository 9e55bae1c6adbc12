/* SPDX-License-Identifier: Apache-2.0 */
/* sample_json: values, native histograms and exemplars as JSON, the same in `sink` and in `queue cat`. */
#ifndef OBSAGENT_COMMAND_SAMPLE_JSON_H
#define OBSAGENT_COMMAND_SAMPLE_JSON_H

#include "base/buf.h"
#include "base/err.h"
#include "labels.h"

/* A number, or "NaN", "+Inf", "-Inf", "stale". */
void json_add_value(struct buf *out, double value);
/* {"name":"value",...} in the order given. */
void json_add_labels(struct buf *out, const struct label *v, size_t n);
/* {"labels":{...},"v":value,"t":ms} */
void json_add_exemplar(struct buf *out, const struct label *v, size_t n, double value, int64_t ts_ms);
/* A Histogram message of remote write (1.0 and 2.0 alike): {"count","sum","schema","zero_threshold","zero_count",
   "negative","positive","custom_values","reset_hint"}, or "stale". A side is {"spans":[[offset,length],...]} with
   "deltas" of a histogram of whole counts, "counts" of one of floats; empty sides and custom_values are left out.
   *ts_ms and *start_ts_ms are its timestamps, 0 when absent. False when the bytes are malformed or the spans do not
   hold as many buckets as there are; out (NULL: only checked) should be thrown away then. */
bool json_add_histogram(struct buf *out, struct str message, int64_t *ts_ms, int64_t *start_ts_ms,
                        struct err *err) MUSTCHECK;

#endif
