/* SPDX-License-Identifier: Apache-2.0 */
/* object: what labels need of a Kubernetes object, as label sets. Labels: prometheus discovery/kubernetes/. */
#ifndef OBSAGENT_SCRAPE_KUBERNETES_OBJECT_H
#define OBSAGENT_SCRAPE_KUBERNETES_OBJECT_H

#include "base/arena.h"
#include "base/err.h"
#include "label_set.h"

#include <jansson.h>
#include <stdint.h>

#define KUBE "__meta_kubernetes_"
/* How jansson is to read: anybody who may make a pod may put a NUL into an annotation. */
#define KUBE_JSON JSON_ALLOW_NUL

enum kube_kind {
    KUBE_NODES, KUBE_PODS, KUBE_SERVICES, KUBE_ENDPOINTS, KUBE_SLICES, KUBE_INGRESSES, KUBE_NAMESPACES,
    KUBE_REPLICASETS, KUBE_JOBS, KUBE_KINDS
};

/* Immutable once read. */
struct kube_object {
    uint64_t key; /* kube_key of its namespace and name */
    /* What holds for the whole object: its namespace and META(role), and for pods all labels but those of containers.
       Namespaces have their META only, ReplicaSets and Jobs only the Deployment or
       CronJob that controls them, as KUBE_OWNER. */
    struct label_set *labels;
    char family; /* of a Service that prefers or needs two: the first, '4' or '6'; else 0 */
    size_t targets_n;
    struct label_set *targets[]; /* each over `labels`, with __address__: all that it alone gives */
};

#define KUBE_OWNER "owner"

/* Stands for an object of the kind. */
uint64_t kube_key(enum kube_kind kind, struct str namespace, struct str name);
/* "pods" */
const char *kube_kind_name(enum kube_kind kind);

/* Reads objects one after the other; zero-initialised but for `names`. */
struct kube_reader {
    struct label_names *names;
    struct arena arena; /* of one object */
    struct labels labels;
    struct label_set *base;
    struct label_set **targets;
    size_t targets_n, targets_cap;
};

void kube_reader_init(struct kube_reader *r, struct label_names *names);
void kube_reader_free(struct kube_reader *r);
/* A new object; whatever of it is as in `old` (NULL = nothing known) is the same label set as there. NULL with err when
   it lacks a name. */
struct kube_object *kube_object_read(struct kube_reader *r, enum kube_kind kind, const json_t *json,
                                     const struct kube_object *old, struct err *err) MUSTCHECK;
void kube_object_free(struct kube_object *o);
/* The label sets are the same ones. */
bool kube_object_same(const struct kube_object *a, const struct kube_object *b);

/* Puts the references of `old` in the place of equal ones in `v`: lists that differ by little share the rest. */
void kube_keep_equal(struct label_set **v, size_t n, struct label_set *const *old, size_t old_n);

/* ---- for the files that know a kind ---- */

/* The member as text, empty view when it is absent or no string. */
struct str kube_text(const json_t *object, const char *member);
/* A whole number as decimal text; empty view when absent. */
struct str kube_number(struct kube_reader *r, const json_t *object, const char *member);
/* Views are kept until the object is read: copy to r->arena what would not last. */
void kube_put(struct kube_reader *r, const char *name, struct str value);
/* NAME + sanitized `suffix`: each byte outside [a-zA-Z0-9_] becomes '_'. */
void kube_put_under(struct kube_reader *r, const char *name, struct str suffix, struct str value);
/* "host:port", brackets around an IPv6 address. */
struct str kube_join(struct kube_reader *r, struct str host, struct str port);
/* What was put becomes a target's labels over the base; nothing is put any more. */
void kube_end_target(struct kube_reader *r);
/* The owner reference that controls the object, or NULL. */
const json_t *kube_controller(const json_t *metadata);

void kube_read_node(struct kube_reader *r, const json_t *json);
void kube_read_pod_labels(struct kube_reader *r, const json_t *json);
void kube_read_pod(struct kube_reader *r, const json_t *json);
void kube_read_service(struct kube_reader *r, const json_t *json);
char kube_read_service_family(const json_t *json);
void kube_read_endpoints(struct kube_reader *r, const json_t *json);
void kube_read_slice_labels(struct kube_reader *r, const json_t *json);
void kube_read_slice(struct kube_reader *r, const json_t *json);
void kube_read_ingress(struct kube_reader *r, const json_t *json);

#endif
