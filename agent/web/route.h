/* SPDX-License-Identifier: Apache-2.0 */
/* route: which path gives which answer. Knows no server: a request is plain data, an answer a buffer. */
#ifndef OBSAGENT_WEB_ROUTE_H
#define OBSAGENT_WEB_ROUTE_H

#include "web.h"

enum route_method { ROUTE_GET, ROUTE_POST, ROUTE_OTHER }; /* HEAD is a GET whose body nobody reads */

struct route_request {
    enum route_method method;
    const char *path;
    /* The value of a query parameter, or NULL. */
    const char *(*arg)(void *ctx, const char *name);
    void *ctx;
    bool html; /* who asks is a browser */
};

struct route_reply {
    unsigned status;
    const char *content_type;
    const char *allow; /* for 405, else NULL */
    bool keeps;        /* never changes: a browser may keep it */
    struct buf body;   /* by the caller initialised and freed */
};

/* Fills the reply. */
void route_answer(const struct web_options *options, const struct route_request *request,
                  struct route_reply *reply);

/* The path as it is counted: one of the table, or "other"; paths from outside must not make series. */
const char *route_counted_path(size_t index);
/* Its index, below ROUTE_COUNTED_MAX. */
size_t route_counted_index(const char *path);
#define ROUTE_COUNTED_MAX 48

#endif
