/* SPDX-License-Identifier: Apache-2.0 */
/* sd_dns_fields: dns_sd_config. Rules and messages: prometheus discovery/dns/dns.go; `servers` is our own. */
#include "sd_fields.h"

#include <stdlib.h>
#include <strings.h>

#define CARES_NO_DEPRECATED /* what took their place is not in Debian 12 */
#include <ares.h>

#define AT(member) .at = offsetof(struct config_sd, dns.member)

static const char *const types[] = {
    [CONFIG_DNS_SRV] = "SRV", [CONFIG_DNS_A] = "A", [CONFIG_DNS_AAAA] = "AAAA", [CONFIG_DNS_MX] = "MX",
    [CONFIG_DNS_NS] = "NS",
};

static void load_names_to_ask(struct load *l, const struct node *value, void *to)
{
    load_config_texts(l, value, "names", to);
}

static void load_servers(struct load *l, const struct node *value, void *to)
{
    load_config_texts(l, value, "servers", to);
}

static void show_texts(struct dump *d, const struct field *f, const void *from)
{
    show_config_texts(d, f->name, from);
}

static void load_type(struct load *l, const struct node *value, void *to)
{
    struct str text;
    if (!node_text(l, value, "type", &text) || text.n == 0)
        return;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (text.n == strlen(types[i]) && strncasecmp(text.p, types[i], text.n) == 0) {
            *(enum config_dns_type *)to = (enum config_dns_type)i;
            return;
        }
    }
    problem_add(&l->problems, value->at, "invalid DNS-SD records type %.*s", STR_ARG(text));
}

static void show_type(struct dump *d, const struct field *f, const void *from)
{
    dump_text(d, f->name, types[*(const enum config_dns_type *)from]);
}

static const struct field dns_fields[] = {
    {"names", FIELD_OWN, AT(names), .load = load_names_to_ask, .show = show_texts, .help = "domain names to ask for"},
    {"type", FIELD_OWN, AT(type), .load = load_type, .show = show_type,
     .help = "which records: SRV, A, AAAA, MX or NS (SRV)"},
    {"port", FIELD_COUNT, AT(port), .help = "the port of targets; not with SRV, whose records have one"},
    {"refresh_interval", FIELD_DURATION, .at = offsetof(struct config_sd, refresh_interval_ms), .standard = "30s",
     .min = 1, .help = "how often to ask"},
    {"servers", FIELD_OWN, AT(servers), .load = load_servers, .show = show_texts,
     .help = "DNS servers to ask, ADDRESS or ADDRESS:PORT, instead of those of resolv.conf (obsagent)"},
};

static bool server_is_good(const char *server)
{
    ares_channel channel;
    if (ares_init(&channel) != ARES_SUCCESS)
        return true;
    bool good = *server && !strchr(server, ',') && ares_set_servers_ports_csv(channel, server) == ARES_SUCCESS;
    ares_destroy(channel);
    return good;
}

static void check_dns(struct load *l, const struct node *node, void *to)
{
    const struct config_sd *sd = to;
    if (sd->dns.names.n == 0)
        problem_add(&l->problems, field_place(node, "names"),
                    "DNS-SD config must contain at least one SRV record name");
    if (sd->dns.type != CONFIG_DNS_SRV && sd->dns.port == 0)
        problem_add(&l->problems, field_place(node, "type"),
                    "a port is required in DNS-SD configs for all record types except SRV");
    if (sd->dns.port > 65535)
        problem_add(&l->problems, field_place(node, "port"), "port: at most 65535");
    for (size_t i = 0; i < sd->dns.servers.n; i++) {
        if (!server_is_good(sd->dns.servers.v[i]))
            problem_add(&l->problems, field_place(node, "servers"),
                        "servers: \"%s\" is not an address, ADDRESS:PORT or [ADDRESS]:PORT", sd->dns.servers.v[i]);
    }
}

const struct section section_dns_sd = {
    .name = "dns_sd_config",
    .help = "targets from DNS records",
    FIELDS(dns_fields),
    .check = check_dns,
};
