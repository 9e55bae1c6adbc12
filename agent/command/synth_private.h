/* SPDX-License-Identifier: Apache-2.0 */
/* synth_private: one made-up thing, counter, gauge or histogram, before it is written in some format. */
#ifndef OBSAGENT_COMMAND_SYNTH_PRIVATE_H
#define OBSAGENT_COMMAND_SYNTH_PRIVATE_H

#include "synth.h"

#define SYNTH_BUCKETS 10

enum synth_kind { SYNTH_COUNTER, SYNTH_GAUGE, SYNTH_HISTOGRAM, SYNTH_KINDS };

struct synth_thing {
    enum synth_kind kind;
    char id[24], zone[16], pod[32]; /* the values of its labels of these names; none needs escaping */
    double value;                    /* of a counter or gauge */
    uint64_t buckets[SYNTH_BUCKETS]; /* observations in each, not added up */
    uint64_t count;
    double sum;
    char trace[40];                  /* of its exemplar, "" = none */
};

/* Upper bounds of the classic buckets, the last is infinite; and the one value that all observations of a bucket
   have. */
extern const double synth_bounds[SYNTH_BUCKETS];
extern const double synth_observed[SYNTH_BUCKETS];
/* The bucket that has the exemplar. */
#define SYNTH_EXEMPLAR_BUCKET 4

/* A family's name without a suffix of its kind's, and what it says of itself. */
struct synth_family {
    enum synth_kind kind;
    char name[64];
    const char *help;
};

void synth_text_begin(struct buf *out, const struct synth_family *family, bool openmetrics);
void synth_text_put(struct buf *out, const struct synth_family *family, const struct synth_thing *thing,
                    bool openmetrics);

/* A family's messages collect in `messages` and go to out at its end. */
void synth_protobuf_put(struct buf *messages, const struct synth_thing *thing, bool native, int64_t now_ms);
void synth_protobuf_end(struct buf *out, const struct synth_family *family, struct buf *messages);

#endif
