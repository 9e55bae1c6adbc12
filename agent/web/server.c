/* SPDX-License-Identifier: Apache-2.0 */
/* server: libmicrohttpd around the routes. One thread with a small stack and a bounded number of connections:
   pages are small and rare, and nobody who asks may cost the scraper anything. */
#include "web.h"

#include "auth.h"
#include "collect.h"
#include "history.h"
#include "listen.h"
#include "route.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

#include <microhttpd.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 64
#define IDLE_TIMEOUT_S 30
/* Of one connection, for its headers. */
#define CONNECTION_BYTES ((size_t)16 << 10)
/* A reload loads a whole configuration on this stack; what is not touched costs nothing. */
#define STACK_BYTES ((size_t)512 << 10)
#define ANSWER_MAX ((size_t)256 << 20)
#define UPLOAD_MAX ((size_t)64 << 10)
#define STOP_WAIT_MS 2000

/* Those that are answered; anything else is counted under the last. */
static const unsigned STATUSES[] = {200, 400, 401, 403, 404, 405, 422, 429, 500, 503};
#define STATUSES_N (sizeof STATUSES / sizeof STATUSES[0])

struct web {
    struct web_options options;
    struct auth *auth;
    struct listen_socket socket;
    struct MHD_Daemon *daemon;
    atomic_int in_progress;
    atomic_uint_fast64_t requests[ROUTE_COUNTED_MAX][STATUSES_N];
    atomic_bool started;
    char last_message[256]; /* of libmicrohttpd before that, to explain a failed start */
};

/* ---- counting ---- */

static void count_request(struct web *w, const char *path, unsigned status)
{
    size_t s = 0;
    while (s + 1 < STATUSES_N && STATUSES[s] != status)
        s++;
    atomic_fetch_add(&w->requests[route_counted_index(path)][s], 1);
}

static void collect_requests(void *ctx, struct metric_out *out)
{
    struct web *w = ctx;
    for (size_t r = 0; r < ROUTE_COUNTED_MAX; r++) {
        for (size_t s = 0; s < STATUSES_N; s++) {
            uint64_t n = atomic_load(&w->requests[r][s]);
            char status[16];
            if (n == 0)
                continue;
            snprintf(status, sizeof status, "%u", STATUSES[s]);
            metric_emit(out, METRIC_HTTP_REQUESTS, (double)n, "path", route_counted_path(r), "status", status,
                        NULL);
        }
    }
}

/* ---- answering ---- */

static void add_headers(struct web *w, struct MHD_Response *response, const struct route_reply *reply)
{
    static const char *const FIXED[][2] = {
        {"X-Content-Type-Options", "nosniff"},
        {"X-Frame-Options", "DENY"},
        {"Referrer-Policy", "no-referrer"},
        {"Content-Security-Policy",
         "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; "
         "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"},
    };
    const struct web_config *c = auth_config(w->auth);
    for (size_t i = 0; i < sizeof FIXED / sizeof FIXED[0]; i++)
        (void)MHD_add_response_header(response, FIXED[i][0], FIXED[i][1]);
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply->content_type);
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL,
                                  reply->keeps ? "private, max-age=31536000, immutable" : "no-store");
    if (reply->allow)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, reply->allow);
    if (reply->status == MHD_HTTP_UNAUTHORIZED)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, auth_challenge(w->auth));
    for (size_t i = 0; c && i < c->headers_n; i++) {
        (void)MHD_del_response_header(response, c->headers[i].name,
                                      MHD_get_response_header(response, c->headers[i].name));
        (void)MHD_add_response_header(response, c->headers[i].name, c->headers[i].value);
    }
}

/* Takes the reply's body. */
static enum MHD_Result send_reply(struct web *w, struct MHD_Connection *connection, const char *path,
                                  struct route_reply *reply)
{
    size_t n = reply->body.n;
    (void)buf_c(&reply->body);
    char *body = buf_take(&reply->body);
    count_request(w, path, reply->status);
    struct MHD_Response *response = MHD_create_response_from_buffer(n, body, MHD_RESPMEM_MUST_FREE);
    if (!response) {
        free(body);
        return MHD_NO;
    }
    add_headers(w, response, reply);
    enum MHD_Result result = MHD_queue_response(connection, reply->status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result refuse(struct web *w, struct MHD_Connection *connection, const char *path,
                              unsigned status)
{
    struct route_reply reply = {.status = status, .content_type = "text/plain; charset=utf-8"};
    buf_init(&reply.body, 256);
    buf_add_c(&reply.body, status == MHD_HTTP_UNAUTHORIZED ? "Unauthorized\n" : "Too many passwords tried\n");
    return send_reply(w, connection, path, &reply);
}

static const char *find_arg(void *ctx, const char *name)
{
    return MHD_lookup_connection_value(ctx, MHD_GET_ARGUMENT_KIND, name);
}

static enum route_method method_of(const char *method)
{
    if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)
        return ROUTE_GET;
    if (strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0)
        return ROUTE_POST;
    return ROUTE_OTHER;
}

/* Browsers ask for it by name; curl takes anything. */
static bool wants_html(struct MHD_Connection *connection)
{
    const char *accept = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
    return accept && strstr(accept, "text/html");
}

static enum MHD_Result answer(struct web *w, struct MHD_Connection *connection, const char *path,
                              const char *method)
{
    struct route_request request = {
        .method = method_of(method), .path = path, .arg = find_arg, .ctx = connection,
        .html = wants_html(connection)};
    struct route_reply reply = {0};
    buf_init(&reply.body, ANSWER_MAX);
    route_answer(&w->options, &request, &reply);
    return send_reply(w, connection, path, &reply);
}

/* Called once when the headers are there, then for each piece of an upload, then with none left. *state
   counts the bytes of the upload, which nothing here wants, plus one. */
static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_n, void **state)
{
    struct web *w = ctx;
    (void)version;
    (void)upload;
    uintptr_t seen = (uintptr_t)*state;
    if (seen == 0) {
        atomic_fetch_add(&w->in_progress, 1);
        *state = (void *)(uintptr_t)1;
        enum auth_result may = auth_check(
            w->auth, MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION));
        if (may == AUTH_OK)
            return MHD_YES;
        return refuse(w, connection, path,
                      may == AUTH_BUSY ? MHD_HTTP_TOO_MANY_REQUESTS : MHD_HTTP_UNAUTHORIZED);
    }
    if (*upload_n == 0)
        return answer(w, connection, path, method);
    seen += *upload_n;
    *state = (void *)seen;
    *upload_n = 0;
    return seen > UPLOAD_MAX ? MHD_NO : MHD_YES;
}

