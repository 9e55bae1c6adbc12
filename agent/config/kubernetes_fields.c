/* SPDX-License-Identifier: Apache-2.0 */
/* kubernetes_fields: kubernetes_sd_config. Rules and messages: prometheus discovery/kubernetes/kubernetes.go. */
#include <stdlib.h>

#include "base/alloc.h"
#include "http_fields.h"
#include "sd_fields.h"

#define ROLES "node|pod|service|endpoints|endpointslice|ingress"
#define ROLE_MISSING "role missing (one of: pod, service, endpoints, endpointslice, node, ingress)"

/* The word list's text of a role. */
static struct str role_name(enum config_kube_role role)
{
    struct str rest = STR(ROLES);
    for (unsigned i = 0; i < (unsigned)role; i++)
        rest = str_skip(rest, str_find_char(rest, '|') + 1);
    return str_make(rest.p, str_find_char(rest, '|'));
}

/* ---- namespaces ---- */

#define AT(member) .at = offsetof(struct config_kubernetes_sd, member)

static void load_names_list(struct load *l, const struct node *value, void *to)
{
    struct config_kubernetes_sd *k = to;
    config_texts_free(&k->namespaces);
    k->namespaces = (struct config_texts){0};
    load_config_texts(l, value, "names", &k->namespaces);
}

static void show_names_list(struct dump *d, const struct field *f, const void *from)
{
    const struct config_kubernetes_sd *k = from;
    show_config_texts(d, f->name, &k->namespaces);
}

static const struct field namespaces_fields[] = {
    {"names", FIELD_OWN, .load = load_names_list, .show = show_names_list, .help = "these only; none is all"},
    {"own_namespace", FIELD_BOOL, AT(own_namespace), .standard = "false",
     .help = "the namespace that the agent's own pod is in, besides names"},
};

static const struct section section_namespaces = {
    .name = "namespaces",
    .help = "where to look",
    FIELDS(namespaces_fields),
};

/* ---- attach_metadata ---- */

static const struct field attach_fields[] = {
    {"node", FIELD_BOOL, AT(attach_node), .standard = "false",
     .help = "labels of the node; pods without a known node are left out"},
    {"namespace", FIELD_BOOL, AT(attach_namespace), .standard = "false", .help = "labels of the namespace"},
    {"deployment", FIELD_BOOL, AT(attach_deployment), .standard = "false",
     .help = "the name of a pod's Deployment, from its ReplicaSet"},
    {"job", FIELD_BOOL, AT(attach_job), .standard = "false", .help = "the name of a pod's Job"},
    {"cronjob", FIELD_BOOL, AT(attach_cronjob), .standard = "false",
     .help = "the name of a pod's CronJob, from its Job"},
};

static const struct section section_attach = {
    .name = "attach_metadata",
    .help = "what else to look up for each target",
    FIELDS(attach_fields),
};

/* ---- selectors ---- */

#undef AT
#define AT(member) .at = offsetof(struct config_kube_selector, member)

static void check_selector(struct load *l, const struct node *node, void *to)
{
    (void)to;
    if (!field_given(node, "role"))
        problem_add(&l->problems, node->at, ROLE_MISSING);
}

static const struct field selector_fields[] = {
    {"role", FIELD_ENUM, AT(role), .words = ROLES, .help = "of which objects"},
    {"label", FIELD_TEXT, AT(label), .help = "a label selector, as kubectl -l takes it"},
    {"field", FIELD_TEXT, AT(field), .help = "a field selector, as kubectl --field-selector takes it"},
};

static const struct section section_selector = {
    .name = "selectors",
    .help = "which objects the API server sends at all",
    FIELDS(selector_fields),
    .check = check_selector,
};

#undef AT
#define AT(member) .at = offsetof(struct config_sd, kubernetes.member)

static void load_selectors(struct load *l, const struct node *value, void *to)
{
    struct config_kubernetes_sd *k = &((struct config_sd *)to)->kubernetes;
    if (!node_is_list(l, value, "selectors") || value->n == 0)
        return;
    k->selectors = xcalloc(value->n, sizeof *k->selectors);
    for (size_t i = 0; i < value->n; i++) {
        const struct node *item = node_map_at(l, value, i, "selectors", "empty or null section in selectors");
        if (!item)
            continue;
        struct config_kube_selector *s = &k->selectors[k->selectors_n];
        section_load(l, &section_selector, item, s);
        bool twice = false;
        for (size_t j = 0; j < k->selectors_n; j++)
            twice |= k->selectors[j].role == s->role;
        k->selectors_n++;
        if (twice)
            problem_add(&l->problems, item->at, "duplicated selector role: %.*s", STR_ARG(role_name(s->role)));
    }
}

static void show_selectors(struct dump *d, const struct field *f, const void *from)
{
    const struct config_kubernetes_sd *k = &((const struct config_sd *)from)->kubernetes;
    if (k->selectors_n == 0)
        return;
    dump_name(d, f->name);
    for (size_t i = 0; i < k->selectors_n; i++) {
        d->indent += 2;
        d->dash = true;
        section_dump(d, &section_selector, &k->selectors[i]);
        d->indent -= 2;
    }
}

