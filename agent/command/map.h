/* SPDX-License-Identifier: Apache-2.0 */
/* map: 64-bit hashes to numbers, for what the scrape tester remembers of a body. Open addressing, never shrinks. Two
   different texts with one hash are a chance of one in 10^13 among a million: good enough to report on. */
#ifndef OBSAGENT_COMMAND_MAP_H
#define OBSAGENT_COMMAND_MAP_H

#include <stddef.h>
#include <stdint.h>

/* Zero-initialised is empty. 16 bytes a key, at most three quarters full. */
struct map {
    uint64_t *keys; /* 0 = free */
    uint64_t *values;
    size_t n, size;
};

/* The place of key's value; 0 stands in a new one. Valid until the next call. */
uint64_t *map_at(struct map *m, uint64_t key);
/* The same without making one: NULL when there is none. */
const uint64_t *map_find(const struct map *m, uint64_t key);
void map_free(struct map *m);

#endif
