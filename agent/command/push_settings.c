/* SPDX-License-Identifier: Apache-2.0 */
/* push_settings: the endpoint that is to be checked. Flags become a configuration, so that they mean what the fields
   mean and are checked as those are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "push_private.h"

#define YAML_MAX 65536

static void add_text(struct buf *b, const char *key, const char *value)
{
    if (!value)
        return;
    buf_addf(b, "  %s: ", key);
    buf_add_json(b, str_of(value));
    buf_add_char(b, '\n');
}

/* Files of the command line are relative to where we are. */
static void add_file(struct buf *b, const char *key, const char *path)
{
    char *whole = path ? realpath(path, NULL) : NULL;
    add_text(b, key, whole ? whole : path);
    free(whole);
}

static bool add_headers(struct buf *b, const struct flag_list *headers)
{
    if (headers->n)
        buf_add_c(b, "  headers:\n");
    for (size_t i = 0; i < headers->n; i++) {
        const char *colon = strchr(headers->v[i], ':');
        if (!colon) {
            fprintf(stderr, "--header is \"NAME: VALUE\"\n");
            return false;
        }
        buf_add_c(b, "    ");
        buf_add_json(b, str_make(headers->v[i], (size_t)(colon - headers->v[i])));
        buf_add_c(b, ": ");
        buf_add_json(b, str_trim(str_of(colon + 1)));
        buf_add_char(b, '\n');
    }
    return true;
}

static struct config *of_flags(const struct push_flags *f, struct buf *errors)
{
    struct buf b;
    struct config *c = NULL;
    buf_init(&b, YAML_MAX);
    buf_add_c(&b, "remote_write:\n- name: push\n");
    add_text(&b, "url", f->url);
    add_text(&b, "protocol", f->protocol);
    if (f->bearer_token_file) {
        buf_add_c(&b, "  authorization:\n");
        add_text(&b, "  type", f->authorization_type ? f->authorization_type : "Bearer");
        add_file(&b, "  credentials_file", f->bearer_token_file);
    }
    if (f->username) {
        buf_add_c(&b, "  basic_auth:\n");
        add_text(&b, "  username", f->username);
        add_file(&b, "  password_file", f->password_file);
    }
    if (f->ca_file || f->cert_file || f->insecure)
        buf_add_c(&b, "  tls_config:\n");
    add_file(&b, "  ca_file", f->ca_file);
    add_file(&b, "  cert_file", f->cert_file);
    add_file(&b, "  key_file", f->key_file);
    if (f->insecure)
        buf_add_c(&b, "    insecure_skip_verify: true\n");
    if (add_headers(&b, &f->headers))
        c = config_load_text("command line", buf_str(&b), NULL, true, errors);
    if (b.p)
        explicit_bzero(b.p, b.n);
    buf_free(&b);
    return c;
}

static const struct config_remote *find(const struct config *c, const char *name)
{
    if (!name && c->remotes_n == 1)
        return &c->remotes[0];
    for (size_t i = 0; name && i < c->remotes_n; i++) {
        if (strcmp(c->remotes[i].name, name) == 0)
            return &c->remotes[i];
    }
    return NULL;
}

struct config *push_settings(const struct push_flags *f, const struct config_remote **remote)
{
    struct buf errors;
    buf_init(&errors, YAML_MAX);
    struct config *c = f->config_file ? config_load(f->config_file, NULL, true, &errors) : of_flags(f, &errors);
    if (!c)
        fputs(buf_c(&errors), stderr);
    buf_free(&errors);
    *remote = c ? find(c, f->endpoint) : NULL;
    if (!c || *remote)
        return c;
    if (f->endpoint)
        fprintf(stderr, "no remote_write endpoint \"%s\" in %s", f->endpoint, f->config_file);
    else
        fprintf(stderr, "%s has %zu remote_write endpoints; choose one with --endpoint", f->config_file, c->remotes_n);
    for (size_t i = 0; i < c->remotes_n; i++)
        fprintf(stderr, "%s%s", i ? ", " : ": ", c->remotes[i].name);
    fprintf(stderr, "\n");
    config_unref(c);
    return NULL;
}
