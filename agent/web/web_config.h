/* SPDX-License-Identifier: Apache-2.0 */
/* web_config: TLS and users of the agent's own HTTP, in the format of Prometheus's --web.config.file. */
#ifndef OBSAGENT_WEB_CONFIG_H
#define OBSAGENT_WEB_CONFIG_H

#include "http.h"

struct web_user {
    char *name;
    char *hash; /* bcrypt */
};

struct web_header {
    char *name;
    char *value;
};

/* Immutable once loaded. */
struct web_config {
    char *cert_pem, *key_pem;   /* both or none */
    const char *tls_priorities; /* GnuTLS's notation */
    struct web_user *users;
    size_t users_n, users_cap;
    struct http_secret bearer;  /* own extension bearer_token_file; unset when there is none */
    struct web_header *headers; /* http_server_config.headers */
    size_t headers_n, headers_cap;
};

/* Reads the file; certificate and key are read too, relative to its directory. What Prometheus knows and we
   cannot do is an error that says so. NULL with err "FILE:LINE:COL: why" (the first problem). */
struct web_config *web_config_load(const char *path, struct err *err) MUSTCHECK;
void web_config_free(struct web_config *c);

#endif
