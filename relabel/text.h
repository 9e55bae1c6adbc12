/* SPDX-License-Identifier: Apache-2.0 */
/* text: text that a rule makes, growing in the arena of the set it is for, so that nothing is freed. */
#ifndef OBSAGENT_RELABEL_TEXT_H
#define OBSAGENT_RELABEL_TEXT_H

#include "base/arena.h"
#include "base/str.h"

/* More than this is no label any more: text_add then sets `overflow`, and the rule leaves the set alone. */
#define TEXT_MAX ((size_t)16 << 20)

struct text {
    struct arena *arena;
    char *p;
    size_t n, cap;
    bool overflow;
};

/* Room for `guess` bytes is taken at once; growing beyond it copies, and costs arena memory until reset. */
void text_init(struct text *t, struct arena *arena, size_t guess);
void text_add(struct text *t, struct str s);
/* The contents; valid as long as the arena, unless more is added. Not meaningful after an overflow. */
struct str text_str(const struct text *t);

#endif
