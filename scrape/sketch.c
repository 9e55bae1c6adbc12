/* SPDX-License-Identifier: Apache-2.0 */
/* sketch: the label with the most values. */
#include "sketch.h"

#include <stdio.h>

#include "base/hash.h"

static struct sketch_label *find(struct sketch *s, struct str name)
{
    uint64_t hash = hash_bytes(name.p, name.n);
    for (unsigned i = 0; i < s->n; i++)
        if (s->v[i].hash == hash)
            return &s->v[i];
    if (s->n == SKETCH_LABELS)
        return NULL;
    struct sketch_label *l = &s->v[s->n++];
    l->hash = hash;
    snprintf(l->name, sizeof l->name, "%.*s", STR_ARG(name));
    return l;
}

void sketch_add(struct sketch *s, const struct labels *labels)
{
    for (size_t i = 0; i < labels->n; i++) {
        struct sketch_label *l = find(s, labels->v[i].name);
        uint64_t bit = hash_bytes(labels->v[i].value.p, labels->v[i].value.n) % (SKETCH_WORDS * 64);
        if (l)
            l->bits[bit / 64] |= 1ull << (bit % 64);
    }
}

static unsigned bits(const struct sketch_label *l)
{
    unsigned n = 0;
    for (unsigned i = 0; i < SKETCH_WORDS; i++)
        n += (unsigned)__builtin_popcountll(l->bits[i]);
    return n;
}

const char *sketch_top(const struct sketch *s)
{
    const char *top = "";
    unsigned most = 0;
    for (unsigned i = 0; i < s->n; i++) {
        unsigned n = bits(&s->v[i]);
        if (n > most) {
            most = n;
            top = s->v[i].name;
        }
    }
    return top;
}
