/* SPDX-License-Identifier: Apache-2.0 */
/* target_url: the URL that a target's labels and its job's parameters make. */
#ifndef OBSAGENT_SCRAPE_TARGET_URL_H
#define OBSAGENT_SCRAPE_TARGET_URL_H

#include "config.h"
#include "labels.h"

#define TARGET_URL_MAX 65536

/* Appends scheme://address/path?parameters, escaped as Go's net/url does; parameters sorted by name,
   __param_x taking the place of the first value of x. A path that has a '?' already keeps it and its query
   goes first (vmagent; Prometheus would escape it). */
void target_url(const struct config_job *job, const struct labels *l, struct buf *out);

#endif
