/* SPDX-License-Identifier: Apache-2.0 */
/* spill: moving blocks from RAM to segment files, in batches, and syncing them. The order of writes: first
   the cursors, so that a record that some reader has delivered from RAM is not sent to it again after a kill;
   then the records; only then the entries point at them. */
#include "queue_private.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define BATCH_BLOCKS 64
#define BATCH_BYTES ((size_t)8 << 20)
#define ENCODED_MAX ((size_t)1 << 30)
#define KEPT_BYTES ((size_t)1 << 20)
/* A leftover file may bear the name that is due. */
#define NAMES_TRIED 16
/* Less is not worth a call. */
#define PREALLOCATE_MIN 4096

struct spill {
    struct block *blocks[BATCH_BLOCKS];
    uint32_t runs[BATCH_BLOCKS]; /* an earlier one for what moves from a dropped segment to a new one */
    uint64_t offsets[BATCH_BLOCKS];
    uint32_t sizes[BATCH_BLOCKS];
    size_t n;
    uint64_t samples; /* of the segment, with this batch */
    struct buf scratch, out;
};

struct spill *spill_new(void)
{
    struct spill *s = xcalloc(1, sizeof *s);
    buf_init(&s->scratch, ENCODED_MAX);
    buf_init(&s->out, ENCODED_MAX);
    return s;
}

void spill_free(struct spill *s)
{
    buf_free(&s->scratch);
    buf_free(&s->out);
    free(s);
}

struct entry *spill_first(struct queue *q)
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

/* ---- one batch ---- */

/* No more than a segment holds, so that the cap on all of them is kept to within one. */
static void collect(struct queue *q, struct spill *s)
{
    size_t bytes = 0, max = q->options.segment_bytes < BATCH_BYTES ? q->options.segment_bytes : BATCH_BYTES;
    for (size_t i = entry_lower(q, q->unspilled_from); i < q->n && s->n < BATCH_BLOCKS && bytes < max; i++) {
        struct entry *e = entry_at(q, i);
        if (!e->pending || e->segment || !e->block)
            continue;
        s->runs[s->n] = e->run;
        s->blocks[s->n++] = block_ref(e->block);
        bytes += e->block->size;
    }
}

static void encode(struct spill *s, uint64_t at)
{
    buf_clear(&s->out);
    if (at == 0)
        segment_header(s->blocks[0]->seq, &s->out);
    for (size_t i = 0; i < s->n; i++) {
        s->offsets[i] = at + s->out.n;
        segment_encode(s->blocks[i], s->runs[i], s->samples, &s->scratch, &s->out);
        s->samples += s->blocks[i]->samples;
        s->sizes[i] = (uint32_t)(at + s->out.n - s->offsets[i]);
    }
}

/* Errno, or 0. */
static int write_out(const struct queue *q, int fd, const struct spill *s, uint64_t at)
{
    int why = disk_room(q, s->out.n);
    for (size_t done = 0; !why && done < s->out.n;) {
        ssize_t n = pwrite(fd, s->out.p + done, s->out.n - done, (off_t)(at + done));
        if (n > 0)
            done += (size_t)n;
        else if (n == 0 || errno != EINTR)
            why = n < 0 ? errno : ENOSPC;
    }
    if (why && ftruncate(fd, (off_t)at) != 0)
        return why; /* the torn tail is found by its CRC, or overwritten next time */
    return why;
}

/* Room for the whole segment at once, so that it lies together and a write needs no new blocks. The size stays what is
   written. File systems that cannot do it, or have no room, do without. */
static void preallocate(const struct queue *q, int fd)
{
    if (q->options.segment_bytes >= PREALLOCATE_MIN)
        (void)fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)q->options.segment_bytes);
}

