/* SPDX-License-Identifier: Apache-2.0 */
/* routing: rendezvous hashing of series over the endpoints of a group. A sum over the labels is what a series is: each
   label costs two look-ups and a multiplication, and texts are hashed once a block. */
#include "routing.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"

/* Values of a table that are no hashes: a name or value that nobody asked for yet, and one that does not count. */
#define UNKNOWN 0
#define LEFT_OUT 1

struct routing_symbol {
    uint64_t name, value;
};

static uint64_t text_hash(struct str s)
{
    uint64_t h = hash_bytes(s.p ? s.p : "", s.n);
    return h > LEFT_OUT ? h : LEFT_OUT + 1;
}

uint64_t routing_name(struct str name)
{
    return text_hash(name);
}

/* The finish of splitmix64. */
static inline uint64_t mix(uint64_t h)
{
    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u;
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
    return h ^ (h >> 31);
}

static inline uint64_t pair_hash(uint64_t name, uint64_t value)
{
    uint64_t h = (name ^ (value << 29 | value >> 35)) * 0x9e3779b97f4a7c15u;
    return h ^ (h >> 32);
}

static bool counts(const struct routing_group *g, uint64_t name)
{
    size_t i = 0;
    while (i < g->labels_n && g->labels[i] != name)
        i++;
    return g->use == ROUTING_ALL || (i < g->labels_n) == (g->use == ROUTING_ONLY);
}

static uint64_t name_hash(const struct routing_group *g, struct str name)
{
    uint64_t h = text_hash(name);
    return counts(g, h) ? h : LEFT_OUT;
}

/* A label with an empty value is none. */
static uint64_t value_hash(struct str value)
{
    return value.n ? text_hash(value) : LEFT_OUT;
}

uint64_t routing_hash(const struct routing_group *g, const struct label *labels, size_t n)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t name = name_hash(g, labels[i].name), value = value_hash(labels[i].value);
        if (name != LEFT_OUT && value != LEFT_OUT)
            sum += pair_hash(name, value);
    }
    return sum;
}

bool routing_has(const struct routing_group *g, uint64_t member, uint64_t series)
{
    uint64_t own = mix(series ^ member);
    unsigned better = 0;
    if (g->members_n <= g->replicas)
        return true;
    for (size_t i = 0; i < g->members_n; i++) {
        uint64_t score = mix(series ^ g->members[i]);
        better += score > own; /* equal is the same name: mix gives no value twice */
    }
    return better < g->replicas;
}

/* ---- for the series of a block ---- */

void routing_table_free(struct routing_table *t)
{
    free(t->v);
    *t = (struct routing_table){0};
}

void routing_table_reset(struct routing_table *t)
{
    t->n = 0;
}

/* Room for all symbols of the block, nothing known. */
static void prepare(struct routing_table *t, const struct block_reader *reader)
{
    t->n = block_reader_symbols(reader);
    t->v = xgrow(t->v, &t->cap, t->n, sizeof *t->v);
    memset(t->v, 0, t->n * sizeof *t->v);
}

static inline uint64_t name_of(struct routing_table *t, const struct routing_group *g,
                               const struct block_reader *reader, uint32_t ref)
{
    uint64_t *h = &t->v[ref].name;
    if (__builtin_expect(*h == UNKNOWN, 0))
        *h = name_hash(g, block_reader_symbol(reader, ref));
    return *h;
}

static inline uint64_t value_of(struct routing_table *t, const struct block_reader *reader, uint32_t ref)
{
    uint64_t *h = &t->v[ref].value;
    if (__builtin_expect(*h == UNKNOWN, 0))
        *h = value_hash(block_reader_symbol(reader, ref));
    return *h;
}

bool routing_elsewhere(struct routing_table *t, const struct route *route, const struct block_reader *reader,
                       const struct block_series *series)
{
    uint64_t sum = 0;
    const struct routing_group *g = route->group;
    if (!g || g->members_n <= g->replicas)
        return false;
    if (t->n == 0)
        prepare(t, reader);
    for (size_t i = 0; i < series->refs_n; i += 2) {
        uint64_t name = name_of(t, g, reader, series->refs[i]), value = value_of(t, reader, series->refs[i + 1]);
        if (name != LEFT_OUT && value != LEFT_OUT)
            sum += pair_hash(name, value);
    }
    return !routing_has(g, route->member, sum);
}
