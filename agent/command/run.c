/* SPDX-License-Identifier: Apache-2.0 */
/* run: the agent itself. Puts the rooms together, hands out configuration generations, and ends in order:
   stop scraping, send what can be sent, the rest to disk. */
#include "command.h"
#include "clock_watch.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "config.h"
#include "ledger.h"
#include "metrics.h"
#include "queue.h"
#include "remote.h"
#include "run_flags.h"
#include "scrape.h"
#include "shard.h"
#include "web.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ERRORS_MAX (256 * 1024)
/* How often the main thread looks whether blocks must be sealed early. A crash while the link is down may cost a second
   in all: this, plus sealing, plus one write. */
#define TICK_MS 250
#define HOLD_MAX_BYTES ((size_t)16 << 20)
#define FLUSH_MS 1000
#define FLUSH_URGENT_MS 300

struct agent {
    struct run_flags flags;
    char *extra_yaml;
    char *flags_json;
    char *dead_dir;
    struct ledger *ledger;
    struct queue *queue;
    struct clock_watch clock; /* its hold stands before the queue */
    struct remote *remote;
    struct scrape_engine *scrape;
    struct web *web;

    pthread_mutex_t reload_lock; /* one reload at a time */
    pthread_mutex_t lock;        /* guards config and the reload results */
    struct config *config;
    bool reload_ok;
    int64_t reload_success_ms;
    uint64_t reloads_good, reloads_bad;

    int64_t started_ms;
    int64_t next_auto_reload_ms;
    int64_t flush_ms;
};

/* ---- configuration ---- */

static struct config *load_config(const struct agent *a, struct buf *errors)
{
    struct config_extra extra = {.yaml = a->extra_yaml};
    if (a->flags.config_file)
        return config_load(a->flags.config_file, &extra, false, errors);
    return config_load_text("command line", STR(""), &extra, false, errors);
}

static struct config *current_config(void *ctx)
{
    struct agent *a = ctx;
    pthread_mutex_lock(&a->lock);
    struct config *c = config_ref(a->config);
    pthread_mutex_unlock(&a->lock);
    return c;
}

static void apply_config(struct agent *a, struct config *c)
{
    pthread_mutex_lock(&a->lock);
    struct config *old = a->config;
    a->config = c;
    a->reload_ok = true;
    a->reload_success_ms = clock_wall_ms();
    pthread_mutex_unlock(&a->lock);
    remote_apply(a->remote, c);
    scrape_engine_apply(a->scrape, c);
    if (old)
        config_unref(old);
    if (c->remotes_n == 0)
        log_warn("config", "no remote_write endpoint is configured: samples are scraped and not forwarded");
    log_info("config", "loaded %zu scrape jobs and %zu remote_write endpoints, hash %016llx", c->jobs_n,
             c->remotes_n, (unsigned long long)c->content_hash);
}

/* One log line for each problem; the first goes to err. */
static void report_config_errors(const struct buf *errors, struct err *err)
{
    struct str rest = buf_str(errors);
    while (rest.n) {
        size_t end = str_find_char(rest, '\n');
        struct str line = str_make(rest.p, end);
        if (line.n)
            log_error("config", "%.*s", STR_ARG(line));
        err_set(err, "%.*s", STR_ARG(line));
        rest = str_skip(rest, end + 1);
    }
}

static bool reload(void *ctx, struct err *err)
{
    struct agent *a = ctx;
    struct buf errors;
    buf_init(&errors, ERRORS_MAX);
    pthread_mutex_lock(&a->reload_lock);
    struct config *c = load_config(a, &errors);
    if (c) {
        apply_config(a, c);
        pthread_mutex_lock(&a->lock);
        a->reloads_good++;
        pthread_mutex_unlock(&a->lock);
    } else {
        report_config_errors(&errors, err);
        log_error("config", "the new configuration is bad: the old one stays in force");
        pthread_mutex_lock(&a->lock);
        a->reload_ok = false;
        a->reloads_bad++;
        pthread_mutex_unlock(&a->lock);
    }
    pthread_mutex_unlock(&a->reload_lock);
    buf_free(&errors);
    return c != NULL;
}

