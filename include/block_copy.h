/* SPDX-License-Identifier: Apache-2.0 */
/* block_copy: series of blocks written anew into builders: moved in time, put together, or sorted apart. */
#ifndef OBSAGENT_BLOCK_COPY_H
#define OBSAGENT_BLOCK_COPY_H

#include "block.h"
#include "labels.h"

/* Not thread-safe; keeps its memory from block to block. */
struct block_copier;

#define BLOCK_COPY_TARGETS 8

struct block_copier *block_copier_new(void);
void block_copier_free(struct block_copier *c);
/* Makes b, which must stay, the block that series come from. False with err when it is malformed. */
bool block_copier_open(struct block_copier *c, const struct block *b, struct err *err) MUSTCHECK;
/* The next series; false at the end, or on malformed bytes and series that do not hold exactly one sample (err). */
bool block_copier_next(struct block_copier *c, struct err *err) MUSTCHECK;
/* Of the present series' labels: the same in every block. */
uint64_t block_copier_hash(struct block_copier *c);
/* The present series is the last one of a job: its name. */
bool block_copier_job_ends(const struct block_copier *c, struct str *job);

/* Gives an empty builder all symbols of the block in their order, so that a copy of all series is the same block. */
void block_copier_symbols(struct block_copier *c, unsigned i, struct block_builder *to);

/* Timestamps in [from_ms, to_ms] move by shift_ms. */
struct block_shift {
    int64_t from_ms, to_ms, shift_ms;
};
struct block_copy_how {
    const struct block_shift *shift; /* NULL = none */
    uint64_t *moved;                 /* rises when the sample's timestamp moved; may be NULL */
    const struct label *labels;      /* instead of its own, sorted; NULL = its own */
    size_t labels_n;
    bool no_exemplars;
};
/* Appends the present series to builder `to`, which is target number i (< BLOCK_COPY_TARGETS) until the next open,
   with what came with it. how may be NULL. False on malformed bytes. */
bool block_copier_put(struct block_copier *c, unsigned i, struct block_builder *to,
                      const struct block_copy_how *how) MUSTCHECK;

/* Works for a reader of somebody else's: forgets its targets, and takes series from block_copier_present only. */
void block_copier_borrow(struct block_copier *c, struct block_reader *reader);
/* Makes `s`, which the borrowed reader returned last, the present series. */
void block_copier_present(struct block_copier *c, const struct block_series *s);

#endif
