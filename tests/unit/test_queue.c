/* SPDX-License-Identifier: Apache-2.0 */
/* test_queue: order, RAM and disk, restarts, damage, caps, and books that balance after every step. */
#include "unit.h"

#include "agent/queue/cursor.h"
#include "agent/queue/segment.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "queue.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct bed {
    char dir[64];
    struct ledger *ledger;
    struct queue *q;
    struct queue_options options;
};

static void ignore(void *ctx)
{
    (void)ctx;
}

static void bed_open(struct bed *t)
{
    struct err err = {0};
    t->options.dir = t->dir;
    t->options.ledger = t->ledger;
    t->q = queue_open(&t->options, &err);
    if (!t->q)
        fail_msg("%s", err.msg);
}

static void bed_new(struct bed *t)
{
    *t = (struct bed){.ledger = ledger_new()};
    snprintf(t->dir, sizeof t->dir, "/tmp/obsagent-queue-XXXXXX");
    assert_non_null(mkdtemp(t->dir));
}

static void remove_tree(const char *dir)
{
    char *command = xasprintf("rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
    free(command);
}

static void bed_free(struct bed *t)
{
    if (t->q)
        queue_close(t->q);
    ledger_free(t->ledger);
    remove_tree(t->dir);
}

static struct queue_reader *open_reader(struct bed *t, const char *name)
{
    struct err err = {0};
    struct queue_reader *r = queue_reader_open(t->q, name, ignore, NULL, &err);
    if (!r)
        fail_msg("%s", err.msg);
    return r;
}

/* A block of n samples of one job whose data tells its number. */
static struct block *make_block(uint32_t lane, uint32_t number, uint32_t samples, size_t size)
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

static uint32_t number_of(const struct block *b)
{
    uint32_t number;
    memcpy(&number, b->data, sizeof number);
    return number;
}

static void push(struct bed *t, uint32_t lane, uint32_t number)
{
    queue_push(t->q, make_block(lane, number, 10, 200));
}

/* Takes the next block, checks its number, and acknowledges it as delivered. */
static void deliver(struct bed *t, struct queue_reader *r, const char *name, uint32_t want)
{
    struct block *b = queue_take(r);
    if (!b)
        fail_msg("block %u is not there", want);
    assert_int_equal(number_of(b), want);
    ledger_delivered(t->ledger, str_of(name), STR("app"), b->samples);
    queue_ack(r, b);
}

static void assert_balance(struct bed *t, const struct queue_reader *r, const char *name)
{
    struct ledger_totals sum;
    struct queue_reader_stats stats;
    ledger_sum(t->ledger, str_of(name), &sum);
    queue_reader_stats(r, &stats);
    uint64_t in = sum.restored + sum.scraped, out = sum.delivered + sum.filtered + sum.lost + sum.absent;
    if (in != out + stats.buffered_samples)
        fail_msg("restored %llu + scraped %llu != delivered %llu + lost %llu + absent %llu + buffered %llu",
                 (unsigned long long)sum.restored, (unsigned long long)sum.scraped, (unsigned long long)sum.delivered,
                 (unsigned long long)sum.lost, (unsigned long long)sum.absent,
                 (unsigned long long)stats.buffered_samples);
}

static size_t count_files(const char *dir, const char *prefix)
{
    size_t n = 0;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));)
        n += strncmp(e->d_name, prefix, strlen(prefix)) == 0;
    if (d)
        closedir(d);
    return n;
}

static char *first_segment(const char *dir)
{
    char *found = NULL;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (strncmp(e->d_name, "seg-", 4) == 0 && (!found || strcmp(e->d_name, strrchr(found, '/') + 1) < 0)) {
            free(found);
            found = file_join(dir, e->d_name);
        }
    }
    if (d)
        closedir(d);
    assert_non_null(found);
    return found;
}

static void wait_until(bool (*done)(void *ctx), void *ctx)
{
    for (int i = 0; i < 500; i++) {
        if (done(ctx))
            return;
        usleep(10000);
    }
    fail_msg("waited in vain");
}

