/* SPDX-License-Identifier: Apache-2.0 */
/* test_probe: the scrape tester's fetching: files, gzip, limits, and a real answer from our own server. */
#include "unit.h"

#include "agent/command/probe.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_urls),
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
