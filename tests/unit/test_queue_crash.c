/* SPDX-License-Identifier: Apache-2.0 */
/* test_queue_crash: kills at any moment, and random walks, against a model. */
#include "queue_bed.h"

#include "agent/queue/cursor.h"
#include "base/log.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define NUMBERS 8192
#define ROUNDS 3
#define CHILDREN 4
/* What was pushed so shortly before the kill may be missing. A second is promised. */
#define LAST_MS 500

/* ---- kills ---- */

enum { SLOW, PROMPT, READERS };
static const char *const NAMES[READERS] = {"slow", "prompt"};

struct told { /* by the child, after each step */
    int64_t at_ms;
    uint32_t pushed, reader, delivered; /* delivered: number + 1, 0 = none */
};

static void tell(int out, uint32_t pushed, uint32_t reader, uint32_t delivered)
{
    const struct told word = {clock_mono_ms(), pushed, reader, delivered};
    if (write(out, &word, sizeof word) != sizeof word)
        _exit(1);
}

/* One reader fails and takes now and then, the other is up and takes all at once, mostly from RAM. */
static void child_works(struct bed *t, int out, unsigned seed)
{
    struct queue_reader *r[READERS];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    bed_open(t);
    for (unsigned i = 0; i < READERS; i++)
        r[i] = open_reader(t, NAMES[i]);
    for (uint32_t i = 0;; i++) {
        if (rand_r(&seed) % 50 == 0) /* also times at which nothing is on disk */
            queue_reader_failing(r[SLOW], rand_r(&seed) % 4 != 0);
        push(t, i % 3, i);
        tell(out, i, 0, 0);
        for (unsigned k = 0; k < READERS; k++) {
            struct block *b = k == PROMPT || rand_r(&seed) % 3 == 0 ? queue_take(r[k]) : NULL;
            if (!b)
                continue;
            uint32_t number = number_of(b);
            queue_ack(r[k], b);
            tell(out, i, k, number + 1);
        }
        usleep(100 + (unsigned)rand_r(&seed) % 800);
    }
}

/* What the child said until it was killed; *pushed long enough before that. */
static void listen_to(int in, int64_t killed_ms, bool delivered[READERS][NUMBERS], uint32_t *pushed)
{
    struct told word;
    while (read(in, &word, sizeof word) == sizeof word && word.pushed < NUMBERS) {
        if (word.at_ms < killed_ms - LAST_MS)
            *pushed = word.pushed;
        if (word.delivered)
            delivered[word.reader][word.delivered - 1] = true;
    }
}

/* Nothing delivered comes back, nothing else is missing. */
static void check_rest(struct bed *t, unsigned k, const bool *delivered, uint32_t pushed)
{
    bool seen[NUMBERS] = {false};
    uint32_t missing = 0, last[3] = {0};
    struct queue_reader *r = open_reader(t, NAMES[k]);
    for (struct block *b; (b = queue_take(r));) {
        uint32_t n = number_of(b);
        assert_true(n < NUMBERS && !seen[n]);
        if (delivered[n])
            fail_msg("block %u is sent to %s again", n, NAMES[k]);
        assert_true(n >= last[b->lane]);
        last[b->lane] = n;
        seen[n] = true;
        queue_ack(r, b);
    }
    for (uint32_t i = 0; i < pushed; i++)
        missing += !delivered[i] && !seen[i];
    if (missing > 1) /* one may have been delivered and not told */
        fail_msg("%u blocks are missing for %s", missing, NAMES[k]);
    queue_reader_close(r);
}

struct child {
    struct bed bed;
    pid_t pid;
    int in;
};

static void child_start(struct child *c, unsigned seed)
{
    int ends[2];
    bed_new(&c->bed);
    c->bed.options.spill_after_ms = 20;
    c->bed.options.segment_bytes = 16 * 1024;
    assert_int_equal(pipe(ends), 0);
    assert_true(fcntl(ends[0], F_SETPIPE_SZ, 1 << 20) > 0); /* it never waits for us */
    c->pid = fork();
    if (c->pid == 0)
        child_works(&c->bed, ends[1], seed);
    close(ends[1]);
    c->in = ends[0];
}

