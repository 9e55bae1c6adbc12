/* SPDX-License-Identifier: Apache-2.0 */
/* offer: reads an Accept header. */
#include "offer.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "exposition.h"

#define PROTOBUF "application/vnd.google.protobuf"

static bool same(struct str a, const char *b)
{
    return a.n == strlen(b) && strncasecmp(a.p, b, a.n) == 0;
}

/* The next part up to the separator, trimmed; *rest goes on behind it. */
static struct str cut(struct str *rest, char separator)
{
    size_t at = str_find_char(*rest, separator);
    struct str part = str_trim(str_make(rest->p, at));
    *rest = at < rest->n ? str_skip(*rest, at + 1) : STR_NULL;
    return part;
}

struct range {
    struct str media, version, proto, encoding, escaping;
    double q;
};

static void take_parameter(struct range *r, struct str parameter)
{
    struct str value = parameter, name = cut(&value, '=');
    value = str_trim(value);
    if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
        value = str_make(value.p + 1, value.n - 2);
    if (same(name, "version"))
        r->version = value;
    else if (same(name, "proto"))
        r->proto = value;
    else if (same(name, "encoding"))
        r->encoding = value;
    else if (same(name, "escaping"))
        r->escaping = value;
    else if (same(name, "q") && !exposition_parse_value(value, &r->q))
        r->q = 0;
}

static struct range read_range(struct str text)
{
    struct range r = {.q = 1};
    r.media = cut(&text, ';');
    while (text.n)
        take_parameter(&r, cut(&text, ';'));
    return r;
}

/* All our names are plain, so that every way to escape them leaves them as they are; it is only named. */
static const char *known_escaping(struct str escaping)
{
    static const char *const KNOWN[] = {"allow-utf-8", "underscores", "dots", "values"};
    for (size_t i = 0; i < sizeof KNOWN / sizeof KNOWN[0]; i++) {
        if (same(escaping, KNOWN[i]))
            return KNOWN[i];
    }
    return NULL;
}

static void set(struct offer *o, enum synth_format format, const char *type, struct str escaping)
{
    const char *word = known_escaping(escaping);
    o->format = format;
    snprintf(o->type, sizeof o->type, "%s%s%s", type, word ? "; escaping=" : "", word ? word : "");
}

/* False when it is nothing that we have. */
static bool answer(const struct range *r, struct offer *o)
{
    if (same(r->media, PROTOBUF)) {
        if (!same(r->proto, "io.prometheus.client.MetricFamily") || !same(r->encoding, "delimited"))
            return false;
        set(o, SYNTH_PROTOBUF, PROTOBUF "; proto=io.prometheus.client.MetricFamily; encoding=delimited", r->escaping);
    } else if (same(r->media, "application/openmetrics-text")) {
        bool one = same(r->version, "1.0.0");
        if (!one && r->version.n && !same(r->version, "0.0.1"))
            return false;
        set(o, SYNTH_OPENMETRICS,
            one ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                : "application/openmetrics-text; version=0.0.1; charset=utf-8",
            r->escaping);
    } else if (same(r->media, "text/plain") || same(r->media, "text/*") || same(r->media, "*/*")) {
        bool one = same(r->version, "1.0.0");
        if (!one && r->version.n && !same(r->version, "0.0.4"))
            return false;
        set(o, SYNTH_TEXT,
            one ? "text/plain; version=1.0.0; charset=utf-8" : "text/plain; version=0.0.4; charset=utf-8",
            one ? r->escaping : STR_NULL);
    } else {
        return false;
    }
    return true;
}

struct offer offer_choose(struct str accept)
{
    struct offer best, found;
    double best_q = 0;
    set(&best, SYNTH_TEXT, "text/plain; version=0.0.4; charset=utf-8", STR_NULL);
    while (accept.n) {
        struct range r = read_range(cut(&accept, ','));
        if (r.q > best_q && answer(&r, &found)) {
            best = found;
            best_q = r.q;
        }
    }
    return best;
}

bool offer_named(const char *word, struct offer *out)
{
    static const struct {
        const char *word, *accept;
    } WORDS[] = {
        {"text", "text/plain"},
        {"openmetrics", "application/openmetrics-text;version=1.0.0"},
        {"protobuf", PROTOBUF ";proto=io.prometheus.client.MetricFamily;encoding=delimited"},
    };
    for (size_t i = 0; i < sizeof WORDS / sizeof WORDS[0]; i++) {
        if (strcmp(word, WORDS[i].word) == 0) {
            *out = offer_choose(str_of(WORDS[i].accept));
            return true;
        }
    }
    return false;
}
