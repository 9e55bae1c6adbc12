/* SPDX-License-Identifier: Apache-2.0 */
/* http_fixture: a small server that misbehaves on request, and one exchange of a client with it. The first
   path segment says what the server does; see serve(). */
#ifndef OBSAGENT_TESTS_HTTP_FIXTURE_H
#define OBSAGENT_TESTS_HTTP_FIXTURE_H

#include "unit.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "http.h"

/* ---- the server ---- */

struct server {
    int fd;
    int port;
    atomic_int connections;
    atomic_int requests;
    /* Answers a request in place of serve(); false closes. Set before the server is started. */
    bool (*script)(struct server *s, int fd, const char *path, const char *text);
    void (*raw)(int fd); /* has the whole connection instead */
    char last[4096]; /* head and body of the last request; read only between exchanges */
};

static struct server server, other;

__attribute__((format(printf, 2, 3))) static inline void reply(int fd, const char *fmt, ...)
{
    char text[8192];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    ssize_t sent = send(fd, text, (size_t)n, MSG_NOSIGNAL);
    (void)sent;
}

/* Reads one request; 0 when the client has closed. */
static inline size_t read_request(int fd, char *text, size_t size)
{
    size_t n = 0, need = 0;
    while (n < size - 1) {
        ssize_t got = recv(fd, text + n, size - 1 - n, 0);
        if (got <= 0)
            return 0;
        n += (size_t)got;
        text[n] = '\0';
        char *end = strstr(text, "\r\n\r\n");
        if (!end)
            continue;
        char *length = strcasestr(text, "content-length:");
        need = (size_t)(end + 4 - text) + (length && length < end ? strtoul(length + 15, NULL, 10) : 0);
        if (n >= need)
            return n;
    }
    return n;
}

