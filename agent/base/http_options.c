/* SPDX-License-Identifier: Apache-2.0 */
/* http_options: the options' memory: freeing them, and forgetting what was read for them. */
#include <stdlib.h>

#include "http_private.h"

static void free_secret(struct http_secret *s)
{
    http_secret_free(s->value);
    free(s->file);
}

static void free_headers(struct http_header *headers, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(headers[i].name);
        http_secret_free(headers[i].value);
        free(headers[i].file);
    }
    free(headers);
}

static void free_oauth2(struct http_oauth2 *a)
{
    if (!a)
        return;
    free(a->client_id);
    free_secret(&a->client_secret);
    for (size_t i = 0; i < a->scopes_n; i++)
        free(a->scopes[i]);
    free(a->scopes);
    free(a->token_url);
    for (size_t i = 0; i < a->params_n; i++) {
        free(a->params[i].name);
        http_secret_free(a->params[i].value);
    }
    free(a->params);
    http_options_free(&a->endpoint);
    http_token_free(a->token);
    free(a);
}

void http_options_free(struct http_options *o)
{
    free(o->authorization_type);
    free_secret(&o->credentials);
    free_secret(&o->username);
    free_secret(&o->password);
    free_oauth2(o->oauth2);
    free_headers(o->headers, o->headers_n);
    free_secret(&o->tls_ca);
    free_secret(&o->tls_cert);
    free_secret(&o->tls_key);
    free(o->tls_server_name);
    free(o->proxy_url);
    free(o->no_proxy);
    free_headers(o->proxy_connect_headers, o->proxy_connect_headers_n);
    if (o->proxy_peer)
        http_options_free(o->proxy_peer);
    free(o->proxy_peer);
    *o = (struct http_options){0};
}

static void forget_headers(const struct http_header *headers, size_t n)
{
    for (size_t i = 0; i < n; i++)
        http_secret_forget(&(struct http_secret){.file = headers[i].file});
}

void http_options_reread(const struct http_options *o)
{
    http_secret_forget(&o->credentials);
    http_secret_forget(&o->username);
    http_secret_forget(&o->password);
    http_secret_forget(&o->tls_ca);
    http_secret_forget(&o->tls_cert);
    http_secret_forget(&o->tls_key);
    forget_headers(o->headers, o->headers_n);
    if (o->proxy_peer)
        http_options_reread(o->proxy_peer);
    if (o->oauth2) {
        http_secret_forget(&o->oauth2->client_secret);
        http_options_reread(&o->oauth2->endpoint);
        http_token_drop(o->oauth2->token);
    }
}
