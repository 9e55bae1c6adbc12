/* SPDX-License-Identifier: Apache-2.0 */
/* alloc: allocation that does not fail. Whoever finds no memory waits where it is; the others meanwhile finish what
   they do, and free. */
#include "base/alloc.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_WAIT_MS 1
#define LONGEST_WAIT_MS 100

static atomic_size_t reserve_bytes;
static _Atomic(void *) reserve;

/* ---- the reserve ---- */

static void take_reserve(void)
{
    void *none = NULL, *p = malloc(atomic_load(&reserve_bytes));
    if (!p || !atomic_compare_exchange_strong(&reserve, &none, p))
        free(p);
}

void alloc_reserve(size_t n)
{
    atomic_store(&reserve_bytes, n);
    free(atomic_exchange(&reserve, NULL));
    if (n)
        take_reserve();
}

/* ---- failing ---- */

static _Noreturn void give_up(size_t n)
{
    fprintf(stderr, "FATAL: out of memory asking for %zu bytes\n", n);
    abort();
}

/* A call that failed: how long it has waited, 0 = not yet. */
struct wait {
    unsigned waited_ms, next_ms;
};

/* Before the next try for n bytes; does not return after the last one. Without the log, which may need memory. */
static void wait_for_memory(struct wait *w, size_t n)
{
    void *kept = atomic_exchange(&reserve, NULL);
    if (!w->next_ms) {
        char line[80];
        int len = snprintf(line, sizeof line, "WARN: out of memory asking for %zu bytes, trying again\n", n);
        if (write(STDERR_FILENO, line, (size_t)len) < 0)
            w->next_ms = 0; /* nobody reads it */
        w->next_ms = FIRST_WAIT_MS;
    }
    if (kept) {
        free(kept);
        malloc_trim(0);
        return;
    }
    if (w->waited_ms >= ALLOC_WAIT_MS)
        give_up(n);
    usleep(1000 * w->next_ms);
    w->waited_ms += w->next_ms;
    w->next_ms = 2 * w->next_ms < LONGEST_WAIT_MS ? 2 * w->next_ms : LONGEST_WAIT_MS;
}

/* It went well in the end: the next one that fails finds a reserve again, if there is room for it. */
static void *got(const struct wait *w, void *p)
{
    if (w->next_ms && atomic_load(&reserve_bytes) && !atomic_load(&reserve))
        take_reserve();
    return p;
}

/* ---- the calls ---- */

void *xmalloc(size_t n)
{
    struct wait w = {0};
    void *p;
    while (!(p = malloc(n ? n : 1)))
        wait_for_memory(&w, n);
    return got(&w, p);
}

void *xcalloc(size_t count, size_t size)
{
    struct wait w = {0};
    size_t n;
    void *p;
    if (__builtin_mul_overflow(count, size, &n))
        give_up(SIZE_MAX);
    while (!(p = calloc(n ? n : 1, 1)))
        wait_for_memory(&w, n);
    return got(&w, p);
}

void *xrealloc(void *old, size_t n)
{
    struct wait w = {0};
    void *p;
    while (!(p = realloc(old, n ? n : 1)))
        wait_for_memory(&w, n);
    return got(&w, p);
}

char *xstrdup(const char *s)
{
    if (!s)
        return NULL;
    size_t n = strlen(s) + 1;
    return memcpy(xmalloc(n), s, n);
}

char *xasprintf(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0) /* a format that cannot be written: a fault of ours */
        give_up(0);
    char *out = xmalloc((size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(out, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return out;
}

void *xgrow(void *array, size_t *cap, size_t need, size_t size)
{
    if (need <= *cap)
        return array;
    size_t want = *cap + *cap / 2 + 4;
    if (want < need)
        want = need;
    if (want > SIZE_MAX / size)
        give_up(SIZE_MAX);
    array = xrealloc(array, want * size);
    *cap = want;
    return array;
}
