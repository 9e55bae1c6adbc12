/* SPDX-License-Identifier: Apache-2.0 */
/* segments: the list of files that hold the log: who needs them, reading from them, deleting them. A file is
   opened for each read and not kept open: a long backlog would take all descriptors of the process. */
#include "queue_private.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct log_segment *segments_add(struct queue *q, char *path, uint64_t size)
{
    struct log_segment *s = xcalloc(1, sizeof *s);
    *s = (struct log_segment){.prev = q->newest, .path = path, .size = size, .first_seq = UINT64_MAX};
    if (q->newest)
        q->newest->next = s;
    else
        q->oldest = s;
    q->newest = s;
    q->disk_bytes += size;
    q->segments++;
    return s;
}

void segments_enter(struct queue *q, struct log_segment *s, struct entry *e)
{
    e->segment = s;
    s->entries++;
    if (e->seq < s->first_seq)
        s->first_seq = e->seq;
    q->disk_blocks++;
}

void segments_collect(struct queue *q, struct log_segment *s)
{
    if (s->entries || s->users || s == q->current)
        return;
    if (s->prev)
        s->prev->next = s->next;
    else
        q->oldest = s->next;
    if (s->next)
        s->next->prev = s->prev;
    else
        q->newest = s->prev;
    q->disk_bytes -= s->size;
    q->segments--;
    s->next = q->doomed;
    q->doomed = s;
    pthread_cond_signal(&q->wake);
}

void segments_leave(struct queue *q, struct log_segment *s, uint32_t n)
{
    s->entries -= n;
    q->disk_blocks -= n;
    segments_collect(q, s);
}

void segments_free(struct log_segment *list)
{
    for (struct log_segment *next; list; list = next) {
        next = list->next;
        free(list->path);
        free(list);
    }
}

void segments_bury(struct queue *q)
{
    struct log_segment *list = q->doomed;
    if (!list)
        return;
    q->doomed = NULL;
    disk_begin(q);
    for (struct log_segment *s = list; s; s = s->next) {
        if (unlink(s->path) != 0 && errno != ENOENT)
            log_throttled(LOG_KEY + 1, LOG_ERROR, "queue", "cannot delete %s: %s", s->path, strerror(errno));
    }
    disk_end(q);
    segments_free(list);
}

struct block *segments_fetch(struct queue *q, struct log_segment *s, uint64_t offset, bool jobs, int *why,
                             struct err *err)
{
    struct block *b = NULL;
    s->users++;
    pthread_mutex_unlock(&q->lock);
    int fd = file_open(s->path);
    if (fd >= 0)
        b = jobs ? segment_read_jobs(fd, offset) : segment_read(fd, offset, err);
    *why = errno;
    if (!b)
        err_set(err, "%s", strerror(*why));
    if (fd >= 0)
        close(fd);
    err_prefix(err, "%s", s->path);
    pthread_mutex_lock(&q->lock);
    s->users--;
    segments_collect(q, s);
    return b;
}
