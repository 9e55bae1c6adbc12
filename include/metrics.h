/* SPDX-License-Identifier: Apache-2.0 */
/* metrics: the agent's own metrics, all names and help texts in one table. */
#ifndef OBSAGENT_METRICS_H
#define OBSAGENT_METRICS_H

#include "base/buf.h"
#include "base/str.h"

#include <stdint.h>

/* X(ID, kind, "name", "help"). Order here is the order on the page. */
#define METRICS_TABLE(X) \
    X(BUILD_INFO, GAUGE, "obsagent_build_info", "Version of this agent; always 1.") \
    X(START_TIME, GAUGE, "obsagent_start_time_seconds", "When this agent started, Unix time.") \
    X(CONFIG_RELOAD_OK, GAUGE, "obsagent_config_last_reload_successful", \
      "1 when the last attempt to load the configuration succeeded.") \
    X(CONFIG_RELOAD_TIME, GAUGE, "obsagent_config_last_reload_success_timestamp_seconds", \
      "When a configuration was last loaded successfully, Unix time.") \
    X(CONFIG_RELOADS, COUNTER, "obsagent_config_reloads_total", "Attempts to reload, by result.") \
    X(CONFIG_HASH, GAUGE, "obsagent_config_hash_info", "Hash of the loaded configuration files; always 1.") \
    X(LOG_LINES, COUNTER, "obsagent_log_messages_total", "Log messages by level, throttled ones included.") \
    X(TARGETS, GAUGE, "obsagent_targets", \
      "Targets by state: up, down, unknown, dropped (by relabel_configs), other_shard (another agent's).") \
    X(JOB_TARGETS, GAUGE, "obsagent_job_targets", "Targets by job and state.") \
    X(DISCOVERY_UP, GAUGE, "obsagent_discovery_up", \
      "1 when the last look of a source of targets was good, 0 when it failed and its last targets stay.") \
    X(DISCOVERY_TARGETS, GAUGE, "obsagent_discovery_targets", "Targets that a source knows, before relabeling.") \
    X(DISCOVERY_FAILURES, COUNTER, "obsagent_discovery_failures_total", "Looks of a source that failed.") \
    X(DISCOVERY_CHANGED, GAUGE, "obsagent_discovery_last_change_timestamp_seconds", \
      "When a source last found something else than before, Unix time.") \
    X(SCRAPES, COUNTER, "obsagent_scrapes_total", "Scrapes finished, whatever their result.") \
    X(SCRAPES_FAILED, COUNTER, "obsagent_scrapes_failed_total", "Scrapes that failed, by reason.") \
    X(SCRAPES_SKIPPED, COUNTER, "obsagent_scrapes_skipped_total", \
      "Scheduled scrapes not made because the one before was still running.") \
    X(SCRAPE_SAMPLES, COUNTER, "obsagent_scrape_samples_total", "Samples parsed from targets, before relabeling.") \
    X(SCRAPE_DUPLICATES, COUNTER, "obsagent_scrape_samples_duplicate_total", \
      "Samples dropped because their series stood twice in one scrape.") \
    X(SCRAPE_SERIES_LIMIT, COUNTER, "obsagent_samples_series_limit_total", \
      "Samples dropped because their series was new and a series limit was reached.") \
    X(SERIES_LIMITED, GAUGE, "obsagent_series_limited", \
      "Series that a series limit keeps out now, with the label that has most values among them.") \
    X(SCRAPE_START_DELAY, HISTOGRAM, "obsagent_scrape_start_delay_seconds", \
      "How late scrapes started against their schedule.") \
    X(SCRAPE_EXEMPLARS, COUNTER, "obsagent_scrape_exemplars_total", "Exemplars scraped.") \
    X(SCRAPE_HISTOGRAMS, COUNTER, "obsagent_scrape_histograms_total", \
      "Samples scraped that are native histograms, converted ones among them.") \
    X(SCRAPE_OUT_OF_BOUNDS, COUNTER, "obsagent_scrape_samples_out_of_bounds_total", \
      "Samples dropped because their timestamp lies more than 10 minutes ahead.") \
    X(STALE_MARKERS, COUNTER, "obsagent_stale_markers_total", "Stale markers written.") \
    X(SCRAPE_BODY_BYTES, COUNTER, "obsagent_scrape_body_bytes_total", "Bytes of scraped bodies after decompression.") \
    X(SCRAPE_WIRE_BYTES, COUNTER, "obsagent_scrape_wire_bytes_total", "Bytes of scraped bodies as received.") \
    X(SERIES, GAUGE, "obsagent_series", "Live series of all targets.") \
    X(SERIES_BYTES, GAUGE, "obsagent_series_memory_bytes", "Memory that remembers them.") \
    X(SYMBOLS, GAUGE, "obsagent_symbols", "Interned label strings.") \
    X(SYMBOL_BYTES, GAUGE, "obsagent_symbol_memory_bytes", "Memory of interned label strings.") \
    X(WORKERS, GAUGE, "obsagent_scrape_workers", "Scrape worker threads.") \
    X(SAMPLES_SCRAPED, COUNTER, "obsagent_samples_scraped_total", \
      "Samples handed to the buffer, report series and stale markers included.") \
    X(SAMPLES_RESTORED, COUNTER, "obsagent_samples_restored_total", "Undelivered samples found on disk at start.") \
    X(SAMPLES_ABSENT, COUNTER, "obsagent_samples_absent_total", \
      "Samples scraped while the endpoint was not configured.") \
    X(SAMPLES_DELIVERED, COUNTER, "obsagent_samples_delivered_total", "Samples the receiver has accepted.") \
    X(SAMPLES_FILTERED, COUNTER, "obsagent_samples_filtered_total", "Samples dropped by write_relabel_configs.") \
    X(SAMPLES_ROUTED, COUNTER, "obsagent_samples_routed_total", "Samples that another endpoint of the group gets.") \
    X(SAMPLES_LOST, COUNTER, "obsagent_samples_lost_total", "Samples lost, by reason.") \
    X(SAMPLES_BUFFERED, GAUGE, "obsagent_samples_buffered", "Samples not yet delivered, in RAM or on disk.") \
    X(QUEUE_BLOCKS, GAUGE, "obsagent_queue_blocks", "Blocks not yet delivered.") \
    X(QUEUE_BYTES, GAUGE, "obsagent_queue_bytes", "Bytes of blocks not yet delivered.") \
    X(QUEUE_OLDEST, GAUGE, "obsagent_queue_oldest_age_seconds", "Age of the oldest block not yet delivered.") \
    X(QUEUE_RAM_BYTES, GAUGE, "obsagent_queue_ram_bytes", "Bytes of blocks held in RAM.") \
    X(QUEUE_DISK_BYTES, GAUGE, "obsagent_queue_disk_bytes", "Bytes of segment files.") \
    X(QUEUE_DISK_MAX, GAUGE, "obsagent_queue_disk_max_bytes", "Cap of the segment files.") \
    X(QUEUE_DISK_WRITTEN, COUNTER, "obsagent_queue_disk_written_bytes_total", "Bytes written to the buffer's disk.") \
    X(QUEUE_FSYNCS, COUNTER, "obsagent_queue_fsyncs_total", "Times the buffer was synced to disk.") \
    X(QUEUE_CORRUPT, COUNTER, "obsagent_queue_corrupt_records_total", "Records on disk that could not be read.") \
    X(QUEUE_DISK_OK, GAUGE, "obsagent_queue_disk_ok", "0 while the buffer's disk fails and blocks stay in RAM.") \
    X(REMOTE_REQUESTS, COUNTER, "obsagent_remote_requests_total", "Requests sent, by status class.") \
    X(REMOTE_RETRIES, COUNTER, "obsagent_remote_retries_total", "Requests that were retries.") \
    X(REMOTE_BYTES, COUNTER, "obsagent_remote_bytes_total", "Bytes sent after compression.") \
    X(REMOTE_RAW_BYTES, COUNTER, "obsagent_remote_uncompressed_bytes_total", "Bytes sent before compression.") \
    X(REMOTE_BISECTIONS, COUNTER, "obsagent_remote_bisections_total", \
      "Requests cut in half to find the series the receiver refuses.") \
    X(REMOTE_SPLITS, COUNTER, "obsagent_remote_splits_total", \
      "Requests split because the receiver found them too large.") \
    X(REMOTE_UNWRITTEN, COUNTER, "obsagent_remote_unwritten_samples_total", \
      "Samples of accepted requests that the receiver says it has not written.") \
    X(REMOTE_PROTOCOL, GAUGE, "obsagent_remote_protocol", "The protocol in use: rw1, rw2 or vm; always 1.") \
    X(REMOTE_EXEMPLARS_DROPPED, COUNTER, "obsagent_exemplars_dropped_total", \
      "Exemplars not sent because send_exemplars is off or their sample was not sent.") \
    X(REMOTE_STATE, GAUGE, "obsagent_remote_state", \
      "1 for the present state: idle, ok, retrying, auth_failing, wrong_url.") \
    X(REMOTE_LAST_SUCCESS, GAUGE, "obsagent_remote_last_success_timestamp_seconds", \
      "Last accepted request, Unix time.") \
    X(REMOTE_HIGHEST_TS, GAUGE, "obsagent_remote_highest_timestamp_seconds", "Newest delivered sample, Unix time.") \
    X(REMOTE_SEND_SECONDS, COUNTER, "obsagent_remote_send_seconds_total", "Time spent in requests.") \
    X(CLOCK_PLAUSIBLE, GAUGE, "obsagent_clock_plausible", "0 while the clock is before the build of this program.") \
    X(CLOCK_CORRECTION, GAUGE, "obsagent_clock_correction_seconds", "The agent's clock less the system's.") \
    X(CLOCK_SKEW, GAUGE, "obsagent_clock_skew_seconds", "The receiver's clock less the agent's, by its Date header.") \
    X(CLOCK_STEPS, COUNTER, "obsagent_clock_steps_total", "Times the system's clock was set while this ran.") \
    X(BLOCKS_HELD, GAUGE, "obsagent_blocks_held", "Blocks held back until the clock is right.") \
    X(SAMPLES_HELD, GAUGE, "obsagent_samples_held", "Samples in them.") \
    X(SAMPLES_MOVED, COUNTER, "obsagent_samples_time_corrected_total", \
      "Samples whose timestamps were corrected when the clock was right.") \
    X(HTTP_REQUESTS, COUNTER, "obsagent_http_requests_total", "Requests to this agent, by path and status.") \
    X(PROCESS_CPU, COUNTER, "process_cpu_seconds_total", "User and system CPU time.") \
    X(PROCESS_RSS, GAUGE, "process_resident_memory_bytes", "Resident memory.") \
    X(PROCESS_ANON, GAUGE, "process_resident_memory_anon_bytes", "Anonymous resident memory.") \
    X(PROCESS_VIRT, GAUGE, "process_virtual_memory_bytes", "Virtual memory.") \
    X(PROCESS_FDS, GAUGE, "process_open_fds", "Open file descriptors.") \
    X(PROCESS_MAX_FDS, GAUGE, "process_max_fds", "Limit of open file descriptors.") \
    X(PROCESS_THREADS, GAUGE, "process_num_threads", "Threads.") \
    X(PROCESS_START, GAUGE, "process_start_time_seconds", "Start of the process, Unix time.")

#define METRICS_ENUM(id, kind, name, help) METRIC_##id,
enum metric_id { METRICS_TABLE(METRICS_ENUM) METRICS_COUNT };
#undef METRICS_ENUM

struct metric_out;

/* A collector is called each time the page is asked for, from the web server's thread, and emits what it knows.
   Register before the server starts or from the main thread; a collector stays until metrics_unregister (which waits
   for a running page). */
typedef void metric_collect_fn(void *ctx, struct metric_out *out);
void metrics_register(metric_collect_fn *fn, void *ctx);
void metrics_unregister(metric_collect_fn *fn, void *ctx);

/* One sample; then label name (const char *) and value (const char *) pairs, ended by NULL. Values are escaped. Samples
   of one metric may come from several collectors; the page groups them. */
void metric_emit(struct metric_out *out, enum metric_id id, double value, ...) __attribute__((sentinel));
/* A histogram without labels: counts[i] up to bounds[i] each, not cumulated, and counts[n] above the last. */
void metric_emit_histogram(struct metric_out *out, enum metric_id id, const double *bounds, const uint64_t *counts,
                           size_t n, double sum);

/* The page: text format 0.0.4 with HELP and TYPE. */
void metrics_render(struct buf *out);

#endif
