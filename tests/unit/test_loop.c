/* SPDX-License-Identifier: Apache-2.0 */
/* test_loop: timers fire in order, posts arrive in order from other threads, stale events reach nobody. */
#include "unit.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"

#define POSTS 20000
#define TIMERS 500

static struct loop *the_loop;
static char trace[256];

static void say(void *ctx)
{
    strncat(trace, ctx, sizeof trace - strlen(trace) - 1);
}

static void stop(void *ctx)
{
    loop_stop(ctx);
}

static int setup(void **state)
{
    (void)state;
    the_loop = loop_new();
    trace[0] = '\0';
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    loop_free(the_loop);
    return 0;
}

static void timers_fire_in_order_of_time(void **state)
{
    (void)state;
    struct loop_timer a = {0}, b = {0}, c = {0}, d = {0}, end = {0};
    int64_t now = clock_mono_ms();
    loop_timer_set(the_loop, &c, now + 12, say, (char[]){"c"});
    loop_timer_set(the_loop, &a, now - 100, say, (char[]){"a"});
    loop_timer_set(the_loop, &d, now + 5, say, (char[]){"x"});
    loop_timer_set(the_loop, &b, now + 1, say, (char[]){"b"});
    loop_timer_set(the_loop, &d, now + 15, say, (char[]){"d"}); /* re-armed later */
    loop_timer_set(the_loop, &end, now + 20, stop, the_loop);
    loop_run(the_loop);
    assert_string_equal(trace, "abcd");
    assert_true(clock_mono_ms() >= now + 20);
}

static void cleared_timer_does_not_fire(void **state)
{
    (void)state;
    struct loop_timer a = {0}, b = {0}, end = {0};
    int64_t now = clock_mono_ms();
    loop_timer_set(the_loop, &a, now, say, (char[]){"a"});
    loop_timer_set(the_loop, &b, now + 1, say, (char[]){"b"});
    loop_timer_set(the_loop, &end, now + 5, stop, the_loop);
    loop_timer_clear(the_loop, &a);
    loop_timer_clear(the_loop, &a);
    loop_run(the_loop);
    assert_string_equal(trace, "b");
}

static int64_t last_ms;
static int fired, disorder;

static void check_order(void *ctx)
{
    const int64_t *at = ctx;
    fired++;
    disorder += *at < last_ms;
    last_ms = *at;
}

static void many_timers_set_moved_and_cleared(void **state)
{
    (void)state;
    static struct loop_timer t[TIMERS];
    static int64_t at[TIMERS];
    int64_t now = clock_mono_ms();
    unsigned seed = 7;
    last_ms = fired = disorder = 0;
    memset(t, 0, sizeof t);
    for (int pass = 0; pass < 4; pass++) {
        for (int i = 0; i < TIMERS; i++) {
            at[i] = now - 1000 + (int)(rand_r(&seed) % 1000);
            loop_timer_set(the_loop, &t[i], at[i], check_order, &at[i]);
        }
    }
    for (int i = 0; i < TIMERS; i += 5)
        loop_timer_clear(the_loop, &t[i]);
    struct loop_timer end = {0};
    loop_timer_set(the_loop, &end, now + 1, stop, the_loop);
    loop_run(the_loop);
    assert_int_equal(fired, TIMERS - TIMERS / 5);
    assert_int_equal(disorder, 0);
}

static int rearmed;

static void rearm(void *ctx)
{
    rearmed++;
    loop_timer_set(the_loop, ctx, 0, rearm, ctx);
}

static void timer_that_rearms_itself_starves_nobody(void **state)
{
    (void)state;
    struct loop_timer busy = {0}, end = {0};
    rearmed = 0;
    loop_timer_set(the_loop, &busy, 0, rearm, &busy);
    loop_timer_set(the_loop, &end, clock_mono_ms() + 5, stop, the_loop);
    loop_run(the_loop);
    assert_true(rearmed > 1);
    loop_timer_clear(the_loop, &busy);
}

static int next_post, post_disorder;

static void count_post(void *ctx)
{
    post_disorder += (int)(intptr_t)ctx != next_post;
    next_post++;
}

static void *poster(void *ctx)
{
    for (intptr_t i = 0; i < POSTS; i++)
        loop_post(ctx, count_post, (void *)i);
    loop_post(ctx, stop, ctx);
    return NULL;
}

static void posts_from_another_thread_arrive_in_order(void **state)
{
    (void)state;
    next_post = post_disorder = 0;
    pthread_t thread;
    pthread_create(&thread, NULL, poster, the_loop);
    loop_run(the_loop);
    pthread_join(thread, NULL);
    assert_int_equal(next_post, POSTS);
    assert_int_equal(post_disorder, 0);
}

