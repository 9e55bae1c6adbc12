/* SPDX-License-Identifier: Apache-2.0 */
/* test_symbols: interning against a plain model, over many collections. */
#include "unit.h"

#include "base/wire.h"
#include "scrape/symbols.h"

#define KEPT 500
#define ROUNDS 200000

static void same_text_same_id(void **state)
{
    struct symbols *sy = symbols_new();
    struct str name, value;
    (void)state;
    uint32_t empty = symbols_string(sy, STR_NULL), a = symbols_string(sy, STR("a"));
    assert_int_equal(symbols_string(sy, STR("a")), a);
    assert_int_equal(symbols_string(sy, STR("")), empty);
    assert_int_not_equal(a, empty);
    uint32_t ab = symbols_pair(sy, STR("a"), STR("b")), ba = symbols_pair(sy, STR("b"), STR("a"));
    assert_int_not_equal(ab, ba);
    assert_int_equal(symbols_pair(sy, STR("a"), STR("b")), ab);
    symbols_pair_text(sy, ba, &name, &value);
    assert_true(str_eq_c(name, "b") && str_eq_c(value, "a"));
    for (int i = 0; i < 5000; i++) /* a view into the store, which moves meanwhile */
        (void)symbols_string(
            sy, str_make(symbols_text(sy, symbols_string(sy, STR("0123456789"))).p, (size_t)i % 10));
    assert_true(str_eq_c(symbols_text(sy, a), "a"));
    symbols_free(sy);
}

/* A sliding set of live pairs; everything else is garbage to be found. */
static void collections(void **state)
{
    struct symbols *sy = symbols_new();
    uint32_t live[KEPT];
    int number[KEPT], collected = 0;
    uint64_t most = 0;
    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        char name[16], value[32];
        snprintf(name, sizeof name, "n%d", i % 10);
        snprintf(value, sizeof value, "value-%d", i);
        int slot = i % KEPT;
        live[slot] = symbols_pair(sy, str_of(name), str_of(value));
        number[slot] = i;
        if (!symbols_due(sy))
            continue;
        int n = i < KEPT ? i + 1 : KEPT;
        symbols_collect_begin(sy);
        for (int k = 0; k < n; k++)
            symbols_mark_pair(sy, live[k]);
        symbols_collect_end(sy);
        collected++;
        assert_int_equal(symbols_count(sy), n + 10); /* pairs and names */
        most = symbols_bytes(sy) > most ? symbols_bytes(sy) : most;
        for (int k = 0; k < n; k++) {
            struct str got_name, got_value;
            symbols_pair_text(sy, live[k], &got_name, &got_value);
            snprintf(name, sizeof name, "n%d", number[k] % 10);
            snprintf(value, sizeof value, "value-%d", number[k]);
            assert_true(str_eq_c(got_name, name) && str_eq_c(got_value, value));
            assert_int_equal(symbols_pair(sy, str_of(name), str_of(value)), live[k]);
        }
    }
    assert_true(collected > 20);
    assert_true(most < 300000);
    symbols_free(sy);
}

static void block_references(void **state)
{
    struct symbols *sy = symbols_new();
    struct block_builder *b = block_builder_new(0, 0, 0);
    (void)state;
    uint32_t pair = symbols_pair(sy, STR("a"), STR("b")), other = symbols_pair(sy, STR("a"), STR("c"));
    for (int round = 0; round < 20000; round++) { /* stamps come round twice */
        uint32_t refs[2];
        assert_false(symbols_wire_is_of(symbols_wires(sy)[pair], symbols_stamp(sy, b)));
        symbols_renew(sy, b, pair);
        symbols_renew(sy, b, other);
        const symbols_wire *wire = symbols_wires(sy);
        uint8_t bytes[SYMBOLS_PAIR_WIRE_MAX];
        assert_true(symbols_wire_is_of(wire[pair], symbols_stamp(sy, b)));
        struct wire_reader r = {bytes, symbols_put_wire(bytes, wire[other]), false};
        refs[0] = (uint32_t)wire_get_varint(&r);
        refs[1] = (uint32_t)wire_get_varint(&r);
        assert_true(refs[0] == 1 && refs[1] == 3 && r.p == r.end);
        assert_int_equal(symbols_ref(sy, b, symbols_string(sy, STR("b"))), 2);
        block_builder_sample(b, refs, 2, 1, 1, NULL);
        block_unref(block_builder_seal(b));
    }
    block_builder_free(b);
    symbols_free(sy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_text_same_id),
        cmocka_unit_test(collections),
        cmocka_unit_test(block_references),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
