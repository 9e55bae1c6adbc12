/* SPDX-License-Identifier: Apache-2.0 */
/* http_response: what arrives. Header lines are kept until the head is complete, because only then it is
   known whether this response is the final one or a redirect to follow; then they are handed on. */
#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/units.h"
#include "http_private.h"

void http_response_reset(struct http_call *call)
{
    buf_clear(&call->head);
    call->head_done = false;
    call->status = 0;
    free(call->location);
    call->location = NULL;
    call->skip_body = false;
    call->aborted = false;
    call->received = 0;
    call->skipped = 0;
    call->error[0] = '\0';
}

/* Like Go's client, but a POST is never turned into a GET: a receiver's 2xx to that would count as
   delivery. */
static bool may_follow(const struct http_call *call)
{
    const struct http_options *o = call->request.options;
    if (o && !o->follow_redirects)
        return false;
    bool reading = strcmp(call->method, "GET") == 0 || strcmp(call->method, "HEAD") == 0;
    switch (call->status) {
    case 301:
    case 302:
    case 303:
        return reading;
    case 307:
    case 308:
        return true;
    default:
        return false;
    }
}

/* Takes the next "name: value" off the kept head; false at its end. Lines without a name are passed over. */
static bool next_header(struct str *rest, struct str *name, struct str *value)
{
    while (rest->n > 0) {
        size_t end = str_find_char(*rest, '\n');
        struct str line = str_make(rest->p, end);
        *rest = str_skip(*rest, end + 1);
        size_t colon = str_find_char(line, ':');
        if (colon == line.n || colon == 0)
            continue;
        *name = str_make(line.p, colon);
        *value = str_trim(str_skip(line, colon + 1));
        return true;
    }
    return false;
}

static void find_location(struct http_call *call)
{
    struct str rest = buf_str(&call->head), name, value;
    while (next_header(&rest, &name, &value)) {
        if (name.n == 8 && strncasecmp(name.p, "location", 8) == 0) {
            free(call->location);
            call->location = str_dup(value);
        }
    }
}

static void emit_headers(struct http_call *call)
{
    if (!call->request.on_header)
        return;
    for (size_t i = 0, in_name = 1; i < call->head.n; i++) {
        char *c = &call->head.p[i];
        in_name = *c == '\n' || (in_name && *c != ':');
        if (in_name)
            *c = (char)tolower((unsigned char)*c);
    }
    struct str rest = buf_str(&call->head), name, value;
    while (call->state == HTTP_ADDED && next_header(&rest, &name, &value))
        call->request.on_header(call->request.ctx, name, value);
}

static bool end_of_head(struct http_call *call)
{
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &call->status);
    if (call->status < 200) { /* 100 Continue, 103 Early Hints: the real one follows */
        call->status = 0;
        buf_clear(&call->head);
        return true;
    }
    call->head_done = true;
    /* Else an outage that is answered leaves one idle connection for each try. */
    if (call->request.fresh_connection && call->status >= 400)
        curl_easy_setopt(call->easy, CURLOPT_FORBID_REUSE, 1L);
    if (may_follow(call))
        find_location(call);
    if (call->location) {
        if (call->redirects >= HTTP_REDIRECTS_MAX)
            return err_set(&call->why, "stopped after %d redirects", HTTP_REDIRECTS_MAX);
        call->skip_body = true;
        return true;
    }
    if (call->request.on_status)
        call->request.on_status(call->request.ctx, call->status);
    emit_headers(call);
    return call->state == HTTP_ADDED;
}

size_t http_on_head(char *p, size_t size, size_t n, void *ctx)
{
    struct http_call *call = ctx;
    n *= size;
    if (call->state != HTTP_ADDED)
        return 0;
    struct str line = str_make(p, n);
    if (call->head_done || (call->head.n == 0 && str_starts(line, STR("HTTP/"))))
        return n; /* a trailer, or the status line */
    if (str_trim(line).n == 0)
        return end_of_head(call) ? n : 0;
    if (!buf_add_str(&call->head, line)) {
        err_set(&call->why, "the response's headers are larger than %zu bytes", call->head.max);
        return 0;
    }
    return n;
}

