/* SPDX-License-Identifier: Apache-2.0 */
/* test_protocol: which protocol comes next, step by step, and what is remembered of it. */
#include "unit.h"

#include "agent/remote/memory.h"
#include "base/file.h"

#include <unistd.h>

#define RW1 PROTOCOL_RW1
#define RW2 PROTOCOL_RW2
#define VM PROTOCOL_VM
#define KEEP PROTOCOL_KEEP
#define AGAIN PROTOCOL_AGAIN
#define NEWS PROTOCOL_NEWS
#define MIN (60 * 1000)
#define DAY PROTOCOL_DAY_MS

/* At at_ms, what is sent next is `sent`; it is answered so. */
struct step {
    int64_t at_ms;
    enum protocol sent;
    long status;
    bool written;
    enum protocol_verdict verdict;
};

static const struct {
    const char *name;
    enum config_protocol settings;
    struct step steps[10];
} CASES[] = {
    {"1.0 stays 1.0", CONFIG_RW1, {{0, RW1, 204, 0, NEWS}, {1, RW1, 415, 0, KEEP}, {2, RW1, 400, 0, KEEP},
                                   {3, RW1, 204, 0, KEEP}, {9 * DAY, RW1, 204, 0, KEEP}}},
    {"a 2.0 receiver", CONFIG_AUTO, {{0, RW2, 204, 1, NEWS}, {1, RW2, 204, 1, KEEP}, {2, RW2, 400, 0, KEEP},
                                     {3, RW2, 503, 0, KEEP}, {4, RW2, 0, 0, KEEP}, {5, RW2, 404, 0, KEEP}}},
    {"VictoriaMetrics", CONFIG_AUTO, {{0, RW2, 415, 0, AGAIN}, {1, VM, 204, 0, NEWS}, {2, VM, 204, 0, KEEP},
                                      {3, VM, 400, 0, KEEP}, /* confirmed: it is the data */
                                      {DAY, RW2, 415, 0, AGAIN}, {DAY + 1, VM, 204, 0, KEEP}}},
    {"an old receiver that ignores what it does not know", CONFIG_AUTO,
     {{0, RW2, 200, 0, AGAIN}, {1, VM, 400, 0, AGAIN}, {2, RW1, 204, 0, NEWS}, {3, RW1, 400, 0, KEEP},
      {10 * MIN, RW1, 204, 0, KEEP}, {10 * MIN + 1, RW2, 200, 0, AGAIN}, {10 * MIN + 2, RW1, 204, 0, KEEP},
      {DAY, RW1, 204, 0, KEEP}}},
    {"the data is refused in any form", CONFIG_AUTO,
     {{0, RW2, 400, 0, AGAIN}, {1, VM, 400, 0, AGAIN}, {2, RW1, 400, 0, KEEP}, {3, RW1, 204, 0, NEWS}}},
    {"a proxy's 400 does not downgrade for ever", CONFIG_AUTO,
     {{0, RW2, 400, 0, AGAIN}, {1, VM, 204, 0, NEWS}, {9 * MIN, VM, 204, 0, KEEP}, {10 * MIN, RW2, 204, 1, NEWS},
      {11 * MIN, RW2, 400, 0, KEEP}}},
    {"a better one that is refused is tried later and later", CONFIG_RW2,
     {{0, RW2, 400, 0, AGAIN}, {1, RW1, 204, 0, NEWS}, {10 * MIN, RW2, 400, 0, AGAIN}, {11 * MIN, RW1, 204, 0, KEEP},
      {29 * MIN, RW1, 204, 0, KEEP}, {30 * MIN, RW2, 400, 0, AGAIN}, {69 * MIN, RW1, 204, 0, KEEP},
      {70 * MIN, RW2, 204, 1, NEWS}}},
    {"an upgrade is found after a day", CONFIG_VM,
     {{0, VM, 415, 0, AGAIN}, {1, RW1, 204, 0, NEWS}, {DAY - 1, RW1, 204, 0, KEEP}, {DAY, VM, 204, 0, NEWS},
      {DAY + 1, VM, 204, 0, KEEP}}},
    {"a downgrade of the receiver is followed", CONFIG_AUTO,
     {{0, RW2, 204, 1, NEWS}, {1, RW2, 204, 0, AGAIN}, {2, VM, 400, 0, AGAIN}, {3, RW1, 204, 0, NEWS}}},
    {"nothing but a refusal changes it", CONFIG_AUTO,
     {{0, RW2, 401, 0, KEEP}, {1, RW2, 404, 0, KEEP}, {2, RW2, 413, 0, KEEP}, {3, RW2, 429, 0, KEEP},
      {4, RW2, 500, 0, KEEP}, {5, RW2, 0, 0, KEEP}, {6, RW2, 409, 0, AGAIN}, {7, VM, 422, 0, AGAIN},
      {8, RW1, 503, 0, KEEP}}},
};

static void test_steps(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct negotiation n;
        protocol_init(&n, CASES[i].settings);
        for (size_t k = 0; k < 10 && CASES[i].steps[k].status + CASES[i].steps[k].at_ms + (k == 0); k++) {
            const struct step *s = &CASES[i].steps[k];
            if (protocol_next(&n, s->at_ms) != s->sent)
                fail_msg("%s, step %zu: sent %s", CASES[i].name, k, protocol_name(protocol_next(&n, s->at_ms)));
            const struct protocol_answer a = {s->sent, s->status, s->written};
            enum protocol_verdict v = protocol_judge(&n, &a, s->at_ms);
            if (v != s->verdict)
                fail_msg("%s, step %zu: verdict %d", CASES[i].name, k, (int)v);
        }
    }
}