static void child_kill(struct child *c)
{
    static bool delivered[READERS][NUMBERS];
    uint32_t pushed = 0;
    int64_t killed_ms = clock_mono_ms();
    kill(c->pid, SIGKILL);
    waitpid(c->pid, NULL, 0);
    memset(delivered, 0, sizeof delivered);
    listen_to(c->in, killed_ms, delivered, &pushed);
    close(c->in);
    assert_true(pushed > 0);
    bed_open(&c->bed);
    for (unsigned k = 0; k < READERS; k++)
        check_rest(&c->bed, k, delivered[k], pushed);
    bed_free(&c->bed);
}

static void test_a_kill_loses_no_second_and_repeats_nothing(void **state)
{
    unsigned seed = (unsigned)clock_wall_ms();
    (void)state;
    print_message("seed %u\n", seed);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct child children[CHILDREN];
        for (unsigned i = 0; i < CHILDREN; i++)
            child_start(&children[i], seed + round * CHILDREN + i);
        usleep(1000 * LAST_MS + 200000);
        for (unsigned i = 0; i < CHILDREN; i++) {
            usleep((unsigned)rand_r(&seed) % 200000);
            child_kill(&children[i]);
        }
    }
}

/* What a kill would leave at the moment when the first record is on disk: the reader that was up has passed
   it. */
static void test_cursors_are_stored_before_what_they_have_passed(void **state)
{
    struct bed t;
    struct cursor c;
    struct stat st;
    (void)state;
    bed_new(&t);
    t.options.spill_after_ms = 60000;
    bed_open(&t);
    struct queue_reader *up = open_reader(&t, "up"), *down = open_reader(&t, "down");
    for (uint32_t i = 0; i < 10; i++) {
        push(&t, 0, i);
        deliver(&t, up, "up", i);
    }
    char *segment = file_join(t.dir, "seg-0000000000000001.log"), *path = cursor_path(t.dir, "up");
    assert_true(cursor_read(path, &c));
    assert_int_equal(c.low, 0); /* while all is well, nothing is written */
    queue_reader_failing(down, true);
    while (stat(segment, &st) != 0 || st.st_size == 0)
        continue;
    assert_true(cursor_read(path, &c));
    assert_int_equal(c.low, 10);
    free(segment);
    free(path);
    queue_reader_close(up);
    queue_reader_close(down);
    bed_free(&t);
}

/* ---- a random walk ---- */

#define WALK_READERS 3
#define WALK_LANES 4

struct walk {
    struct bed bed;
    unsigned seed;
    struct queue_reader *r[WALK_READERS];
    struct block *out[WALK_READERS][WALK_LANES];
    uint32_t next; /* number of the next block */
    uint32_t lane_of[NUMBERS];
    bool done[WALK_READERS][NUMBERS]; /* delivered */
    bool capped;                      /* blocks may be dropped */
};

static unsigned dice(struct walk *w, unsigned sides)
{
    return (unsigned)rand_r(&w->seed) % sides;
}

static const char *walk_name(unsigned k)
{
    static const char *const names[WALK_READERS] = {"a", "b/b", "c c"};
    return names[k];
}

static void walk_open(struct walk *w)
{
    bed_open(&w->bed);
    for (unsigned k = 0; k < WALK_READERS; k++)
        w->r[k] = open_reader(&w->bed, walk_name(k));
}

static void walk_close(struct walk *w)
{
    for (unsigned k = 0; k < WALK_READERS; k++) {
        for (unsigned i = 0; i < WALK_LANES; i++) {
            if (w->out[k][i])
                queue_release(w->r[k], w->out[k][i]);
            w->out[k][i] = NULL;
        }
        queue_reader_close(w->r[k]);
    }
    bed_close(&w->bed);
}

/* Order within the lane: everything before it in the lane is done (or, with caps, may have been dropped). */
static void check_order(struct walk *w, unsigned k, const struct block *b)
{
    uint32_t number = number_of(b);
    assert_int_equal(w->lane_of[number], b->lane);
    assert_false(w->done[k][number]);
    for (uint32_t i = 0; i < number && !w->capped; i++) {
        if (w->lane_of[i] == b->lane && !w->done[k][i])
            fail_msg("block %u comes before %u of its lane", number, i);
    }
}

static void walk_take(struct walk *w, unsigned k)
{
    struct block *b = queue_take(w->r[k]);
    if (!b)
        return;
    assert_null(w->out[k][b->lane]);
    check_order(w, k, b);
    w->out[k][b->lane] = b;
}

