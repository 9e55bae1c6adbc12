/* SPDX-License-Identifier: Apache-2.0 */
/* reader_cursor: bringing a reader's cursor to disk. While anything is on disk, each acknowledgement writes
   it, so that a kill repeats only what was under way; while nothing is, there is nothing to remember. A disk
   that hangs must not hold up an endpoint that is served from RAM, so then the writer does it later. */
#include "queue_private.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdlib.h>
#include <unistd.h>

/* How long an acknowledgement waits for another thread that writes the same cursor. */
#define LOCK_WAIT_NS 100000000L
/* The writer being at the disk for so long means that it hangs. */
#define STALL_MS 250

size_t reader_first(const struct queue_reader *r)
{
    const struct queue *q = r->q;
    size_t i = entry_lower(q, r->from_seq);
    while (i < q->n && !entry_is_pending(entry_at(q, i), r))
        i++;
    return i;
}

void reader_update_cursor(struct queue_reader *r)
{
    const struct queue *q = r->q;
    const struct log_segment *cold = cold_first(r);
    size_t i = reader_first(r);
    r->from_seq = i < q->n ? entry_at(q, i)->seq : q->next_seq;
    if (cold && cold->first_seq < r->from_seq)
        r->from_seq = cold->first_seq;
    r->cursor.low = r->from_seq - 1;
    uint64_t held = r->held_low < q->held_seq ? q->held_seq - 1 : r->held_low;
    if (q->held_seq && r->cursor.low > held)
        r->cursor.low = held;
    r->cursor_dirty = true;
}

/* Under r->cursor_lock alone. *created: the file is new. */
static bool open_file(struct queue_reader *r, bool *created)
{
    struct err err = {0};
    *created = false;
    if (r->cursor_fd >= 0)
        return true;
    char *path = cursor_path(r->q->dir, r->name);
    r->cursor_fd = cursor_open(path, created, &err);
    free(path);
    if (err_is(&err))
        log_throttled(LOG_KEY + 2, LOG_ERROR, "queue", "%s", err.msg);
    return r->cursor_fd >= 0;
}

/* Under r->cursor_lock alone. */
static bool store(struct queue_reader *r, bool sync, int *to_sync)
{
    struct queue *q = r->q;
    bool created;
    struct buf slot;
    if (!open_file(r, &created))
        return false;
    buf_init(&slot, CURSOR_SLOT_BYTES);
    pthread_mutex_lock(&q->lock);
    cursor_encode(&r->cursor, &slot);
    uint64_t turn = r->cursor.turn;
    q->written_bytes += slot.n;
    r->cursor_dirty = false;
    pthread_mutex_unlock(&q->lock);
    bool written = cursor_put(r->cursor_fd, turn, buf_str(&slot));
    buf_free(&slot);
    if (!written) { /* what it may have torn is written again, not the slot that is whole */
        pthread_mutex_lock(&q->lock);
        r->cursor.turn = turn - 1;
        pthread_mutex_unlock(&q->lock);
        return false;
    }
    /* Synced without the lock: an acknowledgement must not find it taken for as long as a disk takes. */
    *to_sync = sync || created ? dup(r->cursor_fd) : -1;
    return true;
}

/* Waits a moment for another thread that writes the same cursor; false when the disk holds that one. */
static bool lock_soon(pthread_mutex_t *lock)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += LOCK_WAIT_NS;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    return pthread_mutex_timedlock(lock, &until) == 0;
}

static bool disk_hangs(const struct queue *q)
{
    return q->io_since_ms && clock_mono_ms() - q->io_since_ms > STALL_MS;
}

void reader_store_cursor(struct queue_reader *r, enum store_how how)
{
    struct queue *q = r->q;
    if (q->lock_fd < 0 || (how == STORE_UNLESS_BUSY && disk_hangs(q)))
        return; /* stays dirty */
    r->storing++;
    pthread_mutex_unlock(&q->lock);
    bool stored = true, mine = true;
    int to_sync = -1;
    if (how == STORE_UNLESS_BUSY)
        mine = lock_soon(&r->cursor_lock);
    else
        pthread_mutex_lock(&r->cursor_lock);
    if (mine) {
        stored = store(r, how == STORE_SYNC, &to_sync);
        pthread_mutex_unlock(&r->cursor_lock);
    }
    if (to_sync >= 0) {
        stored = fdatasync(to_sync) == 0 && stored;
        close(to_sync);
    }
    if (!stored)
        log_throttled(LOG_KEY + 3, LOG_ERROR, "queue",
                      "cannot store what %s has delivered: a restart may send it twice", r->name);
    pthread_mutex_lock(&q->lock);
    r->cursor_dirty = r->cursor_dirty || !stored;
    r->storing--;
}

void reader_store_cursors(struct queue *q, enum store_how how)
{
    for (unsigned i = 0; i < READERS_MAX; i++) {
        if (q->readers[i] && q->readers[i]->cursor_dirty)
            reader_store_cursor(q->readers[i], how);
    }
}

void reader_forget_file(struct queue_reader *r)
{
    struct queue *q = r->q;
    r->storing++;
    pthread_mutex_unlock(&q->lock);
    pthread_mutex_lock(&r->cursor_lock);
    if (r->cursor_fd >= 0)
        close(r->cursor_fd);
    r->cursor_fd = -1;
    pthread_mutex_unlock(&r->cursor_lock);
    pthread_mutex_lock(&q->lock);
    r->cursor_dirty = true;
    r->storing--;
}
