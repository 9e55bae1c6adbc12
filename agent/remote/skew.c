/* SPDX-License-Identifier: Apache-2.0 */
/* skew: what a receiver's Date header says about our clock. A date has no fraction, and an answer takes its time: the
   middle of the one is compared with the middle of the other. */
#include "endpoint_private.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"

#define SLOW_MS 5000   /* an answer that took longer says too little */
#define AGREE_MS 60000 /* within this two answers say the same */
#define WARN_MS 30000
#define ASK_EVERY_MS 10000

void endpoint_note_date(struct endpoint *e, int64_t date_s, int64_t took_ms)
{
    if (date_s < 0 || took_ms > SLOW_MS ||
        !clock_is_plausible(date_s * 1000)) /* its clock may be wrong as well */
        return;
    int64_t skew_ms = date_s * 1000 + 500 - (clock_wall_ms() - took_ms / 2);
    pthread_mutex_lock(&e->lock);
    struct remote_skew *s = &e->status.skew;
    int64_t change = skew_ms - s->ms;
    s->agreeing = s->agreeing && change < AGREE_MS && change > -AGREE_MS ? s->agreeing + 1 : 1;
    s->ms = skew_ms;
    s->mono_ms = clock_mono_ms();
    pthread_mutex_unlock(&e->lock);
    if (skew_ms > WARN_MS || skew_ms < -WARN_MS)
        log_throttled((uint64_t)(uintptr_t)e, LOG_WARN, "clock", "endpoint %s: its clock is %lld s %s ours",
                      e->name, (long long)llabs(skew_ms) / 1000, skew_ms > 0 ? "ahead of" : "behind");
}

/* ---- asking for a date when there is nothing to send ---- */

static void on_header(void *ctx, struct str name, struct str value)
{
    struct endpoint *e = ctx;
    if (str_eq(name, STR("date")))
        e->ask_date_s = policy_http_date(value);
}

static void ask_ended(struct endpoint *e)
{
    e->ask_call = NULL;
    config_unref(e->ask_config);
    e->ask_config = NULL;
}

static void on_done(void *ctx, const struct http_result *result)
{
    struct endpoint *e = ctx;
    endpoint_note_date(e, e->ask_date_s, (int64_t)(result->seconds * 1000));
    ask_ended(e);
}

/* An empty WriteRequest, which every receiver takes or refuses, and dates either way. */
static void ask_date(struct endpoint *e)
{
    static const char EMPTY[] = {0}; /* of snappy: length 0 */
    int64_t now = loop_now(e->loop);
    if (e->ask_call || e->stopping || now < e->ask_next_ms || !e->settings)
        return;
    e->ask_next_ms = now + ASK_EVERY_MS;
    e->ask_date_s = -1;
    struct endpoint_headers headers;
    endpoint_headers_fill(e, &headers, PROTOCOL_RW1, 0);
    struct http_request request = {
        .url = e->settings->url,
        .method = "POST",
        .body = str_make(EMPTY, sizeof EMPTY),
        .headers = headers.v,
        .options = &e->settings->http,
        .timeout_ms = SLOW_MS,
        .on_header = on_header,
        .on_done = on_done,
        .ctx = e,
    };
    struct err err = {0};
    e->ask_call = http_start(e->http, &request, &err);
    if (e->ask_call)
        e->ask_config = config_ref(e->config);
}

static void ask_now(void *ctx)
{
    ask_date(ctx);
}

void endpoint_ask(struct endpoint *e)
{
    loop_post(e->loop, ask_now, e);
}

void endpoint_forget_skew(struct endpoint *e)
{
    pthread_mutex_lock(&e->lock);
    e->status.skew = (struct remote_skew){0};
    pthread_mutex_unlock(&e->lock);
}

void endpoint_ask_cancel(struct endpoint *e)
{
    if (!e->ask_call)
        return;
    http_cancel(e->http, e->ask_call);
    ask_ended(e);
}