size_t http_on_body(char *p, size_t size, size_t n, void *ctx)
{
    struct http_call *call = ctx;
    n *= size;
    if (call->state != HTTP_ADDED)
        return 0;
    if (call->skip_body) {
        call->skipped += n;
        return call->skipped <= HTTP_SKIPPED_BODY_MAX ? n : 0;
    }
    call->received += n;
    if (n == 0 || !call->request.on_body)
        return n;
    if (call->request.on_body(call->request.ctx, call->status, p, n))
        return n;
    call->aborted = true;
    return 0;
}

static double info_seconds(const struct http_call *call, CURLINFO what)
{
    curl_off_t us = 0;
    curl_easy_getinfo(call->easy, what, &us);
    return (double)us / 1e6;
}

static const char *phase(const struct http_call *call)
{
    if (call->state == HTTP_PARKED || call->state == HTTP_STARTING)
        return "waiting for a free name look-up";
    if (call->head_done)
        return "reading the body";
    if (info_seconds(call, CURLINFO_PRETRANSFER_TIME_T) > 0) {
        curl_off_t sent = 0;
        curl_easy_getinfo(call->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
        return (size_t)sent < call->request.body.n ? "sending the request" : "waiting for the response";
    }
    if (call->url.tls && info_seconds(call, CURLINFO_CONNECT_TIME_T) > 0)
        return "in the TLS handshake";
    return call->has_lookup ? "looking up the name" : "connecting";
}

static void explain(struct http_call *call, CURLcode code, bool timeout)
{
    if (err_is(&call->why))
        return;
    if (timeout) {
        char after[48];
        units_format_duration(call->request.timeout_ms, after);
        if (call->state == HTTP_WAITING) {
            err_set(&call->why, "context deadline exceeded (%s) while waiting for an OAuth 2.0 token from %s", after,
                    http_fetch_host(call->fetch));
            return;
        }
        err_set(&call->why, "context deadline exceeded (%s) while %s", after, phase(call));
        return;
    }
    if (call->aborted) {
        err_set(&call->why, "stopped while reading the body");
        return;
    }
    long os_errno = 0;
    if (code == CURLE_COULDNT_CONNECT || code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR)
        curl_easy_getinfo(call->easy, CURLINFO_OS_ERRNO, &os_errno);
    const char *text = call->error[0] ? call->error : curl_easy_strerror(code);
    const char *reason = os_errno != 0 ? strerror((int)os_errno) : "";
    bool twice = os_errno == 0 || strstr(text, reason) != NULL;
    err_set(&call->why, "%s%s%s", text, twice ? "" : ": ", twice ? "" : reason);
}

/* libcurl's times count from the start of the hop; ours are the length of each step, except the first
   byte's. */
static void fill_times(const struct http_call *call, struct http_result *r)
{
    double dns = info_seconds(call, CURLINFO_NAMELOOKUP_TIME_T);
    double connect = info_seconds(call, CURLINFO_CONNECT_TIME_T);
    double tls = info_seconds(call, CURLINFO_APPCONNECT_TIME_T);
    r->seconds = (double)(clock_mono_ns() - call->started_ns) / 1e9;
    r->seconds_dns = dns;
    r->seconds_connect = connect > dns ? connect - dns : 0;
    r->seconds_tls = tls > connect ? tls - connect : 0;
    r->seconds_first_byte = info_seconds(call, CURLINFO_STARTTRANSFER_TIME_T);
}

void http_result_fill(struct http_call *call, CURLcode code, bool timeout, struct http_result *r)
{
    *r = (struct http_result){.status = call->status, .bytes_received = call->received, .call = call};
    r->timeout = timeout || code == CURLE_OPERATION_TIMEDOUT;
    r->ok = code == CURLE_OK && !r->timeout && !err_is(&call->why);
    r->aborted = call->aborted;
    curl_off_t sent = 0;
    curl_easy_getinfo(call->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    r->bytes_sent = (uint64_t)sent;
    fill_times(call, r);
    http_peer_fill(call, code, timeout);
    if (r->ok)
        return;
    /* libcurl itself retries most requests that die this way; what is left did not get through that. */
    long connects = 1;
    curl_easy_getinfo(call->easy, CURLINFO_NUM_CONNECTS, &connects);
    bool died = code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR || code == CURLE_GOT_NOTHING;
    r->reused_dead = died && connects == 0 && call->status == 0 && call->head.n == 0;
    explain(call, code, r->timeout);
    r->error = str_of(call->why.msg);
}
