/* SPDX-License-Identifier: Apache-2.0 */
/* object_node: nodes, which are scraped at their kubelet. */
#include "object.h"

#include <ctype.h>

#define NODE KUBE "node_"

static struct str lower(struct kube_reader *r, struct str text)
{
    struct str copy = arena_str(&r->arena, text);
    for (size_t i = 0; i < copy.n; i++)
        ((char *)(uintptr_t)copy.p)[i] = (char)tolower((unsigned char)copy.p[i]);
    return copy;
}

/* The first address of the type. */
static struct str address_of(const json_t *addresses, struct str type)
{
    size_t i;
    json_t *address;
    json_array_foreach(addresses, i, address) {
        if (str_eq(kube_text(address, "type"), type))
            return kube_text(address, "address");
    }
    return STR_NULL;
}

static struct str best_address(const json_t *addresses)
{
    static const char *const types[] = {"InternalIP",  "InternalDNS",  "ExternalIP",
                                        "ExternalDNS", "LegacyHostIP", "Hostname"};
    struct str best = STR_NULL;
    for (size_t i = 0; i < sizeof types / sizeof types[0] && best.n == 0; i++)
        best = address_of(addresses, str_of(types[i]));
    return best;
}

void kube_read_node(struct kube_reader *r, const json_t *json)
{
    const json_t *status = json_object_get(json, "status"), *addresses = json_object_get(status, "addresses");
    const json_t *kubelet = json_object_get(json_object_get(status, "daemonEndpoints"), "kubeletEndpoint");
    struct str address = best_address(addresses), port = kube_number(r, kubelet, "Port");
    size_t i;
    json_t *item;
    if (address.n == 0)
        return;
    kube_put(r, "__address__", kube_join(r, address, port.n > 0 ? port : STR("0")));
    kube_put(r, "instance", kube_text(json_object_get(json, "metadata"), "name"));
    kube_put(r, NODE "provider_id", kube_text(json_object_get(json, "spec"), "providerID"));
    json_array_foreach(json_object_get(status, "conditions"), i, item)
        kube_put_under(r, NODE "condition_", lower(r, kube_text(item, "type")), lower(r, kube_text(item, "status")));
    json_array_foreach(addresses, i, item) {
        struct str type = kube_text(item, "type");
        kube_put_under(r, NODE "address_", type, address_of(addresses, type));
    }
    kube_end_target(r);
}
