/* SPDX-License-Identifier: Apache-2.0 */
/* test_queue_crash: kills at any moment, and random walks, against a model. */
#include "queue_bed.h"

#include "agent/queue/cursor.h"
#include "base/log.h"

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define NUMBERS 8192
#define ROUNDS 3
#define CHILDREN 4
/* What was pushed so shortly before the kill may be missing, a second is promised, and each of the writer's steps may
   take as long as the canary's does. */
#define LAST_MS 500
#define STEPS 10
#define CANARY_MS 50
/* Half as long as an acknowledgement waits for the disk: past that it goes on without, and a kill may repeat blocks. */
#define HANGS_MS 50

/* ---- kills ---- */

enum { SLOW, PROMPT, READERS };
static const char *const NAMES[READERS] = {"slow", "prompt"};

struct told { /* by the child, after each step */
    int64_t at_ms;
    int64_t late_ms; /* of the canary, -1 = a step */
    uint32_t pushed, reader, delivered; /* delivered: number + 1, 0 = none */
    uint32_t in_ram; /* blocks that are not on disk, as the queue says */
};

static void tell(int out, struct told word)
{
    word.at_ms = clock_mono_ms();
    if (write(out, &word, sizeof word) != sizeof word)
        _exit(1);
}

static void tell_step(const struct bed *t, int out, uint32_t pushed, uint32_t reader, uint32_t delivered)
{
    struct queue_stats stats;
    queue_stats(t->q, &stats);
    tell(out, (struct told){.late_ms = -1, .pushed = pushed, .reader = reader, .delivered = delivered,
                            .in_ram = (uint32_t)stats.ram_blocks});
}

/* Does now and then what the writer does, and tells how long a starved machine makes it take: that is not the queue's
   fault. */
static void *canary(void *ctx)
{
    static const char zeros[16 * 1024];
    for (;;) {
        char path[] = "/tmp/obsagent-canary-XXXXXX";
        int64_t start = clock_mono_ms();
        usleep(1000 * CANARY_MS);
        int fd = mkstemp(path);
        if (fd < 0 || unlink(path) != 0 || write(fd, zeros, sizeof zeros) != sizeof zeros || fdatasync(fd) != 0)
            _exit(1);
        close(fd);
        tell(*(int *)ctx, (struct told){.late_ms = clock_mono_ms() - start - CANARY_MS});
    }
    return NULL;
}

/* One reader fails and takes now and then, the other is up and takes all at once, mostly from RAM. */
static void child_works(struct bed *t, int out, unsigned seed)
{
    struct queue_reader *r[READERS];
    pthread_t thread;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (pthread_create(&thread, NULL, canary, &out) != 0)
        _exit(1);
    bed_open(t);
    for (unsigned i = 0; i < READERS; i++)
        r[i] = open_reader(t, NAMES[i]);
    for (uint32_t i = 0;; i++) {
        if (rand_r(&seed) % 50 == 0) /* also times at which nothing is on disk */
            queue_reader_failing(r[SLOW], rand_r(&seed) % 4 != 0);
        push(t, i % 3, i);
        tell_step(t, out, i, 0, 0);
        for (unsigned k = 0; k < READERS; k++) {
            struct block *b = k == PROMPT || rand_r(&seed) % 3 == 0 ? queue_take(r[k]) : NULL;
            if (!b)
                continue;
            uint32_t number = number_of(b);
            queue_ack(r[k], b);
            tell_step(t, out, i, k, number + 1);
        }
        usleep(100 + (unsigned)rand_r(&seed) % 800);
    }
}

struct story { /* what the child said until it was killed */
    bool delivered[READERS][NUMBERS];
    int64_t pushed_ms[NUMBERS];
    uint32_t pushed; /* how many it has told */
    uint32_t early;  /* of those, long enough before the end */
    uint32_t in_ram;
    bool hung;       /* the disk seemed to hang */
};

static void listen_to(int in, int64_t killed_ms, struct story *s)
{
    struct told word;
    int64_t late_ms = 0, canary_ms = killed_ms;
    while (read(in, &word, sizeof word) == sizeof word && word.pushed < NUMBERS) {
        if (word.late_ms >= 0) {
            canary_ms = word.at_ms;
            late_ms = word.late_ms > late_ms ? word.late_ms : late_ms;
            continue;
        }
        if (word.pushed >= s->pushed) {
            s->pushed_ms[word.pushed] = word.at_ms;
            s->pushed = word.pushed + 1;
        }
        s->in_ram = word.in_ram;
        if (word.delivered)
            s->delivered[word.reader][word.delivered - 1] = true;
    }
    if (killed_ms - canary_ms - CANARY_MS > late_ms) /* the round that the kill cut off */
        late_ms = killed_ms - canary_ms - CANARY_MS;
    s->hung = late_ms > HANGS_MS;
    while (s->early < s->pushed && s->pushed_ms[s->early] < killed_ms - LAST_MS - STEPS * late_ms)
        s->early++;
    if (s->early == 0)
        print_message("the machine is %lld ms late: too starved to tell how late the queue is\n", (long long)late_ms);
}

/* Nothing delivered comes back, unless the disk hung; of the rest nothing is missing that was on disk, and nothing at
   all that was pushed early enough. */
static void check_rest(struct bed *t, unsigned k, const struct story *s)
{
    const bool *delivered = s->delivered[k];
    bool seen[NUMBERS] = {false};
    uint32_t missing = 0, missing_early = 0, last[3] = {0};
    struct queue_reader *r = open_reader(t, NAMES[k]);
    for (struct block *b; (b = queue_take(r));) {
        uint32_t n = number_of(b);
        assert_true(n < NUMBERS && !seen[n]);
        if (delivered[n] && !s->hung)
            fail_msg("block %u is sent to %s again", n, NAMES[k]);
        assert_true(n >= last[b->lane]);
        last[b->lane] = n;
        seen[n] = true;
        queue_ack(r, b);
    }
    for (uint32_t i = 0; i < s->pushed; i++) {
        missing += !delivered[i] && !seen[i];
        missing_early += i < s->early && !delivered[i] && !seen[i];
    }
    if (missing_early > 1) /* one may have been delivered and not told */
        fail_msg("%u blocks are missing for %s that should long have been written", missing_early, NAMES[k]);
    if (missing > s->in_ram + 1)
        fail_msg("%u blocks are missing for %s, but only %u were not on disk", missing, NAMES[k], s->in_ram);
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
    static struct story story;
    int64_t killed_ms = clock_mono_ms();
    kill(c->pid, SIGKILL);
    waitpid(c->pid, NULL, 0);
    memset(&story, 0, sizeof story);
    listen_to(c->in, killed_ms, &story);
    close(c->in);
    assert_true(story.pushed > 0);
    bed_open(&c->bed);
    for (unsigned k = 0; k < READERS; k++)
        check_rest(&c->bed, k, &story);
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
        usleep(1000 * LAST_MS + 500000);
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
