/* SPDX-License-Identifier: Apache-2.0 */
/* http: the client and the life of its calls; see http_private.h for the picture. Redirects are followed
   here and not by libcurl, because credentials, client certificates and the method have our own rules. */
#include <pthread.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "http_private.h"

#define CONNECTIONS_MIN 8
#define CONNECTIONS_PER_MULTI 16
#define MULTIS_MAX 64
/* Each multi handle keeps its own parsed CA bundle, 824 kB: targets that need it share few handles. */
#define MULTIS_WITH_BUNDLE 2
#define SPARE_MAX 64 /* pooled easy handles, 11 kB each */

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void init_curl(void)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        log_error("http", "FATAL: libcurl cannot be initialised");
        abort();
    }
}

/* ---- lists ---- */

void http_queue_push(struct http_call_queue *q, struct http_call *call)
{
    call->queue_next = NULL;
    if (q->last)
        q->last->queue_next = call;
    else
        q->first = call;
    q->last = call;
}

struct http_call *http_queue_pop(struct http_call_queue *q)
{
    struct http_call *call = q->first;
    if (!call)
        return NULL;
    q->first = call->queue_next;
    if (!q->first)
        q->last = NULL;
    return call;
}

void http_queue_remove(struct http_call_queue *q, struct http_call *call)
{
    struct http_call_queue rest = {0};
    struct http_call *other;
    while ((other = http_queue_pop(q))) {
        if (other != call)
            http_queue_push(&rest, other);
    }
    *q = rest;
}

/* ---- easy handles ---- */

static CURL *easy_get(struct http_client *client)
{
    if (client->spare_n > 0)
        return client->spare[--client->spare_n];
    CURL *easy = curl_easy_init();
    if (!easy)
        abort();
    return easy;
}

/* A handle whose exchange ended during the lookup of its name keeps its buffer (libcurl 7.88), and refuses settings for
   good. */
static bool is_reusable(CURL *easy)
{
    return curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 16L * 1024) == CURLE_OK;
}

static void easy_put(struct http_client *client, CURL *easy)
{
    bool room = client->spare_n < SPARE_MAX;
    if (room)
        curl_easy_reset(easy); /* it points into the call, and holds its secrets */
    if (!room || !is_reusable(easy)) {
        curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
        curl_easy_cleanup(easy);
        return;
    }
    client->spare = xgrow(client->spare, &client->spare_cap, client->spare_n + 1, sizeof *client->spare);
    client->spare[client->spare_n++] = easy;
}

/* ---- the client ---- */

static void resize(struct http_client *client, struct http_client_limits limits)
{
    size_t connections = limits.connections > CONNECTIONS_MIN ? limits.connections : CONNECTIONS_MIN;
    size_t want = limits.multis;
    if (want == 0)
        want = (connections + CONNECTIONS_PER_MULTI - 1) / CONNECTIONS_PER_MULTI;
    want = want > MULTIS_MAX ? MULTIS_MAX : want;
    /* Never fewer: a changed number moves most targets to another handle and costs them their connection. */
    if (want > client->multis_n) {
        client->multis = xrealloc(client->multis, want * sizeof(struct http_multi *));
        while (client->multis_n < want)
            client->multis[client->multis_n++] = http_multi_new(client);
    }
    for (size_t i = 0; i < client->multis_n; i++)
        http_multi_limit(client->multis[i], connections);
}

struct http_client *http_client_new(struct loop *loop, struct http_client_limits limits)
{
    pthread_once(&curl_once, init_curl);
    struct http_client *client = xcalloc(1, sizeof *client);
    client->loop = loop;
    resize(client, limits);
    return client;
}

void http_client_resize(struct http_client *client, struct http_client_limits limits)
{
    resize(client, limits);
}

static struct http_multi *pick_multi(struct http_client *client, const struct http_call *call)
{
    size_t n = client->multis_n;
    if (call->big_ca && n > MULTIS_WITH_BUNDLE)
        n = MULTIS_WITH_BUNDLE;
    return client->multis[call->request.spread % n];
}

