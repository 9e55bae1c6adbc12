/* SPDX-License-Identifier: Apache-2.0 */
/* loop: epoll, a binary heap of timers and an eventfd that wakes the loop for posted calls.

   One round: wait, read the clock, run posted calls, then due timers, then ready descriptors. Every step
   takes only what was there when it began, so a callback that posts or re-arms itself cannot starve the
   others. A descriptor's slot counts how often it was given away: an event that epoll reported for the
   last owner of a number must not reach the next one, who may have got the number within the same round. */
#include "base/loop.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

#define EVENTS_PER_ROUND 128

struct fd_slot {
    loop_fd_fn *fn; /* NULL: not watched */
    void *ctx;
    uint32_t generation;
    uint32_t events;
};

struct posted {
    loop_fn *fn;
    void *ctx;
};

struct mailbox {
    struct posted *items;
    size_t n, cap;
};

struct loop {
    int epoll_fd;
    int wake_fd;
    bool running;
    int64_t now_ms;

    struct loop_timer **heap;
    size_t heap_n, heap_cap;

    struct fd_slot *slots; /* by descriptor */
    size_t slots_cap;

    atomic_bool stop;
    pthread_mutex_t lock; /* guards inbox */
    struct mailbox inbox;
    struct mailbox reading; /* the loop's own; swapped with inbox so that posting never waits for callbacks */
};

static void fatal(const char *what)
{
    log_error("loop", "FATAL: %s failed: errno %d", what, errno);
    abort();
}

struct loop *loop_new(void)
{
    struct loop *loop = xcalloc(1, sizeof *loop);
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0)
        fatal("epoll_create1");
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->wake_fd < 0)
        fatal("eventfd");
    /* Slot generation 0 and descriptor wake_fd: slots of watched descriptors start at generation 1. */
    struct epoll_event ev = {.events = EPOLLIN, .data.u64 = (uint32_t)loop->wake_fd};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &ev) != 0)
        fatal("epoll_ctl");
    pthread_mutex_init(&loop->lock, NULL);
    atomic_init(&loop->stop, false);
    return loop;
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    for (size_t i = 0; i < loop->heap_n; i++)
        loop->heap[i]->slot = 0;
    close(loop->wake_fd);
    close(loop->epoll_fd);
    pthread_mutex_destroy(&loop->lock);
    free(loop->heap);
    free(loop->slots);
    free(loop->inbox.items);
    free(loop->reading.items);
    free(loop);
}

int64_t loop_now(const struct loop *loop)
{
    return loop->running ? loop->now_ms : clock_mono_ms();
}

/* ---- mailbox ---- */

static void wake(struct loop *loop)
{
    uint64_t one = 1;
    /* EAGAIN means the counter is full, so the loop is going to wake anyway. */
    ssize_t n = write(loop->wake_fd, &one, sizeof one);
    (void)n;
}

void loop_stop(struct loop *loop)
{
    atomic_store(&loop->stop, true);
    wake(loop);
}

void loop_post(struct loop *loop, loop_fn *fn, void *ctx)
{
    pthread_mutex_lock(&loop->lock);
    struct mailbox *box = &loop->inbox;
    bool first = box->n == 0;
    box->items = xgrow(box->items, &box->cap, box->n + 1, sizeof *box->items);
    box->items[box->n++] = (struct posted){fn, ctx};
    pthread_mutex_unlock(&loop->lock);
    if (first)
        wake(loop);
}

static void run_posted(struct loop *loop)
{
    uint64_t count;
    ssize_t n = read(loop->wake_fd, &count, sizeof count);
    (void)n;
    pthread_mutex_lock(&loop->lock);
    struct mailbox box = loop->inbox;
    loop->inbox = loop->reading;
    loop->reading = box;
    pthread_mutex_unlock(&loop->lock);
    for (size_t k = 0; k < box.n; k++)
        box.items[k].fn(box.items[k].ctx);
    loop->reading.n = 0;
}

static void run_posted_if_woken(struct loop *loop, const struct epoll_event *events, int n)
{
    for (int i = 0; i < n; i++) {
        if (events[i].data.u64 == (uint32_t)loop->wake_fd) {
            run_posted(loop);
            return;
        }
    }
}

/* ---- timers ---- */

static void heap_put(struct loop *loop, size_t i, struct loop_timer *t)
{
    loop->heap[i] = t;
    t->slot = i + 1;
}

static void heap_up(struct loop *loop, size_t i, struct loop_timer *t)
{
    while (i > 0) {
        size_t parent = (i - 1) / 2;
        if (loop->heap[parent]->at_ms <= t->at_ms)
            break;
        heap_put(loop, i, loop->heap[parent]);
        i = parent;
    }
    heap_put(loop, i, t);
}

static void heap_down(struct loop *loop, size_t i, struct loop_timer *t)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= loop->heap_n)
            break;
        if (child + 1 < loop->heap_n && loop->heap[child + 1]->at_ms < loop->heap[child]->at_ms)
            child++;
        if (t->at_ms <= loop->heap[child]->at_ms)
            break;
        heap_put(loop, i, loop->heap[child]);
        i = child;
    }
    heap_put(loop, i, t);
}

