/* SPDX-License-Identifier: Apache-2.0 */
/* remote_fields: remote_write. Fields and rules: prometheus config/config.go; the defaults of the queue are
   our own, because the queue is; fields that only obsagent has are marked in their help. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/units.h"
#include "http_fields.h"

#define AT(member) .at = offsetof(struct config_remote, member)

static const struct field queue_fields[] = {
    {"max_samples_per_send", FIELD_COUNT, AT(max_samples_per_send), .standard = "10000", .min = 1,
     .help = "samples of a request at most"},
    {"min_backoff", FIELD_DURATION, AT(min_backoff_ms), .standard = "1s", .min = 1,
     .help = "the first wait after a failure; doubled each time, with jitter"},
    {"max_backoff", FIELD_DURATION, AT(max_backoff_ms), .standard = "1m", .min = 1,
     .help = "the longest wait"},
    {"sample_age_limit", FIELD_DURATION, FIELD_ALIAS, AT(max_age_ms), .help = "Prometheus's name of max_age"},
    {"capacity", FIELD_COUNT, FIELD_NO_EFFECT, .min = 1, .help = "the queue is bounded by bytes: max_bytes"},
    {"max_shards", FIELD_COUNT, FIELD_NO_EFFECT, .min = 1, .help = "there are no shards"},
    {"min_shards", FIELD_COUNT, FIELD_NO_EFFECT, .min = 1, .help = "there are no shards"},
    {"batch_send_deadline", FIELD_DURATION, FIELD_NO_EFFECT, .min = 1,
     .help = "nothing waits to fill a batch"},
    {"retry_on_http_429", FIELD_BOOL, FIELD_NO_EFFECT, .help = "always so"},
};

static void check_queue(struct load *l, const struct node *node, void *to)
{
    const struct config_remote *r = to;
    if (r->min_backoff_ms > r->max_backoff_ms)
        problem_add(&l->problems,
                    field_place(node, field_given(node, "max_backoff") ? "max_backoff" : "min_backoff"),
                    "max_backoff must be greater than or equal to min_backoff");
    const struct node *min = node_get(node, "min_shards"), *max = node_get(node, "max_shards");
    uint64_t low = 1, high = 50;
    if (min && !units_parse_u64(min->text, &low))
        return;
    if (max && !units_parse_u64(max->text, &high))
        return;
    if (low > high)
        problem_add(&l->problems, field_place(node, "min_shards"),
                    "min_shards must be less than or equal to max_shards");
}

const struct section section_queue = {
    .name = "queue_config",
    .help = "how requests are made and repeated",
    FIELDS(queue_fields),
    .check = check_queue,
};

static const struct field metadata_fields[] = {
    {"send", FIELD_BOOL, AT(send_metadata), .standard = "true", .help = "send TYPE, HELP and UNIT"},
    {"send_interval", FIELD_DURATION, AT(metadata_interval_ms), .standard = "1m", .min = 1,
     .help = "how often"},
    {"max_samples_per_send", FIELD_COUNT, FIELD_NO_EFFECT, .min = 1, .help = "requests are bounded by bytes"},
};

const struct section section_metadata = {
    .name = "metadata_config",
    .help = "the metadata of metrics",
    FIELDS(metadata_fields),
};

static void load_write_relabel(struct load *l, const struct node *value, void *to)
{
    load_relabel(l, value, "empty or null relabeling rule in remote write config", to);
}

/* Read when all else has been: their rules come before those written here. */
static void load_relabel_files(struct load *l, const struct node *value, void *to)
{
    struct str path;
    (void)to;
    if (!node_is_list(l, value, "write_relabel_config_files"))
        return;
    for (size_t i = 0; i < value->n; i++)
        (void)node_text(l, value->items[i], "write_relabel_config_files", &path);
}

