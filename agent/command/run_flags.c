/* SPDX-License-Identifier: Apache-2.0 */
/* run_flags: what `obsagent run` is told on its command line, obsagent's own flags and vmagent's. */
#include "run_flags.h"

#include "base/buf.h"
#include "base/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXTRA_YAML_MAX (1024 * 1024)

static void set_defaults(struct run_flags *f)
{
    *f = (struct run_flags){
        .config_auto_reload_interval_ms = 30000,
        .storage_path = "./obsagent-data",
        .storage_durability = "behind",
        .storage_fsync_interval_ms = 1000,
        .listen_address = "0.0.0.0:8429",
        .log_level = "info",
        .log_format = "logfmt",
        .scrape_shards = 1,
        .scrape_shard = "0",
        .scrape_replication_factor = 1,
        .shutdown_timeout_ms = 5000,
        .trust_receivers = true,
        .env_prefix = "",
    };
}

/* The table points into one struct at a time, so it is built for it. */
#define RUN_FLAGS_N 64

static size_t fill_own(struct run_flags *f, struct flag *t)
{
    const struct flag own[] = {
        {"config.file", FLAG_STRING, &f->config_file, "FILE", "configuration in Prometheus's YAML"},
        {"config.auto-reload", FLAG_BOOL, &f->config_auto_reload, NULL, "reload when the files' contents change"},
        {"config.auto-reload-interval", FLAG_DURATION, &f->config_auto_reload_interval_ms, "DURATION",
         "how often to look (30s)"},
        {"storage.path", FLAG_STRING, &f->storage_path, "DIR", "the disk buffer (./obsagent-data)"},
        {"storage.max-bytes", FLAG_SIZE, &f->storage_max_bytes, "SIZE",
         "its cap; the oldest goes first (1GiB or 10% of the file system)"},
        {"storage.max-age", FLAG_DURATION, &f->storage_max_age_ms, "DURATION", "older data is dropped (7d)"},
        {"storage.ram-max-bytes", FLAG_SIZE, &f->storage_ram_max_bytes, "SIZE",
         "blocks kept in RAM before or instead of the disk (32MiB)"},
        {"storage.durability", FLAG_STRING, &f->storage_durability, "behind|always",
         "write to disk only when behind, or every block (behind)"},
        {"storage.fsync-interval", FLAG_DURATION, &f->storage_fsync_interval_ms, "DURATION", "(1s)"},
        {"web.listen-address", FLAG_STRING, &f->listen_address, "ADDR",
         "own pages and metrics; port 0 takes a free one, empty serves nothing (0.0.0.0:8429)"},
        {"web.config.file", FLAG_STRING, &f->web_config_file, "FILE", "TLS and authentication of the own pages"},
        {"web.enable-lifecycle", FLAG_BOOL, &f->enable_lifecycle, NULL, "allow POST /-/reload"},
        {"log.level", FLAG_STRING, &f->log_level, "debug|info|warn|error", "(info)"},
        {"log.format", FLAG_STRING, &f->log_format, "logfmt|json", "(logfmt)"},
        {"scrape.workers", FLAG_U64, &f->scrape_workers, "N", "worker threads (0: by CPUs and targets)"},
        {"scrape.shards", FLAG_U64, &f->scrape_shards, "N", "agents that share the targets (1)"},
        {"scrape.shard", FLAG_STRING, &f->scrape_shard, "I",
         "which of them this is: a number from 0, or a name that ends in one, as pod-3 (0)"},
        {"scrape.replication-factor", FLAG_U64, &f->scrape_replication_factor, "N", "agents for each target (1)"},
        {"scrape.shard-label", FLAG_STRING, &f->scrape_shard_label, "NAME", "a label with the shard's number (none)"},
        {"scrape.max-concurrent", FLAG_U64, &f->scrape_max_concurrent, "N",
         "fetches of a worker at once, those that hang aside (256)"},
        {"shutdown.timeout", FLAG_DURATION, &f->shutdown_timeout_ms, "DURATION",
         "how long to send at SIGTERM before the rest goes to disk (5s)"},
        {"clock.trust-receivers", FLAG_BOOL, &f->trust_receivers, NULL,
         "correct the clock by the receivers' Date when it is off by more than 10 minutes (true)"},
        {"version", FLAG_BOOL, &f->version, NULL, "print the version"},
    };
    memcpy(t, own, sizeof own);
    return sizeof own / sizeof own[0];
}

