/* SPDX-License-Identifier: Apache-2.0 */
/* sd_fields: the kinds of discovery that ask over the network. `to` and `from` of the lists are a struct config_job, of
   the sections a struct config_sd. */
#ifndef OBSAGENT_CONFIG_SD_FIELDS_H
#define OBSAGENT_CONFIG_SD_FIELDS_H

#include "load.h"

extern const struct section section_kubernetes_sd, section_kubelet_sd, section_http_sd, section_dns_sd,
    section_consul_sd, section_docker_sd;

void load_kubernetes_sds(struct load *l, const struct node *value, void *to);
void load_kubelet_sds(struct load *l, const struct node *value, void *to);
void load_http_sds(struct load *l, const struct node *value, void *to);
void load_dns_sds(struct load *l, const struct node *value, void *to);
void load_consul_sds(struct load *l, const struct node *value, void *to);
void load_docker_sds(struct load *l, const struct node *value, void *to);
void config_consul_free(struct config_consul_sd *c); /* the contents */
void config_docker_free(struct config_docker_sd *c); /* the contents */
/* The entries of the kind that the field is named after. */
void show_sds(struct dump *d, const struct field *f, const void *from);
void config_sds_free(struct config_sd *sd, size_t n);

/* Over all fields of the section's struct, secrets included. */
uint64_t section_hash(const struct section *section, const void *from);

/* Lists of texts. */
void load_config_texts(struct load *l, const struct node *value, const char *what, struct config_texts *texts);
void show_config_texts(struct dump *d, const char *name, const struct config_texts *texts);
void config_texts_free(struct config_texts *texts);

#endif