static char second[] = "2";

static void post_again(void *ctx)
{
    say((char[]){"1"});
    loop_post(ctx, say, second);
    loop_post(ctx, stop, ctx);
}

static void posts_from_a_callback_run(void **state)
{
    (void)state;
    loop_post(the_loop, post_again, the_loop);
    loop_run(the_loop);
    assert_string_equal(trace, "12");
}

static void stop_before_run_ends_at_once_and_only_once(void **state)
{
    (void)state;
    struct loop_timer end = {0};
    loop_stop(the_loop);
    loop_run(the_loop);
    loop_timer_set(the_loop, &end, clock_mono_ms() + 3, stop, the_loop);
    loop_post(the_loop, say, (char[]){"again"});
    loop_run(the_loop);
    assert_string_equal(trace, "again");
}

static void read_byte(void *ctx, int fd, uint32_t events)
{
    (void)events;
    char c;
    assert_int_equal(read(fd, &c, 1), 1);
    say((char[]){c, '\0'});
    if (c == 'z')
        loop_stop(ctx);
}

static void descriptors_are_watched_level_triggered(void **state)
{
    (void)state;
    int p[2];
    assert_int_equal(pipe(p), 0);
    loop_fd_set(the_loop, p[0], EPOLLIN, read_byte, the_loop);
    assert_int_equal(write(p[1], "xyz", 3), 3);
    loop_run(the_loop);
    assert_string_equal(trace, "xyz");
    loop_fd_clear(the_loop, p[0]);
    loop_fd_clear(the_loop, p[0]);
    close(p[0]);
    close(p[1]);
}

static int pair_a[2], pair_b[2];

static void not_for_me(void *ctx, int fd, uint32_t events)
{
    (void)ctx;
    (void)fd;
    (void)events;
    say((char[]){"stale"});
}

/* Whoever of the two comes first opens another pipe under the other's descriptor. */
static void replace_the_other(void *ctx, int fd, uint32_t events)
{
    (void)ctx;
    (void)events;
    int other = fd == pair_a[0] ? pair_b[0] : pair_a[0];
    loop_fd_clear(the_loop, fd);
    loop_fd_clear(the_loop, other);
    int idle[2];
    assert_int_equal(pipe(idle), 0);
    assert_int_equal(dup2(idle[0], other), other);
    close(idle[0]);
    close(idle[1]); /* its read end reports EPOLLHUP, but only from the next round on */
    loop_fd_set(the_loop, other, EPOLLIN, not_for_me, NULL);
    loop_stop(the_loop);
}

static void event_of_a_closed_descriptor_reaches_nobody(void **state)
{
    (void)state;
    assert_int_equal(pipe(pair_a), 0);
    assert_int_equal(pipe(pair_b), 0);
    loop_fd_set(the_loop, pair_a[0], EPOLLIN, replace_the_other, NULL);
    loop_fd_set(the_loop, pair_b[0], EPOLLIN, replace_the_other, NULL);
    assert_int_equal(write(pair_a[1], "a", 1), 1);
    assert_int_equal(write(pair_b[1], "b", 1), 1);
    loop_run(the_loop);
    assert_string_equal(trace, "");
    for (int i = 0; i < 2; i++) {
        close(pair_a[i]);
        close(pair_b[i]);
    }
}

static void now_is_read_once_per_round(void *ctx)
{
    int64_t *seen = ctx;
    seen[0] = loop_now(the_loop);
    usleep(5000);
    seen[1] = loop_now(the_loop);
    loop_stop(the_loop);
}

static void clock_stands_within_a_round(void **state)
{
    (void)state;
    int64_t seen[2] = {0, 1};
    loop_post(the_loop, now_is_read_once_per_round, seen);
    loop_run(the_loop);
    assert_int_equal(seen[0], seen[1]);
    assert_true(loop_now(the_loop) >= seen[1] + 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(timers_fire_in_order_of_time, setup, teardown),
        cmocka_unit_test_setup_teardown(cleared_timer_does_not_fire, setup, teardown),
        cmocka_unit_test_setup_teardown(many_timers_set_moved_and_cleared, setup, teardown),
        cmocka_unit_test_setup_teardown(timer_that_rearms_itself_starves_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(posts_from_another_thread_arrive_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(posts_from_a_callback_run, setup, teardown),
        cmocka_unit_test_setup_teardown(stop_before_run_ends_at_once_and_only_once, setup, teardown),
        cmocka_unit_test_setup_teardown(descriptors_are_watched_level_triggered, setup, teardown),
        cmocka_unit_test_setup_teardown(event_of_a_closed_descriptor_reaches_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(clock_stands_within_a_round, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
