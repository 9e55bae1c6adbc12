/* SPDX-License-Identifier: Apache-2.0 */
/* dns_answer: reads DNS messages with the C library's parser (RFC 1035, 2782, 3596). Labels: prometheus
   discovery/dns/dns.go. */
#include "dns_answer.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <limits.h>
#include <netinet/in.h>
#include <resolv.h>

#include "sd_get.h"

struct reading {
    ns_msg msg;
    ns_rr rr;
    unsigned port;
    struct arena *arena;
    struct labels *labels;
};

static void set(struct reading *r, struct str name, struct str value)
{
    labels_set(r->labels, name, value);
}

static void set_address(struct reading *r, struct str host, unsigned port)
{
    set(r, STR("__address__"), sd_host_port(r->arena, host, port));
}

/* As Go writes it: IPv4 in IPv6 is IPv4. */
static bool read_ip(struct reading *r, int family, size_t size)
{
    char text[INET6_ADDRSTRLEN];
    const unsigned char *p = ns_rr_rdata(r->rr);
    struct in6_addr six;
    if (ns_rr_rdlen(r->rr) != size)
        return false;
    if (family == AF_INET6) {
        memcpy(&six, p, sizeof six);
        if (IN6_IS_ADDR_V4MAPPED(&six)) {
            family = AF_INET;
            p += 12;
        }
    }
    inet_ntop(family, p, text, sizeof text);
    set_address(r, str_of(text), r->port);
    return true;
}

/* The name `skip` bytes into the record, rooted as in `label`, and as the address without the final dot. */
static bool read_host(struct reading *r, size_t skip, unsigned port, struct str label)
{
    char host[NS_MAXDNAME * 4 + 1];
    const unsigned char *p = ns_rr_rdata(r->rr), *end = p + ns_rr_rdlen(r->rr);
    if (ns_rr_rdlen(r->rr) <= skip ||
        ns_name_uncompress(ns_msg_base(r->msg), end, p + skip, host, sizeof host) < 0)
        return false;
    bool root = strcmp(host, ".") == 0;
    set(r, label, str_of(arena_printf(r->arena, root ? "%s" : "%s.", host)));
    set_address(r, str_of(root ? "" : host), port);
    return true;
}

static bool read_record(struct reading *r)
{
    const unsigned char *p = ns_rr_rdata(r->rr);
    switch (ns_rr_type(r->rr)) {
    case ns_t_a:
        return read_ip(r, AF_INET, 4);
    case ns_t_aaaa:
        return read_ip(r, AF_INET6, 16);
    case ns_t_srv:
        if (ns_rr_rdlen(r->rr) < 7)
            return false;
        unsigned port = ns_get16(p + 4);
        set(r, STR("__meta_dns_srv_record_port"), str_of(arena_printf(r->arena, "%u", port)));
        return read_host(r, 6, port, STR("__meta_dns_srv_record_target"));
    case ns_t_mx:
        return read_host(r, 2, r->port, STR("__meta_dns_mx_record_target"));
    case ns_t_ns:
        return read_host(r, 0, r->port, STR("__meta_dns_ns_record_target"));
    default:
        return true; /* a CNAME on the way to an address */
    }
}

static bool read_records(struct reading *r, const char *name, struct discovery_sets *sets, struct err *err)
{
    int n = ns_msg_count(r->msg, ns_s_an);
    for (int i = 0; i < n; i++) {
        labels_clear(r->labels);
        if (ns_parserr(&r->msg, ns_s_an, i, &r->rr) != 0 || !read_record(r))
            return err_set(err, "record %d of the answer is broken", i + 1);
        if (r->labels->n == 0)
            continue;
        set(r, STR("__meta_dns_name"), str_of(name));
        discovery_sets_add(sets, r->labels);
    }
    return true;
}

bool dns_answer_read(struct str message, const char *name, unsigned port, struct discovery_sets *sets,
                     struct err *err)
{
    struct arena arena;
    struct labels labels;
    struct reading r = {.port = port, .arena = &arena, .labels = &labels};
    if (message.n > NS_MAXMSG || message.n < NS_HFIXEDSZ ||
        ns_initparse((const unsigned char *)message.p, (int)message.n, &r.msg) != 0)
        return err_set(err, "the answer is not a DNS message");
    arena_init(&arena);
    labels_init(&labels, &arena);
    bool good = read_records(&r, name, sets, err);
    labels_free(&labels);
    arena_free(&arena);
    return good;
}
