/* SPDX-License-Identifier: Apache-2.0 */
/* queue_replay: sends what is in a buffer to a receiver, by hand, and changes nothing in the buffer. */
#ifndef OBSAGENT_COMMAND_QUEUE_REPLAY_H
#define OBSAGENT_COMMAND_QUEUE_REPLAY_H

#include "queue_filter.h"

struct queue_replay_options {
    const char *dir;
    const char *endpoint; /* only what this one has not delivered; NULL = all */
    struct queue_filter *filter;
    const char *url, *bearer_token_file, *protocol;
    const char *config_file, *remote; /* or all settings of this endpoint of a configuration */
    const char *rate_limit;
    int64_t give_up_ms; /* without any progress */
    bool dry_run;
};

/* The exit code: 0 when all was delivered, 1 otherwise, 2 for wrong usage. */
int queue_replay(const struct queue_replay_options *o);

#endif
