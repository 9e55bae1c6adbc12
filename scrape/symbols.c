/* SPDX-License-Identifier: Apache-2.0 */
/* symbols: interning of strings and of label pairs, as arrays of small numbers:

     store:    | len "job" | len "instance" | ... | name id, len "api" | ...    one growing run of bytes, varints
     strings:  at[]        id -> place in store      ref[]    id -> symbol of the present block
     pairs:    pair_at[]   id -> place in store      wire[]   id -> both references, ready to copy
     slots:    open addressing, id + 1 or 0; keys are compared through the store

   Most values are many and stand under one name, so a pair holds its value's text itself; where a text does come
   under several names, the block that is being built sees to it that it is written once. Free ids are chained
   through at[] and pair_at[]. A collection sweeps pairs, then strings, then moves what lives to a new store; it is
   due when as much was added as was alive after the last one. */
#include "symbols.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/wire.h"

#define NONE UINT32_MAX
#define SLOTS_MIN 64
#define DUE_MIN 2048
#define STAMPS 8190 /* 1 ... 8190; 0 = never made */
#define FREE_WIRE UINT64_MAX

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
        uint32_t generation, ref; /* NONE = a free id */
    } *ref;
    size_t strings_n, strings_cap, ref_cap;
    uint32_t free_string;
    struct slots string_slots;

    uint32_t *pair_at;
    symbols_wire *wire; /* FREE_WIRE = a free id */
    uint32_t epoch;     /* of the stamps in wire */
    size_t pairs_n, pair_cap, wire_cap;
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
    free(sy->pair_at);
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

static uint64_t pair_hash(uint32_t name, struct str value)
{
    return (hash_bytes(value.p ? value.p : "", value.n) ^ name) * 0x9e3779b97f4a7c15ull >> 16;
}

static struct str pair_value(const struct symbols *sy, uint32_t pair, uint32_t *name)
{
    struct wire_reader r = {sy->store + sy->pair_at[pair], sy->store + sy->store_n, false};
    *name = (uint32_t)wire_get_varint(&r);
    size_t n = (size_t)wire_get_varint(&r);
    return str_make((const char *)r.p, n);
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
    return sy->wire[id] == FREE_WIRE;
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
    for (size_t id = 0; id < sy->pairs_n; id++) {
        uint32_t name;
        if (is_free_pair(sy, id))
            continue;
        struct str value = pair_value(sy, (uint32_t)id, &name);
        slots_put(&sy->pair_slots, pair_hash(name, value), (uint32_t)id);
    }
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

/* Appends one record: the numbers, then s with its length. Returns its place. */
static uint32_t store_record(struct symbols *sy, const uint32_t *name, struct str s)
{
    if (sy->store_n + s.n + 2 * WIRE_VARINT_MAX > UINT32_MAX) {
        fprintf(stderr, "FATAL: more than 4 GiB of label text in one worker\n");
        abort();
    }
    size_t old = sy->store && s.p >= (const char *)sy->store && s.p < (const char *)sy->store + sy->store_n
                     ? (size_t)(s.p - (const char *)sy->store)
                     : SIZE_MAX;
    sy->store = xgrow(sy->store, &sy->store_cap, sy->store_n + 2 * WIRE_VARINT_MAX + s.n, 1);
    if (old != SIZE_MAX)
        s.p = (const char *)sy->store + old;
    uint32_t at = (uint32_t)sy->store_n;
    uint8_t *p = sy->store + at;
    if (name)
        p = wire_put_varint(p, *name);
    p = wire_put_varint(p, s.n);
    if (s.n)
        memcpy(p, s.p, s.n);
    sy->store_n = (size_t)(p - sy->store) + s.n;
    return at;
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
    sy->at[id] = store_record(sy, NULL, s);
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
        sy->free_pair = sy->pair_at[id];
        return id;
    }
    size_t need = sy->pairs_n + 1;
    sy->pair_at = xgrow(sy->pair_at, &sy->pair_cap, need, sizeof *sy->pair_at);
    sy->wire = xgrow(sy->wire, &sy->wire_cap, need, sizeof *sy->wire);
    return (uint32_t)sy->pairs_n++;
}

static uint32_t add_pair(struct symbols *sy, uint32_t name, struct str value)
{
    struct slots *t = &sy->pair_slots;
    uint64_t hash = pair_hash(name, value);
    if (t->n + 1 > t->cap / 4 * 3)
        rebuild_pairs(sy, t->n * 2);
    for (size_t i = (size_t)hash & (t->cap - 1); t->v[i]; i = (i + 1) & (t->cap - 1)) {
        uint32_t id = t->v[i] - 1, its_name;
        struct str its_value = pair_value(sy, id, &its_name);
        if (its_name == name && str_eq(its_value, value))
            return id;
    }
    uint32_t id = new_pair_id(sy);
    sy->pair_at[id] = store_record(sy, &name, value);
    sy->wire[id] = 0;
    slots_put(t, hash, id);
    sy->added++;
    return id;
}

