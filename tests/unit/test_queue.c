/* SPDX-License-Identifier: Apache-2.0 */
/* test_queue: order, lanes, readers, RAM and disk, restarts, endpoints that come and go. */
#include "queue_bed.h"

#include "base/log.h"

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

/* Endpoints are renamed often enough, in the life of an agent, to fill all places with old names. */
static void test_forgotten_names_make_room(void **state)
{
    struct bed t;
    struct queue_reader *keep;
    struct err err = {0};
    (void)state;
    bed_new(&t);
    bed_open(&t);
    keep = open_reader(&t, "keep");
    push(&t, 0, 0);
    for (uint32_t i = 1; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof name, "name%u", i);
        struct queue_reader *r = open_reader(&t, name);
        push(&t, 0, i);
        deliver(&t, r, name, i);
        assert_balance(&t, r, name);
        queue_reader_close(r);
    }
    assert_true(count_files(t.dir, "cursor-") <= 32);
    struct queue_reader *again = open_reader(&t, "name1");
    assert_balance(&t, again, "name1");
    queue_reader_close(again);
    for (uint32_t i = 0; i < 100; i++)
        deliver(&t, keep, "keep", i);
    assert_balance(&t, keep, "keep");
    assert_null(queue_reader_open(t.q, "keep", ignore, NULL, &err));
    assert_non_null(strstr(err.msg, "already reading"));
    queue_reader_close(keep);
    bed_free(&t);
}

static void test_a_name_with_blocks_left_keeps_its_place(void **state)
{
    struct bed t;
    struct queue_reader *r;
    struct err err = {0};
    (void)state;
    bed_new(&t);
    bed_open(&t);
    for (uint32_t i = 0; i < 32; i++) {
        char name[16];
        snprintf(name, sizeof name, "name%u", i);
        r = open_reader(&t, name);
        push(&t, 0, i);
        queue_reader_close(r);
    }
    assert_null(queue_reader_open(t.q, "more", ignore, NULL, &err));
    assert_non_null(strstr(err.msg, "no room"));
    bed_restart(&t);
    for (uint32_t i = 0; i < 32; i++) {
        char name[16];
        snprintf(name, sizeof name, "name%u", i);
        r = open_reader(&t, name);
        deliver(&t, r, name, i);
        assert_null(queue_take(r)); /* of the younger ones, which other names left on disk, none is owed to it */
        assert_balance(&t, r, name);
        queue_reader_close(r);
    }
    r = open_reader(&t, "more");
    queue_reader_close(r);
    bed_free(&t);
}

/* 100 kB that compress well, with the number in front. */
static struct block *make_soft_block(uint32_t number)
{
    struct block *b = make_block(0, number, 10, 100000);
    memset(b->data + sizeof number, (int)number, b->size - sizeof number);
    return b;
}

static void deliver_soft(struct bed *t, struct queue_reader *r, uint32_t number)
{
    struct block *b = queue_take(r), *want = make_soft_block(number);
    assert_non_null(b);
    assert_int_equal(b->size, want->size);
    assert_int_equal(b->raw_size, 0);
    assert_memory_equal(b->data, want->data, want->size);
    assert_true(b->jobs_n == 1 && str_eq_c(b->jobs[0].name, "app") && b->jobs[0].samples == 10);
    assert_int_equal(b->min_ts_ms, number);
    ledger_delivered(t->ledger, STR("a"), STR("app"), b->samples);
    queue_ack(r, b);
    block_unref(want);
}

static void test_a_burst_waits_packed_and_comes_out_as_it_was(void **state)
{
    struct bed t;
    struct queue_stats stats;
    (void)state;
    bed_new(&t);
    t.options.ram_max_bytes = 4000000;
    t.options.spill_after_ms = 60000;
    bed_open(&t);
    struct queue_reader *r = open_reader(&t, "a");
    for (uint32_t i = 0; i < 100; i++) /* 10 MB raw: packed they are less than half of the cap, so nothing is spilled */
        queue_push(t.q, make_soft_block(i));
    queue_stats(t.q, &stats);
    assert_int_equal(stats.ram_blocks, 100);
    assert_in_range(stats.ram_bytes, 500000, 800000); /* the first ones as they are, until an eighth was full */
    for (uint32_t i = 0; i < 40; i++)
        deliver_soft(&t, r, i);
    queue_reader_failing(r, true); /* the rest goes to the disk as it is */
    wait_until(nothing_in_ram, &t);
    for (uint32_t i = 40; i < 100; i++)
        deliver_soft(&t, r, i);
    assert_balance(&t, r, "a");
    queue_reader_close(r);
    bed_free(&t);
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
        cmocka_unit_test(test_two_processes_cannot_share_a_directory),
        cmocka_unit_test(test_a_late_endpoint_books_what_it_missed),
        cmocka_unit_test(test_forgotten_names_make_room),
        cmocka_unit_test(test_a_name_with_blocks_left_keeps_its_place),
        cmocka_unit_test(test_a_burst_waits_packed_and_comes_out_as_it_was),
    };
    log_set_level("error");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
