/* SPDX-License-Identifier: Apache-2.0 */
/* batch: blocks of one lane that are sent together. Small ones become one request. A long backlog is cut into strands
   by series, which are under way at the same time: each keeps the order of its series, and a receiver far away does not
   make every request wait for the one before. */
#ifndef OBSAGENT_REMOTE_BATCH_H
#define OBSAGENT_REMOTE_BATCH_H

#include "block_copy.h"
#include "membership.h"
#include "queue.h"

struct batch {
    struct block **blocks; /* taken from the queue, in order */
    size_t n;
    enum queue_stream stream;
    bool countable; /* each series is a sample: the queue may be told how far it has come */
    unsigned open;  /* strands that are not through */
    struct queue_progress progress;
    struct block *strands[QUEUE_STRANDS_MAX]; /* NULL: nothing in it, or all of it is through */
    struct route route;    /* of all its blocks; set by the owner, as what keeps it alive */
    struct period *period;
    uint64_t unreadable; /* samples of blocks that could not be cut, per block in `lost` */
    uint64_t *lost;      /* NULL = none; else one number for each block */
};

/* Takes over the references of `blocks`. progress as the queue gave it: when its strands are 0, `strands` (1 .. 8) are
   made. What cannot be read of a block is in lost, and the rest goes on. */
struct batch *batch_new(struct block_copier *copier, struct block *const *blocks, size_t n, enum queue_stream stream,
                        unsigned strands, const struct queue_progress *progress);
/* Neither acknowledges nor releases the blocks. */
void batch_free(struct batch *b);

#endif
