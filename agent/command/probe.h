/* SPDX-License-Identifier: Apache-2.0 */
/* probe: fetches one exposition, from a URL or a file, and hands it over unpacked piece by piece. */
#ifndef OBSAGENT_COMMAND_PROBE_H
#define OBSAGENT_COMMAND_PROBE_H

#include "http.h"

struct probe_request {
    const char *url;
    const char *unix_socket;
    const char *const *headers; /* further "Name: value" lines, NULL-terminated, or NULL */
    const struct http_options *options;
    int64_t timeout_ms;
    bool compression;  /* ask for gzip */
    uint64_t max_raw;  /* bytes after decompression */
    void (*sink)(void *ctx, const void *bytes, size_t n);
    void *ctx;
};

struct probe_result {
    bool http; /* the rest down to the error is about a URL */
    long status;
    char content_type[256];
    char encoding[32];
    double seconds_dns, seconds_connect, seconds_tls, seconds_first_byte;
    double seconds;
    uint64_t wire_bytes, raw_bytes;
    struct err error; /* empty: everything arrived and the status is 200 */
};

void probe_url(const struct probe_request *request, struct probe_result *out);
/* path "-" is standard input. Only sink, ctx and max_raw of the request are used. */
void probe_file(const char *path, const struct probe_request *request, struct probe_result *out);

#endif
