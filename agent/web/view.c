/* SPDX-License-Identifier: Apache-2.0 */
/* view: plain copies of what the other rooms know, taken for one answer. */
#include "view.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <stdlib.h>

static struct view_job *add_job(struct web_view *v, struct str name)
{
    v->jobs = xgrow(v->jobs, &v->jobs_cap, v->jobs_n + 1, sizeof *v->jobs);
    v->jobs[v->jobs_n] = (struct view_job){.job = arena_str(&v->strings, name).p};
    return &v->jobs[v->jobs_n++];
}

/* Targets come sorted by job, jobs mostly in the order of the configuration: the search starts at the
   last hit. */
static struct view_job *find_job(struct web_view *v, struct str name)
{
    for (size_t i = 0; i < v->jobs_n; i++) {
        size_t at = (v->last_job + i) % v->jobs_n;
        if (str_eq_c(name, v->jobs[at].job)) {
            v->last_job = at;
            return &v->jobs[at];
        }
    }
    return add_job(v, name);
}

void view_add_target(struct web_view *view, const struct scrape_status *status, bool keep)
{
    struct view_job *job = find_job(view, status->target->job);
    if (!status->target->dropped) {
        job->up += status->health == SCRAPE_UP;
        job->down += status->health == SCRAPE_DOWN;
        job->unknown += status->health == SCRAPE_UNKNOWN;
        job->limited += status->series_limited;
        if (status->series_limited > job->most_limited) {
            job->most_limited = status->series_limited;
            memcpy(job->limited_label, status->limited_label, sizeof job->limited_label);
        }
    }
    if (!keep)
        return;
    view->targets = xgrow(view->targets, &view->targets_cap, view->targets_n + 1, sizeof *view->targets);
    view->targets[view->targets_n++] = *status;
    /* The reference keeps the target beyond the callback; counting is all that changes in it. */
    target_ref((struct target *)status->target);
}

void view_add_dropped(struct web_view *view, const struct scrape_dropped *dropped)
{
    struct view_job *job = find_job(view, dropped->job);
    job->dropped = dropped->by_rule;
    job->other_shard = dropped->other_shard;
}

static void add_dropped(void *ctx, const struct scrape_dropped *dropped)
{
    view_add_dropped(ctx, dropped);
}

static void keep_target(void *ctx, const struct scrape_status *status)
{
    view_add_target(ctx, status, true);
}

static void count_target(void *ctx, const struct scrape_status *status)
{
    view_add_target(ctx, status, false);
}

static void take_scrape(struct web_view *out, const struct scrape_engine *scrape, unsigned parts)
{
    out->ready = scrape_engine_ready(scrape, &out->not_ready);
    out->sharding = scrape_engine_sharding(scrape);
    scrape_engine_totals(scrape, &out->totals);
    for (size_t i = 0; out->config && i < out->config->jobs_n; i++)
        add_job(out, str_of(out->config->jobs[i].job_name));
    if (parts & VIEW_TARGETS)
        scrape_engine_each(scrape, keep_target, out);
    else if (parts & VIEW_JOBS)
        scrape_engine_each(scrape, count_target, out);
    if (parts & (VIEW_TARGETS | VIEW_JOBS))
        scrape_engine_dropped(scrape, add_dropped, out);
}

static void add_remote(void *ctx, const struct remote_status *status)
{
    struct web_view *v = ctx;
    v->remotes = xgrow(v->remotes, &v->remotes_cap, v->remotes_n + 1, sizeof *v->remotes);
    v->remotes[v->remotes_n++] = *status;
}

static void add_reject(void *ctx, const struct remote_reject *reject)
{
    struct web_view *v = ctx;
    v->rejects = xgrow(v->rejects, &v->rejects_cap, v->rejects_n + 1, sizeof *v->rejects);
    v->rejects[v->rejects_n++] = *reject;
}

