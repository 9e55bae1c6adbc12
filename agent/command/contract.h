/* SPDX-License-Identifier: Apache-2.0 */
/* contract: the analysis that compares families, types and names of labels: with a saved scrape (--expect), for CI of
   exporters, and between two scrapes (--twice); and that saves them (--save). */
#ifndef OBSAGENT_COMMAND_CONTRACT_H
#define OBSAGENT_COMMAND_CONTRACT_H

#include "analysis.h"

/* For the table of scrape_analyses.c. */
bool contract_make(const struct scrape_flags *flags, const struct scrape_subject *subject, struct analysis *out);

#endif
