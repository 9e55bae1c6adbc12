/* SPDX-License-Identifier: Apache-2.0 */
/* join: as prometheus discovery/kubernetes/{pod,endpoints,endpointslice}.go put labels together. */
#include "join.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/hash.h"

#define POD KUBE "pod_"
#define BIT(kind) (1U << (kind))

enum kube_kind kube_role_kind(enum config_kube_role role)
{
    static const enum kube_kind kinds[CONFIG_KUBE_ROLES] = {
        [CONFIG_KUBE_NODE] = KUBE_NODES,           [CONFIG_KUBE_POD] = KUBE_PODS,
        [CONFIG_KUBE_SERVICE] = KUBE_SERVICES,     [CONFIG_KUBE_ENDPOINTS] = KUBE_ENDPOINTS,
        [CONFIG_KUBE_ENDPOINTSLICE] = KUBE_SLICES, [CONFIG_KUBE_INGRESS] = KUBE_INGRESSES,
    };
    return kinds[role];
}

static bool has_pods(enum config_kube_role role)
{
    return role == CONFIG_KUBE_POD || role == CONFIG_KUBE_ENDPOINTS || role == CONFIG_KUBE_ENDPOINTSLICE;
}

unsigned kube_needed_kinds(const struct config_kubernetes_sd *config)
{
    enum config_kube_role role = config->role;
    unsigned kinds = BIT(kube_role_kind(role));
    if (role == CONFIG_KUBE_ENDPOINTS || role == CONFIG_KUBE_ENDPOINTSLICE)
        kinds |= BIT(KUBE_PODS) | BIT(KUBE_SERVICES);
    if (config->attach_namespace && role != CONFIG_KUBE_NODE)
        kinds |= BIT(KUBE_NAMESPACES);
    if (config->attach_node && has_pods(role))
        kinds |= BIT(KUBE_NODES);
    if (config->attach_deployment && has_pods(role))
        kinds |= BIT(KUBE_REPLICASETS);
    if (config->attach_cronjob && has_pods(role))
        kinds |= BIT(KUBE_JOBS);
    return kinds;
}

void kube_joiner_init(struct kube_joiner *j, const struct config_kubernetes_sd *config, struct label_names *names)
{
    *j = (struct kube_joiner){.config = config, .names = names};
    arena_init(&j->arena);
    labels_init(&j->labels, &j->arena);
}

void kube_joiner_free(struct kube_joiner *j)
{
    labels_free(&j->labels);
    arena_free(&j->arena);
    free(j->deps);
}

/* ---- looking up ---- */

static const struct kube_object *look_up(struct kube_joiner *j, enum kube_kind kind, struct str namespace,
                                         struct str name)
{
    const struct kube_object *o = NULL;
    uint64_t key = kube_key(kind, namespace, name);
    if (name.n == 0)
        return NULL;
    j->deps = xgrow(j->deps, &j->deps_cap, j->deps_n + 1, sizeof *j->deps);
    j->deps[j->deps_n++] = key;
    for (size_t i = 0; i < j->watches_n && !o; i++) {
        if (kube_watch_kind(j->watches[i]) == kind)
            o = kube_map_get(kube_watch_objects(j->watches[i]), key);
    }
    return o;
}

static struct str get(const struct label_set *s, const char *name)
{
    return label_set_get(s, str_of(name));
}

static struct str namespace_of(const struct kube_object *o)
{
    return get(o->labels, KUBE "namespace");
}

/* ---- what is attached ---- */

static void put(struct kube_joiner *j, const char *name, struct str value)
{
    if (value.n > 0)
        labels_push(&j->labels, str_of(name), value);
}

static void put_all(struct kube_joiner *j, const struct kube_object *o)
{
    if (o)
        label_set_add(o->labels, &j->labels);
}

static void put_namespace(struct kube_joiner *j, const struct kube_object *o)
{
    if (j->config->attach_namespace)
        put_all(j, look_up(j, KUBE_NAMESPACES, STR(""), namespace_of(o)));
}

/* Of the pod's ReplicaSet or Job. */
static void put_owners(struct kube_joiner *j, const struct kube_object *pod)
{
    const struct config_kubernetes_sd *c = j->config;
    struct str kind = get(pod->labels, POD "controller_kind"), name = get(pod->labels, POD "controller_name");
    const struct kube_object *o = NULL;
    if (c->attach_deployment && str_eq_c(kind, "ReplicaSet")) {
        o = look_up(j, KUBE_REPLICASETS, namespace_of(pod), name);
        put(j, POD "deployment_name", o ? get(o->labels, KUBE_OWNER) : STR_NULL);
    }
    if (!str_eq_c(kind, "Job"))
        return;
    if (c->attach_job)
        put(j, POD "job_name", name);
    if (c->attach_cronjob) {
        o = look_up(j, KUBE_JOBS, namespace_of(pod), name);
        put(j, POD "cronjob_name", o ? get(o->labels, KUBE_OWNER) : STR_NULL);
    }
}

