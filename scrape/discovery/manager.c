/* SPDX-License-Identifier: Apache-2.0 */
/* manager: keeps the sources of all jobs, and tells a job's label sets when one of them has news.

   Sources that ask over the network are shared: jobs with the same entry have the same source, and a reload that leaves
   an entry as it is leaves its source alone. Files are looked at here: an event only makes us look soon; the refresh
   interval makes us look where inotify sees nothing (network file systems, links into other directories). */
#include "discovery.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/log.h"
#include "file_watch.h"
#include "source.h"

#define SPACING_MS 200 /* between two updates of a job */
#define SOON_MS 10     /* so that news that come together go together */
#define ERRORS_MAX 65536

struct job_sources {
    const struct config_job *job;
    struct discovery_sets fixed; /* static_configs */
    struct file_source **files;
    size_t files_n;
    int64_t *refresh_at_ms; /* by file source */
    struct source **sources;
    size_t sources_n;
    struct discovery_sets left; /* of sources that are gone, until all that came have been good once */
    int64_t told_ms;
    bool news;
};

struct discovery {
    struct source_host host;
    discovery_update_fn *fn;
    void *ctx;
    struct config *config; /* NULL before the first apply */
    struct job_sources *jobs;
    size_t jobs_n;
    struct source **sources; /* each once */
    size_t sources_n, sources_cap;
    uint64_t epoch; /* of the present generation */
    struct file_watch *watch;
    struct loop_timer refresh; /* the next refresh interval that is over */
    struct loop_timer tell;    /* the next update that may go */
};

/* ---- telling ---- */

static bool all_known(const struct job_sources *js)
{
    bool known = true;
    for (size_t i = 0; i < js->sources_n; i++)
        known &= js->sources[i]->known;
    return known;
}

static void collect(const struct job_sources *js, struct discovery_sets *sets)
{
    discovery_sets_add_all(sets, &js->fixed);
    for (size_t i = 0; i < js->files_n; i++)
        file_source_add(js->files[i], sets);
    for (size_t i = 0; i < js->sources_n; i++)
        js->sources[i]->kind->add(js->sources[i], sets);
}

static void emit(struct discovery *d, struct job_sources *js)
{
    struct discovery_sets sets;
    discovery_sets_init(&sets, d->host.names);
    collect(js, &sets);
    if (js->left.n > 0 && all_known(js))
        discovery_sets_free(&js->left);
    discovery_sets_add_all(&sets, &js->left);
    js->news = false;
    js->told_ms = loop_now(d->host.loop);
    d->fn(d->ctx, js->job, sets.v, sets.n);
    discovery_sets_free(&sets);
}

static void on_tell(void *ctx);

static void arm_tell(struct discovery *d)
{
    int64_t next = INT64_MAX, now = loop_now(d->host.loop);
    for (size_t i = 0; i < d->jobs_n; i++) {
        const struct job_sources *js = &d->jobs[i];
        int64_t at = js->told_ms + SPACING_MS > now + SOON_MS ? js->told_ms + SPACING_MS : now + SOON_MS;
        next = js->news && at < next ? at : next;
    }
    if (next < INT64_MAX && (d->tell.slot == 0 || d->tell.at_ms > next))
        loop_timer_set(d->host.loop, &d->tell, next, on_tell, d);
}

static void on_tell(void *ctx)
{
    struct discovery *d = ctx;
    for (size_t i = 0; i < d->jobs_n; i++) {
        struct job_sources *js = &d->jobs[i];
        if (js->news && loop_now(d->host.loop) >= js->told_ms + SPACING_MS)
            emit(d, js);
    }
    arm_tell(d);
}

static void on_changed(void *ctx, struct source *s)
{
    struct discovery *d = ctx;
    for (size_t i = 0; i < d->jobs_n; i++) {
        for (size_t k = 0; k < d->jobs[i].sources_n; k++)
            d->jobs[i].news |= d->jobs[i].sources[k] == s;
    }
    arm_tell(d);
}

/* ---- files ---- */

static void log_errors(struct buf *errors)
{
    struct str rest = buf_str(errors);
    while (rest.n > 0) {
        size_t end = str_find_char(rest, '\n');
        log_warn("discovery", "%.*s", STR_ARG(str_make(rest.p, end)));
        rest = str_skip(rest, end + 1);
    }
    buf_clear(errors);
}

static void arm_refresh(struct discovery *d);

