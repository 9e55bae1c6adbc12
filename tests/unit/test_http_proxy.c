/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_proxy: which proxy is taken for which URL, and what passes through each kind of proxy. */
#include "http_fixture.h"

#include <poll.h>
#include <sys/un.h>

#include "agent/base/http_private.h"
#include "tls_fixture.h"

/* ---- which proxy ---- */

static void no_proxy_has_gos_rules(void **state)
{
    (void)state;
    static const struct {
        const char *list, *url;
        bool bypassed;
    } rows[] = {
        {"", "http://foo.com/", false},
        {NULL, "http://foo.com/", false},
        {NULL, "http://localhost/", true},
        {NULL, "http://localhost.example/", false},
        {NULL, "http://127.0.0.1/", true},
        {NULL, "http://127.9.9.9:80/", true},
        {NULL, "http://[::1]/", true},
        {NULL, "http://[::2]/", false},
        {"*", "http://foo.com/", true},
        {"a, *", "http://foo.com/", true},
        {"foo.com", "http://foo.com/", true},
        {"foo.com", "http://bar.foo.com/", true},
        {"foo.com", "http://barfoo.com/", false},
        {"foo.com", "http://foo.com.example/", false},
        {"FOO.com", "http://foo.COM/", true},
        {" foo.com ,", "http://foo.com/", true},
        {".foo.com", "http://foo.com/", false},
        {".foo.com", "http://bar.foo.com/", true},
        {"*.foo.com", "http://foo.com/", false},
        {"*.foo.com", "http://a.b.foo.com/", true},
        {"foo.com:8080", "http://foo.com:8080/", true},
        {"foo.com:8080", "http://foo.com/", false},
        {"foo.com:80", "http://foo.com/", true},
        {"foo.com:443", "https://foo.com/", true},
        {"foo.com:443", "http://foo.com/", false},
        {".foo.com:81", "http://x.foo.com:81/", true},
        {":80", "http://foo.com/", false},
        {"10.0.0.1", "http://10.0.0.1/", true},
        {"10.0.0.1", "http://10.0.0.10/", false},
        {"10.0.0.1:81", "http://10.0.0.1/", false},
        {"10.0.0.1:81", "http://10.0.0.1:81/", true},
        {"10.0.0.0/8", "http://10.255.1.1/", true},
        {"10.0.0.0/8", "http://11.0.0.1/", false},
        {"10.1.128.0/17", "http://10.1.128.0/", true},
        {"10.1.128.0/17", "http://10.1.127.255/", false},
        {"0.0.0.0/0", "http://8.8.8.8/", true},
        {"0.0.0.0/0", "http://foo.com/", false},
        {"10.0.0.0/33", "http://10.0.0.0/", false},
        {"10.0.0.0/", "http://10.0.0.0/", false},
        {"2001:db8::1", "http://[2001:db8::1]/", true},
        {"2001:db8:0::1", "http://[2001:DB8::1]:8080/", true},
        {"[2001:db8::1]:81", "http://[2001:db8::1]:81/", true},
        {"[2001:db8::1]:81", "http://[2001:db8::1]/", false},
        {"2001:db8::/32", "http://[2001:db8:5::1]/", true},
        {"2001:db8::/32", "http://[2001:db9::1]/", false},
        {"::/0", "http://10.0.0.1/", false},
        {"::/0", "http://[2001::1]/", true},
        {"a,b,10.0.0.0/8,foo.com", "http://foo.com/", true},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct http_url u;
        struct err err = {0};
        assert_true(http_url_parse(&u, NULL, rows[i].url, &err));
        if (http_proxy_is_bypassed(rows[i].list, &u) != rows[i].bypassed)
            fail_msg("%s with %s", rows[i].url, rows[i].list);
        http_url_free(&u);
    }
}

