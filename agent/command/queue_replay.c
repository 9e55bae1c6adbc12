/* SPDX-License-Identifier: Apache-2.0 */
/* queue_replay: sends what is in a buffer by the same means as the agent: a queue of its own in a directory that goes
   away, fed from the buffer as fast as the endpoint takes it, so that memory stays small and each answer of the
   receiver means what it means there. */
#include "queue_replay.h"

#include "command.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"
#include "block_copy.h"
#include "config.h"
#include "ledger.h"
#include "queue.h"
#include "remote.h"

#define NAME "replay"
#define AHEAD_SAMPLES 200000 /* so many wait for the endpoint at most */
#define LOOK_US 20000
#define YAML_MAX 65536

static volatile sig_atomic_t interrupted;

struct replay {
    const struct queue_replay_options *o;
    struct config *config;
    const char *name; /* of the endpoint in config */
    char *work_dir;
    struct ledger *ledger;
    struct queue *queue;
    struct remote *remote;

    struct block_copier *copier;
    struct arena arena;
    uint32_t run; /* of the blocks that are on their way */
    uint64_t blocks, samples;
    uint64_t seen;         /* samples that were through at the last look */
    int64_t progress_ms;   /* when that rose */
    bool gave_up, failed;
    struct remote_status status;
};

/* ---- settings ---- */

static void add_line(struct buf *b, const char *key, const char *value)
{
    if (!value)
        return;
    buf_addf(b, "  %s: ", key);
    buf_add_json(b, str_of(value));
    buf_add_char(b, '\n');
}

static struct config *config_of_flags(const struct queue_replay_options *o, struct buf *errors)
{
    struct buf b;
    buf_init(&b, YAML_MAX);
    buf_add_c(&b, "remote_write:\n- name: " NAME "\n");
    add_line(&b, "url", o->url);
    add_line(&b, "protocol", o->protocol);
    add_line(&b, "rate_limit", o->rate_limit);
    if (o->bearer_token_file) {
        char *path = realpath(o->bearer_token_file, NULL);
        buf_add_c(&b, "  bearer_token_file: ");
        buf_add_json(&b, str_of(path ? path : o->bearer_token_file));
        buf_add_char(&b, '\n');
        free(path);
    }
    buf_add_c(&b, "  send_exemplars: true\n  send_native_histograms: true\n");
    struct config *c = config_load_text("command line", buf_str(&b), NULL, true, errors);
    buf_free(&b);
    return c;
}

/* False when it has been said why. */
static bool load_settings(struct replay *r)
{
    const struct queue_replay_options *o = r->o;
    struct buf errors;
    buf_init(&errors, YAML_MAX);
    r->config = o->config_file ? config_load(o->config_file, NULL, true, &errors) : config_of_flags(o, &errors);
    r->name = o->config_file ? o->remote : NAME;
    bool found = false;
    for (size_t i = 0; r->config && i < r->config->remotes_n; i++)
        found = found || strcmp(r->config->remotes[i].name, r->name) == 0;
    if (!r->config)
        fwrite(errors.p, 1, errors.n, stderr);
    else if (!found)
        fprintf(stderr, "no remote_write endpoint \"%s\" in %s\n", r->name, o->config_file);
    buf_free(&errors);
    return found;
}

/* ---- the way ---- */

static void remember_status(void *ctx, const struct remote_status *status)
{
    struct replay *r = ctx;
    r->status = *status;
}

/* Looks how far it is; false when it is to end. */
static bool goes_on(struct replay *r)
{
    struct ledger_totals sum;
    remote_each(r->remote, remember_status, r);
    ledger_sum(r->ledger, str_of(r->name), &sum);
    uint64_t through = sum.delivered + sum.filtered + sum.routed + sum.lost;
    int64_t now = clock_mono_ms();
    if (through > r->seen || r->status.queue.buffered_samples == 0) {
        r->seen = through;
        r->progress_ms = now;
    }
    r->gave_up = now - r->progress_ms > r->o->give_up_ms;
    return !interrupted && !r->gave_up;
}

static bool wait_below(struct replay *r, uint64_t samples)
{
    while (goes_on(r)) {
        if (r->status.queue.buffered_samples <= samples)
            return true;
        usleep(LOOK_US);
    }
    return false;
}

static void labels_of(struct replay *r, const struct block_reader *reader, const struct block_series *s,
                      struct labels *l)
{
    arena_reset(&r->arena);
    labels_clear(l);
    for (size_t i = 0; i < s->refs_n; i += 2)
        labels_push(l, block_reader_symbol(reader, s->refs[i]), block_reader_symbol(reader, s->refs[i + 1]));
}

/* A copy of what passes the filter; NULL when nothing does, or err. */
static struct block *choose(struct replay *r, const struct block *b, struct err *err)
{
    struct block_builder *to = block_builder_new(b->lane, SIZE_MAX, UINT32_MAX);
    struct block_reader *reader = block_reader_new();
    struct block_series s;
    struct labels l;
    struct str job;
    labels_init(&l, &r->arena);
    bool good = block_copier_open(r->copier, b, err) && block_reader_open(reader, b->data, b->size, err);
    while (good && block_copier_next(r->copier, err) && block_reader_next(reader, &s, err)) {
        labels_of(r, reader, &s, &l);
        if (queue_filter_passes(r->o->filter, &l, s.ts_ms))
            good = block_copier_put(r->copier, 0, to, NULL);
        if (block_copier_job_ends(r->copier, &job))
            block_builder_job(to, job);
    }
    struct block *out = good && !err_is(err) ? block_builder_seal(to) : NULL;
    if (out)
        out->sealed_wall_ms = clock_wall_ms();
    labels_free(&l);
    block_reader_free(reader);
    block_builder_free(to);
    return out;
}

