/* SPDX-License-Identifier: Apache-2.0 */
/* test_labels: the set of labels, its notation and its hash; and Unicode's case mapping. */
#include "unit.h"

#include "labels.h"
#include "relabel/letters.h"

#include <locale.h>
#include <wctype.h>

static void test_notation(void **state)
{
    static const struct {
        const char *in, *want;
    } FACTS[] = {
        {"m", "m"},
        {"m{}", "m"},
        {"{}", "{}"},
        {" m { b = \"2\" , a=\"1\", } ", "m{b=\"2\",a=\"1\"}"},
        {"{\"m.x\",\"a b\"=\"1\"}", "{\"m.x\",\"a b\"=\"1\"}"},
        {"{a=\"q\\\"\\\\\\n\\x\"}", "{a=\"q\\\"\\\\\\n\\\\x\"}"},
        {"m{a=\"1\"", "!column 8: ',' or '}' is expected"},
        {"m{a=1}", "!column 5: a value in double quotes is expected"},
        {"m{a=\"1\",a=\"2\"}", "!column 13: label \"a\" stands twice"},
        {"m{a=\"1}", "!column 5: a quoted string does not end"},
        {"m x", "!column 3: nothing more is expected here"},
        {"", "!column 1: a series is expected"},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(FACTS); i++) {
        struct err err = {0};
        struct arena arena;
        struct labels l;
        struct buf out;
        arena_init(&arena);
        labels_init(&l, &arena);
        buf_init(&out, 4096);
        if (labels_parse(&l, str_of(FACTS[i].in), &err))
            labels_format(&l, &out);
        else
            buf_addf(&out, "!%s", err.msg);
        assert_string_equal(buf_c(&out), FACTS[i].want);
        buf_free(&out);
        labels_free(&l);
        arena_free(&arena);
    }
}

static void test_notation_goes_both_ways(void **state)
{
    static const char *const PIECES[] = {"a", "\"", "\\", "\n", "\xc3\xa9", " ", ",", "}", "=", "n",
                                         "__name__"};
    unsigned seed = 3;
    (void)state;
    for (int round = 0; round < 2000; round++) {
        struct err err = {0};
        struct arena arena;
        struct labels a, b;
        struct buf out;
        arena_init(&arena);
        labels_init(&a, &arena);
        labels_init(&b, &arena);
        buf_init(&out, 1 << 16);
        for (int k = rand_r(&seed) % 5; k > 0; k--) {
            const char *text[2];
            for (int side = 0; side < 2; side++) {
                text[side] = "";
                for (int n = rand_r(&seed) % 4; n >= 0; n--)
                    text[side] = arena_printf(&arena, "%s%s", text[side],
                                              PIECES[(size_t)rand_r(&seed) % ROWS(PIECES)]);
            }
            labels_set(&a, str_of(text[0]), str_of(text[1]));
        }
        labels_format(&a, &out);
        if (!labels_parse(&b, buf_str(&out), &err))
            fail_msg("%s: %s", buf_c(&out), err.msg);
        assert_int_equal(a.n, b.n);
        assert_int_equal(labels_hash(&a), labels_hash(&b));
        buf_free(&out);
        labels_free(&a);
        labels_free(&b);
        arena_free(&arena);
    }
}

static void test_set_get_delete(void **state)
{
    struct labels l = {0};
    (void)state;
    labels_set(&l, STR("a"), STR("1"));
    labels_set(&l, STR("b"), STR(""));
    labels_set(&l, STR("a"), STR("2"));
    labels_push(&l, STR(""), STR("x"));
    assert_int_equal(l.n, 3);
    assert_true(str_eq_c(labels_get(&l, STR("a")), "2"));
    assert_true(labels_has(&l, STR("b")));
    assert_null(labels_get(&l, STR("c")).p);
    labels_drop_empty(&l);
    assert_int_equal(l.n, 1);
    labels_del(&l, STR("c"));
    labels_del(&l, STR("a"));
    assert_int_equal(l.n, 0);
    labels_free(&l);
}

static void test_many_labels_sort(void **state)
{
    static char names[1000][8];
    struct labels l = {0};
    unsigned seed = 1;
    (void)state;
    for (size_t i = 0; i < ROWS(names); i++) {
        snprintf(names[i], sizeof names[i], "%x", (unsigned)rand_r(&seed) & 0xffffff);
        labels_push(&l, str_of(names[i]), STR("v"));
    }
    labels_sort(&l);
    for (size_t i = 1; i < l.n; i++)
        assert_true(str_cmp(l.v[i - 1].name, l.v[i].name) <= 0);
    labels_free(&l);
}

static void test_legacy_names(void **state)
{
    (void)state;
    assert_true(labels_is_legacy_name(STR("_a1")));
    assert_false(labels_is_legacy_name(STR("a:b")));
    assert_false(labels_is_legacy_name(STR("1a")));
    assert_false(labels_is_legacy_name(STR("")));
    assert_true(labels_is_legacy_metric(STR(":a:b1")));
    assert_false(labels_is_legacy_metric(STR("a.b")));
}

static void test_hash_ignores_order_and_keeps_borders(void **state)
{
    struct labels a = {0}, b = {0}, c = {0};
    (void)state;
    labels_set(&a, STR("x"), STR("1"));
    labels_set(&a, STR("y"), STR("2"));
    labels_set(&b, STR("y"), STR("2"));
    labels_set(&b, STR("x"), STR("1"));
    labels_set(&c, STR("x"), STR("1y"));
    labels_set(&c, STR(""), STR("2"));
    assert_int_equal(labels_hash(&a), labels_hash(&b));
    assert_int_not_equal(labels_hash(&a), labels_hash(&c));
    labels_free(&a);
    labels_free(&b);
    labels_free(&c);
}

/* The table must at least know what the C library knows. */
static void test_case_is_that_of_the_c_library(void **state)
{
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", NULL);
    (void)state;
    if (!utf8)
        skip();
    for (uint32_t c = 0; c < 0x20000; c++) {
        if (letters_map(c, true) != (uint32_t)towupper_l((wint_t)c, utf8) ||
            letters_map(c, false) != (uint32_t)towlower_l((wint_t)c, utf8))
            fail_msg("U+%04X: %X %X, not %X %X", c, letters_map(c, true), letters_map(c, false),
                     (unsigned)towupper_l((wint_t)c, utf8), (unsigned)towlower_l((wint_t)c, utf8));
    }
    freelocale(utf8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_notation),
        cmocka_unit_test(test_notation_goes_both_ways),
        cmocka_unit_test(test_set_get_delete),
        cmocka_unit_test(test_many_labels_sort),
        cmocka_unit_test(test_legacy_names),
        cmocka_unit_test(test_hash_ignores_order_and_keeps_borders),
        cmocka_unit_test(test_case_is_that_of_the_c_library),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
