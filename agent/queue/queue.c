/* SPDX-License-Identifier: Apache-2.0 */
/* queue: one log of blocks with a cursor per endpoint: opening, pushing, closing, and what it says of itself.
   The parts: entries and cold (what is owed), reader (who takes), writer with spill, disk and caps (what is
   slow), recover (after a restart), segments (files), segment and cursor (bytes). */
#include "pack.h"
#include "queue_private.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_BYTES_DEFAULT ((uint64_t)1 << 30)
#define MAX_AGE_DEFAULT_MS (7LL * 24 * 3600 * 1000)
#define RAM_DEFAULT ((size_t)32 << 20)
#define SEGMENT_DEFAULT ((size_t)4 << 20)
#define SPILL_AFTER_DEFAULT_MS 700
#define FSYNC_DEFAULT_MS 1000
#define DISK_RETRY_DEFAULT_MS 3000
/* A large buffer gets larger segments, so that lists of them stay short. */
#define SEGMENTS_MAX 1024
/* The writer being at the disk for so long means that RAM has to keep its cap by itself. */
#define STALL_MS 1000

static void set_defaults(struct queue *q, const struct queue_options *options)
{
    struct queue_options *o = &q->options;
    *o = *options;
    o->max_age_ms = o->max_age_ms ? o->max_age_ms : MAX_AGE_DEFAULT_MS;
    o->ram_max_bytes = o->ram_max_bytes ? o->ram_max_bytes : RAM_DEFAULT;
    o->spill_after_ms = o->spill_after_ms ? o->spill_after_ms : SPILL_AFTER_DEFAULT_MS;
    o->fsync_interval_ms = o->fsync_interval_ms ? o->fsync_interval_ms : FSYNC_DEFAULT_MS;
    o->disk_retry_ms = o->disk_retry_ms ? o->disk_retry_ms : DISK_RETRY_DEFAULT_MS;
}

void queue_set_sizes(struct queue *q, uint64_t fs_bytes)
{
    struct queue_options *o = &q->options;
    q->max_bytes = o->max_bytes ? o->max_bytes : MAX_BYTES_DEFAULT;
    if (!o->max_bytes && fs_bytes / 10 < q->max_bytes)
        q->max_bytes = fs_bytes / 10;
    if (o->segment_bytes)
        return;
    o->segment_bytes = SEGMENT_DEFAULT;
    if (q->max_bytes / SEGMENTS_MAX > o->segment_bytes)
        o->segment_bytes = (size_t)(q->max_bytes / SEGMENTS_MAX);
    if (q->max_bytes / 8 < o->segment_bytes) /* dropping one must not drop most of a small buffer */
        o->segment_bytes = (size_t)(q->max_bytes / 8) + 1;
}

static void destroy(struct queue *q)
{
    for (unsigned i = 0; i < READERS_MAX; i++) {
        if (q->readers[i])
            reader_free(q->readers[i]);
    }
    for (size_t i = 0; i < q->n; i++)
        entry_drop_block(q, entry_at(q, i));
    segments_free(q->oldest);
    segments_free(q->doomed);
    if (q->lock_fd >= 0)
        close(q->lock_fd);
    if (q->dir_fd >= 0)
        close(q->dir_fd);
    pthread_cond_destroy(&q->wake);
    pthread_cond_destroy(&q->quiet);
    pthread_mutex_destroy(&q->lock);
    free(q->v);
    free(q->dir);
    free(q);
}

static void init_locks(struct queue *q)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&q->wake, &attr);
    pthread_condattr_destroy(&attr);
    pthread_cond_init(&q->quiet, NULL);
    pthread_mutex_init(&q->lock, NULL);
}

/* Finds what is in the directory, or says that there is none. False with err when another process has it. */
static bool open_directory(struct queue *q, struct err *err)
{
    struct err why = {0};
    bool held, read_only;
    int fd = recover_directory(q, &held, &read_only, &why);
    if (held)
        return err_set(err, "%s", why.msg);
    pthread_mutex_lock(&q->lock);
    if (fd >= 0 && !recover_contents(q, false)) {
        err_set(&why, "cannot read %s: %s", q->dir, strerror(errno));
        close(fd);
        fd = -1;
    }
    q->lock_fd = fd;
    if (fd < 0) {
        /* Whatever is there may have any number, so ours begin far behind. */
        disk_failed_because(q, why.msg);
        q->next_seq = (uint64_t)clock_wall_ms() << 8;
        q->run = (uint32_t)(clock_wall_ms() / 1000);
    } else if (read_only) {
        disk_failed(q, "cannot write in", q->dir, EROFS);
    }
    queue_set_sizes(q, disk_size(q));
    q->unspilled_from = q->first_own_seq = q->next_seq;
    pthread_mutex_unlock(&q->lock);
    return true;
}

struct queue *queue_open(const struct queue_options *options, struct err *err)
{
    struct queue *q = xcalloc(1, sizeof *q);
    q->lock_fd = q->dir_fd = q->current_fd = -1;
    q->next_seq = 1;
    q->run = 1;
    q->dir = xstrdup(options->dir);
    q->ledger = options->ledger;
    q->opened_ms = clock_mono_ms();
    init_locks(q);
    set_defaults(q, options);
    if (!open_directory(q, err)) {
        destroy(q);
        return NULL;
    }
    q->writer_runs = pthread_create(&q->writer, NULL, writer_run, q) == 0;
    if (!q->writer_runs) {
        err_set(err, "cannot start the writer thread");
        destroy(q);
        q = NULL;
    }
    return q;
}