static const struct field remote_fields[] = {
    {"name", FIELD_TEXT, AT(name), .has = FIELD_HAS(struct config_remote, name_given),
     .help = "unique; the place in the buffer is kept by it (default: remote- and a hash of the url)"},
    {"url", FIELD_URL, AT(url), .help = "where to send"},
    {"remote_timeout", FIELD_DURATION, AT(remote_timeout_ms), .standard = "30s", .min = 1,
     .help = "of one request"},
    {"write_relabel_configs", FIELD_OWN, AT(write_relabel), .load = load_write_relabel, .show = dump_relabel,
     .section = &section_relabel, .help = "rules for what is sent, after external_labels"},
    {"write_relabel_config_files", FIELD_OWN, FIELD_ALIAS, .load = load_relabel_files,
     .help = "files with lists of rules to put before those (obsagent)"},
    {"queue_config", FIELD_SECTION, .section = &section_queue, .help = "how requests are made and repeated"},
    {"metadata_config", FIELD_SECTION, .section = &section_metadata, .help = "the metadata of metrics"},
    {"max_bytes", FIELD_BYTES, AT(max_bytes),
     .help = "of the buffer for this endpoint, oldest lost first; 0: only "
                                                      "--storage.max-bytes (obsagent)"},
    {"max_age", FIELD_DURATION, AT(max_age_ms), .standard = "0s",
     .help = "older samples are given up; 0: only --storage.max-age (obsagent)"},
    {"max_request_bytes", FIELD_BYTES, AT(max_request_bytes),
     .help = "before compression; 0: learned from the receiver's 413 (obsagent)"},
    {"on_reject", FIELD_FLAG, AT(on_reject_drop), .standard = "bisect", .words = "bisect|drop",
     .help = "a refused request (400, 409, 422): find the guilty series, or drop it all (obsagent)"},
    {"protocol", FIELD_ENUM, AT(protocol), .standard = "rw1", .words = "rw1|rw2|vm|auto",
     .help = "remote write 1.0, 2.0, VictoriaMetrics's zstd, or what the receiver is found to take; all but the first "
             "fall back to 1.0 (obsagent)"},
    {"drain", FIELD_FLAG, AT(drain_fresh_first), .standard = "fifo", .words = "fifo|fresh_first",
     .help = "a backlog: in order, or what is new at once and the backlog beside it; the receiver must take samples "
             "that are older than others then (obsagent)"},
    {"routing", FIELD_FLAG, AT(routing_shard), .standard = "replicate", .words = "replicate|shard",
     .help = "all series, or those that are this endpoint's among the group (obsagent)"},
    {"group", FIELD_TEXT, AT(group),
     .help = "routing: shard: endpoints of one group share the series, by their names and the labels as scraped; one "
             "that is down keeps its share in the buffer (obsagent)"},
    {"replicas", FIELD_COUNT, AT(replicas), .standard = "1", .min = 1,
     .help = "how many members of the group get each series (obsagent)"},
    {"shard_by", FIELD_OWN, AT(shard_by), .load = load_names, .show = show_names,
     .help = "the labels that decide; none: all (obsagent)"},
    {"shard_ignore", FIELD_OWN, AT(shard_ignore), .load = load_names, .show = show_names,
     .help = "the labels that do not; [le] keeps a histogram's buckets together (obsagent)"},
    {"rate_limit", FIELD_BYTES, AT(rate_limit),
     .help = "bytes a second after compression, what is new before a backlog; 0: none (obsagent)"},
    {"protobuf_message", FIELD_ENUM, FIELD_ALIAS, AT(message),
     .words = "prometheus.WriteRequest|io.prometheus.write.v2.Request",
     .help = "Prometheus's name for protocol rw1 and rw2"},
    {"send_exemplars", FIELD_BOOL, AT(send_exemplars), .standard = "false", .help = "else they are left out"},
    {"send_native_histograms", FIELD_BOOL, AT(send_native_histograms), .standard = "false",
     .help = "else they are counted as lost"},
    {"round_robin_dns", FIELD_BOOL, AT(http.shuffle_addresses), .standard = "false",
     .help = "each new connection goes to another one of the name's addresses"},
    {"connection_lifetime", FIELD_DURATION, AT(http.connection_max_ms), .standard = "5m",
     .help = "a connection older than that is replaced, which looks the name up again; 0: none is (obsagent)"},
    {"failed_request_logging", FIELD_BOOL, FIELD_LATER, .words = "false", .help = "Prometheus"},
    {"sigv4", FIELD_OWN, AT(http), .load = load_sigv4, .show = show_sigv4, .section = &section_sigv4,
     .help = "AWS Signature Version 4"},
    {"azuread", FIELD_OWN, FIELD_LATER, .load = refuse_azuread, .help = "Azure tokens"},
    {"google_iam", FIELD_OWN, FIELD_LATER, .load = refuse_google_iam, .help = "Google tokens"},
};

/* Two names for one thing: the one that is given rules; both must mean the same. */
static void settle_protocol(struct load *l, const struct node *node, struct config_remote *r)
{
    enum config_protocol named = r->message == CONFIG_MESSAGE_2 ? CONFIG_RW2 : CONFIG_RW1;
    if (!field_given(node, "protobuf_message"))
        return;
    if (field_given(node, "protocol") && r->protocol != named)
        problem_add(&l->problems, field_place(node, "protobuf_message"),
                    "protobuf_message and protocol do not mean the same");
    r->protocol = named;
}

