/* SPDX-License-Identifier: Apache-2.0 */
/* lane: one block at a time is encoded, range by range, and posted: one request, then the next. */
#include "endpoint_private.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/units.h"

#define RAW_KEEP (4u << 20)

struct lane *lane_new(struct endpoint *e)
{
    struct lane *lane = xcalloc(1, sizeof *lane);
    lane->endpoint = e;
    buf_init(&lane->body, 2 * (size_t)ENDPOINT_BYTES_MAX);
    buf_init(&lane->words, ENDPOINT_WORDS_MAX);
    return lane;
}

void lane_free(struct lane *lane)
{
    work_free(&lane->work);
    buf_free(&lane->body);
    buf_free(&lane->words);
    free(lane);
}

void lane_take(struct lane *lane, struct batch *batch, unsigned strand)
{
    struct endpoint *e = lane->endpoint;
    bool suspect = e->poison_ms && loop_now(e->loop) - e->poison_ms < ENDPOINT_POISON_MS;
    lane->batch = batch;
    lane->strand = strand;
    work_start(&lane->work, batch->strands[strand], batch->progress.series[strand], suspect);
    lane->encoded = false;
    lane->state = LANE_READY;
}

/* The lane that tried while the endpoint holds has nothing more to send: another one takes over. */
static void leave_try(struct endpoint *e)
{
    e->prober = NULL;
    for (size_t i = 0; i < e->lanes_n; i++) {
        if (e->lanes[i]->state == LANE_PARKED)
            e->lanes[i]->state = LANE_READY;
    }
}

/* Tells the queue how far the strand is. */
static void note_progress(struct lane *lane, uint32_t done)
{
    struct batch *b = lane->batch;
    b->progress.series[lane->strand] = done;
    if (b->countable)
        queue_note_progress(lane->endpoint->reader, b->blocks, b->n, &b->progress);
}

/* The strand is through: first the books, then the cursor. A crash between the two sends it again; the other
   order would lose it. */
static void finish(struct lane *lane)
{
    struct endpoint *e = lane->endpoint;
    struct batch *b = lane->batch;
    work_book(&lane->work, e->options.ledger, str_of(e->name));
    transcoder_close(e->transcoder);
    if (--b->open == 0)
        endpoint_batch_done(e, b);
    else
        note_progress(lane, lane->work.block->series);
    work_free(&lane->work);
    lane->batch = NULL;
    lane->state = LANE_FREE;
    if (e->prober == lane)
        leave_try(e);
}

void lane_drop(struct lane *lane)
{
    struct endpoint *e = lane->endpoint;
    struct batch *b = lane->batch;
    if (!b)
        return;
    transcoder_close(e->transcoder);
    work_free(&lane->work);
    lane->batch = NULL;
    lane->state = LANE_FREE;
    if (--b->open)
        return;
    for (size_t i = 0; i < b->n; i++)
        queue_release(e->reader, b->blocks[i]);
    batch_free(b);
}

void lane_resolve(struct lane *lane, enum work_outcome outcome, enum ledger_reason reason)
{
    struct endpoint *e = lane->endpoint;
    uint32_t done;
    work_resolve(&lane->work, outcome, reason);
    lane->encoded = false;
    if (lane->batch->countable && work_current(&lane->work) &&
        work_settle(&lane->work, e->options.ledger, str_of(e->name), &done))
        note_progress(lane, done);
    if (lane->present.exemplars_left == 0)
        return;
    pthread_mutex_lock(&e->lock);
    e->status.exemplars_dropped += lane->present.exemplars_left;
    pthread_mutex_unlock(&e->lock);
}

/* ---- waiting ---- */

static void on_timer(void *ctx)
{
    struct lane *lane = ctx;
    if (lane->state == LANE_WAITING)
        lane->state = LANE_READY;
    endpoint_pump(lane->endpoint);
}

void lane_wait(struct lane *lane, int64_t delay_ms)
{
    struct loop *loop = lane->endpoint->loop;
    loop_timer_clear(loop, &lane->timer);
    if (delay_ms <= 0) {
        lane->state = LANE_READY;
        return;
    }
    lane->state = LANE_WAITING;
    lane->wake_ms = loop_now(loop) + delay_ms;
    loop_timer_set(loop, &lane->timer, lane->wake_ms, on_timer, lane);
}

/* ---- encoding ---- */

