/* SPDX-License-Identifier: Apache-2.0 */
/* test_clock: what the agent's clock makes of a system clock that is set, told as a story of looks. */
#include "unit.h"

#include "base/clock.h"
#include "base/clock_guard.h"

#define MINUTE ((int64_t)60000)
#define HOUR (60 * MINUTE)

struct look {
    int64_t mono_ms, wall_ms; /* what the clocks show */
    int64_t want_ms;          /* the agent's clock */
};

static struct clock_guard tell(const struct look *v, size_t n, int64_t set_after_first)
{
    struct clock_guard g = {0};
    for (size_t i = 0; i < n; i++) {
        int64_t got = clock_guard_look(&g, v[i].wall_ms, v[i].mono_ms);
        if (got != v[i].want_ms)
            fail_msg("look %zu: %lld, want %lld", i, (long long)got, (long long)v[i].want_ms);
        if (i == 0)
            clock_guard_set(&g, set_after_first);
    }
    return g;
}

#define TELL(v, set) tell(v, sizeof(v) / sizeof *(v), set)

static void time_passes(void **state)
{
    static const struct look V[] = {{0, 1000000, 1000000}, {10, 1000010, 1000010}, {5000, 1005400, 1005400}};
    (void)state;
    struct clock_guard g = TELL(V, 0);
    assert_int_equal(g.steps_forward + g.steps_back, 0);
}

static void forward_is_taken_over(void **state)
{
    static const struct look V[] = {
        {0, 1000, 1000}, {100, 1793491200100, 1793491200100}, {200, 1793491200200, 1793491200200}};
    (void)state;
    struct clock_guard g = TELL(V, 0);
    assert_int_equal(g.steps_forward, 1);
    assert_int_equal(g.last_step_ms, 1793491200000 - 1000);
}

static void thirty_seconds_back_are_worn_off_in_ten_minutes(void **state)
{
    static const struct look V[] = {
        {0, HOUR, HOUR},
        {1000, HOUR - 29000, HOUR + 1000},      /* set back by 30 s */
        {2000, HOUR - 28000, HOUR + 1950},      /* time goes on at 95 % */
        {61000, HOUR + 31000, HOUR + 58000},    /* 27 s left */
        {601000, HOUR + 571000, HOUR + 571000}, /* none */
        {700000, HOUR + 670000, HOUR + 670000},
    };
    (void)state;
    struct clock_guard g = TELL(V, 0);
    assert_int_equal(g.steps_back, 1);
    assert_int_equal(g.last_step_ms, -30000);
}

static void steps_back_add_up_and_one_forward_takes_away(void **state)
{
    static const struct look V[] = {
        {0, HOUR, HOUR},
        {0, HOUR - 5 * MINUTE, HOUR},
        {0, HOUR - 9 * MINUTE, HOUR},
        {0, HOUR - 2 * MINUTE, HOUR},
        {0, HOUR + MINUTE, HOUR + MINUTE}, /* past what was being worn off */
    };
    (void)state;
    struct clock_guard g = TELL(V, 0);
    assert_int_equal(g.steps_back, 2);
    assert_int_equal(g.steps_forward, 2);
}

static void longer_steps_back_are_believed(void **state)
{
    static const struct look V[] = {{0, 5 * HOUR, 5 * HOUR},
                                    {10, 5 * HOUR - 11 * MINUTE, 5 * HOUR - 11 * MINUTE},
                                    {20, 5 * HOUR - 11 * MINUTE + 10, 5 * HOUR - 11 * MINUTE + 10}};
    static const struct look TWICE[] = {{0, 5 * HOUR, 5 * HOUR},
                                        {0, 5 * HOUR - 6 * MINUTE, 5 * HOUR},
                                        {0, 5 * HOUR - 12 * MINUTE, 5 * HOUR - 12 * MINUTE}};
    (void)state;
    (void)TELL(V, 0);
    (void)TELL(TWICE, 0);
}

static void receivers_correct_and_the_right_time_ends_it(void **state)
{
    static const struct look V[] = {
        {0, HOUR, HOUR}, /* then: an hour behind */
        {1000, HOUR + 1000, 2 * HOUR + 1000},
        {2000, 2 * HOUR + 2100, 2 * HOUR + 2100}, /* the system's clock is set, and ours goes on from there */
        {3000, 2 * HOUR + 3100, 2 * HOUR + 3100},
    };
    static const struct look PARTLY[] = {{0, HOUR, HOUR},
                                         {1000, HOUR + 30 * MINUTE + 1000, 2 * HOUR + 1000},
                                         {2000, HOUR + 30 * MINUTE + 2000, 2 * HOUR + 2000}};
    (void)state;
    struct clock_guard g = TELL(V, HOUR);
    assert_int_equal(g.set_ms, 0);
    g = TELL(PARTLY, HOUR);
    assert_int_equal(g.set_ms, 30 * MINUTE);
}

/* Whatever the system's clock does within 10 minutes, no look sees less than the one before. */
static void never_back_by_little(void **state)
{
    struct clock_guard g = {0};
    int64_t wall = 1000 * HOUR, mono = 0, before = 0;
    uint64_t noise = 88172645463325252ull;
    (void)state;
    for (int i = 0; i < 20000; i++) {
        noise ^= noise << 13, noise ^= noise >> 7, noise ^= noise << 17;
        int64_t passed = 1000 + (int64_t)(noise % 1000);
        mono += passed;
        wall += passed;
        if (noise % 50 == 0)
            wall += (int64_t)(noise >> 32) % 60000 - 30000;
        int64_t now = clock_guard_look(&g, wall, mono);
        assert_true(now > before);
        before = now;
    }
    assert_true(g.steps_back > 50 && g.steps_forward > 50);
}

static void the_process_has_one(void **state)
{
    (void)state;
    struct clock_state before = clock_state();
    int64_t now = clock_wall_ms();
    assert_true(before.plausible);
    assert_int_equal(before.correction_ms, 0);
    clock_correct(HOUR);
    assert_in_range(clock_wall_ms() - now, HOUR, HOUR + 1000);
    assert_int_equal(clock_state().correction_ms, HOUR);
    assert_in_range(clock_state().offset_ms - before.offset_ms, HOUR - 5, HOUR + 5);
    clock_correct(-HOUR);
    assert_in_range(clock_wall_ms() - clock_system_wall_ms() + 5, 0, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_passes),
        cmocka_unit_test(forward_is_taken_over),
        cmocka_unit_test(thirty_seconds_back_are_worn_off_in_ten_minutes),
        cmocka_unit_test(steps_back_add_up_and_one_forward_takes_away),
        cmocka_unit_test(longer_steps_back_are_believed),
        cmocka_unit_test(receivers_correct_and_the_right_time_ends_it),
        cmocka_unit_test(never_back_by_little),
        cmocka_unit_test(the_process_has_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
