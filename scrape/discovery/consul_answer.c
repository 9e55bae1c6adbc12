/* SPDX-License-Identifier: Apache-2.0 */
/* consul_answer: Consul's JSON as label sets. Labels: prometheus discovery/consul/consul.go. */
#include "consul_answer.h"

#include "sd_get.h"

#define META "__meta_consul_"

char *consul_datacenter_read(struct str body, struct err *err)
{
    json_t *json = sd_json(body, err);
    struct str datacenter = sd_text(json_object_get(json, "Config"), "Datacenter");
    char *found = datacenter.n > 0 ? str_dup(datacenter) : NULL;
    if (!found)
        err_set(err, "the agent does not tell its datacenter");
    json_decref(json);
    return found;
}

/* ---- services ---- */

static bool has_text(const json_t *list, const char *text)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item) {
        if (json_is_string(item) && strcmp(json_string_value(item), text) == 0)
            return true;
    }
    return false;
}

static bool wanted(const struct config_consul_sd *config, const char *service, const json_t *tags)
{
    bool named = config->services.n == 0, tagged = true;
    for (size_t i = 0; i < config->services.n; i++)
        named |= strcmp(config->services.v[i], service) == 0;
    for (size_t i = 0; i < config->tags.n; i++)
        tagged &= has_text(tags, config->tags.v[i]);
    return named && tagged;
}

bool consul_services_read(struct str body, const struct config_consul_sd *config,
                          void (*fn)(void *ctx, const char *service), void *ctx, struct err *err)
{
    const char *service;
    json_t *tags, *json = sd_json(body, err);
    if (!json_is_object(json)) {
        json_decref(json);
        return err_set(err, "want an object of services");
    }
    json_object_foreach(json, service, tags) {
        if (wanted(config, service, tags))
            fn(ctx, service);
    }
    json_decref(json);
    return true;
}

/* ---- instances ---- */

/* As the API's own client sums up checks; "" when one has a status that it does not know. */
static const char *health(const json_t *checks)
{
    enum { PASSING, WARNING, CRITICAL, MAINTENANCE };
    static const char *const names[] = {"passing", "warning", "critical", "maintenance"};
    size_t i, worst = PASSING;
    json_t *check;
    json_array_foreach(checks, i, check) {
        struct str id = sd_text(check, "CheckID"), status = sd_text(check, "Status");
        bool maintenance = str_eq_c(id, "_node_maintenance") || str_starts(id, STR("_service_maintenance:"));
        size_t is = maintenance ? MAINTENANCE : PASSING;
        while (is < MAINTENANCE && !str_eq_c(status, names[is]))
            is++;
        if (is == MAINTENANCE && !maintenance)
            return "";
        worst = is > worst ? is : worst;
    }
    return names[worst];
}

struct reading {
    struct arena *arena;
    struct labels *labels;
};

static void set(struct reading *r, const char *name, struct str value)
{
    labels_set(r->labels, str_of(name), value);
}

static void set_map(struct reading *r, const char *prefix, const json_t *object)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value) {
        if (json_is_string(value))
            labels_set(r->labels, sd_label_name(r->arena, prefix, key),
                       str_make(json_string_value(value), json_string_length(value)));
    }
}

/* With a separator on both ends too, so that a rule for one tag needs not care for its place. */
static struct str join_tags(struct reading *r, const json_t *tags, const char *separator)
{
    size_t i;
    json_t *tag;
    struct buf out;
    buf_init(&out, SD_BODY_MAX);
    buf_add_c(&out, separator);
    json_array_foreach(tags, i, tag)
        buf_addf(&out, "%s%s", i ? separator : "", json_is_string(tag) ? json_string_value(tag) : "");
    buf_add_c(&out, separator);
    struct str text = arena_str(r->arena, buf_str(&out));
    buf_free(&out);
    return text;
}

static void read_instance(struct reading *r, const json_t *instance, const char *separator)
{
    const json_t *node = json_object_get(instance, "Node"), *service = json_object_get(instance, "Service");
    json_int_t port = json_integer_value(json_object_get(service, "Port"));
    struct str node_address = sd_text(node, "Address"), address = sd_text(service, "Address");
    set(r, "__address__", sd_host_port(r->arena, address.n > 0 ? address : node_address, port));
    set(r, META "address", node_address);
    set(r, META "node", sd_text(node, "Node"));
    set(r, META "namespace", sd_text(service, "Namespace"));
    set(r, META "partition", sd_text(service, "Partition"));
    set(r, META "tags", join_tags(r, json_object_get(service, "Tags"), separator));
    set(r, META "service_address", address);
    set(r, META "service_port", str_of(arena_printf(r->arena, "%lld", (long long)port)));
    set(r, META "service_id", sd_text(service, "ID"));
    set(r, META "health", str_of(health(json_object_get(instance, "Checks"))));
    set_map(r, META "metadata_", json_object_get(node, "Meta"));
    set_map(r, META "service_metadata_", json_object_get(service, "Meta"));
    set_map(r, META "tagged_address_", json_object_get(node, "TaggedAddresses"));
}

static bool read_instances(struct reading *r, const json_t *list, const char *service, const char *datacenter,
                           const char *separator, struct discovery_sets *sets, struct err *err)
{
    size_t i;
    json_t *instance;
    json_array_foreach(list, i, instance) {
        if (!json_is_object(json_object_get(instance, "Node")) || !json_is_object(json_object_get(instance, "Service")))
            return err_set(err, "instance %zu of %s has no Node or no Service", i + 1, service);
        labels_clear(r->labels);
        arena_reset(r->arena);
        read_instance(r, instance, separator);
        set(r, META "service", str_of(service));
        set(r, META "dc", str_of(datacenter));
        discovery_sets_add(sets, r->labels);
    }
    return true;
}

bool consul_health_read(struct str body, const char *service, const char *datacenter, const char *tag_separator,
                        struct discovery_sets *sets, struct err *err)
{
    struct arena arena;
    struct labels labels;
    json_t *json = sd_json(body, err);
    bool good = json_is_array(json) || json_is_null(json);
    if (!good)
        err_set(err, "want a list of instances of %s", service);
    arena_init(&arena);
    labels_init(&labels, &arena);
    struct reading r = {&arena, &labels};
    good = good && read_instances(&r, json, service, datacenter, tag_separator, sets, err);
    labels_free(&labels);
    arena_free(&arena);
    json_decref(json);
    return good;
}
