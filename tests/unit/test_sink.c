/* SPDX-License-Identifier: Apache-2.0 */
/* test_sink: the receiver as a process of its own, asked over HTTP. */
#include "unit.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <curl/curl.h>
#include <snappy-c.h>
#include <zstd.h>

#include "agent/command/command.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "rw1.pb-c.h"
#include "extras_bed.h"
#include "rw2.pb-c.h"

/* ---- the process ---- */

struct rig {
    char dir[64];
    char *out, *token;
    pid_t pid;
    unsigned port;
    int log;
};

static unsigned read_port(int fd)
{
    static const char MARK[] = "listening on 127.0.0.1:";
    char text[4096];
    size_t n = 0;
    while (n < sizeof text - 1) {
        ssize_t got = read(fd, text + n, 1);
        if (got <= 0)
            break;
        text[++n] = '\0';
        const char *at = strstr(text, MARK);
        if (at && text[n - 1] == '\n')
            return (unsigned)strtoul(at + sizeof MARK - 1, NULL, 10);
    }
    fail_msg("the sink said: %s", text);
    return 0;
}

static void rig_start(struct rig *rig, const char *extra)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    char *out = xasprintf("--out=%s", rig->out), *token = xasprintf("--token-file=%s", rig->token);
    rig->pid = fork();
    assert_true(rig->pid >= 0);
    if (rig->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* not to outlive a test that fails */
        dup2(fds[1], STDERR_FILENO);
        close(fds[0]);
        char *argv[6] = {(char *)"sink", (char *)"--listen=127.0.0.1:0", out};
        int argc = 3;
        if (extra)
            argv[argc++] = (char *)extra;
        if (access(rig->token, F_OK) == 0)
            argv[argc++] = token;
        _exit(command_sink(argc, argv));
    }
    close(fds[1]);
    rig->log = fds[0];
    rig->port = read_port(fds[0]);
    free(out);
    free(token);
}

static void rig_stop(struct rig *rig)
{
    int status;
    assert_int_equal(kill(rig->pid, SIGTERM), 0);
    assert_true(waitpid(rig->pid, &status, 0) == rig->pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    close(rig->log);
}

static void write_text(const char *path, const char *text)
{
    struct err err = {0};
    assert_true(file_write_atomic(path, str_of(text), &err));
}

static int setup(void **state)
{
    struct rig *rig = xcalloc(1, sizeof *rig);
    snprintf(rig->dir, sizeof rig->dir, "/tmp/test_sink.XXXXXX");
    assert_non_null(mkdtemp(rig->dir));
    rig->out = file_join(rig->dir, "out.ndjson");
    rig->token = file_join(rig->dir, "token");
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;
    unlink(rig->out);
    unlink(rig->token);
    rmdir(rig->dir);
    free(rig->out);
    free(rig->token);
    free(rig);
    return 0;
}

/* What the file holds now. */
static char *contents(const struct rig *rig)
{
    struct buf b;
    struct err err = {0};
    buf_init(&b, 1 << 24);
    if (!file_read(rig->out, 1 << 24, &b, &err))
        fail_msg("%s", err.msg);
    buf_add_c(&b, "");
    char *text = xstrdup(buf_c(&b));
    buf_free(&b);
    return text;
}

/* ---- asking ---- */

struct reply {
    long status;
    char body[2048];
    char samples_written[32], histograms_written[32], exemplars_written[32];
};

static size_t on_reply(char *p, size_t size, size_t n, void *ctx)
{
    struct reply *reply = ctx;
    size_t at = strlen(reply->body);
    snprintf(reply->body + at, sizeof reply->body - at, "%.*s", (int)(size * n), p);
    return size * n;
}

static size_t on_header(char *p, size_t size, size_t n, void *ctx)
{
    struct reply *reply = ctx;
    (void)sscanf(p, "X-Prometheus-Remote-Write-Samples-Written: %31[0-9]", reply->samples_written);
    (void)sscanf(p, "X-Prometheus-Remote-Write-Histograms-Written: %31[0-9]", reply->histograms_written);
    (void)sscanf(p, "X-Prometheus-Remote-Write-Exemplars-Written: %31[0-9]", reply->exemplars_written);
    return size * n;
}

static struct reply ask(const struct rig *rig, const char *method, struct str body,
                        const char *const *headers)
{
    struct reply reply = {0};
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/any/path", rig->port);
    CURL *curl = curl_easy_init();
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");
    for (size_t i = 0; headers && headers[i]; i++)
        list = curl_slist_append(list, headers[i]);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    if (body.p) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.p);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
    }
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_reply);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &reply);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &reply);
    assert_int_equal(curl_easy_perform(curl), CURLE_OK);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply.status);
    curl_slist_free_all(list);
    curl_easy_cleanup(curl);
    return reply;
}

