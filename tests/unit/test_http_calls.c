/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_calls: many calls at a time: cancelling and starting inside callbacks, and name look-ups. */
#include "http_fixture.h"

#include <netdb.h>

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
    http_client_resize(client, (struct http_client_limits){.connections = 1000, .multis = 8});
    struct err err = {0};
    char url[64];
    snprintf(url, sizeof url, "%s", at(&server, "/"));
    struct http_request r = {.url = url, .timeout_ms = 5000, .on_done = start_next, .ctx = url};
    assert_non_null(http_start(client, &r, &err));
    loop_run(loop);
    /* One more may be left of a call that the test before cancelled. */
    assert_in_range(server.requests, 200, 201);
    assert_in_range(server.connections, 8, 9);
}

/* ---- name look-ups ---- */

static atomic_int lookups, lookups_most;
static atomic_bool resolver_hangs, resolver_fails;

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
    if (resolver_fails) {
        lookups--;
        return EAI_NONAME;
    }
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

/* What such an exchange leaves behind must not get into the way of the next ones. */
static void absent_names_spoil_nothing(void **state)
{
    (void)state;
    resolver_fails = true;
    start_names(20, 5000);
    loop_run(loop);
    resolver_fails = false;
    assert_int_equal(names_ok, 0);
    for (int i = 0; i < 40; i++) {
        struct outcome o = get(at(&server, "/"), NULL);
        if (!o.result.ok)
            fail_msg("%s", o.error);
    }
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    server_start(&server);
    server_start(&other);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(running_calls_end_with_the_client, setup, teardown),
        cmocka_unit_test_setup_teardown(cancel_and_start_inside_a_body_callback, setup, teardown),
        cmocka_unit_test_setup_teardown(cancel_itself_inside_a_body_callback, setup, teardown),
        cmocka_unit_test_setup_teardown(done_callback_may_start_the_next, setup, teardown),
        cmocka_unit_test_setup_teardown(name_lookups_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(absent_names_spoil_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(hanging_resolver_holds_nobody_up, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
