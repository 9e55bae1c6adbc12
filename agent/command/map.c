/* SPDX-License-Identifier: Apache-2.0 */
/* map: 64-bit hashes to numbers. */
#include "map.h"

#include "base/alloc.h"

#include <stdlib.h>

#define FIRST_SIZE 64

static size_t slot_of(const struct map *m, uint64_t key)
{
    size_t i = key & (m->size - 1);
    while (m->keys[i] && m->keys[i] != key)
        i = (i + 1) & (m->size - 1);
    return i;
}

static void grow(struct map *m)
{
    struct map old = *m;
    m->size = old.size ? old.size * 2 : FIRST_SIZE;
    m->keys = xcalloc(m->size, sizeof *m->keys);
    m->values = xcalloc(m->size, sizeof *m->values);
    for (size_t i = 0; i < old.size; i++) {
        if (old.keys[i]) {
            size_t slot = slot_of(m, old.keys[i]);
            m->keys[slot] = old.keys[i];
            m->values[slot] = old.values[i];
        }
    }
    free(old.keys);
    free(old.values);
}

uint64_t *map_at(struct map *m, uint64_t key)
{
    key = key ? key : 1;
    if (m->n * 4 >= m->size * 3)
        grow(m);
    size_t slot = slot_of(m, key);
    if (!m->keys[slot]) {
        m->keys[slot] = key;
        m->n++;
    }
    return &m->values[slot];
}

const uint64_t *map_find(const struct map *m, uint64_t key)
{
    key = key ? key : 1;
    if (m->size == 0)
        return NULL;
    size_t slot = slot_of(m, key);
    return m->keys[slot] ? &m->values[slot] : NULL;
}

void map_free(struct map *m)
{
    free(m->keys);
    free(m->values);
    *m = (struct map){0};
}
