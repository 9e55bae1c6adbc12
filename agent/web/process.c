/* SPDX-License-Identifier: Apache-2.0 */
/* process: what this process costs, from /proc. A hardened container may hide some of it: then it is
   left out. */
#include "process.h"

#include "base/clock.h"
#include "base/file.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define PROC_FILE_MAX ((size_t)64 << 10)

/* The number behind `key` at the start of a line, e.g. "RssAnon:" in /proc/self/status; 0 when there is
   none. */
static double number_after(const char *path, const char *key)
{
    struct buf b;
    struct err err = {0};
    double v = 0;
    buf_init(&b, PROC_FILE_MAX);
    if (file_read(path, PROC_FILE_MAX, &b, &err)) {
        struct str rest = buf_str(&b);
        while (rest.n && !str_starts(rest, str_of(key)))
            rest = str_skip(rest, str_find_char(rest, '\n') + 1);
        if (rest.n)
            v = strtod(buf_c(&b) + (rest.p - b.p) + strlen(key), NULL);
    }
    buf_free(&b);
    return v;
}

/* /proc/stat grows with the CPUs; only its btime is wanted, which is near the end. */
static double boot_seconds(void)
{
    static double cached;
    if (cached <= 0)
        cached = number_after("/proc/stat", "btime ");
    return cached;
}

/* Field 22 of /proc/self/stat, counted behind the last ')' because a program name may hold anything. */
static double start_ticks(void)
{
    struct buf b;
    struct err err = {0};
    double v = 0;
    buf_init(&b, PROC_FILE_MAX);
    if (file_read("/proc/self/stat", PROC_FILE_MAX, &b, &err)) {
        const char *p = strrchr(buf_c(&b), ')');
        for (int field = 2; p && field < 22; field++)
            p = strchr(p + 1, ' ');
        if (p)
            v = strtod(p, NULL);
    }
    buf_free(&b);
    return v;
}

static double count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    double n = 0;
    if (!dir)
        return 0;
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        n += e->d_name[0] != '.';
    closedir(dir);
    return n - 1; /* the one that looked */
}

void process_read(struct process_stats *out)
{
    struct rlimit limit;
    *out = (struct process_stats){.cpu_seconds = (double)clock_cpu_ns() / 1e9};
    out->rss_bytes = number_after("/proc/self/status", "VmRSS:") * 1024;
    out->anon_bytes = number_after("/proc/self/status", "RssAnon:") * 1024;
    out->virtual_bytes = number_after("/proc/self/status", "VmSize:") * 1024;
    out->threads = number_after("/proc/self/status", "Threads:");
    out->open_fds = count_fds();
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        out->max_fds = (double)limit.rlim_cur;
    double boot = boot_seconds(), ticks = start_ticks();
    if (boot > 0 && ticks > 0)
        out->start_seconds = boot + ticks / (double)sysconf(_SC_CLK_TCK);
}

static void emit_known(struct metric_out *out, enum metric_id id, double v)
{
    if (v > 0)
        metric_emit(out, id, v, NULL);
}

void process_collect(void *ctx, struct metric_out *out)
{
    (void)ctx;
    struct process_stats p;
    process_read(&p);
    metric_emit(out, METRIC_PROCESS_CPU, p.cpu_seconds, NULL);
    emit_known(out, METRIC_PROCESS_RSS, p.rss_bytes);
    emit_known(out, METRIC_PROCESS_ANON, p.anon_bytes);
    emit_known(out, METRIC_PROCESS_VIRT, p.virtual_bytes);
    emit_known(out, METRIC_PROCESS_FDS, p.open_fds);
    emit_known(out, METRIC_PROCESS_MAX_FDS, p.max_fds);
    emit_known(out, METRIC_PROCESS_THREADS, p.threads);
    emit_known(out, METRIC_PROCESS_START, p.start_seconds);
}
