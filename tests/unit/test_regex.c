/* SPDX-License-Identifier: Apache-2.0 */
/* test_regex: the shim over RE2 and the fast paths, which must say what the engine says. */
#include "unit.h"

#include "base/buf.h"
#include "base/clock.h"
#include "relabel/regex.h"

static struct regex *compile(const char *pattern, bool anchored)
{
    struct err err = {0};
    struct regex *re = regex_new(str_of(pattern), anchored, &err);
    if (!re)
        fail_msg("%s: %s", pattern, err.msg);
    return re;
}

static const char *const PIECES[] = {"foo", "a", "b", "bar", "\n", "\xff", "\xc3\xa9", ".", "f", "o", "",
                                     "a.b",
                                     "foo|bar", "f-o/o:1", "\xc3", "\xef\xbf\xbd", "(", "$", "ab"};

static struct str random_subject(unsigned *seed, char subject[64])
{
    size_t n = 0;
    for (int k = rand_r(seed) % 5; k > 0; k--) {
        const char *piece = PIECES[(size_t)rand_r(seed) % ROWS(PIECES)];
        memcpy(subject + n, piece, strlen(piece));
        n += strlen(piece);
    }
    return str_make(subject, n);
}

/* Both answers, and on a match both groups, byte for byte and in the same place. */
static void agree(const char *pattern, const struct regex *re, struct str s)
{
    struct regex_match fast, slow;
    bool hit = regex_match_groups(re, s, REGEX_GROUPS_MAX, &fast);
    if (hit != regex_match_engine(re, s, REGEX_GROUPS_MAX, &slow) || hit != regex_matches(re, s))
        fail_msg("%s on \"%.*s\": %d, and the engine says otherwise", pattern, STR_ARG(s), hit);
    if (!hit)
        return;
    assert_int_equal(fast.n, slow.n);
    for (size_t i = 0; i < fast.n; i++) {
        if (fast.group[i].p != slow.group[i].p || fast.group[i].n != slow.group[i].n)
            fail_msg("%s on \"%.*s\": group %zu is \"%.*s\", the engine's \"%.*s\"", pattern, STR_ARG(s), i,
                     STR_ARG(fast.group[i]), STR_ARG(slow.group[i]));
    }
}

static void test_fast_patterns_agree_with_the_engine(void **state)
{
    static const char *const FAST[] = {
        "", "foo", "foo.*", "foo.+", ".*foo", ".+foo", ".*foo.*", ".+foo.+", ".+foo.*", ".*foo.+", ".*", ".+",
        "a|b|foo", "(foo|bar)", "(?:foo)", "(.*)", "(.+)", "a\\.b", "|a", "a|", "foo\\|bar.*", "(foo.*)",
            "f-o/o:1",
        "^foo$", "^foo", "foo$", "^(foo|a)$", "foo(.*)", "foo(.+)", "(.*)foo", "(.+)foo", "(foo).*",
            ".*(foo)",
        "f(o)o", "f(oo.*)", "(.*f)oo", ".*(o).*", ".+(o).+", "(.*)o.*", ".*o(.*)", ".*o(.+)", "f(o|oo|)",
            "(?:a|b)ar",
        "(a|b)\\.b", "\xc3\xa9.*", ".*\xc3\xa9(.*)", "(?:foo).*", "\\(.*", "\\$", "foo|bar|bar", "(.*(o).*|x",
    };
    unsigned seed = 7;
    (void)state;
    for (size_t i = 0; i + 1 < ROWS(FAST); i++) {
        struct regex *re = compile(FAST[i], true);
        if (!regex_is_fast(re))
            fail_msg("%s is not fast", FAST[i]);
        for (int round = 0; round < 200; round++) {
            char subject[64];
            agree(FAST[i], re, random_subject(&seed, subject));
        }
        regex_free(re);
    }
}

/* Patterns thrown together: what the fast path takes of them it must take rightly. */
static void test_random_patterns_agree_with_the_engine(void **state)
{
    static const char *const PARTS[] = {"a", "b", "foo", "o", ".*", ".+", "(", ")", "(?:", "|", "\\.", "^",
                                        "$", "\\|",
                                        "\xc3\xa9", ".", "?", "*", "\\$", "\\(", "[(|]", "-", "\\Q", "\\E",
                                            "\\n"};
    unsigned seed = 11;
    size_t fast = 0;
    (void)state;
    for (int round = 0; round < 20000; round++) {
        struct err err = {0};
        char pattern[64] = "", subject[64];
        for (int k = rand_r(&seed) % 7; k >= 0; k--) {
            size_t n = strlen(pattern);
            snprintf(pattern + n, sizeof pattern - n, "%s", PARTS[(size_t)rand_r(&seed) % ROWS(PARTS)]);
        }
        struct regex *re = regex_new(str_of(pattern), true, &err);
        fast += re && regex_is_fast(re);
        for (int k = 0; re && regex_is_fast(re) && k < 4; k++)
            agree(pattern, re, random_subject(&seed, subject));
        regex_free(re);
    }
    assert_true(fast > 1000);
}

