/* SPDX-License-Identifier: Apache-2.0 */
/* object_endpoints: Endpoints and EndpointSlices, what they say themselves. Pods and services are joined by join.c. */
#include "object.h"

#define ENDPOINT KUBE "endpoint_"
#define SLICE KUBE "endpointslice_"

/* ---- Endpoints ---- */

static void read_addresses(struct kube_reader *r, const json_t *addresses, const json_t *port, struct str ready)
{
    size_t i;
    json_t *address;
    json_array_foreach(addresses, i, address) {
        const json_t *target = json_object_get(address, "targetRef");
        kube_put(r, "__address__", kube_join(r, kube_text(address, "ip"), kube_number(r, port, "port")));
        kube_put(r, ENDPOINT "port_name", kube_text(port, "name"));
        kube_put(r, ENDPOINT "port_protocol", kube_text(port, "protocol"));
        kube_put(r, ENDPOINT "ready", ready);
        kube_put(r, ENDPOINT "address_target_kind", kube_text(target, "kind"));
        kube_put(r, ENDPOINT "address_target_name", kube_text(target, "name"));
        kube_put(r, ENDPOINT "node_name", kube_text(address, "nodeName"));
        kube_put(r, ENDPOINT "hostname", kube_text(address, "hostname"));
        kube_end_target(r);
    }
}

void kube_read_endpoints(struct kube_reader *r, const json_t *json)
{
    size_t i, k;
    json_t *subset, *port;
    json_array_foreach(json_object_get(json, "subsets"), i, subset) {
        json_array_foreach(json_object_get(subset, "ports"), k, port) {
            read_addresses(r, json_object_get(subset, "addresses"), port, STR("true"));
            read_addresses(r, json_object_get(subset, "notReadyAddresses"), port, STR("false"));
        }
    }
}

/* ---- EndpointSlices ---- */

static void put_condition(struct kube_reader *r, const char *name, const json_t *conditions, const char *member)
{
    const json_t *condition = json_object_get(conditions, member);
    if (json_is_boolean(condition))
        kube_put(r, name, json_is_true(condition) ? STR("true") : STR("false"));
}

static void put_topology(struct kube_reader *r, const json_t *topology)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)topology, key, value) {
        kube_put_under(r, SLICE "endpoint_topology_", str_of(key), str_of(json_string_value(value)));
        kube_put_under(r, SLICE "endpoint_topology_present_", str_of(key), STR("true"));
    }
}

static void put_endpoint(struct kube_reader *r, const json_t *endpoint)
{
    const json_t *conditions = json_object_get(endpoint, "conditions");
    const json_t *target = json_object_get(endpoint, "targetRef");
    const json_t *topology = json_object_get(endpoint, "deprecatedTopology"); /* v1beta1 calls it topology */
    put_condition(r, SLICE "endpoint_conditions_ready", conditions, "ready");
    put_condition(r, SLICE "endpoint_conditions_serving", conditions, "serving");
    put_condition(r, SLICE "endpoint_conditions_terminating", conditions, "terminating");
    kube_put(r, SLICE "endpoint_hostname", kube_text(endpoint, "hostname"));
    kube_put(r, SLICE "endpoint_node_name", kube_text(endpoint, "nodeName"));
    kube_put(r, SLICE "endpoint_zone", kube_text(endpoint, "zone"));
    kube_put(r, SLICE "address_target_kind", kube_text(target, "kind"));
    kube_put(r, SLICE "address_target_name", kube_text(target, "name"));
    put_topology(r, topology ? topology : json_object_get(endpoint, "topology"));
}

static void put_port(struct kube_reader *r, const json_t *port, struct str address)
{
    struct str number = kube_number(r, port, "port");
    kube_put(r, "__address__", number.n > 0 ? kube_join(r, address, number) : address);
    kube_put(r, SLICE "port", number);
    kube_put(r, SLICE "port_name", kube_text(port, "name"));
    kube_put(r, SLICE "port_protocol", kube_text(port, "protocol"));
    kube_put(r, SLICE "port_app_protocol", kube_text(port, "appProtocol"));
}

static void read_endpoint(struct kube_reader *r, const json_t *endpoint, const json_t *ports)
{
    size_t i, k;
    json_t *port, *address;
    json_array_foreach(ports, i, port) {
        json_array_foreach(json_object_get(endpoint, "addresses"), k, address) {
            put_port(r, port, str_of(json_string_value(address)));
            put_endpoint(r, endpoint);
            kube_end_target(r);
        }
    }
}

void kube_read_slice_labels(struct kube_reader *r, const json_t *json)
{
    kube_put(r, SLICE "address_type", kube_text(json, "addressType"));
}

void kube_read_slice(struct kube_reader *r, const json_t *json)
{
    const json_t *ports = json_object_get(json, "ports");
    size_t i;
    json_t *endpoint;
    json_array_foreach(json_object_get(json, "endpoints"), i, endpoint)
        read_endpoint(r, endpoint, ports);
}
