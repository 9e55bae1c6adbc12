/* SPDX-License-Identifier: Apache-2.0 */
/* test_buf: strings, buffers, arenas and error messages: the ground that everything else stands on. */
#include "unit.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#include <float.h>
#include <math.h>
#include <stdalign.h>

/* ---- str ---- */

static void test_find(void **state)
{
    static const struct {
        const char *in, *needle;
        size_t want;
    } rows[] = {
        {"abcabc", "abc", 0}, {"abcabc", "ca", 2}, {"abcabc", "x", 6},  {"abc", "abcd", 3}, {"abc", "", 0},
        {"", "", 0},          {"", "a", 0},        {"aaab", "aab", 1},  {"ab", "b", 1},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++)
        assert_int_equal(str_find(str_of(rows[i].in), str_of(rows[i].needle)), rows[i].want);
    assert_int_equal(str_find(STR_NULL, STR("a")), 0);
    assert_int_equal(str_find(STR("a\0b"), STR("\0b")), 1);
    assert_int_equal(str_find_char(STR("a\0b"), '\0'), 1);
    assert_int_equal(str_find_char(STR("ab"), '\0'), 2);
    assert_int_equal(str_find_char(STR_NULL, 'a'), 0);
}

static void test_compare(void **state)
{
    static const struct {
        const char *a, *b;
        int sign;
    } rows[] = {
        {"", "", 0}, {"a", "", 1}, {"a", "b", -1}, {"ab", "a", 1}, {"a", "ab", -1}, {"\xff", "a", 1},
        {"same", "same", 0},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        int r = str_cmp(str_of(rows[i].a), str_of(rows[i].b));
        assert_int_equal((r > 0) - (r < 0), rows[i].sign);
        assert_int_equal(str_eq(str_of(rows[i].a), str_of(rows[i].b)), rows[i].sign == 0);
    }
    assert_true(str_eq(STR_NULL, STR("")));
    assert_true(str_starts(STR("abc"), STR_NULL) && str_starts(STR("abc"), STR("ab")));
    assert_false(str_starts(STR("a"), STR("ab")) || str_ends(STR("b"), STR("ab")));
    assert_true(str_ends(STR("abc"), STR("bc")) && str_ends(STR_NULL, STR_NULL));
    assert_int_equal(str_skip(STR("abc"), 9).n, 0);
    assert_null(str_skip(STR_NULL, 2).p);
    assert_int_equal(str_of(NULL).n, 0);
}

static void test_trim(void **state)
{
    static const char *const rows[][2] = {
        {"", ""}, {"a", "a"}, {" a ", "a"}, {"\t\r\n a b\n", "a b"}, {" \t ", ""}, {"\va\v", "\va\v"}, {"a ", "a"},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++)
        assert_true(str_eq_c(str_trim(str_of(rows[i][0])), rows[i][1]));
    assert_int_equal(str_trim(STR_NULL).n, 0);
    char *copy = str_dup(STR("a\0b"));
    assert_memory_equal(copy, "a\0b", 4);
    free(copy);
    copy = str_dup(STR_NULL);
    assert_string_equal(copy, "");
    free(copy);
}

