/* SPDX-License-Identifier: Apache-2.0 */
/* collect: the collectors of what scraping, buffering and sending have counted. */
#ifndef OBSAGENT_WEB_COLLECT_H
#define OBSAGENT_WEB_COLLECT_H

#include "view.h"

/* A collector; ctx is the const struct web_sources *. */
void collect_sources(void *ctx, struct metric_out *out);
/* The same from a view with VIEW_JOBS, VIEW_REMOTES and VIEW_BOOKS. */
void collect_view(const struct web_view *view, struct metric_out *out);

#endif
