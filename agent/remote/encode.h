/* SPDX-License-Identifier: Apache-2.0 */
/* encode: series as RW1 TimeSeries messages, written byte by byte because every sample passes here.
   Neighbours in a block share most of their labels, so what equals the series before is copied in one piece
   instead of being encoded again. */
#ifndef OBSAGENT_REMOTE_ENCODE_H
#define OBSAGENT_REMOTE_ENCODE_H

#include "base/wire.h"
#include "block.h"
#include "labels.h"

/* A string of the open block (or of the external labels behind them). */
struct encode_symbol {
    const char *p;
    uint32_t n;
    uint16_t rank;  /* how many external names sort before it, once RANKED */
    uint16_t flags; /* ENCODE_ bits */
};

#define ENCODE_WIDE 1u   /* 32 bytes from p on may be read, whatever n is */
#define ENCODE_RANKED 2u /* rank is known */
#define ENCODE_SAME 4u   /* equals the external name at rank */
#define ENCODE_META 8u   /* as a metric name: its metadata has been noted */

/* Zero-initialise. `symbols` belongs to the caller and may move between calls; the rest is the encoder's
   memory. */
struct encoder {
    const struct encode_symbol *symbols;
    struct str tail; /* what stands behind the labels of the series at hand; p NULL = its float samples */
    uint32_t *prev;  /* pairs of the series before */
    uint32_t *ends;  /* where each of its labels ends, from prev_at */
    size_t prev_n;   /* pairs */
    size_t prev_cap, ends_cap;
    size_t prev_at;  /* its labels' place in out */
};

enum encode_outcome { ENCODE_OK, ENCODE_EMPTY_LABEL, ENCODE_LIMIT, ENCODE_BAD };

void encoder_free(struct encoder *e);
/* Before the first series of a message, and whenever symbols changed their meaning. */
void encoder_begin(struct encoder *e);
/* Appends one series with n pairs of symbols. ENCODE_EMPTY_LABEL, with nothing written, when a label must be
   left out first; ENCODE_LIMIT when out would pass max_bytes (0 = no limit) and is not empty; ENCODE_BAD for
   samples that cannot be read and when out's own maximum is reached. */
enum encode_outcome encode_pairs(struct encoder *e, const uint32_t *refs, size_t n,
                                 const struct block_series *series, size_t max_bytes, struct buf *out);
/* The same for labels as they are: sorted, none empty. */
enum encode_outcome encode_labels(struct encoder *e, const struct labels *labels,
                                  const struct block_series *series, size_t max_bytes, struct buf *out);

#endif