static void test_utf8(void **state)
{
    static const struct {
        const char *in;
        size_t step;
    } rows[] = {
        {"a", 1},
        {"\x7f", 1},
        {"\x80", 0},             /* a continuation alone */
        {"\xc0\x80", 0},         /* overlong */
        {"\xc1\xbf", 0},         /* overlong */
        {"\xc2\x80", 2},         /* U+0080 */
        {"\xdf\xbf", 2},         /* U+07FF */
        {"\xdf", 0},             /* cut */
        {"\xc3(", 0},            /* no continuation */
        {"\xe0\x9f\xbf", 0},     /* overlong */
        {"\xe0\xa0\x80", 3},     /* U+0800 */
        {"\xed\x9f\xbf", 3},     /* U+D7FF */
        {"\xed\xa0\x80", 0},     /* a surrogate */
        {"\xed\xbf\xbf", 0},     /* a surrogate */
        {"\xee\x80\x80", 3},     /* U+E000 */
        {"\xef\xbf\xbf", 3},     /* U+FFFF */
        {"\xe2\x82", 0},         /* cut */
        {"\xe2(\xa1", 0},        /* no continuation */
        {"\xe2\x82(", 0},        /* no continuation */
        {"\xf0\x8f\xbf\xbf", 0}, /* overlong */
        {"\xf0\x90\x80\x80", 4}, /* U+10000 */
        {"\xf4\x8f\xbf\xbf", 4}, /* U+10FFFF */
        {"\xf4\x90\x80\x80", 0}, /* beyond */
        {"\xf5\x80\x80\x80", 0}, {"\xff", 0},
        {"\xf0\x90\x80", 0},     /* cut */
        {"\xf0\x90\x80(", 0},    /* no continuation */
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        assert_int_equal(str_utf8_step(str_of(rows[i].in)), rows[i].step);
        assert_int_equal(str_is_utf8(str_of(rows[i].in)), rows[i].step != 0);
    }
    assert_int_equal(str_utf8_step(STR_NULL), 0);
    assert_true(str_is_utf8(STR_NULL));
    assert_true(str_is_utf8(STR("a\0b")));
    assert_true(str_is_utf8(STR("h\xc3\xa9llo \xf0\x9f\x90\x9d")));
    assert_false(str_is_utf8(STR("fine\xc3")));
}

/* ---- buf ---- */

static void test_growth(void **state)
{
    struct buf b;
    (void)state;
    buf_init(&b, 100000);
    assert_string_equal(buf_c(&b), "");
    for (int i = 0; i < 10000; i++) {
        assert_true(buf_add(&b, "0123456789", 10));
        assert_string_equal(buf_c(&b) + i * 10, "0123456789");
    }
    assert_int_equal(b.n, 100000);
    assert_true(b.cap <= 100001);
    assert_true(buf_add(&b, "", 0) && buf_add(&b, NULL, 0) && !b.overflow);
    assert_false(buf_add_char(&b, 'x'));
    assert_int_equal(b.n, 100000);
    buf_clear(&b);
    assert_true(b.n == 0 && !b.overflow && b.cap > 0);
    buf_trim(&b, b.cap);
    assert_non_null(b.p);
    buf_add_c(&b, "gone");
    buf_trim(&b, 10);
    assert_true(b.p == NULL && b.n == 0 && b.cap == 0);
    buf_free(&b);
    assert_int_equal(b.max, 100000);
}

static void test_unbounded(void **state)
{
    struct buf b;
    size_t moves = 0, cap = 0;
    (void)state;
    buf_init(&b, SIZE_MAX);
    for (int i = 0; i < 100000; i++) {
        assert_true(buf_add_char(&b, 'x'));
        moves += b.cap != cap;
        cap = b.cap;
    }
    assert_true(moves < 40);
    assert_null(buf_reserve(&b, SIZE_MAX));
    assert_true(b.overflow);
    buf_free(&b);
}

static void test_overflow_stays(void **state)
{
    struct buf b;
    (void)state;
    buf_init(&b, 8);
    assert_true(buf_add_c(&b, "12345"));
    assert_false(buf_addf(&b, "%d", 6789));
    assert_string_equal(buf_c(&b), "12345");
    assert_true(buf_add_c(&b, "678"));
    assert_true(b.overflow);
    assert_null(buf_reserve(&b, 1));
    assert_null(buf_reserve(&b, SIZE_MAX));
    buf_clear(&b);
    assert_true(buf_addf(&b, "%s%d", "abc", 45678));
    assert_false(b.overflow);
    char *own = buf_take(&b);
    assert_string_equal(own, "abc45678");
    assert_true(b.p == NULL && b.n == 0 && b.cap == 0 && b.max == 8);
    free(own);
    own = buf_take(&b);
    assert_string_equal(own, "");
    free(own);
    assert_false(buf_add_json(&b, STR("123456789")));
    buf_free(&b);
    buf_init(&b, 0);
    assert_true(buf_add_c(&b, ""));
    assert_false(buf_add_char(&b, 'x'));
    buf_free(&b);
}

