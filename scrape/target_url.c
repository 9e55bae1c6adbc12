/* SPDX-License-Identifier: Apache-2.0 */
/* target_url: the URL that a target's labels and its job's parameters make. */
#include "target_url.h"

#include <ctype.h>
#include <stdlib.h>

#include "base/alloc.h"

struct param {
    struct str name;
    struct str first;
    const struct config_param *config; /* its further values, or NULL */
};

static void add_escaped(struct buf *out, struct str s, const char *plain, bool plus)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c < 0x80 && isalnum(c)) || (c && strchr(plain, c)))
            buf_add_char(out, (char)c);
        else if (c == ' ' && plus)
            buf_add_char(out, '+');
        else
            buf_addf(out, "%%%02X", c);
    }
}

static void add_path(struct buf *out, struct str path)
{
    size_t query = str_find_char(path, '?');
    if (path.n > 0 && path.p[0] != '/')
        buf_add_char(out, '/');
    add_escaped(out, str_make(path.p, query), "-_.~$&+,/:;=@", false);
    buf_add_str(out, str_skip(path, query));
}

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct param *)a)->name, ((const struct param *)b)->name);
}

static const struct config_param *find_config(const struct config_job *job, struct str name)
{
    for (size_t i = 0; i < job->params_n; i++) {
        if (str_eq_c(name, job->params[i].name))
            return &job->params[i];
    }
    return NULL;
}

/* The parameters by name: of the labels, and of the configuration where no label has them. */
static size_t collect(const struct config_job *job, const struct labels *l, struct param **out)
{
    struct str prefix = STR("__param_");
    struct param *v = xcalloc(l->n + job->params_n + 1, sizeof *v);
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++) {
        if (!str_starts(l->v[i].name, prefix) || l->v[i].value.n == 0)
            continue;
        struct str name = str_skip(l->v[i].name, prefix.n);
        v[n++] = (struct param){name, l->v[i].value, find_config(job, name)};
    }
    size_t from_labels = n;
    for (size_t i = 0; i < job->params_n; i++) {
        const struct config_param *p = &job->params[i];
        struct str name = str_of(p->name);
        bool known = p->values_n == 0;
        for (size_t k = 0; !known && k < from_labels; k++)
            known = str_eq(v[k].name, name);
        if (!known)
            v[n++] = (struct param){name, str_of(p->values[0]), p};
    }
    qsort(v, n, sizeof *v, by_name);
    *out = v;
    return n;
}

static void add_param(struct buf *out, char *separator, struct str name, struct str value)
{
    buf_add_char(out, *separator);
    *separator = '&';
    add_escaped(out, name, "-_.~", true);
    buf_add_char(out, '=');
    add_escaped(out, value, "-_.~", true);
}

void target_url(const struct config_job *job, const struct labels *l, struct buf *out)
{
    struct str path = labels_get(l, STR("__metrics_path__"));
    buf_add_str(out, labels_get(l, STR("__scheme__")));
    buf_add_c(out, "://");
    buf_add_str(out, labels_get(l, STR("__address__")));
    add_path(out, path);
    struct param *params;
    size_t n = collect(job, l, &params);
    char separator = str_find_char(path, '?') < path.n ? '&' : '?';
    for (size_t i = 0; i < n; i++) {
        add_param(out, &separator, params[i].name, params[i].first);
        const struct config_param *more = params[i].config;
        for (size_t k = 1; more && k < more->values_n; k++)
            add_param(out, &separator, more->name ? str_of(more->name) : STR_NULL, str_of(more->values[k]));
    }
    free(params);
}
