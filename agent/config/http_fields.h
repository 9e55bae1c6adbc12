/* SPDX-License-Identifier: Apache-2.0 */
/* http_fields: what the sections of the HTTP client's options share. `to` is a struct http_options everywhere. */
#ifndef OBSAGENT_CONFIG_HTTP_FIELDS_H
#define OBSAGENT_CONFIG_HTTP_FIELDS_H

#include "load.h"

extern const struct section section_proxy;  /* struct http_options; its fields stand among those of http_client */
extern const struct section section_oauth2; /* struct http_oauth2 */

/* Header names are compared without regard to case. */
bool name_is(struct str name, const char *lower);

/* A path as FIELD_FILE has it: heap, joined to the file's directory, readable; NULL after a problem or for
   nothing. */
char *load_file_name(struct load *l, const struct node *value, const char *what);
/* "name:" and the section below it. */
void dump_section(struct dump *d, const char *name, const struct section *s, const void *from);

void load_headers(struct load *l, const struct node *value, void *to);
void show_headers(struct dump *d, const struct field *f, const void *from);
void load_http_headers(struct load *l, const struct node *value, void *to);
/* The headers from files; show_headers has the others. */
void show_header_files(struct dump *d, const struct field *f, const void *from);
/* proxy_connect_header. */
void load_connect_headers(struct load *l, const struct node *value, void *to);
void show_connect_headers(struct dump *d, const struct field *f, const void *from);

void load_oauth2(struct load *l, const struct node *value, void *to);
void show_oauth2(struct dump *d, const struct field *f, const void *from);

/* The keys of a sigv4 section; `to` is the endpoint's struct http_options. */
void load_sigv4(struct load *l, const struct node *value, void *to);
void show_sigv4(struct dump *d, const struct field *f, const void *from);
extern const struct section section_sigv4; /* struct http_sigv4 */
/* They say what to do instead. */
void refuse_azuread(struct load *l, const struct node *value, void *to);
void refuse_google_iam(struct load *l, const struct node *value, void *to);

#endif
