/* SPDX-License-Identifier: Apache-2.0 */
/* symbols: interning of strings and of label pairs, as arrays of small numbers:

     store:    | len "job" | len "api" | len "instance" | ...      one growing run of bytes, varint lengths
     strings:  at[]   id -> place in store        ref[], ref_generation[]   id -> symbol of the present block
     pairs:    name[], value[]   id -> two string ids        wire[]   id -> both references, ready to copy
     slots:    open addressing, id + 1 or 0; keys are compared through the arrays

   Free ids are chained through at[] and value[]. A collection sweeps pairs, then strings, then moves the live
   strings to a new store; it is due when as much was added as was alive after the last one. */
#include "symbols.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/wire.h"

#define NONE UINT32_MAX
#define SLOTS_MIN 64
#define DUE_MIN 2048

struct slots {
    uint32_t *v;
    size_t cap; /* a power of two */
    size_t n;
};

struct symbols {
    uint8_t *store;
    size_t store_n, store_cap;

    uint32_t *at;
    struct symbol_ref {
        uint32_t generation, ref;
    } *ref;
    size_t strings_n, strings_cap, ref_cap;
    uint32_t free_string;
    struct slots string_slots;

    uint32_t *name, *value;
    struct symbols_wire *wire;
    size_t pairs_n, name_cap, value_cap, wire_cap;
    uint32_t free_pair;
    struct slots pair_slots;

    uint64_t added, lived; /* since the last collection; after it (strings and pairs) */
    uint64_t *string_marks, *pair_marks;
};

struct symbols *symbols_new(void)
{
    struct symbols *sy = xcalloc(1, sizeof *sy);
    sy->free_string = sy->free_pair = NONE;
    return sy;
}

void symbols_free(struct symbols *sy)
{
    if (!sy)
        return;
    free(sy->store);
    free(sy->at);
    free(sy->ref);
    free(sy->string_slots.v);
    free(sy->name);
    free(sy->value);
    free(sy->wire);
    free(sy->pair_slots.v);
    free(sy);
}

struct str symbols_text(const struct symbols *sy, uint32_t id)
{
    struct wire_reader r = {sy->store + sy->at[id], sy->store + sy->store_n, false};
    size_t n = (size_t)wire_get_varint(&r);
    return str_make((const char *)r.p, n);
}

static uint64_t pair_hash(uint32_t name, uint32_t value)
{
    uint64_t h = ((uint64_t)name << 32 | value) * 0x9e3779b97f4a7c15ull;
    return h ^ h >> 32;
}

/* ---- tables of ids ---- */

static void slots_put(struct slots *t, uint64_t hash, uint32_t id)
{
    size_t i = (size_t)hash & (t->cap - 1);
    while (t->v[i])
        i = (i + 1) & (t->cap - 1);
    t->v[i] = id + 1;
    t->n++;
}

static void slots_reset(struct slots *t, size_t want)
{
    size_t cap = SLOTS_MIN;
    while (cap / 4 * 3 < want + 1)
        cap *= 2;
    free(t->v);
    t->v = xcalloc(cap, sizeof *t->v);
    t->cap = cap;
    t->n = 0;
}

static bool is_free_string(const struct symbols *sy, size_t id)
{
    return sy->ref[id].generation == NONE;
}

static bool is_free_pair(const struct symbols *sy, size_t id)
{
    return sy->name[id] == NONE;
}

static void rebuild_strings(struct symbols *sy, size_t want)
{
    slots_reset(&sy->string_slots, want);
    for (size_t id = 0; id < sy->strings_n; id++) {
        if (is_free_string(sy, id))
            continue;
        struct str s = symbols_text(sy, (uint32_t)id);
        slots_put(&sy->string_slots, hash_bytes(s.p, s.n), (uint32_t)id);
    }
}

static void rebuild_pairs(struct symbols *sy, size_t want)
{
    slots_reset(&sy->pair_slots, want);
    for (size_t id = 0; id < sy->pairs_n; id++)
        if (!is_free_pair(sy, id))
            slots_put(&sy->pair_slots, pair_hash(sy->name[id], sy->value[id]), (uint32_t)id);
}

/* ---- strings ---- */

