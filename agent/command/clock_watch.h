/* SPDX-License-Identifier: Apache-2.0 */
/* clock_watch: what the agent does about its clock while it runs. */
#ifndef OBSAGENT_COMMAND_CLOCK_WATCH_H
#define OBSAGENT_COMMAND_CLOCK_WATCH_H

#include "hold.h"
#include "metrics.h"
#include "remote.h"

/* Filled by its owner, who also owns what it points to. */
struct clock_watch {
    struct hold *hold;
    struct remote *remote;
    bool trust_receivers;               /* correct the clock by their Date */
    uint64_t steps_forward, steps_back; /* as last told; for clock_watch_look */
};

/* To be called a few times a second: logs steps of the clock, corrects it when receivers agree that it is off by more
   than 10 minutes, asks them for the time while it is not plausible, and hands on what is held once it is. */
void clock_watch_look(struct clock_watch *w);
/* obsagent_clock_*, obsagent_blocks_held and their like. */
void clock_watch_collect(const struct clock_watch *w, struct metric_out *out);

#endif
