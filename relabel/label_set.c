/* SPDX-License-Identifier: Apache-2.0 */
/* label_set: packed labels. A label is a name's number (16 bits), the value's length and the value; without a number,
   0xffff, the name's length and the name stand before the value. Lengths are 32 bits. */
#include "label_set.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"

#define CHUNK 256
#define CHUNKS 256
#define INLINE_NAME 0xffff

struct label_names {
    int refs; /* the maker and the sets; atomic */
    size_t n;
    struct str *chunks[CHUNKS]; /* never moved, so that other threads may read those of their sets */
    uint32_t *slots;            /* open addressing: a name's number + 1, 0 = empty */
    size_t slots_n;             /* a power of two */
};

struct label_set {
    int refs; /* atomic */
    uint32_t n;
    uint64_t hash;
    struct label_names *names; /* referenced, or NULL */
    struct label_set *base;    /* referenced, without a base of its own; or NULL */
    uint32_t own;              /* how many labels are in `data` */
    unsigned char data[];
};

/* ---- names ---- */

struct label_names *label_names_new(void)
{
    struct label_names *names = xcalloc(1, sizeof *names);
    names->refs = 1;
    names->slots_n = 2 * CHUNK;
    names->slots = xcalloc(names->slots_n, sizeof *names->slots);
    return names;
}

