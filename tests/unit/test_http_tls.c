/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_tls: certificates, names and versions, against `openssl s_server` with a CA made for the test. */
#include "tls_fixture.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "http.h"

static struct loop *loop;
static struct http_client *client;

static char error[512];
static bool ok;
static char page[16384]; /* s_server's, about the connection */
static size_t page_n;

static void note_done(void *ctx, const struct http_result *result)
{
    (void)ctx;
    ok = result->ok && result->status == 200;
    snprintf(error, sizeof error, "%.*s", STR_ARG(result->error));
    loop_stop(loop);
}

static bool note_body(void *ctx, long status, const void *p, size_t n)
{
    (void)ctx;
    (void)status;
    if (page_n + n >= sizeof page)
        return false;
    memcpy(page + page_n, p, n);
    page_n += n;
    page[page_n] = '\0';
    return true;
}

static bool reaches(const char *url, const struct http_options *options)
{
    struct err err = {0};
    struct http_request r = {.url = url, .timeout_ms = 5000, .options = options, .on_body = note_body,
                             .on_done = note_done};
    r.fresh_connection = true;
    page_n = 0;
    if (!http_start(client, &r, &err)) {
        snprintf(error, sizeof error, "%s", err.msg);
        return false;
    }
    loop_run(loop);
    return ok;
}

static char *read_text(const char *path)
{
    struct buf b;
    struct err err = {0};
    buf_init(&b, 1 << 20);
    assert_true(file_read(path, 1 << 20, &b, &err));
    return buf_take(&b);
}

static struct tls_server server;

static int setup(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    assert_non_null(mkdtemp(dir));
    make_ca("ca");
    make_ca("otherca");
    make_certificate("server", "ca", "DNS:metrics.test");
    make_certificate("client", "ca", "DNS:client.test");
    server = tls_server_start(NULL, NULL, NULL, NULL);
    loop = loop_new();
    client = http_client_new(loop, (struct http_client_limits){0});
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    http_client_free(client);
    loop_free(loop);
    tls_server_stop(&server);
    sh("rm -rf %s", dir);
    return 0;
}

static void only_the_right_ca_and_name_are_trusted(void **state)
{
    (void)state;
    char *ca = in_dir("ca.pem"), *other = in_dir("otherca.pem"), *pem = read_text(ca);
    struct http_options none = {0};
    struct http_options insecure = {.tls_insecure_skip_verify = true};
    struct http_options right = {.tls_ca = {.file = ca}, .tls_server_name = (char[]){"metrics.test"}};
    struct http_options in_line = {.tls_ca = {.value = pem}, .tls_server_name = (char[]){"metrics.test"}};
    struct http_options wrong_name = {.tls_ca = {.file = ca}, .tls_server_name = (char[]){"else.test"}};
    struct http_options no_name = {.tls_ca = {.file = ca}};
    struct http_options wrong_ca = {.tls_ca = {.file = other}, .tls_server_name = (char[]){"metrics.test"}};
    assert_false(reaches(server.url, NULL));
    assert_false(reaches(server.url, &none));
    assert_true(reaches(server.url, &insecure));
    assert_true(reaches(server.url, &right));
    assert_true(reaches(server.url, &in_line));
    assert_false(reaches(server.url, &wrong_name));
    assert_non_null(strstr(error, "else.test"));
    assert_false(reaches(server.url, &no_name));
    assert_false(reaches(server.url, &wrong_ca));
    assert_true(error[0]);
    free(ca);
    free(other);
    free(pem);
}

