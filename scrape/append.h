/* SPDX-License-Identifier: Apache-2.0 */
/* append: from exposition bytes to samples in a block. Keeps, for each target, the memory of its series; for
   each worker, the interned symbols and the block under construction. This is the per-sample path. */
#ifndef OBSAGENT_SCRAPE_APPEND_H
#define OBSAGENT_SCRAPE_APPEND_H

#include "block.h"
#include "config.h"
#include "exposition.h"
#include "labels.h"
#include "target.h"

/* One per worker; nothing in it is shared between threads. */
struct append_worker;

struct append_worker_options {
    uint32_t lane;
    size_t block_bytes;     /* seal at this size; 0 = 1 MiB */
    uint32_t block_samples; /* 0 = 10000 */
    /* Takes over one reference of a sealed block. Must not block. */
    void (*emit)(void *ctx, struct block *block);
    void *ctx;
    struct budget *budget; /* shared by the workers of an engine; NULL = an own one */
};

struct append_worker *append_worker_new(const struct append_worker_options *options);
/* All targets must be freed before. Seals and emits what is pending. */
void append_worker_free(struct append_worker *w);
/* Seals and emits the block under construction, if it holds samples. */
void append_flush(struct append_worker *w);
/* Monotonic ms of the oldest sample not yet emitted, or -1. */
int64_t append_pending_since(const struct append_worker *w);

/* What a worker's memory holds (for /metrics). */
struct append_stats {
    uint64_t series;         /* live series of all targets */
    uint64_t series_bytes;   /* their memory, everything counted */
    uint64_t symbols, symbol_bytes;
    uint64_t duplicate_samples; /* dropped: same series twice in one scrape */
    uint64_t out_of_bounds_samples; /* dropped: more than 10 min in the future */
    uint64_t limited_samples; /* dropped: a series limit */
    uint64_t exemplars, histograms; /* put into blocks */
};
void append_worker_stats(const struct append_worker *w, struct append_stats *out);

/* The state of one target: survives reloads as long as the target's key stays the same. */
struct append_target;

/* labels: the target's final labels (without __ names), copied; job: honor_*, metric relabeling and the limits that
   targets cannot change; must outlive the state or be replaced through append_target_update. settings NULL = those
   of the job. */
struct append_target *append_target_new(struct append_worker *w, const struct config_job *job,
                                        const struct labels *labels, const struct target_settings *settings);
/* A new configuration generation with the same hash: only swaps the pointer. */
void append_target_update(struct append_target *t, const struct config_job *job);
/* Other settings that mean the same series. */
void append_target_settings(struct append_target *t, const struct target_settings *settings);
/* Frees without writing markers (shutdown). */
void append_target_free(struct append_target *t);
/* Writes stale markers at ts_ms for every live series and for the report series (target gone), then the
   caller frees. */
void append_target_gone(struct append_target *t, int64_t ts_ms);
uint64_t append_target_series(const struct append_target *t);
/* What the last good scrape said of its families, in its order: those that had a sample. Texts are views into the
   worker's symbols, which stay in place until the worker's next scrape begins, ends or is fed. */
struct append_metadata {
    struct str name, help, unit;
    enum block_metric_type type;
};
typedef void append_metadata_fn(void *ctx, const struct append_metadata *meta);
void append_target_metadata(const struct append_target *t, append_metadata_fn *fn, void *ctx);

/* One scrape: begin, feed any number of times, end. At most one at a time per target; many targets of a
   worker may be in the middle of one. */
struct append_scrape;

/* ts_ms: the timestamp of samples without their own. */
struct append_scrape *append_begin(struct append_target *t, int64_t ts_ms, enum exposition_format format);
/* Body bytes after decompression, cut anywhere. False when the scrape has failed (parse error, a limit, a bad
   metric); err has Prometheus's wording; feeding may stop, append_end must still be called with ok = false.
   sample_limit does not stop the feed: it is reported by append_end. */
bool append_feed(struct append_scrape *s, const void *bytes, size_t n, struct err *err) MUSTCHECK;

struct append_outcome {
    bool ok; /* the transfer itself succeeded; false: connection, status, timeout, feed error */
    double duration_s;      /* for scrape_duration_seconds */
    int64_t body_bytes;     /* decompressed; -1 when body_size_limit was hit */
    double timeout_s;       /* for the extra metrics */
};
struct append_result {
    bool up;
    uint64_t scraped, post_relabel, series_added; /* as in the report series */
    uint64_t samples_stale; /* markers written */
    uint64_t limited;       /* series that a series limit kept out */
    const char *limited_label; /* the one with most values among those; "" = none. Valid until the next scrape */
};
/* Commits everything or nothing; on failure all series seen before get stale markers (once). Then writes the
   report series. Frees s. err explains why up is 0 when the parser or a limit is the reason (untouched
   otherwise). */
void append_end(struct append_scrape *s, const struct append_outcome *outcome, struct append_result *result,
                struct err *err);
/* Drops a scrape without a trace (shutdown, target removed in mid-flight). */
void append_cancel(struct append_scrape *s);

#endif