static bool nothing_in_ram(void *ctx)
{
    struct queue_stats stats;
    queue_stats(((struct bed *)ctx)->q, &stats);
    return stats.ram_blocks == 0;
}

static void test_healthy_blocks_never_touch_the_disk(void **state)
{
    struct bed t;
    (void)state;
    bed_new(&t);
    bed_open(&t);
    struct queue_reader *r = open_reader(&t, "a");
    for (uint32_t i = 0; i < 100; i++) {
        push(&t, 0, i);
        deliver(&t, r, "a", i);
    }
    assert_null(queue_take(r));
    assert_int_equal(count_files(t.dir, "seg-"), 0);
    assert_balance(&t, r, "a");
    queue_reader_close(r);
    bed_free(&t);
}

static void test_lanes_keep_their_order_and_do_not_wait_for_each_other(void **state)
{
    struct bed t;
    (void)state;
    bed_new(&t);
    bed_open(&t);
    struct queue_reader *r = open_reader(&t, "a");
    push(&t, 0, 1);
    push(&t, 0, 2);
    push(&t, 1, 3);
    struct block *first = queue_take(r), *other = queue_take(r);
    assert_int_equal(number_of(first), 1);
    assert_int_equal(number_of(other), 3);
    assert_null(queue_take(r));
    queue_ack(r, other);
    assert_null(queue_take(r));
    queue_release(r, first);
    struct block *again = queue_take(r);
    assert_int_equal(number_of(again), 1);
    queue_ack(r, again);
    deliver(&t, r, "a", 2);
    queue_reader_close(r);
    bed_free(&t);
}

static void test_readers_are_independent_and_share_one_log(void **state)
{
    struct bed t;
    (void)state;
    bed_new(&t);
    bed_open(&t);
    struct queue_reader *a = open_reader(&t, "a"), *b = open_reader(&t, "b");
    queue_reader_failing(b, true);
    for (uint32_t i = 0; i < 20; i++) {
        push(&t, 0, i);
        deliver(&t, a, "a", i);
    }
    wait_until(nothing_in_ram, &t);
    struct queue_reader_stats stats;
    queue_reader_stats(b, &stats);
    assert_int_equal(stats.buffered_samples, 200);
    assert_true(stats.behind);
    for (uint32_t i = 0; i < 20; i++)
        deliver(&t, b, "b", i);
    assert_balance(&t, a, "a");
    assert_balance(&t, b, "b");
    queue_reader_close(a);
    queue_reader_close(b);
    bed_free(&t);
}

static void test_restart_resumes_exactly(void **state)
{
    struct bed t;
    (void)state;
    bed_new(&t);
    bed_open(&t);
    struct queue_reader *r = open_reader(&t, "a");
    for (uint32_t i = 0; i < 30; i++)
        push(&t, i % 3, i);
    for (uint32_t i = 0; i < 7; i++)
        deliver(&t, r, "a", i);
    queue_reader_close(r);
    queue_close(t.q);
    bed_open(&t);
    r = open_reader(&t, "a");
    for (uint32_t i = 30; i < 33; i++)
        push(&t, i % 3, i);
    for (uint32_t i = 7; i < 33; i++)
        deliver(&t, r, "a", i);
    assert_null(queue_take(r));
    queue_reader_close(r);
    queue_close(t.q);
    assert_int_equal(count_files(t.dir, "seg-"), 0);
    t.q = NULL;
    bed_free(&t);
}

static void test_lanes_acknowledged_out_of_order_survive_a_restart(void **state)
{
    struct bed t;
    (void)state;
    bed_new(&t);
    t.options.always = true;
    bed_open(&t);
    struct queue_reader *r = open_reader(&t, "a");
    push(&t, 0, 0);
    for (uint32_t i = 1; i < 5; i++)
        push(&t, 1, i);
    wait_until(nothing_in_ram, &t);
    struct block *held = queue_take(r);
    assert_int_equal(number_of(held), 0);
    for (uint32_t i = 1; i < 4; i++)
        deliver(&t, r, "a", i);
    queue_release(r, held);
    queue_reader_close(r);
    queue_close(t.q);
    bed_open(&t);
    r = open_reader(&t, "a");
    deliver(&t, r, "a", 0);
    deliver(&t, r, "a", 4);
    assert_null(queue_take(r));
    queue_reader_close(r);
    bed_free(&t);
}

