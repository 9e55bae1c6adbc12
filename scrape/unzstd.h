/* SPDX-License-Identifier: Apache-2.0 */
/* unzstd: zstd bodies in pieces, as inflate.h does gzip ones. */
#ifndef OBSAGENT_SCRAPE_UNZSTD_H
#define OBSAGENT_SCRAPE_UNZSTD_H

#include "inflate.h"

/* The window of a frame may ask for so much memory and no more; what HTTP allows (RFC 9659). */
#define UNZSTD_WINDOW_LOG_MAX 23

struct unzstd;

struct unzstd *unzstd_new(void);
void unzstd_free(struct unzstd *z);
/* As inflater_feed; several frames in a row are one body. */
bool unzstd_feed(struct unzstd *z, const void *p, size_t n, char *out, size_t size, inflater_sink *sink, void *ctx,
                 struct err *err) MUSTCHECK;
/* True when the input so far ends where a frame ends. */
bool unzstd_finished(const struct unzstd *z);

#endif
