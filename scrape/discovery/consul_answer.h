/* SPDX-License-Identifier: Apache-2.0 */
/* consul_answer: what Consul's HTTP API answers. */
#ifndef OBSAGENT_SCRAPE_DISCOVERY_CONSUL_ANSWER_H
#define OBSAGENT_SCRAPE_DISCOVERY_CONSUL_ANSWER_H

#include "source.h"

/* /v1/agent/self: the datacenter, for the caller to free; NULL and err when there is none. */
char *consul_datacenter_read(struct str body, struct err *err) MUSTCHECK;
/* /v1/catalog/services: calls fn for each service that the configuration wants, by name and tags. False and err,
   without a call, when it is something else. */
bool consul_services_read(struct str body, const struct config_consul_sd *config,
                          void (*fn)(void *ctx, const char *service), void *ctx, struct err *err) MUSTCHECK;
/* /v1/health/service/NAME: adds a set for each instance. False and err when it is something else; `sets` may have some
   then. */
bool consul_health_read(struct str body, const char *service, const char *datacenter, const char *tag_separator,
                        struct discovery_sets *sets, struct err *err) MUSTCHECK;

#endif
