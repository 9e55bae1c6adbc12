/* SPDX-License-Identifier: Apache-2.0 */
/* test_kubernetes: pieces of answers, objects as labels, the map, label sets over a base. */
#include "unit.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "scrape/kubernetes/map.h"
#include "scrape/kubernetes/object.h"
#include "scrape/kubernetes/split.h"

/* ---- split ---- */

static bool note_piece(void *ctx, bool item, struct str json, struct err *err)
{
    (void)err;
    return buf_addf(ctx, "%s%.*s\n", item ? "" : "meta ", STR_ARG(json));
}

struct split_case {
    enum split_mode mode;
    const char *text;
    const char *pieces;
    const char *error; /* NULL = none */
    bool whole;
};

static const struct split_case split_cases[] = {
    {SPLIT_LIST, "{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"7\"},\"items\":[{\"a\":1},{\"b\":[2]}]}",
     "meta {\"resourceVersion\":\"7\"}\n{\"a\":1}\n{\"b\":[2]}\n", NULL, true},
    /* The metadata may come last; white space goes, but not that of strings. */
    {SPLIT_LIST, "{ \"items\" : [ { \"a\" : \" { [ \" } ] , \"metadata\" : { } }\n", "{\"a\":\" { [ \"}\nmeta {}\n",
     NULL, true},
    {SPLIT_LIST, "{\"items\":null,\"metadata\":{\"continue\":\"x\"}}", "meta {\"continue\":\"x\"}\n", NULL, true},
    {SPLIT_LIST, "{\"items\":[]}", "", NULL, true},
    /* Neither a string that looks like a key nor another object's items count. */
    {SPLIT_LIST, "{\"x\":\"items\",\"y\":[{\"a\":1}],\"spec\":{\"items\":[{\"b\":1}],\"metadata\":{\"c\":1}}}", "",
     NULL, true},
    /* Quotes and backslashes in strings. */
    {SPLIT_WATCH, "{\"a\":\"\\\"}\\\\\"}{\"b\":\"\\\\\\\"{\"}", "{\"a\":\"\\\"}\\\\\"}\n{\"b\":\"\\\\\\\"{\"}\n", NULL,
     true},
    /* What labels never need is left out, labels of those names are not. */
    {SPLIT_WATCH,
     "{\"managedFields\":[{\"f\":{\"x\":{}}}],\"env\":[1,[2]],\"labels\":{\"env\":\"prod\",\"volumes\":\"many\"},"
     "\"volumes\":{\"env\":{}},\"last\":1}",
     "{\"managedFields\":null,\"env\":null,\"labels\":{\"env\":\"prod\",\"volumes\":\"many\"},\"volumes\":null,"
     "\"last\":1}\n",
     NULL, true},
    {SPLIT_WATCH, "{\"a\":1}\n{\"b\":", "{\"a\":1}\n", NULL, false},
    {SPLIT_WATCH, "{\"a\":\"x", "", NULL, false},
    {SPLIT_WATCH, "", "", NULL, true},
    {SPLIT_LIST, "[{\"a\":1}]", "", "byte 0: a list where an object is expected", true},
    {SPLIT_WATCH, "{\"a\":1]", "", "byte 6: ']' closes nothing", false},
    {SPLIT_WATCH, "}", "", "byte 0: '}' closes nothing", true},
    {SPLIT_WATCH, "null", "", "byte 0: 'n' where an object is expected", true},
    {SPLIT_WATCH, "<html>", "", "byte 0: '<' where an object is expected", true},
};

static void check_split(const struct split_case *c, size_t step)
{
    struct buf pieces;
    struct err err = {0};
    struct split s;
    buf_init(&pieces, 1 << 20);
    split_init(&s, c->mode, note_piece, &pieces);
    bool ok = true;
    size_t n = strlen(c->text);
    for (size_t at = 0; ok && at < n; at += step)
        ok = split_feed(&s, str_make(c->text + at, n - at < step ? n - at : step), &err);
    assert_string_equal(buf_c(&pieces), c->pieces);
    assert_string_equal(err.msg, c->error ? c->error : "");
    assert_int_equal(ok, c->error == NULL);
    if (ok)
        assert_int_equal(split_is_whole(&s), c->whole);
    split_free(&s);
    buf_free(&pieces);
}

