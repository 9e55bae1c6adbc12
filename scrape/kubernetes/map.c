/* SPDX-License-Identifier: Apache-2.0 */
/* map: open addressing; what is deleted is filled from behind, so that no mark stays. */
#include "map.h"

#include <stdlib.h>

#include "base/alloc.h"

#define SLOTS_MIN 16

static size_t home(const struct kube_map *map, uint64_t key)
{
    return (size_t)key & (map->slots_n - 1);
}

/* The key's slot, or the free one where it would go. */
static size_t find(const struct kube_map *map, uint64_t key)
{
    size_t i = home(map, key);
    while (map->slots[i].value && map->slots[i].key != key)
        i = (i + 1) & (map->slots_n - 1);
    return i;
}

void *kube_map_get(const struct kube_map *map, uint64_t key)
{
    return map->slots_n > 0 ? map->slots[find(map, key)].value : NULL;
}

static void grow(struct kube_map *map)
{
    struct kube_map old = *map;
    map->slots_n = old.slots_n > 0 ? old.slots_n * 2 : SLOTS_MIN;
    map->slots = xcalloc(map->slots_n, sizeof *map->slots);
    for (size_t i = 0; i < old.slots_n; i++) {
        if (old.slots[i].value)
            map->slots[find(map, old.slots[i].key)] = old.slots[i];
    }
    free(old.slots);
}

void *kube_map_put(struct kube_map *map, uint64_t key, void *value)
{
    if ((map->n + 1) * 4 > map->slots_n * 3)
        grow(map);
    struct kube_slot *slot = &map->slots[find(map, key)];
    void *old = slot->value;
    map->n += old == NULL;
    *slot = (struct kube_slot){key, value};
    return old;
}

void *kube_map_del(struct kube_map *map, uint64_t key)
{
    if (map->slots_n == 0)
        return NULL;
    size_t mask = map->slots_n - 1, hole = find(map, key);
    void *old = map->slots[hole].value;
    if (!old)
        return NULL;
    map->n--;
    for (size_t i = (hole + 1) & mask; map->slots[i].value; i = (i + 1) & mask) {
        /* It may move back unless its home lies behind the hole. */
        if (((i - home(map, map->slots[i].key)) & mask) >= ((i - hole) & mask)) {
            map->slots[hole] = map->slots[i];
            hole = i;
        }
    }
    map->slots[hole] = (struct kube_slot){0};
    return old;
}

void kube_map_free(struct kube_map *map)
{
    free(map->slots);
    *map = (struct kube_map){0};
}
