/* SPDX-License-Identifier: Apache-2.0 */
/* test_pool: ticks on the grid, and the difference between two sets of targets. */
#include "unit.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "scrape/pool.h"

#define HALF ((uint64_t)1 << 63)

static void ticks_lie_on_the_grid_of_the_phase(void **state)
{
    (void)state;
    static const struct {
        int64_t interval, wall, first;
        uint64_t phase;
    } cases[] = {
        {10000, 1000000, 1000000, 0}, {10000, 1000001, 1010000, 0},    {10000, 1000000, 1005000, HALF},
        {10000, 1005001, 1015000, HALF}, {10000, 1000000, 1009687, UINT64_MAX}, {1, 7, 7, HALF},
        {32000, 64000, 65000, 0x0fffffffffffffffull}, /* 32 groups in an interval */
    };
    for (size_t i = 0; i < ROWS(cases); i++) {
        struct schedule s;
        schedule_start(&s, cases[i].interval, cases[i].phase, cases[i].wall, 50);
        assert_int_equal(s.next_wall_ms, cases[i].first);
        assert_int_equal(s.next_mono_ms, 50 + cases[i].first - cases[i].wall);
    }
}

static void small_delays_do_not_show_in_timestamps(void **state)
{
    (void)state;
    struct schedule s;
    uint64_t skipped = 0;
    schedule_start(&s, 10000, HALF, 1000000, 0);
    assert_int_equal(schedule_tick(&s, 1005003, 5003, &skipped), 1005000);
    assert_int_equal(s.next_mono_ms, 15000);
    assert_int_equal(schedule_tick(&s, 1015100, 15100, &skipped), 1015000);
    assert_int_equal(s.next_mono_ms, 25000);
    assert_int_equal(skipped, 0);
}

static void large_delay_takes_the_present_time_and_returns_to_the_grid(void **state)
{
    (void)state;
    struct schedule s;
    uint64_t skipped = 0;
    schedule_start(&s, 10000, HALF, 1000000, 0);
    assert_int_equal(schedule_tick(&s, 1007000, 7000, &skipped), 1007000);
    assert_int_equal(s.next_wall_ms, 1015000);
    assert_int_equal(s.next_mono_ms, 15000);
    assert_int_equal(skipped, 0);
}

static void missed_ticks_are_dropped_and_counted(void **state)
{
    (void)state;
    struct schedule s;
    uint64_t skipped = 0;
    schedule_start(&s, 10000, HALF, 1000000, 0);
    assert_int_equal(schedule_tick(&s, 1036000, 36000, &skipped), 1036000);
    assert_int_equal(skipped, 3);
    assert_int_equal(s.next_wall_ms, 1045000);
}

static void jump_of_the_wall_clock_moves_the_grid_along(void **state)
{
    (void)state;
    struct schedule s;
    uint64_t skipped = 0;
    schedule_start(&s, 10000, HALF, 1000000, 0);
    assert_int_equal(schedule_tick(&s, 4605000 + 1, 5001, &skipped), 4605001); /* an hour ahead */
    assert_int_equal(s.next_wall_ms, 4615000);
    assert_int_equal(s.next_mono_ms, 15000);
    assert_int_equal(schedule_tick(&s, 1015000, 15000, &skipped), 1015000); /* and back */
    assert_int_equal(s.next_mono_ms, 25000);
    assert_int_equal(skipped, 0);
}

static void first_tick_comes_early_and_the_grid_follows(void **state)
{
    (void)state;
    static const struct {
        int64_t in_ms;
        int64_t ticks[3]; /* after 1000000, on a grid of 1005000 + n * 10000 */
    } cases[] = {
        {0, {0, 5000, 15000}},      {400, {400, 15000, 25000}}, /* the grid's next is too near */
        {4999, {4999, 15000, 25000}}, {5000, {5000, 15000, 25000}}, /* the grid itself is early enough */
        {9000, {5000, 15000, 25000}},
    };
    for (size_t i = 0; i < ROWS(cases); i++) {
        struct schedule s;
        uint64_t skipped = 0;
        schedule_start(&s, 10000, HALF, 1000000, 0);
        schedule_early(&s, cases[i].in_ms, 1000000, 0);
        for (size_t k = 0; k < 3; k++) {
            assert_int_equal(s.next_mono_ms, cases[i].ticks[k]);
            assert_int_equal(schedule_tick(&s, 1000000 + s.next_mono_ms, s.next_mono_ms, &skipped),
                             1000000 + cases[i].ticks[k]);
        }
        assert_int_equal(skipped, 0);
    }
}