static void reload_state(void *ctx, bool *ok, int64_t *success_wall_ms)
{
    struct agent *a = ctx;
    pthread_mutex_lock(&a->lock);
    *ok = a->reload_ok;
    *success_wall_ms = a->reload_success_ms;
    pthread_mutex_unlock(&a->lock);
}

/* ---- own metrics that nobody else knows ---- */

static void collect(void *ctx, struct metric_out *out)
{
    struct agent *a = ctx;
    char hash[24];
    pthread_mutex_lock(&a->lock);
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)a->config->content_hash);
    bool ok = a->reload_ok;
    double success = (double)a->reload_success_ms / 1000;
    double good = (double)a->reloads_good, bad = (double)a->reloads_bad;
    pthread_mutex_unlock(&a->lock);
    metric_emit(out, METRIC_BUILD_INFO, 1, "version", OBSAGENT_VERSION, NULL);
    metric_emit(out, METRIC_START_TIME, (double)a->started_ms / 1000, NULL);
    metric_emit(out, METRIC_CONFIG_RELOAD_OK, ok ? 1 : 0, NULL);
    metric_emit(out, METRIC_CONFIG_RELOAD_TIME, success, NULL);
    metric_emit(out, METRIC_CONFIG_RELOADS, good, "result", "success", NULL);
    metric_emit(out, METRIC_CONFIG_RELOADS, bad, "result", "failure", NULL);
    metric_emit(out, METRIC_CONFIG_HASH, 1, "hash", hash, NULL);
    clock_watch_collect(&a->clock, out);
}

/* ---- life ---- */

static void pass_block(void *ctx, struct block *block)
{
    struct agent *a = ctx;
    queue_push(a->queue, block);
}

static void emit_block(void *ctx, struct block *block)
{
    struct agent *a = ctx;
    struct clock_state clock = clock_state();
    hold_put(a->clock.hold, block, &clock);
}

static bool start_queue(struct agent *a, struct err *err)
{
    const struct run_flags *f = &a->flags;
    struct queue_options options = {
        .dir = f->storage_path,
        .max_bytes = f->storage_max_bytes,
        .max_age_ms = f->storage_max_age_ms,
        .ram_max_bytes = (size_t)f->storage_ram_max_bytes,
        .fsync_interval_ms = f->storage_fsync_interval_ms,
        .always = strcmp(f->storage_durability, "always") == 0,
        .ledger = a->ledger,
    };
    a->queue = queue_open(&options, err);
    return a->queue != NULL;
}

static bool start_web(struct agent *a, struct err *err)
{
    if (a->flags.listen_address[0] == '\0')
        return true;
    struct web_options options = {
        .listen_address = a->flags.listen_address,
        .web_config_file = a->flags.web_config_file,
        .enable_lifecycle = a->flags.enable_lifecycle,
        .sources = {.scrape = a->scrape, .remote = a->remote, .queue = a->queue, .ledger = a->ledger,
                    .config = current_config, .reload = reload, .reload_state = reload_state, .ctx = a,
                    .version = OBSAGENT_VERSION, .flags_json = a->flags_json},
    };
    a->web = web_start(&options, err);
    return a->web != NULL;
}

/* The flags have been checked. */
static void share_targets(const struct run_flags *f, struct scrape_options *o)
{
    struct err none = {0};
    o->max_concurrent = (unsigned)f->scrape_max_concurrent;
    o->shards = (unsigned)f->scrape_shards;
    o->replication = (unsigned)f->scrape_replication_factor;
    o->shard_label = f->scrape_shard_label && f->scrape_shard_label[0] ? f->scrape_shard_label : NULL;
    if (!shard_parse(str_of(f->scrape_shard), f->scrape_shards, f->scrape_replication_factor, &o->shard, &none))
        abort();
}

