/* SPDX-License-Identifier: Apache-2.0 */
/* test_engine: targets in a small server, blocks out of the engine; reloads, failures and the end. */
#include "unit.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "scrape.h"

/* ---- a server: the path says what comes ---- */

static int server_fd, server_port;
static atomic_int hang_seen;
static char last_request[4096]; /* of path /headers */

static void send_all(int fd, const void *p, size_t n)
{
    ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
    (void)sent;
}

static void answer(int fd, const char *head, const void *body, size_t n)
{
    char text[512];
    int length = snprintf(text, sizeof text, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n", head, n);
    send_all(fd, text, (size_t)length);
    send_all(fd, body, n);
}

static void answer_gzip(int fd, const char *body)
{
    char packed[1024];
    z_stream z = {.next_in = (Bytef *)(uintptr_t)body, .avail_in = (uInt)strlen(body),
                  .next_out = (Bytef *)packed, .avail_out = sizeof packed};
    deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY);
    deflate(&z, Z_FINISH);
    answer(fd, "200 OK\r\nContent-Type: text/plain\r\nContent-Encoding: gzip", packed, sizeof packed - z.avail_out);
    deflateEnd(&z);
}

static void serve(int fd, const char *path)
{
    static const char one[] = "# TYPE m counter\nm{a=\"b\"} 1\nn 2\n";
    if (strncmp(path, "/gzip", 5) == 0)
        answer_gzip(fd, one);
    else if (strncmp(path, "/404", 4) == 0)
        answer(fd, "404 Not Found", "no", 2);
    else if (strncmp(path, "/bad", 4) == 0)
        answer(fd, "200 OK\r\nContent-Type: text/plain", "m 1\n} 2\n", 8);
    else if (strncmp(path, "/html", 5) == 0)
        answer(fd, "200 OK\r\nContent-Type: text/html", "m 1\n", 4);
    else if (strncmp(path, "/brotli", 7) == 0)
        answer(fd, "200 OK\r\nContent-Type: text/plain\r\nContent-Encoding: br", "x", 1);
    else if (strncmp(path, "/hang", 5) == 0)
        hang_seen++;
    else
        answer(fd, "200 OK\r\nContent-Type: text/plain; version=0.0.4", one, sizeof one - 1);
}

static void *serve_connection(void *ctx)
{
    int fd = (int)(intptr_t)ctx;
    char text[sizeof last_request], path[256];
    ssize_t n;
    while ((n = recv(fd, text, sizeof text - 1, 0)) > 0) {
        text[n] = '\0';
        if (sscanf(text, "GET %255s", path) != 1)
            break;
        if (strncmp(path, "/headers", 8) == 0)
            memcpy(last_request, text, (size_t)n + 1);
        serve(fd, path);
    }
    close(fd);
    return NULL;
}

static void *serve_all(void *ctx)
{
    (void)ctx;
    for (;;) {
        int fd = accept(server_fd, NULL, NULL);
        pthread_t thread;
        if (fd >= 0 && pthread_create(&thread, NULL, serve_connection, (void *)(intptr_t)fd) == 0)
            pthread_detach(thread);
    }
    return NULL;
}

static int start_server(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    log_set_level("error");
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    server_fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(server_fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(server_fd, 64), 0);
    getsockname(server_fd, (struct sockaddr *)&a, &n);
    server_port = ntohs(a.sin_port);
    pthread_t thread;
    pthread_create(&thread, NULL, serve_all, NULL);
    pthread_detach(thread);
    return 0;
}

/* ---- what comes out ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct buf samples; /* "name{labels} value\n", stale as value for markers */

static void print_block(const struct block *block)
{
    struct block_reader *r = block_reader_new();
    struct block_series s;
    struct err err = {0};
    assert_true(block_reader_open(r, block->data, block->size, &err));
    while (block_reader_next(r, &s, &err)) {
        uint64_t bits;
        memcpy(&bits, &s.value, 8);
        for (size_t i = 0; i < s.refs_n; i += 2) {
            struct str name = block_reader_symbol(r, s.refs[i]);
            struct str value = block_reader_symbol(r, s.refs[i + 1]);
            if (!str_eq_c(name, "instance"))
                buf_addf(&samples, "%.*s=%.*s,", STR_ARG(name), STR_ARG(value));
        }
        if (bits == BLOCK_STALE_BITS)
            buf_add_c(&samples, " stale\n");
        else
            buf_addf(&samples, " %g\n", s.value);
    }
    if (err_is(&err))
        fail_msg("%s", err.msg);
    block_reader_free(r);
}