static size_t fill_vmagent(struct run_flags *f, struct flag *t)
{
    const struct flag vm[] = {
        {"promscrape.config", FLAG_STRING, &f->config_file, "FILE", "as --config.file"},
        {"remoteWrite.url", FLAG_CSV, &f->vm_url, "URL", "endpoint beside those of the file; repeatable"},
        {"remoteWrite.bearerToken", FLAG_CSV, &f->vm_bearer_token, "TOKEN", "for the URL of the same position"},
        {"remoteWrite.bearerTokenFile", FLAG_CSV, &f->vm_bearer_token_file, "FILE", "the same from a file"},
        {"remoteWrite.tmpDataPath", FLAG_STRING, &f->storage_path, "DIR", "as --storage.path"},
        {"remoteWrite.maxDiskUsagePerURL", FLAG_CSV, &f->vm_max_disk_usage, "SIZE", "buffer cap for each URL"},
        {"remoteWrite.label", FLAG_CSV, &f->vm_label, "NAME=VALUE", "label set on every sample; repeatable"},
        {"remoteWrite.relabelConfig", FLAG_STRING, &f->vm_relabel_config, "FILE", "rules for all URLs"},
        {"remoteWrite.urlRelabelConfig", FLAG_CSV, &f->vm_url_relabel_config, "FILE", "rules for one URL"},
        {"remoteWrite.forcePromProto", FLAG_CSV, &f->vm_force_prom_proto, NULL,
         "remote write 1.0 for one URL; else VictoriaMetrics's zstd is tried first"},
        {"remoteWrite.shardByURL", FLAG_BOOL, &f->vm_shard, NULL, "the URLs share the series, as routing: shard"},
        {"remoteWrite.shardByURLReplicas", FLAG_U64, &f->vm_shard_replicas, "N", "URLs for each series then (1)"},
        {"remoteWrite.shardByURL.labels", FLAG_CSV, &f->vm_shard_labels, "NAME", "the labels that decide (all)"},
        {"remoteWrite.shardByURL.ignoreLabels", FLAG_CSV, &f->vm_shard_ignore, "NAME", "or those that do not (none)"},
        {"httpListenAddr", FLAG_STRING, &f->listen_address, "ADDR", "as --web.listen-address"},
        {"promscrape.cluster.membersCount", FLAG_U64, &f->scrape_shards, "N", "as --scrape.shards"},
        {"promscrape.cluster.memberNum", FLAG_STRING, &f->scrape_shard, "I", "as --scrape.shard"},
        {"promscrape.cluster.replicationFactor", FLAG_U64, &f->scrape_replication_factor, "N",
         "as --scrape.replication-factor"},
        {"promscrape.cluster.memberLabel", FLAG_STRING, &f->scrape_shard_label, "NAME", "as --scrape.shard-label"},
        {"loggerLevel", FLAG_STRING, &f->log_level, "LEVEL", "INFO, WARN, ERROR"},
        {"envflag.enable", FLAG_BOOL, &f->env_enable, NULL, "read flags from the environment too ('.' as '_')"},
        {"envflag.prefix", FLAG_STRING, &f->env_prefix, "PREFIX", "prefix of those variables"},
        {"dryRun", FLAG_BOOL, &f->dry_run, NULL, "validate the configuration and exit"},
    };
    memcpy(t, vm, sizeof vm);
    return sizeof vm / sizeof vm[0];
}

