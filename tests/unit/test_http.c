/* SPDX-License-Identifier: Apache-2.0 */
/* test_http: single exchanges of the HTTP client: what goes over the wire, failures, redirects,
   credentials. */
#include "http_fixture.h"

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

static void connections_are_not_kept_when_told(void **state)
{
    (void)state;
    struct outcome o;
    struct http_request r = request_to(at(&server, "/"), &o);
    r.close_connection = true;
    for (int i = 1; i <= 3; i++) {
        o = (struct outcome){0};
        run(&r, &o);
        assert_true(o.result.ok);
        assert_int_equal(server.connections, i);
        assert_non_null(strstr(server.last, "\r\nConnection: close\r\n"));
    }
    assert_true(get(at(&server, "/"), NULL).result.ok);
    assert_null(strcasestr(server.last, "\r\nConnection:"));
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
    struct http_header configured[] = {{(char[]){"X-Both"}, (char[]){"configured"}, false, NULL}};
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

static void headers_have_several_values_and_files(void **state)
{
    (void)state;
    char path[] = "/tmp/obsagent-http-XXXXXX";
    close(mkstemp(path));
    write_file(path, " from file \r\n\n");
    struct http_header headers[] = {{(char[]){"X-A"}, (char[]){"one"}, false, NULL},
                                    {(char[]){"X-A"}, (char[]){"two"}, true, NULL},
                                    {(char[]){"x-a"}, (char[]){""}, true, path}};
    struct http_options o = {.headers = headers, .headers_n = 3, .follow_redirects = true};
    assert_true(get(at(&server, "/"), &o).result.ok);
    assert_non_null(strstr(server.last, "\r\nX-A: one\r\nX-A: two\r\nx-a: from file\r\n"));
    write_file(path, "changed");
    assert_true(get(at(&server, "/"), &o).result.ok);
    assert_non_null(strstr(server.last, "\r\nx-a: changed\r\n"));
    char away[256];
    snprintf(away, sizeof away, "/redirect/302/%s", at(&other, "/"));
    assert_true(get(at(&server, away), &o).result.ok);
    assert_non_null(strstr(other.last, "\r\nX-A: one\r\n"));
    assert_null(strcasestr(other.last, "x-a: two"));
    assert_null(strcasestr(other.last, "x-a: changed"));
    struct outcome out;
    struct err err = {0};
    struct http_request r = request_to(at(&server, "/"), &out);
    r.options = &o;
    write_file(path, "two\nlines");
    assert_null(http_start(client, &r, &err));
    assert_string_equal(err.msg, "header x-a: the value contains a line break");
    unlink(path);
    err_clear(&err);
    assert_null(http_start(client, &r, &err));
    assert_true(str_starts(str_of(err.msg), STR("header x-a: cannot read ")));
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
    struct http_header secret[] = {{(char[]){"X-Key"}, (char[]){"s"}, true, NULL},
                                   {(char[]){"X-Plain"}, (char[]){"p"}, false, NULL}};
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

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    server_start(&server);
    server_start(&other);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(body_status_and_headers_arrive, setup, teardown),
        cmocka_unit_test_setup_teardown(connections_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(connections_are_not_kept_when_told, setup, teardown),
        cmocka_unit_test_setup_teardown(body_is_not_decoded, setup, teardown),
        cmocka_unit_test_setup_teardown(interim_response_is_not_the_final_one, setup, teardown),
        cmocka_unit_test_setup_teardown(request_headers_and_body_are_sent, setup, teardown),
        cmocka_unit_test_setup_teardown(headers_have_several_values_and_files, setup, teardown),
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