static bool feed(void *ctx, const struct queue_record *record)
{
    struct replay *r = ctx;
    const struct queue_replay_options *o = r->o;
    struct err err = {0};
    if (queue_filter_skips(o->filter, record->block) ||
        (o->endpoint && !queue_cursor_pending(o->dir, o->endpoint, record)))
        return !interrupted;
    struct block *b = choose(r, record->block, &err);
    if (err_is(&err)) {
        fprintf(stderr, "%s at byte %llu: %s\n", record->segment, (unsigned long long)record->offset, err.msg);
        r->failed = true;
    }
    if (!b)
        return !interrupted;
    r->blocks++;
    r->samples += b->samples;
    /* Runs do not mix: their lanes may hold the same series. */
    bool go_on = o->dry_run || wait_below(r, record->run == r->run ? AHEAD_SAMPLES : 0);
    r->run = record->run;
    if (go_on && !o->dry_run)
        queue_push(r->queue, b);
    else
        block_unref(b);
    return go_on && !interrupted;
}

/* ---- start and end ---- */

static bool start(struct replay *r, struct err *err)
{
    const char *tmp = getenv("TMPDIR");
    r->work_dir = xasprintf("%s/obsagent-replay-XXXXXX", tmp && tmp[0] ? tmp : "/tmp");
    if (!mkdtemp(r->work_dir)) {
        free(r->work_dir);
        r->work_dir = NULL;
        return err_set(err, "cannot make a directory to work in; set TMPDIR");
    }
    const struct queue_options queue = {.dir = r->work_dir, .ledger = r->ledger, .max_age_ms = INT64_MAX / 2,
                                        .spill_after_ms = INT64_MAX / 2};
    r->queue = queue_open(&queue, err);
    if (!r->queue)
        return false;
    const struct remote_options remote = {.queue = r->queue, .ledger = r->ledger, .dead_dir = r->work_dir,
                                          .user_agent = OBSAGENT_USER_AGENT, .only = r->name};
    r->remote = remote_new(&remote);
    remote_apply(r->remote, r->config);
    r->progress_ms = clock_mono_ms();
    return true;
}

static bool any_file(const char *name)
{
    return strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static void remove_work_dir(const char *dir)
{
    struct file_list files;
    if (file_list(dir, any_file, &files, NULL)) {
        for (size_t i = 0; i < files.n; i++)
            unlink(files.v[i]);
    }
    file_list_free(&files);
    rmdir(dir);
}

static void stop(struct replay *r)
{
    if (r->remote) {
        remote_stop(r->remote, clock_mono_ms() + (interrupted ? 2000 : 0));
        remote_each(r->remote, remember_status, r);
        remote_free(r->remote);
    }
    if (r->queue)
        queue_close(r->queue);
    if (r->work_dir)
        remove_work_dir(r->work_dir);
    free(r->work_dir);
}

static void print_lost(void *ctx, const char *kind, struct str endpoint, struct str job, const char *reason,
                       uint64_t samples)
{
    (void)ctx;
    (void)endpoint;
    if (strcmp(kind, "lost") == 0 && samples)
        printf("lost %llu samples of job %.*s: %s\n", (unsigned long long)samples, STR_ARG(job), reason);
}

static int report(const struct replay *r)
{
    struct ledger_totals sum;
    ledger_sum(r->ledger, str_of(r->name), &sum);
    printf("delivered %llu of %llu samples in %llu blocks, filtered %llu, lost %llu\n",
           (unsigned long long)sum.delivered, (unsigned long long)r->samples, (unsigned long long)r->blocks,
           (unsigned long long)(sum.filtered + sum.routed), (unsigned long long)sum.lost);
    ledger_each(r->ledger, print_lost, NULL);
    if (interrupted)
        fprintf(stderr, "interrupted\n");
    if (r->gave_up)
        fprintf(stderr, "given up, the receiver takes nothing: %s\n",
                r->status.last_error[0] ? r->status.last_error : "no answer");
    bool all = sum.delivered + sum.filtered + sum.routed == r->samples;
    return all && !r->failed && !interrupted ? 0 : 1;
}

static int send_all(struct replay *r)
{
    struct err err = {0};
    uint64_t corrupt = 0;
    bool ok = r->o->dry_run || start(r, &err);
    ok = ok && queue_scan(r->o->dir, feed, r, &corrupt, &err);
    if (ok && !r->o->dry_run)
        (void)wait_below(r, 0);
    stop(r);
    if (!ok)
        fprintf(stderr, "%s\n", err.msg);
    if (corrupt)
        fprintf(stderr, "%llu corrupt records skipped\n", (unsigned long long)corrupt);
    if (ok && r->o->dry_run)
        printf("%llu samples in %llu blocks would be sent\n", (unsigned long long)r->samples,
               (unsigned long long)r->blocks);
    int code = r->o->dry_run ? 0 : report(r);
    return ok ? code : 1;
}

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

int queue_replay(const struct queue_replay_options *o)
{
    struct replay r = {.o = o};
    if (!o->dry_run && !o->url == !(o->config_file && o->remote)) {
        fprintf(stderr, "queue replay needs --url=URL, or --config.file=FILE and --remote=NAME\n");
        return 2;
    }
    if (!o->dry_run && !load_settings(&r)) {
        if (r.config)
            config_unref(r.config);
        return 1;
    }
    signal(SIGINT, on_interrupt);
    signal(SIGTERM, on_interrupt);
    signal(SIGPIPE, SIG_IGN);
    r.ledger = ledger_new();
    r.copier = block_copier_new();
    arena_init(&r.arena);
    int code = send_all(&r);
    arena_free(&r.arena);
    block_copier_free(r.copier);
    ledger_free(r.ledger);
    if (r.config)
        config_unref(r.config);
    return code;
}
