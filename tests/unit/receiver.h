/* SPDX-License-Identifier: Apache-2.0 */
/* receiver: a scripted remote-write receiver in this process. A script decides what becomes of each request;
   what was accepted is written down and checked for order and repetition. Series carry a label id="N". */
#ifndef OBSAGENT_TESTS_RECEIVER_H
#define OBSAGENT_TESTS_RECEIVER_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <snappy-c.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/str.h"
#include "rw1.pb-c.h"

#define IDS 4096
#define CONNECTIONS_MAX 256

struct incoming {
    size_t number; /* from 0, samples and metadata each for themselves */
    size_t samples, metadata, raw_bytes; /* samples: histograms among them */
    size_t exemplars;
    const bool *has;    /* by id */
    const char *head;   /* request line and headers */
    const char *path;
};

enum reaction_how { ANSWER, HANG, RESET, ANSWER_THEN_DIE };

struct reaction {
    long status;
    const char *headers; /* "Name: value\r\n"..., or NULL */
    const char *body;
    enum reaction_how how;
};

struct receiver;
typedef struct reaction script_fn(struct receiver *r, const struct incoming *in);

struct receiver {
    int fd;
    unsigned port;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stopping;
    int connections[CONNECTIONS_MAX];
    size_t connections_n, connections_total;
    script_fn *script;
    void *ctx;
    /* What came. */
    size_t requests, metadata_requests, metadata_entries;
    int64_t times[65536]; /* of requests with samples, monotonic ms */
    long statuses[65536];
    char last_head[4096];
    /* What was accepted. */
    uint64_t accepted, repeated, disordered, exemplars;
    int64_t last_ts[IDS];
};

static bool send_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        p += sent;
        n -= (size_t)sent;
    }
    return true;
}

static void reset_connection(int fd)
{
    struct linger now = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

/* Reads one request into *data (grown as needed); the body starts at *body_at. False when the connection
   ends. */
static bool read_request(int fd, char **data, size_t *cap, size_t *body_at, size_t *body_n)
{
    size_t n = 0, want = SIZE_MAX;
    *body_at = 0;
    while (n < want) {
        *data = xgrow(*data, cap, n + 65536, 1);
        ssize_t got = recv(fd, *data + n, 65535, 0);
        if (got <= 0)
            return false;
        n += (size_t)got;
        (*data)[n] = '\0';
        char *end = *body_at ? NULL : strstr(*data, "\r\n\r\n");
        if (end) {
            *body_at = (size_t)(end - *data) + 4;
            const char *length = strcasestr(*data, "\r\ncontent-length:");
            *body_n = length ? strtoul(length + 17, NULL, 10) : 0;
            want = *body_at + *body_n;
            end[3] = '\0';
        }
    }
    return true;
}

static size_t id_of(const Prometheus__TimeSeries *series)
{
    for (size_t i = 0; i < series->n_labels; i++) {
        if (strcmp(series->labels[i]->name, "id") == 0)
            return strtoul(series->labels[i]->value, NULL, 10) % IDS;
    }
    return 0;
}

static void accept_samples(struct receiver *r, const Prometheus__WriteRequest *request)
{
    for (size_t i = 0; i < request->n_timeseries; i++) {
        const Prometheus__TimeSeries *series = request->timeseries[i];
        size_t id = id_of(series);
        for (size_t k = 0; k < series->n_samples + series->n_histograms; k++) {
            size_t h = k - series->n_samples; /* of those behind the floats */
            int64_t ts = k < series->n_samples ? series->samples[k]->timestamp : series->histograms[h]->timestamp;
            r->accepted++;
            r->repeated += ts == r->last_ts[id];
            r->disordered += ts < r->last_ts[id];
            r->last_ts[id] = ts;
        }
    }
}

static Prometheus__WriteRequest *decode(const char *body, size_t n, size_t *raw_n)
{
    if (snappy_uncompressed_length(body, n, raw_n) != SNAPPY_OK)
        return NULL;
    char *raw = xmalloc(*raw_n + 1);
    Prometheus__WriteRequest *request = NULL;
    if (snappy_uncompress(body, n, raw, raw_n) == SNAPPY_OK)
        request = prometheus__write_request__unpack(NULL, *raw_n, (const uint8_t *)raw);
    free(raw);
    return request;
}

/* Asks the script, writes down what came and what is accepted. Under no lock. */
static struct reaction judge(struct receiver *r, const char *head, const char *body, size_t body_n)
{
    static const struct reaction UNREADABLE = {.status = 400, .body = "unreadable"};
    struct incoming in = {.head = head, .path = strchr(head, ' ') + 1};
    Prometheus__WriteRequest *request = decode(body, body_n, &in.raw_bytes);
    if (!request)
        return UNREADABLE;
    bool *has = xcalloc(IDS, sizeof *has);
    for (size_t i = 0; i < request->n_timeseries; i++) {
        has[id_of(request->timeseries[i])] = true;
        in.samples += request->timeseries[i]->n_samples + request->timeseries[i]->n_histograms;
        in.exemplars += request->timeseries[i]->n_exemplars;
    }
    in.has = has;
    in.metadata = request->n_metadata;
    pthread_mutex_lock(&r->lock);
    in.number = in.samples ? r->requests++ : r->metadata_requests++;
    struct reaction reaction = r->script ? r->script(r, &in) : (struct reaction){.status = 204};
    bool taken = reaction.status / 100 == 2 && (reaction.how == ANSWER || reaction.how == ANSWER_THEN_DIE);
    if (taken)
        accept_samples(r, request);
    if (taken) {
        r->metadata_entries += in.metadata;
        r->exemplars += in.exemplars;
    }
    if (in.samples && in.number < 65536) {
        r->times[in.number] = clock_mono_ms();
        r->statuses[in.number] = reaction.status;
    }
    snprintf(r->last_head, sizeof r->last_head, "%s", head);
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
    free(has);
    prometheus__write_request__free_unpacked(request, NULL);
    return reaction;
}

static void hang(int fd)
{
    char c;
    while (recv(fd, &c, 1, 0) > 0)
        ;
}

static bool answer(int fd, const struct reaction *reaction)
{
    const char *body = reaction->body ? reaction->body : "";
    char text[4096];
    int n = snprintf(text, sizeof text, "HTTP/1.1 %ld Whatever\r\n%sContent-Length: %zu\r\n\r\n%s",
                     reaction->status, reaction->headers ? reaction->headers : "",
                     reaction->status == 204 ? 0 : strlen(body), reaction->status == 204 ? "" : body);
    return send_all(fd, text, (size_t)n);
}

struct connection {
    struct receiver *r;
    int fd;
};

static void serve_connection(struct receiver *r, int fd)
{
    char *data = NULL;
    size_t cap = 0, body_at, body_n = 0;
    bool dying = false;
    while (read_request(fd, &data, &cap, &body_at, &body_n)) {
        if (dying) {
            reset_connection(fd);
            break;
        }
        struct reaction reaction = judge(r, data, data + body_at, body_n);
        if (reaction.how == HANG)
            hang(fd);
        if (reaction.how == RESET)
            reset_connection(fd);
        if (reaction.how == HANG || reaction.how == RESET || !answer(fd, &reaction))
            break;
        dying = reaction.how == ANSWER_THEN_DIE;
    }
    free(data);
}

static void *connection_main(void *ctx)
{
    struct connection *c = ctx;
    struct receiver *r = c->r;
    serve_connection(r, c->fd);
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->connections_n; i++) {
        if (r->connections[i] == c->fd)
            r->connections[i] = r->connections[--r->connections_n];
    }
    close(c->fd);
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
    free(c);
    return NULL;
}