static void test_an_old_run_goes_before_a_new_one(void **state)
{
    struct bed t;
    (void)state;
    bed_new(&t);
    bed_open(&t);
    struct queue_reader *r = open_reader(&t, "a");
    push(&t, 0, 0);
    push(&t, 1, 1);
    queue_reader_close(r);
    queue_close(t.q);
    bed_open(&t);
    r = open_reader(&t, "a");
    push(&t, 5, 2); /* a free lane, but perhaps with the same series */
    struct block *zero = queue_take(r), *one = queue_take(r);
    assert_int_equal(number_of(zero), 0);
    assert_int_equal(number_of(one), 1);
    assert_null(queue_take(r));
    queue_ack(r, zero);
    assert_null(queue_take(r));
    queue_ack(r, one);
    deliver(&t, r, "a", 2);
    queue_reader_close(r);
    bed_free(&t);
}

/* ---- damage ---- */

/* A directory with `n` undelivered blocks in one segment. */
static void fill(struct bed *t, uint32_t n)
{
    bed_new(t);
    bed_open(t);
    struct queue_reader *r = open_reader(t, "a");
    for (uint32_t i = 0; i < n; i++)
        push(t, 0, i);
    queue_reader_close(r);
    queue_close(t->q);
    t->q = NULL;
    ledger_free(t->ledger);
    t->ledger = ledger_new();
}

static void reopen(struct bed *t, struct queue_reader **r)
{
    bed_open(t);
    *r = open_reader(t, "a");
}

/* Where record i begins. */
static uint64_t record_offset(const char *path, uint32_t i)
{
    int fd = open(path, O_RDONLY);
    uint64_t offset = SEGMENT_HEADER_BYTES;
    struct record r = {.offset = offset};
    for (uint32_t k = 0; k <= i; k++)
        assert_int_equal(segment_next(fd, &offset, &r), STEP_RECORD);
    close(fd);
    return r.offset;
}

static void flip(const char *path, uint64_t at)
{
    uint8_t byte;
    int fd = open(path, O_RDWR);
    assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
    byte ^= 0x40;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    close(fd);
}

