/* SPDX-License-Identifier: Apache-2.0 */
/* verdict: does to a lane and its endpoint what the policy decided. */
#include "endpoint_private.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "dead.h"

/* ---- telling people ---- */

static void count_answer(struct lane *lane, long status, struct str words)
{
    struct endpoint *e = lane->endpoint;
    pthread_mutex_lock(&e->lock);
    struct remote_status *s = &e->status;
    s->send_seconds_total += (double)(loop_now(e->loop) - lane->started_ms) / 1000;
    s->last_status = status;
    s->responses_2xx += status / 100 == 2;
    s->responses_3xx += status / 100 == 3;
    s->responses_4xx += status / 100 == 4;
    s->responses_5xx += status / 100 == 5;
    s->network_errors += status == 0;
    snprintf(s->last_error, sizeof s->last_error, "%.*s", STR_ARG(words));
    pthread_mutex_unlock(&e->lock);
}

static void log_answer(const struct lane *lane, long status, struct str words,
                       const struct policy_decision *d)
{
    const struct endpoint *e = lane->endpoint;
    uint64_t key = hash_more(hash_more((uint64_t)status, STR("remote")), str_of(e->name));
    bool hold = d->verdict == POLICY_HOLD_AUTH || d->verdict == POLICY_HOLD_URL;
    const char *meaning = policy_verdict_name(d->verdict);
    if (hold && status == 0)
        meaning = "no request can be made, holding everything";
    char what[32] = "no answer";
    if (status)
        snprintf(what, sizeof what, "status %ld", status);
    log_throttled(key, hold ? LOG_ERROR : LOG_WARN, "remote", "endpoint %s: %s, %s: %.*s", e->name, what, meaning,
                  STR_ARG(words));
}

/* The present request as a line of the rejects ring; the transcoder reads the block again for the name. */
static void report_reject(struct lane *lane, long status, struct str words)
{
    struct endpoint *e = lane->endpoint;
    const struct work_range *r = work_current(&lane->work);
    struct buf name;
    buf_init(&name, sizeof((struct remote_reject *)0)->series * 64);
    struct err err = {0};
    if (!lane_open(lane, &err) ||
        !transcoder_describe(e->transcoder, r->from, r->to, &name))
        buf_add_c(&name, "?");
    if (lane->present.series > 1)
        buf_addf(&name, " and %u more series", lane->present.series - 1);
    struct remote_reject reject = {
        .wall_ms = clock_wall_ms(),
        .status = status,
        .samples = lane->present.samples,
    };
    snprintf(reject.endpoint, sizeof reject.endpoint, "%s", e->name);
    snprintf(reject.series, sizeof reject.series, "%s", buf_c(&name));
    snprintf(reject.message, sizeof reject.message, "%.*s", STR_ARG(words));
    e->options.on_reject(e->options.ctx, &reject);
    uint64_t key = hash_more(hash_more((uint64_t)status, STR("reject")), str_of(e->name));
    log_throttled(key, LOG_WARN, "remote", "endpoint %s: lost %llu samples of %s: status %ld: %s", e->name,
                  (unsigned long long)reject.samples, reject.series, status, reject.message);
    buf_free(&name);
}

/* ---- the deeds ---- */

/* The receiver has answered for good: nobody needs to wait any more, except where it is this request that
   fails. */
static void receiver_works(struct endpoint *e, bool wake_network)
{
    if (e->hold != HOLD_NONE) {
        e->hold = HOLD_NONE;
        e->prober = NULL;
    }
    for (size_t i = 0; i < e->lanes_n; i++) {
        struct lane *lane = e->lanes[i];
        if (lane->state == LANE_PARKED ||
            (wake_network && lane->state == LANE_WAITING && lane->after_network))
            lane_wait(lane, 0);
    }
}

static void settle(struct lane *lane, enum work_outcome outcome, enum ledger_reason reason)
{
    lane_resolve(lane, outcome, reason);
    lane->failing = false;
    lane->failures = 0;
    lane->state = LANE_READY;
}