static uint32_t new_string_id(struct symbols *sy)
{
    uint32_t id = sy->free_string;
    if (id != NONE) {
        sy->free_string = sy->at[id];
        return id;
    }
    size_t need = sy->strings_n + 1;
    sy->at = xgrow(sy->at, &sy->strings_cap, need, sizeof *sy->at);
    sy->ref = xgrow(sy->ref, &sy->ref_cap, need, sizeof *sy->ref);
    return (uint32_t)sy->strings_n++;
}

static void store_string(struct symbols *sy, uint32_t id, struct str s)
{
    if (sy->store_n + s.n + WIRE_VARINT_MAX > UINT32_MAX) {
        fprintf(stderr, "FATAL: more than 4 GiB of label text in one worker\n");
        abort();
    }
    size_t old = sy->store && s.p >= (const char *)sy->store && s.p < (const char *)sy->store + sy->store_n
                     ? (size_t)(s.p - (const char *)sy->store)
                     : SIZE_MAX;
    sy->store = xgrow(sy->store, &sy->store_cap, sy->store_n + WIRE_VARINT_MAX + s.n, 1);
    if (old != SIZE_MAX)
        s.p = (const char *)sy->store + old;
    uint8_t *p = wire_put_varint(sy->store + sy->store_n, s.n);
    if (s.n)
        memcpy(p, s.p, s.n);
    sy->at[id] = (uint32_t)sy->store_n;
    sy->store_n = (size_t)(p - sy->store) + s.n;
}

uint32_t symbols_string(struct symbols *sy, struct str s)
{
    struct slots *t = &sy->string_slots;
    uint64_t hash = hash_bytes(s.p ? s.p : "", s.n);
    if (t->n + 1 > t->cap / 4 * 3)
        rebuild_strings(sy, t->n * 2);
    for (size_t i = (size_t)hash & (t->cap - 1); t->v[i]; i = (i + 1) & (t->cap - 1))
        if (str_eq(symbols_text(sy, t->v[i] - 1), s))
            return t->v[i] - 1;
    uint32_t id = new_string_id(sy);
    store_string(sy, id, s);
    sy->ref[id] = (struct symbol_ref){0, 0};
    slots_put(t, hash, id);
    sy->added++;
    return id;
}

/* ---- pairs ---- */

static uint32_t new_pair_id(struct symbols *sy)
{
    uint32_t id = sy->free_pair;
    if (id != NONE) {
        sy->free_pair = sy->value[id];
        return id;
    }
    size_t need = sy->pairs_n + 1;
    sy->name = xgrow(sy->name, &sy->name_cap, need, sizeof *sy->name);
    sy->value = xgrow(sy->value, &sy->value_cap, need, sizeof *sy->value);
    sy->wire = xgrow(sy->wire, &sy->wire_cap, need, sizeof *sy->wire);
    return (uint32_t)sy->pairs_n++;
}

uint32_t symbols_pair(struct symbols *sy, struct str name, struct str value)
{
    struct slots *t = &sy->pair_slots;
    uint32_t n = symbols_string(sy, name), v = symbols_string(sy, value);
    uint64_t hash = pair_hash(n, v);
    if (t->n + 1 > t->cap / 4 * 3)
        rebuild_pairs(sy, t->n * 2);
    for (size_t i = (size_t)hash & (t->cap - 1); t->v[i]; i = (i + 1) & (t->cap - 1)) {
        uint32_t id = t->v[i] - 1;
        if (sy->name[id] == n && sy->value[id] == v)
            return id;
    }
    uint32_t id = new_pair_id(sy);
    sy->name[id] = n;
    sy->value[id] = v;
    sy->wire[id].generation = 0;
    slots_put(t, hash, id);
    sy->added++;
    return id;
}

void symbols_pair_text(const struct symbols *sy, uint32_t pair, struct str *name, struct str *value)
{
    *name = symbols_text(sy, sy->name[pair]);
    *value = symbols_text(sy, sy->value[pair]);
}

/* ---- references of the present block ---- */

uint32_t symbols_ref(struct symbols *sy, struct block_builder *b, uint32_t id)
{
    uint32_t generation = block_builder_generation(b);
    struct symbol_ref *ref = &sy->ref[id];
    if (ref->generation != generation) {
        ref->generation = generation;
        ref->ref = block_builder_symbol(b, symbols_text(sy, id));
    }
    return ref->ref;
}

