/* SPDX-License-Identifier: Apache-2.0 */
/* announce: sends metadata beside the samples. Its fate has no influence on theirs: it is tried a few times
   and then forgotten until the interval brings it again. */
#include "endpoint_private.h"

#include "base/log.h"

#define ATTEMPTS_MAX 3u

static void forget(struct endpoint *e)
{
    buf_clear(&e->metadata_body);
    e->metadata_attempt = 0;
}

static void call_ended(struct endpoint *e)
{
    e->metadata_call = NULL;
    config_unref(e->metadata_config);
    e->metadata_config = NULL;
}

static void on_done(void *ctx, const struct http_result *result)
{
    struct endpoint *e = ctx;
    bool accepted = result->status / 100 == 2;
    bool refused = result->ok && result->status / 100 == 4 && result->status != 429;
    if (accepted || refused || e->metadata_attempt >= ATTEMPTS_MAX)
        forget(e);
    if (!accepted) {
        int64_t pause = refused ? e->settings->metadata_interval_ms
                                : policy_backoff(&e->policy, e->metadata_attempt + 1, endpoint_random(e));
        e->metadata_next_ms = loop_now(e->loop) + pause;
        log_debug("remote", "endpoint %s: metadata not accepted: status %ld %.*s", e->name, result->status,
                  STR_ARG(result->error));
    }
    call_ended(e);
}

static bool prepare(struct endpoint *e)
{
    if (e->metadata_body.n)
        return true;
    struct str pending = metadata_pending(e->metadata);
    bool ok = pending.n && transcode_snappy(pending, &e->metadata_body);
    metadata_clear(e->metadata);
    return ok;
}

void endpoint_announce(struct endpoint *e)
{
    bool works = e->last_success_ms && !e->failing;
    if (e->negotiation.order[e->negotiation.present] == PROTOCOL_RW2) { /* has it in the series */
        metadata_clear(e->metadata);
        return;
    }
    if (!works || e->metadata_call || loop_now(e->loop) < e->metadata_next_ms || !prepare(e))
        return;
    struct endpoint_headers headers;
    endpoint_headers_fill(e, &headers, PROTOCOL_RW1, e->metadata_attempt);
    struct http_request request = {
        .url = e->settings->url,
        .method = "POST",
        .body = buf_str(&e->metadata_body),
        .headers = headers.v,
        .options = &e->settings->http,
        .timeout_ms = e->settings->remote_timeout_ms,
        .on_done = on_done,
        .ctx = e,
    };
    struct err err = {0};
    e->metadata_attempt++;
    e->metadata_call = http_start(e->http, &request, &err);
    if (e->metadata_call)
        e->metadata_config = config_ref(e->config);
    else
        forget(e);
}

void endpoint_announce_cancel(struct endpoint *e)
{
    if (e->metadata_call) {
        http_cancel(e->http, e->metadata_call);
        call_ended(e);
    }
    forget(e);
}