static void test_escapes(void **state)
{
    static const struct {
        struct str in;
        const char *json, *html;
    } rows[] = {
        {{NULL, 0}, "\"\"", ""},
        {{"plain", 5}, "\"plain\"", "plain"},
        {{"a\"b\\c", 5}, "\"a\\\"b\\\\c\"", "a&quot;b\\c"},
        {{"\n\r\t\b\f", 5}, "\"\\n\\r\\t\\u0008\\u000c\"", "\n\r\t\b\f"},
        {{"\0\x1f\x7f", 3}, "\"\\u0000\\u001f\\u007f\"", NULL},
        {{"<a href='x'>&", 13}, "\"<a href='x'>&\"", "&lt;a href=&#39;x&#39;&gt;&amp;"},
        {{"\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x9d", 9}, "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x9d\"", NULL},
        {{"\xff" "a\xc3", 3}, "\"\xef\xbf\xbd" "a\xef\xbf\xbd\"", NULL},
        {{"\xed\xa0\x80", 3}, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"", NULL},
    };
    struct buf b;
    (void)state;
    buf_init(&b, 1000);
    for (size_t i = 0; i < ROWS(rows); i++) {
        buf_clear(&b);
        assert_true(buf_add_json(&b, rows[i].in));
        assert_string_equal(buf_c(&b), rows[i].json);
        buf_clear(&b);
        assert_true(buf_add_html(&b, rows[i].in));
        if (rows[i].html)
            assert_string_equal(buf_c(&b), rows[i].html);
    }
    buf_free(&b);
}

static void test_doubles(void **state)
{
    static const struct {
        double v;
        const char *want;
    } rows[] = {
        {0, "0"}, {-0.0, "-0"}, {1, "1"}, {-1.5, "-1.5"}, {0.1, "0.1"}, {0.1 + 0.2, "0.30000000000000004"},
        {1e15, "1e+15"}, {123456789012345, "123456789012345"}, {-999999999999999, "-999999999999999"},
        {999999999999999, "999999999999999"}, {-1e15, "-1e+15"}, {1000000, "1000000"}, {-1, "-1"},
        {1e14 + 0.5, "100000000000000.5"}, {9007199254740992, "9007199254740992"},
        {1e300, "1e+300"}, {DBL_MAX, "1.7976931348623157e+308"}, {DBL_MIN, "2.2250738585072014e-308"},
        {5e-324, "5e-324"}, {1.5e-323, "1.5e-323"}, {-2e-320, "-2e-320"}, {INFINITY, "+Inf"}, {-INFINITY, "-Inf"},
        {NAN, "NaN"}, {-NAN, "NaN"}, {1.0 / 3, "0.3333333333333333"},
    };
    struct buf b;
    (void)state;
    buf_init(&b, 100);
    for (size_t i = 0; i < ROWS(rows); i++) {
        buf_clear(&b);
        assert_true(buf_add_double(&b, rows[i].v));
        assert_string_equal(buf_c(&b), rows[i].want);
    }
    buf_free(&b);
}

/* Any bits come back, and no shorter %g brings them back. */
static void test_doubles_random(void **state)
{
    uint64_t seed = 88172645463325252u;
    struct buf b;
    (void)state;
    buf_init(&b, 100);
    for (int i = 0; i < 100000; i++) {
        double v, back;
        char shorter[40];
        seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
        uint64_t bits = i % 10 == 0 ? seed & 0x800fffffffffffffu : seed; /* a tenth below the normal range */
        memcpy(&v, &bits, sizeof v);
        if (!isfinite(v))
            continue;
        buf_clear(&b);
        assert_true(buf_add_double(&b, v));
        back = strtod(buf_c(&b), NULL);
        assert_memory_equal(&back, &v, sizeof v);
        int digits = 0;
        for (const char *p = buf_c(&b); *p && *p != 'e'; p++)
            digits += *p >= '0' && *p <= '9';
        if (i % 16 == 0 && digits > 1 && digits <= 17 && strchr(buf_c(&b), 'e')) {
            snprintf(shorter, sizeof shorter, "%.*g", digits - 1, v);
            assert_true(strtod(shorter, NULL) != v);
        }
    }
    buf_free(&b);
}

/* ---- arena, alloc ---- */

