/* SPDX-License-Identifier: Apache-2.0 */
/* test_cardinality: where the scrape tester says the series of a body come from. */
#include "unit.h"

#include "agent/command/cardinality.h"

#include <jansson.h>

struct bed {
    struct scrape_flags flags;
    struct scrape_subject subject;
    struct analysis a;
};

static void open_bed(struct bed *b, uint64_t top)
{
    *b = (struct bed){.flags = {.cardinality = true, .top = top}};
    assert_true(cardinality_make(&b->flags, &b->subject, &b->a));
}

static void scrape(struct bed *b, const char *body, size_t n)
{
    struct survey *s = survey_new(20);
    struct survey_counts counts;
    struct probe_result probe = {.raw_bytes = n, .wire_bytes = n / 2};
    struct scrape_done done = {.subject = &b->subject, .probe = &probe, .counts = &counts};
    survey_watch(s, &b->a.watcher);
    survey_feed(s, body, n);
    survey_finish(s);
    survey_counts(s, &counts);
    b->a.done(b->a.watcher.ctx, &done);
    survey_free(s);
}

static json_t *json_of(struct bed *b)
{
    struct buf text;
    buf_init(&text, 1 << 20);
    buf_add_char(&text, '{');
    b->a.json(b->a.watcher.ctx, &text);
    buf_add_c(&text, "\"end\":0}");
    json_t *all = json_loads(buf_c(&text), 0, NULL);
    assert_non_null(all);
    json_t *own = json_incref(json_object_get(all, "cardinality"));
    assert_non_null(own);
    json_decref(all);
    buf_free(&text);
    return own;
}

static const char BODY[] = "a{x=\"1\",y=\"1\"} 1\na{x=\"2\",y=\"1\"} 1\na{x=\"3\",y=\"1\"} 1\na{x=\"3\",y=\"2\"} 1\n"
                           "b{x=\"1\"} 1\nb{x=\"1\"} 2\nc 1\n# TYPE dd counter\n";

static const char JSON[] =
    "{\"series\":6,\"metrics\":3,\"labels\":2,\"bytes_per_sample\":16,\"wire_bytes_per_sample\":8,\"exact\":true,"
    "\"top_metrics\":["
    "{\"name\":\"a\",\"series\":4,\"bytes\":56,\"labels\":["
    "{\"name\":\"x\",\"values\":3},{\"name\":\"y\",\"values\":2}]},"
    "{\"name\":\"b\",\"series\":1,\"bytes\":8,\"labels\":[]},"
    "{\"name\":\"c\",\"series\":1,\"bytes\":1,\"labels\":[]}],"
    "\"top_labels\":["
    "{\"name\":\"x\",\"series\":5,\"bytes\":30,\"values\":3,\"series_without\":4},"
    "{\"name\":\"y\",\"series\":4,\"bytes\":24,\"values\":2,\"series_without\":5}]}";

static void test_json(void **state)
{
    struct bed b;
    (void)state;
    open_bed(&b, 10);
    for (int round = 0; round < 2; round++) { /* each scrape alone */
        scrape(&b, BODY, sizeof BODY - 1);
        json_t *got = json_of(&b), *want = json_loads(JSON, 0, NULL);
        char *text = json_dumps(got, JSON_COMPACT);
        assert_non_null(want);
        if (!json_equal(got, want))
            fail_msg("got  %s\nwant %s", text, JSON);
        free(text);
        json_decref(got);
        json_decref(want);
    }
    b.a.free(b.a.watcher.ctx);
}

static void test_text(void **state)
{
    struct bed b;
    struct paint plain = {.on = false};
    struct buf out;
    (void)state;
    buf_init(&out, 1 << 20);
    open_bed(&b, 1);
    scrape(&b, BODY, sizeof BODY - 1);
    b.a.text(b.a.watcher.ctx, &plain, &out);
    assert_string_equal(buf_c(&out),
                        "cardinality: 6 series of 3 metrics with 2 labels, 16.0 bytes a sample, 8.0 received\n"
                        "  metric   series   share      bytes  most values\n"
                        "  a             4  66.7 %       56 B  x 3, y 2\n"
                        "  label    series   share      bytes   values  series left without it\n"
                        "  x             5  83.3 %       30 B        3  4\n");
    buf_clear(&out);
    scrape(&b, "", 0);
    b.a.text(b.a.watcher.ctx, &plain, &out);
    assert_string_equal(buf_c(&out),
                        "cardinality: 0 series of 0 metrics with 0 labels, 0.0 bytes a sample, 0.0 received\n");
    buf_free(&out);
    b.a.free(b.a.watcher.ctx);
}

#define MANY 200000

static json_int_t of_label(json_t *labels, const char *name, const char *key)
{
    size_t i;
    json_t *label;
    json_array_foreach(labels, i, label) {
        if (strcmp(json_string_value(json_object_get(label, "name")), name) == 0)
            return json_integer_value(json_object_get(label, key));
    }
    fail_msg("no label %s", name);
    return 0;
}

/* More than is kept: estimates, and said so. */
static void test_many(void **state)
{
    struct bed b;
    struct buf body;
    (void)state;
    buf_init(&body, 64 << 20);
    for (int i = 0; i < MANY; i++)
        buf_addf(&body, "m%d{id=\"%d\",pod=\"p%d\",zone=\"z%d\"} 1\n", i % 5, i, i / 100, i % 3);
    open_bed(&b, 4);
    scrape(&b, body.p, body.n);
    json_t *got = json_of(&b), *labels = json_object_get(got, "top_labels");
    assert_true(json_is_false(json_object_get(got, "exact")));
    assert_int_equal(json_array_size(json_object_get(got, "top_metrics")), 4);
    assert_string_equal(json_string_value(json_object_get(json_array_get(labels, 0), "name")), "id");
    assert_in_range(of_label(labels, "id", "values"), MANY * 9 / 10, MANY);
    assert_in_range(of_label(labels, "pod", "values"), 1800, 2200);
    assert_in_range(of_label(labels, "pod", "series_without"), MANY * 9 / 10, MANY);
    assert_in_range(of_label(labels, "id", "series_without"), 27000, 33000); /* 2000 pods, 5 names, 3 zones */
    assert_int_equal(of_label(labels, "zone", "values"), 3); /* few are exact, however many others have */
    assert_int_equal(of_label(labels, "zone", "series"), MANY);
    json_decref(got);
    buf_free(&body);
    b.a.free(b.a.watcher.ctx);
}

static void test_not_asked(void **state)
{
    struct scrape_flags flags = {.top = 3};
    struct analysis a;
    (void)state;
    assert_false(cardinality_make(&flags, NULL, &a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_not_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
