/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_oauth2: tokens: what is asked for, what is made of the answers, who waits for whom. `tokens` is an
   endpoint that does what its path says; `server` receives the requests that carry the tokens. */
#include "http_fixture.h"

#include "agent/base/http_private.h"

static struct server tokens;
static atomic_int tokens_given;

#define SECRET "s3cret &c"

/* ---- the endpoint ---- */

static void answer(int fd, int status, const char *body)
{
    reply(fd, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n\r\n%s", status, strlen(body), body);
}

static void give(int fd, const char *more)
{
    char body[128];
    snprintf(body, sizeof body, "{\"access_token\":\"t%d\"%s}", ++tokens_given, more);
    answer(fd, 200, body);
}

static bool endless(int fd)
{
    reply(fd, "HTTP/1.1 200 OK\r\n\r\n{\"access_token\":\"");
    char chunk[1024];
    memset(chunk, 'x', sizeof chunk);
    for (int i = 0; i < 100000; i++) {
        if (send(fd, chunk, sizeof chunk, MSG_NOSIGNAL) <= 0)
            return false;
    }
    return false;
}

static bool token_script(struct server *s, int fd, const char *path, const char *text)
{
    (void)s;
    bool in_header = strstr(text, "\r\nAuthorization: Basic ") != NULL;
    char c;
    if (strcmp(path, "/short") == 0)
        give(fd, ",\"expires_in\":1");
    else if (strcmp(path, "/body") == 0 && in_header)
        answer(fd, 401, "");
    else if (strcmp(path, "/wrong") == 0)
        answer(fd, in_header ? 401 : 400, "{\"error\":\"invalid_client\",\"error_description\":\"who is that\"}");
    else if (strcmp(path, "/indiscreet") == 0)
        answer(fd, 403, "{\"error\":\"invalid_client\",\"error_description\":\"not " SECRET "\"}");
    else if (strcmp(path, "/garbage") == 0)
        answer(fd, 200, "<html>");
    else if (strcmp(path, "/endless") == 0)
        return endless(fd);
    else if (strcmp(path, "/hang") == 0)
        return recv(fd, &c, 1, 0) > 0;
    else if (strcmp(path, "/away") == 0)
        reply(fd, "HTTP/1.1 307 X\r\nLocation: /\r\nContent-Length: 0\r\n\r\n");
    else {
        if (strcmp(path, "/slow") == 0)
            usleep(100000);
        give(fd, ",\"expires_in\":3600");
    }
    return true;
}

/* ---- options ---- */

static struct http_options options_for(const char *path)
{
    struct http_options o = {.oauth2 = http_oauth2_new(), .follow_redirects = true};
    o.oauth2->client_id = xstrdup("me/1");
    o.oauth2->client_secret.value = xstrdup(SECRET);
    o.oauth2->token_url = xstrdup(at(&tokens, path));
    return o;
}

static void expect_token(const struct http_options *o, const char *token)
{
    struct outcome out = get(at(&server, "/"), o);
    if (!out.result.ok)
        fail_msg("%s", out.error);
    char want[128];
    snprintf(want, sizeof want, "\r\nAuthorization: %s\r\n", token);
    if (!strstr(server.last, want))
        fail_msg("no %s in %s", want, server.last);
}

static int setup_all(void **state)
{
    tokens.connections = tokens.requests = 0;
    tokens_given = 0;
    return setup(state);
}

/* ---- forms and answers alone ---- */

static void the_form_has_what_go_sends(void **state)
{
    (void)state;
    static const struct {
        const char *scopes[3], *name, *value;
        enum http_token_style style;
        const char *want;
    } rows[] = {
        {{NULL}, NULL, NULL, HTTP_TOKEN_STYLE_HEADER, "grant_type=client_credentials"},
        {{"a", "b c"}, NULL, NULL, HTTP_TOKEN_STYLE_HEADER, "grant_type=client_credentials&scope=a+b+c"},
        {{"x"}, "audience", "https://é/?~", HTTP_TOKEN_STYLE_HEADER,
         "grant_type=client_credentials&scope=x&audience=https%3A%2F%2F%C3%A9%2F%3F~"},
        {{NULL}, "grant_type", "password", HTTP_TOKEN_STYLE_HEADER, "grant_type=password"},
        {{NULL}, NULL, NULL, HTTP_TOKEN_STYLE_BODY,
         "grant_type=client_credentials&client_id=me%2F1&client_secret=s3cret+%26c"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct http_options o = options_for("/");
        struct err err = {0};
        struct buf form;
        buf_init(&form, HTTP_TOKEN_FORM_MAX);
        o.oauth2->scopes = xcalloc(3, sizeof(char *));
        while (rows[i].scopes[o.oauth2->scopes_n]) {
            o.oauth2->scopes[o.oauth2->scopes_n] = xstrdup(rows[i].scopes[o.oauth2->scopes_n]);
            o.oauth2->scopes_n++;
        }
        o.oauth2->params = xcalloc(1, sizeof *o.oauth2->params);
        o.oauth2->params_n = rows[i].name != NULL;
        o.oauth2->params[0] = (struct http_param){xstrdup(rows[i].name), xstrdup(rows[i].value)};
        assert_true(http_token_form(o.oauth2, rows[i].style, &form, &err));
        assert_string_equal(buf_c(&form), rows[i].want);
        buf_free(&form);
        http_options_free(&o);
    }
}

static void id_and_secret_are_escaped_in_the_header(void **state)
{
    (void)state;
    struct http_options o = options_for("/");
    struct err err = {0};
    char *line = http_token_authorization(o.oauth2, &err);
    assert_string_equal(line, "Authorization: Basic bWUlMkYxOnMzY3JldCslMjZj"); /* me%2F1:s3cret+%26c */
    free(line);
    http_options_free(&o);
}

#define FOREVER INT64_MAX

static void answers_are_read_as_go_reads_them(void **state)
{
    (void)state;
    static const struct {
        long status;
        const char *body, *header, *error;
        int64_t good_for_ms;
    } rows[] = {
        {200, "{\"access_token\":\"a\"}", "Bearer a", NULL, FOREVER},
        {201, "{\"access_token\":\"a\",\"token_type\":\"bearer\",\"expires_in\":3600}", "Bearer a", NULL, 3590000},
        {200, "{\"access_token\":\"a\",\"token_type\":\"MAC\",\"expires_in\":\"60\"}", "MAC a", NULL, 50000},
        {200, "{\"access_token\":\"a\",\"token_type\":\"Own\",\"expires_in\":10}", "Own a", NULL, 5000},
        {200, "{\"access_token\":\"a\",\"token_type\":\"basic\",\"expires_in\":20.9}", "Basic a", NULL, 10000},
        {200, "{\"access_token\":\"a\",\"expires_in\":0}", "Bearer a", NULL, FOREVER},
        {200, "{\"access_token\":\"a\",\"expires_in\":-5}", "Bearer a", NULL, 500},
        {200, "{\"access_token\":\"a\",\"expires_in\":\"soon\"}", "Bearer a", NULL, FOREVER},
        {200, "{\"access_token\":\"a\",\"expires_in\":9e300}", "Bearer a", NULL, INT64_C(315360000000) - 10000},
        {200, "{}", NULL, "server response missing access_token", 0},
        {200, "{\"access_token\":5}", NULL, "server response missing access_token", 0},
        {200, "{\"access_token\":\"a\\nb\"}", NULL, "the answer's access_token cannot be sent in a header", 0},
        {200, "{\"access_token\":\"a\",\"token_type\":\"x\\r\"}", NULL,
         "the answer's access_token cannot be sent in a header", 0},
        {200, "[1]", NULL, "the answer is not JSON", 0},
        {200, "{\"access_token\":\"a\"", NULL, "the answer is not JSON", 0},
        {200, "", NULL, "the answer is not JSON", 0},
        {200, "{\"error\":\"slow_down\"}", NULL, "status 200: slow_down", 0},
        {400, "{\"error\":\"e\",\"error_description\":\"why\"}", NULL, "status 400: e (why)", 0},
        {400, "{\"error\":\"e\",\"error_description\":\"two\\nlines\"}", NULL, "status 400: e", 0},
        {401, "{\"error\":\"e\",\"error_description\":\"not " SECRET "\"}", NULL, "status 401", 0},
        {503, "<html>", NULL, "status 503", 0},
        {302, "", NULL, "status 302", 0},
    };
    struct http_options o = options_for("/");
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct http_new_token made = {0};
        struct err err = {0};
        int64_t now = clock_mono_ms();
        bool ok = http_token_parse(o.oauth2, rows[i].status, str_of(rows[i].body), &made, &err);
        assert_string_equal(ok ? made.header : err.msg, ok ? rows[i].header : rows[i].error);
        if (ok && rows[i].good_for_ms == FOREVER)
            assert_true(made.renew_ms == FOREVER);
        else if (ok)
            assert_in_range(made.renew_ms - now, rows[i].good_for_ms, rows[i].good_for_ms + 1000);
        free(made.header);
    }
    http_options_free(&o);
}

/* ---- exchanges ---- */

static void one_token_serves_until_it_is_refused(void **state)
{
    (void)state;
    struct http_options o = options_for("/");
    expect_token(&o, "Bearer t1");
    assert_non_null(strstr(tokens.last, "POST / HTTP/1.1\r\n"));
    assert_non_null(strstr(tokens.last, "\r\nContent-Type: application/x-www-form-urlencoded\r\n"));
    assert_non_null(strstr(tokens.last, "\r\n\r\ngrant_type=client_credentials"));
    expect_token(&o, "Bearer t1");
    http_options_reread(&o);
    expect_token(&o, "Bearer t2");
    /* Many requests met that 401; the new token is not theirs to drop. */
    http_options_reread(&o);
    expect_token(&o, "Bearer t2");
    assert_int_equal(tokens.requests, 2);
    struct http_options other_job = options_for("/");
    expect_token(&other_job, "Bearer t3");
    expect_token(&o, "Bearer t2");
    http_options_free(&other_job);
    http_options_free(&o);
}

static void short_lived_token_is_renewed_at_half_its_life(void **state)
{
    (void)state;
    struct http_options o = options_for("/short");
    expect_token(&o, "Bearer t1");
    expect_token(&o, "Bearer t1");
    usleep(520000);
    expect_token(&o, "Bearer t2");
    assert_int_equal(tokens.requests, 2);
    http_options_free(&o);
}

static void the_style_that_worked_is_remembered(void **state)
{
    (void)state;
    struct http_options o = options_for("/body");
    expect_token(&o, "Bearer t1");
    assert_int_equal(tokens.requests, 2);
    assert_null(strstr(tokens.last, "Authorization"));
    assert_non_null(strstr(tokens.last, "&client_id=me%2F1&client_secret=s3cret+%26c"));
    http_options_reread(&o);
    expect_token(&o, "Bearer t2");
    assert_int_equal(tokens.requests, 3);
    http_options_free(&o);
}

static void every_failure_names_the_host_and_not_the_secret(void **state)
{
    (void)state;
    static const struct {
        const char *path, *error;
        int requests;
    } rows[] = {
        {"/wrong", "status 400: invalid_client (who is that)", 2},
        {"/indiscreet", "status 403", 1},
        {"/garbage", "the answer is not JSON", 1},
        {"/endless", "the answer is larger than 65536 bytes", 1},
        {"/away", "status 307", 1},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct http_options o = options_for(rows[i].path);
        tokens.requests = server.requests = 0;
        struct outcome out = get(at(&server, "/"), &o);
        char want[256];
        snprintf(want, sizeof want, "oauth2: cannot get a token from 127.0.0.1:%d: %s", tokens.port, rows[i].error);
        assert_false(out.result.ok);
        assert_false(out.result.timeout);
        assert_string_equal(out.error, want);
        assert_int_equal(tokens.requests, rows[i].requests);
        assert_int_equal(server.requests, 0);
        http_options_free(&o);
    }
}

static void unreachable_endpoint_says_why(void **state)
{
    (void)state;
    struct http_options o = options_for("/");
    free(o.oauth2->token_url);
    o.oauth2->token_url = xstrdup("http://user:HUSH@127.0.0.1:1/");
    struct outcome out = get(at(&server, "/"), &o);
    assert_true(str_starts(str_of(out.error), STR("oauth2: cannot get a token from 127.0.0.1:1: ")));
    assert_non_null(strstr(out.error, "Connection refused"));
    assert_null(strstr(out.error, "HUSH"));
    http_options_free(&o);
}

static void unreadable_secret_fails_at_once(void **state)
{
    (void)state;
    struct http_options o = options_for("/");
    free(o.oauth2->client_secret.value);
    o.oauth2->client_secret = (struct http_secret){.file = xstrdup("/nonexistent/secret")};
    struct outcome out;
    struct err err = {0};
    struct http_request r = request_to(at(&server, "/"), &out);
    r.options = &o;
    for (int i = 0; i < 2; i++) {
        err_clear(&err);
        assert_null(http_start(client, &r, &err));
        assert_non_null(strstr(err.msg, "oauth2: cannot get a token from 127.0.0.1:"));
        assert_non_null(strstr(err.msg, "/nonexistent/secret"));
    }
    http_options_free(&o);
}

static void waiting_counts_against_the_timeout(void **state)
{
    (void)state;
    struct http_options o = options_for("/hang");
    struct outcome out;
    struct http_request r = request_to(at(&server, "/"), &out);
    r.options = &o;
    r.timeout_ms = 50;
    run(&r, &out);
    char want[256];
    snprintf(want, sizeof want,
             "context deadline exceeded (50ms) while waiting for an OAuth 2.0 token from 127.0.0.1:%d", tokens.port);
    assert_true(out.result.timeout);
    assert_string_equal(out.error, want);
    assert_int_equal(server.requests, 0);
    /* The next one asks again. */
    free(o.oauth2->token_url);
    o.oauth2->token_url = xstrdup(at(&tokens, "/"));
    expect_token(&o, "Bearer t1");
    http_options_free(&o);
}

/* ---- many at a time ---- */

typedef void done_fn(void *ctx, const struct http_result *result);

static int left, went_well;

static void count_done(void *ctx, const struct http_result *result)
{
    (void)ctx;
    went_well += result->ok;
    if (--left == 0)
        loop_stop(loop);
}

static struct http_call *start_one(struct http_client *c, const struct http_options *o, done_fn *done, void *ctx)
{
    struct err err = {0};
    struct http_request r = {.url = at(&server, "/"), .timeout_ms = 5000, .options = o, .on_done = done, .ctx = ctx};
    struct http_call *call = http_start(c, &r, &err);
    assert_non_null(call);
    return call;
}

static void twenty_requests_need_one_token(void **state)
{
    (void)state;
    struct http_options o = options_for("/slow");
    left = 20;
    went_well = 0;
    for (int i = 0; i < 20; i++)
        start_one(client, &o, count_done, NULL);
    loop_run(loop);
    assert_int_equal(went_well, 20);
    assert_int_equal(tokens.requests, 1);
    assert_int_equal(server.requests, 20);
    http_options_free(&o);
}

static void failure_is_everybodys(void **state)
{
    (void)state;
    struct http_options o = options_for("/garbage");
    left = 20;
    went_well = 0;
    for (int i = 0; i < 20; i++)
        start_one(client, &o, count_done, NULL);
    loop_run(loop);
    assert_int_equal(went_well, 0);
    assert_int_equal(tokens.requests, 1);
    http_options_free(&o);
}

static void clients_share_the_token_too(void **state)
{
    (void)state;
    struct http_options o = options_for("/slow");
    struct http_client *second = http_client_new(loop, (struct http_client_limits){0});
    left = 10;
    went_well = 0;
    for (int i = 0; i < 10; i++)
        start_one(i % 2 ? second : client, &o, count_done, NULL);
    loop_run(loop);
    assert_int_equal(went_well, 10);
    assert_int_equal(tokens.requests, 1);
    http_client_free(second);
    http_options_free(&o);
}

/* One that fails lets the others do it themselves; one that goes away does not hold them up. */
static void another_client_takes_over(void **state)
{
    (void)state;
    struct http_options o = options_for("/hang");
    struct http_client *second = http_client_new(loop, (struct http_client_limits){0});
    left = 1;
    went_well = 0;
    start_one(second, &o, count_done, NULL);
    start_one(client, &o, count_done, NULL);
    http_client_free(second);
    free(o.oauth2->token_url);
    o.oauth2->token_url = xstrdup(at(&tokens, "/"));
    loop_run(loop);
    assert_int_equal(went_well, 1);
    http_options_free(&o);
}

/* A scrape worker: its own loop and client, the options of all. */
struct worker {
    pthread_t thread;
    const struct http_options *options;
    const char *url;
    struct loop *loop;
    int left, went_well;
};

static void worker_done(void *ctx, const struct http_result *result)
{
    struct worker *w = ctx;
    w->went_well += result->ok;
    if (--w->left == 0)
        loop_stop(w->loop);
}

static void *work(void *ctx)
{
    struct worker *w = ctx;
    struct err err = {0};
    w->loop = loop_new();
    struct http_client *c = http_client_new(w->loop, (struct http_client_limits){0});
    struct http_request r = {.url = w->url, .timeout_ms = 5000, .options = w->options, .on_done = worker_done};
    r.ctx = w;
    w->left = 10;
    for (int i = 0; i < 10; i++)
        w->went_well -= http_start(c, &r, &err) == NULL;
    loop_run(w->loop);
    http_client_free(c);
    loop_free(w->loop);
    return NULL;
}

static void threads_share_the_token_too(void **state)
{
    (void)state;
    struct http_options o = options_for("/slow");
    struct worker workers[4] = {0};
    for (size_t i = 0; i < ROWS(workers); i++) {
        workers[i].options = &o;
        workers[i].url = at(&server, "/");
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (size_t i = 0; i < ROWS(workers); i++) {
        pthread_join(workers[i].thread, NULL);
        assert_int_equal(workers[i].went_well, 10);
    }
    assert_int_equal(tokens.requests, 1);
    http_options_free(&o);
}

static void must_not_be_called(void *ctx, const struct http_result *result)
{
    (void)ctx;
    (void)result;
    fail_msg("callback of a cancelled call");
}

static struct http_call *victims[3];

/* The first to fail cancels the others, which wait for the same token. */
static void cancel_victims(void *ctx, const struct http_result *result)
{
    (void)ctx;
    assert_false(result->ok);
    for (size_t i = 0; i < ROWS(victims); i++)
        http_cancel(client, victims[i]);
    loop_stop(loop);
}

static void waiting_calls_can_be_cancelled(void **state)
{
    (void)state;
    struct http_options o = options_for("/garbage");
    start_one(client, &o, cancel_victims, NULL);
    for (size_t i = 0; i < ROWS(victims); i++)
        victims[i] = start_one(client, &o, must_not_be_called, NULL);
    loop_run(loop);
    /* All of them gone: nobody asks any more. */
    struct http_options hanging = options_for("/hang");
    for (size_t i = 0; i < ROWS(victims); i++)
        victims[i] = start_one(client, &hanging, must_not_be_called, NULL);
    for (size_t i = 0; i < ROWS(victims); i++)
        http_cancel(client, victims[i]);
    http_options_free(&hanging);
    assert_true(get(at(&server, "/"), NULL).result.ok);
    http_options_free(&o);
}

static struct http_call *hanging_call;

static bool cancel_hanging(void *ctx, long status, const void *p, size_t n)
{
    (void)ctx;
    (void)status;
    (void)p;
    (void)n;
    http_cancel(client, hanging_call);
    return true;
}

static void waiting_call_is_cancelled_inside_a_callback(void **state)
{
    (void)state;
    struct http_options o = options_for("/hang");
    struct outcome out;
    struct http_request r = request_to(at(&server, "/"), &out);
    r.on_body = cancel_hanging;
    hanging_call = start_one(client, &o, must_not_be_called, NULL);
    run(&r, &out);
    assert_true(out.result.ok);
    http_options_free(&o);
}

static void client_ends_while_calls_wait(void **state)
{
    (void)state;
    struct http_options o = options_for("/hang");
    for (int i = 0; i < 3; i++)
        start_one(client, &o, must_not_be_called, NULL);
    http_client_free(client);
    client = http_client_new(loop, (struct http_client_limits){0});
    assert_true(get(at(&server, "/"), NULL).result.ok);
    http_options_free(&o);
}

/* ---- redirects ---- */

static void the_token_stays_at_its_host(void **state)
{
    (void)state;
    struct http_options o = options_for("/");
    char path[256];
    snprintf(path, sizeof path, "/redirect/302/%s", at(&other, "/away"));
    assert_true(get(at(&server, path), &o).result.ok);
    assert_int_equal(other.requests, 1);
    assert_null(strstr(other.last, "Authorization"));
    assert_true(get(at(&server, "/redirect/302//here"), &o).result.ok);
    assert_non_null(strstr(server.last, "GET /here "));
    assert_non_null(strstr(server.last, "\r\nAuthorization: Bearer t1\r\n"));
    http_options_free(&o);
}

static void endpoint_has_headers_of_its_own(void **state)
{
    (void)state;
    struct http_options o = options_for("/");
    o.oauth2->endpoint.headers = xcalloc(1, sizeof(struct http_header));
    o.oauth2->endpoint.headers_n = 1;
    o.oauth2->endpoint.headers[0] = (struct http_header){xstrdup("X-Realm"), xstrdup("r"), false, NULL};
    expect_token(&o, "Bearer t1");
    assert_non_null(strstr(tokens.last, "\r\nX-Realm: r\r\n"));
    assert_null(strstr(server.last, "X-Realm"));
    http_options_free(&o);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup_all, teardown)

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    tokens.script = token_script;
    server_start(&server);
    server_start(&other);
    server_start(&tokens);
    const struct CMUnitTest tests[] = {
        CASE(the_form_has_what_go_sends),
        CASE(id_and_secret_are_escaped_in_the_header),
        CASE(answers_are_read_as_go_reads_them),
        CASE(one_token_serves_until_it_is_refused),
        CASE(short_lived_token_is_renewed_at_half_its_life),
        CASE(the_style_that_worked_is_remembered),
        CASE(every_failure_names_the_host_and_not_the_secret),
        CASE(unreachable_endpoint_says_why),
        CASE(unreadable_secret_fails_at_once),
        CASE(waiting_counts_against_the_timeout),
        CASE(twenty_requests_need_one_token),
        CASE(failure_is_everybodys),
        CASE(clients_share_the_token_too),
        CASE(threads_share_the_token_too),
        CASE(another_client_takes_over),
        CASE(waiting_calls_can_be_cancelled),
        CASE(waiting_call_is_cancelled_inside_a_callback),
        CASE(client_ends_while_calls_wait),
        CASE(the_token_stays_at_its_host),
        CASE(endpoint_has_headers_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
