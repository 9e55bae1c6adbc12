/* SPDX-License-Identifier: Apache-2.0 */
/* http_options: the options' memory: freeing them, forgetting what was read for them, telling whether it changed. */
#include <stdlib.h>
#include <sys/stat.h>

#include "base/hash.h"
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

static void free_sigv4(struct http_sigv4 *a)
{
    if (!a)
        return;
    free(a->region);
    free(a->service);
    free(a->access_key);
    http_secret_free(a->secret_key);
    free(a->profile);
    free(a->shared_file);
    free(a);
}

void http_options_free(struct http_options *o)
{
    free(o->authorization_type);
    free_secret(&o->credentials);
    free_secret(&o->username);
    free_secret(&o->password);
    free_oauth2(o->oauth2);
    free_sigv4(o->sigv4);
    free(o->unix_socket);
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
    if (o->sigv4)
        http_secret_forget(&(struct http_secret){.file = o->sigv4->shared_file});
    if (o->proxy_peer)
        http_options_reread(o->proxy_peer);
    if (o->oauth2) {
        http_secret_forget(&o->oauth2->client_secret);
        http_options_reread(&o->oauth2->endpoint);
        http_token_drop(o->oauth2->token);
    }
}

/* A file that is not there counts too: it may come. */
static uint64_t stamp_file(uint64_t h, const char *path)
{
    struct stat st = {0};
    if (!path)
        return h;
    bool there = stat(path, &st) == 0;
    int64_t facts[] = {there, st.st_mtim.tv_sec, st.st_mtim.tv_nsec, st.st_size, (int64_t)st.st_ino};
    h = hash_more(h, str_make((const char *)facts, there ? sizeof facts : sizeof facts[0]));
    return h ? h : 1;
}

static uint64_t stamp_options(uint64_t h, const struct http_options *o)
{
    const struct http_secret *const secrets[] = {&o->credentials, &o->username, &o->password,
                                                 &o->tls_ca,      &o->tls_cert, &o->tls_key};
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++)
        h = stamp_file(h, secrets[i]->file);
    for (size_t i = 0; i < o->headers_n; i++)
        h = stamp_file(h, o->headers[i].file);
    if (o->sigv4 && !o->sigv4->access_key)
        h = stamp_file(h, o->sigv4->shared_file);
    if (o->oauth2)
        h = stamp_options(stamp_file(h, o->oauth2->client_secret.file), &o->oauth2->endpoint);
    return o->proxy_peer ? stamp_options(h, o->proxy_peer) : h;
}

uint64_t http_options_stamp(const struct http_options *o)
{
    return stamp_options(0, o);
}
