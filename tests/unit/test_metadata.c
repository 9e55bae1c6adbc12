/* SPDX-License-Identifier: Apache-2.0 */
/* test_metadata: what is remembered of metric families, and questions about it between threads: answered, answered too
   late, never answered. */
#include "append_bed.h"

#include <pthread.h>
#include <unistd.h>

#include "base/alloc.h"
#include "scrape/metadata.h"

static struct buf told;

static void tell_family(void *ctx, const struct append_metadata *m)
{
    (void)ctx;
    buf_addf(&told, "%.*s|%d|%.*s|%.*s\n", STR_ARG(m->name), m->type, STR_ARG(m->help), STR_ARG(m->unit));
}

static void families_are(struct bench *b, const char *want)
{
    buf_free(&told);
    buf_init(&told, 1 << 20);
    append_target_metadata(b->t, tell_family, NULL);
    assert_string_equal(buf_c(&told), want);
}

static void scrape(struct bench *b, const char *body)
{
    struct err err = {0};
    b->ts += 1000;
    (void)scrape_at(b, body, body ? strlen(body) : 0, b->ts, &err);
}

static void test_families(void **state)
{
    static const struct {
        enum exposition_format format;
        const char *body, *want;
    } FACTS[] = {
        {EXPOSITION_TEXT,
         "# HELP a_total about \\n it\n# TYPE a_total counter\na_total 1\n# TYPE b gauge\nb{x=\"1\"} 1\nb 2\n",
         "a_total|1|about \n it|\nb|2||\n"},
        {EXPOSITION_TEXT, "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n", "h|3||\n"},
        {EXPOSITION_TEXT, "# HELP only help\nonly 1\n", "only|0|help|\n"},
        {EXPOSITION_TEXT, "plain 1\nother 2\n", ""},
        {EXPOSITION_TEXT, "# TYPE a gauge\nb 1\n", ""},
        {EXPOSITION_TEXT, "# TYPE a gauge\nb 1\na 1\n", "a|2||\n"},
        {EXPOSITION_TEXT, "# TYPE a gauge\na{x=\"1\"} 1\nb 1\na{x=\"2\"} 1\nc 1\na{x=\"3\"} 1\n", "a|2||\n"},
        {EXPOSITION_TEXT, "# TYPE a gauge\na 1\n# TYPE b counter\nb 1\n# TYPE a gauge\n", "a|2||\nb|1||\n"},
        {EXPOSITION_TEXT, "", ""},
        {EXPOSITION_OPENMETRICS,
         "# TYPE a_seconds counter\n# UNIT a_seconds seconds\n# HELP a_seconds h\na_seconds_total 1\n# EOF\n",
         "a_seconds|1|h|seconds\n"},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(FACTS); i++) {
        struct bench b;
        bench_init(&b, "{job=\"test\"}", 0);
        format = FACTS[i].format;
        scrape(&b, FACTS[i].body);
        families_are(&b, FACTS[i].want);
        scrape(&b, FACTS[i].body); /* in the same order: nothing is made anew */
        families_are(&b, FACTS[i].want);
        bench_free(&b);
    }
}

static void test_over_scrapes(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, "{job=\"test\"}", 0);
    scrape(&b, "# TYPE a gauge\na 1\n# HELP b is b\nb 1\n");
    families_are(&b, "a|2||\nb|0|is b|\n");
    scrape(&b, "# TYPE a gauge\na 1\n# HELP b is else\nb 1\n");
    families_are(&b, "a|2||\nb|0|is else|\n");
    scrape(&b, "a{ 1\n");
    families_are(&b, "a|2||\nb|0|is else|\n"); /* of the last good one */
    scrape(&b, NULL);
    families_are(&b, "a|2||\nb|0|is else|\n");
    scrape(&b, "# TYPE c gauge\nc 1\n");
    families_are(&b, "c|2||\n");
    bench_free(&b);
}

/* The names must live through collections of symbols. */
static void test_collections(void **state)
{
    struct bench b;
    struct buf body, want;
    (void)state;
    bench_init(&b, "{job=\"test\"}", 0);
    for (int round = 0; round < 6; round++) {
        buf_init(&body, 1 << 24);
        buf_init(&want, 1 << 24);
        buf_add_c(&body, "# HELP stays for ever\nstays 1\n");
        buf_add_c(&want, "stays|0|for ever|\n");
        for (int i = 0; i < 4000; i++) {
            buf_addf(&body, "# TYPE m%d_%d gauge\nm%d_%d{x=\"%d.%d\"} 1\n", round, i, round, i, round, i);
            buf_addf(&want, "m%d_%d|2||\n", round, i);
        }
        scrape(&b, buf_c(&body));
        families_are(&b, buf_c(&want));
        buf_free(&body);
        buf_free(&want);
    }
    bench_free(&b);
}

