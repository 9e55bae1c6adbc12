/* SPDX-License-Identifier: Apache-2.0 */
/* scrape: the engine that keeps targets scraped. Discovery runs in one thread, each worker in its own; sealed blocks
   leave through one callback. It knows nothing of where they go. */
#ifndef OBSAGENT_SCRAPE_H
#define OBSAGENT_SCRAPE_H

#include "block.h"
#include "config.h"
#include "target.h"

struct scrape_options {
    unsigned workers; /* 0: as many as CPUs allowed by affinity and cgroup, but 1 below 64 targets (decided at the first
                         apply, fixed afterwards) */
    const char *user_agent;
    /* Which share of the targets is ours: shard of shards (1 = all), each target being scraped by `replication` of
       them. shard_label NULL = none, else a label with the shard's number on every target. */
    unsigned shards, shard, replication;
    const char *shard_label;
    unsigned max_concurrent; /* fetches of a worker under way, those that hang aside; 0 = 256 */
    /* Takes over a reference of each sealed block, from any worker thread; never blocks. */
    void (*emit)(void *ctx, struct block *block);
    void *ctx;
};

struct scrape_engine;

struct scrape_engine *scrape_engine_new(const struct scrape_options *options);
/* Takes a generation: starts, keeps or stops targets. Returns at once; from one thread only. */
void scrape_engine_apply(struct scrape_engine *e, struct config *config);
/* Stops scraping without stale markers, seals and emits what is pending, joins the threads. Targets of jobs with
   scrape_on_shutdown are scraped once more before that, until deadline_ms (monotonic). */
void scrape_engine_stop(struct scrape_engine *e, int64_t deadline_ms);
void scrape_engine_free(struct scrape_engine *e);
/* How soon blocks must be sealed: 1000 ms normally, less when the buffer is on disk so that a crash costs little. From
   any thread. */
void scrape_engine_set_flush_interval(struct scrape_engine *e, int64_t ms);

/* False with a reason while a job's first discovery has not finished. From any thread. */
bool scrape_engine_ready(const struct scrape_engine *e, struct err *reason);

enum scrape_health { SCRAPE_UNKNOWN, SCRAPE_UP, SCRAPE_DOWN };

/* A copy of one target's state, for pages and the API. */
struct scrape_status {
    const struct target *target; /* valid during the callback */
    enum scrape_health health;
    char last_error[256];
    int64_t last_scrape_wall_ms; /* 0 = never */
    double last_duration_s;
    uint64_t last_samples, last_post_relabel, last_body_bytes;
    uint64_t series;
    int64_t next_scrape_in_ms;
    uint64_t series_limited;  /* series of the last scrape that a series limit kept out */
    char limited_label[64];   /* the label with most values among them; "" = none */
};
/* Calls fn for every active target and then for dropped ones (at most keep_dropped_targets of them a job), sorted by
   job and URL. From any thread; workers are held up only while one status is copied. */
void scrape_engine_each(const struct scrape_engine *e, void (*fn)(void *ctx, const struct scrape_status *status),
                        void *ctx);

/* How many targets of a job are dropped, exactly, whatever is kept of them; jobs in no order. From any thread. */
struct scrape_dropped {
    struct str job; /* valid during the callback */
    uint64_t by_rule, other_shard;
};
void scrape_engine_dropped(const struct scrape_engine *e, void (*fn)(void *ctx, const struct scrape_dropped *dropped),
                           void *ctx);
/* How sources that ask over the network are doing, by job; at most a second old. See discovery.h. From any thread. */
struct discovery_source_status;
void scrape_engine_sources(const struct scrape_engine *e,
                           void (*fn)(void *ctx, const struct discovery_source_status *status), void *ctx);
/* Which share of the targets is this engine's. */
struct scrape_sharding {
    unsigned shards, shard, replication;
};
struct scrape_sharding scrape_engine_sharding(const struct scrape_engine *e);

/* Upper bounds of the start delays, ms. */
#define SCRAPE_DELAYS 10
extern const unsigned scrape_delay_bounds_ms[SCRAPE_DELAYS]; /* 1 5 10 25 50 100 250 1000 5000 15000 */

/* The metadata that targets expose, from their last good scrape. Asks the workers and waits for them, at most
   a second; false when one did not answer in time (what came is told). From any thread but a worker's. */
struct scrape_metadata {
    const struct target *target;
    struct str metric, help, unit;
    enum block_metric_type type;
};
bool scrape_engine_metadata(const struct scrape_engine *e,
                            void (*fn)(void *ctx, const struct scrape_metadata *meta), void *ctx);

/* Totals since start, for /metrics and the summary line. */
struct scrape_totals {
    uint64_t targets_up, targets_down, targets_unknown, targets_dropped;
    uint64_t targets_other_shard; /* of the dropped ones */
    uint64_t scrapes, scrapes_failed, scrapes_timeout, scrapes_skipped; /* skipped: a late tick was dropped */
    uint64_t scrapes_sample_limit, scrapes_body_size_limit, scrapes_label_limit, scrapes_target_limit;
    uint64_t scrapes_bucket_limit;
    uint64_t samples_series_limit; /* dropped by a series limit */
    uint64_t exemplars, histograms;
    /* How late scrapes started: at most this many ms, the last one everything above; not cumulated. */
    uint64_t start_delay[SCRAPE_DELAYS + 1];
    uint64_t start_delay_sum_us;
    uint64_t samples_scraped, samples_post_relabel, stale_markers, duplicate_samples, out_of_bounds_samples;
    uint64_t body_bytes, wire_bytes;
    uint64_t series, series_bytes, symbols, symbol_bytes;
    unsigned workers;
};
void scrape_engine_totals(const struct scrape_engine *e, struct scrape_totals *out);

#endif
