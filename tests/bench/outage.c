/* SPDX-License-Identifier: Apache-2.0 */
/* outage: a long outage, for as long as the cap of the buffer allows: blocks as scraping 100,000 samples a second makes
   them are pushed while nobody listens at the endpoint, until the buffer is nearly full; a fresh process opens the
   directory; then the endpoint delivers everything to `obsagent sink --discard`. Each step is a process of its own:

     buffer   RSS grows by less than 10 MB over the healthy state
     open     takes less than a second for each GiB, and less than 10 MB more than an empty directory
     drain    every sample arrives; how fast, and who was busy, is printed

   usage: outage [CAP_MIB [DIR]]     exit code 1 when a bound does not hold */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <malloc.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/units.h"
#include "remote.h"
#include "scrape/append.h"

#define LANES 2
#define TARGETS 100
#define SERIES 995 /* with the report series 1,000 a target */
#define HEALTHY_ROUNDS 10
#define GROWTH_MAX 10e6
#define OPEN_MAX_MS 1000.0 /* for a GiB */
#define WAIT_MS 600000

struct bench {
    char program[512]; /* obsagent */
    char dir[256];
    uint64_t cap;
    unsigned port;
};

/* What a step tells its parent. */
struct told {
    double rss, ms, cpu_ms, sink_cpu_ms;
    uint64_t samples, disk_bytes, written_bytes;
};

static void die(const char *what)
{
    fprintf(stderr, "outage: %s: %s\n", what, strerror(errno));
    exit(2);
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

/* ---- the receiver ---- */

static unsigned free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, n) != 0 || getsockname(fd, (struct sockaddr *)&a, &n) != 0)
        die("no free port");
    close(fd);
    return ntohs(a.sin_port);
}

static pid_t sink_start(const struct bench *b)
{
    char listen_on[64];
    snprintf(listen_on, sizeof listen_on, "--listen=127.0.0.1:%u", b->port);
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY);
        dup2(null, STDERR_FILENO);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl(b->program, b->program, "sink", "--discard", listen_on, (char *)NULL);
        _exit(127);
    }
    return pid;
}

