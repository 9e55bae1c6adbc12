/* SPDX-License-Identifier: Apache-2.0 */
/* scrape_subject: what is to be scraped, as the agent would see it: a target of a job with settings and limits. What
   is named without a configuration belongs to a job of defaults. */
#include "scrape_private.h"

#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define ERRORS_MAX ((size_t)1 << 20)

/* ---- names fit to be shown ---- */

static bool is_secret_name(struct str name)
{
    static const char *const WORDS[] = {"token", "secret", "password", "passwd", "key", "auth", "credential"};
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
        for (size_t at = 0; at < name.n; at++) {
            size_t n = strlen(WORDS[i]);
            if (name.n - at >= n && strncasecmp(name.p + at, WORDS[i], n) == 0)
                return true;
        }
    }
    return false;
}

/* The query, with the values of parameters that are named like secrets left out. */
static void show_query(struct str query, struct buf *out)
{
    while (query.n) {
        struct str pair = str_make(query.p, str_find_char(query, '&'));
        size_t equals = str_find_char(pair, '=');
        bool secret = equals < pair.n && is_secret_name(str_make(pair.p, equals));
        buf_add_str(out, secret ? str_make(pair.p, equals + 1) : pair);
        if (secret)
            buf_add_c(out, "<secret>");
        query = str_skip(query, pair.n);
        if (query.n)
            buf_add_char(out, '&');
        query = str_skip(query, 1);
    }
}

/* A URL without what must not be on a screen: userinfo and parameters like ?token=. */
static char *shown(const char *url)
{
    struct buf out;
    const char *scheme = strstr(url, "://");
    buf_init(&out, SIZE_MAX);
    if (!scheme)
        return xstrdup(url);
    const char *host = scheme + 3;
    size_t host_n = strcspn(host, "/?#");
    const char *at = memrchr(host, '@', host_n);
    buf_add(&out, url, (size_t)(host - url));
    if (at) {
        buf_add_c(&out, "<secret>@");
        host_n -= (size_t)(at + 1 - host);
        host = at + 1;
    }
    size_t query = host_n + strcspn(host + host_n, "?");
    buf_add(&out, host, query);
    if (host[query] == '?') {
        buf_add_char(&out, '?');
        show_query(str_of(host + query + 1), &out);
    }
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