static inline void big_head(int fd)
{
    reply(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
    for (int i = 0; i < 100; i++)
        reply(fd, "X-Filler-%d: %0900d\r\n", i, 0);
    reply(fd, "\r\n");
}

/* Answers one request; false closes the connection. */
static inline bool serve(int fd, const char *path)
{
    int status;
    char location[1024];
    if (sscanf(path, "/redirect/%d/%1023s", &status, location) == 2) {
        reply(fd, "HTTP/1.1 %d Moved\r\nLocation: %s\r\nContent-Length: 4\r\n\r\nmove", status, location);
    } else if (strncmp(path, "/hang", 5) == 0) {
        char c;
        return recv(fd, &c, 1, 0) > 0;
    } else if (strncmp(path, "/partial", 8) == 0) {
        reply(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf ");
        char c;
        return recv(fd, &c, 1, 0) > 0;
    } else if (strncmp(path, "/cut", 4) == 0) {
        reply(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf ");
        return false;
    } else if (strncmp(path, "/die", 4) == 0) {
        return false;
    } else if (strncmp(path, "/answer-and-close", 17) == 0) {
        reply(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        return false;
    } else if (strncmp(path, "/big-head", 9) == 0) {
        big_head(fd);
    } else if (strncmp(path, "/early", 6) == 0) {
        reply(fd, "HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\n"
                  "HTTP/1.1 204 No Content\r\nX-Late: Value \r\n\r\n");
    } else if (strncmp(path, "/gzip", 5) == 0) {
        reply(fd, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nraw");
    } else if (strncmp(path, "/loop", 5) == 0) {
        reply(fd, "HTTP/1.1 302 Found\r\nLocation: loop\r\nContent-Length: 0\r\n\r\n");
    } else if (strncmp(path, "/500", 4) == 0) {
        reply(fd, "HTTP/1.1 500 No\r\nContent-Length: 3\r\n\r\nbad");
    } else {
        reply(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }
    return true;
}

struct connection {
    struct server *server;
    int fd;
};

static inline void *serve_connection(void *ctx)
{
    struct connection c = *(struct connection *)ctx;
    free(ctx);
    char text[sizeof c.server->last], path[1100] = "";
    bool open = !c.server->raw;
    if (c.server->raw)
        c.server->raw(c.fd);
    while (open && read_request(c.fd, text, sizeof text) > 0) {
        memcpy(c.server->last, text, strlen(text) + 1);
        if (sscanf(text, "%*s %1099s", path) != 1)
            break;
        c.server->requests++;
        open = c.server->script ? c.server->script(c.server, c.fd, path, text) : serve(c.fd, path);
    }
    close(c.fd);
    return NULL;
}

static inline void *serve_all(void *ctx)
{
    struct server *s = ctx;
    for (;;) {
        int fd = accept(s->fd, NULL, NULL);
        if (fd < 0)
            return NULL;
        s->connections++;
        struct connection *c = xmalloc(sizeof *c);
        *c = (struct connection){s, fd};
        pthread_t thread;
        pthread_create(&thread, NULL, serve_connection, c);
        pthread_detach(thread);
    }
}

static inline void server_start(struct server *s)
{
    s->fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    assert_int_equal(bind(s->fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(s->fd, 64), 0);
    getsockname(s->fd, (struct sockaddr *)&a, &n);
    s->port = ntohs(a.sin_port);
    pthread_t thread;
    pthread_create(&thread, NULL, serve_all, s);
    pthread_detach(thread);
}

/* ---- one exchange ---- */

static struct loop *loop;
static struct http_client *client;

struct outcome {
    struct http_result result;
    char error[512];
    char body[4096];
    size_t body_n;
    char headers[4096];
    size_t body_stop; /* refuse the body after that many bytes; 0 = never */
    int done;
    bool keep_running;
};

static inline void note_header(void *ctx, struct str name, struct str value)
{
    struct outcome *o = ctx;
    size_t n = strlen(o->headers);
    snprintf(o->headers + n, sizeof o->headers - n, "%.*s=%.*s;", STR_ARG(name), STR_ARG(value));
}

static inline bool note_body(void *ctx, long status, const void *p, size_t n)
{
    struct outcome *o = ctx;
    (void)status;
    assert_true(o->body_n + n < sizeof o->body);
    memcpy(o->body + o->body_n, p, n);
    o->body_n += n;
    return o->body_stop == 0 || o->body_n < o->body_stop;
}

static inline void note_done(void *ctx, const struct http_result *result)
{
    struct outcome *o = ctx;
    o->result = *result;
    snprintf(o->error, sizeof o->error, "%.*s", STR_ARG(result->error));
    o->done++;
    if (!o->keep_running)
        loop_stop(loop);
}

static inline struct http_request request_to(const char *url, struct outcome *o)
{
    *o = (struct outcome){0};
    return (struct http_request){
        .url = url,
        .timeout_ms = 5000,
        .on_header = note_header,
        .on_body = note_body,
        .on_done = note_done,
        .ctx = o,
    };
}

static inline void run(const struct http_request *request, struct outcome *o)
{
    struct err err = {0};
    struct http_call *call = http_start(client, request, &err);
    if (!call)
        fail_msg("http_start: %s", err.msg);
    assert_int_equal(o->done, 0);
    loop_run(loop);
    assert_int_equal(o->done, 1);
}

/* The URL of a path on a server; a ring of static buffers. */
static inline const char *at(const struct server *s, const char *path)
{
    static char urls[8][1024];
    static int next;
    char *url = urls[next++ % 8];
    snprintf(url, sizeof urls[0], "http://127.0.0.1:%d%s", s->port, path);
    return url;
}

static inline struct outcome get(const char *url, const struct http_options *options)
{
    struct outcome o;
    struct http_request r = request_to(url, &o);
    r.options = options;
    run(&r, &o);
    return o;
}

static inline int setup(void **state)
{
    (void)state;
    loop = loop_new();
    client = http_client_new(loop, (struct http_client_limits){.connections = 16});
    server.connections = server.requests = other.connections = other.requests = 0;
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    http_client_free(client);
    loop_free(loop);
    return 0;
}

#endif
