/* SPDX-License-Identifier: Apache-2.0 */
/* test_label_set: a table of names that is full, and stays so: sets are as good as before, only larger. */
#include "unit.h"

#include "label_set.h"

#define NAMES 70000 /* more than the 65,535 that have a number */

static struct label_set *set_of(struct label_names *names, struct label_set *base, int number, const char *value)
{
    char name[32];
    struct labels l;
    snprintf(name, sizeof name, "annotation_%d", number);
    labels_init(&l, NULL);
    labels_push(&l, str_of(name), str_of(value));
    labels_push(&l, STR("common"), STR("x"));
    struct label_set *s = label_set_over(names, base, &l);
    labels_free(&l);
    return s;
}

static void check_set(const struct label_set *s, int number, const char *value)
{
    char name[32];
    snprintf(name, sizeof name, "annotation_%d", number);
    struct str v = label_set_get(s, str_of(name));
    assert_true(v.p && str_eq_c(v, value));
    assert_true(str_eq_c(label_set_get(s, STR("common")), "x"));
    assert_null(label_set_get(s, STR("annotation_")).p);
}

static void names_may_run_out(void **state)
{
    (void)state;
    static struct label_set *sets[NAMES];
    struct label_names *names = label_names_new();
    for (int i = 0; i < NAMES; i++)
        sets[i] = set_of(names, NULL, i, "v");
    label_names_release(names); /* the sets keep it */
    for (int i = 0; i < NAMES; i += 997)
        check_set(sets[i], i, "v");
    check_set(sets[NAMES - 1], NAMES - 1, "v");
    for (int i = 0; i < NAMES; i++)
        label_set_unref(sets[i]);
}

static void sets_are_equal_however_they_are_packed(void **state)
{
    (void)state;
    struct label_names *full = label_names_new();
    for (int i = 0; i < NAMES; i++)
        label_set_unref(set_of(full, NULL, i, "v"));
    for (int i = NAMES - 2; i < NAMES + 2; i++) {
        struct label_set *a = set_of(full, NULL, i, "v"), *b = set_of(NULL, NULL, i, "v");
        struct label_set *c = set_of(full, NULL, i, "w");
        struct label_set *over = set_of(full, c, i, "v"), *both = set_of(full, a, i + 1, "v");
        assert_true(label_set_equal(a, b));
        assert_false(label_set_equal(a, c));
        assert_true(label_set_equal(a, over)); /* its own value hides the base's */
        check_set(over, i, "v");
        check_set(both, i, "v");
        check_set(both, i + 1, "v");
        struct label_set *const all[] = {a, b, c, over, both};
        for (size_t k = 0; k < ROWS(all); k++)
            label_set_unref(all[k]);
    }
    label_names_release(full);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_may_run_out),
        cmocka_unit_test(sets_are_equal_however_they_are_packed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
