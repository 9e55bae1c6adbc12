/* SPDX-License-Identifier: Apache-2.0 */
/* dns_sd: targets from DNS records, asked for with c-ares on our loop. Rules: prometheus discovery/dns/dns.go: that a
   name does not exist is an answer, without targets; that no server gives one leaves the name's targets as they are.

   Each look has a channel of its own, so that a changed resolv.conf counts from the next look on. */
#include "source.h"

#define CARES_NO_DEPRECATED /* what took their place is not in Debian 12 */
#include <ares.h>
#include <arpa/nameser.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "base/alloc.h"
#include "dns_answer.h"

#define TRY_MS 2000 /* for the first answer of a server; more for each further try */
#define TRIES 3
#define AGAIN_MS 50
#define EDNS_BYTES 1232 /* fits every path; longer answers come over TCP */

struct dns_name {
    struct dns_sd *sd;
    const char *name;
    struct discovery_sets sets;
};

struct dns_sd {
    struct source source;
    struct dns_name *names;
    size_t names_n;
    ares_channel channel;
    bool looking;   /* the channel is open */
    size_t waiting; /* names without an answer in this look */
    bool good, changed;
    struct err why; /* the first failure of this look */
    struct loop_timer next, tick;
};

static void on_next(void *ctx);

static int record_type(enum config_dns_type type)
{
    static const int types[] = {
        [CONFIG_DNS_SRV] = ns_t_srv, [CONFIG_DNS_A] = ns_t_a, [CONFIG_DNS_AAAA] = ns_t_aaaa,
        [CONFIG_DNS_MX] = ns_t_mx,   [CONFIG_DNS_NS] = ns_t_ns,
    };
    return types[type];
}

/* ---- the end of a look ---- */

static void finish_look(struct dns_sd *s)
{
    loop_timer_clear(s->source.host->loop, &s->tick);
    s->looking = false;
    ares_destroy(s->channel);
    if (!err_is(&s->why)) {
        source_good(&s->source, s->changed);
        return;
    }
    s->source.known |= s->good;
    if (s->changed)
        source_changed(&s->source);
    source_failed(&s->source, "%s", s->why.msg);
}

static void take_answer(struct dns_name *n, const unsigned char *p, int size)
{
    struct dns_sd *s = n->sd;
    struct discovery_sets news;
    struct err err = {0};
    struct str message = str_make((const char *)p, size > 0 ? (size_t)size : 0);
    discovery_sets_init(&news, s->source.host->names);
    if (message.n == 0 || dns_answer_read(message, n->name, (unsigned)s->source.config->dns.port, &news, &err)) {
        discovery_sets_sort(&news);
        s->changed |= discovery_sets_replace(&n->sets, &news);
        s->good = true;
        return;
    }
    err_set(&s->why, "%s: %s", n->name, err.msg);
    discovery_sets_free(&news);
}

/* Older c-ares has one status for servers that fail, refuse or are away. */
static const char *failure_text(int status)
{
    return status == ARES_ECONNREFUSED ? "every DNS server fails, refuses or cannot be reached" : ares_strerror(status);
}

static void on_answer(void *ctx, int status, int timeouts, unsigned char *p, int size)
{
    struct dns_name *n = ctx;
    struct dns_sd *s = n->sd;
    (void)timeouts;
    if (status == ARES_EDESTRUCTION)
        return;
    s->waiting--;
    if (status == ARES_SUCCESS)
        take_answer(n, p, size);
    else if (status == ARES_ENOTFOUND || status == ARES_ENODATA)
        take_answer(n, NULL, 0);
    else
        err_set(&s->why, "%s: %s", n->name, failure_text(status));
}

/* ---- the channel on our loop ---- */

static void after_processing(struct dns_sd *s);

