/* SPDX-License-Identifier: Apache-2.0 */
/* policy: what a receiver's answer means. The table:

     2xx            done
     400 409 422    cut in half until the guilty series stand alone; only those are lost
     401 403        hold everything, read the credentials again
     413            cut in half, and remember the size
     408 425 429    retry
     5xx, network   retry; when it is this request alone that fails, find the series that causes it
     other          hold everything: the URL is wrong                                            */
#include "policy.h"

#include <time.h>

#include "base/units.h"

int64_t policy_backoff(const struct policy_settings *settings, unsigned n, uint64_t random)
{
    int64_t low = settings->min_backoff_ms > 0 ? settings->min_backoff_ms : 1;
    int64_t top = settings->max_backoff_ms > low ? settings->max_backoff_ms : low;
    int64_t high = low;
    for (unsigned i = 0; i < n && high < top; i++)
        high *= 2;
    if (high > top)
        high = top;
    return low + (int64_t)(random % (uint64_t)(high - low + 1));
}

/* ---- Retry-After ---- */

int64_t policy_http_date(struct str value)
{
    static const char *const FORMS[] = {
        "%a, %d %b %Y %H:%M:%S GMT", /* IMF-fixdate */
        "%A, %d-%b-%y %H:%M:%S GMT", /* RFC 850 */
        "%a %b %d %H:%M:%S %Y",      /* asctime */
    };
    char text[64];
    if (value.n >= sizeof text)
        return -1;
    memcpy(text, value.p, value.n);
    text[value.n] = '\0';
    for (size_t i = 0; i < sizeof FORMS / sizeof FORMS[0]; i++) {
        struct tm tm = {0};
        const char *end = strptime(text, FORMS[i], &tm);
        if (end && *end == '\0')
            return (int64_t)timegm(&tm);
    }
    return -1;
}

int64_t policy_retry_after(struct str value, int64_t now_wall_ms)
{
    value = str_trim(value);
    if (value.n == 0)
        return -1;
    uint64_t seconds;
    if (units_parse_u64(value, &seconds)) {
        uint64_t most = POLICY_RETRY_AFTER_MAX_MS / 1000;
        return (int64_t)(seconds < most ? seconds : most) * 1000;
    }
    int64_t at = policy_http_date(value);
    if (at < 0)
        return -1;
    int64_t delay = at * 1000 - now_wall_ms;
    if (delay < 0)
        return 0;
    return delay < POLICY_RETRY_AFTER_MAX_MS ? delay : POLICY_RETRY_AFTER_MAX_MS;
}

/* ---- the table ---- */

/* How often a single series must fail beside others that pass. 502, 503 and 504 say that the receiver is not available,
   and an overloaded one says so at random, so they count for much less than a 500. */
static unsigned dead_after(const struct policy_history *h, long status)
{
    if (status >= 502 && status <= 504)
        return POLICY_DEAD_AFTER_UNAVAILABLE;
    return h->known_poison ? POLICY_DEAD_AFTER - 1 : POLICY_DEAD_AFTER;
}

/* A single series got a 5xx. It is set aside only on evidence that the receiver works at this very time. */
static enum policy_verdict single_5xx(const struct policy_history *h, long status)
{
    unsigned n = h->refused_5xx + 1;
    if (h->beside >= dead_after(h, status))
        return POLICY_DEAD;
    if (n < (h->known_poison ? 1 : POLICY_SINGLE_AFTER))
        return POLICY_RETRY;
    if (h->has_next)
        return POLICY_AHEAD;
    /* The last of its block: nothing is left to compare with, so this takes longer. */
    return h->block_passed && n >= POLICY_SUSPECT_AFTER ? POLICY_DEAD : POLICY_RETRY;
}

static enum policy_verdict verdict_5xx(const struct policy_history *h, long status)
{
    if (h->suspect)
        return h->series > 1 ? POLICY_HALVE : single_5xx(h, status);
    if (h->refused_5xx + 1 < POLICY_SUSPECT_AFTER)
        return POLICY_RETRY;
    if (h->series == 1)
        return single_5xx(h, status);
    return h->others_pass ? POLICY_HALVE : POLICY_PROBE;
}