static void cut_anywhere_the_pieces_are_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(split_cases); i++) {
        for (size_t step = 1; step <= 16; step++)
            check_split(&split_cases[i], step);
        check_split(&split_cases[i], 4096);
    }
}

static void depth_and_size_are_bounded(void **state)
{
    (void)state;
    struct err err = {0};
    struct buf pieces, text;
    struct split s;
    buf_init(&pieces, 1 << 20);
    buf_init(&text, SPLIT_OBJECT_MAX + 1000);
    for (int i = 0; i < SPLIT_DEPTH_MAX; i++)
        buf_add_c(&text, "{\"a\":");
    split_init(&s, SPLIT_WATCH, note_piece, &pieces);
    assert_true(split_feed(&s, buf_str(&text), &err));
    assert_false(split_feed(&s, STR("{"), &err));
    assert_string_equal(err.msg, "byte 320: more than 64 levels");
    split_free(&s);

    err_clear(&err);
    buf_clear(&text);
    buf_add_c(&text, "{\"a\":\"");
    for (size_t i = 0; i < SPLIT_OBJECT_MAX; i++)
        buf_add_char(&text, 'x');
    buf_add_c(&text, "\"}");
    split_init(&s, SPLIT_WATCH, note_piece, &pieces);
    assert_false(split_feed(&s, buf_str(&text), &err));
    assert_non_null(strstr(err.msg, "an object of more than 8 MiB"));
    split_free(&s);
    buf_free(&text);
    buf_free(&pieces);
}

/* ---- map ---- */

/* Against a table that needs no cleverness; keys collide on purpose. */
static void map_keeps_what_is_put(void **state)
{
    (void)state;
    enum { KEYS = 500 };
    static int values[KEYS];
    void *wanted[KEYS] = {0};
    struct kube_map map = {0};
    uint64_t random = 7;
    assert_null(kube_map_get(&map, 1));
    assert_null(kube_map_del(&map, 1));
    for (int round = 0; round < 20000; round++) {
        random = hash_bytes(&random, sizeof random);
        size_t i = random % KEYS;
        uint64_t key = (i % 7) + (i << 32);
        void *old = random >> 20 & 1 ? kube_map_put(&map, key, &values[i]) : kube_map_del(&map, key);
        assert_ptr_equal(old, wanted[i]);
        wanted[i] = random >> 20 & 1 ? &values[i] : NULL;
    }
    size_t n = 0;
    for (size_t i = 0; i < KEYS; i++) {
        assert_ptr_equal(kube_map_get(&map, (i % 7) + (i << 32)), wanted[i]);
        n += wanted[i] != NULL;
    }
    assert_int_equal(map.n, n);
    kube_map_free(&map);
}

/* ---- label sets over a base ---- */

static void format_set(const struct label_set *s, struct buf *out)
{
    struct labels l;
    labels_init(&l, NULL);
    label_set_add(s, &l);
    labels_format(&l, out);
    buf_add_char(out, '\n');
    labels_free(&l);
}

