/* SPDX-License-Identifier: Apache-2.0 */
/* probe_private: one answer on its way through a probe.

     probe.c       asks, judges the answer
     probe_file.c  reads a file instead
     probe_body.c  unpacks the bytes of either and decides which format they are in
     probe_load.c  asks many times */
#ifndef OBSAGENT_COMMAND_PROBE_PRIVATE_H
#define OBSAGENT_COMMAND_PROBE_PRIVATE_H

#include "../../scrape/inflate.h"
#include "../../scrape/unzstd.h"
#include "probe.h"

#include "http.h"

struct probe {
    const struct probe_request *request;
    struct probe_result *out;
    struct inflater *inflater; /* of a gzip body */
    struct unzstd *unzstd;     /* of a zstd one */
    char *chunk;               /* for either */
    bool decided;              /* which format it is */
    bool known;                /* out->format says it already: a file's */
};

/* ---- probe_body.c ---- */

enum probe_packing { PROBE_PLAIN, PROBE_GZIP, PROBE_ZSTD };
void probe_unpack(struct probe *p, enum probe_packing packing);
/* The next piece as it was received; false with out->error. */
bool probe_take(struct probe *p, const void *bytes, size_t n) MUSTCHECK;
/* The body is over: it may have been too short. */
void probe_end(struct probe *p);
/* What a body looks like by its first bytes. */
enum config_scrape_protocol probe_sniff(struct str start, bool *html);

/* ---- probe.c ---- */

/* What the Content-Type means to the agent; what else there is to be known about the format from `start`. */
void probe_judge_type(struct probe *p, struct str start);
/* The headers and options of a request; `lines` are own. */
#define PROBE_HEADERS_MAX 64
struct probe_headers {
    char *lines[3];
    const char *v[PROBE_HEADERS_MAX + 1];
};
void probe_headers_make(const struct probe_request *request, struct probe_headers *out);
void probe_headers_free(struct probe_headers *h);
struct http_request probe_http(const struct probe_request *request, const struct probe_headers *headers);
/* What libcurl says of the exchange. */
void probe_take_result(struct probe_result *out, const struct http_result *r);

#endif
