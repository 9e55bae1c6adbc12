/* SPDX-License-Identifier: Apache-2.0 */
/* demo: the whole agent against a receiver of its own, with an outage in the middle, and a line a second that shows
   what became of every sample. What `make run` starts.

   Two children: `sink` (receives, checks the token) and `run` (scrapes itself, and a node exporter when one answers on
   this machine). The parent reads the agent's /metrics like anybody could. After START_S seconds it stops the sink for
   OUTAGE_S seconds; the buffer fills, then drains; the books must balance. Ctrl-C ends the agent first, so that it can
   still deliver, then the sink. */
#include "command.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "exposition.h"
#include "flags.h"
#include "http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <fcntl.h>

#define START_S 8
#define DRAIN_LIMIT_S 30
#define METRICS_MAX (4 * 1024 * 1024)
#define NODE_EXPORTER_PORT 9100

enum phase { PHASE_BEFORE, PHASE_OUTAGE, PHASE_DRAIN, PHASE_AFTER };

/* What a line of the summary is made from. */
struct picture {
    bool valid;
    double targets_up, targets_down, scraped, delivered, buffered, lost, disk_bytes;
};

struct demo {
    const char *program; /* path of this executable */
    char dir[64];
    unsigned agent_port, sink_port;
    pid_t agent, sink;
    uint64_t outage_s;
    bool once;
    enum phase phase;
    int64_t phase_since_ms;
    struct picture now;
    int exit_code;
};

/* ---- reading the agent's own metrics ---- */

struct metrics_fetch {
    struct loop *loop;
    struct buf body;
    bool ok;
};

static bool fetch_body(void *ctx, long status, const void *p, size_t n)
{
    struct metrics_fetch *f = ctx;
    return status == 200 && buf_add(&f->body, p, n);
}

static void fetch_done(void *ctx, const struct http_result *result)
{
    struct metrics_fetch *f = ctx;
    f->ok = result->ok && result->status == 200;
    loop_stop(f->loop);
}

static bool take_sample(void *ctx, const struct exposition_sample *sample)
{
    struct picture *p = ctx;
    const struct {
        struct str prefix;
        double *sum;
    } wanted[] = {
        {STR("obsagent_targets{state=\"up\""), &p->targets_up},
        {STR("obsagent_targets{state=\"down\""), &p->targets_down},
        {STR("obsagent_samples_scraped_total"), &p->scraped},
        {STR("obsagent_samples_delivered_total"), &p->delivered},
        {STR("obsagent_samples_buffered"), &p->buffered},
        {STR("obsagent_samples_lost_total"), &p->lost},
        {STR("obsagent_queue_disk_bytes"), &p->disk_bytes},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        if (str_starts(sample->series, wanted[i].prefix))
            *wanted[i].sum += sample->value;
    }
    return true;
}

static struct picture parse_metrics(struct str body)
{
    struct picture p = {0};
    struct err err = {0};
    struct exposition_handler handler = {.on_sample = take_sample, .ctx = &p};
    struct exposition_parser *parser = exposition_new(0);
    exposition_begin(parser, NULL, &handler);
    p.valid = exposition_feed(parser, body.p, body.n, &err) && exposition_finish(parser, &err);
    exposition_free(parser);
    return p;
}

static struct picture read_picture(unsigned port)
{
    struct picture p = {0};
    struct err err = {0};
    struct metrics_fetch f = {.loop = loop_new()};
    struct http_client *client = http_client_new(f.loop, (struct http_client_limits){.connections = 8});
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/metrics", port);
    buf_init(&f.body, METRICS_MAX);
    struct http_request request = {.url = url, .timeout_ms = 900, .on_body = fetch_body, .on_done = fetch_done,
                                   .ctx = &f};
    if (http_start(client, &request, &err))
        loop_run(f.loop);
    if (f.ok)
        p = parse_metrics(buf_str(&f.body));
    http_client_free(client);
    loop_free(f.loop);
    buf_free(&f.body);
    return p;
}

/* ---- children ---- */

/* Starts this program with argv; the child dies with us and does not hear our Ctrl-C. */
static pid_t spawn(const struct demo *d, char *const argv[], const char *log_name)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpgid(0, 0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    char *path = file_join(d->dir, log_name);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (fd >= 0) {
        dup2(fd, 1);
        dup2(fd, 2);
    }
    execv(d->program, argv);
    _exit(127);
}

static void start_sink(struct demo *d)
{
    char listen_on[32], token[96], out[96];
    snprintf(listen_on, sizeof listen_on, "--listen=127.0.0.1:%u", d->sink_port);
    snprintf(token, sizeof token, "--token-file=%s/token", d->dir);
    snprintf(out, sizeof out, "--out=%s/samples.ndjson", d->dir);
    char *argv[] = {(char *)d->program, (char *)"sink", listen_on, token, out, NULL};
    d->sink = spawn(d, argv, "sink.log");
}

