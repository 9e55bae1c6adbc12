/* SPDX-License-Identifier: Apache-2.0 */
/* map: from 64-bit hashes to pointers. Hashes stand for what was hashed: two of a cluster's names never meet. */
#ifndef OBSAGENT_SCRAPE_KUBERNETES_MAP_H
#define OBSAGENT_SCRAPE_KUBERNETES_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero-initialised it is empty. Slots with a NULL value are free; to go through all, look at each slot while nothing is
   put or deleted. */
struct kube_map {
    struct kube_slot {
        uint64_t key;
        void *value;
    } *slots;
    size_t n, slots_n; /* slots_n is a power of two, or 0 */
};

/* NULL when there is none. */
void *kube_map_get(const struct kube_map *map, uint64_t key);
/* The value must not be NULL; returns the one it replaces, or NULL. */
void *kube_map_put(struct kube_map *map, uint64_t key, void *value);
/* Returns what was there, or NULL. */
void *kube_map_del(struct kube_map *map, uint64_t key);
/* Forgets all; values are the caller's. */
void kube_map_free(struct kube_map *map);

#endif
