/* SPDX-License-Identifier: Apache-2.0 */
/* test_alloc: an allocation that fails for a while costs time and nothing else. */
#include "unit.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "inject.h"

#include <signal.h>
#include <sys/wait.h>

#define BYTES 1000

static void *by_malloc(void)
{
    return xmalloc(BYTES);
}

static void *by_calloc(void)
{
    return xcalloc(BYTES, 1);
}

static void *by_realloc(void)
{
    return xrealloc(NULL, BYTES);
}

static void *by_grow(void)
{
    size_t cap = 0;
    return xgrow(NULL, &cap, BYTES, 1);
}

static void *by_printf(void)
{
    return xasprintf("%0*d", BYTES - 1, 7);
}

static void *by_strdup(void)
{
    char text[BYTES];
    memset(text, 'x', sizeof text);
    text[BYTES - 1] = '\0';
    return xstrdup(text);
}

static void *(*const CALLS[])(void) = {by_malloc, by_calloc, by_realloc, by_grow, by_printf, by_strdup};

/* Once and ten times in a row, without and with a reserve. */
static void test_a_failure_that_passes_costs_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(CALLS); i++) {
        for (unsigned count = 1; count <= 10; count += 9) {
            inject_set(INJECT_MALLOC, 1, count, ENOMEM);
            char *p = CALLS[i]();
            assert_int_equal(atomic_load(&inject.failed), count);
            inject_stop();
            assert_non_null(p);
            memset(p, 1, BYTES);
            free(p);
        }
    }
}

/* Runs fn in a process of its own; whether it was ended by SIGABRT, and what it wrote to stderr. */
static bool aborts(void (*fn)(void), char *out, size_t room)
{
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        fn();
        _exit(0);
    }
    close(ends[1]);
    size_t n = 0;
    for (ssize_t got; n + 1 < room && (got = read(ends[0], out + n, room - n - 1)) > 0;)
        n += (size_t)got;
    out[n] = '\0';
    close(ends[0]);
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void fail_for_good(void)
{
    inject_set(INJECT_MALLOC, 1, UINT32_MAX, ENOMEM);
    (void)!xmalloc(BYTES);
}

static void test_a_failure_that_stays_aborts_after_a_while(void **state)
{
    char said[512];
    int64_t start = clock_mono_ms();
    (void)state;
    assert_true(aborts(fail_for_good, said, sizeof said));
    assert_true(clock_mono_ms() - start >= ALLOC_WAIT_MS);
    assert_string_equal(said, "WARN: out of memory asking for 1000 bytes, trying again\n"
                              "FATAL: out of memory asking for 1000 bytes\n");
}

static void overflow_grow(void)
{
    size_t cap = 0;
    (void)!xgrow(NULL, &cap, SIZE_MAX / 4, 16);
}

static void overflow_calloc(void)
{
    (void)!xcalloc(SIZE_MAX / 4, 16);
}

static void test_what_cannot_be_does_not_wait(void **state)
{
    char said[512];
    (void)state;
    assert_true(aborts(overflow_grow, said, sizeof said));
    assert_string_equal(said, "FATAL: out of memory asking for 18446744073709551615 bytes\n");
    assert_true(aborts(overflow_calloc, said, sizeof said));
    assert_string_equal(said, "FATAL: out of memory asking for 18446744073709551615 bytes\n");
}

/* The first try after the reserve has gone waits for nobody; the next time there is one again. */
static void test_the_reserve_is_given_back_first_and_taken_again(void **state)
{
    (void)state;
    alloc_reserve(1 << 20);
    for (int i = 0; i < 2; i++) {
        inject_set(INJECT_MALLOC, 1, 1, ENOMEM);
        free(xmalloc(BYTES));
        /* The one that failed, the one behind it, and the reserve's. */
        assert_int_equal(atomic_load(&inject.seen), 3);
        inject_stop();
    }
    alloc_reserve(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_failure_that_passes_costs_nothing),
        cmocka_unit_test(test_a_failure_that_stays_aborts_after_a_while),
        cmocka_unit_test(test_what_cannot_be_does_not_wait),
        cmocka_unit_test(test_the_reserve_is_given_back_first_and_taken_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