/* ---- the entry ---- */

/* Which roles of selectors make sense for a role; as a list for people and as bits. */
static const struct {
    const char *names;
    unsigned bits;
} allowed[CONFIG_KUBE_ROLES] = {
    [CONFIG_KUBE_NODE] = {"node", 1U << CONFIG_KUBE_NODE},
    [CONFIG_KUBE_POD] = {"pod, node", 1U << CONFIG_KUBE_POD | 1U << CONFIG_KUBE_NODE},
    [CONFIG_KUBE_SERVICE] = {"service", 1U << CONFIG_KUBE_SERVICE},
    [CONFIG_KUBE_ENDPOINTS] = {"pod, service, endpoints",
                               1U << CONFIG_KUBE_POD | 1U << CONFIG_KUBE_SERVICE | 1U << CONFIG_KUBE_ENDPOINTS},
    [CONFIG_KUBE_ENDPOINTSLICE] = {"pod, service, endpointslice", 1U << CONFIG_KUBE_POD | 1U << CONFIG_KUBE_SERVICE |
                                                                      1U << CONFIG_KUBE_ENDPOINTSLICE},
    [CONFIG_KUBE_INGRESS] = {"ingress", 1U << CONFIG_KUBE_INGRESS},
};

static void check_selectors(struct load *l, const struct node *node, const struct config_kubernetes_sd *k)
{
    for (size_t i = 0; i < k->selectors_n; i++) {
        if (!(allowed[k->role].bits & 1U << k->selectors[i].role))
            problem_add(&l->problems, field_place(node, "selectors"), "%.*s role supports only %s selectors",
                        STR_ARG(role_name(k->role)), allowed[k->role].names);
    }
}

/* The first field of the HTTP client's that the entry has, unless all of them are as they would be without. */
static const char *http_field(struct load *l, const struct node *node, const struct config_sd *sd)
{
    const char *name = NULL;
    struct http_options usual = {0};
    section_defaults(l, &section_http, &usual);
    bool is_usual = section_hash(&section_http, &usual) == section_hash(&section_http, &sd->http);
    http_options_free(&usual);
    for (const struct section *s = is_usual ? NULL : &section_http; s && !name; s = s->more) {
        for (size_t i = 0; i < s->fields_n && !name; i++)
            name = field_given(node, s->fields[i].name) ? s->fields[i].name : NULL;
    }
    return name;
}

static void check_kubernetes(struct load *l, const struct node *node, void *to)
{
    const struct config_kubernetes_sd *k = &((const struct config_sd *)to)->kubernetes;
    struct problems *p = &l->problems;
    const char *http = http_field(l, node, to);
    if (!field_given(node, "role"))
        problem_add(p, node->at, ROLE_MISSING);
    else
        check_selectors(l, node, k);
    if (k->api_server && k->kubeconfig_file)
        problem_add(p, field_place(node, "kubeconfig_file"),
                    "cannot use 'kubeconfig_file' and 'api_server' simultaneously");
    if (k->kubeconfig_file && http)
        problem_add(p, field_place(node, http),
                    "cannot use a custom HTTP client configuration together with 'kubeconfig_file'");
    else if (!k->api_server && http)
        problem_add(p, field_place(node, http),
                    "to use custom HTTP client configuration please provide the 'api_server' URL explicitly");
    if (k->api_server && k->own_namespace)
        problem_add(p, field_place(node, "namespaces"),
                    "cannot use 'api_server' and 'namespaces.own_namespace' simultaneously");
    if (k->kubeconfig_file && k->own_namespace)
        problem_add(p, field_place(node, "namespaces"),
                    "cannot use 'kubeconfig_file' and 'namespaces.own_namespace' simultaneously");
}

static const struct field kubernetes_sd_fields[] = {
    {"role", FIELD_ENUM, AT(role), .words = ROLES, .help = "which objects become targets"},
    {"api_server", FIELD_URL, AT(api_server),
     .help = "the API server's URL; unless given, the cluster around the agent, with the service account's token"},
    {"kubeconfig_file", FIELD_FILE, AT(kubeconfig_file),
     .help = "a kubectl configuration: its current context, with a token, certificates or a password"},
    {"namespaces", FIELD_SECTION, .at = offsetof(struct config_sd, kubernetes), .section = &section_namespaces,
     .help = "where to look"},
    {"selectors", FIELD_OWN, .load = load_selectors, .show = show_selectors, .section = &section_selector,
     .help = "which objects the API server sends at all, by role"},
    {"attach_metadata", FIELD_SECTION, .at = offsetof(struct config_sd, kubernetes), .section = &section_attach,
     .help = "what else to look up for each target"},
};

const struct section section_kubernetes_sd = {
    .name = "kubernetes_sd_config",
    .help = "targets from a Kubernetes API server",
    FIELDS(kubernetes_sd_fields),
    .more = &section_http,
    .more_at = offsetof(struct config_sd, http),
    .check = check_kubernetes,
};