/* Several requests are under way when the first answer changes the protocol. */
static void test_late_answers(void **state)
{
    struct negotiation n;
    (void)state;
    protocol_init(&n, CONFIG_AUTO);
    const struct protocol_answer refused = {RW2, 415, false}, vm_good = {VM, 204, false}, good = {RW2, 204, true};
    for (int i = 0; i < 4; i++)
        assert_int_equal(protocol_judge(&n, &refused, i), AGAIN);
    assert_int_equal(protocol_next(&n, 5), VM); /* four refusals of one form are one step */
    assert_int_equal(protocol_judge(&n, &vm_good, 6), NEWS);
    assert_int_equal(protocol_judge(&n, &refused, 7), AGAIN);
    assert_int_equal(protocol_next(&n, 8), VM);
    assert_int_equal(protocol_judge(&n, &good, 9), NEWS); /* a proxy in front had refused the others */
    assert_int_equal(protocol_next(&n, 10), RW2);
}

static void test_it_goes_on_after_a_restart(void **state)
{
    struct negotiation n;
    (void)state;
    protocol_init(&n, CONFIG_AUTO);
    protocol_restore(&n, VM, true, DAY);
    assert_int_equal(protocol_next(&n, 1), VM);
    const struct protocol_answer bad = {VM, 400, false};
    assert_int_equal(protocol_judge(&n, &bad, 1), KEEP); /* it was confirmed */
    assert_int_equal(protocol_next(&n, DAY), RW2);
    protocol_init(&n, CONFIG_RW2);
    protocol_restore(&n, VM, true, DAY); /* not among what the settings allow now */
    assert_int_equal(protocol_next(&n, 1), RW2);
    protocol_init(&n, CONFIG_RW1);
    protocol_restore(&n, RW2, true, 0);
    assert_int_equal(protocol_next(&n, 1), RW1);
}

/* ---- on disk ---- */

static void test_what_is_remembered(void **state)
{
    static const char *const NAMES[] = {"a", "with/slash and \"quotes\"", "\xc3\xa9"};
    char dir[] = "/tmp/obsagent-memory-XXXXXX";
    struct memory out;
    struct err err = {0};
    (void)state;
    assert_non_null(mkdtemp(dir));
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        const struct memory m = {.key = 0xfedcba9876543210u + i, .protocol = VM, .confirmed = i % 2 == 0,
                                 .probe_ms = 1700000000000, .max_request_bytes = 12345, .learned_ms = 99};
        assert_false(memory_read(dir, NAMES[i], m.key, &out, &err));
        assert_false(err_is(&err)); /* there is none */
        assert_true(memory_write(dir, NAMES[i], &m, &err));
        assert_true(memory_read(dir, NAMES[i], m.key, &out, &err));
        assert_int_equal(out.protocol, m.protocol);
        assert_int_equal(out.confirmed, m.confirmed);
        assert_int_equal(out.probe_ms, m.probe_ms);
        assert_int_equal(out.max_request_bytes, m.max_request_bytes);
        assert_int_equal(out.learned_ms, m.learned_ms);
        assert_false(memory_read(dir, NAMES[i], 7, &out, &err)); /* of another receiver */
    }
    assert_false(memory_write("/proc/nowhere", "a", &out, &err));
    assert_true(err_is(&err));
    assert_int_equal(system("rm -r /tmp/obsagent-memory-*"), 0);
}

static bool any_name(const char *name)
{
    return name[0] != '.';
}

static void test_damaged_memory_is_none(void **state)
{
    static const struct {
        const char *text;
        bool told;
    } T[] = {
        {"", true}, {"{", true}, {"[]", false}, {"{\"version\":2}", false}, {"null", true},
        {"{\"version\":1,\"endpoint\":\"other\",\"key\":\"7\",\"protocol\":\"rw2\"}", false},
        {"{\"version\":1,\"endpoint\":\"a\",\"key\":\"7\",\"protocol\":\"otlp\"}", false},
        {"{\"version\":1,\"endpoint\":\"a\",\"key\":7,\"protocol\":\"rw2\"}", false},
        {"{\"version\":1,\"endpoint\":\"a\",\"protocol\":\"rw2\"}", false},
    };
    char dir[] = "/tmp/obsagent-memory-XXXXXX";
    struct err err = {0};
    struct memory m = {.key = 7, .protocol = RW2};
    struct file_list files;
    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_true(memory_write(dir, "a", &m, &err));
    assert_true(file_list(dir, any_name, &files, &err));
    assert_int_equal(files.n, 1);
    for (size_t i = 0; i < sizeof T / sizeof T[0]; i++) {
        err = (struct err){0};
        assert_true(file_write_atomic(files.v[0], str_of(T[i].text), &err));
        assert_false(memory_read(dir, "a", 7, &m, &err));
        if (err_is(&err) != T[i].told)
            fail_msg("%s: %s", T[i].text, err.msg);
    }
    file_list_free(&files);
    assert_int_equal(system("rm -r /tmp/obsagent-memory-*"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_late_answers),
        cmocka_unit_test(test_it_goes_on_after_a_restart),
        cmocka_unit_test(test_what_is_remembered),
        cmocka_unit_test(test_damaged_memory_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
