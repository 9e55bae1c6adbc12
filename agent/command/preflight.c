/* SPDX-License-Identifier: Apache-2.0 */
/* preflight: reads the facts in the order in which a request meets obstacles: the way there, the door, the place, the
   language, what is said. */
#include "preflight.h"

#include <stdio.h>
#include <strings.h>

#include "../remote/policy.h"

const char *const preflight_paths[PREFLIGHT_PATHS] = {
    "/api/v1/write",                    /* Prometheus, VictoriaMetrics */
    "/api/v1/push",                     /* Mimir, Cortex */
    "/api/v1/receive",                  /* Thanos */
    "/prometheus/api/v1/write",         /* behind a common prefix */
    "/insert/0/prometheus/api/v1/write", /* VictoriaMetrics in a cluster */
    "/api/prom/push",                   /* Grafana Cloud, older Cortex */
    "/_prometheus/api/v1/write",        /* Elasticsearch */
    "/api/v1/remote_write",             /* behind Amazon's prefix of a workspace */
    "/write",                           /* ClickHouse, simple bridges */
};

static const char *const SCHEMES[PREFLIGHT_SCHEMES] = {
    [PREFLIGHT_BEARER] = "Bearer",    [PREFLIGHT_RAW] = "raw key",
    [PREFLIGHT_BASIC] = "Basic",      [PREFLIGHT_API_KEY] = "ApiKey",
    [PREFLIGHT_API_TOKEN] = "Api-Token", [PREFLIGHT_TOKEN] = "Token",
    [PREFLIGHT_OTHER] = "as configured", [PREFLIGHT_NONE] = "none",
};

const char *preflight_scheme_name(enum preflight_scheme s)
{
    return SCHEMES[s];
}

const char *preflight_scheme_word(enum preflight_scheme s)
{
    if (s == PREFLIGHT_RAW)
        return "";
    return s == PREFLIGHT_BASIC || s == PREFLIGHT_OTHER || s == PREFLIGHT_NONE ? NULL : SCHEMES[s];
}

enum preflight_scheme preflight_challenge(struct str header)
{
    header = str_trim(header);
    size_t n = 0;
    while (n < header.n && header.p[n] != ' ' && header.p[n] != ',')
        n++;
    for (unsigned i = 0; i < PREFLIGHT_OTHER; i++) {
        if (i != PREFLIGHT_RAW && n && n == strlen(SCHEMES[i]) && strncasecmp(header.p, SCHEMES[i], n) == 0)
            return (enum preflight_scheme)i;
    }
    return PREFLIGHT_NONE;
}

const char *preflight_kind_name(enum preflight_kind k)
{
    static const char *const NAMES[PREFLIGHT_KINDS] = {
        [PREFLIGHT_FINE] = "fine",
        [PREFLIGHT_UNKNOWN_NAME] = "unknown_name",
        [PREFLIGHT_UNREACHABLE] = "unreachable",
        [PREFLIGHT_CERTIFICATE] = "certificate",
        [PREFLIGHT_TLS] = "tls",
        [PREFLIGHT_NOT_TLS] = "not_tls",
        [PREFLIGHT_NEEDS_TLS] = "needs_tls",
        [PREFLIGHT_NO_ANSWER] = "no_answer",
        [PREFLIGHT_PROXY] = "proxy",
        [PREFLIGHT_MISSING_CREDENTIALS] = "missing_credentials",
        [PREFLIGHT_WRONG_SCHEME] = "wrong_scheme",
        [PREFLIGHT_NEEDLESS_CREDENTIALS] = "needless_credentials",
        [PREFLIGHT_WRONG_CREDENTIALS] = "wrong_credentials",
        [PREFLIGHT_FORBIDDEN] = "forbidden",
        [PREFLIGHT_REDIRECTED] = "redirected",
        [PREFLIGHT_WRONG_PATH] = "wrong_path",
        [PREFLIGHT_OTHER_PROTOCOL] = "other_protocol",
        [PREFLIGHT_NO_PROTOCOL] = "no_protocol",
        [PREFLIGHT_TOO_LARGE] = "too_large",
        [PREFLIGHT_REFUSED] = "refused",
        [PREFLIGHT_BUSY] = "busy",
        [PREFLIGHT_FAILING] = "failing",
    };
    return NAMES[k];
}