static const char *const RW1[] = {"Content-Type: application/x-protobuf", "Content-Encoding: snappy", NULL};
static const char *const RW1_ZSTD[] = {"Content-Type: application/x-protobuf", "Content-Encoding: zstd",
                                       NULL};
static const char *const RW2[] = {"Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request",
                                  "Content-Encoding: snappy", NULL};

static struct str snappy(const void *raw, size_t n)
{
    size_t out_n = snappy_max_compressed_length(n);
    char *out = xmalloc(out_n);
    assert_int_equal(snappy_compress(raw, n, out, &out_n), SNAPPY_OK);
    return str_make(out, out_n);
}

/* ---- messages ---- */

static double double_of(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, 8);
    return v;
}

/* One series with the given labels (name, value, ..., NULL) and samples. */
static struct str rw1_message(const char *const *labels, const double *values, size_t n)
{
    Prometheus__Label l[8], *lp[8];
    Prometheus__Sample s[8], *sp[8];
    size_t labels_n = 0;
    for (; labels[2 * labels_n]; labels_n++) {
        prometheus__label__init(&l[labels_n]);
        l[labels_n].name = (char *)labels[2 * labels_n];
        l[labels_n].value = (char *)labels[2 * labels_n + 1];
        lp[labels_n] = &l[labels_n];
    }
    for (size_t i = 0; i < n; i++) {
        prometheus__sample__init(&s[i]);
        s[i].value = values[i];
        s[i].timestamp = 1000 + (int64_t)i;
        sp[i] = &s[i];
    }
    Prometheus__TimeSeries series = PROMETHEUS__TIME_SERIES__INIT, *series_p = &series;
    series.labels = lp;
    series.n_labels = labels_n;
    series.samples = sp;
    series.n_samples = n;
    Prometheus__WriteRequest request = PROMETHEUS__WRITE_REQUEST__INIT;
    request.timeseries = &series_p;
    request.n_timeseries = 1;
    uint8_t *raw = xmalloc(prometheus__write_request__get_packed_size(&request) + 1);
    size_t raw_n = prometheus__write_request__pack(&request, raw);
    return str_make((char *)raw, raw_n);
}

static struct reply send_rw1(const struct rig *rig, const char *const *labels, const double *values, size_t n)
{
    struct str raw = rw1_message(labels, values, n);
    struct str body = snappy(raw.p, raw.n);
    struct reply reply = ask(rig, "POST", body, RW1);
    free((char *)body.p);
    free((char *)raw.p);
    return reply;
}

static const char *const PLAIN[] = {"__name__", "up", "job", "a \"b\"\n\xc3\xa9", NULL};

static const char *const BAD_LABELS[][8] = {
    {"b", "1", "a", "2", NULL},
    {"a", "1", "a", "2", NULL},
    {"a", "", NULL},
    {"", "1", NULL},
    {"a", "\xff", NULL},
    {NULL},
};

/* ---- tests ---- */

static void test_rw1(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, NULL);
    double values[] = {1.5, -0.0, double_of(0x7ff0000000000002), double_of(0x7ff8000000000001),
                       double_of(0x7ff0000000000000), double_of(0xfff0000000000000), 1e300};
    struct reply reply = send_rw1(rig, PLAIN, values, 7);
    assert_int_equal(reply.status, 204);
    assert_string_equal(reply.samples_written, "");
    char *text = contents(rig);
    static const char *const WANT[] = {"1.5", "0", "\"stale\"", "\"NaN\"", "\"+Inf\"", "\"-Inf\"", "1e+300"};
    struct buf want;
    buf_init(&want, 1 << 16);
    for (int i = 0; i < 7; i++)
        buf_addf(&want,
                 "{\"labels\":{\"__name__\":\"up\",\"job\":\"a \\\"b\\\"\\n\xc3\xa9\"},\"t\":%d,\"v\":%s}\n",
                 1000 + i, WANT[i]);
    assert_string_equal(text, buf_c(&want));
    free(text);
    buf_free(&want);
    rig_stop(rig);
}