/* A new file; -1 and errno. */
static int create(const struct queue *q, uint64_t first_seq, char **path)
{
    int fd = -1;
    *path = NULL;
    for (unsigned i = 0; fd < 0 && i < NAMES_TRIED; i++) {
        free(*path);
        unsigned long long seq = first_seq;
        *path = i ? xasprintf("%s/" SEGMENT_PREFIX "%016llx-%u" SEGMENT_SUFFIX, q->dir, seq, i)
                  : xasprintf("%s/" SEGMENT_PREFIX "%016llx" SEGMENT_SUFFIX, q->dir, seq);
        fd = open(*path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (fd < 0 && errno != EEXIST)
            break;
    }
    int why = errno, dir = fd >= 0 ? open(q->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (dir >= 0) {
        (void)fsync(dir);
        close(dir);
    }
    errno = why;
    return fd;
}

/* Not under the lock. Opens a segment when there is none and writes; errno, or 0 and then *fd is open. */
static int write_batch(const struct queue *q, struct spill *s, int *fd, uint64_t at, char **path)
{
    bool fresh = *fd < 0;
    if (fresh)
        *fd = create(q, s->blocks[0]->seq, path);
    if (*fd < 0)
        return errno;
    if (fresh)
        preallocate(q, *fd);
    encode(s, at);
    int why = write_out(q, *fd, s, at);
    if (why && fresh) {
        unlink(*path);
        close(*fd);
    }
    return why;
}

/* The entries of the batch live in the segment now. */
static void settle(struct queue *q, const struct spill *s, struct log_segment *segment)
{
    for (size_t i = 0; i < s->n; i++) {
        struct entry *e = entry_find(q, s->blocks[i]->seq);
        segment->records++;
        if (!e || !e->pending || e->segment)
            continue; /* delivered or dropped meanwhile: its record is never read */
        for (unsigned k = 0; k < READERS_MAX; k++) {
            if (e->pending & (1u << k)) {
                q->readers[k]->bytes -= e->bytes;
                q->readers[k]->bytes += s->sizes[i];
            }
        }
        e->bytes = s->sizes[i];
        e->offset = s->offsets[i];
        segments_enter(q, segment, e);
        entry_drop_block(q, e);
    }
}

static void written(struct queue *q, const struct spill *s)
{
    q->current->size += s->out.n;
    q->current_samples = s->samples;
    q->disk_bytes += s->out.n;
    q->written_bytes += s->out.n;
    q->dirty = true;
    q->last_spill_ms = clock_mono_ms();
    settle(q, s, q->current);
    disk_recovered(q);
    cold_freeze(q);
}

void spill_some(struct queue *q, struct spill *s)
{
    if (q->current && q->current->size >= q->options.segment_bytes)
        spill_rotate(q);
    if (!disk_ready(q))
        return;
    q->spilling = true; /* from here on, who acknowledges stores its cursor itself */
    collect(q, s);
    reader_store_cursors(q, STORE);
    uint64_t at = q->current ? q->current->size : 0;
    s->samples = q->current ? q->current_samples : 0;
    int fd = q->current_fd;
    char *path = NULL;
    disk_begin(q);
    int why = s->n ? write_batch(q, s, &fd, at, &path) : 0;
    disk_end(q);
    if (why) {
        disk_failed(q, "cannot write", q->dir, why);
        free(path);
    } else if (s->n) {
        if (!q->current) {
            q->current = segments_add(q, path, 0);
            q->current_fd = fd;
        }
        written(q, s);
    }
    q->spilling = false;
    while (s->n)
        block_unref(s->blocks[--s->n]);
    buf_trim(&s->out, KEPT_BYTES);
    buf_trim(&s->scratch, KEPT_BYTES);
}

/* ---- syncing ---- */

static void sync_current(struct queue *q)
{
    int fd = q->current_fd;
    q->dirty = false;
    q->last_sync_ms = clock_mono_ms();
    if (fd < 0)
        return;
    disk_begin(q);
    int why = fdatasync(fd) != 0 ? errno : 0;
    disk_end(q);
    q->fsyncs++;
    if (why) {
        q->dirty = true; /* tried again */
        disk_failed(q, "cannot sync", q->dir, why);
    }
}

/* Not under the lock. Gives back what was set aside for the segment and not used. */
static void trim(int fd, uint64_t size)
{
    struct stat st;
    if (fstat(fd, &st) == 0 && (uint64_t)st.st_blocks * 512 > size + PREALLOCATE_MIN)
        (void)!ftruncate(fd, (off_t)size);
}

void spill_rotate(struct queue *q)
{
    struct log_segment *s = q->current;
    if (!s)
        return;
    if (q->dirty && s->entries)
        sync_current(q);
    int fd = q->current_fd;
    q->current_fd = -1;
    q->current = NULL;
    s->users++;
    disk_begin(q);
    if (s->entries)
        trim(fd, s->size);
    close(fd);
    disk_end(q);
    s->users--;
    segments_collect(q, s);
}

void spill_sync(struct queue *q)
{
    sync_current(q);
    reader_store_cursors(q, STORE_SYNC);
}
