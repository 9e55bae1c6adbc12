/* SPDX-License-Identifier: Apache-2.0 */
/* problem: collects, sorts and prints what is wrong with a configuration. */
#include "problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

/* Nobody reads more, and a hostile file must not make more. */
#define PROBLEMS_MAX 1000

static void one_line(char *text)
{
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
}

void problem_add(struct problems *p, struct place at, const char *fmt, ...)
{
    if (p->n == PROBLEMS_MAX) {
        p->unsaid++;
        return;
    }
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    one_line(text);
    p->v = xgrow(p->v, &p->cap, p->n + 1, sizeof *p->v);
    p->v[p->n++] = (struct problem){at, arena_strdup(p->arena, text)};
}

static int by_place(const void *va, const void *vb)
{
    const struct problem *a = va, *b = vb;
    if (a->at.file->order != b->at.file->order)
        return a->at.file->order < b->at.file->order ? -1 : 1;
    if (a->at.line != b->at.line)
        return a->at.line < b->at.line ? -1 : 1;
    if (a->at.col != b->at.col)
        return a->at.col < b->at.col ? -1 : 1;
    return strcmp(a->text, b->text);
}

void problems_print(struct problems *p, struct buf *out)
{
    if (p->n > 0)
        qsort(p->v, p->n, sizeof *p->v, by_place);
    for (size_t i = 0; i < p->n; i++) {
        /* What stands behind an anchor is read once for each alias. */
        if (i > 0 && by_place(&p->v[i - 1], &p->v[i]) == 0)
            continue;
        const struct place *at = &p->v[i].at;
        buf_addf(out, "%s:%d:%d: %s\n", at->file->name, at->line, at->col, p->v[i].text);
    }
    if (p->unsaid > 0)
        buf_addf(out, "%s:1:1: and %zu more problems\n", p->v[0].at.file->name, p->unsaid);
}

void problems_free(struct problems *p)
{
    free(p->v);
    p->v = NULL;
    p->n = p->cap = 0;
}
