/* SPDX-License-Identifier: Apache-2.0 */
/* report: what the scrape tester says about one target. */
#ifndef OBSAGENT_COMMAND_REPORT_H
#define OBSAGENT_COMMAND_REPORT_H

#include "analysis.h"

struct report {
    const char *name; /* URL, file name or "-" */
    const struct probe_result *probe;
    const struct survey_counts *counts;
    const struct analyses *analyses;
};

/* Lines for people. */
void report_text(const struct report *r, const struct paint *paint, struct buf *out);
/* One JSON object and a newline. */
void report_json(const struct report *r, struct buf *out);
/* Promtool's findings, one line each, sorted as it sorts them. Returns how many. */
size_t report_lint(const struct report *r, struct buf *out);

#endif
