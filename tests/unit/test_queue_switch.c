/* SPDX-License-Identifier: Apache-2.0 */
/* test_queue_switch: a new set of readers at one point of the log: what is pushed while the old ones close, names
   change and the new ones open is owed to exactly one of the two sets. */
#include "queue_bed.h"

static uint64_t switch_to(struct bed *t, const char *one, const char *two)
{
    const char *names[] = {one, two};
    bool placed[2] = {false, false};
    size_t n = two ? 2 : 1;
    uint64_t next = queue_switch(t->q, names, n, placed);
    assert_true(placed[0] && placed[n - 1]);
    return next;
}

static void expect_blocks(struct bed *t, const char *name, uint32_t from, uint32_t to)
{
    struct queue_reader *r = open_reader(t, name);
    assert_balance(t, r, name);
    for (uint32_t i = from; i < to; i++)
        deliver(t, r, name, i);
    assert_null(queue_take(r));
    assert_balance(t, r, name);
    queue_reader_close(r);
}

static void test_what_is_pushed_in_between_is_owed(void **state)
{
    struct bed t;
    (void)state;
    bed_new(&t);
    bed_open(&t);
    switch_to(&t, "old", "stays");
    push(&t, 0, 0); /* before they are open */
    struct queue_reader *old = open_reader(&t, "old"), *stays = open_reader(&t, "stays");
    deliver(&t, old, "old", 0);
    push(&t, 0, 1);
    queue_reader_keep(t.q, "old");
    queue_reader_close(old);
    push(&t, 0, 2); /* still the old one's */
    switch_to(&t, "new", "stays");
    push(&t, 0, 3); /* the new one's, which is not open yet */
    push(&t, 0, 4);
    assert_balance(&t, stays, "stays");
    queue_reader_close(stays);
    expect_blocks(&t, "new", 3, 5);
    expect_blocks(&t, "old", 1, 3);
    expect_blocks(&t, "stays", 0, 5);
    bed_free(&t);
}

static void test_without_a_word_a_close_ends_it(void **state)
{
    struct bed t;
    (void)state;
    bed_new(&t);
    bed_open(&t);
    struct queue_reader *r = open_reader(&t, "a");
    push(&t, 0, 0);
    queue_reader_close(r);
    r = open_reader(&t, "b");
    push(&t, 0, 1);
    queue_reader_close(r);
    expect_blocks(&t, "a", 0, 1);
    expect_blocks(&t, "b", 1, 2);
    bed_free(&t);
}

static void test_a_switch_ends_what_is_still_open(void **state)
{
    struct bed t;
    (void)state;
    bed_new(&t);
    bed_open(&t);
    struct queue_reader *a = open_reader(&t, "a");
    push(&t, 0, 0);
    switch_to(&t, "b", NULL);
    push(&t, 0, 1);
    deliver(&t, a, "a", 0);
    assert_null(queue_take(a));
    queue_reader_close(a);
    push(&t, 0, 2);
    switch_to(&t, "b", "a");
    push(&t, 0, 3);
    expect_blocks(&t, "a", 3, 4); /* with balanced books */
    expect_blocks(&t, "b", 1, 4);
    bed_free(&t);
}

static void test_a_new_name_misses_nothing(void **state)
{
    struct bed t;
    (void)state;
    for (int restart = 0; restart < 2; restart++) {
        bed_new(&t);
        bed_open(&t);
        struct queue_reader *r = open_reader(&t, "a");
        push(&t, 0, 0);
        push(&t, 0, 1);
        deliver(&t, r, "a", 0);
        queue_reader_keep(t.q, "a");
        queue_reader_close(r);
        push(&t, 0, 2);
        assert_true(queue_reader_rename(t.q, "a", "z"));
        push(&t, 0, 3);
        switch_to(&t, "z", NULL);
        push(&t, 0, 4);
        if (restart) {
            queue_reader_close(open_reader(&t, "z"));
            bed_restart(&t);
        }
        expect_blocks(&t, "z", 1, 5);
        bed_free(&t);
    }
}

static void test_range(void **state)
{
    struct bed t;
    uint64_t oldest, next, first;
    (void)state;
    bed_new(&t);
    bed_open(&t);
    first = switch_to(&t, "a", "b");
    queue_range(t.q, &oldest, &next);
    assert_true(oldest == next && next == first);
    for (uint32_t i = 0; i < 3; i++)
        push(&t, 0, i);
    struct queue_reader *a = open_reader(&t, "a"), *b = open_reader(&t, "b");
    for (uint32_t i = 0; i < 3; i++)
        deliver(&t, a, "a", i);
    deliver(&t, b, "b", 0);
    queue_range(t.q, &oldest, &next);
    assert_int_equal(oldest, first + 1);
    assert_int_equal(next, first + 3);
    queue_reader_close(a);
    queue_reader_close(b);
    bed_restart(&t); /* what waits is on disk now */
    queue_range(t.q, &oldest, &next);
    assert_int_equal(oldest, first + 1);
    assert_int_equal(next, first + 3);
    bed_free(&t);
}

static void test_more_names_than_there_is_room_for(void **state)
{
    struct bed t;
    char text[40][16];
    const char *names[40];
    bool placed[40];
    (void)state;
    bed_new(&t);
    bed_open(&t);
    for (size_t i = 0; i < ROWS(names); i++) {
        snprintf(text[i], sizeof text[i], "n%zu", i);
        names[i] = text[i];
    }
    queue_switch(t.q, names, ROWS(names), placed);
    for (size_t i = 0; i < ROWS(names); i++)
        assert_true(placed[i] == (i < 32));
    queue_switch(t.q, names + 10, 30, placed); /* ten others have nothing to deliver: they make room */
    for (size_t i = 0; i < 30; i++)
        assert_true(placed[i]);
    bed_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_pushed_in_between_is_owed),
        cmocka_unit_test(test_without_a_word_a_close_ends_it),
        cmocka_unit_test(test_a_switch_ends_what_is_still_open),
        cmocka_unit_test(test_a_new_name_misses_nothing),
        cmocka_unit_test(test_range),
        cmocka_unit_test(test_more_names_than_there_is_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
