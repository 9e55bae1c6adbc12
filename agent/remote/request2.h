/* SPDX-License-Identifier: Apache-2.0 */
/* request2: one remote write 2.0 request made of series of a block. A whole block keeps its symbol table: external
   labels are added to it, and of each series only the references of its labels are written anew. A part of a block, or
   series with labels that rules have made, gets a table of its own with just what it uses. */
#ifndef OBSAGENT_REMOTE_REQUEST2_H
#define OBSAGENT_REMOTE_REQUEST2_H

#include "block_copy.h"
#include "encode.h"

/* Zero-initialise. Not thread-safe; keeps its memory from request to request. */
struct request2 {
    bool whole;
    size_t symbols_n;   /* of the block */
    uint32_t *external; /* what external labels' names and values are called in the table of a whole block */
    size_t external_cap;
    struct block_copier *copier;
    struct block_builder *part;
};

void request2_free(struct request2 *r);
/* Begins with the symbols of the block that the reader has open, and `n` further ones (external labels), into out. */
void request2_begin_whole(struct request2 *r, struct block_reader *reader, const struct encode_symbol *more, size_t n,
                          struct buf *out);
/* Begins a request with a table of its own. out stays empty until request2_end. */
void request2_begin_part(struct request2 *r, struct block_reader *reader);

/* Appends a series with these labels: pairs of symbols as encode_pairs takes them, for a whole block. Exemplars are
   left out unless wanted. ENCODE_BAD on malformed bytes or when out is full. */
enum encode_outcome request2_put_pairs(struct request2 *r, const uint32_t *pairs, size_t n,
                                       const struct block_series *series, bool exemplars, struct buf *out);
/* The same for a part: ENCODE_LIMIT when it would pass max_bytes (0 = no limit) and is not empty. */
enum encode_outcome request2_put_labels(struct request2 *r, const struct label *labels, size_t n,
                                        const struct block_series *series, bool exemplars, size_t max_bytes);
/* All of the request is in out. False when out is full. */
bool request2_end(struct request2 *r, struct buf *out) MUSTCHECK;

#endif
