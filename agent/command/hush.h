/* SPDX-License-Identifier: Apache-2.0 */
/* hush: text from outside, made fit to be shown: without our secrets, which receivers like to repeat, without control
   characters, and cut. */
#ifndef OBSAGENT_COMMAND_HUSH_H
#define OBSAGENT_COMMAND_HUSH_H

#include "base/buf.h"
#include "http.h"

#define HUSH_MAX 64

struct hush {
    char *v[HUSH_MAX];
    size_t n;
};

/* Collects what an endpoint's settings and URL hold of secrets, also in base64. Files that cannot be read are left
   out. Free with hush_free. */
void hush_init(struct hush *h, const struct http_options *o, const char *url);
void hush_free(struct hush *h);
/* Appends the text with each of them as <secret>, bytes that are not printable UTF-8 as ?, runs of white space as one
   blank, at most `max` bytes and "..." when it was longer. */
void hush_add(const struct hush *h, struct str text, size_t max, struct buf *out);
/* A URL without userinfo and without query. */
void hush_url(const char *url, struct buf *out);

#endif
