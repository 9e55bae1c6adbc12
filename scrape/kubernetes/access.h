/* SPDX-License-Identifier: Apache-2.0 */
/* access: how to reach the API server that a kubernetes_sd_config means. */
#ifndef OBSAGENT_SCRAPE_KUBERNETES_ACCESS_H
#define OBSAGENT_SCRAPE_KUBERNETES_ACCESS_H

#include "config_sd.h"

#include "base/err.h"

/* What Kubernetes puts into each pod. */
#define KUBE_ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount"

struct kube_access {
    char *url;                          /* without a slash at its end */
    const struct http_options *options; /* those of the configuration, or `own` */
    struct config_kubeconfig *kubeconfig;
    struct http_options *own;
};

/* api_server as it is configured (which must outlive it), the current context of kubeconfig_file, or the cluster we run
   in: KUBERNETES_SERVICE_HOST and _PORT with the service account's token and CA, read again when they change. */
bool kube_access_open(struct kube_access *a, const struct config_sd *sd, struct err *err) MUSTCHECK;
void kube_access_close(struct kube_access *a);
/* The service account's token, and its CA when asked for; also for a kubelet without authorization of its own. Freed by
   http_options_free and free. */
struct http_options *kube_account_options(bool with_ca);
/* The namespace we run in, heap; NULL with err when we do not run in a cluster. */
char *kube_own_namespace(struct err *err) MUSTCHECK;

#endif
