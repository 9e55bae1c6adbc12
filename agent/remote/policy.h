/* SPDX-License-Identifier: Apache-2.0 */
/* policy: what a receiver's answer means, as pure functions. Nothing here knows of requests, threads or
   clocks; the text of an answer is never looked at. */
#ifndef OBSAGENT_REMOTE_POLICY_H
#define OBSAGENT_REMOTE_POLICY_H

#include "base/str.h"

#include <stdint.h>

#define POLICY_RETRY_AFTER_MAX_MS (5 * 60 * 1000)
/* So many 5xx in a row make a request suspect of being the cause. */
#define POLICY_SUSPECT_AFTER 8u
/* So many 5xx of a single series are looked at by comparing it with the next one; and so often it must fail
   between successes of others before it is set aside: the moment at which an outage ends looks the same once,
   but not thrice. */
#define POLICY_SINGLE_AFTER 3u
#define POLICY_DEAD_AFTER 3u
#define POLICY_DEAD_AFTER_UNAVAILABLE 12u /* for 502, 503 and 504 */
/* So many failures in a row make the next request use a new connection, and so a new name look-up. */
#define POLICY_FRESH_AFTER 3u

struct policy_settings {
    int64_t min_backoff_ms, max_backoff_ms;
    bool on_reject_drop;
};

struct policy_answer {
    long status;            /* 0 = none arrived */
    bool reused_dead;       /* the connection had served before and died */
    int64_t retry_after_ms; /* -1 = not said */
};

/* What happened before, seen from the request that was answered. */
struct policy_history {
    unsigned failures;      /* of this lane in a row, this one not included */
    unsigned refused_5xx;   /* times in a row that this range got a 5xx, this one not included */
    uint32_t series;        /* in the request */
    bool retried_dead;      /* the free retry has been used since the last answer */
    bool suspect;           /* the range is a part of one that kept failing with 5xx */
    unsigned beside; /* of those, this one included: times that others had passed since the time before */
    bool others_pass;       /* another request was accepted since this range first failed */
    bool block_passed;      /* a part of this block was accepted since the block first got a 5xx */
    bool known_poison;      /* this endpoint has set series aside not long ago */
    bool has_next;          /* more of the block comes after this range */
};

enum policy_verdict {
    POLICY_DONE,      /* accepted */
    POLICY_RETRY,     /* the same again after delay_ms */
    POLICY_RETRY_NOW, /* at once on a fresh connection; not a failure */
    POLICY_BISECT,    /* refused for what is in it: two halves, at once */
    POLICY_REJECTED,  /* the request is lost: a single refused series, or on_reject: drop */
    POLICY_SPLIT,     /* too large: two halves, at once */
    POLICY_TOO_LARGE, /* one series alone is too large: lost */
    POLICY_PROBE,     /* suspect: send its first series alone after delay_ms */
    POLICY_HALVE,     /* suspect, and the receiver works: two halves after delay_ms */
    POLICY_AHEAD,     /* a single suspect series: see whether the one behind it passes, after delay_ms */
    POLICY_DEAD,      /* a single series that fails while others pass: set aside */
    POLICY_HOLD_AUTH, /* nothing is sent but a try after delay_ms; credentials are read again */
    POLICY_HOLD_URL   /* the same, the URL is wrong */
};

struct policy_decision {
    enum policy_verdict verdict;
    int64_t delay_ms;
    bool fresh_connection;   /* for the next request */
    bool whole_endpoint;     /* the delay is for all lanes: the receiver asked for it */
};

/* `random` is any 64 random bits, for the jitter. */
struct policy_decision policy_decide(const struct policy_settings *settings,
                                     const struct policy_answer *answer, const struct policy_history *history,
                                     uint64_t random);

/* The delay after the n-th failure in a row (from 1): drawn between min and min * 2^n, at most max. */
int64_t policy_backoff(const struct policy_settings *settings, unsigned n, uint64_t random);

/* The value of a Retry-After header, seconds or HTTP-date (three forms of RFC 9110), as a delay in 0 ..
   POLICY_RETRY_AFTER_MAX_MS; -1 when it is neither. */
/* An HTTP date in any of its three forms, in seconds since 1970; -1 for anything else. Source: RFC 9110, 5.6.7. */
int64_t policy_http_date(struct str value);
int64_t policy_retry_after(struct str value, int64_t now_wall_ms);

const char *policy_verdict_name(enum policy_verdict verdict);

#endif
