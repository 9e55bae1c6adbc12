/* SPDX-License-Identifier: Apache-2.0 */
/* manager: keeps the sources of all jobs, looks at them when they may have changed, and tells the label
   sets.

   Files are watched by directory (inotify), because editors and Kubernetes replace files and links rather
   than write into them. An event only makes us look soon; the refresh interval makes us look where inotify
   sees nothing (network file systems, links into other directories). */
#include "discovery.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "source.h"

#define COALESCE_MS 200
#define ERRORS_MAX 65536

struct job_sources {
    const struct config_job *job;
    struct file_source **files;
    size_t files_n;
    int64_t *refresh_at_ms; /* by file source */
};

struct discovery {
    struct loop *loop;
    discovery_update_fn *fn;
    void *ctx;
    struct config *config; /* NULL before the first apply */
    struct job_sources *jobs;
    size_t jobs_n;
    struct arena arena; /* of one update */
    int inotify_fd;
    struct loop_timer soon;    /* something happened: look at everything */
    struct loop_timer refresh; /* the next refresh interval that is over */
};

struct discovery *discovery_new(struct loop *loop, discovery_update_fn *fn, void *ctx)
{
    struct discovery *d = xcalloc(1, sizeof *d);
    d->loop = loop;
    d->fn = fn;
    d->ctx = ctx;
    d->inotify_fd = -1;
    arena_init(&d->arena);
    return d;
}

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

static void emit(struct discovery *d, const struct job_sources *js)
{
    struct discovery_sets sets;
    discovery_sets_init(&sets, &d->arena);
    discovery_static_add(&sets, js->job->static_groups, js->job->static_groups_n, NULL);
    for (size_t i = 0; i < js->files_n; i++)
        file_source_add(js->files[i], &sets);
    d->fn(d->ctx, js->job, sets.v, sets.n);
    discovery_sets_free(&sets);
    arena_reset(&d->arena);
}

/* ---- looking again ---- */

static void arm_refresh(struct discovery *d);

static void look(struct discovery *d, bool all)
{
    int64_t now = loop_now(d->loop);
    struct buf errors;
    buf_init(&errors, ERRORS_MAX);
    for (size_t i = 0; i < d->jobs_n; i++) {
        struct job_sources *js = &d->jobs[i];
        bool changed = false;
        for (size_t k = 0; k < js->files_n; k++) {
            if (!all && js->refresh_at_ms[k] > now)
                continue;
            changed |= file_source_look(js->files[k], &errors);
            js->refresh_at_ms[k] = now + file_source_refresh_ms(js->files[k]);
        }
        log_errors(&errors);
        if (changed)
            emit(d, js);
    }
    buf_free(&errors);
    arm_refresh(d);
}

static void watch_dirs(struct discovery *d);

static void on_soon(void *ctx)
{
    look(ctx, true);
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
        loop_timer_clear(d->loop, &d->refresh);
    else
        loop_timer_set(d->loop, &d->refresh, next, on_refresh, d);
}

/* ---- inotify ---- */

static void on_inotify(void *ctx, int fd, uint32_t events)
{
    struct discovery *d = ctx;
    char drop[4096];
    (void)events;
    while (read(fd, drop, sizeof drop) > 0)
        continue;
    if (d->soon.slot == 0)
        loop_timer_set(d->loop, &d->soon, loop_now(d->loop) + COALESCE_MS, on_soon, d);
}

static void watch_dir(void *ctx, const char *dir)
{
    struct discovery *d = ctx;
    uint32_t what = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB;
    if (inotify_add_watch(d->inotify_fd, dir, what | IN_ONLYDIR) < 0)
        log_debug("discovery", "cannot watch %s, its files are looked at once per refresh_interval", dir);
}

static void watch_dirs(struct discovery *d)
{
    for (size_t i = 0; d->inotify_fd >= 0 && i < d->jobs_n; i++) {
        for (size_t k = 0; k < d->jobs[i].files_n; k++)
            file_source_dirs(d->jobs[i].files[k], watch_dir, d);
    }
}

static void unwatch(struct discovery *d)
{
    if (d->inotify_fd < 0)
        return;
    loop_fd_clear(d->loop, d->inotify_fd);
    close(d->inotify_fd);
    d->inotify_fd = -1;
}

static bool has_files(const struct discovery *d)
{
    for (size_t i = 0; i < d->jobs_n; i++) {
        if (d->jobs[i].files_n > 0)
            return true;
    }
    return false;
}

