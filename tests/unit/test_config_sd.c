/* SPDX-License-Identifier: Apache-2.0 */
/* test_config_sd: entries that ask services for targets: what each means, as /config shows it; which two are one. */
#include "unit.h"

#include "base/alloc.h"
#include "base/log.h"
#include "config.h"

static struct config *load(const char *text)
{
    struct buf errors;
    buf_init(&errors, 65536);
    struct config *c = config_load_text("test.yml", str_of(text), NULL, false, &errors);
    if (!c)
        fail_msg("%s\n%s", text, buf_c(&errors));
    buf_free(&errors);
    return c;
}

static struct config *load_entry(const char *kind, const char *entry)
{
    char *text = xasprintf("scrape_configs:\n- job_name: j\n  %s_sd_configs:\n  - %s\n", kind, entry);
    struct config *c = load(text);
    free(text);
    return c;
}

#define HTTP "    follow_redirects: true\n    enable_http2: false\n"
#define DOCKER_REST \
    "    host_networking_host: localhost\n    match_first_network: true\n    refresh_interval: 1m\n" HTTP
#define CONSUL_REST "    allow_stale: true\n    refresh_interval: 30s\n"

static const struct {
    const char *kind, *entry, *shown;
} entries[] = {
    {"http", "{url: 'http://u:p@h/x?token=t'}",
     "  - url: \"http://u:xxxxx@h/x?token=xxxxx\"\n    refresh_interval: 1m\n" HTTP},
    {"http", "{url: 'https://h', refresh_interval: 5s, follow_redirects: false}",
     "  - url: https://h\n    refresh_interval: 5s\n    follow_redirects: false\n    enable_http2: false\n"},
    {"dns", "{names: [a]}", "  - names:\n    - \"a\"\n    type: SRV\n    refresh_interval: 30s\n"},
    {"dns", "{names: [a, b.], type: aaaa, port: 7, servers: ['::1', '1.2.3.4:5']}",
     "  - names:\n    - \"a\"\n    - b.\n    type: AAAA\n    port: 7\n    refresh_interval: 30s\n    servers:\n"
     "    - \"::1\"\n    - \"1.2.3.4:5\"\n"},
    {"consul", "{}", "  - server: localhost:8500\n    scheme: http\n    tag_separator: \",\"\n" CONSUL_REST HTTP},
    {"consul", "{username: u, password: p, token: t, node_meta: {b: c, a: '1:2'}, tag_separator: '', services: [s]}",
     "  - server: localhost:8500\n    scheme: http\n    token: \"<secret>\"\n    tag_separator: \"\"\n" CONSUL_REST
     "    services:\n    - \"s\"\n    node_meta:\n      \"b\": \"c\"\n      \"a\": \"1:2\"\n"
     "    basic_auth:\n      username: \"u\"\n      password: \"<secret>\"\n" HTTP},
    {"docker", "{host: 'unix:///x'}", "  - host: unix:///x\n    port: 80\n" DOCKER_REST},
    {"docker", "{host: 'tcp://h:1', port: 9, filters: [{name: n, values: [a]}, {name: m, values: [b, c]}]}",
     "  - host: tcp://h:1\n    port: 9\n    filters:\n    - name: \"n\"\n      values:\n"
     "      - \"a\"\n    - name: \"m\"\n      values:\n      - \"b\"\n      - \"c\"\n" DOCKER_REST},
};

static void entries_mean_what_is_shown(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(entries); i++) {
        struct config *c = load_entry(entries[i].kind, entries[i].entry);
        char *want = xasprintf("  %s_sd_configs:\n%s  ", entries[i].kind, entries[i].shown);
        if (!strstr(c->yaml, want))
            fail_msg("%s: want\n%sin\n%s", entries[i].entry, want, strstr(c->yaml, "_sd_configs"));
        free(want);
        config_unref(c);
    }
}

/* The same hash is the same source; a secret that changed is another one. */
static void only_the_same_entry_is_the_same_source(void **state)
{
    (void)state;
    static const struct {
        const char *kind, *a, *b;
        bool same;
    } cases[] = {
        {"http", "url: http://h", "{refresh_interval: 60s, url: http://h}", true},
        {"http", "url: http://h", "url: http://i", false},
        {"http", "url: http://u:a@h", "url: http://u:b@h", false},
        {"http", "{url: http://h, bearer_token: a}", "{url: http://h, bearer_token: b}", false},
        {"dns", "names: [a, b]", "{type: srv, names: [a, b]}", true},
        {"dns", "names: [a, b]", "names: [b, a]", false},
        {"consul", "token: a", "token: b", false},
        {"consul", "{username: u, password: p}", "basic_auth: {username: u, password: p}", true},
        {"consul", "node_meta: {a: b}", "node_meta: {a: c}", false},
        {"docker", "{host: 'unix:///x', filters: [{name: a, values: [b]}]}", "{host: 'unix:///x'}", false},
    };
    for (size_t i = 0; i < ROWS(cases); i++) {
        struct config *a = load_entry(cases[i].kind, cases[i].a), *b = load_entry(cases[i].kind, cases[i].b);
        assert_int_equal(a->jobs[0].sd_n, 1);
        if ((a->jobs[0].sd[0].hash == b->jobs[0].sd[0].hash) != cases[i].same)
            fail_msg("%s and %s", cases[i].a, cases[i].b);
        config_unref(a);
        config_unref(b);
    }
    struct config *c = load("scrape_configs:\n- job_name: j\n  docker_sd_configs: [{host: 'http://h'}]\n"
                            "  http_sd_configs: [{url: 'http://h', refresh_interval: 1m}]\n");
    assert_int_equal(c->jobs[0].sd_n, 2);
    assert_true(c->jobs[0].sd[0].hash != c->jobs[0].sd[1].hash);
    config_unref(c);
}

int main(void)
{
    log_set_level("error");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_mean_what_is_shown),
        cmocka_unit_test(only_the_same_entry_is_the_same_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
