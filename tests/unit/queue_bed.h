/* SPDX-License-Identifier: Apache-2.0 */
/* queue_bed: a queue in a directory of its own, and the steps that its tests are made of. */
#ifndef OBSAGENT_TESTS_QUEUE_BED_H
#define OBSAGENT_TESTS_QUEUE_BED_H

#include "unit.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "queue.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct bed {
    char dir[64];
    struct ledger *ledger;
    struct queue *q;
    struct queue_options options;
};

/* Each test program uses its own part of this. */
#define BED_FN static __attribute__((unused))

BED_FN void ignore(void *ctx)
{
    (void)ctx;
}

BED_FN void bed_open(struct bed *t)
{
    struct err err = {0};
    t->options.dir = t->dir;
    t->options.ledger = t->ledger;
    t->q = queue_open(&t->options, &err);
    if (!t->q)
        fail_msg("%s", err.msg);
}

BED_FN void bed_close(struct bed *t)
{
    queue_close(t->q);
    t->q = NULL;
}

/* A restart in full: the books begin anew, too. */
BED_FN void bed_restart(struct bed *t)
{
    bed_close(t);
    ledger_free(t->ledger);
    t->ledger = ledger_new();
    bed_open(t);
}

BED_FN void bed_new(struct bed *t)
{
    *t = (struct bed){.ledger = ledger_new()};
    snprintf(t->dir, sizeof t->dir, "/tmp/obsagent-queue-XXXXXX");
    assert_non_null(mkdtemp(t->dir));
}

BED_FN void remove_tree(const char *dir)
{
    char *command = xasprintf("rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
    free(command);
}

BED_FN void bed_free(struct bed *t)
{
    if (t->q)
        queue_close(t->q);
    ledger_free(t->ledger);
    remove_tree(t->dir);
}

BED_FN struct queue_reader *open_reader(struct bed *t, const char *name)
{
    struct err err = {0};
    struct queue_reader *r = queue_reader_open(t->q, name, ignore, NULL, &err);
    if (!r)
        fail_msg("%s", err.msg);
    return r;
}

/* A block of n samples of one job whose data tells its number. */
BED_FN struct block *make_block(uint32_t lane, uint32_t number, uint32_t samples, size_t size)
{
    struct block *b = xcalloc(1, sizeof *b);
    b->refs = 1;
    b->lane = lane;
    b->series = b->samples = samples;
    b->sealed_wall_ms = clock_wall_ms();
    b->min_ts_ms = b->max_ts_ms = (int64_t)number;
    b->jobs = xmalloc(sizeof *b->jobs + 3);
    memcpy((char *)(b->jobs + 1), "app", 3);
    b->jobs[0] = (struct block_job){str_make((char *)(b->jobs + 1), 3), samples};
    b->jobs_n = 1;
    b->data = xmalloc(size);
    uint64_t noise = number + 88172645463325252ull; /* nothing that compresses */
    for (size_t i = 0; i < size; i++) {
        noise ^= noise << 13, noise ^= noise >> 7, noise ^= noise << 17;
        b->data[i] = (uint8_t)noise;
    }
    memcpy(b->data, &number, sizeof number);
    b->size = size;
    return b;
}

BED_FN uint32_t number_of(const struct block *b)
{
    uint32_t number;
    memcpy(&number, b->data, sizeof number);
    return number;
}

BED_FN void push(struct bed *t, uint32_t lane, uint32_t number)
{
    queue_push(t->q, make_block(lane, number, 10, 200));
}

/* Takes the next block, checks its number, and acknowledges it as delivered. */
BED_FN void deliver(struct bed *t, struct queue_reader *r, const char *name, uint32_t want)
{
    struct block *b = queue_take(r);
    if (!b)
        fail_msg("block %u is not there", want);
    assert_int_equal(number_of(b), want);
    ledger_delivered(t->ledger, str_of(name), STR("app"), b->samples);
    queue_ack(r, b);
}

BED_FN void assert_balance(struct bed *t, const struct queue_reader *r, const char *name)
{
    struct ledger_totals sum;
    struct queue_reader_stats stats;
    uint64_t in, out;
    /* A loss moves samples from the one to the other; between the two looks it may have happened. */
    for (int i = 0; i < 100; i++) {
        ledger_sum(t->ledger, str_of(name), &sum);
        queue_reader_stats(r, &stats);
        in = sum.restored + sum.scraped;
        out = sum.delivered + sum.filtered + sum.routed + sum.lost + sum.absent + stats.buffered_samples;
        if (in == out)
            return;
        usleep(1000);
    }
    fail_msg("restored %llu + scraped %llu != delivered %llu + lost %llu + absent %llu + buffered %llu",
             (unsigned long long)sum.restored, (unsigned long long)sum.scraped,
             (unsigned long long)sum.delivered, (unsigned long long)sum.lost, (unsigned long long)sum.absent,
             (unsigned long long)stats.buffered_samples);
}

BED_FN uint64_t lost_of(struct bed *t, const char *name)
{
    struct ledger_totals sum;
    ledger_sum(t->ledger, str_of(name), &sum);
    return sum.lost;
}

BED_FN uint64_t buffered_of(const struct queue_reader *r)
{
    struct queue_reader_stats stats;
    queue_reader_stats(r, &stats);
    return stats.buffered_samples;
}

BED_FN size_t count_files(const char *dir, const char *prefix)
{
    size_t n = 0;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));)
        n += strncmp(e->d_name, prefix, strlen(prefix)) == 0;
    if (d)
        closedir(d);
    return n;
}

BED_FN char *first_segment(const char *dir)
{
    char *found = NULL;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        bool first = !found || strcmp(e->d_name, strrchr(found, '/') + 1) < 0;
        if (strncmp(e->d_name, "seg-", 4) == 0 && first) {
            free(found);
            found = file_join(dir, e->d_name);
        }
    }
    if (d)
        closedir(d);
    assert_non_null(found);
    return found;
}

BED_FN void wait_until(bool (*done)(void *ctx), void *ctx)
{
    for (int i = 0; i < 1000; i++) {
        if (done(ctx))
            return;
        usleep(10000);
    }
    fail_msg("waited in vain");
}

BED_FN bool nothing_in_ram(void *ctx)
{
    struct queue_stats stats;
    queue_stats(((struct bed *)ctx)->q, &stats);
    return stats.ram_blocks == 0;
}

BED_FN bool disk_fails(void *ctx)
{
    struct queue_stats stats;
    queue_stats(((struct bed *)ctx)->q, &stats);
    return stats.disk_error[0] != '\0';
}

BED_FN bool disk_works(void *ctx)
{
    return !disk_fails(ctx) && nothing_in_ram(ctx);
}

/* A directory with `n` undelivered blocks in one segment, closed. */
BED_FN void fill(struct bed *t, uint32_t n)
{
    bed_new(t);
    bed_open(t);
    struct queue_reader *r = open_reader(t, "a");
    for (uint32_t i = 0; i < n; i++)
        push(t, 0, i);
    queue_reader_close(r);
    bed_close(t);
    ledger_free(t->ledger);
    t->ledger = ledger_new();
}

BED_FN void reopen(struct bed *t, struct queue_reader **r)
{
    bed_open(t);
    *r = open_reader(t, "a");
}

BED_FN void flip(const char *path, uint64_t at)
{
    uint8_t byte;
    int fd = open(path, O_RDWR);
    assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
    byte ^= 0x40;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    close(fd);
}

#endif
