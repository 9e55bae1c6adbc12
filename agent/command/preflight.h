/* SPDX-License-Identifier: Apache-2.0 */
/* preflight: what is the matter with a receiver, as a pure function: facts in, verdict out. Statuses mean what they
   mean to the agent (agent/remote/policy.h, protocol.h); no text of a receiver is looked at. */
#ifndef OBSAGENT_COMMAND_PREFLIGHT_H
#define OBSAGENT_COMMAND_PREFLIGHT_H

#include "../remote/protocol.h"
#include "http.h"

/* Ways to hand over credentials. What is configured may be one that is none of the others (OTHER: OAuth, SigV4, a
   header, a scheme of one's own), for which there is nothing else to try. */
enum preflight_scheme {
    PREFLIGHT_BEARER, PREFLIGHT_RAW, PREFLIGHT_BASIC, PREFLIGHT_API_KEY, PREFLIGHT_API_TOKEN, PREFLIGHT_TOKEN,
    PREFLIGHT_OTHER, PREFLIGHT_NONE, PREFLIGHT_SCHEMES
};
/* "Bearer", "raw key", ... */
const char *preflight_scheme_name(enum preflight_scheme s);
/* The word before the credentials in the header; NULL of Basic, OTHER and NONE. */
const char *preflight_scheme_word(enum preflight_scheme s);
/* The scheme that a WWW-Authenticate header asks for first; NONE when it is missing or another one. */
enum preflight_scheme preflight_challenge(struct str header);

/* Paths where receivers listen. */
#define PREFLIGHT_PATHS 9
extern const char *const preflight_paths[PREFLIGHT_PATHS];

struct preflight_answer {
    bool asked;
    long status;  /* 0 = none came */
    bool written; /* with a count of what was written */
};

struct preflight_facts {
    /* Of the first request, an empty one, as configured. */
    bool tls; /* the URL is https */
    enum http_failure failure;
    enum http_fault fault;
    bool timeout;
    struct preflight_answer first;
    bool other_transport; /* somebody answers in plain HTTP where TLS failed; or in TLS where plain HTTP got a 400 or no
                             answer */
    enum preflight_scheme given, challenge;
    struct preflight_answer schemes[PREFLIGHT_SCHEMES]; /* the same with others, NONE among them, after a 401 or 403 */
    struct preflight_answer paths[PREFLIGHT_PATHS];     /* the same elsewhere, after a 404 or the like,
                                                           or when nothing was understood */
    enum config_protocol settings;
    struct preflight_answer empties[PROTOCOLS]; /* empty messages; the first request is among them */
    struct preflight_answer batch[PROTOCOLS];   /* a sample */
    uint64_t body_taken, body_refused; /* sizes of bodies; 0 = none */
    long body_status;                  /* of the one refused */
};

/* Stable: their names are in the JSON. */
enum preflight_kind {
    PREFLIGHT_FINE,
    PREFLIGHT_UNKNOWN_NAME,       /* no address */
    PREFLIGHT_UNREACHABLE,        /* no connection */
    PREFLIGHT_CERTIFICATE,        /* the certificate is not to be trusted */
    PREFLIGHT_TLS,                /* no handshake */
    PREFLIGHT_NOT_TLS,            /* https:// to one that speaks plain HTTP */
    PREFLIGHT_NEEDS_TLS,          /* http:// to one that wants TLS */
    PREFLIGHT_NO_ANSWER,          /* a connection, and no answer */
    PREFLIGHT_PROXY,              /* the proxy wants credentials */
    PREFLIGHT_MISSING_CREDENTIALS,
    PREFLIGHT_WRONG_SCHEME,       /* the credentials are good when handed over as verdict.scheme */
    PREFLIGHT_NEEDLESS_CREDENTIALS, /* accepted without, refused with them */
    PREFLIGHT_WRONG_CREDENTIALS,  /* 401 whatever is tried */
    PREFLIGHT_FORBIDDEN,          /* 403 whatever is tried */
    PREFLIGHT_REDIRECTED,
    PREFLIGHT_WRONG_PATH,         /* verdict.path would do, or nothing that was tried */
    PREFLIGHT_OTHER_PROTOCOL,     /* understands verdict.protocol, which the settings do not allow */
    PREFLIGHT_NO_PROTOCOL,        /* understands nothing that we speak */
    PREFLIGHT_TOO_LARGE,          /* refuses even a small request as too large */
    PREFLIGHT_REFUSED,            /* empty messages are fine, the sample is not */
    PREFLIGHT_BUSY,               /* 429 */
    PREFLIGHT_FAILING,            /* 5xx */
    PREFLIGHT_KINDS
};
const char *preflight_kind_name(enum preflight_kind k);

struct preflight_verdict {
    enum preflight_kind kind;
    enum preflight_scheme scheme; /* of WRONG_SCHEME; of MISSING_CREDENTIALS the one asked for, or NONE */
    int path;                     /* of WRONG_PATH: in preflight_paths, or -1 */
    enum protocol protocol;       /* the one that the agent would use; of OTHER_PROTOCOL the one it should */
    long status;                  /* the answer it was read from */
};

struct preflight_verdict preflight_judge(const struct preflight_facts *f);

/* ---- what to ask next, by the same reading of statuses ---- */

enum preflight_class {
    PREFLIGHT_GOOD, PREFLIGHT_ENTRY, PREFLIGHT_PLACE, PREFLIGHT_KIND, PREFLIGHT_DATA, PREFLIGHT_SIZE, PREFLIGHT_LATER
};
/* What a status is about: nothing (2xx), credentials, the URL, the form of the message (415), what is in it, its size,
   or the receiver's state (5xx, 429, no answer). */
enum preflight_class preflight_classify(long status);
/* An empty message or the sample was understood in this protocol. */
bool preflight_understands(const struct preflight_facts *f, enum protocol p);

#endif
