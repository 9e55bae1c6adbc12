/* SPDX-License-Identifier: Apache-2.0 */
/* join: puts together what a target's labels need of several objects: an endpoint's service, pod and node, a pod's
   Deployment. */
#ifndef OBSAGENT_SCRAPE_KUBERNETES_JOIN_H
#define OBSAGENT_SCRAPE_KUBERNETES_JOIN_H

#include "config_sd.h"
#include "../discovery/source.h"
#include "watch.h"

/* Works on one object at a time. */
struct kube_joiner {
    const struct config_kubernetes_sd *config;
    struct label_names *names;
    struct kube_watch **watches; /* where others are looked up; the array is the caller's */
    size_t watches_n;
    /* Keys of all that was looked up for the last object, whether it exists or not: when one of them changes, the
       object is to be joined again. */
    uint64_t *deps;
    size_t deps_n, deps_cap;
    struct arena arena;
    struct labels labels;
};

void kube_joiner_init(struct kube_joiner *j, const struct config_kubernetes_sd *config, struct label_names *names);
void kube_joiner_free(struct kube_joiner *j);
/* Adds the targets of an object of the role's kind. */
void kube_join_object(struct kube_joiner *j, const struct kube_object *o, struct discovery_sets *out);

/* The objects that are a role's targets. */
enum kube_kind kube_role_kind(enum config_kube_role role);
/* A bit for each kind that has to be watched for the role and what is attached, its own one included. */
unsigned kube_needed_kinds(const struct config_kubernetes_sd *config);

#endif
