/* SPDX-License-Identifier: Apache-2.0 */
/* docker_answer: the containers and networks that a Docker daemon lists. */
#ifndef OBSAGENT_SCRAPE_DISCOVERY_DOCKER_ANSWER_H
#define OBSAGENT_SCRAPE_DISCOVERY_DOCKER_ANSWER_H

#include "source.h"

/* From the answers to /containers/json and /networks: adds a set for each TCP port of each container in each of its
   networks, or one for the network when it has no such port. False and err when one is something else. */
bool docker_answer_read(struct str containers, struct str networks, const struct config_docker_sd *config,
                        struct discovery_sets *sets, struct err *err) MUSTCHECK;
/* The parameter `filters` of /containers/json, as JSON. */
void docker_filters_write(const struct config_docker_sd *config, struct buf *out);

#endif
