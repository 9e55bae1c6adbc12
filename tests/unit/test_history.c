/* SPDX-License-Identifier: Apache-2.0 */
/* test_history: the ring behind the plots: what it keeps, rates, growth, JSON. */
#include "unit.h"

#include <math.h>

#include <jansson.h>

#include "agent/web/history.h"

static struct history_point point(int64_t s)
{
    return (struct history_point){.wall_ms = 1700000000000 + s * 1000, .mono_ms = s * 1000};
}

static void the_oldest_points_go(void **state)
{
    (void)state;
    static struct history_point v[HISTORY_POINTS];
    struct history *h = history_new();
    assert_int_equal(history_copy(h, v), 0);
    for (int i = 0; i < HISTORY_POINTS + 5; i++) {
        struct history_point p = point(i * 5);
        history_add(h, &p);
    }
    assert_int_equal(history_copy(h, v), HISTORY_POINTS);
    for (size_t i = 0; i < HISTORY_POINTS; i++) {
        assert_int_equal(v[i].number, i + 5);
        assert_int_equal(v[i].mono_ms, ((int64_t)i + 5) * 5000);
    }
    history_free(h);
}

static void values_of_points(void **state)
{
    (void)state;
    struct history_point v[3] = {point(0), point(5), point(10)};
    v[0].scraped = 100;
    v[1].scraped = 150;
    v[2].scraped = 150;
    v[0].delivered = 50;
    v[1].delivered = 40; /* an endpoint went */
    v[1].answers[HISTORY_5XX] = 10;
    v[1].cpu_s = 0.5;
    v[1].delay_s = 7;
    v[1].ram_bytes = 3;
    assert_true(isnan(history_value(v, 0, HISTORY_SCRAPED_RATE)));
    assert_true(history_value(v, 1, HISTORY_SCRAPED_RATE) == 10);
    assert_true(history_value(v, 2, HISTORY_SCRAPED_RATE) == 0);
    assert_true(isnan(history_value(v, 1, HISTORY_DELIVERED_RATE)));
    assert_true(history_value(v, 1, HISTORY_RATE_5XX) == 2);
    assert_true(history_value(v, 1, HISTORY_RATE_2XX) == 0);
    assert_true(history_value(v, 1, HISTORY_CPU) == 10);
    assert_true(history_value(v, 1, HISTORY_DELAY) == 7);
    assert_true(history_value(v, 1, HISTORY_RAM_BYTES) == 3);
    assert_true(isnan(history_value(v, 1, HISTORY_RSS))); /* unknown */
    v[1].rss_bytes = 9;
    assert_true(history_value(v, 1, HISTORY_RSS) == 9);
    v[2].mono_ms = v[1].mono_ms; /* no time has passed */
    assert_true(isnan(history_value(v, 2, HISTORY_SCRAPED_RATE)));
    for (int what = 0; what < HISTORY_VALUES; what++)
        assert_non_null(history_value_name((enum history_value)what));
}

static void how_fast_the_buffer_grows(void **state)
{
    (void)state;
    struct history_point v[3] = {point(0), point(5), point(10)};
    assert_true(history_growth(v, 0) == 0);
    assert_true(history_growth(v, 1) == 0);
    assert_true(history_growth(v, 3) == 0);
    v[2].buffered_bytes = 50; /* nothing is on disk yet */
    assert_true(history_growth(v, 3) == 5);
    v[2].disk_bytes = 200;
    assert_true(history_growth(v, 3) == 20);
    v[0].disk_bytes = 300;
    assert_true(history_growth(v, 3) == -10);
    v[2].scraped = 70;
    assert_true(history_scraped(v, 3) == 7);
    assert_true(history_scraped(v, 1) == 0);
}

static json_t *parsed(const struct history_point *v, size_t n, uint64_t from)
{
    struct buf text;
    buf_init(&text, 1 << 20);
    history_json(v, n, from, &text);
    json_t *root = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    buf_free(&text);
    return root;
}

static void json_of_what_is_new(void **state)
{
    (void)state;
    struct history_point v[3] = {point(0), point(5), point(10)};
    for (size_t i = 0; i < 3; i++) {
        v[i].number = i + 7;
        v[i].scraped = i * 12;
    }
    json_t *root = parsed(v, 3, 8);
    assert_int_equal(json_integer_value(json_object_get(root, "next")), 10);
    assert_int_equal(json_integer_value(json_object_get(root, "interval_seconds")), 5);
    json_t *time = json_object_get(root, "time"), *rate = json_object_get(root, "scraped_per_second");
    assert_int_equal(json_array_size(time), 2);
    assert_int_equal(json_integer_value(json_array_get(time, 0)), 1700000005000);
    assert_true(json_number_value(json_array_get(rate, 1)) > 2.39 && json_number_value(json_array_get(rate, 1)) < 2.41);
    for (int what = 0; what < HISTORY_VALUES; what++)
        assert_int_equal(json_array_size(json_object_get(root, history_value_name((enum history_value)what))), 2);
    json_decref(root);
    root = parsed(v, 3, 0);
    assert_true(json_is_null(json_array_get(json_object_get(root, "scraped_per_second"), 0)));
    json_decref(root);
    root = parsed(v, 0, 0);
    assert_int_equal(json_integer_value(json_object_get(root, "next")), 0);
    assert_int_equal(json_array_size(json_object_get(root, "time")), 0);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_oldest_points_go),
        cmocka_unit_test(values_of_points),
        cmocka_unit_test(how_fast_the_buffer_grows),
        cmocka_unit_test(json_of_what_is_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
