/* SPDX-License-Identifier: Apache-2.0 */
/* test_queue_streams: several blocks at once, fresh ones past a backlog, batches half through, names that move. */
#include "queue_bed.h"

struct taken {
    struct block *v[QUEUE_BATCH_MAX];
    size_t n;
    struct queue_progress progress;
};

static struct taken take(struct queue_reader *r, enum queue_stream stream, size_t blocks, uint64_t samples)
{
    struct taken t;
    const struct queue_wish wish = {.stream = stream, .blocks = blocks, .samples = samples, .bytes = UINT64_MAX};
    t.n = queue_take_some(r, &wish, t.v, &t.progress);
    return t;
}

static void expect(const struct taken *t, const uint32_t *numbers, size_t n)
{
    if (t->n != n)
        fail_msg("%zu blocks taken, %zu wanted", t->n, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(number_of(t->v[i]), numbers[i]);
}
#define EXPECT(t, ...) expect(&(t), (const uint32_t[]){__VA_ARGS__}, sizeof((const uint32_t[]){__VA_ARGS__}) / 4)

static void done(struct bed *b, struct queue_reader *r, const char *name, struct taken *t)
{
    uint64_t samples = 0;
    for (size_t i = 0; i < t->n; i++)
        samples += t->v[i]->samples;
    for (uint32_t i = 0; i < t->progress.strands; i++)
        samples -= t->progress.series[i];
    ledger_delivered(b->ledger, str_of(name), STR("app"), samples);
    queue_ack_all(r, t->v, t->n);
}

static void give_back(struct queue_reader *r, struct taken *t)
{
    for (size_t i = 0; i < t->n; i++)
        queue_release(r, t->v[i]);
}

/* ---- several at once ---- */

static void test_blocks_of_a_lane_come_together(void **state)
{
    static const struct {
        size_t blocks;
        uint64_t samples;
        size_t want;
    } T[] = {{1, 1000, 1}, {2, 1000, 2}, {9, 30, 3}, {9, 39, 3}, {9, 5, 1}, {9, 1000, 5}};
    struct bed t;
    (void)state;
    for (size_t i = 0; i < sizeof T / sizeof T[0]; i++) {
        for (int on_disk = 0; on_disk < 2; on_disk++) {
            bed_new(&t);
            bed_open(&t);
            struct queue_reader *r = open_reader(&t, "a");
            for (uint32_t k = 0; k < 10; k++)
                push(&t, k % 2, k); /* ten samples each */
            queue_reader_failing(r, on_disk);
            if (on_disk)
                wait_until(nothing_in_ram, &t);
            struct taken even = take(r, QUEUE_BACKLOG, T[i].blocks, T[i].samples);
            assert_int_equal(even.n, T[i].want);
            for (size_t k = 0; k < even.n; k++)
                assert_int_equal(number_of(even.v[k]), 2 * k);
            struct taken odd = take(r, QUEUE_BACKLOG, T[i].blocks, T[i].samples);
            assert_int_equal(odd.n, T[i].want);
            assert_int_equal(take(r, QUEUE_BACKLOG, 1, 1).n, 0); /* both lanes are out */
            done(&t, r, "a", &even);
            give_back(r, &odd);
            odd = take(r, QUEUE_BACKLOG, 1, 1);
            EXPECT(odd, 1);
            done(&t, r, "a", &odd);
            assert_balance(&t, r, "a");
            queue_reader_close(r);
            bed_free(&t);
        }
    }
}

/* ---- fresh ones first ---- */

static void test_fresh_blocks_pass_the_backlog_and_nothing_comes_twice(void **state)
{
    struct bed t;
    (void)state;
    fill(&t, 4); /* 0..3 of an earlier run */
    bed_open(&t);
    struct queue_reader *r = open_reader(&t, "a");
    queue_reader_drain(r, true);
    push(&t, 0, 10);
    push(&t, 0, 11);
    struct taken fresh = take(r, QUEUE_FRESH, 1, 1), back = take(r, QUEUE_BACKLOG, 1, 1);
    EXPECT(fresh, 10);
    EXPECT(back, 0);
    assert_int_equal(take(r, QUEUE_FRESH, 1, 1).n, 0); /* each stream keeps the order of the lane */
    assert_int_equal(take(r, QUEUE_BACKLOG, 1, 1).n, 0);
    done(&t, r, "a", &fresh);
    done(&t, r, "a", &back);
    assert_balance(&t, r, "a");
    queue_reader_failing(r, true); /* 11 goes to disk, too */
    wait_until(nothing_in_ram, &t);
    queue_reader_close(r);
    bed_restart(&t);
    r = open_reader(&t, "a");
    static const uint32_t LEFT[] = {1, 2, 3, 11}; /* in one stream again: in order, without 10 */
    for (size_t i = 0; i < 4; i++)
        deliver(&t, r, "a", LEFT[i]);
    assert_null(queue_take(r));
    assert_balance(&t, r, "a");
    queue_reader_close(r);
    bed_free(&t);
}

static void test_back_in_one_stream_the_order_holds(void **state)
{
    struct bed t;
    (void)state;
    fill(&t, 1);
    bed_open(&t);
    struct queue_reader *r = open_reader(&t, "a");
    queue_reader_drain(r, true);
    push(&t, 0, 10);
    push(&t, 0, 11);
    struct taken fresh = take(r, QUEUE_FRESH, 1, 1);
    EXPECT(fresh, 10);
    queue_reader_drain(r, false);
    assert_int_equal(take(r, QUEUE_FRESH, 9, 900).n, 0);
    struct taken back = take(r, QUEUE_BACKLOG, 9, 900);
    EXPECT(back, 0); /* not 11: 10 is under way */
    done(&t, r, "a", &back);
    assert_int_equal(take(r, QUEUE_BACKLOG, 9, 900).n, 0);
    done(&t, r, "a", &fresh);
    back = take(r, QUEUE_BACKLOG, 9, 900);
    EXPECT(back, 11);
    done(&t, r, "a", &back);
    assert_balance(&t, r, "a");
    queue_reader_close(r);
    bed_free(&t);
}

/* A long drain must not keep what has long been delivered past it. */
static void test_what_passed_the_backlog_leaves_memory(void **state)
{
    struct bed t;
    struct queue_stats stats;
    (void)state;
    fill(&t, 1);
    bed_open(&t);
    struct queue_reader *r = open_reader(&t, "a");
    queue_reader_drain(r, true);
    for (uint32_t i = 0; i < 5000; i++) {
        push(&t, 0, i);
        struct taken fresh = take(r, QUEUE_FRESH, 1, 1);
        EXPECT(fresh, i);
        done(&t, r, "a", &fresh);
    }
    queue_stats(t.q, &stats);
    assert_int_equal(stats.ram_blocks, 0);
    deliver(&t, r, "a", 0);
    assert_null(queue_take(r));
    assert_balance(&t, r, "a");
    queue_reader_close(r);
    bed_free(&t);
}

/* ---- half through ---- */

/* Blocks 0..3 on disk, of ten samples; `strands` of the first `n` are through as `series` says; then a restart. */
static struct queue_reader *half_through(struct bed *t, size_t n, const struct queue_progress *progress)
{
    fill(t, 4);
    bed_open(t);
    struct queue_reader *r = open_reader(t, "a");
    struct taken some = take(r, QUEUE_BACKLOG, n, 1000);
    uint64_t through = 0;
    assert_int_equal(some.n, n);
    for (uint32_t i = 0; i < progress->strands; i++)
        through += progress->series[i];
    ledger_delivered(t->ledger, STR("a"), STR("app"), through);
    queue_note_progress(r, some.v, some.n, progress);
    assert_int_equal(buffered_of(r), 40 - through);
    assert_balance(t, r, "a");
    for (size_t i = 0; i < n; i++)
        block_unref(some.v[i]);
    queue_reader_close(r);
    bed_close(t);
    ledger_free(t->ledger);
    t->ledger = ledger_new();
    return NULL;
}

static void test_a_batch_that_is_half_through_goes_on_after_a_restart(void **state)
{
    static const struct queue_progress PROGRESS[] = {
        {.strands = 1, .series = {7}},
        {.strands = 3, .series = {5, 0, 12}},
        {.strands = 8, .series = {1, 1, 1, 1, 1, 1, 1, 1}}};
    struct bed t;
    struct queue_reader *r;
    (void)state;
    for (size_t i = 0; i < sizeof PROGRESS / sizeof PROGRESS[0]; i++) {
        for (size_t n = 1; n <= 3; n++) {
            if (n == 1 && i == 1)
                continue; /* more than one block holds */
            half_through(&t, n, &PROGRESS[i]);
            reopen(&t, &r);
            assert_balance(&t, r, "a");
            struct taken again = take(r, QUEUE_BACKLOG, 1, 1);
            assert_int_equal(again.n, n); /* the same batch, whatever is wished now */
            assert_memory_equal(&again.progress, &PROGRESS[i], sizeof PROGRESS[i]);
            done(&t, r, "a", &again);
            assert_balance(&t, r, "a");
            again = take(r, QUEUE_BACKLOG, 1, 1);
            assert_int_equal(number_of(again.v[0]), n);
            assert_int_equal(again.progress.strands, 0);
            done(&t, r, "a", &again);
            assert_balance(&t, r, "a");
            queue_reader_close(r);
            bed_free(&t);
        }
    }
}

/* Not all of it can be read any more: then all that can is sent, some of it twice, and the books balance. */
static void test_a_batch_with_a_damaged_block_is_none(void **state)
{
    static const struct queue_progress PROGRESS = {.strands = 2, .series = {5, 9}};
    struct bed t;
    struct queue_reader *r;
    (void)state;
    half_through(&t, 3, &PROGRESS);
    char *path = first_segment(t.dir);
    flip(path, 32 + (80 + 9 + 200) + 10); /* the header of the second record, */
    flip(path, 32 + (80 + 9 + 200) + 11); /* past mending */
    free(path);
    reopen(&t, &r);
    assert_balance(&t, r, "a");
    assert_int_equal(buffered_of(r), 30);
    struct taken some = take(r, QUEUE_BACKLOG, 9, 900);
    EXPECT(some, 0, 2, 3);
    assert_int_equal(some.progress.strands, 0);
    done(&t, r, "a", &some);
    assert_balance(&t, r, "a");
    queue_reader_close(r);
    bed_free(&t);
}

/* The same when the damage shows only as the block is read. */
static void test_a_batch_with_a_damaged_payload_is_none(void **state)
{
    static const struct queue_progress PROGRESS = {.strands = 2, .series = {5, 9}};
    struct bed t;
    struct queue_reader *r;
    (void)state;
    half_through(&t, 3, &PROGRESS);
    char *path = first_segment(t.dir);
    flip(path, 32 + (80 + 9 + 200) + 150);
    free(path);
    reopen(&t, &r);
    assert_int_equal(buffered_of(r), 26);
    struct taken some = take(r, QUEUE_BACKLOG, 9, 900);
    EXPECT(some, 0);
    assert_int_equal(some.progress.strands, 0);
    done(&t, r, "a", &some);
    some = take(r, QUEUE_BACKLOG, 9, 900);
    EXPECT(some, 2, 3);
    done(&t, r, "a", &some);
    assert_int_equal(lost_of(&t, "a"), 10);
    assert_balance(&t, r, "a");
    queue_reader_close(r);
    bed_free(&t);
}

static void test_half_through_and_lost_to_a_cap(void **state)
{
    static const struct queue_progress PROGRESS = {.strands = 1, .series = {7}};
    struct bed t;
    struct queue_reader *r;
    (void)state;
    half_through(&t, 2, &PROGRESS);
    reopen(&t, &r);
    queue_reader_limits(r, 1, 0); /* nothing may stay */
    for (int i = 0; i < 500 && lost_of(&t, "a") < 40; i++)
        usleep(10000);
    assert_null(queue_take(r));
    assert_balance(&t, r, "a");
    queue_reader_close(r);
    bed_free(&t);
}

/* ---- names ---- */

static void test_a_name_takes_over_the_place_of_another(void **state)
{
    struct bed t;
    struct queue_idle idle[4];
    (void)state;
    bed_new(&t);
    bed_open(&t);
    struct queue_reader *keep = open_reader(&t, "keep"), *r = open_reader(&t, "old");
    queue_reader_key(r, 77);
    for (uint32_t i = 0; i < 3; i++) {
        push(&t, 0, i);
        deliver(&t, keep, "keep", i);
    }
    deliver(&t, r, "old", 0);
    assert_false(queue_reader_rename(t.q, "old", "new")); /* it is open */
    queue_reader_close(r);
    assert_int_equal(queue_idle_readers(t.q, idle, 4), 1);
    assert_string_equal(idle[0].name, "old");
    assert_int_equal(idle[0].key, 77);
    assert_int_equal(idle[0].blocks, 2);
    push(&t, 0, 3); /* while nobody is there */
    deliver(&t, keep, "keep", 3);
    assert_false(queue_reader_rename(t.q, "old", "keep"));
    assert_false(queue_reader_rename(t.q, "nobody", "new"));
    assert_true(queue_reader_rename(t.q, "old", "new"));
    assert_true(queue_knows(t.q, "new"));
    assert_false(queue_knows(t.q, "old"));
    r = open_reader(&t, "new");
    assert_balance(&t, r, "new");
    queue_reader_failing(r, true);
    wait_until(nothing_in_ram, &t);
    queue_reader_close(r);
    queue_reader_close(keep);
    bed_restart(&t);
    assert_false(queue_knows(t.q, "old"));
    assert_int_equal(queue_idle_readers(t.q, idle, 4), 2);
    assert_true(queue_reader_rename(t.q, "new", "newer")); /* also before anybody has come */
    r = open_reader(&t, "newer");
    deliver(&t, r, "newer", 1);
    deliver(&t, r, "newer", 2);
    assert_null(queue_take(r));
    assert_balance(&t, r, "newer");
    queue_reader_close(r);
    bed_free(&t);
}

/* A name that once was used and has delivered everything is as good as a new one. */
static void test_a_name_is_taken_back(void **state)
{
    struct bed t;
    (void)state;
    bed_new(&t);
    bed_open(&t);
    struct queue_reader *r = open_reader(&t, "old");
    push(&t, 0, 0);
    assert_false(queue_name_is_spare(t.q, "old"));
    deliver(&t, r, "old", 0);
    queue_reader_close(r);
    r = open_reader(&t, "new");
    push(&t, 0, 1);
    queue_reader_close(r);
    assert_true(queue_name_is_spare(t.q, "nobody"));
    assert_true(queue_name_is_spare(t.q, "old"));
    assert_false(queue_name_is_spare(t.q, "new"));
    assert_true(queue_reader_rename(t.q, "new", "old"));
    assert_false(queue_knows(t.q, "new"));
    r = open_reader(&t, "old");
    assert_balance(&t, r, "old");
    deliver(&t, r, "old", 1);
    assert_balance(&t, r, "old");
    queue_reader_close(r);
    bed_free(&t);
}

/* What others keep on disk of the time in which a reader was closed is not owed to it, at no restart. */
static void test_a_closed_time_is_not_owed_after_a_restart(void **state)
{
    struct bed t;
    (void)state;
    bed_new(&t);
    bed_open(&t);
    struct queue_reader *keep = open_reader(&t, "keep"), *r = open_reader(&t, "a");
    queue_reader_failing(keep, true);
    push(&t, 0, 0);
    queue_reader_close(r);
    push(&t, 0, 1);
    push(&t, 0, 2);
    r = open_reader(&t, "a");
    push(&t, 0, 3);
    queue_reader_close(r);
    push(&t, 0, 4);
    wait_until(nothing_in_ram, &t);
    queue_reader_close(keep);
    bed_restart(&t);
    keep = open_reader(&t, "keep");
    push(&t, 0, 5); /* closed in this run, too */
    queue_reader_failing(keep, true);
    wait_until(nothing_in_ram, &t);
    queue_reader_close(keep);
    bed_restart(&t);
    r = open_reader(&t, "a");
    deliver(&t, r, "a", 0);
    deliver(&t, r, "a", 3);
    assert_null(queue_take(r));
    assert_balance(&t, r, "a");
    queue_reader_close(r);
    keep = open_reader(&t, "keep");
    for (uint32_t i = 0; i < 6; i++)
        deliver(&t, keep, "keep", i);
    queue_reader_close(keep);
    bed_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_of_a_lane_come_together),
        cmocka_unit_test(test_fresh_blocks_pass_the_backlog_and_nothing_comes_twice),
        cmocka_unit_test(test_back_in_one_stream_the_order_holds),
        cmocka_unit_test(test_what_passed_the_backlog_leaves_memory),
        cmocka_unit_test(test_a_batch_that_is_half_through_goes_on_after_a_restart),
        cmocka_unit_test(test_a_batch_with_a_damaged_block_is_none),
        cmocka_unit_test(test_a_batch_with_a_damaged_payload_is_none),
        cmocka_unit_test(test_half_through_and_lost_to_a_cap),
        cmocka_unit_test(test_a_name_takes_over_the_place_of_another),
        cmocka_unit_test(test_a_name_is_taken_back),
        cmocka_unit_test(test_a_closed_time_is_not_owed_after_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
