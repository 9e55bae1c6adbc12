/* SPDX-License-Identifier: Apache-2.0 */
/* tail: what follows the labels of a series that is more than float samples, as remote write 1.0 has it: histograms
   (field 4, without start timestamps) and exemplars (field 3, their labels as texts). */
#ifndef OBSAGENT_REMOTE_TAIL_H
#define OBSAGENT_REMOTE_TAIL_H

#include "base/buf.h"
#include "block.h"

/* True when remote write 1.0 has a place for all histograms of the series: none has custom buckets. */
bool tail_has_place(const struct block_series *series);
/* Replaces out by the encoded samples or histograms, and the exemplars when asked for. False when they cannot be read
   or out is full. */
bool tail_write(struct block_reader *r, const struct block_series *series, bool exemplars, struct buf *out);

#endif