/* A new descriptor for each generation forgets the directories of the old one. */
static void rewatch(struct discovery *d)
{
    unwatch(d);
    if (!has_files(d))
        return;
    d->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (d->inotify_fd < 0) {
        log_warn("discovery", "no inotify: files are looked at once per refresh_interval");
        return;
    }
    loop_fd_set(d->loop, d->inotify_fd, EPOLLIN, on_inotify, d);
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
        free(jobs[i].files);
        free(jobs[i].refresh_at_ms);
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
static struct file_source *take_source(struct job_sources *old, const struct config_file_sd *config)
{
    for (size_t i = 0; old && i < old->files_n; i++) {
        struct file_source *s = old->files[i];
        if (s && file_source_is(s, config)) {
            old->files[i] = NULL;
            return s;
        }
    }
    return file_source_new(config);
}

static void take_job(struct discovery *d, struct job_sources *js, const struct config_job *job,
                     struct job_sources *old)
{
    struct buf errors;
    buf_init(&errors, ERRORS_MAX);
    js->job = job;
    js->files_n = job->file_sd_n;
    js->files = xcalloc(job->file_sd_n, sizeof(struct file_source *));
    js->refresh_at_ms = xcalloc(job->file_sd_n, sizeof(int64_t));
    for (size_t i = 0; i < job->file_sd_n; i++) {
        js->files[i] = take_source(old, &job->file_sd[i]);
        file_source_look(js->files[i], &errors);
        js->refresh_at_ms[i] = loop_now(d->loop) + file_source_refresh_ms(js->files[i]);
    }
    log_errors(&errors);
    buf_free(&errors);
}

void discovery_apply(struct discovery *d, struct config *config)
{
    struct job_sources *old = d->jobs;
    size_t old_n = d->jobs_n;
    struct config *old_config = d->config;
    d->config = config_ref(config);
    d->jobs_n = config->jobs_n;
    d->jobs = xcalloc(config->jobs_n, sizeof *d->jobs);
    for (size_t i = 0; i < config->jobs_n; i++) {
        const struct config_job *job = &config->jobs[i];
        take_job(d, &d->jobs[i], job, find_job(old, old_n, job->job_name));
    }
    sources_free(old, old_n);
    if (old_config)
        config_unref(old_config);
    rewatch(d);
    arm_refresh(d);
    for (size_t i = 0; i < d->jobs_n; i++)
        emit(d, &d->jobs[i]);
}

void discovery_free(struct discovery *d)
{
    if (!d)
        return;
    unwatch(d);
    loop_timer_clear(d->loop, &d->soon);
    loop_timer_clear(d->loop, &d->refresh);
    sources_free(d->jobs, d->jobs_n);
    if (d->config)
        config_unref(d->config);
    arena_free(&d->arena);
    free(d);
}

/* Static groups and files are looked at within discovery_apply, so nothing is waited for; kinds that ask
   over the network will. */
size_t discovery_waiting(const struct discovery *d)
{
    (void)d;
    return 0;
}

/* Array and all into the arena: whoever gets it need not free. */
static void copy_set(struct labels *to, const struct labels *from, struct arena *arena)
{
    *to = (struct labels){.n = from->n, .cap = from->n, .arena = arena};
    to->v = arena_alloc(arena, (from->n + 1) * sizeof *to->v);
    for (size_t i = 0; i < from->n; i++)
        to->v[i] = (struct label){arena_str(arena, from->v[i].name), arena_str(arena, from->v[i].value)};
}

size_t discovery_once(const struct config_job *job, struct arena *arena, struct labels **out,
                      struct buf *errors)
{
    struct discovery_sets sets;
    discovery_sets_init(&sets, arena);
    discovery_static_add(&sets, job->static_groups, job->static_groups_n, NULL);
    struct file_source **files = xcalloc(job->file_sd_n, sizeof(struct file_source *));
    for (size_t i = 0; i < job->file_sd_n; i++) {
        files[i] = file_source_new(&job->file_sd[i]);
        file_source_look(files[i], errors);
        file_source_add(files[i], &sets);
    }
    size_t n = sets.n;
    *out = arena_alloc(arena, (n + 1) * sizeof **out);
    for (size_t i = 0; i < n; i++)
        copy_set(&(*out)[i], &sets.v[i], arena);
    for (size_t i = 0; i < job->file_sd_n; i++)
        file_source_free(files[i]);
    free(files);
    discovery_sets_free(&sets);
    return n;
}
