/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_tls: certificates, names and versions, against `openssl s_server` with a CA made for the test. */
#include "unit.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "http.h"

static char dir[] = "/tmp/obsagent-tls-XXXXXX";
static struct loop *loop;
static struct http_client *client;

static char *in_dir(const char *name)
{
    return file_join(dir, name);
}

/* Runs a shell command in the directory. */
__attribute__((format(printf, 1, 2))) static void sh(const char *fmt, ...)
{
    char command[2048];
    int n = snprintf(command, sizeof command, "cd %s && exec >/dev/null 2>&1; ", dir);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(command + n, sizeof command - (size_t)n, fmt, ap);
    va_end(ap);
    assert_int_equal(system(command), 0);
}

static void make_ca(const char *name)
{
    sh("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=%s "
       "-keyout %s.key -out %s.pem",
       name, name, name);
}

static void make_certificate(const char *name, const char *ca, const char *san)
{
    sh("openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=%s -keyout %s.key "
       "-out %s.csr && printf 'subjectAltName=%s' > %s.ext && "
       "openssl x509 -req -days 2 -in %s.csr -CA %s.pem -CAkey %s.key -CAcreateserial -extfile %s.ext "
       "-out %s.pem",
       name, name, name, san, name, name, ca, ca, name, name);
}

struct tls_server {
    pid_t pid;
    char url[64];
};

/* Says "ACCEPT HOST:PORT" once it listens; `extra` is one more option or NULL. */
static struct tls_server tls_server_start(const char *extra, const char *value)
{
    struct tls_server s;
    int out[2];
    assert_int_equal(pipe(out), 0);
    s.pid = fork();
    if (s.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(out[1], 1);
        close(out[0]);
        assert_non_null(freopen("/dev/null", "w", stderr));
        assert_int_equal(chdir(dir), 0);
        execlp("openssl", "openssl", "s_server", "-accept", "127.0.0.1:0", "-www", "-cert", "server.pem",
               "-key", "server.key", extra, value, (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    FILE *f = fdopen(out[0], "r");
    char line[256];
    int port = 0;
    while (port == 0 && fgets(line, sizeof line, f)) {
        if (sscanf(line, "ACCEPT %*[0-9.]:%d", &port) != 1)
            port = 0;
    }
    assert_int_not_equal(port, 0);
    /* The pipe stays open: s_server goes on writing to it. */
    snprintf(s.url, sizeof s.url, "https://127.0.0.1:%d/", port);
    return s;
}

static void tls_server_stop(const struct tls_server *s)
{
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
}

static char error[512];
static bool ok;

static void note_done(void *ctx, const struct http_result *result)
{
    (void)ctx;
    ok = result->ok && result->status == 200;
    snprintf(error, sizeof error, "%.*s", STR_ARG(result->error));
    loop_stop(loop);
}

static bool reaches(const char *url, const struct http_options *options)
{
    struct err err = {0};
    struct http_request r = {.url = url, .timeout_ms = 5000, .options = options, .on_done = note_done};
    r.fresh_connection = true;
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
    server = tls_server_start(NULL, NULL);
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
    struct tls_server strict = tls_server_start("-Verify", "1");
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
    struct tls_server old = tls_server_start("-no_tls1_3", NULL);
    struct http_options o = {.tls_insecure_skip_verify = true};
    assert_true(reaches(old.url, &o));
    o.tls_min_version = HTTP_TLS13;
    assert_false(reaches(old.url, &o));
    o.tls_min_version = HTTP_TLS_DEFAULT;
    o.tls_max_version = HTTP_TLS12;
    assert_true(reaches(old.url, &o));
    tls_server_stop(&old);
    struct tls_server new = tls_server_start("-no_tls1_2", NULL);
    assert_false(reaches(new.url, &o));
    o.tls_max_version = HTTP_TLS13;
    assert_true(reaches(new.url, &o));
    tls_server_stop(&new);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_right_ca_and_name_are_trusted),
        cmocka_unit_test(rotated_ca_file_takes_effect),
        cmocka_unit_test(client_certificate_is_shown),
        cmocka_unit_test(versions_are_bounded),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
