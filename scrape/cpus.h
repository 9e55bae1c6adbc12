/* SPDX-License-Identifier: Apache-2.0 */
/* cpus: how much of the machine this process may use. */
#ifndef OBSAGENT_SCRAPE_CPUS_H
#define OBSAGENT_SCRAPE_CPUS_H

/* CPUs allowed by affinity and by the cgroup's quota (rounded up), at least 1. */
unsigned cpus_allowed(void);

#endif