static void ticks_may_be_aligned(void **state)
{
    (void)state;
    static const struct {
        int64_t interval, align, offset, wall, first, second;
    } cases[] = {
        {60000, 60000, 0, 125000, 180000, 240000},  {10000, 60000, 0, 125000, 130000, 140000},
        {60000, 0, 5000, 126000, 185000, 245000},   {60000, 0, 5000, 120000, 125000, 185000},
        {60000, 1000, 5000, 120000, 125000, 185000}, {60000, 0, 65000, 120000, 125000, 185000},
        {60000, 60000, 0, 120000, 120000, 180000},
    };
    for (size_t i = 0; i < ROWS(cases); i++) {
        struct schedule s;
        uint64_t skipped = 0;
        schedule_start_aligned(&s, cases[i].interval, cases[i].align, cases[i].offset, cases[i].wall, 7);
        assert_int_equal(s.next_wall_ms, cases[i].first);
        assert_int_equal(s.next_mono_ms, 7 + cases[i].first - cases[i].wall);
        (void)schedule_tick(&s, cases[i].first, s.next_mono_ms, &skipped);
        assert_int_equal(s.next_wall_ms, cases[i].second);
    }
}

/* ---- differences ---- */

static struct buf trace;
static struct pool pool;

static struct pool_slot *start(void *ctx, struct target *t, struct pool_slot *before)
{
    (void)ctx;
    struct pool_slot *slot = xcalloc(1, sizeof *slot);
    slot->target = t;
    buf_addf(&trace, "+%d", (int)t->key);
    if (before)
        buf_addf(&trace, "<%d", (int)before->target->key);
    return slot;
}

static void keep(void *ctx, struct pool_slot *slot, struct target *t)
{
    (void)ctx;
    slot->target = t;
    buf_addf(&trace, "=%d", (int)t->key);
}

static void stop(void *ctx, struct pool_slot *slot)
{
    (void)ctx;
    buf_addf(&trace, "-%d", (int)slot->target->key);
    free(slot);
}

static const struct pool_actions actions = {.start = start, .keep = keep, .stop = stop};

/* Updates job `name` to targets with these keys; a key's phase is its last digit. */
static const char *update(const char *name, const char *keys)
{
    static struct target targets[16][16]; /* live until the next round of updates */
    static size_t round;
    struct target *row = targets[round++ % 16], *v[16];
    size_t n = 0;
    char *end;
    for (const char *at = keys; *at; at = *end ? end + 1 : end) {
        row[n] = (struct target){.key = strtoull(at, &end, 10)};
        row[n].phase = row[n].key % 10;
        v[n] = &row[n];
        n++;
    }
    buf_clear(&trace);
    pool_update(&pool, name, v, n, &actions);
    return buf_c(&trace);
}

static void updates_start_keep_and_stop(void **state)
{
    (void)state;
    buf_init(&trace, 4096);
    assert_string_equal(update("a", "1 3 5"), "+1+3+5");
    assert_string_equal(update("b", "1"), "+1");
    assert_int_equal(pool.slots_n, 4);
    assert_string_equal(update("a", "1 3 5"), "=1=3=5");
    assert_string_equal(update("a", "2 3 4"), "+2=3+4-1-5");
    assert_string_equal(update("a", "13 22"), "+13<3+22<2-2-3-4");
    assert_int_equal(pool.slots_n, 3);
    assert_string_equal(update("a", ""), "-22-13");
    assert_int_equal(pool.n, 1);
    assert_string_equal(update("c", ""), "");
    buf_clear(&trace);
    pool_clear(&pool, &actions);
    assert_string_equal(buf_c(&trace), "-1");
    assert_int_equal(pool.slots_n, 0);
    buf_free(&trace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ticks_lie_on_the_grid_of_the_phase),
        cmocka_unit_test(small_delays_do_not_show_in_timestamps),
        cmocka_unit_test(large_delay_takes_the_present_time_and_returns_to_the_grid),
        cmocka_unit_test(missed_ticks_are_dropped_and_counted),
        cmocka_unit_test(jump_of_the_wall_clock_moves_the_grid_along),
        cmocka_unit_test(first_tick_comes_early_and_the_grid_follows),
        cmocka_unit_test(ticks_may_be_aligned),
        cmocka_unit_test(updates_start_keep_and_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