/* Its CPU time in ms. */
static double sink_stop(pid_t pid)
{
    struct rusage use = {0};
    kill(pid, SIGTERM);
    wait4(pid, NULL, 0, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e3 +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e3;
}

/* ---- the agent ---- */

struct rig {
    const struct bench *b;
    struct ledger *ledger;
    struct queue *queue;
    struct config *config;
    struct remote *remote;
    struct append_worker *w[LANES];
    struct append_target *t[TARGETS];
    struct config_job job;
    struct buf body;
    int64_t ts_ms;
};

static void emit(void *ctx, struct block *block)
{
    queue_push(((struct rig *)ctx)->queue, block);
}

static void rig_open(struct rig *g, const struct bench *b, const char *dir)
{
    struct err err = {0};
    *g = (struct rig){.b = b, .ledger = ledger_new(), .ts_ms = clock_wall_ms() - 3600 * 1000};
    struct queue_options options = {.dir = dir, .ledger = g->ledger, .max_bytes = b->cap};
    g->queue = queue_open(&options, &err);
    if (!g->queue)
        die(err.msg);
}

static void rig_connect(struct rig *g)
{
    struct buf errors;
    buf_init(&errors, 1 << 16);
    char *yaml = xasprintf("remote_write:\n- url: http://127.0.0.1:%u/api/v1/write\n  name: e\n"
                           "  queue_config: {min_backoff: 10ms, max_backoff: 100ms}\n", g->b->port);
    g->config = config_load_text("outage.yml", str_of(yaml), NULL, false, &errors);
    if (!g->config)
        die(buf_c(&errors));
    struct remote_options options = {.queue = g->queue, .ledger = g->ledger, .user_agent = "obsagent/outage"};
    g->remote = remote_new(&options);
    remote_apply(g->remote, g->config);
    buf_free(&errors);
    free(yaml);
}

static void rig_scrape_from(struct rig *g)
{
    static char job_name[] = "fleet";
    struct err err = {0};
    size_t bad;
    enum relabel_field field;
    g->job = (struct config_job){.job_name = job_name, .honor_timestamps = true};
    g->job.metric_relabel = relabel_compile(NULL, 0, &err, &bad, &field);
    for (uint32_t i = 0; i < LANES; i++)
        g->w[i] = append_worker_new(&(struct append_worker_options){.lane = i, .emit = emit, .ctx = g});
    for (unsigned i = 0; i < TARGETS; i++) {
        char address[32];
        snprintf(address, sizeof address, "10.0.%u.%u:9100", i / 250, i % 250);
        struct label l[] = {{STR("instance"), str_of(address)}, {STR("job"), STR("fleet")}};
        g->t[i] = append_target_new(g->w[i % LANES], &g->job, &(struct labels){.v = l, .n = 2, .cap = 2}, NULL);
    }
    buf_init(&g->body, (size_t)1 << 24);
}

/* Half of the series are counters, the others hardly change: as exporters are. */
static void write_body(struct buf *out, unsigned target, uint64_t round)
{
    buf_clear(out);
    for (unsigned i = 0; i < SERIES; i++) {
        if (i % 100 == 0)
            buf_addf(out, "# HELP requests_%u_total Requests.\n# TYPE requests_%u_total counter\n", i / 100, i / 100);
        uint64_t value = i % 2 ? round * (i + target) * 17 + i : (uint64_t)i * 1000 + round / 60;
        buf_addf(out, "requests_%u_total{method=\"GET\",path=\"/api/v1/resource/%u\",pod=\"api-%u\"} %llu\n", i / 100,
                 i % 100, target, (unsigned long long)value);
    }
}

/* A second's worth: 100,000 samples. */
static void scrape_round(struct rig *g)
{
    struct append_result result;
    struct err err = {0};
    for (unsigned i = 0; i < TARGETS; i++) {
        write_body(&g->body, i, (uint64_t)g->ts_ms / 1000);
        struct append_scrape *s = append_begin(g->t[i], g->ts_ms, EXPOSITION_TEXT);
        bool ok = append_feed(s, g->body.p, g->body.n, &err);
        append_end(s, &(struct append_outcome){.ok = ok, .body_bytes = (int64_t)g->body.n}, &result, &err);
        if (!result.up)
            die(err.msg);
    }
    for (uint32_t i = 0; i < LANES; i++)
        append_flush(g->w[i]);
    g->ts_ms += 1000;
}

static void rig_close(struct rig *g)
{
    for (unsigned i = 0; i < TARGETS && g->w[0]; i++)
        append_target_free(g->t[i]);
    for (uint32_t i = 0; i < LANES && g->w[0]; i++)
        append_worker_free(g->w[i]);
    if (g->remote) {
        remote_stop(g->remote, clock_mono_ms());
        remote_free(g->remote);
    }
    queue_close(g->queue);
}

static uint64_t buffered_blocks(struct rig *g)
{
    struct queue_stats stats;
    queue_stats(g->queue, &stats);
    return stats.ram_blocks;
}

static void sum_buffered(void *ctx, const struct remote_status *status)
{
    *(uint64_t *)ctx += status->queue.buffered_samples;
}

static uint64_t buffered_samples(const struct rig *g)
{
    uint64_t n = 0;
    remote_each(g->remote, sum_buffered, &n);
    return n;
}

/* ---- the steps ---- */

static double most(double a, double b)
{
    return a > b ? a : b;
}

/* RSS: what it grew by. */
static struct told step_buffer(const struct bench *b)
{
    struct rig g;
    struct queue_stats stats;
    double healthy = 0, behind = 0;
    pid_t sink = sink_start(b);
    rig_open(&g, b, b->dir);
    rig_connect(&g);
    rig_scrape_from(&g);
    for (unsigned i = 0; i < HEALTHY_ROUNDS; i++) {
        scrape_round(&g);
        for (int64_t end = clock_mono_ms() + WAIT_MS; buffered_samples(&g) && clock_mono_ms() < end;)
            usleep(1000);
        healthy = most(healthy, resident());
    }
    (void)sink_stop(sink);
    int64_t start = clock_mono_ms();
    for (;;) {
        scrape_round(&g);
        /* Twenty times as fast as real ones come, but the disk may keep up, as it would then. */
        for (int64_t end = clock_mono_ms() + WAIT_MS; buffered_blocks(&g) > 12 && clock_mono_ms() < end;)
            usleep(1000);
        behind = most(behind, resident());
        queue_stats(g.queue, &stats);
        if (stats.disk_bytes > b->cap / 100 * 96 || stats.disk_error[0])
            break;
    }
    struct told told = {.rss = behind - healthy, .ms = (double)(clock_mono_ms() - start),
                        .disk_bytes = stats.disk_bytes,
                        .samples = buffered_samples(&g), .written_bytes = stats.disk_written_bytes_total};
    rig_close(&g);
    return told;
}

static struct told step_open(const struct bench *b, const char *dir)
{
    struct rig g;
    int64_t start = clock_mono_ns();
    rig_open(&g, b, dir);
    struct told told = {.ms = (double)(clock_mono_ns() - start) / 1e6, .rss = resident()};
    rig_close(&g);
    return told;
}

static struct told step_open_full(const struct bench *b)
{
    return step_open(b, b->dir);
}

static struct told step_open_empty(const struct bench *b)
{
    char empty[300];
    snprintf(empty, sizeof empty, "%s/empty", b->dir);
    return step_open(b, empty);
}

static struct told step_drain(const struct bench *b)
{
    struct rig g;
    struct rusage use;
    struct told told = {0};
    rig_open(&g, b, b->dir);
    pid_t sink = sink_start(b);
    int64_t start = clock_mono_ms();
    rig_connect(&g);
    told.samples = buffered_samples(&g);
    while (buffered_samples(&g) && clock_mono_ms() < start + WAIT_MS) {
        told.rss = most(told.rss, resident());
        usleep(5000);
    }
    told.ms = (double)(clock_mono_ms() - start);
    struct ledger_totals sum;
    ledger_sum(g.ledger, STR("e"), &sum);
    if (sum.delivered != told.samples || sum.lost)
        told.samples = 0; /* which no bound forgives */
    told.sink_cpu_ms = sink_stop(sink);
    rig_close(&g);
    getrusage(RUSAGE_SELF, &use);
    told.cpu_ms = (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e3 +
                  (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e3;
    return told;
}

/* In a process of its own, so that nothing is left from the one before. */
static struct told run(const struct bench *b, struct told (*step)(const struct bench *b))
{
    int pipes[2];
    struct told told = {0};
    fflush(stdout);
    if (pipe(pipes) != 0)
        die("pipe");
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        mallopt(M_ARENA_MAX, 2); /* as the program does */
        mallopt(M_MMAP_THRESHOLD, 256 * 1024);
        mallopt(M_TRIM_THRESHOLD, 512 * 1024);
        told = step(b);
        _exit(write(pipes[1], &told, sizeof told) == sizeof told ? 0 : 2);
    }
    close(pipes[1]);
    if (read(pipes[0], &told, sizeof told) != sizeof told)
        die("a step ended early");
    close(pipes[0]);
    waitpid(child, NULL, 0);
    return told;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static bool bounds(const struct bench *b)
{
    struct told buffer = run(b, step_buffer);
    double gib = (double)buffer.disk_bytes / (double)(1 << 30);
    printf("buffer  %.1f million samples, %.0f MB on disk, %.2f bytes a sample on disk, %.2f written; RSS +%.1f MB; "
           "%.1f million samples/s\n", (double)buffer.samples / 1e6, (double)buffer.disk_bytes / 1e6,
           (double)buffer.disk_bytes / (double)buffer.samples, (double)buffer.written_bytes / (double)buffer.samples,
           buffer.rss / 1e6, (double)buffer.samples / buffer.ms / 1e3);
    struct told empty = run(b, step_open_empty), full = run(b, step_open_full);
    printf("open    %.0f ms; RSS %.1f MB, an empty one %.1f MB\n", full.ms, full.rss / 1e6, empty.rss / 1e6);
    struct told drain = run(b, step_drain);
    printf("drain   %.2f million samples/s in %.1f s; CPU busy: agent %.0f %%, sink %.0f %%; RSS at most %.1f MB\n",
           (double)drain.samples / drain.ms / 1e3, drain.ms / 1e3, 100 * drain.cpu_ms / drain.ms,
           100 * drain.sink_cpu_ms / drain.ms, drain.rss / 1e6);
    bool open_soon = full.ms < OPEN_MAX_MS * most(gib, 1);
    return buffer.rss < GROWTH_MAX && open_soon && full.rss - empty.rss < GROWTH_MAX && drain.samples >= buffer.samples;
}

int main(int argc, char **argv)
{
    struct bench b = {.port = free_port()};
    uint64_t mib = 1024;
    char parent[] = "/tmp/obsagent-outage-XXXXXX";
    const char *slash = strrchr(argv[0], '/');
    if (argc > 1 && !units_parse_u64(str_of(argv[1]), &mib))
        die("usage: outage [CAP_MIB [DIR]]");
    b.cap = mib << 20;
    int dir = slash ? (int)(slash - argv[0]) : 1;
    snprintf(b.program, sizeof b.program, "%.*s/../obsagent", dir, slash ? argv[0] : ".");
    if (argc <= 2 && !mkdtemp(parent))
        die("no directory");
    snprintf(b.dir, sizeof b.dir, "%s", argc > 2 ? argv[2] : parent);
    log_set_level("error");
    bool ok = bounds(&b);
    if (argc <= 2)
        nftw(b.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    printf("%s\n", ok ? "all bounds hold" : "a bound does not hold");
    return ok ? 0 : 1;
}
