/* SPDX-License-Identifier: Apache-2.0 */
/* test_kubeconfig: kubectl's configuration, as far as it tells how to reach one API server. */
#include "unit.h"

#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "config_sd.h"

static char dir[64];

static struct config_kubeconfig *read_text(const char *text, struct buf *errors)
{
    struct err err = {0};
    char *path = file_join(dir, "config");
    assert_true(file_write_atomic(path, str_of(text), &err));
    struct config_kubeconfig *k = config_kubeconfig_read(path, errors);
    unlink(path);
    free(path);
    return k;
}

#define CONTEXT                                                                                                     \
    "current-context: here\n"                                                                                       \
    "contexts: [{name: there, context: {cluster: other}}, {name: here, context: {cluster: c, user: u}}]\n"          \
    "clusters: [{name: other, cluster: {}}, {name: c, cluster: {server: 'https://k:6443', "

static void tokens_certificates_and_passwords(void **state)
{
    (void)state;
    struct buf errors;
    buf_init(&errors, 1 << 16);
    struct config_kubeconfig *k = read_text(CONTEXT
                                            "certificate-authority: ca.pem, tls-server-name: kubernetes}}]\n"
                                            "users: [{name: u, user: {token: secret}}]\n", &errors);
    assert_string_equal(buf_c(&errors), "");
    assert_non_null(k);
    assert_string_equal(k->server, "https://k:6443");
    assert_true(k->http.has_authorization);
    assert_string_equal(k->http.authorization_type, "Bearer");
    assert_string_equal(k->http.credentials.value, "secret");
    char *ca = file_join(dir, "ca.pem");
    assert_string_equal(k->http.tls_ca.file, ca); /* beside the file that names it */
    assert_string_equal(k->http.tls_server_name, "kubernetes");
    assert_true(k->http.follow_redirects);
    free(ca);
    config_kubeconfig_free(k);

    k = read_text(CONTEXT "certificate-authority-data: LS0tQ0EtLS0K, insecure-skip-tls-verify: true, "
                          "proxy-url: 'http://p:3128'}}]\n"
                          "users: [{name: u, user: {"
                          "client-certificate-data: \"Q0VS\\n VA==\\n\", client-key: k.pem}}]\n",
                  &errors);
    assert_non_null(k);
    assert_string_equal(k->http.tls_ca.value, "---CA---\n");
    assert_string_equal(k->http.tls_cert.value, "CERT");
    assert_non_null(strstr(k->http.tls_key.file, "/k.pem"));
    assert_true(k->http.tls_insecure_skip_verify);
    assert_string_equal(k->http.proxy_url, "http://p:3128");
    assert_false(k->http.has_authorization);
    config_kubeconfig_free(k);

    k = read_text(CONTEXT "}}]\nusers: [{name: u, user: {tokenFile: t, token: old}}]\n", &errors);
    assert_non_null(k);
    assert_non_null(strstr(k->http.credentials.file, "/t")); /* kubectl prefers it, too */
    assert_null(k->http.credentials.value);
    config_kubeconfig_free(k);

    k = read_text(CONTEXT "}}]\nusers: [{name: u, user: {username: me, password: pw}}]\n", &errors);
    assert_non_null(k);
    assert_true(k->http.has_basic_auth);
    assert_string_equal(k->http.username.value, "me");
    assert_string_equal(k->http.password.value, "pw");
    config_kubeconfig_free(k);
    assert_string_equal(buf_c(&errors), "");
    buf_free(&errors);
}

static const struct {
    const char *text, *error; /* behind the file's name */
} broken[] = {
    {"", ":1:1: there is no current-context\n"},
    {"current-context: here\n", ":1:1: there is no context named \"here\" in contexts\n"},
    {"current-context: a\ncontexts: [{name: a, context: {cluster: b}}]\nclusters: []\n",
     ":3:11: there is no cluster named \"b\" in clusters\n"},
    {CONTEXT "}}]\nusers: [{name: x}]\n", ":4:8: there is no user named \"u\" in users\n"},
    {"current-context: a\ncontexts: [{name: a, context: {cluster: b}}]\nclusters: [{name: b, cluster: {x: y}}]\n",
     ":3:31: the cluster has no server\n"},
    {CONTEXT "certificate-authority-data: '?'}}]\nusers: [{name: u, user: {}}]\n",
     "certificate-authority-data is not base64\n"},
    {CONTEXT "}}]\nusers: [{name: u, user: {exec: {command: aws}}}]\n",
     ":4:32: exec is not supported: use a token, tokenFile, certificate or password\n"},
    {"current-context: [", ":2:1: yaml: "},
};

static void what_is_wrong_is_said_with_its_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(broken); i++) {
        struct buf errors;
        buf_init(&errors, 1 << 16);
        assert_null(read_text(broken[i].text, &errors));
        if (!strstr(buf_c(&errors), broken[i].error))
            fail_msg("%zu: %s", i, buf_c(&errors));
        buf_free(&errors);
    }
    struct buf errors;
    buf_init(&errors, 1 << 16);
    assert_null(config_kubeconfig_read("/nonexistent", &errors));
    assert_memory_equal(buf_c(&errors), "/nonexistent:1:1: ", 18);
    buf_free(&errors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_certificates_and_passwords),
        cmocka_unit_test(what_is_wrong_is_said_with_its_place),
    };
    snprintf(dir, sizeof dir, "/tmp/kubeconfig.XXXXXX");
    if (!mkdtemp(dir))
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(dir);
    return failed;
}
