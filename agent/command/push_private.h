/* SPDX-License-Identifier: Apache-2.0 */
/* push_private: the rooms of `obsagent push`.

     push.c            the command: the command line, then a profile, a preflight, or both
     push_settings.c   what the flags or a configuration say about the endpoint
     push_preflight.c  which questions are asked of the receiver, in which order
     preflight.c       what the answers mean (pure); preflight_ask.c asks, preflight_body.c is what is sent
     push_report.c     says it; push_advice.c: a verdict in words, and what to do
     push_json.c       says it to programs, by the schema of push_schema.c
     profile*.c        what receivers lose silently, and a look at series for that */
#ifndef OBSAGENT_COMMAND_PUSH_PRIVATE_H
#define OBSAGENT_COMMAND_PUSH_PRIVATE_H

#include <jansson.h>

#include "config.h"
#include "flags.h"
#include "paint.h"
#include "preflight.h"
#include "preflight_ask.h"
#include "profile.h"

struct push_flags {
    const char *url, *bearer_token_file, *authorization_type, *username, *password_file;
    const char *ca_file, *cert_file, *key_file, *protocol;
    const char *config_file, *endpoint, *profile;
    struct flag_list headers;
    bool insecure, dry_run, no_guessing, json;
    int64_t timeout_ms;
    uint64_t max_body;
    const char *series; /* URL, FILE or "-", NULL = none */
};

/* ---- push_settings.c ---- */

/* The configuration, or one made of the flags, and its endpoint; NULL when it has been said on stderr what is wrong. */
struct config *push_settings(const struct push_flags *f, const struct config_remote **remote);

/* ---- push_preflight.c ---- */

/* All that was found out; texts are already fit to be shown. */
struct push_result {
    struct preflight_facts facts;
    struct preflight_verdict verdict;
    struct err error;          /* the settings do not even allow a request; nothing else is set */
    char *url;                 /* as shown */
    bool plain_credentials;    /* they travel unencrypted, and not only within this machine */
    bool dry_run;
    bool shows_certificate;    /* a client certificate is configured */
    struct ask_answer first;   /* words and headers not to be shown: see below */
    struct http_peer peer;     /* with the certificate, where one could be had */
    bool has_skew;
    int64_t skew_ms;
    struct buf words;          /* of the answer that the verdict is about */
    struct buf error_text, authenticate, location, server;
    struct buf series;         /* the sample */
    bool filtered;             /* the endpoint's own rules drop it */
    enum protocol batch_protocol;
    uint64_t batch_written;
    bool has_batch_written;
};

void push_preflight(const struct push_flags *f, const struct config *config, const struct config_remote *remote,
                    struct push_result *r);
void push_result_free(struct push_result *r);

/* ---- push_advice.c ---- */

/* A verdict in a sentence, and what to do about it ("" when nothing). */
void push_advice(const struct push_result *r, struct buf *what, struct buf *todo);
/* What is worth knowing besides, one at a time from n = 0; false at the end. */
bool push_note(const struct push_result *r, size_t n, struct buf *out);

/* ---- push_report.c ---- */

void push_report_text(const struct push_result *r, const struct paint *paint, struct buf *out);
void push_profile_text(const struct profile_result *p, const struct paint *paint, struct buf *out);

/* ---- push_schema.c ---- */

/* The JSON Schema of what --json prints. */
void push_schema(struct buf *out);

/* ---- push_json.c ---- */

/* Owned by the caller. */
json_t *push_report_json(struct push_result *r);
json_t *push_profile_json(const struct profile_result *p);

#endif