static void delivered(struct lane *lane)
{
    struct endpoint *e = lane->endpoint;
    e->last_success_ms = clock_mono_ms();
    pthread_mutex_lock(&e->lock);
    e->status.last_error[0] = '\0';
    e->status.last_success_wall_ms = clock_wall_ms();
    if (lane->present.max_ts_ms > e->status.highest_ts_ms)
        e->status.highest_ts_ms = lane->present.max_ts_ms;
    pthread_mutex_unlock(&e->lock);
    pace_accepted(&e->pace, loop_now(e->loop), loop_now(e->loop) - lane->started_ms);
    settle(lane, WORK_DELIVERED, 0);
    receiver_works(e, true);
    endpoint_learn_empty(e);
}

static void lost(struct lane *lane, enum ledger_reason reason, long status, struct str words)
{
    report_reject(lane, status, words);
    settle(lane, WORK_LOST, reason);
}

/* The present series goes to the dead directory as it was sent. */
static void bury(struct lane *lane, long status)
{
    struct endpoint *e = lane->endpoint;
    struct err err = {0};
    if (!dead_put(e->options.dead_dir, e->name, clock_wall_ms(), lane->protocol, buf_str(&lane->body), &err))
        log_warn("remote", "endpoint %s: cannot set a request aside: %s", e->name, err.msg);
    e->poison_ms = loop_now(e->loop);
    lost(lane, LEDGER_DEAD, status, STR("set aside: it kept failing while others passed"));
}

/* Cuts the present range so that both parts hold about as many series, or as `first_only` says. */
static bool cut(struct lane *lane, bool first_only, bool suspect)
{
    struct endpoint *e = lane->endpoint;
    const struct work_range *r = work_current(&lane->work);
    struct err err = {0};
    if (!lane_open(lane, &err))
        return false;
    uint32_t at = first_only ? r->from + 1 : transcoder_middle(e->transcoder, r->from, r->to);
    if (at >= r->to)
        return false;
    work_cut(&lane->work, at, suspect);
    lane->encoded = false;
    return true;
}

/* A 413 on a request of so many bytes: half of that is known to be nearer. Bytes and not samples are
   remembered, because one giant series must not make all later requests tiny: the memory never falls below
   half of what was refused. */
static void learn_size(struct lane *lane)
{
    struct endpoint *e = lane->endpoint;
    size_t half = (size_t)lane->raw_bytes / 2;
    bool news = e->learned_bytes == 0 || half < e->learned_bytes;
    if (news) {
        e->learned_bytes = half;
        e->learned_ms = clock_wall_ms();
        endpoint_remember(e);
    }
    uint64_t samples = lane->present.samples / 2;
    pthread_mutex_lock(&e->lock);
    e->status.splits_413++;
    if (news)
        e->status.learned_max_samples = samples ? samples : 1;
    pthread_mutex_unlock(&e->lock);
    if (news)
        log_info("remote", "endpoint %s: the receiver takes less; from now on %zu bytes before compression",
                 e->name, half);
}

static void refused(struct lane *lane, bool too_large, long status, struct str words)
{
    struct endpoint *e = lane->endpoint;
    bool suspect = work_current(&lane->work)->suspect;
    if (too_large)
        learn_size(lane);
    if (!cut(lane, false, suspect)) {
        lost(lane, too_large ? LEDGER_TOO_LARGE : LEDGER_REJECTED, status, words);
        return;
    }
    if (!too_large) {
        pthread_mutex_lock(&e->lock);
        e->status.bisections++;
        pthread_mutex_unlock(&e->lock);
    }
    lane->failing = false;
    lane->failures = 0;
    lane->state = LANE_READY;
}

static void hold(struct lane *lane, enum endpoint_hold kind, int64_t delay_ms)
{
    struct endpoint *e = lane->endpoint;
    if (e->hold == HOLD_NONE || !e->prober)
        e->prober = lane;
    e->hold = kind;
    if (kind == HOLD_AUTH)
        http_options_reread(&e->settings->http);
    if (e->prober == lane)
        lane_wait(lane, delay_ms);
    else
        lane->state = LANE_PARKED;
}

