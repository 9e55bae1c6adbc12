/* SPDX-License-Identifier: Apache-2.0 */
/* explain: `scrape --explain`: what the rules of a configuration do to a target and to its series, and what each
   endpoint will really be sent of them. */
#ifndef OBSAGENT_COMMAND_EXPLAIN_H
#define OBSAGENT_COMMAND_EXPLAIN_H

#include "analysis.h"
#include "relabel.h"

/* An analysis_maker. With --explain=SERIES every rule is told for the series that the selector SERIES fits when they
   have the target's labels; without, the rules that changed something are told for each series. The text of the report
   ends in how many series each rule changed and dropped. */
bool explain_make(const struct scrape_flags *flags, const struct scrape_subject *subject, struct analysis *out);
/* False: SERIES is no selector, which has been said on stderr. */
bool explain_check(const char *series) MUSTCHECK;

/* ---- explain_target.c ---- */

/* What relabel_configs do to the labels that discovery found, and what comes of it. */
void explain_target_text(const struct config_job *job, const struct target *t, struct buf *out);
void explain_target_json(const struct config_job *job, const struct target *t, struct buf *out);

/* ---- explain_rules.c ---- */

/* How many series each rule of a list changed and dropped. */
struct explain_tally {
    const struct relabel_rules *rules;
    uint64_t *changed, *dropped; /* by index */
};

void explain_tally_init(struct explain_tally *t, const struct relabel_rules *rules);
void explain_tally_free(struct explain_tally *t);
void explain_tally_clear(struct explain_tally *t);
void explain_tally_add(struct explain_tally *t, size_t index, bool changed, bool kept);
/* A line for each rule; `list` is the name of the field they stand in. */
void explain_tally_text(const struct explain_tally *t, const char *list, struct buf *out);
/* An object for each, with a comma behind it; `endpoint` may be NULL. */
void explain_tally_json(const struct explain_tally *t, const char *list, const char *endpoint, struct buf *out);

#endif