/* ---- statuses ---- */

enum preflight_class preflight_classify(long status)
{
    static const struct policy_settings SETTINGS = {.min_backoff_ms = 1000, .max_backoff_ms = 1000};
    const struct policy_answer answer = {.status = status, .retry_after_ms = -1};
    const struct policy_history history = {.series = 2};
    if (status == 415)
        return PREFLIGHT_KIND;
    switch (policy_decide(&SETTINGS, &answer, &history, 0).verdict) {
    case POLICY_DONE:
        return PREFLIGHT_GOOD;
    case POLICY_HOLD_AUTH:
        return PREFLIGHT_ENTRY;
    case POLICY_HOLD_URL:
        return PREFLIGHT_PLACE;
    case POLICY_SPLIT:
        return PREFLIGHT_SIZE;
    case POLICY_BISECT:
        return PREFLIGHT_DATA;
    default:
        return PREFLIGHT_LATER;
    }
}

static bool good(const struct preflight_answer *a)
{
    return a->asked && preflight_classify(a->status) == PREFLIGHT_GOOD;
}

static bool understood(const struct preflight_answer *a, enum protocol p)
{
    const struct protocol_answer answer = {.sent = p, .status = a->status, .written = a->written};
    return a->asked && protocol_understood(&answer);
}

bool preflight_understands(const struct preflight_facts *f, enum protocol p)
{
    return understood(&f->empties[p], p) || understood(&f->batch[p], p);
}

/* ---- one obstacle after the other; each says whether it is the one ---- */

static bool judge_way(const struct preflight_facts *f, struct preflight_verdict *v)
{
    static const enum preflight_kind KINDS[] = {
        [HTTP_FAILURE_NAME] = PREFLIGHT_UNKNOWN_NAME, [HTTP_FAILURE_CONNECT] = PREFLIGHT_UNREACHABLE,
        [HTTP_FAILURE_TLS] = PREFLIGHT_TLS,           [HTTP_FAILURE_CERTIFICATE] = PREFLIGHT_CERTIFICATE,
        [HTTP_FAILURE_OTHER] = PREFLIGHT_NO_ANSWER,
    };
    if (f->other_transport) {
        v->kind = f->tls ? PREFLIGHT_NOT_TLS : PREFLIGHT_NEEDS_TLS;
        return true;
    }
    if (f->first.status != 0)
        return false;
    v->kind = f->failure == HTTP_FAILURE_NONE ? PREFLIGHT_NO_ANSWER : KINDS[f->failure];
    return true;
}

static bool judge_door(const struct preflight_facts *f, struct preflight_verdict *v)
{
    if (f->first.status == 407) {
        v->kind = PREFLIGHT_PROXY;
        return true;
    }
    if (preflight_classify(f->first.status) != PREFLIGHT_ENTRY)
        return false;
    if (f->given == PREFLIGHT_NONE) {
        v->kind = PREFLIGHT_MISSING_CREDENTIALS;
        v->scheme = f->challenge;
        return true;
    }
    /* A door that opens to everybody says nothing about a scheme. */
    const struct preflight_answer *none = &f->schemes[PREFLIGHT_NONE];
    bool open = none->asked && none->status && preflight_classify(none->status) != PREFLIGHT_ENTRY;
    for (unsigned i = 0; i < PREFLIGHT_NONE && !open; i++) {
        const struct preflight_answer *a = &f->schemes[i];
        enum preflight_class c = preflight_classify(a->status);
        if (a->asked && i != f->given && c != PREFLIGHT_ENTRY && c != PREFLIGHT_LATER) {
            v->kind = PREFLIGHT_WRONG_SCHEME;
            v->scheme = (enum preflight_scheme)i;
            return true;
        }
    }
    v->kind = open                         ? PREFLIGHT_NEEDLESS_CREDENTIALS
              : f->first.status == 403     ? PREFLIGHT_FORBIDDEN
                                           : PREFLIGHT_WRONG_CREDENTIALS;
    return true;
}

