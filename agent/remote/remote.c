/* SPDX-License-Identifier: Apache-2.0 */
/* remote: the set of endpoints: matched by name on reload, stopped together, asked for their state. */
#include "remote.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "endpoint.h"
#include "membership.h"
#include "rejects.h"

struct remote {
    struct queue *queue;
    struct ledger *ledger;
    char *user_agent;
    char *dead_dir;
    char *state_dir;
    char *only; /* NULL = all */
    struct membership *membership;

    pthread_mutex_t lock;
    /* Under lock: changed only by the thread that applies. */
    struct endpoint **endpoints;
    size_t endpoints_n, endpoints_cap;
    struct endpoint **leaving; /* stopped, cursor closed, thread perhaps not yet at its end */
    size_t leaving_n, leaving_cap;
    bool stopped;
    bool aborted;

    struct rejects *rejects;
};

static void on_reject(void *ctx, const struct remote_reject *reject)
{
    struct remote *r = ctx;
    rejects_add(r->rejects, reject);
}

struct remote *remote_new(const struct remote_options *options)
{
    struct remote *r = xcalloc(1, sizeof *r);
    r->queue = options->queue;
    r->ledger = options->ledger;
    r->user_agent = xstrdup(options->user_agent ? options->user_agent : "obsagent");
    r->dead_dir = xstrdup(options->dead_dir);
    r->state_dir = xstrdup(options->state_dir);
    r->only = xstrdup(options->only);
    r->membership = membership_new(options->state_dir);
    pthread_mutex_init(&r->lock, NULL);
    r->rejects = rejects_new(options->state_dir);
    return r;
}

/* ---- generations ---- */

static const struct config_remote *find_settings(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->remotes_n; i++) {
        if (strcmp(config->remotes[i].name, name) == 0)
            return &config->remotes[i];
    }
    return NULL;
}

static struct endpoint *find_endpoint(const struct remote *r, const char *name)
{
    for (size_t i = 0; i < r->endpoints_n; i++) {
        if (strcmp(endpoint_name(r->endpoints[i]), name) == 0)
            return r->endpoints[i];
    }
    return NULL;
}

/* Stops those that the new generation does not have; what is pushed stays owed to them until the switch. Their threads
   are joined at the end: that could take as long as a name look-up, closing the cursor does not. */
static void remove_missing(struct remote *r, const struct config *config)
{
    for (size_t i = 0; i < r->endpoints_n;) {
        struct endpoint *e = r->endpoints[i];
        if (find_settings(config, endpoint_name(e))) {
            i++;
            continue;
        }
        queue_reader_keep(r->queue, endpoint_name(e));
        endpoint_stop(e, 0);
        endpoint_wait(e);
        log_info("remote", "endpoint %s is removed", endpoint_name(e));
        pthread_mutex_lock(&r->lock);
        r->endpoints[i] = r->endpoints[--r->endpoints_n];
        r->leaving = xgrow(r->leaving, &r->leaving_cap, r->leaving_n + 1, sizeof(struct endpoint *));
        r->leaving[r->leaving_n++] = e;
        pthread_mutex_unlock(&r->lock);
    }
}

static void add_endpoint(struct remote *r, struct config *config, const struct config_remote *settings)
{
    struct endpoint_options options = {
        .queue = r->queue,
        .ledger = r->ledger,
        .user_agent = r->user_agent,
        .dead_dir = r->dead_dir,
        .state_dir = r->state_dir,
        .membership = r->membership,
        .on_reject = on_reject,
        .ctx = r,
    };
    struct err err = {0};
    struct endpoint *e = endpoint_start(&options, config, settings, &err);
    if (!e) {
        log_error("remote", "endpoint %s cannot be started: %s", settings->name, err.msg);
        return;
    }
    pthread_mutex_lock(&r->lock);
    r->endpoints = xgrow(r->endpoints, &r->endpoints_cap, r->endpoints_n + 1, sizeof(struct endpoint *));
    r->endpoints[r->endpoints_n++] = e;
    pthread_mutex_unlock(&r->lock);
}

/* ---- endpoints that are the same under another name ---- */

#define IDLE_MAX 64

/* A name for which nothing waits, be it that it has been used before. */
static bool is_new(const struct remote *r, const struct config_remote *settings)
{
    return !find_endpoint(r, settings->name) && queue_name_is_spare(r->queue, settings->name);
}

static bool has_something(const struct queue_idle *idle)
{
    return idle->blocks || idle->owed;
}

/* The one idle reader that was named after its URL, when there is exactly one with something to deliver. */
static const struct queue_idle *sole_unnamed(const struct queue_idle *idle, size_t n, const struct config *config)
{
    const struct queue_idle *found = NULL;
    for (size_t i = 0; i < n; i++) {
        if (!str_starts(str_of(idle[i].name), STR(CONFIG_UNNAMED_REMOTE)) || find_settings(config, idle[i].name) ||
            !has_something(&idle[i]))
            continue;
        if (found)
            return NULL;
        found = &idle[i];
    }
    return found;
}

static size_t count_new_unnamed(const struct remote *r, const struct config *config)
{
    size_t n = 0;
    for (size_t i = 0; i < config->remotes_n; i++)
        n += !config->remotes[i].name_given && is_new(r, &config->remotes[i]);
    return n;
}

/* Whose place a new endpoint takes over: that of a name which is gone and delivered to the same URL; or, when neither
   has a name of its own and nothing else is in question, that of the URL it had before. NULL when there is none. */
