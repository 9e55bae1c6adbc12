/* SPDX-License-Identifier: Apache-2.0 */
/* arena: memory by lifetime. A chain of chunks; a reset keeps the newest, which is also the largest, so that a steady
   user soon lives in one chunk. */
#include "base/arena.h"

#include "base/alloc.h"

#include <stdarg.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>

#define CHUNK_MIN 2048
#define CHUNK_MAX (256 * 1024)

struct arena_chunk {
    struct arena_chunk *next;
    size_t size;
    alignas(max_align_t) char bytes[];
};

void arena_init(struct arena *a)
{
    *a = (struct arena){0};
}

static void free_from(struct arena_chunk *c)
{
    while (c) {
        struct arena_chunk *next = c->next;
        free(c);
        c = next;
    }
}

void arena_free(struct arena *a)
{
    free_from(a->head);
    *a = (struct arena){0};
}

void arena_reset(struct arena *a)
{
    a->used = 0;
    if (!a->head)
        return;
    free_from(a->head->next);
    a->head->next = NULL;
    a->at = a->head->bytes;
    a->left = a->head->size;
}

static void add_chunk(struct arena *a, size_t need)
{
    size_t size = a->head ? a->head->size * 2 : CHUNK_MIN;
    if (size > CHUNK_MAX)
        size = CHUNK_MAX;
    if (size < need)
        size = need;
    struct arena_chunk *c = xmalloc(sizeof *c + size);
    c->next = a->head;
    c->size = size;
    a->head = c;
    a->at = c->bytes;
    a->left = size;
}

void *arena_alloc(struct arena *a, size_t n)
{
    size_t aligned = n ? (n + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1) : alignof(max_align_t);
    if (aligned < n)
        abort();
    if (aligned > a->left)
        add_chunk(a, aligned);
    void *p = a->at;
    a->at += aligned;
    a->left -= aligned;
    a->used += aligned;
    memset(p, 0, n);
    return p;
}

struct str arena_str(struct arena *a, struct str s)
{
    char *p = arena_alloc(a, s.n + 1);
    if (s.n)
        memcpy(p, s.p, s.n);
    return str_make(p, s.n);
}

char *arena_strdup(struct arena *a, const char *cstr)
{
    return (char *)arena_str(a, str_of(cstr)).p;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *p = arena_alloc(a, n < 0 ? 1 : (size_t)n + 1);
    if (n >= 0)
        vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    return p;
}