static void rotated_ca_file_takes_effect(void **state)
{
    (void)state;
    char *ca = in_dir("rotating.pem");
    struct http_options o = {.tls_ca = {.file = ca}, .tls_server_name = (char[]){"metrics.test"}};
    sh("cp otherca.pem rotating.pem");
    assert_false(reaches(server.url, &o));
    sh("cp ca.pem new.pem && mv new.pem rotating.pem");
    assert_true(reaches(server.url, &o));
    /* The same for one that is too large to be passed as bytes. */
    sh("for i in $(seq 60); do cat otherca.pem; done > rotating.pem");
    assert_false(reaches(server.url, &o));
    sh("(for i in $(seq 60); do cat otherca.pem; done; cat ca.pem) > rotating.pem");
    assert_true(reaches(server.url, &o));
    free(ca);
}

static void client_certificate_is_shown(void **state)
{
    (void)state;
    struct tls_server strict = tls_server_start("-Verify", "1", NULL, NULL);
    char *cert = in_dir("client.pem"), *key = in_dir("client.key");
    struct http_options without = {.tls_insecure_skip_verify = true};
    struct http_options with = without;
    with.tls_cert.file = cert;
    with.tls_key.file = key;
    struct http_options missing = with;
    missing.tls_key.file = (char[]){"/nonexistent.key"};
    assert_false(reaches(strict.url, &without));
    if (!reaches(strict.url, &with))
        fail_msg("%s", error);
    assert_false(reaches(strict.url, &missing));
    assert_non_null(strstr(error, "/nonexistent.key"));
    tls_server_stop(&strict);
    free(cert);
    free(key);
}

static void versions_are_bounded(void **state)
{
    (void)state;
    struct tls_server old = tls_server_start("-no_tls1_3", NULL, NULL, NULL);
    struct http_options o = {.tls_insecure_skip_verify = true};
    assert_true(reaches(old.url, &o));
    o.tls_min_version = HTTP_TLS13;
    assert_false(reaches(old.url, &o));
    o.tls_min_version = HTTP_TLS_DEFAULT;
    o.tls_max_version = HTTP_TLS12;
    assert_true(reaches(old.url, &o));
    tls_server_stop(&old);
    struct tls_server new = tls_server_start("-no_tls1_2", NULL, NULL, NULL);
    assert_false(reaches(new.url, &o));
    o.tls_max_version = HTTP_TLS13;
    assert_true(reaches(new.url, &o));
    tls_server_stop(&new);
}

static void each_version_is_spoken_alone(void **state)
{
    (void)state;
    static const char *const flags[] = {"", "-tls1", "-tls1_1", "-tls1_2", "-tls1_3"};
    static const struct {
        enum http_tls_version min, max, server;
        bool ok;
    } rows[] = {
        {HTTP_TLS_DEFAULT, HTTP_TLS_DEFAULT, HTTP_TLS11, false},
        {HTTP_TLS_DEFAULT, HTTP_TLS_DEFAULT, HTTP_TLS12, true},
        {HTTP_TLS_DEFAULT, HTTP_TLS_DEFAULT, HTTP_TLS13, true},
        {HTTP_TLS10, HTTP_TLS_DEFAULT, HTTP_TLS10, true},
        {HTTP_TLS10, HTTP_TLS_DEFAULT, HTTP_TLS13, true},
        {HTTP_TLS11, HTTP_TLS_DEFAULT, HTTP_TLS10, false},
        {HTTP_TLS11, HTTP_TLS_DEFAULT, HTTP_TLS11, true},
        {HTTP_TLS_DEFAULT, HTTP_TLS11, HTTP_TLS11, true},
        {HTTP_TLS10, HTTP_TLS11, HTTP_TLS12, false},
        {HTTP_TLS12, HTTP_TLS12, HTTP_TLS12, true},
        {HTTP_TLS12, HTTP_TLS12, HTTP_TLS13, false},
        {HTTP_TLS13, HTTP_TLS13, HTTP_TLS12, false},
        {HTTP_TLS13, HTTP_TLS13, HTTP_TLS13, true},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tls_server s = tls_server_start(flags[rows[i].server], "-cipher", "DEFAULT:@SECLEVEL=0", NULL);
        struct http_options o = {.tls_insecure_skip_verify = true};
        o.tls_min_version = rows[i].min;
        o.tls_max_version = rows[i].max;
        if (reaches(s.url, &o) != rows[i].ok)
            fail_msg("row %zu: %s", i, error);
        tls_server_stop(&s);
    }
}

