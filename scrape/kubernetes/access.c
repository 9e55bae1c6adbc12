/* SPDX-License-Identifier: Apache-2.0 */
/* access: in-cluster rules as in client-go's rest.InClusterConfig. */
#include "access.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/file.h"
#include "config.h"

#define NAMESPACE_MAX 1024

struct http_options *kube_account_options(bool with_ca)
{
    struct http_options *o = xcalloc(1, sizeof *o);
    o->follow_redirects = true;
    o->has_authorization = true;
    o->authorization_type = xstrdup("Bearer");
    o->credentials.file = xstrdup(KUBE_ACCOUNT "/token");
    if (with_ca)
        o->tls_ca.file = xstrdup(KUBE_ACCOUNT "/ca.crt");
    return o;
}

static bool open_cluster(struct kube_access *a, struct err *err)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
    if (!host || !*host || !port || !*port)
        return err_set(err, "neither api_server nor kubeconfig_file is given, and this is no pod: "
                            "KUBERNETES_SERVICE_HOST or KUBERNETES_SERVICE_PORT is not set");
    a->url = xasprintf(strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host, port);
    a->own = kube_account_options(true);
    a->options = a->own;
    return true;
}

static bool open_kubeconfig(struct kube_access *a, const char *path, struct err *err)
{
    struct buf errors;
    buf_init(&errors, 4096);
    a->kubeconfig = config_kubeconfig_read(path, &errors);
    if (!a->kubeconfig)
        err_set(err, "%.*s", STR_ARG(str_trim(buf_str(&errors))));
    buf_free(&errors);
    if (!a->kubeconfig)
        return false;
    a->url = xstrdup(a->kubeconfig->server);
    a->options = &a->kubeconfig->http;
    return true;
}

bool kube_access_open(struct kube_access *a, const struct config_sd *sd, struct err *err)
{
    bool ok = true;
    *a = (struct kube_access){0};
    if (sd->kubernetes.api_server) {
        a->url = xstrdup(sd->kubernetes.api_server);
        a->options = &sd->http;
    } else if (sd->kubernetes.kubeconfig_file) {
        ok = open_kubeconfig(a, sd->kubernetes.kubeconfig_file, err);
    } else {
        ok = open_cluster(a, err);
    }
    for (size_t n = ok ? strlen(a->url) : 0; n > 0 && a->url[n - 1] == '/'; n--)
        a->url[n - 1] = '\0';
    return ok;
}

void kube_access_close(struct kube_access *a)
{
    if (a->own)
        http_options_free(a->own);
    free(a->own);
    config_kubeconfig_free(a->kubeconfig);
    free(a->url);
    *a = (struct kube_access){0};
}

char *kube_own_namespace(struct err *err)
{
    struct buf text;
    char *name = NULL;
    buf_init(&text, NAMESPACE_MAX);
    if (file_read(KUBE_ACCOUNT "/namespace", NAMESPACE_MAX, &text, err)) {
        struct str trimmed = str_trim(buf_str(&text));
        if (trimmed.n > 0)
            name = str_dup(trimmed);
        else
            err_set(err, KUBE_ACCOUNT "/namespace: empty");
    }
    buf_free(&text);
    return name;
}