/* ---- calls ---- */

static void call_add(struct http_call *call)
{
    call->state = HTTP_ADDED;
    CURLMcode rc = curl_multi_add_handle(call->multi->curl, call->easy);
    if (rc != CURLM_OK) {
        log_error("http", "BUG: curl_multi_add_handle: %s", curl_multi_strerror(rc));
        abort();
    }
}

static void link_call(struct http_call *call)
{
    struct http_client *client = call->client;
    call->next = client->calls;
    if (call->next)
        call->next->prev = call;
    client->calls = call;
}

static void call_free(struct http_call *call)
{
    if (call->easy)
        easy_put(call->client, call->easy);
    curl_slist_free_all(call->headers);
    curl_slist_free_all(call->proxy_headers);
    curl_slist_free_all(call->connect_to);
    for (size_t i = 0; i < call->extra_headers_n; i++)
        http_secret_free(call->extra_headers[i]);
    free(call->extra_headers);
    free(call->method);
    free(call->unix_socket);
    free(call->location);
    http_url_free(&call->url);
    http_url_free(&call->origin);
    buf_free(&call->head);
    free(call);
}

/* Takes the call out of everything that could still reach it. Outside libcurl only when it is ADDED or
   DOOMED. */
static void call_detach(struct http_call *call)
{
    struct http_client *client = call->client;
    if (call->state == HTTP_ADDED || call->state == HTTP_DOOMED)
        curl_multi_remove_handle(call->multi->curl, call->easy);
    else if (call->state == HTTP_STARTING)
        http_queue_remove(&client->starting, call);
    else if (call->state == HTTP_PARKED)
        http_queue_remove(&client->parked, call);
    else if (call->state == HTTP_WAITING)
        http_fetch_leave(call);
    call->state = HTTP_DONE;
    loop_timer_clear(client->loop, &call->deadline);
    http_lookup_release(call);
    if (call->next)
        call->next->prev = call->prev;
    if (call->prev)
        call->prev->next = call->next;
    else
        client->calls = call->next;
}

static void finish(struct http_call *call, CURLcode code, bool timeout)
{
    struct http_result result;
    http_result_fill(call, code, timeout, &result);
    call_detach(call);
    call->request.on_done(call->request.ctx, &result);
    call_free(call);
}

static void on_deadline(void *ctx)
{
    finish(ctx, CURLE_OPERATION_TIMEDOUT, true);
}

static bool follow(struct http_call *call)
{
    struct http_url to;
    if (!http_url_parse(&to, call->url.text, call->location, &call->why))
        return err_prefix(&call->why, "redirect");
    /* For good: whoever led us away must not be able to lead us back with the credentials to a place of
       its choice. */
    if (!http_url_same_origin(&call->origin, &to))
        call->foreign = true;
    http_url_free(&call->url);
    call->url = to;
    call->redirects++;
    http_response_reset(call);
    return true;
}

void http_call_resume(struct http_call *call)
{
    call->state = HTTP_DONE; /* in no list, while this is decided */
    bool ok = !err_is(&call->why) && http_easy_setup(call, &call->why);
    if (ok && call->needs_token)
        ok = http_fetch_wait(call, &call->why);
    else if (ok)
        call_add(call);
    if (!ok)
        finish(call, CURLE_FAILED_INIT, false);
}

static void unpark(void *ctx)
{
    struct http_client *client = ctx;
    while (client->parked.first && client->lookups < HTTP_LOOKUPS_MAX) {
        struct http_call *call = http_queue_pop(&client->parked);
        client->lookups++;
        call->has_lookup = true;
        call_add(call);
    }
}

/* Not at once, because this may be called from inside libcurl. */
static void unpark_soon(struct http_client *client)
{
    if (client->parked.first && client->lookups < HTTP_LOOKUPS_MAX)
        loop_timer_set(client->loop, &client->kick, loop_now(client->loop), unpark, client);
}

void http_lookup_release(struct http_call *call)
{
    if (!call->has_lookup)
        return;
    call->has_lookup = false;
    call->client->lookups--;
    unpark_soon(call->client);
}

