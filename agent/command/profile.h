/* SPDX-License-Identifier: Apache-2.0 */
/* profile: what receivers are known to refuse, change or leave out, mostly without a word, and which series of an
   exposition that would hit. */
#ifndef OBSAGENT_COMMAND_PROFILE_H
#define OBSAGENT_COMMAND_PROFILE_H

#include "config.h"
#include "survey.h"

/* What a rule is about. */
enum profile_check {
    PROFILE_LABELS,       /* more labels than the limit, the metric name among them */
    PROFILE_LABEL_NAME,   /* a longer label name, bytes */
    PROFILE_LABEL_VALUE,  /* a longer label value or metric name, bytes */
    PROFILE_UTF8_NAME,    /* a name outside of [a-zA-Z0-9_:] */
    PROFILE_OLD,          /* an explicit timestamp, further back than the limit, ms */
    PROFILE_FUTURE,       /* the same ahead */
    PROFILE_DUPLICATE,    /* a series that stands twice, at the time of the scrape */
    PROFILE_NATIVE,       /* a native histogram */
    PROFILE_EXEMPLAR,     /* an exemplar */
    PROFILE_EXEMPLAR_LABELS, /* an exemplar whose labels have more characters than the limit */
    PROFILE_HELP,         /* a longer help text, bytes */
    PROFILE_METADATA,     /* TYPE, HELP or UNIT */
    PROFILE_COUNTER_NAME, /* a counter not called _total, _sum, _count or _bucket */
    PROFILE_GAUGE_NAME,   /* a gauge called so */
    PROFILE_NOT_FINITE,   /* NaN or an infinity */
    PROFILE_ANYTHING,     /* every series */
    PROFILE_CHECKS
};

enum profile_effect {
    PROFILE_LOST,    /* the series or sample is dropped without an error */
    PROFILE_REFUSED, /* it is refused; the agent finds it, drops it alone and counts it */
    PROFILE_CHANGED, /* it arrives as something else */
    PROFILE_LEFT_OUT /* an extra is left out, the sample arrives: not a finding */
};
const char *profile_effect_name(enum profile_effect e);

struct profile_rule {
    enum profile_check check;
    enum profile_effect effect;
    int64_t limit;       /* as the check says; 0 where it has none */
    const char *what;    /* happens */
    const char *setting; /* of the receiver, with its default; "" = there is none */
};

struct profile {
    const char *name, *title;
    const struct profile_rule *rules;
    size_t rules_n;
};

/* NULL: no such profile. */
const struct profile *profile_find(const char *name);
/* "victoriametrics|mimir|..." */
const char *profile_names(void);

struct profile_finding {
    const struct profile_rule *rule;
    uint64_t count;  /* of series, samples, exemplars or families, as the rule is about */
    int64_t worst;   /* the largest number found, where the rule has a limit */
    uint64_t line;   /* of the first: of protobuf the number of the metric family */
    char example[200]; /* the first, cut; "" for families without a name */
};

#define PROFILE_RULES_MAX 20

struct profile_result {
    const struct profile *profile;
    char source[512]; /* without secrets, cut */
    uint64_t series, errors;
    enum exposition_format format;
    struct err error; /* it could not be read, or not all of it */
    size_t added_labels; /* counted to each series: job, instance, and external labels */
    struct profile_finding findings[PROFILE_RULES_MAX]; /* in the order of the profile's rules, those found */
    size_t findings_n;
};

/* Watches series go by. `external` are labels that each series gets where it has none of that name, job and instance
   besides; they must stay. Free with profile_watch_free. */
struct profile_watch;
struct profile_watch *profile_watch_new(const struct profile *p, const struct label *external, size_t external_n,
                                        int64_t now_ms);
void profile_watch_free(struct profile_watch *w);
void profile_watcher(struct profile_watch *w, struct survey_watcher *out);
/* Fills profile, added_labels and findings. */
void profile_watch_result(const struct profile_watch *w, struct profile_result *out);

/* Reads a URL, a file or "-" (standard input) and looks at it. */
void profile_read(const struct profile *p, const char *source, const struct label *external, size_t external_n,
                  int64_t timeout_ms, struct profile_result *out);
/* Findings that are more than LEFT_OUT. */
size_t profile_harm(const struct profile_result *r);

#endif
