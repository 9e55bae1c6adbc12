/* SPDX-License-Identifier: Apache-2.0 */
/* vigil: while an endpoint fails for its credentials, their files are looked at each second: a corrected one is tried
   at once and not when the next try is due. */
#include "endpoint_private.h"

#include "base/log.h"

#define LOOK_MS 1000

static void try_again(struct endpoint *e)
{
    log_info("remote", "endpoint %s: its credentials or certificates changed, trying again", e->name);
    http_options_reread(&e->settings->http);
    for (size_t i = 0; i < e->lanes_n; i++) {
        struct lane *lane = e->lanes[i];
        bool waits = lane->state == LANE_WAITING && (lane == e->prober || lane->after_network);
        if (waits)
            lane_wait(lane, 0);
    }
    endpoint_pump(e);
}

static void on_look(void *ctx)
{
    struct endpoint *e = ctx;
    if (!e->failing)
        return;
    if (http_options_stamp(&e->settings->http) == e->refused_stamp) {
        loop_timer_set(e->loop, &e->watch, loop_now(e->loop) + LOOK_MS, on_look, e);
        return;
    }
    try_again(e);
}

void endpoint_watch(struct endpoint *e, uint64_t stamp)
{
    if (stamp == 0) /* there are no files */
        return;
    e->refused_stamp = stamp;
    loop_timer_set(e->loop, &e->watch, loop_now(e->loop) + LOOK_MS, on_look, e);
}

void endpoint_watch_end(struct endpoint *e)
{
    loop_timer_clear(e->loop, &e->watch);
}