static void set_over_a_base(void **state)
{
    (void)state;
    struct label_names *names = label_names_new();
    struct label base_v[] = {{STR("b"), STR("1")}, {STR("d"), STR("2")}, {STR("f"), STR("3")}};
    struct label own_v[] = {{STR("d"), STR("own")}, {STR("a"), STR("0")}, {STR("g"), STR("9")}, {STR("e"), STR("")}};
    struct label flat_v[] = {{STR("a"), STR("0")}, {STR("b"), STR("1")}, {STR("d"), STR("own")},
                             {STR("f"), STR("3")}, {STR("g"), STR("9")}};
    struct label_set *base = label_set_new(names, &(struct labels){.v = base_v, .n = 3});
    struct label_set *over = label_set_over(names, base, &(struct labels){.v = own_v, .n = 4});
    struct label_set *flat = label_set_new(NULL, &(struct labels){.v = flat_v, .n = 5});
    struct buf text;
    buf_init(&text, 1 << 16);
    format_set(over, &text);
    assert_string_equal(buf_c(&text), "{a=\"0\",b=\"1\",d=\"own\",f=\"3\",g=\"9\"}\n");
    assert_true(label_set_equal(over, flat));
    assert_false(label_set_equal(over, base));
    assert_true(str_eq_c(label_set_get(over, STR("d")), "own"));
    assert_true(str_eq_c(label_set_get(over, STR("f")), "3"));
    assert_null(label_set_get(over, STR("e")).p);
    label_set_unref(base); /* the other one keeps it */
    buf_clear(&text);
    format_set(over, &text);
    assert_string_equal(buf_c(&text), "{a=\"0\",b=\"1\",d=\"own\",f=\"3\",g=\"9\"}\n");
    buf_free(&text);
    label_set_unref(over);
    label_set_unref(flat);
    label_names_release(names);
}

/* ---- objects ---- */

struct object_case {
    enum kube_kind kind;
    const char *json;   /* ' stands for " */
    const char *labels; /* of the whole object, then a line for each target's own ones; M_ is __meta_kubernetes_ */
};