const struct symbols_wire *symbols_wires(const struct symbols *sy)
{
    return sy->wire;
}

void symbols_renew(struct symbols *sy, struct block_builder *b, uint32_t pair)
{
    struct symbols_wire *wire = &sy->wire[pair];
    uint8_t *p = wire_put_varint(wire->bytes, symbols_ref(sy, b, sy->name[pair]));
    p = wire_put_varint(p, symbols_ref(sy, b, sy->value[pair]));
    wire->n = (uint8_t)(p - wire->bytes);
    wire->generation = block_builder_generation(b);
}

/* ---- collection ---- */

bool symbols_due(const struct symbols *sy)
{
    return sy->added > sy->lived + DUE_MIN;
}

void symbols_collect_begin(struct symbols *sy)
{
    sy->string_marks = xcalloc(sy->strings_n / 64 + 1, 8);
    sy->pair_marks = xcalloc(sy->pairs_n / 64 + 1, 8);
}

void symbols_mark_string(struct symbols *sy, uint32_t id)
{
    sy->string_marks[id / 64] |= 1ull << (id % 64);
}

void symbols_mark_pair(struct symbols *sy, uint32_t pair)
{
    sy->pair_marks[pair / 64] |= 1ull << (pair % 64);
}

static bool marked(const uint64_t *marks, size_t id)
{
    return marks[id / 64] >> (id % 64) & 1;
}

static size_t sweep_pairs(struct symbols *sy)
{
    size_t live = 0;
    for (size_t id = 0; id < sy->pairs_n; id++) {
        if (is_free_pair(sy, id))
            continue;
        if (marked(sy->pair_marks, id)) {
            symbols_mark_string(sy, sy->name[id]);
            symbols_mark_string(sy, sy->value[id]);
            live++;
        } else {
            sy->name[id] = NONE;
            sy->value[id] = sy->free_pair;
            sy->free_pair = (uint32_t)id;
        }
    }
    return live;
}

/* Frees strings without a mark and moves the others to a new store. */
static size_t sweep_strings(struct symbols *sy)
{
    size_t live = 0;
    uint8_t *old = sy->store;
    size_t old_n = sy->store_n, keep = 0;
    for (size_t id = 0; id < sy->strings_n; id++)
        if (!is_free_string(sy, id) && marked(sy->string_marks, id))
            keep += symbols_text(sy, (uint32_t)id).n + 2;
    sy->store = NULL;
    sy->store_n = sy->store_cap = 0;
    sy->store = xgrow(sy->store, &sy->store_cap, keep + keep / 8, 1);
    for (size_t id = 0; id < sy->strings_n; id++) {
        if (is_free_string(sy, id))
            continue;
        if (marked(sy->string_marks, id)) {
            struct wire_reader r = {old + sy->at[id], old + old_n, false};
            struct str s = wire_get_bytes(&r);
            store_string(sy, (uint32_t)id, s);
            live++;
        } else {
            sy->ref[id].generation = NONE;
            sy->at[id] = sy->free_string;
            sy->free_string = (uint32_t)id;
        }
    }
    free(old);
    return live;
}

void symbols_collect_end(struct symbols *sy)
{
    size_t pairs = sweep_pairs(sy);
    size_t strings = sweep_strings(sy);
    rebuild_pairs(sy, pairs + pairs / 4);
    rebuild_strings(sy, strings + strings / 4);
    free(sy->string_marks);
    free(sy->pair_marks);
    sy->string_marks = sy->pair_marks = NULL;
    sy->lived = pairs + strings;
    sy->added = 0;
}

uint64_t symbols_count(const struct symbols *sy)
{
    return sy->string_slots.n + sy->pair_slots.n;
}

uint64_t symbols_bytes(const struct symbols *sy)
{
    return sizeof *sy + sy->store_cap + sy->strings_cap * sizeof *sy->at + sy->ref_cap * sizeof *sy->ref +
           sy->name_cap * sizeof *sy->name + sy->value_cap * sizeof *sy->value +
           sy->wire_cap * sizeof *sy->wire +
           (sy->string_slots.cap + sy->pair_slots.cap) * sizeof *sy->string_slots.v;
}
