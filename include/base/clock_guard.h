/* SPDX-License-Identifier: Apache-2.0 */
/* clock_guard: makes a wall clock that can be worked with out of the system's, which may be set at any moment, and on
   small devices starts in 1970. Pure: clocks are handed in. Not thread-safe.

     system wall clock  + set (what receivers taught) + worn (a step back that is being worn off) = the agent's clock

   A step forward is taken over at once: later times do no harm. A step back of up to 10 minutes is not, because
   receivers refuse samples that are older than the last: time goes on without it at 95 % of its speed until the
   two agree again. A longer one means that the time before was wrong: it is taken over. */
#ifndef OBSAGENT_BASE_CLOCK_GUARD_H
#define OBSAGENT_BASE_CLOCK_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#define CLOCK_STEP_MS 500                  /* less is drift */
#define CLOCK_BACK_MAX_MS (10 * 60 * 1000) /* a longer step back is taken over */
#define CLOCK_WEAR 20                      /* a twentieth of the time that passes is worn off */

struct clock_guard {
    bool started;
    int64_t offset_ms; /* system wall clock less the monotonic one, as last seen */
    int64_t set_ms;
    int64_t worn_ms, worn_at_ms; /* what was left to wear off at that monotonic moment */
    uint64_t steps_forward, steps_back;
    int64_t last_step_ms; /* with its sign */
};

/* Looks at both clocks (mono_ms must count suspended time too) and returns the agent's wall clock. Zero-initialise
   g. */
int64_t clock_guard_look(struct clock_guard *g, int64_t system_wall_ms, int64_t mono_ms);
/* Receivers say that the agent's clock is `skew_ms` behind theirs (negative: ahead). */
void clock_guard_set(struct clock_guard *g, int64_t skew_ms);
/* The agent's clock less the system's, at mono_ms. */
int64_t clock_guard_correction(const struct clock_guard *g, int64_t mono_ms);

#endif