static const struct object_case object_cases[] = {
    {KUBE_NODES,
     "{'metadata':{'name':'n1','labels':{'a.b/c':'x'},'annotations':{'d':''}},'spec':{'providerID':'k3s://n1'},"
     "'status':{'addresses':[{'type':'Hostname','address':'n1.local'},{'type':'InternalIP','address':'10.0.0.1'},"
     "{'type':'InternalIP','address':'fd00::1'}],'conditions':[{'type':'Ready','status':'True'},"
     "{'type':'DiskPressure','status':'Unknown'}],'daemonEndpoints':{'kubeletEndpoint':{'Port':10250}}}}",
     "{M_node_annotationpresent_d=\"true\",M_node_label_a_b_c=\"x\",M_node_labelpresent_a_b_c=\"true\","
     "M_node_name=\"n1\"}\n"
     "{__address__=\"10.0.0.1:10250\",M_node_address_Hostname=\"n1.local\",M_node_address_InternalIP=\"10.0.0.1\","
     "M_node_condition_diskpressure=\"unknown\",M_node_condition_ready=\"true\",M_node_provider_id=\"k3s://n1\","
     "instance=\"n1\"}\n"},
    {KUBE_NODES, "{'metadata':{'name':'n1'},'status':{}}", "{M_node_name=\"n1\"}\n"},
    {KUBE_PODS,
     "{'metadata':{'name':'p','namespace':'ns','uid':'u','ownerReferences':[{'kind':'X','name':'no'},"
     "{'kind':'ReplicaSet','name':'rs','controller':true}]},'spec':{'nodeName':'n1','containers':[{'name':'c',"
     "'image':'i:1','ports':[{'name':'m','containerPort':8000,'protocol':'TCP'}]},{'name':'d','image':'j'}],"
     "'initContainers':[{'name':'e','image':'k','ports':[{'containerPort':1,'protocol':'UDP'}]}]},"
     "'status':{'phase':'Running','podIP':'fd00::2','hostIP':'10.0.0.1','conditions':[{'type':'Ready',"
     "'status':'False'}],'containerStatuses':[{'name':'c','containerID':'cri://1'}],"
     "'initContainerStatuses':[{'name':'e','containerID':'cri://2'}]}}",
     "{M_namespace=\"ns\",M_pod_controller_kind=\"ReplicaSet\",M_pod_controller_name=\"rs\",M_pod_host_ip=\"10.0.0.1\","
     "M_pod_ip=\"fd00::2\",M_pod_name=\"p\",M_pod_node_name=\"n1\",M_pod_phase=\"Running\",M_pod_ready=\"false\","
     "M_pod_uid=\"u\"}\n"
     "{__address__=\"[fd00::2]:8000\",M_pod_container_id=\"cri://1\",M_pod_container_image=\"i:1\","
     "M_pod_container_init=\"false\",M_pod_container_name=\"c\",M_pod_container_port_name=\"m\","
     "M_pod_container_port_number=\"8000\",M_pod_container_port_protocol=\"TCP\"}\n"
     "{__address__=\"fd00::2\",M_pod_container_image=\"j\",M_pod_container_init=\"false\",M_pod_container_name=\"d\"}\n"
     "{__address__=\"[fd00::2]:1\",M_pod_container_id=\"cri://2\",M_pod_container_image=\"k\","
     "M_pod_container_init=\"true\",M_pod_container_name=\"e\",M_pod_container_port_number=\"1\","
     "M_pod_container_port_protocol=\"UDP\"}\n"},
    {KUBE_PODS, "{'metadata':{'name':'p','namespace':'ns'},'spec':{'containers':[{'name':'c'}]},'status':{}}",
     "{M_namespace=\"ns\",M_pod_name=\"p\",M_pod_ready=\"unknown\"}\n"},
    {KUBE_SERVICES,
     "{'metadata':{'name':'s','namespace':'ns'},'spec':{'type':'LoadBalancer','clusterIP':'10.1.0.1','ports':"
     "[{'name':'http','port':80,'protocol':'TCP'}]},'status':{'loadBalancer':{'ingress':[{'ip':'1.2.3.4'},"
     "{'hostname':'x'},{'ip':'1.2.3.5'}]}}}",
     "{M_namespace=\"ns\",M_service_name=\"s\"}\n"
     "{__address__=\"s.ns.svc:80\",M_service_cluster_ip=\"10.1.0.1\",M_service_loadbalancer_ip=\"1.2.3.4,1.2.3.5\","
     "M_service_port_name=\"http\",M_service_port_number=\"80\",M_service_port_protocol=\"TCP\","
     "M_service_type=\"LoadBalancer\"}\n"},
    {KUBE_SERVICES,
     "{'metadata':{'name':'s','namespace':'ns'},'spec':{'type':'ExternalName','externalName':'e.com','ports':"
     "[{'port':80}]}}",
     "{M_namespace=\"ns\",M_service_name=\"s\"}\n"
     "{__address__=\"s.ns.svc:80\",M_service_external_name=\"e.com\",M_service_port_number=\"80\","
     "M_service_type=\"ExternalName\"}\n"},
    {KUBE_ENDPOINTS,
     "{'metadata':{'name':'e','namespace':'ns'},'subsets':[{'addresses':[{'ip':'10.0.0.1','hostname':'h',"
     "'nodeName':'n','targetRef':{'kind':'Pod','name':'p'}}],'notReadyAddresses':[{'ip':'10.0.0.2'}],"
     "'ports':[{'name':'m','port':9,'protocol':'TCP'}]}]}",
     "{M_endpoints_name=\"e\",M_namespace=\"ns\"}\n"
     "{__address__=\"10.0.0.1:9\",M_endpoint_address_target_kind=\"Pod\",M_endpoint_address_target_name=\"p\","
     "M_endpoint_hostname=\"h\",M_endpoint_node_name=\"n\",M_endpoint_port_name=\"m\",M_endpoint_port_protocol=\"TCP\","
     "M_endpoint_ready=\"true\"}\n"
     "{__address__=\"10.0.0.2:9\",M_endpoint_port_name=\"m\",M_endpoint_port_protocol=\"TCP\","
     "M_endpoint_ready=\"false\"}\n"},
    {KUBE_SLICES,
     "{'metadata':{'name':'e','namespace':'ns'},'addressType':'IPv4','ports':[{'name':'','port':9,'protocol':'TCP',"
     "'appProtocol':'h2'},{}],'endpoints':[{'addresses':['10.0.0.1'],'conditions':{'ready':true,'serving':false},"
     "'hostname':'h','nodeName':'n','zone':'z','targetRef':{'kind':'Pod','name':'p'},"
     "'deprecatedTopology':{'a/b':'c'}}]}",
     "{M_endpointslice_address_type=\"IPv4\",M_endpointslice_name=\"e\",M_namespace=\"ns\"}\n"
     "{__address__=\"10.0.0.1:9\",M_endpointslice_address_target_kind=\"Pod\","
     "M_endpointslice_address_target_name=\"p\","
     "M_endpointslice_endpoint_conditions_ready=\"true\",M_endpointslice_endpoint_conditions_serving=\"false\","
     "M_endpointslice_endpoint_hostname=\"h\",M_endpointslice_endpoint_node_name=\"n\","
     "M_endpointslice_endpoint_topology_a_b=\"c\",M_endpointslice_endpoint_topology_present_a_b=\"true\","
     "M_endpointslice_endpoint_zone=\"z\",M_endpointslice_port=\"9\",M_endpointslice_port_app_protocol=\"h2\","
     "M_endpointslice_port_protocol=\"TCP\"}\n"
     "{__address__=\"10.0.0.1\",M_endpointslice_address_target_kind=\"Pod\","
     "M_endpointslice_address_target_name=\"p\","
     "M_endpointslice_endpoint_conditions_ready=\"true\",M_endpointslice_endpoint_conditions_serving=\"false\","
     "M_endpointslice_endpoint_hostname=\"h\",M_endpointslice_endpoint_node_name=\"n\","
     "M_endpointslice_endpoint_topology_a_b=\"c\",M_endpointslice_endpoint_topology_present_a_b=\"true\","
     "M_endpointslice_endpoint_zone=\"z\"}\n"},
    {KUBE_INGRESSES,
     "{'metadata':{'name':'i','namespace':'ns'},'spec':{'ingressClassName':'nginx','tls':[{'hosts':['*.a.com','b']}],"
     "'rules':[{'host':'x.a.com','http':{'paths':[{'path':'/y'},{}]}},{'host':'x.y.a.com'}]}}",
     "{M_ingress_name=\"i\",M_namespace=\"ns\"}\n"
     "{__address__=\"x.a.com\",M_ingress_class_name=\"nginx\",M_ingress_host=\"x.a.com\",M_ingress_path=\"/y\","
     "M_ingress_scheme=\"https\"}\n"
     "{__address__=\"x.a.com\",M_ingress_class_name=\"nginx\",M_ingress_host=\"x.a.com\",M_ingress_path=\"/\","
     "M_ingress_scheme=\"https\"}\n"
     "{__address__=\"x.y.a.com\",M_ingress_class_name=\"nginx\",M_ingress_host=\"x.y.a.com\",M_ingress_path=\"/\","
     "M_ingress_scheme=\"http\"}\n"},
    {KUBE_NAMESPACES, "{'metadata':{'name':'ns','labels':{'t':'v'}}}",
     "{M_namespace_label_t=\"v\",M_namespace_labelpresent_t=\"true\"}\n"},
    {KUBE_REPLICASETS,
     "{'metadata':{'name':'rs','ownerReferences':[{'kind':'Deployment','name':'d','controller':true}]}}",
     "{owner=\"d\"}\n"},
    {KUBE_REPLICASETS, "{'metadata':{'name':'rs','ownerReferences':[{'kind':'Rollout','name':'d','controller':true}]}}",
     "{}\n"},
    {KUBE_JOBS, "{'metadata':{'name':'j','ownerReferences':[{'kind':'CronJob','name':'c','controller':true}]}}",
     "{owner=\"c\"}\n"},
    /* Whatever is not as it should be is not there. */
    {KUBE_PODS, "{'metadata':{'name':'p','labels':[1],'annotations':'x','ownerReferences':{}},'spec':7,'status':[]}",
     "{M_pod_name=\"p\",M_pod_ready=\"unknown\"}\n"},
};