void label_names_release(struct label_names *names)
{
    if (!names || __atomic_sub_fetch(&names->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (size_t i = 0; i < names->n; i++)
        free((char *)(uintptr_t)names->chunks[i / CHUNK][i % CHUNK].p);
    for (size_t i = 0; i < CHUNKS && names->chunks[i]; i++)
        free(names->chunks[i]);
    free(names->slots);
    free(names);
}

static struct str name_at(const struct label_names *names, size_t id)
{
    return names->chunks[id / CHUNK][id % CHUNK];
}

/* The slot that has the name, or the empty one where it would go. */
static size_t find_slot(const struct label_names *names, struct str name)
{
    size_t i = hash_bytes(name.p, name.n) & (names->slots_n - 1);
    while (names->slots[i] && !str_eq(name_at(names, names->slots[i] - 1), name))
        i = (i + 1) & (names->slots_n - 1);
    return i;
}

static void grow_slots(struct label_names *names)
{
    free(names->slots);
    names->slots_n *= 2;
    names->slots = xcalloc(names->slots_n, sizeof *names->slots);
    for (size_t i = 0; i < names->n; i++)
        names->slots[find_slot(names, name_at(names, i))] = (uint32_t)i + 1;
}

/* The name's number, INLINE_NAME when it has to go into the set. */
static unsigned intern(struct label_names *names, struct str name)
{
    if (!names)
        return INLINE_NAME;
    size_t slot = find_slot(names, name);
    if (names->slots[slot])
        return names->slots[slot] - 1;
    if (names->n == INLINE_NAME)
        return INLINE_NAME;
    size_t id = names->n;
    if (!names->chunks[id / CHUNK])
        names->chunks[id / CHUNK] = xcalloc(CHUNK, sizeof(struct str));
    names->chunks[id / CHUNK][id % CHUNK] = str_make(str_dup(name), name.n);
    names->slots[slot] = (uint32_t)id + 1;
    if (++names->n * 2 > names->slots_n)
        grow_slots(names);
    return (unsigned)id;
}

/* ---- sets ---- */

static int by_name(const void *a, const void *b)
{
    const struct label *const *x = a, *const *y = b;
    int r = str_cmp((*x)->name, (*y)->name);
    return r ? r : (*x > *y) - (*x < *y); /* the first one given first */
}

/* Views of the labels that go in, in order; returns how many. */
static size_t choose(const struct labels *labels, const struct label **v)
{
    size_t n = 0, kept = 0;
    for (size_t i = 0; i < labels->n; i++) {
        if (labels->v[i].name.n > 0 && labels->v[i].value.n > 0)
            v[n++] = &labels->v[i];
    }
    qsort(v, n, sizeof *v, by_name);
    for (size_t i = 0; i < n; i++) {
        if (kept == 0 || !str_eq(v[kept - 1]->name, v[i]->name))
            v[kept++] = v[i];
    }
    return kept;
}

static void put_text(unsigned char **at, struct str s)
{
    uint32_t n = (uint32_t)s.n;
    memcpy(*at, &n, sizeof n);
    memcpy(*at + sizeof n, s.p, s.n);
    *at += sizeof n + s.n;
}

static struct str get_text(const unsigned char **at)
{
    uint32_t n;
    memcpy(&n, *at, sizeof n);
    struct str s = str_make((const char *)*at + sizeof n, n);
    *at += sizeof n + n;
    return s;
}

/* Goes through the labels of one set's data. */
struct cursor {
    const struct label_set *s;
    const unsigned char *at;
    uint32_t left;
    struct label label; /* the present one; name.n == 0 = at the end */
};

static void cursor_next(struct cursor *c)
{
    c->label = (struct label){0};
    if (c->left == 0)
        return;
    uint16_t id;
    memcpy(&id, c->at, sizeof id);
    c->at += sizeof id;
    c->left--;
    c->label.name = id == INLINE_NAME ? get_text(&c->at) : name_at(c->s->names, id);
    c->label.value = get_text(&c->at);
}

static struct cursor cursor_of(const struct label_set *s)
{
    struct cursor c = {.s = s, .at = s ? s->data : NULL, .left = s ? s->own : 0};
    cursor_next(&c);
    return c;
}

/* The next label of both, in order of names; own ones hide those of the base. */
static struct label merge_next(struct cursor *own, struct cursor *base)
{
    int order = own->label.name.n == 0 ? 1 : base->label.name.n == 0 ? -1 : str_cmp(own->label.name, base->label.name);
    struct label l = order <= 0 ? own->label : base->label;
    if (order <= 0)
        cursor_next(own);
    if (order >= 0)
        cursor_next(base);
    return l;
}

/* Counts and hashes all labels, so that sets that are packed in different ways compare. */
static void seal(struct label_set *s)
{
    struct cursor own = cursor_of(s), base = cursor_of(s->base);
    for (struct label l = merge_next(&own, &base); l.name.n > 0; l = merge_next(&own, &base)) {
        s->hash = hash_more(hash_more(s->hash, l.name), l.value);
        s->n++;
    }
}

struct label_set *label_set_over(struct label_names *names, struct label_set *base, const struct labels *labels)
{
    const struct label **v = xcalloc(labels->n + 1, sizeof(struct label *));
    uint16_t *ids = xcalloc(labels->n + 1, sizeof *ids);
    size_t n = choose(labels, v), bytes = 0;
    for (size_t i = 0; i < n; i++) {
        ids[i] = (uint16_t)intern(names, v[i]->name);
        bytes += sizeof *ids + sizeof(uint32_t) + v[i]->value.n;
        bytes += ids[i] == INLINE_NAME ? sizeof(uint32_t) + v[i]->name.n : 0;
    }
    struct label_set *s = xmalloc(sizeof *s + bytes);
    *s = (struct label_set){.refs = 1, .own = (uint32_t)n, .names = names};
    s->base = base ? label_set_ref(base) : NULL;
    if (names)
        __atomic_add_fetch(&names->refs, 1, __ATOMIC_RELAXED);
    unsigned char *at = s->data;
    for (size_t i = 0; i < n; i++) {
        memcpy(at, &ids[i], sizeof *ids);
        at += sizeof *ids;
        if (ids[i] == INLINE_NAME)
            put_text(&at, v[i]->name);
        put_text(&at, v[i]->value);
    }
    seal(s);
    free(v);
    free(ids);
    return s;
}

struct label_set *label_set_new(struct label_names *names, const struct labels *labels)
{
    return label_set_over(names, NULL, labels);
}

struct label_set *label_set_ref(struct label_set *s)
{
    __atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
    return s;
}

void label_set_unref(struct label_set *s)
{
    if (!s || __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    label_names_release(s->names);
    label_set_unref(s->base);
    free(s);
}

void label_set_add(const struct label_set *s, struct labels *out)
{
    struct cursor own = cursor_of(s), base = cursor_of(s->base);
    for (struct label l = merge_next(&own, &base); l.name.n > 0; l = merge_next(&own, &base))
        labels_push(out, l.name, l.value);
}

void label_set_add_own(const struct label_set *s, struct labels *out)
{
    for (struct cursor own = cursor_of(s); own.label.name.n > 0; cursor_next(&own))
        labels_push(out, own.label.name, own.label.value);
}

struct str label_set_get(const struct label_set *s, struct str name)
{
    struct str value = STR_NULL;
    for (const struct label_set *in = s; in && !value.p; in = in->base) {
        struct cursor c = cursor_of(in);
        while (c.label.name.n > 0 && !str_eq(c.label.name, name))
            cursor_next(&c);
        value = c.label.value;
    }
    return value;
}

uint64_t label_set_hash(const struct label_set *s)
{
    return s->hash;
}

bool label_set_equal(const struct label_set *a, const struct label_set *b)
{
    return a == b || (a->n == b->n && a->hash == b->hash);
}
