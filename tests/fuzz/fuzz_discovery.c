/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_discovery: any bytes as an answer of a service that is asked for targets.

   Input: a letter that chooses, then the body. h: groups of http_sd; n: a DNS message; a, s, i: Consul's agent,
   services and instances; d: Docker's containers and, behind a '|', its networks. The same answer must give the same
   sets, each with an address. */
#include <stdint.h>
#include <stdlib.h>

#include "scrape/discovery/consul_answer.h"
#include "scrape/discovery/dns_answer.h"
#include "scrape/discovery/docker_answer.h"
#include "scrape/discovery/http_groups.h"

static void must(bool held)
{
    if (!held)
        abort();
}

static void count(void *ctx, const char *service)
{
    *(size_t *)ctx += 1 + strlen(service);
}

static bool read_docker(struct str body, struct discovery_sets *sets, struct err *err)
{
    static char host[] = "localhost";
    size_t middle = str_find_char(body, '|');
    struct config_docker_sd config = {.port = 80, .host_networking_host = host, .match_first_network = middle % 2 == 0};
    return docker_answer_read(str_make(body.p, middle), str_skip(body, middle + 1), &config, sets, err);
}

static bool read_consul(char choice, struct str body, struct discovery_sets *sets, struct err *err)
{
    static char tag[] = "v1", *tags[] = {tag};
    struct config_consul_sd config = {.tags = {tags, body.n % 2}};
    size_t services = 0;
    if (choice == 's')
        return consul_services_read(body, &config, count, &services, err);
    if (choice == 'i')
        return consul_health_read(body, "web", "dc1", ",", sets, err);
    char *datacenter = consul_datacenter_read(body, err);
    bool good = datacenter != NULL;
    free(datacenter);
    return good;
}

static bool read_answer(char choice, struct str body, struct discovery_sets *sets, struct err *err)
{
    switch (choice) {
    case 'h':
        return http_groups_read(body, "http://host/", sets, err);
    case 'n':
        return dns_answer_read(body, "name", 80, sets, err);
    case 'd':
        return read_docker(body, sets, err);
    default:
        return read_consul(choice, body, sets, err);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct discovery_sets sets, again;
    struct err err = {0}, why = {0};
    if (n < 1 || !strchr("hnasid", data[0]) || data[0] == '\0')
        return 0;
    struct str body = str_make((const char *)data + 1, n - 1);
    discovery_sets_init(&sets, NULL);
    discovery_sets_init(&again, NULL);
    bool good = read_answer((char)data[0], body, &sets, &err);
    must(good == !err_is(&err));
    must(read_answer((char)data[0], body, &again, &why) == good);
    for (size_t i = 0; good && i < sets.n; i++)
        must(data[0] == 'h' || label_set_get(sets.v[i], STR("__address__")).n > 0);
    must(!discovery_sets_replace(&sets, &again));
    discovery_sets_free(&sets);
    return 0;
}