static void test_refusals(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, "--max-body=1000");
    double one = 1;
    for (size_t i = 0; i < sizeof BAD_LABELS / sizeof BAD_LABELS[0]; i++) {
        struct reply reply = send_rw1(rig, BAD_LABELS[i], &one, 1);
        if (reply.status != 400 || strlen(reply.body) < 10)
            fail_msg("bad labels %zu: %ld %s", i, reply.status, reply.body);
    }
    static const char *const TYPE[] = {"Content-Type: text/plain", NULL};
    static const char *const PROTO[] = {"Content-Type: application/x-protobuf;proto=other", NULL};
    static const char *const CODING[] = {"Content-Type: application/x-protobuf", "Content-Encoding: gzip",
                                         NULL};
    struct str raw = rw1_message(PLAIN, &one, 1);
    struct str body = snappy(raw.p, raw.n);
    assert_int_equal(ask(rig, "POST", body, TYPE).status, 415);
    assert_int_equal(ask(rig, "POST", body, PROTO).status, 415);
    assert_int_equal(ask(rig, "POST", body, CODING).status, 415);
    assert_int_equal(ask(rig, "PUT", body, RW1).status, 405);
    assert_int_equal(ask(rig, "POST", STR("not snappy at all"), RW1).status, 400);
    assert_int_equal(ask(rig, "POST", STR("not zstd at all"), RW1_ZSTD).status, 400);
    struct str cut = snappy(raw.p, raw.n - 3);
    assert_int_equal(ask(rig, "POST", cut, RW1).status, 400);
    char *large = xcalloc(1, 300000);
    assert_int_equal(ask(rig, "POST", str_make(large, 300000), RW1).status, 413);
    assert_int_equal(ask(rig, "POST", body, RW1).status, 204);
    free(large);
    free((char *)cut.p);
    free((char *)body.p);
    free((char *)raw.p);
    char *text = contents(rig);
    assert_null(strchr(strchr(text, '\n') + 1, '\n')); /* one line: only the last was taken */
    free(text);
    struct reply counts = ask(rig, "GET", STR_NULL, NULL);
    assert_non_null(strstr(counts.body, "\"refused\":13,"));
    assert_non_null(strstr(counts.body, "\"samples\":1,"));
    rig_stop(rig);
}

static void test_token(void **state)
{
    struct rig *rig = *state;
    write_text(rig->token, "s3cret\n");
    rig_start(rig, NULL);
    double one = 1;
    struct str raw = rw1_message(PLAIN, &one, 1);
    struct str body = snappy(raw.p, raw.n);
    static const char *const NEW[] = {"Authorization: Bearer other", NULL};
    static const char *const OLD[] = {"Authorization: bearer s3cret", NULL};
    static const char *const LONGER[] = {"Authorization: Bearer s3cret2", NULL};
    static const char *const BARE[] = {"Authorization: s3cret", NULL};
    assert_int_equal(ask(rig, "POST", body, RW1).status, 401);
    assert_int_equal(ask(rig, "POST", body, LONGER).status, 401);
    assert_int_equal(ask(rig, "POST", body, BARE).status, 401);
    assert_int_equal(ask(rig, "POST", body, NEW).status, 401);
    static const char *const OLD_FULL[] = {"Authorization: bearer s3cret",
                                           "Content-Type: application/x-protobuf", NULL};
    assert_int_equal(ask(rig, "POST", body, OLD_FULL).status, 204);
    write_text(rig->token, "other");
    assert_int_equal(ask(rig, "POST", body, OLD).status, 401);
    static const char *const NEW_FULL[] = {"Authorization: Bearer other",
                                           "Content-Type: application/x-protobuf", NULL};
    assert_int_equal(ask(rig, "POST", body, NEW_FULL).status, 204);
    unlink(rig->token);
    assert_int_equal(ask(rig, "POST", body, NEW_FULL).status, 401);
    free((char *)body.p);
    free((char *)raw.p);
    rig_stop(rig);
}