static void emit(void *ctx, struct block *block)
{
    (void)ctx;
    pthread_mutex_lock(&lock);
    print_block(block);
    pthread_mutex_unlock(&lock);
    block_unref(block);
}

static size_t count(const char *line)
{
    size_t n = 0;
    pthread_mutex_lock(&lock);
    for (const char *at = buf_c(&samples); (at = strstr(at, line)); at += strlen(line))
        n++;
    pthread_mutex_unlock(&lock);
    return n;
}

/* Waits until the line was emitted n times. */
static void wait_for(const char *line, size_t n)
{
    for (int64_t end = clock_mono_ms() + 8000; clock_mono_ms() < end; usleep(5000)) {
        if (count(line) >= n)
            return;
    }
    fail_msg("%zu of %zu times \"%s\" in:\n%s", count(line), n, line, buf_c(&samples));
}

static struct scrape_engine *engine;

static int setup(void **state)
{
    (void)state;
    buf_init(&samples, 1 << 24);
    struct scrape_options options = {.user_agent = "tester/1", .emit = emit};
    engine = scrape_engine_new(&options);
    scrape_engine_set_flush_interval(engine, 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scrape_engine_free(engine);
    buf_free(&samples);
    return 0;
}

/* A configuration from text in which $T is the server's address. */
static void apply(const char *yaml)
{
    struct buf errors, text;
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%d", server_port);
    buf_init(&errors, 65536);
    buf_init(&text, 65536);
    buf_add_c(&text, "global: {scrape_interval: 200ms, scrape_timeout: 150ms}\nscrape_configs:\n");
    struct str rest = str_of(yaml);
    while (rest.n > 0) {
        size_t at = str_find(rest, STR("$T"));
        buf_add(&text, rest.p, at);
        if (at < rest.n)
            buf_add_c(&text, address);
        rest = str_skip(rest, at + 2);
    }
    struct config *c = config_load_text("test.yml", buf_str(&text), NULL, false, &errors);
    if (!c)
        fail_msg("%s", buf_c(&errors));
    scrape_engine_apply(engine, c);
    config_unref(c);
    buf_free(&errors);
    buf_free(&text);
}

/* "job health error\n" */
static void note_status(void *ctx, const struct scrape_status *s)
{
    static const char *const health[] = {"unknown", "up", "down"};
    buf_addf(ctx, "%.*s %s%s %s\n", STR_ARG(s->target->job), health[s->health],
             s->target->dropped ? " dropped" : "", s->last_error);
}

static void expect_status(const char *want)
{
    struct buf got;
    buf_init(&got, 65536);
    scrape_engine_each(engine, note_status, &got);
    assert_string_equal(buf_c(&got), want);
    buf_free(&got);
}

/* ---- tests ---- */

static void samples_and_reports_come_out(void **state)
{
    (void)state;
    struct err err = {0};
    apply("- job_name: plain\n  static_configs: [{targets: [$T]}]\n"
          "- job_name: packed\n  metrics_path: /gzip\n  static_configs: [{targets: [$T]}]\n");
    wait_for("__name__=up,job=plain, 1\n", 2);
    wait_for("__name__=up,job=packed, 1\n", 2);
    wait_for("__name__=m,a=b,job=plain, 1\n", 2);
    wait_for("__name__=n,job=packed, 2\n", 2);
    assert_true(scrape_engine_ready(engine, &err));
    expect_status("packed up \nplain up \n");
    struct scrape_totals totals;
    scrape_engine_totals(engine, &totals);
    assert_int_equal(totals.workers, 1);
    assert_int_equal(totals.targets_up, 2);
    assert_int_equal(totals.scrapes_failed, 0);
    assert_true(totals.scrapes >= 4);
    assert_int_equal(totals.samples_scraped, totals.scrapes * 2);
    assert_true(totals.body_bytes > 0 && totals.wire_bytes > 0);
}

static void request_says_what_prometheus_says(void **state)
{
    (void)state;
    apply("- job_name: j\n  metrics_path: /headers\n  enable_compression: false\n"
          "  static_configs: [{targets: [$T]}]\n");
    wait_for("__name__=up,job=j, 1\n", 1);
    scrape_engine_stop(engine, 0);
    assert_non_null(strstr(last_request, "\r\nUser-Agent: tester/1\r\n"));
    assert_non_null(strstr(last_request, "\r\nX-Prometheus-Scrape-Timeout-Seconds: 0.15\r\n"));
    assert_non_null(strstr(last_request, "\r\nAccept-Encoding: identity\r\n"));
    assert_non_null(
        strstr(last_request, "\r\nAccept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"));
}

static void failures_say_why(void **state)
{
    (void)state;
    apply("- {job_name: a404, metrics_path: /404, static_configs: [{targets: [$T]}]}\n"
          "- {job_name: bad, metrics_path: /bad, static_configs: [{targets: [$T]}]}\n"
          "- {job_name: body, body_size_limit: 20B, static_configs: [{targets: [$T]}]}\n"
          "- {job_name: brotli, metrics_path: /brotli, static_configs: [{targets: [$T]}]}\n"
          "- {job_name: dropped, static_configs: [{targets: [$T]}], relabel_configs: [{action: drop}]}\n"
          "- {job_name: hang, metrics_path: /hang, static_configs: [{targets: [$T]}]}\n"
          "- {job_name: html, metrics_path: /html, static_configs: [{targets: [$T]}]}\n"
          "- {job_name: samples, sample_limit: 1, static_configs: [{targets: [$T]}]}\n");
    wait_for("__name__=up,job=a404, 0\n", 1);
    wait_for("__name__=up,job=bad, 0\n", 1);
    wait_for("__name__=up,job=body, 0\n", 1);
    wait_for("__name__=up,job=brotli, 0\n", 1);
    wait_for("__name__=up,job=hang, 0\n", 1);
    wait_for("__name__=up,job=html, 0\n", 1);
    wait_for("__name__=up,job=samples, 0\n", 1);
    assert_int_equal(count("__name__=m,"), 0);
    struct buf got;
    buf_init(&got, 65536);
    scrape_engine_each(engine, note_status, &got);
    static const char *const want[] = {
        "a404 down server returned HTTP status 404 Not Found\n",
        "bad down line 2, column 1: ",
        "body down body size limit exceeded\n",
        "brotli down received unsupported Content-Encoding \"br\"\n",
        "hang down context deadline exceeded (1", /* 150ms, or what waiting for its turn has left of them */
        "ms) while waiting for the response\n",
        "html down received unsupported Content-Type \"text/html\" and no fallback_scrape_protocol specified for "
        "target\n",
        "samples down sample limit exceeded\n",
        "dropped unknown dropped \n",
    };
    for (size_t i = 0; i < ROWS(want); i++) {
        if (!strstr(buf_c(&got), want[i]))
            fail_msg("no \"%s\" in:\n%s", want[i], buf_c(&got));
    }
    buf_free(&got);
    struct scrape_totals totals;
    scrape_engine_totals(engine, &totals);
    assert_int_equal(totals.targets_down, 7);
    assert_int_equal(totals.targets_dropped, 1);
    assert_true(totals.scrapes_sample_limit >= 1);
    assert_true(totals.scrapes_body_size_limit >= 1);
    assert_true(totals.scrapes_timeout >= 1);
}

static void gone_target_ends_with_stale_markers(void **state)
{
    (void)state;
    apply("- {job_name: a, static_configs: [{targets: [$T]}]}\n"
          "- {job_name: b, static_configs: [{targets: [$T]}]}\n");
    wait_for("__name__=up,job=a, 1\n", 1);
    wait_for("__name__=up,job=b, 1\n", 1);
    apply("- {job_name: a, static_configs: [{targets: []}]}\n");
    wait_for("__name__=m,a=b,job=a, stale\n", 1);
    wait_for("__name__=up,job=a, stale\n", 1);
    wait_for("__name__=up,job=b, stale\n", 1);
    expect_status("");
}

static void unchanged_target_stays_over_a_reload(void **state)
{
    (void)state;
    const char *yaml = "- {job_name: a, static_configs: [{targets: [$T]}]}\n";
    apply(yaml);
    wait_for("__name__=up,job=a, 1\n", 1);
    apply(yaml);
    wait_for("__name__=up,job=a, 1\n", 4);
    assert_int_equal(count("stale"), 0);
    assert_int_equal(count("__name__=scrape_series_added,job=a, 2\n"), 1);
}

static void settings_that_change_no_series_keep_their_memory(void **state)
{
    (void)state;
    apply("- {job_name: a, static_configs: [{targets: [$T]}]}\n");
    wait_for("__name__=up,job=a, 1\n", 1);
    apply("- {job_name: a, sample_limit: 9, body_size_limit: 1MB, static_configs: [{targets: [$T]}]}\n");
    wait_for("__name__=up,job=a, 1\n", 4);
    assert_int_equal(count("stale"), 0);
    assert_int_equal(count("__name__=scrape_series_added,job=a, 2\n"), 1);
    apply("- {job_name: a, sample_limit: 1, static_configs: [{targets: [$T]}]}\n"); /* and the new limit holds */
    wait_for("__name__=m,a=b,job=a, stale\n__name__=n,job=a, stale\n", 1);
}

static void changed_job_goes_on_without_a_gap(void **state)
{
    (void)state;
    apply("- {job_name: a, static_configs: [{targets: [$T]}]}\n");
    wait_for("__name__=up,job=a, 1\n", 1);
    apply("- {job_name: a, honor_labels: true, static_configs: [{targets: [$T]}]}\n");
    wait_for("__name__=m,a=b,job=a, stale\n__name__=n,job=a, stale\n", 1);
    size_t before = count("__name__=m,a=b,job=a, 1\n");
    wait_for("__name__=m,a=b,job=a, 1\n", before + 1);
    assert_int_equal(count("__name__=m,a=b,job=a, stale\n"), 1);
}

static void too_many_targets_fail_without_a_request(void **state)
{
    (void)state;
    apply("- {job_name: many, target_limit: 1, static_configs: [{targets: [$T, \"localhost:1\"]}]}\n");
    wait_for("__name__=up,job=many, 0\n", 2);
    struct buf got;
    buf_init(&got, 65536);
    scrape_engine_each(engine, note_status, &got);
    assert_non_null(strstr(buf_c(&got), "many down target_limit exceeded (number of targets: 2, limit: 1)\n"));
    buf_free(&got);
    struct scrape_totals totals;
    scrape_engine_totals(engine, &totals);
    assert_true(totals.scrapes_target_limit >= 2);
    apply("- {job_name: many, target_limit: 2, static_configs: [{targets: [$T, \"localhost:1\"]}]}\n");
    wait_for("__name__=up,job=many, 1\n", 1);
}

/* Three hang, and two may be under way: those who wait get their turn when the hanging ones have grown old. */
static void those_that_hang_hold_up_nobody(void **state)
{
    (void)state;
    apply("- {job_name: hang, metrics_path: /hang, static_configs: [{targets: [$T], labels: {n: \"1\"}}, "
          "{targets: [$T], labels: {n: \"2\"}}, {targets: [$T], labels: {n: \"3\"}}], scrape_interval: 10s, "
          "scrape_timeout: 10s}\n"
          "- {job_name: fine, static_configs: [{targets: [$T]}]}\n");
    wait_for("__name__=up,job=fine, 1\n", 5);
    struct scrape_totals totals;
    scrape_engine_totals(engine, &totals);
    uint64_t started = 0;
    for (size_t i = 0; i <= SCRAPE_DELAYS; i++)
        started += totals.start_delay[i];
    assert_true(started >= 5);
    assert_int_equal(totals.start_delay[SCRAPE_DELAYS] + totals.start_delay[SCRAPE_DELAYS - 1], 0); /* none over 5 s */
}

static void last_scrape_at_the_end(void **state)
{
    (void)state;
    apply("- {job_name: once, scrape_interval: 1h, scrape_timeout: 5s, scrape_on_shutdown: true, "
          "static_configs: [{targets: [$T]}]}\n"
          "- {job_name: not, scrape_interval: 1h, scrape_timeout: 5s, static_configs: [{targets: [$T]}]}\n"
          "- {job_name: hang, scrape_interval: 1h, scrape_timeout: 5s, metrics_path: /hang, scrape_on_shutdown: true, "
          "static_configs: [{targets: [$T]}]}\n");
    wait_for("__name__=up,job=once, 1\n", 1);
    wait_for("__name__=up,job=not, 1\n", 1);
    int64_t start = clock_mono_ms();
    scrape_engine_stop(engine, start + 300); /* the one that hangs is not waited for longer */
    assert_in_range(clock_mono_ms() - start, 290, 3000);
    assert_int_equal(count("__name__=up,job=once, 1\n"), 2);
    assert_int_equal(count("__name__=up,job=not, 1\n"), 1);
    assert_int_equal(count("stale"), 0);
}

static void stop_writes_no_markers_and_loses_nothing(void **state)
{
    (void)state;
    scrape_engine_set_flush_interval(engine, 100000);
    apply("- {job_name: a, static_configs: [{targets: [$T]}]}\n"
          "- {job_name: h, metrics_path: /hang, static_configs: [{targets: [$T]}]}\n");
    struct scrape_totals totals = {0};
    for (int i = 0; i < 2000 && totals.targets_up < 1; i++) {
        usleep(5000);
        scrape_engine_totals(engine, &totals);
    }
    assert_int_equal(count("job=a"), 0);
    scrape_engine_stop(engine, 0);
    scrape_engine_totals(engine, &totals);
    assert_true(count("__name__=up,job=a, 1\n") >= 1);
    assert_int_equal(count("stale"), 0);
}

static void many_targets_are_shared_by_workers(void **state)
{
    (void)state;
    scrape_engine_free(engine);
    struct scrape_options options = {.workers = 3, .emit = emit};
    engine = scrape_engine_new(&options);
    scrape_engine_set_flush_interval(engine, 20);
    struct buf yaml;
    buf_init(&yaml, 65536);
    buf_add_c(&yaml, "- job_name: many\n  static_configs:\n");
    for (int i = 0; i < 100; i++)
        buf_addf(&yaml, "  - {targets: [$T], labels: {i: \"%d\"}}\n", i);
    apply(buf_c(&yaml));
    buf_free(&yaml);
    for (int i = 0; i < 100; i++) {
        char line[64];
        snprintf(line, sizeof line, "__name__=up,i=%d,job=many, 1\n", i);
        wait_for(line, 1);
    }
    struct scrape_totals totals;
    scrape_engine_totals(engine, &totals);
    assert_int_equal(totals.workers, 3);
    assert_int_equal(totals.targets_up + totals.targets_down + totals.targets_unknown, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(samples_and_reports_come_out, setup, teardown),
        cmocka_unit_test_setup_teardown(request_says_what_prometheus_says, setup, teardown),
        cmocka_unit_test_setup_teardown(failures_say_why, setup, teardown),
        cmocka_unit_test_setup_teardown(gone_target_ends_with_stale_markers, setup, teardown),
        cmocka_unit_test_setup_teardown(unchanged_target_stays_over_a_reload, setup, teardown),
        cmocka_unit_test_setup_teardown(settings_that_change_no_series_keep_their_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(changed_job_goes_on_without_a_gap, setup, teardown),
        cmocka_unit_test_setup_teardown(too_many_targets_fail_without_a_request, setup, teardown),
        cmocka_unit_test_setup_teardown(those_that_hang_hold_up_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(last_scrape_at_the_end, setup, teardown),
        cmocka_unit_test_setup_teardown(stop_writes_no_markers_and_loses_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(many_targets_are_shared_by_workers, setup, teardown),
    };
    return cmocka_run_group_tests(tests, start_server, NULL);
}