/* Looks at the job's files that are due; true when one has news. */
static bool look_at_files(struct job_sources *js, bool all, int64_t now)
{
    struct buf errors;
    bool changed = false;
    buf_init(&errors, ERRORS_MAX);
    for (size_t k = 0; k < js->files_n; k++) {
        if (!all && js->refresh_at_ms[k] > now)
            continue;
        changed |= file_source_look(js->files[k], &errors);
        js->refresh_at_ms[k] = now + file_source_refresh_ms(js->files[k]);
    }
    log_errors(&errors);
    buf_free(&errors);
    return changed;
}

static void look(struct discovery *d, bool all)
{
    for (size_t i = 0; i < d->jobs_n; i++) {
        if (look_at_files(&d->jobs[i], all, loop_now(d->host.loop)))
            emit(d, &d->jobs[i]);
    }
    arm_refresh(d);
}

static void on_event(void *ctx)
{
    look(ctx, true);
}

static void watch_dir(void *ctx, const char *dir)
{
    file_watch_add(ctx, dir);
}

static void watch_dirs(struct discovery *d)
{
    for (size_t i = 0; d->watch && i < d->jobs_n; i++) {
        for (size_t k = 0; k < d->jobs[i].files_n; k++)
            file_source_dirs(d->jobs[i].files[k], watch_dir, d->watch);
    }
}

static void on_refresh(void *ctx)
{
    watch_dirs(ctx); /* a directory may have been made since */
    look(ctx, false);
}

static void arm_refresh(struct discovery *d)
{
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < d->jobs_n; i++) {
        for (size_t k = 0; k < d->jobs[i].files_n; k++)
            next = d->jobs[i].refresh_at_ms[k] < next ? d->jobs[i].refresh_at_ms[k] : next;
    }
    if (next == INT64_MAX)
        loop_timer_clear(d->host.loop, &d->refresh);
    else
        loop_timer_set(d->host.loop, &d->refresh, next, on_refresh, d);
}

/* A new descriptor for each generation forgets the directories of the old one. */
static void rewatch(struct discovery *d)
{
    bool files = false;
    for (size_t i = 0; i < d->jobs_n; i++)
        files |= d->jobs[i].files_n > 0;
    file_watch_free(d->watch);
    d->watch = files ? file_watch_new(d->host.loop, on_event, d) : NULL;
    watch_dirs(d);
}

/* ---- generations ---- */

static void sources_free(struct job_sources *jobs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < jobs[i].files_n; k++) {
            if (jobs[i].files[k])
                file_source_free(jobs[i].files[k]);
        }
        discovery_sets_free(&jobs[i].fixed);
        discovery_sets_free(&jobs[i].left);
        free(jobs[i].files);
        free(jobs[i].refresh_at_ms);
        free(jobs[i].sources);
    }
    free(jobs);
}

static struct job_sources *find_job(struct job_sources *jobs, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(jobs[i].job->job_name, name) == 0)
            return &jobs[i];
    }
    return NULL;
}

/* Takes an old source out of its job when it is the same. */
static struct file_source *take_file(struct discovery *d, struct job_sources *old, const struct config_file_sd *config)
{
    for (size_t i = 0; old && i < old->files_n; i++) {
        struct file_source *s = old->files[i];
        if (s && file_source_is(s, config)) {
            old->files[i] = NULL;
            return s;
        }
    }
    return file_source_new(config, d->host.names);
}

/* The source of an entry, opened unless there is one; the present generation wants it. */
static struct source *want_source(struct discovery *d, const struct config_sd *config)
{
    struct source *s = NULL;
    for (size_t i = 0; i < d->sources_n && !s; i++)
        s = d->sources[i]->config->hash == config->hash ? d->sources[i] : NULL;
    if (!s) {
        s = source_kinds[config->kind]->open(config, &d->host);
        d->sources = xgrow(d->sources, &d->sources_cap, d->sources_n + 1, sizeof(struct source *));
        d->sources[d->sources_n++] = s;
    }
    s->epoch = d->epoch;
    return s;
}

static void close_source(struct source *s)
{
    struct config *owner = s->owner;
    s->kind->close(s);
    config_unref(owner);
}

static void close_unwanted(struct discovery *d)
{
    size_t kept = 0;
    for (size_t i = 0; i < d->sources_n; i++) {
        if (d->sources[i]->epoch == d->epoch)
            d->sources[kept++] = d->sources[i];
        else
            close_source(d->sources[i]);
    }
    d->sources_n = kept;
}

/* What the job has from sources that nobody wants any more: it stays while those that came have nothing to say. */
static void keep_left(struct discovery *d, struct job_sources *js, const struct job_sources *old)
{
    discovery_sets_init(&js->left, d->host.names);
    if (!old || all_known(js))
        return;
    discovery_sets_add_all(&js->left, &old->left);
    for (size_t i = 0; i < old->sources_n; i++) {
        if (old->sources[i]->epoch != d->epoch)
            old->sources[i]->kind->add(old->sources[i], &js->left);
    }
    discovery_sets_unique(&js->left); /* there may be many reloads before one is answered */
}

