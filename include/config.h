/* SPDX-License-Identifier: Apache-2.0 */
/* config: one generation of configuration: immutable, reference-counted, swapped in whole. */
#ifndef OBSAGENT_CONFIG_H
#define OBSAGENT_CONFIG_H

#include "base/buf.h"
#include "config_sd.h"
#include "http.h"
#include "labels.h"
#include "relabel.h"

#include <stdint.h>

struct config_param {
    char *name;
    char **values;
    size_t values_n;
};

/* One entry of static_configs, or one group of a file_sd file. */
struct config_group {
    char **targets;
    size_t targets_n;
    struct label *labels; /* NUL-terminated copies */
    size_t labels_n;
};

struct config_file_sd {
    char **files; /* patterns, made absolute */
    size_t files_n;
    int64_t refresh_interval_ms;
};

enum config_scrape_protocol { /* with the names of scrape_protocols */
    CONFIG_OPENMETRICS_1_0_0, CONFIG_OPENMETRICS_0_0_1, CONFIG_TEXT_1_0_0, CONFIG_TEXT_0_0_4, CONFIG_PROTO,
    CONFIG_SCRAPE_PROTOCOLS
};

struct config_protocols {
    enum config_scrape_protocol v[CONFIG_SCRAPE_PROTOCOLS]; /* in order of preference, never empty */
    size_t n;
};

enum config_name_escaping { CONFIG_ALLOW_UTF8, CONFIG_UNDERSCORES, CONFIG_DOTS, CONFIG_VALUES };

/* One scrape_config. Defaults from `global` are already filled in. Limits: 0 = none. */
struct config_job {
    char *job_name;
    int64_t scrape_interval_ms;
    int64_t scrape_timeout_ms;
    char *metrics_path;
    char *scheme;
    struct config_param *params;
    size_t params_n;
    bool honor_labels;
    bool honor_timestamps;
    bool enable_compression;
    bool extra_scrape_metrics;
    bool no_stale_markers;
    uint64_t body_size_limit; /* bytes after decompression */
    uint64_t sample_limit;
    uint64_t label_limit;
    uint64_t label_name_length_limit;
    uint64_t label_value_length_limit;
    uint64_t target_limit;         /* more targets after relabeling: every scrape of the job fails */
    uint64_t keep_dropped_targets; /* how many are remembered for pages; 0 = 1000 */
    uint64_t series_limit;         /* soft, of one target: known series stay, new ones are dropped */
    uint64_t job_series_limit;     /* the same of all targets of the job together */
    uint64_t native_histogram_bucket_limit;
    double native_histogram_min_bucket_factor;
    bool scrape_native_histograms, always_scrape_classic_histograms, convert_classic_histograms_to_nhcb;
    bool track_timestamps_staleness;
    bool normalize_le_quantile; /* le and quantile as Prometheus 3 writes them: "1" becomes "1.0" */
    bool legacy_names;          /* metric_name_validation_scheme: legacy */
    enum config_name_escaping name_escaping;
    struct config_protocols scrape_protocols;
    bool has_fallback_protocol; /* for a blank or unknown Content-Type */
    enum config_scrape_protocol fallback_protocol;
    bool offer_zstd;            /* zstd besides gzip in Accept-Encoding */
    bool disable_keepalive;     /* a connection for each scrape */
    bool scrape_on_shutdown;    /* once more when the agent is told to stop */
    int64_t scrape_align_interval_ms, scrape_offset_ms; /* vmagent's; 0 = none */
    char *scrape_failure_log_file; /* NULL = none */
    struct http_options http;
    struct relabel_rules *relabel;        /* target relabeling; never NULL */
    struct relabel_rules *metric_relabel; /* never NULL */
    struct config_group *static_groups;
    size_t static_groups_n;
    struct config_file_sd *file_sd;
    size_t file_sd_n;
    struct config_sd *sd; /* of all kinds that ask over the network */
    size_t sd_n;
    uint64_t hash; /* over everything that changes how a target is scraped (not discovery): equal hash, keep state */
    uint64_t series_hash; /* over what decides which series a scrape gives: equal, and a reload keeps their memory */
};

/* What an endpoint may be sent; all but the first fall back to 1.0. */
enum config_message { CONFIG_MESSAGE_1, CONFIG_MESSAGE_2 };
enum config_protocol { CONFIG_RW1, CONFIG_RW2, CONFIG_VM, CONFIG_AUTO };

/* How the names of endpoints begin that are given none. */
#define CONFIG_UNNAMED_REMOTE "remote-"

struct config_names {
    char **v;
    size_t n;
};