static void test_torn_tail_costs_the_last_record_alone(void **state)
{
    struct bed t;
    struct queue_reader *r;
    struct stat st;
    (void)state;
    fill(&t, 5);
    char *path = first_segment(t.dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(truncate(path, st.st_size - 3), 0);
    reopen(&t, &r);
    push(&t, 0, 99);
    for (uint32_t i = 0; i < 4; i++)
        deliver(&t, r, "a", i);
    deliver(&t, r, "a", 99);
    assert_balance(&t, r, "a");
    free(path);
    queue_reader_close(r);
    bed_free(&t);
}

static void test_corrupt_payload_costs_one_record_and_is_booked(void **state)
{
    struct bed t;
    struct queue_reader *r;
    struct ledger_totals sum;
    (void)state;
    fill(&t, 5);
    char *path = first_segment(t.dir);
    flip(path, record_offset(path, 3) - 1);
    reopen(&t, &r);
    deliver(&t, r, "a", 0);
    deliver(&t, r, "a", 1);
    deliver(&t, r, "a", 3);
    deliver(&t, r, "a", 4);
    ledger_sum(t.ledger, STR("a"), &sum);
    assert_int_equal(sum.lost, 10);
    assert_balance(&t, r, "a");
    free(path);
    queue_reader_close(r);
    bed_free(&t);
}

static void test_corrupt_header_costs_one_record(void **state)
{
    struct bed t;
    struct queue_reader *r;
    struct queue_stats stats;
    (void)state;
    fill(&t, 5);
    char *path = first_segment(t.dir);
    flip(path, record_offset(path, 2) + 9);
    reopen(&t, &r);
    queue_stats(t.q, &stats);
    assert_int_equal(stats.corrupt_records_total, 1);
    deliver(&t, r, "a", 0);
    deliver(&t, r, "a", 1);
    deliver(&t, r, "a", 3);
    deliver(&t, r, "a", 4);
    assert_balance(&t, r, "a");
    free(path);
    queue_reader_close(r);
    bed_free(&t);
}

static void test_corrupt_file_header_does_not_cost_the_records(void **state)
{
    struct bed t;
    struct queue_reader *r;
    (void)state;
    fill(&t, 3);
    char *path = first_segment(t.dir);
    flip(path, 2);
    reopen(&t, &r);
    for (uint32_t i = 0; i < 3; i++)
        deliver(&t, r, "a", i);
    free(path);
    queue_reader_close(r);
    bed_free(&t);
}

static void test_junk_files_are_left_alone(void **state)
{
    struct bed t;
    struct queue_reader *r;
    struct err err = {0};
    static const char *const JUNK[] = {"notes.txt", "seg-zz", "cursor-%zz~", "seg-0000000000000000.log"};
    (void)state;
    fill(&t, 2);
    for (size_t i = 0; i < ROWS(JUNK); i++) {
        char *path = file_join(t.dir, JUNK[i]);
        assert_true(file_write_atomic(path, STR("junk"), &err));
        free(path);
    }
    reopen(&t, &r);
    deliver(&t, r, "a", 0);
    deliver(&t, r, "a", 1);
    assert_int_equal(count_files(t.dir, "notes.txt"), 1);
    queue_reader_close(r);
    bed_free(&t);
}

static void test_newer_format_is_refused_without_wiping(void **state)
{
    struct bed t;
    struct queue_reader *r;
    (void)state;
    fill(&t, 2);
    char *path = first_segment(t.dir);
    int fd = open(path, O_RDWR);
    assert_int_equal(pwrite(fd, "\x07", 1, 8), 1);
    close(fd);
    reopen(&t, &r);
    assert_null(queue_take(r));
    push(&t, 0, 5);
    deliver(&t, r, "a", 5);
    queue_reader_close(r);
    queue_close(t.q);
    t.q = NULL;
    assert_int_equal(access(path, F_OK), 0);
    free(path);
    bed_free(&t);
}

static void test_one_bad_cursor_slot_falls_back_to_the_other(void **state)
{
    struct bed t;
    struct queue_reader *r;
    struct cursor c;
    (void)state;
    fill(&t, 4);
    reopen(&t, &r);
    deliver(&t, r, "a", 0);
    deliver(&t, r, "a", 1);
    queue_reader_close(r);
    queue_close(t.q);
    char *path = cursor_path(t.dir, "a");
    assert_true(cursor_read(path, &c));
    assert_int_equal(c.low, 2);
    flip(path, c.turn % 2 * 2048 + 20);
    assert_true(cursor_read(path, &c));
    assert_true(c.low <= 2);
    reopen(&t, &r);
    struct block *b = queue_take(r);
    assert_true(number_of(b) <= 2); /* once too often is better than once too few */
    queue_ack(r, b);
    free(path);
    queue_reader_close(r);
    bed_free(&t);
}

static void test_both_cursor_slots_bad_sends_everything_again(void **state)
{
    struct bed t;
    struct queue_reader *r;
    (void)state;
    fill(&t, 3);
    char *path = cursor_path(t.dir, "a");
    flip(path, 20);
    flip(path, 2048 + 20);
    reopen(&t, &r);
    for (uint32_t i = 0; i < 3; i++)
        deliver(&t, r, "a", i);
    free(path);
    queue_reader_close(r);
    bed_free(&t);
}

static void test_missing_cursor_gives_everything_to_the_first_reader(void **state)
{
    struct bed t;
    struct queue_reader *r;
    (void)state;
    fill(&t, 3);
    char *path = cursor_path(t.dir, "a");
    unlink(path);
    bed_open(&t);
    r = open_reader(&t, "renamed");
    for (uint32_t i = 0; i < 3; i++)
        deliver(&t, r, "renamed", i);
    assert_balance(&t, r, "renamed");
    free(path);
    queue_reader_close(r);
    bed_free(&t);
}

static void test_a_missing_segment_in_the_middle_costs_only_itself(void **state)
{
    struct bed t;
    struct queue_reader *r;
    (void)state;
    bed_new(&t);
    t.options.always = true;
    t.options.segment_bytes = 1;
    bed_open(&t);
    r = open_reader(&t, "a");
    for (uint32_t i = 0; i < 3; i++) {
        push(&t, 0, i);
        wait_until(nothing_in_ram, &t);
    }
    queue_reader_close(r);
    queue_close(t.q);
    char *path = file_join(t.dir, "seg-0000000000000002.log");
    assert_int_equal(unlink(path), 0);
    reopen(&t, &r);
    deliver(&t, r, "a", 0);
    deliver(&t, r, "a", 2);
    assert_null(queue_take(r));
    free(path);
    queue_reader_close(r);
    bed_free(&t);
}

static void test_two_processes_cannot_share_a_directory(void **state)
{
    struct bed t;
    struct err err = {0};
    (void)state;
    bed_new(&t);
    bed_open(&t);
    struct queue_options options = t.options;
    assert_null(queue_open(&options, &err));
    assert_non_null(strstr(err.msg, "in use by another process"));
    bed_free(&t);
}

/* ---- caps ---- */

static bool under_cap(void *ctx)
{
    struct bed *t = ctx;
    struct queue_stats stats;
    queue_stats(t->q, &stats);
    return stats.ram_blocks == 0 && stats.disk_bytes <= stats.disk_bytes_max;
}

static void test_the_cap_drops_the_oldest_and_books_it(void **state)
{
    struct bed t;
    struct ledger_totals sum;
    (void)state;
    bed_new(&t);
    t.options.max_bytes = 64 * 1024;
    bed_open(&t);
    struct queue_reader *r = open_reader(&t, "a");
    queue_reader_failing(r, true);
    for (uint32_t i = 0; i < 200; i++) {
        queue_push(t.q, make_block(0, i, 10, 4096));
        if (i % 8 == 0)
            usleep(2000);
    }
    wait_until(under_cap, &t);
    ledger_sum(t.ledger, STR("a"), &sum);
    assert_true(sum.lost > 0);
    assert_balance(&t, r, "a");
    struct block *b = queue_take(r);
    uint32_t first = number_of(b);
    assert_int_equal(first * 10, sum.lost);
    queue_ack(r, b);
    queue_reader_close(r);
    bed_free(&t);
}

static void test_a_block_held_while_its_segment_is_dropped_comes_back(void **state)
{
    struct bed t;
    (void)state;
    bed_new(&t);
    t.options.max_bytes = 64 * 1024;
    bed_open(&t);
    struct queue_reader *r = open_reader(&t, "a");
    queue_reader_failing(r, true);
    queue_push(t.q, make_block(0, 0, 10, 4096));
    wait_until(nothing_in_ram, &t);
    struct block *held = queue_take(r);
    for (uint32_t i = 1; i < 100; i++) {
        queue_push(t.q, make_block(0, i, 10, 4096));
        if (i % 8 == 0)
            usleep(3000);
    }
    struct queue_stats stats;
    do
        queue_stats(t.q, &stats);
    while (stats.disk_bytes > stats.disk_bytes_max);
    queue_release(r, held);
    struct block *b = queue_take(r);
    assert_int_equal(number_of(b), 0);
    ledger_delivered(t.ledger, STR("a"), STR("app"), b->samples);
    queue_ack(r, b);
    assert_balance(&t, r, "a");
    queue_reader_close(r);
    bed_free(&t);
}

static bool reader_small(void *ctx)
{
    struct queue_reader_stats stats;
    queue_reader_stats(ctx, &stats);
    return stats.buffered_bytes <= 20 * 1024;
}

static void test_a_readers_own_cap_is_its_own(void **state)
{
    struct bed t;
    (void)state;
    bed_new(&t);
    bed_open(&t);
    struct queue_reader *a = open_reader(&t, "a"), *b = open_reader(&t, "b");
    queue_reader_limits(a, 20 * 1024, 0);
    queue_reader_failing(a, true);
    for (uint32_t i = 0; i < 50; i++)
        queue_push(t.q, make_block(0, i, 10, 4096));
    wait_until(reader_small, a);
    assert_balance(&t, a, "a");
    struct queue_reader_stats stats;
    queue_reader_stats(b, &stats);
    assert_int_equal(stats.buffered_samples, 500);
    queue_reader_close(a);
    queue_reader_close(b);
    bed_free(&t);
}

static void test_age_drops_what_is_too_old(void **state)
{
    struct bed t;
    struct ledger_totals sum;
    (void)state;
    bed_new(&t);
    t.options.max_age_ms = 60000;
    bed_open(&t);
    struct queue_reader *r = open_reader(&t, "a");
    struct block *old = make_block(0, 0, 10, 100);
    old->sealed_wall_ms -= 120000;
    queue_push(t.q, old);
    push(&t, 0, 1);
    do
        ledger_sum(t.ledger, STR("a"), &sum);
    while (sum.lost == 0);
    deliver(&t, r, "a", 1);
    assert_balance(&t, r, "a");
    queue_reader_close(r);
    bed_free(&t);
}

/* ---- a disk that fails ---- */

static bool disk_fails(void *ctx)
{
    struct queue_stats stats;
    queue_stats(((struct bed *)ctx)->q, &stats);
    return stats.disk_error[0] != '\0';
}

static bool disk_works(void *ctx)
{
    return !disk_fails(ctx) && nothing_in_ram(ctx);
}

static void test_an_unusable_directory_is_a_state(void **state)
{
    struct bed t;
    struct err err = {0};
    (void)state;
    bed_new(&t);
    char *file = file_join(t.dir, "file");
    assert_true(file_write_atomic(file, STR("x"), &err));
    char *inside = file_join(file, "buffer");
    struct queue_options options = {.dir = inside, .ledger = t.ledger, .ram_max_bytes = 20000};
    t.q = queue_open(&options, &err);
    assert_non_null(t.q);
    struct queue_reader *r = open_reader(&t, "a");
    queue_reader_failing(r, true);
    for (uint32_t i = 0; i < 100; i++)
        push(&t, 0, i);
    wait_until(disk_fails, &t);
    struct ledger_totals sum;
    for (int i = 0; i < 300; i++) {
        ledger_sum(t.ledger, STR("a"), &sum);
        if (sum.lost)
            break;
        usleep(10000);
    }
    assert_int_equal(sum.lost, 0); /* 100 blocks of 200 bytes are just below the cap */
    for (uint32_t i = 100; i < 150; i++)
        push(&t, 0, i);
    for (int i = 0; i < 500 && sum.lost < 500; i++) {
        usleep(10000);
        ledger_sum(t.ledger, STR("a"), &sum);
    }
    assert_int_equal(sum.lost, 500);
    assert_balance(&t, r, "a");
    assert_int_equal(unlink(file), 0);
    wait_until(disk_works, &t);
    deliver(&t, r, "a", 50);
    assert_balance(&t, r, "a");
    free(file);
    free(inside);
    queue_reader_close(r);
    bed_free(&t);
}

static void test_a_full_disk_is_a_state(void **state)
{
    struct bed t;
    struct ledger_totals sum;
    (void)state;
    bed_new(&t);
    if (mount("none", t.dir, "tmpfs", 0, "size=3m") != 0) {
        remove_tree(t.dir);
        ledger_free(t.ledger);
        skip();
    }
    t.options.max_bytes = 100 << 20;
    t.options.segment_bytes = 256 * 1024;
    t.options.ram_max_bytes = 1 << 20;
    bed_open(&t);
    struct queue_reader *r = open_reader(&t, "a");
    queue_reader_failing(r, true);
    for (uint32_t i = 0; i < 100; i++) {
        queue_push(t.q, make_block(0, i, 10, 50000));
        usleep(1000);
    }
    for (int i = 0; i < 500; i++) {
        struct queue_stats stats;
        queue_stats(t.q, &stats);
        if (stats.ram_bytes <= 1 << 20)
            break;
        usleep(10000);
    }
    ledger_sum(t.ledger, STR("a"), &sum);
    assert_true(sum.lost > 0);
    assert_balance(&t, r, "a");
    struct block *b;
    while ((b = queue_take(r))) {
        ledger_delivered(t.ledger, STR("a"), STR("app"), b->samples);
        queue_ack(r, b);
    }
    assert_balance(&t, r, "a");
    ledger_sum(t.ledger, STR("a"), &sum);
    assert_int_equal(sum.delivered + sum.lost, 1000);
    queue_reader_close(r);
    queue_close(t.q);
    t.q = NULL;
    assert_int_equal(umount(t.dir), 0);
    bed_free(&t);
}

/* ---- kill -9 ---- */

/* The child pushes and delivers, telling what it did through a pipe, until it is killed. */
static void child_works(struct bed *t, int out, unsigned seed)
{
    bed_open(t);
    struct queue_reader *r = open_reader(t, "a");
    queue_reader_failing(r, true);
    for (uint32_t i = 0;; i++) {
        uint32_t word[2] = {0, i};
        push(t, i % 2, i);
        if (rand_r(&seed) % 3 == 0) {
            struct block *b = queue_take(r);
            word[0] = b ? 1 + number_of(b) : 0;
            if (b)
                queue_ack(r, b);
        }
        if (write(out, word, sizeof word) != sizeof word)
            _exit(1);
        usleep(500);
    }
}

static void test_kill_loses_no_second_and_repeats_nothing(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 4; round++) {
        struct bed t;
        int ends[2];
        bool acked[4096] = {false};
        uint32_t pushed = 0, word[2];
        bed_new(&t);
        assert_int_equal(pipe(ends), 0);
        pid_t pid = fork();
        if (pid == 0)
            child_works(&t, ends[1], round + 1);
        close(ends[1]);
        usleep(200000 + round * 37000);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        while (read(ends[0], word, sizeof word) == sizeof word && word[1] < 4096) {
            if (word[0])
                acked[word[0] - 1] = true;
            pushed = word[1];
        }
        close(ends[0]);
        bed_open(&t);
        struct queue_reader *r = open_reader(&t, "a");
        bool seen[4096] = {false};
        uint32_t unreported = 0;
        for (struct block *b; (b = queue_take(r));) {
            uint32_t n = number_of(b);
            assert_true(n < 4096 && !seen[n]);
            seen[n] = true;
            assert_false(acked[n]);
            queue_ack(r, b);
        }
        /* At most what was pushed in the last moments is missing; one more may have been delivered and not told. */
        for (uint32_t i = 0; i + 60 < pushed; i++)
            unreported += !acked[i] && !seen[i];
        assert_true(unreported <= 1);
        queue_reader_close(r);
        bed_free(&t);
    }
}

