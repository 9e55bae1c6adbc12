/* SPDX-License-Identifier: Apache-2.0 */
/* alloc: allocation that does not fail. When memory is out, the reserve is given back and the call tries again for
   ALLOC_WAIT_MS at most, because a neighbour's peak passes; a line on stderr says so. Only then it aborts with a
   message. Sizes that the network decides are bounded by the caller before they come here. */
#ifndef OBSAGENT_BASE_ALLOC_H
#define OBSAGENT_BASE_ALLOC_H

#include <stddef.h>

#define ALLOC_WAIT_MS 3000

void *xmalloc(size_t n);
void *xcalloc(size_t count, size_t size); /* zeroed; aborts on overflow */
void *xrealloc(void *p, size_t n);
char *xstrdup(const char *s); /* NULL stays NULL */
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Makes room in an array for at least `need` items: returns the (perhaps moved) array and updates *cap,
   growing by half. Use: v = xgrow(v, &cap, n + 1, sizeof *v). */
void *xgrow(void *array, size_t *cap, size_t need, size_t size);

/* Keeps n bytes aside for the first call that finds no memory, from the start on and again once there is some. They are
   not touched: this costs address space, not memory. */
void alloc_reserve(size_t n);

#endif
