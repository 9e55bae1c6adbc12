/* SPDX-License-Identifier: Apache-2.0 */
/* clock_guard: steps of the wall clock, and what is made of them. */
#include "base/clock_guard.h"

/* A correction smaller than this is not worth keeping once the system's clock has been set. */
#define SETTLED_MS 5000

static int64_t left_to_wear(const struct clock_guard *g, int64_t mono_ms)
{
    int64_t worn = (mono_ms - g->worn_at_ms) / CLOCK_WEAR;
    return g->worn_ms > worn ? g->worn_ms - worn : 0;
}

/* The system's clock was set while we were correcting it: the agent's time goes on as it was. */
static void step_under_correction(struct clock_guard *g, int64_t step_ms)
{
    g->set_ms -= step_ms;
    if (g->set_ms < SETTLED_MS && g->set_ms > -SETTLED_MS)
        g->set_ms = 0;
}

static void step_back(struct clock_guard *g, int64_t step_ms, int64_t mono_ms)
{
    int64_t left = left_to_wear(g, mono_ms) - step_ms;
    g->steps_back++;
    g->worn_at_ms = mono_ms;
    g->worn_ms = left <= CLOCK_BACK_MAX_MS ? left : 0;
}

static void step_forward(struct clock_guard *g, int64_t step_ms, int64_t mono_ms)
{
    int64_t left = left_to_wear(g, mono_ms) - step_ms;
    g->steps_forward++;
    g->worn_at_ms = mono_ms;
    g->worn_ms = left > 0 ? left : 0;
}

static void stepped(struct clock_guard *g, int64_t step_ms, int64_t mono_ms)
{
    g->last_step_ms = step_ms;
    if (g->set_ms) {
        *(step_ms > 0 ? &g->steps_forward : &g->steps_back) += 1;
        step_under_correction(g, step_ms);
    } else if (step_ms > 0) {
        step_forward(g, step_ms, mono_ms);
    } else {
        step_back(g, step_ms, mono_ms);
    }
}

int64_t clock_guard_correction(const struct clock_guard *g, int64_t mono_ms)
{
    return g->set_ms + left_to_wear(g, mono_ms);
}

int64_t clock_guard_look(struct clock_guard *g, int64_t system_wall_ms, int64_t mono_ms)
{
    int64_t offset_ms = system_wall_ms - mono_ms, step_ms = offset_ms - g->offset_ms;
    if (g->started && (step_ms > CLOCK_STEP_MS || step_ms < -CLOCK_STEP_MS))
        stepped(g, step_ms, mono_ms);
    g->started = true;
    g->offset_ms = offset_ms;
    return system_wall_ms + clock_guard_correction(g, mono_ms);
}

void clock_guard_set(struct clock_guard *g, int64_t skew_ms)
{
    g->set_ms += skew_ms;
}
