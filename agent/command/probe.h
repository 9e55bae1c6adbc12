/* SPDX-License-Identifier: Apache-2.0 */
/* probe: fetches one exposition, from a URL or a file, and hands it over unpacked piece by piece. A URL is asked as the
   agent asks, and its answer judged in the same way; but a body of a type that the agent would refuse is read all the
   same, in the format that it looks like. */
#ifndef OBSAGENT_COMMAND_PROBE_H
#define OBSAGENT_COMMAND_PROBE_H

#include "config.h"
#include "exposition.h"

#define PROBE_WORDS_MAX 512

struct probe_request {
    const char *url;
    const char *unix_socket;
    const char *const *headers; /* further "Name: value" lines, NULL-terminated, or NULL */
    const struct config_job *job; /* formats and encodings to ask for, the fallback; NULL = the agent's defaults */
    const struct config_protocols *protocols; /* in place of the job's, or NULL */
    const struct http_options *options;
    int64_t timeout_ms;
    uint64_t max_raw; /* bytes after decompression */
    /* Before the first byte of a body: its format. May be NULL. */
    void (*begin)(void *ctx, enum exposition_format format);
    void (*sink)(void *ctx, const void *bytes, size_t n);
    void *ctx;
};

/* What the Content-Type means to the agent. */
enum probe_type {
    PROBE_TYPE_UNKNOWN,  /* no body came, or no HTTP was spoken */
    PROBE_TYPE_GOOD,
    PROBE_TYPE_FALLBACK, /* the job's fallback_scrape_protocol makes up for it */
    PROBE_TYPE_REFUSED
};

struct probe_result {
    bool http; /* the rest down to the sizes is about a URL */
    long status;
    char content_type[256];
    char encoding[32];
    char date[64];                  /* the Date header */
    char words[PROBE_WORDS_MAX];    /* the beginning of the body of another status than 200 */
    enum probe_type type;
    struct err type_why;            /* what is wrong with the type, in the agent's words */
    double seconds_dns, seconds_connect, seconds_tls, seconds_first_byte;
    bool timeout;
    double seconds;
    enum exposition_format format;  /* the body was read in */
    enum config_scrape_protocol looks_like; /* the one to set as fallback_scrape_protocol */
    bool looks_like_html;
    uint64_t wire_bytes, raw_bytes;
    struct err error; /* empty: everything arrived, the status is 200 and the type one that the agent takes */
};

void probe_url(const struct probe_request *request, struct probe_result *out);
/* path "-" is standard input. Only sink, ctx, protocols and max_raw of the request are used. The format is that of
   protocols, or what the name (.om is OpenMetrics), the first bytes and the last ones say. */
void probe_file(const char *path, const struct probe_request *request, struct probe_result *out);

/* Many at once: `concurrency` at a time until `count` have ended, each told. The body is received and thrown away. */
struct probe_load {
    uint64_t count, concurrency;
    void (*each)(void *ctx, const struct probe_result *result);
    void *ctx;
};
void probe_many(const struct probe_request *request, const struct probe_load *load);

#endif
