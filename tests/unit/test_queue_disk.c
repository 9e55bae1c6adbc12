/* SPDX-License-Identifier: Apache-2.0 */
/* test_queue_disk: a disk that fails, fills, vanishes, comes late, or is read-only is a state: nothing that
   is readable is given up for it, and what goes is in the books. */
#include "queue_bed.h"

#include "base/log.h"

#include <stdatomic.h>
#include <sys/mount.h>

/* ---- hanging ---- */

static atomic_bool hangs, hanging;

/* Takes the place of the C library's: the disk does not answer. */
int fdatasync(int fd)
{
    (void)fd;
    while (atomic_load(&hangs)) {
        atomic_store(&hanging, true);
        usleep(1000);
    }
    atomic_store(&hanging, false);
    return 0;
}

static bool does_hang(void *ctx)
{
    (void)ctx;
    return atomic_load(&hanging);
}

static void test_a_disk_that_hangs_holds_up_nobody_who_is_up(void **state)
{
    struct bed t;
    struct queue_stats stats;
    (void)state;
    bed_new(&t);
    t.options.ram_max_bytes = 100000;
    bed_open(&t);
    struct queue_reader *up = open_reader(&t, "up"), *down = open_reader(&t, "down");
    atomic_store(&hangs, true);
    queue_reader_failing(down, true);
    push(&t, 0, 0);
    wait_until(does_hang, &t);
    deliver(&t, up, "up", 0);
    usleep(1100000); /* now it is known to hang */
    int64_t before = clock_mono_ms();
    for (uint32_t i = 1; i < 1000; i++) {
        push(&t, i % 2, i);
        deliver(&t, up, "up", i);
    }
    assert_true(clock_mono_ms() - before < 5000);
    queue_stats(t.q, &stats);
    assert_true(stats.ram_bytes <= 100000);
    assert_true(lost_of(&t, "down") > 0);
    assert_int_equal(lost_of(&t, "up"), 0);
    assert_balance(&t, up, "up");
    assert_balance(&t, down, "down");
    atomic_store(&hangs, false);
    wait_until(nothing_in_ram, &t);
    queue_reader_close(up);
    queue_reader_close(down);
    bed_restart(&t);
    up = open_reader(&t, "up");
    down = open_reader(&t, "down");
    assert_null(queue_take(up)); /* what it acknowledged meanwhile has been stored since */
    deliver(&t, down, "down", 0);
    queue_reader_close(up);
    queue_reader_close(down);
    bed_free(&t);
}

/* ---- not there ---- */

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

/* ---- late ---- */

/* Puts the buffer's directory out of reach: a file stands in its place. */
static void hide(struct bed *t, char *aside)
{
    struct err err = {0};
    snprintf(aside, 80, "%s.aside", t->dir);
    assert_int_equal(rename(t->dir, aside), 0);
    assert_true(file_write_atomic(t->dir, STR("x"), &err));
}

static void unhide(struct bed *t, const char *aside)
{
    assert_int_equal(unlink(t->dir), 0);
    assert_int_equal(rename(aside, t->dir), 0);
}

static void test_a_directory_that_comes_late_brings_its_backlog(void **state)
{
    struct bed t;
    struct queue_reader *r;
    char aside[80];
    (void)state;
    fill(&t, 5);
    hide(&t, aside);
    reopen(&t, &r);
    queue_reader_failing(r, true);
    push(&t, 0, 10);
    push(&t, 0, 11);
    wait_until(disk_fails, &t);
    unhide(&t, aside);
    wait_until(disk_works, &t);
    queue_reader_failing(r, false);
    assert_balance(&t, r, "a");
    for (uint32_t i = 0; i < 3; i++)
        deliver(&t, r, "a", i);
    queue_reader_close(r);
    bed_restart(&t);
    r = open_reader(&t, "a");
    for (uint32_t i = 3; i < 5; i++)
        deliver(&t, r, "a", i);
    deliver(&t, r, "a", 10);
    deliver(&t, r, "a", 11);
    assert_null(queue_take(r));
    assert_balance(&t, r, "a");
    queue_reader_close(r);
    bed_free(&t);
}

/* ---- full ---- */

static bool ram_under_cap(void *ctx)
{
    struct bed *t = ctx;
    struct queue_stats stats;
    queue_stats(t->q, &stats);
    return stats.ram_bytes <= t->options.ram_max_bytes;
}

static bool mount_small(struct bed *t, const char *size)
{
    bed_new(t);
    if (mount("none", t->dir, "tmpfs", 0, size) == 0)
        return true;
    bed_free(t);
    skip();
    return false;
}

static void bed_unmount(struct bed *t)
{
    bed_close(t);
    assert_int_equal(umount(t->dir), 0);
    bed_free(t);
}

