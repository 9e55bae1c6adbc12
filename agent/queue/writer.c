/* SPDX-License-Identifier: Apache-2.0 */
/* writer: the thread that moves blocks from RAM to disk when an endpoint is behind, syncs, and keeps the caps. Nobody
   else waits for the disk.

   When it spills: at once while a reader fails (or with durability=always), else what has been owed for longer than
   spill_after_ms, or everything once RAM is half full. A failing disk is a state: blocks stay in RAM, the oldest go when
   the RAM cap is reached, and every few seconds the disk is tried again. */
#include "queue_private.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define BATCH_BLOCKS 64
#define BATCH_BYTES ((size_t)8 << 20)
#define ENCODED_MAX ((size_t)1 << 30)
#define IDLE_WAIT_MS 60000
#define AGE_CHECK_MS 1000
#define FREE_SPACE_KEPT (1 << 20)
#define CURRENT_KEPT_MS 10000

struct batch {
    struct block *blocks[BATCH_BLOCKS];
    uint64_t offsets[BATCH_BLOCKS];
    uint32_t sizes[BATCH_BLOCKS];
    size_t n;
    struct buf scratch, out;
};

/* ---- disk state; under the lock ---- */

static void disk_failed(struct queue *q, const char *what, const char *path, int why)
{
    bool fresh = q->disk_error[0] == '\0';
    snprintf(q->disk_error, sizeof q->disk_error, "%s %s: %s", what, path, strerror(why));
    q->disk_retry_ms = clock_mono_ms() + DISK_RETRY_MS;
    if (fresh)
        log_error("queue", "the buffer's disk fails, blocks stay in RAM: %s", q->disk_error);
}

static void disk_recovered(struct queue *q)
{
    if (q->disk_error[0])
        log_info("queue", "the buffer's disk works again");
    q->disk_error[0] = '\0';
}

/* ---- when ---- */

static bool any_failing(const struct queue *q)
{
    for (unsigned i = 0; i < READERS_MAX; i++) {
        if (q->readers[i] && q->readers[i]->failing)
            return true;
    }
    return false;
}

/* The first entry that is only in RAM, or NULL. */
static struct entry *first_unspilled(struct queue *q)
{
    for (size_t i = entry_lower(q, q->unspilled_from); i < q->n; i++) {
        struct entry *e = entry_at(q, i);
        if (e->pending && !e->segment && e->block) {
            q->unspilled_from = e->seq;
            return e;
        }
    }
    q->unspilled_from = q->next_seq;
    return NULL;
}

