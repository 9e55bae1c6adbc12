/* SPDX-License-Identifier: Apache-2.0 */
/* test_http: the HTTP client against a small server that misbehaves on request. The first path segment
   says what the server does; see serve(). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "http.h"

/* ---- the server ---- */

struct server {
    int fd;
    int port;
    atomic_int connections;
    atomic_int requests;
    char last[4096]; /* head and body of the last request; read only between exchanges */
};

static struct server server, other;

static void reply(int fd, const char *fmt, ...)
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
static size_t read_request(int fd, char *text, size_t size)
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

static void big_head(int fd)
{
    reply(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
    for (int i = 0; i < 100; i++)
        reply(fd, "X-Filler-%d: %0900d\r\n", i, 0);
    reply(fd, "\r\n");
}

/* Answers one request; false closes the connection. */
static bool serve(int fd, const char *path)
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

static void *serve_connection(void *ctx)
{
    struct connection c = *(struct connection *)ctx;
    free(ctx);
    char text[sizeof c.server->last], path[1100] = "";
    bool open = true;
    while (open && read_request(c.fd, text, sizeof text) > 0) {
        memcpy(c.server->last, text, strlen(text) + 1);
        if (sscanf(text, "%*s %1099s", path) != 1)
            break;
        c.server->requests++;
        open = serve(c.fd, path);
    }
    close(c.fd);
    return NULL;
}

static void *serve_all(void *ctx)
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

static void server_start(struct server *s)
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

static void note_header(void *ctx, struct str name, struct str value)
{
    struct outcome *o = ctx;
    size_t n = strlen(o->headers);
    snprintf(o->headers + n, sizeof o->headers - n, "%.*s=%.*s;", STR_ARG(name), STR_ARG(value));
}

static bool note_body(void *ctx, long status, const void *p, size_t n)
{
    struct outcome *o = ctx;
    (void)status;
    assert_true(o->body_n + n < sizeof o->body);
    memcpy(o->body + o->body_n, p, n);
    o->body_n += n;
    return o->body_stop == 0 || o->body_n < o->body_stop;
}

static void note_done(void *ctx, const struct http_result *result)
{
    struct outcome *o = ctx;
    o->result = *result;
    snprintf(o->error, sizeof o->error, "%.*s", STR_ARG(result->error));
    o->done++;
    if (!o->keep_running)
        loop_stop(loop);
}

static struct http_request request_to(const char *url, struct outcome *o)
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

static void run(const struct http_request *request, struct outcome *o)
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
static const char *at(const struct server *s, const char *path)
{
    static char urls[8][1024];
    static int next;
    char *url = urls[next++ % 8];
    snprintf(url, sizeof urls[0], "http://127.0.0.1:%d%s", s->port, path);
    return url;
}

static struct outcome get(const char *url, const struct http_options *options)
{
    struct outcome o;
    struct http_request r = request_to(url, &o);
    r.options = options;
    run(&r, &o);
    return o;
}

static int setup(void **state)
{
    (void)state;
    loop = loop_new();
    client = http_client_new(loop, (struct http_client_limits){.connections = 16});
    server.connections = server.requests = other.connections = other.requests = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    http_client_free(client);
    loop_free(loop);
    return 0;
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* ---- plain exchanges ---- */

static void body_status_and_headers_arrive(void **state)
{
    (void)state;
    struct outcome o = get(at(&server, "/x?a=b"), NULL);
    assert_true(o.result.ok);
    assert_int_equal(o.result.status, 200);
    assert_int_equal(o.result.bytes_received, 2);
    assert_memory_equal(o.body, "ok", 2);
    assert_string_equal(o.headers, "content-length=2;");
    assert_non_null(strstr(server.last, "GET /x?a=b HTTP/1.1\r\n"));
    o = get(at(&server, "/500"), NULL);
    assert_true(o.result.ok);
    assert_int_equal(o.result.status, 500);
    assert_memory_equal(o.body, "bad", 3);
}

static void connections_are_kept(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        assert_true(get(at(&server, "/"), NULL).result.ok);
    assert_int_equal(server.connections, 1);
    assert_int_equal(server.requests, 5);
    struct outcome o;
    struct http_request r = request_to(at(&server, "/"), &o);
    r.fresh_connection = true;
    run(&r, &o);
    assert_int_equal(server.connections, 2);
}

static void body_is_not_decoded(void **state)
{
    (void)state;
    struct outcome o = get(at(&server, "/gzip"), NULL);
    assert_true(o.result.ok);
    assert_memory_equal(o.body, "raw", 3);
    assert_null(strcasestr(server.last, "accept-encoding"));
}

static void interim_response_is_not_the_final_one(void **state)
{
    (void)state;
    struct outcome o = get(at(&server, "/early"), NULL);
    assert_int_equal(o.result.status, 204);
    assert_string_equal(o.headers, "x-late=Value;");
}

static void request_headers_and_body_are_sent(void **state)
{
    (void)state;
    struct http_header configured[] = {{(char[]){"X-Both"}, (char[]){"configured"}, false}};
    struct http_options options = {.headers = configured, .headers_n = 1};
    const char *headers[] = {"X-One: 1", "x-both: caller", "X-Empty:", NULL};
    struct outcome o;
    struct http_request r = request_to(at(&server, "/"), &o);
    r.method = "POST";
    r.headers = headers;
    r.options = &options;
    r.body = STR("some body");
    run(&r, &o);
    assert_true(o.result.ok);
    assert_int_equal(o.result.bytes_sent, 9);
    assert_non_null(strstr(server.last, "POST / HTTP/1.1\r\n"));
    assert_non_null(strstr(server.last, "X-One: 1\r\n"));
    assert_non_null(strstr(server.last, "X-Empty:\r\n"));
    assert_non_null(strstr(server.last, "X-Both: configured\r\n"));
    assert_null(strstr(server.last, "caller"));
    assert_null(strcasestr(server.last, "expect:"));
    assert_null(strcasestr(server.last, "content-type:"));
    assert_non_null(strstr(server.last, "\r\n\r\nsome body"));
}

static void line_break_in_a_header_is_refused(void **state)
{
    (void)state;
    const char *headers[] = {"X-One: 1\r\nX-Two: 2", NULL};
    struct outcome o;
    struct err err = {0};
    struct http_request r = request_to(at(&server, "/"), &o);
    r.headers = headers;
    assert_null(http_start(client, &r, &err));
    assert_string_equal(err.msg, "header X-One: the value contains a line break");
}

static void bad_urls_are_refused_without_showing_them(void **state)
{
    (void)state;
    const char *const bad[] = {"", "ftp://user:secret@host/", "http://", "file:///etc/passwd",
                               "http://user:secret@:x/", "http://user:secret@h:70000/", "http://:80/"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct outcome o;
        struct err err = {0};
        struct http_request r = request_to(bad[i], &o);
        assert_null(http_start(client, &r, &err));
        assert_true(str_starts(str_of(err.msg), STR("invalid URL: ")));
        assert_null(strstr(err.msg, "secret"));
    }
}

/* ---- what goes wrong ---- */

static void refused_connection_says_so(void **state)
{
    (void)state;
    struct outcome o = get("http://user:secret@127.0.0.1:1/", NULL);
    assert_false(o.result.ok);
    assert_false(o.result.timeout);
    assert_int_equal(o.result.status, 0);
    assert_non_null(strstr(o.error, "Connection refused"));
    assert_null(strstr(o.error, "secret"));
}

static void timeout_names_the_phase(void **state)
{
    (void)state;
    struct outcome o;
    struct http_request r = request_to(at(&server, "/hang"), &o);
    r.timeout_ms = 50;
    run(&r, &o);
    assert_true(o.result.timeout);
    assert_false(o.result.ok);
    assert_string_equal(o.error, "context deadline exceeded (50ms) while waiting for the response");
    r = request_to(at(&server, "/partial"), &o);
    r.timeout_ms = 50;
    run(&r, &o);
    assert_true(o.result.timeout);
    assert_int_equal(o.result.status, 200);
    assert_string_equal(o.error, "context deadline exceeded (50ms) while reading the body");
    assert_memory_equal(o.body, "half ", 5);
}

/* A listener whose backlog is full does not answer. */
static void timeout_while_connecting(void **state)
{
    (void)state;
    struct server full = {.fd = socket(AF_INET, SOCK_STREAM, 0)};
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    assert_int_equal(bind(full.fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(full.fd, 0), 0);
    getsockname(full.fd, (struct sockaddr *)&a, &n);
    full.port = ntohs(a.sin_port);
    int fill[4];
    for (int i = 0; i < 4; i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fill[i], (struct sockaddr *)&a, sizeof a);
    }
    struct outcome o;
    struct http_request r = request_to(at(&full, "/"), &o);
    r.timeout_ms = 100;
    run(&r, &o);
    assert_true(o.result.timeout);
    assert_string_equal(o.error, "context deadline exceeded (100ms) while connecting");
    for (int i = 0; i < 4; i++)
        close(fill[i]);
    close(full.fd);
}

static void cut_body_is_an_error(void **state)
{
    (void)state;
    struct outcome o = get(at(&server, "/cut"), NULL);
    assert_false(o.result.ok);
    assert_int_equal(o.result.status, 200);
    assert_int_equal(o.result.bytes_received, 5);
    assert_true(o.error[0]);
}

static void connection_that_died_while_idle_does_no_harm(void **state)
{
    (void)state;
    assert_true(get(at(&server, "/answer-and-close"), NULL).result.ok);
    usleep(20000);
    assert_true(get(at(&server, "/"), NULL).result.ok);
    assert_int_equal(server.connections, 2);
}

static void connection_that_dies_on_reuse_is_retried(void **state)
{
    (void)state;
    assert_true(get(at(&server, "/"), NULL).result.ok);
    struct outcome o = get(at(&server, "/die"), NULL);
    assert_false(o.result.ok);
    /* libcurl retried on a fresh connection, which died as well: then it is not the old connection's
       fault. */
    assert_true(o.result.reused_dead || server.connections == 2);
    o = get(at(&server, "/die"), NULL);
    assert_false(o.result.reused_dead);
}

static void receiver_may_stop_the_body(void **state)
{
    (void)state;
    struct outcome o;
    struct http_request r = request_to(at(&server, "/"), &o);
    r.timeout_ms = 5000;
    o.body_stop = 1;
    run(&r, &o);
    assert_true(o.result.aborted);
    assert_false(o.result.ok);
    assert_int_equal(o.result.status, 200);
}

static void headers_are_bounded(void **state)
{
    (void)state;
    struct outcome o = get(at(&server, "/big-head"), NULL);
    assert_false(o.result.ok);
    assert_string_equal(o.error, "the response's headers are larger than 16384 bytes");
    assert_string_equal(o.headers, "");
    struct http_request r = request_to(at(&server, "/"), &o);
    r.max_header_bytes = 10;
    run(&r, &o);
    assert_string_equal(o.error, "the response's headers are larger than 10 bytes");
    assert_true(get(at(&server, "/"), NULL).result.ok);
}

/* ---- redirects ---- */

static const struct http_options following = {
    .follow_redirects = true,
    .has_authorization = true,
    .credentials = {.value = (char[]){"tok"}},
};

static void redirects_are_followed_with_the_final_response_only(void **state)
{
    (void)state;
    struct outcome o = get(at(&server, "/redirect/302//there?x=1"), &following);
    assert_true(o.result.ok);
    assert_int_equal(o.result.status, 200);
    assert_memory_equal(o.body, "ok", 3);
    assert_string_equal(o.headers, "content-length=2;");
    assert_non_null(strstr(server.last, "GET /there?x=1 "));
    assert_non_null(strstr(server.last, "Authorization: Bearer tok\r\n"));
    assert_int_equal(server.connections, 1);
}

static void redirect_to_another_host_drops_what_identifies_us(void **state)
{
    (void)state;
    struct http_header secret[] = {{(char[]){"X-Key"}, (char[]){"s"}, true},
                                   {(char[]){"X-Plain"}, (char[]){"p"}, false}};
    struct http_options options = following;
    options.headers = secret;
    options.headers_n = 2;
    char path[256];
    snprintf(path, sizeof path, "/redirect/307/%s", at(&other, "/away"));
    struct outcome o = get(at(&server, path), &options);
    assert_true(o.result.ok);
    assert_int_equal(other.requests, 1);
    assert_null(strstr(other.last, "Authorization"));
    assert_null(strstr(other.last, "X-Key"));
    assert_non_null(strstr(other.last, "X-Plain: p\r\n"));
    /* Not even when it leads back. */
    char back[512];
    snprintf(path, sizeof path, "/redirect/307/%s", at(&server, "/back"));
    snprintf(back, sizeof back, "/redirect/307/%s", at(&other, path));
    o = get(at(&server, back), &options);
    assert_true(o.result.ok);
    assert_non_null(strstr(server.last, "GET /back "));
    assert_null(strstr(server.last, "Authorization"));
}

static void redirects_are_not_followed_when_off(void **state)
{
    (void)state;
    struct http_options options = {.follow_redirects = false};
    struct outcome o = get(at(&server, "/redirect/302//there"), &options);
    assert_true(o.result.ok);
    assert_int_equal(o.result.status, 302);
    assert_memory_equal(o.body, "move", 4);
}

static void endless_redirects_end(void **state)
{
    (void)state;
    struct outcome o = get(at(&server, "/loop"), &following);
    assert_false(o.result.ok);
    assert_string_equal(o.error, "stopped after 10 redirects");
    assert_int_equal(server.requests, 11);
}

static void post_is_repeated_by_307_and_308_only(void **state)
{
    (void)state;
    static const struct {
        int status;
        bool followed;
    } cases[] = {{301, false}, {302, false}, {303, false}, {307, true}, {308, true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[64];
        snprintf(path, sizeof path, "/redirect/%d//next", cases[i].status);
        struct outcome o;
        struct http_request r = request_to(at(&server, path), &o);
        r.method = "POST";
        r.body = STR("payload");
        r.options = &following;
        run(&r, &o);
        assert_true(o.result.ok);
        assert_int_equal(o.result.status, cases[i].followed ? 200 : cases[i].status);
        assert_int_equal(strstr(server.last, "POST /next ") != NULL, cases[i].followed);
        assert_non_null(strstr(server.last, "\r\n\r\npayload"));
    }
}

static void redirect_to_another_scheme_is_refused(void **state)
{
    (void)state;
    struct outcome o = get(at(&server, "/redirect/302/file:///etc/passwd"), &following);
    assert_false(o.result.ok);
    assert_string_equal(o.error, "redirect: invalid URL: the scheme must be http or https");
}

/* ---- credentials ---- */

static void expect_authorization(const struct http_options *options, const char *url, const char *line)
{
    assert_true(get(url, options).result.ok);
    char want[256];
    snprintf(want, sizeof want, "\r\nAuthorization: %s\r\n", line);
    if (!strstr(server.last, want))
        fail_msg("no %s in %s", want, server.last);
}

static void authorization_takes_all_forms(void **state)
{
    (void)state;
    struct http_options bearer = {.has_authorization = true, .credentials = {.value = (char[]){"t0k"}}};
    struct http_options raw = bearer, token = bearer;
    raw.authorization_type = (char[]){""};
    token.authorization_type = (char[]){"Token"};
    struct http_options basic = {.has_basic_auth = true,
                                 .username = {.value = (char[]){"me"}},
                                 .password = {.value = (char[]){"pass word"}}};
    char url[128];
    snprintf(url, sizeof url, "http://u%%40x:p@127.0.0.1:%d/", server.port);
    const char *plain = at(&server, "/");
    expect_authorization(&bearer, plain, "Bearer t0k");
    expect_authorization(&raw, plain, "t0k");
    expect_authorization(&token, plain, "Token t0k");
    expect_authorization(&basic, plain, "Basic bWU6cGFzcyB3b3Jk");
    expect_authorization(NULL, url, "Basic dUB4OnA=");
    expect_authorization(&bearer, url, "Bearer t0k");
    assert_true(get(plain, NULL).result.ok);
    assert_null(strstr(server.last, "Authorization"));
}

static void credentials_file_is_read_again_when_it_changes(void **state)
{
    (void)state;
    char path[] = "/tmp/obsagent-http-XXXXXX";
    close(mkstemp(path));
    struct http_options o = {.has_authorization = true, .credentials = {.file = path}};
    write_file(path, "first \n");
    expect_authorization(&o, at(&server, "/"), "Bearer first");
    expect_authorization(&o, at(&server, "/"), "Bearer first");
    write_file(path, "the second\n\n");
    expect_authorization(&o, at(&server, "/"), "Bearer the second");
    http_options_reread(&o);
    expect_authorization(&o, at(&server, "/"), "Bearer the second");
    unlink(path);
    struct outcome out;
    struct err err = {0};
    struct http_request r = request_to(at(&server, "/"), &out);
    r.options = &o;
    assert_null(http_start(client, &r, &err));
    assert_non_null(strstr(err.msg, path));
}

static void secret_reading_has_three_answers(void **state)
{
    (void)state;
    char *out;
    struct err err = {0};
    assert_true(http_secret_read(&(struct http_secret){0}, &out, &err));
    assert_null(out);
    assert_true(http_secret_read(&(struct http_secret){.value = (char[]){"x "}}, &out, &err));
    assert_string_equal(out, "x ");
    free(out);
    assert_false(http_secret_read(&(struct http_secret){.file = (char[]){"/nonexistent/x"}}, &out, &err));
    assert_null(out);
}

/* ---- life of calls ---- */

static void running_calls_end_with_the_client(void **state)
{
    (void)state;
    struct outcome o;
    struct err err = {0};
    struct http_request r = request_to(at(&server, "/hang"), &o);
    for (int i = 0; i < 3; i++)
        assert_non_null(http_start(client, &r, &err));
    struct loop_timer t = {0};
    loop_timer_set(loop, &t, clock_mono_ms() + 20, (loop_fn *)loop_stop, loop);
    loop_run(loop);
    http_client_free(client);
    client = http_client_new(loop, (struct http_client_limits){0});
    assert_int_equal(o.done, 0);
}

struct pair {
    struct outcome a, b;
    struct http_call *call_a, *call_b;
    int bodies;
};

/* The first of the two that gets its body cancels the other and starts a third from inside libcurl. */
static bool cancel_other(void *ctx, long status, const void *p, size_t n)
{
    struct pair *pair = ctx;
    (void)status;
    (void)p;
    (void)n;
    struct err err = {0};
    pair->bodies++;
    http_cancel(client, pair->call_b);
    struct http_request third = request_to(at(&server, "/third"), &pair->b);
    assert_non_null(http_start(client, &third, &err));
    return true;
}

static void done_of_pair(void *ctx, const struct http_result *result)
{
    struct pair *pair = ctx;
    assert_true(result->ok);
    pair->a.done++;
}

static void must_not_be_called(void *ctx, const struct http_result *result)
{
    (void)ctx;
    (void)result;
    fail_msg("callback of a cancelled call");
}

static void cancel_and_start_inside_a_body_callback(void **state)
{
    (void)state;
    struct pair pair = {0};
    struct err err = {0};
    struct http_request a = {.url = at(&server, "/a"), .timeout_ms = 5000, .on_body = cancel_other,
                             .on_done = done_of_pair, .ctx = &pair};
    struct http_request b = {.url = at(&server, "/hang"), .timeout_ms = 5000, .on_done = must_not_be_called};
    pair.call_b = http_start(client, &b, &err);
    pair.call_a = http_start(client, &a, &err);
    assert_non_null(pair.call_a);
    loop_run(loop);
    assert_int_equal(pair.a.done, 1);
    assert_int_equal(pair.b.done, 1);
    assert_true(pair.b.result.ok);
}

static bool cancel_self(void *ctx, long status, const void *p, size_t n)
{
    struct pair *pair = ctx;
    (void)status;
    (void)p;
    (void)n;
    http_cancel(client, pair->call_a);
    loop_stop(loop);
    return true;
}

static void cancel_itself_inside_a_body_callback(void **state)
{
    (void)state;
    struct pair pair = {0};
    struct err err = {0};
    struct http_request a = {.url = at(&server, "/a"), .timeout_ms = 5000, .on_body = cancel_self,
                             .on_done = must_not_be_called, .ctx = &pair};
    pair.call_a = http_start(client, &a, &err);
    loop_run(loop);
    assert_true(get(at(&server, "/"), NULL).result.ok);
}

static int chain_left;

static void start_next(void *ctx, const struct http_result *result)
{
    assert_true(result->ok);
    if (--chain_left == 0) {
        loop_stop(loop);
        return;
    }
    struct err err = {0};
    struct http_request r = {.url = ctx, .timeout_ms = 5000, .on_done = start_next, .ctx = ctx,
                             .spread = (uint64_t)chain_left};
    assert_non_null(http_start(client, &r, &err));
}

static void done_callback_may_start_the_next(void **state)
{
    (void)state;
    chain_left = 200;
    http_client_resize(client, (struct http_client_limits){.connections = 1000});
    struct err err = {0};
    char url[64];
    snprintf(url, sizeof url, "%s", at(&server, "/"));
    struct http_request r = {.url = url, .timeout_ms = 5000, .on_done = start_next, .ctx = url};
    assert_non_null(http_start(client, &r, &err));
    loop_run(loop);
    assert_int_equal(server.requests, 200);
    assert_int_equal(server.connections, 8);
}

/* ---- name look-ups ---- */

static atomic_int lookups, lookups_most;
static atomic_bool resolver_hangs;

/* Takes the place of libc's for libcurl's resolver threads. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res);
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res)
{
    (void)node;
    (void)hints;
    int now = ++lookups;
    int most = lookups_most;
    while (now > most && !atomic_compare_exchange_weak(&lookups_most, &most, now))
        continue;
    usleep(resolver_hangs ? 1500000 : 5000);
    struct {
        struct addrinfo info;
        struct sockaddr_in a;
    } *one = calloc(1, sizeof *one);
    one->a.sin_family = AF_INET;
    one->a.sin_port = htons((uint16_t)strtoul(service ? service : "0", NULL, 10));
    one->a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    one->info.ai_family = AF_INET;
    one->info.ai_socktype = SOCK_STREAM;
    one->info.ai_addrlen = sizeof one->a;
    one->info.ai_addr = (struct sockaddr *)&one->a;
    *res = &one->info;
    lookups--;
    return 0;
}

void freeaddrinfo(struct addrinfo *res);
void freeaddrinfo(struct addrinfo *res)
{
    free(res);
}

static int names_left, names_ok;

static void count_name(void *ctx, const struct http_result *result)
{
    (void)ctx;
    names_ok += result->ok;
    if (--names_left == 0)
        loop_stop(loop);
}

static void start_names(int n, int64_t timeout_ms)
{
    names_left = n;
    names_ok = 0;
    lookups_most = 0;
    for (int i = 0; i < n; i++) {
        char url[64];
        struct err err = {0};
        snprintf(url, sizeof url, "http://host-%d.test:%d/", i, server.port);
        struct http_request r = {.url = url, .timeout_ms = timeout_ms, .on_done = count_name};
        r.spread = (uint64_t)i;
        assert_non_null(http_start(client, &r, &err));
    }
}

static void name_lookups_are_bounded(void **state)
{
    (void)state;
    http_client_resize(client, (struct http_client_limits){.connections = 300});
    start_names(150, 5000);
    loop_run(loop);
    assert_int_equal(names_ok, 150);
    assert_true(lookups_most <= 16);
    assert_true(lookups_most > 1);
    /* Kept connections need none. */
    lookups_most = 0;
    start_names(150, 5000);
    loop_run(loop);
    assert_int_equal(names_ok, 150);
    assert_int_equal(lookups_most, 0);
    assert_int_equal(server.connections, 150);
}

static void hanging_resolver_holds_nobody_up(void **state)
{
    (void)state;
    resolver_hangs = true;
    int64_t begin = clock_mono_ms();
    start_names(40, 100);
    struct outcome o;
    struct err err = {0};
    struct http_request r = request_to(at(&server, "/"), &o);
    o.keep_running = true;
    assert_non_null(http_start(client, &r, &err));
    loop_run(loop);
    assert_true(clock_mono_ms() - begin < 1000);
    assert_int_equal(names_ok, 0);
    assert_true(o.result.ok);
    assert_true(o.result.seconds < 0.1);
    resolver_hangs = false;
    while (lookups > 0)
        usleep(10000);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    server_start(&server);
    server_start(&other);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(body_status_and_headers_arrive, setup, teardown),
        cmocka_unit_test_setup_teardown(connections_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(body_is_not_decoded, setup, teardown),
        cmocka_unit_test_setup_teardown(interim_response_is_not_the_final_one, setup, teardown),
        cmocka_unit_test_setup_teardown(request_headers_and_body_are_sent, setup, teardown),
        cmocka_unit_test_setup_teardown(line_break_in_a_header_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_urls_are_refused_without_showing_them, setup, teardown),
        cmocka_unit_test_setup_teardown(refused_connection_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(timeout_names_the_phase, setup, teardown),
        cmocka_unit_test_setup_teardown(timeout_while_connecting, setup, teardown),
        cmocka_unit_test_setup_teardown(cut_body_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(connection_that_died_while_idle_does_no_harm, setup, teardown),
        cmocka_unit_test_setup_teardown(connection_that_dies_on_reuse_is_retried, setup, teardown),
        cmocka_unit_test_setup_teardown(receiver_may_stop_the_body, setup, teardown),
        cmocka_unit_test_setup_teardown(headers_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(redirects_are_followed_with_the_final_response_only, setup, teardown),
        cmocka_unit_test_setup_teardown(redirect_to_another_host_drops_what_identifies_us, setup, teardown),
        cmocka_unit_test_setup_teardown(redirects_are_not_followed_when_off, setup, teardown),
        cmocka_unit_test_setup_teardown(endless_redirects_end, setup, teardown),
        cmocka_unit_test_setup_teardown(post_is_repeated_by_307_and_308_only, setup, teardown),
        cmocka_unit_test_setup_teardown(redirect_to_another_scheme_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(authorization_takes_all_forms, setup, teardown),
        cmocka_unit_test_setup_teardown(credentials_file_is_read_again_when_it_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(secret_reading_has_three_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(running_calls_end_with_the_client, setup, teardown),
        cmocka_unit_test_setup_teardown(cancel_and_start_inside_a_body_callback, setup, teardown),
        cmocka_unit_test_setup_teardown(cancel_itself_inside_a_body_callback, setup, teardown),
        cmocka_unit_test_setup_teardown(done_callback_may_start_the_next, setup, teardown),
        cmocka_unit_test_setup_teardown(name_lookups_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(hanging_resolver_holds_nobody_up, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