static void take_job(struct discovery *d, struct job_sources *js, const struct config_job *job,
                     struct job_sources *old)
{
    js->job = job;
    discovery_sets_init(&js->fixed, d->host.names);
    discovery_static_add(&js->fixed, job->static_groups, job->static_groups_n, NULL);
    js->files_n = job->file_sd_n;
    js->files = xcalloc(job->file_sd_n + 1, sizeof(struct file_source *));
    js->refresh_at_ms = xcalloc(job->file_sd_n + 1, sizeof(int64_t));
    for (size_t i = 0; i < job->file_sd_n; i++)
        js->files[i] = take_file(d, old, &job->file_sd[i]);
    look_at_files(js, true, loop_now(d->host.loop));
    js->sources = xcalloc(job->sd_n + 1, sizeof(struct source *));
    js->sources_n = job->sd_n;
    for (size_t i = 0; i < job->sd_n; i++)
        js->sources[i] = want_source(d, &job->sd[i]);
}

void discovery_apply(struct discovery *d, struct config *config)
{
    struct job_sources *old = d->jobs;
    size_t old_n = d->jobs_n;
    struct config *old_config = d->config;
    d->epoch++;
    d->config = d->host.config = config_ref(config);
    struct job_sources *jobs = xcalloc(config->jobs_n + 1, sizeof *jobs);
    for (size_t i = 0; i < config->jobs_n; i++)
        take_job(d, &jobs[i], &config->jobs[i], find_job(old, old_n, config->jobs[i].job_name));
    for (size_t i = 0; i < config->jobs_n; i++)
        keep_left(d, &jobs[i], find_job(old, old_n, config->jobs[i].job_name));
    d->jobs = jobs;
    d->jobs_n = config->jobs_n;
    sources_free(old, old_n);
    close_unwanted(d);
    if (old_config)
        config_unref(old_config);
    rewatch(d);
    arm_refresh(d);
    for (size_t i = 0; i < d->jobs_n; i++)
        emit(d, &d->jobs[i]);
}

/* ---- life ---- */

struct discovery *discovery_new(struct loop *loop, const char *user_agent, discovery_update_fn *fn, void *ctx)
{
    struct discovery *d = xcalloc(1, sizeof *d);
    d->host = (struct source_host){
        .loop = loop, .user_agent = user_agent, .names = label_names_new(), .changed = on_changed, .ctx = d};
    d->fn = fn;
    d->ctx = ctx;
    return d;
}

void discovery_free(struct discovery *d)
{
    if (!d)
        return;
    file_watch_free(d->watch);
    loop_timer_clear(d->host.loop, &d->refresh);
    loop_timer_clear(d->host.loop, &d->tell);
    sources_free(d->jobs, d->jobs_n);
    for (size_t i = 0; i < d->sources_n; i++)
        close_source(d->sources[i]);
    free(d->sources);
    source_host_close(&d->host);
    if (d->config)
        config_unref(d->config);
    label_names_release(d->host.names);
    free(d);
}

/* ---- looking in ---- */

size_t discovery_waiting(const struct discovery *d)
{
    size_t waiting = 0;
    for (size_t i = 0; i < d->jobs_n; i++) {
        bool looked = true;
        for (size_t k = 0; k < d->jobs[i].sources_n; k++)
            looked &= d->jobs[i].sources[k]->looked;
        waiting += !looked;
    }
    return waiting;
}

static void describe(const struct job_sources *js, const struct source *s,
                     void (*fn)(void *ctx, const struct discovery_source_status *status), void *ctx)
{
    struct buf detail;
    struct discovery_sets sets;
    buf_init(&detail, 4096);
    discovery_sets_init(&sets, NULL);
    s->kind->describe(s, &detail);
    s->kind->add(s, &sets);
    struct discovery_source_status status = {
        .kind = s->kind->name,
        .job = js->job->job_name,
        .detail = buf_c(&detail),
        .looked = s->looked,
        .error = s->error,
        .failures = s->failures,
        .changed_ms = s->changed_ms,
        .sets = sets.n,
    };
    fn(ctx, &status);
    discovery_sets_free(&sets);
    buf_free(&detail);
}

void discovery_each_source(const struct discovery *d,
                           void (*fn)(void *ctx, const struct discovery_source_status *status), void *ctx)
{
    for (size_t i = 0; i < d->jobs_n; i++) {
        for (size_t k = 0; k < d->jobs[i].sources_n; k++)
            describe(&d->jobs[i], d->jobs[i].sources[k], fn, ctx);
    }
}
