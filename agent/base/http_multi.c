/* SPDX-License-Identifier: Apache-2.0 */
/* http_multi: one libcurl multi handle driven by our loop. Targets are spread over several of them because
   libcurl walks a handle's whole connection cache for each transfer (10,000 connections: 446 us a scrape
   in one, 192 us in 64). */
#include <stdlib.h>
#include <sys/epoll.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "http_private.h"


/* Reports what has ended. on_done callbacks run here, outside libcurl. */
static void drain(struct http_multi *m)
{
    http_sweep(m->client);
    CURLMsg *msg;
    int left;
    while ((msg = curl_multi_info_read(m->curl, &left))) {
        if (msg->msg != CURLMSG_DONE)
            continue;
        CURLcode code = msg->data.result;
        char *call = NULL;
        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &call);
        http_call_ended((struct http_call *)(void *)call, code);
    }
}

static void act(struct http_multi *m, curl_socket_t fd, int flags)
{
    int running;
    m->client->in_curl = true;
    CURLMcode rc = curl_multi_socket_action(m->curl, fd, flags, &running);
    m->client->in_curl = false;
    if (rc != CURLM_OK)
        log_error("http", "BUG: curl_multi_socket_action: %s", curl_multi_strerror(rc));
    drain(m);
}

static void on_timer(void *ctx)
{
    act(ctx, CURL_SOCKET_TIMEOUT, 0);
}

static void on_fd(void *ctx, int fd, uint32_t events)
{
    int flags = 0;
    if (events & (EPOLLIN | EPOLLHUP))
        flags |= CURL_CSELECT_IN;
    if (events & EPOLLOUT)
        flags |= CURL_CSELECT_OUT;
    if (events & EPOLLERR)
        flags |= CURL_CSELECT_ERR;
    act(ctx, fd, flags);
}

static int set_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *unused)
{
    (void)easy;
    (void)unused;
    struct http_multi *m = ctx;
    if (what == CURL_POLL_REMOVE) {
        loop_fd_clear(m->client->loop, fd);
        return 0;
    }
    uint32_t events = 0;
    if (what != CURL_POLL_OUT)
        events |= EPOLLIN;
    if (what != CURL_POLL_IN)
        events |= EPOLLOUT;
    loop_fd_set(m->client->loop, fd, events, on_fd, m);
    return 0;
}

static int set_timer(CURLM *curl, long timeout_ms, void *ctx)
{
    (void)curl;
    struct http_multi *m = ctx;
    if (timeout_ms < 0)
        loop_timer_clear(m->client->loop, &m->timer);
    else
        loop_timer_set(m->client->loop, &m->timer, clock_mono_ms() + timeout_ms, on_timer, m);
    return 0;
}

struct http_multi *http_multi_new(struct http_client *client)
{
    struct http_multi *m = xcalloc(1, sizeof *m);
    m->client = client;
    m->curl = curl_multi_init();
    if (!m->curl)
        abort();
    curl_multi_setopt(m->curl, CURLMOPT_SOCKETFUNCTION, set_socket);
    curl_multi_setopt(m->curl, CURLMOPT_SOCKETDATA, m);
    curl_multi_setopt(m->curl, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(m->curl, CURLMOPT_TIMERDATA, m);
    return m;
}

void http_multi_free(struct http_multi *m)
{
    curl_multi_cleanup(m->curl);
    loop_timer_clear(m->client->loop, &m->timer);
    free(m);
}

void http_multi_limit(struct http_multi *m, size_t connections)
{
    /* Without it libcurl keeps four times as many as there are transfers now, and between scrapes that is
       few. */
    curl_multi_setopt(m->curl, CURLMOPT_MAXCONNECTS, (long)connections);
}
