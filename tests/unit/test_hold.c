/* SPDX-License-Identifier: Apache-2.0 */
/* test_hold: blocks made while the clock was wrong. */
#include "unit.h"

#include "agent/command/hold.h"
#include "base/alloc.h"
#include "base/wire.h"

#define WRONG 5000          /* what the clock showed: 5 s after 1970 began */
#define RIGHT 1800000000000 /* what it should have shown */

static struct buf heard; /* "lane:value@timestamp ..." in the order of passing */

static void hear(void *ctx, struct block *b)
{
    struct block_reader *r = block_reader_new();
    struct block_series s;
    struct err err = {0};
    (void)ctx;
    assert_true(block_reader_open(r, b->data, b->size, &err));
    while (block_reader_next(r, &s, &err))
        buf_addf(&heard, "%u:%g@%lld ", b->lane, s.value, (long long)s.ts_ms);
    assert_false(err_is(&err));
    block_reader_free(r);
    block_unref(b);
}

static struct block *make(uint32_t lane, double value, int64_t ts_ms)
{
    struct block_builder *b = block_builder_new(lane, 0, 0);
    uint32_t refs[2] = {block_builder_symbol(b, STR("__name__")), block_builder_symbol(b, STR("m"))};
    block_builder_sample(b, refs, 2, value, ts_ms, NULL);
    block_builder_job(b, STR("j"));
    struct block *out = block_builder_seal(b);
    block_builder_free(b);
    return out;
}

static struct clock_state wrong(int64_t at)
{
    return (struct clock_state){.wall_ms = WRONG + at, .offset_ms = WRONG};
}

static struct clock_state right(int64_t at)
{
    return (struct clock_state){.wall_ms = RIGHT + at, .offset_ms = RIGHT, .plausible = true};
}

static void setup_heard(void)
{
    buf_free(&heard);
    buf_init(&heard, 1 << 20);
}

static void a_good_clock_holds_nothing(void **state)
{
    struct hold *h = hold_new(1 << 20, hear, NULL);
    struct clock_state c = right(0);
    (void)state;
    setup_heard();
    hold_put(h, make(0, 1, 7), &c); /* an old timestamp of the target's own */
    assert_string_equal(buf_c(&heard), "0:1@7 ");
    hold_free(h);
}

static void held_until_it_is_right(void **state)
{
    struct hold *h = hold_new(1 << 20, hear, NULL);
    struct hold_stats stats;
    (void)state;
    setup_heard();
    for (int i = 0; i < 3; i++) {
        struct clock_state c = wrong(i * 1000);
        hold_put(h, make((uint32_t)i % 2, i, WRONG + i * 1000), &c);
    }
    hold_stats(h, &stats);
    assert_int_equal(stats.blocks, 3);
    assert_int_equal(stats.samples, 3);
    assert_string_equal(buf_c(&heard), "");
    struct clock_state c = right(3000);
    hold_look(h, &c);
    assert_string_equal(buf_c(&heard), "0:0@1800000000000 1:1@1800000001000 0:2@1800000002000 ");
    hold_stats(h, &stats);
    assert_true(stats.blocks == 0 && stats.bytes == 0 && stats.samples == 0 && stats.moved == 3);
    hold_free(h);
}

static void a_block_across_the_step_has_both_kinds(void **state)
{
    struct hold *h = hold_new(1 << 20, hear, NULL);
    struct clock_state c = wrong(1000);
    (void)state;
    setup_heard();
    hold_look(h, &c);
    struct block_builder *b = block_builder_new(0, 0, 0);
    uint32_t refs[2] = {block_builder_symbol(b, STR("__name__")), block_builder_symbol(b, STR("m"))};
    block_builder_sample(b, refs, 2, 1, WRONG + 900, NULL);
    block_builder_sample(b, refs, 2, 2, RIGHT + 1100, NULL);
    block_builder_sample(b, refs, 2, 3, 1700000000000, NULL); /* the target's own, neither now nor then */
    struct block *both = block_builder_seal(b);
    block_builder_free(b);
    c = right(1200);
    hold_put(h, both, &c);
    assert_string_equal(buf_c(&heard), "0:1@1800000000900 0:2@1800000001100 0:3@1700000000000 ");
    hold_put(h, make(0, 4, RIGHT + 2000), &c);
    assert_true(strstr(buf_c(&heard), "0:4@1800000002000 ") != NULL);
    hold_free(h);
}

