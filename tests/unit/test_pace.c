/* SPDX-License-Identifier: Apache-2.0 */
/* test_pace: when the window opens and closes, who waits for the bucket, how large a full request is. */
#include "unit.h"

#include "agent/remote/pace.h"

static void accept(struct pace *p, int64_t from_ms, int64_t every_ms, int n, int64_t took_ms)
{
    for (int i = 0; i < n; i++)
        pace_accepted(p, from_ms + i * every_ms, took_ms);
}

static void test_the_window(void **state)
{
    struct pace p;
    (void)state;
    pace_init(&p, 0);
    assert_int_equal(pace_room(&p, 0), PACE_WINDOW_MIN);
    assert_int_equal(pace_room(&p, PACE_WINDOW_MIN), 0);
    assert_int_equal(pace_room(&p, PACE_WINDOW_MIN + 5), 0);
    accept(&p, 0, 0, 10, 1);
    assert_int_equal(p.window, PACE_WINDOW_MIN + 10);
    pace_refused(&p);
    assert_int_equal(p.window, (PACE_WINDOW_MIN + 10) / 2);
    accept(&p, 0, 0, 1000, 1);
    assert_int_equal(p.window, PACE_WINDOW_MAX);
    for (int i = 0; i < 100; i++)
        pace_refused(&p);
    assert_int_equal(p.window, PACE_WINDOW_MIN);
}

static void test_after_an_outage(void **state)
{
    static const struct {
        int64_t outage_ms;
        uint64_t random;
        int64_t step_ms;
    } T[] = {
        {PACE_LONG_OUTAGE_MS - 1, 7, 0}, {PACE_LONG_OUTAGE_MS, 0, 100},
        {10 * 3600 * 1000, 150, 250},    {10 * 3600 * 1000, 199, 299}, {10 * 3600 * 1000, 200, 100},
    };
    (void)state;
    for (size_t i = 0; i < sizeof T / sizeof T[0]; i++) {
        struct pace p;
        pace_init(&p, 0);
        accept(&p, 0, 0, 20, 1);
        unsigned before = p.window;
        pace_resumed(&p, T[i].outage_ms, 1000000, T[i].random);
        assert_int_equal(p.step_ms, T[i].step_ms);
        if (T[i].step_ms == 0) {
            assert_int_equal(p.window, before);
            continue;
        }
        assert_int_equal(p.window, PACE_WINDOW_MIN);
        accept(&p, 1000000, 1, (int)T[i].step_ms * 3 + 1, 1); /* a thousand answers a second: three steps */
        assert_int_equal(p.window, PACE_WINDOW_MIN + 3);
        accept(&p, 2000000, 1000, 100, 1); /* open again: from now on as ever */
        assert_int_equal(p.window, PACE_WINDOW_MAX);
        assert_int_equal(p.step_ms, 0);
    }
}

static void test_strands(void **state)
{
    static const struct {
        int64_t answer_ms;
        unsigned room, max, want;
    } T[] = {{1, 60, 8, 1}, {100, 60, 8, 8}, {100, 5, 8, 5}, {100, 1, 8, 1}, {100, 0, 8, 1}};
    (void)state;
    for (size_t i = 0; i < sizeof T / sizeof T[0]; i++) {
        struct pace p;
        pace_init(&p, 0);
        accept(&p, 0, 0, 50, T[i].answer_ms);
        assert_int_equal(pace_strands(&p, T[i].room, T[i].max), T[i].want);
    }
}

static void test_the_bucket(void **state)
{
    struct pace p;
    (void)state;
    pace_init(&p, 0);
    pace_spend(&p, 1ull << 40);
    assert_int_equal(pace_wait_ms(&p, false, 0), 0); /* no limit */
    pace_set_rate(&p, 1000, 0);
    assert_int_equal(pace_wait_ms(&p, false, 0), 0);
    pace_spend(&p, 1500); /* a request may be larger than what is there, the next one pays */
    assert_in_range(pace_wait_ms(&p, false, 0), 500, 501);
    assert_int_equal(pace_wait_ms(&p, true, 0), 0); /* fresh data goes before a backlog */
    pace_spend(&p, 1000);
    assert_in_range(pace_wait_ms(&p, true, 0), 500, 501);
    assert_in_range(pace_wait_ms(&p, false, 0), 1500, 1501);
    assert_int_equal(pace_wait_ms(&p, true, 500), 0);
    assert_in_range(pace_wait_ms(&p, false, 500), 1000, 1001);
    assert_int_equal(pace_wait_ms(&p, false, 1500), 0);
    pace_set_rate(&p, 1000, 1500); /* the same: nothing begins anew */
    pace_spend(&p, 10);
    assert_true(pace_wait_ms(&p, false, 1500) > 0);
    (void)pace_wait_ms(&p, false, 1000000); /* it holds one second's worth, not more */
    pace_spend(&p, 1500);
    assert_in_range(pace_wait_ms(&p, false, 1000000), 500, 501);
    pace_set_rate(&p, 0, 1000000);
    assert_int_equal(pace_wait_ms(&p, false, 1000000), 0);
}

static void test_a_full_request(void **state)
{
    static const struct {
        uint64_t raw_bytes, samples, max_samples, max_bytes, want;
    } T[] = {
        {0, 0, 10000, 5000, 10000}, {20000, 100, 10000, 0, 10000}, {20000, 100, 10000, 1 << 20, 5242},
        {20000, 100, 1000, 1 << 20, 1000}, {20000, 100, 1000, 10, 1000}, /* one series alone is more than that */
    };
    (void)state;
    for (size_t i = 0; i < sizeof T / sizeof T[0]; i++) {
        struct pace p;
        pace_init(&p, 0);
        pace_note_size(&p, T[i].raw_bytes, T[i].samples);
        assert_int_equal(pace_full_request(&p, T[i].max_samples, T[i].max_bytes), T[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_window),     cmocka_unit_test(test_after_an_outage), cmocka_unit_test(test_strands),
        cmocka_unit_test(test_the_bucket),     cmocka_unit_test(test_a_full_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