static void test_not_fast(void **state)
{
    static const char *const SLOW[] = {"fo?o", "[a-c]", "foo$|[b]", "(a)(b)", ".*a.*b", "(?i)foo", "a{2}",
                                       "\\d", ".",
                                       "a.b", ".*.*", "(?P<x>a)", "\xef\xbf\xbd", "()a", "\\Qa\\E",
                                           "a**?b|c"};
    (void)state;
    for (size_t i = 0; i + 1 < ROWS(SLOW); i++) {
        struct regex *re = compile(SLOW[i], true);
        if (regex_is_fast(re))
            fail_msg("%s is fast", SLOW[i]);
        regex_free(re);
    }
}

static void test_broken_utf8_is_seen_as_go_sees_it(void **state)
{
    struct err err = {0};
    struct regex_match m;
    struct regex *re = regex_new(STR("a(.)(..)c"), true, &err);
    (void)state;
    assert_non_null(re);
    assert_true(regex_match_groups(re, STR("a\xff\xc3\xa9\xfe" "c"), 3, &m));
    assert_true(str_eq(m.group[1], STR("\xff")));
    assert_true(str_eq(m.group[2], STR("\xc3\xa9\xfe")));
    regex_free(re);
}

static void test_groups(void **state)
{
    struct regex_match m;
    struct regex *re = compile("(?P<x>a)|(?P<y_1>b)(c)?", true);
    (void)state;
    assert_int_equal(regex_groups(re), 3);
    assert_int_equal(regex_groups_named(re, STR("y_1")), 1 << 2);
    assert_int_equal(regex_groups_named(re, STR("z")), 0);
    assert_true(regex_match_groups(re, STR("b"), 9, &m));
    assert_int_equal(m.n, 4);
    assert_null(m.group[1].p);
    assert_true(str_eq_c(m.group[2], "b"));
    assert_null(m.group[3].p);
    assert_true(regex_match_groups(re, STR("a"), 1, &m));
    assert_int_equal(m.n, 1);
    regex_free(re);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *pattern, *want;
    } FACTS[] = {
        {"(a", "missing closing ): `(a`"},
        {"a)", "unexpected ): `a)`"},
        {"x[a", "missing closing ]: `[a` at character 2"},
        {"a\\", "trailing backslash at end of expression: ``"},
        {"a**", "invalid nested repetition operator: `**` at character 2"},
        {"a**|b**", "invalid nested repetition operator: `**`"},
        {"b|*", "missing argument to repetition operator: `*` at character 3"},
        {"a{1001}", "invalid repeat count: `{1001}` at character 2"},
        {"a\\8", "invalid escape sequence: `\\8` at character 2"},
        {"x\\pX", "invalid character class range: `\\pX` at character 2"},
        {"x\\C", "invalid escape sequence: `\\C` at character 2"},
        {"\\Q\\\\E\\C", "invalid escape sequence: `\\C` at character 6"},
        {"(?P<\xc3\xa9>a)", "invalid named capture: `(?P<\xc3\xa9>` at character 1"},
        {"(?<n>a)", "invalid or unsupported Perl syntax: `(?<` at character 1"},
        {"a\xff", "invalid UTF-8"},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(FACTS); i++) {
        struct err err = {0};
        char want[200];
        snprintf(want, sizeof want, "error parsing regexp: %s", FACTS[i].want);
        if (regex_new(str_of(FACTS[i].pattern), true, &err))
            fail_msg("%s compiles", FACTS[i].pattern);
        if (strncmp(err.msg, want, strlen(want)) != 0)
            fail_msg("%s\n  want %s\n  got  %s", FACTS[i].pattern, want, err.msg);
    }
}