static void too_much_goes_on_as_it_is(void **state)
{
    struct block *probe = make(0, 0, WRONG);
    struct hold *h = hold_new(probe->size * 2, hear, NULL);
    (void)state;
    setup_heard();
    block_unref(probe);
    for (int i = 0; i < 4; i++) {
        struct clock_state c = wrong(0);
        hold_put(h, make(0, i, WRONG), &c);
    }
    assert_string_equal(buf_c(&heard), "0:0@5000 0:1@5000 ");
    assert_int_equal(hold_flush(h), 2); /* and so does the rest at the end */
    assert_string_equal(buf_c(&heard), "0:0@5000 0:1@5000 0:2@5000 0:3@5000 ");
    hold_free(h);
}

/* Everything but the times is bit by bit as it was: symbols, metadata, exemplars, starts, histograms, markers, jobs. */
static void a_shifted_block_is_the_same_block(void **state)
{
    struct block_builder *b = block_builder_new(3, 0, 0);
    uint64_t stale = BLOCK_STALE_BITS, moved;
    double marker;
    (void)state;
    memcpy(&marker, &stale, 8);
    uint32_t refs[4];
    const char *const texts[] = {"__name__", "m", "a", "b"};
    for (int i = 0; i < 4; i++)
        refs[i] = block_builder_symbol(b, str_of(texts[i]));
    struct block_exemplar e[2] = {{refs + 2, 2, 0.5, WRONG + 5}, {NULL, 0, 1.5, 12345678}};
    struct block_extra extra = {.start_ts_ms = WRONG - 2000, .exemplars = e, .exemplars_n = 2};
    struct block_meta meta = {BLOCK_COUNTER, refs[3], refs[2]};
    uint8_t *p = block_builder_room(b, 20);
    for (int i = 0; i < 4; i++)
        p = wire_put_varint(p, refs[i]);
    block_builder_put_extra(b, p, 7, WRONG, &meta, &extra);
    block_builder_sample(b, refs, 2, marker, WRONG + 1, NULL);
    block_builder_job(b, STR("one"));
    p = wire_put_varint(wire_put_varint(block_builder_room(b, 20), refs[0]), refs[1]);
    block_builder_put_extra(b, p, 0, WRONG + 2, NULL,
                            &(struct block_extra){.histogram = block_stale_histogram});
    block_builder_sample(b, refs, 4, -0.0, 77, &meta);
    block_builder_job(b, STR("two"));
    struct block *before = block_builder_seal(b);
    block_builder_free(b);

    struct err err = {0};
    struct block *there = hold_shift(before, WRONG - 3000, WRONG + 3000, 1000000, &moved, &err);
    assert_non_null(there);
    assert_int_equal(moved, 3);
    assert_int_equal(there->min_ts_ms, 77);
    assert_int_equal(there->max_ts_ms, WRONG + 2 + 1000000);
    assert_true(there->lane == 3 && there->samples == 4 && there->jobs_n == 2);
    assert_true(str_eq_c(there->jobs[0].name, "one") && there->jobs[0].samples == 2);
    assert_true(str_eq_c(there->jobs[1].name, "two") && there->jobs[1].samples == 2);
    struct block *back = hold_shift(there, WRONG + 997000, WRONG + 1003000, -1000000, &moved, &err);
    assert_non_null(back);
    assert_int_equal(back->size, before->size);
    assert_memory_equal(back->data, before->data, before->size);
    block_unref(before);
    block_unref(there);
    block_unref(back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_clock_holds_nothing),
        cmocka_unit_test(held_until_it_is_right),
        cmocka_unit_test(a_block_across_the_step_has_both_kinds),
        cmocka_unit_test(too_much_goes_on_as_it_is),
        cmocka_unit_test(a_shifted_block_is_the_same_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