static json_t *json_of(const char *quoted)
{
    char *text = xstrdup(quoted);
    for (char *p = text; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    free(text);
    return json;
}

/* With __meta_kubernetes_ as M_. */
static char *shortened(const char *text)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    while (*text) {
        bool prefix = strncmp(text, KUBE, strlen(KUBE)) == 0;
        if (prefix)
            buf_add_c(&out, "M_");
        else
            buf_add_char(&out, *text);
        text += prefix ? strlen(KUBE) : 1;
    }
    return buf_take(&out);
}

static void format_own(const struct label_set *s, struct buf *out)
{
    struct labels l;
    labels_init(&l, NULL);
    label_set_add_own(s, &l);
    labels_format(&l, out);
    buf_add_char(out, '\n');
    labels_free(&l);
}

static void objects_become_labels(void **state)
{
    (void)state;
    struct kube_reader r;
    struct label_names *names = label_names_new();
    kube_reader_init(&r, names);
    for (size_t i = 0; i < ROWS(object_cases); i++) {
        struct buf text;
        struct err err = {0};
        json_t *json = json_of(object_cases[i].json);
        buf_init(&text, 1 << 20);
        struct kube_object *o = kube_object_read(&r, object_cases[i].kind, json, NULL, &err);
        assert_non_null(o);
        format_set(o->labels, &text);
        for (size_t k = 0; k < o->targets_n; k++)
            format_own(o->targets[k], &text);
        char *got = shortened(buf_c(&text));
        assert_string_equal(got, object_cases[i].labels);
        /* Read again it is the same; a stranger is not. */
        struct kube_object *again = kube_object_read(&r, object_cases[i].kind, json, o, &err);
        assert_true(kube_object_same(o, again));
        kube_object_free(again);
        kube_object_free(o);
        free(got);
        json_decref(json);
        buf_free(&text);
    }
    kube_reader_free(&r);
    label_names_release(names);
}

