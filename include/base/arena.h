/* SPDX-License-Identifier: Apache-2.0 */
/* arena: memory by lifetime. Many small allocations, freed all at once. */
#ifndef OBSAGENT_BASE_ARENA_H
#define OBSAGENT_BASE_ARENA_H

#include "base/str.h"

struct arena_chunk;

/* Not thread-safe: one owner at a time. Aborts when memory is out; whoever feeds it bytes from outside
   bounds them first. */
struct arena {
    struct arena_chunk *head;
    char *at;
    size_t left;
    size_t used; /* bytes handed out since the last reset */
};

void arena_init(struct arena *a);
void arena_free(struct arena *a);
/* Forgets everything; keeps one chunk for the next round. */
void arena_reset(struct arena *a);
/* n bytes, aligned for any type, zeroed. */
void *arena_alloc(struct arena *a, size_t n);
/* A copy of s with a NUL behind it. */
struct str arena_str(struct arena *a, struct str s);
char *arena_strdup(struct arena *a, const char *cstr);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