/* The base of an object's targets, with what was put. */
static struct label_set *make_group(struct kube_joiner *j, const struct kube_object *o)
{
    struct label_set *group = label_set_ref(o->labels);
    if (j->labels.n > 0) {
        label_set_unref(group);
        label_set_add(o->labels, &j->labels);
        group = label_set_new(j->names, &j->labels);
    }
    labels_clear(&j->labels);
    return group;
}

static void end_target(struct kube_joiner *j, struct label_set *group, struct discovery_sets *out)
{
    discovery_sets_take(out, label_set_over(j->names, group, &j->labels));
    labels_clear(&j->labels);
}

/* Targets that are the object's own, in a group that may know more. */
static void join_group(struct kube_joiner *j, const struct kube_object *o, struct discovery_sets *out)
{
    struct label_set *group = make_group(j, o);
    for (size_t i = 0; i < o->targets_n; i++) {
        if (group == o->labels) {
            discovery_sets_take(out, label_set_ref(o->targets[i]));
        } else {
            label_set_add_own(o->targets[i], &j->labels);
            end_target(j, group, out);
        }
    }
    label_set_unref(group);
}

/* ---- role pod ---- */

static void join_pod(struct kube_joiner *j, const struct kube_object *pod, struct discovery_sets *out)
{
    if (j->config->attach_node) {
        const struct kube_object *node = look_up(j, KUBE_NODES, STR(""), get(pod->labels, POD "node_name"));
        if (!node)
            return; /* not on a node that the selectors let us see: another agent's */
        put_all(j, node);
    }
    put_namespace(j, pod);
    put_owners(j, pod);
    join_group(j, pod, out);
}

/* ---- roles endpoints and endpointslice ---- */

/* How the two say the same. */
static const struct dialect {
    const char *port; /* label; NULL = only the address has it */
    const char *node, *target_kind, *target_name;
    const char *service; /* label that names the service; it is in the same namespace */
    const char *family;
    bool node_target_first; /* a target of the kind Node goes before the name of the node */
    const char *protocol;   /* the label for a container's port; NULL = the container says it */
} dialects[2] = {
    {NULL, KUBE "endpoint_node_name", KUBE "endpoint_address_target_kind", KUBE "endpoint_address_target_name",
     KUBE "endpoints_name", NULL, false, KUBE "endpoint_port_protocol"},
    {KUBE "endpointslice_port", KUBE "endpointslice_endpoint_node_name", KUBE "endpointslice_address_target_kind",
     KUBE "endpointslice_address_target_name", KUBE "endpointslice_label_kubernetes_io_service_name",
     KUBE "endpointslice_address_type", true, NULL},
};

/* Pods that were met behind the addresses of one object, and which of their ports. */
struct met {
    struct kube_map pods; /* struct kube_object by key */
    struct kube_map ports;
    const struct kube_object **order;
    size_t n, cap;
};

static uint64_t port_key(const struct kube_object *pod, struct str port)
{
    return hash_more(pod->key, port);
}

static void meet(struct met *met, const struct kube_object *pod, struct str port)
{
    if (!kube_map_put(&met->pods, pod->key, (void *)(uintptr_t)pod)) {
        met->order = xgrow(met->order, &met->cap, met->n + 1, sizeof *met->order);
        met->order[met->n++] = pod;
    }
    if (port.n > 0)
        kube_map_put(&met->ports, port_key(pod, port), met);
}

static void put_node(struct kube_joiner *j, const struct dialect *d, const struct label_set *target)
{
    struct str name = get(target, d->node);
    bool is_node = str_eq_c(get(target, d->target_kind), "Node");
    if (is_node && (d->node_target_first || name.n == 0))
        name = get(target, d->target_name);
    if (j->config->attach_node)
        put_all(j, look_up(j, KUBE_NODES, STR(""), name));
}

static struct str port_of(const struct dialect *d, const struct label_set *target)
{
    struct str address = get(target, "__address__");
    if (d->port)
        return get(target, d->port);
    size_t at = address.n;
    while (at > 0 && address.p[at - 1] != ':')
        at--;
    return str_skip(address, at);
}

