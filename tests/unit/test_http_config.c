/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_config: what the HTTP client's fields become: shown, hidden, in the options and in the hash. What is
   refused is in data/config/broken. */
#include "unit.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "config.h"

static struct config *load(const char *fields)
{
    char *yaml = xasprintf("scrape_configs:\n- job_name: j\n  %s\n", fields);
    struct buf errors;
    buf_init(&errors, 1 << 20);
    struct config *c = config_load_text("test.yml", str_of(yaml), NULL, false, &errors);
    if (!c)
        fail_msg("%s%s", yaml, buf_c(&errors));
    buf_free(&errors);
    free(yaml);
    return c;
}

#define OAUTH "oauth2: {client_id: me, token_url: \"http://t/\", "

static void fields_are_shown_without_secrets(void **state)
{
    (void)state;
    static const struct {
        const char *fields, *want; /* beginning with '!': not shown */
    } rows[] = {
        {OAUTH "client_secret: HUSH}", "  oauth2:\n    client_id: me\n    client_secret: \"<secret>\"\n"},
        {OAUTH "client_secret_file: /s}", "    client_secret_file: /s\n"},
        {OAUTH "scopes: [aa, \"b c\"]}", "    scopes:\n    - aa\n    - \"b c\"\n"},
        {OAUTH "endpoint_params: {audience: all, password: HUSH}}",
         "    endpoint_params:\n      audience: all\n      password: \"<secret>\"\n"},
        {OAUTH "tls_config: {ca_file: /ca}}", "    tls_config:\n      ca_file: /ca\n"},
        {OAUTH "proxy_url: \"http://u:HUSH@p/\", no_proxy: xx}",
         "    proxy_url: \"http://u:xxxxx@p/\"\n    no_proxy: xx\n"},
        {OAUTH "headers: [\"A: b\", \"X-Key: HUSH\"]}", "    headers:\n    - \"A: b\"\n    - \"X-Key: <secret>\"\n"},
        {OAUTH "grant_type: client_credentials}", "!grant_type"},
        {"oauth2:", "!oauth2"},
        {"proxy_url: socks5h://u:HUSH@p:1", "proxy_url: \"socks5h://u:xxxxx@p:1\"\n"},
        {"proxy_url: \"http://u:HUSH@p:1/?a=b&Api-Key=HUSH&x=y#key\"",
         "proxy_url: \"http://u:xxxxx@p:1/?a=b&Api-Key=xxxxx&x=y#key\"\n"},
        {"proxy_url: \"http://p:1?token=HUSH#x\"", "proxy_url: \"http://p:1?token=xxxxx#x\"\n"},
        {"proxy_url: \"http://u@p:1/?&&=&token\"", "proxy_url: \"http://xxxxx@p:1/?&&=&token\"\n"},
        {"proxy_url: https://p:1", "proxy_url: https://p:1\n"},
        {"proxy_from_environment: true", "  proxy_from_environment: true\n"},
        {"proxy_from_environment: true\n  proxy_connect_header: {AA: [HUSH, HUSH], BB: [HUSH]}",
         "  proxy_connect_header:\n    AA:\n    - \"<secret>\"\n    - \"<secret>\"\n    BB:\n    - \"<secret>\"\n"},
        {"proxy_authorization: {credentials: HUSH}",
         "  proxy_authorization:\n    type: Bearer\n    credentials: \"<secret>\"\n"},
        {"proxy_bearer_token: HUSH", "  proxy_authorization:\n    credentials: \"<secret>\"\n"},
        {"proxy_bearer_token_file: /t", "  proxy_authorization:\n    credentials_file: /t\n"},
        {"proxy_basic_auth: {username: u, password: HUSH}",
         "  proxy_basic_auth:\n    username: \"u\"\n    password: \"<secret>\"\n"},
        {"proxy_tls_config: {ca_file: /ca, max_version: TLS12}",
         "  proxy_tls_config:\n    ca_file: /ca\n    max_version: TLS12\n"},
        {"proxy_headers: [\"A: b\", \"Token: HUSH\"]", "  proxy_headers:\n  - \"A: b\"\n  - \"Token: <secret>\"\n"},
        {"http_headers: {AA: {files: [/x, /y]}, BB: {files: [/z], values: [v]}}",
         "  http_headers:\n    AA:\n      files:\n      - /x\n      - /y\n    BB:\n      files:\n      - /z\n"},
        {"http_headers: {A: {files: [/x], values: [v, w], secrets: [HUSH]}}",
         "  headers:\n  - \"A: v\"\n  - \"A: w\"\n  - \"A: <secret>\"\n"},
        {"", "  follow_redirects: true\n  enable_http2: false\n"},
        {"enable_http2: true", "  enable_http2: true\n"},
        {"unix_socket: /run/a.sock", "  unix_socket: /run/a.sock\n"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct config *c = load(rows[i].fields);
        bool absent = rows[i].want[0] == '!';
        if (absent == (strstr(c->yaml, rows[i].want + absent) != NULL) || strstr(c->yaml, "HUSH"))
            fail_msg("%s\nis shown as\n%s", rows[i].fields, strstr(c->yaml, "track_timestamps"));
        config_unref(c);
    }
}

static void options_hold_what_was_given(void **state)
{
    (void)state;
    struct config *c = load("http_headers: {A: {secrets: [s], values: [v]}, B: {files: [f.txt]}}\n"
                            "  proxy_url: http://p/\n"
                            "  proxy_connect_header: {C: [d]}\n"
                            "  proxy_bearer_token: t\n"
                            "  proxy_headers: ['E: f']\n"
                            "  oauth2: {client_id: me, token_url: 'http://t/', endpoint_params: {x: y},\n"
                            "           scopes: [z], proxy_from_environment: true, tls_config: {min_version: TLS13}}");
    const struct http_options *o = &c->jobs[0].http;
    assert_int_equal(o->headers_n, 3);
    assert_string_equal(o->headers[0].value, "s");
    assert_true(o->headers[0].secret);
    assert_false(o->headers[1].secret);
    assert_non_null(strstr(o->headers[2].file, "/f.txt"));
    assert_string_equal(o->proxy_connect_headers[0].name, "C");
    assert_true(o->proxy_peer->has_authorization);
    assert_false(o->has_authorization);
    assert_string_equal(o->proxy_peer->credentials.value, "t");
    assert_string_equal(o->proxy_peer->headers[0].value, "f");
    assert_false(o->has_proxy_tls);
    assert_false(o->proxy_from_environment);
    assert_string_equal(o->oauth2->params[0].name, "x");
    assert_string_equal(o->oauth2->scopes[0], "z");
    assert_true(o->oauth2->endpoint.proxy_from_environment);
    assert_int_equal(o->oauth2->endpoint.tls_min_version, HTTP_TLS13);
    assert_false(o->oauth2->endpoint.follow_redirects);
    assert_non_null(o->oauth2->token);
    config_unref(c);
}

static void every_change_is_another_hash(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "oauth2: {client_id: a, token_url: 'http://t/'}",
        "oauth2: {client_id: b, token_url: 'http://t/'}",
        "oauth2: {client_id: a, token_url: 'http://u/'}",
        "oauth2: {client_id: a, token_url: 'http://t/', client_secret: a}",
        "oauth2: {client_id: a, token_url: 'http://t/', client_secret: b}",
        "oauth2: {client_id: a, token_url: 'http://t/', scopes: [a]}",
        "oauth2: {client_id: a, token_url: 'http://t/', endpoint_params: {password: a}}",
        "oauth2: {client_id: a, token_url: 'http://t/', endpoint_params: {password: b}}",
        "oauth2: {client_id: a, token_url: 'http://t/', headers: ['A: b']}",
        "proxy_from_environment: true",
        "proxy_from_environment: true\n  proxy_connect_header: {A: [b]}",
        "proxy_from_environment: true\n  proxy_connect_header: {A: [c]}",
        "proxy_bearer_token: a",
        "proxy_bearer_token: b",
        "proxy_basic_auth: {username: a}",
        "proxy_tls_config: {ca_file: /a}",
        "proxy_headers: ['A: b']",
        "http_headers: {A: {files: [/a]}}",
        "http_headers: {A: {files: [/b]}}",
        "http_headers: {A: {secrets: [a]}}",
        "http_headers: {A: {secrets: [b]}}",
    };
    uint64_t hashes[ROWS(rows)];
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct config *c = load(rows[i]);
        hashes[i] = c->jobs[0].hash;
        config_unref(c);
        for (size_t k = 0; k < i; k++)
            if (hashes[k] == hashes[i])
                fail_msg("%s and %s have one hash", rows[k], rows[i]);
    }
}

