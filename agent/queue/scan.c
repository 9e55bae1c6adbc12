/* SPDX-License-Identifier: Apache-2.0 */
/* scan: reading a buffer directory from outside, without changing it. */
#include "queue.h"

#include "base/alloc.h"
#include "base/file.h"
#include "queue_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Longer than a batch takes to be written. */
#define SECOND_LOOK_US 20000

typedef bool scan_fn(void *ctx, const struct queue_record *record, const struct record *header);

/* The next record of a file. A running agent may be in the middle of writing one: what is torn gets a second
   look. */
static enum segment_step next_record(int fd, uint64_t *offset, struct record *r)
{
    uint64_t at = *offset;
    enum segment_step step = segment_next(fd, offset, r);
    if (step != STEP_TORN && step != STEP_CORRUPT)
        return step;
    usleep(SECOND_LOOK_US);
    *offset = at;
    return segment_next(fd, offset, r);
}

/* Visits the records of one file: headers only, or whole blocks. False when the visitor said stop. */
static bool scan_file(const char *path, bool whole, scan_fn *fn, void *ctx, uint64_t *corrupt)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint64_t offset = SEGMENT_HEADER_BYTES;
    struct record r;
    bool go_on = true;
    if (fd < 0 && errno == ENOENT)
        return true; /* a running agent has done with it */
    enum segment_kind kind = fd < 0 ? SEGMENT_NEWER : segment_check(fd);
    *corrupt += kind != SEGMENT_GOOD && kind != SEGMENT_EMPTY;
    if (fd < 0 || kind == SEGMENT_NEWER)
        offset = UINT64_MAX;
    for (enum segment_step step; go_on && (step = next_record(fd, &offset, &r)) != STEP_END;) {
        struct err err = {0};
        struct block *b = NULL;
        if (step == STEP_RECORD)
            b = whole ? segment_read(fd, r.offset, &err) : segment_read_jobs(fd, r.offset);
        if (!b) {
            (*corrupt)++;
            continue;
        }
        struct queue_record record = {.segment = path, .offset = r.offset, .run = r.run, .block = b};
        go_on = fn(ctx, &record, &r);
        block_unref(b);
    }
    if (fd >= 0)
        close(fd);
    return go_on;
}

static bool scan_files(const char *dir, bool whole, scan_fn *fn, void *ctx, uint64_t *corrupt,
                       struct err *err)
{
    struct file_list files;
    if (!file_list(dir, segment_is_name, &files, err))
        return false;
    bool go_on = true;
    for (size_t i = 0; i < files.n && go_on; i++)
        go_on = scan_file(files.v[i], whole, fn, ctx, corrupt);
    file_list_free(&files);
    return true;
}

struct visit {
    bool (*fn)(void *ctx, const struct queue_record *record);
    void *ctx;
};

static bool visit_record(void *ctx, const struct queue_record *record, const struct record *header)
{
    struct visit *v = ctx;
    (void)header;
    return v->fn(v->ctx, record);
}

bool queue_scan(const char *dir, bool (*fn)(void *ctx, const struct queue_record *record), void *ctx,
                uint64_t *corrupt_records, struct err *err)
{
    struct visit v = {fn, ctx};
    *corrupt_records = 0;
    return scan_files(dir, true, visit_record, &v, corrupt_records, err);
}

/* ---- cursors ---- */

struct counting {
    struct queue_cursor_info *out;
    struct cursor *cursors;
    size_t n;
};

static bool count_record(void *ctx, const struct queue_record *record, const struct record *header)
{
    struct counting *c = ctx;
    const struct block *b = record->block;
    for (size_t i = 0; i < c->n; i++) {
        struct queue_cursor_info *info = &c->out[i];
        if (cursor_delivered(&c->cursors[i], b->seq, b->lane, header->run))
            continue;
        info->pending_blocks++;
        info->pending_samples += b->samples;
        struct cursor_batch *batch = cursor_find_batch(&c->cursors[i], b->lane, header->run, b->seq);
        if (batch) {
            batch->seen++;
            batch->seen_samples += b->samples;
        }
        info->pending_bytes += header->size;
        if (!info->oldest_wall_ms || b->sealed_wall_ms < info->oldest_wall_ms)
            info->oldest_wall_ms = b->sealed_wall_ms;
    }
    return true;
}

/* What was done of a batch is not pending, as recovering sees it. */
static void discount_batches(struct queue_cursor_info *info, const struct cursor *cursor)
{
    for (size_t i = 0; i < cursor->batches_n; i++) {
        const struct cursor_batch *b = &cursor->batches[i];
        uint64_t done = progress_sum(&b->progress);
        if (b->seen == b->blocks && b->seen_samples == b->samples && done <= b->samples)
            info->pending_samples -= done;
    }
}

size_t queue_cursors(const char *dir, struct queue_cursor_info *out, size_t max, struct err *err)
{
    struct file_list files;
    uint64_t corrupt = 0;
    if (!file_list(dir, cursor_is_name, &files, err))
        return 0;
    struct counting c = {.out = out, .cursors = xcalloc(files.n, sizeof *c.cursors)};
    for (size_t i = 0; i < files.n && c.n < max; i++) {
        struct queue_cursor_info *info = &out[c.n];
        *info = (struct queue_cursor_info){0};
        if (cursor_read(files.v[i], &c.cursors[c.n]))
            memcpy(info->name, c.cursors[c.n].name, sizeof info->name);
        else if (!cursor_name_of(strrchr(files.v[i], '/') + 1, info->name) || !info->name[0])
            continue; /* damaged, and the file's name does not tell whose it was */
        info->acked_seq = c.cursors[c.n].low;
        c.n++;
    }
    bool scanned = scan_files(dir, false, count_record, &c, &corrupt, err);
    for (size_t i = 0; i < c.n; i++)
        discount_batches(&out[i], &c.cursors[i]);
    size_t n = !scanned ? 0 : files.n > max ? files.n : c.n;
    free(c.cursors);
    file_list_free(&files);
    return n;
}

bool queue_cursor_pending(const char *dir, const char *name, const struct queue_record *record)
{
    struct cursor c;
    struct record header;
    char *path = cursor_path(dir, name);
    bool known = cursor_read(path, &c);
    int fd = open(record->segment, O_RDONLY | O_CLOEXEC);
    uint64_t offset = record->offset;
    bool readable = fd >= 0 && segment_next(fd, &offset, &header) == STEP_RECORD;
    if (fd >= 0)
        close(fd);
    free(path);
    return !known || !readable || !cursor_delivered(&c, record->block->seq, record->block->lane, header.run);
}