/* The target of the pod's port: of the last container that has it, the first. */
static const struct label_set *container_of(const struct kube_object *pod, struct str port)
{
    const struct label_set *found = NULL;
    for (size_t i = 0; port.n > 0 && i < pod->targets_n; i++) {
        const struct label_set *t = pod->targets[i];
        if (str_eq(get(t, POD "container_port_number"), port) &&
            (!found || !str_eq(get(found, POD "container_name"), get(t, POD "container_name"))))
            found = t;
    }
    return found;
}

static void put_container(struct kube_joiner *j, const struct dialect *d, const struct label_set *target,
                          const struct label_set *container)
{
    static const char *const names[] = {POD "container_name", POD "container_image", POD "container_init",
                                        POD "container_port_name", POD "container_port_number"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        put(j, names[i], get(container, names[i]));
    put(j, POD "container_port_protocol",
        d->protocol ? get(target, d->protocol) : get(container, POD "container_port_protocol"));
}

static void join_address(struct kube_joiner *j, const struct dialect *d, const struct kube_object *o,
                         const struct label_set *target, struct met *met)
{
    struct str port = port_of(d, target);
    bool is_pod = str_eq_c(get(target, d->target_kind), "Pod");
    const struct kube_object *pod =
        is_pod ? look_up(j, KUBE_PODS, namespace_of(o), get(target, d->target_name)) : NULL;
    label_set_add_own(target, &j->labels);
    put_node(j, d, target);
    if (!pod)
        return;
    put_all(j, pod);
    put_owners(j, pod);
    const struct label_set *container = container_of(pod, port);
    if (container)
        put_container(j, d, target, container);
    meet(met, pod, port);
}

/* Ports of the pods that no address leads to are targets, too. */
static void join_other_ports(struct kube_joiner *j, struct label_set *group, const struct met *met,
                             struct discovery_sets *out)
{
    for (size_t i = 0; i < met->n; i++) {
        const struct kube_object *pod = met->order[i];
        for (size_t k = 0; k < pod->targets_n; k++) {
            struct str port = get(pod->targets[k], POD "container_port_number");
            if (port.n == 0 || kube_map_get(&met->ports, port_key(pod, port)))
                continue;
            label_set_add_own(pod->targets[k], &j->labels);
            labels_del(&j->labels, STR(POD "container_id"));
            put_all(j, pod);
            put_owners(j, pod);
            end_target(j, group, out);
        }
    }
}

/* A service with addresses of both families has a slice for each; the second would double every target. */
static bool is_second_family(const struct dialect *d, const struct kube_object *o, const struct kube_object *service)
{
    if (!d->family || !service || !service->family)
        return false;
    return !str_eq_c(get(o->labels, d->family), service->family == '6' ? "IPv6" : "IPv4");
}

static void join_endpoints(struct kube_joiner *j, const struct dialect *d, const struct kube_object *o,
                           struct discovery_sets *out)
{
    struct met met = {0};
    const struct kube_object *service = look_up(j, KUBE_SERVICES, namespace_of(o), get(o->labels, d->service));
    put_all(j, service);
    put_namespace(j, o);
    struct label_set *group = make_group(j, o);
    bool second = is_second_family(d, o, service);
    for (size_t i = 0; i < o->targets_n && !second; i++) {
        join_address(j, d, o, o->targets[i], &met);
        end_target(j, group, out);
    }
    join_other_ports(j, group, &met, out);
    label_set_unref(group);
    kube_map_free(&met.pods);
    kube_map_free(&met.ports);
    free(met.order);
}

void kube_join_object(struct kube_joiner *j, const struct kube_object *o, struct discovery_sets *out)
{
    j->deps_n = 0;
    labels_clear(&j->labels);
    switch (j->config->role) {
    case CONFIG_KUBE_POD:
        join_pod(j, o, out);
        break;
    case CONFIG_KUBE_ENDPOINTS:
        join_endpoints(j, &dialects[0], o, out);
        break;
    case CONFIG_KUBE_ENDPOINTSLICE:
        join_endpoints(j, &dialects[1], o, out);
        break;
    case CONFIG_KUBE_SERVICE:
    case CONFIG_KUBE_INGRESS:
        put_namespace(j, o);
        join_group(j, o, out);
        break;
    case CONFIG_KUBE_NODE:
    case CONFIG_KUBE_ROLES:
        join_group(j, o, out);
        break;
    }
    labels_clear(&j->labels);
    arena_reset(&j->arena);
}
