/* SPDX-License-Identifier: Apache-2.0 */
/* object_pod: pods and their containers. */
#include "object.h"

#include <ctype.h>

#define POD KUBE "pod_"

/* The condition of the type "Ready" in lower case. */
static struct str ready(struct kube_reader *r, const json_t *status)
{
    size_t i;
    json_t *condition;
    json_array_foreach(json_object_get(status, "conditions"), i, condition) {
        if (!str_eq_c(kube_text(condition, "type"), "Ready"))
            continue;
        struct str text = arena_str(&r->arena, kube_text(condition, "status"));
        for (size_t k = 0; k < text.n; k++)
            ((char *)(uintptr_t)text.p)[k] = (char)tolower((unsigned char)text.p[k]);
        return text;
    }
    return STR("unknown");
}

void kube_read_pod_labels(struct kube_reader *r, const json_t *json)
{
    const json_t *metadata = json_object_get(json, "metadata"), *status = json_object_get(json, "status");
    const json_t *controller = kube_controller(metadata);
    kube_put(r, POD "ip", kube_text(status, "podIP"));
    kube_put(r, POD "ready", ready(r, status));
    kube_put(r, POD "phase", kube_text(status, "phase"));
    kube_put(r, POD "node_name", kube_text(json_object_get(json, "spec"), "nodeName"));
    kube_put(r, POD "host_ip", kube_text(status, "hostIP"));
    kube_put(r, POD "uid", kube_text(metadata, "uid"));
    kube_put(r, POD "controller_kind", kube_text(controller, "kind"));
    kube_put(r, POD "controller_name", kube_text(controller, "name"));
}

/* The id that the status has for the container; one not yet started has none. */
static struct str container_id(const json_t *status, struct str name)
{
    static const char *const lists[] = {"containerStatuses", "initContainerStatuses"};
    for (size_t list = 0; list < 2; list++) {
        size_t i;
        json_t *container;
        json_array_foreach(json_object_get(status, lists[list]), i, container) {
            if (str_eq(kube_text(container, "name"), name))
                return kube_text(container, "containerID");
        }
    }
    return STR_NULL;
}

static void put_container(struct kube_reader *r, const json_t *status, const json_t *container, bool init)
{
    struct str name = kube_text(container, "name");
    kube_put(r, POD "container_name", name);
    kube_put(r, POD "container_id", container_id(status, name));
    kube_put(r, POD "container_image", kube_text(container, "image"));
    kube_put(r, POD "container_init", init ? STR("true") : STR("false"));
}

static void read_container(struct kube_reader *r, const json_t *status, const json_t *container, bool init)
{
    struct str ip = kube_text(status, "podIP");
    const json_t *ports = json_object_get(container, "ports");
    size_t i;
    json_t *port;
    if (json_array_size(ports) == 0) {
        put_container(r, status, container, init);
        kube_put(r, "__address__", ip);
        kube_end_target(r);
    }
    json_array_foreach(ports, i, port) {
        struct str number = kube_number(r, port, "containerPort");
        put_container(r, status, container, init);
        kube_put(r, "__address__", kube_join(r, ip, number));
        kube_put(r, POD "container_port_name", kube_text(port, "name"));
        kube_put(r, POD "container_port_number", number);
        kube_put(r, POD "container_port_protocol", kube_text(port, "protocol"));
        kube_end_target(r);
    }
}

void kube_read_pod(struct kube_reader *r, const json_t *json)
{
    const json_t *spec = json_object_get(json, "spec"), *status = json_object_get(json, "status");
    size_t i;
    json_t *container;
    if (kube_text(status, "podIP").n == 0)
        return; /* not started, or evicted */
    json_array_foreach(json_object_get(spec, "containers"), i, container)
        read_container(r, status, container, false);
    json_array_foreach(json_object_get(spec, "initContainers"), i, container)
        read_container(r, status, container, true);
}