static enum policy_verdict verdict_4xx(const struct policy_settings *s, long status,
                                       const struct policy_history *h)
{
    switch (status) {
    case 400:
    case 409:
    case 422:
        return h->series > 1 && !s->on_reject_drop ? POLICY_BISECT : POLICY_REJECTED;
    case 401:
    case 403:
    case 407: /* of the proxy */
        return POLICY_HOLD_AUTH;
    case 413:
        return h->series > 1 ? POLICY_SPLIT : POLICY_TOO_LARGE;
    case 408:
    case 425:
    case 429:
        return POLICY_RETRY;
    default:
        return POLICY_HOLD_URL;
    }
}

static enum policy_verdict verdict_of(const struct policy_settings *s, const struct policy_answer *a,
                                      const struct policy_history *h)
{
    if (a->status >= 200 && a->status < 300)
        return POLICY_DONE;
    if (a->status >= 300 && a->status < 400)
        return POLICY_HOLD_URL;
    if (a->status >= 400 && a->status < 500)
        return verdict_4xx(s, a->status, h);
    if (a->status >= 500 && a->status < 600)
        return verdict_5xx(h, a->status);
    if (a->status == 0 && a->reused_dead && !h->retried_dead)
        return POLICY_RETRY_NOW;
    return POLICY_RETRY;
}

static bool waits(enum policy_verdict verdict)
{
    switch (verdict) {
    case POLICY_RETRY:
    case POLICY_PROBE:
    case POLICY_HALVE:
    case POLICY_AHEAD:
    case POLICY_HOLD_AUTH:
    case POLICY_HOLD_URL:
        return true;
    default:
        return false;
    }
}

/* Where Retry-After has a meaning; elsewhere our own pace is slower anyway. */
static bool may_ask(long status)
{
    return status == 408 || status == 425 || status == 429 || status >= 500;
}

struct policy_decision policy_decide(const struct policy_settings *settings,
                                     const struct policy_answer *answer, const struct policy_history *history,
                                     uint64_t random)
{
    struct policy_decision d = {.verdict = verdict_of(settings, answer, history)};
    d.fresh_connection = d.verdict == POLICY_RETRY_NOW;
    if (!waits(d.verdict))
        return d;
    d.fresh_connection = history->failures + 1 >= POLICY_FRESH_AFTER;
    d.delay_ms = policy_backoff(settings, history->failures + 1, random);
    /* Halving towards a known cause goes on without a pause: each request is smaller, and others pass. */
    if (d.verdict == POLICY_HALVE && (history->others_pass || history->block_passed))
        d.delay_ms = 0;
    if (answer->retry_after_ms >= 0 && may_ask(answer->status)) {
        int64_t low = settings->min_backoff_ms > 0 ? settings->min_backoff_ms : 1;
        int64_t asked = answer->retry_after_ms > low ? answer->retry_after_ms : low;
        asked += (int64_t)(random % (uint64_t)low);
        d.delay_ms = asked < POLICY_RETRY_AFTER_MAX_MS ? asked : POLICY_RETRY_AFTER_MAX_MS;
        d.whole_endpoint = answer->status == 429 || answer->status == 503;
    }
    return d;
}

const char *policy_verdict_name(enum policy_verdict verdict)
{
    static const char *const NAMES[] = {
        [POLICY_DONE] = "done",           [POLICY_RETRY] = "retry",
        [POLICY_RETRY_NOW] = "retry now", [POLICY_BISECT] = "bisect",
        [POLICY_REJECTED] = "rejected",   [POLICY_SPLIT] = "split",
        [POLICY_TOO_LARGE] = "too large", [POLICY_PROBE] = "probe",
        [POLICY_HALVE] = "halve",         [POLICY_AHEAD] = "ahead",
        [POLICY_DEAD] = "dead",           [POLICY_HOLD_AUTH] = "credentials are refused, holding everything",
        [POLICY_HOLD_URL] = "the URL seems wrong, holding everything",
    };
    return NAMES[verdict];
}
