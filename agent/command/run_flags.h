/* SPDX-License-Identifier: Apache-2.0 */
/* run_flags: what `obsagent run` is told on its command line, obsagent's own flags and vmagent's. */
#ifndef OBSAGENT_COMMAND_RUN_FLAGS_H
#define OBSAGENT_COMMAND_RUN_FLAGS_H

#include "flags.h"

struct run_flags {
    const char *config_file;
    bool config_auto_reload;
    int64_t config_auto_reload_interval_ms;
    const char *storage_path;
    uint64_t storage_max_bytes;
    int64_t storage_max_age_ms;
    uint64_t storage_ram_max_bytes;
    const char *storage_durability;
    int64_t storage_fsync_interval_ms;
    const char *listen_address;
    const char *web_config_file;
    bool enable_lifecycle;
    const char *log_level;
    const char *log_format;
    uint64_t scrape_workers;
    uint64_t scrape_shards;
    const char *scrape_shard;
    uint64_t scrape_replication_factor;
    bool trust_receivers;
    const char *scrape_shard_label; /* NULL = none */
    uint64_t scrape_max_concurrent; /* 0 = the engine's default */
    int64_t shutdown_timeout_ms;
    bool dry_run;
    bool env_enable;
    const char *env_prefix;
    bool version;

    /* vmagent's, by position in the list of URLs. */
    struct flag_list vm_url;
    struct flag_list vm_bearer_token;
    struct flag_list vm_bearer_token_file;
    struct flag_list vm_max_disk_usage;
    struct flag_list vm_label;
    const char *vm_relabel_config;
    struct flag_list vm_url_relabel_config;
    struct flag_list vm_force_prom_proto;
    bool vm_shard;
    uint64_t vm_shard_replicas;
    struct flag_list vm_shard_labels, vm_shard_ignore;
};

/* Defaults, then the environment where asked for, then argv. Names a mistake on stderr. Free with run_flags_free. */
enum flag_outcome run_flags_parse(struct run_flags *f, int argc, char **argv);
void run_flags_free(struct run_flags *f);
/* vmagent's -remoteWrite.* flags as a YAML document with a remote_write list, or NULL when there are none. Caller
   frees. As there: the n-th value of a flag belongs to the n-th URL, a single value to all of them. */
char *run_flags_remote_yaml(const struct run_flags *f);

/* All flags for people, without secrets: a JSON object. Caller frees. */
char *run_flags_json(const struct run_flags *f);

#endif
