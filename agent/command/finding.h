/* SPDX-License-Identifier: Apache-2.0 */
/* finding: what is wrong with an exposition though each of its lines can be read: the rules, and what was found by
   them. */
#ifndef OBSAGENT_COMMAND_FINDING_H
#define OBSAGENT_COMMAND_FINDING_H

#include "base/buf.h"
#include "paint.h"
#include "rule_set.h"

#include <stdint.h>

enum finding_rule {
    FINDING_DUPLICATE_SERIES,
    FINDING_METADATA_AFTER_SAMPLES,
    FINDING_METADATA_TWICE,
    FINDING_SPLIT_FAMILY,
    FINDING_BUCKET_BOUND,
    FINDING_BUCKET_TWICE,
    FINDING_BUCKETS_FALL,
    FINDING_BUCKETS_UNORDERED,
    FINDING_NO_INF_BUCKET,
    FINDING_INF_IS_NOT_COUNT,
    FINDING_NO_BUCKETS,
    FINDING_NO_SUM,
    FINDING_NO_COUNT,
    FINDING_BARE_HISTOGRAM,
    FINDING_QUANTILE,
    FINDING_COUNTER_VALUE,
    FINDING_PRECISION,
    FINDING_QUOTED_NAME,
    FINDING_LABEL_CLASH,
    FINDING_TIMESTAMP,
    FINDING_TIMESTAMP_STALE,
    FINDING_TIMESTAMP_FUTURE,
    FINDING_CLOCK_SKEW,
    FINDING_COUNTER_FELL,
    FINDING_RESTART,
    FINDING_CHURN,
    FINDING_RULES
};

/* Which rules: "all", "none" or names with commas between. */
bool finding_rules_parse(struct str text, rule_set *out, struct err *err) MUSTCHECK;
/* Each rule in a line: its name, whether it is a problem or a hint, and why. */
void finding_list_rules(struct buf *out);

/* Where it is. */
struct finding_at {
    uint64_t line;       /* 0 = of no line */
    uint64_t other_line; /* 0 = none: what it disagrees with */
    struct str subject;  /* a series, a name; cut when long, may be empty */
};

struct findings;

/* Keeps the first `keep` of each rule, counts the rest; ignores those of a set. */
struct findings *findings_new(size_t keep, rule_set ignored);
void findings_free(struct findings *f);
/* Forgets everything: another body comes. */
void findings_clear(struct findings *f);
/* What stands for a line: "line", or "family" of protobuf. Not copied. */
void findings_name_lines(struct findings *f, const char *word);
void findings_add(struct findings *f, enum finding_rule rule, const struct finding_at *at, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Forgets what was found by one rule. */
void findings_drop(struct findings *f, enum finding_rule rule);
/* Something could not be looked at, because of a bound. Said once for each text. */
void findings_cut(struct findings *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Problems (they make the exit code 3), or hints (they do not), over all rules. */
uint64_t findings_sum(const struct findings *f, bool problems);

/* Lines with a heading; nothing when there is nothing to say. */
void findings_text(const struct findings *f, const struct paint *paint, struct buf *out);
/* "findings":{...}, with the comma. */
void findings_json(const struct findings *f, struct buf *out);
/* A case for each rule of problems that is not ignored. */
void findings_junit(const struct findings *f, void (*add)(void *to, const char *name, const char *failure), void *to);

#endif
