/* SPDX-License-Identifier: Apache-2.0 */
/* problem: places in configuration files, and what is wrong there. A load collects every problem instead of
   stopping at the first, so that a user mends a file in one round. */
#ifndef OBSAGENT_CONFIG_PROBLEM_H
#define OBSAGENT_CONFIG_PROBLEM_H

#include "base/arena.h"
#include "base/buf.h"

#include <stddef.h>

/* One document being read. Lives in the arena of the load. */
struct yaml_file {
    const char *name; /* as messages show it */
    const char *dir;  /* what relative paths in it are joined to; absolute */
    size_t order;     /* in which it was opened: problems are sorted by it */
};

struct place {
    const struct yaml_file *file;
    int line, col; /* from 1 */
};

struct problem {
    struct place at;
    const char *text;
};

/* Zero-initialise and set the arena, which keeps the texts. */
struct problems {
    struct arena *arena;
    struct problem *v;
    size_t n, cap;
    size_t unsaid; /* beyond what is kept */
};

/* Records one line; control characters become '?', so that a problem is always one line. */
void problem_add(struct problems *p, struct place at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Sorts by place and appends "FILE:LINE:COL: message" lines, each once. */
void problems_print(struct problems *p, struct buf *out);
void problems_free(struct problems *p);

#endif
