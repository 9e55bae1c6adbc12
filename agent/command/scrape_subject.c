/* SPDX-License-Identifier: Apache-2.0 */
/* scrape_subject: what is to be scraped, as the agent would see it: a target of a job with settings and limits. What
   is named without a configuration belongs to a job of defaults. */
#include "scrape_private.h"

#include "base/alloc.h"
#include "base/hide.h"

#include <stdio.h>
#include <stdlib.h>

#define ERRORS_MAX ((size_t)1 << 20)

/* A URL without what must not be on a screen. */
static char *shown(const char *url)
{
    struct buf out;
    buf_init(&out, SIZE_MAX);
    hide_url(str_of(url), &out);
    return buf_take(&out);
}

/* ---- without a configuration ---- */

static struct config *defaults(void)
{
    struct buf errors;
    buf_init(&errors, ERRORS_MAX);
    struct config *c =
        config_load_text("defaults", STR("scrape_configs: [{job_name: scrape}]"), NULL, false, &errors);
    if (!c)
        fputs(buf_c(&errors), stderr);
    buf_free(&errors);
    return c;
}

static struct str authority(const char *url)
{
    const char *host = strstr(url, "://");
    if (!host)
        return STR("localhost"); /* a file */
    host += 3;
    size_t n = strcspn(host, "/?#");
    const char *at = memrchr(host, '@', n);
    return at ? str_make(at + 1, n - (size_t)(at + 1 - host)) : str_make(host, n);
}

/* What the agent would label it: its address is what counts. */
static struct target *make_target(const struct config_job *job, const char *url)
{
    struct err err = {0};
    struct arena arena;
    struct labels l;
    arena_init(&arena);
    labels_init(&l, &arena);
    labels_set(&l, STR("__address__"), authority(url));
    labels_set(&l, STR("__scheme__"), strncmp(url, "https:", 6) == 0 ? STR("https") : STR("http"));
    struct target *t = target_build(job, &l, &err);
    if (!t)
        fprintf(stderr, "%.*s: %s\n", STR_ARG(authority(url)), err.msg);
    labels_free(&l);
    arena_free(&arena);
    return t;
}

static void use_flags(const struct scrape_flags *f, struct subject *s)
{
    static char bearer[] = "Bearer";
    s->own_http = (struct http_options){.follow_redirects = true, .tls_insecure_skip_verify = f->insecure};
    s->headers = xcalloc(f->headers.n + 1, sizeof *s->headers);
    for (size_t i = 0; i < f->headers.n; i++)
        s->headers[i] = f->headers.v[i];
    if (f->bearer_token_file) {
        s->own_http.has_authorization = true;
        s->own_http.authorization_type = bearer;
        s->own_http.credentials.file = (char *)f->bearer_token_file;
    }
    s->http = &s->own_http;
}

static void set_view(struct subject *s, const struct config_job *job)
{
    s->view = (struct scrape_subject){
        .name = shown(s->what), .config = s->config, .job = job, .target = s->target};
}

bool subject_of_argument(const struct scrape_flags *f, const char *what, struct subject *out)
{
    *out = (struct subject){.what = what, .unix_socket = f->unix_socket};
    out->config = defaults();
    if (!out->config)
        return false;
    const struct config_job *job = &out->config->jobs[0];
    out->target = make_target(job, what);
    if (!out->target) {
        config_unref(out->config);
        return false;
    }
    use_flags(f, out);
    set_view(out, job);
    return true;
}

/* ---- of a job ---- */

void subject_of_target(const struct scrape_flags *f, struct config *config, const struct config_job *job,
                       struct target *t, const char *saved, struct subject *out)
{
    (void)f;
    *out = (struct subject){.what = saved ? saved : t->url, .unix_socket = t->unix_socket, .http = &job->http};
    out->config = config_ref(config);
    out->target = target_ref(t);
    set_view(out, job);
}

void subject_free(struct subject *s)
{
    free((char *)s->view.name);
    free(s->headers);
    target_unref(s->target);
    config_unref(s->config);
}