uint32_t symbols_pair(struct symbols *sy, struct str name, struct str value)
{
    /* A new name may move the store, and value with it. */
    const char *store = (const char *)sy->store;
    bool ours = store && value.p >= store && value.p < store + sy->store_n;
    size_t at = ours ? (size_t)(value.p - store) : 0;
    uint32_t id = symbols_string(sy, name);
    if (ours)
        value.p = (const char *)sy->store + at;
    return add_pair(sy, id, value);
}

void symbols_pair_text(const struct symbols *sy, uint32_t pair, struct str *name, struct str *value)
{
    uint32_t id;
    *value = pair_value(sy, pair, &id);
    *name = symbols_text(sy, id);
}

/* ---- references of the present block ---- */

uint32_t symbols_ref(struct symbols *sy, struct block_builder *b, uint32_t id)
{
    uint32_t generation = block_builder_generation(b);
    struct symbol_ref *ref = &sy->ref[id];
    if (ref->generation != generation) {
        ref->generation = generation;
        ref->ref = block_builder_intern(b, symbols_text(sy, id));
    }
    return ref->ref;
}

uint32_t symbols_stamp(struct symbols *sy, const struct block_builder *b)
{
    uint32_t generation = block_builder_generation(b), epoch = generation / STAMPS;
    if (epoch != sy->epoch) { /* stamps begin anew: what is left of old ones must not pass for new */
        for (size_t id = 0; id < sy->pairs_n; id++)
            sy->wire[id] = is_free_pair(sy, id) ? FREE_WIRE : 0;
        sy->epoch = epoch;
    }
    return generation % STAMPS + 1;
}

const symbols_wire *symbols_wires(const struct symbols *sy)
{
    return sy->wire;
}

void symbols_renew(struct symbols *sy, struct block_builder *b, uint32_t pair)
{
    uint32_t name;
    uint8_t bytes[2 * WIRE_VARINT_MAX] = {0};
    struct str value = pair_value(sy, pair, &name);
    uint8_t *p = wire_put_varint(bytes, symbols_ref(sy, b, name));
    p = wire_put_varint(p, block_builder_intern(b, value));
    uint64_t word, n = (uint64_t)(p - bytes);
    if (n > 6) {
        fprintf(stderr, "FATAL: too many symbols in one block\n");
        abort();
    }
    memcpy(&word, bytes, 8);
    sy->wire[pair] = le64toh(word) << 16 | n << 13 | symbols_stamp(sy, b);
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
        uint32_t name;
        if (is_free_pair(sy, id))
            continue;
        if (marked(sy->pair_marks, id)) {
            (void)pair_value(sy, (uint32_t)id, &name);
            symbols_mark_string(sy, name);
            live++;
        } else {
            sy->wire[id] = FREE_WIRE;
            sy->pair_at[id] = sy->free_pair;
            sy->free_pair = (uint32_t)id;
        }
    }
    return live;
}

static size_t sweep_strings(struct symbols *sy)
{
    size_t live = 0;
    for (size_t id = 0; id < sy->strings_n; id++) {
        if (is_free_string(sy, id))
            continue;
        if (marked(sy->string_marks, id)) {
            live++;
        } else {
            sy->ref[id].generation = NONE;
            sy->at[id] = sy->free_string;
            sy->free_string = (uint32_t)id;
        }
    }
    return live;
}

/* About the bytes of the store that live. */
static size_t living_bytes(const struct symbols *sy)
{
    size_t n = 0;
    uint32_t name;
    for (size_t id = 0; id < sy->strings_n; id++)
        n += is_free_string(sy, id) ? 0 : symbols_text(sy, (uint32_t)id).n + 1;
    for (size_t id = 0; id < sy->pairs_n; id++)
        n += is_free_pair(sy, id) ? 0 : pair_value(sy, (uint32_t)id, &name).n + 2;
    return n;
}

/* Moves what lives to a new store of the right size, unless nearly all of it lives. */
static void move_store(struct symbols *sy)
{
    struct symbols old = *sy;
    size_t keep = living_bytes(sy);
    uint32_t name;
    if (keep + keep / 8 >= sy->store_n)
        return;
    sy->store = NULL;
    sy->store_n = sy->store_cap = 0;
    sy->store = xgrow(sy->store, &sy->store_cap, keep + keep / 8, 1);
    for (size_t id = 0; id < sy->strings_n; id++)
        if (!is_free_string(sy, id))
            sy->at[id] = store_record(sy, NULL, symbols_text(&old, (uint32_t)id));
    for (size_t id = 0; id < sy->pairs_n; id++) {
        if (is_free_pair(sy, id))
            continue;
        struct str value = pair_value(&old, (uint32_t)id, &name);
        sy->pair_at[id] = store_record(sy, &name, value);
    }
    free(old.store);
}

void symbols_collect_end(struct symbols *sy)
{
    size_t pairs = sweep_pairs(sy);
    size_t strings = sweep_strings(sy);
    move_store(sy);
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
           sy->pair_cap * sizeof *sy->pair_at + sy->wire_cap * sizeof *sy->wire +
           (sy->string_slots.cap + sy->pair_slots.cap) * sizeof *sy->string_slots.v;
}
