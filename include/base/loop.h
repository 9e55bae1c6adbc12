/* SPDX-License-Identifier: Apache-2.0 */
/* loop: one event loop per thread: epoll, timers in a heap, and a mailbox for other threads. */
#ifndef OBSAGENT_BASE_LOOP_H
#define OBSAGENT_BASE_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;

typedef void loop_fn(void *ctx);
typedef void loop_fd_fn(void *ctx, int fd, uint32_t epoll_events);

/* A timer lives inside its owner's struct; zero-initialise it. It is on the heap while armed. */
struct loop_timer {
    int64_t at_ms; /* monotonic */
    loop_fn *fn;
    void *ctx;
    size_t slot; /* heap position + 1, 0 when not armed */
};

struct loop *loop_new(void);
/* Must not be running; armed timers are forgotten, posted calls not yet run are dropped. */
void loop_free(struct loop *loop);
/* Runs until loop_stop. */
void loop_run(struct loop *loop);

/* From any thread: ends loop_run after the present round. */
void loop_stop(struct loop *loop);
/* From any thread: fn(ctx) is called in the loop's thread, in the order of posting. Never blocks. */
void loop_post(struct loop *loop, loop_fn *fn, void *ctx);

/* The rest only from the loop's own thread (or before it runs). */

/* Arms or re-arms t to fire once at at_ms (monotonic); late timers fire at once, in order of time. */
void loop_timer_set(struct loop *loop, struct loop_timer *t, int64_t at_ms, loop_fn *fn, void *ctx);
void loop_timer_clear(struct loop *loop, struct loop_timer *t);
/* Watches fd for the given epoll events (level-triggered); called again for the same fd it changes the
   interest or the callback. */
void loop_fd_set(struct loop *loop, int fd, uint32_t epoll_events, loop_fd_fn *fn, void *ctx);
void loop_fd_clear(struct loop *loop, int fd);
/* The monotonic time in ms, read once per round. */
int64_t loop_now(const struct loop *loop);

#endif