static size_t bytes_limit(const struct endpoint *e)
{
    size_t limit = ENDPOINT_BYTES_MAX;
    if (e->settings->max_request_bytes && e->settings->max_request_bytes < limit)
        limit = (size_t)e->settings->max_request_bytes;
    if (e->learned_bytes && e->learned_bytes < limit)
        limit = e->learned_bytes;
    return limit;
}

/* Once under the same settings: histograms come with every scrape. */
static void tell_unsent(struct endpoint *e, const struct transcode_result *present)
{
    bool custom = present->custom && !e->told_custom;
    bool unwanted = present->unsent > present->custom && !e->told_unwanted;
    e->told_custom |= custom;
    e->told_unwanted |= unwanted;
    if (custom || unwanted)
        log_warn("remote", "endpoint %s: native histograms are not sent and counted as lost (not_sent): %s", e->name,
                 custom ? "remote write 1.0 has no place for custom buckets"
                        : "send_native_histograms: true would send them");
}

bool lane_open(struct lane *lane, struct err *err)
{
    struct transcoder *t = lane->endpoint->transcoder;
    transcoder_message(t, lane->protocol == PROTOCOL_RW2 ? TRANSCODE_RW2 : TRANSCODE_RW1);
    transcoder_route(t, lane->batch->route);
    return transcoder_open(t, lane->work.block, err);
}

static bool encode_range(struct lane *lane, struct err *err)
{
    struct endpoint *e = lane->endpoint;
    const struct work_range *r = work_current(&lane->work);
    struct transcode_range range = {r->from, r->to, e->settings->max_samples_per_send, bytes_limit(e)};
    bool suspect = r->suspect;
    if (!lane_open(lane, err))
        return false;
    if (!transcoder_encode(e->transcoder, &range, &e->raw, lane->work.shares, &lane->present, err))
        return false;
    tell_unsent(e, &lane->present);
    if (lane->present.to < range.to)
        work_cut(&lane->work, lane->present.to, suspect);
    if (lane->present.series == 0)
        return true;
    bool packed = lane->protocol == PROTOCOL_VM ? transcode_zstd(e->transcoder, buf_str(&e->raw), &lane->body)
                                                : transcode_snappy(buf_str(&e->raw), &lane->body);
    if (!packed)
        return err_set(err, "cannot compress a request of %zu bytes", e->raw.n);
    return true;
}

/* Encodes the present range unless that is done; false when the block cannot be read and is abandoned. */
static bool encode(struct lane *lane)
{
    struct endpoint *e = lane->endpoint;
    enum protocol protocol = protocol_next(&e->negotiation, clock_wall_ms());
    if (lane->encoded && lane->protocol == protocol)
        return true;
    lane->protocol = protocol;
    struct err err = {0};
    if (!encode_range(lane, &err)) {
        log_error("remote", "endpoint %s: block %llu cannot be read, what is left of it is lost: %s", e->name,
                  (unsigned long long)lane->work.block->seq, err.msg);
        work_abandon(&lane->work);
        return false;
    }
    if (e->settings->send_metadata) {
        size_t n;
        const struct transcode_meta *metas = transcoder_metas(e->transcoder, &n);
        metadata_note(e->metadata, metas, n, loop_now(e->loop), e->settings->metadata_interval_ms);
    }
    lane->raw_bytes = e->raw.n;
    pace_note_size(&e->pace, lane->raw_bytes, lane->present.samples);
    if (e->raw.cap > RAW_KEEP)
        buf_trim(&e->raw, RAW_KEEP);
    lane->encoded = true;
    lane->attempt = 0;
    return true;
}

/* ---- one request ---- */

/* What a 2.0 receiver says it has written. */
static void note_written(struct lane *lane, struct str name, struct str value)
{
    uint64_t n;
    lane->written = true;
    if (str_eq(name, STR("x-prometheus-remote-write-exemplars-written")) || !units_parse_u64(str_trim(value), &n))
        return;
    lane->written_n += n;
}

static void on_header(void *ctx, struct str name, struct str value)
{
    struct lane *lane = ctx;
    if (str_eq(name, STR("retry-after")))
        lane->retry_after_ms = policy_retry_after(value, clock_wall_ms());
    else if (str_eq(name, STR("date")))
        lane->date_s = policy_http_date(value);
    else if (str_starts(name, STR("x-prometheus-remote-write-")) && str_ends(name, STR("-written")))
        note_written(lane, name, value);
}

