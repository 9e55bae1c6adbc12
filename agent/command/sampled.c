/* SPDX-License-Identifier: Apache-2.0 */
/* sampled: a map that stays below a size. */
#include "sampled.h"

/* By the upper bits: the lower ones are the place in the map. */
static bool is_of(const struct sampled *s, uint64_t key)
{
    return s->level == 0 || key >> (64 - s->level) == 0;
}

static void thin_out(struct sampled *s)
{
    struct map old = s->map;
    s->map = (struct map){0};
    s->level++;
    for (size_t i = 0; i < old.size; i++) {
        if (old.keys[i] && is_of(s, old.keys[i]))
            *map_at(&s->map, old.keys[i]) = old.values[i];
    }
    map_free(&old);
}

uint64_t *sampled_at(struct sampled *s, uint64_t key)
{
    uint64_t *found = is_of(s, key) ? (uint64_t *)map_find(&s->map, key) : NULL;
    if (found)
        return found;
    while (s->map.n >= s->max && s->level < 63)
        thin_out(s);
    return is_of(s, key) ? map_at(&s->map, key) : NULL;
}

const uint64_t *sampled_find(const struct sampled *s, uint64_t key, bool *of_sample)
{
    *of_sample = is_of(s, key);
    return *of_sample ? map_find(&s->map, key) : NULL;
}

void sampled_free(struct sampled *s)
{
    map_free(&s->map);
    s->level = 0;
}
