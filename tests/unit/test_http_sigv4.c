/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_sigv4: AWS's published examples of Signature Version 4, and where keys come from. Whole requests are
   checked in tests/e2e/test_credentials.py. */
#include "unit.h"

#include <stdlib.h>
#include <unistd.h>

#include "agent/base/http_private.h"
#include "base/alloc.h"

#define KEYS {(char *)"AKIDEXAMPLE", (char *)"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", NULL}
#define VANILLA {"host", "example.amazonaws.com"}, {"x-amz-date", "20150830T123600Z"}

/* Of the "AWS Signature Version 4 test suite". */
static void published_examples(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path, *query, *body;
        struct http_sigv4_header headers[3];
        const char *want;
    } rows[] = {
        {"GET", "/", NULL, "", {VANILLA}, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
        {"POST", "/", NULL, "", {VANILLA}, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
        {"GET", "/", "Param2=value2&Param1=value1", "", {VANILLA},
         "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
        {"POST", "/", NULL, "Param1=value1", {{"content-type", "application/x-www-form-urlencoded"}, VANILLA},
         "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
        {"GET", "//example//", NULL, "", {VANILLA},
         "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"},
        {"GET", "/\xE1\x88\xB4", NULL, "", {VANILLA},
         "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
    };
    const struct http_aws_keys keys = KEYS;
    for (size_t i = 0; i < ROWS(rows); i++) {
        char hash[HTTP_SIGV4_HASH_BYTES];
        http_sigv4_hash(str_of(rows[i].body), hash);
        size_t n = rows[i].headers[2].name ? 3 : 2;
        struct http_sigv4_request r = {rows[i].method, rows[i].path, rows[i].query, rows[i].headers, n, hash,
                                       "20150830T123600Z"};
        char *made = http_sigv4_authorization(&r, "us-east-1", "service", &keys);
        char *want = xasprintf("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
                               "SignedHeaders=%shost;x-amz-date, Signature=%s",
                               n == 3 ? "content-type;" : "", rows[i].want);
        if (strcmp(made, want) != 0)
            print_message("%s %s?%s\n%s\nwanted\n%s\n", r.method, r.path, r.query ? r.query : "", made, want);
        assert_string_equal(made, want);
        free(made);
        free(want);
    }
}

static void equal_queries(void **state)
{
    (void)state;
    static const struct {
        const char *left, *right; /* sign the same */
    } rows[] = {
        {"b=1&a=2", "a=2&b=1"}, {"a", "a="}, {"a=x+y", "a=x%20y"}, {"a=%41", "a=A"}, {"a=1&&b=2", "a=1&b=2"},
        {"a=/", "a=%2f"},       {"a=%zz", "a=%25zz"}, {"a=1&a=0", "a=0&a=1"},
    };
    const struct http_aws_keys keys = KEYS;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct http_sigv4_request r = {"GET", "/", rows[i].left, NULL, 0, "", "20150830T123600Z"};
        char *left = http_sigv4_authorization(&r, "r", "s", &keys);
        r.query = rows[i].right;
        char *right = http_sigv4_authorization(&r, "r", "s", &keys);
        if (strcmp(left, right) != 0)
            fail_msg("%s is not signed as %s", rows[i].left, rows[i].right);
        free(left);
        free(right);
    }
}

#define SHARED                                                                                                 \
    "# comment\n[default]\naws_access_key_id = A1\naws_secret_access_key=S=1\n\n[other]\r\n"                   \
    "aws_access_key_id=A2\r\n;aws_access_key_id=no\r\naws_secret_access_key = S2\r\naws_session_token = T2\n" \
    "region = x\n[half]\naws_access_key_id = A3\n"

static void environment(const char *id, const char *secret, const char *session, const char *profile)
{
    const char *names[] = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"};
    const char *values[] = {id, secret, session, profile};
    for (size_t i = 0; i < ROWS(names); i++) {
        if (values[i])
            assert_int_equal(setenv(names[i], values[i], 1), 0);
        else
            assert_int_equal(unsetenv(names[i]), 0);
    }
}

static void keys_come_from(void **state)
{
    (void)state;
    char path[] = "/tmp/test-sigv4-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, SHARED, strlen(SHARED)), (ssize_t)strlen(SHARED));
    close(fd);
    static const struct {
        const char *id, *secret, *profile; /* configured */
        const char *env_id, *env_secret, *env_session, *env_profile;
        bool no_file;
        const char *want; /* id secret session; or a part of the message */
    } rows[] = {
        {.id = "A", .secret = "S", .env_id = "E", .env_secret = "F", .want = "A S -"},
        {.env_id = "E", .env_secret = "F", .want = "E F -"},
        {.env_id = "E", .env_secret = "F", .env_session = "T", .no_file = true, .want = "E F T"},
        {.env_id = "E", .want = "A1 S=1 -"},
        {.want = "A1 S=1 -"},
        {.env_profile = "other", .want = "A2 S2 T2"},
        {.profile = "other", .env_id = "E", .env_secret = "F", .want = "A2 S2 T2"},
        {.profile = "other", .env_profile = "half", .want = "A2 S2 T2"},
        {.profile = "half", .want = "has no keys of profile half"},
        {.profile = "none", .want = "has no keys of profile none"},
        {.no_file = true, .want = "no keys: neither access_key"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct http_sigv4 a = {.access_key = (char *)rows[i].id, .secret_key = (char *)rows[i].secret,
                               .profile = (char *)rows[i].profile, .shared_file = rows[i].no_file ? NULL : path};
        environment(rows[i].env_id, rows[i].env_secret, rows[i].env_session, rows[i].env_profile);
        struct http_aws_keys keys = {0};
        struct err err = {0};
        bool ok = http_aws_keys_find(&a, &keys, &err);
        char *got = ok ? xasprintf("%s %s %s", keys.id, keys.secret, keys.session ? keys.session : "-")
                       : xasprintf("%s", err.msg);
        if (ok ? strcmp(got, rows[i].want) != 0 : !strstr(got, rows[i].want))
            fail_msg("row %zu: %s, wanted %s", i, got, rows[i].want);
        free(got);
        http_aws_keys_free(&keys);
    }
    environment(NULL, NULL, NULL, NULL);
    unlink(path);
}

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* Each kind of file changes the stamp when it comes, changes and goes. */
static void stamps_change_with_files(void **state)
{
    (void)state;
    char path[] = "/tmp/test-stamp-XXXXXX";
    close(mkstemp(path));
    struct http_header header = {.name = (char *)"A", .file = path};
    struct http_sigv4 shared = {.shared_file = path};
    struct http_oauth2 oauth2 = {.client_secret = {.file = path}};
    struct http_oauth2 oauth2_tls = {.endpoint = {.tls_ca = {.file = path}}};
    struct http_options peer = {.password = {.file = path}};
    const struct http_options rows[] = {
        {.credentials = {.file = path}}, {.username = {.file = path}}, {.password = {.file = path}},
        {.tls_ca = {.file = path}},      {.tls_cert = {.file = path}}, {.tls_key = {.file = path}},
        {.headers = &header, .headers_n = 1}, {.sigv4 = &shared},      {.oauth2 = &oauth2},
        {.oauth2 = &oauth2_tls},         {.proxy_peer = &peer},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        write_text(path, "one");
        uint64_t one = http_options_stamp(&rows[i]);
        uint64_t again = http_options_stamp(&rows[i]);
        write_text(path, "longer");
        uint64_t longer = http_options_stamp(&rows[i]);
        unlink(path);
        uint64_t gone = http_options_stamp(&rows[i]);
        assert_true(one && one == again && one != longer && longer != gone && gone && gone != one);
    }
    struct http_sigv4 inlined = {.access_key = (char *)"A", .shared_file = path};
    assert_int_equal(http_options_stamp(&(struct http_options){.sigv4 = &inlined}), 0);
    assert_int_equal(http_options_stamp(&(struct http_options){.credentials = {.value = (char *)"x"}}), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_examples),
        cmocka_unit_test(equal_queries),
        cmocka_unit_test(keys_come_from),
        cmocka_unit_test(stamps_change_with_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
