/* SPDX-License-Identifier: Apache-2.0 */
/* test_selector: what `if` selectors match, and what is none. */
#include "unit.h"

#include "selector.h"

static bool holds(const char *selector, const char *series)
{
    struct err err = {0};
    struct arena arena;
    struct labels l;
    arena_init(&arena);
    labels_init(&l, &arena);
    struct selector *s = selector_new(str_of(selector), &err);
    if (!s)
        fail_msg("%s: %s", selector, err.msg);
    if (!labels_parse(&l, str_of(series), &err))
        fail_msg("%s: %s", series, err.msg);
    bool yes = selector_matches(s, &l);
    selector_free(s);
    labels_free(&l);
    arena_free(&arena);
    return yes;
}

static void test_matching(void **state)
{
    static const struct {
        const char *selector, *series;
        bool want;
    } FACTS[] = {
        {"m", "m{a=\"1\"}", true},
        {"m", "n", false},
        {"m{}", "m", true},
        {"{}", "m", true},
        {" m { a = \"1\" , } ", "m{a=\"1\"}", true},
        {"{a=\"1\"}", "m{a=\"1\"}", true},
        {"{a!=\"1\"}", "m{a=\"1\"}", false},
        {"{a!=\"1\"}", "m", true},
        {"{a=\"\"}", "m", true},
        {"{a=\"\"}", "m{a=\"1\"}", false},
        {"{a=~\"1.*\"}", "m{a=\"12\"}", true},
        {"{a=~\"1\"}", "m{a=\"12\"}", false},
        {"{a=~\".*\"}", "m", true},
        {"{a=~\".+\"}", "m", false},
        {"{a!~\"1|2\"}", "m{a=\"3\"}", true},
        {"{a!~\"1|2\"}", "m{a=\"2\"}", false},
        {"{a=\"1\",b=\"2\"}", "m{a=\"1\"}", false},
        {"{a=\"1\",b=\"2\"}", "m{a=\"1\",b=\"2\"}", true},
        {"{a=\"1\" or b=\"2\"}", "m{b=\"2\"}", true},
        {"{a=\"1\" or b=\"2\"}", "m{b=\"3\"}", false},
        {"{a=\"1\",b=\"2\" or c=\"3\" or d=\"4\",e=\"5\"}", "m{a=\"1\",c=\"3\"}", true},
        {"{a=\"1\",b=\"2\" or c=\"3\" or d=\"4\",e=\"5\"}", "m{a=\"1\",d=\"4\"}", false},
        {"{a=\"1\",b=\"2\" or c=\"3\" or d=\"4\",e=\"5\"}", "m{d=\"4\",e=\"5\"}", true},
        {"m{a=\"1\" or b=\"2\"}", "m{b=\"2\"}", true},
        {"m{a=\"1\" or b=\"2\"}", "n{b=\"2\"}", false},
        {"{or=\"1\"}", "m{or=\"1\"}", true},
        {"{a=\"1\",or=\"1\"}", "m{or=\"1\"}", false},
        {"{__name__=~\"m|n\"}", "n", true},
        {"{\"m.x\"}", "{\"m.x\"}", true},
        {"{\"m.x\",\"a b\"!=\"1\"}", "{\"m.x\",\"a b\"=\"2\"}", true},
        {"{a='x'}", "m{a=\"x\"}", true},
        {"{a=`x\\y`}", "m{a=\"x\\\\y\"}", true},
        {"{a=\"x\\\\y\\\"\\n\"}", "m{a=\"x\\\\y\\\"\\n\"}", true},
        {"{a=~\"\\\\d+\"}", "m{a=\"12\"}", true},
        {"{a=~\"\\d+\"}", "m{a=\"12\"}", true},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(FACTS); i++) {
        if (holds(FACTS[i].selector, FACTS[i].series) != FACTS[i].want)
            fail_msg("%s on %s: not %d", FACTS[i].selector, FACTS[i].series, FACTS[i].want);
    }
}

static void test_refusals(void **state)
{
    static const struct {
        const char *text, *want;
    } FACTS[] = {
        {"", "column 1: a selector is expected"},
        {"=", "column 1: a selector is expected"},
        {"m{a=b}", "column 5: a value in quotes is expected"},
        {"m{a~\"b\"}", "column 4: one of = != =~ !~ is expected"},
        {"{a=\"b\"", "column 7: ',', 'or' or '}' is expected"},
        {"{a=\"b", "column 4: a quoted string does not end"},
        {"{,}", "column 2: a label name is expected"},
        {"{a=\"b\" or}", "column 10: a label name is expected"},
        {"m{a=\"b\" or }", "column 12: a label name is expected"},
        {"{or a=\"b\"}", "column 5: one of = != =~ !~ is expected"},
        {"{a=\"b\"} x", "column 9: nothing more is expected here"},
        {"m n", "column 3: nothing more is expected here"},
        {"{a=~\"(\"}", "error parsing regexp: missing closing ): `(`"},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(FACTS); i++) {
        struct err err = {0};
        struct selector *s = selector_new(str_of(FACTS[i].text), &err);
        assert_null(s);
        if (strcmp(err.msg, FACTS[i].want) != 0)
            fail_msg("%s\n  want %s\n  got  %s", FACTS[i].text, FACTS[i].want, err.msg);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matching),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
