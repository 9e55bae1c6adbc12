/* SPDX-License-Identifier: Apache-2.0 */
/* test_preflight: the verdict on a receiver, row by row: what was answered, and what is the matter. */
#include "unit.h"

#include "agent/command/preflight.h"
#include "agent/command/preflight_ask.h"

#define SAID(s) {.asked = true, .status = (s)}
#define WROTE(s) {.asked = true, .status = (s), .written = true}
/* An empty message of each kind. */
#define EMPTIES(a, b, c) .first = SAID(a), .empties = {[PROTOCOL_RW1] = SAID(a), [PROTOCOL_RW2] = b, [PROTOCOL_VM] = c}

struct row {
    const char *what;
    struct preflight_facts facts;
    enum preflight_kind kind;
    int scheme;   /* + 1; 0 = none */
    int path;     /* + 1; 0 = none */
    enum protocol protocol;
};

static const struct row WAY[] = {
    {"a name without address", {.failure = HTTP_FAILURE_NAME, .first = SAID(0)}, PREFLIGHT_UNKNOWN_NAME, 0, 0, 0},
    {"no connection", {.failure = HTTP_FAILURE_CONNECT, .first = SAID(0)}, PREFLIGHT_UNREACHABLE, 0, 0, 0},
    {"no connection in time", {.failure = HTTP_FAILURE_CONNECT, .timeout = true, .first = SAID(0)},
     PREFLIGHT_UNREACHABLE, 0, 0, 0},
    {"a bad certificate", {.tls = true, .failure = HTTP_FAILURE_CERTIFICATE, .first = SAID(0)}, PREFLIGHT_CERTIFICATE,
     0, 0, 0},
    {"no handshake", {.tls = true, .failure = HTTP_FAILURE_TLS, .first = SAID(0)}, PREFLIGHT_TLS, 0, 0, 0},
    {"plain HTTP there", {.tls = true, .failure = HTTP_FAILURE_TLS, .other_transport = true, .first = SAID(0)},
     PREFLIGHT_NOT_TLS, 0, 0, 0},
    {"TLS there, which says 400", {.other_transport = true, .first = SAID(400)}, PREFLIGHT_NEEDS_TLS, 0, 0, 0},
    {"TLS there, which hangs up", {.failure = HTTP_FAILURE_OTHER, .other_transport = true, .first = SAID(0)},
     PREFLIGHT_NEEDS_TLS, 0, 0, 0},
    {"a connection and nothing", {.failure = HTTP_FAILURE_OTHER, .first = SAID(0)}, PREFLIGHT_NO_ANSWER, 0, 0, 0},
    {"the proxy's door", {.first = SAID(407)}, PREFLIGHT_PROXY, 0, 0, 0},
};

static const struct row DOOR[] = {
    {"nothing shown, nothing said", {.given = PREFLIGHT_NONE, .challenge = PREFLIGHT_NONE, .first = SAID(401)},
     PREFLIGHT_MISSING_CREDENTIALS, 0, 0, 0},
    {"nothing shown, Basic wanted", {.given = PREFLIGHT_NONE, .challenge = PREFLIGHT_BASIC, .first = SAID(401)},
     PREFLIGHT_MISSING_CREDENTIALS, PREFLIGHT_BASIC + 1, 0, 0},
    {"nothing shown, forbidden", {.given = PREFLIGHT_NONE, .challenge = PREFLIGHT_NONE, .first = SAID(403)},
     PREFLIGHT_MISSING_CREDENTIALS, 0, 0, 0},
    {"wrong everywhere",
     {.given = PREFLIGHT_BEARER, .first = SAID(401),
      .schemes = {[PREFLIGHT_RAW] = SAID(401), [PREFLIGHT_TOKEN] = SAID(403), [PREFLIGHT_NONE] = SAID(401)}},
     PREFLIGHT_WRONG_CREDENTIALS, 0, 0, 0},
    {"wrong, and nothing tried", {.given = PREFLIGHT_OTHER, .first = SAID(401)}, PREFLIGHT_WRONG_CREDENTIALS, 0, 0, 0},
    {"forbidden everywhere",
     {.given = PREFLIGHT_BEARER, .first = SAID(403), .schemes = {[PREFLIGHT_NONE] = SAID(401)}}, PREFLIGHT_FORBIDDEN,
     0, 0, 0},
    {"a raw key is wanted",
     {.given = PREFLIGHT_BEARER, .first = SAID(401),
      .schemes = {[PREFLIGHT_RAW] = SAID(200), [PREFLIGHT_NONE] = SAID(401)}},
     PREFLIGHT_WRONG_SCHEME, PREFLIGHT_RAW + 1, 0, 0},
    {"behind the right door it is another protocol",
     {.given = PREFLIGHT_RAW, .first = SAID(401),
      .schemes = {[PREFLIGHT_API_KEY] = SAID(415), [PREFLIGHT_NONE] = SAID(401)}},
     PREFLIGHT_WRONG_SCHEME, PREFLIGHT_API_KEY + 1, 0, 0},
    {"no answer to another scheme says nothing",
     {.given = PREFLIGHT_BEARER, .first = SAID(401),
      .schemes = {[PREFLIGHT_RAW] = SAID(0), [PREFLIGHT_BASIC] = SAID(503), [PREFLIGHT_NONE] = SAID(401)}},
     PREFLIGHT_WRONG_CREDENTIALS, 0, 0, 0},
    {"open to everybody but us",
     {.given = PREFLIGHT_BEARER, .first = SAID(401),
      .schemes = {[PREFLIGHT_RAW] = SAID(204), [PREFLIGHT_NONE] = SAID(204)}},
     PREFLIGHT_NEEDLESS_CREDENTIALS, 0, 0, 0},
};

