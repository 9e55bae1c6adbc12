/* SPDX-License-Identifier: Apache-2.0 */
/* config_sd: one entry of a job's *_sd_configs that asks over the network. Defaults and rules are Prometheus's, from
   discovery/KIND/ of its source, unless a field says otherwise. */
#ifndef OBSAGENT_CONFIG_SD_H
#define OBSAGENT_CONFIG_SD_H

#include "http.h"

#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>

struct config_texts {
    char **v;
    size_t n;
};

/* In the order of the bits of config_kubernetes_sd.attach. */
enum config_kube_role {
    CONFIG_KUBE_NODE, CONFIG_KUBE_POD, CONFIG_KUBE_SERVICE, CONFIG_KUBE_ENDPOINTS, CONFIG_KUBE_ENDPOINTSLICE,
    CONFIG_KUBE_INGRESS, CONFIG_KUBE_ROLES
};

struct config_kube_selector {
    enum config_kube_role role;
    char *label, *field; /* NULL = none */
};

struct config_kubernetes_sd {
    enum config_kube_role role;
    char *api_server;      /* NULL = as kubeconfig_file says, else in-cluster */
    char *kubeconfig_file; /* NULL = none */
    bool own_namespace;
    struct config_texts namespaces; /* none = all */
    struct config_kube_selector *selectors; /* at most one of a role */
    size_t selectors_n;
    bool attach_node, attach_namespace, attach_deployment, attach_job, attach_cronjob;
};

/* obsagent's own: the pods of one node, from its kubelet. */
struct config_kubelet_sd {
    char *host;      /* NULL = NODE_IP of the environment, else 127.0.0.1 */
    char *node_name; /* NULL = NODE_NAME of the environment, else what the pods say */
    uint64_t port;
    char *scheme;
};

struct config_http_sd {
    char *url;
};

enum config_dns_type { CONFIG_DNS_SRV, CONFIG_DNS_A, CONFIG_DNS_AAAA, CONFIG_DNS_MX, CONFIG_DNS_NS };

struct config_dns_sd {
    struct config_texts names;
    enum config_dns_type type;
    uint64_t port;               /* of all but SRV */
    struct config_texts servers; /* ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT; none = the system's */
};

struct config_consul_sd {
    char *server, *scheme, *path_prefix; /* [http://|https://|unix://]HOST:PORT or a path */
    char *token;
    char *username, *password;           /* while loading only; then in the HTTP options */
    char *datacenter, *space, *partition; /* NULL = the server's */
    char *tag_separator;
    bool allow_stale;
    struct config_texts services; /* none = all */
    struct config_texts tags;     /* of which a target has all */
    struct config_texts node_meta; /* "key:value" */
    char *filter, *health_filter; /* expressions for the server */
};

struct config_docker_filter {
    char *name;
    struct config_texts values;
};

struct config_docker_sd {
    char *host;    /* unix:///PATH, or tcp://, http:// or https:// and HOST:PORT */
    uint64_t port; /* of containers that expose none */
    char *host_networking_host; /* the address of containers in the host's network */
    bool match_first_network;   /* of several networks the first by name counts alone */
    struct config_docker_filter *filters;
    size_t filters_n;
};

enum config_sd_kind {
    CONFIG_SD_KUBERNETES, CONFIG_SD_KUBELET, CONFIG_SD_HTTP, CONFIG_SD_DNS, CONFIG_SD_CONSUL, CONFIG_SD_DOCKER,
    CONFIG_SD_KINDS
};

struct config_sd {
    enum config_sd_kind kind;
    uint64_t hash; /* over the kind and all fields, secrets included: equal hash, the same source */
    uint64_t http_hash; /* over `http` alone */
    int64_t refresh_interval_ms; /* 0 for kinds that watch */
    struct http_options http;
    union {
        struct config_kubernetes_sd kubernetes;
        struct config_kubelet_sd kubelet;
        struct config_http_sd http_sd;
        struct config_dns_sd dns;
        struct config_consul_sd consul;
        struct config_docker_sd docker;
    };
};

/* The current context of a kubectl configuration. */
struct config_kubeconfig {
    char *server;
    struct http_options http;
};

/* With certificates and tokens as files or inline, or a name and password. NULL after appending lines to errors that
   say where and why: among them users who need a program or a login provider to be run. */
struct config_kubeconfig *config_kubeconfig_read(const char *path, struct buf *errors) MUSTCHECK;
void config_kubeconfig_free(struct config_kubeconfig *k); /* NULL is fine */

#endif
