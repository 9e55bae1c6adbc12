/* SPDX-License-Identifier: Apache-2.0 */
/* api: answers in the shapes of Prometheus's HTTP API (web/api/v1), as far as an agent has something to
   say. */
#ifndef OBSAGENT_WEB_API_H
#define OBSAGENT_WEB_API_H

#include "view.h"

/* The error envelope. */
void api_error(struct buf *out, const char *type, const char *message);
/* The envelope of data: begin, the data, end. */
void api_begin(struct buf *out);
void api_end(struct buf *out);
/* Labels as an object. */
void api_labels(struct buf *out, const struct label *v, size_t n);

/* /api/v1/targets. `state` is "active", "dropped", "any" or "" (any); `pool` "" for all. Needs
   VIEW_TARGETS. */
void api_targets(struct buf *out, const struct web_view *view, const char *state, const char *pool);
/* /api/v1/scrape_pools. Needs VIEW_JOBS. */
void api_scrape_pools(struct buf *out, const struct web_view *view);
/* /api/v1/status/discovery: {"sources":[{"job":"","kind":"","number":0,"where":"","looked":true,"error":"",
   "failures":0,"targets":0,"lastChange":"<RFC 3339>"}]}. Needs VIEW_SOURCES. */
void api_discovery(struct buf *out, const struct web_view *view);
void api_config(struct buf *out, const struct web_view *view);
/* /api/v1/status/flags, from an object of names and values as text; NULL = none. */
void api_flags(struct buf *out, const char *flags_json);
void api_buildinfo(struct buf *out, const struct web_view *view);
/* Needs VIEW_PROCESS. */
void api_runtimeinfo(struct buf *out, const struct web_view *view);

/* /api/v1/targets/metadata and /api/v1/metadata. The strings are parameters as given, "" for those that are not. */
struct api_metadata_query {
    const char *match_target; /* a selector; of the first only */
    const char *metric;
    int64_t limit;            /* of entries after which no further target is listed, or of metrics; < 0 = none */
    int64_t limit_per_metric; /* of the second only; < 1 = none */
};
struct api_metadata;
/* Reads the limits. False with a reason. */
bool api_metadata_limits(struct api_metadata_query *query, const char *limit, const char *per_metric,
                         struct err *err) MUSTCHECK;
/* NULL with err when match_target is no selector. Then begin, one of the two callbacks for each piece of metadata (of
   one target after the other; ctx is the api_metadata), end. `complete` false adds a warning. */
struct api_metadata *api_metadata_new(const struct api_metadata_query *query, struct buf *out,
                                      struct err *err) MUSTCHECK;
void api_metadata_begin(struct api_metadata *m, bool by_metric_name);
void api_metadata_by_target(void *ctx, const struct scrape_metadata *meta);
void api_metadata_by_metric(void *ctx, const struct scrape_metadata *meta);
void api_metadata_end(struct api_metadata *m, bool by_metric_name, bool complete);
void api_metadata_free(struct api_metadata *m);

/* /api/v1/targets/relabel_steps: the job `pool`, and labels as a JSON object. False with a reason, and nothing written,
   when they are not that. */
bool api_relabel_steps(struct buf *out, const struct web_view *view, const char *pool, const char *labels,
                       struct err *err) MUSTCHECK;

#endif
