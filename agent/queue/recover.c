/* SPDX-License-Identifier: Apache-2.0 */
/* recover: what an earlier run left in the directory. Nothing is wiped: what cannot be read is named and stepped over,
   what this version does not know is left alone. New data goes to new segments, never behind an old tail. */
#include "queue_private.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#define SEGMENT_PREFIX "seg-"
#define SEGMENT_SUFFIX ".log"

bool recover_directory(struct queue *q, bool *held, struct err *err)
{
    *held = false;
    if (!file_make_dirs(q->dir, err))
        return false;
    char *path = file_join(q->dir, "lock");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) {
        err_set(err, "cannot open %s: %s", path, strerror(errno));
    } else if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        *held = errno == EWOULDBLOCK;
        err_set(err, *held ? "%s is in use by another process" : "cannot lock %s", q->dir);
        close(fd);
        fd = -1;
    }
    free(path);
    if (q->lock_fd >= 0)
        close(q->lock_fd);
    q->lock_fd = fd;
    return fd >= 0;
}

static void load_cursors(struct queue *q, DIR *dir)
{
    for (struct dirent *d; (d = readdir(dir));) {
        char name[CURSOR_NAME_MAX];
        if (!cursor_name_of(d->d_name, name))
            continue;
        struct queue_reader *r = reader_add(q, name);
        if (!r) {
            log_error("queue", "more than %d cursors in %s: %s is ignored", READERS_MAX, q->dir, d->d_name);
            continue;
        }
        char *path = file_join(q->dir, d->d_name);
        if (!cursor_read(path, &r->cursor)) {
            log_error("queue", "%s is damaged: everything still on disk will be sent to %s again", path, name);
            memcpy(r->cursor.name, name, sizeof name);
        }
        if (r->cursor.low >= q->next_seq)
            q->next_seq = r->cursor.low + 1;
        for (size_t i = 0; i < CURSOR_LANES_MAX; i++) {
            if (r->cursor.acked[i] >= q->next_seq)
                q->next_seq = r->cursor.acked[i] + 1;
        }
        if (r->cursor.run >= q->run)
            q->run = r->cursor.run + 1;
        free(path);
    }
}

static bool is_segment(const char *name)
{
    struct str s = str_of(name);
    return str_starts(s, STR(SEGMENT_PREFIX)) && str_ends(s, STR(SEGMENT_SUFFIX));
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names of segments in order of their first seq, which their hexadecimal names sort by. */
static char **list_segments(DIR *dir, size_t *n)
{
    char **v = NULL;
    size_t cap = 0;
    *n = 0;
    for (struct dirent *d; (d = readdir(dir));) {
        if (!is_segment(d->d_name))
            continue;
        v = xgrow(v, &cap, *n + 1, sizeof *v);
        v[(*n)++] = xstrdup(d->d_name);
    }
    if (*n)
        qsort(v, *n, sizeof *v, by_name);
    return v;
}

/* The entry's bits: every remembered reader that has not delivered it. */
static void claim_for_all(struct queue *q, struct entry *e, bool any_reader)
{
    for (unsigned i = 0; i < READERS_MAX; i++) {
        struct queue_reader *r = q->readers[i];
        if (r && !cursor_delivered(&r->cursor, e->seq, e->lane, e->run))
            entry_claim(e, r);
    }
    e->unclaimed = !any_reader;
}

static void add_record(struct queue *q, struct log_segment *segment, const struct record *r)
{
    struct entry *last = q->n ? entry_at(q, q->n - 1) : NULL;
    if (last && r->seq <= last->seq) {
        log_warn("queue", "%s: record %llu stands twice or out of order: skipped", segment->path, (unsigned long long)r->seq);
        return;
    }
    struct entry *e = entry_push(q);
    *e = (struct entry){.seq = r->seq, .lane = r->lane, .run = r->run, .samples = r->samples,
                        .bytes = (uint32_t)r->size, .segment = segment, .offset = r->offset,
                        .sealed_wall_ms = r->sealed_wall_ms};
    segment->entries++;
    claim_for_all(q, e, q->readers[0] != NULL);
    if (r->seq >= q->next_seq)
        q->next_seq = r->seq + 1;
    if (r->run >= q->run)
        q->run = r->run + 1;
}

static void load_records(struct queue *q, struct log_segment *segment)
{
    uint64_t offset = SEGMENT_HEADER_BYTES;
    struct record r;
    for (enum segment_step step; (step = segment_next(segment->fd, &offset, &r)) != STEP_END;) {
        if (step == STEP_RECORD) {
            add_record(q, segment, &r);
        } else {
            q->corrupt++;
            log_error("queue", "%s: damaged from byte %llu to %llu, read on from there", segment->path,
                      (unsigned long long)r.offset, (unsigned long long)offset);
        }
    }
}

/* Our numbers begin far behind those of a file that is not read, so that no name of ours meets it. */
static void stay_clear(struct queue *q, const char *name)
{
    uint64_t first = strtoull(name + sizeof SEGMENT_PREFIX - 1, NULL, 16);
    if (first < UINT64_MAX >> 1 && first + (1ull << 32) > q->next_seq)
        q->next_seq = first + (1ull << 32);
}

static void load_segment(struct queue *q, const char *name)
{
    char *path = file_join(q->dir, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    enum segment_kind kind = size < 0 ? SEGMENT_FOREIGN : segment_check(fd);
    if (kind == SEGMENT_NEWER) {
        log_error("queue", "%s is of a newer format: left alone, its data is not sent by this version", path);
        stay_clear(q, name);
    } else if (size < 0) {
        log_error("queue", "cannot read %s: %s", path, strerror(errno));
    }
    if (kind == SEGMENT_FOREIGN && size >= 0) {
        log_error("queue", "%s: the file's header is damaged, looking for records behind it", path);
        q->corrupt++;
    }
    if (size >= 0 && kind != SEGMENT_NEWER) {
        load_records(q, segments_add(q, path, fd, 0, (uint64_t)size));
        return;
    }
    if (fd >= 0)
        close(fd);
    free(path);
}

void recover_contents(struct queue *q)
{
    size_t n = 0;
    DIR *dir = opendir(q->dir);
    if (!dir)
        return;
    load_cursors(q, dir);
    rewinddir(dir);
    char **names = list_segments(dir, &n);
    closedir(dir);
    for (size_t i = 0; i < n; i++) {
        load_segment(q, names[i]);
        free(names[i]);
    }
    free(names);
    entries_trim(q);
    for (unsigned i = 0; i < READERS_MAX; i++) {
        if (q->readers[i])
            reader_update_cursor(q->readers[i]);
    }
    segments_collect(q, true);
    if (q->n)
        log_info("queue", "%zu undelivered blocks found in %s", q->n, q->dir);
}
