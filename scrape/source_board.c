/* SPDX-License-Identifier: Apache-2.0 */
/* source_board: two lists that change places, so that readers wait for a swap only. */
#include "source_board.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/arena.h"

struct states {
    struct arena strings;
    struct discovery_source_status *v;
    size_t n, cap;
};

struct source_board {
    struct states next; /* the writer's */
    pthread_mutex_t lock;
    struct states now; /* under the lock */
};

struct source_board *source_board_new(void)
{
    struct source_board *b = xcalloc(1, sizeof *b);
    arena_init(&b->next.strings);
    arena_init(&b->now.strings);
    pthread_mutex_init(&b->lock, NULL);
    return b;
}

void source_board_free(struct source_board *b)
{
    arena_free(&b->next.strings);
    arena_free(&b->now.strings);
    free(b->next.v);
    free(b->now.v);
    pthread_mutex_destroy(&b->lock);
    free(b);
}

static void copy(void *ctx, const struct discovery_source_status *status)
{
    struct states *s = ctx;
    s->v = xgrow(s->v, &s->cap, s->n + 1, sizeof *s->v);
    struct discovery_source_status *to = &s->v[s->n++];
    *to = *status;
    to->job = arena_strdup(&s->strings, status->job);
    to->detail = arena_strdup(&s->strings, status->detail);
    to->error = arena_strdup(&s->strings, status->error);
}

void source_board_update(struct source_board *b, const struct discovery *d)
{
    b->next.n = 0;
    arena_reset(&b->next.strings);
    discovery_each_source(d, copy, &b->next);
    pthread_mutex_lock(&b->lock);
    struct states before = b->now;
    b->now = b->next;
    b->next = before;
    pthread_mutex_unlock(&b->lock);
}

void source_board_each(struct source_board *b, void (*fn)(void *ctx, const struct discovery_source_status *status),
                       void *ctx)
{
    pthread_mutex_lock(&b->lock);
    for (size_t i = 0; i < b->now.n; i++)
        fn(ctx, &b->now.v[i]);
    pthread_mutex_unlock(&b->lock);
}
