/* SPDX-License-Identifier: Apache-2.0 */
/* clock: the two clocks. Scheduling uses the monotonic one, timestamps the wall. */
#ifndef OBSAGENT_BASE_CLOCK_H
#define OBSAGENT_BASE_CLOCK_H

#include <stdint.h>

/* Milliseconds / nanoseconds since an arbitrary start; never goes back. */
int64_t clock_mono_ms(void);
int64_t clock_mono_ns(void);
/* Milliseconds since 1970 UTC; may jump. */
int64_t clock_wall_ms(void);
/* CPU time of this process so far, nanoseconds. */
int64_t clock_cpu_ns(void);

/* RFC 3339 in UTC with milliseconds, "2026-01-02T03:04:05.678Z"; needs 32 bytes. */
void clock_format_rfc3339(int64_t wall_ms, char out[32]);

#endif