/* ---- questions ---- */

static struct target target = {.refs = 1, .url = (char[]){"http://t/"}};

static void tell_meta(void *ctx, const struct scrape_metadata *m)
{
    (void)ctx;
    buf_addf(&told, "%s %.*s|%d|%.*s|%.*s\n", m->target->url, STR_ARG(m->metric), m->type, STR_ARG(m->help),
             STR_ARG(m->unit));
}

static bool wait_is(struct metadata_question *q, int64_t ms, const char *want)
{
    buf_free(&told);
    buf_init(&told, 1 << 20);
    bool complete = metadata_wait(q, clock_mono_ms() + ms, tell_meta, NULL);
    assert_string_equal(buf_c(&told), want);
    assert_int_equal(target.refs, 1);
    return complete;
}

static void answer_from(struct metadata_box *box, struct bench *b)
{
    struct metadata_part *part = metadata_take(box);
    assert_non_null(part);
    metadata_add_target(part, &target, b->t);
    metadata_add_target(part, &target, b->t);
    metadata_answer(part);
}

#define BODY "# HELP a about\n# TYPE a gauge\na 1\n# HELP b about\nb 1\n"
#define ANSWER "http://t/ a|2|about|\nhttp://t/ b|0|about|\n"

static void test_answered(void **state)
{
    struct metadata_box box = {0}, other = {0};
    struct bench b;
    (void)state;
    bench_init(&b, "{job=\"test\"}", 0);
    scrape(&b, BODY);
    metadata_box_open(&box);
    metadata_box_open(&other);
    struct metadata_question *q = metadata_ask();
    assert_true(metadata_put(q, &box));
    answer_from(&box, &b);
    assert_null(metadata_take(&box));
    assert_true(metadata_put(q, &other));
    metadata_answer(metadata_take(&other)); /* a worker without targets */
    assert_true(wait_is(q, 1000, ANSWER ANSWER));
    q = metadata_ask();
    assert_true(wait_is(q, 1000, "")); /* nobody was asked */
    metadata_box_close(&box);
    metadata_box_free(&box);
    metadata_box_free(&other);
    bench_free(&b);
}

static void test_too_late(void **state)
{
    struct metadata_box box = {0}, other = {0};
    struct bench b;
    (void)state;
    bench_init(&b, "{job=\"test\"}", 0);
    scrape(&b, BODY);
    metadata_box_open(&box);
    metadata_box_open(&other);
    struct metadata_question *q = metadata_ask();
    assert_true(metadata_put(q, &box));
    assert_true(metadata_put(q, &other));
    answer_from(&other, &b);
    int64_t before = clock_mono_ms();
    assert_false(wait_is(q, 50, ANSWER ANSWER));
    assert_in_range(clock_mono_ms() - before, 50, 5000);
    answer_from(&box, &b); /* to nobody */
    assert_int_equal(target.refs, 1);
    metadata_box_free(&box);
    metadata_box_free(&other);
    bench_free(&b);
}

static void *close_soon(void *box)
{
    usleep(20000);
    metadata_box_close(box);
    return NULL;
}

static void test_never(void **state)
{
    struct metadata_box box = {0};
    pthread_t thread;
    (void)state;
    metadata_box_open(&box);
    struct metadata_question *q = metadata_ask();
    assert_true(metadata_put(q, &box));
    assert_int_equal(pthread_create(&thread, NULL, close_soon, &box), 0);
    int64_t before = clock_mono_ms();
    assert_false(wait_is(q, 20000, "")); /* the worker ends while we wait: at once, not after the time */
    assert_true(clock_mono_ms() - before < 10000);
    pthread_join(thread, NULL);
    q = metadata_ask();
    assert_false(metadata_put(q, &box)); /* it has ended before */
    assert_false(wait_is(q, 20000, ""));
    metadata_box_free(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_families),    cmocka_unit_test(test_over_scrapes),
        cmocka_unit_test(test_collections), cmocka_unit_test(test_answered),
        cmocka_unit_test(test_too_late),    cmocka_unit_test(test_never),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buf_free(&told);
    return failed;
}