static void start_agent(struct demo *d)
{
    char config[96], storage[96], listen_on[48];
    snprintf(config, sizeof config, "--config.file=%s/obsagent.yml", d->dir);
    snprintf(storage, sizeof storage, "--storage.path=%s/buffer", d->dir);
    snprintf(listen_on, sizeof listen_on, "--web.listen-address=127.0.0.1:%u", d->agent_port);
    char *argv[] = {(char *)d->program, (char *)"run", config, storage, listen_on, NULL};
    d->agent = spawn(d, argv, "agent.log");
}

static void stop_child(pid_t *pid)
{
    if (*pid <= 0)
        return;
    kill(*pid, SIGTERM);
    while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    *pid = 0;
}

static bool child_gone(pid_t *pid)
{
    if (*pid <= 0 || waitpid(*pid, NULL, WNOHANG) != *pid)
        return false;
    *pid = 0;
    return true;
}

/* ---- set-up ---- */

static struct sockaddr_in loopback(unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static unsigned free_port(void)
{
    struct sockaddr_in address = loopback(0);
    socklen_t n = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unsigned port = 0;
    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, n) == 0 &&
        getsockname(fd, (struct sockaddr *)&address, &n) == 0)
        port = ntohs(address.sin_port);
    if (fd >= 0)
        close(fd);
    return port;
}

static bool answers(unsigned port)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool yes = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    if (fd >= 0)
        close(fd);
    return yes;
}

static void embedded_config(const struct demo *d, struct buf *out)
{
    buf_addf(out,
             "global:\n  scrape_interval: 1s\n  scrape_timeout: 900ms\n"
             "  external_labels: {cluster: demo}\n"
             "scrape_configs:\n- job_name: obsagent\n  static_configs:\n  - targets: ['127.0.0.1:%u']\n",
             d->agent_port);
    if (answers(NODE_EXPORTER_PORT))
        buf_addf(out, "- job_name: node\n  static_configs:\n  - targets: ['127.0.0.1:%u']\n", NODE_EXPORTER_PORT);
    buf_addf(out,
             "remote_write:\n- name: demo\n  url: http://127.0.0.1:%u/api/v1/write\n"
             "  authorization: {credentials_file: token}\n  queue_config: {max_backoff: 2s}\n",
             d->sink_port);
}

static bool write_files(struct demo *d, struct err *err)
{
    struct buf text;
    buf_init(&text, 64 * 1024);
    embedded_config(d, &text);
    char *config = file_join(d->dir, "obsagent.yml");
    char *token = file_join(d->dir, "token");
    bool ok = file_write_atomic(config, buf_str(&text), err) && file_write_atomic(token, STR("demo-token\n"), err);
    if (ok)
        printf("configuration (%s):\n\n%s\n", config, buf_c(&text));
    free(config);
    free(token);
    buf_free(&text);
    return ok;
}

static bool set_up(struct demo *d, struct err *err)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(d->dir, sizeof d->dir, "%.40s/obsagent-demo-XXXXXX", tmp && strlen(tmp) <= 40 ? tmp : "/tmp");
    if (!mkdtemp(d->dir))
        return err_set(err, "cannot make %s: %s", d->dir, strerror(errno));
    d->agent_port = free_port();
    d->sink_port = free_port();
    if (d->agent_port == 0 || d->sink_port == 0)
        return err_set(err, "no free port on 127.0.0.1: %s", strerror(errno));
    return write_files(d, err);
}

/* ---- the story ---- */

static const char *phase_text(const struct demo *d)
{
    switch (d->phase) {
    case PHASE_BEFORE:
        return "link up";
    case PHASE_OUTAGE:
        return "LINK DOWN";
    case PHASE_DRAIN:
        return "link up again, draining";
    case PHASE_AFTER:
        break;
    }
    return "link up";
}

static void print_line(const struct demo *d)
{
    const struct picture *p = &d->now;
    char clock[16];
    time_t t = time(NULL);
    struct tm tm;
    strftime(clock, sizeof clock, "%H:%M:%S", localtime_r(&t, &tm));
    if (p->valid)
        printf("%s  targets up %.0f/%.0f  scraped %7.0f  delivered %7.0f  buffered %6.0f  lost %.0f  on disk %6.0f B"
               "  %s\n",
               clock, p->targets_up, p->targets_up + p->targets_down, p->scraped, p->delivered, p->buffered, p->lost,
               p->disk_bytes, phase_text(d));
    else
        printf("%s  (the agent does not answer yet)\n", clock);
    fflush(stdout);
}

