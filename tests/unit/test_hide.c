/* SPDX-License-Identifier: Apache-2.0 */
/* test_hide: what is a secret by its name, what of a URL is shown, and what is found in the words of others. */
#include "unit.h"

#include "base/hide.h"
#include "http.h"

static void test_names(void **state)
{
    static const struct {
        const char *name;
        bool secret, label;
    } cases[] = {
        {"token", true, false},       {"X-Api-Key", true, false},       {"Authorization", true, false},
        {"instance", false, false},   {"page", false, false},           {"", false, false},
        {"__param_token", true, true}, {"__param_api_key", true, true}, {"__param_module", false, false},
        {"my_token_label", true, false},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(cases); i++) {
        assert_int_equal(hide_sounds_secret(str_of(cases[i].name)), cases[i].secret);
        assert_int_equal(hide_label(str_of(cases[i].name)), cases[i].label);
    }
}

static void test_urls(void **state)
{
    static const char *const cases[][2] = {
        {"http://h:1/p?a=b#c", "http://h:1/p?a=b#c"},
        {"http://u:PW@h:1/p", "http://u:xxxxx@h:1/p"},
        {"http://u:P@W:x@h/p@q", "http://u:xxxxx@h/p@q"},
        {"http://USER@h/", "http://xxxxx@h/"},
        {"http://u:@h/", "http://xxxxx@h/"},
        {"http://h?token=T", "http://h?token=xxxxx"},
        {"http://h/?a=1&Api-Key=K&b=2&password=P#f?key=x", "http://h/?a=1&Api-Key=xxxxx&b=2&password=xxxxx#f?key=x"},
        {"http://u:PW@h/?x@y=1&key=", "http://u:xxxxx@h/?x@y=1&key="},
        {"ftp://u:PW@h", "ftp://u:xxxxx@h"},
        {"u:PW@h/x", "u:xxxxx@h/x"},
        {"u:PW@h/x://y", "u:xxxxx@h/x://y"},
        {"/some/file", "/some/file"},
        {"-", "-"},
        {"", ""},
        {"?", "?"},
        {"http://", "http://"},
        {"http://u:PW@", "http://u:xxxxx@"},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(cases); i++) {
        struct buf out;
        buf_init(&out, 1000);
        hide_url(str_of(cases[i][0]), &out);
        assert_string_equal(buf_c(&out), cases[i][1]);
        buf_free(&out);
    }
}

static void test_quotes(void **state)
{
    (void)state;
    assert_int_equal(hide_quoted("invalid token near 'sesame'"), 13);
    assert_int_equal(hide_quoted("end of file expected"), 20);
}

static void check_text(const struct hide *h, const char *text, const char *want)
{
    struct buf b;
    buf_init(&b, 1000);
    buf_add_c(&b, text);
    hide_text(h, &b);
    assert_int_equal(b.n, strlen(want));
    assert_memory_equal(b.n ? b.p : "", want, b.n);
    buf_free(&b);
}

static void test_texts(void **state)
{
    struct hide h;
    (void)state;
    hide_init(&h);
    check_text(&h, "nothing is known", "nothing is known");
    hide_add(&h, STR("sesame/1"));
    hide_add(&h, STR("sesame/1 and more"));
    hide_add(&h, STR("sesame/1"));
    hide_add(&h, STR("abc")); /* too short to be told from words */
    hide_add_url(&h, STR("http://u:p%40ssword@h/?token=t%6Fken1&page=shown"));
    check_text(&h, "say sesame/1, abc", "say <secret>, abc");
    check_text(&h, "sesame/1sesame/1 and more", "<secret><secret>");
    check_text(&h, "/?x=sesame%2F1 p@ssword p%40ssword token1 shown",
               "/?x=<secret> <secret> <secret> <secret> shown");
    check_text(&h, "cut off in the middle: sesa", "cut off in the middle: <secret>");
    check_text(&h, "too little to tell: ses", "too little to tell: ses");
    check_text(&h, "", "");
    hide_free(&h);
}

/* All that a request tells: what a careless server would say back. */
static void test_requests(void **state)
{
    static char bearer[] = "Bearer", key[] = "X-Any", value[] = "header-value";
    struct http_header header = {.name = key, .value = value, .secret = true};
    struct http_options o = {
        .has_authorization = true, .authorization_type = bearer, .headers = &header, .headers_n = 1};
    const char *headers[] = {"Cookie: id=crumbs; b=other", "Accept: all-of-it", NULL};
    struct hide h;
    (void)state;
    o.credentials.value = (char[]){"the-token"};
    hide_init(&h);
    struct http_request request = {.url = "http://h/?key=of-the-url", .headers = headers, .options = &o};
    http_request_secrets(&request, &h);
    check_text(&h, "Bearer the-token", "<secret>");
    check_text(&h, "bad token the-token", "bad token <secret>");
    check_text(&h, "header-value, crumbs, all-of-it, of-the-url", "<secret>, <secret>, all-of-it, <secret>");
    hide_free(&h);
    hide_init(&h);
    http_request_secrets(&(struct http_request){.url = "http://user:password@h/"}, &h);
    check_text(&h, "Basic dXNlcjpwYXNzd29yZA== user:password password user.", "<secret> <secret> <secret> user.");
    hide_free(&h);
    hide_init(&h);
    http_request_secrets(&(struct http_request){.url = "no://user:password@h/"}, &h);
    check_text(&h, "password", "<secret>");
    hide_free(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_quotes),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
