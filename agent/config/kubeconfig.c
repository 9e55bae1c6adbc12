/* SPDX-License-Identifier: Apache-2.0 */
/* kubeconfig: reads what kubectl reads, as far as it tells how to reach one API server. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/alloc.h"
#include "base/file.h"
#include "config_sd.h"
#include "yaml.h"

#define SIZE_LIMIT ((size_t)1 << 20)

struct reading {
    struct problems problems;
    const struct node *root;
    struct config_kubeconfig *k;
};

static struct str text_of(const struct node *map, const char *key)
{
    const struct node *n = node_get(map, key);
    return n && n->kind == NODE_SCALAR && !node_is_empty(n) ? n->text : STR_NULL;
}

/* The entry of that name in a list of {name, WHAT: {...}}; an empty map is no entry. */
static const struct node *find(struct reading *r, const char *list, const char *what, struct str name)
{
    const struct node *all = node_get(r->root, list);
    for (size_t i = 0; all && all->kind == NODE_LIST && i < all->n; i++) {
        if (str_eq(text_of(all->items[i], "name"), name) && node_get(all->items[i], what))
            return node_get(all->items[i], what);
    }
    problem_add(&r->problems, all ? all->at : r->root->at, "there is no %s named \"%.*s\" in %s", what, STR_ARG(name),
                list);
    return NULL;
}

static void set_path(char **to, const struct node *map, const char *key)
{
    const struct node *n = node_get(map, key);
    if (text_of(map, key).n > 0)
        *to = file_join(n->at.file->dir, n->text.p);
}

/* KEY-data, base64 of the bytes, wins over the file named by KEY. */
static void set_pem(struct reading *r, struct http_secret *to, const struct node *map, const char *key,
                    const char *data)
{
    struct str code = str_trim(text_of(map, data));
    if (code.n == 0) {
        set_path(&to->file, map, key);
        return;
    }
    unsigned char *plain = xcalloc(code.n + 4, 1); /* one line, however many it was written in */
    int length = 0, n = -1;
    for (size_t i = 0; i < code.n; i++) {
        if (!isspace((unsigned char)code.p[i]))
            plain[length++] = (unsigned char)code.p[i];
    }
    to->value = xcalloc(code.n + 4, 1);
    if (length % 4 == 0)
        n = EVP_DecodeBlock((unsigned char *)to->value, plain, length);
    explicit_bzero(plain, code.n);
    free(plain);
    if (n < 0)
        problem_add(&r->problems, node_get(map, data)->at, "%s is not base64", data);
    else
        to->value[n] = '\0';
}

static void set_text(char **to, const struct node *map, const char *key)
{
    struct str text = text_of(map, key);
    if (text.n > 0)
        *to = str_dup(text);
}

static void read_cluster(struct reading *r, const struct node *cluster)
{
    struct http_options *o = &r->k->http;
    struct str insecure = text_of(cluster, "insecure-skip-tls-verify");
    set_text(&r->k->server, cluster, "server");
    if (!r->k->server)
        problem_add(&r->problems, cluster->at, "the cluster has no server");
    set_pem(r, &o->tls_ca, cluster, "certificate-authority", "certificate-authority-data");
    set_text(&o->tls_server_name, cluster, "tls-server-name");
    set_text(&o->proxy_url, cluster, "proxy-url");
    o->tls_insecure_skip_verify = str_eq_c(insecure, "true");
}

/* What would have to be run or asked for first. */
static void refuse_helpers(struct reading *r, const struct node *user)
{
    static const char *const helpers[] = {"exec", "auth-provider", "as", "as-groups", "as-user-extra"};
    for (size_t i = 0; i < sizeof helpers / sizeof helpers[0]; i++) {
        if (node_get(user, helpers[i]))
            problem_add(&r->problems, node_get(user, helpers[i])->at,
                        "%s is not supported: use a token, tokenFile, certificate or password", helpers[i]);
    }
}

static void read_user(struct reading *r, const struct node *user)
{
    struct http_options *o = &r->k->http;
    refuse_helpers(r, user);
    set_pem(r, &o->tls_cert, user, "client-certificate", "client-certificate-data");
    set_pem(r, &o->tls_key, user, "client-key", "client-key-data");
    set_path(&o->credentials.file, user, "tokenFile");
    if (!o->credentials.file)
        set_text(&o->credentials.value, user, "token");
    o->has_authorization = o->credentials.file || o->credentials.value;
    if (o->has_authorization) {
        o->authorization_type = xstrdup("Bearer");
        return;
    }
    set_text(&o->username.value, user, "username");
    set_text(&o->password.value, user, "password");
    o->has_basic_auth = o->username.value != NULL;
}

static void read_context(struct reading *r)
{
    struct str current = text_of(r->root, "current-context");
    if (current.n == 0) {
        problem_add(&r->problems, r->root->at, "there is no current-context");
        return;
    }
    const struct node *context = find(r, "contexts", "context", current);
    const struct node *cluster = context ? find(r, "clusters", "cluster", text_of(context, "cluster")) : NULL;
    struct str name = text_of(context, "user");
    const struct node *user = name.n > 0 ? find(r, "users", "user", name) : NULL;
    if (cluster)
        read_cluster(r, cluster);
    if (user)
        read_user(r, user);
}

struct config_kubeconfig *config_kubeconfig_read(const char *path, struct buf *errors)
{
    struct arena arena;
    struct err err = {0};
    struct buf text;
    arena_init(&arena);
    buf_init(&text, SIZE_LIMIT + 1);
    char *dir = file_dir(path);
    struct yaml_file file = {.name = path, .dir = dir};
    struct reading r = {.problems = {.arena = &arena}, .k = xcalloc(1, sizeof *r.k)};
    r.k->http.follow_redirects = true;
    if (file_read(path, SIZE_LIMIT, &text, &err))
        r.root = yaml_parse(&arena, &file, buf_str(&text), &r.problems);
    else
        problem_add(&r.problems, (struct place){&file, 1, 1}, "%s", err.msg);
    if (r.root)
        read_context(&r);
    if (r.problems.n > 0) {
        problems_print(&r.problems, errors);
        config_kubeconfig_free(r.k);
        r.k = NULL;
    }
    problems_free(&r.problems);
    buf_free(&text);
    arena_free(&arena);
    free(dir);
    return r.k;
}

void config_kubeconfig_free(struct config_kubeconfig *k)
{
    if (!k)
        return;
    http_options_free(&k->http);
    free(k->server);
    free(k);
}
