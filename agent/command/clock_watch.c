/* SPDX-License-Identifier: Apache-2.0 */
/* clock_watch: tells of the clock's steps, believes receivers, lets go of what was held. */
#include "clock_watch.h"

#include <stdlib.h>

#include "base/log.h"

static void tell_steps(struct clock_watch *w, const struct clock_state *clock)
{
    bool back = clock->steps_back != w->steps_back;
    if (!back && clock->steps_forward == w->steps_forward)
        return;
    log_warn("clock", "the system's clock was set %s by %lld s%s", clock->last_step_ms < 0 ? "back" : "forward",
             (long long)llabs(clock->last_step_ms) / 1000,
             back && clock->correction_ms == 0
                 ? ": receivers may refuse samples until the time is reached again that it showed before"
                 : "");
    w->steps_back = clock->steps_back;
    w->steps_forward = clock->steps_forward;
}

/* Hands on what is held when the clock has become right; believes receivers that say otherwise. */
void clock_watch_look(struct clock_watch *w)
{
    struct clock_state clock = clock_state();
    int64_t skew_ms;
    tell_steps(w, &clock);
    if (w->trust_receivers && remote_take_skew(w->remote, &skew_ms)) {
        log_error("clock", "the receivers' clocks are %lld s %s ours: timestamps are corrected by that",
                  (long long)llabs(skew_ms) / 1000, skew_ms > 0 ? "ahead of" : "behind");
        clock_correct(skew_ms);
        clock = clock_state();
    }
    if (!clock.plausible) {
        char now[32];
        clock_format_rfc3339(clock.wall_ms, now);
        log_throttled(0x636c6f636b, LOG_ERROR, "clock",
                      "the clock is not plausible (%s): blocks are held until it is set or a receiver tells the time",
                      now);
        remote_ask_dates(w->remote);
    }
    hold_look(w->hold, &clock);
}

/* ---- metrics ---- */

static void collect_skew(void *ctx, const struct remote_status *s)
{
    if (s->skew.mono_ms)
        metric_emit(ctx, METRIC_CLOCK_SKEW, (double)s->skew.ms / 1000, "endpoint", s->name, NULL);
}

void clock_watch_collect(const struct clock_watch *w, struct metric_out *out)
{
    struct clock_state clock = clock_state();
    struct hold_stats held;
    hold_stats(w->hold, &held);
    metric_emit(out, METRIC_CLOCK_PLAUSIBLE, clock.plausible ? 1 : 0, NULL);
    metric_emit(out, METRIC_CLOCK_CORRECTION, (double)clock.correction_ms / 1000, NULL);
    metric_emit(out, METRIC_CLOCK_STEPS, (double)clock.steps_forward, "direction", "forward", NULL);
    metric_emit(out, METRIC_CLOCK_STEPS, (double)clock.steps_back, "direction", "back", NULL);
    metric_emit(out, METRIC_BLOCKS_HELD, (double)held.blocks, NULL);
    metric_emit(out, METRIC_SAMPLES_HELD, (double)held.samples, NULL);
    metric_emit(out, METRIC_SAMPLES_MOVED, (double)held.moved, NULL);
    remote_each(w->remote, collect_skew, out);
}
