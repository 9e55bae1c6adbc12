/* SPDX-License-Identifier: Apache-2.0 */
/* load: one load of a configuration in progress, and the sections it is made of. */
#ifndef OBSAGENT_CONFIG_LOAD_H
#define OBSAGENT_CONFIG_LOAD_H

#include "table.h"

#include "config.h"
#include "generation.h"

/* Bounds on what one configuration can make us hold. */
#define JOBS_MAX 100000
#define REMOTES_MAX 32 /* the queue has room for so many readers: one more would be scraped for and never sent to */

/* Prometheus's defaults. */
#define GLOBAL_INTERVAL_MS 60000
#define GLOBAL_TIMEOUT_MS 10000

/* `global`, as far as it is not in struct config. */
struct global {
    int64_t scrape_interval_ms, scrape_timeout_ms; /* 0 = not given */
    uint64_t body_size_limit, sample_limit, target_limit, keep_dropped_targets;
    uint64_t label_limit, label_name_length_limit, label_value_length_limit;
    uint64_t series_limit, job_series_limit, total_series_limit;
    uint64_t native_histogram_bucket_limit;
    double native_histogram_min_bucket_factor;
    bool scrape_native_histograms, always_scrape_classic_histograms, convert_classic_histograms_to_nhcb;
    bool extra_scrape_metrics, normalize_le_quantile, legacy_names, escaping_given;
    enum config_name_escaping name_escaping;
    struct config_protocols scrape_protocols;
    char *scrape_failure_log_file; /* heap, or NULL */
    struct relabel_rules *relabel, *metric_relabel; /* put before those of every job (vmagent); NULL = none */
    struct label *external_labels;                  /* heap, moves to the config */
    size_t external_labels_n;
};

/* A job or an endpoint with the node it came from: some rules need all files to have been read. */
struct job_draft {
    struct config_job job;
    const struct node *node;
};

struct remote_draft {
    struct config_remote remote;
    const struct node *node;
};

struct load {
    struct arena arena; /* trees and messages */
    struct problems problems;
    struct generation *generation; /* being made */
    bool check_files;
    size_t files_n; /* documents opened so far */
    struct global global;
    struct job_draft *jobs;
    size_t jobs_n, jobs_cap;
    struct remote_draft *remotes;
    size_t remotes_n, remotes_cap;
    const struct node **includes; /* patterns of scrape_config_files */
    size_t includes_n, includes_cap;
};


/* Reads, hashes and parses a file and notes it in the generation; NULL after a problem. */
const struct node *load_read(struct load *l, const char *path);

/* Another kind of file with the same tools: `read` makes *to of its tree; it may append to errors what other files are
   wrong about. False when something was, which has been appended. */
bool load_part(const char *path, void (*read)(struct load *l, const struct node *root, void *to, struct buf *errors),
               void *to, struct buf *errors) MUSTCHECK;

/* The sections. */
extern const struct section section_document;     /* struct load */
extern const struct section section_included;     /* struct load: an included file */
extern const struct section section_global;       /* struct global */
extern const struct section section_scrape;       /* struct config_job */
extern const struct section section_static;       /* struct config_group */
extern const struct section section_file_sd;      /* struct config_file_sd */
extern const struct section section_relabel;      /* struct relabel_source */
extern const struct section section_remote;       /* struct config_remote */
extern const struct section section_queue;        /* struct config_remote */
extern const struct section section_metadata;     /* struct config_remote */
extern const struct section section_http;         /* struct http_options */
extern const struct section section_rule_tests;   /* struct rule_tests */
extern const struct section section_rule_test;    /* struct rule_test */
extern const struct section section_authorization, section_basic_auth, section_tls, section_headers;

/* scrape_configs, from a document or an included file. `to` is not used. */
void load_scrape_configs(struct load *l, const struct node *value, void *to);
void load_remote_writes(struct load *l, const struct node *value, void *to);
void load_scrape_protocols(struct load *l, const struct node *value, void *to); /* struct config_protocols */
/* What is wrong with the list in a mapping, which is `of` what. */
void check_scrape_protocols(struct load *l, const struct node *map, const char *of);
/* One setting under its old and its new name. */
void check_classic_names(struct load *l, const struct node *map);
void dump_scrape_protocols(struct dump *d, const struct field *f, const void *from);
/* A mapping of label names to values, as heap copies sorted by name. */
void load_labels(struct load *l, const struct node *value, struct label **labels, size_t *n);
/* The groups of static_configs or of a file_sd file. */
void load_groups(struct load *l, const struct node *value, struct config_group **groups, size_t *n);
/* Compiles a list of rules into *rules, freeing what was there; `null_rule` is the message for an empty
   rule. */
void load_relabel(struct load *l, const struct node *value, const char *null_rule,
                  struct relabel_rules **rules);

/* For metric_name_validation_scheme: legacy: reports the rules from `first` on that break it, which stand in the list
   `list` (NULL: nothing is reported), and makes all of them keep to it. */
void legacy_relabel(struct load *l, const struct node *list, struct relabel_rules *rules, size_t first);

/* Fills in what comes from global and checks what needs it; then the hash. */
void job_finish(struct load *l, struct job_draft *draft);
/* Its parts: all but timing and rules from global; both hashes. */
void job_inherit(struct load *l, struct job_draft *draft);
void job_hash(struct config_job *job);
/* Groups of endpoints: what one says of its own; then, when all are loaded, what members do not agree on. */
void check_group(struct load *l, const struct node *node, const struct config_remote *r);
void check_remote_groups(struct load *l);
/* Label names, in a struct config_names. */
void load_names(struct load *l, const struct node *value, void *to);
void show_names(struct dump *d, const struct field *f, const void *from);
/* Relabel files, name, hash. */
void remote_finish(struct load *l, struct remote_draft *draft);

void dump_relabel(struct dump *d, const struct field *f, const void *rules);
void dump_labels(struct dump *d, const char *name, const struct label *labels, size_t n);
/* The whole effective configuration, secrets hidden, for the caller to free. */
char *dump_config(const struct config *c, const struct global *g);

void config_job_free(struct config_job *job);       /* the contents */
void config_remote_free(struct config_remote *remote);
void config_labels_free(struct label *labels, size_t n);

#endif
