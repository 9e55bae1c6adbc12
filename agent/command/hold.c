/* SPDX-License-Identifier: Apache-2.0 */
/* hold: blocks made while the clock was wrong. */
#include "hold.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/log.h"

#define MARGIN_MS 60000 /* explicit timestamps near the wrong time are wrong, too */

struct held {
    struct block *block;
    int64_t offset_ms; /* clock_state.offset_ms when it came */
};

struct hold {
    void (*pass)(void *ctx, struct block *b);
    void *ctx;
    size_t max_bytes;

    pthread_mutex_t lock; /* held while blocks are passed on, so that no later one overtakes them */
    struct held *v;
    size_t head, n, cap;
    struct hold_stats stats;
    bool was_wrong;         /* the clock, at some time since the start */
    int64_t from_ms, to_ms; /* wall times it showed then */
    int64_t wrong_offset_ms;
};

struct hold *hold_new(size_t max_bytes, void (*pass)(void *ctx, struct block *b), void *ctx)
{
    struct hold *h = xcalloc(1, sizeof *h);
    h->pass = pass;
    h->ctx = ctx;
    h->max_bytes = max_bytes;
    pthread_mutex_init(&h->lock, NULL);
    return h;
}

void hold_free(struct hold *h)
{
    if (!h)
        return;
    (void)hold_flush(h);
    pthread_mutex_destroy(&h->lock);
    free(h->v);
    free(h);
}

/* The oldest leaves the list; the caller has its reference. */
static struct held take(struct hold *h)
{
    struct held held = h->v[h->head++];
    h->n--;
    h->stats.blocks--;
    h->stats.bytes -= held.block->size;
    h->stats.samples -= held.block->samples;
    if (h->n == 0)
        h->head = 0;
    return held;
}

static void keep(struct hold *h, struct block *b, int64_t offset_ms)
{
    if (h->head + h->n == h->cap && h->head > 0) {
        memmove(h->v, h->v + h->head, h->n * sizeof *h->v);
        h->head = 0;
    }
    h->v = xgrow(h->v, &h->cap, h->head + h->n + 1, sizeof *h->v);
    h->v[h->head + h->n++] = (struct held){b, offset_ms};
    h->stats.blocks++;
    h->stats.bytes += b->size;
    h->stats.samples += b->samples;
    while (h->n > 1 && h->stats.bytes > h->max_bytes) {
        log_throttled(
            0x686f6c64, LOG_ERROR, "clock",
            "more is scraped than can be held until the clock is right: the oldest goes on with wrong times");
        h->pass(h->ctx, take(h).block);
    }
}

/* Passes b on with the times right that were wrong. */
static void pass_moved(struct hold *h, struct block *b, int64_t shift_ms)
{
    struct err err = {0};
    uint64_t moved = 0;
    bool touched = shift_ms && b->min_ts_ms <= h->to_ms && b->max_ts_ms >= h->from_ms;
    struct block *right = touched ? hold_shift(b, h->from_ms, h->to_ms, shift_ms, &moved, &err) : NULL;
    if (touched && !right)
        log_error("clock", "a block goes on with wrong times: %s", err.msg);
    h->stats.moved += moved;
    if (right)
        block_unref(b);
    h->pass(h->ctx, right ? right : b);
}

static void note_wrong(struct hold *h, const struct clock_state *clock, int64_t wall_ms)
{
    if (!h->was_wrong || wall_ms - MARGIN_MS < h->from_ms)
        h->from_ms = wall_ms - MARGIN_MS;
    if (!h->was_wrong || wall_ms + MARGIN_MS > h->to_ms)
        h->to_ms = wall_ms + MARGIN_MS;
    h->was_wrong = true;
    h->wrong_offset_ms = clock->offset_ms;
}

static void release(struct hold *h, const struct clock_state *clock)
{
    size_t n = h->n;
    uint64_t before = h->stats.moved;
    while (h->n) {
        struct held held = take(h);
        pass_moved(h, held.block, clock->offset_ms - held.offset_ms);
    }
    if (n)
        log_info("clock",
                 "the clock is right now: %zu blocks that were held go on, %llu timestamps in them corrected",
                 n, (unsigned long long)(h->stats.moved - before));
}

void hold_put(struct hold *h, struct block *b, const struct clock_state *clock)
{
    pthread_mutex_lock(&h->lock);
    bool straight = clock->plausible && !h->was_wrong; /* nothing has ever been held: nothing to overtake */
    if (!clock->plausible) {
        note_wrong(h, clock, clock->wall_ms);
        keep(h, b, clock->offset_ms);
    } else if (!straight) {
        /* One that was begun before the clock was set has times of both kinds. */
        release(h, clock);
        pass_moved(h, b, clock->offset_ms - h->wrong_offset_ms);
    }
    pthread_mutex_unlock(&h->lock);
    if (straight)
        h->pass(h->ctx, b);
}

void hold_look(struct hold *h, const struct clock_state *clock)
{
    pthread_mutex_lock(&h->lock);
    if (!clock->plausible)
        note_wrong(h, clock, clock->wall_ms);
    else if (h->n)
        release(h, clock);
    pthread_mutex_unlock(&h->lock);
}

size_t hold_flush(struct hold *h)
{
    pthread_mutex_lock(&h->lock);
    size_t n = h->n;
    while (h->n)
        h->pass(h->ctx, take(h).block);
    pthread_mutex_unlock(&h->lock);
    return n;
}

void hold_stats(struct hold *h, struct hold_stats *out)
{
    pthread_mutex_lock(&h->lock);
    *out = h->stats;
    pthread_mutex_unlock(&h->lock);
}
