/* SPDX-License-Identifier: Apache-2.0 */
/* report: what the scrape tester says about one target.

     report_lint.c   promtool's findings
     report_facts.c  what follows from what was seen: the verdict, limits, the type to set
     report_text.c   lines for people
     report_json.c   for programs; its schema is what `obsagent help scrape-json` prints
     report_schema.c that schema
     report_junit.c  for CI */
#ifndef OBSAGENT_COMMAND_REPORT_H
#define OBSAGENT_COMMAND_REPORT_H

#include "analysis.h"
#include "rehearsal.h"
#include "scrape_load.h"

#define REPORT_SCHEMA_VERSION 1

struct report {
    const char *name; /* URL, file name or "-" */
    const struct scrape_subject *subject;
    const struct probe_result *probe;
    const struct survey_counts *counts;
    const struct rehearsal_result *rehearsal;
    const struct analyses *analyses;
    rule_set lint_rules;            /* which of promtool's are looked at */
    bool lint;                      /* they were asked for: findings count */
    const struct load_result *load; /* NULL without --repeat */
    int64_t timeout_ms, interval_ms;
    enum scrape_exit exit; /* of this target */
};

/* ---- facts ---- */

enum report_unit { REPORT_SECONDS, REPORT_BYTES, REPORT_COUNT };

struct report_limit {
    const char *name; /* of the setting */
    enum report_unit unit;
    double used, limit; /* limit 0 = none */
    bool exceeded;
    bool soft; /* beyond it series are left out, the scrape goes on */
};
#define REPORT_LIMITS_MAX 8
size_t report_limits(const struct report *r, struct report_limit out[REPORT_LIMITS_MAX]);
/* Why the agent would take nothing of this scrape; false when it would. There may be errors though it would: a quoted
   string that has no end in its line can go on in the next. */
bool report_failure(const struct report *r, struct err *why);
/* The code of this target alone: what the facts and the analyses say, and lint findings when they are asked for. */
enum scrape_exit report_exit(const struct report *r, size_t lint_findings);
/* In which protocol the body was read, as scrape_protocols names it. */
const char *report_protocol(const struct report *r);
/* What to set as fallback_scrape_protocol, or NULL when there is no need, or no hope. */
const char *report_fallback(const struct report *r);
/* "good", "fallback", "refused", or NULL when there was no answer with a type. */
const char *report_type_verdict(const struct report *r);
/* Families that have samples. */
uint64_t report_families(const struct survey_counts *c);

/* ---- forms ---- */

void report_text(const struct report *r, const struct paint *paint, struct buf *out);
/* One JSON object and a newline. */
void report_json(const struct report *r, struct buf *out);
/* The JSON Schema of that. */
void report_schema(struct buf *out);
/* A <testsuite>; the caller writes what stands around it. */
void report_junit(const struct report *r, struct buf *out);

/* ---- lint ---- */

/* Promtool's findings by report.lint_rules, one line each, sorted as it sorts them. Returns how many. */
size_t report_lint(const struct report *r, struct buf *out);
/* The same as a JSON field without comma. */
void report_json_lint(const struct report *r, struct buf *out);

#endif