static struct flag_command make_command(struct run_flags *f, struct flag *table)
{
    size_t n = fill_own(f, table);
    n += fill_vmagent(f, table + n);
    return (struct flag_command){
        .synopsis = "obsagent run --config.file=FILE [flags]",
        .text = "Scrapes the targets of the configuration, buffers on disk while an endpoint is away, and\n"
                "forwards by remote write. vmagent's flags do here what they do there.",
        .flags = table,
        .flags_n = n,
    };
}

/* The value of a flag before the real parse, NULL when it is not given: -envflag.* decide if the environment is read
   first. */
static const char *peek_flag(int argc, char **argv, const char *flag, const char *bare)
{
    size_t n = strlen(flag);
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        const char *name = argv[i] + strspn(argv[i], "-");
        if (name == argv[i] || strncmp(name, flag, n) != 0)
            continue;
        if (name[n] == '=')
            return name + n + 1;
        if (name[n] == '\0')
            return bare ? bare : argv[i + 1];
    }
    return NULL;
}

static enum flag_outcome read_env(const struct flag_command *command, int argc, char **argv)
{
    const char *wanted = peek_flag(argc, argv, "envflag.enable", "true");
    const char *prefix = peek_flag(argc, argv, "envflag.prefix", NULL);
    bool on = false;
    if (!wanted || !units_parse_bool(str_of(wanted), &on) || !on)
        return FLAGS_OK;
    return flags_from_env(command, argc, argv, prefix ? prefix : "");
}

static bool labels_are_pairs(const struct run_flags *f)
{
    for (size_t i = 0; i < f->vm_label.n; i++) {
        const char *pair = f->vm_label.v[i];
        if (pair[0] == '=' || !strchr(pair, '=')) {
            fprintf(stderr, "--remoteWrite.label: \"%s\" is not NAME=VALUE\n", pair);
            return false;
        }
    }
    return true;
}

enum flag_outcome run_flags_parse(struct run_flags *f, int argc, char **argv)
{
    struct flag table[RUN_FLAGS_N];
    int positional = 0;
    set_defaults(f);
    struct flag_command command = make_command(f, table);
    enum flag_outcome outcome = read_env(&command, argc, argv);
    if (outcome == FLAGS_OK)
        outcome = flags_parse(&command, argc, argv, &positional);
    if (outcome == FLAGS_OK && positional > 0) {
        fprintf(stderr, "run takes no arguments besides flags, got \"%s\"\n", argv[1]);
        outcome = FLAGS_USAGE;
    }
    if (outcome == FLAGS_OK && !labels_are_pairs(f))
        outcome = FLAGS_USAGE;
    return outcome;
}

void run_flags_free(struct run_flags *f)
{
    struct flag table[RUN_FLAGS_N];
    struct flag_command command = make_command(f, table);
    flags_free(&command);
}

/* vmagent's rule for arrays: the value of the same position, or the only one for all. */
static const char *value_for(const struct flag_list *list, size_t i)
{
    if (i < list->n)
        return list->v[i];
    return list->n == 1 ? list->v[0] : "";
}

static void add_field(struct buf *b, const char *name, const char *value)
{
    if (value[0] == '\0')
        return;
    buf_addf(b, "  %s: ", name);
    buf_add_json(b, str_of(value));
    buf_add_char(b, '\n');
}

static void add_auth(struct buf *b, const struct run_flags *f, size_t i)
{
    const char *token = value_for(&f->vm_bearer_token, i);
    const char *file = value_for(&f->vm_bearer_token_file, i);
    if (token[0] == '\0' && file[0] == '\0')
        return;
    buf_add_c(b, "  authorization:\n");
    add_field(b, "  credentials", token);
    add_field(b, "  credentials_file", file);
}

