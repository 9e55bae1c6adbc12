/* SPDX-License-Identifier: Apache-2.0 */
/* failure_log: a line of JSON for each failed scrape, in the file that scrape_failure_log_file names; members as
   Prometheus writes them (util/logging/file.go). */
#ifndef OBSAGENT_SCRAPE_FAILURE_LOG_H
#define OBSAGENT_SCRAPE_FAILURE_LOG_H

#include "target.h"

/* Appends a line. The file is opened anew for each, so that it may be rotated at any time; a file that cannot be
   written is told to the log, not too often. */
void failure_log_write(const char *path, const struct target *t, int64_t wall_ms, const char *why);

#endif