static bool was_shown(const char *name)
{
    char subject[64], spaced[64];
    snprintf(subject, sizeof subject, "Subject: CN=%s\n", name);
    snprintf(spaced, sizeof spaced, "Subject: CN = %s\n", name);
    return strstr(page, subject) || strstr(page, spaced);
}

static void rotated_client_certificate_is_shown_next(void **state)
{
    (void)state;
    struct tls_server strict = tls_server_start("-Verify", "1", NULL, NULL);
    char *cert = in_dir("rotating.crt"), *key = in_dir("rotating.key");
    struct http_options o = {.tls_insecure_skip_verify = true, .tls_cert.file = cert, .tls_key.file = key};
    sh("cp client.pem rotating.crt; cp client.key rotating.key");
    assert_true(reaches(strict.url, &o));
    assert_true(was_shown("client"));
    make_certificate("second", "ca", "DNS:second.test");
    sh("cp second.pem new; mv new rotating.crt; cp second.key new; mv new rotating.key");
    if (!reaches(strict.url, &o))
        fail_msg("%s", error);
    assert_true(was_shown("second"));
    /* Half a rotation: the two do not belong together. */
    sh("cp client.pem new; mv new rotating.crt");
    assert_false(reaches(strict.url, &o));
    sh("cp client.key new; mv new rotating.key");
    assert_true(reaches(strict.url, &o));
    char *cert_text = read_text(cert), *key_text = read_text(key);
    struct http_options in_line = {.tls_insecure_skip_verify = true, .tls_cert.value = cert_text,
                                   .tls_key.value = key_text};
    assert_true(reaches(strict.url, &in_line));
    assert_true(was_shown("client"));
    free(cert_text);
    free(key_text);
    tls_server_stop(&strict);
    free(cert);
    free(key);
}

static void server_name_is_what_the_server_hears(void **state)
{
    (void)state;
    sh("cp server.pem server2.pem; cat server.key >> server2.pem");
    struct tls_server named = tls_server_start("-servername", "metrics.test", "-servername_fatal", NULL);
    struct http_options o = {.tls_insecure_skip_verify = true, .tls_server_name = (char[]){"metrics.test"}};
    assert_true(reaches(named.url, &o));
    o.tls_server_name = (char[]){"else.test"};
    assert_false(reaches(named.url, &o));
    tls_server_stop(&named);
}

/* The protocols a client offers, as s_server prints them. */
static void offered(const struct http_options *o, char *line, size_t size)
{
    struct tls_server s = tls_server_start("-alpn", "http/1.1", NULL, NULL);
    assert_true(reaches(s.url, o));
    while (fgets(line, (int)size, s.says) && !strstr(line, "ALPN protocols advertised"))
        continue;
    tls_server_stop(&s);
}

static void http2_is_offered_when_asked_for(void **state)
{
    (void)state;
    char line[256];
    struct http_options o = {.tls_insecure_skip_verify = true};
    offered(&o, line, sizeof line);
    assert_non_null(strstr(line, "client: http/1.1\n"));
    o.enable_http2 = true;
    offered(&o, line, sizeof line);
    assert_non_null(strstr(line, "client: h2, http/1.1\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_right_ca_and_name_are_trusted),
        cmocka_unit_test(rotated_ca_file_takes_effect),
        cmocka_unit_test(client_certificate_is_shown),
        cmocka_unit_test(versions_are_bounded),
        cmocka_unit_test(each_version_is_spoken_alone),
        cmocka_unit_test(rotated_client_certificate_is_shown_next),
        cmocka_unit_test(server_name_is_what_the_server_hears),
        cmocka_unit_test(http2_is_offered_when_asked_for),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