static bool start(struct agent *a, struct err *err)
{
    a->ledger = ledger_new();
    if (!start_queue(a, err))
        return false;
    a->dead_dir = xasprintf("%s/dead", a->flags.storage_path);
    a->clock.hold = hold_new(HOLD_MAX_BYTES, pass_block, a);
    a->clock.trust_receivers = a->flags.trust_receivers;
    struct remote_options remote = {.queue = a->queue, .ledger = a->ledger, .user_agent = OBSAGENT_USER_AGENT,
                                    .dead_dir = a->dead_dir,
                                    .state_dir = a->flags.storage_path};
    a->remote = a->clock.remote = remote_new(&remote);
    struct scrape_options scrape = {.workers = (unsigned)a->flags.scrape_workers,
                                    .user_agent = OBSAGENT_USER_AGENT, .emit = emit_block, .ctx = a};
    share_targets(&a->flags, &scrape);
    a->scrape = scrape_engine_new(&scrape);
    metrics_register(collect, a);
    struct config *c = a->config;
    a->config = NULL;
    apply_config(a, c);
    return start_web(a, err);
}

static void adjust_flush(struct agent *a)
{
    int64_t ms = queue_urgent(a->queue) ? FLUSH_URGENT_MS : FLUSH_MS;
    if (ms != a->flush_ms) {
        a->flush_ms = ms;
        scrape_engine_set_flush_interval(a->scrape, ms);
    }
}

static void auto_reload(struct agent *a)
{
    if (!a->flags.config_auto_reload || clock_mono_ms() < a->next_auto_reload_ms)
        return;
    a->next_auto_reload_ms = clock_mono_ms() + a->flags.config_auto_reload_interval_ms;
    struct config *c = current_config(a); /* the pages may reload at the same time */
    bool changed = config_changed_on_disk(c);
    config_unref(c);
    if (changed) {
        struct err err = {0};
        log_info("config", "files have changed, reloading");
        (void)reload(a, &err);
    }
}

static void end_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
}

/* Waits for SIGTERM or SIGINT, reloading on SIGHUP meanwhile. */
static void serve(struct agent *a)
{
    sigset_t set;
    end_signals(&set);
    sigaddset(&set, SIGHUP);
    struct timespec tick = {.tv_nsec = TICK_MS * 1000000L};
    for (;;) {
        int sig = sigtimedwait(&set, NULL, &tick);
        if (sig == SIGTERM || sig == SIGINT) {
            log_info("run", "%s: stopping", sig == SIGTERM ? "SIGTERM" : "SIGINT");
            return;
        }
        if (sig == SIGHUP) {
            struct err err = {0};
            log_info("config", "SIGHUP: reloading");
            (void)reload(a, &err);
        }
        adjust_flush(a);
        clock_watch_look(&a->clock);
        remote_store_rejects(a->remote);
        if (a->web)
            web_tick(a->web);
        auto_reload(a);
    }
}

struct second_signal {
    struct remote *remote;
    atomic_bool done;
};

/* While endpoints drain: a second SIGTERM ends the wait. */
static void *watch_second_signal(void *arg)
{
    struct second_signal *s = arg;
    sigset_t set;
    end_signals(&set);
    struct timespec tick = {.tv_nsec = 50 * 1000000L};
    while (!atomic_load(&s->done)) {
        if (sigtimedwait(&set, NULL, &tick) > 0) {
            log_info("run", "second signal: not waiting for the endpoints");
            remote_abort(s->remote);
            break;
        }
    }
    return NULL;
}

static void stop_remote(struct agent *a, int64_t deadline_ms)
{
    struct second_signal second = {.remote = a->remote};
    pthread_t thread;
    bool watching = pthread_create(&thread, NULL, watch_second_signal, &second) == 0;
    remote_stop(a->remote, deadline_ms);
    atomic_store(&second.done, true);
    if (watching)
        pthread_join(thread, NULL);
}

/* The order is the promise: no new samples, then sending, then the disk. The pages go first because they look into all
   the rest. Never fails; parts that did not start are skipped. */