/* The first bytes are kept for the log; the rest is read so that the connection can be used again. */
static bool on_body(void *ctx, long status, const void *p, size_t n)
{
    struct lane *lane = ctx;
    if (status >= 300) {
        size_t room = ENDPOINT_WORDS_MAX - lane->words.n;
        buf_add(&lane->words, p, n < room ? n : room);
    }
    return true;
}

/* The call is over, with or without an answer. */
static void call_ended(struct lane *lane)
{
    loop_timer_clear(lane->endpoint->loop, &lane->slow);
    lane->call = NULL;
    config_unref(lane->config);
    lane->config = NULL;
    lane->state = LANE_READY;
}

static void on_done(void *ctx, const struct http_result *result)
{
    struct lane *lane = ctx;
    struct endpoint *e = lane->endpoint;
    endpoint_note_date(e, lane->date_s, loop_now(e->loop) - lane->started_ms);
    http_result_hide(result, &lane->words);
    lane_answered(lane, result);
    /* Only now: the result may speak of things that live as long as the call's configuration. */
    enum lane_state next = lane->state;
    call_ended(lane);
    lane->state = next;
    endpoint_pump(e);
}

/* A receiver that hangs is a failing one: what comes meanwhile should be safe on disk. */
static void on_slow(void *ctx)
{
    struct lane *lane = ctx;
    lane->failing = true;
    endpoint_update(lane->endpoint);
}

static void start(struct lane *lane)
{
    struct endpoint *e = lane->endpoint;
    struct endpoint_headers headers;
    endpoint_headers_fill(e, &headers, lane->protocol, lane->attempt);
    struct http_request request = {
        .url = e->settings->url,
        .method = "POST",
        .body = buf_str(&lane->body),
        .headers = headers.v,
        .options = &e->settings->http,
        .timeout_ms = e->settings->remote_timeout_ms,
        .fresh_connection = lane->fresh,
        .on_header = on_header,
        .on_body = on_body,
        .on_done = on_done,
        .ctx = lane,
    };
    const struct work_range *r = work_current(&lane->work);
    lane->beside = r->refused_5xx > 0 && e->last_success_ms > r->last_5xx_ms;
    buf_clear(&lane->words);
    lane->retry_after_ms = -1;
    lane->date_s = -1;
    lane->written = false;
    lane->written_n = 0;
    lane->started_ms = loop_now(e->loop);
    lane->stamp = http_options_stamp(&e->settings->http);
    struct err err = {0};
    lane->call = http_start(e->http, &request, &err);
    if (!lane->call) {
        lane_not_started(lane, err.msg);
        return;
    }
    lane->config = config_ref(e->config);
    lane->state = LANE_SENDING;
    loop_timer_set(e->loop, &lane->slow, lane->started_ms + ENDPOINT_SLOW_MS, on_slow, lane);
    pthread_mutex_lock(&e->lock);
    e->status.requests++;
    e->status.retries += lane->attempt > 0;
    e->status.request_bytes += lane->raw_bytes;
    e->status.wire_bytes += lane->body.n;
    pthread_mutex_unlock(&e->lock);
    pace_spend(&e->pace, lane->body.n);
    lane->attempt++;
}

void lane_cancel(struct lane *lane)
{
    loop_timer_clear(lane->endpoint->loop, &lane->timer);
    if (!lane->call)
        return;
    http_cancel(lane->endpoint->http, lane->call);
    call_ended(lane);
}

/* True when this lane must leave the try to another one, or wait as the receiver asked. */
static bool must_wait(struct lane *lane)
{
    struct endpoint *e = lane->endpoint;
    if (e->hold != HOLD_NONE && e->prober && e->prober != lane) {
        lane->state = LANE_PARKED;
        return true;
    }
    if (e->hold != HOLD_NONE)
        e->prober = lane;
    int64_t left = e->not_before_ms - loop_now(e->loop);
    if (left <= 0)
        left = pace_wait_ms(&e->pace, lane->batch->stream == QUEUE_FRESH, loop_now(e->loop));
    if (left <= 0)
        return false;
    lane_wait(lane, left);
    return true;
}

void lane_go(struct lane *lane)
{
    while (lane->state == LANE_READY) {
        if (!work_current(&lane->work)) {
            finish(lane);
        } else if (must_wait(lane)) {
            return;
        } else if (encode(lane)) {
            if (lane->present.series == 0) {
                lane_resolve(lane, WORK_DELIVERED, 0); /* nothing of it is to be sent */
            } else {
                start(lane);
            }
        }
    }
}
