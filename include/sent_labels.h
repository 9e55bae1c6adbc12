/* SPDX-License-Identifier: Apache-2.0 */
/* sent_labels: what is kept of a series and what an endpoint is sent of it: the labels in between. */
#ifndef OBSAGENT_SENT_LABELS_H
#define OBSAGENT_SENT_LABELS_H

#include "config.h"
#include "labels.h"

/* For those who explain. */
struct sent_trace {
    void (*merged)(void *ctx, const struct labels *l); /* with external labels, before the first rule */
    relabel_trace_fn *rule;                            /* after each of write_relabel_configs */
    void *ctx;
};

/* SENT_DROPPED: by a rule, or nothing is left; SENT_ELSEWHERE: to others of its group. */
enum sent_made { SENT_ALL, SENT_DROPPED, SENT_ELSEWHERE };

/* Who of the endpoints of a configuration shares series with whom; refers to it. Read-only and thread-safe. */
struct sent_groups;
struct sent_groups *sent_groups_new(const struct config *config);
void sent_groups_free(struct sent_groups *g);

/* Turns the labels that are kept of a series, sorted, into those that the n-th endpoint is sent: routing, external
   labels where there are none of that name, write_relabel_configs. Views of the configuration and text of l->arena.
   trace may be NULL. */
enum sent_made sent_labels_make(const struct sent_groups *g, size_t n, struct labels *l,
                                const struct sent_trace *trace) MUSTCHECK;
/* Its end alone, for those that merge external labels in their own way: rules (NULL = none), then sorting. False when
   nothing is left to be sent. */
bool sent_labels_finish(const struct relabel_rules *rules, struct labels *l, const struct sent_trace *trace) MUSTCHECK;

#endif
