/* SPDX-License-Identifier: Apache-2.0 */
/* test_queue_damage: what a crash, a bad disk or a strange hand leaves in the directory costs what it hit, no
   more, and is in the books. */
#include "queue_bed.h"

#include "agent/queue/cursor.h"
#include "agent/queue/segment.h"
#include "base/hash.h"
#include "base/log.h"

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
    assert_int_equal(lost_of(&t, "a"), 10); /* its header says how much it held */
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

static void test_a_segment_that_was_only_begun_goes(void **state)
{
    struct bed t;
    struct queue_reader *r;
    (void)state;
    fill(&t, 2);
    char *path = file_join(t.dir, "seg-0000000000000009.log");
    int fd = open(path, O_WRONLY | O_CREAT, 0644);
    close(fd);
    reopen(&t, &r);
    deliver(&t, r, "a", 0);
    deliver(&t, r, "a", 1);
    queue_reader_close(r);
    bed_close(&t);
    assert_int_equal(access(path, F_OK), -1);
    free(path);
    bed_free(&t);
}

static void test_a_leftover_name_is_stepped_over(void **state)
{
    struct bed t;
    struct queue_reader *r;
    struct err err = {0};
    (void)state;
    bed_new(&t);
    reopen(&t, &r);
    char *path = file_join(t.dir, "seg-0000000000000001.log");
    assert_true(file_write_atomic(path, STR("another's file"), &err));
    queue_reader_failing(r, true);
    push(&t, 0, 0);
    wait_until(nothing_in_ram, &t);
    queue_reader_close(r);
    bed_restart(&t);
    r = open_reader(&t, "a");
    deliver(&t, r, "a", 0);
    queue_reader_close(r);
    bed_close(&t);
    assert_int_equal(access(path, F_OK), 0);
    free(path);
    bed_free(&t);
}

/* As a write leaves it that failed half-way and was repeated in a new file. */
static void test_a_record_that_stands_twice_is_sent_once(void **state)
{
    struct bed t;
    struct queue_reader *r;
    (void)state;
    fill(&t, 3);
    char *path = first_segment(t.dir);
    char *copy = xasprintf("cp '%s' '%s/seg-0000000000000001-1.log'", path, t.dir);
    assert_int_equal(system(copy), 0);
    reopen(&t, &r);
    assert_balance(&t, r, "a");
    for (uint32_t i = 0; i < 3; i++)
        deliver(&t, r, "a", i);
    assert_null(queue_take(r));
    queue_reader_close(r);
    bed_close(&t);
    assert_int_equal(count_files(t.dir, "seg-"), 0);
    free(copy);
    free(path);
    bed_free(&t);
}

static void test_newer_format_is_refused_without_wiping(void **state)
{
    struct bed t;
    struct queue_reader *r;
    (void)state;
    fill(&t, 2);
    char *path = first_segment(t.dir);
    uint8_t h[SEGMENT_HEADER_BYTES];
    int fd = open(path, O_RDWR);
    assert_int_equal(pread(fd, h, sizeof h, 0), sizeof h);
    h[8] = 7;
    uint32_t crc = hash_crc32c(hash_crc32c(0, h, 12), h + 16, sizeof h - 16);
    for (size_t i = 0; i < 4; i++)
        h[12 + i] = (uint8_t)(crc >> (8 * i));
    assert_int_equal(pwrite(fd, h, sizeof h, 0), sizeof h);
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

static void test_a_cursor_cut_short_is_a_damaged_one(void **state)
{
    struct bed t;
    struct queue_reader *r;
    (void)state;
    fill(&t, 3);
    char *path = cursor_path(t.dir, "a");
    assert_int_equal(truncate(path, 0), 0);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_torn_tail_costs_the_last_record_alone),
        cmocka_unit_test(test_corrupt_payload_costs_one_record_and_is_booked),
        cmocka_unit_test(test_corrupt_header_costs_one_record),
        cmocka_unit_test(test_corrupt_file_header_does_not_cost_the_records),
        cmocka_unit_test(test_junk_files_are_left_alone),
        cmocka_unit_test(test_a_segment_that_was_only_begun_goes),
        cmocka_unit_test(test_a_leftover_name_is_stepped_over),
        cmocka_unit_test(test_a_record_that_stands_twice_is_sent_once),
        cmocka_unit_test(test_newer_format_is_refused_without_wiping),
        cmocka_unit_test(test_one_bad_cursor_slot_falls_back_to_the_other),
        cmocka_unit_test(test_both_cursor_slots_bad_sends_everything_again),
        cmocka_unit_test(test_a_cursor_cut_short_is_a_damaged_one),
        cmocka_unit_test(test_missing_cursor_gives_everything_to_the_first_reader),
        cmocka_unit_test(test_a_missing_segment_in_the_middle_costs_only_itself),
    };
    log_set_level("error");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
