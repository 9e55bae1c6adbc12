/* SPDX-License-Identifier: Apache-2.0 */
/* preflight_ask: one request to a receiver, waited for, and what came of it. */
#ifndef OBSAGENT_COMMAND_PREFLIGHT_ASK_H
#define OBSAGENT_COMMAND_PREFLIGHT_ASK_H

#include "../remote/protocol.h"
#include "base/buf.h"
#include "http.h"

#define ASK_WORDS_MAX 2048

struct ask {
    const char *url;
    const char *method;  /* NULL = POST with the body and the headers of the protocol */
    const struct http_options *options;
    enum protocol protocol;
    struct str body;     /* compressed */
    int64_t timeout_ms;
};

/* Texts come from outside, with what they say back of our secrets crossed out: ask_line before they are shown.
   Zero-initialise the first time; free with ask_free. */
struct ask_answer {
    long status; /* 0 = none came */
    bool started; /* false: error says what is wrong with the settings */
    bool timeout;
    struct err error;
    struct buf words; /* of the body, at most ASK_WORDS_MAX */
    char authenticate[256], location[512], server[128];
    int64_t date_s;   /* -1 = not said */
    int64_t skew_ms;  /* theirs less ours, when date_s is known */
    bool written;     /* a Written header was there */
    uint64_t samples_written;
    double seconds, seconds_dns, seconds_connect, seconds_tls, seconds_first_byte;
    struct http_peer peer;
};

/* Over a connection of its own. Answers may be used again: the last one is forgotten. */
void ask(const struct ask *question, struct ask_answer *out);
void ask_free(struct ask_answer *a);
/* Appends text from outside as a part of a line: control characters as ?, runs of white space as one blank, "..."
   behind about max bytes. */
void ask_line(struct str text, size_t max, struct buf *out);

#endif
