/* SPDX-License-Identifier: Apache-2.0 */
/* test_queue_cold: a long backlog does not grow RAM: entries of whole segments are left out and come back in
   order, for each reader, over restarts, drops and damage. */
#include "queue_bed.h"

#include "agent/queue/queue_private.h"
#include "base/log.h"

#define BLOCKS 12000
#define ENTRIES_MAX 6000

static size_t entries_of(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    size_t n = q->n;
    pthread_mutex_unlock(&q->lock);
    return n;
}

static void push_small(struct bed *t, uint32_t i)
{
    queue_push(t->q, make_block(i % 3, i, 10, 64));
    if (i % 500 == 499)
        wait_until(nothing_in_ram, t);
}

/* Both readers have BLOCKS to deliver. */
static void long_backlog(struct bed *t, struct queue_reader **a, struct queue_reader **b)
{
    bed_new(t);
    t->options.segment_bytes = 64 * 1024;
    bed_open(t);
    *a = open_reader(t, "a");
    *b = open_reader(t, "b");
    queue_reader_failing(*a, true);
    for (uint32_t i = 0; i < BLOCKS; i++)
        push_small(t, i);
    wait_until(nothing_in_ram, t);
    assert_true(entries_of(t->q) < ENTRIES_MAX);
}

static void close_all(struct bed *t, struct queue_reader *a, struct queue_reader *b)
{
    queue_reader_close(a);
    queue_reader_close(b);
    bed_free(t);
}

static void test_a_long_backlog_is_delivered_in_order(void **state)
{
    struct bed t;
    struct queue_reader *a, *b;
    (void)state;
    long_backlog(&t, &a, &b);
    for (uint32_t i = 0; i < BLOCKS; i++)
        deliver(&t, a, "a", i);
    assert_null(queue_take(a));
    assert_balance(&t, a, "a");
    assert_int_equal(buffered_of(b), BLOCKS * 10);
    for (uint32_t i = 0; i < BLOCKS; i++)
        deliver(&t, b, "b", i);
    assert_null(queue_take(b));
    assert_balance(&t, b, "b");
    close_all(&t, a, b);
}

static void test_it_survives_a_restart_half_way(void **state)
{
    struct bed t;
    struct queue_reader *a, *b;
    (void)state;
    long_backlog(&t, &a, &b);
    for (uint32_t i = 0; i < BLOCKS / 2; i++)
        deliver(&t, a, "a", i);
    for (uint32_t i = 0; i < 7; i++)
        deliver(&t, b, "b", i);
    queue_reader_close(a);
    queue_reader_close(b);
    bed_restart(&t);
    assert_true(entries_of(t.q) < ENTRIES_MAX);
    a = open_reader(&t, "a");
    b = open_reader(&t, "b");
    assert_balance(&t, a, "a");
    for (uint32_t i = BLOCKS / 2; i < BLOCKS; i++)
        deliver(&t, a, "a", i);
    for (uint32_t i = 7; i < BLOCKS; i++)
        deliver(&t, b, "b", i);
    assert_null(queue_take(a));
    assert_null(queue_take(b));
    assert_balance(&t, b, "b");
    close_all(&t, a, b);
}

static void test_the_first_reader_of_a_directory_gets_cold_segments_too(void **state)
{
    struct bed t;
    struct queue_reader *a, *b;
    (void)state;
    long_backlog(&t, &a, &b);
    queue_reader_close(a);
    queue_reader_close(b);
    bed_close(&t);
    char *one = cursor_path(t.dir, "a"), *two = cursor_path(t.dir, "b");
    assert_int_equal(unlink(one) + unlink(two), 0);
    ledger_free(t.ledger);
    t.ledger = ledger_new();
    bed_open(&t);
    a = open_reader(&t, "c");
    b = open_reader(&t, "d");
    assert_balance(&t, a, "c");
    for (uint32_t i = 0; i < BLOCKS; i++)
        deliver(&t, a, "c", i);
    assert_null(queue_take(b));
    assert_balance(&t, a, "c");
    free(one);
    free(two);
    close_all(&t, a, b);
}

static bool is_under_own_cap(void *ctx)
{
    struct queue_reader_stats stats;
    queue_reader_stats(ctx, &stats);
    return stats.buffered_bytes <= 200 * 1024;
}

