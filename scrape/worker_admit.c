/* SPDX-License-Identifier: Apache-2.0 */
/* worker_admit: bounds the fetches under way. One that has been at it for a while is waiting for its target, not
   for us: it does not count any more, so that targets which hang hold up nobody.

     waiting: A B C            in the order they came
     running: D E | F G        by the time they began; those before the bar are old; F is first_young, young is 2 */
#include "worker_private.h"

#include "base/clock.h"

#define YOUNG_MS 500
#define CONCURRENT 256

static void push(struct slot_list *l, struct slot *slot)
{
    slot->prev = l->last;
    slot->next = NULL;
    if (l->last)
        l->last->next = slot;
    else
        l->first = slot;
    l->last = slot;
}

static void drop(struct slot_list *l, struct slot *slot)
{
    if (slot->prev)
        slot->prev->next = slot->next;
    else
        l->first = slot->next;
    if (slot->next)
        slot->next->prev = slot->prev;
    else
        l->last = slot->prev;
    slot->prev = slot->next = NULL;
}

static void grow_old(struct worker *w, int64_t now)
{
    while (w->first_young && w->first_young->started_mono_ms + YOUNG_MS <= now) {
        w->first_young->state = SLOT_OLD;
        w->first_young = w->first_young->next;
        w->young--;
    }
}

static bool has_room(struct worker *w)
{
    size_t max = w->o.max_concurrent ? w->o.max_concurrent : CONCURRENT;
    if (w->young >= max)
        grow_old(w, clock_mono_ms());
    return w->young < max;
}

static void start(struct slot *slot)
{
    struct worker *w = slot->worker;
    slot->state = SLOT_YOUNG;
    slot->started_mono_ms = clock_mono_ms();
    push(&w->running, slot);
    if (!w->first_young)
        w->first_young = slot;
    w->young++;
    slot_fetch(slot);
}

static void on_age(void *ctx);

/* Lets in those for whom there is room, and comes back when the next one grows old. */
static void let_in(struct worker *w)
{
    if (w->letting_in) /* a fetch that ended at once brought us here again */
        return;
    w->letting_in = true;
    while (w->waiting.first && has_room(w)) {
        struct slot *slot = w->waiting.first;
        drop(&w->waiting, slot);
        start(slot);
    }
    w->letting_in = false;
    if (w->waiting.first && w->first_young)
        loop_timer_set(w->loop, &w->admit, w->first_young->started_mono_ms + YOUNG_MS, on_age, w);
    else
        loop_timer_clear(w->loop, &w->admit);
}

static void on_age(void *ctx)
{
    let_in(ctx);
}

void admit(struct slot *slot)
{
    struct worker *w = slot->worker;
    if (!w->waiting.first && has_room(w)) {
        start(slot);
        return;
    }
    slot->state = SLOT_WAITING;
    push(&w->waiting, slot);
    let_in(w);
}

void admit_leave(struct slot *slot)
{
    struct worker *w = slot->worker;
    switch (slot->state) {
    case SLOT_IDLE:
        return;
    case SLOT_WAITING:
        drop(&w->waiting, slot);
        break;
    case SLOT_YOUNG:
        w->young--;
        if (w->first_young == slot)
            w->first_young = slot->next;
        drop(&w->running, slot);
        break;
    case SLOT_OLD:
        drop(&w->running, slot);
        break;
    }
    slot->state = SLOT_IDLE;
    if (w->waiting.first)
        let_in(w);
}
