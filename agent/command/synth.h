/* SPDX-License-Identifier: Apache-2.0 */
/* synth: made-up metrics: the body of a target that does not exist, as a pure function of settings and age. Counters
   and histograms only grow as long as their series lives, so that whatever reads them may be checked for that. */
#ifndef OBSAGENT_COMMAND_SYNTH_H
#define OBSAGENT_COMMAND_SYNTH_H

#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>

/* Classic series of one histogram: ten buckets, its sum and its count. */
#define SYNTH_HISTOGRAM_SERIES 12

enum synth_format { SYNTH_TEXT, SYNTH_OPENMETRICS, SYNTH_PROTOBUF };

struct synth_settings {
    uint64_t series;   /* of a body; a histogram counts as its classic ones */
    double churn;      /* 0 .. 1: share of the series that are replaced by new ones in each period */
    int64_t period_ms; /* of churn; above 0 */
    uint64_t seed;     /* decides names of series and values */
    bool native;       /* protobuf has native buckets beside the classic ones */
    bool exemplars;    /* one in each histogram, where the format has a place for it */
};

/* How the series are divided: a quarter is histograms, of the rest half are counters and half gauges. */
struct synth_plan {
    uint64_t histograms, counters, gauges;
};
struct synth_plan synth_plan(uint64_t series);

/* Appends the whole body for the age of the target; now_ms is for the times of exemplars. False when out is full. */
bool synth_write(const struct synth_settings *s, enum synth_format format, int64_t age_ms, int64_t now_ms,
                 struct buf *out) MUSTCHECK;

/* Any 64 bits that depend on seed, thing and what for. */
uint64_t synth_random(uint64_t seed, uint64_t thing, uint64_t what);

#endif
