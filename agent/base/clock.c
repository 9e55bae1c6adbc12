/* SPDX-License-Identifier: Apache-2.0 */
/* clock: the two clocks. */
#include "base/clock.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "base/clock_guard.h"

#define NS_PER_S 1000000000LL
#define NS_PER_MS 1000000LL

static int64_t read_ns(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

int64_t clock_mono_ms(void)
{
    return read_ns(CLOCK_MONOTONIC) / NS_PER_MS;
}

int64_t clock_mono_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

int64_t clock_system_wall_ms(void)
{
    return read_ns(CLOCK_REALTIME) / NS_PER_MS;
}

/* ---- the agent's clock ---- */

/* No clock that is right shows less than when this was built; a day is left for time zones and builders. */
#define BUILT_MS ((int64_t)BUILT_S * 1000 - 24 * 3600 * 1000LL)

static pthread_mutex_t guard_lock = PTHREAD_MUTEX_INITIALIZER;
static struct clock_guard guard; /* a process has one wall clock */

static int64_t look(int64_t *mono_ms)
{
    *mono_ms = read_ns(CLOCK_BOOTTIME) / NS_PER_MS; /* a machine that slept has not been set */
    return clock_guard_look(&guard, clock_system_wall_ms(), *mono_ms);
}

int64_t clock_wall_ms(void)
{
    int64_t mono_ms;
    pthread_mutex_lock(&guard_lock);
    int64_t now = look(&mono_ms);
    pthread_mutex_unlock(&guard_lock);
    return now;
}

bool clock_is_plausible(int64_t wall_ms)
{
    return wall_ms >= BUILT_MS;
}

struct clock_state clock_state(void)
{
    int64_t mono_ms;
    pthread_mutex_lock(&guard_lock);
    int64_t now = look(&mono_ms);
    struct clock_state s = {
        .wall_ms = now,
        .plausible = clock_is_plausible(now),
        .offset_ms = now - mono_ms,
        .correction_ms = clock_guard_correction(&guard, mono_ms),
        .steps_forward = guard.steps_forward,
        .steps_back = guard.steps_back,
        .last_step_ms = guard.last_step_ms,
    };
    pthread_mutex_unlock(&guard_lock);
    return s;
}

void clock_correct(int64_t skew_ms)
{
    pthread_mutex_lock(&guard_lock);
    clock_guard_set(&guard, skew_ms);
    pthread_mutex_unlock(&guard_lock);
}

int64_t clock_cpu_ns(void)
{
    return read_ns(CLOCK_PROCESS_CPUTIME_ID);
}

void clock_format_rfc3339(int64_t wall_ms, char out[32])
{
    int ms = (int)(wall_ms % 1000);
    time_t s = (time_t)(wall_ms / 1000);
    struct tm tm;
    char date[26];
    if (ms < 0) {
        ms += 1000;
        s--;
    }
    if (!gmtime_r(&s, &tm) || strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm) == 0)
        date[0] = '\0';
    snprintf(out, 32, "%s.%03dZ", date, ms);
}
