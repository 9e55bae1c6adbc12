/* SPDX-License-Identifier: Apache-2.0 */
/* api: answers in the shapes of Prometheus's HTTP API (web/api/v1), as far as an agent has something to
   say. */
#ifndef OBSAGENT_WEB_API_H
#define OBSAGENT_WEB_API_H

#include "view.h"

/* The error envelope. */
void api_error(struct buf *out, const char *type, const char *message);

/* /api/v1/targets. `state` is "active", "dropped", "any" or "" (any); `pool` "" for all. Needs
   VIEW_TARGETS. */
void api_targets(struct buf *out, const struct web_view *view, const char *state, const char *pool);
/* /api/v1/scrape_pools. Needs VIEW_JOBS. */
void api_scrape_pools(struct buf *out, const struct web_view *view);
void api_config(struct buf *out, const struct web_view *view);
void api_buildinfo(struct buf *out, const struct web_view *view);
/* Needs VIEW_PROCESS. */
void api_runtimeinfo(struct buf *out, const struct web_view *view);

#endif
