/* SPDX-License-Identifier: Apache-2.0 */
/* test_docker_sd: containers and networks as label sets. */
#include "sd_sets.h"

#include "scrape/discovery/docker_answer.h"

#define M "__meta_docker_"

static struct config_docker_sd config;

/* "containers|networks" */
static bool read_docker(struct str body, struct discovery_sets *sets, struct err *err)
{
    size_t middle = str_find_char(body, '|');
    return docker_answer_read(str_make(body.p, middle), str_skip(body, middle + 1), &config, sets, err);
}

#define PLAIN "\"Id\":\"c1\",\"Names\":[\"/web\",\"/alias\"],\"HostConfig\":{\"NetworkMode\":\"net\"}"
#define NETWORKS(list) "\"NetworkSettings\":{\"Networks\":{" list "}}"
#define COMMON M "container_id=c1," M "container_name=/web," M "container_network_mode=net"
#define BACK "\"back\":{\"IPAddress\":\"10.0.0.2\",\"NetworkID\":\"n2\"}"
#define FRONT "\"front\":{\"IPAddress\":\"10.0.0.1\",\"NetworkID\":\"n1\"}"
#define N2 "{\"Id\":\"n2\",\"Name\":\"back\",\"Scope\":\"local\",\"Internal\":true,\"Ingress\":false," \
    "\"Labels\":{\"a.b\":\"c\"}}"
#define N2_LABELS M "network_id=n2," M "network_ingress=false," M "network_internal=true," M "network_ip=10.0.0.2," M \
    "network_label_a_b=c," M "network_name=back," M "network_scope=local"

static const struct sd_case cases[] = {
    {"[]|[]", ""},
    {"null|null", ""},
    /* In no network, without a name, or nothing at all. */
    {"[{" PLAIN "}, {\"Id\":\"x\"," NETWORKS(BACK) "}, {}, 7]|[]", ""},
    {"[{" PLAIN "," NETWORKS(BACK) "}]|[" N2 "]", "{__address__=10.0.0.2:80," COMMON "," N2_LABELS "}\n"},
    /* The first network by name counts; one that is null does not. */
    {"[{" PLAIN "," NETWORKS(FRONT ",\"a\":null," BACK) "}]|[" N2 "]",
     "{__address__=10.0.0.2:80," COMMON "," N2_LABELS "}\n"},
    {"[{" PLAIN "," NETWORKS(FRONT) ",\"Labels\":{\"com.x/y\":\"z\",\"e\":\"\"},\"Ports\":["
     "{\"PrivatePort\":80,\"Type\":\"tcp\"},"
     "{\"IP\":\"0.0.0.0\",\"PrivatePort\":443,\"PublicPort\":8443,\"Type\":\"tcp\"},"
     "{\"PrivatePort\":53,\"Type\":\"udp\"}]}]|[]",
     "{__address__=10.0.0.1:80," M "container_id=c1," M "container_label_com_x_y=z," M "container_name=/web," M
     "container_network_mode=net," M "network_ip=10.0.0.1," M "port_private=80}\n"
     "{__address__=10.0.0.1:443," M "container_id=c1," M "container_label_com_x_y=z," M "container_name=/web," M
     "container_network_mode=net," M "network_ip=10.0.0.1," M "port_private=443," M "port_public=8443," M
     "port_public_ip=0.0.0.0}\n"},
    /* Only another protocol's port: as if there were none. */
    {"[{" PLAIN "," NETWORKS(FRONT) ",\"Ports\":[{\"PrivatePort\":53,\"Type\":\"udp\"}]}]|[]",
     "{__address__=10.0.0.1:80," COMMON "," M "network_ip=10.0.0.1}\n"},
    {"[{\"Id\":\"c2\",\"Names\":[\"/h\"],\"HostConfig\":{\"NetworkMode\":\"host\"}," NETWORKS("\"host\":{}") "}]|[]",
     "{__address__=the.host," M "container_id=c2," M "container_name=/h," M "container_network_mode=host}\n"},
    /* In the network of another container, which is in that of a third. */
    {"[{\"Id\":\"c4\",\"Names\":[\"/b\"],\"HostConfig\":{\"NetworkMode\":\"container:c3\"}},"
     "{\"Id\":\"c3\",\"HostConfig\":{\"NetworkMode\":\"container:c1\"}},{\"Id\":\"c1\"," NETWORKS(FRONT) "}]|[]",
     "{__address__=10.0.0.1:80," M "container_id=c4," M "container_name=/b," M
     "container_network_mode=container:c3," M "network_ip=10.0.0.1}\n"},
    /* A circle, and one that is gone. */
    {"[{\"Id\":\"c4\",\"Names\":[\"/b\"],\"HostConfig\":{\"NetworkMode\":\"container:c3\"}},"
     "{\"Id\":\"c3\",\"Names\":[\"/c\"],\"HostConfig\":{\"NetworkMode\":\"container:c4\"}},"
     "{\"Id\":\"c5\",\"Names\":[\"/d\"],\"HostConfig\":{\"NetworkMode\":\"container:c9\"}}]|[]", ""},
    {"[{" PLAIN "," NETWORKS("\"six\":{\"IPAddress\":\"fd00::1\"}") "}]|[]",
     "{__address__=[fd00::1]:80," COMMON "," M "network_ip=fd00::1}\n"},
    {"|[]", "!containers: not JSON"},
    {"{\"message\":\"no\"}|[]", "!containers: not a list"},
    {"[]|<", "!networks: not JSON"},
    {"[]|{}", "!networks: not a list"},
};

static void containers_give_sets(void **state)
{
    (void)state;
    check_sd_cases(cases, ROWS(cases), read_docker);
}

static void all_networks_count_when_asked_for(void **state)
{
    (void)state;
    static const struct sd_case all[] = {
        {"[{" PLAIN "," NETWORKS(FRONT ",\"a\":null," BACK) "}]|[" N2 "]",
         "{__address__=10.0.0.2:80," COMMON "," N2_LABELS "}\n"
         "{__address__=10.0.0.1:80," COMMON "," M "network_ip=10.0.0.1}\n"},
    };
    config.match_first_network = false;
    check_sd_cases(all, ROWS(all), read_docker);
    config.match_first_network = true;
}

static void filters_are_written_as_docker_wants(void **state)
{
    (void)state;
    char status[] = "status", label[] = "label", none[] = "none";
    char running[] = "running", paused[] = "p\"aused", a_b[] = "a=b";
    char *states[] = {running, paused}, *labels[] = {a_b};
    struct config_docker_filter filters[] = {
        {status, {states, 1}}, {label, {labels, 1}}, {status, {states + 1, 1}}, {none, {NULL, 0}}};
    struct config_docker_sd with = {.filters = filters, .filters_n = 4}, without = {0};
    struct buf out;
    buf_init(&out, 4096);
    docker_filters_write(&with, &out);
    assert_string_equal(buf_c(&out), "{\"label\":{\"a=b\":true},\"status\":{\"p\\\"aused\":true,\"running\":true}}");
    buf_clear(&out);
    docker_filters_write(&without, &out);
    assert_string_equal(buf_c(&out), "{}");
    buf_free(&out);
}

int main(void)
{
    static char host[] = "the.host";
    config = (struct config_docker_sd){.port = 80, .host_networking_host = host, .match_first_network = true};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(containers_give_sets),
        cmocka_unit_test(all_networks_count_when_asked_for),
        cmocka_unit_test(filters_are_written_as_docker_wants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
