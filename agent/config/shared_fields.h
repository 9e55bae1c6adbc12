/* SPDX-License-Identifier: Apache-2.0 */
/* shared_fields: the fields that a job has and `global` gives the default of. One list makes the rows of both
   sections, the members of both structs having the same names. */
#ifndef OBSAGENT_CONFIG_SHARED_FIELDS_H
#define OBSAGENT_CONFIG_SHARED_FIELDS_H

#define SHARED_FIELDS(T) \
    {"body_size_limit", FIELD_SIZE, .at = offsetof(T, body_size_limit), \
     .help = "of the body after decompression, with a unit"}, \
    {"sample_limit", FIELD_COUNT, .at = offsetof(T, sample_limit), \
     .help = "samples after metric relabeling; more fail the scrape"}, \
    {"label_limit", FIELD_COUNT, .at = offsetof(T, label_limit), \
     .help = "labels of a sample; more fail the scrape"}, \
    {"label_name_length_limit", FIELD_COUNT, .at = offsetof(T, label_name_length_limit), \
     .help = "bytes of a label's name; longer ones fail the scrape"}, \
    {"label_value_length_limit", FIELD_COUNT, .at = offsetof(T, label_value_length_limit), \
     .help = "bytes of a label's value; longer ones fail the scrape"}, \
    {"target_limit", FIELD_COUNT, .at = offsetof(T, target_limit), \
     .help = "targets of a job after relabeling; more fail all its scrapes"}, \
    {"keep_dropped_targets", FIELD_COUNT, .at = offsetof(T, keep_dropped_targets), .discovery = true, \
     .help = "how many dropped targets of a job are remembered for pages; 0: 1000"}, \
    {"series_limit", FIELD_COUNT, .at = offsetof(T, series_limit), \
     .help = "series of a target: known ones stay, new ones beyond it are dropped; 0 in a job: none (vmagent)"}, \
    {"job_series_limit", FIELD_COUNT, .at = offsetof(T, job_series_limit), \
     .help = "the same of all targets of a job together; 0 in a job: none (obsagent)"}, \
    {"native_histogram_bucket_limit", FIELD_COUNT, .at = offsetof(T, native_histogram_bucket_limit), \
     .help = "buckets of a native histogram: resolution is reduced; where that does not help the scrape fails"}, \
    {"native_histogram_min_bucket_factor", FIELD_NUMBER, .at = offsetof(T, native_histogram_min_bucket_factor), \
     .help = "resolution is reduced until buckets grow at least by this factor"}, \
    {"scrape_native_histograms", FIELD_BOOL, .at = offsetof(T, scrape_native_histograms), .standard = "false", \
     .help = "ask for protobuf first and read native histograms"}, \
    {"always_scrape_classic_histograms", FIELD_BOOL, .at = offsetof(T, always_scrape_classic_histograms), \
     .standard = "false", .help = "the classic series of a native histogram as well"}, \
    {"scrape_classic_histograms", FIELD_BOOL, FIELD_ALIAS, .at = offsetof(T, always_scrape_classic_histograms), \
     .help = "the older name of always_scrape_classic_histograms"}, \
    {"convert_classic_histograms_to_nhcb", FIELD_BOOL, .at = offsetof(T, convert_classic_histograms_to_nhcb), \
     .standard = "false", .help = "make classic histograms native ones with custom buckets"}, \
    {"extra_scrape_metrics", FIELD_BOOL, .at = offsetof(T, extra_scrape_metrics), .standard = "false", \
     .help = "also scrape_timeout_seconds, scrape_sample_limit, scrape_body_size_bytes"}, \
    {"normalize_le_quantile", FIELD_BOOL, .at = offsetof(T, normalize_le_quantile), .standard = "false", \
     .help = "write le and quantile as Prometheus 3 does: 1 becomes 1.0 (obsagent)"}, \
    {"metric_name_validation_scheme", FIELD_FLAG, .at = offsetof(T, legacy_names), .words = "utf8|legacy", \
     .help = "which names are accepted; utf8 unless given"}, \
    {"metric_name_escaping_scheme", FIELD_ENUM, .at = offsetof(T, name_escaping), \
     .words = "allow-utf-8|underscores|dots|values", \
     .help = "how targets are asked to write names; allow-utf-8, or underscores with legacy names, unless given"}, \
    {"scrape_protocols", FIELD_OWN, .at = offsetof(T, scrape_protocols), .load = load_scrape_protocols, \
     .show = dump_scrape_protocols, \
     .help = "formats to ask for, best first; unless given OpenMetricsText1.0.0, OpenMetricsText0.0.1, " \
             "PrometheusText1.0.0, PrometheusText0.0.4, with PrometheusProto first for scrape_native_histograms"}, \
    {"scrape_failure_log_file", FIELD_PATH, .at = offsetof(T, scrape_failure_log_file), \
     .help = "a file that gets a line of JSON for each failed scrape"}

/* The words of scrape_protocols, in the order of enum config_scrape_protocol. */
#define SHARED_PROTOCOLS \
    "OpenMetricsText1.0.0|OpenMetricsText0.0.1|PrometheusText1.0.0|PrometheusText0.0.4|PrometheusProto"

#endif