/* A try of the range behind failed as well: the fault is not in the series in front alone. */
static void back_from_ahead(struct lane *lane)
{
    if (!lane->work.ahead)
        return;
    work_look_back(&lane->work);
    lane->encoded = false;
}

static void count_5xx(struct lane *lane, long status)
{
    if (status < 500 || lane->work.ahead)
        return;
    struct work_range *r = work_current(&lane->work);
    r->last_5xx_ms = clock_mono_ms();
    if (r->refused_5xx++ == 0)
        r->first_5xx_ms = r->last_5xx_ms;
    r->beside += lane->beside;
    lane->work.had_5xx = true;
}

static void failed(struct lane *lane, const struct policy_decision *d, long status)
{
    struct endpoint *e = lane->endpoint;
    count_5xx(lane, status);
    if (status == 0 || status == 429 || status >= 500)
        pace_refused(&e->pace);
    lane->failing = true;
    lane->after_network = status == 0;
    lane->fresh = d->fresh_connection;
    if (d->delay_ms)
        lane->failures++;
    /* Without an answer it may have been a certificate, or the secret that a token is bought with. */
    if (d->verdict == POLICY_HOLD_AUTH || status == 0)
        endpoint_watch(e, lane->stamp);
    if (d->whole_endpoint)
        e->not_before_ms = loop_now(e->loop) + d->delay_ms;
    if (d->verdict == POLICY_HOLD_AUTH || d->verdict == POLICY_HOLD_URL) {
        hold(lane, d->verdict == POLICY_HOLD_AUTH ? HOLD_AUTH : HOLD_URL, d->delay_ms);
        return;
    }
    back_from_ahead(lane);
    if (d->verdict == POLICY_PROBE || d->verdict == POLICY_HALVE) {
        if (!cut(lane, d->verdict == POLICY_PROBE, true))
            work_current(&lane->work)->suspect = true;
    } else if (d->verdict == POLICY_AHEAD) {
        work_look_ahead(&lane->work);
        lane->encoded = false;
    }
    lane_wait(lane, d->delay_ms);
}

static struct policy_history history_of(const struct lane *lane)
{
    const struct endpoint *e = lane->endpoint;
    const struct work *w = &lane->work;
    const struct work_range *r = work_current(w);
    return (struct policy_history){
        .failures = lane->failures,
        .refused_5xx = w->ahead ? 0 : r->refused_5xx,
        .series = lane->present.series,
        .retried_dead = lane->retried_dead,
        .suspect = r->suspect && !w->ahead,
        .beside = w->ahead ? 0 : r->beside + lane->beside,
        .others_pass = r->refused_5xx && e->last_success_ms > r->first_5xx_ms,
        .block_passed = w->passed,
        .known_poison = e->poison_ms && loop_now(e->loop) - e->poison_ms < ENDPOINT_POISON_MS,
        .has_next = !w->ahead && w->stack_n > 1,
    };
}

/* The receiver has not written all that it has accepted: somebody should look, but sending it again would not help. */
static void note_unwritten(struct lane *lane)
{
    struct endpoint *e = lane->endpoint;
    if (lane->protocol != PROTOCOL_RW2 || lane->written_n >= lane->present.samples)
        return;
    uint64_t missing = lane->present.samples - lane->written_n;
    pthread_mutex_lock(&e->lock);
    e->status.unwritten += missing;
    pthread_mutex_unlock(&e->lock);
    log_throttled(hash_more(2, str_of(e->name)), LOG_ERROR, "remote",
                  "endpoint %s: accepted %llu samples and says it has written %llu of them", e->name,
                  (unsigned long long)lane->present.samples, (unsigned long long)lane->written_n);
}

/* True when the message was refused for its form and goes again in another one. */
static bool speaks_otherwise(struct lane *lane, long status, struct str words)
{
    struct endpoint *e = lane->endpoint;
    const struct protocol_answer answer = {lane->protocol, status, lane->written};
    enum protocol_verdict v = lane->encoded ? protocol_judge(&e->negotiation, &answer, clock_wall_ms())
                                             : PROTOCOL_KEEP;
    if (v != PROTOCOL_KEEP)
        endpoint_remember(e);
    if (v != PROTOCOL_AGAIN)
        return false;
    count_answer(lane, status, words);
    log_info("remote", "endpoint %s: status %ld to %s%s, it is sent %s: %.*s", e->name, status,
             protocol_name(lane->protocol), status / 100 == 2 ? " without a word of what was written" : "",
             protocol_name(protocol_next(&e->negotiation, clock_wall_ms())), STR_ARG(words));
    receiver_works(e, false);
    lane->encoded = false;
    lane->failures = 0;
    lane->failing = false;
    lane->state = LANE_READY;
    return true;
}

