/* SPDX-License-Identifier: Apache-2.0 */
/* http_sd: target groups that an HTTP service gives as JSON. Rules: prometheus discovery/http/http.go. */
#include "source.h"

#include <stdlib.h>

#include "base/alloc.h"

struct http_sd {
    struct source source;
};

static struct source *open_http(const struct config_sd *config, struct source_host *host)
{
    struct http_sd *s = xcalloc(1, sizeof *s);
    source_init(&s->source, &source_http, config, host);
    return &s->source;
}

static void add(const struct source *s, struct discovery_sets *sets)
{
    (void)s;
    (void)sets;
}

static void describe(const struct source *s, struct buf *out)
{
    buf_add_c(out, s->config->http_sd.url);
}

static void close_http(struct source *s)
{
    free(s);
}

const struct source_kind source_http = {"http_sd_configs", open_http, add, describe, close_http};