static void add_book(void *ctx, const char *kind, struct str endpoint, struct str job, const char *reason,
                     uint64_t samples)
{
    struct web_view *v = ctx;
    v->books = xgrow(v->books, &v->books_cap, v->books_n + 1, sizeof *v->books);
    v->books[v->books_n++] = (struct view_book){
        .kind = arena_strdup(&v->strings, kind),
        .endpoint = arena_str(&v->strings, endpoint).p,
        .job = arena_str(&v->strings, job).p,
        .reason = arena_strdup(&v->strings, reason ? reason : ""),
        .samples = samples,
    };
}

static void add_source(void *ctx, const struct discovery_source_status *status)
{
    struct web_view *v = ctx;
    v->sources = xgrow(v->sources, &v->sources_cap, v->sources_n + 1, sizeof *v->sources);
    struct discovery_source_status *to = &v->sources[v->sources_n++];
    *to = *status;
    to->job = arena_strdup(&v->strings, status->job);
    to->detail = arena_strdup(&v->strings, status->detail);
    to->error = arena_strdup(&v->strings, status->error);
}

void view_take(struct web_view *out, const struct web_sources *sources, unsigned parts)
{
    *out = (struct web_view){.version = sources->version ? sources->version : "", .now_ms = clock_wall_ms()};
    arena_init(&out->strings);
    out->ready = true;
    if (sources->config)
        out->config = sources->config(sources->ctx);
    if (sources->reload_state)
        sources->reload_state(sources->ctx, &out->reload_ok, &out->loaded_ms);
    if (sources->scrape)
        take_scrape(out, sources->scrape, parts);
    if (sources->scrape && (parts & VIEW_SOURCES))
        scrape_engine_sources(sources->scrape, add_source, out);
    if (sources->queue)
        queue_stats(sources->queue, &out->queue);
    if (sources->remote && (parts & VIEW_REMOTES))
        remote_each(sources->remote, add_remote, out);
    if (sources->remote && (parts & VIEW_REJECTS))
        remote_rejects(sources->remote, add_reject, out);
    if (sources->ledger && (parts & VIEW_BOOKS))
        ledger_each(sources->ledger, add_book, out);
    if (parts & VIEW_PROCESS)
        process_read(&out->process);
    if (sources->history && (parts & VIEW_HISTORY)) {
        out->history = xcalloc(HISTORY_POINTS, sizeof *out->history);
        out->history_n = history_copy(sources->history, out->history);
    }
}

void view_free(struct web_view *view)
{
    for (size_t i = 0; i < view->targets_n; i++)
        target_unref((struct target *)view->targets[i].target);
    arena_free(&view->strings);
    free(view->targets);
    free(view->jobs);
    free(view->sources);
    free(view->remotes);
    free(view->rejects);
    free(view->books);
    free(view->history);
    if (view->config)
        config_unref(view->config);
    *view = (struct web_view){0};
}

uint64_t view_sum(const struct web_view *view, const char *kind, const char *endpoint)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < view->books_n; i++) {
        const struct view_book *b = &view->books[i];
        if (strcmp(b->kind, kind) == 0 && (!endpoint || strcmp(b->endpoint, endpoint) == 0))
            sum += b->samples;
    }
    return sum;
}

size_t view_source_number(const struct web_view *view, size_t index)
{
    const struct discovery_source_status *s = &view->sources[index];
    size_t before = 0;
    for (size_t i = 0; i < index; i++)
        before += strcmp(view->sources[i].job, s->job) == 0 && strcmp(view->sources[i].kind, s->kind) == 0;
    return before;
}

const char *view_remote_state(enum remote_state state)
{
    switch (state) {
    case REMOTE_IDLE:
        return "idle";
    case REMOTE_OK:
        return "ok";
    case REMOTE_RETRYING:
        return "retrying";
    case REMOTE_HELD_AUTH:
        return "auth_failing";
    case REMOTE_HELD_URL:
        return "wrong_url";
    }
    return "unknown";
}

const char *view_health(enum scrape_health health)
{
    return health == SCRAPE_UP ? "up" : health == SCRAPE_DOWN ? "down" : "unknown";
}