static void stop(struct agent *a)
{
    int64_t now = clock_mono_ms(), timeout_ms = a->flags.shutdown_timeout_ms;
    if (a->web)
        web_stop(a->web);
    if (a->scrape) {
        metrics_unregister(collect, a);
        scrape_engine_stop(a->scrape, now + timeout_ms / 2); /* half for last scrapes, the rest for sending */
        size_t held = hold_flush(a->clock.hold);
        if (held)
            log_error("clock", "the clock has not become right: %zu blocks that were held go on as they are", held);
    }
    if (a->remote) {
        stop_remote(a, now + timeout_ms);
        remote_free(a->remote);
    }
    if (a->queue)
        queue_close(a->queue);
    if (a->scrape)
        scrape_engine_free(a->scrape);
    hold_free(a->clock.hold);
    if (a->ledger)
        ledger_free(a->ledger);
    if (a->config)
        config_unref(a->config);
}

/* One that a sample can have. */
static bool is_public_label(const char *name)
{
    return labels_is_legacy_name(str_of(name)) && strncmp(name, "__", 2) != 0;
}

static bool check_flags(const struct run_flags *f)
{
    if (!f->config_file && f->vm_url.n == 0) {
        fprintf(stderr, "run needs --config.file=FILE (obsagent run --help)\n");
        return false;
    }
    struct err err = {0};
    unsigned shard;
    if (!shard_parse(str_of(f->scrape_shard), f->scrape_shards, f->scrape_replication_factor, &shard, &err)) {
        fprintf(stderr, "%s\n", err.msg);
        return false;
    }
    if (f->scrape_shard_label && f->scrape_shard_label[0] && !is_public_label(f->scrape_shard_label)) {
        fprintf(stderr, "--scrape.shard-label: \"%s\" is not a label name\n", f->scrape_shard_label);
        return false;
    }
    if (strcmp(f->storage_durability, "behind") != 0 && strcmp(f->storage_durability, "always") != 0) {
        fprintf(stderr, "--storage.durability: \"%s\" is not behind or always\n", f->storage_durability);
        return false;
    }
    if (!log_set_level(f->log_level)) {
        fprintf(stderr, "--log.level: \"%s\" is not debug, info, warn or error\n", f->log_level);
        return false;
    }
    if (!log_set_format(f->log_format)) {
        fprintf(stderr, "--log.format: \"%s\" is not logfmt or json\n", f->log_format);
        return false;
    }
    return true;
}

/* All threads inherit this: signals come to the main thread only, where it asks for them. */
static void block_signals(void)
{
    sigset_t set;
    end_signals(&set);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a limit of file sizes is one more way in which a disk is full */
}

static int run_agent(struct agent *a)
{
    struct err err = {0};
    struct buf errors;
    int code = 1;
    buf_init(&errors, ERRORS_MAX);
    a->extra_yaml = run_flags_remote_yaml(&a->flags);
    a->flags_json = run_flags_json(&a->flags);
    a->config = load_config(a, &errors);
    if (!a->config) {
        fwrite(errors.p, 1, errors.n, stderr);
    } else if (a->flags.dry_run) {
        code = 0;
    } else {
        log_info("run", "obsagent %s starts, buffer in %s", OBSAGENT_VERSION, a->flags.storage_path);
        if (start(a, &err)) {
            serve(a);
            code = 0;
        } else {
            log_error("run", "cannot start: %s", err.msg);
        }
    }
    stop(a);
    if (code == 0 && !a->flags.dry_run)
        log_info("run", "stopped");
    buf_free(&errors);
    return code;
}

int command_run(int argc, char **argv)
{
    struct agent a = {.started_ms = clock_wall_ms(), .flush_ms = FLUSH_MS, .reload_ok = true};
    int code = 2;
    enum flag_outcome outcome = run_flags_parse(&a.flags, argc, argv);
    if (outcome == FLAGS_HELP || (outcome == FLAGS_OK && a.flags.version)) {
        if (outcome == FLAGS_OK)
            printf("obsagent %s\n", OBSAGENT_VERSION);
        code = 0;
    } else if (outcome == FLAGS_OK && check_flags(&a.flags)) {
        pthread_mutex_init(&a.reload_lock, NULL);
        pthread_mutex_init(&a.lock, NULL);
        block_signals();
        code = run_agent(&a);
        pthread_mutex_destroy(&a.lock);
        pthread_mutex_destroy(&a.reload_lock);
    }
    free(a.extra_yaml);
    free(a.flags_json);
    free(a.dead_dir);
    run_flags_free(&a.flags);
    return code;
}
