/* SPDX-License-Identifier: Apache-2.0 */
/* cpus: how much of the machine this process may use. In a container the quota is what counts: a thread
   per CPU of the node would be throttled most of the time. */
#include "cpus.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

static double read_number(const char *path)
{
    double v = 0;
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    if (fscanf(f, "%lf", &v) != 1)
        v = 0;
    fclose(f);
    return v;
}

/* The quota of our cgroup in CPUs, 0 = none. Inside a container its own cgroup is mounted at the root. */
static double quota(void)
{
    double limit = 0, period = 0;
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "re"); /* version 2: "max 100000" or "50000 100000" */
    if (f) {
        if (fscanf(f, "%lf %lf", &limit, &period) != 2)
            limit = 0;
        fclose(f);
    } else {
        limit = read_number("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
        period = read_number("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
    }
    return limit > 0 && period > 0 ? limit / period : 0;
}

unsigned cpus_allowed(void)
{
    cpu_set_t set;
    unsigned n = 1;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        n = (unsigned)CPU_COUNT(&set);
    double limit = quota();
    if (limit <= 0 || limit >= n)
        return n;
    unsigned whole = (unsigned)limit;
    whole += limit > whole;
    return whole > 0 ? whole : 1;
}