static void sigv4_of_an_endpoint(void **state)
{
    (void)state;
    static const struct {
        const char *fields, *region, *service, *key, *profile, *shown;
    } rows[] = {
        {"region: r", "r", "aps", "", "", "  sigv4:\n    region: \"r\"\n    service_name: aps\n"},
        {"region: r, service_name: es, access_key: id, secret_key: HUSH", "r", "es", "HUSH", "",
         "    access_key: id\n    secret_key: \"<secret>\"\n    service_name: es\n"},
        {"profile: pp", "env", "aps", "", "pp", "    region: env\n    profile: pp\n"},
        {"region: r, access_key: id, secret_key: HUSH2", "r", "aps", "HUSH2", "", "    secret_key: \"<secret>\"\n"},
    };
    uint64_t hashes[ROWS(rows)];
    assert_int_equal(setenv("AWS_REGION", "env", 1), 0);
    for (size_t i = 0; i < ROWS(rows); i++) {
        char *yaml = xasprintf("remote_write:\n- {name: n, url: 'http://h/', sigv4: {%s}}\n", rows[i].fields);
        struct buf errors;
        buf_init(&errors, 1 << 20);
        struct config *c = config_load_text("test.yml", str_of(yaml), NULL, false, &errors);
        if (!c)
            fail_msg("%s%s", yaml, buf_c(&errors));
        const struct http_sigv4 *a = c->remotes[0].http.sigv4;
        assert_string_equal(a->region, rows[i].region);
        assert_string_equal(a->service, rows[i].service);
        assert_string_equal(a->secret_key ? a->secret_key : "", rows[i].key);
        assert_string_equal(a->profile ? a->profile : "", rows[i].profile);
        if (!strstr(c->yaml, rows[i].shown) || strstr(c->yaml, "HUSH"))
            fail_msg("%s is shown as\n%s", rows[i].fields, c->yaml);
        hashes[i] = c->remotes[0].hash;
        for (size_t k = 0; k < i; k++)
            assert_true(hashes[k] != hashes[i]);
        config_unref(c);
        buf_free(&errors);
        free(yaml);
    }
    unsetenv("AWS_REGION");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sigv4_of_an_endpoint),
        cmocka_unit_test(fields_are_shown_without_secrets),
        cmocka_unit_test(options_hold_what_was_given),
        cmocka_unit_test(every_change_is_another_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