void queue_close(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->stopping = true;
    q->disk_retry_ms = 0;
    pthread_cond_signal(&q->wake);
    pthread_mutex_unlock(&q->lock);
    pthread_join(q->writer, NULL);
    destroy(q);
}

/* Under the lock: the readers to tell, in out. */
static size_t claim_for_owed(struct queue *q, struct entry *e, struct queue_reader **out)
{
    size_t n = 0;
    for (unsigned i = 0; i < READERS_MAX; i++) {
        if (!q->readers[i] || !q->readers[i]->owed)
            continue;
        entry_claim(e, q->readers[i]);
        if (q->readers[i]->active)
            out[n++] = q->readers[i];
    }
    return n;
}

static bool writer_must_know(const struct queue *q, const struct queue_reader *const *readers, size_t n)
{
    bool failing = q->options.always || q->ram_blocks == 1 || q->ram_bytes > q->options.ram_max_bytes / 2;
    for (size_t i = 0; i < n; i++)
        failing = failing || readers[i]->failing;
    return failing;
}

/* The writer keeps the cap, unless a disk that hangs holds it. */
static void keep_ram_cap(struct queue *q)
{
    bool hangs = q->io_since_ms && clock_mono_ms() - q->io_since_ms > STALL_MS;
    size_t cap = q->options.ram_max_bytes;
    while (q->ram_bytes > (hangs ? cap : 2 * cap)) {
        log_throttled(LOG_KEY, LOG_ERROR, "queue",
                      "the disk is too slow: the oldest blocks in RAM are dropped");
        if (!entries_drop_oldest_in_ram(q))
            break;
    }
}

/* What comes from here on is not owed to those that nobody has open. */
static void close_idle(struct queue *q)
{
    for (unsigned i = 0; i < READERS_MAX; i++) {
        struct queue_reader *r = q->readers[i];
        if (!r || r->owed || r->cursor.closed_at != CURSOR_OPEN)
            continue;
        r->cursor.closed_at = q->next_seq;
        r->cursor_dirty = true;
    }
}

static bool any_owed(const struct queue *q)
{
    for (unsigned i = 0; i < READERS_MAX; i++) {
        if (q->readers[i] && q->readers[i]->owed)
            return true;
    }
    return false;
}

/* Under the lock: the readers to tell, in out. */
static size_t append(struct queue *q, struct block *b, struct queue_reader **readers)
{
    close_idle(q);
    b->seq = q->next_seq++;
    ledger_scraped(q->ledger, b);
    q->scraped += b->samples;
    if (!any_owed(q)) { /* nobody will ever ask for it: whoever comes later books it as absent */
        block_unref(b);
        return 0;
    }
    struct entry *e = entry_insert(q, q->n, 1);
    *e = (struct entry){.seq = b->seq, .lane = b->lane, .run = q->run, .samples = b->samples,
                        .bytes = (uint32_t)b->size, .sealed_wall_ms = b->sealed_wall_ms,
                        .pushed_ms = clock_mono_ms()};
    entry_set_block(q, e, b);
    size_t n = claim_for_owed(q, e, readers);
    if (writer_must_know(q, (const struct queue_reader *const *)readers, n))
        pthread_cond_signal(&q->wake);
    entries_trim(q);
    keep_ram_cap(q);
    return n;
}

/* So much waits already that what comes now should wait packed. */
static bool is_crowded(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    bool crowded = q->ram_bytes > q->options.ram_max_bytes / 8;
    pthread_mutex_unlock(&q->lock);
    return crowded;
}

void queue_push(struct queue *q, struct block *b)
{
    struct queue_reader *readers[READERS_MAX];
    if (is_crowded(q) && __atomic_load_n(&b->refs, __ATOMIC_ACQUIRE) == 1)
        pack_block(b);
    pthread_mutex_lock(&q->lock);
    size_t n = append(q, b, readers);
    for (size_t i = 0; i < n; i++)
        readers[i]->notifying++;
    pthread_mutex_unlock(&q->lock);
    for (size_t i = 0; i < n; i++)
        readers[i]->notify(readers[i]->ctx);
    pthread_mutex_lock(&q->lock);
    for (size_t i = 0; i < n; i++)
        readers[i]->notifying--;
    pthread_cond_broadcast(&q->quiet);
    pthread_mutex_unlock(&q->lock);
}

void queue_stats(struct queue *q, struct queue_stats *out)
{
    *out = (struct queue_stats){0};
    pthread_mutex_lock(&q->lock);
    out->ram_blocks = q->ram_blocks;
    out->ram_bytes = q->ram_bytes;
    out->disk_bytes = q->disk_bytes;
    out->disk_bytes_max = q->max_bytes;
    out->segments = q->segments;
    out->disk_written_bytes_total = q->written_bytes;
    out->disk_read_bytes_total = q->read_bytes;
    out->fsyncs_total = q->fsyncs;
    out->corrupt_records_total = q->corrupt;
    memcpy(out->disk_error, q->disk_error, sizeof out->disk_error);
    pthread_mutex_unlock(&q->lock);
}

bool queue_urgent(const struct queue *q)
{
    struct queue *own = (struct queue *)q; /* the lock is not part of what const promises */
    pthread_mutex_lock(&own->lock);
    bool urgent = q->disk_blocks > 0;
    for (unsigned i = 0; i < READERS_MAX; i++)
        urgent = urgent || (q->readers[i] && q->readers[i]->failing);
    pthread_mutex_unlock(&own->lock);
    return urgent;
}