static void judge(struct lane *lane, long status, struct str words, bool reused_dead)
{
    struct endpoint *e = lane->endpoint;
    struct policy_answer answer = {status, reused_dead, lane->retry_after_ms};
    struct policy_history history = history_of(lane);
    struct policy_decision d = policy_decide(&e->policy, &answer, &history, endpoint_random(e));
    if (d.verdict != POLICY_RETRY_NOW)
        count_answer(lane, status, words);
    lane->retried_dead = d.verdict == POLICY_RETRY_NOW;
    lane->fresh = false;
    if (d.verdict != POLICY_DONE && d.verdict != POLICY_RETRY_NOW)
        log_answer(lane, status, words, &d);
    if (status && d.verdict != POLICY_HOLD_AUTH && d.verdict != POLICY_HOLD_URL)
        receiver_works(e, false);
    if (d.verdict == POLICY_DONE) {
        note_unwritten(lane);
        delivered(lane);
    } else if (d.verdict == POLICY_RETRY_NOW) {
        lane->fresh = true;
        lane->state = LANE_READY;
    } else if (!lane->encoded) {
        lane->state = LANE_READY; /* new settings came meanwhile: it was not they that failed */
    } else if (d.verdict == POLICY_BISECT || d.verdict == POLICY_SPLIT) {
        refused(lane, d.verdict == POLICY_SPLIT, status, words);
    } else if (d.verdict == POLICY_REJECTED || d.verdict == POLICY_TOO_LARGE) {
        lost(lane, d.verdict == POLICY_TOO_LARGE ? LEDGER_TOO_LARGE : LEDGER_REJECTED, status, words);
    } else if (d.verdict == POLICY_DEAD) {
        bury(lane, status);
    } else {
        failed(lane, &d, status);
    }
}

void lane_judge(struct lane *lane, long status)
{
    judge(lane, status, str_trim(buf_str(&lane->words)), false);
}

void lane_answered(struct lane *lane, const struct http_result *result)
{
    /* An accepted request stays accepted when the rest of the answer is cut off; any other answer needs to be
       whole. */
    long status = result->ok || result->status / 100 == 2 ? result->status : 0;
    struct str words = status ? str_trim(buf_str(&lane->words)) : result->error;
    if (speaks_otherwise(lane, status, words))
        return;
    if (status == 400 && lane->encoded && endpoint_doubts(lane->endpoint))
        endpoint_doubt(lane->endpoint, lane);
    else
        judge(lane, status, words, result->reused_dead);
}

void lane_refused_entry(struct lane *lane, long status)
{
    struct endpoint *e = lane->endpoint;
    struct str words = str_trim(buf_str(&lane->words));
    struct policy_decision d = {
        .verdict = POLICY_HOLD_AUTH,
        .delay_ms = policy_backoff(&e->policy, lane->failures + 1, endpoint_random(e)),
        .fresh_connection = true,
    };
    count_answer(lane, status, words);
    log_answer(lane, status, words, &d);
    failed(lane, &d, status);
}

void lane_not_started(struct lane *lane, const char *why)
{
    struct endpoint *e = lane->endpoint;
    struct str words = str_of(why);
    pthread_mutex_lock(&e->lock);
    snprintf(e->status.last_error, sizeof e->status.last_error, "%s", why);
    pthread_mutex_unlock(&e->lock);
    struct policy_decision d = {
        .verdict = POLICY_HOLD_AUTH,
        .delay_ms = policy_backoff(&e->policy, lane->failures + 1, endpoint_random(e)),
    };
    log_answer(lane, 0, words, &d);
    failed(lane, &d, 0);
}