/* Prometheus's rule goes over both parts of the section. */
static void check_one_way(struct load *l, const struct node *node)
{
    static const char *const ways[] = {"basic_auth", "authorization", "oauth2", "bearer_token", "bearer_token_file"};
    const struct node *sigv4 = node_get(node, "sigv4");
    for (size_t i = 0; !node_is_null(sigv4) && i < sizeof ways / sizeof *ways; i++)
        if (!node_is_null(node_get(node, ways[i])))
            problem_add(&l->problems, field_place(node, "sigv4"),
                        "at most one of basic_auth, authorization, oauth2, sigv4, azuread or google_iam must be "
                        "configured");
}

static void check_remote(struct load *l, const struct node *node, void *to)
{
    settle_protocol(l, node, to);
    check_one_way(l, node);
    check_group(l, node, to);
    if (!field_given(node, "url"))
        problem_add(&l->problems, field_place(node, "url"), "url for remote_write is empty");
}

const struct section section_remote = {
    .name = "remote_write",
    .help = "one endpoint",
    FIELDS(remote_fields),
    .more = &section_http,
    .more_at = offsetof(struct config_remote, http),
    .check = check_remote,
};

void load_remote_writes(struct load *l, const struct node *value, void *to)
{
    (void)to;
    if (!node_is_list(l, value, "remote_write"))
        return;
    for (size_t i = 0; i < value->n; i++) {
        const struct node *item =
            node_map_at(l, value, i, section_remote.name, "empty or null remote write config section");
        if (!item)
            continue;
        if (l->remotes_n == REMOTES_MAX) {
            problem_add(&l->problems, item->at, "more than %d remote_write endpoints", REMOTES_MAX);
            return;
        }
        l->remotes = xgrow(l->remotes, &l->remotes_cap, l->remotes_n + 1, sizeof *l->remotes);
        struct remote_draft *draft = &l->remotes[l->remotes_n++];
        *draft = (struct remote_draft){.node = item};
        section_defaults(l, &section_remote, &draft->remote);
        section_load(l, &section_remote, item, &draft->remote);
    }
}

/* Puts the rules of one file behind *rules. */
static void add_relabel_file(struct load *l, const struct node *item, struct relabel_rules **rules)
{
    struct relabel_rules *more = NULL;
    char *path = file_join(item->at.file->dir, item->text.p);
    generation_add_pattern(l->generation, path);
    const struct node *list = load_read(l, path);
    if (list)
        load_relabel(l, list, "empty or null relabeling rule", &more);
    free(path);
    struct relabel_rules *all = relabel_concat(*rules, more);
    relabel_free(*rules);
    relabel_free(more);
    *rules = all;
}

/* All rules of an endpoint in order; never NULL. */
static struct relabel_rules *write_rules(struct load *l, const struct remote_draft *draft)
{
    struct relabel_rules *rules = NULL;
    const struct node *files = node_get(draft->node, "write_relabel_config_files");
    for (size_t i = 0; files && files->kind == NODE_LIST && i < files->n; i++)
        if (files->items[i]->kind == NODE_SCALAR && !node_is_empty(files->items[i]))
            add_relabel_file(l, files->items[i], &rules);
    struct relabel_rules *all = relabel_concat(rules, draft->remote.write_relabel);
    relabel_free(rules);
    return all;
}

void remote_finish(struct load *l, struct remote_draft *draft)
{
    struct config_remote *r = &draft->remote;
    if (!r->url) /* has been reported */
        r->url = xstrdup("");
    if (!r->name_given) {
        free(r->name);
        r->name = xasprintf(CONFIG_UNNAMED_REMOTE "%08x", (unsigned)hash_bytes(r->url, strlen(r->url)));
    }
    size_t own = r->write_relabel ? relabel_count(r->write_relabel) : 0;
    struct relabel_rules *rules = write_rules(l, draft);
    if (l->global.legacy_names)
        legacy_relabel(l, node_get(draft->node, "write_relabel_configs"), rules, relabel_count(rules) - own);
    relabel_free(r->write_relabel);
    r->write_relabel = rules;

    /* The external labels are part of what an endpoint sends. */
    struct buf text;
    buf_init(&text, (size_t)256 << 20);
    struct dump d = {.out = &text, .secrets = true};
    section_dump(&d, &section_remote, r);
    dump_labels(&d, "external_labels", l->global.external_labels, l->global.external_labels_n);
    r->hash = hash_bytes(text.p, text.n);
    buf_free(&text);
}
