/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_segment: any bytes as a file of the disk buffer.

   Input: a letter that chooses, then the file. s: a segment; r: a segment whose checksums are made right first, so that
   what lies behind them is reached; c: a cursor; d: a cursor with right checksums. Reading always ends, moves forward
   only, and finds the same in a record whichever way it is read. */
#include "agent/queue/bytes.h"
#include "agent/queue/cursor.h"
#include "agent/queue/segment.h"
#include "base/hash.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FILE_MAX 65536
#define CURSOR_SLOT 2048

#define must(held) ((held) ? (void)0 : broken(__LINE__))

static void broken(int line)
{
    fprintf(stderr, "fuzz_segment.c:%d does not hold\n", line);
    abort();
}

/* A file of these bytes; it has no name on any disk. */
static int file_of(const uint8_t *p, size_t n)
{
    static int fd = -1;
    if (fd < 0)
        fd = memfd_create("fuzz", MFD_CLOEXEC);
    must(fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, p, n, 0) == (ssize_t)n);
    return fd;
}

/* Makes the checksums of everything right that looks like a record. */
static void repair_records(uint8_t *p, size_t n)
{
    for (size_t at = 0; at + RECORD_HEADER_BYTES <= n; at++) {
        uint8_t *h = p + at;
        if (memcmp(h, "OBSR", 4) != 0)
            continue;
        size_t left = n - at - RECORD_HEADER_BYTES, jobs = bytes_get32(h + 36), stored = bytes_get32(h + 40);
        if (jobs > left || stored > left - jobs)
            continue;
        bytes_put32(h + 48, hash_crc32c(0, h + RECORD_HEADER_BYTES + jobs, stored));
        bytes_put32(h + 52, hash_crc32c(0, h + RECORD_HEADER_BYTES, jobs));
        bytes_put32(h + 4, hash_crc32c(0, h + 8, RECORD_HEADER_BYTES - 8));
    }
}

static void read_record(int fd, const struct record *r)
{
    struct err err = {0};
    struct block *whole = segment_read(fd, r->offset, &err);
    struct block *jobs = segment_read_jobs(fd, r->offset);
    must((whole == NULL) == err_is(&err));
    must(!whole || jobs);
    if (jobs)
        must(jobs->seq == r->seq && jobs->samples == r->samples && !jobs->data);
    if (whole) {
        must(whole->seq == jobs->seq && whole->jobs_n == jobs->jobs_n);
        for (size_t i = 0; i < jobs->jobs_n; i++)
            must(str_eq(whole->jobs[i].name, jobs->jobs[i].name));
        must(whole->size == (r->compressed ? r->raw_bytes : r->stored_bytes));
        for (size_t i = 0; i < whole->size; i += 997)
            (void)*(volatile uint8_t *)&whole->data[i];
    }
    block_unref(whole);
    block_unref(jobs);
}

static void fuzz_segment(const uint8_t *p, size_t n)
{
    int fd = file_of(p, n);
    uint64_t offset = SEGMENT_HEADER_BYTES;
    struct record r;
    (void)segment_check(fd);
    for (;;) {
        uint64_t before = offset;
        enum segment_step step = segment_next(fd, &offset, &r);
        if (step == STEP_END)
            break;
        must(offset > before && offset <= n && r.offset == before);
        if (step == STEP_RECORD)
            read_record(fd, &r);
    }
    must(offset >= n || n < SEGMENT_HEADER_BYTES);
}

static void repair_cursor(uint8_t *p, size_t n)
{
    for (size_t at = 0; at + 192 <= n && at <= CURSOR_SLOT_BYTES; at += CURSOR_SLOT_BYTES) {
        uint32_t bytes = bytes_get32(p + at + 8);
        if (memcmp(p + at, "OBC2", 4) == 0 && bytes <= n - at - 8)
            bytes_put32(p + at + 4, hash_crc32c(0, p + at + 8, bytes));
    }
    for (size_t at = 0; at + CURSOR_SLOT <= n && at < 2 * CURSOR_SLOT; at += CURSOR_SLOT)
        bytes_put32(p + at + 4, hash_crc32c(0, p + at + 8, CURSOR_SLOT - 8));
}

static void fuzz_cursor(const uint8_t *p, size_t n)
{
    struct cursor c, again;
    char path[64], name[CURSOR_NAME_MAX];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file_of(p, n));
    bool good = cursor_read(path, &c);
    must(memchr(c.name, '\0', sizeof c.name) != NULL);
    must(good || (c.low == 0 && c.turn == 0));
    (void)cursor_delivered(&c, c.low + 1, (uint32_t)c.turn, c.windows[0].run);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    must(fd >= 0);
    must(cursor_write(fd, &c) && cursor_read(path, &again));
    close(fd);
    must(!good || c.turn == 0 || (again.turn == c.turn && again.low == c.low && strcmp(again.name, c.name) == 0));
    if (good && c.name[0]) {
        char *made = cursor_path(".", c.name);
        must(cursor_name_of(made + 2, name) && (name[0] == '\0' || strcmp(name, c.name) == 0)); /* "": hashed */
        free(made);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static uint8_t copy[FILE_MAX];
    if (n < 1 || n > FILE_MAX)
        return 0;
    memcpy(copy, data + 1, n - 1);
    if (data[0] == 'r')
        repair_records(copy, n - 1);
    if (data[0] == 'd')
        repair_cursor(copy, n - 1);
    if (data[0] == 'c' || data[0] == 'd')
        fuzz_cursor(copy, n - 1);
    else
        fuzz_segment(copy, n - 1);
    return 0;
}