static void test_a_full_disk_gives_up_the_oldest_and_no_more_than_it_must(void **state)
{
    struct bed t;
    (void)state;
    if (!mount_small(&t, "size=3m"))
        return;
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
    wait_until(ram_under_cap, &t);
    usleep(100000);
    assert_balance(&t, r, "a");
    /* 5 MB came; about 2.4 MB fit on the disk and 1 MB in RAM. */
    assert_in_range(lost_of(&t, "a"), 100, 600);
    uint32_t last = 0;
    for (struct block *b; (b = queue_take(r));) {
        assert_true(last == 0 || number_of(b) == last + 1);
        last = number_of(b);
        ledger_delivered(t.ledger, STR("a"), STR("app"), b->samples);
        queue_ack(r, b);
    }
    assert_int_equal(last, 99);
    assert_balance(&t, r, "a");
    queue_reader_close(r);
    bed_unmount(&t);
}

/* ---- read-only ---- */

static void test_a_disk_that_turns_read_only_keeps_what_it_has(void **state)
{
    struct bed t;
    (void)state;
    if (!mount_small(&t, "size=16m"))
        return;
    t.options.ram_max_bytes = 100000;
    t.options.segment_bytes = 64 * 1024;
    bed_open(&t);
    struct queue_reader *r = open_reader(&t, "a");
    queue_reader_failing(r, true);
    for (uint32_t i = 0; i < 40; i++) {
        queue_push(t.q, make_block(0, i, 10, 10000));
        usleep(500);
    }
    wait_until(nothing_in_ram, &t);
    queue_reader_close(r);
    bed_close(&t);
    ledger_free(t.ledger);
    t.ledger = ledger_new();
    assert_int_equal(mount("none", t.dir, "tmpfs", MS_REMOUNT | MS_RDONLY, "size=16m"), 0);
    bed_open(&t);
    r = open_reader(&t, "a");
    assert_int_equal(buffered_of(r), 400);
    queue_reader_failing(r, true);
    for (uint32_t i = 40; i < 60; i++)
        queue_push(t.q, make_block(0, i, 10, 10000));
    wait_until(disk_fails, &t);
    wait_until(ram_under_cap, &t);
    /* What is on the disk can be read and sent: only RAM has to give way. */
    assert_int_equal(lost_of(&t, "a"), 100);
    assert_balance(&t, r, "a");
    for (uint32_t i = 0; i < 40; i++)
        deliver(&t, r, "a", i);
    assert_int_equal(mount("none", t.dir, "tmpfs", MS_REMOUNT, "size=16m"), 0);
    wait_until(disk_works, &t);
    assert_balance(&t, r, "a");
    queue_reader_close(r);
    bed_unmount(&t);
}

static void test_a_read_only_directory_is_still_delivered_from(void **state)
{
    struct bed t;
    (void)state;
    if (!mount_small(&t, "size=16m"))
        return;
    bed_open(&t);
    struct queue_reader *r = open_reader(&t, "a");
    for (uint32_t i = 0; i < 3; i++)
        push(&t, 0, i);
    queue_reader_close(r);
    bed_close(&t);
    assert_int_equal(mount("none", t.dir, "tmpfs", MS_REMOUNT | MS_RDONLY, "size=16m"), 0);
    bed_open(&t);
    r = open_reader(&t, "a");
    assert_true(disk_fails(&t));
    for (uint32_t i = 0; i < 3; i++)
        deliver(&t, r, "a", i);
    assert_int_equal(mount("none", t.dir, "tmpfs", MS_REMOUNT, "size=16m"), 0);
    wait_until(disk_works, &t); /* and then remembers what has been delivered */
    queue_reader_close(r);
    bed_restart(&t);
    r = open_reader(&t, "a");
    assert_null(queue_take(r));
    queue_reader_close(r);
    bed_unmount(&t);
}

/* ---- gone ---- */

static bool everything_lost(void *ctx)
{
    return lost_of(ctx, "a") == 50;
}

static void test_a_directory_that_is_removed_is_booked_and_made_anew(void **state)
{
    struct bed t;
    (void)state;
    bed_new(&t);
    bed_open(&t);
    struct queue_reader *r = open_reader(&t, "a");
    queue_reader_failing(r, true);
    for (uint32_t i = 0; i < 5; i++)
        push(&t, 0, i);
    wait_until(nothing_in_ram, &t);
    remove_tree(t.dir);
    wait_until(everything_lost, &t);
    assert_balance(&t, r, "a");
    push(&t, 0, 5);
    wait_until(disk_works, &t);
    assert_int_equal(count_files(t.dir, "seg-"), 1);
    queue_reader_close(r);
    bed_restart(&t);
    r = open_reader(&t, "a");
    deliver(&t, r, "a", 5);
    assert_null(queue_take(r));
    queue_reader_close(r);
    bed_free(&t);
}