static void enter(struct demo *d, enum phase phase)
{
    d->phase = phase;
    d->phase_since_ms = clock_mono_ms();
}

static size_t count_lines(const char *path)
{
    size_t lines = 0;
    char chunk[65536];
    FILE *f = fopen(path, "re");
    for (size_t n; f && (n = fread(chunk, 1, sizeof chunk, f)) > 0;) {
        for (size_t i = 0; i < n; i++)
            lines += chunk[i] == '\n';
    }
    if (f)
        fclose(f);
    return lines;
}

static void verdict(struct demo *d)
{
    char *path = file_join(d->dir, "samples.ndjson");
    size_t received = count_lines(path);
    bool good = d->now.lost == 0 && d->now.buffered == 0 && (double)received >= d->now.delivered;
    printf("\n%s: %llu s without a receiver; the agent scraped %.0f samples, delivered %.0f, lost %.0f; "
           "the receiver wrote down %zu\n(http://127.0.0.1:%u/ has the agent's pages; Ctrl-C ends)\n\n",
           good ? "ZERO LOSS" : "NOT DRAINED", (unsigned long long)d->outage_s, d->now.scraped, d->now.delivered,
           d->now.lost, received, d->agent_port);
    fflush(stdout);
    d->exit_code = good ? 0 : 1;
    free(path);
}

/* One step of the story a second; false when it is over. */
static bool advance(struct demo *d)
{
    int64_t in_phase_s = (clock_mono_ms() - d->phase_since_ms) / 1000;
    switch (d->phase) {
    case PHASE_BEFORE:
        if (in_phase_s < START_S)
            return true;
        printf("\n-- the receiver goes away for %llu seconds --\n\n", (unsigned long long)d->outage_s);
        stop_child(&d->sink);
        enter(d, PHASE_OUTAGE);
        return true;
    case PHASE_OUTAGE:
        if (in_phase_s < (int64_t)d->outage_s)
            return true;
        printf("\n-- the receiver is back --\n\n");
        start_sink(d);
        enter(d, PHASE_DRAIN);
        return true;
    case PHASE_DRAIN:
        if ((!d->now.valid || d->now.buffered > 0) && in_phase_s < DRAIN_LIMIT_S)
            return true;
        verdict(d);
        enter(d, PHASE_AFTER);
        return !d->once;
    case PHASE_AFTER:
        return true;
    }
    return true;
}

static bool children_live(struct demo *d)
{
    if (child_gone(&d->agent)) {
        fprintf(stderr, "the agent ended by itself; see %s/agent.log\n", d->dir);
        return false;
    }
    if (child_gone(&d->sink)) {
        fprintf(stderr, "the receiver ended by itself; see %s/sink.log\n", d->dir);
        return false;
    }
    return true;
}

static void play(struct demo *d)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    start_sink(d);
    start_agent(d);
    enter(d, PHASE_BEFORE);
    struct timespec second = {.tv_sec = 1};
    while (sigtimedwait(&set, NULL, &second) < 0) {
        if (!children_live(d)) {
            d->exit_code = 1;
            break;
        }
        d->now = read_picture(d->agent_port);
        print_line(d);
        if (!advance(d))
            break;
    }
    printf("\nstopping: the agent first, then the receiver\n");
    stop_child(&d->agent);
    stop_child(&d->sink);
    printf("logs and received samples are in %s\n", d->dir);
}

int command_demo(int argc, char **argv)
{
    struct demo d = {.program = "/proc/self/exe", .outage_s = 10};
    struct err err = {0};
    const struct flag flags[] = {
        {"outage", FLAG_U64, &d.outage_s, "SECONDS", "how long the receiver is away (10)"},
        {"once", FLAG_BOOL, &d.once, NULL, "end after the outage instead of running on"},
    };
    const struct flag_command command = {
        .synopsis = "obsagent demo [flags]",
        .text = "Runs an agent that scrapes itself into a receiver of its own, takes the receiver away, brings it\n"
                "back, and shows each second what was scraped, delivered, buffered and lost.",
        .flags = flags,
        .flags_n = sizeof flags / sizeof flags[0],
    };
    int positional = 0;
    enum flag_outcome outcome = flags_parse(&command, argc, argv, &positional);
    if (outcome != FLAGS_OK || positional > 0)
        return outcome == FLAGS_HELP ? 0 : 2;
    if (!set_up(&d, &err)) {
        fprintf(stderr, "demo: %s\n", err.msg);
        return 1;
    }
    play(&d);
    return d.exit_code;
}
