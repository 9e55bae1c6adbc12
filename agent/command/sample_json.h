/* SPDX-License-Identifier: Apache-2.0 */
/* sample_json: values, native histograms and exemplars as JSON, the same in `sink` and in `queue cat`. */
#ifndef OBSAGENT_COMMAND_SAMPLE_JSON_H
#define OBSAGENT_COMMAND_SAMPLE_JSON_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* A number, or "NaN", "+Inf", "-Inf", "stale". */
void json_add_value(struct buf *out, double value);
/* A Histogram message of remote write (1.0 and 2.0 alike): an object, or "stale". *ts_ms and *start_ts_ms are its
   timestamps, 0 when absent. False when the bytes are malformed. */
bool json_add_histogram(struct buf *out, struct str message, int64_t *ts_ms, int64_t *start_ts_ms) MUSTCHECK;

#endif
