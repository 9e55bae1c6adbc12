/* SPDX-License-Identifier: Apache-2.0 */
/* test_queue_inject: each call that the queue makes of the system fails once, and then for a while, at each place of a
   whole story: blocks come while one reader is up and one is down, segments are rotated, readers go down and up,
   restarts, everything is delivered. Failing once must cost nothing at all; failing for a while may cost what the books
   say, to the sample. */
#include "queue_bed.h"

#include "base/log.h"
#include "inject.h"

#define READERS 2
#define LANES 2
#define BLOCKS 36
#define SAMPLES 10 /* of a block */
#define WAIT_MS 20000

static const char *const NAMES[READERS] = {"up", "down"};

struct story {
    struct bed bed;
    struct queue_reader *r[READERS];
    uint32_t next;                       /* number of the next block */
    unsigned delivered[READERS][BLOCKS]; /* how often */
    uint32_t newest[READERS][LANES];     /* number + 1 of the newest delivered */
    bool again[READERS];                 /* after a restart, a lane may begin further back */
    uint64_t lost[READERS];              /* samples, of all runs */
    uint64_t left[READERS];              /* samples that the last run left */
    char wrong[256];                     /* the first thing that was */
};

static void wrong(struct story *s, const char *what, const char *name, unsigned long long a, unsigned long long b)
{
    if (!s->wrong[0])
        snprintf(s->wrong, sizeof s->wrong, "%s: %s (%llu, %llu)", name, what, a, b);
}

/* ---- steps ---- */

static void open_all(struct story *s)
{
    struct err err = {0};
    s->bed.ledger = ledger_new();
    s->bed.options.ledger = s->bed.ledger;
    s->bed.q = queue_open(&s->bed.options, &err);
    if (!s->bed.q)
        fail_msg("%s", err.msg);
    for (unsigned k = 0; k < READERS; k++)
        s->r[k] = open_reader(&s->bed, NAMES[k]);
}

/* What leaves a run undelivered is restored in the next one, or in the books of this one. */
static void close_all(struct story *s)
{
    struct ledger_totals sum;
    for (unsigned k = 0; k < READERS; k++) {
        assert_balance(&s->bed, s->r[k], NAMES[k]);
        queue_reader_close(s->r[k]);
    }
    bed_close(&s->bed);
    for (unsigned k = 0; k < READERS; k++) {
        ledger_sum(s->bed.ledger, str_of(NAMES[k]), &sum);
        s->lost[k] += sum.lost;
        if (sum.absent)
            wrong(s, "samples it should have seen", NAMES[k], sum.absent, 0);
        s->again[k] = true;
    }
    ledger_free(s->bed.ledger);
    s->bed.ledger = NULL;
}

static void push_some(struct story *s, uint32_t n)
{
    for (; n; n--, s->next++)
        queue_push(s->bed.q, make_block(s->next % LANES, s->next, SAMPLES, 600));
}

static void note(struct story *s, unsigned k, const struct block *b)
{
    uint32_t number = number_of(b);
    if (number >= s->next)
        fail_msg("block %u was never pushed", number);
    if (number < s->newest[k][b->lane] && !s->delivered[k][number])
        wrong(s, "out of order", NAMES[k], number, s->newest[k][b->lane] - 1);
    s->delivered[k][number]++;
    if (number + 1 > s->newest[k][b->lane])
        s->newest[k][b->lane] = number + 1;
    ledger_delivered(s->bed.ledger, str_of(NAMES[k]), STR("app"), b->samples);
}

/* At most `max` blocks; stops when none is left or, without `patient`, when none can be had now. */
static void deliver_some(struct story *s, unsigned k, uint32_t max, bool patient)
{
    const struct queue_wish wish = {.blocks = 3, .samples = 1000, .bytes = 1 << 20};
    struct block *out[QUEUE_BATCH_MAX];
    struct queue_progress progress;
    int64_t end = clock_mono_ms() + WAIT_MS;
    for (uint32_t done = 0; done < max && buffered_of(s->r[k]);) {
        size_t n = queue_take_some(s->r[k], &wish, out, &progress);
        for (size_t i = 0; i < n; i++)
            note(s, k, out[i]);
        if (n)
            queue_ack_all(s->r[k], out, n);
        else if (!patient)
            return;
        else if (clock_mono_ms() > end)
            fail_msg("%s gets no block any more", NAMES[k]);
        else
            usleep(200);
        done += (uint32_t)n;
    }
}

static void wait_for_disk(struct story *s)
{
    int64_t end = clock_mono_ms() + WAIT_MS;
    while (!nothing_in_ram(&s->bed)) {
        if (clock_mono_ms() > end)
            fail_msg("blocks stay in RAM");
        usleep(100);
    }
}

static void tell(struct story *s)
{
    memset(s, 0, sizeof *s);
    snprintf(s->bed.dir, sizeof s->bed.dir, "/tmp/obsagent-queue-XXXXXX");
    assert_non_null(mkdtemp(s->bed.dir));
    s->bed.options = (struct queue_options){.dir = s->bed.dir, .segment_bytes = 4096, .spill_after_ms = 1,
                                            .fsync_interval_ms = 3, .disk_retry_ms = 3};
}

/* With the faults: an outage of one reader, a restart in the middle, another outage. */
static void act(struct story *s)
{
    open_all(s);
    queue_reader_failing(s->r[1], true);
    for (int i = 0; i < 5; i++) {
        push_some(s, 4);
        deliver_some(s, 0, 4, true);
    }
    wait_for_disk(s);
    deliver_some(s, 1, 6, true);
    close_all(s);
    open_all(s);
    deliver_some(s, 1, 5, true);
    queue_reader_failing(s->r[1], true);
    push_some(s, 8);
    wait_for_disk(s);
    deliver_some(s, 0, 3, false);
    queue_reader_failing(s->r[1], false);
    deliver_some(s, 1, 9, false);
    push_some(s, BLOCKS - 28);
    close_all(s);
}