/* How long until something must be spilled: 0 = now, -1 = nothing to spill. */
static int64_t spill_due_ms(struct queue *q)
{
    struct entry *e = first_unspilled(q);
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

/* ---- spilling ---- */

static void collect_batch(struct queue *q, struct batch *b)
{
    size_t bytes = 0, most = q->options.segment_bytes < BATCH_BYTES ? q->options.segment_bytes : BATCH_BYTES;
    b->n = 0;
    for (size_t i = entry_lower(q, q->unspilled_from); i < q->n && b->n < BATCH_BLOCKS && bytes < most; i++) {
        struct entry *e = entry_at(q, i);
        if (!e->pending || e->segment || !e->block)
            continue;
        b->blocks[b->n++] = block_ref(e->block);
        bytes += e->block->size;
    }
}

static void encode_batch(struct queue *q, struct batch *b, uint64_t at)
{
    buf_clear(&b->out);
    if (at == 0)
        segment_header(b->blocks[0]->seq, &b->out);
    for (size_t i = 0; i < b->n; i++) {
        b->offsets[i] = at + b->out.n;
        segment_encode(b->blocks[i], q->run, &b->scratch, &b->out);
        b->sizes[i] = (uint32_t)(at + b->out.n - b->offsets[i]);
    }
}

/* Errno of a write that does not leave the disk full to the last byte, or 0. */
static int write_batch(int fd, const struct batch *b, uint64_t at)
{
    struct statvfs fs;
    if (fstatvfs(fd, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize < b->out.n + FREE_SPACE_KEPT)
        return ENOSPC;
    for (size_t done = 0; done < b->out.n;) {
        ssize_t n = pwrite(fd, b->out.p + done, b->out.n - done, (off_t)(at + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            int why = n < 0 ? errno : ENOSPC;
            if (ftruncate(fd, (off_t)at) != 0)
                return why; /* the torn tail is found by its CRC */
            return why;
        }
        done += (size_t)n;
    }
    return 0;
}

/* Opens a segment for this batch, and first the directory when it was not there at the start or has gone since. Not
   under the lock; errno tells why it failed. */
static int open_segment(struct queue *q, uint64_t first_seq, char **path)
{
    struct err err = {0};
    bool held;
    *path = xasprintf("%s/seg-%016llx.log", q->dir, (unsigned long long)first_seq);
    if ((q->lock_fd < 0 || access(q->dir, F_OK) != 0) && !recover_directory(q, &held, &err)) {
        errno = held ? EBUSY : errno ? errno : EIO;
        return -1;
    }
    int fd = open(*path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    int dir = fd >= 0 ? open(q->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (dir >= 0) {
        (void)fsync(dir);
        close(dir);
    }
    return fd;
}

/* The entries of the batch now live in the segment. Under the lock. */
static void settle_batch(struct queue *q, const struct batch *b, struct log_segment *segment)
{
    for (size_t i = 0; i < b->n; i++) {
        struct entry *e = entry_find(q, b->blocks[i]->seq);
        if (!e || !e->pending || e->segment)
            continue; /* delivered meanwhile: its record is never read */
        for (unsigned k = 0; k < READERS_MAX; k++) {
            if (e->pending & (1u << k)) {
                q->readers[k]->bytes -= e->bytes;
                q->readers[k]->bytes += b->sizes[i];
            }
        }
        e->bytes = b->sizes[i];
        e->segment = segment;
        e->offset = b->offsets[i];
        segment->entries++;
        entry_drop_block(q, e);
    }
}

static void free_batch(struct batch *b)
{
    for (size_t i = 0; i < b->n; i++)
        block_unref(b->blocks[i]);
    b->n = 0;
}

/* Writes one batch. Called with the lock and returns with it, but works without. */
static void spill(struct queue *q, struct batch *b)
{
    struct log_segment *segment = q->current;
    if (segment && segment->size >= q->options.segment_bytes)
        segment = q->current = NULL;
    collect_batch(q, b);
    if (b->n == 0)
        return;
    uint64_t at = segment ? segment->size : 0;
    char *path = NULL;
    if (segment)
        segment->users++;
    pthread_mutex_unlock(&q->lock);
    int fd = segment ? segment->fd : open_segment(q, b->blocks[0]->seq, &path);
    int why = fd < 0 ? errno : 0;
    encode_batch(q, b, at);
    if (fd >= 0)
        why = write_batch(fd, b, at);
    pthread_mutex_lock(&q->lock);
    if (segment)
        segment->users--;
    if (why) {
        disk_failed(q, "cannot write", path ? path : segment ? segment->path : q->dir, why);
        if (!segment && fd >= 0) {
            unlink(path);
            close(fd);
        }
        free(path);
    } else {
        if (!segment)
            segment = q->current = segments_add(q, path, fd, b->blocks[0]->seq, 0);
        segment->size += b->out.n;
        q->disk_bytes += b->out.n;
        q->written_bytes += b->out.n;
        q->dirty = true;
        q->last_spill_ms = clock_mono_ms();
        settle_batch(q, b, segment);
        disk_recovered(q);
    }
    free_batch(b);
    buf_trim(&b->out, 1 << 20);
    buf_trim(&b->scratch, 1 << 20);
}

/* ---- syncing ---- */

static void store_cursors(struct queue *q, bool sync)
{
    for (unsigned i = 0; i < READERS_MAX; i++) {
        struct queue_reader *r = q->readers[i];
        if (!r || !r->cursor_dirty)
            continue;
        pthread_mutex_unlock(&q->lock);
        reader_store_cursor(r, sync);
        pthread_mutex_lock(&q->lock);
    }
}

static void sync_now(struct queue *q)
{
    struct log_segment *segment = q->current;
    q->dirty = false;
    q->last_sync_ms = clock_mono_ms();
    if (segment)
        segment->users++;
    pthread_mutex_unlock(&q->lock);
    int why = segment && fdatasync(segment->fd) != 0 ? errno : 0;
    pthread_mutex_lock(&q->lock);
    if (segment)
        segment->users--;
    q->fsyncs++;
    if (why)
        disk_failed(q, "cannot sync", q->dir, why);
    store_cursors(q, true);
}

/* ---- caps ---- */

/* Drops everything in the oldest segment. False when none can go. */
static bool drop_oldest_segment(struct queue *q, enum ledger_reason reason)
{
    struct log_segment *segment = q->oldest;
    uint32_t before = segment ? segment->entries : 0;
    if (!segment)
        return false;
    if (segment == q->current)
        q->current = NULL;
    for (uint64_t from = 0;;) {
        size_t i = entry_lower(q, from);
        while (i < q->n && entry_at(q, i)->segment != segment)
            i++;
        if (i == q->n || q->oldest != segment)
            break;
        struct entry *e = entry_at(q, i);
        from = e->seq + 1;
        if (e->unclaimed) {
            e->unclaimed = false;
            ledger_lost(q->ledger, STR(""), STR(""), reason, e->samples);
            segment->entries--;
            e->segment = NULL;
            entries_trim(q);
            continue;
        }
        entry_lose(q, e->seq, UINT32_MAX, reason);
        e = entry_find(q, from - 1);
        if (e && e->segment == segment && e->block) { /* held by a reader: RAM has it now */
            e->segment = NULL;
            segment->entries--;
        }
    }
    segments_collect(q, false);
    return q->oldest != segment || segment->entries < before;
}

/* The oldest block that is only in RAM goes. */
static bool drop_oldest_in_ram(struct queue *q)
{
    struct entry *e = first_unspilled(q);
    if (!e)
        return false;
    uint64_t seq = e->seq;
    q->unspilled_from = seq + 1;
    entry_lose(q, seq, UINT32_MAX, LEDGER_DISK);
    return true;
}

static void keep_caps(struct queue *q)
{
    while (q->disk_bytes > q->max_bytes && q->oldest && q->oldest->next) {
        log_throttled(2, LOG_ERROR, "queue", "the buffer has reached its cap of %llu bytes: the oldest blocks are dropped",
                      (unsigned long long)q->max_bytes);
        if (!drop_oldest_segment(q, LEDGER_OVERFLOW))
            break;
    }
    while (q->disk_error[0] && q->ram_bytes > q->options.ram_max_bytes) {
        log_throttled(3, LOG_ERROR, "queue", "no disk and RAM has reached its cap of %zu bytes: the oldest blocks are dropped",
                      q->options.ram_max_bytes);
        q->disk_retry_ms = 0; /* what goes may be what fills the disk */
        if (!drop_oldest_segment(q, LEDGER_DISK) && !drop_oldest_in_ram(q))
            break;
    }
}

/* Caps of one reader: its oldest blocks go, for it alone. */
static void keep_reader_caps(struct queue *q, struct queue_reader *r, int64_t wall_ms)
{
    int64_t age = q->options.max_age_ms;
    if (r->max_age_ms && r->max_age_ms < age)
        age = r->max_age_ms;
    for (;;) {
        size_t i = entry_lower(q, r->from_seq);
        uint32_t bit = 1u << r->slot;
        while (i < q->n && (!(entry_at(q, i)->pending & bit) || entry_is_out(entry_at(q, i), r)))
            i++;
        if (i == q->n)
            return;
        struct entry *e = entry_at(q, i);
        bool old = e->sealed_wall_ms < wall_ms - age;
        bool over = r->max_bytes && r->bytes > r->max_bytes;
        if (!old && !over)
            return;
        log_throttled(4 + r->slot, LOG_ERROR, "queue", "the oldest blocks for %s are dropped: %s", r->name,
                      old ? "older than the allowed age" : "its cap is reached");
        entry_lose(q, e->seq, bit, old ? LEDGER_TOO_OLD : LEDGER_OVERFLOW);
    }
}

static void keep_all_caps(struct queue *q)
{
    int64_t wall_ms = clock_wall_ms();
    keep_caps(q);
    for (unsigned i = 0; i < READERS_MAX; i++) {
        if (q->readers[i])
            keep_reader_caps(q, q->readers[i], wall_ms);
    }
}

/* ---- the thread ---- */

static void wait_ms(struct queue *q, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + ms % 1000 * 1000000;
    until.tv_sec += ms / 1000 + ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    pthread_cond_timedwait(&q->wake, &q->lock, &until);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < 0 ? b : b < 0 ? a : a < b ? a : b;
}

/* Until when nothing has to be done. */
static int64_t idle_ms(struct queue *q, int64_t spill_ms)
{
    int64_t sync = q->dirty ? q->last_sync_ms + q->options.fsync_interval_ms - clock_mono_ms() : -1;
    int64_t age = q->n || q->current ? AGE_CHECK_MS : IDLE_WAIT_MS;
    int64_t ms = earlier(earlier(spill_ms, sync < 0 && q->dirty ? 0 : sync), age);
    return ms < 1 ? 1 : ms;
}

/* A current segment that holds nothing any more goes after a while, not at once: a slow receiver would make a file for
   each block. */
static void retire_current(struct queue *q)
{
    if (q->current && q->current->entries == 0 && clock_mono_ms() - q->last_spill_ms > CURRENT_KEPT_MS)
        segments_collect(q, true);
}

static void last_words(struct queue *q)
{
    if (first_unspilled(q))
        log_error("queue", "the disk fails at the end (%s): what is in RAM is lost", q->disk_error);
    while (drop_oldest_in_ram(q))
        continue;
    segments_collect(q, true);
    sync_now(q);
}

void *writer_run(void *arg)
{
    struct queue *q = arg;
    struct batch b = {.n = 0};
    buf_init(&b.scratch, ENCODED_MAX);
    buf_init(&b.out, ENCODED_MAX);
    pthread_mutex_lock(&q->lock);
    for (;;) {
        int64_t spill_ms = spill_due_ms(q);
        if (spill_ms == 0)
            spill(q, &b);
        keep_all_caps(q);
        retire_current(q);
        if (q->dirty && clock_mono_ms() >= q->last_sync_ms + q->options.fsync_interval_ms)
            sync_now(q);
        if (q->stopping && (spill_due_ms(q) < 0 || q->disk_error[0]))
            break;
        spill_ms = spill_due_ms(q);
        if (spill_ms != 0)
            wait_ms(q, idle_ms(q, spill_ms));
    }
    last_words(q);
    pthread_mutex_unlock(&q->lock);
    buf_free(&b.scratch);
    buf_free(&b.out);
    return NULL;
}