static void walk_finish(struct walk *w, unsigned k, unsigned lane, bool delivered)
{
    struct block *b = w->out[k][lane];
    if (!b)
        return;
    w->out[k][lane] = NULL;
    if (!delivered) {
        queue_release(w->r[k], b);
        return;
    }
    w->done[k][number_of(b)] = true;
    ledger_delivered(w->bed.ledger, str_of(walk_name(k)), STR("app"), b->samples);
    queue_ack(w->r[k], b);
}

static void walk_restart(struct walk *w)
{
    walk_close(w);
    ledger_free(w->bed.ledger);
    w->bed.ledger = ledger_new();
    walk_open(w);
}

static void walk_push(struct walk *w)
{
    uint32_t lane = dice(w, WALK_LANES), number = w->next++;
    w->lane_of[number] = lane;
    queue_push(w->bed.q, make_block(lane, number, 1 + dice(w, 50), 64 + dice(w, 3000)));
}

static void walk_step(struct walk *w)
{
    unsigned k = dice(w, WALK_READERS), what = dice(w, 100);
    if (what < 2)
        queue_reader_failing(w->r[k], dice(w, 2));
    else if (what < 6)
        usleep(dice(w, 3000));
    else if (what < 7 && dice(w, 4) == 0)
        walk_restart(w);
    else if (what < 30)
        walk_push(w);
    else if (what < 60)
        walk_take(w, k);
    else
        walk_finish(w, k, dice(w, WALK_LANES), what < 95);
}

/* Everything is delivered, in the end, to everybody. */
static void walk_end(struct walk *w)
{
    for (unsigned k = 0; k < WALK_READERS; k++) {
        for (unsigned lane = 0; lane < WALK_LANES; lane++)
            walk_finish(w, k, lane, true);
        for (uint64_t before = UINT64_MAX; buffered_of(w->r[k]) && before;) {
            before = buffered_of(w->r[k]);
            walk_take(w, k);
            for (unsigned lane = 0; lane < WALK_LANES; lane++)
                walk_finish(w, k, lane, true);
            assert_true(w->capped || buffered_of(w->r[k]) < before);
        }
        assert_balance(&w->bed, w->r[k], walk_name(k));
        for (uint32_t i = 0; i < w->next && !w->capped; i++)
            assert_true(w->done[k][i]);
    }
}

static void walk(unsigned seed, int steps, bool capped)
{
    struct walk *w = xcalloc(1, sizeof *w);
    w->seed = seed;
    w->capped = capped;
    bed_new(&w->bed);
    w->bed.options.spill_after_ms = 5;
    w->bed.options.segment_bytes = 32 * 1024;
    w->bed.options.max_bytes = capped ? 100 * 1024 : 0;
    walk_open(w);
    for (unsigned k = 0; capped && k < WALK_READERS; k++)
        queue_reader_limits(w->r[k], k == 0 ? 40 * 1024 : 0, k == 1 ? 500 : 0);
    for (int i = 0; i < steps && w->next < NUMBERS; i++) {
        walk_step(w);
        for (unsigned k = 0; k < WALK_READERS; k++)
            assert_balance(&w->bed, w->r[k], walk_name(k));
    }
    walk_end(w);
    walk_close(w);
    assert_int_equal(count_files(w->bed.dir, "seg-"), 0);
    bed_free(&w->bed);
    free(w);
}

static void test_random_steps_deliver_all_once_and_in_order(void **state)
{
    unsigned seed = (unsigned)clock_wall_ms();
    (void)state;
    print_message("seed %u\n", seed);
    for (unsigned i = 0; i < 3; i++)
        walk(seed + i, 4000, false);
}

static void test_random_steps_under_caps_keep_the_books(void **state)
{
    unsigned seed = (unsigned)clock_wall_ms();
    (void)state;
    print_message("seed %u\n", seed);
    for (unsigned i = 0; i < 3; i++)
        walk(seed + i, 4000, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_kill_loses_no_second_and_repeats_nothing),
        cmocka_unit_test(test_cursors_are_stored_before_what_they_have_passed),
        cmocka_unit_test(test_random_steps_deliver_all_once_and_in_order),
        cmocka_unit_test(test_random_steps_under_caps_keep_the_books),
    };
    log_set_level("error");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
