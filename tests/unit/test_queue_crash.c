/* SPDX-License-Identifier: Apache-2.0 */
/* test_queue_crash: kills at any moment, and random walks, against a model. */
#include "queue_bed.h"

#include "base/log.h"

#include <signal.h>
#include <sys/wait.h>

/* The child pushes and delivers, telling what it did through a pipe, until it is killed. */
static void child_works(struct bed *t, int out, unsigned seed)
{
    bed_open(t);
    struct queue_reader *r = open_reader(t, "a");
    queue_reader_failing(r, true);
    for (uint32_t i = 0;; i++) {
        uint32_t word[2] = {0, i};
        push(t, i % 2, i);
        if (rand_r(&seed) % 3 == 0) {
            struct block *b = queue_take(r);
            word[0] = b ? 1 + number_of(b) : 0;
            if (b)
                queue_ack(r, b);
        }
        if (write(out, word, sizeof word) != sizeof word)
            _exit(1);
        usleep(500);
    }
}

static void test_kill_loses_no_second_and_repeats_nothing(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 4; round++) {
        struct bed t;
        int ends[2];
        bool acked[4096] = {false};
        uint32_t pushed = 0, word[2];
        bed_new(&t);
        assert_int_equal(pipe(ends), 0);
        pid_t pid = fork();
        if (pid == 0)
            child_works(&t, ends[1], round + 1);
        close(ends[1]);
        usleep(200000 + round * 37000);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        while (read(ends[0], word, sizeof word) == sizeof word && word[1] < 4096) {
            if (word[0])
                acked[word[0] - 1] = true;
            pushed = word[1];
        }
        close(ends[0]);
        bed_open(&t);
        struct queue_reader *r = open_reader(&t, "a");
        bool seen[4096] = {false};
        uint32_t unreported = 0;
        for (struct block *b; (b = queue_take(r));) {
            uint32_t n = number_of(b);
            assert_true(n < 4096 && !seen[n]);
            seen[n] = true;
            assert_false(acked[n]);
            queue_ack(r, b);
        }
        /* At most what was pushed in the last moments is missing; one more may have been delivered and not
           told. */
        for (uint32_t i = 0; i + 60 < pushed; i++)
            unreported += !acked[i] && !seen[i];
        assert_true(unreported <= 1);
        queue_reader_close(r);
        bed_free(&t);
    }
}

/* ---- a random walk ---- */

static void test_random_steps_keep_the_books(void **state)
{
    unsigned seed = (unsigned)clock_wall_ms();
    struct bed t;
    struct queue_reader *r;
    uint32_t next = 0;
    (void)state;
    print_message("seed %u\n", seed);
    bed_new(&t);
    t.options.spill_after_ms = 5;
    bed_open(&t);
    r = open_reader(&t, "a");
    for (int step = 0; step < 2000; step++) {
        struct block *b;
        switch (rand_r(&seed) % 12) {
        case 0:
            queue_reader_failing(r, rand_r(&seed) % 2);
            break;
        case 1:
            usleep((unsigned)rand_r(&seed) % 3000);
            break;
        case 2:
            if (rand_r(&seed) % 20 == 0) {
                queue_reader_close(r);
                queue_close(t.q);
                ledger_free(t.ledger);
                t.ledger = ledger_new();
                bed_open(&t);
                r = open_reader(&t, "a");
            }
            break;
        case 3:
        case 4:
        case 5:
        case 6:
            b = queue_take(r);
            if (b && rand_r(&seed) % 4) {
                ledger_delivered(t.ledger, STR("a"), STR("app"), b->samples);
                queue_ack(r, b);
            } else if (b) {
                queue_release(r, b);
            }
            break;
        default:
            queue_push(t.q, make_block((uint32_t)rand_r(&seed) % 3, next++, 1 + (uint32_t)rand_r(&seed) % 50,
                                       64 + (size_t)rand_r(&seed) % 3000));
        }
        assert_balance(&t, r, "a");
    }
    queue_reader_close(r);
    bed_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kill_loses_no_second_and_repeats_nothing),
        cmocka_unit_test(test_random_steps_keep_the_books),
    };
    log_set_level("error");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