/* Without: all that can be delivered is. */
static void end(struct story *s)
{
    open_all(s);
    for (unsigned k = 0; k < READERS; k++) {
        deliver_some(s, k, UINT32_MAX, true);
        assert_balance(&s->bed, s->r[k], NAMES[k]);
    }
    close_all(s);
    if (count_files(s->bed.dir, "seg-"))
        wrong(s, "segments are left", s->bed.dir, count_files(s->bed.dir, "seg-"), 0);
    remove_tree(s->bed.dir);
}

/* `once`: it must not have cost anything. `unknown`: a header that could not be read may have held samples that nobody
   knows of; the log tells of it. */
static void judge(struct story *s, bool once, bool unknown)
{
    for (unsigned k = 0; k < READERS; k++) {
        uint64_t missing = 0, twice = 0;
        for (uint32_t i = 0; i < BLOCKS; i++) {
            missing += s->delivered[k][i] == 0;
            twice += s->delivered[k][i] > 1;
        }
        if (missing * SAMPLES < s->lost[k] || (missing * SAMPLES > s->lost[k] && !unknown))
            wrong(s, "missing and booked differ", NAMES[k], missing * SAMPLES, s->lost[k]);
        if (once && s->lost[k])
            wrong(s, "lost though it failed once", NAMES[k], s->lost[k], 0);
        if (once && twice)
            wrong(s, "sent twice though it failed once", NAMES[k], twice, 0);
    }
}

/* ---- the table ---- */

struct row {
    const char *name;
    enum inject_call call;
    int error; /* 0 = short */
    bool none; /* the queue does not make this call */
};

static const struct row ROWS_OF_CALLS[] = {
    {"open: EIO", INJECT_OPEN, EIO, false},
    {"open: EMFILE", INJECT_OPEN, EMFILE, false},
    {"open: ENOSPC", INJECT_OPEN, ENOSPC, false},
    {"open: EINTR", INJECT_OPEN, EINTR, false},
    {"opendir: EMFILE", INJECT_OPENDIR, EMFILE, false},
    {"pwrite: ENOSPC", INJECT_PWRITE, ENOSPC, false},
    {"pwrite: EIO", INJECT_PWRITE, EIO, false},
    {"pwrite: EROFS", INJECT_PWRITE, EROFS, false},
    {"pwrite: EINTR", INJECT_PWRITE, EINTR, false},
    {"pwrite: short", INJECT_PWRITE, 0, false},
    {"write: ENOSPC", INJECT_WRITE, ENOSPC, true}, /* but for the probe after another error */
    {"pread: EIO", INJECT_PREAD, EIO, false},
    {"pread: EINTR", INJECT_PREAD, EINTR, false},
    {"pread: short", INJECT_PREAD, 0, false},
    {"fsync: EIO", INJECT_FSYNC, EIO, false},
    {"fdatasync: EIO", INJECT_FDATASYNC, EIO, false},
    {"fdatasync: ENOSPC", INJECT_FDATASYNC, ENOSPC, false},
    {"ftruncate: EIO", INJECT_FTRUNCATE, EIO, true}, /* but for the tail of a failed write, and unused room */
    {"fallocate: ENOSPC", INJECT_FALLOCATE, ENOSPC, false},
    {"fallocate: EOPNOTSUPP", INJECT_FALLOCATE, EOPNOTSUPP, false},
    {"unlink: EIO", INJECT_UNLINK, EIO, false},
    {"rename: EIO", INJECT_RENAME, EIO, true},
    {"statvfs: EIO", INJECT_STATVFS, EIO, false},
    {"mmap: ENOMEM", INJECT_MMAP, ENOMEM, true},
    {"malloc: ENOMEM", INJECT_MALLOC, ENOMEM, false},
    {"zstd: no memory", INJECT_ZSTD, ENOMEM, false},
};

/* Whether the n-th call was made at all. */
static bool fails_at(const struct row *row, unsigned n, unsigned count)
{
    static struct story s;
    tell(&s);
    inject_set(row->call, n, count, row->error);
    act(&s);
    inject_stop();
    bool failed = atomic_load(&inject.failed) > 0;
    end(&s);
    judge(&s, count == 1, count > 1 && row->call == INJECT_PREAD);
    if (s.wrong[0])
        fail_msg("%s, call %u and %u behind it: %s", row->name, n, count - 1, s.wrong);
    return failed;
}

static void test_a_call_that_fails_once_costs_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(ROWS_OF_CALLS); i++) {
        const struct row *row = &ROWS_OF_CALLS[i];
        int64_t start = clock_mono_ms();
        unsigned n = 1;
        while (fails_at(row, n, 1))
            n++;
        print_message("%-20s %4u calls, %lld ms\n", row->name, n - 1, (long long)(clock_mono_ms() - start));
        if ((n == 1) != row->none)
            fail_msg("%s is called %u times", row->name, n - 1);
    }
}

static void test_a_call_that_fails_for_a_while_costs_what_the_books_say(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(ROWS_OF_CALLS); i++) {
        const struct row *row = &ROWS_OF_CALLS[i];
        for (unsigned n = 1; fails_at(row, n, 5);)
            n += row->call == INJECT_MALLOC ? 97 : 7;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_call_that_fails_once_costs_nothing),
        cmocka_unit_test(test_a_call_that_fails_for_a_while_costs_what_the_books_say),
    };
    log_set_level("error");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
