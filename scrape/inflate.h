/* SPDX-License-Identifier: Apache-2.0 */
/* inflate: gunzip in pieces. Streaming, so a body is never held whole and its limit counts inflated bytes. */
#ifndef OBSAGENT_SCRAPE_INFLATE_H
#define OBSAGENT_SCRAPE_INFLATE_H

#include "base/err.h"

#include <stddef.h>

/* About 90 kB (ISA-L) or 45 kB (zlib): pooled by its user. Reusable after inflater_reset. */
struct inflater;

/* Takes inflated bytes; false stops. */
typedef bool inflater_sink(void *ctx, const void *p, size_t n);

struct inflater *inflater_new(void);
void inflater_free(struct inflater *z);
void inflater_reset(struct inflater *z);
/* Inflates the next piece through out[0..size) into the sink. False with err for data that is not gzip, false
   without when the sink stopped. Several gzip members in a row are one body. */
bool inflater_feed(struct inflater *z, const void *p, size_t n, char *out, size_t size, inflater_sink *sink,
                   void *ctx, struct err *err) MUSTCHECK;
/* True when the input so far ends where a member ends. */
bool inflater_finished(const struct inflater *z);

#endif
