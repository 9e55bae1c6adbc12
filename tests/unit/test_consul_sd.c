/* SPDX-License-Identifier: Apache-2.0 */
/* test_consul_sd: Consul's answers: which services are watched, and instances as label sets. */
#include "sd_sets.h"

#include "base/alloc.h"
#include "scrape/discovery/consul_answer.h"

static bool read_health(struct str body, struct discovery_sets *sets, struct err *err)
{
    return consul_health_read(body, "web", "dc1", ",", sets, err);
}

#define M "__meta_consul_"
#define PLAIN M "dc=dc1," M "health=passing," M "service=web," M "service_port=0," M "tags=,,}\n"

static const struct sd_case instances[] = {
    {"[]", ""},
    {"null", ""},
    {"[{\"Node\": {}, \"Service\": {}}]", "{__address__=:0," PLAIN},
    {"[{\"Node\": {\"Node\": \"n1\", \"Address\": \"10.0.0.1\", \"Meta\": {\"a-b\": \"c\", \"e\": \"\", \"n\": null},"
     "   \"TaggedAddresses\": {\"lan\": \"10.0.0.1\", \"wan_ipv4\": \"1.2.3.4\"}},"
     "  \"Service\": {\"ID\": \"web-1\", \"Service\": \"other\", \"Tags\": [\"x\", \"y\"], \"Address\": \"::1\","
     "   \"Port\": 8080, \"Meta\": {\"v\": \"2\"}, \"Namespace\": \"ns\", \"Partition\": \"p\"},"
     "  \"Checks\": [{\"CheckID\": \"serfHealth\", \"Status\": \"passing\"}]}]",
     "{__address__=[::1]:8080," M "address=10.0.0.1," M "dc=dc1," M "health=passing," M "metadata_a_b=c," M
     "namespace=ns," M "node=n1," M "partition=p," M "service=web," M "service_address=::1," M "service_id=web-1," M
     "service_metadata_v=2," M "service_port=8080," M "tagged_address_lan=10.0.0.1," M
     "tagged_address_wan_ipv4=1.2.3.4," M "tags=,x,y,}\n"},
    {"[{\"Node\": {\"Address\": \"h\"}, \"Service\": {\"Port\": -1, \"Tags\": null, \"Address\": \"\"},"
     "  \"Checks\": null}]",
     "{__address__=h:-1," M "address=h," M "dc=dc1," M "health=passing," M "service=web," M "service_port=-1," M
     "tags=,,}\n"},
    {"", "!not JSON"},
    {"No cluster leader", "!not JSON"},
    {"{}", "!want a list of instances of web"},
    {"[{\"Node\": {}, \"Service\": {}}, {\"Node\": {}}]", "!instance 2 of web has no Node or no Service"},
    {"[7]", "!instance 1 of web has no Node or no Service"},
};

static void instances_give_sets(void **state)
{
    (void)state;
    check_sd_cases(instances, ROWS(instances), read_health);
}

static void checks_sum_up_as_health(void **state)
{
    (void)state;
    static const struct {
        const char *checks, *health;
    } cases[] = {
        {"", "passing"},
        {"{\"Status\":\"passing\"},{\"Status\":\"warning\"}", "warning"},
        {"{\"Status\":\"critical\"},{\"Status\":\"warning\"}", "critical"},
        {"{\"Status\":\"critical\"},{\"CheckID\":\"_node_maintenance\",\"Status\":\"critical\"}", "maintenance"},
        {"{\"CheckID\":\"_service_maintenance:web\",\"Status\":\"x\"}", "maintenance"},
        {"{\"CheckID\":\"_other\",\"Status\":\"maintenance\"}", ""},
        {"{\"Status\":\"passing\"},{\"Status\":\"unknown\"}", ""},
        {"{}", ""},
    };
    for (size_t i = 0; i < ROWS(cases); i++) {
        struct discovery_sets sets;
        struct err err = {0};
        discovery_sets_init(&sets, NULL);
        char *body = xasprintf("[{\"Node\":{},\"Service\":{},\"Checks\":[%s]}]", cases[i].checks);
        assert_true(read_health(str_of(body), &sets, &err));
        struct str health = label_set_get(sets.v[0], STR("__meta_consul_health"));
        if (!str_eq_c(health, cases[i].health))
            fail_msg("%s: %.*s", cases[i].checks, STR_ARG(health));
        discovery_sets_free(&sets);
        free(body);
    }
}

static void note(void *ctx, const char *service)
{
    buf_addf(ctx, "%s ", service);
}

static void services_are_chosen_by_name_and_tags(void **state)
{
    (void)state;
    static const char body[] = "{\"consul\": [], \"web\": [\"a\", \"b\"], \"db\": [\"b\"], \"odd\": null}";
    static const struct {
        const char *services[3], *tags[3], *want;
    } cases[] = {
        {{NULL}, {NULL}, "consul web db odd "},
        {{"db", "web"}, {NULL}, "web db "},
        {{NULL}, {"b"}, "web db "},
        {{NULL}, {"b", "a"}, "web "},
        {{"db"}, {"a"}, ""},
        {{"absent"}, {NULL}, ""},
    };
    for (size_t i = 0; i < ROWS(cases); i++) {
        struct config_consul_sd config = {0};
        struct err err = {0};
        struct buf said;
        config.services.v = (char **)(uintptr_t)cases[i].services;
        config.tags.v = (char **)(uintptr_t)cases[i].tags;
        while (cases[i].services[config.services.n])
            config.services.n++;
        while (cases[i].tags[config.tags.n])
            config.tags.n++;
        buf_init(&said, 4096);
        assert_true(consul_services_read(str_of(body), &config, note, &said, &err));
        assert_string_equal(buf_c(&said), cases[i].want);
        assert_false(consul_services_read(STR("[]"), &config, note, &said, &err));
        assert_string_equal(err.msg, "want an object of services");
        err_clear(&err);
        assert_false(consul_services_read(STR("{"), &config, note, &said, &err));
        buf_free(&said);
    }
}

static void the_datacenter_is_the_agents(void **state)
{
    (void)state;
    struct err err = {0};
    char *dc = consul_datacenter_read(STR("{\"Config\": {\"Datacenter\": \"dc7\", \"x\": 1}, \"Member\": {}}"), &err);
    assert_string_equal(dc, "dc7");
    free(dc);
    static const char *const bad[] = {"", "[]", "{}", "{\"Config\": []}", "{\"Config\": {\"Datacenter\": 1}}",
                                      "{\"Config\": {\"Datacenter\": \"\"}}"};
    for (size_t i = 0; i < ROWS(bad); i++) {
        err_clear(&err);
        assert_null(consul_datacenter_read(str_of(bad[i]), &err));
        assert_true(err_is(&err));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(instances_give_sets),
        cmocka_unit_test(checks_sum_up_as_health),
        cmocka_unit_test(services_are_chosen_by_name_and_tags),
        cmocka_unit_test(the_datacenter_is_the_agents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