static void on_tick(void *ctx)
{
    struct dns_sd *s = ctx;
    ares_process_fd(s->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    after_processing(s);
}

static void on_socket(void *ctx, int fd, uint32_t events)
{
    struct dns_sd *s = ctx;
    bool readable = (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0;
    bool writable = (events & EPOLLOUT) != 0;
    ares_process_fd(s->channel, readable ? fd : ARES_SOCKET_BAD, writable ? fd : ARES_SOCKET_BAD);
    after_processing(s);
}

/* The channel may only be closed when none of its functions is on the way. */
static void after_processing(struct dns_sd *s)
{
    struct timeval tv = {0}, most = {.tv_sec = 1};
    if (s->waiting == 0) {
        finish_look(s);
        return;
    }
    const struct timeval *wait = ares_timeout(s->channel, &most, &tv);
    int64_t ms = wait ? (int64_t)wait->tv_sec * 1000 + wait->tv_usec / 1000 + 1 : 1000;
    loop_timer_set(s->source.host->loop, &s->tick, loop_now(s->source.host->loop) + ms, on_tick, s);
}

static void on_interest(void *ctx, ares_socket_t fd, int readable, int writable)
{
    struct dns_sd *s = ctx;
    uint32_t events = (readable ? (uint32_t)EPOLLIN : 0) | (writable ? (uint32_t)EPOLLOUT : 0);
    if (events)
        loop_fd_set(s->source.host->loop, fd, events, on_socket, s);
    else
        loop_fd_clear(s->source.host->loop, fd);
}

static int open_channel(struct dns_sd *s)
{
    const struct config_texts *servers = &s->source.config->dns.servers;
    struct ares_options options = {.flags = ARES_FLAG_EDNS, .ednspsz = EDNS_BYTES, .timeout = TRY_MS, .tries = TRIES,
                                   .sock_state_cb = on_interest, .sock_state_cb_data = s};
    int status = ares_init_options(&s->channel, &options,
                                   ARES_OPT_FLAGS | ARES_OPT_EDNSPSZ | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
                                       ARES_OPT_SOCK_STATE_CB);
    if (status != ARES_SUCCESS || servers->n == 0)
        return status;
    struct buf list;
    buf_init(&list, 1 << 20);
    for (size_t i = 0; i < servers->n; i++)
        buf_addf(&list, "%s%s", i ? "," : "", servers->v[i]);
    status = ares_set_servers_ports_csv(s->channel, buf_c(&list));
    buf_free(&list);
    if (status != ARES_SUCCESS)
        ares_destroy(s->channel);
    return status;
}

static void look(struct dns_sd *s)
{
    int status = open_channel(s);
    if (status != ARES_SUCCESS) {
        source_failed(&s->source, "%s", ares_strerror(status));
        return;
    }
    s->looking = true;
    s->good = s->changed = false;
    err_clear(&s->why);
    s->waiting = s->names_n;
    for (size_t i = 0; i < s->names_n; i++)
        ares_search(s->channel, s->names[i].name, ns_c_in, record_type(s->source.config->dns.type), on_answer,
                    &s->names[i]);
    after_processing(s);
}

/* ---- the kind ---- */

static void on_next(void *ctx)
{
    struct dns_sd *s = ctx;
    bool busy = s->looking; /* until the servers' time is over */
    int64_t wait = busy ? AGAIN_MS : s->source.config->refresh_interval_ms;
    loop_timer_set(s->source.host->loop, &s->next, loop_now(s->source.host->loop) + wait, on_next, s);
    if (!busy)
        look(s);
}

static struct source *open_dns(const struct config_sd *config, struct source_host *host)
{
    struct dns_sd *s = xcalloc(1, sizeof *s);
    source_init(&s->source, &source_dns, config, host);
    s->names_n = config->dns.names.n;
    s->names = xcalloc(s->names_n, sizeof *s->names);
    for (size_t i = 0; i < s->names_n; i++) {
        s->names[i] = (struct dns_name){.sd = s, .name = config->dns.names.v[i]};
        discovery_sets_init(&s->names[i].sets, host->names);
    }
    loop_timer_set(host->loop, &s->next, loop_now(host->loop), on_next, s);
    return &s->source;
}

static void add(const struct source *source, struct discovery_sets *sets)
{
    const struct dns_sd *s = (const struct dns_sd *)source;
    for (size_t i = 0; i < s->names_n; i++)
        discovery_sets_add_all(sets, &s->names[i].sets);
}

static void describe(const struct source *source, struct buf *out)
{
    const struct dns_sd *s = (const struct dns_sd *)source;
    for (size_t i = 0; i < s->names_n; i++)
        buf_addf(out, "%s%s", i ? " " : "", s->names[i].name);
}

static void close_dns(struct source *source)
{
    struct dns_sd *s = (struct dns_sd *)source;
    if (s->looking)
        ares_destroy(s->channel);
    loop_timer_clear(source->host->loop, &s->next);
    loop_timer_clear(source->host->loop, &s->tick);
    for (size_t i = 0; i < s->names_n; i++)
        discovery_sets_free(&s->names[i].sets);
    free(s->names);
    free(s);
}

const struct source_kind source_dns = {"dns_sd_configs", open_dns, add, describe, close_dns};
