/* SPDX-License-Identifier: Apache-2.0 */
/* endpoint: the thread of one receiver: start, settings, status, end. */
#include "endpoint_private.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "memory.h"

/* ---- small things ---- */

uint64_t endpoint_random(struct endpoint *e)
{
    e->random += 0x9e3779b97f4a7c15u; /* splitmix64 */
    uint64_t z = e->random;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

const char *endpoint_name(const struct endpoint *e)
{
    return e->name;
}

uint64_t endpoint_hash(const struct endpoint *e)
{
    return e->hash;
}

uint64_t endpoint_hash_of(const struct config *config, const struct config_remote *settings)
{
    uint64_t h = settings->hash;
    for (size_t i = 0; i < config->external_labels_n; i++)
        h = hash_more(hash_more(h, config->external_labels[i].name), config->external_labels[i].value);
    return h;
}

uint64_t endpoint_key(const struct config_remote *settings)
{
    return hash_bytes(settings->url, strlen(settings->url));
}

/* The URL for people: user information, query and fragment may hold secrets. */
static void show_url(const char *url, char *out, size_t n)
{
    struct str rest = str_of(url);
    size_t scheme = str_find(rest, STR("://"));
    scheme = scheme < rest.n ? scheme + 3 : 0;
    rest = str_skip(rest, scheme);
    size_t end = 0;
    while (end < rest.n && rest.p[end] != '?' && rest.p[end] != '#')
        end++;
    rest.n = end;
    size_t path = str_find_char(rest, '/');
    for (size_t i = path; i > 0; i--) {
        if (rest.p[i - 1] == '@') {
            rest = str_skip(rest, i);
            break;
        }
    }
    snprintf(out, n, "%.*s%.*s", (int)scheme, url, STR_ARG(rest));
}

void endpoint_headers_fill(const struct endpoint *e, struct endpoint_headers *h, enum protocol protocol,
                           unsigned attempt)
{
    struct protocol_lines lines = protocol_lines(protocol);
    size_t n = 0;
    h->v[n++] = lines.encoding;
    h->v[n++] = lines.type;
    h->v[n++] = lines.version;
    snprintf(h->user_agent, sizeof h->user_agent, "User-Agent: %s", e->options.user_agent);
    h->v[n++] = h->user_agent;
    if (attempt) {
        snprintf(h->attempt, sizeof h->attempt, "Retry-Attempt: %u", attempt);
        h->v[n++] = h->attempt;
    }
    h->v[n] = NULL;
}

/* ---- state ---- */

static enum remote_state state_of(const struct endpoint *e)
{
    if (e->hold != HOLD_NONE)
        return e->hold == HOLD_AUTH ? REMOTE_HELD_AUTH : REMOTE_HELD_URL;
    if (e->failing)
        return REMOTE_RETRYING;
    return e->last_success_ms ? REMOTE_OK : REMOTE_IDLE;
}

void endpoint_update(struct endpoint *e)
{
    bool failing = e->hold != HOLD_NONE;
    uint64_t in_flight = 0;
    int64_t next_try_ms = 0;
    for (size_t i = 0; i < e->lanes_n; i++) {
        const struct lane *lane = e->lanes[i];
        failing = failing || lane->failing;
        in_flight += lane->state == LANE_SENDING;
        if (lane->state == LANE_WAITING && (!next_try_ms || lane->wake_ms < next_try_ms))
            next_try_ms = lane->wake_ms;
    }
    if (failing != e->failing) {
        e->failing = failing;
        queue_reader_failing(e->reader, failing);
        if (failing)
            e->failing_ms = clock_mono_ms();
        else
            pace_resumed(&e->pace, clock_mono_ms() - e->failing_ms, clock_mono_ms(), endpoint_random(e));
        if (!failing)
            log_throttled(hash_more(0, str_of(e->name)), LOG_INFO, "remote", "endpoint %s works again",
                          e->name);
    }
    const struct negotiation *n = &e->negotiation;
    pthread_mutex_lock(&e->lock);
    snprintf(e->status.protocol, sizeof e->status.protocol, "%s", protocol_name(n->order[n->present]));
    e->status.state = state_of(e);
    e->status.in_flight = in_flight;
    e->next_try_ms = next_try_ms;
    pthread_mutex_unlock(&e->lock);
}

void endpoint_status(struct endpoint *e, struct remote_status *out)
{
    pthread_mutex_lock(&e->lock);
    *out = e->status;
    if (e->next_try_ms) {
        int64_t left = e->next_try_ms - clock_mono_ms();
        out->next_try_in_ms = left > 0 ? left : 1;
    }
    if (e->reader)
        queue_reader_stats(e->reader, &out->queue);
    pthread_mutex_unlock(&e->lock);
}

/* ---- going on ---- */

/* Whether something is on its way or will be before the deadline. */
static bool drain_goes_on(const struct endpoint *e)
{
    for (size_t i = 0; i < e->lanes_n; i++) {
        const struct lane *lane = e->lanes[i];
        if (lane->state == LANE_SENDING || (lane->state == LANE_WAITING && lane->wake_ms < e->deadline_ms))
            return true;
    }
    return false;
}

void endpoint_pump(struct endpoint *e)
{
    bool again = !e->stopping;
    while (again) {
        for (size_t i = 0; i < e->lanes_n; i++) {
            if (e->lanes[i]->state == LANE_READY)
                lane_go(e->lanes[i]);
        }
        again = endpoint_take(e);
        /* A lane that went may have woken one before it. */
        for (size_t i = 0; i < e->lanes_n; i++)
            again = again || e->lanes[i]->state == LANE_READY;
    }
    endpoint_update(e);
    if (!e->draining && !e->stopping)
        endpoint_announce(e);
    if (e->draining && !drain_goes_on(e)) {
        e->stopping = true;
        loop_stop(e->loop);
    }
}

static void on_notified(void *ctx)
{
    struct endpoint *e = ctx;
    atomic_store(&e->notified, false);
    endpoint_pump(e);
}

/* From any thread of the queue. */
static void notify(void *ctx)
{
    struct endpoint *e = ctx;
    if (!atomic_exchange(&e->notified, true))
        loop_post(e->loop, on_notified, e);
}

/* ---- settings ---- */

void endpoint_remember(struct endpoint *e)
{
    const struct negotiation *n = &e->negotiation;
    enum protocol present = n->order[n->present];
    const struct memory m = {.key = endpoint_key(e->settings), .protocol = present, .confirmed = n->confirmed[present],
                             .probe_ms = n->probe_ms, .max_request_bytes = e->learned_bytes,
                             .learned_ms = e->learned_ms};
    struct err err = {0};
    bool nothing = n->n == 1 && e->learned_bytes == 0;
    if (!nothing && e->options.state_dir && !memory_write(e->options.state_dir, e->name, &m, &err))
        log_throttled(hash_more(1, str_of(e->name)), LOG_WARN, "remote", "endpoint %s: %s", e->name, err.msg);
}

/* What an earlier run, or the same receiver under other settings, has taught. */
static void recall(struct endpoint *e)
{
    struct memory m;
    struct err err = {0};
    e->learned_bytes = 0;
    e->learned_ms = 0;
    protocol_init(&e->negotiation, e->settings->protocol);
    if (!e->options.state_dir)
        return;
    if (memory_read(e->options.state_dir, e->name, endpoint_key(e->settings), &m, &err)) {
        protocol_restore(&e->negotiation, m.protocol, m.confirmed, m.probe_ms);
        e->learned_bytes = m.max_request_bytes;
        e->learned_ms = m.learned_ms;
    } else if (err_is(&err)) {
        log_warn("remote", "endpoint %s: what it had learned is forgotten: %s", e->name, err.msg);
    }
}

/* In the endpoint's thread: what config and settings say is in force from here on. */
static void use_settings(struct endpoint *e, struct config *config, const struct config_remote *settings)
{
    struct config *old = e->config;
    e->config = config;
    e->settings = settings;
    e->policy = (struct policy_settings){
        .min_backoff_ms = settings->min_backoff_ms,
        .max_backoff_ms = settings->max_backoff_ms,
        .on_reject_drop = settings->on_reject_drop,
    };
    recall(e);
    transcoder_configure(e->transcoder, config->external_labels, config->external_labels_n,
                         settings->write_relabel);
    transcoder_send(e->transcoder, settings->send_native_histograms, settings->send_exemplars);
    e->told_unwanted = e->told_custom = false;
    pace_set_rate(&e->pace, settings->rate_limit, clock_mono_ms());
    queue_reader_limits(e->reader, settings->max_bytes, settings->max_age_ms);
    queue_reader_drain(e->reader, settings->drain_fresh_first);
    queue_reader_key(e->reader, endpoint_key(settings));
    pthread_mutex_lock(&e->lock);
    show_url(settings->url, e->status.url, sizeof e->status.url);
    e->status.learned_max_samples = 0;
    pthread_mutex_unlock(&e->lock);
    if (old)
        config_unref(old);
}

static void on_apply(void *ctx)
{
    struct endpoint *e = ctx;
    pthread_mutex_lock(&e->lock);
    struct config *config = e->pending_config;
    const struct config_remote *settings = e->pending_settings;
    e->pending_config = NULL;
    pthread_mutex_unlock(&e->lock);
    if (!config || e->stopping) {
        if (config)
            config_unref(config);
        return;
    }
    endpoint_announce_cancel(e);
    endpoint_ask_cancel(e);
    endpoint_doubt_cancel(e);
    endpoint_watch_end(e);
    e->hold = HOLD_NONE;
    e->prober = NULL;
    e->not_before_ms = 0;
    for (size_t i = 0; i < e->lanes_n; i++) {
        struct lane *lane = e->lanes[i];
        lane->encoded = false;
        /* A request on its way may well succeed; cancelled, it would be sent twice. Only one that hangs at an endpoint
           that fails has to give way to the new settings. */
        bool hangs = loop_now(e->loop) - lane->started_ms > ENDPOINT_SLOW_MS;
        if (lane->state == LANE_SENDING && lane->failures > 0 && hangs)
            lane_cancel(lane);
        if (lane->state == LANE_WAITING || lane->state == LANE_PARKED || lane->state == LANE_DOUBTED)
            lane_wait(lane, 0);
        lane->failures = 0;
    }
    use_settings(e, config, settings);
    endpoint_pump(e);
}

void endpoint_apply(struct endpoint *e, struct config *config, const struct config_remote *settings)
{
    e->hash = endpoint_hash_of(config, settings);
    pthread_mutex_lock(&e->lock);
    if (e->pending_config)
        config_unref(e->pending_config);
    e->pending_config = config_ref(config);
    e->pending_settings = settings;
    pthread_mutex_unlock(&e->lock);
    loop_post(e->loop, on_apply, e);
}

/* ---- the end ---- */

static void on_deadline(void *ctx)
{
    struct endpoint *e = ctx;
    e->stopping = true;
    loop_stop(e->loop);
}

static void on_stop(void *ctx)
{
    struct endpoint *e = ctx;
    pthread_mutex_lock(&e->lock);
    e->deadline_ms = e->asked_deadline_ms;
    pthread_mutex_unlock(&e->lock);
    e->draining = true;
    if (e->deadline_ms <= clock_mono_ms()) {
        on_deadline(e);
        return;
    }
    loop_timer_set(e->loop, &e->deadline, e->deadline_ms, on_deadline, e);
    endpoint_pump(e);
}

void endpoint_stop(struct endpoint *e, int64_t deadline_ms)
{
    pthread_mutex_lock(&e->lock);
    if (deadline_ms < e->asked_deadline_ms)
        e->asked_deadline_ms = deadline_ms;
    pthread_mutex_unlock(&e->lock);
    loop_post(e->loop, on_stop, e);
}

/* Gives everything back to the queue. Comes before the HTTP client is freed, which may take its time. */
static void close_cursor(struct endpoint *e)
{
    e->stopping = true;
    endpoint_announce_cancel(e);
    endpoint_ask_cancel(e);
    endpoint_doubt_cancel(e);
    endpoint_watch_end(e);
    for (size_t i = 0; i < e->lanes_n; i++) {
        struct lane *lane = e->lanes[i];
        lane_cancel(lane);
        lane_drop(lane);
    }
    queue_reader_failing(e->reader, false);
    pthread_mutex_lock(&e->lock);
    struct queue_reader *reader = e->reader;
    e->reader = NULL;
    e->status.in_flight = 0;
    e->next_try_ms = 0;
    pthread_mutex_unlock(&e->lock);
    queue_reader_close(reader);
    pthread_mutex_lock(&e->lock);
    e->closed = true;
    pthread_cond_broadcast(&e->changed);
    pthread_mutex_unlock(&e->lock);
}

static void *run(void *ctx)
{
    struct endpoint *e = ctx;
    endpoint_pump(e);
    loop_run(e->loop);
    close_cursor(e);
    http_client_free(e->http);
    e->http = NULL;
    return NULL;
}

void endpoint_wait(struct endpoint *e)
{
    pthread_mutex_lock(&e->lock);
    while (!e->closed)
        pthread_cond_wait(&e->changed, &e->lock);
    pthread_mutex_unlock(&e->lock);
}

/* ---- start ---- */

static void release(struct endpoint *e)
{
    for (size_t i = 0; i < e->lanes_n; i++)
        lane_free(e->lanes[i]);
    free(e->lanes);
    transcoder_free(e->transcoder);
    block_copier_free(e->copier);
    metadata_free(e->metadata);
    buf_free(&e->metadata_body);
    buf_free(&e->raw);
    if (e->http)
        http_client_free(e->http);
    loop_free(e->loop);
    if (e->config)
        config_unref(e->config);
    if (e->pending_config)
        config_unref(e->pending_config);
    pthread_cond_destroy(&e->changed);
    pthread_mutex_destroy(&e->lock);
    free(e->name);
    free(e);
}

void endpoint_free(struct endpoint *e)
{
    if (!e)
        return;
    pthread_join(e->thread, NULL);
    release(e);
}

/* Signals are for the main thread. */
static bool start_thread(struct endpoint *e)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool ok = pthread_create(&e->thread, NULL, run, e) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ok;
}

