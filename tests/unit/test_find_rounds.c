/* SPDX-License-Identifier: Apache-2.0 */
/* test_find_rounds: what the scrape tester finds between two scrapes; and the sample that is kept of many keys. */
#include "find_bed.h"

#include "agent/command/sampled.h"
#include "base/hash.h"

#define C "# TYPE c counter\n"
#define START "process_start_time_seconds "

static const struct {
    const char *first, *second, *want;
} ROUNDS[] = {
    {C "c 5\n", C "c 5\n", ""},
    {C "c 5\ng 5\n", C "c 6\ng 4\n", ""},
    {C "c 5\nc{a=\"b\"} 2\n", C "c{a=\"b\"} 1.5\nc 4\n",
     "counter-fell 2 c{a=\"b\"}: 1.5 after 2\ncounter-fell 3 c: 4 after 5\n"},
    {"# TYPE h histogram\nh_bucket{le=\"+Inf\"} 3\nh_sum 5\nh_count 3\n",
     "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\nh_sum 4\nh_count 2\n",
     "counter-fell 2 h_bucket{le=\"+Inf\"}: 2 after 3\ncounter-fell 4 h_count: 2 after 3\n"},
    /* the labels in another order: the same series */
    {C "c{a=\"1\",b=\"2\"} 5\n", C "c{b=\"2\",a=\"1\"} 4\n", "counter-fell 2 c{b=\"2\",a=\"1\"}: 4 after 5\n"},
    {START "1\n" C "c 5\n", START "2\n" C "c 0\n",
     "restart 0 process_start_time_seconds: the target was started anew between the scrapes\n"},
    {START "1\n" C "c 5\n", START "1\n" C "c 0\n", "counter-fell 3 c: 0 after 5\n"},
    {"a{x=\"1\",y=\"1\"} 1\na{x=\"2\",y=\"1\"} 1\nb 1\n",
     "a{x=\"1\",y=\"1\"} 1\na{x=\"3\",y=\"1\"} 1\na{x=\"4\",y=\"1\"} 1\nb 1\n",
     "churn 0 all series: 2 new, 1 gone, 2 stayed; new values of labels: x (2)\n"
     "churn 2 a: 2 new, 1 gone, 1 stayed\n"},
    {"a 1\nb 1\n", "a 1\n", "churn 0 all series: 0 new, 1 gone, 1 stayed\nchurn 0 b: 0 new, 1 gone, 0 stayed\n"},
    {"a 1\n", "b{x=\"1\",y=\"2\"} 1\nb{x=\"2\",y=\"2\"} 1\nb{x=\"2\",y=\"2\"} 1\na 1\n",
     "duplicate-series 3/2 b{x=\"2\",y=\"2\"}: the same series again\n"
     "churn 0 all series: 2 new, 0 gone, 1 stayed; new values of labels: x (2), y (1)\n"
     "churn 1 b: 2 new, 0 gone, 0 stayed\n"},
};

static void test_rounds(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(ROUNDS); i++) {
        struct find_bed b;
        bed_open(&b, 0);
        bed_scrape(&b, EXPOSITION_TEXT, ROUNDS[i].first, strlen(ROUNDS[i].first), (struct scrape_done){0});
        bed_scrape(&b, EXPOSITION_TEXT, ROUNDS[i].second, strlen(ROUNDS[i].second), (struct scrape_done){0});
        char *got = bed_findings(&b);
        if (strcmp(got, ROUNDS[i].want) != 0)
            fail_msg("row %zu\ngot:\n%s\nwant:\n%s", i, got, ROUNDS[i].want);
        free(got);
        bed_close(&b);
    }
}

#define MANY 300000

static void many(struct find_bed *b, int from)
{
    struct buf body;
    buf_init(&body, 64 << 20);
    for (int i = from; i < from + MANY; i++)
        buf_addf(&body, "a{i=\"%d\"} 1\n", i);
    bed_scrape(b, EXPOSITION_TEXT, body.p, body.n, (struct scrape_done){0});
    buf_free(&body);
}

/* Of too many series some are compared, the same in both scrapes, and they stand for all. */
static void test_sample_of_many(void **state)
{
    struct find_bed b;
    unsigned long fresh, gone, stayed, values;
    (void)state;
    bed_open(&b, 0);
    many(&b, 0);
    many(&b, MANY / 10);
    char *got = bed_findings(&b);
    const char *churn = strstr(got, "churn 0 all series: ");
    assert_non_null(churn);
    assert_int_equal(sscanf(churn, "churn 0 all series: %lu new, %lu gone, %lu stayed", &fresh, &gone, &stayed), 3);
    assert_in_range(fresh, MANY / 10 * 95 / 100, MANY / 10 * 105 / 100);
    assert_in_range(gone, MANY / 10 * 95 / 100, MANY / 10 * 105 / 100);
    assert_in_range(stayed, MANY * 88 / 100, MANY * 92 / 100);
    const char *labels = strstr(got, "labels: ");
    assert_non_null(labels);
    assert_int_equal(sscanf(labels, "labels: i (%lu)", &values), 1);
    assert_in_range(values, MANY / 10 * 9 / 10, MANY / 10 * 11 / 10);
    assert_non_null(strstr(got, "not looked at: between the scrapes: only 1 in 4 series is compared\n"));
    free(got);
    bed_close(&b);
}

static uint64_t key(uint64_t i)
{
    return hash_bytes(&i, sizeof i);
}

static void test_sampled(void **state)
{
    struct sampled s = {.max = 1000};
    uint64_t kept = 0;
    (void)state;
    for (uint64_t i = 1; i <= 100000; i++) {
        uint64_t *value = sampled_at(&s, key(i));
        if (value)
            *value = i;
        assert_true(s.map.n <= 1000);
    }
    for (uint64_t i = 1; i <= 100000; i++) {
        bool of_sample;
        const uint64_t *value = sampled_find(&s, key(i), &of_sample);
        assert_true(of_sample == (value != NULL)); /* none is lost but by its own bits */
        assert_true(!value || *value == i);
        kept += of_sample;
    }
    assert_int_equal(kept, s.map.n);
    assert_int_equal(s.level, 7);
    assert_in_range(kept << s.level, 90000, 110000);
    sampled_free(&s);
    assert_int_equal(s.level, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rounds),
        cmocka_unit_test(test_sample_of_many),
        cmocka_unit_test(test_sampled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