static const struct row PLACE[] = {
    {"nowhere", {.given = PREFLIGHT_NONE, .first = SAID(404)}, PREFLIGHT_WRONG_PATH, 0, 0, 0},
    {"405", {.given = PREFLIGHT_NONE, .first = SAID(405)}, PREFLIGHT_WRONG_PATH, 0, 0, 0},
    {"elsewhere it is taken", {.first = SAID(404), .paths = {SAID(404), SAID(404), SAID(200)}}, PREFLIGHT_WRONG_PATH, 0,
     3, 0},
    {"taken is better than listened to", {.first = SAID(404), .paths = {SAID(401), SAID(405), SAID(415), SAID(204)}},
     PREFLIGHT_WRONG_PATH, 0, 4, 0},
    {"listened to is better than nothing", {.first = SAID(405), .paths = {SAID(404), SAID(401)}}, PREFLIGHT_WRONG_PATH,
     0, 2, 0},
    {"a failing path says nothing", {.first = SAID(404), .paths = {SAID(503), SAID(0)}}, PREFLIGHT_WRONG_PATH, 0, 0, 0},
    {"a redirect", {.first = SAID(302)}, PREFLIGHT_REDIRECTED, 0, 0, 0},
    {"a redirect, but a path here", {.first = SAID(301), .paths = {SAID(204)}}, PREFLIGHT_WRONG_PATH, 0, 1, 0},
    {"400 to all, but a path", {EMPTIES(400, SAID(400), SAID(400)), .batch = {SAID(400)}, .paths = {SAID(204)}},
     PREFLIGHT_WRONG_PATH, 0, 1, 0},
};

static const struct row LANGUAGE[] = {
    {"1.0 alone", {EMPTIES(204, SAID(415), SAID(415)), .batch = {SAID(204)}}, PREFLIGHT_FINE, 0, 0, PROTOCOL_RW1},
    {"2.0 swallowed", {EMPTIES(204, SAID(204), SAID(400)), .settings = CONFIG_RW2, .batch = {SAID(204)}},
     PREFLIGHT_FINE, 0, 0, PROTOCOL_RW1},
    {"2.0 understood",
     {EMPTIES(204, WROTE(204), SAID(415)), .settings = CONFIG_RW2, .batch = {[PROTOCOL_RW2] = WROTE(204)}},
     PREFLIGHT_FINE, 0, 0, PROTOCOL_RW2},
    {"2.0 alone, 1.0 set", {EMPTIES(415, WROTE(204), SAID(415))}, PREFLIGHT_OTHER_PROTOCOL, 0, 0, PROTOCOL_RW2},
    {"2.0 alone, auto set",
     {EMPTIES(415, WROTE(204), SAID(415)), .settings = CONFIG_AUTO, .batch = {[PROTOCOL_RW2] = WROTE(204)}},
     PREFLIGHT_FINE, 0, 0, PROTOCOL_RW2},
    {"zstd set and taken",
     {EMPTIES(204, SAID(400), SAID(204)), .settings = CONFIG_VM, .batch = {[PROTOCOL_VM] = SAID(204)}}, PREFLIGHT_FINE,
     0, 0, PROTOCOL_VM},
    {"zstd alone, 2.0 set", {EMPTIES(415, SAID(415), SAID(204)), .settings = CONFIG_RW2}, PREFLIGHT_OTHER_PROTOCOL, 0,
     0, PROTOCOL_VM},
    {"none", {EMPTIES(415, SAID(415), SAID(415))}, PREFLIGHT_NO_PROTOCOL, 0, 0, PROTOCOL_RW1},
    {"400 to all", {EMPTIES(400, SAID(400), SAID(400)), .batch = {SAID(400)}}, PREFLIGHT_NO_PROTOCOL, 0, 0,
     PROTOCOL_RW1},
    {"empty ones refused, a sample taken", {EMPTIES(400, SAID(400), SAID(400)), .batch = {SAID(200)}}, PREFLIGHT_FINE,
     0, 0, PROTOCOL_RW1},
    {"not sent", {EMPTIES(200, SAID(415), SAID(415))}, PREFLIGHT_FINE, 0, 0, PROTOCOL_RW1},
    {"the sample refused", {EMPTIES(204, SAID(415), SAID(415)), .batch = {SAID(400)}}, PREFLIGHT_REFUSED, 0, 0,
     PROTOCOL_RW1},
    {"the sample too large", {EMPTIES(204, SAID(415), SAID(415)), .batch = {SAID(413)}}, PREFLIGHT_TOO_LARGE, 0, 0,
     PROTOCOL_RW1},
    {"anything too large", {EMPTIES(413, SAID(413), SAID(413))}, PREFLIGHT_TOO_LARGE, 0, 0, PROTOCOL_RW1},
    {"busy", {EMPTIES(429, {0}, {0})}, PREFLIGHT_BUSY, 0, 0, PROTOCOL_RW1},
    {"busy at the sample", {EMPTIES(204, {0}, {0}), .batch = {SAID(429)}}, PREFLIGHT_BUSY, 0, 0, PROTOCOL_RW1},
    {"failing", {EMPTIES(503, {0}, {0})}, PREFLIGHT_FAILING, 0, 0, PROTOCOL_RW1},
    {"no answer to the sample", {EMPTIES(204, {0}, {0}), .batch = {SAID(0)}}, PREFLIGHT_NO_ANSWER, 0, 0, PROTOCOL_RW1},
};

