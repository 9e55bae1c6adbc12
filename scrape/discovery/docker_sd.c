/* SPDX-License-Identifier: Apache-2.0 */
/* docker_sd: targets from the containers of a Docker daemon: asks for /containers/json, then for /networks. Rules:
   prometheus discovery/moby/docker.go. */
#include "source.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "docker_answer.h"
#include "sd_get.h"

#define AGAIN_MS 50
#define FILTERS_MAX 65536

struct docker_sd {
    struct source source;
    struct discovery_sets sets;
    struct sd_get get;
    struct loop_timer next;
    bool looking;
    struct buf containers; /* the first of the two answers */
    uint64_t hash;         /* of the two that `sets` were read from */
    char *base;            /* the URL without a path */
    char *socket;          /* or NULL */
    char *list;            /* the path of containers, with filters */
};

static bool ask(struct docker_sd *s, const char *path);

static void failed(struct docker_sd *s, const char *why)
{
    s->looking = false;
    source_failed(&s->source, "%s: %s", s->source.config->docker.host, why);
}

static void take_answers(struct docker_sd *s, struct str networks)
{
    struct discovery_sets news;
    struct err err = {0};
    uint64_t hash = hash_more(hash_bytes(s->containers.p, s->containers.n), networks);
    s->looking = false;
    if (s->source.known && hash == s->hash) {
        source_good(&s->source, false);
        return;
    }
    discovery_sets_init(&news, s->source.host->names);
    if (docker_answer_read(buf_str(&s->containers), networks, &s->source.config->docker, &news, &err)) {
        s->hash = hash;
        source_good(&s->source, discovery_sets_replace(&s->sets, &news));
    } else {
        failed(s, err.msg);
        discovery_sets_free(&news);
    }
}

static void on_answer(void *ctx, const struct sd_answer *a)
{
    struct docker_sd *s = ctx;
    struct err err = {0};
    bool second = s->containers.n > 0;
    if (a->error[0])
        err_set(&err, "%s", a->error);
    else if (a->status != 200)
        sd_status_text(a->status, a->body, &err);
    else if (!second && a->body.n == 0)
        err_set(&err, "an empty answer");
    if (err_is(&err)) {
        failed(s, err.msg);
    } else if (second) {
        take_answers(s, a->body);
    } else {
        buf_add_str(&s->containers, a->body);
        if (ask(s, "/networks"))
            return;
    }
    buf_trim(&s->containers, 0);
    buf_clear(&s->containers);
}

static bool ask(struct docker_sd *s, const char *path)
{
    struct err err = {0};
    char *url = xasprintf("%s%s", s->base, path);
    bool started = sd_get_start(&s->get, url, s->socket, NULL, s->source.config->refresh_interval_ms, &err);
    if (!started)
        failed(s, err.msg);
    free(url);
    return started;
}

static void look(void *ctx)
{
    struct docker_sd *s = ctx;
    int64_t wait = s->looking ? AGAIN_MS : s->source.config->refresh_interval_ms; /* its time is over soon */
    loop_timer_set(s->source.host->loop, &s->next, loop_now(s->source.host->loop) + wait, look, s);
    if (s->looking)
        return;
    s->looking = true;
    ask(s, s->list);
}

/* ---- the kind ---- */

static void find_daemon(struct docker_sd *s)
{
    struct str host = str_of(s->source.config->docker.host);
    while (host.n > 0 && host.p[host.n - 1] == '/')
        host.n--;
    if (str_starts(host, STR("unix://"))) {
        s->socket = str_dup(str_skip(host, strlen("unix://")));
        s->base = xstrdup("http://docker");
    } else if (str_starts(host, STR("tcp://"))) {
        host = str_skip(host, strlen("tcp"));
        s->base = xasprintf("http%.*s", STR_ARG(host));
    } else {
        s->base = str_dup(host);
    }
}

static char *list_path(const struct config_docker_sd *config)
{
    struct buf filters, path;
    buf_init(&filters, FILTERS_MAX);
    buf_init(&path, FILTERS_MAX * 3 + 64);
    buf_add_c(&path, "/containers/json");
    docker_filters_write(config, &filters);
    if (config->filters_n > 0) {
        buf_add_c(&path, "?filters=");
        sd_add_escaped(&path, buf_str(&filters));
    }
    buf_free(&filters);
    return buf_take(&path);
}

static struct source *open_docker(const struct config_sd *config, struct source_host *host)
{
    struct docker_sd *s = xcalloc(1, sizeof *s);
    source_init(&s->source, &source_docker, config, host);
    discovery_sets_init(&s->sets, host->names);
    buf_init(&s->containers, SD_BODY_MAX);
    find_daemon(s);
    s->list = list_path(&config->docker);
    /* As in Prometheus the options are for TCP alone. */
    sd_get_init(&s->get, host, s->socket ? NULL : &config->http, on_answer, s);
    loop_timer_set(host->loop, &s->next, loop_now(host->loop), look, s);
    return &s->source;
}

static void add(const struct source *s, struct discovery_sets *sets)
{
    discovery_sets_add_all(sets, &((const struct docker_sd *)s)->sets);
}

static void describe(const struct source *s, struct buf *out)
{
    buf_add_c(out, s->config->docker.host);
}

static void close_docker(struct source *source)
{
    struct docker_sd *s = (struct docker_sd *)source;
    loop_timer_clear(source->host->loop, &s->next);
    sd_get_close(&s->get);
    discovery_sets_free(&s->sets);
    buf_free(&s->containers);
    free(s->base);
    free(s->socket);
    free(s->list);
    free(s);
}

const struct source_kind source_docker = {"docker_sd_configs", open_docker, add, describe, close_docker};
