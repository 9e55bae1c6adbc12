/* SPDX-License-Identifier: Apache-2.0 */
/* sketch: which label has the most different values among many label sets, in a small fixed memory (linear
   counting: a bit for each hash seen). Good enough to name the label that grew. */
#ifndef OBSAGENT_SCRAPE_SKETCH_H
#define OBSAGENT_SCRAPE_SKETCH_H

#include "labels.h"

#include <stdint.h>

#define SKETCH_LABELS 16 /* further names are not followed */
#define SKETCH_WORDS 32  /* 2048 bits each: tells counts apart up to about 10,000 values */
#define SKETCH_NAME 64   /* longer names are cut */

struct sketch {
    struct sketch_label {
        char name[SKETCH_NAME];
        uint64_t hash;
        uint64_t bits[SKETCH_WORDS];
    } v[SKETCH_LABELS];
    unsigned n;
};

/* Zero-initialise. */
void sketch_add(struct sketch *s, const struct labels *l);
/* The name of the label with most values; "" when nothing was added. Lives in s. */
const char *sketch_top(const struct sketch *s);

#endif
