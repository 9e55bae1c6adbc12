/* SPDX-License-Identifier: Apache-2.0 */
/* object_service: services, one target for each port. */
#include "object.h"

#define SERVICE KUBE "service_"

/* The addresses that the load balancer got, else the one that was asked for. */
static struct str balancer(struct kube_reader *r, const json_t *json)
{
    const json_t *status = json_object_get(json_object_get(json, "status"), "loadBalancer");
    struct str all = STR_NULL;
    size_t i;
    json_t *ingress;
    json_array_foreach(json_object_get(status, "ingress"), i, ingress) {
        struct str ip = kube_text(ingress, "ip");
        if (ip.n > 0)
            all = all.n == 0 ? ip : str_of(arena_printf(&r->arena, "%.*s,%.*s", STR_ARG(all), STR_ARG(ip)));
    }
    return all.n > 0 ? all : kube_text(json_object_get(json, "spec"), "loadBalancerIP");
}

void kube_read_service(struct kube_reader *r, const json_t *json)
{
    const json_t *metadata = json_object_get(json, "metadata"), *spec = json_object_get(json, "spec");
    struct str name = kube_text(metadata, "name"), namespace = kube_text(metadata, "namespace");
    struct str host = str_of(arena_printf(&r->arena, "%.*s.%.*s.svc", STR_ARG(name), STR_ARG(namespace)));
    struct str type = kube_text(spec, "type");
    size_t i;
    json_t *port;
    json_array_foreach(json_object_get(spec, "ports"), i, port) {
        struct str number = kube_number(r, port, "port");
        kube_put(r, "__address__", kube_join(r, host, number));
        kube_put(r, SERVICE "port_name", kube_text(port, "name"));
        kube_put(r, SERVICE "port_number", number);
        kube_put(r, SERVICE "port_protocol", kube_text(port, "protocol"));
        kube_put(r, SERVICE "type", type);
        if (str_eq_c(type, "ExternalName"))
            kube_put(r, SERVICE "external_name", kube_text(spec, "externalName"));
        else
            kube_put(r, SERVICE "cluster_ip", kube_text(spec, "clusterIP"));
        if (str_eq_c(type, "LoadBalancer"))
            kube_put(r, SERVICE "loadbalancer_ip", balancer(r, json));
        kube_end_target(r);
    }
}

char kube_read_service_family(const json_t *json)
{
    const json_t *spec = json_object_get(json, "spec");
    struct str policy = kube_text(spec, "ipFamilyPolicy");
    const char *first = json_string_value(json_array_get(json_object_get(spec, "ipFamilies"), 0));
    bool two = str_eq_c(policy, "PreferDualStack") || str_eq_c(policy, "RequireDualStack");
    char family = '\0';
    if (two && first)
        family = str_eq_c(str_of(first), "IPv6") ? '6' : '4';
    return family;
}
