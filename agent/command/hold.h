/* SPDX-License-Identifier: Apache-2.0 */
/* hold: keeps blocks back while the clock cannot be right (a device without one starts in 1970), and hands them on with
   timestamps moved by what the clock turned out to be wrong by. Between the scraper and the queue. */
#ifndef OBSAGENT_COMMAND_HOLD_H
#define OBSAGENT_COMMAND_HOLD_H

#include "base/clock.h"
#include "block.h"

#include <stddef.h>

struct hold;

/* Blocks go on through `pass`, which takes over the reference. At most max_bytes are held: then the oldest goes on
   as it is, so that it is in the books. */
struct hold *hold_new(size_t max_bytes, void (*pass)(void *ctx, struct block *b), void *ctx);
/* Lets go of what is held, as it is. */
void hold_free(struct hold *h);
/* Takes over the reference. From any thread; blocks of a lane keep their order. */
void hold_put(struct hold *h, struct block *b, const struct clock_state *clock);
/* To be called every now and then: hands on what is held once the clock is plausible. */
void hold_look(struct hold *h, const struct clock_state *clock);
/* Hands on all that is held as it is: at the end there is nothing to learn any more. Returns the blocks. */
size_t hold_flush(struct hold *h);

struct hold_stats {
    size_t blocks, bytes;
    uint64_t samples;
    uint64_t moved; /* samples whose timestamps were corrected so far */
};
void hold_stats(struct hold *h, struct hold_stats *out);

/* A copy of b with the timestamps in [from_ms, to_ms] moved by shift_ms, everything else bit by bit as it was.
   NULL with err when its bytes cannot be read. *moved counts the samples that were. */
struct block *hold_shift(const struct block *b, int64_t from_ms, int64_t to_ms, int64_t shift_ms, uint64_t *moved,
                         struct err *err) MUSTCHECK;

#endif