/* A clean-up that takes the lock file alone: the directory is still ours, and nobody else's. */
static void test_a_lock_file_that_is_removed_is_made_anew(void **state)
{
    struct bed t;
    struct err err = {0};
    (void)state;
    bed_new(&t);
    bed_open(&t);
    struct queue_reader *r = open_reader(&t, "a");
    queue_reader_failing(r, true);
    for (uint32_t i = 0; i < 3; i++)
        push(&t, 0, i);
    wait_until(nothing_in_ram, &t);
    char *lock = file_join(t.dir, "lock");
    assert_int_equal(unlink(lock), 0);
    push(&t, 0, 3);
    wait_until(nothing_in_ram, &t);
    assert_int_equal(access(lock, F_OK), 0);
    assert_null(queue_open(&t.options, &err)); /* a second one is refused as before */
    assert_non_null(strstr(err.msg, "is in use by another process"));
    for (uint32_t i = 0; i < 4; i++)
        deliver(&t, r, "a", i);
    assert_int_equal(lost_of(&t, "a"), 0);
    assert_balance(&t, r, "a");
    free(lock);
    queue_reader_close(r);
    bed_free(&t);
}

/* Flash wears: an agent that is behind and has nothing new writes nothing. */
static void test_waiting_writes_nothing(void **state)
{
    struct bed t;
    struct queue_stats before, after;
    (void)state;
    bed_new(&t);
    t.options.disk_retry_ms = 10; /* so often it looks for something to do */
    t.options.fsync_interval_ms = 10;
    bed_open(&t);
    struct queue_reader *r = open_reader(&t, "a");
    queue_reader_failing(r, true);
    for (uint32_t i = 0; i < 3; i++)
        push(&t, 0, i);
    wait_until(nothing_in_ram, &t);
    usleep(200000);
    queue_stats(t.q, &before);
    usleep(300000);
    queue_stats(t.q, &after);
    assert_int_equal(after.disk_written_bytes_total, before.disk_written_bytes_total);
    assert_int_equal(after.fsyncs_total, before.fsyncs_total);
    queue_reader_close(r);
    bed_free(&t);
}

/* What is set aside for a segment is given back when it is closed. */
static void test_a_segment_has_its_room_set_aside(void **state)
{
    struct bed t;
    struct stat st;
    (void)state;
    bed_new(&t);
    t.options.segment_bytes = 1 << 20;
    bed_open(&t);
    struct queue_reader *r = open_reader(&t, "a");
    queue_reader_failing(r, true);
    push(&t, 0, 0);
    wait_until(nothing_in_ram, &t);
    char *path = first_segment(t.dir);
    assert_int_equal(stat(path, &st), 0);
    assert_in_range(st.st_size, 200, 1000);
    bool can = st.st_blocks * 512 >= 1 << 20;
    queue_reader_close(r);
    bed_close(&t);
    assert_int_equal(stat(path, &st), 0);
    assert_in_range(st.st_blocks * 512, 1, 65536);
    free(path);
    bed_free(&t);
    if (!can)
        skip(); /* not on this file system */
}

static void test_the_error_goes_away_with_its_cause(void **state)
{
    struct bed t;
    struct queue_reader *r;
    char aside[80];
    (void)state;
    fill(&t, 1);
    hide(&t, aside);
    reopen(&t, &r);
    assert_true(disk_fails(&t));
    unhide(&t, aside);
    wait_until(disk_works, &t); /* though there is nothing to write */
    queue_reader_close(r);
    bed_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_disk_that_hangs_holds_up_nobody_who_is_up),
        cmocka_unit_test(test_an_unusable_directory_is_a_state),
        cmocka_unit_test(test_a_directory_that_comes_late_brings_its_backlog),
        cmocka_unit_test(test_a_full_disk_gives_up_the_oldest_and_no_more_than_it_must),
        cmocka_unit_test(test_a_disk_that_turns_read_only_keeps_what_it_has),
        cmocka_unit_test(test_a_read_only_directory_is_still_delivered_from),
        cmocka_unit_test(test_a_directory_that_is_removed_is_booked_and_made_anew),
        cmocka_unit_test(test_a_lock_file_that_is_removed_is_made_anew),
        cmocka_unit_test(test_waiting_writes_nothing),
        cmocka_unit_test(test_a_segment_has_its_room_set_aside),
        cmocka_unit_test(test_the_error_goes_away_with_its_cause),
    };
    log_set_level("error");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
