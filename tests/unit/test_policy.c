/* SPDX-License-Identifier: Apache-2.0 */
/* test_policy: the answer table, the backoff and Retry-After, row by row. */
#include "unit.h"

#include "agent/remote/policy.h"
#include "base/clock.h"

static const struct policy_settings SETTINGS = {.min_backoff_ms = 1000, .max_backoff_ms = 60000};
static const struct policy_settings DROPS = {
    .min_backoff_ms = 1000, .max_backoff_ms = 60000, .on_reject_drop = true};

struct row {
    long status;
    enum policy_verdict verdict;
    struct policy_history history;
    bool drops;
};

static const struct row ROWS[] = {
    {200, POLICY_DONE, {.series = 10}, false},
    {202, POLICY_DONE, {.series = 10}, false},
    {204, POLICY_DONE, {.series = 10}, false},
    {301, POLICY_HOLD_URL, {.series = 10}, false},
    {307, POLICY_HOLD_URL, {.series = 10}, false},
    {400, POLICY_BISECT, {.series = 10}, false},
    {409, POLICY_BISECT, {.series = 2}, false},
    {422, POLICY_BISECT, {.series = 10}, false},
    {400, POLICY_REJECTED, {.series = 1}, false},
    {409, POLICY_REJECTED, {.series = 1}, false},
    {422, POLICY_REJECTED, {.series = 1}, false},
    {400, POLICY_REJECTED, {.series = 10}, true},
    {401, POLICY_HOLD_AUTH, {.series = 10}, false},
    {403, POLICY_HOLD_AUTH, {.series = 1}, true},
    {407, POLICY_HOLD_AUTH, {.series = 10}, false},
    {404, POLICY_HOLD_URL, {.series = 10}, false},
    {405, POLICY_HOLD_URL, {.series = 1}, false},
    {410, POLICY_HOLD_URL, {.series = 10}, false},
    {415, POLICY_HOLD_URL, {.series = 10}, false},
    {418, POLICY_HOLD_URL, {.series = 1}, true},
    {413, POLICY_SPLIT, {.series = 10}, false},
    {413, POLICY_SPLIT, {.series = 10}, true},
    {413, POLICY_TOO_LARGE, {.series = 1}, false},
    {408, POLICY_RETRY, {.series = 1}, false},
    {425, POLICY_RETRY, {.series = 1}, false},
    {429, POLICY_RETRY, {.series = 1, .failures = 100}, true},
    {0, POLICY_RETRY, {.series = 1, .failures = 100, .suspect = true}, false},
    {100, POLICY_RETRY, {.series = 1}, false},
    {500, POLICY_RETRY, {.series = 10}, false},
    {503, POLICY_RETRY, {.series = 10, .refused_5xx = 6}, false},
    {503, POLICY_RETRY, {.series = 10, .refused_5xx = 6, .others_pass = true}, false},
    /* The eighth time: somebody else passes, so it is us; or nobody is there to compare with. */
    {500, POLICY_HALVE, {.series = 10, .refused_5xx = 7, .others_pass = true}, false},
    {500, POLICY_PROBE, {.series = 10, .refused_5xx = 7}, false},
    {599, POLICY_PROBE, {.series = 2, .refused_5xx = 70}, false},
    {500, POLICY_RETRY, {.series = 1, .refused_5xx = 6}, false},
    {500, POLICY_RETRY, {.series = 1, .refused_5xx = 7, .others_pass = true}, false},
    {500, POLICY_DEAD, {.series = 1, .refused_5xx = 7, .beside = 3}, false},
    /* Parts of a suspect range. */
    {500, POLICY_HALVE, {.series = 5, .suspect = true}, false},
    {500, POLICY_RETRY, {.series = 1, .suspect = true, .refused_5xx = 1, .others_pass = true}, false},
    {500,
     POLICY_AHEAD,
     {.series = 1, .suspect = true, .refused_5xx = 9, .beside = 2, .has_next = true},
     false},
    {500,
     POLICY_DEAD,
     {.series = 1, .suspect = true, .refused_5xx = 9, .beside = 3, .has_next = true},
     false},
    {500, POLICY_DEAD, {.series = 1, .suspect = true, .beside = 2, .known_poison = true}, false},
    {500, POLICY_AHEAD, {.series = 1, .suspect = true, .refused_5xx = 2, .has_next = true}, false},
    {500, POLICY_AHEAD, {.series = 1, .suspect = true, .known_poison = true, .has_next = true}, false},
    {500, POLICY_RETRY, {.series = 1, .suspect = true, .refused_5xx = 2, .block_passed = true}, false},
    {500, POLICY_DEAD, {.series = 1, .suspect = true, .refused_5xx = 7, .block_passed = true}, false},
    {500, POLICY_RETRY, {.series = 1, .suspect = true, .refused_5xx = 700}, false},
};

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        const struct row *row = &ROWS[i];
        struct policy_answer answer = {.status = row->status, .retry_after_ms = -1};
        struct policy_decision d =
            policy_decide(row->drops ? &DROPS : &SETTINGS, &answer, &row->history, i * 7919);
        if (d.verdict != row->verdict)
            fail_msg("row %zu: status %ld: %s instead of %s", i, row->status, policy_verdict_name(d.verdict),
                     policy_verdict_name(row->verdict));
        assert_false(d.whole_endpoint);
    }
}