static void a_nameless_object_is_an_error(void **state)
{
    (void)state;
    struct kube_reader r;
    struct err err = {0};
    json_t *json = json_of("{'metadata':{}}");
    kube_reader_init(&r, NULL);
    assert_null(kube_object_read(&r, KUBE_PODS, json, NULL, &err));
    assert_string_equal(err.msg, "an object of pods has no metadata.name");
    json_decref(json);
    kube_reader_free(&r);
}

/* Of an object that changed a little, what did not change stays the same label sets. */
static void unchanged_targets_stay(void **state)
{
    (void)state;
    struct kube_reader r;
    struct err err = {0};
    struct label_names *names = label_names_new();
    kube_reader_init(&r, names);
    const char *before = "{'metadata':{'name':'e','namespace':'ns'},'subsets':[{'ports':[{'port':9}],'addresses':"
                         "[{'ip':'1'},{'ip':'2'},{'ip':'3'},{'ip':'4'}]}]}";
    const char *after = "{'metadata':{'name':'e','namespace':'ns'},'subsets':[{'ports':[{'port':9}],'addresses':"
                        "[{'ip':'0'},{'ip':'1'},{'ip':'3'},{'ip':'4'},{'ip':'5'}]}]}";
    json_t *a = json_of(before), *b = json_of(after);
    struct kube_object *x = kube_object_read(&r, KUBE_ENDPOINTS, a, NULL, &err);
    struct kube_object *y = kube_object_read(&r, KUBE_ENDPOINTS, b, x, &err);
    assert_false(kube_object_same(x, y));
    assert_ptr_equal(x->labels, y->labels);
    assert_ptr_equal(x->targets[0], y->targets[1]);
    assert_ptr_equal(x->targets[2], y->targets[2]);
    assert_ptr_equal(x->targets[3], y->targets[3]);
    kube_object_free(x);
    kube_object_free(y);
    json_decref(a);
    json_decref(b);
    kube_reader_free(&r);
    label_names_release(names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_anywhere_the_pieces_are_the_same),
        cmocka_unit_test(depth_and_size_are_bounded),
        cmocka_unit_test(map_keeps_what_is_put),
        cmocka_unit_test(set_over_a_base),
        cmocka_unit_test(objects_become_labels),
        cmocka_unit_test(a_nameless_object_is_an_error),
        cmocka_unit_test(unchanged_targets_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