static void test_an_own_cap_drops_cold_blocks_for_its_reader_alone(void **state)
{
    struct bed t;
    struct queue_reader *a, *b;
    (void)state;
    long_backlog(&t, &a, &b);
    queue_reader_limits(a, 200 * 1024, 0);
    wait_until(is_under_own_cap, a);
    assert_balance(&t, a, "a");
    uint32_t first = (uint32_t)(lost_of(&t, "a") / 10);
    assert_true(first > 0);
    for (uint32_t i = first; i < BLOCKS; i++)
        deliver(&t, a, "a", i);
    for (uint32_t i = 0; i < BLOCKS; i++)
        deliver(&t, b, "b", i);
    assert_balance(&t, a, "a");
    assert_balance(&t, b, "b");
    close_all(&t, a, b);
}

static bool is_under_cap(void *ctx)
{
    struct queue_stats stats;
    queue_stats(ctx, &stats);
    return stats.disk_bytes <= stats.disk_bytes_max;
}

static void test_the_cap_of_all_drops_cold_segments(void **state)
{
    struct bed t;
    struct queue_reader *a, *b;
    (void)state;
    long_backlog(&t, &a, &b);
    queue_reader_close(a);
    queue_reader_close(b);
    t.options.max_bytes = 512 * 1024;
    bed_restart(&t);
    wait_until(is_under_cap, t.q);
    a = open_reader(&t, "a");
    b = open_reader(&t, "b");
    assert_balance(&t, a, "a");
    assert_balance(&t, b, "b");
    uint32_t first = (uint32_t)(lost_of(&t, "a") / 10);
    assert_in_range(first, 1, BLOCKS - 1);
    for (uint32_t i = first; i < BLOCKS; i++)
        deliver(&t, a, "a", i);
    assert_balance(&t, a, "a");
    close_all(&t, a, b);
}

static struct log_segment *any_cold(struct queue *q)
{
    struct log_segment *found = NULL;
    pthread_mutex_lock(&q->lock);
    for (struct log_segment *s = q->oldest; s && !found; s = s->next)
        found = s->cold ? s : NULL;
    pthread_mutex_unlock(&q->lock);
    assert_non_null(found);
    return found;
}

static void drain(struct bed *t, struct queue_reader *r, const char *name)
{
    uint64_t last = 0;
    for (struct block *b; (b = queue_take(r));) {
        assert_true(b->seq > last);
        last = b->seq;
        ledger_delivered(t->ledger, str_of(name), STR("app"), b->samples);
        queue_ack(r, b);
    }
}

static void test_damage_to_a_cold_segment_is_booked(void **state)
{
    struct bed t;
    struct queue_reader *a, *b;
    (void)state;
    long_backlog(&t, &a, &b);
    flip(any_cold(t.q)->path, SEGMENT_HEADER_BYTES + 9);
    flip(any_cold(t.q)->path, SEGMENT_HEADER_BYTES + 10); /* one wrong bit alone is mended */
    drain(&t, a, "a");
    drain(&t, b, "b");
    assert_int_equal(lost_of(&t, "a"), 10);
    assert_int_equal(lost_of(&t, "b"), 10);
    assert_balance(&t, a, "a");
    assert_balance(&t, b, "b");
    close_all(&t, a, b);
}

static void test_a_removed_cold_segment_is_booked(void **state)
{
    struct bed t;
    struct queue_reader *a, *b;
    (void)state;
    long_backlog(&t, &a, &b);
    struct log_segment *s = any_cold(t.q);
    uint64_t samples = s->samples;
    assert_int_equal(unlink(s->path), 0);
    drain(&t, a, "a");
    drain(&t, b, "b");
    assert_int_equal(lost_of(&t, "a"), samples);
    assert_balance(&t, a, "a");
    assert_balance(&t, b, "b");
    close_all(&t, a, b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_long_backlog_is_delivered_in_order),
        cmocka_unit_test(test_it_survives_a_restart_half_way),
        cmocka_unit_test(test_the_first_reader_of_a_directory_gets_cold_segments_too),
        cmocka_unit_test(test_an_own_cap_drops_cold_blocks_for_its_reader_alone),
        cmocka_unit_test(test_the_cap_of_all_drops_cold_segments),
        cmocka_unit_test(test_damage_to_a_cold_segment_is_booked),
        cmocka_unit_test(test_a_removed_cold_segment_is_booked),
    };
    log_set_level("error");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
