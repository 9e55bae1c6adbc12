/* SPDX-License-Identifier: Apache-2.0 */
/* test_queue_caps: when there is too much the oldest goes, for whom it must, and is in the books. */
#include "queue_bed.h"

#include "base/log.h"

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

/* It is written again, behind younger ones, and found in its place. */
static void test_a_held_block_whose_segment_went_survives_a_restart(void **state)
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
            wait_until(under_cap, &t);
    }
    wait_until(under_cap, &t);
    uint32_t lost = (uint32_t)lost_of(&t, "a") / 10;
    assert_true(lost > 0);
    queue_release(r, held);
    queue_reader_close(r);
    bed_restart(&t);
    r = open_reader(&t, "a");
    assert_balance(&t, r, "a");
    deliver(&t, r, "a", 0);
    deliver(&t, r, "a", lost + 1);
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

static bool some_lost(void *ctx)
{
    return lost_of(ctx, "a") > 0;
}

static void test_age_drops_what_is_too_old(void **state)
{
    struct bed t;
    (void)state;
    bed_new(&t);
    bed_open(&t);
    struct queue_reader *r = open_reader(&t, "a");
    struct block *old = make_block(0, 0, 10, 100);
    old->sealed_wall_ms -= 120000;
    queue_push(t.q, old);
    push(&t, 0, 1);
    queue_reader_close(r);
    t.options.max_age_ms = 60000;
    bed_restart(&t); /* before any reader is there */
    wait_until(some_lost, &t);
    r = open_reader(&t, "a");
    assert_int_equal(lost_of(&t, "a"), 10);
    assert_balance(&t, r, "a");
    deliver(&t, r, "a", 1);
    assert_balance(&t, r, "a");
    queue_reader_close(r);
    bed_free(&t);
}

static void test_a_clock_that_is_set_ages_nothing(void **state)
{
    struct bed t;
    (void)state;
    bed_new(&t);
    t.options.max_age_ms = 3600 * 1000;
    bed_open(&t);
    struct queue_reader *r = open_reader(&t, "a");
    struct block *early = make_block(0, 0, 10, 100);
    early->sealed_wall_ms = 1000; /* 1970, as a board without a clock says until it hears the time */
    queue_push(t.q, early);
    queue_reader_failing(r, true);
    wait_until(nothing_in_ram, &t);
    usleep(1200000); /* the caps have been looked at */
    deliver(&t, r, "a", 0);
    queue_reader_close(r);
    bed_free(&t);
}

static void test_own_age_is_its_own(void **state)
{
    struct bed t;
    (void)state;
    bed_new(&t);
    bed_open(&t);
    struct queue_reader *a = open_reader(&t, "a"), *b = open_reader(&t, "b");
    queue_reader_limits(a, 0, 50);
    push(&t, 0, 0);
    wait_until(some_lost, &t);
    assert_null(queue_take(a));
    deliver(&t, b, "b", 0);
    assert_balance(&t, a, "a");
    assert_balance(&t, b, "b");
    queue_reader_close(a);
    queue_reader_close(b);
    bed_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_cap_drops_the_oldest_and_books_it),
        cmocka_unit_test(test_a_block_held_while_its_segment_is_dropped_comes_back),
        cmocka_unit_test(test_a_held_block_whose_segment_went_survives_a_restart),
        cmocka_unit_test(test_a_readers_own_cap_is_its_own),
        cmocka_unit_test(test_age_drops_what_is_too_old),
        cmocka_unit_test(test_a_clock_that_is_set_ages_nothing),
        cmocka_unit_test(test_own_age_is_its_own),
    };
    log_set_level("error");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