static int good_path(const struct preflight_facts *f)
{
    for (int i = 0; i < PREFLIGHT_PATHS; i++) {
        if (good(&f->paths[i]))
            return i;
    }
    return -1;
}

static bool judge_place(const struct preflight_facts *f, struct preflight_verdict *v)
{
    if (preflight_classify(f->first.status) != PREFLIGHT_PLACE)
        return false;
    v->kind = f->first.status >= 300 && f->first.status < 400 ? PREFLIGHT_REDIRECTED : PREFLIGHT_WRONG_PATH;
    /* One that accepts is better than one that only listens. */
    v->path = good_path(f);
    for (int i = 0; i < PREFLIGHT_PATHS && v->path < 0; i++) {
        enum preflight_class c = preflight_classify(f->paths[i].status);
        if (f->paths[i].asked && (c == PREFLIGHT_ENTRY || c == PREFLIGHT_KIND || c == PREFLIGHT_DATA))
            v->path = i;
    }
    if (v->path >= 0)
        v->kind = PREFLIGHT_WRONG_PATH;
    return true;
}

/* The answer that says most about a protocol. */
static const struct preflight_answer *last_word(const struct preflight_facts *f, enum protocol p)
{
    return f->batch[p].asked ? &f->batch[p] : &f->empties[p];
}

static bool judge_language(const struct preflight_facts *f, struct preflight_verdict *v)
{
    static const enum protocol ALL[] = {PROTOCOL_RW2, PROTOCOL_VM, PROTOCOL_RW1};
    struct negotiation n;
    protocol_init(&n, f->settings);
    for (unsigned i = 0; i < n.n; i++) {
        if (preflight_understands(f, n.order[i])) {
            v->protocol = n.order[i];
            return false;
        }
    }
    for (unsigned i = 0; i < PROTOCOLS; i++) {
        if (preflight_understands(f, ALL[i])) {
            v->protocol = ALL[i];
            v->kind = PREFLIGHT_OTHER_PROTOCOL;
            return true;
        }
    }
    v->protocol = n.order[n.n - 1];
    v->status = last_word(f, v->protocol)->status;
    enum preflight_class c = preflight_classify(v->status);
    if (c == PREFLIGHT_LATER || c == PREFLIGHT_SIZE)
        return false; /* said below */
    v->path = good_path(f); /* some say 400 to what they do not know */
    v->kind = v->path >= 0 ? PREFLIGHT_WRONG_PATH : PREFLIGHT_NO_PROTOCOL;
    return true;
}

static void judge_word(const struct preflight_facts *f, struct preflight_verdict *v)
{
    v->status = last_word(f, v->protocol)->status;
    switch (preflight_classify(v->status)) {
    case PREFLIGHT_SIZE:
        v->kind = PREFLIGHT_TOO_LARGE;
        break;
    case PREFLIGHT_LATER:
        v->kind = v->status == 0 ? PREFLIGHT_NO_ANSWER : v->status == 429 ? PREFLIGHT_BUSY : PREFLIGHT_FAILING;
        break;
    case PREFLIGHT_GOOD:
        v->kind = understood(last_word(f, v->protocol), v->protocol) ? PREFLIGHT_FINE : PREFLIGHT_REFUSED;
        break;
    default:
        v->kind = PREFLIGHT_REFUSED;
        break;
    }
}

struct preflight_verdict preflight_judge(const struct preflight_facts *f)
{
    struct preflight_verdict v = {.scheme = PREFLIGHT_NONE, .path = -1, .protocol = PROTOCOL_RW1,
                                  .status = f->first.status};
    if (!judge_way(f, &v) && !judge_door(f, &v) && !judge_place(f, &v) && !judge_language(f, &v))
        judge_word(f, &v);
    return v;
}
