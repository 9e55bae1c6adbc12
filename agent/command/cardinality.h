/* SPDX-License-Identifier: Apache-2.0 */
/* cardinality: the analysis that says where the series of an exposition come from: which metrics, which labels, which
   label would have to go. */
#ifndef OBSAGENT_COMMAND_CARDINALITY_H
#define OBSAGENT_COMMAND_CARDINALITY_H

#include "analysis.h"

/* For the table of scrape_analyses.c. */
bool cardinality_make(const struct scrape_flags *flags, const struct scrape_subject *subject, struct analysis *out);

#endif