static void *receiver_main(void *ctx)
{
    struct receiver *r = ctx;
    for (;;) {
        int fd = accept(r->fd, NULL, NULL);
        if (fd < 0)
            return NULL;
        struct connection *c = xcalloc(1, sizeof *c);
        *c = (struct connection){r, fd};
        pthread_mutex_lock(&r->lock);
        assert_true(r->connections_n < CONNECTIONS_MAX);
        r->connections[r->connections_n++] = fd;
        r->connections_total++;
        pthread_mutex_unlock(&r->lock);
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, connection_main, c), 0);
        pthread_detach(thread);
    }
}

static struct receiver *receiver_start(script_fn *script, void *ctx)
{
    struct receiver *r = xcalloc(1, sizeof *r);
    r->script = script;
    r->ctx = ctx;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->changed, NULL);
    for (size_t i = 0; i < IDS; i++)
        r->last_ts[i] = INT64_MIN;
    r->fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    assert_int_equal(bind(r->fd, (struct sockaddr *)&a, n), 0);
    assert_int_equal(listen(r->fd, 64), 0);
    assert_int_equal(getsockname(r->fd, (struct sockaddr *)&a, &n), 0);
    r->port = ntohs(a.sin_port);
    assert_int_equal(pthread_create(&r->thread, NULL, receiver_main, r), 0);
    return r;
}

static void receiver_stop(struct receiver *r)
{
    shutdown(r->fd, SHUT_RDWR);
    pthread_join(r->thread, NULL);
    close(r->fd);
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->connections_n; i++)
        shutdown(r->connections[i], SHUT_RDWR);
    while (r->connections_n)
        pthread_cond_wait(&r->changed, &r->lock);
    pthread_mutex_unlock(&r->lock);
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->changed);
    free(r);
}

static void receiver_script(struct receiver *r, script_fn *script)
{
    pthread_mutex_lock(&r->lock);
    r->script = script;
    pthread_mutex_unlock(&r->lock);
}

static size_t receiver_requests(struct receiver *r)
{
    pthread_mutex_lock(&r->lock);
    size_t n = r->requests;
    pthread_mutex_unlock(&r->lock);
    return n;
}

#endif