struct endpoint *endpoint_start(const struct endpoint_options *options, struct config *config,
                                const struct config_remote *settings, struct err *err)
{
    struct endpoint *e = xcalloc(1, sizeof *e);
    e->options = *options;
    e->name = xstrdup(settings->name);
    e->hash = endpoint_hash_of(config, settings);
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->changed, NULL);
    snprintf(e->status.name, sizeof e->status.name, "%s", settings->name);
    e->asked_deadline_ms = INT64_MAX;
    e->random = hash_more((uint64_t)clock_mono_ns(), str_of(e->name));
    e->loop = loop_new();
    e->http =
        http_client_new(e->loop, (struct http_client_limits){.connections = ENDPOINT_LANES_MAX, .multis = 1});
    e->transcoder = transcoder_new();
    e->copier = block_copier_new();
    pace_init(&e->pace, clock_mono_ms());
    e->metadata = metadata_new();
    buf_init(&e->raw, 4 * (size_t)ENDPOINT_BYTES_MAX);
    buf_init(&e->metadata_body, ENDPOINT_BYTES_MAX);
    e->reader = queue_reader_open(options->queue, settings->name, notify, e, err);
    if (!e->reader) {
        release(e);
        return NULL;
    }
    use_settings(e, config_ref(config), settings);
    if (!start_thread(e)) {
        queue_reader_close(e->reader);
        release(e);
        err_set(err, "cannot start a thread");
        return NULL;
    }
    return e;
}
