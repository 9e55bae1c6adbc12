/* SPDX-License-Identifier: Apache-2.0 */
/* clock: the two clocks. Scheduling uses the monotonic one, timestamps the wall; and the wall clock is the system's as
   clock_guard.h makes it fit for work: the only state of a process that everybody shares. */
#ifndef OBSAGENT_BASE_CLOCK_H
#define OBSAGENT_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Milliseconds / nanoseconds since an arbitrary start; never goes back. */
int64_t clock_mono_ms(void);
int64_t clock_mono_ns(void);
/* Milliseconds since 1970 UTC: the agent's clock. May jump forward, and back only by more than 10 minutes.
   Thread-safe. */
int64_t clock_wall_ms(void);
/* The system's own, as it is. */
int64_t clock_system_wall_ms(void);

struct clock_state {
    int64_t wall_ms;       /* the agent's clock now */
    bool plausible;        /* not before this program was built */
    int64_t offset_ms;     /* the agent's clock less a monotonic one: what changes is what timestamps are off by */
    int64_t correction_ms; /* the agent's clock less the system's */
    uint64_t steps_forward, steps_back;
    int64_t last_step_ms;
};
/* Looks at the clocks now. Thread-safe. */
struct clock_state clock_state(void);
/* A time that is not before this program was built. */
bool clock_is_plausible(int64_t wall_ms);
/* Receivers say that the agent's clock is so far behind theirs (negative: ahead). Thread-safe. */
void clock_correct(int64_t skew_ms);
/* CPU time of this process so far, nanoseconds. */
int64_t clock_cpu_ns(void);

/* RFC 3339 in UTC with milliseconds, "2026-01-02T03:04:05.678Z"; needs 32 bytes. */
void clock_format_rfc3339(int64_t wall_ms, char out[32]);

#endif