static const struct queue_idle *predecessor(const struct remote *r, const struct config *config,
                                            const struct config_remote *settings, const struct queue_idle *idle,
                                            size_t n)
{
    uint64_t key = endpoint_key(settings);
    for (size_t i = 0; i < n; i++) {
        if (idle[i].key == key && has_something(&idle[i]) && !find_settings(config, idle[i].name))
            return &idle[i];
    }
    bool alone = !settings->name_given && count_new_unnamed(r, config) == 1;
    return alone ? sole_unnamed(idle, n, config) : NULL;
}

static void take_over(struct remote *r, const struct config *config, const struct config_remote *settings)
{
    struct queue_idle idle[IDLE_MAX];
    if (!is_new(r, settings))
        return;
    size_t n = queue_idle_readers(r->queue, idle, IDLE_MAX);
    const struct queue_idle *from = predecessor(r, config, settings, idle, n < IDLE_MAX ? n : IDLE_MAX);
    if (from)
        membership_rename(r->membership, from->name, settings->name);
    if (from && queue_reader_rename(r->queue, from->name, settings->name))
        log_info("remote", "endpoint %s goes on where %s was: %llu blocks wait", settings->name, from->name,
                 (unsigned long long)from->blocks);
}

void remote_apply(struct remote *r, struct config *config)
{
    remove_missing(r, config);
    for (size_t i = 0; i < config->remotes_n; i++)
        take_over(r, config, &config->remotes[i]);
    membership_switch(r->membership, r->queue, config);
    for (size_t i = 0; i < config->remotes_n; i++) {
        const struct config_remote *settings = &config->remotes[i];
        struct endpoint *e = find_endpoint(r, settings->name);
        if (r->only && strcmp(r->only, settings->name) != 0)
            continue;
        if (!e)
            add_endpoint(r, config, settings);
        else if (endpoint_hash(e) != endpoint_hash_of(config, settings))
            endpoint_apply(e, config, settings);
    }
    membership_keep(r->membership);
}

/* ---- the end ---- */

static void stop_all(struct remote *r, int64_t deadline_ms)
{
    pthread_mutex_lock(&r->lock);
    if (r->aborted)
        deadline_ms = 0;
    for (size_t i = 0; i < r->endpoints_n; i++)
        endpoint_stop(r->endpoints[i], deadline_ms);
    pthread_mutex_unlock(&r->lock);
}

void remote_stop(struct remote *r, int64_t deadline_ms)
{
    pthread_mutex_lock(&r->lock);
    bool again = r->stopped;
    r->stopped = true;
    pthread_mutex_unlock(&r->lock);
    stop_all(r, again ? 0 : deadline_ms);
    for (size_t i = 0; i < r->endpoints_n; i++)
        endpoint_wait(r->endpoints[i]);
}

void remote_abort(struct remote *r)
{
    pthread_mutex_lock(&r->lock);
    r->aborted = true;
    pthread_mutex_unlock(&r->lock);
    stop_all(r, 0);
}

void remote_free(struct remote *r)
{
    if (!r)
        return;
    remote_stop(r, 0);
    for (size_t i = 0; i < r->endpoints_n; i++)
        endpoint_free(r->endpoints[i]);
    for (size_t i = 0; i < r->leaving_n; i++)
        endpoint_free(r->leaving[i]);
    rejects_store(r->rejects);
    rejects_free(r->rejects);
    free(r->endpoints);
    free(r->leaving);
    free(r->user_agent);
    free(r->dead_dir);
    free(r->state_dir);
    free(r->only);
    membership_free(r->membership);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

/* ---- the receivers' clocks ---- */

#define SKEW_FRESH_MS (5 * 60 * 1000)
#define SKEW_SAME_MS 60000
#define SKEW_FAR_MS (10 * 60 * 1000)

/* Under the lock. */
static bool agree_on_skew(struct remote *r, int64_t *ms)
{
    int64_t low = INT64_MAX, high = INT64_MIN, now = clock_mono_ms();
    for (size_t i = 0; i < r->endpoints_n; i++) {
        struct remote_status status;
        endpoint_status(r->endpoints[i], &status);
        const struct remote_skew *s = &status.skew;
        if (!s->mono_ms || now - s->mono_ms > SKEW_FRESH_MS)
            continue;
        if (s->agreeing < 2)
            return false;
        low = s->ms < low ? s->ms : low;
        high = s->ms > high ? s->ms : high;
    }
    if (low > high) /* nobody has said anything */
        return false;
    *ms = low + (high - low) / 2;
    return high - low <= SKEW_SAME_MS && (low > SKEW_FAR_MS || high < -SKEW_FAR_MS);
}

bool remote_take_skew(struct remote *r, int64_t *ms)
{
    pthread_mutex_lock(&r->lock);
    bool far = agree_on_skew(r, ms);
    for (size_t i = 0; far && i < r->endpoints_n; i++)
        endpoint_forget_skew(r->endpoints[i]);
    pthread_mutex_unlock(&r->lock);
    return far;
}

void remote_ask_dates(struct remote *r)
{
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->endpoints_n; i++)
        endpoint_ask(r->endpoints[i]);
    pthread_mutex_unlock(&r->lock);
}

/* ---- asking ---- */

void remote_each(const struct remote *r, void (*fn)(void *ctx, const struct remote_status *status), void *ctx)
{
    struct remote *locked = (struct remote *)r;
    pthread_mutex_lock(&locked->lock);
    for (size_t i = 0; i < r->endpoints_n; i++) {
        struct remote_status status;
        endpoint_status(r->endpoints[i], &status);
        fn(ctx, &status);
    }
    pthread_mutex_unlock(&locked->lock);
}

void remote_rejects(const struct remote *r, void (*fn)(void *ctx, const struct remote_reject *reject),
                    void *ctx)
{
    rejects_each(r->rejects, fn, ctx);
}

void remote_store_rejects(struct remote *r)
{
    rejects_store(r->rejects);
}
