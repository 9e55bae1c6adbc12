/* SPDX-License-Identifier: Apache-2.0 */
/* symbols: the label pairs of one worker, and single strings (names, help texts), each stored once and known by a
   small number. Ids are recycled by a mark-and-sweep collection; between collections they are stable. Not
   thread-safe. */
#ifndef OBSAGENT_SCRAPE_SYMBOLS_H
#define OBSAGENT_SCRAPE_SYMBOLS_H

#include "base/str.h"
#include "block.h"

#include <endian.h>
#include <stdint.h>

/* The encoded references of a pair in a block: what a sample copies. In one word, because there are as many as pairs:
   13 bits say of which block, 3 how many bytes, then the bytes. They are at most 6, as a block of 1 MiB has fewer
   than 2^21 symbols. */
typedef uint64_t symbols_wire;
#define SYMBOLS_PAIR_WIRE_MAX 8 /* room that symbols_put_wire needs */

static inline bool symbols_wire_is_of(symbols_wire wire, uint32_t stamp)
{
    return (wire & 0x1fff) == stamp;
}

/* Writes the references at p and returns the place behind them; touches SYMBOLS_PAIR_WIRE_MAX bytes. */
static inline uint8_t *symbols_put_wire(uint8_t *p, symbols_wire wire)
{
    uint64_t bytes = htole64(wire >> 16);
    memcpy(p, &bytes, 8);
    return p + (wire >> 13 & 7);
}

struct symbols;

struct symbols *symbols_new(void);
void symbols_free(struct symbols *sy);

/* The id of a string; added when new. s may be a view into the symbols themselves. */
uint32_t symbols_string(struct symbols *sy, struct str s);
/* Valid until the next string is added or collected. */
struct str symbols_text(const struct symbols *sy, uint32_t id);
/* The id of a label pair; added when new. */
uint32_t symbols_pair(struct symbols *sy, struct str name, struct str value);
/* Views as of symbols_text. Either text of symbols_pair may be a view into the symbols themselves. */
void symbols_pair_text(const struct symbols *sy, uint32_t pair, struct str *name, struct str *value);

/* The reference of a string in the present block of b; adds it to the block when it is not there. */
uint32_t symbols_ref(struct symbols *sy, struct block_builder *b, uint32_t id);
/* The stamp of the present block of b in wires: to be asked for whenever the block's generation has changed. */
uint32_t symbols_stamp(struct symbols *sy, const struct block_builder *b);
/* All pairs' encoded references, by pair id; those with another stamp must be renewed. Valid until a pair
   is added. */
const symbols_wire *symbols_wires(const struct symbols *sy);
/* Makes the encoded references of a pair for the present block of b. */
void symbols_renew(struct symbols *sy, struct block_builder *b, uint32_t pair);

/* True when so much was added since the last collection that garbage may outweigh what lives. Then: begin,
   mark every id that is held anywhere, end. */
bool symbols_due(const struct symbols *sy);
void symbols_collect_begin(struct symbols *sy);
void symbols_mark_string(struct symbols *sy, uint32_t id);
void symbols_mark_pair(struct symbols *sy, uint32_t pair);
void symbols_collect_end(struct symbols *sy);

uint64_t symbols_count(const struct symbols *sy); /* strings and pairs */
uint64_t symbols_bytes(const struct symbols *sy); /* memory, everything counted */

#endif
