/* SPDX-License-Identifier: Apache-2.0 */
/* http_groups: the JSON that an HTTP service lists targets in. */
#ifndef OBSAGENT_SCRAPE_DISCOVERY_HTTP_GROUPS_H
#define OBSAGENT_SCRAPE_DISCOVERY_HTTP_GROUPS_H

#include "base/err.h"
#include "source.h"

/* The media type is application/json, with charset utf-8 or none. */
bool http_groups_type(struct str content_type);
/* Adds a set for each target of `[{"targets": [...], "labels": {...}}]`: __address__, the group's labels and `url` as
   __meta_url. False and err when any part of it is wrong; `sets` may have some then. */
bool http_groups_read(struct str body, const char *url, struct discovery_sets *sets, struct err *err) MUSTCHECK;

#endif
