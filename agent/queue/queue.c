/* SPDX-License-Identifier: Apache-2.0 */
/* queue: one log of blocks with a cursor per endpoint: opening, pushing, closing, and what it says of itself. The parts:
   entries (what is owed), reader (who takes), writer (the disk), recover (after a restart), segment and cursor (bytes). */
#include "queue_private.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define MAX_BYTES_DEFAULT ((uint64_t)1 << 30)
#define MAX_AGE_DEFAULT_MS (7LL * 24 * 3600 * 1000)
#define RAM_DEFAULT ((size_t)32 << 20)
#define SEGMENT_DEFAULT ((size_t)4 << 20)
#define SPILL_AFTER_DEFAULT_MS 700
#define FSYNC_DEFAULT_MS 1000
/* Every segment keeps a file descriptor. */
#define SEGMENTS_MAX 256

static void set_defaults(struct queue *q, const struct queue_options *options)
{
    struct queue_options *o = &q->options;
    *o = *options;
    o->max_age_ms = o->max_age_ms ? o->max_age_ms : MAX_AGE_DEFAULT_MS;
    o->ram_max_bytes = o->ram_max_bytes ? o->ram_max_bytes : RAM_DEFAULT;
    o->spill_after_ms = o->spill_after_ms ? o->spill_after_ms : SPILL_AFTER_DEFAULT_MS;
    o->fsync_interval_ms = o->fsync_interval_ms ? o->fsync_interval_ms : FSYNC_DEFAULT_MS;
}

/* Needs the directory, to ask its file system. */
static void set_sizes(struct queue *q)
{
    struct queue_options *o = &q->options;
    struct statvfs fs;
    q->max_bytes = o->max_bytes ? o->max_bytes : MAX_BYTES_DEFAULT;
    if (!o->max_bytes && statvfs(q->dir, &fs) == 0) {
        uint64_t tenth = (uint64_t)fs.f_blocks * fs.f_frsize / 10;
        if (tenth < q->max_bytes)
            q->max_bytes = tenth;
    }
    if (!o->segment_bytes) {
        o->segment_bytes = SEGMENT_DEFAULT;
        if (q->max_bytes / SEGMENTS_MAX > o->segment_bytes)
            o->segment_bytes = (size_t)(q->max_bytes / SEGMENTS_MAX);
        if (q->max_bytes / 8 < o->segment_bytes) /* dropping one must not drop most of a small buffer */
            o->segment_bytes = (size_t)(q->max_bytes / 8) + 1;
    }
}

static void destroy(struct queue *q)
{
    for (unsigned i = 0; i < READERS_MAX; i++) {
        if (q->readers[i])
            reader_free(q->readers[i]);
    }
    for (size_t i = 0; i < q->n; i++)
        entry_drop_block(q, entry_at(q, i));
    for (struct log_segment *s = q->oldest, *next; s; s = next) {
        next = s->next;
        close(s->fd);
        free(s->path);
        free(s);
    }
    if (q->lock_fd >= 0)
        close(q->lock_fd);
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

struct queue *queue_open(const struct queue_options *options, struct err *err)
{
    struct queue *q = xcalloc(1, sizeof *q);
    struct err why = {0};
    bool held;
    q->lock_fd = -1;
    q->next_seq = 1;
    q->run = 1;
    q->dir = xstrdup(options->dir);
    q->ledger = options->ledger;
    init_locks(q);
    set_defaults(q, options);
    if (recover_directory(q, &held, &why)) {
        recover_contents(q);
    } else if (held) {
        err_set(err, "%s", why.msg);
        destroy(q);
        return NULL;
    } else {
        /* Whatever is there may have any number, so ours begin far away from those. */
        log_error("queue", "%s: blocks stay in RAM", why.msg);
        snprintf(q->disk_error, sizeof q->disk_error, "%.250s", why.msg);
        q->disk_retry_ms = clock_mono_ms() + DISK_RETRY_MS;
        q->next_seq = (uint64_t)clock_wall_ms() << 8;
        q->run = (uint32_t)clock_wall_ms();
    }
    set_sizes(q);
    q->unspilled_from = q->next_seq;
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
static size_t claim_for_active(struct queue *q, struct entry *e, struct queue_reader **out)
{
    size_t n = 0;
    for (unsigned i = 0; i < READERS_MAX; i++) {
        if (!q->readers[i] || !q->readers[i]->active)
            continue;
        entry_claim(e, q->readers[i]);
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

void queue_push(struct queue *q, struct block *b)
{
    struct queue_reader *readers[READERS_MAX];
    pthread_mutex_lock(&q->lock);
    b->seq = q->next_seq++;
    ledger_scraped(q->ledger, b);
    q->scraped += b->samples;
    struct entry *e = entry_push(q);
    *e = (struct entry){.seq = b->seq, .lane = b->lane, .run = q->run, .samples = b->samples,
                        .bytes = (uint32_t)b->size, .sealed_wall_ms = b->sealed_wall_ms, .pushed_ms = clock_mono_ms()};
    entry_set_block(q, e, b);
    size_t n = claim_for_active(q, e, readers);
    if (writer_must_know(q, (const struct queue_reader *const *)readers, n))
        pthread_cond_signal(&q->wake);
    entries_trim(q);
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
    for (const struct log_segment *s = q->oldest; s; s = s->next)
        out->segments++;
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
    bool urgent = false;
    for (const struct log_segment *s = q->oldest; s; s = s->next)
        urgent = urgent || s->entries > 0;
    for (unsigned i = 0; i < READERS_MAX; i++)
        urgent = urgent || (q->readers[i] && q->readers[i]->failing);
    pthread_mutex_unlock(&own->lock);
    return urgent;
}