/* ---- a random walk ---- */

static void test_random_steps_keep_the_books(void **state)
{
    unsigned seed = (unsigned)clock_wall_ms();
    struct bed t;
    struct queue_reader *r;
    uint32_t next = 0;
    (void)state;
    print_message("seed %u\n", seed);
    bed_new(&t);
    t.options.spill_after_ms = 5;
    bed_open(&t);
    r = open_reader(&t, "a");
    for (int step = 0; step < 2000; step++) {
        struct block *b;
        switch (rand_r(&seed) % 12) {
        case 0:
            queue_reader_failing(r, rand_r(&seed) % 2);
            break;
        case 1:
            usleep((unsigned)rand_r(&seed) % 3000);
            break;
        case 2:
            if (rand_r(&seed) % 20 == 0) {
                queue_reader_close(r);
                queue_close(t.q);
                ledger_free(t.ledger);
                t.ledger = ledger_new();
                bed_open(&t);
                r = open_reader(&t, "a");
            }
            break;
        case 3:
        case 4:
        case 5:
        case 6:
            b = queue_take(r);
            if (b && rand_r(&seed) % 4) {
                ledger_delivered(t.ledger, STR("a"), STR("app"), b->samples);
                queue_ack(r, b);
            } else if (b) {
                queue_release(r, b);
            }
            break;
        default:
            queue_push(t.q, make_block((uint32_t)rand_r(&seed) % 3, next++, 1 + (uint32_t)rand_r(&seed) % 50,
                                       64 + (size_t)rand_r(&seed) % 3000));
        }
        assert_balance(&t, r, "a");
    }
    queue_reader_close(r);
    bed_free(&t);
}