static void test_arena_alignment(void **state)
{
    struct arena a;
    (void)state;
    arena_init(&a);
    for (size_t n = 0; n < 3000; n += 7) {
        unsigned char *p = arena_alloc(&a, n);
        assert_int_equal((uintptr_t)p % alignof(max_align_t), 0);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xee, n);
    }
    assert_true(a.used >= 3000 / 7 * 1500);
    arena_reset(&a);
    assert_int_equal(a.used, 0);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(((unsigned char *)arena_alloc(&a, 16))[i % 16], 0);
    arena_free(&a);
    assert_null(a.head);
    arena_free(&a);
}

static void test_arena_reset_keeps(void **state)
{
    struct arena a;
    (void)state;
    arena_init(&a);
    arena_reset(&a);
    assert_null(a.head);
    for (int i = 0; i < 1000; i++)
        arena_alloc(&a, 100);
    struct arena_chunk *kept = a.head;
    arena_reset(&a);
    assert_ptr_equal(a.head, kept);
    size_t room = a.left;
    assert_true(room >= 2048);
    arena_alloc(&a, 100);
    assert_ptr_equal(a.head, kept);
    arena_free(&a);
}

static void test_arena_big(void **state)
{
    struct arena a;
    (void)state;
    arena_init(&a);
    char *small = arena_strdup(&a, "small");
    char *big = arena_alloc(&a, 10 * 1024 * 1024);
    memset(big, 'x', 10 * 1024 * 1024);
    assert_string_equal(small, "small");
    struct str s = arena_str(&a, STR("a\0b"));
    assert_int_equal(s.n, 3);
    assert_memory_equal(s.p, "a\0b", 4);
    assert_int_equal(arena_str(&a, STR_NULL).n, 0);
    assert_string_equal(arena_strdup(&a, NULL), "");
    assert_string_equal(arena_printf(&a, "%s-%d", "x", 7), "x-7");
    char *wide = arena_printf(&a, "%5000d", 7);
    assert_int_equal(strlen(wide), 5000);
    arena_free(&a);
}

static void test_alloc(void **state)
{
    int *v = NULL;
    size_t cap = 0;
    (void)state;
    for (size_t n = 1; n <= 1000; n++) {
        v = xgrow(v, &cap, n, sizeof *v);
        assert_true(cap >= n && cap < n + n / 2 + 8);
        v[n - 1] = (int)n;
    }
    assert_true(v[0] == 1 && v[999] == 1000);
    free(v);
    assert_null(xstrdup(NULL));
    char *text = xasprintf("%d-%s", 1, "a");
    assert_string_equal(text, "1-a");
    free(text);
    void *none = xmalloc(0), *zeroed = xcalloc(0, 8);
    assert_true(none && zeroed);
    none = xrealloc(none, 0);
    assert_non_null(none);
    free(none);
    free(zeroed);
}

/* ---- err ---- */

static void test_err(void **state)
{
    struct err e = {0};
    char longer[2000];
    (void)state;
    assert_false(err_set(NULL, "nobody listens"));
    assert_false(err_prefix(NULL, "nobody"));
    err_clear(NULL);
    assert_false(err_prefix(&e, "nothing to prefix"));
    assert_false(err_is(&e));
    assert_false(err_set(&e, "first %d", 1));
    assert_false(err_set(&e, "second"));
    assert_string_equal(e.msg, "first 1");
    assert_false(err_prefix(&e, "in %s", "here"));
    assert_string_equal(e.msg, "in here: first 1");
    err_clear(&e);
    assert_false(err_is(&e));

    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    err_set(&e, "%s", longer);
    assert_int_equal(strlen(e.msg), sizeof e.msg - 1);
    err_prefix(&e, "where");
    assert_int_equal(strlen(e.msg), sizeof e.msg - 1);
    assert_memory_equal(e.msg, "where: xxx", 10);
    err_prefix(&e, "%s", longer);
    assert_int_equal(strlen(e.msg), sizeof e.msg - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_compare),
        cmocka_unit_test(test_trim),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_unbounded),
        cmocka_unit_test(test_overflow_stays),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_doubles_random),
        cmocka_unit_test(test_arena_alignment),
        cmocka_unit_test(test_arena_reset_keeps),
        cmocka_unit_test(test_arena_big),
        cmocka_unit_test(test_alloc),
        cmocka_unit_test(test_err),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
