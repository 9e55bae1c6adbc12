/* SPDX-License-Identifier: Apache-2.0 */
/* process: what this process costs, from /proc. */
#ifndef OBSAGENT_WEB_PROCESS_H
#define OBSAGENT_WEB_PROCESS_H

#include "metrics.h"

struct process_stats {
    double cpu_seconds;
    double rss_bytes, anon_bytes, virtual_bytes;
    double open_fds, max_fds; /* max_fds 0: no limit */
    double threads;
    double start_seconds; /* Unix time */
};

/* What cannot be read stays 0. */
void process_read(struct process_stats *out);
/* A collector (ctx unused) of the process_* metrics; what is 0 because it cannot be read is left out. */
void process_collect(void *ctx, struct metric_out *out);

#endif