static struct str rw2_message(uint32_t last_ref)
{
    static char *symbols[] = {(char *)"", (char *)"__name__", (char *)"up", (char *)"help"};
    uint32_t refs[] = {1, last_ref};
    Io__Prometheus__Write__V2__Sample sample = IO__PROMETHEUS__WRITE__V2__SAMPLE__INIT, *sample_p = &sample;
    sample.value = 3;
    sample.timestamp = 5;
    Io__Prometheus__Write__V2__TimeSeries series = IO__PROMETHEUS__WRITE__V2__TIME_SERIES__INIT,
                                          *series_p = &series;
    series.labels_refs = refs;
    series.n_labels_refs = 2;
    series.samples = &sample_p;
    series.n_samples = 1;
    Io__Prometheus__Write__V2__Request request = IO__PROMETHEUS__WRITE__V2__REQUEST__INIT;
    request.symbols = symbols;
    request.n_symbols = 4;
    request.timeseries = &series_p;
    request.n_timeseries = 1;
    uint8_t *raw = xmalloc(io__prometheus__write__v2__request__get_packed_size(&request));
    size_t raw_n = io__prometheus__write__v2__request__pack(&request, raw);
    return str_make((char *)raw, raw_n);
}

static void test_rw2_and_zstd(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, NULL);
    struct str good = rw2_message(2), bad = rw2_message(4);
    struct str good_body = snappy(good.p, good.n), bad_body = snappy(bad.p, bad.n);
    struct reply reply = ask(rig, "POST", good_body, RW2);
    assert_int_equal(reply.status, 204);
    assert_string_equal(reply.samples_written, "1");
    reply = ask(rig, "POST", bad_body, RW2);
    assert_int_equal(reply.status, 400);
    assert_string_equal(reply.samples_written, "0");
    double two = 2;
    struct str raw = rw1_message(PLAIN, &two, 1);
    char zstd[4096];
    size_t n = ZSTD_compress(zstd, sizeof zstd, raw.p, raw.n, 1);
    assert_int_equal(ask(rig, "POST", str_make(zstd, n), RW1_ZSTD).status, 204);
    assert_int_equal(ask(rig, "POST", str_make(zstd, n - 1), RW1_ZSTD).status, 400);
    char *text = contents(rig);
    assert_true(str_starts(str_of(text), STR("{\"labels\":{\"__name__\":\"up\"},\"t\":5,\"v\":3}\n")));
    assert_non_null(strstr(text, "\"t\":1000,\"v\":2}\n"));
    free(text);
    free((char *)raw.p);
    free((char *)good.p);
    free((char *)bad.p);
    free((char *)good_body.p);
    free((char *)bad_body.p);
    rig_stop(rig);
}

/* A block's bytes are a message of RW2. */
static void test_rw2_counts_of_every_kind(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, "--metadata");
    struct block *b = extras_block();
    struct str body = snappy(b->data, b->size);
    struct reply reply = ask(rig, "POST", body, RW2);
    assert_int_equal(reply.status, 204);
    assert_string_equal(reply.samples_written, "6");
    assert_string_equal(reply.histograms_written, "7");
    assert_string_equal(reply.exemplars_written, "13");
    char *text = contents(rig);
    size_t lines = 0;
    for (const char *p = text; *p; p++)
        lines += *p == '\n';
    assert_int_equal(lines, 13 + 10); /* with metadata */
    free(text);
    reply = ask(rig, "GET", STR_NULL, NULL);
    assert_non_null(strstr(reply.body, "\"samples\":6,\"histograms\":7,\"exemplars\":13,\"metadata\":10,"));
    free((char *)body.p);
    block_unref(b);
    rig_stop(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rw1, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_token, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rw2_and_zstd, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rw2_counts_of_every_kind, setup, teardown),
    };
    return cmocka_run_group_tests_name("sink", tests, NULL, NULL);
}
