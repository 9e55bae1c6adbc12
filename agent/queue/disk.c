/* SPDX-License-Identifier: Apache-2.0 */
/* disk: a disk that fails is a state, not an end: full, read-only, removed, or not there yet. Blocks stay in
   RAM, and every few seconds it is tried again. */
#include "queue_private.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PROBE_BYTES 4096

void disk_begin(struct queue *q)
{
    q->io_since_ms = clock_mono_ms();
    pthread_mutex_unlock(&q->lock);
}

void disk_end(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->io_since_ms = 0;
}

static void set_error(struct queue *q, const char *text, bool full)
{
    bool fresh = q->disk_error[0] == '\0';
    snprintf(q->disk_error, sizeof q->disk_error, "%.250s", text);
    q->disk_retry_ms = clock_mono_ms() + q->options.disk_retry_ms;
    q->disk_full = full;
    if (fresh) /* a disk that is just full comes and goes */
        log_throttled(LOG_KEY + 50, LOG_ERROR, "queue", "the buffer's disk fails, blocks stay in RAM: %s",
                      q->disk_error);
}

void disk_failed(struct queue *q, const char *what, const char *path, int why)
{
    struct err err = {0};
    err_set(&err, "%s %.200s: %s", what, path, strerror(why));
    set_error(q, err.msg, why == ENOSPC || why == EDQUOT || why == EFBIG);
}

void disk_failed_because(struct queue *q, const char *text)
{
    set_error(q, text, false);
}

void disk_recovered(struct queue *q)
{
    if (q->disk_error[0])
        log_throttled(LOG_KEY + 51, LOG_INFO, "queue", "the buffer's disk works again");
    q->disk_error[0] = '\0';
    q->disk_full = false;
}

int disk_room(const struct queue *q, uint64_t n)
{
    struct statvfs fs;
    if (statvfs(q->dir, &fs) != 0)
        return errno;
    return (uint64_t)fs.f_bavail * fs.f_frsize < n + q->options.segment_bytes ? ENOSPC : 0;
}

uint64_t disk_size(const struct queue *q)
{
    struct statvfs fs;
    return statvfs(q->dir, &fs) == 0 ? (uint64_t)fs.f_blocks * fs.f_frsize : UINT64_MAX;
}

/* ---- the directory ---- */

void disk_remember_directory(struct queue *q)
{
    if (q->dir_fd >= 0)
        close(q->dir_fd);
    q->dir_fd = open(q->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* What has this name is not what the descriptor stands for. An error says nothing. */
static bool is_another(const char *path, int fd)
{
    struct stat ours, there;
    if (stat(path, &there) != 0)
        return errno == ENOENT || errno == ENOTDIR;
    return fstat(fd, &ours) == 0 && (ours.st_dev != there.st_dev || ours.st_ino != there.st_ino);
}

/* The lock file under our name is not ours any more. Not under the lock. */
static bool lock_has_gone(const struct queue *q, int lock_fd)
{
    char *path = file_join(q->dir, "lock");
    bool gone = is_another(path, lock_fd);
    free(path);
    return gone;
}

/* The directory is the one we had, only the lock file is missing: a new one, locked; -1 when it is not so, or when
   another process was faster. Not under the lock. */
static int lock_again(const struct queue *q)
{
    struct err err = {0};
    bool held, read_only;
    if (q->dir_fd < 0 || is_another(q->dir, q->dir_fd))
        return -1;
    int fd = recover_directory(q, &held, &read_only, &err);
    if (fd >= 0)
        log_error("queue", "the file lock was removed from %s: made anew", q->dir);
    return fd;
}

/* What was in the directory is lost. */
static void give_up_directory(struct queue *q)
{
    log_error("queue", "%s has been removed or replaced", q->dir);
    spill_rotate(q);
    close(q->lock_fd);
    q->lock_fd = -1;
    disk_look(q);
    for (unsigned i = 0; i < READERS_MAX; i++) {
        if (q->readers[i])
            reader_forget_file(q->readers[i]);
    }
}

static bool take_directory(struct queue *q)
{
    struct err err = {0};
    bool held, read_only;
    disk_begin(q);
    int fd = recover_directory(q, &held, &read_only, &err);
    uint64_t fs_bytes = disk_size(q);
    disk_end(q);
    if (fd >= 0 && !recover_contents(q, true)) {
        err_set(&err, "%s holds blocks that cannot be put in order with those in RAM", q->dir);
        close(fd);
        fd = -1;
    }
    if (fd < 0) {
        disk_failed_because(q, err.msg);
        return false;
    }
    q->lock_fd = fd;
    queue_set_sizes(q, fs_bytes);
    reader_store_cursors(q, STORE);
    return true;
}

bool disk_ready(struct queue *q)
{
    if (q->lock_fd < 0)
        return take_directory(q);
    int fd = q->lock_fd;
    disk_begin(q);
    bool gone = lock_has_gone(q, fd);
    int again = gone ? lock_again(q) : -1;
    disk_end(q);
    if (again >= 0) {
        close(fd);
        q->lock_fd = again;
    }
    if (!gone || again >= 0)
        return true;
    give_up_directory(q);
    return take_directory(q);
}

/* Not under the lock. Errno of what went wrong, or 0. */
static int write_probe(const struct queue *q)
{
    static const char zeros[PROBE_BYTES];
    int why = disk_room(q, PROBE_BYTES);
    if (why)
        return why;
    char *path = file_join(q->dir, "probe");
    errno = 0;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, zeros, sizeof zeros) != sizeof zeros || fdatasync(fd) != 0)
        why = errno ? errno : ENOSPC;
    if (fd >= 0) {
        close(fd);
        unlink(path);
    }
    free(path);
    return why;
}

void disk_probe(struct queue *q)
{
    if (!disk_ready(q))
        return;
    disk_begin(q);
    int why = write_probe(q);
    disk_end(q);
    q->written_bytes += PROBE_BYTES;
    if (why) {
        disk_failed(q, "cannot write in", q->dir, why);
        return;
    }
    disk_recovered(q);
    reader_store_cursors(q, STORE);
}

/* ---- segments that somebody removed ---- */

/* Releases the lock meanwhile. */
static bool is_missing(struct queue *q, struct log_segment *s)
{
    s->users++;
    disk_begin(q);
    bool missing = access(s->path, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR);
    disk_end(q);
    s->users--;
    return missing;
}

void disk_look(struct queue *q)
{
    struct log_segment *s = q->oldest;
    bool all = false; /* the oldest one stands for the others while it is there */
    while (s) {
        bool missing = is_missing(q, s);
        struct log_segment *next = s->next;
        if (missing && s->entries) {
            log_error("queue", "%s has been removed: %u blocks are lost", s->path, s->entries);
            caps_drop_segment(q, s, LEDGER_CORRUPT);
            all = true;
            s = q->oldest; /* others may have gone meanwhile */
            continue;
        }
        segments_collect(q, s);
        s = all ? next : NULL;
    }
}
