/* SPDX-License-Identifier: Apache-2.0 */
/* test_probe: the scrape tester's fetching: files, gzip, limits, and a real answer from our own server. */
#include "unit.h"

#include "agent/command/probe_private.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "web.h"

#include <unistd.h>
#include <zlib.h>

static char path[] = "/tmp/test_probe_XXXXXX";
static struct buf got;

static void take(void *ctx, const void *bytes, size_t n)
{
    (void)ctx;
    buf_add(&got, bytes, n);
}

static void write_plain(const void *bytes, size_t n)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

static void write_gzip(const char *text)
{
    gzFile f = gzopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(gzwrite(f, text, (unsigned)strlen(text)), strlen(text));
    assert_int_equal(gzclose(f), Z_OK);
}

static struct probe_result file(const char *name, uint64_t max_raw)
{
    struct probe_request request = {.max_raw = max_raw, .sink = take};
    struct probe_result result;
    buf_free(&got);
    buf_init(&got, 1 << 20);
    probe_file(name, &request, &result);
    assert_false(result.http);
    return result;
}

static void test_files(void **state)
{
    (void)state;
    write_plain("a 1\n", 4);
    struct probe_result r = file(path, 100);
    assert_string_equal(r.error.msg, "");
    assert_string_equal(buf_c(&got), "a 1\n");
    assert_int_equal(r.raw_bytes, 4);
    write_gzip("a 1\nb 2\n");
    r = file(path, 100);
    assert_string_equal(r.error.msg, "");
    assert_string_equal(buf_c(&got), "a 1\nb 2\n");
    assert_int_equal(r.raw_bytes, 8);
    assert_true(r.wire_bytes > 8);
    r = file(path, 7);
    assert_string_equal(r.error.msg, "the body is larger than 7 bytes");
    write_plain("\x1f\x8b\x08\x00\x00", 5);
    r = file(path, 100);
    assert_string_equal(r.error.msg, "the gzip body ends too early");
    write_plain("", 0);
    r = file(path, 100);
    assert_string_equal(r.error.msg, "");
    r = file("/nonexistent/x", 100);
    assert_string_equal(r.error.msg, "/nonexistent/x: No such file or directory");
}

static struct probe_result url(unsigned port, const char *rest, uint64_t max_raw)
{
    struct http_options options = {.follow_redirects = true};
    struct probe_result result;
    char *text = xasprintf("http://127.0.0.1:%u%s", port, rest);
    struct probe_request request = {.url = text, .options = &options, .timeout_ms = 5000,
                                    .max_raw = max_raw, .sink = take};
    buf_free(&got);
    buf_init(&got, 1 << 20);
    probe_url(&request, &result);
    assert_true(result.http);
    free(text);
    return result;
}

static void test_urls(void **state)
{
    (void)state;
    struct err err = {0};
    struct web_options options = {.listen_address = "127.0.0.1:0"};
    struct web *w = web_start(&options, &err);
    assert_non_null(w);
    unsigned port = web_port(w);
    struct probe_result r = url(port, "/metrics", 1 << 20);
    assert_string_equal(r.error.msg, "");
    assert_int_equal(r.status, 200);
    assert_string_equal(r.content_type, "text/plain; version=0.0.4; charset=utf-8");
    assert_int_equal(r.raw_bytes, got.n);
    assert_non_null(strstr(buf_c(&got), "process_cpu_seconds_total "));
    assert_true(r.seconds > 0);
    r = url(port, "/metrics", 10);
    assert_string_equal(r.error.msg, "the body is larger than 10 bytes");
    r = url(port, "/nowhere", 1 << 20);
    assert_int_equal(r.status, 404);
    assert_string_equal(r.error.msg, "server returned HTTP status 404");
    assert_int_equal(got.n, 0);
    web_stop(w);
    r = url(port, "/metrics", 1 << 20);
    assert_int_equal(r.status, 0);
    assert_true(err_is(&r.error));
}

static void test_what_a_body_looks_like(void **state)
{
    static const struct {
        struct str start;
        enum config_scrape_protocol want;
        bool html;
    } BODIES[] = {
        {{"", 0}, CONFIG_TEXT_0_0_4, false},
        {{"\n", 1}, CONFIG_TEXT_0_0_4, false},
        {{"\n\n\na 1\n", 7}, CONFIG_TEXT_0_0_4, false},
        {{"a 1\n", 4}, CONFIG_TEXT_0_0_4, false},
        {{"# TYPE a counter\na 1\n", 21}, CONFIG_TEXT_0_0_4, false},
        {{"a_total 1\n# EOF\n", 16}, CONFIG_OPENMETRICS_1_0_0, false},
        {{"a_total 1\n# EOF", 15}, CONFIG_OPENMETRICS_1_0_0, false},
        {{"a_total 1 # {x=\"1\"} 1\n", 22}, CONFIG_OPENMETRICS_1_0_0, false},
        {{"# TYPE a_s gauge\n# UNIT a_s s\n", 30}, CONFIG_OPENMETRICS_1_0_0, false},
        {{"\x05\x0a\x01m\x18\x01", 6}, CONFIG_PROTO, false},
        {{"\x80\x02\x0a\x04name", 8}, CONFIG_PROTO, false},
        {{"\x05\x0a\x20m\x18\x01", 6}, CONFIG_TEXT_0_0_4, false}, /* a name longer than the message */
        {{" \n<!DOCTYPE html>", 17}, CONFIG_TEXT_0_0_4, true},
        {{"<a>", 3}, CONFIG_TEXT_0_0_4, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof BODIES / sizeof *BODIES; i++) {
        bool html;
        assert_int_equal(probe_sniff(BODIES[i].start, &html), BODIES[i].want);
        assert_int_equal(html, BODIES[i].html);
    }
}

static void count_body(void *ctx, const struct probe_result *r)
{
    uint64_t *n = ctx;
    n[0]++;
    n[1] += err_is(&r->error);
    n[2] += r->wire_bytes > 0;
}

static void test_many(void **state)
{
    (void)state;
    struct err err = {0};
    struct web_options options = {.listen_address = "127.0.0.1:0"};
    struct http_options http = {.follow_redirects = true};
    struct web *w = web_start(&options, &err);
    assert_non_null(w);
    char *text = xasprintf("http://127.0.0.1:%u/metrics", web_port(w));
    struct probe_request request = {.url = text, .options = &http, .timeout_ms = 20000};
    for (uint64_t concurrency = 1; concurrency < 20; concurrency += 6) {
        uint64_t n[3] = {0};
        struct probe_load load = {.count = 10, .concurrency = concurrency, .each = count_body, .ctx = n};
        probe_many(&request, &load);
        assert_true(n[0] == 10 && n[1] == 0 && n[2] == 10);
    }
    web_stop(w);
    uint64_t n[3] = {0};
    struct probe_load load = {.count = 10, .concurrency = 3, .each = count_body, .ctx = n};
    probe_many(&request, &load);
    assert_true(n[0] == 10 && n[1] == 10 && n[2] == 0);
    request.url = "http://[";
    probe_many(&request, &load);
    assert_true(n[0] == 20 && n[1] == 20);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_what_a_body_looks_like),
        cmocka_unit_test(test_many),
    };
    int fd = mkstemp(path);
    if (fd < 0)
        return 1;
    close(fd);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    buf_free(&got);
    return failed;
}
