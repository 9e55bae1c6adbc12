/* SPDX-License-Identifier: Apache-2.0 */
/* writer: the thread that does all that is slow: it moves blocks from RAM to disk when an endpoint is behind,
   syncs, keeps the caps, deletes files. Nobody else waits for the disk.

   When it spills: at once while a reader fails (or with durability=always), else what has been owed for
   longer than spill_after_ms, or everything once RAM is half full. */
#include "queue_private.h"

#include "base/clock.h"
#include "base/log.h"

#include <time.h>

#define IDLE_WAIT_MS 60000
#define LOOK_MS 1000
#define CURRENT_KEPT_MS 10000
/* At the end, a disk that fails is tried again so often, so long apart. */
#define LAST_TRIES 5
#define LAST_WAIT_MS 100

static bool any_failing(const struct queue *q)
{
    for (unsigned i = 0; i < READERS_MAX; i++) {
        if (q->readers[i] && q->readers[i]->failing)
            return true;
    }
    return false;
}

/* How long until something must be spilled: 0 = now, -1 = nothing to spill. */
static int64_t spill_due_ms(struct queue *q)
{
    const struct entry *e = spill_first(q);
    int64_t now = clock_mono_ms();
    if (!e)
        return -1;
    if (q->disk_error[0] && now < q->disk_retry_ms)
        return q->disk_retry_ms - now;
    if (q->stopping || q->options.always || any_failing(q) || q->ram_bytes > q->options.ram_max_bytes / 2)
        return 0;
    int64_t at = e->pushed_ms + q->options.spill_after_ms;
    return at > now ? at - now : 0;
}

/* The same for what is written but not synced. */
static int64_t sync_due_ms(const struct queue *q)
{
    int64_t left = q->last_sync_ms + q->options.fsync_interval_ms - clock_mono_ms();
    return !q->dirty ? -1 : left > 0 ? left : 0;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < 0 ? b : b < 0 ? a : a < b ? a : b;
}

static void wait_ms(struct queue *q, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + ms % 1000 * 1000000;
    until.tv_sec += ms / 1000 + ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    pthread_cond_timedwait(&q->wake, &q->lock, &until);
}

static int64_t look_ms(const struct queue *q)
{
    return q->options.disk_retry_ms < LOOK_MS ? q->options.disk_retry_ms : LOOK_MS;
}

/* Waits until something is due, or somebody wakes us. */
static void idle(struct queue *q)
{
    bool busy = q->n || q->oldest || q->disk_error[0];
    int64_t ms = earlier(spill_due_ms(q), sync_due_ms(q));
    ms = earlier(ms, busy ? look_ms(q) : IDLE_WAIT_MS);
    if (ms > 0 && !q->doomed)
        wait_ms(q, ms);
}

/* Who could not read from the disk may try again. Releases the lock meanwhile. */
static void wake_readers(struct queue *q, int64_t now)
{
    for (unsigned i = 0; i < READERS_MAX; i++) {
        struct queue_reader *r = q->readers[i];
        if (!r || !r->read_retry_ms || now < r->read_retry_ms)
            continue;
        r->read_retry_ms = 0;
        if (!r->notify)
            continue;
        r->notifying++;
        pthread_mutex_unlock(&q->lock);
        r->notify(r->ctx);
        pthread_mutex_lock(&q->lock);
        r->notifying--;
        pthread_cond_broadcast(&q->quiet);
    }
}

/* What needs a look now and then: files that somebody removed, an error that may be over, cursors that an
   endpoint left to us, an empty segment. That one goes after a while, not at once: a slow receiver would make
   a file for each block. */
static void look(struct queue *q)
{
    int64_t now = clock_mono_ms();
    if (now - q->last_look_ms < look_ms(q))
        return;
    q->last_look_ms = now;
    if (q->oldest)
        disk_look(q);
    if (q->disk_error[0] && now >= q->disk_retry_ms)
        disk_probe(q);
    if (q->oldest)
        reader_store_cursors(q, STORE);
    if (q->current && q->current->entries == 0 && now - q->last_spill_ms > CURRENT_KEPT_MS)
        spill_rotate(q);
    wake_readers(q, now);
}

/* There is no later at the end. */
static void try_soon(struct queue *q, unsigned tries)
{
    if (tries < LAST_TRIES)
        wait_ms(q, LAST_WAIT_MS);
    q->disk_retry_ms = 0;
}

/* What could not be written is in the books, and the log says how much it was. */
static void lose_the_rest(struct queue *q)
{
    uint64_t blocks = q->ram_blocks;
    if (!spill_first(q))
        return;
    while (entries_drop_oldest_in_ram(q))
        continue;
    log_error("queue", "the disk fails at the end (%s): %llu blocks in RAM are lost", q->disk_error,
              (unsigned long long)(blocks - q->ram_blocks));
}

void *writer_run(void *arg)
{
    struct queue *q = arg;
    struct spill *spill = spill_new();
    unsigned tries = LAST_TRIES;
    pthread_mutex_lock(&q->lock);
    for (;;) {
        if (spill_due_ms(q) == 0)
            spill_some(q, spill);
        caps_keep(q);
        look(q);
        if (sync_due_ms(q) == 0)
            spill_sync(q);
        segments_bury(q);
        if (q->stopping && (spill_due_ms(q) < 0 || (q->disk_error[0] && tries == 0)))
            break;
        if (q->stopping && q->disk_error[0])
            try_soon(q, tries--);
        idle(q);
    }
    lose_the_rest(q);
    spill_sync(q);
    spill_rotate(q);
    segments_bury(q);
    pthread_mutex_unlock(&q->lock);
    spill_free(spill);
    return NULL;
}
