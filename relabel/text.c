/* SPDX-License-Identifier: Apache-2.0 */
/* text: text that a rule makes, growing in an arena by doubling. */
#include "text.h"

void text_init(struct text *t, struct arena *arena, size_t guess)
{
    size_t cap = guess < TEXT_MAX ? guess : TEXT_MAX;
    *t = (struct text){.arena = arena, .p = arena_alloc(arena, cap + 1), .cap = cap};
}

void text_add(struct text *t, struct str s)
{
    if (s.n > TEXT_MAX - t->n || t->overflow) {
        t->overflow = true;
        return;
    }
    if (s.n > t->cap - t->n) {
        size_t need = t->n + s.n;
        size_t cap = need * 2 < TEXT_MAX ? need * 2 : TEXT_MAX;
        char *more = arena_alloc(t->arena, cap + 1);
        memcpy(more, t->p, t->n);
        t->p = more;
        t->cap = cap;
    }
    if (s.n)
        memcpy(t->p + t->n, s.p, s.n);
    t->n += s.n;
}

struct str text_str(const struct text *t)
{
    return str_make(t->p, t->n);
}
