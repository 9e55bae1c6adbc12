/* SPDX-License-Identifier: Apache-2.0 */
/* series_labels: what a target exposes and what is kept of it: the labels of a series in between. */
#ifndef OBSAGENT_SERIES_LABELS_H
#define OBSAGENT_SERIES_LABELS_H

#include "block.h"
#include "config.h"
#include "labels.h"

/* Who exposes it. */
struct series_origin {
    const struct config_job *job;
    const struct label *target; /* its final labels */
    size_t target_n;
    uint64_t label_limit; /* 0 = none */
};

/* For those who explain. */
struct series_trace {
    void (*merged)(void *ctx, const struct labels *l); /* with the target's labels, before the first rule */
    relabel_trace_fn *rule;                            /* after each of metric_relabel_configs */
    void *ctx;
};

enum series_made { SERIES_IS_KEPT, SERIES_IS_DROPPED /* by a rule, or nothing is left */, SERIES_IS_WRONG };

/* Turns the labels that are exposed into those that are kept, sorted, in Prometheus's order: le and quantile of the
   metric's type are made normal where the job asks for it, the target's labels are merged (honor_labels),
   metric_relabel_configs are run, names and lengths are checked. SERIES_IS_WRONG sets err: one such series fails the
   whole scrape. New text goes to l->arena. trace may be NULL. */
enum series_made series_labels_make(const struct series_origin *o, enum block_metric_type type, struct labels *l,
                                    const struct series_trace *trace, struct err *err) MUSTCHECK;

/* The n-th of the series that the agent itself adds for a target of the job (up ...), NULL behind the last one. They
   have the target's labels, and no rule of metric_relabel_configs sees them. */
const char *series_report_name(const struct config_job *job, uint64_t series_limit, size_t n);

#endif