static void on_completed(void *ctx, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode why)
{
    struct web *w = ctx;
    (void)connection;
    (void)why;
    if (*state)
        atomic_fetch_sub(&w->in_progress, 1);
    *state = NULL;
}

static void on_message(void *ctx, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
static void on_message(void *ctx, const char *fmt, va_list ap)
{
    struct web *w = ctx;
    char line[sizeof w->last_message];
    vsnprintf(line, sizeof line, fmt, ap);
    struct str trimmed = str_trim(str_of(line));
    if (!atomic_load(&w->started))
        snprintf(w->last_message, sizeof w->last_message, "%.*s", STR_ARG(trimmed));
    log_debug("web", "%.*s", STR_ARG(trimmed));
}

/* ---- life ---- */

static bool start_daemon(struct web *w, struct err *err)
{
    const struct web_config *c = auth_config(w->auth);
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ERROR_LOG | MHD_USE_ITC;
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_END, 0, NULL},
        {MHD_OPTION_END, 0, NULL},
        {MHD_OPTION_END, 0, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    if (c && c->cert_pem) {
        if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES)
            return err_set(err, "the HTTP server was built without TLS");
        flags |= MHD_USE_TLS;
        tls[0] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, c->key_pem};
        tls[1] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, c->cert_pem};
        tls[2] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)c->tls_priorities};
    }
    w->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, w, MHD_OPTION_EXTERNAL_LOGGER, on_message, w,
        MHD_OPTION_LISTEN_SOCKET, w->socket.fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        CONNECTION_BYTES, MHD_OPTION_THREAD_STACK_SIZE, STACK_BYTES, MHD_OPTION_NOTIFY_COMPLETED,
        on_completed, w, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
    atomic_store(&w->started, w->daemon != NULL);
    if (w->daemon)
        return true;
    return err_set(err, "cannot start the HTTP server: %s",
                   w->last_message[0] ? w->last_message : "unknown reason");
}

static void free_web(struct web *w)
{
    if (w->socket.fd >= 0)
        close(w->socket.fd);
    auth_free(w->auth);
    free((char *)w->options.listen_address);
    free((char *)w->options.web_config_file);
    history_free(w->options.sources.history);
    free(w);
}

struct web *web_start(const struct web_options *options, struct err *err)
{
    struct web *w = xcalloc(1, sizeof *w);
    w->options = *options;
    w->options.listen_address = xstrdup(options->listen_address);
    w->options.web_config_file = xstrdup(options->web_config_file);
    w->options.sources.history = history_new();
    w->socket.fd = -1;
    w->auth = auth_new(options->web_config_file, err);
    if (!w->auth || !listen_open(options->listen_address, &w->socket, err) || !start_daemon(w, err)) {
        free_web(w);
        return NULL;
    }
    metrics_register(process_collect, NULL);
    metrics_register(collect_sources, &w->options.sources);
    metrics_register(collect_requests, w);
    const struct web_config *c = auth_config(w->auth);
    log_info("web", "listening on %s://%s", c && c->cert_pem ? "https" : "http", w->socket.shown);
    return w;
}

unsigned web_port(const struct web *w)
{
    return w->socket.port;
}

void web_tick(struct web *w)
{
    history_tick(w->options.sources.history, &w->options.sources, clock_mono_ms());
}

/* Kept-alive connections are idle most of the time: what counts is whether one is being answered. */
static void wait_for_answers(struct web *w)
{
    int64_t end = clock_mono_ms() + STOP_WAIT_MS;
    struct timespec pause = {.tv_nsec = 5 * 1000000L};
    while (atomic_load(&w->in_progress) > 0 && clock_mono_ms() < end)
        nanosleep(&pause, NULL);
}

void web_stop(struct web *w)
{
    (void)MHD_quiesce_daemon(w->daemon);
    wait_for_answers(w);
    MHD_stop_daemon(w->daemon);
    metrics_unregister(collect_requests, w);
    metrics_unregister(collect_sources, &w->options.sources);
    metrics_unregister(process_collect, NULL);
    free_web(w);
}
