/* SPDX-License-Identifier: Apache-2.0 */
/* memory: what series cost in resident memory, by scraping made-up bodies through the append path, each case in a
   process of its own:

     few      1,000 targets of 10 series
     many     1,000 targets of 1,000 series: at most 40 bytes a series more than few
     churn    the same, 5 % of the series of every scrape replaced by others, 240 scrapes (an hour of 15 s): within
              twice that

   Exit code 1 when a bound does not hold. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/units.h"
#include "scrape/append.h"

#define TARGETS 1000
#define BOUND 40.0 /* bytes a series */

static void emit(void *ctx, struct block *b)
{
    (void)ctx;
    block_unref(b);
}

/* The body of a target at a scrape. Series i is replaced in every 20th round, beginning with round i % 20. */
static void write_body(struct buf *out, unsigned target, unsigned series, unsigned round)
{
    buf_clear(out);
    for (unsigned i = 0; i < series; i++) {
        if (i % 100 == 0)
            buf_addf(out, "# HELP requests_%u_total Requests.\n# TYPE requests_%u_total counter\n", i / 100,
                     i / 100);
        unsigned life = (round + 20 - i % 20) / 20;
        buf_addf(out, "requests_%u_total{method=\"GET\",path=\"/api/v1/resource/%u\",pod=\"api-%u-%u\"} %u\n",
                 i / 100, i % 100, target, life * 20 + i % 20, i + round);
    }
}

static void scrape(struct append_target *t, const struct buf *body, int64_t ts_ms)
{
    struct append_scrape *s = append_begin(t, ts_ms, EXPOSITION_TEXT);
    struct append_result result;
    struct err err = {0};
    bool ok = append_feed(s, body->p, body->n, &err);
    append_end(s, &(struct append_outcome){.ok = ok, .body_bytes = (int64_t)body->n}, &result, &err);
    if (!result.up) {
        fprintf(stderr, "%s\n", err.msg);
        exit(2);
    }
}

static double resident(void)
{
    char line[256];
    double kb = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        (void)sscanf(line, "VmRSS: %lf kB", &kb);
    if (f)
        fclose(f);
    return kb * 1024;
}

/* The most that was resident after any round. */
static double run(unsigned series, unsigned rounds, bool churn)
{
    struct append_worker_options o = {.emit = emit};
    struct append_worker *w = append_worker_new(&o);
    struct append_target *t[TARGETS];
    struct err err = {0};
    size_t bad;
    enum relabel_field field;
    char job_name[] = "fleet";
    struct config_job job = {.job_name = job_name, .honor_timestamps = true};
    struct buf body;
    double most = 0;
    job.metric_relabel = relabel_compile(NULL, 0, &err, &bad, &field);
    buf_init(&body, (size_t)1 << 24);
    for (unsigned i = 0; i < TARGETS; i++) {
        char address[32];
        snprintf(address, sizeof address, "10.0.%u.%u:9100", i / 250, i % 250);
        struct label l[] = {{STR("instance"), str_of(address)}, {STR("job"), STR("fleet")}};
        t[i] = append_target_new(w, &job, &(struct labels){.v = l, .n = 2, .cap = 2}, NULL);
    }
    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < TARGETS; i++) {
            write_body(&body, i, series, churn ? round : 0);
            scrape(t[i], &body, 1000 + round * 15000);
        }
        append_flush(w);
        double now = resident();
        most = now > most ? now : most;
    }
    return most;
}

/* In a process of its own, so that nothing is left from the one before. */
static double measure(unsigned series, unsigned rounds, bool churn)
{
    int pipes[2];
    double most = 0;
    if (pipe(pipes) != 0)
        exit(2);
    pid_t child = fork();
    if (child == 0) {
        mallopt(M_MMAP_THRESHOLD, 256 * 1024); /* as the program does */
        mallopt(M_TRIM_THRESHOLD, 512 * 1024);
        most = run(series, rounds, churn);
        _exit(write(pipes[1], &most, sizeof most) == sizeof most ? 0 : 2);
    }
    close(pipes[1]);
    if (read(pipes[0], &most, sizeof most) != sizeof most)
        exit(2);
    close(pipes[0]);
    waitpid(child, NULL, 0);
    return most;
}

static uint64_t rounds_of(const char *text)
{
    uint64_t v;
    return units_parse_u64(str_of(text), &v) && v > 0 && v < 100000 ? v : 1;
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 1 ? (unsigned)rounds_of(argv[1]) : 240;
    double few = measure(10, 3, false), many = measure(1000, 3, false);
    double each = (many - few) / (TARGETS * 990.0);
    printf("few    %6.1f MB resident\n", few / 1e6);
    printf("many   %6.1f MB resident, %.1f bytes a series more\n", many / 1e6, each);
    fflush(stdout);
    double churned = (measure(1000, rounds, true) - few) / (TARGETS * 990.0);
    printf("churn  %.1f bytes a series more, after %u scrapes\n", churned, rounds);
    return each <= BOUND && churned <= 2 * BOUND ? 0 : 1;
}