static void clear_environment(void)
{
    static const char *const names[] = {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"};
    for (size_t i = 0; i < ROWS(names); i++) {
        char lower[16] = "";
        for (size_t k = 0; names[i][k]; k++)
            lower[k] = names[i][k] == '_' ? '_' : (char)(names[i][k] | 0x20);
        unsetenv(names[i]);
        unsetenv(lower);
    }
}

static void the_environment_is_taken_when_asked_for(void **state)
{
    (void)state;
    static const struct {
        const char *set[3]; /* NAME=value */
        bool asked;
        const char *proxy_url, *no_proxy, *url, *want;
    } rows[] = {
        {{"HTTP_PROXY=http://p:1"}, false, NULL, NULL, "http://a/", NULL},
        {{"HTTP_PROXY=http://p:1"}, true, NULL, NULL, "http://a/", "http://p:1"},
        {{"http_proxy=http://p:1"}, true, NULL, NULL, "http://a/", "http://p:1"},
        {{"HTTP_PROXY=http://p:1", "http_proxy=http://q:1"}, true, NULL, NULL, "http://a/", "http://p:1"},
        {{"HTTP_PROXY=http://p:1"}, true, NULL, NULL, "https://a/", NULL},
        {{"HTTPS_PROXY=https://p:1"}, true, NULL, NULL, "https://a/", "https://p:1"},
        {{"https_proxy=p:1"}, true, NULL, NULL, "https://a/", "http://p:1"},
        {{"ALL_PROXY=http://p:1", "all_proxy=http://p:1"}, true, NULL, NULL, "http://a/", NULL},
        {{"HTTP_PROXY=http://p:1", "NO_PROXY=a"}, true, NULL, NULL, "http://a/", NULL},
        {{"HTTP_PROXY=http://p:1", "no_proxy=a"}, true, NULL, NULL, "http://a/", NULL},
        {{"HTTP_PROXY=http://p:1", "no_proxy=b"}, true, NULL, NULL, "http://a/", "http://p:1"},
        {{"HTTP_PROXY=http://p:1"}, true, NULL, NULL, "http://localhost:9100/", NULL},
        {{"HTTP_PROXY=http://p:1", "NO_PROXY=a"}, false, "http://q:1", NULL, "http://a/", "http://q:1"},
        {{NULL}, false, "http://q:1", NULL, "http://localhost/", "http://q:1"},
        {{NULL}, false, "http://q:1", "b", "http://localhost/", NULL},
        {{NULL}, false, "http://q:1", "a", "http://a/", NULL},
        {{NULL}, false, "socks5://q:1", NULL, "http://a/", "socks5h://q:1"},
        {{NULL}, false, "socks5h://q:1", NULL, "http://a/", "socks5h://q:1"},
        {{NULL}, true, NULL, NULL, "http://a/", NULL},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        clear_environment();
        for (size_t k = 0; k < 3 && rows[i].set[k]; k++)
            assert_int_equal(putenv((char *)(uintptr_t)rows[i].set[k]), 0);
        char url[64] = "", list[64] = "";
        snprintf(url, sizeof url, "%s", rows[i].proxy_url ? rows[i].proxy_url : "");
        snprintf(list, sizeof list, "%s", rows[i].no_proxy ? rows[i].no_proxy : "");
        struct http_options o = {.proxy_from_environment = rows[i].asked, .proxy_url = url, .no_proxy = list};
        struct http_url u;
        struct err err = {0};
        assert_true(http_url_parse(&u, NULL, rows[i].url, &err));
        char *got = http_proxy_for(&o, &u);
        if ((got != NULL) != (rows[i].want != NULL) || (got && strcmp(got, rows[i].want) != 0))
            fail_msg("row %zu: %s", i, got ? got : "none");
        free(got);
        http_url_free(&u);
    }
    clear_environment();
}

/* ---- through it ---- */

static struct server proxy, socks;
static char socks_asked[300];

static void relay(int a, int b)
{
    char bytes[4096];
    struct pollfd fds[] = {{.fd = a, .events = POLLIN}, {.fd = b, .events = POLLIN}};
    while (poll(fds, 2, -1) > 0) {
        for (int i = 0; i < 2; i++) {
            if (!fds[i].revents)
                continue;
            ssize_t n = recv(fds[i].fd, bytes, sizeof bytes, 0);
            if (n <= 0 || send(fds[1 - i].fd, bytes, (size_t)n, MSG_NOSIGNAL) != n)
                return;
        }
    }
}

/* CONNECT leads to the port at 127.0.0.1, whatever the host; anything else is answered by the proxy itself. */
static bool proxy_script(struct server *s, int fd, const char *path, const char *text)
{
    (void)s;
    int port = 0;
    if (strncmp(text, "CONNECT ", 8) != 0) {
        reply(fd, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nproxied");
        return true;
    }
    if (strncmp(path, "refused", 7) == 0) {
        reply(fd, "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n");
        return true;
    }
    assert_int_equal(sscanf(path, "%*[^:]:%d", &port), 1);
    int to = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    a.sin_port = htons((uint16_t)port);
    if (connect(to, (struct sockaddr *)&a, sizeof a) == 0) {
        reply(fd, "HTTP/1.1 200 Connected\r\nX-Of-Proxy: 1\r\n\r\n");
        relay(fd, to);
    }
    close(to);
    return false;
}

static bool receive(int fd, unsigned char *p, size_t n)
{
    return recv(fd, p, n, MSG_WAITALL) == (ssize_t)n;
}

/* RFC 1928 without authentication; then it is the server. */
static void speak_socks(int fd)
{
    unsigned char b[300], address[256] = "";
    if (!receive(fd, b, 2) || !receive(fd, b + 2, b[1]) || send(fd, "\5\0", 2, MSG_NOSIGNAL) != 2 || !receive(fd, b, 4))
        return;
    unsigned char n = 4;
    if (b[3] == 3 && !receive(fd, &n, 1))
        return;
    if (!receive(fd, address, n) || !receive(fd, b + 4, 2))
        return;
    snprintf(socks_asked, sizeof socks_asked, "%d:%s:%d", b[3], b[3] == 3 ? (char *)address : "", b[4] << 8 | b[5]);
    if (send(fd, "\5\0\0\1\0\0\0\0\0\0", 10, MSG_NOSIGNAL) != 10)
        return;
    char text[4096];
    if (read_request(fd, text, sizeof text) > 0)
        reply(fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nsocks");
}

static struct http_options through(const struct server *s, const char *scheme)
{
    char *url = xasprintf("%s://127.0.0.1:%d", scheme, s->port);
    return (struct http_options){.proxy_url = url, .follow_redirects = true};
}

static void free_through(struct http_options *o)
{
    free(o->proxy_url);
}

static void expect_proxied(const struct http_options *o, const char *line)
{
    struct outcome out = get("http://nowhere.invalid:99/x", o);
    assert_true(out.result.ok);
    assert_memory_equal(out.body, "proxied", 7);
    assert_non_null(strstr(proxy.last, "GET http://nowhere.invalid:99/x HTTP/1.1\r\n"));
    if (!strstr(proxy.last, line))
        fail_msg("no %s in %s", line, proxy.last);
}

static void http_goes_through_and_nothing_is_looked_up(void **state)
{
    (void)state;
    struct http_options o = through(&proxy, "http");
    expect_proxied(&o, "\r\nHost: nowhere.invalid:99\r\n");
    assert_null(strstr(proxy.last, "Proxy-Authorization"));
    free_through(&o);
}

static void the_proxy_is_told_who_we_are(void **state)
{
    (void)state;
    struct http_header connect = {(char[]){"X-Connect"}, (char[]){"c"}, true, NULL};
    struct http_header own = {(char[]){"X-Own"}, (char[]){"o"}, false, NULL};
    struct http_options token = {.has_authorization = true, .credentials.value = (char[]){"tok"},
                                 .headers = &own, .headers_n = 1};
    struct http_options pair = {.has_basic_auth = true};
    pair.username.value = (char[]){"u"};
    pair.password.value = (char[]){"p"};
    struct http_options o = through(&proxy, "http");
    o.proxy_connect_headers = &connect;
    o.proxy_connect_headers_n = 1;
    o.proxy_peer = &token;
    o.has_authorization = true;
    o.credentials.value = (char[]){"server's"};
    expect_proxied(&o, "\r\nProxy-Authorization: Bearer tok\r\n");
    expect_proxied(&o, "\r\nAuthorization: Bearer server's\r\n");
    expect_proxied(&o, "\r\nX-Own: o\r\n");
    assert_null(strstr(proxy.last, "X-Connect"));
    o.proxy_peer = &pair;
    expect_proxied(&o, "\r\nProxy-Authorization: Basic dTpw\r\n");
    o.proxy_peer = NULL;
    free_through(&o);
    o.proxy_url = xasprintf("http://me:word@127.0.0.1:%d", proxy.port);
    expect_proxied(&o, "\r\nProxy-Authorization: Basic bWU6d29yZA==\r\n");
    free_through(&o);
    /* A server reached directly hears nothing of it. */
    o.proxy_url = NULL;
    o.proxy_peer = &token;
    assert_true(get(at(&server, "/"), &o).result.ok);
    assert_null(strstr(server.last, "Proxy-Authorization"));
    assert_null(strstr(server.last, "X-Own"));
}

static void no_proxy_leads_past_it_also_after_a_redirect(void **state)
{
    (void)state;
    struct http_options o = through(&proxy, "http");
    o.no_proxy = (char[]){"10.0.0.0/8"};
    proxy.requests = 0;
    assert_true(get(at(&server, "/"), &o).result.ok);
    assert_int_equal(proxy.requests, 0);
    struct outcome out = get(at(&server, "/redirect/302/http://nowhere.invalid/"), &o);
    assert_memory_equal(out.body, "proxied", 7);
    free_through(&o);
}

static void socks_proxies_look_up_names(void **state)
{
    (void)state;
    static const char *const schemes[] = {"socks5", "socks5h"};
    for (size_t i = 0; i < ROWS(schemes); i++) {
        struct http_options o = through(&socks, schemes[i]);
        struct outcome out = get("http://nowhere.invalid:99/", &o);
        if (!out.result.ok)
            fail_msg("%s", out.error);
        assert_memory_equal(out.body, "socks", 5);
        assert_string_equal(socks_asked, "3:nowhere.invalid:99");
        assert_true(get("http://192.0.2.1:98/", &o).result.ok);
        assert_string_equal(socks_asked, "1::98");
        free_through(&o);
    }
}

static void libcurl_does_not_look_at_the_environment(void **state)
{
    (void)state;
    char bad[64];
    snprintf(bad, sizeof bad, "http://127.0.0.1:%d", proxy.port);
    static const char *const names[] = {"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"};
    for (size_t i = 0; i < ROWS(names); i++)
        setenv(names[i], bad, 1);
    struct http_options none = {0}, other_proxy = through(&proxy, "http");
    proxy.requests = 0;
    assert_true(get(at(&server, "/"), NULL).result.ok);
    assert_true(get(at(&server, "/"), &none).result.ok);
    assert_int_equal(proxy.requests, 0);
    setenv("no_proxy", "*", 1);
    expect_proxied(&other_proxy, "GET ");
    free_through(&other_proxy);
    unsetenv("no_proxy");
    struct http_options asked = {.proxy_from_environment = true};
    expect_proxied(&asked, "GET ");
    clear_environment();
}

static void unix_sockets_have_no_proxy(void **state)
{
    (void)state;
    struct server local = {0};
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s/socket", dir);
    local.fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(local.fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(local.fd, 8), 0);
    pthread_t thread;
    pthread_create(&thread, NULL, serve_all, &local);
    struct http_options o = through(&proxy, "http");
    struct outcome out;
    struct http_request r = request_to("http://nowhere.invalid/", &out);
    r.options = &o;
    r.unix_socket = a.sun_path;
    r.close_connection = true;
    run(&r, &out);
    assert_true(out.result.ok);
    assert_non_null(strstr(local.last, "GET / HTTP/1.1\r\n"));
    free_through(&o);
    shutdown(local.fd, SHUT_RDWR);
    pthread_join(thread, NULL);
    close(local.fd);
}

/* ---- TLS ---- */

static struct tls_server secure;

static void https_is_tunnelled(void **state)
{
    (void)state;
    struct http_header connect[] = {{(char[]){"X-Connect"}, (char[]){"c"}, true, NULL},
                                    {(char[]){"X-Connect"}, (char[]){"d"}, true, NULL}};
    struct http_options peer = {.has_authorization = true, .credentials.value = (char[]){"tok"}};
    struct http_options o = through(&proxy, "http");
    char *ca = in_dir("ca.pem"), url[64];
    o.proxy_connect_headers = connect;
    o.proxy_connect_headers_n = 2;
    o.proxy_peer = &peer;
    o.tls_ca.file = ca;
    snprintf(url, sizeof url, "https://metrics.test:%d/", secure.port);
    struct outcome out;
    struct http_request r = request_to(url, &out);
    r.on_body = NULL;
    r.options = &o;
    run(&r, &out);
    if (!out.result.ok)
        fail_msg("%s", out.error);
    assert_int_equal(out.result.status, 200);
    assert_null(strstr(out.headers, "x-of-proxy"));
    char want[128];
    snprintf(want, sizeof want, "CONNECT metrics.test:%d HTTP/1.1\r\n", secure.port);
    assert_non_null(strstr(proxy.last, want));
    assert_non_null(strstr(proxy.last, "\r\nX-Connect: c\r\n"));
    assert_non_null(strstr(proxy.last, "\r\nX-Connect: d\r\n"));
    assert_non_null(strstr(proxy.last, "\r\nProxy-Authorization: Bearer tok\r\n"));
    /* server_name is for the server; the proxy is asked for the real host. */
    o.tls_server_name = (char[]){"metrics.test"};
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", secure.port);
    r = request_to(url, &out);
    r.on_body = NULL;
    r.options = &o;
    run(&r, &out);
    if (!out.result.ok)
        fail_msg("%s", out.error);
    snprintf(want, sizeof want, "CONNECT 127.0.0.1:%d HTTP/1.1\r\n", secure.port);
    assert_non_null(strstr(proxy.last, want));
    free_through(&o);
    free(ca);
}

static void refused_tunnel_says_so(void **state)
{
    (void)state;
    struct http_options o = through(&proxy, "http");
    struct outcome out = get("https://refused.invalid/", &o);
    assert_false(out.result.ok);
    assert_false(out.result.reused_dead);
    assert_non_null(strstr(out.error, "403"));
    free_through(&o);
}

/* s_server answers a GET for any URL: as a proxy it is good enough for plain HTTP. */
static bool through_tls(struct http_options *o, const char *ca)
{
    struct outcome out;
    char proxy_url[64];
    snprintf(proxy_url, sizeof proxy_url, "https://localhost:%d", secure.port);
    o->proxy_url = proxy_url;
    o->tls_ca.file = (char *)(uintptr_t)ca;
    struct http_request r = request_to("http://nowhere.invalid/", &out);
    r.on_body = NULL;
    r.options = o;
    run(&r, &out);
    o->proxy_url = o->tls_ca.file = NULL;
    return out.result.ok && out.result.status == 200;
}

static void https_proxies_are_verified(void **state)
{
    (void)state;
    char *ca = in_dir("ca.pem"), *other_ca = in_dir("otherca.pem");
    struct http_options right = {.tls_ca.file = ca}, wrong = {.tls_ca.file = other_ca};
    struct http_options insecure = {.tls_insecure_skip_verify = true}, too_new = right;
    too_new.tls_min_version = HTTP_TLS13;
    struct {
        struct http_options *peer;
        bool has_tls;
        const char *ca;
        bool ok;
    } rows[] = {
        {NULL, false, NULL, false},        {NULL, false, ca, true},        {NULL, false, other_ca, false},
        {&right, true, NULL, true},        {&wrong, true, NULL, false},    {&wrong, true, ca, false},
        {&wrong, false, ca, true},         {&insecure, true, NULL, true},  {&too_new, true, NULL, false},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct http_options o = {.proxy_peer = rows[i].peer, .has_proxy_tls = rows[i].has_tls};
        if (through_tls(&o, rows[i].ca) != rows[i].ok)
            fail_msg("row %zu", i);
    }
    free(ca);
    free(other_ca);
}

static int setup_group(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(dir));
    make_ca("ca");
    make_ca("otherca");
    make_certificate("server", "ca", "DNS:metrics.test,DNS:localhost");
    secure = tls_server_start("-no_tls1_3", NULL, NULL, NULL);
    return 0;
}

static int teardown_group(void **state)
{
    (void)state;
    tls_server_stop(&secure);
    sh("rm -rf %s", dir);
    return 0;
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    clear_environment();
    proxy.script = proxy_script;
    socks.raw = speak_socks;
    server_start(&server);
    server_start(&proxy);
    server_start(&socks);
    const struct CMUnitTest tests[] = {
        CASE(no_proxy_has_gos_rules),
        CASE(the_environment_is_taken_when_asked_for),
        CASE(http_goes_through_and_nothing_is_looked_up),
        CASE(the_proxy_is_told_who_we_are),
        CASE(no_proxy_leads_past_it_also_after_a_redirect),
        CASE(socks_proxies_look_up_names),
        CASE(libcurl_does_not_look_at_the_environment),
        CASE(unix_sockets_have_no_proxy),
        CASE(https_is_tunnelled),
        CASE(refused_tunnel_says_so),
        CASE(https_proxies_are_verified),
    };
    return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
