/* SPDX-License-Identifier: Apache-2.0 */
/* auth: who may ask. Holds the web configuration file and reads it again when it has changed (users and
   token; the certificate stays that of the start). Used from one thread. */
#ifndef OBSAGENT_WEB_AUTH_H
#define OBSAGENT_WEB_AUTH_H

#include "web_config.h"

struct auth;

/* path NULL: everybody may. NULL with err for a bad file. */
struct auth *auth_new(const char *path, struct err *err) MUSTCHECK;
void auth_free(struct auth *a);
/* The present configuration, or NULL without a file; valid until the next auth_check. */
const struct web_config *auth_config(const struct auth *a);

enum auth_result {
    AUTH_OK,
    AUTH_NEEDED, /* 401 */
    AUTH_BUSY    /* 429: too many passwords tried in this second */
};
/* `authorization` is the request's header, or NULL. */
enum auth_result auth_check(struct auth *a, const char *authorization);
/* For WWW-Authenticate. */
const char *auth_challenge(const struct auth *a);

#endif
