/* SPDX-License-Identifier: Apache-2.0 */
/* queue_filter: which samples of a buffer `obsagent queue` is asked for. */
#ifndef OBSAGENT_COMMAND_QUEUE_FILTER_H
#define OBSAGENT_COMMAND_QUEUE_FILTER_H

#include "base/err.h"
#include "block.h"
#include "flags.h"
#include "labels.h"

struct queue_filter {
    /* As given; NULL or empty = all. */
    struct flag_list match;
    const char *from, *to;
    /* What they mean. */
    struct relabel_rules *rules;
    int64_t from_ms, to_ms;
};

/* Reads what was given. A time is RFC 3339, seconds since 1970, or a duration before now ("-90m"). */
bool queue_filter_prepare(struct queue_filter *f, struct err *err) MUSTCHECK;
void queue_filter_free(struct queue_filter *f);
/* Everything passes. */
bool queue_filter_is_open(const struct queue_filter *f);
/* Nothing in the block can pass, by its times alone. */
bool queue_filter_skips(const struct queue_filter *f, const struct block *b);
/* The labels are left as they are. */
bool queue_filter_passes(const struct queue_filter *f, struct labels *l, int64_t ts_ms);

#endif