void http_call_ended(struct http_call *call, CURLcode code)
{
    if (call->park) {
        curl_multi_remove_handle(call->multi->curl, call->easy);
        call->park = false;
        call->state = HTTP_PARKED;
        http_response_reset(call);
        http_queue_push(&call->client->parked, call);
        unpark_soon(call->client);
        return;
    }
    /* The head of a redirect is all we need; its body may have been cut. */
    if (call->skip_body && !err_is(&call->why)) {
        curl_multi_remove_handle(call->multi->curl, call->easy);
        http_lookup_release(call);
        (void)follow(call); /* or call->why says why not */
        http_call_resume(call);
        return;
    }
    finish(call, code, false);
}

void http_sweep(struct http_client *client)
{
    struct http_call *call;
    while ((call = http_queue_pop(&client->doomed))) {
        call_detach(call);
        call_free(call);
    }
    http_fetches_sweep(client);
    while ((call = http_queue_pop(&client->starting)))
        call_add(call);
}

static void copy_request(struct http_call *call, const struct http_request *request)
{
    call->request = *request;
    call->request.url = call->request.method = call->request.unix_socket = NULL;
    call->request.headers = NULL;
    call->method = xstrdup(request->method ? request->method : "GET");
    const char *own_socket = request->options ? request->options->unix_socket : NULL;
    call->unix_socket = xstrdup(request->unix_socket ? request->unix_socket : own_socket);
    size_t n = 0;
    while (request->headers && request->headers[n])
        n++;
    call->extra_headers = xcalloc(n + 1, sizeof(char *));
    for (; call->extra_headers_n < n; call->extra_headers_n++)
        call->extra_headers[call->extra_headers_n] = xstrdup(request->headers[call->extra_headers_n]);
    buf_init(&call->head, request->max_header_bytes ? request->max_header_bytes : HTTP_HEADER_BYTES_DEFAULT);
}

struct http_call *http_start(struct http_client *client, const struct http_request *request, struct err *err)
{
    struct http_call *call = xcalloc(1, sizeof *call);
    call->client = client;
    call->started_ns = clock_mono_ns();
    copy_request(call, request);
    if (!http_url_parse(&call->origin, NULL, request->url, err))
        goto fail;
    call->url = http_url_copy(&call->origin);
    call->easy = easy_get(client);
    if (!http_easy_setup(call, err))
        goto fail;
    if (call->needs_token && !http_fetch_wait(call, err))
        goto fail;
    call->multi = pick_multi(client, call);
    link_call(call);
    if (request->timeout_ms > 0)
        loop_timer_set(client->loop, &call->deadline, clock_mono_ms() + request->timeout_ms, on_deadline,
                       call);
    if (call->needs_token)
        return call;
    if (client->in_curl) {
        call->state = HTTP_STARTING;
        http_queue_push(&client->starting, call);
    } else {
        call_add(call);
    }
    return call;
fail:
    call_free(call);
    return NULL;
}

void http_cancel(struct http_client *client, struct http_call *call)
{
    if (call->state == HTTP_DONE || call->state == HTTP_DOOMED)
        return;
    if (client->in_curl && call->state == HTTP_ADDED) {
        call->state = HTTP_DOOMED;
        http_queue_push(&client->doomed, call);
        return;
    }
    call_detach(call);
    call_free(call);
}

void http_client_free(struct http_client *client)
{
    if (!client)
        return;
    /* The last one to leave a fetch cancels another call: so from the list's head each time. */
    while (client->fetches)
        http_cancel(client, http_fetch_first(client->fetches));
    while (client->calls) {
        struct http_call *call = client->calls;
        call_detach(call);
        call_free(call);
    }
    loop_timer_clear(client->loop, &client->kick);
    for (size_t i = 0; i < client->multis_n; i++)
        http_multi_free(client->multis[i]);
    for (size_t i = 0; i < client->spare_n; i++)
        curl_easy_cleanup(client->spare[i]);
    free(client->spare);
    free(client->multis);
    free(client);
}
