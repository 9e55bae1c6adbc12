/* SPDX-License-Identifier: Apache-2.0 */
/* find: the analysis that looks for what costs people days: every rule of finding.h.

     find.c             the analysis: its checks, and its part of the report
     find_duplicates.c  series that stand twice
     find_order.c       the order of lines: metadata and families
     find_buckets.c     parts of histograms and summaries that do not fit together
     find_values.c      numbers
     find_names.c       names of metrics and labels
     find_times.c       timestamps and clocks
     find_rounds.c      what two scrapes show
     finding.c          the rules, and what was found */
#ifndef OBSAGENT_COMMAND_FIND_H
#define OBSAGENT_COMMAND_FIND_H

#include "analysis.h"
#include "finding.h"

/* For the table of scrape_analyses.c. */
bool find_make(const struct scrape_flags *flags, const struct scrape_subject *subject, struct analysis *out);

/* One of its checks. ctx of the watcher is given to done and free as well; callbacks may be NULL. */
struct find_check {
    struct survey_watcher watcher;
    void (*done)(void *ctx, const struct scrape_done *done);
    void (*free)(void *ctx);
};

/* What a check is told when it is made; both outlive it. */
struct find_for {
    struct findings *findings;
    const struct scrape_subject *subject;
    bool twice; /* there will be two rounds */
};

/* A sample that may only grow: of a counter, a bucket, a count. */
bool find_is_counting(const struct survey_sample *s);


struct find_check find_duplicates(const struct find_for *to);
struct find_check find_order(const struct find_for *to);
struct find_check find_buckets(const struct find_for *to);
struct find_check find_values(const struct find_for *to);
struct find_check find_names(const struct find_for *to);
struct find_check find_times(const struct find_for *to);
struct find_check find_rounds(const struct find_for *to);

#endif
