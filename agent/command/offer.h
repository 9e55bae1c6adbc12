/* SPDX-License-Identifier: Apache-2.0 */
/* offer: which of its formats a target answers with, from the Accept header. Source: RFC 9110, 12.5.1; the media types
   of Prometheus's content negotiation. */
#ifndef OBSAGENT_COMMAND_OFFER_H
#define OBSAGENT_COMMAND_OFFER_H

#include "base/err.h"
#include "base/str.h"
#include "synth.h"

struct offer {
    enum synth_format format;
    char type[128]; /* for Content-Type */
};

/* The one with the largest q, the first of those; text 0.0.4 when nothing fits, because that is what everybody reads.
   What comes is not trusted. */
struct offer offer_choose(struct str accept);
/* The form that a word of the command line names: text, openmetrics, protobuf. False: another word. */
bool offer_named(const char *word, struct offer *out) MUSTCHECK;

#endif
