/* SPDX-License-Identifier: Apache-2.0 */
/* test_negotiate: the Accept header, and what a Content-Type means. Strings as Prometheus 3 sends and says them. */
#include "unit.h"

#include "scrape/negotiate.h"

#define OM1 "application/openmetrics-text;version=1.0.0"
#define OM0 "application/openmetrics-text;version=0.0.1"
#define T1 "text/plain;version=1.0.0"
#define T0 "text/plain;version=0.0.4"
#define PB "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"

static void accept_headers(void **state)
{
    static const struct {
        struct config_protocols protocols;
        enum config_name_escaping escaping;
        const char *want;
    } ROWS[] = {
        {{{0}, 0},
         CONFIG_ALLOW_UTF8,
         OM1 ";escaping=allow-utf-8;q=0.6," OM0 ";q=0.5," T1 ";escaping=allow-utf-8;q=0.4," T0
             ";q=0.3,*/*;q=0.2"},
        {{{CONFIG_PROTO, CONFIG_OPENMETRICS_1_0_0, CONFIG_OPENMETRICS_0_0_1, CONFIG_TEXT_1_0_0,
           CONFIG_TEXT_0_0_4},
          5},
         CONFIG_ALLOW_UTF8,
         PB ";q=0.6," OM1 ";escaping=allow-utf-8;q=0.5," OM0 ";q=0.4," T1 ";escaping=allow-utf-8;q=0.3," T0
            ";q=0.2,*/*;q=0.1"},
        {{{CONFIG_OPENMETRICS_1_0_0}, 1}, CONFIG_UNDERSCORES, OM1 ";escaping=underscores;q=0.6,*/*;q=0.5"},
        {{{CONFIG_TEXT_1_0_0}, 1}, CONFIG_DOTS, T1 ";escaping=dots;q=0.6,*/*;q=0.5"},
        {{{CONFIG_TEXT_1_0_0}, 1}, CONFIG_VALUES, T1 ";escaping=values;q=0.6,*/*;q=0.5"},
        {{{CONFIG_TEXT_0_0_4, CONFIG_OPENMETRICS_0_0_1}, 2},
         CONFIG_VALUES,
         T0 ";q=0.6," OM0 ";q=0.5,*/*;q=0.4"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct config_job job = {.scrape_protocols = ROWS[i].protocols, .name_escaping = ROWS[i].escaping};
        char got[NEGOTIATE_ACCEPT_MAX];
        negotiate_accept(&job, got);
        assert_string_equal(got, ROWS[i].want);
    }
}

static void content_types(void **state)
{
    static const char BLANK[] = "non-compliant scrape target sending blank Content-Type and no "
                                "fallback_scrape_protocol specified for target";
    static const struct {
        const char *type;
        int fallback; /* -1 = none */
        enum negotiated want;
        enum exposition_format format;
        const char *why;
    } ROWS[] = {
        {"text/plain", -1, NEGOTIATED, EXPOSITION_TEXT, ""},
        {"text/plain; version=0.0.4; charset=utf-8", -1, NEGOTIATED, EXPOSITION_TEXT, ""},
        {"Text/Plain;Version=\"1.0.0\"", -1, NEGOTIATED, EXPOSITION_TEXT, ""},
        {" text/plain ; a = b ; ", -1, NEGOTIATED, EXPOSITION_TEXT, ""},
        {"application/openmetrics-text; version=1.0.0; charset=utf-8", -1, NEGOTIATED, EXPOSITION_OPENMETRICS,
         ""},
        {"application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited", -1,
         NEGOTIATED, EXPOSITION_PROTOBUF, ""},
        {"text/plain", CONFIG_PROTO, NEGOTIATED, EXPOSITION_TEXT, ""}, /* the fallback is not asked */
        {"", -1, NEGOTIATED_NOTHING, EXPOSITION_TEXT, BLANK},
        {"", CONFIG_TEXT_0_0_4, NEGOTIATED_FALLBACK, EXPOSITION_TEXT,
         "non-compliant scrape target sending blank Content-Type, using fallback_scrape_protocol "
         "\"PrometheusText0.0.4\""},
        {"", CONFIG_OPENMETRICS_1_0_0, NEGOTIATED_FALLBACK, EXPOSITION_OPENMETRICS,
         "non-compliant scrape target sending blank Content-Type, using fallback_scrape_protocol "
         "\"OpenMetricsText1.0.0\""},
        {"text/html; charset=utf-8", -1, NEGOTIATED_NOTHING, EXPOSITION_TEXT,
         "received unsupported Content-Type \"text/html; charset=utf-8\" and no fallback_scrape_protocol "
         "specified for "
         "target"},
        {"text", -1, NEGOTIATED_NOTHING, EXPOSITION_TEXT,
         "received unsupported Content-Type \"text\" and no fallback_scrape_protocol specified for target"},
        {"application/json", CONFIG_PROTO, NEGOTIATED_FALLBACK, EXPOSITION_PROTOBUF,
         "received unsupported Content-Type \"application/json\", using fallback_scrape_protocol "
         "\"PrometheusProto\""},
        {"text/plain; version", -1, NEGOTIATED_NOTHING, EXPOSITION_TEXT,
         "cannot parse Content-Type \"text/plain; version\" and no fallback_scrape_protocol for target"},
        {"text/plain; version=", CONFIG_TEXT_1_0_0, NEGOTIATED_FALLBACK, EXPOSITION_TEXT,
         "could not parse received Content-Type \"text/plain; version=\", using fallback_scrape_protocol "
         "\"PrometheusText1.0.0\""},
        {"text/plain; a=\"b", -1, NEGOTIATED_NOTHING, EXPOSITION_TEXT,
         "cannot parse Content-Type \"text/plain; a=\"b\" and no fallback_scrape_protocol for target"},
        {"text/plain, text/html", -1, NEGOTIATED_NOTHING, EXPOSITION_TEXT,
         "cannot parse Content-Type \"text/plain, text/html\" and no fallback_scrape_protocol for target"},
        {"/plain", -1, NEGOTIATED_NOTHING, EXPOSITION_TEXT,
         "cannot parse Content-Type \"/plain\" and no fallback_scrape_protocol for target"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct config_job job = {.has_fallback_protocol = ROWS[i].fallback >= 0};
        enum exposition_format format = EXPOSITION_TEXT;
        struct err why = {0};
        if (ROWS[i].fallback >= 0)
            job.fallback_protocol = (enum config_scrape_protocol)ROWS[i].fallback;
        enum negotiated got = negotiate_format(&job, str_of(ROWS[i].type), &format, &why);
        assert_string_equal(why.msg, ROWS[i].why);
        assert_int_equal(got, ROWS[i].want);
        assert_int_equal(format, ROWS[i].format);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accept_headers),
        cmocka_unit_test(content_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