/* ---- endpoints that come and go ---- */

static void test_a_late_endpoint_books_what_it_missed(void **state)
{
    struct bed t;
    (void)state;
    bed_new(&t);
    bed_open(&t);
    struct queue_reader *a = open_reader(&t, "a");
    push(&t, 0, 0);
    struct queue_reader *b = open_reader(&t, "b");
    push(&t, 0, 1);
    deliver(&t, b, "b", 1);
    assert_balance(&t, a, "a");
    assert_balance(&t, b, "b");
    queue_reader_close(b);
    push(&t, 0, 2);
    b = open_reader(&t, "b");
    push(&t, 0, 3);
    deliver(&t, b, "b", 3);
    assert_balance(&t, b, "b");
    queue_reader_close(a);
    queue_reader_close(b);
    bed_free(&t);
}

static void test_names_make_files_and_back(void **state)
{
    static const char *const NAMES[] = {"main", "a/b", "..", "\xc3\xa9 x", "%41"};
    (void)state;
    for (size_t i = 0; i < ROWS(NAMES); i++) {
        char back[CURSOR_NAME_MAX];
        char *path = cursor_path("/d", NAMES[i]);
        assert_null(strchr(path + 3, '/'));
        assert_true(cursor_name_of(strrchr(path, '/') + 1, back));
        assert_string_equal(back, NAMES[i]);
        free(path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_healthy_blocks_never_touch_the_disk),
        cmocka_unit_test(test_lanes_keep_their_order_and_do_not_wait_for_each_other),
        cmocka_unit_test(test_readers_are_independent_and_share_one_log),
        cmocka_unit_test(test_restart_resumes_exactly),
        cmocka_unit_test(test_lanes_acknowledged_out_of_order_survive_a_restart),
        cmocka_unit_test(test_an_old_run_goes_before_a_new_one),
        cmocka_unit_test(test_torn_tail_costs_the_last_record_alone),
        cmocka_unit_test(test_corrupt_payload_costs_one_record_and_is_booked),
        cmocka_unit_test(test_corrupt_header_costs_one_record),
        cmocka_unit_test(test_corrupt_file_header_does_not_cost_the_records),
        cmocka_unit_test(test_junk_files_are_left_alone),
        cmocka_unit_test(test_newer_format_is_refused_without_wiping),
        cmocka_unit_test(test_one_bad_cursor_slot_falls_back_to_the_other),
        cmocka_unit_test(test_both_cursor_slots_bad_sends_everything_again),
        cmocka_unit_test(test_missing_cursor_gives_everything_to_the_first_reader),
        cmocka_unit_test(test_a_missing_segment_in_the_middle_costs_only_itself),
        cmocka_unit_test(test_two_processes_cannot_share_a_directory),
        cmocka_unit_test(test_the_cap_drops_the_oldest_and_books_it),
        cmocka_unit_test(test_a_block_held_while_its_segment_is_dropped_comes_back),
        cmocka_unit_test(test_a_readers_own_cap_is_its_own),
        cmocka_unit_test(test_age_drops_what_is_too_old),
        cmocka_unit_test(test_an_unusable_directory_is_a_state),
        cmocka_unit_test(test_a_full_disk_is_a_state),
        cmocka_unit_test(test_kill_loses_no_second_and_repeats_nothing),
        cmocka_unit_test(test_random_steps_keep_the_books),
        cmocka_unit_test(test_a_late_endpoint_books_what_it_missed),
        cmocka_unit_test(test_names_make_files_and_back),
    };
    log_set_level("error");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
