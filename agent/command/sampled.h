/* SPDX-License-Identifier: Apache-2.0 */
/* sampled: a map from 64-bit hashes that stays below a size, whatever comes: when it is full it keeps only every second
   key, by the key's own bits, and from then on takes only such keys. So the same keys are in the sample of every body,
   and what is counted in it stands for 2^level times as many. */
#ifndef OBSAGENT_COMMAND_SAMPLED_H
#define OBSAGENT_COMMAND_SAMPLED_H

#include "map.h"

#include <stdbool.h>

/* {.max = N} is empty. */
struct sampled {
    struct map map;
    size_t max;
    unsigned level; /* one in 2^level */
};

/* The place of key's value; 0 stands in a new one. NULL: not of the sample. Valid until the next call. */
uint64_t *sampled_at(struct sampled *s, uint64_t key);
/* The same without making one: NULL when it is not there. *of_sample tells whether it could be. */
const uint64_t *sampled_find(const struct sampled *s, uint64_t key, bool *of_sample);
void sampled_free(struct sampled *s);

#endif
