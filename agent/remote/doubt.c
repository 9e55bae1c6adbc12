/* SPDX-License-Identifier: Apache-2.0 */
/* doubt: a 400 need not be about the samples where we show a certificate: nginx answers so to one that is missing,
   expired or of the wrong authority (its ssl_verify_client), and cutting and dropping would lose everything. So before
   a 400 is acted on, an empty request goes out over a connection of its own, for which the certificate is shown anew.
   When that is refused the same way, it is the certificate, and all is held as for a 401. A receiver that is known to
   refuse empty requests is believed. */
#include "endpoint_private.h"

/* Long enough for most of a bisection; what happens to a certificate within it is seen by its files. */
#define SURE_MS 1000
#define TIMEOUT_MS 10000

static bool shows_certificate(const struct endpoint *e)
{
    const struct http_secret *cert = &e->settings->http.tls_cert;
    return cert->value || cert->file;
}

bool endpoint_doubts(const struct endpoint *e)
{
    bool sure = e->sure_ms && loop_now(e->loop) - e->sure_ms < SURE_MS &&
                http_options_stamp(&e->settings->http) == e->sure_stamp;
    return shows_certificate(e) && !sure && e->empty != EMPTY_REFUSED;
}

static void call_ended(struct endpoint *e)
{
    e->doubt_call = NULL;
    config_unref(e->doubt_config);
    e->doubt_config = NULL;
}

/* Those that wait for it go on: judged, held, or tried again. */
static void settle(struct endpoint *e, long status)
{
    bool certificate = status == 400;
    bool unknown = status == 0 || status >= 500;
    if (!certificate && !unknown) {
        e->sure_ms = loop_now(e->loop);
        e->sure_stamp = e->asked_stamp;
    }
    for (size_t i = 0; i < e->lanes_n; i++) {
        struct lane *lane = e->lanes[i];
        if (lane->state != LANE_DOUBTED)
            continue;
        if (certificate)
            lane_refused_entry(lane, 400);
        else if (unknown)
            lane_wait(lane, policy_backoff(&e->policy, 1, endpoint_random(e)));
        else
            lane_judge(lane, 400);
    }
}

static void on_done(void *ctx, const struct http_result *result)
{
    struct endpoint *e = ctx;
    long status = result->ok ? result->status : 0;
    bool learning = e->empty == EMPTY_ASKED;
    if (learning && status)
        e->empty = status == 400 ? EMPTY_REFUSED : EMPTY_TAKEN;
    else if (learning)
        e->empty = EMPTY_UNKNOWN;
    call_ended(e);
    settle(e, learning && status == 400 ? 204 : status);
    endpoint_pump(e);
}

static void ask(struct endpoint *e)
{
    static const char NOTHING[] = {0}; /* a WriteRequest without series, in snappy */
    struct endpoint_headers headers;
    endpoint_headers_fill(e, &headers, PROTOCOL_RW1, 0);
    struct http_request request = {
        .url = e->settings->url,
        .method = "POST",
        .body = str_make(NOTHING, sizeof NOTHING),
        .headers = headers.v,
        .options = &e->settings->http,
        .timeout_ms = TIMEOUT_MS,
        .fresh_connection = true,
        .on_done = on_done,
        .ctx = e,
    };
    struct err err = {0};
    e->asked_stamp = http_options_stamp(&e->settings->http);
    e->doubt_call = http_start(e->http, &request, &err);
    if (e->doubt_call)
        e->doubt_config = config_ref(e->config);
    else
        settle(e, 0);
}

void endpoint_doubt(struct endpoint *e, struct lane *lane)
{
    lane->state = LANE_DOUBTED;
    if (!e->doubt_call)
        ask(e);
}

void endpoint_learn_empty(struct endpoint *e)
{
    if (!shows_certificate(e) || e->empty != EMPTY_UNKNOWN || e->doubt_call)
        return;
    e->empty = EMPTY_ASKED;
    ask(e);
}

void endpoint_doubt_cancel(struct endpoint *e)
{
    if (e->doubt_call) {
        http_cancel(e->http, e->doubt_call);
        call_ended(e);
    }
    e->empty = EMPTY_UNKNOWN;
    e->sure_ms = 0;
}