static void heap_place(struct loop *loop, size_t i, struct loop_timer *t)
{
    if (i > 0 && t->at_ms < loop->heap[(i - 1) / 2]->at_ms)
        heap_up(loop, i, t);
    else
        heap_down(loop, i, t);
}

void loop_timer_set(struct loop *loop, struct loop_timer *t, int64_t at_ms, loop_fn *fn, void *ctx)
{
    /* A time in the past becomes now, or one that re-arms itself for 0 would always be the first on the
       heap. */
    t->at_ms = loop->running && at_ms < loop->now_ms ? loop->now_ms : at_ms;
    t->fn = fn;
    t->ctx = ctx;
    if (t->slot != 0) {
        heap_place(loop, t->slot - 1, t);
        return;
    }
    loop->heap = xgrow(loop->heap, &loop->heap_cap, loop->heap_n + 1, sizeof(struct loop_timer *));
    heap_up(loop, loop->heap_n++, t);
}

void loop_timer_clear(struct loop *loop, struct loop_timer *t)
{
    if (t->slot == 0)
        return;
    size_t i = t->slot - 1;
    t->slot = 0;
    struct loop_timer *last = loop->heap[--loop->heap_n];
    if (last != t)
        heap_place(loop, i, last);
}

/* At most as many as were armed at the start: one that re-arms itself for now waits for the next round. */
static void run_timers(struct loop *loop)
{
    for (size_t left = loop->heap_n; left > 0 && loop->heap_n > 0; left--) {
        struct loop_timer *t = loop->heap[0];
        if (t->at_ms > loop->now_ms)
            break;
        loop_timer_clear(loop, t);
        t->fn(t->ctx);
    }
}

static int wait_ms(struct loop *loop)
{
    if (atomic_load(&loop->stop))
        return 0;
    if (loop->heap_n == 0)
        return -1;
    int64_t ms = loop->heap[0]->at_ms - clock_mono_ms();
    if (ms <= 0)
        return 0;
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

/* ---- descriptors ---- */

static struct fd_slot *slot_of(struct loop *loop, int fd)
{
    size_t need = (size_t)fd + 1;
    if (need > loop->slots_cap) {
        size_t old = loop->slots_cap;
        loop->slots = xgrow(loop->slots, &loop->slots_cap, need, sizeof *loop->slots);
        memset(loop->slots + old, 0, (loop->slots_cap - old) * sizeof *loop->slots);
    }
    return &loop->slots[fd];
}

static bool fd_ctl(struct loop *loop, int op, int fd)
{
    struct fd_slot *slot = &loop->slots[fd];
    struct epoll_event ev = {.events = slot->events,
                             .data.u64 = ((uint64_t)slot->generation << 32) | (uint32_t)fd};
    return epoll_ctl(loop->epoll_fd, op, fd, &ev) == 0;
}

void loop_fd_set(struct loop *loop, int fd, uint32_t epoll_events, loop_fd_fn *fn, void *ctx)
{
    struct fd_slot *slot = slot_of(loop, fd);
    bool known = slot->fn != NULL;
    slot->fn = fn;
    slot->ctx = ctx;
    slot->events = epoll_events;
    if (known && fd_ctl(loop, EPOLL_CTL_MOD, fd))
        return;
    /* New, or closed and opened again behind our back. */
    slot->generation++;
    if (!fd_ctl(loop, EPOLL_CTL_ADD, fd) && !fd_ctl(loop, EPOLL_CTL_MOD, fd)) {
        slot->fn = NULL;
        log_error("loop", "cannot watch descriptor %d: errno %d", fd, errno);
    }
}

void loop_fd_clear(struct loop *loop, int fd)
{
    if (fd < 0 || (size_t)fd >= loop->slots_cap || !loop->slots[fd].fn)
        return;
    loop->slots[fd].fn = NULL;
    loop->slots[fd].generation++;
    /* Fails when the owner has closed it already, which removed it as well. */
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

static void run_fds(struct loop *loop, const struct epoll_event *events, int n)
{
    for (int i = 0; i < n; i++) {
        uint32_t generation = (uint32_t)(events[i].data.u64 >> 32);
        int fd = (int)(uint32_t)events[i].data.u64;
        if ((size_t)fd >= loop->slots_cap)
            continue;
        struct fd_slot slot = loop->slots[fd];
        if (slot.fn && slot.generation == generation)
            slot.fn(slot.ctx, fd, events[i].events);
    }
}

void loop_run(struct loop *loop)
{
    struct epoll_event events[EVENTS_PER_ROUND];
    loop->now_ms = clock_mono_ms();
    loop->running = true;
    do {
        int n = epoll_wait(loop->epoll_fd, events, EVENTS_PER_ROUND, wait_ms(loop));
        if (n < 0 && errno != EINTR)
            fatal("epoll_wait");
        loop->now_ms = clock_mono_ms();
        run_posted_if_woken(loop, events, n);
        run_timers(loop);
        run_fds(loop, events, n);
    } while (!atomic_exchange(&loop->stop, false));
    /* What was posted before loop_stop was called has been run when loop_run returns. */
    run_posted(loop);
    loop->running = false;
}
