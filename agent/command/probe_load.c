/* SPDX-License-Identifier: Apache-2.0 */
/* probe_load: the same question many times, some at once, over connections that are kept as the agent keeps them. */
#include "probe_private.h"

#include "base/alloc.h"

#include <stdlib.h>

struct load {
    const struct probe_request *request;
    const struct probe_load *load;
    struct loop *loop;
    struct http_client *client;
    struct probe_headers headers;
    uint64_t started, running;
};

struct shot {
    struct load *load;
    struct probe_result result;
};

static bool on_body(void *ctx, long status, const void *bytes, size_t n)
{
    struct shot *s = ctx;
    (void)status;
    (void)bytes;
    s->result.wire_bytes += n;
    return true;
}

static void start(struct load *l);

static void tell(struct shot *s)
{
    s->load->load->each(s->load->load->ctx, &s->result);
    free(s);
}

static void on_done(void *ctx, const struct http_result *r)
{
    struct shot *s = ctx;
    struct load *l = s->load;
    probe_take_result(&s->result, r);
    tell(s);
    l->running--;
    start(l);
    if (l->running == 0)
        loop_stop(l->loop);
}

/* As many as may be under way; one that cannot even be started has ended. */
static void start(struct load *l)
{
    while (l->started < l->load->count && l->running < l->load->concurrency) {
        struct shot *s = xcalloc(1, sizeof *s);
        struct http_request r = probe_http(l->request, &l->headers);
        s->load = l;
        s->result.http = true;
        r.on_body = on_body;
        r.on_done = on_done;
        r.ctx = s;
        l->started++;
        if (http_start(l->client, &r, &s->result.error))
            l->running++;
        else
            tell(s);
    }
}

void probe_many(const struct probe_request *request, const struct probe_load *load)
{
    struct load l = {.request = request, .load = load, .loop = loop_new()};
    probe_headers_make(request, &l.headers);
    l.client = http_client_new(
        l.loop, (struct http_client_limits){.connections = (size_t)load->concurrency, .multis = 1});
    start(&l);
    if (l.running)
        loop_run(l.loop);
    http_client_free(l.client);
    loop_free(l.loop);
    probe_headers_free(&l.headers);
}