static void test_dead_connection(void **state)
{
    (void)state;
    struct policy_answer answer = {.reused_dead = true, .retry_after_ms = -1};
    struct policy_history history = {.series = 1};
    struct policy_decision d = policy_decide(&SETTINGS, &answer, &history, 1);
    assert_int_equal(d.verdict, POLICY_RETRY_NOW);
    assert_true(d.fresh_connection);
    assert_int_equal(d.delay_ms, 0);
    history.retried_dead = true;
    d = policy_decide(&SETTINGS, &answer, &history, 1);
    assert_int_equal(d.verdict, POLICY_RETRY);
    assert_false(d.fresh_connection);
    assert_in_range(d.delay_ms, 1000, 2000);
    history.failures = 2;
    d = policy_decide(&SETTINGS, &answer, &history, 1);
    assert_true(d.fresh_connection);
}

static void test_backoff(void **state)
{
    (void)state;
    int64_t tops[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
    for (unsigned n = 0; n < 8; n++) {
        int64_t least = INT64_MAX, most = 0;
        for (uint64_t random = 0; random < 60000; random++) {
            int64_t delay = policy_backoff(&SETTINGS, n, random);
            least = delay < least ? delay : least;
            most = delay > most ? delay : most;
        }
        assert_int_equal(least, 1000);
        assert_int_equal(most, tops[n]);
    }
    assert_in_range(policy_backoff(&SETTINGS, UINT32_MAX, UINT64_MAX), 1000, 60000);
    struct policy_settings odd = {.min_backoff_ms = 0, .max_backoff_ms = 0};
    assert_int_equal(policy_backoff(&odd, 5, 12345), 1);
}

static void test_retry_after_text(void **state)
{
    (void)state;
    int64_t now = 1445412420000; /* Wed, 21 Oct 2015 07:27:00 GMT */
    static const struct {
        const char *text;
        int64_t ms;
    } rows[] = {
        {"0", 0},
        {"7", 7000},
        {" 120 ", 120000},
        {"300", 300000},
        {"301", 300000},
        {"99999999999999", 300000},
        {"18446744073709551616", -1},
        {"-1", -1},
        {"1.5", -1},
        {"soon", -1},
        {"", -1},
        {"Wed, 21 Oct 2015 07:28:00 GMT", 60000},
        {"Wednesday, 21-Oct-15 07:28:00 GMT", 60000},
        {"Wed Oct 21 07:28:00 2015", 60000},
        {"Wed, 21 Oct 2015 09:28:00 GMT", 300000},
        {"Wed, 21 Oct 2015 07:26:00 GMT", 0},
        {"Wed, 21 Oct 2015 07:28:00 CET", -1},
        {"Wed, 21 Oct 2015 07:28:00 GMT and more text that goes on for longer than any date", -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (policy_retry_after(str_of(rows[i].text), now) != rows[i].ms)
            fail_msg("Retry-After \"%s\" gives %ld", rows[i].text,
                     (long)policy_retry_after(str_of(rows[i].text), now));
    }
}

static void test_retry_after_use(void **state)
{
    (void)state;
    struct policy_history history = {.series = 10};
    struct policy_answer answer = {.status = 429, .retry_after_ms = 20000};
    struct policy_decision d = policy_decide(&SETTINGS, &answer, &history, 999);
    assert_int_equal(d.verdict, POLICY_RETRY);
    assert_int_equal(d.delay_ms, 20999);
    assert_true(d.whole_endpoint);
    answer.retry_after_ms = 0; /* never a loop without pause */
    assert_in_range(policy_decide(&SETTINGS, &answer, &history, 5).delay_ms, 1000, 2000);
    answer.retry_after_ms = POLICY_RETRY_AFTER_MAX_MS;
    assert_int_equal(policy_decide(&SETTINGS, &answer, &history, 5).delay_ms, POLICY_RETRY_AFTER_MAX_MS);
    answer = (struct policy_answer){.status = 500, .retry_after_ms = 20000};
    d = policy_decide(&SETTINGS, &answer, &history, 0);
    assert_int_equal(d.delay_ms, 20000);
    assert_false(d.whole_endpoint); /* may be about this request alone */
    answer.status = 404;
    assert_in_range(policy_decide(&SETTINGS, &answer, &history, 0).delay_ms, 1000, 2000);
    answer.status = 400;
    assert_int_equal(policy_decide(&SETTINGS, &answer, &history, 0).delay_ms, 0);
}

static void test_halving_pace(void **state)
{
    (void)state;
    struct policy_history history = {.series = 10, .suspect = true};
    struct policy_answer answer = {.status = 500, .retry_after_ms = -1};
    assert_in_range(policy_decide(&SETTINGS, &answer, &history, 0).delay_ms, 1000, 2000);
    history.block_passed = true;
    assert_int_equal(policy_decide(&SETTINGS, &answer, &history, 0).delay_ms, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),           cmocka_unit_test(test_dead_connection),
        cmocka_unit_test(test_backoff),         cmocka_unit_test(test_retry_after_text),
        cmocka_unit_test(test_retry_after_use), cmocka_unit_test(test_halving_pace),
    };
    return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