/* `$` in a label value is a group reference in a rule's replacement, so it is doubled. */
static void add_label_rules(struct buf *b, const struct flag_list *labels)
{
    if (labels->n)
        buf_add_c(b, "  write_relabel_configs:\n");
    for (size_t i = 0; i < labels->n; i++) {
        struct str pair = str_of(labels->v[i]);
        size_t eq = str_find_char(pair, '=');
        struct buf value;
        buf_init(&value, EXTRA_YAML_MAX);
        struct str raw = str_skip(pair, eq + 1);
        for (size_t k = 0; k < raw.n; k++) {
            if (raw.p[k] == '$')
                buf_add_char(&value, '$');
            buf_add_char(&value, raw.p[k]);
        }
        buf_add_c(b, "  - target_label: ");
        buf_add_json(b, str_make(pair.p, eq));
        buf_add_c(b, "\n    replacement: ");
        buf_add_json(b, buf_str(&value));
        buf_add_char(b, '\n');
        buf_free(&value);
    }
}

static void add_relabel_files(struct buf *b, const struct run_flags *f, size_t i)
{
    const char *own = value_for(&f->vm_url_relabel_config, i);
    const char *all = f->vm_relabel_config ? f->vm_relabel_config : "";
    if (own[0] == '\0' && all[0] == '\0')
        return;
    buf_add_c(b, "  write_relabel_config_files:\n");
    const char *files[] = {all, own};
    for (size_t k = 0; k < 2; k++) {
        if (files[k][0] == '\0')
            continue;
        buf_add_c(b, "  - ");
        buf_add_json(b, str_of(files[k]));
        buf_add_char(b, '\n');
    }
}

static void add_max_bytes(struct buf *b, const struct run_flags *f, size_t i)
{
    const char *value = value_for(&f->vm_max_disk_usage, i);
    uint64_t bytes;
    if (units_parse_size_vm(str_of(value), &bytes))
        buf_addf(b, "  max_bytes: %llu%s\n", (unsigned long long)bytes, bytes ? "B" : "");
    else
        add_field(b, "max_bytes", value);
}

static void add_names(struct buf *b, const char *field, const struct flag_list *names)
{
    if (names->n)
        buf_addf(b, "  %s:\n", field);
    for (size_t i = 0; i < names->n; i++) {
        buf_add_c(b, "  - ");
        buf_add_json(b, str_of(names->v[i]));
        buf_add_char(b, '\n');
    }
}

/* As there, replicas for all URLs are no sharding, and none of them is one. */
static void add_routing(struct buf *b, const struct run_flags *f)
{
    uint64_t replicas = f->vm_shard_replicas ? f->vm_shard_replicas : 1;
    if (!f->vm_shard || replicas >= f->vm_url.n)
        return;
    buf_addf(b, "  routing: shard\n  group: remoteWrite.url\n  replicas: %llu\n", (unsigned long long)replicas);
    add_names(b, "shard_by", &f->vm_shard_labels);
    add_names(b, "shard_ignore", &f->vm_shard_ignore);
}

char *run_flags_remote_yaml(const struct run_flags *f)
{
    if (f->vm_url.n == 0)
        return NULL;
    struct buf b;
    buf_init(&b, EXTRA_YAML_MAX);
    buf_add_c(&b, "remote_write:\n");
    for (size_t i = 0; i < f->vm_url.n; i++) {
        buf_add_c(&b, "- url: ");
        buf_add_json(&b, str_of(f->vm_url.v[i]));
        buf_add_char(&b, '\n');
        buf_addf(&b, "  protocol: %s\n", strcmp(value_for(&f->vm_force_prom_proto, i), "true") == 0 ? "rw1" : "vm");
        add_auth(&b, f, i);
        add_max_bytes(&b, f, i);
        add_routing(&b, f);
        add_relabel_files(&b, f, i);
        add_label_rules(&b, &f->vm_label);
    }
    return buf_take(&b);
}

char *run_flags_json(const struct run_flags *f)
{
    /* URLs may hold passwords and tokens; what can be shown of them is at /config. */
    static const char *const SECRETS[] = {"remoteWrite.url", "remoteWrite.bearerToken", NULL};
    struct run_flags copy = *f;
    struct flag table[RUN_FLAGS_N];
    struct flag_command command = make_command(&copy, table);
    struct buf b;
    buf_init(&b, EXTRA_YAML_MAX);
    flags_json(&command, SECRETS, &b);
    return buf_take(&b);
}
