/* SPDX-License-Identifier: Apache-2.0 */
/* target: one thing to scrape. Immutable: discovery and reload make new ones, the scheduler compares keys. */
#ifndef OBSAGENT_TARGET_H
#define OBSAGENT_TARGET_H

#include "config.h"
#include "label_set.h"
#include "labels.h"

#include <stdint.h>

/* What a job says and a target's own labels may say otherwise (__sample_limit__, __scrape_native_histograms__ ...).
   Limits: 0 = none. */
struct target_settings {
    uint64_t sample_limit, label_limit, series_limit, body_size_limit;
    bool native_histograms, classic_histograms_too, nhcb;
};

enum target_drop { TARGET_KEPT, TARGET_BY_RULE, TARGET_BY_SHARD /* another agent's */ };

/* Reference-counted across threads (target_ref / target_unref); strings live inside. */
struct target {
    int refs;
    struct str job;          /* scrape pool: the job_name */
    struct label_set *found;    /* as discovery has it, shared with it; target_discovered() reads both */
    struct label_set *defaults; /* what the job says where discovery says nothing, shared by its targets */
    struct label *labels;    /* final, public (no __ names), sorted; includes job and instance */
    size_t labels_n;
    char *url;               /* NULL for a target that a rule dropped; it has no final labels either */
    char *clean_url;         /* without what is secret in it; NULL when nothing is */
    char *unix_socket;       /* from __unix_socket__, or NULL */
    int64_t interval_ms, timeout_ms;
    uint64_t key;            /* hash of url, final labels and job hash: equal key, same target */
    uint64_t phase;          /* hash of url and final labels: stable over restarts, places it in the interval */
    uint64_t series_key;     /* equal: the same series come of it, whatever else has changed */
    int64_t align_ms, offset_ms; /* vmagent's scrape_align_interval and scrape_offset; 0 = none */
    struct target_settings settings;
    bool dropped;
    enum target_drop drop;   /* why */
    size_t dropped_by;       /* of TARGET_BY_RULE: index of the rule */
};

/* Builds one target from discovery's labels (of the target, then the group's where absent) as Prometheus's
   PopulateLabels does: defaults (job, __scheme__, __metrics_path__, __scrape_interval__, __scrape_timeout__,
   __param_*), relabel_configs, checks, instance. Returns a target (maybe with `dropped` set), or NULL with err for
   one that is wrong (no address, bad interval ...). */
struct target *target_build(const struct config_job *job, const struct labels *discovered, struct err *err) MUSTCHECK;
/* The same from what is shared: references to both sets are taken. `defaults` are the job's target_defaults. */
struct target *target_build_shared(const struct config_job *job, struct label_set *found, struct label_set *defaults,
                                   struct err *err) MUSTCHECK;
/* The labels a target of the job has before relabeling unless discovery gives them; one reference. */
struct label_set *target_defaults(const struct config_job *job) MUSTCHECK;
/* Adds the labels before relabeling, __meta_* and __address__ included, to an empty `out`, sorted; views into t. For
   people: the values of parameters that sound secret (__param_token) are <secret>. */
void target_discovered(const struct target *t, struct labels *out);
/* The same target with one label more (or another value of it); a new reference. The phase stays, so that which
   agents scrape it, and when, does not depend on the label. */
struct target *target_with_label(const struct target *t, struct str name, struct str value);
/* The settings of a job, before any label of a target. */
struct target_settings target_settings_of(const struct config_job *job);
/* The URL for people. */
static inline const char *target_shown_url(const struct target *t)
{
    return t->clean_url ? t->clean_url : t->url;
}
struct target *target_ref(struct target *t);
void target_unref(struct target *t);

#endif
