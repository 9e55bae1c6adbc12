/* SPDX-License-Identifier: Apache-2.0 */
/* report: what the scrape tester says about one target. */
#ifndef OBSAGENT_COMMAND_REPORT_H
#define OBSAGENT_COMMAND_REPORT_H

#include "base/buf.h"
#include "probe.h"
#include "survey.h"

struct report {
    const char *name; /* the URL or file */
    const struct probe_result *probe;
    const struct survey_counts *counts;
};

/* For people: one "name: value" a line, errors as "LINE:COLUMN: why" with the line quoted below. */
void report_text(const struct report *r, struct buf *out);
/* One object on one line, lint findings included. */
void report_json(const struct report *r, struct buf *out);
/* "METRIC wording" lines, sorted; returns how many. */
size_t report_lint(const struct report *r, struct buf *out);

#endif