/* What only looks like something Go refuses. */
static void test_accepted(void **state)
{
    static const char *const GOOD[] = {"\\Q\\C\\E", "\\\\C", "[(?P<\xc3\xa9>]", "[]\\]C]x", "[[:alpha:]C]",
                                       "[^]a]+\\\\C",
                                       "\\pL{500}", "(?P<a1_>x)", "^^$$", "(|a)*", "(?P<n>a)(?P<n>b)"};
    (void)state;
    for (size_t i = 0; i < ROWS(GOOD); i++)
        regex_free(compile(GOOD[i], true));
}

static void collect(void *ctx, const struct regex_match *m)
{
    buf_add_char(ctx, '<');
    buf_add_str(ctx, m->group[0]);
    for (size_t i = 1; i < m->n; i++) {
        buf_add_char(ctx, '|');
        buf_add_str(ctx, m->group[i]);
    }
    buf_add_char(ctx, '>');
}

static void test_each_match(void **state)
{
    static const struct {
        const char *pattern, *in, *want;
    } FACTS[] = {
        {"-", "a-b--", "<-><-><->"},
        {"a.", "axa\nab", "<ax><a\n><ab>"},
        {"x*", "axb", "<><x><>"},
        {"x*", "", "<>"},
        {"", "ab", "<><><>"},
        {"", "\xc3\xa9\xff", "<><><>"},
        {"(a)(b)?", "abac", "<ab|a|b><a|a|>"},
        {"^a", "aaa", "<a>"},
        {"a$", "aaa", "<a>"},
        {"\\ba", "aa a", "<a><a>"},
        {"aa", "aaaaa", "<aa><aa>"},
        {".", "\xffz\xc3", "<\xff><z><\xc3>"},
        {"q", "", ""},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(FACTS); i++) {
        struct buf out;
        struct regex *re = compile(FACTS[i].pattern, false);
        buf_init(&out, 4096);
        assert_true(regex_each(re, str_of(FACTS[i].in), REGEX_GROUPS_MAX, collect, &out));
        assert_string_equal(buf_c(&out), FACTS[i].want);
        buf_free(&out);
        regex_free(re);
    }
}

static void count(void *ctx, const struct regex_match *m)
{
    (void)m;
    ++*(size_t *)ctx;
}

static double each_ms(const char *pattern, struct str value, bool *all, size_t *n)
{
    struct regex *re = compile(pattern, false);
    int64_t before = clock_cpu_ns();
    *n = 0;
    *all = regex_each(re, value, 1, count, n);
    regex_free(re);
    return (double)(clock_cpu_ns() - before) / 1e6;
}

/* `a.*z|a` looks to the end for each of a million matches; `a` and `[ab]` do not. */
static void test_each_match_gives_up_on_a_square_of_work(void **state)
{
    size_t n = 1 << 20, hits;
    char *value = malloc(n);
    bool all;
    (void)state;
    memset(value, 'a', n);
    double hostile = each_ms("a.*z|a", str_make(value, n), &all, &hits);
    assert_false(all);
    double literal = each_ms("a", str_make(value, n), &all, &hits);
    assert_true(all);
    assert_int_equal(hits, n);
    double class = each_ms("[ab]", str_make(value, n), &all, &hits);
    assert_true(all);
    assert_int_equal(hits, n);
    (void)each_ms("a.*z|a", str_make(value, 5000), &all, &hits);
    assert_true(all);
    assert_int_equal(hits, 5000);
    print_message("hostile %.1f ms, literal %.1f ms, class %.1f ms\n", hostile, literal, class);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(hostile < 200 && literal < 200);
#endif
    free(value);
}

/* A regex that would become a million states must neither take the memory nor the time for them. */
static void test_states_are_bounded(void **state)
{
    size_t n = 1 << 20;
    char *value = malloc(n);
    unsigned seed = 5;
    (void)state;
    for (size_t i = 0; i < n; i++)
        value[i] = rand_r(&seed) & 64 ? 'a' : 'b';
    struct regex *re = compile(".*a.{20}c", true);
    int64_t before = clock_cpu_ns();
    assert_false(regex_matches(re, str_make(value, n)));
    double ms = (double)(clock_cpu_ns() - before) / 1e6;
    print_message("%.1f ms\n", ms);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(ms < 1000);
#endif
    regex_free(re);
    free(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fast_patterns_agree_with_the_engine),
        cmocka_unit_test(test_random_patterns_agree_with_the_engine),
        cmocka_unit_test(test_not_fast),
        cmocka_unit_test(test_broken_utf8_is_seen_as_go_sees_it),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_each_match),
        cmocka_unit_test(test_each_match_gives_up_on_a_square_of_work),
        cmocka_unit_test(test_states_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