/* One remote_write endpoint. */
struct config_remote {
    char *name; /* unique; given, or derived from the URL */
    bool name_given;
    char *url;
    struct http_options http;
    struct relabel_rules *write_relabel; /* never NULL */
    enum config_protocol protocol;
    enum config_message message; /* as given; protocol says what it amounts to */
    int64_t remote_timeout_ms;      /* 30 s */
    int64_t min_backoff_ms;         /* 1 s */
    int64_t max_backoff_ms;         /* 60 s */
    uint64_t max_samples_per_send;  /* 10000 */
    uint64_t max_request_bytes;     /* 0 = learned from 413s only; bytes before compression */
    uint64_t max_bytes;             /* buffer of this endpoint; 0 = only the storage's own cap */
    int64_t max_age_ms;             /* 0 = only the storage's own cap */
    bool on_reject_drop;            /* on_reject: drop; else bisect */
    bool drain_fresh_first;         /* drain: fresh_first; else fifo */
    uint64_t rate_limit;            /* bytes a second after compression; 0 = none */
    bool send_metadata;
    bool send_exemplars;            /* false, as in Prometheus */
    bool send_native_histograms;    /* false, as in Prometheus: they are counted as lost then */
    int64_t metadata_interval_ms;   /* 1 min */
    bool routing_shard;             /* routing: shard; else replicate */
    char *group;                    /* "" without routing: shard; its members agree on all that follows */
    uint64_t replicas;              /* 1 .. members of the group */
    struct config_names shard_by, shard_ignore; /* at most one of them has names */
    uint64_t hash;                  /* over all fields: equal hash, leave the endpoint alone on reload */
};

struct config {
    int refs; /* use config_ref / config_unref */
    char *path;
    struct label *external_labels; /* sorted, ${ENV} expanded */
    size_t external_labels_n;
    int64_t scrape_interval_ms, scrape_timeout_ms; /* global */
    uint64_t total_series_limit; /* soft, of all targets together; 0 = none */
    struct config_job *jobs;
    size_t jobs_n;
    struct config_remote *remotes;
    size_t remotes_n;
    char **files; /* every file that was read: the main one and the included ones, for watching */
    size_t files_n;
    uint64_t content_hash; /* of all files' bytes */
    char *yaml; /* the effective configuration with defaults, secrets as <secret> */
};

/* What the command line adds to or changes in a file: vmagent's flags and obsagent's own. All may be NULL/0. */
struct config_extra {
    const char *yaml; /* a further document merged in as if its remote_write entries stood in the main file; made
                         from -remoteWrite.* flags by the command line; messages call it "command line" */
};

/* Loads and validates path with everything it includes. Returns a generation with one reference, or NULL after
   appending to `errors` one line "FILE:LINE:COL: message" for each problem found (all of them), sorted by place.
   Never touches the network. Reads credential files' existence only when check_files is set (a missing one is then
   an error, as in `check`). Limits: 16 MiB a file, 64 levels of nesting. */
struct config *config_load(const char *path, const struct config_extra *extra, bool check_files,
                           struct buf *errors) MUSTCHECK;
/* The same from memory, for embedded defaults and tests; `name` stands for the file in messages. */
struct config *config_load_text(const char *name, struct str yaml, const struct config_extra *extra,
                                bool check_files, struct buf *errors) MUSTCHECK;

/* Thread-safe. */
struct config *config_ref(struct config *c);
void config_unref(struct config *c);

/* True when the files of c hash differently from what was loaded (unreadable counts as unchanged, with a log line). */
bool config_changed_on_disk(const struct config *c);

/* Appends the URL for people: a password and parameters whose names sound secret are crossed out. */
void config_show_url(struct buf *out, const char *url);

/* Relabel rules for `obsagent relabel`: a list, or relabel_configs/metric_relabel_configs at the top level or of the
   job `job`. target_rules picks relabel_configs; without it they are taken where there are no others.
   NULL after appending "FILE:LINE:COL: message" lines to errors. */
struct relabel_rules *config_relabel_rules_from_file(const char *path, const char *job, bool target_rules,
                                                     struct buf *errors) MUSTCHECK;

/* A file_sd file (.json, .yml, .yaml): groups allocated for the caller, freed with config_groups_free. */
bool config_groups_from_file(const char *path, struct config_group **groups, size_t *n, struct buf *errors) MUSTCHECK;
void config_groups_free(struct config_group *groups, size_t n);

/* Text of `obsagent help config`, made from the field tables (config_help.h has them for other readers).
   `section` NULL for all. False: no such section. */
bool config_help(const char *section, struct buf *out);

#endif
