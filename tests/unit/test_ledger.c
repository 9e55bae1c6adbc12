/* SPDX-License-Identifier: Apache-2.0 */
/* test_ledger: accounts by kind, endpoint, job and reason; sums; many of them; many threads. */
#include "queue_bed.h"

#include "base/buf.h"
#include "ledger.h"

#include <pthread.h>

static void note(void *ctx, const char *kind, struct str endpoint, struct str job, const char *reason,
                 uint64_t samples)
{
    buf_addf(ctx, "%s|%.*s|%.*s|%s|%llu\n", kind, STR_ARG(endpoint), STR_ARG(job), reason,
             (unsigned long long)samples);
}

static void test_each_account_is_told_once_in_order_of_its_first_booking(void **state)
{
    struct ledger *l = ledger_new();
    struct buf b;
    (void)state;
    buf_init(&b, 4096);
    ledger_delivered(l, STR("a"), STR("x"), 1);
    ledger_lost(l, STR("a"), STR("x"), LEDGER_OVERFLOW, 2);
    ledger_lost(l, STR("a"), STR("x"), LEDGER_DISK, 4);
    ledger_delivered(l, STR("ax"), STR(""), 8); /* not the same as a and x */
    ledger_filtered(l, STR("a"), STR("x"), 16);
    ledger_restored(l, STR("a"), 32);
    ledger_routed(l, STR("a"), STR("x"), 256);
    ledger_absent(l, STR("a"), 64);
    ledger_delivered(l, STR("a"), STR("x"), 128);
    ledger_each(l, note, &b);
    assert_string_equal(buf_c(&b), "delivered|a|x||129\nlost|a|x|overflow|2\nlost|a|x|disk|4\n"
                                   "delivered|ax|||8\nfiltered|a|x||16\nrestored|a|||32\nrouted|a|x||256\n"
                                   "absent|a|||64\n");
    buf_free(&b);
    ledger_free(l);
}

static void test_reasons_have_the_names_of_the_metric(void **state)
{
    static const char *const NAMES[LEDGER_REASONS] = {"overflow",  "too_old", "rejected", "too_large",
                                                      "corrupt",   "dead",    "disk",     "not_sent"};
    struct ledger *l = ledger_new();
    struct buf b, want;
    (void)state;
    buf_init(&b, 4096);
    buf_init(&want, 4096);
    for (unsigned i = 0; i < LEDGER_REASONS; i++) {
        ledger_lost(l, STR("e"), STR("j"), i, i + 1);
        buf_addf(&want, "lost|e|j|%s|%u\n", NAMES[i], i + 1);
    }
    ledger_each(l, note, &b);
    assert_string_equal(buf_c(&b), buf_c(&want));
    buf_free(&b);
    buf_free(&want);
    ledger_free(l);
}

static void test_sums_are_of_one_endpoint_and_all_that_was_scraped(void **state)
{
    struct ledger *l = ledger_new();
    struct ledger_totals sum;
    struct block *b = make_block(0, 1, 10, 20);
    (void)state;
    ledger_scraped(l, b);
    ledger_lost_block(l, STR("a"), b, LEDGER_TOO_OLD);
    ledger_delivered(l, STR("b"), STR("app"), 7);
    ledger_delivered(l, STR("b"), STR("web"), 2);
    ledger_routed(l, STR("b"), STR("web"), 3);
    ledger_routed(l, STR("b"), STR("app"), 1);
    ledger_sum(l, STR("b"), &sum);
    assert_int_equal(sum.routed, 4);
    assert_int_equal(sum.scraped, 10);
    assert_int_equal(sum.delivered, 9);
    assert_int_equal(sum.lost, 0);
    ledger_sum(l, STR("a"), &sum);
    assert_int_equal(sum.lost, 10);
    ledger_sum(l, STR("none"), &sum);
    assert_int_equal(sum.scraped, 10);
    assert_int_equal(sum.delivered + sum.lost + sum.restored + sum.absent + sum.filtered + sum.routed, 0);
    block_unref(b);
    ledger_free(l);
}

static void test_a_block_is_booked_job_by_job(void **state)
{
    static const char NAMES[] = "appweb";
    struct ledger *l = ledger_new();
    struct block_job jobs[] = {{str_make(NAMES, 3), 4}, {str_make(NAMES + 3, 3), 5}, {str_make(NAMES, 3), 1}};
    const struct block view = {.samples = 10, .jobs = jobs, .jobs_n = 3};
    struct buf b;
    (void)state;
    buf_init(&b, 4096);
    ledger_scraped(l, &view);
    ledger_lost_block(l, STR("e"), &view, LEDGER_REJECTED);
    ledger_each(l, note, &b);
    assert_string_equal(buf_c(&b), "scraped||app||5\nscraped||web||5\n"
                                   "lost|e|app|rejected|5\nlost|e|web|rejected|5\n");
    buf_free(&b);
    ledger_free(l);
}

static void test_thousands_of_accounts_keep_apart(void **state)
{
    struct ledger *l = ledger_new();
    struct ledger_totals sum;
    (void)state;
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 5000; i++) {
            char job[32], endpoint[32];
            int n = snprintf(job, sizeof job, "job%u", i);
            int k = snprintf(endpoint, sizeof endpoint, "e%u", i % 7);
            ledger_delivered(l, str_make(endpoint, (size_t)k), str_make(job, (size_t)n), i);
        }
    }
    uint64_t all = 0;
    for (unsigned i = 0; i < 7; i++) {
        char endpoint[32];
        int k = snprintf(endpoint, sizeof endpoint, "e%u", i);
        ledger_sum(l, str_make(endpoint, (size_t)k), &sum);
        all += sum.delivered;
    }
    assert_int_equal(all, 2ull * 5000 * 4999 / 2);
    ledger_free(l);
}

static void *book_many(void *ctx)
{
    for (unsigned i = 0; i < 2000; i++) {
        char job[16];
        int n = snprintf(job, sizeof job, "%u", i % 50);
        ledger_lost(ctx, STR("e"), str_make(job, (size_t)n), i % LEDGER_REASONS, 1);
    }
    return NULL;
}

static void test_threads_lose_no_booking(void **state)
{
    struct ledger *l = ledger_new();
    struct ledger_totals sum;
    pthread_t threads[4];
    (void)state;
    for (size_t i = 0; i < ROWS(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, book_many, l), 0);
    for (size_t i = 0; i < ROWS(threads); i++)
        pthread_join(threads[i], NULL);
    ledger_sum(l, STR("e"), &sum);
    assert_int_equal(sum.lost, 8000);
    ledger_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_account_is_told_once_in_order_of_its_first_booking),
        cmocka_unit_test(test_reasons_have_the_names_of_the_metric),
        cmocka_unit_test(test_sums_are_of_one_endpoint_and_all_that_was_scraped),
        cmocka_unit_test(test_a_block_is_booked_job_by_job),
        cmocka_unit_test(test_thousands_of_accounts_keep_apart),
        cmocka_unit_test(test_threads_lose_no_booking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
