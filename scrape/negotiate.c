/* SPDX-License-Identifier: Apache-2.0 */
/* negotiate: Accept and Content-Type. */
#include "negotiate.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *header;
    const char *name; /* in scrape_protocols */
    enum exposition_format format;
    bool escaping; /* knows of names that are not legacy ones */
} PROTOCOLS[CONFIG_SCRAPE_PROTOCOLS] = {
    [CONFIG_OPENMETRICS_1_0_0] = {"application/openmetrics-text;version=1.0.0", "OpenMetricsText1.0.0",
                                  EXPOSITION_OPENMETRICS, true},
    [CONFIG_OPENMETRICS_0_0_1] = {"application/openmetrics-text;version=0.0.1", "OpenMetricsText0.0.1",
                                  EXPOSITION_OPENMETRICS, false},
    [CONFIG_TEXT_1_0_0] = {"text/plain;version=1.0.0", "PrometheusText1.0.0", EXPOSITION_TEXT, true},
    [CONFIG_TEXT_0_0_4] = {"text/plain;version=0.0.4", "PrometheusText0.0.4", EXPOSITION_TEXT, false},
    [CONFIG_PROTO] =
        {"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
         "PrometheusProto", EXPOSITION_PROTOBUF, false},
};

const char *negotiate_name(enum config_scrape_protocol protocol)
{
    return PROTOCOLS[protocol].name;
}

enum exposition_format negotiate_format_of(enum config_scrape_protocol protocol)
{
    return PROTOCOLS[protocol].format;
}

void negotiate_accept(const struct config_job *job, char out[NEGOTIATE_ACCEPT_MAX])
{
    static const char *const ESCAPING[] = {"allow-utf-8", "underscores", "dots", "values"};
    static const struct config_protocols STANDARD = {
        {CONFIG_OPENMETRICS_1_0_0, CONFIG_OPENMETRICS_0_0_1, CONFIG_TEXT_1_0_0, CONFIG_TEXT_0_0_4}, 4};
    const struct config_protocols *p = job->scrape_protocols.n ? &job->scrape_protocols : &STANDARD;
    int weight = CONFIG_SCRAPE_PROTOCOLS + 1;
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++, weight--) {
        bool escaping = PROTOCOLS[p->v[i]].escaping;
        n += (size_t)snprintf(out + n, NEGOTIATE_ACCEPT_MAX - n, "%s%s%s;q=0.%d,", PROTOCOLS[p->v[i]].header,
                              escaping ? ";escaping=" : "", escaping ? ESCAPING[job->name_escaping] : "",
                              weight);
    }
    snprintf(out + n, NEGOTIATE_ACCEPT_MAX - n, "*/*;q=0.%d", weight);
}

/* ---- media types, as Go's mime.ParseMediaType reads them ---- */

static bool is_token_char(char c)
{
    return c > ' ' && c < 0x7f && !strchr("()<>@,;:\\\"/[]?=", c);
}

static struct str take_token(struct str *rest)
{
    size_t n = 0;
    while (n < rest->n && is_token_char(rest->p[n]))
        n++;
    struct str token = str_make(rest->p, n);
    *rest = str_skip(*rest, n);
    return token;
}

static void skip_blanks(struct str *rest)
{
    while (rest->n && (rest->p[0] == ' ' || rest->p[0] == '\t'))
        *rest = str_skip(*rest, 1);
}

/* A token or a quoted string. */
static bool take_value(struct str *rest)
{
    if (!rest->n || rest->p[0] != '"')
        return take_token(rest).n > 0;
    for (size_t i = 1; i < rest->n; i++) {
        if (rest->p[i] == '"') {
            *rest = str_skip(*rest, i + 1);
            return true;
        }
        i += rest->p[i] == '\\';
    }
    return false;
}

/* `; name=value`. */
static bool take_parameter(struct str *rest)
{
    *rest = str_skip(*rest, 1);
    skip_blanks(rest);
    if (take_token(rest).n == 0)
        return false;
    skip_blanks(rest);
    if (!rest->n || rest->p[0] != '=')
        return false;
    *rest = str_skip(*rest, 1);
    skip_blanks(rest);
    if (!take_value(rest))
        return false;
    skip_blanks(rest);
    return true;
}

/* The type itself; false when the header cannot be read. */
static bool parse_media_type(struct str text, struct str *type)
{
    struct str rest = str_trim(text);
    const char *start = rest.p;
    if (take_token(&rest).n == 0)
        return false;
    if (rest.n && rest.p[0] == '/') {
        rest = str_skip(rest, 1);
        if (take_token(&rest).n == 0)
            return false;
    }
    *type = str_make(start, (size_t)(rest.p - start));
    skip_blanks(&rest);
    while (rest.n) {
        if (rest.n == 1 && rest.p[0] == ';')
            return true;
        if (rest.p[0] != ';' || !take_parameter(&rest))
            return false;
    }
    return true;
}

/* ---- the answer's format ---- */

static bool known_type(struct str type, enum exposition_format *format)
{
    static const struct {
        const char *type;
        enum exposition_format format;
    } TYPES[] = {
        {"text/plain", EXPOSITION_TEXT},
        {"application/openmetrics-text", EXPOSITION_OPENMETRICS},
        {"application/vnd.google.protobuf", EXPOSITION_PROTOBUF},
    };
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++) {
        if (type.n == strlen(TYPES[i].type) && strncasecmp(type.p, TYPES[i].type, type.n) == 0) {
            *format = TYPES[i].format;
            return true;
        }
    }
    return false;
}

enum negotiated negotiate_format(const struct config_job *job, struct str content_type,
                                 enum exposition_format *format, struct err *why)
{
    struct str type = STR_NULL, shown = str_make(content_type.p, content_type.n < 128 ? content_type.n : 128);
    bool parsed = content_type.n && parse_media_type(content_type, &type);
    if (parsed && known_type(type, format))
        return NEGOTIATED;
    const char *fallback = job->has_fallback_protocol ? PROTOCOLS[job->fallback_protocol].name : NULL;
    if (fallback)
        *format = PROTOCOLS[job->fallback_protocol].format;
    if (!content_type.n && !fallback)
        err_set(
            why,
            "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified "
            "for target");
    else if (!content_type.n)
        err_set(why,
                "non-compliant scrape target sending blank Content-Type, using fallback_scrape_protocol \"%s\"",
                fallback);
    else if (!parsed && !fallback)
        err_set(why, "cannot parse Content-Type \"%.*s\" and no fallback_scrape_protocol for target",
                STR_ARG(shown));
    else if (!parsed)
        err_set(why, "could not parse received Content-Type \"%.*s\", using fallback_scrape_protocol \"%s\"",
                STR_ARG(shown), fallback);
    else if (!fallback)
        err_set(
            why,
            "received unsupported Content-Type \"%.*s\" and no fallback_scrape_protocol specified for target",
            STR_ARG(shown));
    else
        err_set(why, "received unsupported Content-Type \"%.*s\", using fallback_scrape_protocol \"%s\"",
                STR_ARG(shown), fallback);
    return fallback ? NEGOTIATED_FALLBACK : NEGOTIATED_NOTHING;
}