static void check(const struct row *row)
{
    struct preflight_verdict v = preflight_judge(&row->facts);
    int scheme = v.scheme == PREFLIGHT_NONE ? 0 : (int)v.scheme + 1;
    if (v.kind != row->kind || scheme != row->scheme || v.path + 1 != row->path || v.protocol != row->protocol)
        fail_msg("%s: %s, scheme %d, path %d, protocol %d", row->what, preflight_kind_name(v.kind), scheme, v.path,
                 (int)v.protocol);
}

static void test_way(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(WAY); i++)
        check(&WAY[i]);
}

static void test_door(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(DOOR); i++)
        check(&DOOR[i]);
}

static void test_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(PLACE); i++)
        check(&PLACE[i]);
}

static void test_language(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(LANGUAGE); i++)
        check(&LANGUAGE[i]);
}

static void test_challenge(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        enum preflight_scheme scheme;
    } TABLE[] = {
        {"", PREFLIGHT_NONE},
        {"Bearer", PREFLIGHT_BEARER},
        {"bearer realm=\"x\"", PREFLIGHT_BEARER},
        {"  Basic realm=\"x\", Bearer", PREFLIGHT_BASIC},
        {"ApiKey,Basic", PREFLIGHT_API_KEY},
        {"Api-Token", PREFLIGHT_API_TOKEN},
        {"Token", PREFLIGHT_TOKEN},
        {"Negotiate", PREFLIGHT_NONE},
        {"raw key", PREFLIGHT_NONE},
        {"as configured", PREFLIGHT_NONE},
        {"Bearerx", PREFLIGHT_NONE},
        {" ,", PREFLIGHT_NONE},
    };
    for (size_t i = 0; i < ROWS(TABLE); i++)
        assert_int_equal(preflight_challenge(str_of(TABLE[i].header)), TABLE[i].scheme);
}

/* Every verdict has a name of its own: they are what programs read. */
static void test_names(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PREFLIGHT_KINDS; i++) {
        assert_non_null(preflight_kind_name((enum preflight_kind)i));
        for (unsigned k = 0; k < i; k++)
            assert_string_not_equal(preflight_kind_name((enum preflight_kind)i),
                                    preflight_kind_name((enum preflight_kind)k));
    }
}

static void test_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t max;
        const char *shown;
    } TABLE[] = {
        {"all is well", 100, "all is well"},
        {"  two\r\n\tlines  ", 100, "two lines"},
        {"\033[31mred\a", 100, "?[31mred?"},
        {"a\xc2\x9b" "b\xff" "c", 100, "a?b?c"},
        {"gr\xc3\xbc\xc3\x9f", 100, "gr\xc3\xbc\xc3\x9f"},
        {"0123456789abcdef", 10, "0123456789..."},
        {"0123456789", 10, "0123456789"},
        {"", 10, ""},
    };
    for (size_t i = 0; i < ROWS(TABLE); i++) {
        struct buf out;
        buf_init(&out, 1000);
        ask_line(str_of(TABLE[i].text), TABLE[i].max, &out);
        assert_string_equal(buf_c(&out), TABLE[i].shown);
        buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_way),       cmocka_unit_test(test_door),  cmocka_unit_test(test_place),
        cmocka_unit_test(test_language),  cmocka_unit_test(test_names), cmocka_unit_test(test_challenge),
        cmocka_unit_test(test_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
